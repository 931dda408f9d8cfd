/* tests/src/test_connect.c - outgoing connections: made or failed, told once and never from inside the call. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/nameserver.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct socket_counts counts, sockets;
static struct server_counts servers;
static struct write_counts writes;

/* A server whose connections count in `sockets`, and a place to connect to it. */
static struct muster_server *server;
static struct muster_connect_options there;

static void serve(void)
{
	servers.sockets = &sockets;
	server = listening_server(test_loop, &servers);
	there = (struct muster_connect_options){ .host = "127.0.0.1", .port = server_port(server) };
}

static struct muster_socket *new_socket(void)
{
	struct muster_socket *socket = muster_socket_new(test_loop, NULL);

	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_on(socket, &counting_socket, &counts), 0);
	return socket;
}

static struct muster_socket *connect_to(struct muster_connect_options options)
{
	struct muster_socket *socket = muster_connect(test_loop, &options, &counting_socket, &counts);

	ck_assert_ptr_nonnull(socket);
	ck_assert_str_eq(counts.order, "");
	return socket;
}

/* Connect, which must fail: one error, one close. */
static const struct muster_error *fail_to_connect(struct muster_connect_options options)
{
	connect_to(options);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 1);
	ck_assert_uint_eq(counts.connect, 0);
	return &counts.last_error;
}

/* ---- Connecting. */

START_TEST(on_connect_and_on_ready_come_after_the_call)
{
	struct muster_socket *socket = connect_to(there);
	struct muster_address remote;

	ck_assert(muster_socket_is_connecting(socket));
	ck_assert(muster_socket_is_pending(socket));
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_OPENING);
	ck_assert_int_eq(muster_socket_fd(socket), -1);
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), -ENOTCONN);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "connect ready");
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert(!muster_socket_is_pending(socket));
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_OPEN);
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), 0);
	ck_assert_uint_eq(remote.port, there.port);
}
END_TEST

START_TEST(bytes_go_both_ways)
{
	struct muster_socket *socket = connect_to(there);

	run_until_count(test_loop, servers.connection, 1);
	muster_socket_write(socket, "ping", 4);
	muster_socket_write(servers.last, "pong!", 5);
	run_until_count(test_loop, sockets.data, 1);
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(sockets.bytes, "ping");
	ck_assert_str_eq(counts.bytes, "pong!");
	muster_socket_end(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "connect ready data finish end close");
	ck_assert_str_eq(sockets.order, "data end finish close");
}
END_TEST

START_TEST(an_ipv6_address_is_connected_to)
{
	static struct server_counts six;
	struct muster_server *other =
		listening_server_at(test_loop, &(struct muster_listen_options){ .host = "::1" }, &six);

	connect_to((struct muster_connect_options){ .host = "::1", .port = server_port(other) });
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, six.connection, 1);
}
END_TEST

static void connect_to_path(const char *path)
{
	static struct server_counts local;
	struct muster_server *other =
		listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &local);
	struct muster_address remote;
	struct muster_socket *socket = connect_to((struct muster_connect_options){ .path = path });

	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, local.connection, 1);
	ck_assert_str_eq(counts.order, "connect ready");
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), 0);
	ck_assert_int_eq(remote.family, 1);
	muster_socket_destroy(socket, 0);
	muster_server_destroy(other);
	muster_server_destroy(server);
	run_dry(test_loop);
}

START_TEST(a_path_is_connected_to)
{
	connect_to_path(folder_path("socket"));
}
END_TEST

START_TEST(an_abstract_name_is_connected_to)
{
	char name[64];

	snprintf(name, sizeof name, "@muster-%d", (int)getpid());
	connect_to_path(name);
}
END_TEST

