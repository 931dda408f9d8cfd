/* tests/src/test_transfer.c - two ends of one connection: states, ends and bytes as both of them see it. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct socket_counts counts, sockets;
static struct server_counts servers;
static struct write_counts writes;
static struct muster_server *server;
static struct muster_connect_options there;

static void serve_with(struct muster_server_options options, struct muster_listen_options at)
{
	servers.sockets = &sockets;
	server = new_server(test_loop, &options, &servers);
	ck_assert_int_eq(muster_server_listen(server, &at), 0);
	run_until_count(test_loop, servers.listening, 1);
	if (at.path != NULL)
		there = (struct muster_connect_options){ .path = at.path };
	else
		there = (struct muster_connect_options){ .host = at.host, .port = server_port(server) };
}

static void serve(struct muster_server_options options)
{
	serve_with(options, (struct muster_listen_options){ .host = "127.0.0.1" });
}

/* A client, and its other end in servers.last. */
static struct muster_socket *meet(struct muster_socket_options options)
{
	struct muster_socket *socket = muster_socket_new(test_loop, &options);

	ck_assert_int_eq(muster_socket_on(socket, &counting_socket, &counts), 0);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, servers.connection, 1);
	run_until_count(test_loop, counts.ready, 1);
	return socket;
}

/* ---- States. */

START_TEST(the_state_follows_the_sides)
{
	struct muster_socket *socket;

	serve((struct muster_server_options){ .allow_half_open = true });
	socket = meet((struct muster_socket_options){ .allow_half_open = true });
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_OPEN);
	ck_assert_int_eq(muster_socket_ready_state(servers.last), MUSTER_READY_OPEN);
	muster_socket_end(socket);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_READ_ONLY);
	run_until_count(test_loop, sockets.end, 1);
	ck_assert_int_eq(muster_socket_ready_state(servers.last), MUSTER_READY_WRITE_ONLY);
	ck_assert(!muster_socket_is_destroyed(servers.last));
	muster_socket_end_with(servers.last, "bye", 3);
	ck_assert_int_eq(muster_socket_ready_state(servers.last), MUSTER_READY_CLOSED);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "connect ready finish data end close");
	ck_assert_str_eq(sockets.order, "end finish close");
}
END_TEST

START_TEST(a_destroyed_socket_is_closed)
{
	struct muster_socket *socket;
	struct muster_address address;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	muster_socket_destroy(socket, 0);
	ck_assert(muster_socket_is_destroyed(socket));
	ck_assert(muster_socket_is_pending(socket));
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_CLOSED);
	ck_assert_int_eq(muster_socket_fd(socket), -1);
	ck_assert_int_eq(muster_socket_remote_address(socket, &address), -ENOTCONN);
	ck_assert_int_eq(muster_socket_local_address(socket, &address), -ENOTCONN);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
}
END_TEST

START_TEST(each_end_knows_the_other)
{
	struct muster_address a, b;
	struct muster_socket *socket;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	ck_assert_int_eq(muster_socket_local_address(socket, &a), 0);
	ck_assert_int_eq(muster_socket_remote_address(servers.last, &b), 0);
	ck_assert_str_eq(a.text, b.text);
	ck_assert_uint_eq(a.port, b.port);
	ck_assert_int_eq(a.family, 4);
	ck_assert_int_eq(muster_socket_remote_address(socket, &a), 0);
	ck_assert_int_eq(muster_socket_local_address(servers.last, &b), 0);
	ck_assert_str_eq(a.text, b.text);
	ck_assert_uint_eq(a.port, b.port);
	ck_assert_uint_eq(a.port, there.port);
}
END_TEST

START_TEST(on_every_address_the_local_one_is_that_of_the_client)
{
	struct muster_address local;

	serve_with((struct muster_server_options){ 0 }, (struct muster_listen_options){ .host = "0.0.0.0" });
	there.host = "127.0.0.5";
	meet((struct muster_socket_options){ 0 });
	ck_assert_int_eq(muster_socket_local_address(servers.last, &local), 0);
	ck_assert_str_eq(local.text, "127.0.0.5");
	ck_assert_uint_eq(local.port, there.port);
}
END_TEST

/* ---- Ends. */

