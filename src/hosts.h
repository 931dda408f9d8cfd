/* src/hosts.h - the addresses of a name that this machine knows by itself. */
#ifndef SRC_HOSTS_H
#define SRC_HOSTS_H

#include "src/address.h"

/*
 * What `file`, as hosts(5) describes it, has for `host` in a family (0: in both), at most `max` addresses. It is read each
 * time, so a change counts from the next lookup on. "localhost" is known without it.
 * How many, or -errno if there is such a file and it cannot be read for want of memory or descriptors.
 */
int muster__hosts_find(const char *file, const char *host, int family, unsigned port,
		       struct muster__sockaddr *addresses, unsigned max);

#endif