START_TEST(wishes_made_before_are_applied_to_the_connection)
{
	struct muster_socket *socket = new_socket();
	int value = 0;
	socklen_t length = sizeof value;

	ck_assert_int_eq(muster_socket_set_no_delay(socket, true), 0);
	ck_assert_int_eq(muster_socket_set_keep_alive(socket, true, 9000), 0);
	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 3000, 5), 0);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.connect, 1);
	getsockopt(muster_socket_fd(socket), IPPROTO_TCP, TCP_NODELAY, &value, &length);
	ck_assert_int_ne(value, 0);
	getsockopt(muster_socket_fd(socket), SOL_SOCKET, SO_KEEPALIVE, &value, &length);
	ck_assert_int_ne(value, 0);
	getsockopt(muster_socket_fd(socket), IPPROTO_TCP, TCP_KEEPIDLE, &value, &length);
	ck_assert_int_eq(value, 9);
	getsockopt(muster_socket_fd(socket), IPPROTO_TCP, TCP_KEEPINTVL, &value, &length);
	ck_assert_int_eq(value, 3);
	getsockopt(muster_socket_fd(socket), IPPROTO_TCP, TCP_KEEPCNT, &value, &length);
	ck_assert_int_eq(value, 5);
}
END_TEST

START_TEST(a_connecting_socket_keeps_the_loop_running_unless_unreferenced)
{
	struct muster_socket *socket = connect_to(there);

	muster_server_unref(server);
	muster_socket_unref(socket);
	run_dry(test_loop);
	ck_assert(muster_socket_is_connecting(socket));
	muster_socket_ref(socket);
	run_until_count(test_loop, counts.ready, 1);
}
END_TEST

/* ---- Refused calls. */

START_TEST(a_place_is_needed)
{
	struct muster_socket *socket = new_socket();
	struct muster_connect_options nowhere = { .host = "127.0.0.1" };
	char path[256];

	ck_assert_int_eq(muster_socket_connect(socket, NULL), -EINVAL);
	ck_assert_int_eq(muster_socket_connect(socket, &nowhere), -EINVAL);
	nowhere.port = 65536;
	ck_assert_int_eq(muster_socket_connect(socket, &nowhere), -EINVAL);
	ck_assert_int_eq(muster_socket_connect(socket, &(struct muster_connect_options){ .path = "" }), -EINVAL);
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(muster_socket_connect(socket, &(struct muster_connect_options){ .path = path }),
			 -ENAMETOOLONG);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_CLOSED);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.ready, 1);
}
END_TEST

START_TEST(connecting_twice_is_refused)
{
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_connect(socket, &there), -EALREADY);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EISCONN);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connect, 1);
}
END_TEST

START_TEST(options_of_a_newer_library_are_refused_if_used)
{
	struct muster_socket *socket = new_socket();
	struct {
		struct muster_connect_options known;
		long unknown;
	} newer = { .known = there, .unknown = 1 };

	ck_assert_int_eq(muster_socket_connect_sized(socket, &newer.known, sizeof newer), -E2BIG);
	newer.unknown = 0;
	ck_assert_int_eq(muster_socket_connect_sized(socket, &newer.known, sizeof newer), 0);
	run_until_count(test_loop, counts.ready, 1);
}
END_TEST

START_TEST(a_connect_that_is_refused_leaves_nothing)
{
	errno = 0;
	ck_assert_ptr_null(muster_connect(test_loop, NULL, &counting_socket, &counts));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(muster_last_error(), -EINVAL);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
}
END_TEST

/* ---- Failures. */

START_TEST(a_port_where_nobody_listens_is_told_with_its_address)
{
	unsigned port = client_free_port();
	const struct muster_error *error =
		fail_to_connect((struct muster_connect_options){ .host = "127.0.0.1", .port = port });

	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(error->code, -ECONNREFUSED);
	ck_assert_str_eq(error->call, "connect");
	ck_assert_str_eq(error->address.text, "127.0.0.1");
	ck_assert_uint_eq(error->address.port, port);
}
END_TEST

