/* master/waiters.h - those who asked for something that takes its time, and want to know how it went. */
#ifndef MASTER_WAITERS_H
#define MASTER_WAITERS_H

#include <stdbool.h>
#include <sys/queue.h>

/* Its owner's memory. */
struct muster__waiter {
	STAILQ_ENTRY(muster__waiter) next;
	bool until_started; /* to know that it has begun well is enough */
	/* NULL: it went well. Once, and never from inside the call that asked. */
	void (*done)(struct muster__waiter *waiter, const char *failure);
};

STAILQ_HEAD(muster__waiters, muster__waiter);

/* It is over: all are told, and nobody waits any more. It has begun: those for whom that is enough. */
void muster__waiters_tell(struct muster__waiters *waiters, const char *failure);
void muster__waiters_tell_started(struct muster__waiters *waiters);

/* False if it is not among them. */
bool muster__waiters_forget(struct muster__waiters *waiters, const struct muster__waiter *waiter);

#endif
