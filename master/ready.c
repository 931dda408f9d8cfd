/* Readiness is derived from what the worker has said so far; nothing but that it was told is remembered. */
#include "master/ready.h"

#include "master/listeners.h"

/* All that was configured, and all that the worker before it serves. */
static bool serves_enough(struct muster__process *process)
{
	const struct muster__seat *before = process->seat->replaces;
	const struct muster__process *old = before != NULL ? before->process : NULL;
	unsigned wanted = muster__listeners_wanted(process, old);

	if (wanted == MUSTER__LISTENERS_MISSING)
		return false;
	if (wanted == 0 && old != NULL && old->listened == 0)
		return true;
	return process->listened >= (wanted > 0 ? wanted : 1);
}

static bool is_ready(struct muster__process *process)
{
	if (!process->peer.online || process->leaving || !muster_worker_is_connected(&process->peer))
		return false;
	if (process->passage != NULL)
		return process->said_ready || process->cluster->options.ready == MUSTER_READY_ONLINE;
	switch (process->cluster->options.ready) {
	case MUSTER_READY_ONLINE: return true;
	case MUSTER_READY_LISTENING: return process->listened > 0;
	case MUSTER_READY_SAID: return process->said_ready;
	default: return serves_enough(process);
	}
}

void muster__ready_look(struct muster__process *process)
{
	if (!process->ready)
		muster__object_wake(&process->peer.object);
}

void muster__ready_tell(struct muster__process *process)
{
	if (process->ready || process->seat == NULL || !is_ready(process))
		return;
	process->ready = true;
	muster__object_wake(&process->cluster->object);
	MUSTER__PEER_EMIT(&process->peer, on_ready, &process->peer);
}