START_TEST(a_missing_path_is_told_with_its_name)
{
	const char *path = folder_path("none");
	const struct muster_error *error = fail_to_connect((struct muster_connect_options){ .path = path });

	ck_assert_int_eq(error->code, -ENOENT);
	ck_assert_str_eq(error->call, "connect");
	ck_assert_int_eq(error->address.family, 1);
	ck_assert_str_eq(error->address.text, path);
}
END_TEST

START_TEST(without_descriptors_nothing_is_connected)
{
	const struct muster_error *error;

	descriptors_exhaust(0);
	error = fail_to_connect(there);
	descriptors_release();
	ck_assert_int_eq(error->code, -EMFILE);
}
END_TEST

/* ---- Before the connection is made. */

START_TEST(what_is_written_before_waits_for_the_connection)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_write_then(socket, "hello ", 6, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_write(socket, "world", 5), 0);
	ck_assert_uint_eq(muster_socket_buffered(socket), 11);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 11);
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_str_eq(sockets.bytes, "hello world");
	run_until_count(test_loop, writes.done, 1);
	ck_assert_uint_eq(writes.failed, 0);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
}
END_TEST

START_TEST(end_before_is_remembered)
{
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_write(socket, "hello", 5), 0);
	ck_assert_int_eq(muster_socket_end(socket), 0);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EENDED);
	run_until_count(test_loop, servers.connection, 1);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(sockets.bytes, "hello");
	ck_assert_str_eq(counts.order, "connect ready finish end close");
}
END_TEST

START_TEST(end_before_without_a_byte_is_remembered)
{
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, servers.connection, 1);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "connect ready finish end close");
}
END_TEST

static void note_ready(struct muster_socket *socket, int err, void *data)
{
	(void)socket;
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(counts.ready, 1);
	++*(unsigned *)data;
}

START_TEST(nothing_completes_before_the_connection_is_made)
{
	struct muster_socket *socket = connect_to(there);
	static unsigned done;

	ck_assert_int_eq(muster_socket_write_then(socket, NULL, 0, note_ready, &done), 0);
	ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, note_ready, &done), 0);
	ck_assert_int_eq(muster_socket_end_then(socket, NULL, 0, note_ready, &done), 0);
	run_until_count(test_loop, counts.finish, 1);
	ck_assert_uint_eq(done, 3);
}
END_TEST

START_TEST(much_written_before_drains)
{
	struct muster_socket *socket = connect_to(there);
	size_t length = fill_output(socket, 4 << 20);

	ck_assert(muster_socket_needs_drain(socket));
	run_until_count(test_loop, counts.drain, 1);
	muster_socket_end(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(sockets.length, length);
	ck_assert_uint_eq(counts.drain, 1);
}
END_TEST

static size_t filled;

static void fill_on_connect(struct muster_socket *socket, void *data)
{
	(void)data;
	filled += fill_output(socket, 1 << 20);
}

START_TEST(much_written_in_on_connect_arrives)
{
	static const struct muster_socket_handlers handlers = { .on_connect = fill_on_connect };
	struct muster_socket *socket = connect_to(there);

	muster_socket_on(socket, &handlers, NULL);
	run_until_count(test_loop, counts.drain, 1);
	muster_socket_end(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(sockets.length, filled);
}
END_TEST

START_TEST(what_is_written_before_comes_before_what_is_written_in_on_connect)
{
	static const struct muster_socket_handlers handlers = { .on_connect = fill_on_connect };
	struct muster_socket *socket = connect_to(there);

	muster_socket_on(socket, &handlers, NULL);
	ck_assert_int_eq(muster_socket_write(socket, "first", 5), 0);
	run_until_count(test_loop, counts.drain, 1);
	muster_socket_end(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(sockets.length, filled + 5);
	ck_assert_mem_eq(sockets.bytes, "first", 5);
}
END_TEST

START_TEST(destroy_while_connecting_tells_the_close_alone)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' };
	struct muster_socket *socket = connect_to(there);

	muster_socket_write_then(socket, "x", 1, count_written, &a);
	muster_socket_end_then(socket, NULL, 0, count_written, &b);
	muster_socket_destroy(socket, 0);
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
	muster_server_unref(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.bad_close, 0);
	ck_assert_uint_eq(writes.failed, 2);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
}
END_TEST

static void destroy_it(struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
	muster_socket_destroy(socket, 0);
}

static const struct muster_socket_handlers destroyers[] = {
	{ .on_connect = destroy_it },
	{ .on_ready = destroy_it },
};

START_TEST(destroy_inside_on_connect_and_on_ready_drops_what_waited)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_on(socket, &destroyers[_i], NULL), 0);
	ck_assert_int_eq(muster_socket_write_then(socket, "lost", 4, count_written, &a), 0);
	run_until_count(test_loop, counts.close, 1);
	run_until_count(test_loop, sockets.close, 1);
	ck_assert_str_eq(counts.order, _i == 0 ? "connect close" : "connect ready close");
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
	ck_assert_uint_eq(sockets.length, 0);
}
END_TEST