START_TEST(the_forms_of_end_send_complete_and_are_for_once)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' };
	struct muster_socket *socket;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	ck_assert_int_eq(muster_socket_end_then(socket, "last words", 10, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_end(socket), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_end_then(socket, NULL, 0, count_written, &b), MUSTER_EENDED);
	ck_assert_uint_eq(writes.done, 0);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(writes.order, "a");
	ck_assert_int_eq(writes.last, 0);
	ck_assert_str_eq(sockets.bytes, "last words");
	ck_assert_uint_eq(counts.error, 0);
}
END_TEST

START_TEST(after_the_end_of_the_peer_writing_is_over)
{
	struct muster_socket *socket;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ .allow_half_open = true });
	muster_socket_pause(servers.last);
	fill_output(servers.last, 1 << 20);
	muster_socket_resume(servers.last);
	muster_socket_pause(socket);
	muster_socket_end(socket);
	run_until_count(test_loop, sockets.end, 1);
	/* What is queued still goes; more does not, and nothing comes of trying. */
	ck_assert_int_eq(muster_socket_write(servers.last, "x", 1), MUSTER_EENDED);
	ck_assert_uint_eq(sockets.error, 0);
	muster_socket_resume(socket);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_gt(counts.length, 1 << 20);
	ck_assert_str_eq(sockets.order, "end finish close");
}
END_TEST

static void echo_once(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	unsigned *rounds = data;

	if (*rounds == 0) {
		muster_socket_end(socket);
		return;
	}
	--*rounds;
	ck_assert_int_eq(muster_socket_write(socket, bytes, length), 0);
}

START_TEST(ping_pong_goes_on_until_one_ends)
{
	static const struct muster_socket_handlers handlers = { .on_data = echo_once };
	static unsigned pings = 1000, pongs = 10000;
	struct muster_socket *socket;

	if (_i == 0)
		serve((struct muster_server_options){ .allow_half_open = true });
	else
		serve_with((struct muster_server_options){ .allow_half_open = true },
			   (struct muster_listen_options){ .path = folder_path("socket") });
	socket = meet((struct muster_socket_options){ 0 });
	muster_socket_on(socket, &handlers, &pings);
	muster_socket_on(servers.last, &handlers, &pongs);
	muster_socket_write(socket, "PING", 4);
	run_until_count(test_loop, sockets.end, 1);
	ck_assert_uint_eq(sockets.length, 1001 * 4);
	ck_assert_uint_eq(counts.length, 1001 * 4);
	ck_assert_uint_eq(muster_server_connections(server), 1);
	muster_socket_end(servers.last);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close + sockets.close, 2);
	ck_assert_uint_eq(counts.error + sockets.error, 0);
}
END_TEST

/* ---- Many bytes. */

static uint64_t received;
static unsigned pauses;

static void resume_it(void *data)
{
	muster_socket_resume(data);
}

static void sip(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)data;
	ck_assert(!muster_socket_is_paused(socket));
	ck_assert(pattern_matches(bytes, received, length));
	received += length;
	pauses++;
	muster_socket_pause(socket);
	ck_assert_int_eq(muster_loop_defer(test_loop, resume_it, socket), 0);
}

START_TEST(a_reader_that_pauses_all_the_time_gets_every_byte)
{
	static const struct muster_socket_handlers handlers = { .on_data = sip };
	struct muster_socket *socket;
	size_t length;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	muster_socket_on(socket, &handlers, NULL);
	length = fill_output(servers.last, 8 << 20);
	ck_assert_uint_eq(muster_socket_bytes_written(servers.last), length);
	ck_assert_uint_ge(muster_socket_buffered(servers.last), 8 << 20);
	muster_socket_end(servers.last);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(received, length);
	ck_assert_uint_gt(pauses, 10);
}
END_TEST

START_TEST(what_is_queued_is_counted_until_it_is_sent)
{
	struct muster_socket *socket;
	size_t before, queued;

	serve((struct muster_server_options){ .pause_on_connect = true });
	socket = meet((struct muster_socket_options){ 0 });
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	before = fill_output(socket, 1 << 20);
	queued = muster_socket_buffered(socket);
	muster_socket_write(socket, "12345", 5);
	ck_assert_uint_eq(muster_socket_buffered(socket), queued + 5);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), before + 5);
	muster_socket_resume(servers.last);
	run_until_count(test_loop, counts.drain, 1);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), before + 5);
}
END_TEST

