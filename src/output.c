/*
 * The outgoing side of a socket: what the kernel takes goes at once, the rest waits in an evbuffer that exists only while it
 * is needed. Sent with sendmsg and MSG_NOSIGNAL: a library may not assume that its program ignores SIGPIPE, and a
 * bufferevent's writev would raise it.
 *
 * Completions are counted in bytes: one is due when as many have gone to the kernel as had been written when it was asked for.
 */
#include "src/socket.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES 16

struct completion {
	STAILQ_ENTRY(completion) next;
	uint64_t at; /* due when this many bytes have been sent */
	int err;
	muster_written done;
	void *data;
};

STAILQ_HEAD(completions, completion);

struct muster__output {
	struct evbuffer *queue;
	struct event writable;
	bool needs_drain; /* on_drain is owed */
	struct completions waiting, due;
};

static struct muster__output *output_of(struct muster_socket *socket)
{
	struct muster__output *output = socket->output;

	if (output != NULL)
		return output;
	output = calloc(1, sizeof *output);
	if (output == NULL)
		return NULL;
	STAILQ_INIT(&output->waiting);
	STAILQ_INIT(&output->due);
	socket->output = output;
	return output;
}

bool muster__output_is_pending(const struct muster_socket *socket)
{
	return socket->output != NULL && socket->output->queue != NULL;
}

size_t muster__output_length(const struct muster_socket *socket)
{
	return muster__output_is_pending(socket) ? evbuffer_get_length(socket->output->queue) : 0;
}

bool muster_socket_needs_drain(const struct muster_socket *socket)
{
	return socket->output != NULL && socket->output->needs_drain;
}

/* An output without a queue and without completions is not kept. */
static void tidy(struct muster_socket *socket)
{
	struct muster__output *output = socket->output;

	if (output == NULL || output->queue != NULL || !STAILQ_EMPTY(&output->waiting) || !STAILQ_EMPTY(&output->due))
		return;
	free(output);
	socket->output = NULL;
}

static void drop_queue(struct muster_socket *socket)
{
	struct muster__output *output = socket->output;

	if (output == NULL || output->queue == NULL)
		return;
	muster__event_del(socket->object.loop, &output->writable);
	evbuffer_free(output->queue);
	output->queue = NULL;
}

static void make_due(struct muster_socket *socket, struct completion *completion, int err)
{
	completion->err = err;
	STAILQ_INSERT_TAIL(&socket->output->due, completion, next);
	muster__object_wake(&socket->object);
}

/* What has been sent completes, in the order it was written. */
static void settle(struct muster_socket *socket)
{
	uint64_t sent = socket->bytes_written - muster__output_length(socket);
	struct completion *first;

	while (socket->output != NULL && (first = STAILQ_FIRST(&socket->output->waiting)) != NULL && first->at <= sent) {
		STAILQ_REMOVE_HEAD(&socket->output->waiting, next);
		make_due(socket, first, 0);
	}
}

/* All is sent: on_drain if it is owed, then the end if it was asked for. */
static void drained(struct muster_socket *socket)
{
	bool owed = socket->output->needs_drain;

	drop_queue(socket);
	socket->output->needs_drain = false;
	tidy(socket);
	muster__socket_watch(socket);
	if (owed && !socket->ended)
		MUSTER__SOCKET_EMIT(socket, on_drain, socket);
	if (!socket->destroyed && socket->ended && !socket->finished && !muster__output_is_pending(socket))
		muster__socket_finish(socket);
}

/* One sendmsg from the queue. 0, -EAGAIN, or the error of the connection. */
static int send_some(struct muster_socket *socket)
{
	struct evbuffer *queue = socket->output->queue;
	struct evbuffer_iovec pieces[PIECES];
	int count = evbuffer_peek(queue, -1, NULL, pieces, PIECES);
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)(count < PIECES ? count : PIECES) };
	ssize_t sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	evbuffer_drain(queue, (size_t)sent);
	return 0;
}

static void flush(struct muster_socket *socket)
{
	int err = 0;

	while (err == 0 && muster__output_length(socket) > 0)
		err = send_some(socket);
	muster__socket_touch(socket);
	if (err < 0 && err != -EAGAIN) {
		muster__socket_fail(socket, err, "write");
		return;
	}
	settle(socket);
	if (muster__output_length(socket) == 0)
		drained(socket);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	flush(data);
}

/* Before there is a descriptor the queue only waits. */
static int watch_writable(struct muster_socket *socket)
{
	struct muster__output *output = socket->output;

	event_assign(&output->writable, socket->object.loop->base, socket->fd, EV_WRITE | EV_PERSIST, on_writable, socket);
	if (socket->fd < 0)
		return 0;
	/* Pending output replaces the watch for a hang-up: one descriptor, one kind of trigger. */
	muster__socket_watch(socket);
	return muster__event_add(socket->object.loop, &output->writable, NULL);
}

static int queue_bytes(struct muster_socket *socket, const void *bytes, size_t length)
{
	struct muster__output *output = output_of(socket);

	if (output == NULL)
		return -ENOMEM;
	if (output->queue == NULL) {
		output->queue = evbuffer_new();
		if (output->queue == NULL || watch_writable(socket) < 0) {
			drop_queue(socket);
			tidy(socket);
			return -ENOMEM;
		}
	}
	if (evbuffer_add(output->queue, bytes, length) < 0)
		return -ENOMEM;
	if (evbuffer_get_length(output->queue) >= socket->high_water_mark)
		output->needs_drain = true;
	return 0;
}

