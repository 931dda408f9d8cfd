/* src/lookup.h - a host name to addresses, without blocking the loop. */
#ifndef SRC_LOOKUP_H
#define SRC_LOOKUP_H

#include "src/address.h"
#include <stddef.h>

struct muster_loop;
struct muster__lookup;

#define MUSTER__LOOKUP_MAX 16

/* Called once, never from inside muster__lookup_start; `addresses` are borrowed. err is negative or 0. */
typedef void (*muster__looked_up)(int err, const struct muster__sockaddr *addresses, size_t count, void *data);

/* family 0, 4 or 6; resolv.conf and hosts are honoured. 0 and *out, which lives until `done` or cancel. -ENOMEM. */
int muster__lookup_start(struct muster_loop *loop, const char *host, unsigned port, int family, int flags,
			 muster__looked_up done, void *data, struct muster__lookup **out);

/* There is nothing to look up: `done` with no address at the end of the turn, cancelled like a real one. */
int muster__lookup_nothing(struct muster_loop *loop, muster__looked_up done, void *data, struct muster__lookup **out);

void muster__lookup_cancel(struct muster__lookup *lookup);

/* The loop is being freed and all lookups are cancelled: end what the resolver still holds. */
void muster__lookup_shutdown(struct muster_loop *loop);

#endif
