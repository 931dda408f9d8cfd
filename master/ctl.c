/* musterctl: asks a daemon over its control socket. Exit status: 0 fine, 1 no answer or a refusal, 2 bad words or file. */
#include "master/config.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { FINE = 0, FAILED = 1, MISUSED = 2 };

#define ANSWER_SECONDS 10
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct options {
	const char *file, *socket, *command;
	bool json;
};

static void print_help(FILE *out)
{
	fprintf(out, "usage: musterctl [-c FILE | -s SOCKET] [--json] COMMAND\n\n"
		     "  status             workers and listeners\n\n"
		     "  -c, --config FILE  ask the daemon of this configuration\n"
		     "  -s, --socket PATH  ask the daemon at this control socket\n"
		     "      --json         print the answer as JSON\n"
		     "  -h, --help         print this\n"
		     "      --version      print the version\n\n"
		     "Without -c and -s the default socket is asked.\n"
		     "Exit status: 0 fine, 1 no answer or a refusal, 2 bad command line or configuration.\n");
}

static int misused(const char *what, const char *word)
{
	fprintf(stderr, "musterctl: %s%s\n", what, word);
	print_help(stderr);
	return MISUSED;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' }, { "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },         { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },      { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:h", known, NULL)) != -1)
		switch (option) {
		case 'c': options->file = optarg; break;
		case 's': options->socket = optarg; break;
		case 'j': options->json = true; break;
		case 'h': print_help(stdout); return FINE;
		case 'v': printf("musterctl %s\n", MUSTER_VERSION); return FINE;
		default: print_help(stderr); return MISUSED;
		}
	if (optind + 1 != argc)
		return misused(optind == argc ? "a command is missing" : "one command is expected", "");
	options->command = argv[optind];
	return strcmp(options->command, "status") == 0 ? -1 : misused("unknown command ", options->command);
}

/* ---- asking */

static int find_socket(const struct options *options, char *path, size_t size)
{
	struct muster__config_errors errors;
	struct muster__config *config;
	size_t i;
	int err;

	if (options->socket != NULL || options->file == NULL) {
		err = options->socket == NULL ? muster__config_default_control(path, size) : 0;
		if (err < 0)
			return misused("no default control socket: XDG_RUNTIME_DIR is not set; use -c or -s", "");
		if (options->socket != NULL)
			snprintf(path, size, "%s", options->socket);
		return FINE;
	}
	err = muster__config_load(&config, options->file, &errors);
	for (i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.lines[i]);
	muster__config_errors_clear(&errors);
	if (err < 0)
		return MISUSED;
	snprintf(path, size, "%s", config->control_path);
	muster__config_free(config);
	return FINE;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = ANSWER_SECONDS };
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

/* Up to the end; the daemon closes behind its answer. */
static int read_answer(int fd, char **answer, size_t *length)
{
	size_t room = 0;
	ssize_t got = 1;

	*answer = NULL;
	*length = 0;
	while (got > 0 && *length < ANSWER_MAX) {
		if (*length == room) {
			char *larger = realloc(*answer, room = room ? room * 2 : 65536);

			if (larger == NULL)
				return -ENOMEM;
			*answer = larger;
		}
		got = recv(fd, *answer + *length, room - *length, 0);
		*length += got > 0 ? (size_t)got : 0;
	}
	return got < 0 ? -errno : 0;
}

static int ask(const char *path, const char *command, json_t **answer)
{
	json_error_t error;
	char question[128], *text = NULL;
	size_t length = 0;
	int size = snprintf(question, sizeof question, "{\"command\":\"%s\"}\n", command);
	int fd = connect_to(path), err = fd < 0 ? fd : 0;

	if (err == 0 && send(fd, question, (size_t)size, MSG_NOSIGNAL) != size)
		err = -errno;
	if (err == 0)
		err = read_answer(fd, &text, &length);
	if (fd >= 0)
		close(fd);
	*answer = err == 0 ? json_loadb(text, length, 0, &error) : NULL;
	free(text);
	return err == 0 && *answer == NULL ? -EBADMSG : err;
}

/* ---- printing */

static const char *text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "-";
}

/* A number, or "-" for what is not known. */
static const char *number_of(const json_t *json, const char *name, char text[24])
{
	const json_t *value = json_object_get(json, name);

	snprintf(text, 24, "-");
	if (json_is_integer(value))
		snprintf(text, 24, "%lld", (long long)json_integer_value(value));
	return text;
}

static void print_workers(const json_t *workers)
{
	char slot[24], pid[24], connections[24], accepted[24], restarts[24];
	const json_t *worker;
	size_t i;

	printf("%-12s %4s %8s  %-9s %11s %10s %8s\n", "application", "slot", "pid", "state", "connections", "accepted",
	       "restarts");
	json_array_foreach(workers, i, worker) printf(
		"%-12s %4s %8s  %-9s %11s %10s %8s\n", text_of(worker, "application"), number_of(worker, "slot", slot),
		number_of(worker, "pid", pid), text_of(worker, "state"), number_of(worker, "connections", connections),
		number_of(worker, "accepted", accepted), number_of(worker, "restarts", restarts));
}

static void print_listeners(const json_t *listeners)
{
	char connections[24], accepted[24];
	const json_t *listener;
	size_t i;

	printf("%-12s %-24s %-18s %-12s %11s %10s\n", "listener", "address", "policy", "application", "connections",
	       "accepted");
	json_array_foreach(listeners, i, listener)
		printf("%-12s %-24s %-18s %-12s %11s %10s\n", text_of(listener, "name"), text_of(listener, "address"),
		       text_of(listener, "policy"), text_of(listener, "application"),
		       number_of(listener, "connections", connections), number_of(listener, "accepted", accepted));
}

static void print_status(const json_t *status)
{
	char pid[24], connections[24];
	long long seconds = (long long)json_integer_value(json_object_get(status, "uptime_ms")) / 1000;

	printf("musterd %s, pid %s, %s, up %lld s, %s connections\n\n", text_of(status, "version"),
	       number_of(status, "pid", pid), text_of(status, "state"), seconds,
	       number_of(status, "connections", connections));
	print_workers(json_object_get(status, "workers"));
	printf("\n");
	print_listeners(json_object_get(status, "listeners"));
}

static int print_answer(const struct options *options, const json_t *answer)
{
	const char *refusal = json_string_value(json_object_get(answer, "error"));

	if (refusal != NULL) {
		fprintf(stderr, "musterctl: %s\n", refusal);
		return FAILED;
	}
	if (options->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_status(answer);
	}
	return FINE;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	char path[4096];
	json_t *answer;
	int status = read_options(argc, argv, &options), err;

	if (status >= 0)
		return status;
	status = find_socket(&options, path, sizeof path);
	if (status != FINE)
		return status;
	err = ask(path, options.command, &answer);
	if (err < 0) {
		fprintf(stderr, "musterctl: %s: %s%s\n", path, muster_strerror(err),
			err == -ENOENT || err == -ECONNREFUSED ? " (is musterd running?)" : "");
		return FAILED;
	}
	status = print_answer(&options, answer);
	json_decref(answer);
	return status;
}
