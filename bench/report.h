/* bench/report.h - the table, in Markdown, on stdout, row by row as the figures come. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/compare.h"

/* The machine and the day: without them no figure means anything. */
void report_heading(void);

/* The head of the table; then the rows of one comparison with so many workers; then the goals, counted. */
void report_table(void);
void report_rows(const struct comparison *comparison, int workers, const struct sheet *sheet);
void report_end(void);

#endif
