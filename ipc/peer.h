/* ipc/peer.h - struct muster_worker: the same thing seen from either side of its channel. */
#ifndef IPC_PEER_H
#define IPC_PEER_H

#include "ipc/channel.h"
#include "ipc/endpoint.h"
#include "ipc/standard.h"
#include "src/handlers.h"
#include "src/lifecycle.h"

#include <muster/cluster.h>

/* What differs between the primary's worker and the worker itself. */
struct muster__peer_ops {
	int (*disconnect)(struct muster_worker *worker);
	int (*kill)(struct muster_worker *worker, int signal);
	int (*ready)(struct muster_worker *worker);
	/* The tables beside the worker's own: the cluster's; or NULL. */
	struct muster__listeners *(*others)(struct muster_worker *worker);
	/* Tables were added or taken away; may be NULL. */
	void (*listeners_changed)(struct muster_worker *worker);
};

struct muster_worker {
	struct muster__object object;
	struct muster__listeners on;
	struct muster__channel channel;
	struct muster_channel face;       /* the channel, for those who want it alone */
	struct muster__standard standard; /* of its process, in the primary */
	const struct muster__peer_ops *ops;
	unsigned id;
	pid_t pid;
	bool online, dead, exited_after_disconnect;
	uint64_t seq; /* of the next message of ours */
};

/* Emit to the worker's tables, then to the cluster's. */
#define MUSTER__PEER_EMIT(worker, event, ...)                                                                          \
	do {                                                                                                           \
		struct muster__listeners *others_ = (worker)->ops->others(worker);                                     \
		MUSTER__EMIT(&(worker)->on, struct muster_worker_handlers, event, __VA_ARGS__);                        \
		if (others_ != NULL)                                                                                   \
			MUSTER__EMIT(others_, struct muster_worker_handlers, event, __VA_ARGS__);                      \
	} while (0)

/* A user's message has arrived: on_message, with its descriptor. */
void muster__peer_message(struct muster_worker *worker, struct muster__line *line, int *fd);

/* Its channel has closed: on_disconnect. */
void muster__peer_disconnected(struct muster_worker *worker);

#endif
