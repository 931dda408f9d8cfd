/*
 * The queue is an evbuffer that exists only while it is needed. It is sent with sendmsg and MSG_NOSIGNAL: a library may not
 * assume that its program ignores SIGPIPE, and a bufferevent's writev would raise it.
 */
#include "src/output.h"

#include "src/loop.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES 16

struct waiting {
	STAILQ_ENTRY(waiting) next;
	struct muster__completion completion;
};

STAILQ_HEAD(waiters, waiting);

struct muster__output {
	struct muster_loop *loop;
	struct evbuffer *queue;
	struct event writable;
	void (*on_writable)(void *owner);
	void *owner;
	bool owes_drain;
	struct waiters waiting, due;
};

struct muster__output *muster__output_new(struct muster_loop *loop, void (*on_writable)(void *owner), void *owner)
{
	struct muster__output *output = calloc(1, sizeof *output);

	if (output == NULL)
		return NULL;
	output->loop = loop;
	output->on_writable = on_writable;
	output->owner = owner;
	STAILQ_INIT(&output->waiting);
	STAILQ_INIT(&output->due);
	return output;
}

/* ---- the queue */

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct muster__output *output = data;

	(void)fd, (void)what;
	output->on_writable(output->owner);
}

int muster__output_watch(struct muster__output *output, int fd)
{
	/* Watched already, if the first bytes were queued after the descriptor came. */
	muster__event_del(output->loop, &output->writable);
	event_assign(&output->writable, output->loop->base, fd, EV_WRITE | EV_PERSIST, on_event, output);
	return muster__event_add(output->loop, &output->writable, NULL);
}

int muster__output_queue(struct muster__output *output, int fd, const void *bytes, size_t length)
{
	bool first = output->queue == NULL;

	if (first)
		output->queue = evbuffer_new();
	if (output->queue == NULL)
		return -ENOMEM;
	if (evbuffer_add(output->queue, bytes, length) == 0 &&
	    (!first || fd < 0 || muster__output_watch(output, fd) == 0))
		return 0;
	if (first)
		muster__output_drop(output);
	return -ENOMEM;
}

void muster__output_unwatch(struct muster__output *output)
{
	if (muster__output_is_pending(output))
		muster__event_del(output->loop, &output->writable);
}

size_t muster__output_length(const struct muster__output *output)
{
	return muster__output_is_pending(output) ? evbuffer_get_length(output->queue) : 0;
}

bool muster__output_is_pending(const struct muster__output *output)
{
	return output != NULL && output->queue != NULL;
}

static int send_some(struct evbuffer *queue, int fd)
{
	struct evbuffer_iovec pieces[PIECES];
	int count = evbuffer_peek(queue, -1, NULL, pieces, PIECES);
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)(count < PIECES ? count : PIECES) };
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	evbuffer_drain(queue, (size_t)sent);
	return 0;
}

int muster__output_send(struct muster__output *output, int fd)
{
	int err = 0;

	while (err == 0 && muster__output_length(output) > 0)
		err = send_some(output->queue, fd);
	return err;
}

void muster__output_move(struct muster__output *output, struct evbuffer *to)
{
	if (!muster__output_is_pending(output))
		return;
	evbuffer_add_buffer(to, output->queue);
	muster__output_drop(output);
}

void muster__output_drop(struct muster__output *output)
{
	if (!muster__output_is_pending(output))
		return;
	output->owes_drain = false;
	muster__event_del(output->loop, &output->writable);
	evbuffer_free(output->queue);
	output->queue = NULL;
}

bool muster__output_owes_drain(const struct muster__output *output)
{
	return output != NULL && output->owes_drain;
}

void muster__output_owe_drain(struct muster__output *output)
{
	output->owes_drain = true;
}

/* ---- completions */

int muster__output_expect(struct muster__output *output, const struct muster__completion *completion)
{
	struct waiting *waiting = malloc(sizeof *waiting);

	if (waiting == NULL)
		return -ENOMEM;
	waiting->completion = *completion;
	STAILQ_INSERT_TAIL(&output->waiting, waiting, next);
	return 0;
}

void muster__output_forget_last(struct muster__output *output)
{
	struct waiting *last = STAILQ_FIRST(&output->waiting), *next;

	while (last != NULL && (next = STAILQ_NEXT(last, next)) != NULL)
		last = next;
	if (last == NULL)
		return;
	STAILQ_REMOVE(&output->waiting, last, waiting, next);
	free(last);
}

static void make_first_due(struct muster__output *output, int err)
{
	struct waiting *first = STAILQ_FIRST(&output->waiting);

	STAILQ_REMOVE_HEAD(&output->waiting, next);
	first->completion.err = err;
	STAILQ_INSERT_TAIL(&output->due, first, next);
}

/* In the order in which they were written. */
bool muster__output_settle(struct muster__output *output, uint64_t sent)
{
	const struct waiting *first;

	if (output == NULL)
		return false;
	while ((first = STAILQ_FIRST(&output->waiting)) != NULL && first->completion.at <= sent)
		make_first_due(output, 0);
	return !STAILQ_EMPTY(&output->due);
}

bool muster__output_fail(struct muster__output *output, int err)
{
	if (output == NULL)
		return false;
	while (!STAILQ_EMPTY(&output->waiting))
		make_first_due(output, err);
	return !STAILQ_EMPTY(&output->due);
}

bool muster__output_take_due(struct muster__output *output, struct muster__completion *completion)
{
	struct waiting *first = output != NULL ? STAILQ_FIRST(&output->due) : NULL;

	if (first == NULL)
		return false;
	STAILQ_REMOVE_HEAD(&output->due, next);
	*completion = first->completion;
	free(first);
	return true;
}

/* ---- the end */

bool muster__output_is_idle(const struct muster__output *output)
{
	return output->queue == NULL && STAILQ_EMPTY(&output->waiting) && STAILQ_EMPTY(&output->due);
}

static void free_all(struct waiters *list)
{
	struct waiting *waiting;

	while ((waiting = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		free(waiting);
	}
}

void muster__output_free(struct muster__output *output)
{
	if (output == NULL)
		return;
	muster__output_drop(output);
	free_all(&output->waiting);
	free_all(&output->due);
	free(output);
}
