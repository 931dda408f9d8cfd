/* bench/compare.h - a comparison: what is measured of each server, what is printed, and the goals beside it. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench/options.h"
#include "bench/sheet.h"
#include "bench/subject.h"

enum { VALUES_MAX = 16 };

enum goal_kind {
	GOAL_NONE,
	GOAL_RATIO_MAX, /* against the limit */
	GOAL_RATIO_MIN,
	GOAL_VALUE_MAX,
};

struct goal {
	enum goal_kind kind;
	double bound;
	double bound_many; /* with 64 workers or more; 0: the same */
};

/* One table of the report. */
struct metric {
	const char *title;
	const char *unit;
	int value;          /* which of the values measured */
	enum policy policy; /* whose rows */
	const char *limit;  /* the subject that ratios are against; NULL: the first raw one in the table */
	struct goal goal;
};

/* One server in one round. */
struct trial {
	const struct options *options;
	const struct launch *launch;
	const struct server *server;
	int round;
};

struct comparison {
	const char *name;
	void (*conditions)(const struct options *options); /* print them, in one line */
	/* Fill in the values; those not measured stay NAN. 0 or a negative error, which leaves all out. */
	int (*measure)(const struct trial *trial, double *values);
	const struct metric *metrics;
	int metric_count;
	int value_count;
	bool lasting; /* how connections came to their workers does not matter: one row per server is enough */
};

extern const struct comparison compare_hand_over;
extern const struct comparison compare_echo;
extern const struct comparison compare_idle;

/* All rounds of one comparison, and its tables on stdout. 0 or a negative error; -EINTR prints what there is. */
int compare_run(const struct comparison *comparison, const struct options *options, const struct launch *launch);

#endif
