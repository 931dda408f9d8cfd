/* tests/src/test_server.c - net.Server: connections come in, and it ends exactly once. */
#include "src/listener.h"
#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct muster_listen_options here = { .host = "127.0.0.1" };

static struct server_counts counts, other_counts;
static struct socket_counts sockets;

static int listen_at(struct muster_server *server, unsigned port)
{
	struct muster_listen_options there = { .host = "127.0.0.1", .port = port };

	return muster_server_listen(server, &there);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

/* ---- Listening. */

START_TEST(on_listening_comes_after_the_call)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert(!muster_server_is_listening(server));
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_uint_eq(counts.listening, 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert(muster_server_is_listening(server));
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.listening, 1);
}
END_TEST

START_TEST(the_address_is_known_right_after_the_call)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	struct muster_address address;

	ck_assert_int_eq(muster_server_address(server, &address), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_fd(server), -1);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_address(server, &address), 0);
	ck_assert_int_eq(address.family, 4);
	ck_assert_str_eq(address.text, "127.0.0.1");
	ck_assert_uint_gt(address.port, 0);
	ck_assert_int_ge(muster_server_fd(server), 0);
	muster_server_close(server);
	ck_assert_int_eq(muster_server_address(server, &address), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_fd(server), -1);
}
END_TEST

START_TEST(its_descriptor_is_close_on_exec_and_non_blocking)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int fd = muster_server_fd(server);

	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}
END_TEST

START_TEST(listening_twice_is_refused)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_listen(server, &here), MUSTER_EALREADYLISTENING);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_int_eq(muster_server_listen(server, &here), MUSTER_EALREADYLISTENING);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.listening, 1);
	ck_assert_uint_eq(counts.error, 0);
}
END_TEST

static const struct muster_listen_options refused[] = {
	{ .port = 65536 },
	{ .backlog = -1 },
	{ .path = "" },
	{ .path = "@name", .readable_all = true },
	{ .path = "@name", .writable_all = true },
};

START_TEST(impossible_options_are_refused_and_start_nothing)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &refused[_i]), -EINVAL);
	ck_assert(!muster_server_is_listening(server));
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
}
END_TEST

START_TEST(options_of_a_newer_library_are_refused_if_used)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	struct {
		struct muster_listen_options known;
		long unknown;
	} newer = { .known = here };

	newer.unknown = 1;
	ck_assert_int_eq(muster_server_listen_sized(server, &newer.known, sizeof newer), -E2BIG);
	newer.unknown = 0;
	ck_assert_int_eq(muster_server_listen_sized(server, &newer.known, sizeof newer), 0);
	muster_server_close(server);
	run_dry(test_loop);
}
END_TEST

START_TEST(options_of_an_older_library_leave_the_defaults)
{
	struct muster_server_options options = { .allow_half_open = true, .max_connections = 1 };
	struct muster_server *server =
		muster_server_new_sized(test_loop, &options, offsetof(struct muster_server_options, max_connections));

	ck_assert_ptr_nonnull(server);
	muster_server_on(server, &counting_server, &counts);
	ck_assert_int_eq(muster_server_listen_sized(server, &here, offsetof(struct muster_listen_options, port)), 0);
	close(client_connect_port(server_port(server)));
	close(client_connect_port(server_port(server)));
	run_until_count(test_loop, counts.connection, 2);
	ck_assert_uint_eq(counts.drop, 0);
}
END_TEST

START_TEST(a_server_with_options_of_a_newer_library_is_none)
{
	struct {
		struct muster_server_options known;
		long unknown;
	} newer = { .unknown = 1 };

	ck_assert_ptr_null(muster_server_new_sized(test_loop, &newer.known, sizeof newer));
	ck_assert_int_eq(errno, E2BIG);
	ck_assert_int_eq(muster_last_error(), -E2BIG);
}
END_TEST

/* ---- Errors of listening. */

static unsigned busy_port(void)
{
	static struct server_counts busy;

	return server_port(listening_server(test_loop, &busy));
}

START_TEST(a_busy_port_is_told_by_on_error_alone)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	unsigned port = busy_port();

	ck_assert_int_eq(listen_at(server, port), 0);
	ck_assert_uint_eq(counts.error, 0);
	ck_assert(!muster_server_is_listening(server));
	run_until_count(test_loop, counts.error, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "error");
	ck_assert_int_eq(counts.last_error.code, -EADDRINUSE);
	ck_assert_str_eq(counts.last_error.call, "bind");
	ck_assert_str_eq(counts.last_error.address.text, "127.0.0.1");
	ck_assert_uint_eq(counts.last_error.address.port, port);
}
END_TEST

