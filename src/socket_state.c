/*
 * The state of a socket, and the two decisions that follow from it alone: what its descriptor is watched for, and what is
 * left when it ends. The descriptor leaves epoll before it is closed, since a primary's copy of it may keep the registration
 * alive.
 */
#include "src/socket_state.h"

#include "src/connect.h"
#include "src/fd.h"
#include "src/idle.h"
#include "src/output.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

const struct muster__rare muster__nothing_rare = { 0 };

struct muster__rare *muster__socket_rare(struct muster_socket *socket)
{
	struct muster__rare *rare;

	if (socket->rare != &muster__nothing_rare)
		return socket->rare;
	rare = calloc(1, sizeof *rare);
	if (rare != NULL)
		socket->rare = rare;
	return rare;
}

size_t muster__socket_unsent(const struct muster_socket *socket)
{
	/* What a bufferevent without a descriptor still holds will never be sent. */
	if (socket->rare->bufferevent != NULL)
		return socket->fd < 0 ? 0 : evbuffer_get_length(bufferevent_get_output(socket->rare->bufferevent));
	return muster__output_length(socket->output);
}

/* Borrowed by the user until on_close has returned; without a descriptor it does nothing. */
static void disarm_bufferevent(struct muster_socket *socket)
{
	if (socket->rare->bufferevent == NULL)
		return;
	bufferevent_disable(socket->rare->bufferevent, EV_READ | EV_WRITE);
	bufferevent_setfd(socket->rare->bufferevent, -1);
}

void muster__socket_free_bufferevent(struct muster_socket *socket)
{
	if (socket->rare->bufferevent == NULL)
		return;
	bufferevent_free(socket->rare->bufferevent);
	socket->rare->bufferevent = NULL;
}

void muster__socket_stop_idle(struct muster_socket *socket)
{
	if (socket->rare->idle == NULL)
		return;
	muster__idle_free(socket->rare->idle);
	socket->rare->idle = NULL;
}

/* Nobody will read it again. */
static void drop_unread(struct muster_socket *socket)
{
	if (socket->rare->unread == NULL)
		return;
	evbuffer_free(socket->rare->unread);
	socket->rare->unread = NULL;
}

void muster__socket_let_go(struct muster_socket *socket)
{
	struct muster__owner *owner = socket->owner;

	socket->connected_due = socket->finish_due = false;
	assert(socket->rare != NULL);
	socket->connecting = false;
	muster__connect_stop(socket->rare->connect);
	socket->bytes_written -= muster__socket_unsent(socket);
	disarm_bufferevent(socket);
	muster__output_drop(socket->output);
	if (muster__output_fail(socket->output, MUSTER_EDESTROYED))
		muster__object_wake(&socket->object);
	muster__event_del(socket->object.loop, &socket->read);
	socket->watch = MUSTER__WATCH_NOTHING;
	muster__fd_close(&socket->fd);
	muster__socket_stop_idle(socket);
	drop_unread(socket);
	socket->owner = NULL;
	if (owner != NULL)
		owner->gone(owner, socket);
}

/* It may speak for itself this time. */
static void forget_ends(struct muster_socket *socket)
{
	if (socket->rare->ends == NULL)
		return;
	free(socket->rare->ends);
	socket->rare->ends = NULL;
}

/* A new life: both sides are there, unless the user said otherwise, and nothing of an earlier connection is left. */
void muster__socket_begin(struct muster_socket *socket)
{
	muster__socket_free_bufferevent(socket);
	socket->bytes_read = socket->bytes_written = 0;
	socket->readable = !socket->no_read;
	socket->ended = socket->finished = socket->no_write;
	socket->finish_due = socket->connected_due = false;
	socket->destroyed = socket->destroy_soon = socket->reset_due = socket->had_error = false;
	socket->corked = 0;
	if (socket->rare->error != NULL) {
		free(socket->rare->error);
		socket->rare->error = NULL;
	}
	forget_ends(socket);
	muster__object_open(&socket->object);
}

/* ---- watching */

/*
 * Nothing is being read. A reset ends the socket at once; a plain hang-up (both sides have ended) only when nobody would
 * ever read what may still be waiting.
 */
static void on_hangup(evutil_socket_t fd, short what, void *data)
{
	struct muster_socket *socket = data;
	struct pollfd look = { .fd = fd };
	int err = 0;
	socklen_t length = sizeof err;

	(void)what;
	if (poll(&look, 1, 0) <= 0 || !(look.revents & (POLLERR | POLLHUP)))
		return;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length);
	if (err != 0)
		muster__socket_fail(socket, -err, "read");
	else if (socket->no_read || !MUSTER__HAVE(&socket->on, struct muster_socket_handlers, on_data))
		muster_socket_destroy(socket, 0);
}

