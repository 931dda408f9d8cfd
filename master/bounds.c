/*
 * One timer for each worker, since it is waited for one thing at a time. The way out has steps, and each is tried only when the
 * one before it did not help: asked to leave, told to stop, SIGTERM, SIGKILL.
 */
#include "master/bounds.h"

#include "ipc/protocol.h"

#include <signal.h>

#define READY_MS 30000
#define KILL_MS 2000

static struct muster_loop *loop_of(const struct muster__process *process)
{
	return process->peer.object.loop;
}

static void wait_for(struct muster__process *process, enum muster__bound bound, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	process->bound = bound;
	muster__event_del(loop_of(process), &process->bound_timer);
	muster__event_add(loop_of(process), &process->bound_timer, &delay);
}

static void wait_for_death(struct muster__process *process, enum muster__bound bound)
{
	unsigned ms = process->cluster->options.kill_timeout_ms;

	wait_for(process, bound, ms != 0 ? ms : KILL_MS);
}

void muster__bound_death(struct muster__process *process, int signal)
{
	muster_worker_kill(&process->peer, signal);
	wait_for_death(process, MUSTER__BOUND_DEATH);
}

static void log_late(const struct muster__process *process, const char *what)
{
	muster__log(MUSTER_LOG_WARN, "worker %u (pid %d) has not left in time: %s", process->peer.id,
		    (int)process->peer.pid, what);
}

/* A worker of ours can flush what is queued first; to others a signal is the only word for it. */
static void stop(struct muster__process *process)
{
	if (process->is_muster && muster_worker_is_connected(&process->peer)) {
		log_late(process, "its connections are cut");
		muster__send_stop(&process->peer.channel);
		wait_for_death(process, MUSTER__BOUND_STOP);
	} else {
		log_late(process, "SIGTERM");
		muster__bound_death(process, SIGTERM);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__process *process = data;
	enum muster__bound bound = process->bound;

	(void)fd, (void)what;
	muster__bound_end(process);
	switch (bound) {
	case MUSTER__BOUND_READY:
		process->late = true;
		muster__object_wake(&process->cluster->object);
		break;
	case MUSTER__BOUND_DRAIN: stop(process); break;
	case MUSTER__BOUND_STOP:
		log_late(process, "SIGTERM");
		muster__bound_death(process, SIGTERM);
		break;
	case MUSTER__BOUND_DEATH:
		log_late(process, "SIGKILL");
		process->slain = true;
		muster_worker_kill(&process->peer, SIGKILL);
		break;
	case MUSTER__BOUND_NONE: break;
	}
}

void muster__bound_init(struct muster__process *process)
{
	event_assign(&process->bound_timer, loop_of(process)->base, -1, EV_PERSIST, on_timer, process);
}

void muster__bound_end(struct muster__process *process)
{
	process->bound = MUSTER__BOUND_NONE;
	muster__event_del(loop_of(process), &process->bound_timer);
}

void muster__bound_ready(struct muster__process *process)
{
	unsigned ms = process->cluster->options.ready_timeout_ms;

	wait_for(process, MUSTER__BOUND_READY, ms != 0 ? ms : READY_MS);
}

void muster__bound_leave(struct muster__process *process)
{
	unsigned ms = process->cluster->options.drain_timeout_ms;

	if (ms != 0 && process->bound < MUSTER__BOUND_DRAIN && !process->peer.dead)
		wait_for(process, MUSTER__BOUND_DRAIN, ms);
	else if (process->bound == MUSTER__BOUND_READY)
		muster__bound_end(process);
}
