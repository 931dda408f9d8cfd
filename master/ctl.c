/*
 * musterctl: asks a daemon over its control socket, and steers it. Exit status: 0 fine, 1 the daemon said no, 2 bad words or
 * file, 3 no daemon has answered.
 */
#include "master/config.h"
#include "master/ctl_ask.h"
#include "master/ctl_print.h"
#include "master/ctl_top.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINE = 0, REFUSED = 1, MISUSED = 2, UNREACHED = 3 };

#define ANSWER_SECONDS 10
#define WORDS_MAX 2

struct options {
	const char *file, *socket;
	const struct command *command;
	const char *words[WORDS_MAX]; /* behind the command */
	int count;
	bool json, wait;
};

/* ---- commands */

struct command {
	const char *name, *words, *what;
	int least, most;                                               /* words */
	bool can_wait;                                                 /* --wait has a meaning */
	bool (*fill)(const struct options *options, json_t *question); /* false: the words are wrong */
	void (*print)(const json_t *answer);
	const char *part; /* of the status, instead of all of it */
};

static void print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	printf("\n");
}

static bool fill_level(const struct options *options, json_t *question)
{
	enum muster_log_level level;

	json_object_set_new(question, "level", json_string(options->words[0]));
	return muster__config_find_level(options->words[0], &level);
}

static void fill_application(const struct options *options, json_t *question)
{
	if (options->count > 0)
		json_object_set_new(question, "application", json_string(options->words[0]));
}

static bool fill_number(const char *word, const char *name, json_t *question)
{
	char *end;
	unsigned long number = strtoul(word, &end, 10);

	json_object_set_new(question, name, json_integer((json_int_t)number));
	return *word >= '0' && *word <= '9' && *end == '\0' && number <= INT_MAX;
}

static bool fill_restart(const struct options *options, json_t *question)
{
	fill_application(options, question);
	return options->count < 2 || fill_number(options->words[1], "slot", question);
}

/* The number is the last word; before it there may be an application. */
static bool fill_scale(const struct options *options, json_t *question)
{
	if (options->count > 1)
		fill_application(options, question);
	return fill_number(options->words[options->count - 1], "workers", question);
}

