/* master/identity.h - names of users, groups and capabilities, and what they stand for on this machine. */
#ifndef MASTER_IDENTITY_H
#define MASTER_IDENTITY_H

#include "ipc/privileges.h"

/* A name or a number: who workers are to be. -ENOENT: there is nobody of that name; -ENOMEM. */
int muster__identity_user(struct muster__privileges *privileges, const char *text);
int muster__identity_group(struct muster__privileges *privileges, const char *text);

/* After those: what follows from them. -ENOENT: the user is a number without a name, and so has no group; -ENOMEM. */
int muster__identity_complete(struct muster__privileges *privileges);

/* "net_bind_service" as a bit of a set; false if there is no such capability. */
bool muster__identity_capability(const char *name, uint64_t *set);

/* NULL, or why this process cannot become that. */
const char *muster__identity_refusal(const struct muster__privileges *privileges);

void muster__identity_clear(struct muster__privileges *privileges);

#endif