START_TEST(destroy_soon_while_connecting_delivers_first)
{
	struct muster_socket *socket = connect_to(there);

	ck_assert_int_eq(muster_socket_write(socket, "hello", 5), 0);
	muster_socket_destroy_soon(socket);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "connect ready finish close");
	run_until_count(test_loop, sockets.end, 1);
	ck_assert_str_eq(sockets.bytes, "hello");
}
END_TEST

/* A listener whose queue is full answers nobody. */
static void fill_queue(int listener, int queued[], int count)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;
	int i;

	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&in, &length), 0);
	for (i = 0; i < count; i++) {
		queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		ck_assert(connect(queued[i], (struct sockaddr *)&in, sizeof in) == 0 || errno == EINPROGRESS);
	}
}

START_TEST(an_attempt_without_an_answer_times_out_and_can_be_given_up)
{
	int listener = client_listen(0), queued[8], i;
	struct muster_connect_options silent = { .host = "127.0.0.1",
						 .port = client_port_of(listener),
						 .timeout_ms = 20 };
	struct muster_socket *way;

	fill_queue(listener, queued, 8);
	way = connect_to(silent);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert(muster_socket_is_connecting(way));
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.timeout, 1);
	muster_socket_destroy(way, -ETIMEDOUT);
	muster_server_unref(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "timeout error close");
	ck_assert_int_eq(counts.last_error.code, -ETIMEDOUT);
	for (i = 0; i < 8; i++)
		close(queued[i]);
	close(listener);
}
END_TEST

/* ---- Connecting again. */

static void connect_again(struct muster_socket *socket)
{
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
}

static void reconnect_on_close(struct muster_socket *socket, bool had_error, void *data)
{
	unsigned *times = data;

	(void)had_error;
	if ((*times)-- > 0)
		connect_again(socket);
}

static const struct muster_socket_handlers reconnecting = { .on_close = reconnect_on_close };

START_TEST(connecting_from_on_close_reopens_the_socket)
{
	struct muster_socket *socket = connect_to(there);
	static unsigned times = 1;

	muster_socket_on(socket, &reconnecting, &times);
	run_until_count(test_loop, counts.ready, 1);
	muster_socket_write(socket, "hello", 5);
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.ready, 2);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
	ck_assert(!muster_socket_is_destroyed(socket));
	muster_socket_write(socket, "again", 5);
	muster_socket_end(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 2);
	ck_assert_uint_eq(servers.connection, 2);
}
END_TEST

START_TEST(a_failed_attempt_may_be_repeated_from_on_close)
{
	struct muster_socket *socket = new_socket();
	static unsigned times = 1;

	muster_socket_on(socket, &reconnecting, &times);
	ck_assert_int_eq(muster_socket_connect(socket, &(struct muster_connect_options){ .path = "@muster-none" }), 0);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "error close connect ready");
}
END_TEST

