/* What nearly every test begins with. */
#include "tests/support/net.h"

#include "tests/support/client.h"
#include "tests/support/loop.h"

#include <check.h>

struct muster_server *new_server(struct muster_loop *loop, const struct muster_server_options *options,
				 struct server_counts *counts)
{
	struct muster_server *server = muster_server_new(loop, options);

	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(muster_server_on(server, &counting_server, counts), 0);
	return server;
}

struct muster_server *listening_server_at(struct muster_loop *loop, const struct muster_listen_options *options,
					  struct server_counts *counts)
{
	struct muster_server *server = new_server(loop, NULL, counts);

	ck_assert_int_eq(muster_server_listen(server, options), 0);
	run_until_count(loop, counts->listening, 1);
	return server;
}

struct muster_server *listening_server(struct muster_loop *loop, struct server_counts *counts)
{
	return listening_server_at(loop, &(struct muster_listen_options){ .host = "127.0.0.1" }, counts);
}

unsigned server_port(struct muster_server *server)
{
	struct muster_address address;

	ck_assert_int_eq(muster_server_address(server, &address), 0);
	return address.port;
}

struct muster_socket *socket_with_options(struct muster_loop *loop, const struct muster_socket_options *options,
					  int *peer, struct socket_counts *counts)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair(ends);
	*peer = ends[1];
	socket = muster_socket_open(loop, ends[0], options);
	ck_assert_ptr_nonnull(socket);
	if (counts != NULL)
		ck_assert_int_eq(muster_socket_on(socket, &counting_socket, counts), 0);
	return socket;
}

struct muster_socket *socket_with_peer(struct muster_loop *loop, int *peer, struct socket_counts *counts)
{
	return socket_with_options(loop, NULL, peer, counts);
}

size_t fill_output(struct muster_socket *socket, size_t at_least)
{
	static char bytes[256 * 1024];
	size_t written = 0;

	while (muster_socket_buffered(socket) < at_least) {
		pattern_fill(bytes, muster_socket_bytes_written(socket), sizeof bytes);
		ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
		written += sizeof bytes;
	}
	return written;
}
