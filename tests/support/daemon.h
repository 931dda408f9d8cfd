/* tests/support/daemon.h - musterd as users run it: a program, a file, a control socket. */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define MUSTERD TEST_BUILD_DIR "/musterd-test"
#define MUSTERCTL TEST_BUILD_DIR "/musterctl"

/* Parts of configurations. They are written with ' for ", and may have paths relative to the test's folder. */
#define ECHO_APP "'applications': { 'echo': { 'builtin': 'echo' } }"
#define TCP(keys) "{ 'name': 'tcp', 'host': '127.0.0.1', 'port': 0, 'application': 'echo' " keys "}"
#define ECHO(workers, keys) "'workers': " workers ", 'listeners': [ " TCP(keys) " ], " ECHO_APP

struct daemon {
	pid_t pid;
	char *file;    /* its configuration */
	char *log;     /* what it wrote to standard error */
	char *control; /* its control socket */
};

/* How it is started, beside the configuration. All of it may be 0. */
struct daemon_start {
	void (*prepare)(void);        /* in the child, just before exec */
	const char *const *variables; /* "NAME=value", up to a NULL */
	const char *option;           /* a word for its command line */
	const char *program;          /* instead of MUSTERD */
};

/* Write a configuration: the members of its object, without "control", which is added. */
struct daemon *daemon_configure(const char *text);

/* Write another one in its place. */
void daemon_rewrite(const struct daemon *daemon, const char *text);

/* Configure, start, wait until it serves. It ends with the test, whatever ends that. */
struct daemon *daemon_start(const char *text);
struct daemon *daemon_start_with(const char *text, const struct daemon_start *how);

/* The steps of that. */
void daemon_launch(struct daemon *daemon, const struct daemon_start *how);
void daemon_await(struct daemon *daemon);

/* Wait for its end: its exit status. A worker that ended badly, or a checker's report, fails the test. */
int daemon_wait(struct daemon *daemon);

/* SIGTERM, and it must end with 0. */
void daemon_stop(struct daemon *daemon);

/* After its end. */
void daemon_free(struct daemon *daemon);

/* How often its log has `text`. */
unsigned daemon_logged(const struct daemon *daemon, const char *text);

/* The answer to a status question, new; NULL if nobody answers. */
json_t *daemon_status(const struct daemon *daemon);

/* From the status: a number of the whole, of worker `slot`, of a listener; -1 if it is not there. */
long daemon_number(const struct daemon *daemon, const char *key);
long daemon_worker(const struct daemon *daemon, unsigned slot, const char *key);
long daemon_listener(const struct daemon *daemon, const char *name, const char *key);
unsigned daemon_port(const struct daemon *daemon, const char *listener);
/* Workers whose state is "ready". */
unsigned daemon_ready(const struct daemon *daemon);

/* Nothing is open, nothing is on its way. */
bool daemon_is_idle(const struct daemon *daemon);

#endif
