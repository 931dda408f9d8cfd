/* master/strangers.h - process 1 of a container reaps whoever was left without a parent. */
#ifndef MASTER_STRANGERS_H
#define MASTER_STRANGERS_H

#include <event2/event_struct.h>
#include <stdbool.h>

struct muster_loop;

struct muster__strangers {
	struct muster_loop *loop;
	struct event ended, again;
	bool watching; /* only as process 1: nobody else is given orphans */
};

/* 0 or -ENOMEM. */
int muster__strangers_start(struct muster__strangers *strangers, struct muster_loop *loop);
void muster__strangers_stop(struct muster__strangers *strangers);

#endif
