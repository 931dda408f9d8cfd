/* tests/support/process.h - other processes: running a program, and what /proc tells. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* A program that has ended: its exit status, or 128 + the signal that killed it, and what it printed. */
struct ended {
	int status;
	char out[16384];
	char err[16384];
};

/* Run a program to its end; it gets `input`, or nothing to read. It is looked for in PATH if its name has no slash. */
void process_run(struct ended *ended, const char *input, const char *const *argv);
#define run(ended, ...) process_run(ended, "", (const char *const[]){ __VA_ARGS__, NULL })
#define run_with_input(ended, input, ...) process_run(ended, input, (const char *const[]){ __VA_ARGS__, NULL })

/* Wait for a child to end, and no longer than is reasonable: as `status` above. */
int process_wait(pid_t child);

/* In a child, between fork and exec: it does not outlive the test. */
void process_bind(pid_t parent);

/* Alive, and not a zombie. */
bool process_lives(pid_t pid);
/* As ps(1) shows it: 'R', 'S', 'T', ...; 0 when there is none. */
char process_state(pid_t pid);
/* Time on a processor since it began. */
unsigned process_cpu_ms(pid_t pid);
/* How often it has gone to sleep since it began, which is as often as it was woken. */
unsigned process_sleeps(pid_t pid);
/* Descriptors, once their number has settled. */
unsigned process_descriptors(pid_t pid);
/* How many of its descriptors lead to what begins with `target`. */
unsigned process_has_open(pid_t pid, const char *target);

/* Stop it, and return when it has stopped. */
void process_freeze(pid_t pid);

/* Let a process that is no child, and that has left the test's process group, end with the test at the latest. */
void process_guard(pid_t pid);
/* The test has seen to its end. */
void process_unguard(void);

#endif
