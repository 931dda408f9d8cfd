/*
 * bench-libuv: libuv's own handle passing. The primary accepts and sends each connection to the next worker with
 * uv_write2; the worker takes it with uv_accept and echoes. Written the way libuv's documentation does it, so a
 * connection is closed by the primary as soon as it is sent: nobody answers for it, and one that is on its way to a
 * worker that dies is lost. It passes connections, so it takes "hand-over" only.
 */
#include "bench/servers/prefork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 4096, READ_SIZE = 64 * 1024, OUTPUT_MAX = 1024 * 1024 };

static void check(int error, const char *call)
{
	if (error == 0)
		return;
	errno = -error;
	prefork_die(call);
}

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL)
		prefork_die("malloc");
	return memory;
}

static void on_close(uv_handle_t *handle)
{
	free(handle);
}

/* ---- The worker. */

struct output {
	uv_write_t request;
	char bytes[];
};

static char buffer[READ_SIZE];

static void on_allocate(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
	(void)handle;
	(void)wanted;
	*out = uv_buf_init(buffer, sizeof(buffer));
}

static void on_read(uv_stream_t *connection, ssize_t length, const uv_buf_t *in);

static void on_written(uv_write_t *request, int status)
{
	uv_stream_t *connection = request->handle;

	free(request);
	if (status == 0 && !uv_is_closing((uv_handle_t *)connection) && connection->write_queue_size == 0)
		uv_read_start(connection, on_allocate, on_read);
}

static void write_rest(uv_stream_t *connection, const char *bytes, size_t length)
{
	struct output *output = allocate(sizeof(*output) + length);
	uv_buf_t part = uv_buf_init(output->bytes, (unsigned)length);

	memcpy(output->bytes, bytes, length);
	if (uv_write(&output->request, connection, &part, 1, on_written) != 0)
		free(output);
	/* A client that does not read must not fill the memory. */
	if (connection->write_queue_size > OUTPUT_MAX)
		uv_read_stop(connection);
}

static void on_read(uv_stream_t *connection, ssize_t length, const uv_buf_t *in)
{
	uv_buf_t part = uv_buf_init(in->base, length > 0 ? (unsigned)length : 0);
	int sent = 0;

	if (length < 0) {
		uv_close((uv_handle_t *)connection, on_close);
		return;
	}
	if (length > 0 && connection->write_queue_size == 0)
		sent = uv_try_write(connection, &part, 1);
	if (sent < 0)
		sent = 0;
	if (sent < length)
		write_rest(connection, in->base + sent, (size_t)(length - sent));
}

static void take_one(uv_pipe_t *channel)
{
	uv_tcp_t *connection = allocate(sizeof(*connection));

	check(uv_tcp_init(channel->loop, connection), "uv_tcp_init");
	check(uv_accept((uv_stream_t *)channel, (uv_stream_t *)connection), "uv_accept");
	check(uv_read_start((uv_stream_t *)connection, on_allocate, on_read), "uv_read_start");
}

static void on_channel(uv_stream_t *channel, ssize_t length, const uv_buf_t *in)
{
	(void)in;
	if (length < 0) {
		errno = (int)-length;
		prefork_die("the primary has gone");
	}
	while (uv_pipe_pending_count((uv_pipe_t *)channel) > 0)
		take_one((uv_pipe_t *)channel);
}

static void channel_init(uv_loop_t *loop, uv_pipe_t *channel, int fd)
{
	check(uv_pipe_init(loop, channel, 1), "uv_pipe_init");
	check(uv_pipe_open(channel, fd), "uv_pipe_open");
}

static void work(void *data)
{
	uv_loop_t loop;
	uv_pipe_t channel;

	check(uv_loop_init(&loop), "uv_loop_init");
	channel_init(&loop, &channel, *(const int *)data);
	check(uv_read_start((uv_stream_t *)&channel, on_allocate, on_channel), "uv_read_start");
	uv_run(&loop, UV_RUN_DEFAULT);
}

/* ---- The primary. */

struct sending {
	uv_write_t request;
	uv_tcp_t connection;
};

static uv_pipe_t channels[PREFORK_WORKERS_MAX];
static int workers, next;

static void on_connection_closed(uv_handle_t *connection)
{
	free(connection->data);
}

static void on_sent(uv_write_t *request, int status)
{
	struct sending *sending = request->data;

	check(status, "uv_write2");
	uv_close((uv_handle_t *)&sending->connection, on_connection_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
	static char byte[] = "c";
	struct sending *sending;
	uv_buf_t part = uv_buf_init(byte, 1);

	if (status < 0)
		return;
	sending = allocate(sizeof(*sending));
	sending->request.data = sending->connection.data = sending;
	check(uv_tcp_init(listener->loop, &sending->connection), "uv_tcp_init");
	check(uv_accept(listener, (uv_stream_t *)&sending->connection), "uv_accept");
	check(uv_write2(&sending->request, (uv_stream_t *)&channels[next], &part, 1,
			(uv_stream_t *)&sending->connection, on_sent),
	      "uv_write2");
	next = (next + 1) % workers;
}

static void fork_workers(int *ends)
{
	for (int i = 0; i < workers; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0 ||
		    prefork_worker(work, &pair[1]) != 0)
			prefork_die("fork");
		close(pair[1]);
		ends[i] = pair[0];
	}
}

int main(int argc, char **argv)
{
	struct prefork prefork;
	int ends[PREFORK_WORKERS_MAX], fd;
	uv_tcp_t listener;
	uv_loop_t loop;

	if (prefork_parse(&prefork, argc, argv) != 0)
		return 2;
	fd = prefork.is_shared ? -ENOTSUP : prefork_listen(&prefork);
	if (fd < 0) {
		fprintf(stderr, "bench-libuv: %s\n", strerror(-fd));
		return 1;
	}
	workers = prefork.workers;
	/* Before there is a loop: one does not survive a fork. */
	fork_workers(ends);
	check(uv_loop_init(&loop), "uv_loop_init");
	for (int i = 0; i < workers; i++)
		channel_init(&loop, &channels[i], ends[i]);
	check(uv_tcp_init(&loop, &listener), "uv_tcp_init");
	check(uv_tcp_open(&listener, fd), "uv_tcp_open");
	check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "uv_listen");
	return uv_run(&loop, UV_RUN_DEFAULT);
}
