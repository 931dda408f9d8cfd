/* master/cluster.h - a primary and its workers, from the inside: what musterd asks beyond the public API. */
#ifndef MASTER_CLUSTER_H
#define MASTER_CLUSTER_H

#include "master/table.h"

/* What musterd runs in the workers; without a permit it then listens only on what was configured. Borrowed. */
void muster__cluster_set_app(struct muster_cluster *cluster, const struct muster__app *app);

/* What workers may have bound on demand; what a program writes goes to standard error. Borrowed. */
void muster__cluster_set_permit(struct muster_cluster *cluster, const struct muster__permit *permit);

/* Its programs are given the sockets of its listeners, and no channel. Borrowed. */
void muster__cluster_set_passing(struct muster_cluster *cluster, const struct muster__passing *passing);

/* Where sockets for what workers ask are looked for before any is bound. Borrowed. */
void muster__cluster_set_inherited(struct muster_cluster *cluster, struct muster__inherited *inherited);

/* What is standard error to workers from now on, borrowed; 0: as ours. Not of those who have none. */
void muster__cluster_set_output(struct muster_cluster *cluster, int fd);

/* Under this name, borrowed, and the slot what its programs write to standard output and error goes to the log. */
void muster__cluster_set_name(struct muster_cluster *cluster, const char *name);

/* Who workers are, and what they may do. Borrowed. */
void muster__cluster_set_privileges(struct muster_cluster *cluster, const struct muster__privileges *privileges);

/* Count on this board, together with whoever else does: before the first fork. */
void muster__cluster_set_board(struct muster_cluster *cluster, struct muster__scoreboard *board);

/* Accept nothing although the workers are ready: another cluster still has the listeners. Or no longer so. */
void muster__cluster_hold(struct muster_cluster *cluster, bool held);

/* Close the listeners and have the workers flush what is queued and end. */
void muster__cluster_stop(struct muster_cluster *cluster);

/* A seat has gone: if it was the last, who waits for that is told. */
void muster__cluster_emptied(struct muster_cluster *cluster);

/* Signal every worker that is left. */
void muster__cluster_kill(struct muster_cluster *cluster, int signal);

#endif
