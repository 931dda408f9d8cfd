/*
 * One address after the other; the error told is that of the last one, with the address. A way that is cancelled while it
 * calls its owner is freed at once, so each call is the last thing a function does, or is followed by a look.
 */
#include "src/connect.h"

#include "src/address.h"
#include "src/fd.h"
#include "src/lookup.h"
#include "src/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct muster__connect {
	struct muster_loop *loop;
	const struct muster__connect_ops *ops;
	void *owner;
	struct muster__lookup *lookup;
	struct event decided; /* the attempt under way: writable when decided */
	int fd;
	bool *cancelled; /* where somebody up the stack looks */
	char *host;
	size_t count, at;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
};

void muster__connect_cancel(struct muster__connect *way)
{
	if (way == NULL)
		return;
	if (way->cancelled != NULL)
		*way->cancelled = true;
	muster__lookup_cancel(way->lookup);
	muster__event_del(way->loop, &way->decided);
	muster__fd_close(&way->fd);
	free(way->host);
	free(way);
}

/* ---- attempts */

static void fail(struct muster__connect *way, int err, const char *call, const struct muster_address *address)
{
	struct muster_error error = { .code = err, .call = call, .address = *address };
	const struct muster__connect_ops *ops = way->ops;
	void *owner = way->owner;

	muster__connect_cancel(way);
	ops->failed(owner, &error);
}

static void succeed(struct muster__connect *way)
{
	const struct muster__connect_ops *ops = way->ops;
	void *owner = way->owner;
	int fd = way->fd;

	muster__event_del(way->loop, &way->decided);
	way->fd = -1;
	muster__connect_cancel(way);
	ops->made(owner, fd);
}

static void try_next(struct muster__connect *way, int err);

static void on_decided(evutil_socket_t fd, short what, void *data)
{
	struct muster__connect *way = data;
	int err = 0;
	socklen_t length = sizeof err;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		err = errno;
	if (err == 0) {
		succeed(way);
		return;
	}
	muster__event_del(way->loop, &way->decided);
	muster__fd_close(&way->fd);
	try_next(way, -err);
}

/* 0: decided or under way. A connection made at once is told the same way, writable in the next turn. */
static int attempt(struct muster__connect *way, const struct muster__sockaddr *address)
{
	int err = 0;

	way->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (way->fd < 0)
		return -errno;
	event_assign(&way->decided, way->loop->base, way->fd, EV_WRITE | EV_PERSIST, on_decided, way);
	if (connect(way->fd, &address->any, address->length) < 0 && errno != EINPROGRESS)
		err = -errno;
	if (err == 0)
		err = muster__event_add(way->loop, &way->decided, NULL);
	if (err < 0)
		muster__fd_close(&way->fd);
	return err;
}

static void try_next(struct muster__connect *way, int err)
{
	const struct muster__sockaddr *last = &way->addresses[way->count - 1];
	struct muster_address address;

	while (way->at < way->count) {
		err = attempt(way, &way->addresses[way->at++]);
		if (err == 0)
			return;
	}
	muster__address_from(&address, &last->any, last->length);
	fail(way, err, "connect", &address);
}

/* ---- the name */

/* False: the owner has cancelled. */
static bool tell_lookup(struct muster__connect *way, int err, const struct muster_address *address)
{
	bool cancelled = false;

	way->cancelled = &cancelled;
	way->ops->looked_up(way->owner, err, address, way->host);
	if (!cancelled)
		way->cancelled = NULL;
	return !cancelled;
}

static bool tell_all(struct muster__connect *way)
{
	struct muster_address address;
	size_t i;

	for (i = 0; i < way->count; i++) {
		muster__address_from(&address, &way->addresses[i].any, way->addresses[i].length);
		if (!tell_lookup(way, 0, &address))
			return false;
	}
	return true;
}

static void on_looked_up(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__connect *way = data;
	struct muster_address named;

	way->lookup = NULL;
	if (err < 0) {
		muster__address_named(&named, 0, way->host, 0);
		if (tell_lookup(way, err, NULL))
			fail(way, err, "getaddrinfo", &named);
		return;
	}
	memcpy(way->addresses, addresses, count * sizeof *addresses);
	way->count = count;
	if (tell_all(way))
		try_next(way, 0);
}

/* A literal or a path: tried at the end of the turn, so that nothing is told from inside the call. */
static void on_literal(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__connect *way = data;

	(void)err, (void)addresses, (void)count;
	way->lookup = NULL;
	try_next(way, 0);
}

static int fill_target(struct muster__connect *way, const struct muster_connect_options *options)
{
	const char *host = options->host != NULL ? options->host : "localhost";

	way->count = 1;
	if (options->port > 65535 || (options->port == 0 && options->path == NULL))
		return -EINVAL;
	if (options->port == 0)
		return muster__sockaddr_path(&way->addresses[0], options->path);
	if (muster_is_ip(host))
		return muster__sockaddr_ip(&way->addresses[0], host, options->port);
	way->host = strdup(host);
	return way->host != NULL ? 0 : -ENOMEM;
}

int muster__connect_start(struct muster_loop *loop, const struct muster_connect_options *options,
			  const struct muster__connect_ops *ops, void *owner, struct muster__connect **out)
{
	struct muster__connect *way = calloc(1, sizeof *way);
	int err;

	if (way == NULL)
		return -ENOMEM;
	way->loop = loop;
	way->ops = ops;
	way->owner = owner;
	way->fd = -1;
	err = fill_target(way, options);
	if (err == 0 && way->host != NULL)
		err = muster__lookup_start(loop, way->host, options->port, options->family, on_looked_up, way,
					   &way->lookup);
	else if (err == 0)
		err = muster__lookup_nothing(loop, on_literal, way, &way->lookup);
	if (err < 0)
		muster__connect_cancel(way);
	else
		*out = way;
	return err;
}
