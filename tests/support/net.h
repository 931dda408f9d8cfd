/* tests/support/net.h - servers and sockets that are ready to be used. */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H

#include "tests/support/counts.h"

struct muster_loop;

/* A server with counting_server on it; not listening yet. */
struct muster_server *new_server(struct muster_loop *loop, const struct muster_server_options *options,
				 struct server_counts *counts);

/* The same, listening: on_listening has come. Without options at 127.0.0.1, any port. */
struct muster_server *listening_server(struct muster_loop *loop, struct server_counts *counts);
struct muster_server *listening_server_at(struct muster_loop *loop, const struct muster_listen_options *options,
					  struct server_counts *counts);
unsigned server_port(struct muster_server *server);

/* A socket at one end of a TCP connection, a plain one at the other; with counting_socket, unless counts is NULL. */
struct muster_socket *socket_with_peer(struct muster_loop *loop, int *peer, struct socket_counts *counts);
struct muster_socket *socket_with_options(struct muster_loop *loop, const struct muster_socket_options *options,
					  int *peer, struct socket_counts *counts);

/*
 * Fill the connection until the kernel takes no more and `at_least` bytes wait in the queue. Goes on with the pattern
 * where what was written before ended. Returns how much.
 */
size_t fill_output(struct muster_socket *socket, size_t at_least);

#endif
