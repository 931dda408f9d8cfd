/*
 * The outgoing side of a socket: what the kernel takes goes at once, the rest is queued. Completions are counted in bytes: one
 * is due when as many have gone to the kernel as had been written when it was asked for.
 */
#include "src/socket_write.h"

#include "src/encoding.h"
#include "src/idle.h"
#include "src/output.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <sys/socket.h>

/* An output without a queue and without completions is not kept. */
static void tidy(struct muster_socket *socket)
{
	if (socket->output == NULL || !muster__output_is_idle(socket->output))
		return;
	muster__output_free(socket->output);
	socket->output = NULL;
}

/* What has been sent completes; before the connection that is nothing, not even nothing itself. */
static void settle(struct muster_socket *socket)
{
	if (socket->output != NULL && !muster_socket_is_connecting(socket) &&
	    muster__output_settle(socket->output, socket->bytes_written - muster__socket_unsent(socket)))
		muster__object_wake(&socket->object);
}

/* All is sent: on_drain if it is owed, then the end if it was asked for. */
static void drained(struct muster_socket *socket)
{
	bool owed = muster__output_owes_drain(socket->output);

	muster__output_drop(socket->output);
	tidy(socket);
	muster__socket_watch(socket);
	if (owed && !socket->ended)
		MUSTER__SOCKET_EMIT(socket, on_drain, socket);
	if (!socket->destroyed && socket->ended && !socket->finished && !muster__output_is_pending(socket->output))
		muster__socket_finish(socket);
}

static void flush(struct muster_socket *socket)
{
	int err = muster__output_send(socket->output, socket->fd);

	muster__idle_touch(socket->rare->idle);
	if (err < 0 && err != -EAGAIN) {
		muster__socket_fail(socket, err, "write");
		return;
	}
	settle(socket);
	if (muster__output_length(socket->output) == 0)
		drained(socket);
}

static void on_writable(void *owner)
{
	flush(owner);
}

static struct muster__output *output_of(struct muster_socket *socket)
{
	if (socket->output == NULL)
		socket->output = muster__output_new(socket->object.loop, on_writable, socket);
	return socket->output;
}

static int queue_bytes(struct muster_socket *socket, const void *bytes, size_t length)
{
	struct muster__output *output = output_of(socket);

	if (output == NULL)
		return -ENOMEM;
	/* Pending output replaces the watch for a hang-up: libevent merges an edge and a level on one descriptor to an edge. */
	muster__socket_ignore_hangup(socket);
	if (muster__output_queue(output, socket->corked > 0 ? -1 : socket->fd, bytes, length) < 0) {
		muster__socket_watch(socket);
		tidy(socket);
		return -ENOMEM;
	}
	if (muster__output_length(output) >= socket->high_water_mark)
		muster__output_owe_drain(output);
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
	return socket->connecting || socket->connected_due || socket->corked > 0 ||
	       muster__output_is_pending(socket->output) || muster__socket_unsent(socket) > 0;
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

/* The bufferevent counts what is added to it, and sends it when it likes. */
static int write_through(struct muster_socket *socket, const void *bytes, size_t length)
{
	return bufferevent_write(socket->rare->bufferevent, bytes, length) < 0 ? -ENOMEM : 0;
}

static int write_bytes(struct muster_socket *socket, const void *bytes, size_t length)
{
	size_t sent;
	int err = 0;

	muster__idle_touch(socket->rare->idle);
	if (socket->rare->bufferevent != NULL)
		return write_through(socket, bytes, length);
	sent = send_now(socket, bytes, length);
	if (sent < length)
		err = queue_bytes(socket, (const char *)bytes + sent, length - sent);
	/* Bytes in the kernel cannot be called back: a queue without memory breaks the stream. */
	if (err < 0 && sent > 0) {
		muster__socket_fail(socket, err, "write");
		err = 0;
	}
	/* A connection that failed has taken nothing. */
	if (err == 0 && !socket->destroyed)
		socket->bytes_written += length;
	return err;
}

/* `done` is remembered before the bytes go, so that a failure of this very write finds it. */
static int expect(struct muster_socket *socket, size_t length, muster_written done, void *data)
{
	struct muster__completion completion = { .at = socket->bytes_written + length, .done = done, .data = data };

	return output_of(socket) == NULL ? -ENOMEM : muster__output_expect(socket->output, &completion);
}

static int write_then(struct muster_socket *socket, const void *bytes, size_t length, muster_written done, void *data)
{
	int err = done != NULL ? expect(socket, length, done, data) : 0;

	if (err < 0) {
		tidy(socket);
		return err;
	}
	err = write_bytes(socket, bytes, length);
	if (err < 0 && done != NULL) {
		muster__output_forget_last(socket->output);
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

/* Uncorked, all the way: sent at once. What follows from that, on_drain or the end, comes when the descriptor is writable. */
static void let_out(struct muster_socket *socket)
{
	int err;

	socket->corked = 0;
	if (socket->fd < 0 || socket->connected_due || !muster__output_is_pending(socket->output))
		return;
	err = muster__output_send(socket->output, socket->fd);
	if (err == 0 || err == -EAGAIN)
		err = muster__output_watch(socket->output, socket->fd);
	if (err < 0)
		muster__socket_fail(socket, err, "write");
}

void muster_socket_cork(struct muster_socket *socket)
{
	if (socket->corked++ == 0)
		muster__output_unwatch(socket->output);
}

void muster_socket_uncork(struct muster_socket *socket)
{
	if (socket->corked > 0 && --socket->corked == 0)
		let_out(socket);
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
	let_out(socket);
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

int muster_socket_write_encoded_then(struct muster_socket *socket, const char *text, size_t length,
				     enum muster_encoding encoding, muster_written done, void *data)
{
	void *bytes;
	size_t size;
	int err = may_write(socket);

	if (err == 0)
		err = muster__encode(encoding, text, length, &bytes, &size);
	if (err < 0)
		return err;
	err = write_then(socket, bytes, size, done, data);
	free(bytes);
	return err;
}

int muster_socket_write_encoded(struct muster_socket *socket, const char *text, size_t length,
				enum muster_encoding encoding)
{
	return muster_socket_write_encoded_then(socket, text, length, encoding, NULL, NULL);
}

bool muster_socket_needs_drain(const struct muster_socket *socket)
{
	return muster__output_owes_drain(socket->output);
}

void muster__socket_start_writing(struct muster_socket *socket)
{
	if (socket->corked > 0 && muster__output_is_pending(socket->output))
		return;
	if (muster__output_is_pending(socket->output)) {
		if (muster__output_watch(socket->output, socket->fd) < 0)
			muster__socket_fail(socket, -ENOMEM, "write");
		else
			flush(socket);
	} else {
		settle(socket);
		if (socket->ended && !socket->finished)
			muster__socket_finish(socket);
	}
}

void muster__socket_sent(struct muster_socket *socket)
{
	settle(socket);
	if (muster__socket_unsent(socket) == 0 && socket->ended && !socket->finished && !socket->destroyed)
		muster__socket_finish(socket);
}

void muster__socket_complete(struct muster_socket *socket)
{
	struct muster__completion completion;

	while (muster__output_take_due(socket->output, &completion))
		completion.done(socket, completion.err, completion.data);
	tidy(socket);
}