bool muster__socket_wants_input(const struct muster_socket *socket)
{
	return socket->fd >= 0 && !socket->destroyed && !socket->connected_due && socket->readable &&
	       socket->rare->bufferevent == NULL && socket->paused == 0 &&
	       MUSTER__HAVE(&socket->on, struct muster_socket_handlers, on_data);
}

/* Nothing is read. Queued output is watched by its own event, and a failure will show there. */
static bool wants_hangup(const struct muster_socket *socket)
{
	return socket->fd >= 0 && !socket->destroyed && !socket->connected_due && socket->rare->bufferevent == NULL &&
	       !muster__output_is_pending(socket->output);
}

static const struct muster__socket_class *class_of(const struct muster_socket *socket)
{
	return MUSTER__CONTAINER(socket->object.class, const struct muster__socket_class, object);
}

static void set_watch(struct muster_socket *socket, enum muster__watch wanted)
{
	struct muster_loop *loop = socket->object.loop;

	if (wanted == socket->watch)
		return;
	muster__event_del(loop, &socket->read);
	socket->watch = (unsigned char)wanted;
	if (wanted == MUSTER__WATCH_NOTHING)
		return;
	/* A hang-up is seen as an edge on the outgoing side: a level would spin, for nothing is read that could clear it. */
	if (wanted == MUSTER__WATCH_INPUT)
		event_assign(&socket->read, loop->base, socket->fd, EV_READ | EV_PERSIST, class_of(socket)->on_input,
			     socket);
	else
		event_assign(&socket->read, loop->base, socket->fd, EV_WRITE | EV_ET | EV_PERSIST, on_hangup, socket);
	if (muster__event_add(loop, &socket->read, NULL) < 0) {
		socket->watch = MUSTER__WATCH_NOTHING;
		muster__socket_fail(socket, -ENOMEM, "epoll_ctl");
	}
}

/*
 * Input is turned on and off at once. The watch for a hang-up waits for the end of the turn: most sockets that stop reading
 * are about to close, and each change is a system call.
 */
void muster__socket_watch(struct muster_socket *socket)
{
	if (muster__socket_wants_input(socket)) {
		set_watch(socket, MUSTER__WATCH_INPUT);
		/* What was given back comes first, and no event tells of it. */
		if (socket->rare->unread != NULL)
			muster__object_wake(&socket->object);
		return;
	}
	if (socket->watch == MUSTER__WATCH_INPUT || muster__output_is_pending(socket->output))
		set_watch(socket, MUSTER__WATCH_NOTHING);
	if (socket->watch == MUSTER__WATCH_NOTHING && wants_hangup(socket))
		muster__object_wake(&socket->object);
}

void muster__socket_ignore_hangup(struct muster_socket *socket)
{
	if (socket->watch == MUSTER__WATCH_HANGUP)
		set_watch(socket, MUSTER__WATCH_NOTHING);
}

void muster__socket_settle_watch(struct muster_socket *socket)
{
	if (!muster__socket_wants_input(socket) && wants_hangup(socket))
		set_watch(socket, MUSTER__WATCH_HANGUP);
	else
		muster__socket_watch(socket);
}

void muster__socket_hold(struct muster_socket *socket, unsigned reason)
{
	socket->paused |= (unsigned char)reason;
	muster__socket_watch(socket);
}

void muster__socket_release(struct muster_socket *socket, unsigned reason)
{
	socket->paused &= (unsigned char)~reason;
	muster__socket_watch(socket);
}

/* ---- the end */

/* Without memory for the error the socket still closes, and says that it had one. */
void muster__socket_fail_with(struct muster_socket *socket, const struct muster_error *error)
{
	struct muster__rare *rare;

	if (socket->destroyed)
		return;
	rare = muster__socket_rare(socket);
	if (rare != NULL && (rare->error = malloc(sizeof *error)) != NULL)
		*rare->error = *error;
	muster_socket_destroy(socket, 0);
	socket->had_error = true;
}

void muster__socket_fail(struct muster_socket *socket, int err, const char *call)
{
	struct muster_error error = { .code = err, .call = call };

	muster__socket_fail_with(socket, &error);
}

void muster_socket_destroy(struct muster_socket *socket, int err)
{
	if (socket->destroyed)
		return;
	if (err < 0) {
		muster__socket_fail(socket, err, NULL);
		return;
	}
	socket->destroyed = true;
	muster__socket_let_go(socket);
	muster__object_close(&socket->object);
}

void muster__socket_finish(struct muster_socket *socket)
{
	socket->finished = socket->finish_due = true;
	/* Closing sends the FIN as well, and it comes next when the peer has ended already. */
	if (socket->readable && !socket->destroy_soon && shutdown(socket->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		muster__socket_fail(socket, -errno, "shutdown");
		return;
	}
	muster__object_wake(&socket->object);
}
