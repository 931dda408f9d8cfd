/* bench/stats.h - medians, spreads and percentiles of a handful of numbers. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct summary {
	size_t count; /* values that were there; the others are NAN when this is 0 */
	double median;
	double min;
	double max;
};

/* NAN means "not measured" and is left out. The values are not changed. */
struct summary stats_summary(const double *values, size_t count);

/* The value below which `percent` of the values lie. Sorts the values in place. NAN when there are none. */
double stats_percentile(double *values, size_t count, double percent);

#endif