static int may_write(const struct muster_socket *socket)
{
	if (socket->destroyed)
		return MUSTER_EDESTROYED;
	if (socket->object.life != MUSTER__OPEN)
		return MUSTER_ECLOSED;
	return socket->ended ? MUSTER_EENDED : 0;
}

static bool must_queue(const struct muster_socket *socket)
{
	return socket->connect != NULL || socket->connected_due || muster__output_is_pending(socket);
}

/* How much the kernel took; a failure of the connection is reported by events and takes everything. */
static size_t send_now(struct muster_socket *socket, const void *bytes, size_t length)
{
	ssize_t sent;

	if (must_queue(socket) || length == 0)
		return 0;
	sent = send(socket->fd, bytes, length, MSG_NOSIGNAL);
	if (sent >= 0)
		return (size_t)sent;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	muster__socket_fail(socket, -errno, "write");
	return length;
}

static int write_bytes(struct muster_socket *socket, const void *bytes, size_t length)
{
	size_t sent;
	int err = 0;

	muster__socket_touch(socket);
	sent = send_now(socket, bytes, length);
	if (sent < length)
		err = queue_bytes(socket, (const char *)bytes + sent, length - sent);
	/* Bytes in the kernel cannot be called back: a queue without memory breaks the stream. */
	if (err < 0 && sent > 0) {
		muster__socket_fail(socket, err, "write");
		err = 0;
	}
	if (err == 0)
		socket->bytes_written += length;
	return err;
}

/* Remember `done` before the bytes go, so that a failure of this very write finds it. */
static struct completion *expect(struct muster_socket *socket, size_t length, muster_written done, void *data)
{
	struct completion *completion = calloc(1, sizeof *completion);

	if (completion == NULL || output_of(socket) == NULL) {
		free(completion);
		return NULL;
	}
	completion->at = socket->bytes_written + length;
	completion->done = done;
	completion->data = data;
	STAILQ_INSERT_TAIL(&socket->output->waiting, completion, next);
	return completion;
}

static int write_then(struct muster_socket *socket, const void *bytes, size_t length, muster_written done, void *data)
{
	struct completion *completion = NULL;
	int err;

	if (done != NULL && (completion = expect(socket, length, done, data)) == NULL)
		return -ENOMEM;
	err = write_bytes(socket, bytes, length);
	if (err < 0 && completion != NULL) {
		STAILQ_REMOVE(&socket->output->waiting, completion, completion, next);
		free(completion);
		tidy(socket);
	} else if (!socket->destroyed) {
		settle(socket);
	}
	return err;
}

int muster_socket_write_then(struct muster_socket *socket, const void *bytes, size_t length, muster_written done,
			     void *data)
{
	int err = may_write(socket);

	return err < 0 ? err : write_then(socket, bytes, length, done, data);
}

int muster_socket_write(struct muster_socket *socket, const void *bytes, size_t length)
{
	return muster_socket_write_then(socket, bytes, length, NULL, NULL);
}

int muster_socket_end_then(struct muster_socket *socket, const void *bytes, size_t length, muster_written done,
			   void *data)
{
	int err = may_write(socket);

	if (err == 0)
		err = write_then(socket, bytes, length, done, data);
	if (err < 0 || socket->destroyed)
		return err;
	socket->ended = true;
	if (!must_queue(socket))
		muster__socket_finish(socket);
	return 0;
}

int muster_socket_end(struct muster_socket *socket)
{
	return muster_socket_end_then(socket, NULL, 0, NULL, NULL);
}

int muster_socket_end_with(struct muster_socket *socket, const void *bytes, size_t length)
{
	return muster_socket_end_then(socket, bytes, length, NULL, NULL);
}

void muster__output_start(struct muster_socket *socket)
{
	if (muster__output_is_pending(socket)) {
		if (watch_writable(socket) < 0)
			muster__socket_fail(socket, -ENOMEM, "write");
		else
			flush(socket);
	} else {
		settle(socket);
		if (socket->ended && !socket->finished)
			muster__socket_finish(socket);
	}
}

void muster__output_complete(struct muster_socket *socket)
{
	struct completion *completion;

	while (socket->output != NULL && (completion = STAILQ_FIRST(&socket->output->due)) != NULL) {
		STAILQ_REMOVE_HEAD(&socket->output->due, next);
		completion->done(socket, completion->err, completion->data);
		free(completion);
	}
	tidy(socket);
}

void muster__output_stop(struct muster_socket *socket, int err)
{
	struct completion *completion;

	if (socket->output == NULL)
		return;
	socket->bytes_written -= muster__output_length(socket);
	drop_queue(socket);
	socket->output->needs_drain = false;
	while ((completion = STAILQ_FIRST(&socket->output->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&socket->output->waiting, next);
		make_due(socket, completion, err);
	}
	tidy(socket);
}

static void free_all(struct completions *list)
{
	struct completion *completion;

	while ((completion = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		free(completion);
	}
}

void muster__output_free(struct muster_socket *socket)
{
	if (socket->output == NULL)
		return;
	drop_queue(socket);
	free_all(&socket->output->waiting);
	free_all(&socket->output->due);
	free(socket->output);
	socket->output = NULL;
}
