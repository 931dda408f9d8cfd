/* bench/subject.h - the servers that are compared: which there are, and the command of each. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
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
	int workers;            /* set anew for each comparison */
};

struct command {
	char program[PATH_MAX + 32];
	char words[8][PATH_MAX + 32];
	char *argv[10];
};

enum role {
	ROLE_LIMIT, /* written by hand for this one purpose: others are measured against it */
	ROLE_PEER,
	ROLE_OURS, /* the goals are for it */
};

struct subject {
	const char *name;
	enum policy policy;
	enum role role;
	bool lasts;          /* takes part where the policy does not matter, as with lasting connections */
	const char *program; /* NULL: the musterd to measure */
	const char *word;    /* the policy, as the program calls it */
	void (*command)(const struct subject *subject, const struct launch *launch, uint16_t port, struct command *out);
};

extern const struct subject subjects[];
extern const int subject_count;

/* Fill in a launch; make the temporary folder, and remove it with what is in it. 0 or a negative error. */
int launch_init(struct launch *launch, const char *musterd);
void launch_clear(struct launch *launch);

/* 0, or -ENOENT and the name of the program that is missing in `program`. */
int subject_find(const struct subject *subject, const struct launch *launch, char *program, size_t size);

#endif
