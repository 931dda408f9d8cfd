/*
 * The table of servers. A server is a program that stays in the foreground, listens on the port it is given, and has
 * one process per worker; another peer is one row and, unless it takes the arguments that ours take, one function that
 * says its command. Another policy of musterd is one row.
 */
#include "bench/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Commands. */

/* Append one word to a command. */
__attribute__((format(printf, 2, 3))) static void add_word(struct command *command, const char *format, ...)
{
	size_t count = 0;
	va_list arguments;

	while (command->argv[count] != NULL)
		count++;
	va_start(arguments, format);
	vsnprintf(command->words[count - 1], sizeof(command->words[0]), format, arguments);
	va_end(arguments);
	command->argv[count] = command->words[count - 1];
}

static void begin_command(struct command *command, const char *folder, const char *name)
{
	memset(command, 0, sizeof(*command));
	snprintf(command->program, sizeof(command->program), "%s%s", folder, name);
	command->argv[0] = command->program;
}

static void add_arguments(struct command *command, const struct subject *subject, const struct launch *launch,
			  uint16_t port)
{
	add_word(command, "%s", subject->word);
	add_word(command, "%d", launch->workers);
	add_word(command, "%u", (unsigned)port);
}

static void own_command(const struct subject *subject, const struct launch *launch, uint16_t port, struct command *out)
{
	begin_command(out, launch->folder, subject->program);
	add_arguments(out, subject, launch, port);
}

/* Where the shell would find it; the bare name if nowhere. */
static void find_in_path(const char *name, char *program, size_t size)
{
	const char *path = getenv("PATH");

	while (path != NULL && *path != '\0') {
		size_t length = strcspn(path, ":");

		snprintf(program, size, "%.*s/%s", (int)length, path, name);
		if (access(program, X_OK) == 0)
			return;
		path += length + (path[length] == ':');
	}
	snprintf(program, size, "%s", name);
}

static void node_command(const struct subject *subject, const struct launch *launch, uint16_t port, struct command *out)
{
	begin_command(out, "", "");
	find_in_path(subject->program, out->program, sizeof(out->program));
	add_word(out, "%s/node.js", launch->folder);
	add_arguments(out, subject, launch, port);
}

static void config_path(char *path, size_t size, const struct launch *launch)
{
	snprintf(path, size, "%s/musterd.json", launch->scratch);
}

/* A file that cannot be written shows as a server that does not start; the reason is on stderr. */
static void write_config(const char *path, const struct subject *subject, const struct launch *launch, uint16_t port)
{
	FILE *file = fopen(path, "we");

	if (file == NULL) {
		perror(path);
		return;
	}
	fprintf(file, "{\n\t\"workers\": %d,\n", launch->workers);
	fprintf(file, "\t\"control\": {\"path\": \"%s/control.sock\"},\n", launch->scratch);
	fputs("\t\"log\": {\"level\": \"warn\"},\n", file);
	fprintf(file, "\t\"listeners\": [{\"name\": \"bench\", \"host\": \"127.0.0.1\", \"port\": %u,\n",
		(unsigned)port);
	fprintf(file, "\t\t\"policy\": \"%s\", \"application\": \"echo\"}],\n", subject->word);
	fputs("\t\"applications\": {\"echo\": {\"builtin\": \"echo\"}}\n}\n", file);
	if (fclose(file) != 0)
		perror(path);
}

static void muster_command(const struct subject *subject, const struct launch *launch, uint16_t port,
			   struct command *out)
{
	char path[96];

	config_path(path, sizeof(path), launch);
	write_config(path, subject, launch, port);
	begin_command(out, launch->musterd, "");
	add_word(out, "-c");
	add_word(out, "%s", path);
}

/* The raw servers come first: the ratios of a row are against the first raw one of its policy. */
const struct subject subjects[] = {
	{ "raw", POLICY_HAND_OVER, ROLE_LIMIT, true, "/bench-raw", "hand-over", own_command },
	{ "raw-shared", POLICY_SHARED, ROLE_LIMIT, false, "/bench-raw", "shared", own_command },
	{ "libevent", POLICY_SHARED, ROLE_PEER, true, "/bench-libevent", "shared", own_command },
	{ "libuv", POLICY_HAND_OVER, ROLE_PEER, true, "/bench-libuv", "hand-over", own_command },
	{ "node", POLICY_HAND_OVER, ROLE_PEER, true, "node", "hand-over", node_command },
	{ "node-shared", POLICY_SHARED, ROLE_PEER, false, "node", "shared", node_command },
	{ "musterd", POLICY_HAND_OVER, ROLE_OURS, true, NULL, "round-robin", muster_command },
	{ "musterd-least", POLICY_HAND_OVER, ROLE_OURS, false, NULL, "least-connections", muster_command },
	{ "musterd-shared", POLICY_SHARED, ROLE_OURS, false, NULL, "shared", muster_command },
};
const int subject_count = (int)(sizeof(subjects) / sizeof(subjects[0]));

/* ---- The launch. */

/* The folder of the running program, which is where its neighbours were built too. */
static int find_folder(char *folder, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", folder, size - 1);
	char *slash;

	if (length < 0)
		return -errno;
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int launch_init(struct launch *launch, const char *musterd)
{
	int error = find_folder(launch->folder, sizeof(launch->folder));
	int length;

	launch->workers = 0;
	strcpy(launch->scratch, "/tmp/muster-bench-XXXXXX");
	if (error != 0)
		return error;
	if (musterd != NULL)
		length = snprintf(launch->musterd, sizeof(launch->musterd), "%s", musterd);
	else
		length = snprintf(launch->musterd, sizeof(launch->musterd), "%s/../musterd", launch->folder);
	if (length < 0 || (size_t)length >= sizeof(launch->musterd))
		return -ENAMETOOLONG;
	return mkdtemp(launch->scratch) != NULL ? 0 : -errno;
}

void launch_clear(struct launch *launch)
{
	static const char *const names[] = { "musterd.json", "control.sock" };
	char path[96];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", launch->scratch, names[i]);
		unlink(path);
	}
	if (rmdir(launch->scratch) != 0)
		fprintf(stderr, "bench-run: %s is left: %s\n", launch->scratch, strerror(errno));
}

int subject_find(const struct subject *subject, const struct launch *launch, char *program, size_t size)
{
	struct command command;

	subject->command(subject, launch, 0, &command);
	snprintf(program, size, "%s", command.program);
	return access(command.program, X_OK) == 0 ? 0 : -ENOENT;
}
