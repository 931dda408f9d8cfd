/*
 * The loop decides two things: what keeps it running, and what "the end of this turn" means.
 *
 * Liveness: libevent counts events; Node counts handles. Our objects say themselves whether they are alive, our events are
 * taken out of libevent's count, and what remains in it is foreign and counts as referenced.
 *
 * The end of a turn is one event that is activated by hand, so that it also comes on a base that someone else runs. A batch
 * is a snapshot: what is queued while it runs comes by a timer of 0 ms, after descriptors have been looked at again.
 */
#include "src/loop.h"

#include "src/error.h"
#include "src/fd.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>

struct deferred_call {
	struct muster__task task;
	void (*fn)(void *data);
	void *data;
};

static void schedule_batch(struct muster_loop *loop)
{
	static const struct timeval now = { 0, 0 };

	/* Without memory for a timer the next batch comes in this turn: better too soon than never. */
	if (!loop->in_batch || event_add(loop->deferred, &now) < 0)
		event_active(loop->deferred, EV_TIMEOUT, 1);
}

static void run_batch(evutil_socket_t fd, short what, void *data)
{
	struct muster_loop *loop = data;
	struct muster__task *task;

	(void)fd, (void)what;
	loop->batch = loop->tasks;
	loop->tasks = NULL;
	loop->tasks_end = &loop->tasks;
	loop->in_batch = true;
	while ((task = loop->batch) != NULL) {
		loop->batch = task->next;
		task->queued = false;
		task->run(task);
	}
	if (loop->tasks != NULL)
		schedule_batch(loop);
	loop->in_batch = false;
}

static int make_deferred_event(struct muster_loop *loop)
{
	loop->deferred = event_new(loop->base, -1, 0, run_batch, loop);
	return loop->deferred != NULL ? 0 : -ENOMEM;
}

static struct muster_loop *loop_on(struct event_base *base, bool owned)
{
	struct muster_loop *loop = calloc(1, sizeof *loop);

	if (loop == NULL)
		return muster__no_object(-ENOMEM);
	loop->base = base;
	loop->owned = owned;
	loop->tasks_end = &loop->tasks;
	loop->epoll_fd = -1;
	LIST_INIT(&loop->objects);
	LIST_INIT(&loop->asked);
	if (make_deferred_event(loop) < 0) {
		free(loop);
		return muster__no_object(-ENOMEM);
	}
	return loop;
}

/* libevent ends the process when it finds no descriptors for its signal pipe, so they are looked for before. */
static int find_descriptors(void)
{
	int i, err = 0, fds[] = { -1, -1, -1, -1 };

	for (i = 0; i < 4 && err == 0; i++)
		if ((fds[i] = eventfd(0, EFD_CLOEXEC)) < 0)
			err = -errno;
	while (i-- > 0)
		muster__fd_close(&fds[i]);
	return err;
}

struct muster_loop *muster_loop_new(void)
{
	int err = find_descriptors();
	struct event_base *base = err == 0 ? event_base_new() : NULL;
	struct muster_loop *loop;

	if (base == NULL)
		return muster__no_object(err < 0 ? err : -ENOMEM);
	loop = loop_on(base, true);
	if (loop == NULL)
		event_base_free(base);
	return loop;
}

struct muster_loop *muster_loop_wrap(struct event_base *base)
{
	return loop_on(base, false);
}

struct event_base *muster_loop_base(struct muster_loop *loop)
{
	return loop->base;
}

static bool has_foreign_events(const struct muster_loop *loop)
{
	unsigned added = (unsigned)event_base_get_num_events(loop->base, EVENT_BASE_COUNT_ADDED);

	return added > loop->own_events;
}

static bool is_alive(const struct muster_loop *loop)
{
	return loop->alive > 0 || loop->tasks != NULL || has_foreign_events(loop);
}

