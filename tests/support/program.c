/* Lines are taken from the pipe byte by byte: what is not read yet stays in it, where poll sees it. */
#include "tests/support/program.h"

#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void program_start(struct program *program, const char *const *argv)
{
	pid_t self = getpid();
	int out[2];

	ck_assert_int_eq(pipe(out), 0);
	program->pid = fork();
	ck_assert_int_ge(program->pid, 0);
	if (program->pid == 0) {
		process_bind(self);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	program->out = out[0];
}

void program_read(struct program *program)
{
	struct pollfd readable = { .fd = program->out, .events = POLLIN };
	size_t length = 0;

	do {
		ck_assert_int_eq(poll(&readable, 1, (int)test_patience() * 1000), 1);
		ck_assert_int_eq(read(program->out, program->line + length, 1), 1);
		ck_assert_uint_lt(length, sizeof program->line - 1);
	} while (program->line[length++] != '\n');
	program->line[length - 1] = '\0';
}

unsigned program_read_port(struct program *program, const char *begins)
{
	const char *at;

	program_read(program);
	ck_assert_msg(strncmp(program->line, begins, strlen(begins)) == 0, "%s", program->line);
	for (at = program->line + strlen(program->line); at > program->line && at[-1] != ':' && at[-1] != ' '; at--)
		;
	return (unsigned)strtoul(at, NULL, 10);
}

unsigned program_start_at_port(struct program *program, const char *begins, const char *const *argv)
{
	program_start(program, argv);
	return program_read_port(program, begins);
}

void program_stop(struct program *program, int signal, int status)
{
	char more;

	ck_assert_int_eq(kill(program->pid, signal), 0);
	ck_assert_int_eq(process_wait(program->pid), status);
	ck_assert_int_eq(read(program->out, &more, 1), 0);
	close(program->out);
}
