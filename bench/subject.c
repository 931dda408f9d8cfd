/*
 * The table of servers and the way to run any of them. A server is a program that stays in the foreground, listens on
 * the port it is given, and has one process per worker; another peer is one row and one function that says its command.
 *
 * What it promises: nothing outlives a stop. The driver adopts orphans (PR_SET_CHILD_SUBREAPER), so workers whose
 * primary has gone are its children, and can be told from other people's processes without guessing.
 */
#include "bench/subject.h"

#include "bench/client.h"
#include "bench/clock.h"
#include "bench/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	READY_SECONDS = 10,
	STOP_SECONDS = 5,
	POLL_MS = 10,
	PROBE_MS = 1000,
};

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

static void own_command(const struct subject *subject, const struct launch *launch, uint16_t port, struct command *out)
{
	begin_command(out, launch->folder, subject->is_raw ? "/bench-raw" : "/bench-libevent");
	add_word(out, "%s", subject->policy == POLICY_SHARED ? "shared" : "hand-over");
	add_word(out, "%d", launch->workers);
	add_word(out, "%u", (unsigned)port);
}

static void config_path(char *path, size_t size, const struct launch *launch)
{
	snprintf(path, size, "%s/musterd.json", launch->scratch);
}

/* A file that cannot be written shows as a server that does not start; the reason is on stderr. */
static void write_config(const char *path, const struct subject *subject, const struct launch *launch, uint16_t port)
{
	const char *policy = subject->policy == POLICY_SHARED ? "shared" : "round-robin";
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
	fprintf(file, "\t\t\"policy\": \"%s\", \"application\": \"echo\"}],\n", policy);
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

/* The raw servers come first: the ratios of a table are against the first raw one in it. */
const struct subject subjects[] = {
	{ "raw", POLICY_HAND_OVER, true, false, true, own_command },
	{ "raw-shared", POLICY_SHARED, true, false, false, own_command },
	{ "libevent", POLICY_SHARED, false, false, true, own_command },
	{ "musterd", POLICY_HAND_OVER, false, true, true, muster_command },
	{ "musterd-shared", POLICY_SHARED, false, true, false, muster_command },
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

int launch_init(struct launch *launch, const char *musterd, int workers)
{
	int error = find_folder(launch->folder, sizeof(launch->folder));
	int length;

	launch->workers = workers;
	strcpy(launch->scratch, "/tmp/muster-bench-XXXXXX");
	if (error != 0)
		return error;
	if (musterd != NULL)
		length = snprintf(launch->musterd, sizeof(launch->musterd), "%s", musterd);
	else
		length = snprintf(launch->musterd, sizeof(launch->musterd), "%s/../musterd", launch->folder);
	if (length < 0 || (size_t)length >= sizeof(launch->musterd))
		return -ENAMETOOLONG;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return -errno;
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

/* ---- Running one. */

static void child_run(struct command *command, pid_t driver)
{
	stop_restore();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The driver may have died before the line above. */
	if (getppid() != driver)
		_exit(127);
	/* Standard output carries the tables. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(command->program, command->argv);
	fprintf(stderr, "bench-run: %s: %s\n", command->program, strerror(errno));
	_exit(127);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	/* WNOWAIT: the pid stays ours, so a signal sent to it later cannot reach a stranger. */
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

static bool echoes(uint16_t port)
{
	int fd = client_open(port);
	bool answered;

	if (fd < 0)
		return false;
	answered = client_send(fd, PROBE_MS) == 0 && client_receive(fd, PROBE_MS) == 0;
	client_close(fd, true);
	return answered;
}

static int wait_until_ready(struct server *server, int workers)
{
	uint64_t begin = clock_now();

	while (clock_seconds_since(begin) < READY_SECONDS) {
		if (stop_requested())
			return -EINTR;
		if (has_ended(server->pid))
			return -ECHILD;
		if (tree_read(&server->tree, server->pid) == 0 && server->tree.count > workers && echoes(server->port))
			return 0;
		clock_sleep_ms(POLL_MS);
	}
	return -ETIMEDOUT;
}

int server_start(struct server *server, const struct subject *subject, const struct launch *launch)
{
	pid_t driver = getpid();
	int port = client_free_port();
	struct command command;
	int error;

	if (port < 0)
		return port;
	server->subject = subject;
	server->port = (uint16_t)port;
	subject->command(subject, launch, server->port, &command);
	fflush(NULL);
	server->pid = fork();
	if (server->pid < 0)
		return -errno;
	if (server->pid == 0)
		child_run(&command, driver);
	error = wait_until_ready(server, launch->workers);
	if (error != 0)
		server_stop(server);
	return error;
}

/* Everybody below the driver is the server's: it has no other children while one runs. */
static bool signal_descendants(int number)
{
	struct tree tree;

	if (tree_read(&tree, getpid()) != 0)
		return false;
	for (int i = 1; i < tree.count; i++)
		kill(tree.pids[i], number);
	return tree.count > 1;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static bool gone_within(double seconds)
{
	uint64_t begin = clock_now();
	struct tree tree;

	do {
		reap();
		if (tree_read(&tree, getpid()) != 0 || tree.count == 1)
			return true;
		clock_sleep_ms(POLL_MS);
	} while (clock_seconds_since(begin) < seconds);
	return false;
}

void server_stop(struct server *server)
{
	kill(server->pid, SIGTERM);
	if (gone_within(STOP_SECONDS))
		return;
	fprintf(stderr, "bench-run: %s did not end within %d s and is killed\n", server->subject->name, STOP_SECONDS);
	/* Again and again: who is killed may have forked a moment before. */
	for (int i = 0; i < 10 && signal_descendants(SIGKILL); i++)
		if (gone_within(0.5))
			return;
}
