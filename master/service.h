/* master/service.h - a configuration at work: listeners bound, a cluster per application, and the ways in which it ends. */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include "master/cluster.h"
#include "master/config.h"
#include "master/inherited.h"
#include "master/permit.h"

struct muster__service;

/* An application: its cluster, and the plan its workers get. Of a program only name and listeners of the plan count. */
struct muster__service_app {
	struct muster__service *service;
	struct muster__app plan;
	const char *program;                    /* or NULL */
	struct muster__permit permit;           /* of a program */
	struct muster__passing passing;         /* of one that is given its sockets */
	struct muster__app_listener *listeners; /* of the plan */
	struct muster_cluster *cluster;         /* NULL once it has closed */
	unsigned ready;                         /* workers of the first generation that are ready */
	unsigned workers;
	struct muster__log_limit dropped; /* how often connections beyond a limit are told */
};

enum muster__phase {
	MUSTER__PHASE_STARTING = 0,
	MUSTER__PHASE_SERVING,
	MUSTER__PHASE_DRAINING,
	MUSTER__PHASE_STOPPING,
	MUSTER__PHASE_TERMINATING,
	MUSTER__PHASE_KILLING,
};

/* What its owner wants to know, never from inside a call of his. */
struct muster__service_ops {
	void (*ready)(struct muster__service *service);  /* every worker serves; it accepts once it is released */
	void (*failed)(struct muster__service *service); /* they did not in time: `why` tells, and the owner ends it */
	void (*ended)(struct muster__service *service);  /* no worker is left */
	/* The process that serves the status wants to have it. */
	void (*asked)(struct muster__service *service, struct muster_worker *worker);
};

struct muster__service {
	TAILQ_ENTRY(muster__service) link; /* its owner's */
	unsigned generation;
	struct muster_loop *loop;
	struct muster__config *config;
	struct muster__inherited *inherited; /* sockets to be asked before any is bound; borrowed, or NULL */
	struct muster__scoreboard *board;    /* one for all generations */
	struct muster__service_app *apps;
	size_t app_count;
	enum muster__phase phase;
	bool forced;        /* not all of its workers left at its end: some had to be killed */
	bool held;          /* it accepts when it is released; else as soon as a worker can take a connection */
	struct event timer; /* of the phase */
	struct muster__config_errors why;
	const struct muster__service_ops *ops;
	struct muster__task ended; /* due */
	void *data;
};

TAILQ_HEAD(muster__services, muster__service);

const char *muster__phase_name(enum muster__phase phase);

/* It is the daemon's own, which serves the status: no worker as users count them. */
bool muster__service_app_is_own(const struct muster__service_app *app);

/* A new one, with `config` taken in every case; NULL without memory. `board` is shared. */
struct muster__service *muster__service_new(struct muster_loop *loop, struct muster__config *config,
					    struct muster__scoreboard *board);

/* Bind every listener, or none: 0, or negative with one line for each that failed in `why`. */
int muster__service_open(struct muster__service *service);

/* Fork the workers. `ready` or `failed` follows. */
int muster__service_start(struct muster__service *service);

/* Open connections of its workers, as far as they tell. */
unsigned muster__service_connections(const struct muster__service *service);

/* What is standard error to its workers, borrowed; 0: as ours. */
void muster__service_set_output(struct muster__service *service, int fd);

/* Its workers are to log as we do from now on; `fd` not -1: there, it is borrowed. Programs cannot be told. */
void muster__service_tell_log(struct muster__service *service, int fd);

/* From now on it accepts. */
void muster__service_release(struct muster__service *service);

/* Let connections end, for at most the drain time-out; then as stop. */
void muster__service_drain(struct muster__service *service);

/* Flush what is queued, for a second; then SIGTERM to who is left, and SIGKILL. */
void muster__service_stop(struct muster__service *service);

/* The next harder way to end than the one under way. */
void muster__service_press(struct muster__service *service);

/* Once it has ended, or after the loop: what the loop does not own. */
void muster__service_free(struct muster__service *service);

#endif
