/*
 * The defaults are the conditions of the goals: 2 workers, 64 in flight, 10,000 idle connections, 5 rounds. A default
 * run of everything takes a quarter of an hour, most of it for Node.
 */
#include "bench/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT_MAX = 4096, WORKERS_MAX = 256, CONNECTIONS_MAX = 50000000, LASTING_MAX = 1000000 };

static const char usage[] =
	"usage: bench-run [hand-over|workers|echo|idle|all] [OPTION...]\n"
	"\n"
	"  hand-over         short connections, passed by the primary or accepted by the workers\n"
	"  workers           the same with 1, 2, 4, 16 and 64 workers, in short form (half the rounds, a quarter of\n"
	"                    the connections), and how evenly the policies spread connections\n"
	"  echo              bytes on lasting connections\n"
	"  idle              memory and spread of connections that do nothing\n"
	"\n"
	"  --rounds N        rounds, in which every server is started afresh and measured once [5]\n"
	"  --workers N,...   workers of each server, one count after another [2; the comparison workers: five counts]\n"
	"  --connections N   hand-over, workers: connections per round [20000]\n"
	"  --in-flight N     hand-over, workers: connections open at a time [64]\n"
	"  --reset           hand-over: the client closes with a reset\n"
	"  --no-syscalls     hand-over: do not count system calls (that takes root)\n"
	"  --messages N      echo: messages of 64 bytes per round; 16 times as many with 16 in flight [200000]\n"
	"  --megabytes N     echo: bulk, per round [2000]\n"
	"  --active N        echo: connections of the workload with many [10000]\n"
	"  --idle N          idle: connections kept open [10000]\n"
	"  --only NAMES      these servers only, with commas between, such as raw,musterd\n"
	"  --musterd PATH    the musterd to measure\n"
	"  --timeout S       seconds that one load may take [120]\n"
	"  --help            this text\n";

enum option_key {
	KEY_ROUNDS = 256,
	KEY_WORKERS,
	KEY_CONNECTIONS,
	KEY_IN_FLIGHT,
	KEY_RESET,
	KEY_NO_SYSCALLS,
	KEY_MESSAGES,
	KEY_MEGABYTES,
	KEY_ACTIVE,
	KEY_IDLE,
	KEY_ONLY,
	KEY_MUSTERD,
	KEY_TIMEOUT,
	KEY_HELP,
};

static const struct option words[] = {
	{ "rounds", required_argument, NULL, KEY_ROUNDS },
	{ "workers", required_argument, NULL, KEY_WORKERS },
	{ "connections", required_argument, NULL, KEY_CONNECTIONS },
	{ "in-flight", required_argument, NULL, KEY_IN_FLIGHT },
	{ "reset", no_argument, NULL, KEY_RESET },
	{ "no-syscalls", no_argument, NULL, KEY_NO_SYSCALLS },
	{ "messages", required_argument, NULL, KEY_MESSAGES },
	{ "megabytes", required_argument, NULL, KEY_MEGABYTES },
	{ "active", required_argument, NULL, KEY_ACTIVE },
	{ "idle", required_argument, NULL, KEY_IDLE },
	{ "only", required_argument, NULL, KEY_ONLY },
	{ "musterd", required_argument, NULL, KEY_MUSTERD },
	{ "timeout", required_argument, NULL, KEY_TIMEOUT },
	{ "help", no_argument, NULL, KEY_HELP },
	{ NULL, 0, NULL, 0 },
};

/* -EINVAL unless the text is a whole number from 1 to `max`. */
static int parse_long(const char *text, long max, long *number)
{
	char *end;

	errno = 0;
	*number = strtol(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && *number >= 1 && *number <= max)
		return 0;
	fprintf(stderr, "bench-run: %s is not a number from 1 to %ld\n", text, max);
	return -EINVAL;
}

static int parse_int(const char *text, int max, int *number)
{
	long parsed;
	int error = parse_long(text, max, &parsed);

	if (error == 0)
		*number = (int)parsed;
	return error;
}

/* One number after another, with commas between. */
static int parse_workers(char *text, struct options *options)
{
	char *number;

	options->worker_counts = 0;
	while ((number = strsep(&text, ",")) != NULL) {
		if (options->worker_counts == WORKER_COUNTS_MAX) {
			fprintf(stderr, "bench-run: more than %d counts of workers\n", WORKER_COUNTS_MAX);
			return -EINVAL;
		}
		if (parse_int(number, WORKERS_MAX, &options->workers[options->worker_counts++]) != 0)
			return -EINVAL;
	}
	return 0;
}

static int parse_word(struct options *options, int key)
{
	switch (key) {
	case KEY_ROUNDS: return parse_int(optarg, 1000, &options->rounds);
	case KEY_WORKERS: return parse_workers(optarg, options);
	case KEY_CONNECTIONS: return parse_long(optarg, CONNECTIONS_MAX, &options->connections);
	case KEY_IN_FLIGHT: return parse_int(optarg, IN_FLIGHT_MAX, &options->in_flight);
	case KEY_MESSAGES: return parse_long(optarg, LONG_MAX / 1024, &options->messages);
	case KEY_MEGABYTES: return parse_long(optarg, LONG_MAX >> 20, &options->megabytes);
	case KEY_ACTIVE: return parse_int(optarg, LASTING_MAX, &options->active);
	case KEY_IDLE: return parse_int(optarg, LASTING_MAX, &options->idle);
	case KEY_TIMEOUT: return parse_int(optarg, 86400, &options->seconds);
	case KEY_RESET: options->reset = true; return 0;
	case KEY_NO_SYSCALLS: options->syscalls = false; return 0;
	case KEY_ONLY: options->only = optarg; return 0;
	case KEY_MUSTERD: options->musterd = optarg; return 0;
	default: /* getopt has said which word it was */ return -EINVAL;
	}
}

static const struct options defaults = {
	.comparison = "all",
	.rounds = 5,
	.in_flight = 64,
	.idle = 10000,
	.active = 10000,
	.seconds = 120,
	.connections = 20000,
	.messages = 200000,
	.megabytes = 2000,
	.syscalls = true,
};

int options_parse(struct options *options, int argc, char **argv)
{
	int key;

	*options = defaults;
	while ((key = getopt_long(argc, argv, "", words, NULL)) != -1) {
		if (key == KEY_HELP) {
			fputs(usage, stdout);
			return 1;
		}
		if (parse_word(options, key) != 0)
			return -EINVAL;
	}
	if (optind < argc)
		options->comparison = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "bench-run: %s: one comparison at a time, or all\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}
