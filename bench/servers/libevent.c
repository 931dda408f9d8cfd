/*
 * bench-libevent: what one gets from libevent in the plain way: workers that share a listener, an evconnlistener each,
 * and a bufferevent per connection. It does not pass connections, so it takes "shared" only.
 */
#include "bench/servers/prefork.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1024 * 1024 };

static void on_read(struct bufferevent *connection, void *data)
{
	struct evbuffer *output = bufferevent_get_output(connection);

	(void)data;
	evbuffer_add_buffer(output, bufferevent_get_input(connection));
	/* A client that does not read must not fill the memory. */
	if (evbuffer_get_length(output) > OUTPUT_MAX)
		bufferevent_disable(connection, EV_READ);
}

static void on_write(struct bufferevent *connection, void *data)
{
	(void)data;
	if ((bufferevent_get_enabled(connection) & EV_READ) == 0)
		bufferevent_enable(connection, EV_READ);
}

static void on_event(struct bufferevent *connection, short what, void *data)
{
	(void)data;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int length,
		      void *data)
{
	struct event_base *base = evconnlistener_get_base(listener);
	struct bufferevent *connection = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)peer;
	(void)length;
	(void)data;
	if (connection == NULL) {
		close(fd);
		return;
	}
	bufferevent_setcb(connection, on_read, on_write, on_event, NULL);
	bufferevent_enable(connection, EV_READ | EV_WRITE);
}

static void work(void *data)
{
	int fd = *(const int *)data;
	struct event_base *base = event_base_new();
	unsigned flags = LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE;

	if (base == NULL || evconnlistener_new(base, on_accept, NULL, flags, 0, fd) == NULL)
		prefork_die("libevent");
	event_base_dispatch(base);
}

int main(int argc, char **argv)
{
	struct prefork prefork;
	int listener;

	if (prefork_parse(&prefork, argc, argv) != 0)
		return 2;
	listener = prefork.is_shared ? prefork_listen(&prefork) : -ENOTSUP;
	if (listener < 0) {
		fprintf(stderr, "bench-libevent: %s\n", strerror(-listener));
		return 1;
	}
	for (int i = 0; i < prefork.workers; i++)
		if (prefork_worker(work, &listener) != 0)
			prefork_die("fork");
	for (;;)
		pause();
}
