/*
 * What a short connection costs: accept, pass it to a worker or not, 64 bytes to and fro, close. CPU and rate are taken
 * with many connections in flight, where a server can batch; latency with one, where every wake-up shows. Two
 * comparisons: all of it with few workers, a part of it with ever more.
 */
#include "bench/compare.h"

#include "bench/clock.h"
#include "bench/connections.h"
#include "bench/notes.h"
#include "bench/spread.h"
#include "bench/stop.h"
#include "bench/streams.h"
#include "bench/syscalls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	LATENCY_MAX = 2000,
	TRACED_MAX = 5000,
	KEPT_OPEN = 3200, /* a multiple of all counts of workers, so that an even spread is exactly 1 */
	SHORT = 4,        /* in short form: so many times fewer connections */
	SETTLE_MS = 20,   /* until the server has closed what the client closed last */
};

enum value { CPU, RATE, SPREAD, P50, P99, SYSCALLS, VALUES };

static const struct metric metrics[] = {
	{ "handed over, CPU per connection", "us", CPU, POLICY_HAND_OVER, NULL, { GOAL_RATIO_MAX, 1.10, 1.20 } },
	{ "shared accept, CPU per connection", "us", CPU, POLICY_SHARED, NULL, { GOAL_RATIO_MAX, 1.10, 1.30 } },
	{ "handed over, connections", "1/s", RATE, POLICY_HAND_OVER, NULL, { GOAL_NONE, 0, 0 } },
	{ "shared accept, connections", "1/s", RATE, POLICY_SHARED, NULL, { GOAL_NONE, 0, 0 } },
	{ "handed over, spread", "max/min", SPREAD, POLICY_HAND_OVER, NULL, { GOAL_VALUE_MAX, 1.00, 0 } },
	{ "shared accept, spread", "max/min", SPREAD, POLICY_SHARED, NULL, { GOAL_VALUE_MAX, 1.20, 0 } },
	/* Both policies against accept in the worker: so it shows what the way through the primary costs. */
	{ "handed over, 1 in flight, p50", "us", P50, POLICY_HAND_OVER, "raw-shared", { GOAL_RATIO_MAX, 1.60, 0 } },
	{ "shared accept, 1 in flight, p50", "us", P50, POLICY_SHARED, "raw-shared", { GOAL_NONE, 0, 0 } },
	{ "handed over, 1 in flight, p99", "us", P99, POLICY_HAND_OVER, "raw-shared", { GOAL_NONE, 0, 0 } },
	{ "shared accept, 1 in flight, p99", "us", P99, POLICY_SHARED, "raw-shared", { GOAL_NONE, 0, 0 } },
	{ "handed over, system calls", "calls", SYSCALLS, POLICY_HAND_OVER, NULL, { GOAL_VALUE_MAX, 12.5, 0 } },
	{ "shared accept, system calls", "calls", SYSCALLS, POLICY_SHARED, NULL, { GOAL_NONE, 0, 0 } },
};

static void conditions(const struct options *options)
{
	printf("%ld connections per round, %d in flight, %d rounds; the client closes with %s.\n", options->connections,
	       options->in_flight, options->rounds, options->reset ? "a reset" : "FIN");
}

static void short_conditions(const struct options *options)
{
	printf("as hand-over, with %ld connections in %d rounds; spread over %d connections kept open.\n",
	       options->connections / SHORT + 1, (options->rounds + 1) / 2, KEPT_OPEN);
}

static long at_most(long count, long max)
{
	return count < max ? count : max;
}

/* One load. Connections that failed are a fault of the server: the figures of such a round are printed, but noted. */
static int load(const struct trial *trial, long count, int in_flight, struct connections_result *result)
{
	struct connections_plan plan = {
		.port = trial->server->port,
		.in_flight = in_flight,
		.count = count,
		.seconds = trial->options->seconds,
		.reset = trial->options->reset,
	};
	int error = connections_run(&plan, result);

	if (result->failed > 0)
		note_fault("%s: round %d: %ld of %ld connections failed", trial->server->subject->name,
			   trial->round + 1, result->failed, count);
	return error;
}

/* The first connections fault pages in and fill caches; they are not what a connection costs. */
static int warm_up(const struct trial *trial)
{
	struct connections_result result;
	int error = load(trial, trial->options->connections / 20 + 1, trial->options->in_flight, &result);

	connections_result_free(&result);
	return error;
}

