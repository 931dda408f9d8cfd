/*
 * Addresses are tried one after the other, families in turn beginning with that of the first answer, each but the last for a
 * short time: Node's autoSelectFamily. If all fail, the error is that of the first.
 *
 * Each call of the owner may free the way. It goes when nobody up the stack stands in it any more.
 */
#include "src/connect.h"

#include "src/address.h"
#include "src/block_list.h"
#include "src/fd.h"
#include "src/lookup.h"
#include "src/loop.h"
#include "src/resolve.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ATTEMPT_MS 250
#define ATTEMPT_MIN_MS 10 /* Node's, both */
#define FULL_MS 10        /* a UNIX listener's queue is full: when to knock again ... */
#define FULL_TRIES 500    /* ... and how often, as nothing in the kernel waits for it */

struct muster__connect {
	struct muster_loop *loop;
	const struct muster__connect_ops *ops;
	void *owner;
	struct muster__resolve *resolve;
	struct event decided; /* the attempt under way: writable when decided */
	struct event timer;   /* it has had its time, or a full queue may have room */
	int fd;
	bool busy;    /* in a call of the owner */
	bool stopped; /* nothing is told any more */
	bool unowned; /* freed while it was busy */
	bool select;  /* try more than the first address */
	unsigned attempt_ms, full_tries, local_port;
	struct muster__sockaddr local; /* length 0: any */
	struct muster_block_list *block_list;
	size_t count, at, tried;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
	struct muster_error attempts[MUSTER__LOOKUP_MAX];
};

static void drop_attempt(struct muster__connect *way)
{
	muster__event_del(way->loop, &way->decided);
	muster__event_del(way->loop, &way->timer);
	muster__fd_close(&way->fd);
}

void muster__connect_stop(struct muster__connect *way)
{
	if (way == NULL)
		return;
	muster__resolve_cancel(way->resolve);
	way->resolve = NULL;
	drop_attempt(way);
	way->stopped = true;
}

void muster__connect_free(struct muster__connect *way)
{
	if (way == NULL)
		return;
	muster__connect_stop(way);
	muster_block_list_free(way->block_list);
	way->block_list = NULL;
	way->unowned = true;
	if (!way->busy)
		free(way);
}

size_t muster__connect_attempts(const struct muster__connect *way, const struct muster_error **attempts)
{
	bool several = way != NULL && way->tried > 1;

	*attempts = several ? way->attempts : NULL;
	return several ? way->tried : 0;
}

/* ---- telling; false: the owner has stopped the way, which may be gone */

static bool still_there(struct muster__connect *way)
{
	way->busy = false;
	if (!way->unowned)
		return !way->stopped;
	free(way);
	return false;
}

static bool tell_attempt(struct muster__connect *way, enum muster__attempt what)
{
	const struct muster_error *attempt = &way->attempts[way->at];

	way->busy = true;
	way->ops->attempt(way->owner, what, &attempt->address, attempt->code);
	return still_there(way);
}

static bool tell_lookup(struct muster__connect *way, int err, const struct muster_address *address, const char *host)
{
	way->busy = true;
	way->ops->looked_up(way->owner, err, address, host);
	return still_there(way);
}

static void fail(struct muster__connect *way, const struct muster_error *error)
{
	struct muster_error copy = *error;

	muster__connect_stop(way);
	way->busy = true;
	way->ops->failed(way->owner, &copy);
	still_there(way);
}

static void succeed(struct muster__connect *way)
{
	int fd = way->fd;

	muster__event_del(way->loop, &way->decided);
	way->fd = -1;
	muster__connect_stop(way);
	way->busy = true;
	way->ops->made(way->owner, fd);
	still_there(way);
}

/* ---- attempts */

static void try_from(struct muster__connect *way);

/* This address is done with, in vain. */
static void next(struct muster__connect *way, int err, const char *call, enum muster__attempt what)
{
	drop_attempt(way);
	way->attempts[way->at].code = err;
	way->attempts[way->at].call = call;
	if (!tell_attempt(way, what))
		return;
	way->at++;
	try_from(way);
}

static void on_decided(evutil_socket_t fd, short what, void *data)
{
	struct muster__connect *way = data;
	int err = 0;
	socklen_t length = sizeof err;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) < 0)
		err = errno;
	if (err == 0)
		succeed(way);
	else
		next(way, -err, "connect", MUSTER__ATTEMPT_FAILED);
}

