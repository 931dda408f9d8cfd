/* bench/sheet.h - every value measured in a comparison, by subject, kind and round. */
#ifndef BENCH_SHEET_H
#define BENCH_SHEET_H

#include "bench/stats.h"

struct sheet {
	double *cells; /* NAN: not measured */
	int subjects;
	int values;
	int rounds;
};

int sheet_init(struct sheet *sheet, int subjects, int values, int rounds);
void sheet_clear(struct sheet *sheet);

void sheet_set(struct sheet *sheet, int subject, int value, int round, double number);

struct summary sheet_summary(const struct sheet *sheet, int subject, int value);

/* Of the ratios within each round: what slows a whole round down slows both and cancels out. */
struct summary sheet_ratio(const struct sheet *sheet, int subject, int limit, int value);

#endif
