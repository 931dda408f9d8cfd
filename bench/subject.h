/* bench/subject.h - the servers that are compared: which there are, how each is started and ended. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include "bench/tree.h"

#include <limits.h>
#include <stdint.h>

/* How a connection reaches a worker. */
enum policy {
	POLICY_HAND_OVER = 1, /* the primary accepts and passes it */
	POLICY_SHARED = 2,    /* the workers accept */
	POLICY_ANY = 3,
};

/* What a server is started with. */
struct launch {
	char folder[PATH_MAX];  /* where the driver's own programs lie */
	char scratch[64];       /* a temporary folder for files written for a server */
	char musterd[PATH_MAX]; /* the musterd to measure */
	int workers;
};

struct command {
	char program[PATH_MAX + 32];
	char words[8][160];
	char *argv[10];
};

struct subject {
	const char *name;
	enum policy policy;
	bool is_raw;  /* one of ours, against which others are measured */
	bool is_ours; /* the goals are for it */
	bool lasts;   /* takes part where the policy does not matter, as with lasting connections */
	void (*command)(const struct subject *subject, const struct launch *launch, uint16_t port, struct command *out);
};

struct server {
	const struct subject *subject;
	pid_t pid;
	uint16_t port;
	struct tree tree; /* as it was when it was ready */
};

extern const struct subject subjects[];
extern const int subject_count;

/* Fill in a launch; make the temporary folder, and remove it with what is in it. 0 or a negative error. */
int launch_init(struct launch *launch, const char *musterd, int workers);
void launch_clear(struct launch *launch);

/* 0, or -ENOENT and the name of the program that is missing in `program`. */
int subject_find(const struct subject *subject, const struct launch *launch, char *program, size_t size);

/*
 * Start a server and wait until all its workers are there and it has echoed a message. 0 or a negative error; nothing
 * is left running then. It ends with the driver, however that ends.
 */
int server_start(struct server *server, const struct subject *subject, const struct launch *launch);

/* End it and everything that it started, by force if it takes longer than a few seconds. */
void server_stop(struct server *server);

#endif
