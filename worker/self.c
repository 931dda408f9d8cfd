/* Which worker this process is, if it is one. */
#include "worker/self.h"

static struct muster__self *self_now;

void muster__self_set(struct muster__self *self)
{
	self_now = self;
}

struct muster_worker *muster_worker_self(void)
{
	return self_now != NULL ? &self_now->peer : NULL;
}

bool muster_is_primary(void)
{
	return self_now == NULL;
}

void muster__self_fail(struct muster_worker *worker, int status)
{
	muster__self_of(worker)->status = status;
	muster_loop_stop(worker->object.loop);
}
