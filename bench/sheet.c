/* A cube of numbers, rounds innermost, so that the rounds of one value lie side by side for the statistics. */
#include "bench/sheet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static double *rounds_of(const struct sheet *sheet, int subject, int value)
{
	return sheet->cells + ((size_t)subject * sheet->values + value) * sheet->rounds;
}

int sheet_init(struct sheet *sheet, int subjects, int values, int rounds)
{
	size_t count = (size_t)subjects * values * rounds;

	*sheet = (struct sheet){ .subjects = subjects, .values = values, .rounds = rounds };
	sheet->cells = calloc(count, sizeof(*sheet->cells));
	if (sheet->cells == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sheet->cells[i] = NAN;
	return 0;
}

void sheet_clear(struct sheet *sheet)
{
	free(sheet->cells);
	sheet->cells = NULL;
}

void sheet_set(struct sheet *sheet, int subject, int value, int round, double number)
{
	rounds_of(sheet, subject, value)[round] = number;
}

struct summary sheet_summary(const struct sheet *sheet, int subject, int value)
{
	return stats_summary(rounds_of(sheet, subject, value), (size_t)sheet->rounds);
}

struct summary sheet_ratio(const struct sheet *sheet, int subject, int limit, int value)
{
	const double *above = rounds_of(sheet, subject, value);
	const double *below = rounds_of(sheet, limit, value);
	double *ratios = calloc((size_t)sheet->rounds, sizeof(*ratios));
	struct summary summary = stats_summary(NULL, 0);

	if (ratios == NULL)
		return summary;
	for (int i = 0; i < sheet->rounds; i++)
		ratios[i] = below[i] > 0 ? above[i] / below[i] : NAN;
	summary = stats_summary(ratios, (size_t)sheet->rounds);
	free(ratios);
	return summary;
}
