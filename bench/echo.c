/*
 * What bytes on a lasting connection cost. Four workloads, each on new connections: one message in flight on 64 of
 * them, sixteen in flight, one in flight on very many, and as much as goes through on 4.
 */
#include "bench/compare.h"

#include "bench/client.h"
#include "bench/clock.h"
#include "bench/streams.h"

#include <errno.h>
#include <stdio.h>

enum {
	CONNECTIONS = 64,
	DEPTH = 16,
	BULK_CONNECTIONS = 4,
	BULK_MESSAGE = 64 * 1024,
	BULK_WINDOW = 4 * 1024 * 1024,
	MEGABYTE = 1000000,
};

enum value { PING_CPU, PING_RATE, DEEP_CPU, DEEP_RATE, ACTIVE_CPU, ACTIVE_RATE, BULK_RATE, BULK_CPU, VALUES };

static const struct metric metrics[] = {
	{ "ping-pong of 64 bytes, CPU per message", "us", PING_CPU, POLICY_ANY, NULL, { GOAL_RATIO_MAX, 1.10, 0 } },
	{ "ping-pong of 64 bytes, messages", "1/s", PING_RATE, POLICY_ANY, NULL, { GOAL_NONE, 0, 0 } },
	{ "16 in flight, CPU per message", "us", DEEP_CPU, POLICY_ANY, NULL, { GOAL_RATIO_MAX, 1.00, 0 } },
	{ "16 in flight, messages", "1/s", DEEP_RATE, POLICY_ANY, NULL, { GOAL_NONE, 0, 0 } },
	{ "many active connections, CPU per message", "us", ACTIVE_CPU, POLICY_ANY, NULL, { GOAL_RATIO_MAX, 1.20, 0 } },
	{ "many active connections, messages", "1/s", ACTIVE_RATE, POLICY_ANY, NULL, { GOAL_NONE, 0, 0 } },
	{ "bulk, echoed", "MB/s", BULK_RATE, POLICY_ANY, NULL, { GOAL_RATIO_MIN, 1.20, 0 } },
	{ "bulk, CPU per megabyte", "us", BULK_CPU, POLICY_ANY, NULL, { GOAL_NONE, 0, 0 } },
};

struct workload {
	int sets;        /* each in a client's thread of its own */
	int connections; /* per set */
	uint64_t unit;   /* what CPU is given for: bytes of one message, or a megabyte */
	struct streams_plan plan;
	enum value cpu;
	enum value rate; /* units per second */
};

static void conditions(const struct options *options)
{
	printf("%ld messages of %d bytes on %d connections (many: %d), %d times as many with 16 in flight; ",
	       options->messages, CLIENT_MESSAGE, CONNECTIONS, options->active, DEPTH);
	printf("bulk: %ld MB on %d; %d rounds.\n", options->megabytes, BULK_CONNECTIONS, options->rounds);
}

static struct workload small(const struct options *options, int connections, int depth, enum value cpu, enum value rate)
{
	return (struct workload){
		.sets = 1,
		.connections = connections,
		.unit = CLIENT_MESSAGE,
		.plan = {
			.message = CLIENT_MESSAGE,
			.window = (uint64_t)depth * CLIENT_MESSAGE,
			/* As many times more as they are cheaper: each workload lasts about a second. */
			.total = (uint64_t)options->messages * (uint64_t)depth * CLIENT_MESSAGE,
			.verify = true,
			.seconds = options->seconds,
		},
		.cpu = cpu,
		.rate = rate,
	};
}

/* Not verified: comparing would cost the client as much as the copy that is measured. */
static struct workload bulk(const struct options *options)
{
	uint64_t messages = (uint64_t)options->megabytes * MEGABYTE / BULK_CONNECTIONS / BULK_MESSAGE + 1;

	return (struct workload){
		.sets = BULK_CONNECTIONS,
		.connections = 1,
		.unit = MEGABYTE,
		.plan = {
			.message = BULK_MESSAGE,
			.window = BULK_WINDOW,
			.total = messages * BULK_MESSAGE,
			.seconds = options->seconds,
		},
		.cpu = BULK_CPU,
		.rate = BULK_RATE,
	};
}

static int run_streams(const struct trial *trial, const struct workload *workload, struct streams *sets, double *values)
{
	double units = (double)workload->sets * (double)workload->plan.total / (double)workload->unit;
	struct tree before, after;
	double cpu, seconds;
	int error = tree_read(&before, trial->server->pid);

	if (error != 0)
		return error;
	cpu = tree_cpu(&before);
	error = streams_run(sets, workload->sets, &workload->plan, &seconds);
	cpu = tree_cpu(&before) - cpu;
	if (error == 0)
		error = tree_read(&after, trial->server->pid);
	if (error == 0 && !tree_is_same(&before, &after))
		error = -ECHILD;
	if (error != 0)
		return error;
	values[workload->cpu] = cpu / units;
	values[workload->rate] = units / seconds;
	return 0;
}

static int run_workload(const struct trial *trial, const struct workload *workload, double *values)
{
	struct streams sets[STREAMS_SETS_MAX];
	int opened = 0;
	int error = 0;

	while (error == 0 && opened < workload->sets)
		error = streams_open(&sets[opened++], trial->server->port, workload->connections);
	if (error == 0)
		error = run_streams(trial, workload, sets, values);
	while (opened > 0)
		streams_close(&sets[--opened]);
	return error;
}

static int measure(const struct trial *trial, double *values)
{
	const struct options *options = trial->options;
	const struct workload workloads[] = {
		small(options, CONNECTIONS, 1, PING_CPU, PING_RATE),
		small(options, CONNECTIONS, DEPTH, DEEP_CPU, DEEP_RATE),
		small(options, options->active, 1, ACTIVE_CPU, ACTIVE_RATE),
		bulk(options),
	};
	int error = 0;

	for (size_t i = 0; error == 0 && i < sizeof(workloads) / sizeof(workloads[0]); i++)
		error = run_workload(trial, &workloads[i], values);
	return error;
}

const struct comparison compare_echo = {
	.name = "echo",
	.conditions = conditions,
	.measure = measure,
	.metrics = metrics,
	.metric_count = sizeof(metrics) / sizeof(metrics[0]),
	.value_count = VALUES,
	.workers = compare_with_two,
	.lasting = true,
};
