/*
 * A summary is a median and the whole range, never a mean and a deviation: rounds on a shared machine have outliers on
 * one side only, and a reader should see them.
 */
#include "bench/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

static size_t copy_measured(double *to, const double *from, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!isnan(from[i]))
			to[kept++] = from[i];
	return kept;
}

static double middle(const double *sorted, size_t count)
{
	if (count % 2 == 1)
		return sorted[count / 2];
	return (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

struct summary stats_summary(const double *values, size_t count)
{
	struct summary summary = { .count = 0, .median = NAN, .min = NAN, .max = NAN };
	double *sorted = calloc(count + 1, sizeof(*sorted));
	size_t kept;

	if (sorted == NULL)
		return summary;
	kept = copy_measured(sorted, values, count);
	if (kept > 0) {
		qsort(sorted, kept, sizeof(*sorted), compare_doubles);
		summary.count = kept;
		summary.median = middle(sorted, kept);
		summary.min = sorted[0];
		summary.max = sorted[kept - 1];
	}
	free(sorted);
	return summary;
}

double stats_percentile(double *values, size_t count, double percent)
{
	size_t index;

	if (count == 0)
		return NAN;
	qsort(values, count, sizeof(*values), compare_doubles);
	index = (size_t)((double)count * percent / 100);
	return values[index < count ? index : count - 1];
}
