/* master/renewal.h - the workers of one application, or of all, are replaced, and one answer comes of it. */
#ifndef MASTER_RENEWAL_H
#define MASTER_RENEWAL_H

#include <limits.h>

struct muster__service;

/* Instead of a slot. */
#define MUSTER__RENEW_ALL UINT_MAX

/*
 * Replace the workers of this application; NULL: of all. With a slot the worker there alone, of each that is meant. `done`,
 * which may be NULL, comes once and later: with NULL, or with a text (borrowed) that says which application failed first, and
 * how. -ENOENT (no such application), -ESRCH (one has no such slot), -EBUSY (there is no service, or it is not serving),
 * -EALREADY (a restart is under way), -ENOMEM.
 */
int muster__renew(struct muster__service *service, const char *name, unsigned slot,
		  void (*done)(const char *error, void *data), void *data);

#endif
