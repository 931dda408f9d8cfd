/* Node's unshift. It is held in an evbuffer, since who gives back twice wants the second before the first. */
#include "src/unread.h"

#include "src/socket_state.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

static struct evbuffer *buffer_of(const struct muster_socket *socket)
{
	struct bufferevent *bufferevent = socket->rare->bufferevent;

	return bufferevent != NULL ? bufferevent_get_input(bufferevent) : socket->rare->unread;
}

int muster__unread_peek(const struct muster_socket *socket, const char **bytes, size_t *length)
{
	struct evbuffer *buffer = buffer_of(socket);

	*length = buffer != NULL ? evbuffer_get_length(buffer) : 0;
	*bytes = *length > 0 ? (const char *)evbuffer_pullup(buffer, -1) : NULL;
	return *length > 0 && *bytes == NULL ? -ENOMEM : 0;
}

struct evbuffer *muster__unread_take(struct muster_socket *socket)
{
	struct evbuffer *unread = socket->rare->unread;

	if (unread != NULL)
		socket->rare->unread = NULL;
	return unread;
}

void muster__unread_put_back(struct muster_socket *socket, struct evbuffer *unread)
{
	socket->rare->unread = unread;
}

static int prepend(struct evbuffer *buffer, const void *bytes, size_t length)
{
	return buffer == NULL || evbuffer_prepend(buffer, bytes, length) < 0 ? -ENOMEM : 0;
}

/* What comes into its input is counted there; this has been counted, if ever it was read. */
static int prepend_to(struct muster_socket *socket, struct bufferevent *bufferevent, const void *bytes, size_t length)
{
	uint64_t read = socket->bytes_read;
	int err = prepend(bufferevent_get_input(bufferevent), bytes, length);

	socket->bytes_read = read;
	return err;
}

int muster_socket_unshift(struct muster_socket *socket, const void *bytes, size_t length)
{
	struct muster__rare *rare;
	struct evbuffer *unread;

	if (socket->fd < 0 || socket->destroyed)
		return MUSTER_EDESTROYED;
	if (length == 0)
		return 0;
	if (socket->rare->bufferevent != NULL)
		return prepend_to(socket, socket->rare->bufferevent, bytes, length);
	rare = muster__socket_rare(socket);
	if (rare == NULL)
		return -ENOMEM;
	unread = rare->unread != NULL ? rare->unread : evbuffer_new();
	if (prepend(unread, bytes, length) < 0) {
		if (unread != NULL && rare->unread == NULL)
			evbuffer_free(unread);
		return -ENOMEM;
	}
	rare->unread = unread;
	muster__object_wake(&socket->object);
	return 0;
}
