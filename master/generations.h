/* master/generations.h - the configurations at work: the one that counts, at most one that is to replace it, those that end. */
#ifndef MASTER_GENERATIONS_H
#define MASTER_GENERATIONS_H

#include "master/inherited.h"
#include "master/service.h"
#include "master/waiters.h"

struct muster__generations;

/* What the daemon itself does as generations change. Of those that return an int, negative with a line in `why` refuses. */
struct muster__generations_ops {
	/* What else the configuration asks for: check it, and open what can fail. Nothing that works may change yet. */
	int (*prepare)(struct muster__generations *all, struct muster__service *next);
	/* Its sockets are open, its workers are about to be forked. */
	void (*opened)(struct muster__generations *all, struct muster__service *next);
	/* The first one is ready. False: it counts when muster__generations_commit is called. */
	bool (*ready)(struct muster__generations *all);
	/* The next one has become the current one; or it never will. */
	void (*committed)(struct muster__generations *all);
	void (*given_up)(struct muster__generations *all);
	/* A reload begins; it has ended, as `failure` tells. */
	void (*reloading)(struct muster__generations *all);
	void (*settled)(struct muster__generations *all);
	/* The process that serves the status wants to have it. */
	void (*asked)(struct muster__generations *all, struct muster_worker *worker);
	/* The end of all begins; and nothing is left. */
	void (*ending)(struct muster__generations *all);
	void (*ended)(struct muster__generations *all);
};

struct muster__generations {
	struct muster_loop *loop;
	const char *file;
	struct muster__scoreboard *board;
	struct muster__inherited inherited; /* for the one that is to start */
	struct muster__service *current;    /* NULL until the first has committed */
	struct muster__service *next;       /* it starts; or NULL */
	struct muster__services ending;     /* oldest first */
	unsigned ending_count;
	unsigned count; /* there have been so many */
	uint64_t started_ms;
	unsigned reloads, failures;
	char *failure;                         /* of the last reload; NULL: it went well */
	struct muster__waiters waiting, asked; /* for the reload under way; for the one after it */
	struct muster__task begin;             /* a reload */
	bool successor;                        /* of another daemon, which serves until the first one commits */
	bool due, paused;
	bool stopping; /* the end of all */
	bool failed;   /* it ends because the first one could not start */
	bool forced;   /* workers had to be killed for it */
	const struct muster__generations_ops *ops;
	void *data;
};

/* `file` is borrowed, and absolute. 0 or -ENOMEM. */
int muster__generations_init(struct muster__generations *all, struct muster_loop *loop, const char *file,
			     const struct muster__generations_ops *ops, void *data);

/* The first one: takes `config`. Negative, with the reason in `why`. It commits when it is ready. */
int muster__generations_start(struct muster__generations *all, struct muster__config *config,
			      struct muster__config_errors *why);

void muster__generations_commit(struct muster__generations *all);

/*
 * Read the file again, soon. One that is asked for while another is under way follows it, and several that are asked for
 * meanwhile are one. `waiter` may be NULL.
 */
void muster__generations_reload(struct muster__generations *all, struct muster__waiter *waiter);
void muster__generations_forget(struct muster__generations *all, const struct muster__waiter *waiter);

/* What is asked for now waits; or no longer. */
void muster__generations_pause(struct muster__generations *all, bool paused);

/* All workers that serve or end are to log as we do: see muster__service_tell_log. */
void muster__generations_tell_log(struct muster__generations *all, int fd);

/* The end of all: let connections end; stop; the next harder way. */
void muster__generations_drain(struct muster__generations *all);
void muster__generations_stop(struct muster__generations *all);
void muster__generations_press(struct muster__generations *all);

/* "starting" until the first counts; later the phase of the current one. */
enum muster__phase muster__generations_phase(const struct muster__generations *all);

/* After the loop. */
void muster__generations_clear(struct muster__generations *all);

#endif
