/* master/ready.h - whether a worker serves what it has to. */
#ifndef MASTER_READY_H
#define MASTER_READY_H

#include "master/table.h"

/* Something has changed that may make it ready: looked at when the turn ends. */
void muster__ready_look(struct muster__process *process);

/* At the end of a turn: on_ready, once, if it is. */
void muster__ready_tell(struct muster__process *process);

#endif
