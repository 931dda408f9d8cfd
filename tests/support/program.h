/* tests/support/program.h - a program that runs on while the test talks to it, and the lines it prints. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include <sys/types.h>

struct program {
	pid_t pid;
	int out;
	char line[256]; /* the last one read, without its newline */
};

/* It is looked for in PATH if its name has no slash, and does not outlive the test. */
void program_start(struct program *program, const char *const *argv);

/* Wait for its next line; and for one that begins so, whose number behind its last colon or blank is returned. */
void program_read(struct program *program);
unsigned program_read_port(struct program *program, const char *begins);

/* Start it, and read that line. */
unsigned program_start_at_port(struct program *program, const char *begins, const char *const *argv);

/* It ends by this signal with this status, as process_wait tells it, and has printed nothing more. */
void program_stop(struct program *program, int signal, int status);

#endif