static bool goes_on(struct muster_loop *loop)
{
	if (loop->rest != NULL && loop->alive == 0 && loop->tasks == NULL && has_foreign_events(loop))
		loop->rest(loop);
	return !loop->stopped && is_alive(loop);
}

int muster_loop_run(struct muster_loop *loop)
{
	int result = 0;

	loop->stopped = false;
	while (result >= 0 && goes_on(loop)) {
		/* Objects say when the last of them is gone; whether foreign events are left has to be asked each turn. */
		loop->running = loop->alive > 0;
		result = event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY | (loop->running ? 0 : EVLOOP_ONCE));
		loop->running = false;
	}
	return result < 0 ? -EIO : 0;
}

void muster__loop_alive(struct muster_loop *loop, int by)
{
	loop->alive += (unsigned)by;
	if (loop->alive == 0 && loop->running)
		event_base_loopbreak(loop->base);
}

void muster_loop_stop(struct muster_loop *loop)
{
	loop->stopped = true;
	/* The first wants memory; the second ends the turn too early, which is better than not at all. */
	if (event_base_loopexit(loop->base, NULL) < 0)
		event_base_loopbreak(loop->base);
}

void muster__loop_queue(struct muster_loop *loop, struct muster__task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	if (loop->tasks == NULL && !loop->in_batch)
		schedule_batch(loop);
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

static struct muster__task **find_task(struct muster__task **at, const struct muster__task *task)
{
	while (*at != NULL && *at != task)
		at = &(*at)->next;
	return at;
}

void muster__loop_unqueue(struct muster_loop *loop, struct muster__task *task)
{
	struct muster__task **at;

	if (!task->queued)
		return;
	at = find_task(&loop->tasks, task);
	if (*at == NULL)
		at = find_task(&loop->batch, task);
	else if (task->next == NULL)
		loop->tasks_end = at;
	assert(*at == task);
	*at = task->next;
	task->queued = false;
}

static void run_deferred_call(struct muster__task *task)
{
	struct deferred_call call = *MUSTER__CONTAINER(task, struct deferred_call, task);

	free(MUSTER__CONTAINER(task, struct deferred_call, task));
	call.fn(call.data);
}

int muster_loop_defer(struct muster_loop *loop, void (*fn)(void *data), void *data)
{
	struct deferred_call *call;

	if (loop->freeing)
		return MUSTER_ECLOSED;
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return -ENOMEM;
	call->task.run = run_deferred_call;
	call->fn = fn;
	call->data = data;
	muster__loop_queue(loop, &call->task);
	return 0;
}

#define ANY_EVENT (EV_READ | EV_WRITE | EV_TIMEOUT | EV_SIGNAL | EV_CLOSED)

int muster__event_add(struct muster_loop *loop, struct event *event, const struct timeval *timeout)
{
	bool added = event_pending(event, ANY_EVENT, NULL);

	if (event_add(event, timeout) < 0)
		return -ENOMEM;
	if (!added)
		loop->own_events++;
	return 0;
}

void muster__event_del(struct muster_loop *loop, struct event *event)
{
	if (!event_initialized(event) || !event_pending(event, ANY_EVENT, NULL))
		return;
	event_del(event);
	loop->own_events--;
}

struct timeval muster__ms(unsigned ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
}

char *muster__loop_buffer(struct muster_loop *loop)
{
	if (loop->buffer == NULL)
		loop->buffer = malloc(MUSTER__READ_SIZE);
	return loop->buffer;
}

/*
 * What users deferred is not called any more; it is only memory now. A task of our own that is left belongs to no object,
 * and only frees what was closed or cancelled in the last turn.
 */
void muster__loop_drop_calls(struct muster_loop *loop)
{
	while (loop->tasks != NULL) {
		struct muster__task *task = loop->tasks;

		assert(task->queued);
		muster__loop_unqueue(loop, task);
		if (task->run == run_deferred_call)
			free(MUSTER__CONTAINER(task, struct deferred_call, task));
		else
			task->run(task);
	}
}