START_TEST(every_byte_value_goes_there_and_back)
{
	struct muster_socket *socket;
	char half[128];
	unsigned i;

	for (i = 0; i < sizeof half; i++)
		half[i] = (char)(i + (_i == 0 ? 0 : sizeof half));
	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	ck_assert_int_eq(muster_socket_pipe(servers.last, servers.last), 0);
	ck_assert_int_eq(muster_socket_write(socket, half, sizeof half), 0);
	while (counts.length < sizeof half)
		run_until_count(test_loop, counts.data, counts.data + 1);
	ck_assert_mem_eq(counts.bytes, half, sizeof half);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), sizeof half);
}
END_TEST

START_TEST(what_is_written_is_copied)
{
	struct muster_socket *socket;
	char text[] = "first";

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	muster_socket_cork(socket);
	muster_socket_write(socket, text, 5);
	memset(text, '?', 5);
	muster_socket_uncork(socket);
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_str_eq(sockets.bytes, "first");
}
END_TEST

/* ---- Misfortunes. */

START_TEST(many_refused_connections_each_tell_once)
{
	struct muster_connect_options nowhere = { .host = "127.0.0.1", .port = client_free_port() };
	unsigned i;

	for (i = 0; i < 200; i++)
		ck_assert_ptr_nonnull(muster_connect(test_loop, &nowhere, &counting_socket, &counts));
	run_dry(test_loop);
	ck_assert_uint_eq(counts.error, 200);
	ck_assert_uint_eq(counts.close, 200);
	ck_assert_uint_eq(counts.bad_close, 200);
	ck_assert_uint_eq(counts.connect, 0);
}
END_TEST

START_TEST(a_file_that_is_no_socket_refuses)
{
	struct muster_connect_options file = { .path = folder_path("file") };
	int fd = open(file.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	close(fd);
	ck_assert_ptr_nonnull(muster_connect(test_loop, &file, &counting_socket, &counts));
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -ECONNREFUSED);
	ck_assert_str_eq(counts.last_error.call, "connect");
	ck_assert_str_eq(counts.last_error.address.text, file.path);
}
END_TEST

START_TEST(a_peer_process_that_is_killed_ends_its_connection)
{
	int client, ready[2];
	char byte;
	pid_t child;

	serve((struct muster_server_options){ 0 });
	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		client = client_connect_port(there.port);
		_exit(write(ready[1], "x", 1) == 1 ? pause() : client);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	run_until_count(test_loop, servers.connection, 1);
	kill(child, SIGKILL);
	process_wait(child);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(sockets.close, 1);
	ck_assert_uint_eq(servers.close, 1);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

START_TEST(destroying_any_number_of_times_tells_once)
{
	struct muster_socket *socket;

	serve((struct muster_server_options){ 0 });
	socket = meet((struct muster_socket_options){ 0 });
	muster_socket_destroy(socket, -EIO);
	muster_socket_destroy(socket, -EPROTO);
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "connect ready error close");
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_int_eq(counts.last_error.code, -EIO);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/transfer");
	TCase *states = add_loop_case(suite, "states");
	TCase *ends = add_loop_case(suite, "ends");
	TCase *bytes = add_loop_case(suite, "bytes");
	TCase *misfortunes = add_loop_case(suite, "misfortunes");

	tcase_add_test(states, the_state_follows_the_sides);
	tcase_add_test(states, a_destroyed_socket_is_closed);
	tcase_add_test(states, each_end_knows_the_other);
	tcase_add_test(states, on_every_address_the_local_one_is_that_of_the_client);
	tcase_add_test(ends, the_forms_of_end_send_complete_and_are_for_once);
	tcase_add_test(ends, after_the_end_of_the_peer_writing_is_over);
	tcase_add_loop_test(ends, ping_pong_goes_on_until_one_ends, 0, 2);
	tcase_add_test(bytes, a_reader_that_pauses_all_the_time_gets_every_byte);
	tcase_add_test(bytes, what_is_queued_is_counted_until_it_is_sent);
	tcase_add_loop_test(bytes, every_byte_value_goes_there_and_back, 0, 2);
	tcase_add_test(bytes, what_is_written_is_copied);
	tcase_add_test(misfortunes, many_refused_connections_each_tell_once);
	tcase_add_test(misfortunes, a_file_that_is_no_socket_refuses);
	tcase_add_test(misfortunes, a_peer_process_that_is_killed_ends_its_connection);
	tcase_add_test(misfortunes, destroying_any_number_of_times_tells_once);
	return run_suite(suite);
}
