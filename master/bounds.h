/* master/bounds.h - how long a worker may take: to get ready, to leave, to die. */
#ifndef MASTER_BOUNDS_H
#define MASTER_BOUNDS_H

#include "master/table.h"

void muster__bound_init(struct muster__process *process);
/* It is ready, or gone: nothing is waited for. */
void muster__bound_end(struct muster__process *process);

/* Not ready by then: it is `late`, and the cluster is woken. */
void muster__bound_ready(struct muster__process *process);
/* It was asked to leave; if the cluster's workers may not take their time, it is made to. */
void muster__bound_leave(struct muster__process *process);
/* It gets this signal, and SIGKILL if it has not gone soon. */
void muster__bound_death(struct muster__process *process, int signal);

#endif
