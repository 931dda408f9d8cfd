/* src/acceptor.h - accepting on a listening socket: bounded per turn, patient at the descriptor limit, never spinning. */
#ifndef SRC_ACCEPTOR_H
#define SRC_ACCEPTOR_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

struct muster_loop;
struct muster__acceptor;

struct muster__acceptor_ops {
	/* A connection, non-blocking and close-on-exec, given away. May stop the acceptor, must not free it. */
	void (*accepted)(struct muster__acceptor *acceptor, int fd);
	/* accept failed; at most once a second. The acceptor goes on by itself. */
	void (*failed)(struct muster__acceptor *acceptor, int err);
};

struct muster__acceptor {
	struct muster_loop *loop;
	const struct muster__acceptor_ops *ops;
	struct event ready; /* the listening descriptor, borrowed */
	struct event retry; /* the descriptor limit: when to look again */
	int fd;
	unsigned rotate_every; /* 0: alone on the socket; else shared: accepts between two moves to the queue's tail */
	unsigned since_rotation;
	unsigned aborted; /* connections in a row */
	unsigned long long quiet_until_ms;
	bool wanted, throttled, running;
};

/* `rotate_every` not 0 makes it one of several processes on the socket. */
void muster__acceptor_init(struct muster__acceptor *acceptor, struct muster_loop *loop, int fd,
			   const struct muster__acceptor_ops *ops, unsigned rotate_every);

/* Accept all that is queued now, wanted or not. The callbacks may stop the acceptor. */
void muster__acceptor_drain(struct muster__acceptor *acceptor);

/* Both may be called at any time and any number of times. Negative: -ENOMEM. */
int muster__acceptor_start(struct muster__acceptor *acceptor);
void muster__acceptor_stop(struct muster__acceptor *acceptor);

#endif
