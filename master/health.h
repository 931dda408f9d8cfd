/* master/health.h - rounds among the workers: who is hung, and who is old enough to be replaced. */
#ifndef MASTER_HEALTH_H
#define MASTER_HEALTH_H

#include "master/table.h"

/* Begin the rounds, if the options ask for any. 0 or -ENOMEM. */
int muster__health_begin(struct muster_cluster *cluster);
void muster__health_end(struct muster_cluster *cluster);

#endif
