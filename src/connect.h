/* src/connect.h - the way to a connection: look the name up, try its addresses, hand over the descriptor. */
#ifndef SRC_CONNECT_H
#define SRC_CONNECT_H

#include <muster/error.h>
#include <muster/socket.h>

struct muster_loop;
struct muster__connect;

/* What its owner is told; one of made and failed, once, and never from inside muster__connect_start. */
struct muster__connect_ops {
	/* A name was looked up: once for each address, or once with an error and NULL. May cancel. */
	void (*looked_up)(void *owner, int err, const struct muster_address *address, const char *host);
	/* The descriptor is given away; the way is freed afterwards. */
	void (*made)(void *owner, int fd);
	void (*failed)(void *owner, const struct muster_error *error);
};

/*
 * Begin. *way lives until made or failed has been called, or it is cancelled; its owner forgets it then.
 * -EINVAL, -ENAMETOOLONG, -ENOMEM.
 */
int muster__connect_start(struct muster_loop *loop, const struct muster_connect_options *options,
			  const struct muster__connect_ops *ops, void *owner, struct muster__connect **way);

/* NULL is fine. */
void muster__connect_cancel(struct muster__connect *way);

#endif
