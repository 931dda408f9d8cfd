/*
 * What a connection costs that does nothing: memory of the whole tree at rest and with many connections open, each
 * after one message to and fro. And how evenly they lie: the descriptors that each worker has more than before.
 */
#include "bench/compare.h"

#include "bench/clock.h"
#include "bench/streams.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

enum {
	WARM = 64,
	SETTLE_MS = 200,
	MEGABYTE = 1000000,
};

enum value { REST, EACH, SPREAD, VALUES };

static const struct metric metrics[] = {
	{ "The tree at rest: PSS (goal for 2 workers)", "MB", REST, POLICY_ANY, NULL, { GOAL_VALUE_MAX, 3.0, 0 } },
	{ "An idle connection: PSS of the tree", "bytes", EACH, POLICY_ANY, NULL, { GOAL_VALUE_MAX, 400, 0 } },
	{ "Spread of open connections over the workers, most by fewest, handed over",
	  "",
	  SPREAD,
	  POLICY_HAND_OVER,
	  NULL,
	  { GOAL_VALUE_MAX, 1.00, 0 } },
	{ "Spread of open connections over the workers, most by fewest, shared accept",
	  "",
	  SPREAD,
	  POLICY_SHARED,
	  NULL,
	  { GOAL_VALUE_MAX, 1.20, 0 } },
};

static void conditions(const struct options *options)
{
	printf("%d connections, %d workers, %d rounds.\n\n", options->idle, options->workers, options->rounds);
}

/* Pages that the first connections touch are the program's, not a connection's. */
static int warm_up(const struct server *server)
{
	struct streams streams;
	int error = streams_open(&streams, server->port, WARM);

	streams_close(&streams);
	clock_sleep_ms(SETTLE_MS);
	return error;
}

static int read_descriptors(const struct tree *tree, int *counts)
{
	for (int i = 0; i < tree->count; i++) {
		counts[i] = tree_descriptors(tree->pids[i]);
		if (counts[i] < 0)
			return counts[i];
	}
	return 0;
}

/* The root is the primary and serves nobody. */
static double spread(const struct tree *tree, const int *before, const int *after)
{
	int most = 0, fewest = 0;

	for (int i = 1; i < tree->count; i++) {
		int gained = after[i] - before[i];

		if (i == 1 || gained > most)
			most = gained;
		if (i == 1 || gained < fewest)
			fewest = gained;
	}
	return fewest > 0 ? (double)most / fewest : INFINITY;
}

static int measure_open(const struct trial *trial, const struct tree *tree, double *values)
{
	static int before[TREE_MAX], after[TREE_MAX];
	int count = trial->options->idle;
	double pss = tree_pss(tree);
	struct streams streams;
	int error = read_descriptors(tree, before);

	if (error != 0)
		return error;
	error = streams_open(&streams, trial->server->port, count);
	clock_sleep_ms(SETTLE_MS);
	if (error == 0)
		error = read_descriptors(tree, after);
	if (error == 0) {
		values[EACH] = (tree_pss(tree) - pss) / count;
		values[SPREAD] = spread(tree, before, after);
	}
	streams_close(&streams);
	return error;
}

static int measure(const struct trial *trial, double *values)
{
	struct tree tree;
	int error;

	clock_sleep_ms(SETTLE_MS);
	error = tree_read(&tree, trial->server->pid);
	if (error != 0)
		return error;
	values[REST] = tree_pss(&tree) / MEGABYTE;
	error = warm_up(trial->server);
	return error != 0 ? error : measure_open(trial, &tree, values);
}

const struct comparison compare_idle = {
	.name = "idle",
	.conditions = conditions,
	.measure = measure,
	.metrics = metrics,
	.metric_count = sizeof(metrics) / sizeof(metrics[0]),
	.value_count = VALUES,
};
