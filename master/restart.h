/* master/restart.h - workers that are replaced while they serve: one at a time, and never for the worse. */
#ifndef MASTER_RESTART_H
#define MASTER_RESTART_H

#include "master/table.h"

/* Go as far as one can go now, and tell what is over: at the end of each turn of the cluster. */
void muster__restart_turn(struct muster_cluster *cluster);

/* The worker of this seat is gone: if it is part of a replacement, what follows from that. */
void muster__restart_vacated(struct muster__seat *seat);

/* Its worker is to be replaced when its turn comes; whatever becomes of it, nobody but the log is told. */
void muster__restart_want(struct muster__seat *seat);

/* The same as a request, of which the outcome is told. As muster_cluster_restart. */
int muster__restart_one(struct muster__seat *seat, void (*done)(struct muster_cluster *cluster, int err, void *data),
			void *data);

/* This seat is to go: a worker that is to follow its own ends. */
void muster__restart_forget(struct muster__seat *seat);

/* All are asked to leave: a restart that is under way will not be finished. */
void muster__restart_cancel(struct muster_cluster *cluster);

#endif
