/* ipc/channel.h - one end of the channel between a primary and a worker: Node's wire, descriptors owned, nothing lost. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "ipc/inbox.h"
#include "ipc/message.h"
#include "ipc/socket_list.h"
#include "ipc/tickets.h"
#include "src/log.h"
#include "src/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct muster__channel;
struct muster__chunk;

struct muster__channel_ops {
	/* A line. *fd is its descriptor or -1; it is closed afterwards unless taken by setting *fd to -1. */
	void (*line)(struct muster__channel *channel, struct muster__line *line, int *fd);
	/* A handle that was sent with `ticket` has been received, or has not; NULL where none is. */
	void (*answered)(struct muster__channel *channel, uint64_t ticket, bool received);
	/* It had been full, and takes more now. */
	void (*drained)(struct muster__channel *channel);
	/* The end, once: the peer is gone, or muster__channel_disconnect is done. Never from inside a call. */
	void (*closed)(struct muster__channel *channel);
};

TAILQ_HEAD(muster__chunks, muster__chunk);

/* Told once: 0 when the bytes it was given with are with the kernel, else why they never will be. Zeroed: nobody. */
struct muster__sent {
	void (*fn)(int err, void *data);
	void *data;
};

struct muster__channel {
	struct muster_loop *loop;
	const struct muster__channel_ops *ops;
	struct muster__task task; /* end of turn: flush, or tell the end */
	struct event readable, writable;
	int fd;
	enum { MUSTER__CHANNEL_OPEN = 0, MUSTER__CHANNEL_ENDING, MUSTER__CHANNEL_ENDED, MUSTER__CHANNEL_CLOSED } state;
	bool reading, full;
	bool is_muster; /* so is the other side: it takes what Node would not understand */
	bool broken;    /* nothing can be written any more; what can still be read is */
	/* in */
	struct muster__inbox inbox;
	unsigned malformed;
	struct muster__log_limit log_limit;
	/* out */
	struct muster__chunks chunks;
	struct muster__chunk *spare; /* room made for a handle that is about to be given away */
	size_t queued;
	size_t max_queued;              /* for messages of the user's; 0: as much as for all */
	size_t plain_since_fd;          /* bytes since the last descriptor: see muster__channel_try */
	bool alone;                     /* ... and the one under way must stay alone until its answer */
	struct muster__tickets tickets; /* handles sent and not answered, oldest first */
	struct muster__chunks awaited;  /* those of them that are kept until they have been received */
	struct muster__chunks lost;     /* those that have not, and are sent again */
	struct event again;             /* ... then */
	struct muster__socket_lists sockets;
};

/* `fd` is taken. 0 or -ENOMEM. */
int muster__channel_init(struct muster__channel *channel, struct muster_loop *loop, int fd,
			 const struct muster__channel_ops *ops);

/* Send text (whole lines) soon: all of one turn goes out in one write. -ENOMEM, -ENOBUFS, MUSTER_ECHANNEL. */
int muster__channel_print(struct muster__channel *channel, const char *text, size_t length);
int muster__channel_print_then(struct muster__channel *channel, const char *text, size_t length,
			       const struct muster__sent *sent);

/*
 * Send one handle line and its descriptor (which stays the caller's) now or not at all. -EAGAIN: the channel is full or the
 * line has to wait for an answer; ops->drained or ops->answered follows. MUSTER_ECHANNEL: it is closed.
 */
int muster__channel_try(struct muster__channel *channel, const char *line, size_t length, int fd, uint64_t ticket);

/* The same for a descriptor that is given away (taken in every case) and waits in the queue if it must. */
int muster__channel_give(struct muster__channel *channel, const char *line, size_t length, int fd, uint64_t ticket);

/*
 * The same, and kept until the peer has received it: it is sent again, up to three times and after a while, if it got lost on
 * the way. Nobody is told but `sent`.
 */
int muster__channel_give_surely(struct muster__channel *channel, const char *line, size_t length, int fd,
				const struct muster__sent *sent);

/*
 * Make room for one handle line of so many bytes: the next muster__channel_give_surely in this turn cannot fail. For descriptors that
 * cannot be taken back. -ENOMEM, -ENOBUFS, MUSTER_ECHANNEL.
 */
int muster__channel_reserve(struct muster__channel *channel, size_t length);

/* Write what is queued now instead of at the end of the turn. */
void muster__channel_flush(struct muster__channel *channel);

/* Send what is queued and kept until it is received, then close. ops->closed follows. */
void muster__channel_disconnect(struct muster__channel *channel);

/* The peer's process has ended: read what it still said, then end. ops->closed follows. */
void muster__channel_finish(struct muster__channel *channel);

bool muster__channel_is_connected(const struct muster__channel *channel);
bool muster__channel_needs_drain(const struct muster__channel *channel);

/* Close everything at once and say nothing: the owner is going. */
void muster__channel_free(struct muster__channel *channel);

#endif
