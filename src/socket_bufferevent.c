/*
 * A place for existing bufferevent code: the descriptor stays the socket's, the bufferevent does the input and output, and
 * the socket counts what passes through its buffers.
 */
#include "src/error.h"
#include "src/idle.h"
#include "src/output.h"
#include "src/socket_write.h"
#include "src/unread.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *data)
{
	struct muster_socket *socket = data;

	(void)buffer;
	socket->bytes_read += info->n_added;
	if (info->n_added > 0)
		muster__idle_touch(socket->rare->idle);
}

static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *data)
{
	struct muster_socket *socket = data;

	(void)buffer;
	if (socket->destroyed)
		return;
	socket->bytes_written += info->n_added;
	muster__idle_touch(socket->rare->idle);
	if (info->n_deleted > 0)
		muster__socket_sent(socket);
}

static int count_bytes(struct muster_socket *socket, struct bufferevent *bufferevent)
{
	struct evbuffer *in = bufferevent_get_input(bufferevent), *out = bufferevent_get_output(bufferevent);

	if (evbuffer_add_cb(in, on_input, socket) == NULL || evbuffer_add_cb(out, on_output, socket) == NULL)
		return -ENOMEM;
	return 0;
}

/* It has been counted, too. */
static void move_unread(struct muster_socket *socket, struct bufferevent *bufferevent)
{
	struct evbuffer *unread = muster__unread_take(socket);

	if (unread == NULL)
		return;
	evbuffer_add_buffer(bufferevent_get_input(bufferevent), unread);
	evbuffer_free(unread);
}

struct bufferevent *muster_socket_bufferevent(struct muster_socket *socket)
{
	struct bufferevent *bufferevent;

	if (socket->rare->bufferevent != NULL)
		return socket->rare->bufferevent;
	if (socket->fd < 0 || socket->connected_due || socket->destroyed)
		return muster__no_object(-ENOTCONN);
	bufferevent =
		muster__socket_rare(socket) != NULL ? bufferevent_socket_new(socket->object.loop->base, -1, 0) : NULL;
	if (bufferevent == NULL)
		return muster__no_object(-ENOMEM);
	/* One watch of the descriptor at a time; what was queued has been counted already. */
	socket->rare->bufferevent = bufferevent;
	muster__socket_watch(socket);
	muster__socket_ignore_hangup(socket);
	bufferevent_setfd(bufferevent, socket->fd);
	muster__output_move(socket->output, bufferevent_get_output(bufferevent));
	move_unread(socket, bufferevent);
	if (count_bytes(socket, bufferevent) == 0)
		return bufferevent;
	muster__socket_fail(socket, -ENOMEM, "bufferevent");
	return muster__no_object(-ENOMEM);
}
