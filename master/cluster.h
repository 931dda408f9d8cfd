/* master/cluster.h - the primary's table of workers. */
#ifndef MASTER_CLUSTER_H
#define MASTER_CLUSTER_H

#include "ipc/peer.h"
#include "ipc/plan.h"
#include "ipc/scoreboard.h"

struct muster__listening;
struct muster__process;

/* A hand-over that has not been answered: the primary's copy of the connection. */
struct muster__flight {
	uint64_t seq;    /* of the newconn message */
	uint64_t number; /* counted from 1 per worker: what the slot tells of */
	int fd;
	struct muster__listening *listening; /* NULL: the listener has been closed meanwhile */
};

/* A place for a worker: it stays, workers come and go. */
struct muster__seat {
	TAILQ_ENTRY(muster__seat) link;
	struct muster_cluster *cluster;
	unsigned index;
	struct muster__process *process; /* NULL while the seat waits for its next worker */
	unsigned restarts, failures;
	struct event timer; /* the next fork */
	const char *const *env;
};

/* A worker as its primary sees it. */
struct muster__process {
	struct muster_worker peer;
	struct muster_cluster *cluster;
	struct muster__seat *seat;
	int pidfd;
	struct event exited;
	int slot;
	bool is_muster, leaving;
	bool served; /* known once it is gone */
	unsigned listened; /* servers it said are listening */
	bool fork_due, disconnect_due, exit_due; /* events that the end of the turn delivers */
	uint64_t started_ms;
	int code, signal;
	struct muster__flight flights[MUSTER__FLIGHT_MAX]; /* a ring, oldest first */
	unsigned first_flight, flight_count;
	uint64_t handed; /* hand-overs so far: the number of the last */
};

TAILQ_HEAD(muster__seats, muster__seat);
LIST_HEAD(muster__listenings, muster__listening);

struct muster_cluster {
	struct muster__object object;
	struct muster__listeners on;
	struct muster_cluster_options options;
	const struct muster__app *app; /* musterd's, instead of options.worker */
	struct muster__scoreboard *board;
	struct muster__seats seats;
	struct muster__listenings listenings;
	unsigned next_id;
	bool leaving; /* disconnect or close: nobody is replaced */
	bool closing; /* close: on_close is due when the last has gone */
	void (*disconnected)(struct muster_cluster *cluster, void *data);
	void *disconnected_data;
};

static inline struct muster__process *muster__process_of(struct muster_worker *worker)
{
	return (struct muster__process *)((char *)worker - offsetof(struct muster__process, peer));
}

/* What musterd runs in the workers; it then listens only on what was configured. Borrowed. */
void muster__cluster_set_app(struct muster_cluster *cluster, const struct muster__app *app);

/* Count on this board, together with whoever else does: before the first fork. */
void muster__cluster_set_board(struct muster_cluster *cluster, struct muster__scoreboard *board);

/* The sum of hand-overs a worker may have unanswered. */
unsigned muster__cluster_window(const struct muster_cluster *cluster);

/* Close the listeners and have the workers flush what is queued and end. */
void muster__cluster_stop(struct muster_cluster *cluster);

/* Signal every worker that is left. */
void muster__cluster_kill(struct muster_cluster *cluster, int signal);

/* An error of the cluster: on_error, or a line in the log. */
void muster__cluster_error(struct muster_cluster *cluster, const struct muster_error *error);

/* From spawn.c: the worker of this seat is gone, and all has been told. */
void muster__seat_vacated(struct muster__seat *seat, const struct muster__process *process);

#endif
