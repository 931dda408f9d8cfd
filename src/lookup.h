/* src/lookup.h - a host name to addresses, without blocking the loop. */
#ifndef SRC_LOOKUP_H
#define SRC_LOOKUP_H

#include "src/address.h"
#include <stddef.h>

struct muster_loop;
struct muster__lookup;

#define MUSTER__LOOKUP_MAX 16

/*
 * Called once, never from inside muster__lookup_start; `addresses` are borrowed. err is 0, MUSTER_ENOTFOUND (there is no such
 * name, or it has no address), or MUSTER_EAIAGAIN (the name servers did not say).
 */
typedef void (*muster__looked_up)(int err, const struct muster__sockaddr *addresses, size_t count, void *data);

/*
 * family 0, 4 or 6; `flags` are AI_ADDRCONFIG, AI_V4MAPPED and AI_ALL. resolv.conf and hosts are honoured. 0 and *out, which
 * lives until `done` or cancel; `done` comes within 30 s, whatever becomes of the name servers. -ENOMEM.
 */
int muster__lookup_start(struct muster_loop *loop, const char *host, unsigned port, int family, int flags,
			 muster__looked_up done, void *data, struct muster__lookup **out);

/* There is nothing to look up: `done` with no address at the end of the turn, cancelled like a real one. */
int muster__lookup_nothing(struct muster_loop *loop, muster__looked_up done, void *data, struct muster__lookup **out);

void muster__lookup_cancel(struct muster__lookup *lookup);

#endif
