/* tests/support/lines.h - the lines the library logs, recorded instead of written. */
#ifndef TESTS_SUPPORT_LINES_H
#define TESTS_SUPPORT_LINES_H

#include <muster/log.h>

/* From here on, lines up to `level` are kept. */
void lines_record(enum muster_log_level level);
unsigned lines_count(void);
const char *lines_at(unsigned index);
/* How many lines have `part` in them. */
unsigned lines_with(const char *part);
/* Back to standard error, with nothing kept: add_case does it. */
void lines_forget(void);

#endif