static int measure_cpu(const struct trial *trial, long count, double *values)
{
	struct connections_result result;
	struct tree before, after;
	double cpu;
	int error = tree_read(&before, trial->server->pid);

	if (error != 0)
		return error;
	cpu = tree_cpu(&before);
	error = load(trial, count, trial->options->in_flight, &result);
	clock_sleep_ms(SETTLE_MS);
	cpu = tree_cpu(&before) - cpu;
	if (error == 0)
		error = tree_read(&after, trial->server->pid);
	if (error == 0 && !tree_is_same(&before, &after))
		error = -ECHILD; /* a worker has died, and its run time with it */
	if (error == 0) {
		values[CPU] = cpu / (double)result.done;
		values[RATE] = (double)result.done / result.seconds;
	}
	connections_result_free(&result);
	return error;
}

static int measure_latency(const struct trial *trial, double *values)
{
	struct connections_result result;
	int error = load(trial, at_most(trial->options->connections, LATENCY_MAX), 1, &result);

	if (error == 0) {
		values[P50] = stats_percentile(result.latencies, (size_t)result.done, 50);
		values[P99] = stats_percentile(result.latencies, (size_t)result.done, 99);
	}
	connections_result_free(&result);
	return error;
}

static int count_syscalls(const struct trial *trial, struct syscalls *syscalls, double *values)
{
	struct connections_result result;
	int error = load(trial, at_most(trial->options->connections, TRACED_MAX), trial->options->in_flight, &result);
	long calls;

	clock_sleep_ms(SETTLE_MS);
	calls = syscalls_stop(syscalls);
	if (error == 0 && calls < 0)
		error = (int)calls;
	if (error == 0)
		values[SYSCALLS] = (double)calls / (double)result.done;
	connections_result_free(&result);
	return error;
}

/* A run of its own: the trace point is cheap, not free. Without the right to trace it is left out. */
static void measure_syscalls(const struct trial *trial, double *values)
{
	struct syscalls syscalls;
	struct tree tree;
	int error = tree_read(&tree, trial->server->pid);

	if (error == 0)
		error = syscalls_start(&syscalls, &tree);
	if (error == -EACCES || error == -EPERM || error == -ENOENT) {
		note_skip("system calls are not counted: that takes root, and tracefs mounted");
		return;
	}
	if (error == 0)
		error = count_syscalls(trial, &syscalls, values);
	if (error != 0 && !stop_requested())
		note_fault("%s: system calls are not counted: %s", trial->server->subject->name, strerror(-error));
}

static int measure(const struct trial *trial, double *values)
{
	int error = warm_up(trial);

	if (error == 0)
		error = measure_cpu(trial, trial->options->connections, values);
	if (error == 0)
		error = measure_latency(trial, values);
	if (error == 0 && trial->options->syscalls)
		measure_syscalls(trial, values);
	return error;
}

/* One worker has all of them. */
static int measure_spread(const struct trial *trial, double *values)
{
	int workers = trial->launch->workers;
	struct streams streams;
	struct spread spread;
	int error = spread_begin(&spread, &trial->server->tree);

	if (workers == 1 || error != 0)
		return error;
	error = streams_open(&streams, trial->server->port, KEPT_OPEN - KEPT_OPEN % workers);
	if (error == 0)
		error = spread_end(&spread, &values[SPREAD]);
	streams_close(&streams);
	return error;
}

static int measure_short(const struct trial *trial, double *values)
{
	int error = measure_spread(trial, values);

	if (error == 0)
		error = warm_up(trial);
	if (error == 0)
		error = measure_cpu(trial, trial->options->connections / SHORT + 1, values);
	return error;
}

const struct comparison compare_hand_over = {
	.name = "hand-over",
	.conditions = conditions,
	.measure = measure,
	.metrics = metrics,
	.metric_count = sizeof(metrics) / sizeof(metrics[0]),
	.value_count = VALUES,
	.workers = compare_with_two,
};

static const int many_workers[] = { 1, 2, 4, 16, 64, 0 };

const struct comparison compare_workers = {
	.name = "workers",
	.conditions = short_conditions,
	.measure = measure_short,
	.metrics = metrics,
	.metric_count = sizeof(metrics) / sizeof(metrics[0]),
	.value_count = VALUES,
	.workers = many_workers,
	.is_short = true,
};