static void reconnect_and_destroy(struct muster_socket *socket, bool had_error, void *data)
{
	unsigned *times = data;

	(void)had_error;
	if ((*times)-- == 0)
		return;
	connect_again(socket);
	muster_socket_destroy(socket, 0);
}

START_TEST(a_socket_reopened_and_destroyed_from_on_close_tells_again)
{
	static const struct muster_socket_handlers handlers = { .on_close = reconnect_and_destroy };
	struct muster_socket *socket = new_socket();
	static unsigned times = 1;

	muster_socket_on(socket, &handlers, &times);
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.close, 2);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(connecting_after_destroy_takes_the_close_back)
{
	struct muster_socket *socket = connect_to(there);

	run_until_count(test_loop, counts.ready, 1);
	muster_socket_destroy(socket, 0);
	connect_again(socket);
	run_until_count(test_loop, counts.ready, 2);
	ck_assert_uint_eq(counts.close, 0);
}
END_TEST

/* Destroy and connect inside an event of the first connection: the second must not be taken for the first. */
static void start_over(struct muster_socket *socket, void *data)
{
	bool *done = data;

	if (*done)
		return;
	*done = true;
	muster_socket_destroy(socket, 0);
	connect_again(socket);
	ck_assert_int_eq(muster_socket_write(socket, "again", 5), 0);
}

static const struct muster_socket_handlers starting_over[] = {
	{ .on_connect = start_over },
	{ .on_ready = start_over },
	{ .on_end = start_over },
	{ .on_finish = start_over },
};

START_TEST(a_socket_may_start_over_inside_any_event)
{
	struct muster_socket *socket = connect_to(there);
	static bool done;

	muster_socket_on(socket, &starting_over[_i], &done);
	if (starting_over[_i].on_finish != NULL)
		muster_socket_end(socket);
	if (starting_over[_i].on_end != NULL) {
		run_until_count(test_loop, servers.connection, 1);
		muster_socket_end(servers.last);
	}
	run_until_count(test_loop, sockets.data, 1);
	run_until_idle(test_loop);
	ck_assert(done);
	ck_assert_str_eq(sockets.bytes, "again");
	ck_assert_uint_eq(counts.error + counts.close, 0);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_OPEN);
	/* The connection of before has ended, and this one has not. */
	ck_assert_uint_eq(muster_server_connections(server), 1);
}
END_TEST

/* ---- Names. */

static const struct nameserver_record records[] = {
	{ "here.test", "127.0.0.1" },
	{ "second.test", "127.0.0.2" },
	{ "second.test", "127.0.0.1" },
	{ "silent.test", NAMESERVER_SILENT },
	{ 0 },
};

static void serve_names(void)
{
	serve();
	nameserver_start(test_loop, records);
}

static struct muster_address looked_up;

static void keep_lookup(struct muster_socket *socket, int err, const struct muster_address *address, const char *host,
			void *data)
{
	(void)socket;
	*(int *)data = err;
	ck_assert_str_eq(host, there.host);
	if (address != NULL)
		looked_up = *address;
}

static const struct muster_socket_handlers looking = { .on_lookup = keep_lookup };

START_TEST(localhost_is_where_one_connects_without_a_host)
{
	there.host = NULL;
	connect_to(there);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "lookup connect ready");
}
END_TEST

START_TEST(a_name_is_looked_up_and_told)
{
	struct muster_socket *socket;
	static int err = 1;

	there.host = "here.test";
	socket = connect_to(there);
	muster_socket_on(socket, &looking, &err);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "lookup connect ready");
	ck_assert_int_eq(err, 0);
	ck_assert_str_eq(looked_up.text, "127.0.0.1");
	ck_assert_uint_eq(counts.lookup, 1);
}
END_TEST

