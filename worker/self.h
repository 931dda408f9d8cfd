/* worker/self.h - this process as a worker: its channel, its slot, the servers its primary feeds. */
#ifndef WORKER_SELF_H
#define WORKER_SELF_H

#include "ipc/peer.h"
#include "ipc/scoreboard.h"

struct muster__far;
LIST_HEAD(muster__fars, muster__far);

/* What the primary said of the limits of a listener on which this worker accepts itself. */
struct muster__limit {
	unsigned max; /* over all workers; 0 is none */
	bool drops;   /* what is over a limit, instead of letting it wait */
	bool alone;   /* nobody else accepts there */
};

struct muster__self {
	struct muster_worker peer;
	struct muster__scoreboard *board; /* NULL, and slot too, under a foreign primary */
	struct muster__slot *slot;
	struct muster__fars fars;                  /* servers that listen through the primary */
	uint64_t received;                         /* hand-overs so far: the number of the last */
	struct muster__limit limits[MUSTER__ROWS]; /* by row */
	unsigned most;                             /* connections of this worker, of all its servers; 0 is no limit */
	bool refused;             /* a connection, for want of room: the primary is told when there is some */
	bool leave_due, stop_due; /* the user wants it, and the turn ends with it */
	bool leaving;
	bool asked_to_leave; /* by the primary: nothing is to be announced */
	unsigned closing;    /* servers that still have connections */
	uint64_t farewell;   /* our exitedAfterDisconnect, while its answer is due */
	bool farewell_due;
	struct event deadline; /* leaving may take this long */
	struct event heart;
	unsigned orphan_timeout_ms;
	int status;
	/* A module's, told at the end of the turn in which this worker begins to leave; or NULL. */
	void (*left)(struct muster_worker *self);
	struct muster_module_context *told; /* what it knows, until the process ends; or NULL */
	struct muster__task telling;
};

static inline struct muster__self *muster__self_of(struct muster_worker *worker)
{
	return (struct muster__self *)((char *)worker - offsetof(struct muster__self, peer));
}

/* This process is that worker from here on. */
void muster__self_set(struct muster__self *self);

/* End this worker with this exit status as soon as the turn is over. */
void muster__self_fail(struct muster_worker *worker, int status);

#endif
