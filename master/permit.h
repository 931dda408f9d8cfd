/* master/permit.h - what the workers of a program may have bound for them beyond what was configured. */
#ifndef MASTER_PERMIT_H
#define MASTER_PERMIT_H

#include <stdbool.h>

struct muster__query;

struct muster__permit {
	unsigned min_port;  /* TCP ports from here on; 0, which is any free port, too */
	const char *folder; /* UNIX paths in this folder and those below it */
};

/* A query for a descriptor is none of its business. */
bool muster__permit_allows(const struct muster__permit *permit, const struct muster__query *query);

#endif