START_TEST(a_server_that_failed_does_not_keep_the_loop_running_and_may_listen_again)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int busy = client_listen(1);

	ck_assert_int_eq(listen_at(server, client_port_of(busy)), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_int_eq(muster_server_close(server), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	run_until_count(test_loop, counts.listening, 1);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error listening close");
	close(busy);
}
END_TEST

START_TEST(listening_again_at_once_does_not_lose_the_error)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	unsigned port = busy_port();

	ck_assert_int_eq(listen_at(server, port), 0);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_str_eq(counts.order, "error listening");
}
END_TEST

static void listen_elsewhere(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)error, (void)data;
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
}

START_TEST(on_error_may_listen_again)
{
	static const struct muster_server_handlers handlers = { .on_error = listen_elsewhere };
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	muster_server_on(server, &handlers, NULL);
	ck_assert_int_eq(listen_at(server, busy_port()), 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_str_eq(counts.order, "error listening");
}
END_TEST

START_TEST(an_error_nobody_listens_for_is_logged)
{
	struct muster_server *server = muster_server_new(test_loop, NULL);
	int busy = client_listen(1);

	lines_record(MUSTER_LOG_WARN);
	ck_assert_int_eq(listen_at(server, client_port_of(busy)), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(lines_count(), 1);
	ck_assert_uint_eq(lines_with("bind EADDRINUSE 127.0.0.1:"), 1);
	close(busy);
}
END_TEST

START_TEST(a_failed_server_can_be_destroyed)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(listen_at(server, busy_port()), 0);
	muster_server_destroy(server);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

/* ---- Closing. */

START_TEST(close_refuses_new_connections_at_once)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	unsigned port = server_port(server);

	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
	ck_assert_uint_eq(counts.close, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(close_waits_for_open_connections)
{
	struct muster_server *server;
	int client;

	counts.sockets = &sockets;
	server = listening_server(test_loop, &counts);
	client = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_uint_eq(muster_server_connections(server), 1);

	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.close, 0);

	client_send_text(client, "still there");
	run_until_count(test_loop, sockets.data, 1);
	close(client);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(sockets.close, 1);
}
END_TEST

START_TEST(close_of_a_server_that_does_not_listen_is_refused)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_close(server), MUSTER_ENOTRUNNING);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 0);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(muster_server_close(server), MUSTER_ENOTRUNNING);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(close_before_on_listening_takes_it_back)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(listening_after_close_and_before_on_close_takes_the_close_back)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_uint_eq(counts.close, 0);
	close(client_connect_port(server_port(server)));
	run_until_count(test_loop, counts.connection, 1);
	muster_server_close(server);
	run_until_idle(test_loop);
	muster_socket_destroy(counts.last, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

static void listen_once_more(struct muster_server *server, void *data)
{
	unsigned *times = data;

	if ((*times)-- > 0)
		ck_assert_int_eq(muster_server_listen(server, &here), 0);
}

START_TEST(listening_from_on_close_reopens_the_server)
{
	static const struct muster_server_handlers handlers = { .on_close = listen_once_more };
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	static unsigned times = 2;

	muster_server_on(server, &handlers, &times);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	run_until_count(test_loop, counts.listening, 1);
	muster_server_close(server);
	run_until_count(test_loop, counts.listening, 2);
	close(client_connect_port(server_port(server)));
	run_until_count(test_loop, counts.connection, 1);
	muster_socket_destroy(counts.last, 0);
	muster_server_close(server);
	run_until_count(test_loop, counts.listening, 3);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 3);
}
END_TEST

static void listen_and_close_once_more(struct muster_server *server, void *data)
{
	unsigned *times = data;

	if ((*times)-- == 0)
		return;
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
}

static int refuse_to_listen(struct muster__sink *sink, const struct muster_listen_options *options,
			    struct muster__source **source, void *data)
{
	(void)sink, (void)options, (void)source, (void)data;
	return -ENOMEM;
}

static void listen_in_vain(struct muster_server *server, void *data)
{
	static const struct muster__listen_ops refusing = { refuse_to_listen };

	(void)data;
	muster_server_loop(server)->listen_ops = &refusing;
	ck_assert_int_eq(muster_server_listen(server, NULL), -ENOMEM);
}

