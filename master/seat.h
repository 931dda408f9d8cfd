/* master/seat.h - a place for a worker: made, filled, left empty for a while, taken away. */
#ifndef MASTER_SEAT_H
#define MASTER_SEAT_H

#include "master/table.h"

/* At the end of the table, with the lowest index that is free. NULL without memory. */
struct muster__seat *muster__seat_new(struct muster_cluster *cluster);
/* Beside `seat`, for the worker that is to replace its own: with the same index and environment. NULL without memory. */
struct muster__seat *muster__seat_beside(struct muster__seat *seat);
/* It is empty, and goes. */
void muster__seat_free(struct muster__seat *seat);

/* "NAME=value", NULL-terminated, or NULL: what is set in its workers beside the cluster's. -ENOMEM. */
int muster__seat_set_env(struct muster__seat *seat, const char *const *env);
/* A new list of new strings; NULL stays NULL. -ENOMEM: what there is of it is the caller's. */
int muster__strings_copy(const char *const **to, const char *const *list);
void muster__strings_free(const char *const *list);

/* Fork its worker now: 0 or -errno; `out` may be NULL. */
int muster__seat_fill(struct muster__seat *seat, struct muster_worker **out);
/* The same, where nobody waits for the outcome: an error is told and it is tried again later. */
void muster__seat_refill(struct muster__seat *seat);
void muster__seat_refill_after(struct muster__seat *seat, unsigned ms);

/* Somebody sits there, or is to again, and has not been asked to leave. */
bool muster__seat_is_kept(const struct muster__seat *seat);

#endif