/* A port alone is one of every address, in the family that is being tried. */
static int bind_local(const struct muster__connect *way, int family)
{
	struct muster__sockaddr local = way->local;
	int on = 1;

	if (family == AF_UNIX || (local.length == 0 && way->local_port == 0))
		return 0;
	if (local.length == 0)
		muster__sockaddr_ip(&local, family == AF_INET6 ? "::" : "0.0.0.0", way->local_port);
	setsockopt(way->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(way->fd, &local.any, local.length) < 0 ? -errno : 0;
}

/* The attempt is under way: until it is decided, or, if others can be tried, has had its time. */
static int watch(struct muster__connect *way)
{
	struct timeval delay = muster__ms(way->attempt_ms);
	bool is_last = way->at + 1 == way->count;
	int err = muster__event_add(way->loop, &way->decided, NULL);

	return err < 0 || is_last ? err : muster__event_add(way->loop, &way->timer, &delay);
}

/* A connection made at once is told like any other: writable in the next turn. */
static int begin(struct muster__connect *way, const char **call)
{
	const struct muster__sockaddr *address = &way->addresses[way->at];
	int err;

	*call = "connect";
	if (muster__block_list_blocks(way->block_list, &address->any))
		return MUSTER_EBLOCKED;
	way->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (way->fd < 0)
		return -errno;
	event_assign(&way->decided, way->loop->base, way->fd, EV_WRITE | EV_PERSIST, on_decided, way);
	err = bind_local(way, address->any.sa_family);
	if (err < 0) {
		*call = "bind";
		return err;
	}
	if (connect(way->fd, &address->any, address->length) < 0 && errno != EINPROGRESS)
		return -errno;
	return watch(way);
}

/* The kernel lets a TCP client wait for a place in the queue; a UNIX client has to knock again. */
static int wait_for_place(struct muster__connect *way)
{
	struct timeval delay = muster__ms(FULL_MS);

	if (way->addresses[way->at].any.sa_family != AF_UNIX || way->full_tries++ >= FULL_TRIES)
		return -EAGAIN;
	muster__fd_close(&way->fd);
	return muster__event_add(way->loop, &way->timer, &delay);
}

static void attempt(struct muster__connect *way)
{
	const char *call;
	int err = begin(way, &call);

	if (err == -EAGAIN)
		err = wait_for_place(way);
	if (err < 0)
		next(way, err, call, MUSTER__ATTEMPT_FAILED);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__connect *way = data;

	(void)fd, (void)what;
	muster__event_del(way->loop, &way->timer);
	if (way->fd >= 0)
		next(way, -ETIMEDOUT, "connect", MUSTER__ATTEMPT_TIMED_OUT);
	else
		attempt(way);
}

static void try_from(struct muster__connect *way)
{
	const struct muster__sockaddr *address = &way->addresses[way->at];

	if (way->at == way->count) {
		fail(way, &way->attempts[0]);
		return;
	}
	way->tried = way->at + 1;
	muster__address_from(&way->attempts[way->at].address, &address->any, address->length);
	if (tell_attempt(way, MUSTER__ATTEMPT_BEGINS))
		attempt(way);
}

/* ---- addresses */

/* Families in turn, beginning with that of the first. */
static void take_in_turn(struct muster__connect *way, const struct muster__sockaddr *addresses, size_t count)
{
	sa_family_t wanted = addresses[0].any.sa_family;
	bool taken[MUSTER__LOOKUP_MAX] = { false };
	size_t i;

	while (way->count < count) {
		for (i = 0; i < count && (taken[i] || addresses[i].any.sa_family != wanted); i++)
			;
		/* None of that family is left: the others as they come. */
		if (i == count)
			for (i = 0; taken[i]; i++)
				;
		taken[i] = true;
		way->addresses[way->count++] = addresses[i];
		wanted = addresses[i].any.sa_family == AF_INET ? AF_INET6 : AF_INET;
	}
}

static void on_resolved(void *owner, int err, const struct muster__sockaddr *addresses, size_t count, const char *host)
{
	struct muster__connect *way = owner;
	struct muster_error error = { .code = err, .call = "getaddrinfo" };
	struct muster_address address;
	size_t i;

	way->resolve = NULL;
	if (err < 0) {
		muster__address_named(&error.address, 0, host, 0);
		if (tell_lookup(way, err, NULL, host))
			fail(way, &error);
		return;
	}
	if (!way->select)
		count = 1;
	for (i = 0; host != NULL && i < count; i++) {
		muster__address_from(&address, &addresses[i].any, addresses[i].length);
		if (!tell_lookup(way, 0, &address, host))
			return;
	}
	take_in_turn(way, addresses, count);
	try_from(way);
}

/* ---- from the outside */

static unsigned at_least(unsigned ms)
{
	return ms > ATTEMPT_MIN_MS ? ms : ATTEMPT_MIN_MS;
}

/* What is asked for goes before the loop's default; a family or a local address has selected already. */
static bool is_to_select(const struct muster_loop *loop, const struct muster_connect_options *options)
{
	if (options->no_auto_select || options->family != 0 || options->local_address != NULL)
		return false;
	return options->auto_select || !loop->no_auto_select;
}

void muster_loop_set_auto_select(struct muster_loop *loop, bool on)
{
	loop->no_auto_select = !on;
}

bool muster_loop_auto_select(const struct muster_loop *loop)
{
	return !loop->no_auto_select;
}

void muster_loop_set_attempt_timeout(struct muster_loop *loop, unsigned ms)
{
	loop->attempt_ms = ms != 0 ? at_least(ms) : 0;
}

unsigned muster_loop_attempt_timeout(const struct muster_loop *loop)
{
	return loop->attempt_ms != 0 ? loop->attempt_ms : ATTEMPT_MS;
}

int muster__connect_start(struct muster_loop *loop, const struct muster_connect_options *options,
			  const struct muster__connect_ops *ops, void *owner, struct muster__connect **out)
{
	struct muster__connect *way = calloc(1, sizeof *way);
	int err;

	if (way == NULL)
		return -ENOMEM;
	*way = (struct muster__connect){ .loop = loop, .ops = ops, .owner = owner, .fd = -1 };
	way->attempt_ms = options->attempt_timeout_ms != 0 ? at_least(options->attempt_timeout_ms) :
							     muster_loop_attempt_timeout(loop);
	way->select = is_to_select(loop, options);
	event_assign(&way->decided, loop->base, -1, EV_PERSIST, on_decided, way);
	event_assign(&way->timer, loop->base, -1, EV_PERSIST, on_timer, way);
	way->local_port = options->local_port;
	way->block_list = muster__block_list_share(options->block_list);
	err = 0;
	if (options->path == NULL && options->local_address != NULL)
		err = muster__sockaddr_ip(&way->local, options->local_address, options->local_port);
	if (err == 0)
		err = muster__resolve_start(loop, options, on_resolved, way, &way->resolve);
	if (err < 0)
		muster__connect_free(way);
	else
		*out = way;
	return err;
}