START_TEST(a_listen_that_is_refused_in_on_close_reopens_nothing)
{
	static const struct muster_server_handlers handlers = { .on_close = listen_in_vain };
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_on(server, &handlers, NULL);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(a_server_reopened_and_closed_from_on_close_tells_again)
{
	static const struct muster_server_handlers handlers = { .on_close = listen_and_close_once_more };
	struct muster_server *server = listening_server(test_loop, &counts);
	static unsigned times = 1;

	muster_server_on(server, &handlers, &times);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 2);
}
END_TEST

/* ---- Destroying. */

START_TEST(destroy_ends_a_server_that_never_listened)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	muster_server_destroy(server);
	ck_assert_uint_eq(counts.close, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(destroy_ends_the_connections_too)
{
	struct muster_server *server;
	int a, b;

	counts.sockets = &sockets;
	server = listening_server(test_loop, &counts);
	a = client_connect_port(server_port(server));
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	muster_server_destroy(server);
	ck_assert_uint_eq(counts.close + sockets.close, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(sockets.close, 2);
	ck_assert_uint_eq(sockets.bad_close, 0);
	client_expect_end(a);
	client_expect_end(b);
	close(a);
	close(b);
}
END_TEST

START_TEST(destroy_ends_a_server_that_waits_for_connections)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	run_until_count(test_loop, counts.connection, 1);
	muster_server_close(server);
	run_until_idle(test_loop);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	client_expect_end(client);
	close(client);
}
END_TEST

START_TEST(destroy_any_number_of_times_closes_once)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_destroy(server);
	muster_server_destroy(server);
	ck_assert_int_eq(muster_server_close(server), MUSTER_ENOTRUNNING);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(destroy_takes_on_listening_back)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

static void destroy_it(struct muster_server *server, void *data)
{
	(void)data;
	muster_server_destroy(server);
	muster_server_destroy(server);
}

static void destroy_on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)socket;
	destroy_it(server, data);
}

static void destroy_on_drop(struct muster_server *server, const struct muster_address *local,
			    const struct muster_address *remote, void *data)
{
	(void)local, (void)remote;
	destroy_it(server, data);
}

static void destroy_on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)error;
	destroy_it(server, data);
}

static const struct muster_server_handlers destroyers[] = {
	{ .on_listening = destroy_it },
	{ .on_connection = destroy_on_connection },
	{ .on_close = destroy_it },
};

START_TEST(destroy_inside_any_callback_gives_one_on_close)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int a, b;

	muster_server_on(server, &destroyers[_i], NULL);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	a = client_connect_port(server_port(server));
	b = client_connect_port(server_port(server));
	if (destroyers[_i].on_close != NULL)
		muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	close(a);
	close(b);
}
END_TEST

START_TEST(destroy_inside_on_drop_gives_one_on_close)
{
	static const struct muster_server_handlers handlers = { .on_drop = destroy_on_drop };
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .max_connections = 1 }, &counts);
	int clients[3], i;

	muster_server_on(server, &handlers, NULL);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	for (i = 0; i < 3; i++)
		clients[i] = client_connect_port(server_port(server));
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "listening connection drop close");
	ck_assert_uint_eq(counts.drop, 1);
	for (i = 0; i < 3; i++)
		close(clients[i]);
}
END_TEST

START_TEST(destroy_inside_on_error_gives_one_on_close)
{
	static const struct muster_server_handlers handlers = { .on_error = destroy_on_error };
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int busy = client_listen(1);

	muster_server_on(server, &handlers, NULL);
	ck_assert_int_eq(listen_at(server, client_port_of(busy)), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	close(busy);
}
END_TEST

static void close_on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)data;
	ck_assert_int_eq(muster_server_close(server), 0);
	muster_socket_destroy(socket, 0);
}

START_TEST(close_inside_on_connection_takes_no_more)
{
	static const struct muster_server_handlers handlers = { .on_connection = close_on_connection };
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int clients[3], i;

	muster_server_on(server, &handlers, NULL);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	for (i = 0; i < 3; i++)
		clients[i] = client_connect_port(server_port(server));
	run_dry(test_loop);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_uint_eq(counts.close, 1);
	for (i = 0; i < 3; i++)
		close(clients[i]);
}
END_TEST

static void close_and_listen_on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
	if (counts.listening == 1) {
		ck_assert_int_eq(muster_server_close(server), 0);
		ck_assert_int_eq(muster_server_listen(server, &here), 0);
	}
}

