/* bench/report.h - the tables, in Markdown, on stdout. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/compare.h"

/* The machine and the day: without them no figure means anything. */
void report_heading(void);

void report_print(const struct comparison *comparison, const struct options *options, const struct sheet *sheet);

#endif
