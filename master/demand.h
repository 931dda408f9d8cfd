/* master/demand.h - may a worker have a listener opened that nobody has asked for before? */
#ifndef MASTER_DEMAND_H
#define MASTER_DEMAND_H

#include "ipc/protocol.h"
#include "master/table.h"

/* 0, or why not; who may want to know why reads it in the log. */
int muster__demand_check(struct muster__process *process, const struct muster__query *query);

#endif
