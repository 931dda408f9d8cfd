/* tests/support/node.h - the real Node beside us: scripts that do what they are told and tell what happens. */
#ifndef TESTS_SUPPORT_NODE_H
#define TESTS_SUPPORT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define NODE_WORKER TEST_SOURCE_DIR "/tests/node/worker.js"
#define NODE_PRIMARY TEST_SOURCE_DIR "/tests/node/primary.js"
/* Our worker as a program of its own. */
#define MUSTER_WORKER TEST_BUILD_DIR "/tests/node/worker"

/* May be asked outside a test. If not, it has said so, and that the tests are skipped. */
bool node_is_installed(void);

struct node {
	pid_t pid;
	int in, out;
	size_t used;
	char said[64 * 1024]; /* all its lines */
};

/* Any script: the words of its command line, "node" the first. It ends with the test, whatever ends that. */
void node_launch(struct node *node, const char *const *argv);

/* A Node primary of our workers. `policy` is "rr" or "none". */
void node_start(struct node *node, const char *policy);

/* A line of JavaScript for it to run. */
__attribute__((format(printf, 2, 3))) void node_run(struct node *node, const char *format, ...);

/* Wait until it has said this; what stands behind it. The test fails if that takes too long, or Node ends. */
const char *node_await(struct node *node, const char *part);
/* The same, for the number behind it; and until it has been said so often. */
unsigned node_await_number(struct node *node, const char *part);
void node_await_times(struct node *node, const char *part, unsigned times);
/* How often it has been said so far. */
unsigned node_said(const struct node *node, const char *part);

/* Its workers are gone; wait for its own end, which must be a good one. */
void node_end(struct node *node);
/* SIGKILL, and wait. */
void node_kill(struct node *node);

#endif