static const struct command commands[] = {
	{ "status", "", "workers and listeners", 0, 0, false, NULL, muster__ctl_print_status, NULL },
	{ "workers", "", "workers alone", 0, 0, false, NULL, muster__ctl_print_workers, "workers" },
	{ "listeners", "", "listeners alone", 0, 0, false, NULL, muster__ctl_print_listeners, "listeners" },
	{ "top", "", "the status, drawn each second; q ends it", 0, 0, false, NULL, muster__ctl_print_status, NULL },
	{ "config", "", "the configuration at work", 0, 0, false, NULL, print_json, NULL },
	{ "reload", "", "read the configuration again", 0, 0, true, NULL, NULL, NULL },
	{ "upgrade", "", "start the program again, in the place of the one that runs", 0, 0, true, NULL, NULL, NULL },
	{ "restart", "[APPLICATION [SLOT]]", "replace its workers one by one, or all, or one", 0, 2, true, fill_restart,
	  NULL, NULL },
	{ "scale", "[APPLICATION] WORKERS", "have so many workers, until the next reload", 1, 2, false, fill_scale,
	  NULL, NULL },
	{ "log-level", "LEVEL", "error, warn, info or debug, until the next reload", 1, 1, false, fill_level, NULL,
	  NULL },
	{ "drain", "", "let connections end, then end", 0, 0, false, NULL, NULL, NULL },
	{ "stop", "", "end", 0, 0, false, NULL, NULL, NULL },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* ---- the command line */

static void print_help(FILE *out)
{
	char usage[64];
	size_t i;

	fprintf(out, "usage: musterctl [-c FILE | -s SOCKET] [--json] [--wait] COMMAND\n\n");
	for (i = 0; i < sizeof commands / sizeof *commands; i++) {
		snprintf(usage, sizeof usage, "%s %s", commands[i].name, commands[i].words);
		fprintf(out, "  %-32s %s\n", usage, commands[i].what);
	}
	fprintf(out,
		"\n"
		"  -c, --config FILE  ask the daemon of this configuration\n"
		"  -s, --socket PATH  ask the daemon at this control socket\n"
		"      --json         print the answer as JSON\n"
		"      --wait         return when it is done, not when it has begun\n"
		"  -h, --help         print this\n"
		"      --version      print the version\n\n"
		"Without -c and -s the default socket is asked.\n"
		"Exit status: 0 fine, 1 the daemon said no, 2 bad command line or configuration, 3 no daemon answers.\n");
}

static int misused(const char *what, const char *word)
{
	fprintf(stderr, "musterctl: %s%s\n", what, word);
	print_help(stderr);
	return MISUSED;
}

/* -1: go on; else the exit status. */
static int read_words(char **words, int count, struct options *options)
{
	const struct command *command = count > 0 ? find_command(words[0]) : NULL;

	if (count == 0)
		return misused("a command is missing", "");
	if (command == NULL)
		return misused("unknown command ", words[0]);
	options->command = command;
	options->count = count - 1;
	if (options->count > command->most)
		return misused("too many words after ", words[0]);
	if (options->count < command->least)
		return misused("a word is missing after ", words[0]);
	if (options->wait && !command->can_wait)
		return misused("there is nothing to wait for after ", words[0]);
	memcpy(options->words, words + 1, (size_t)options->count * sizeof *words);
	return -1;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "wait", no_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:h", known, NULL)) != -1)
		switch (option) {
		case 'c': options->file = optarg; break;
		case 's': options->socket = optarg; break;
		case 'j': options->json = true; break;
		case 'w': options->wait = true; break;
		case 'h': print_help(stdout); return FINE;
		case 'v': printf("musterctl %s\n", MUSTER_VERSION); return FINE;
		default: print_help(stderr); return MISUSED;
		}
	return read_words(argv + optind, argc - optind, options);
}

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

/* ---- asking */

struct asking {
	const struct options *options;
	const char *path;
	json_t *question;
};

/* New; NULL: the words are wrong. */
static json_t *question_of(const struct options *options)
{
	const struct command *command = options->command;
	bool is_view = command->part != NULL || strcmp(command->name, "top") == 0;
	json_t *question = json_pack("{s:s}", "command", is_view ? "status" : command->name);

	if (options->wait)
		json_object_set_new(question, "wait", json_true());
	if (command->fill == NULL || command->fill(options, question))
		return question;
	json_decref(question);
	return NULL;
}

static int unreached(const char *path, int err)
{
	fprintf(stderr, "musterctl: %s: %s%s\n", path, muster_strerror(err),
		err == -ENOENT || err == -ECONNREFUSED ? " (is musterd running?)" : "");
	return UNREACHED;
}

static int print_answer(const struct options *options, const json_t *answer)
{
	const struct command *command = options->command;
	const char *refusal = json_string_value(json_object_get(answer, "error"));
	const json_t *part = command->part != NULL ? json_object_get(answer, command->part) : answer;

	if (refusal != NULL) {
		fprintf(stderr, "musterctl: %s\n", refusal);
		return REFUSED;
	}
	if (options->json)
		print_json(part);
	else if (command->print != NULL)
		command->print(part);
	return FINE;
}

static int ask_and_print(void *data)
{
	const struct asking *asking = data;
	unsigned seconds = asking->options->wait ? 0 : ANSWER_SECONDS;
	json_t *answer;
	int err = muster__ctl_ask(asking->path, asking->question, seconds, &answer), status;

	if (err < 0)
		return unreached(asking->path, err);
	status = print_answer(asking->options, answer);
	json_decref(answer);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	char path[4096];
	struct asking asking = { &options, path, NULL };
	int status = read_options(argc, argv, &options);

	if (status >= 0)
		return status;
	asking.question = question_of(&options);
	if (asking.question == NULL)
		return misused("wrong word after ", options.command->name);
	status = find_socket(&options, path, sizeof path);
	if (status == FINE && strcmp(options.command->name, "top") == 0)
		status = muster__ctl_top(ask_and_print, &asking);
	else if (status == FINE)
		status = ask_and_print(&asking);
	json_decref(asking.question);
	return status;
}