START_TEST(a_server_may_move_to_another_port_inside_on_connection)
{
	static const struct muster_server_handlers handlers = { .on_connection = close_and_listen_on_connection };
	struct muster_server *server = listening_server(test_loop, &counts);
	int a = client_connect_port(server_port(server)), b;

	muster_server_on(server, &handlers, NULL);
	run_until_count(test_loop, counts.listening, 2);
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	client_expect_end(a);
	client_expect_end(b);
	ck_assert_uint_eq(counts.close, 0);
	close(a);
	close(b);
}
END_TEST

/* ---- Connections. */

START_TEST(more_connections_than_one_turn_takes_all_come)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int clients[200], i;

	counts.sockets = &sockets;
	for (i = 0; i < 200; i++)
		clients[i] = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 200);
	ck_assert_uint_eq(muster_server_connections(server), 200);
	for (i = 0; i < 200; i++)
		client_reset(clients[i]);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(a_connection_over_the_limit_is_closed_and_told)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .max_connections = 1 }, &counts);
	int a, b;

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	a = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 1);
	client_expect_end(b);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_uint_eq(muster_server_connections(server), 1);
	ck_assert_uint_eq(counts.drop_local.port, server_port(server));
	ck_assert_uint_eq(counts.drop_remote.port, client_port_of(b));
	ck_assert_str_eq(counts.drop_remote.text, "127.0.0.1");
	close(a);
	close(b);
}
END_TEST

START_TEST(a_connection_that_ends_makes_room)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .max_connections = 1 }, &counts);
	int a, b;

	counts.sockets = &sockets;
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	a = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	close(a);
	run_until_count(test_loop, sockets.close, 1);
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	ck_assert_uint_eq(counts.drop, 0);
	close(b);
}
END_TEST

START_TEST(the_limit_can_be_set_later_and_lifted)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int a = client_connect_port(server_port(server)), b, c;

	run_until_count(test_loop, counts.connection, 1);
	muster_server_set_max_connections(server, 1);
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 1);
	muster_server_set_max_connections(server, 0);
	c = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	close(a);
	close(b);
	close(c);
}
END_TEST

START_TEST(a_drop_on_a_path_has_no_addresses)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .max_connections = 1 }, &counts);
	int a, b;

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = "@muster-drop" }), 0);
	a = client_connect_path("@muster-drop");
	b = client_connect_path("@muster-drop");
	run_until_count(test_loop, counts.drop, 1);
	ck_assert_int_eq(counts.drop_local.family, 0);
	ck_assert_int_eq(counts.drop_remote.family, 0);
	close(a);
	close(b);
}
END_TEST

START_TEST(a_connection_nobody_takes_ends_with_its_peer)
{
	struct muster_server *server = muster_server_new(test_loop, NULL);
	int client;

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	client = client_connect_port(server_port(server));
	run_until_idle(test_loop);
	ck_assert_uint_eq(muster_server_connections(server), 1);
	muster_server_close(server);
	client_reset(client);
	lines_record(MUSTER_LOG_WARN);
	run_dry(test_loop);
}
END_TEST

START_TEST(sockets_get_the_options_of_the_server)
{
	struct muster_server_options options = {
		.no_delay = true, .keep_alive = true, .keep_alive_delay_ms = 7000, .high_water_mark = 12345
	};
	struct muster_server *server = new_server(test_loop, &options, &counts);
	int client, fd;

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	client = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	fd = muster_socket_fd(counts.last);
	ck_assert_int_ne(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 10);
	ck_assert_uint_eq(muster_socket_high_water_mark(counts.last), 12345);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(client);
}
END_TEST

START_TEST(the_probes_of_its_sockets_are_those_of_the_server)
{
	struct muster_server_options options = { .keep_alive = true,
						 .keep_alive_interval_ms = 20000,
						 .keep_alive_count = 3 };
	struct muster_server *server = new_server(test_loop, &options, &counts);
	int client, fd;

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	client = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	fd = muster_socket_fd(counts.last);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 20);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	close(client);
}
END_TEST

START_TEST(impossible_probes_make_no_server)
{
	struct muster_server_options options = { .keep_alive_count = 128 };

	ck_assert_ptr_null(muster_server_new(test_loop, &options));
	ck_assert_int_eq(errno, EINVAL);
	options = (struct muster_server_options){ .keep_alive_interval_ms = 32768000 };
	ck_assert_ptr_null(muster_server_new(test_loop, &options));
	ck_assert_int_eq(muster_last_error(), -EINVAL);
}
END_TEST

static void check_server(struct muster_socket *socket, bool had_error, void *data)
{
	(void)had_error;
	ck_assert_ptr_null(muster_socket_server(socket));
	++*(unsigned *)data;
}

