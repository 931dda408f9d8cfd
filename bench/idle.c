/*
 * What a connection costs that does nothing: memory of the whole tree at rest and with many connections open, each
 * after one message to and fro. And how evenly they lie on the workers.
 */
#include "bench/compare.h"

#include "bench/clock.h"
#include "bench/spread.h"
#include "bench/streams.h"

#include <errno.h>
#include <stdio.h>

enum {
	WARM = 64,
	SETTLE_MS = 200,
	MEGABYTE = 1000000,
};

enum value { REST, EACH, SPREAD, VALUES };

static const struct metric metrics[] = {
	{ "at rest, PSS of the tree", "MB", REST, POLICY_ANY, NULL, { GOAL_VALUE_MAX, 3.0, 0 } },
	{ "idle connection, PSS of the tree", "bytes", EACH, POLICY_ANY, NULL, { GOAL_VALUE_MAX, 400, 0 } },
	{ "idle, handed over, spread", "max/min", SPREAD, POLICY_HAND_OVER, NULL, { GOAL_VALUE_MAX, 1.00, 0 } },
	{ "idle, shared accept, spread", "max/min", SPREAD, POLICY_SHARED, NULL, { GOAL_VALUE_MAX, 1.20, 0 } },
};

static void conditions(const struct options *options)
{
	printf("%d connections, %d rounds.\n", options->idle, options->rounds);
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

static int measure_open(const struct trial *trial, const struct tree *tree, double *values)
{
	int count = trial->options->idle;
	double pss = tree_pss(tree);
	struct spread spread;
	struct streams streams;
	int error = spread_begin(&spread, tree);

	if (error != 0)
		return error;
	error = streams_open(&streams, trial->server->port, count);
	clock_sleep_ms(SETTLE_MS);
	if (error == 0)
		error = spread_end(&spread, &values[SPREAD]);
	if (error == 0)
		values[EACH] = (tree_pss(tree) - pss) / count;
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
	.workers = compare_with_two,
};
