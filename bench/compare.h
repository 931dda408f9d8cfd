/* bench/compare.h - a comparison: what is measured of each server, what is printed, and the goals beside it. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include "bench/options.h"
#include "bench/server.h"
#include "bench/sheet.h"

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

/* One row of the report for each of our servers. */
struct metric {
	const char *title;
	const char *unit;
	int value;          /* which of the values measured */
	enum policy policy; /* whose */
	const char *limit;  /* the subject that ratios are against; NULL: the first raw one of the policy */
	struct goal goal;
};

/* One server in one round. */
struct trial {
	const struct options *options;
	const struct launch *launch;
	const struct server *server;
	int rounds;
	int round;
};

struct comparison {
	const char *name;
	void (*conditions)(const struct options *options); /* print them, as one line */
	/* Fill in the values; those not measured stay NAN. 0 or a negative error, which leaves all out. */
	int (*measure)(const struct trial *trial, double *values);
	const struct metric *metrics;
	int metric_count;
	int value_count;
	const int *workers; /* how many each server has, one count after another, unless the user says; ends with 0 */
	bool is_short;      /* half the rounds */
	bool lasting;       /* how connections came to their workers does not matter: one row per server is enough */
};

extern const struct comparison compare_hand_over;
extern const struct comparison compare_workers;
extern const struct comparison compare_echo;
extern const struct comparison compare_idle;

/* The goals are for 2 workers, and most comparisons are made with as many: their `workers`. */
extern const int compare_with_two[];

/* All rounds of one comparison, and its rows on stdout. 0 or a negative error; -EINTR prints what there is. */
int compare_run(const struct comparison *comparison, const struct options *options, struct launch *launch);

#endif