START_TEST(a_socket_knows_its_server_until_it_is_destroyed)
{
	static const struct muster_socket_handlers on = { .on_close = check_server };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));
	struct muster_socket *other = muster_socket_new(test_loop, NULL);
	unsigned closed = 0;

	ck_assert_ptr_null(muster_socket_server(other));
	muster_socket_destroy(other, 0);
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_ptr_eq(muster_socket_server(counts.last), server);
	/* A server that is closing is there until its sockets are gone. */
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_ptr_eq(muster_socket_server(counts.last), server);
	ck_assert_int_eq(muster_socket_on(counts.last, &on, &closed), 0);
	muster_socket_destroy(counts.last, 0);
	ck_assert_ptr_null(muster_socket_server(counts.last));
	run_until_count(test_loop, closed, 1);
	close(client);
}
END_TEST

START_TEST(without_options_sockets_are_as_the_kernel_made_them)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server)), fd;

	run_until_count(test_loop, counts.connection, 1);
	fd = muster_socket_fd(counts.last);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_uint_eq(muster_socket_high_water_mark(counts.last), 65536);
	ck_assert(!muster_socket_is_paused(counts.last));
	close(client);
}
END_TEST

START_TEST(pause_on_connect_reads_nothing_until_resumed)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .pause_on_connect = true }, &counts);
	int client;

	counts.sockets = &sockets;
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	client = client_connect_port(server_port(server));
	client_send_text(client, "hello");
	close(client);
	run_until_count(test_loop, counts.connection, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(sockets.order, "");
	ck_assert(muster_socket_is_paused(counts.last));
	ck_assert_uint_eq(client_waiting(muster_socket_fd(counts.last)), 5);
	muster_socket_resume(counts.last);
	run_until_count(test_loop, sockets.close, 1);
	ck_assert_str_eq(sockets.order, "data end finish close");
	ck_assert_str_eq(sockets.bytes, "hello");
}
END_TEST

START_TEST(allow_half_open_leaves_our_side_open)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .allow_half_open = true }, &counts);
	int client;

	counts.sockets = &sockets;
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	client = client_connect_port(server_port(server));
	shutdown(client, SHUT_WR);
	run_until_count(test_loop, sockets.end, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(sockets.order, "end");
	ck_assert_int_eq(muster_socket_write(counts.last, "late", 4), 0);
	ck_assert_int_eq(muster_socket_end(counts.last), 0);
	run_until_count(test_loop, sockets.close, 1);
	client_expect_text(client, "late");
	client_expect_end(client);
	close(client);
}
END_TEST

/* The order at the last connection is Node's: the server's on_close, then the socket's own. */
static char order[64];

static void socket_closed(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error, (void)data;
	order_add(order, sizeof order, "socket");
}

static void server_closed(struct muster_server *server, void *data)
{
	(void)server, (void)data;
	order_add(order, sizeof order, "server");
}

START_TEST(the_last_connection_ends_after_the_server)
{
	static const struct muster_socket_handlers socket_handlers = { .on_close = socket_closed };
	static const struct muster_server_handlers server_handlers = { .on_close = server_closed };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	muster_server_on(server, &server_handlers, NULL);
	run_until_count(test_loop, counts.connection, 1);
	muster_socket_on(counts.last, &socket_handlers, NULL);
	muster_server_close(server);
	run_until_idle(test_loop);
	muster_socket_destroy(counts.last, 0);
	run_dry(test_loop);
	ck_assert_str_eq(order, "server socket");
	close(client);
}
END_TEST

/* ---- Several tables. */

START_TEST(each_table_gets_each_event)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	muster_server_on(server, &counting_server, &other_counts);
	muster_server_on(server, &counting_server, &other_counts);
	ck_assert_int_eq(muster_server_off(server, &counting_server, &other_counts), 0);
	ck_assert_int_eq(muster_server_off(server, &counting_server, NULL), -ENOENT);
	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(other_counts.close, 1);
}
END_TEST

