/* src/resolve.h - where a connection is to go: a path, an address, or a name that DNS or the user looks up. */
#ifndef SRC_RESOLVE_H
#define SRC_RESOLVE_H

#include "src/address.h"

#include <muster/socket.h>

struct muster_loop;
struct muster__resolve;

/* Once, never from inside muster__resolve_start; it is freed before. `host` is NULL if nothing was looked up. */
typedef void (*muster__resolved)(void *owner, int err, const struct muster__sockaddr *addresses, size_t count,
				 const char *host);

/* -EINVAL, -ENAMETOOLONG (the options), -ENOMEM, or what the user's lookup function returned. */
int muster__resolve_start(struct muster_loop *loop, const struct muster_connect_options *options, muster__resolved done,
			  void *owner, struct muster__resolve **out);

/* NULL is fine. */
void muster__resolve_cancel(struct muster__resolve *resolve);

#endif
