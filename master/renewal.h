/* master/renewal.h - the workers of one application, or of all, are replaced, and one answer comes of it. */
#ifndef MASTER_RENEWAL_H
#define MASTER_RENEWAL_H

struct muster__service;

/*
 * Replace the workers of this application; NULL: of all. `done`, which may be NULL, comes once and later: with NULL, or with a
 * text (borrowed) that says which application failed first, and how. -ENOENT (no such application), -EBUSY (there is no
 * service, or it is not serving), -EALREADY (a restart is under way), -ENOMEM.
 */
int muster__renew(struct muster__service *service, const char *name, void (*done)(const char *error, void *data),
		  void *data);

#endif
