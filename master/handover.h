/* master/handover.h - connections on their way from a listener of the primary to its workers. */
#ifndef MASTER_HANDOVER_H
#define MASTER_HANDOVER_H

#include "ipc/protocol.h"
#include "master/table.h"
#include "src/acceptor.h"
#include "src/listener.h"

struct muster__member {
	struct muster__process *process;
	bool full;       /* it refused, and has not said that it has room */
	unsigned before; /* what it had accepted in this row when it joined: for a listener that had the row before */
};

struct muster__lane;
LIST_HEAD(muster__lanes, muster__lane);

struct muster__listening {
	LIST_ENTRY(muster__listening) link;
	struct muster_cluster *cluster;
	char key[MUSTER__KEY_MAX];
	const struct muster__app_listener *configured; /* NULL: it was opened on demand */
	char *name;                     /* of a configured one, which ends only by configuration; else NULL */
	struct muster__listener socket; /* reuse-port: it holds the address, and its lanes listen */
	struct muster__lanes lanes;
	/* Reuse-port: accept on the lanes, or do not. Else NULL. */
	void (*watch_lanes)(struct muster__listening *listening, bool accepting);
	int backlog;
	enum muster_policy policy;
	bool no_accept; /* its workers leave accepting to others, who cannot be handed anything */
	struct muster__acceptor acceptor;
	struct json_t *data; /* of the first query, echoed to all */
	struct muster__member *members;
	size_t member_count, turn;
	int *returned; /* connections that found no worker, oldest first */
	size_t returned_count, returned_room;
	struct event retry;
	unsigned retry_ms;
	unsigned row, max_connections;
	bool drops;                           /* what is over a limit, instead of letting it wait */
	unsigned flying;                      /* hand-overs of this listener that are on their way */
	const struct muster__process *holder; /* exclusive: who was given the first connection, and gets all; or NULL */
	bool handed_on;                       /* the socket lives on in another cluster, its queue with it */
	bool deserted;                        /* its last member left while a scheduler was asked about it */
};

/* Its socket is there; and it goes, with whatever waits. */
void muster__handover_begin(struct muster__listening *listening);
void muster__handover_end(struct muster__listening *listening);

/* Every worker accepts for itself: on one socket, or on any. */
bool muster__listening_is_shared(const struct muster__listening *listening);
bool muster__listening_is_served_directly(const struct muster__listening *listening);
/* This worker among its members, or NULL. */
struct muster__member *muster__handover_member(struct muster__listening *listening,
					       const struct muster__process *process);

/* Should it be accepting? After any change of its members; and all listeners of a cluster. */
void muster__handover_derive(struct muster__listening *listening);
void muster__handover_derive_all(struct muster_cluster *cluster);
/* True: a scheduler is being asked, and what has changed is looked at when it has answered. */
bool muster__handover_settle_later(struct muster_cluster *cluster);

/* Accept for workers that share the socket what they may sleep over. */
void muster__handover_sweep(struct muster__listening *listening);
/* Accept all that is queued on this socket of the listener, whoever can take it. */
void muster__handover_take_queue(struct muster__listening *listening, int fd);

/* The primary has accepted a connection: to somebody, or it waits. `fd` is taken. */
void muster__handover_offer(struct muster__listening *listening, int fd);
/* It could not accept on this socket of the listener. */
void muster__handover_failed(struct muster__listening *listening, int err);

/* What waits at one listener waits at the other from now on. */
void muster__handover_move_waiting(struct muster__listening *from, struct muster__listening *to);

/* A hand-over was answered. */
void muster__handover_answered(struct muster__process *process, uint64_t seq, bool accepted);
/* The channel of a worker is gone: close what it has served, offer the rest to others. */
void muster__handover_recover(struct muster__process *process);
/* A worker has room again. */
void muster__handover_room(struct muster__process *process);

#endif
