/*
 * Outgoing connections: look the name up, try its addresses one after the other, hand the descriptor to the socket. The
 * error told is that of the last address tried, with the address.
 */
#include "src/address.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/lookup.h"
#include "src/sized.h"
#include "src/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct muster__connect {
	struct muster_socket *socket;
	struct muster__lookup *lookup;
	struct event made; /* the attempt under way: writable when decided */
	int fd;
	char *host;
	size_t count, at;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
};

static void connect_free(struct muster__connect *connect)
{
	struct muster_loop *loop = connect->socket->object.loop;

	muster__lookup_cancel(connect->lookup);
	muster__event_del(loop, &connect->made);
	muster__fd_close(&connect->fd);
	free(connect->host);
	free(connect);
}

void muster__connect_cancel(struct muster_socket *socket)
{
	struct muster__connect *connect = socket->connect;

	socket->connect = NULL;
	if (connect != NULL)
		connect_free(connect);
}

static void try_next(struct muster__connect *connect, int err);

static void succeed(struct muster__connect *connect)
{
	struct muster_socket *socket = connect->socket;
	int fd = connect->fd;

	muster__event_del(socket->object.loop, &connect->made);
	connect->fd = -1;
	muster__connect_cancel(socket);
	muster__socket_connected(socket, fd);
}

static void fail(struct muster__connect *connect, int err)
{
	struct muster_socket *socket = connect->socket;
	struct muster__sockaddr *last = &connect->addresses[connect->count - 1];
	struct muster_address address;

	muster__address_from(&address, &last->any, last->length);
	muster__socket_fail_at(socket, err, "connect", &address);
}

static void on_decided(evutil_socket_t fd, short what, void *data)
{
	struct muster__connect *connect = data;
	int err = 0;
	socklen_t length = sizeof err;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		err = errno;
	if (err == 0) {
		succeed(connect);
		return;
	}
	muster__event_del(connect->socket->object.loop, &connect->made);
	muster__fd_close(&connect->fd);
	try_next(connect, -err);
}

/* 0: decided or under way. */
static int attempt(struct muster__connect *way, const struct muster__sockaddr *address)
{
	struct muster_loop *loop = way->socket->object.loop;
	int err = 0;

	way->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (way->fd < 0)
		return -errno;
	event_assign(&way->made, loop->base, way->fd, EV_WRITE | EV_PERSIST, on_decided, way);
	if (connect(way->fd, &address->any, address->length) < 0 && errno != EINPROGRESS)
		err = -errno;
	/* A connection made at once is told the same way: writable in the next turn. */
	if (err == 0)
		err = muster__event_add(loop, &way->made, NULL);
	if (err < 0)
		muster__fd_close(&way->fd);
	return err;
}

static void try_next(struct muster__connect *connect, int err)
{
	while (connect->at < connect->count) {
		err = attempt(connect, &connect->addresses[connect->at++]);
		if (err == 0)
			return;
	}
	fail(connect, err);
}

static void tell_lookup(struct muster_socket *socket, const struct muster__sockaddr *address, const char *host)
{
	struct muster_address text;

	muster__address_from(&text, &address->any, address->length);
	MUSTER__SOCKET_EMIT(socket, on_lookup, socket, 0, &text, host);
}

static void on_looked_up(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__connect *connect = data;
	struct muster_socket *socket = connect->socket;
	struct muster_address named;
	size_t i;

	connect->lookup = NULL;
	muster__socket_touch(socket);
	if (err < 0) {
		muster__address_named(&named, 0, connect->host, 0);
		MUSTER__SOCKET_EMIT(socket, on_lookup, socket, err, NULL, connect->host);
		muster__socket_fail_at(socket, err, "getaddrinfo", &named);
		return;
	}
	memcpy(connect->addresses, addresses, count * sizeof *addresses);
	connect->count = count;
	for (i = 0; i < count && socket->connect == connect; i++)
		tell_lookup(socket, &addresses[i], connect->host);
	if (socket->connect == connect)
		try_next(connect, 0);
}

/* A literal or a path: tried at the end of the turn, so that nothing is told from inside the call. */
static void on_literal(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__connect *connect = data;

	(void)err, (void)addresses, (void)count;
	connect->lookup = NULL;
	try_next(connect, 0);
}

static int fill_target(struct muster__connect *connect, const struct muster_connect_options *options, bool *is_name)
{
	const char *host = options->host != NULL ? options->host : "localhost";
	struct muster__sockaddr *first = &connect->addresses[0];

	*is_name = false;
	connect->count = 1;
	if (options->port > 65535 || (options->port == 0 && options->path == NULL))
		return -EINVAL;
	if (options->port == 0)
		return muster__sockaddr_path(first, options->path);
	if (muster_is_ip(host))
		return muster__sockaddr_ip(first, host, options->port);
	*is_name = true;
	connect->host = strdup(host);
	return connect->host != NULL ? 0 : -ENOMEM;
}

static struct muster__connect *connect_new(struct muster_socket *socket)
{
	struct muster__connect *connect = calloc(1, sizeof *connect);

	if (connect == NULL)
		return NULL;
	connect->socket = socket;
	connect->fd = -1;
	return connect;
}

static int may_connect(const struct muster_socket *socket)
{
	if (socket->object.loop->freeing)
		return MUSTER_ECLOSED;
	if (socket->connect != NULL)
		return -EALREADY;
	return socket->object.life == MUSTER__OPEN ? -EISCONN : 0;
}

static int start(struct muster__connect *connect, const struct muster_connect_options *options)
{
	struct muster_loop *loop = connect->socket->object.loop;
	bool is_name;
	int err = fill_target(connect, options, &is_name);

	if (err < 0)
		return err;
	if (is_name)
		return muster__lookup_start(loop, connect->host, options->port, options->family, on_looked_up, connect,
					    &connect->lookup);
	return muster__lookup_nothing(loop, on_literal, connect, &connect->lookup);
}

int muster_socket_connect_sized(struct muster_socket *socket, const struct muster_connect_options *options, size_t size)
{
	struct muster_connect_options mine;
	struct muster__connect *connect;
	int err = muster__sized_copy(&mine, sizeof mine, options, size);

	if (err == 0)
		err = may_connect(socket);
	if (err < 0)
		return err;
	connect = connect_new(socket);
	if (connect == NULL)
		return -ENOMEM;
	err = start(connect, &mine);
	if (err < 0) {
		connect_free(connect);
		return err;
	}
	socket->connect = connect;
	muster__socket_begin(socket);
	if (mine.timeout_ms != 0)
		err = muster_socket_set_timeout(socket, mine.timeout_ms);
	return err;
}

struct muster_socket *muster_connect_sized(struct muster_loop *loop, const struct muster_connect_options *options,
					   size_t size, const struct muster_socket_handlers *handlers,
					   size_t handlers_size, void *data)
{
	struct muster_socket *socket = muster_socket_new(loop, NULL);
	int err;

	if (socket == NULL)
		return NULL;
	err = handlers != NULL ? muster_socket_on_sized(socket, handlers, handlers_size, data) : 0;
	if (err == 0)
		err = muster_socket_connect_sized(socket, options, size);
	if (err == 0)
		return socket;
	muster__object_discard(&socket->object);
	return muster__no_object(err);
}
