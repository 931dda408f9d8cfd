/*
 * What it promises: nothing outlives a stop. The driver adopts orphans (PR_SET_CHILD_SUBREAPER), so workers whose
 * primary has gone are its children, and can be told from other people's processes without guessing.
 */
#include "bench/server.h"

#include "bench/client.h"
#include "bench/clock.h"
#include "bench/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	READY_SECONDS = 60, /* Node takes its time to start 64 workers */
	STOP_SECONDS = 5,
	POLL_MS = 10,
	PROBE_MS = 1000,
	REST_MS = 50,
};

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

/* A worker that is still starting runs. One that runs later is not ready either, and would miss its share. */
static bool is_at_rest(const struct tree *tree)
{
	double before = tree_cpu(tree);

	clock_sleep_ms(REST_MS);
	return tree_cpu(tree) - before < REST_MS * 1e3 / 50;
}

static int wait_until_ready(struct server *server, int workers)
{
	uint64_t begin = clock_now();

	while (clock_seconds_since(begin) < READY_SECONDS) {
		if (stop_requested())
			return -EINTR;
		if (has_ended(server->pid))
			return -ECHILD;
		if (tree_read(&server->tree, server->pid) == 0 && server->tree.count > workers &&
		    echoes(server->port) && is_at_rest(&server->tree))
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
	int error = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ? -errno : 0;

	if (error != 0 || port < 0)
		return error != 0 ? error : port;
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