START_TEST(a_table_of_a_newer_library_is_refused_if_used)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	struct {
		struct muster_server_handlers known;
		void (*unknown)(void);
	} newer = { .known = counting_server };

	ck_assert_int_eq(muster_server_on_sized(server, &newer.known, sizeof newer, &other_counts), 0);
	newer.unknown = (void (*)(void))socket_closed;
	ck_assert_int_eq(muster_server_on_sized(server, &newer.known, sizeof newer, &other_counts), -E2BIG);
	ck_assert_int_eq(muster_server_off_sized(server, &newer.known, sizeof newer, &other_counts), -E2BIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/server");
	TCase *listening = add_loop_case(suite, "listening");
	TCase *errors = add_loop_case(suite, "errors");
	TCase *closing = add_loop_case(suite, "closing");
	TCase *destroying = add_loop_case(suite, "destroying");
	TCase *connections = add_loop_case(suite, "connections");
	TCase *tables = add_loop_case(suite, "tables");

	tcase_add_test(listening, on_listening_comes_after_the_call);
	tcase_add_test(listening, the_address_is_known_right_after_the_call);
	tcase_add_test(listening, its_descriptor_is_close_on_exec_and_non_blocking);
	tcase_add_test(listening, listening_twice_is_refused);
	tcase_add_loop_test(listening, impossible_options_are_refused_and_start_nothing, 0,
			    sizeof refused / sizeof refused[0]);
	tcase_add_test(listening, options_of_a_newer_library_are_refused_if_used);
	tcase_add_test(listening, options_of_an_older_library_leave_the_defaults);
	tcase_add_test(listening, a_server_with_options_of_a_newer_library_is_none);
	tcase_add_test(errors, a_busy_port_is_told_by_on_error_alone);
	tcase_add_test(errors, a_server_that_failed_does_not_keep_the_loop_running_and_may_listen_again);
	tcase_add_test(errors, listening_again_at_once_does_not_lose_the_error);
	tcase_add_test(errors, on_error_may_listen_again);
	tcase_add_test(errors, an_error_nobody_listens_for_is_logged);
	tcase_add_test(errors, a_failed_server_can_be_destroyed);
	tcase_add_test(closing, close_refuses_new_connections_at_once);
	tcase_add_test(closing, close_waits_for_open_connections);
	tcase_add_test(closing, close_of_a_server_that_does_not_listen_is_refused);
	tcase_add_test(closing, close_before_on_listening_takes_it_back);
	tcase_add_test(closing, listening_after_close_and_before_on_close_takes_the_close_back);
	tcase_add_test(closing, listening_from_on_close_reopens_the_server);
	tcase_add_test(closing, a_listen_that_is_refused_in_on_close_reopens_nothing);
	tcase_add_test(closing, a_server_reopened_and_closed_from_on_close_tells_again);
	tcase_add_test(destroying, destroy_ends_a_server_that_never_listened);
	tcase_add_test(destroying, destroy_ends_the_connections_too);
	tcase_add_test(destroying, destroy_ends_a_server_that_waits_for_connections);
	tcase_add_test(destroying, destroy_any_number_of_times_closes_once);
	tcase_add_test(destroying, destroy_takes_on_listening_back);
	tcase_add_loop_test(destroying, destroy_inside_any_callback_gives_one_on_close, 0,
			    sizeof destroyers / sizeof destroyers[0]);
	tcase_add_test(destroying, destroy_inside_on_drop_gives_one_on_close);
	tcase_add_test(destroying, destroy_inside_on_error_gives_one_on_close);
	tcase_add_test(destroying, close_inside_on_connection_takes_no_more);
	tcase_add_test(destroying, a_server_may_move_to_another_port_inside_on_connection);
	tcase_add_test(connections, more_connections_than_one_turn_takes_all_come);
	tcase_add_test(connections, a_connection_over_the_limit_is_closed_and_told);
	tcase_add_test(connections, a_connection_that_ends_makes_room);
	tcase_add_test(connections, the_limit_can_be_set_later_and_lifted);
	tcase_add_test(connections, a_drop_on_a_path_has_no_addresses);
	tcase_add_test(connections, a_connection_nobody_takes_ends_with_its_peer);
	tcase_add_test(connections, sockets_get_the_options_of_the_server);
	tcase_add_test(connections, the_probes_of_its_sockets_are_those_of_the_server);
	tcase_add_test(connections, impossible_probes_make_no_server);
	tcase_add_test(connections, a_socket_knows_its_server_until_it_is_destroyed);
	tcase_add_test(connections, without_options_sockets_are_as_the_kernel_made_them);
	tcase_add_test(connections, pause_on_connect_reads_nothing_until_resumed);
	tcase_add_test(connections, allow_half_open_leaves_our_side_open);
	tcase_add_test(connections, the_last_connection_ends_after_the_server);
	tcase_add_test(tables, each_table_gets_each_event);
	tcase_add_test(tables, a_table_of_a_newer_library_is_refused_if_used);
	return run_suite(suite);
}
