/* rate_limit.c - libevent's tools on a socket: what you say, in capitals, at 1 MB/s and no faster: rate_limit [PORT] */
#include <muster/muster.h>

#include <ctype.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct ev_token_bucket_cfg *limit;

static enum bufferevent_filter_result capitals(struct evbuffer *from, struct evbuffer *to, ev_ssize_t most,
					       enum bufferevent_flush_mode mode, void *data)
{
	size_t i, length = evbuffer_get_length(from);
	unsigned char *bytes = evbuffer_pullup(from, -1);

	(void)most, (void)mode, (void)data;
	for (i = 0; i < length && bytes != NULL; i++)
		bytes[i] = (unsigned char)toupper(bytes[i]);
	return evbuffer_remove_buffer(from, to, length) < 0 ? BEV_ERROR : BEV_OK;
}

/* What the socket is too full for waits in the filter, and meanwhile no more is read. */
static void on_progress(struct bufferevent *filter, void *socket)
{
	(void)socket;
	bufferevent_write_buffer(filter, bufferevent_get_input(filter));
	if (evbuffer_get_length(bufferevent_get_output(filter)) > 0)
		bufferevent_disable(filter, EV_READ);
	else
		bufferevent_enable(filter, EV_READ);
}

/* An end is read when the filter is empty: what is left is with the socket, which sends it. */
static void on_event(struct bufferevent *filter, short what, void *socket)
{
	(void)filter;
	if (what & BEV_EVENT_EOF)
		muster_socket_destroy_soon(socket);
	else if (what & BEV_EVENT_ERROR)
		muster_socket_destroy(socket, 0);
}

static void on_close(struct muster_socket *socket, bool had_error, void *filter)
{
	(void)socket, (void)had_error;
	bufferevent_free(filter);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_close = on_close };
	struct bufferevent *under = muster_socket_bufferevent(socket), *filter = NULL;

	(void)server, (void)data;
	if (under != NULL && bufferevent_set_rate_limit(under, limit) == 0)
		filter = bufferevent_filter_new(under, capitals, NULL, 0, NULL, NULL);
	if (filter == NULL || muster_socket_on(socket, &on, filter) < 0) {
		muster_socket_destroy(socket, 0);
		return;
	}
	bufferevent_setwatermark(under, EV_WRITE, 0, 64 * 1024);
	bufferevent_setcb(filter, on_progress, on_progress, on_event, socket);
	bufferevent_enable(filter, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
	/* There is no on_error: the library logs why it cannot listen. */
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_listen_options here = { .port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7000 };
	struct muster_loop *loop = muster_loop_new();
	struct muster_server *server = loop ? muster_server_new(loop, NULL) : NULL;
	struct muster_address address;

	signal(SIGPIPE, SIG_IGN); /* libevent's writes may raise it */
	limit = ev_token_bucket_cfg_new(100 << 10, 100 << 10, 100 << 10, 100 << 10,
					&(struct timeval){ .tv_usec = 100000 });
	if (limit != NULL && server != NULL && muster_server_on(server, &on, NULL) == 0 &&
	    muster_server_listen(server, &here) == 0) {
		if (muster_server_address(server, &address) == 0)
			printf("listening on port %u\n", address.port);
		fflush(stdout);
		muster_loop_run(loop); /* until nothing listens any more */
	}
	muster_loop_free(loop);
	ev_token_bucket_cfg_free(limit);
	return EXIT_FAILURE;
}
