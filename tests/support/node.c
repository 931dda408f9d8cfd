/* Two pipes: JavaScript goes in, one line at a time; what happened comes out. */
#include "tests/support/node.h"

#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool node_is_installed(void)
{
	if (system("node --version >/dev/null 2>&1") == 0)
		return true;
	puts("node is not installed: these tests are skipped");
	return false;
}

static void execute(const char *const *argv, int in, int out, pid_t parent)
{
	process_bind(parent);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

void node_launch(struct node *node, const char *const *argv)
{
	int in[2], out[2];
	pid_t self = getpid();

	memset(node, 0, sizeof *node);
	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	node->pid = fork();
	ck_assert_int_ge(node->pid, 0);
	if (node->pid == 0)
		execute(argv, in[0], out[1], self);
	close(in[0]);
	close(out[1]);
	node->in = in[1];
	node->out = out[0];
}

void node_start(struct node *node, const char *policy)
{
	node_launch(node, (const char *const[]){ "node", NODE_PRIMARY, MUSTER_WORKER, policy, NULL });
}

void node_run(struct node *node, const char *format, ...)
{
	char line[4096];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	ck_assert_int_lt(length, (int)sizeof line - 1);
	line[length++] = '\n';
	ck_assert_int_eq(write(node->in, line, (size_t)length), length);
}

/* ---- what it says */

unsigned node_said(const struct node *node, const char *part)
{
	const char *at = node->said;
	unsigned times = 0;

	for (; (at = strstr(at, part)) != NULL; at += strlen(part))
		times++;
	return times;
}

static void hear(struct node *node, const char *part, uint64_t end_ms)
{
	struct pollfd readable = { .fd = node->out, .events = POLLIN };
	uint64_t now = clock_ms();
	ssize_t got = 0;

	if (now < end_ms && poll(&readable, 1, (int)(end_ms - now)) == 1)
		got = read(node->out, node->said + node->used, sizeof node->said - 1 - node->used);
	ck_assert_msg(got > 0, "Node never said '%s', but: %s", part, node->said);
	node->used += (size_t)got;
	node->said[node->used] = '\0';
}

void node_await_times(struct node *node, const char *part, unsigned times)
{
	uint64_t end_ms = clock_ms() + test_patience() * 1000;

	while (node_said(node, part) < times)
		hear(node, part, end_ms);
}

const char *node_await(struct node *node, const char *part)
{
	uint64_t end_ms = clock_ms() + test_patience() * 1000;
	const char *found, *behind;

	/* To the end of its line. */
	while ((found = strstr(node->said, part)) == NULL || strchr(behind = found + strlen(part), '\n') == NULL)
		hear(node, part, end_ms);
	return behind;
}

unsigned node_await_number(struct node *node, const char *part)
{
	return (unsigned)strtoul(node_await(node, part), NULL, 10);
}

/* ---- its end */

/* Without input nothing keeps it. */
void node_end(struct node *node)
{
	close(node->in);
	ck_assert_int_eq(process_wait(node->pid), 0);
	close(node->out);
}

void node_kill(struct node *node)
{
	ck_assert_int_eq(kill(node->pid, SIGKILL), 0);
	ck_assert_int_eq(process_wait(node->pid), 128 + SIGKILL);
	close(node->in);
	close(node->out);
}
