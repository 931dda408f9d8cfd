/* Each is taken off before it is told: what it does then, asking again for instance, is none of our concern. */
#include "master/waiters.h"

#include <stddef.h>

void muster__waiters_tell(struct muster__waiters *waiters, const char *failure)
{
	struct muster__waiters told = STAILQ_HEAD_INITIALIZER(told);
	struct muster__waiter *waiter;

	STAILQ_CONCAT(&told, waiters);
	while ((waiter = STAILQ_FIRST(&told)) != NULL) {
		STAILQ_REMOVE_HEAD(&told, next);
		waiter->done(waiter, failure);
	}
}

void muster__waiters_tell_started(struct muster__waiters *waiters)
{
	struct muster__waiters all = STAILQ_HEAD_INITIALIZER(all), told = STAILQ_HEAD_INITIALIZER(told);
	struct muster__waiter *waiter;

	STAILQ_CONCAT(&all, waiters);
	while ((waiter = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, next);
		if (waiter->until_started)
			STAILQ_INSERT_TAIL(&told, waiter, next);
		else
			STAILQ_INSERT_TAIL(waiters, waiter, next);
	}
	muster__waiters_tell(&told, NULL);
}

bool muster__waiters_forget(struct muster__waiters *waiters, const struct muster__waiter *wanted)
{
	struct muster__waiter *waiter;

	STAILQ_FOREACH(waiter, waiters, next)
	if (waiter == wanted) {
		STAILQ_REMOVE(waiters, waiter, muster__waiter, next);
		return true;
	}
	return false;
}
