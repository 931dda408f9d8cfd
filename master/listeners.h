/* master/listeners.h - the listening sockets of the primary: by key, with the workers that serve them. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "ipc/protocol.h"
#include "master/handover.h"

/*
 * A socket that musterd bound, known by what its workers will ask for; from here on it listens. `socket` is taken. Negative:
 * `error` says what failed.
 */
int muster__listening_configure(struct muster_cluster *cluster, const struct muster__app_listener *configured,
				struct muster__listener *socket, struct muster_error *error,
				struct muster__listening **out);

/* The options of the sockets are those of the configuration from here on, whoever made them. */
void muster__listeners_tune(const struct muster_cluster *cluster);

/* After a user's scheduler has changed what it was asked about. */
void muster__listeners_settle(struct muster_cluster *cluster);
/*
 * How many a worker has to serve: those that were configured, and those that `before` serves, if there is such a one; or
 * MUSTER__LISTENERS_MISSING, if it does not serve one of them yet.
 */
#define MUSTER__LISTENERS_MISSING (~0u)
unsigned muster__listeners_wanted(struct muster__process *process, const struct muster__process *before);
/* A worker asked to listen; it is answered. */
void muster__listeners_query(struct muster__process *process, const struct muster__line *line);
/* A worker has closed a server. */
void muster__listeners_close(struct muster__process *process, const char *key, size_t length);
/* A program is given them all: it is a member of each from here on. How many, in the order of the configuration. */
size_t muster__listeners_pass(struct muster__process *process, struct muster__listening **list, size_t room);
/* A worker leaves all its listeners; `dead`: a replacement may be due, and the kernel may owe it a wake-up. */
void muster__listeners_leave(struct muster__process *process, bool dead);
/* A row for each worker at each listener: as many as there is room for are filled, and how many there are is returned. */
size_t muster__listeners_count(struct muster_cluster *cluster, struct muster_count *rows, size_t room);
/* The seat with this index is gone for good, and no worker has it. */
void muster__listeners_vacate(struct muster_cluster *cluster, unsigned seat);
/* No more will come: the sockets are closed, and what was queued on them is handed over as workers can take it. */
void muster__listeners_end(struct muster_cluster *cluster);
/* All of it has been taken by a worker. */
bool muster__listeners_are_empty(const struct muster_cluster *cluster);
/* Close them all: for good. */
void muster__listeners_free(struct muster_cluster *cluster);

#endif