START_TEST(a_name_that_is_not_found_is_an_error)
{
	struct muster_socket *socket;
	static int err = 1;

	there.host = "none.test";
	socket = connect_to(there);
	muster_socket_on(socket, &looking, &err);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "lookup error close");
	ck_assert_int_eq(err, MUSTER_ENOTFOUND);
	ck_assert_int_eq(counts.last_error.code, MUSTER_ENOTFOUND);
	ck_assert_str_eq(counts.last_error.call, "getaddrinfo");
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

START_TEST(the_next_address_is_tried_when_one_refuses)
{
	struct muster_socket *socket;
	struct muster_address remote;

	there.host = "second.test";
	socket = connect_to(there);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_eq(counts.lookup, 2);
	ck_assert_uint_eq(counts.error, 0);
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), 0);
	ck_assert_str_eq(remote.text, "127.0.0.1");
}
END_TEST

START_TEST(when_all_addresses_refuse_the_first_is_told)
{
	there.host = "second.test";
	there.port = client_free_port();
	connect_to(there);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "lookup error close");
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_int_eq(counts.last_error.code, -ECONNREFUSED);
	ck_assert_str_eq(counts.last_error.address.text, "127.0.0.2");
}
END_TEST

START_TEST(destroy_during_the_lookup_tells_the_close_alone)
{
	struct muster_socket *socket;

	there.host = "silent.test";
	socket = connect_to(there);
	run_until_idle(test_loop);
	muster_socket_destroy(socket, 0);
	muster_server_unref(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

static void destroy_on_lookup(struct muster_socket *socket, int err, const struct muster_address *address,
			      const char *host, void *data)
{
	(void)err, (void)address, (void)host, (void)data;
	muster_socket_destroy(socket, 0);
}

START_TEST(destroy_inside_on_lookup_tries_no_address)
{
	static const struct muster_socket_handlers handlers = { .on_lookup = destroy_on_lookup };
	struct muster_socket *socket;

	there.host = "second.test";
	socket = connect_to(there);
	muster_socket_on(socket, &handlers, NULL);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "lookup close");
	ck_assert_uint_eq(counts.lookup, 1);
}
END_TEST

static void start_over_on_lookup(struct muster_socket *socket, int err, const struct muster_address *address,
				 const char *host, void *data)
{
	struct muster_connect_options elsewhere = { .host = "127.0.0.1", .port = there.port };
	bool *done = data;

	(void)err, (void)address, (void)host;
	if (*done)
		return;
	*done = true;
	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_connect(socket, &elsewhere), 0);
}

START_TEST(a_socket_may_start_over_inside_on_lookup)
{
	static const struct muster_socket_handlers handlers = { .on_lookup = start_over_on_lookup };
	struct muster_socket *socket;
	static bool done;

	there.host = "second.test";
	socket = connect_to(there);
	muster_socket_on(socket, &handlers, &done);
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, servers.connection, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.lookup, 1);
	ck_assert_uint_eq(counts.connect, 1);
	ck_assert_uint_eq(servers.connection, 1);
	ck_assert_uint_eq(counts.error + counts.close, 0);
}
END_TEST

