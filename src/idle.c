/*
 * The idle time-out of a socket. Traffic only writes down the time; the timer looks at it when it fires and sleeps for the
 * rest. After it has told once it stays quiet until the next traffic, as in Node, and it never keeps the loop running.
 */
#include "src/log.h"
#include "src/socket.h"

#include <errno.h>
#include <stdlib.h>

struct muster__idle {
	struct event timer;
	uint64_t last_ms;
	unsigned ms;
	bool told;
};

static void arm(struct muster_socket *socket, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	muster__event_add(socket->object.loop, &socket->idle->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster_socket *socket = data;
	struct muster__idle *idle = socket->idle;
	uint64_t idle_ms = muster__now_ms() - idle->last_ms;

	(void)fd, (void)what;
	muster__event_del(socket->object.loop, &idle->timer);
	/* The coarse clock may lag by one tick. */
	if (idle_ms + 4 < idle->ms) {
		arm(socket, idle->ms - (unsigned)idle_ms);
		return;
	}
	idle->told = true;
	MUSTER__SOCKET_EMIT(socket, on_timeout, socket);
}

int muster_socket_set_timeout(struct muster_socket *socket, unsigned ms)
{
	muster__idle_free(socket);
	if (ms == 0 || socket->destroyed)
		return 0;
	socket->idle = calloc(1, sizeof *socket->idle);
	if (socket->idle == NULL)
		return -ENOMEM;
	event_assign(&socket->idle->timer, socket->object.loop->base, -1, EV_PERSIST, on_timer, socket);
	socket->idle->ms = ms;
	socket->idle->last_ms = muster__now_ms();
	arm(socket, ms);
	return 0;
}

void muster__socket_touch(struct muster_socket *socket)
{
	struct muster__idle *idle = socket->idle;

	if (idle == NULL)
		return;
	idle->last_ms = muster__now_ms();
	if (idle->told) {
		idle->told = false;
		arm(socket, idle->ms);
	}
}

void muster__idle_free(struct muster_socket *socket)
{
	if (socket->idle == NULL)
		return;
	muster__event_del(socket->object.loop, &socket->idle->timer);
	free(socket->idle);
	socket->idle = NULL;
}
