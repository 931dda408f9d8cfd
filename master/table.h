/* master/table.h - the primary's table: its clusters, their seats, the workers in them and what is on its way to those. */
#ifndef MASTER_TABLE_H
#define MASTER_TABLE_H

#include "ipc/peer.h"
#include "ipc/plan.h"
#include "ipc/scoreboard.h"

struct muster__inherited;
struct muster__listening;
struct muster__output;
struct muster__passage;
struct muster__permit;
struct muster__privileges;
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
	unsigned refusals;             /* forks in a row that failed */
	bool due;                      /* its worker is to be replaced */
	bool spent;                    /* its budget: nobody is forked until a restart */
	bool retired;                  /* whoever sits there has no successor */
	struct muster__seat *replaces; /* the one whose worker this one's follows, until it is ready */
	struct event timer;            /* the next fork */
	const char *const *env;
};

/* What its worker may be waited for, one at a time. */
enum muster__bound {
	MUSTER__BOUND_NONE = 0,
	MUSTER__BOUND_READY, /* ... then its successor fails */
	MUSTER__BOUND_DRAIN, /* ... then it is told to stop */
	MUSTER__BOUND_STOP,  /* ... then SIGTERM */
	MUSTER__BOUND_DEATH, /* ... then SIGKILL */
};

/* A worker as its primary sees it. */
struct muster__process {
	struct muster_worker peer;
	struct muster_cluster *cluster;
	struct muster__seat *seat;
	int pidfd;
	struct event exited;
	struct muster__output *output;   /* of a program whose output goes to the log; or NULL */
	struct muster__passage *passage; /* of a program that takes sockets; or NULL */
	int slot;
	bool is_muster, leaving;
	bool ready;             /* it serves all that it has to, and on_ready was told */
	bool said_ready;        /* it, or the user, said so */
	bool late;              /* it was not ready in time */
	bool slain;             /* we had to end it by SIGKILL as it did not leave */
	bool barred;            /* nothing is handed to it: not committed yet, or hung */
	uint64_t beat, beat_ms; /* what its slot showed last, and since when */
	uint32_t luck;          /* by how much of the jitter its limits are lower */
	enum muster__bound bound;
	struct event bound_timer;
	bool served;                             /* known once it is gone */
	unsigned listened;                       /* servers it said are listening */
	bool fork_due, disconnect_due, exit_due; /* events that the end of the turn delivers */
	uint64_t started_ms;
	int code, signal;
	struct muster__flight flights[MUSTER__FLIGHT_MAX]; /* a ring, oldest first */
	unsigned first_flight, flight_count;
	uint64_t handed; /* hand-overs so far: the number of the last */
};

/* Of a cluster whose workers are programs that are given its sockets, and have no channel. */
struct muster__passing {
	bool non_blocking;       /* the sockets, as the programs find them; the flag is one for all who hold them */
	unsigned ready_after_ms; /* a program that does not say so is ready then; 0: it has to say so */
};

TAILQ_HEAD(muster__seats, muster__seat);
LIST_HEAD(muster__listenings, muster__listening);

/* Somebody who wants to know how many connections there are. */
struct muster__count_question {
	STAILQ_ENTRY(muster__count_question) next;
	void (*done)(struct muster_cluster *cluster, int err, const struct muster_count *rows, size_t count,
		     void *data);
	void *data;
};

STAILQ_HEAD(muster__count_questions, muster__count_question);

/* Workers are replaced one at a time. */
struct muster__restarting {
	struct muster__seat *incoming; /* whose worker is not ready yet; or NULL */
	bool for_request;              /* ... and what becomes of it is told */
	bool asked, over;              /* somebody asked; and what became of it is to be told */
	unsigned upto;                 /* workers up to this id are due; 0: one seat alone, if any */
	struct muster__seat *one;
	int err;
	void (*done)(struct muster_cluster *cluster, int err, void *data);
	void *data;
};

/* Somebody looks after the workers from time to time. */
struct muster__rounds {
	struct event timer;
	unsigned every_ms; /* 0: nobody does */
	unsigned beat_ms;  /* how often a worker is to beat; 0: never */
	uint64_t last_ms;
	uint64_t again_ms; /* a replacement has failed: no other before that */
};

struct muster_cluster {
	struct muster__object object;
	struct muster__listeners on;
	struct muster_cluster_options options;
	const struct muster__app *app;       /* musterd's, instead of options.worker */
	struct muster__inherited *inherited; /* sockets to be asked before any is bound on demand; or NULL */
	const struct muster__permit *permit; /* musterd's, for a program; NULL: workers may have anything bound */
	const char *speaks_as; /* musterd's: under this name its programs' output goes to the log; or NULL */
	const struct muster__passing *passing;       /* musterd's; or NULL: workers have channels */
	const struct muster__privileges *privileges; /* musterd's, instead of uid and gid of the options; or NULL */
	struct muster__scoreboard *board;
	struct muster__board_watcher watcher;
	struct muster__seats seats;
	/* The worker of a seat is gone, and all has been told: what next? */
	void (*vacated)(struct muster__seat *seat, const struct muster__process *process);
	struct muster__restarting restarting;
	struct muster__rounds rounds;
	struct muster__listenings listenings;
	unsigned next_id;
	muster_scheduler pick; /* the user's; or NULL */
	void *pick_data;
	bool picking; /* it, or a handler amid an accept, is called: whatever it changes is settled at the turn's end */
	bool unsettled;
	struct muster__count_questions questions;
	bool leaving; /* disconnect or close: nobody is replaced */
	bool held;    /* it accepts nothing yet: another cluster still has its listeners */
	bool closing; /* close: what is queued is handed over, then they leave, then on_close is due */
	void (*disconnected)(struct muster_cluster *cluster, void *data);
	void *disconnected_data;
};

static inline struct muster__process *muster__process_of(struct muster_worker *worker)
{
	return (struct muster__process *)((char *)worker - offsetof(struct muster__process, peer));
}

/* A hand-over is on its way: the worker's ring takes the copy. */
void muster__flight_add(struct muster__process *process, struct muster__listening *listening, int fd, uint64_t seq);
/* The hand-over with this seq is answered; false if there is none. The copy is the caller's again. */
bool muster__flight_take(struct muster__process *process, uint64_t seq, struct muster__flight *flight);
/* The oldest one, whatever became of it; false if none is left. */
bool muster__flight_take_oldest(struct muster__process *process, struct muster__flight *flight);
/* The listener is going: its hand-overs on their way belong to nobody. */
void muster__flights_forget(struct muster_cluster *cluster, const struct muster__listening *listening);

/* An error of the cluster: on_error, or a line in the log. */
void muster__cluster_error(struct muster_cluster *cluster, const struct muster_error *error);

#endif
