/* One line per event. */
#include "tests/support/counts.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void order_add(char *order, size_t size, const char *word)
{
	const char *last = strrchr(order, ' ');
	size_t used = strlen(order);

	last = last != NULL ? last + 1 : order;
	if (strcmp(last, word) != 0)
		snprintf(order + used, size - used, "%s%s", used > 0 ? " " : "", word);
}

#define COUNT(event)                                                                                                   \
	do {                                                                                                           \
		counts->event++;                                                                                       \
		order_add(counts->order, sizeof counts->order, #event);                                                \
	} while (0)

static void on_lookup(struct muster_socket *socket, int err, const struct muster_address *address, const char *host,
		      void *data)
{
	struct socket_counts *counts = data;

	(void)socket, (void)err, (void)address, (void)host;
	COUNT(lookup);
}

static void on_connect(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(connect);
}

static void on_ready(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(ready);
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct socket_counts *counts = data;
	size_t room = sizeof counts->bytes - 1 > counts->length ? sizeof counts->bytes - 1 - counts->length : 0;

	(void)socket;
	if (room > 0)
		memcpy(counts->bytes + counts->length, bytes, length < room ? length : room);
	counts->length += length;
	COUNT(data);
}

static void on_end(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(end);
}

static void on_drain(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(drain);
}

static void on_finish(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(finish);
}

static void on_timeout(struct muster_socket *socket, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	COUNT(timeout);
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	counts->last_error = *error;
	COUNT(error);
}

static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	struct socket_counts *counts = data;

	(void)socket;
	counts->bad_close += had_error;
	COUNT(close);
}

const struct muster_socket_handlers counting_socket = {
	.on_lookup = on_lookup,
	.on_connect = on_connect,
	.on_ready = on_ready,
	.on_data = on_data,
	.on_end = on_end,
	.on_drain = on_drain,
	.on_finish = on_finish,
	.on_timeout = on_timeout,
	.on_error = on_error,
	.on_close = on_close,
};

const struct muster_socket_handlers deaf_socket = {
	.on_lookup = on_lookup,
	.on_connect = on_connect,
	.on_ready = on_ready,
	.on_end = on_end,
	.on_drain = on_drain,
	.on_finish = on_finish,
	.on_timeout = on_timeout,
	.on_error = on_error,
	.on_close = on_close,
};

static void on_listening(struct muster_server *server, void *data)
{
	struct server_counts *counts = data;

	(void)server;
	COUNT(listening);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	struct server_counts *counts = data;

	(void)server;
	counts->last = socket;
	if (counts->sockets != NULL)
		ck_assert_int_eq(muster_socket_on(socket, &counting_socket, counts->sockets), 0);
	COUNT(connection);
}

static void on_drop(struct muster_server *server, const struct muster_address *local,
		    const struct muster_address *remote, void *data)
{
	struct server_counts *counts = data;

	(void)server;
	counts->drop_local = *local;
	counts->drop_remote = *remote;
	COUNT(drop);
}

static void on_server_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	struct server_counts *counts = data;

	(void)server;
	counts->last_error = *error;
	COUNT(error);
}

static void on_server_close(struct muster_server *server, void *data)
{
	struct server_counts *counts = data;

	(void)server;
	COUNT(close);
}

const struct muster_server_handlers counting_server = {
	.on_listening = on_listening,
	.on_connection = on_connection,
	.on_drop = on_drop,
	.on_error = on_server_error,
	.on_close = on_server_close,
};

void count_written(struct muster_socket *socket, int err, void *data)
{
	const struct write_mark *mark = data;
	size_t used = strlen(mark->counts->order);

	(void)socket;
	mark->counts->done++;
	mark->counts->failed += err < 0;
	mark->counts->last = err;
	if (used < sizeof mark->counts->order - 1)
		mark->counts->order[used] = mark->letter;
}