START_TEST(a_server_reports_a_name_that_is_not_found)
{
	static struct server_counts failing;
	struct muster_server *other = new_server(test_loop, NULL, &failing);

	ck_assert_int_eq(muster_server_listen(other, &(struct muster_listen_options){ .host = "none.test" }), 0);
	run_until_count(test_loop, failing.error, 1);
	ck_assert_int_eq(failing.last_error.code, MUSTER_ENOTFOUND);
	ck_assert_str_eq(failing.last_error.call, "getaddrinfo");
	ck_assert(!muster_server_is_listening(other));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/connect");
	TCase *connecting = add_loop_case(suite, "connecting");
	TCase *refused = add_loop_case(suite, "refused calls");
	TCase *failing = add_loop_case(suite, "failing");
	TCase *before = add_loop_case(suite, "before the connection");
	TCase *again = add_loop_case(suite, "again");
	TCase *names = add_loop_case(suite, "names");

	tcase_add_checked_fixture(connecting, serve, NULL);
	tcase_add_checked_fixture(refused, serve, NULL);
	tcase_add_checked_fixture(failing, serve, NULL);
	tcase_add_checked_fixture(before, serve, NULL);
	tcase_add_checked_fixture(again, serve, NULL);
	tcase_add_checked_fixture(names, serve_names, nameserver_stop);
	tcase_add_test(connecting, on_connect_and_on_ready_come_after_the_call);
	tcase_add_test(connecting, bytes_go_both_ways);
	if (client_has_ipv6())
		tcase_add_test(connecting, an_ipv6_address_is_connected_to);
	tcase_add_test(connecting, a_path_is_connected_to);
	tcase_add_test(connecting, an_abstract_name_is_connected_to);
	tcase_add_test(connecting, localhost_is_where_one_connects_without_a_host);
	tcase_add_test(connecting, wishes_made_before_are_applied_to_the_connection);
	tcase_add_test(connecting, a_connecting_socket_keeps_the_loop_running_unless_unreferenced);
	tcase_add_test(refused, a_place_is_needed);
	tcase_add_test(refused, connecting_twice_is_refused);
	tcase_add_test(refused, options_of_a_newer_library_are_refused_if_used);
	tcase_add_test(refused, a_connect_that_is_refused_leaves_nothing);
	tcase_add_test(failing, a_port_where_nobody_listens_is_told_with_its_address);
	tcase_add_test(failing, a_missing_path_is_told_with_its_name);
	tcase_add_test(failing, without_descriptors_nothing_is_connected);
	tcase_add_test(before, what_is_written_before_waits_for_the_connection);
	tcase_add_test(before, end_before_is_remembered);
	tcase_add_test(before, end_before_without_a_byte_is_remembered);
	tcase_add_test(before, nothing_completes_before_the_connection_is_made);
	tcase_add_test(before, much_written_before_drains);
	tcase_add_test(before, much_written_in_on_connect_arrives);
	tcase_add_test(before, what_is_written_before_comes_before_what_is_written_in_on_connect);
	tcase_add_test(before, destroy_while_connecting_tells_the_close_alone);
	tcase_add_loop_test(before, destroy_inside_on_connect_and_on_ready_drops_what_waited, 0,
			    sizeof destroyers / sizeof destroyers[0]);
	tcase_add_test(before, destroy_soon_while_connecting_delivers_first);
	tcase_add_test(before, an_attempt_without_an_answer_times_out_and_can_be_given_up);
	tcase_add_test(again, connecting_from_on_close_reopens_the_socket);
	tcase_add_test(again, a_failed_attempt_may_be_repeated_from_on_close);
	tcase_add_test(again, a_socket_reopened_and_destroyed_from_on_close_tells_again);
	tcase_add_test(again, connecting_after_destroy_takes_the_close_back);
	tcase_add_loop_test(again, a_socket_may_start_over_inside_any_event, 0,
			    sizeof starting_over / sizeof starting_over[0]);
	tcase_add_test(names, a_name_is_looked_up_and_told);
	tcase_add_test(names, a_name_that_is_not_found_is_an_error);
	tcase_add_test(names, the_next_address_is_tried_when_one_refuses);
	tcase_add_test(names, when_all_addresses_refuse_the_first_is_told);
	tcase_add_test(names, destroy_during_the_lookup_tells_the_close_alone);
	tcase_add_test(names, destroy_inside_on_lookup_tries_no_address);
	tcase_add_test(names, a_socket_may_start_over_inside_on_lookup);
	tcase_add_test(names, a_server_reports_a_name_that_is_not_found);
	return run_suite(suite);
}
