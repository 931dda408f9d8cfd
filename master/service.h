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
	struct muster__app_listener *listeners; /* of the plan */
	struct muster_cluster *cluster;         /* NULL once it has closed */
	unsigned ready;                         /* workers of the first generation that are ready */
	unsigned workers;
};

enum muster__phase {
	MUSTER__PHASE_STARTING = 0,
	MUSTER__PHASE_SERVING,
	MUSTER__PHASE_DRAINING,
	MUSTER__PHASE_STOPPING,
	MUSTER__PHASE_KILLING,
};

struct muster__service {
	struct muster_loop *loop;
	const struct muster__config *config;
	struct muster__inherited *inherited; /* sockets to be asked before any is bound; borrowed, or NULL */
	struct muster__scoreboard *board;
	struct muster__service_app *apps;
	size_t app_count;
	enum muster__phase phase;
	bool failed; /* it ends because it could not start */
	uint64_t started_ms;
	struct event timer; /* of the phase */
	void (*on_ready)(struct muster__service *service, void *data);
	void (*on_ended)(struct muster__service *service, void *data); /* no worker is left */
	void *data;
};

const char *muster__phase_name(enum muster__phase phase);

/* Bind every listener, or none: 0, or negative with one line for each that failed in `errors`. */
int muster__service_open(struct muster__service *service, struct muster_loop *loop, const struct muster__config *config,
			 struct muster__config_errors *errors);

/* Fork the workers. on_ready follows once all of them serve; if that takes too long the service fails and stops. */
int muster__service_start(struct muster__service *service);

/* Let connections end, for at most the drain time-out; then as stop. */
void muster__service_drain(struct muster__service *service);

/* Flush what is queued, for a second; then kill. */
void muster__service_stop(struct muster__service *service);

/* The next harder way to end than the one under way. */
void muster__service_press(struct muster__service *service);

/* After the loop: what the loop does not own. */
void muster__service_free(struct muster__service *service);

#endif
