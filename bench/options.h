/* bench/options.h - what the user asked the driver for. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

enum { WORKER_COUNTS_MAX = 16 };

struct options {
	const char *comparison; /* its name, or "all" */
	const char *only;       /* subjects to run, with commas between; NULL: all */
	const char *musterd;    /* NULL: beside the driver, in the folder above its own */
	int rounds;
	int workers[WORKER_COUNTS_MAX]; /* each in turn */
	int worker_counts;              /* 0: as many as each comparison likes */
	int in_flight;
	int idle;
	int active;
	int seconds; /* one load may take */
	long connections;
	long messages;
	long megabytes;
	bool reset;
	bool syscalls;
};

/* 0 to go on, 1 when the help was asked for and printed, or -EINVAL, which has been explained on stderr. */
int options_parse(struct options *options, int argc, char **argv);

#endif
