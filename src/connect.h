/* src/connect.h - the way to a connection: find the addresses, try them, hand over the descriptor. */
#ifndef SRC_CONNECT_H
#define SRC_CONNECT_H

#include <muster/error.h>
#include <muster/socket.h>

struct muster_loop;
struct muster__connect;

enum muster__attempt { MUSTER__ATTEMPT_BEGINS, MUSTER__ATTEMPT_FAILED, MUSTER__ATTEMPT_TIMED_OUT };

/* What its owner is told. Any of them may stop or free the way. */
struct muster__connect_ops {
	/* A name was looked up: once for each address, or once with an error and NULL. */
	void (*looked_up)(void *owner, int err, const struct muster_address *address, const char *host);
	void (*attempt)(void *owner, enum muster__attempt what, const struct muster_address *address, int err);
	/* One of these, once, never from inside muster__connect_start. The descriptor is given away. */
	void (*made)(void *owner, int fd);
	void (*failed)(void *owner, const struct muster_error *error);
};

/*
 * Begin. *out lives until it is freed: after made or failed it does nothing any more, but knows what was tried.
 * -EINVAL, -ENAMETOOLONG, -ENOMEM.
 */
int muster__connect_start(struct muster_loop *loop, const struct muster_connect_options *options,
			  const struct muster__connect_ops *ops, void *owner, struct muster__connect **out);

/* What became of the addresses tried: see muster_socket_attempts. */
size_t muster__connect_attempts(const struct muster__connect *way, const struct muster_error **attempts);

/* Try no more, tell nothing; and forget it all. NULL is fine for both. */
void muster__connect_stop(struct muster__connect *way);
void muster__connect_free(struct muster__connect *way);

#endif
