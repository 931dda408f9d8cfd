/* bench/stop.h - Ctrl-C and SIGTERM, as a flag that every loop of the driver asks. */
#ifndef BENCH_STOP_H
#define BENCH_STOP_H

#include <stdbool.h>

/* From here on SIGINT and SIGTERM raise the flag instead of ending the driver; SIGPIPE is ignored. */
void stop_install(void);

/* In a child, between fork and exec: the dispositions a program expects to be born with. */
void stop_restore(void);

bool stop_requested(void);

#endif
