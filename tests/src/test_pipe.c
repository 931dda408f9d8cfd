/* tests/src/test_pipe.c - from one socket to another, or to itself, no faster than it is taken. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Three sockets at most, each with a peer. */
static struct socket_counts counts[3];
static int peers[3] = { -1, -1, -1 };

/* Pipes alone read here: on_data of the counting table would as well. */
static struct muster_socket *open_socket(int i)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peers[i], NULL);

	ck_assert_int_eq(muster_socket_on(socket, &deaf_socket, &counts[i]), 0);
	return socket;
}

static struct muster_socket *open_half_open(int i)
{
	struct muster_socket *socket = socket_with_options(
		test_loop, &(struct muster_socket_options){ .allow_half_open = true }, &peers[i], NULL);

	ck_assert_int_eq(muster_socket_on(socket, &deaf_socket, &counts[i]), 0);
	return socket;
}

static void close_peers(void)
{
	int i;

	for (i = 0; i < 3; i++)
		if (peers[i] >= 0)
			close(peers[i]);
}

/* The peer is given to a thread that sends so much, and takes in what comes. */
static struct exchange *exchange_with(int i, uint64_t length)
{
	int fd = peers[i];

	peers[i] = -1;
	return exchange_start(fd, length);
}

/* ---- Echo. */

START_TEST(an_echo_returns_every_byte)
{
	struct muster_socket *socket = open_socket(0);
	struct exchange *exchange;

	ck_assert_int_eq(muster_socket_pipe(socket, socket), 0);
	exchange = exchange_with(0, 8 << 20);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), 8 << 20);
	ck_assert_uint_eq(counts[0].error, 0);
	ck_assert_uint_eq(counts[0].close, 1);
}
END_TEST

/* Buffers far below what is sent: the echo must stop reading, and go on. */
START_TEST(an_echo_through_small_buffers_returns_every_byte)
{
	int ends[2], small = 4096;
	struct muster_socket *socket;
	struct exchange *exchange;

	client_pair_local(ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	socket = muster_socket_open(test_loop, ends[0], &(struct muster_socket_options){ .high_water_mark = 1024 });
	muster_socket_on(socket, &deaf_socket, &counts[0]);
	ck_assert_int_eq(muster_socket_pipe(socket, socket), 0);
	exchange = exchange_start(ends[1], 8 << 20);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), 8 << 20);
	ck_assert_uint_eq(counts[0].close, 1);
}
END_TEST

START_TEST(an_echo_holds_no_more_than_its_mark_and_one_read)
{
	struct muster_socket *socket = open_socket(0);
	static char bytes[65536];
	size_t sent = 0;

	ck_assert_int_eq(muster_socket_pipe(socket, socket), 0);
	/* A peer that sends for as long as it can and takes nothing back. */
	for (;;) {
		ssize_t more = send(peers[0], bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

		run_until_idle(test_loop);
		if (more < 0)
			break;
		sent += (size_t)more;
	}
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_le(muster_socket_buffered(socket), muster_socket_high_water_mark(socket) + 256 * 1024);
	ck_assert(!muster_socket_is_paused(socket));
}
END_TEST

START_TEST(a_half_open_echo_ends_with_its_peer)
{
	struct muster_socket *socket = open_half_open(0);
	struct exchange *exchange;

	ck_assert_int_eq(muster_socket_pipe(socket, socket), 0);
	exchange = exchange_with(0, 1 << 20);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), 1 << 20);
	ck_assert_uint_eq(counts[0].close, 1);
}
END_TEST

START_TEST(an_echo_that_was_ended_closes_with_its_peer)
{
	struct muster_socket *socket = open_socket(0);

	ck_assert_int_eq(muster_socket_pipe(socket, socket), 0);
	muster_socket_end(socket);
	run_until_count(test_loop, counts[0].finish, 1);
	client_send_text(peers[0], "not wanted any more");
	run_until_idle(test_loop);
	close_peers();
	peers[0] = -1;
	run_dry(test_loop);
	ck_assert_uint_eq(counts[0].close, 1);
}
END_TEST

/* ---- From one to another. */

START_TEST(everything_and_the_end_is_passed_on)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);
	struct exchange *source, *target;

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	source = exchange_with(0, 8 << 20);
	target = exchange_with(1, 0);
	run_dry(test_loop);
	exchange_finish(source);
	ck_assert_uint_eq(exchange_finish(target), 8 << 20);
	ck_assert_uint_eq(counts[0].close, 1);
	ck_assert_uint_eq(counts[1].close, 1);
	ck_assert_uint_eq(counts[0].error + counts[1].error, 0);
}
END_TEST

/* Half-open, since each way has an end of its own. */
START_TEST(two_pipes_make_a_proxy)
{
	struct muster_socket *a = open_half_open(0), *b = open_half_open(1);
	struct exchange *left, *right;

	ck_assert_int_eq(muster_socket_pipe(a, b), 0);
	ck_assert_int_eq(muster_socket_pipe(b, a), 0);
	left = exchange_with(0, 8 << 20);
	right = exchange_with(1, 5 << 20);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(left), 5 << 20);
	ck_assert_uint_eq(exchange_finish(right), 8 << 20);
	ck_assert_uint_eq(counts[0].error + counts[1].error, 0);
}
END_TEST

/* Send until neither the connections nor the pipe take more. Returns how much that was. */
static uint64_t stuff(int i)
{
	char bytes[32768];
	uint64_t sent = 0;

	for (;;) {
		ssize_t more;

		pattern_fill(bytes, sent, sizeof bytes);
		more = send(peers[i], bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		run_until_idle(test_loop);
		if (more < 0)
			return sent;
		sent += (uint64_t)more;
	}
}

START_TEST(a_target_that_is_not_read_holds_the_source_back)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);
	struct exchange *target;
	uint64_t sent;

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	sent = stuff(0);
	ck_assert(muster_socket_needs_drain(to));
	ck_assert_uint_le(muster_socket_buffered(to), muster_socket_high_water_mark(to) + 256 * 1024);
	ck_assert_uint_lt(muster_socket_bytes_read(from), sent);
	/* That is the pipe's affair; the user has not paused anything. */
	ck_assert(!muster_socket_is_paused(from));
	target = exchange_with(1, 0);
	shutdown(peers[0], SHUT_WR);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(target), sent);
}
END_TEST

START_TEST(resume_does_not_overrule_the_pipe)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);
	uint64_t before;

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	stuff(0);
	before = muster_socket_bytes_read(from);
	muster_socket_resume(from);
	run_until_idle(test_loop);
	ck_assert_uint_eq(muster_socket_bytes_read(from), before);
}
END_TEST

START_TEST(a_pause_of_the_user_outlasts_the_pipes)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);
	static char bytes[1 << 20];

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	stuff(0);
	muster_socket_pause(from);
	while (muster_socket_buffered(to) > 0) {
		client_receive(peers[1], bytes,
			       client_waiting(peers[1]) < sizeof bytes ? client_waiting(peers[1]) : sizeof bytes);
		run_until_idle(test_loop);
	}
	ck_assert(muster_socket_is_paused(from));
	ck_assert_uint_gt(client_waiting(muster_socket_fd(from)), 0);
}
END_TEST

START_TEST(a_target_that_is_connecting_gets_it_later)
{
	static struct socket_counts accepted;
	static struct server_counts servers = { .sockets = &accepted };
	struct muster_server *server = listening_server(test_loop, &servers);
	struct muster_connect_options there = { .host = "127.0.0.1", .port = server_port(server) };
	struct muster_socket *from = open_socket(0);
	struct muster_socket *to = muster_connect(test_loop, &there, &deaf_socket, &counts[1]);
	struct exchange *source;

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	source = exchange_with(0, 2 << 20);
	run_until_count(test_loop, accepted.end, 1);
	ck_assert_uint_eq(accepted.length, 2 << 20);
	muster_server_close(server);
	run_dry(test_loop);
	exchange_finish(source);
}
END_TEST

START_TEST(two_sources_may_have_one_target)
{
	struct muster_socket *a = open_socket(0), *b = open_socket(1), *to = open_socket(2);

	ck_assert_int_eq(muster_socket_pipe(a, to), 0);
	ck_assert_int_eq(muster_socket_pipe(b, to), 0);
	client_send_text(peers[0], "from a, ");
	run_until_idle(test_loop);
	client_send_text(peers[1], "from b");
	run_until_idle(test_loop);
	client_expect_text(peers[2], "from a, from b");
	muster_socket_unpipe(a);
	client_send_text(peers[1], ", again");
	run_until_idle(test_loop);
	client_expect_text(peers[2], ", again");
}
END_TEST

START_TEST(other_tables_see_the_data_too)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);
	static struct socket_counts watching;

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	muster_socket_on(from, &counting_socket, &watching);
	client_send_text(peers[0], "seen");
	run_until_count(test_loop, watching.data, 1);
	client_expect_text(peers[1], "seen");
	ck_assert_str_eq(watching.bytes, "seen");
}
END_TEST

/* ---- The end of a pipe. */

START_TEST(unpipe_stops_reading)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	client_send_text(peers[0], "a");
	run_until_idle(test_loop);
	muster_socket_unpipe(from);
	muster_socket_unpipe(from);
	client_send_text(peers[0], "b");
	shutdown(peers[0], SHUT_WR);
	run_until_idle(test_loop);
	client_expect_text(peers[1], "a");
	ck_assert_uint_eq(client_waiting(peers[1]), 0);
	ck_assert_uint_eq(client_waiting(muster_socket_fd(from)), 1);
	ck_assert_uint_eq(counts[1].finish, 0);
}
END_TEST

START_TEST(unpipe_lets_a_held_source_go_on)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	stuff(0);
	muster_socket_unpipe(from);
	muster_socket_on(from, &counting_socket, &counts[2]);
	run_until_count(test_loop, counts[2].data, 1);
}
END_TEST

START_TEST(unpipe_without_a_pipe_is_fine)
{
	muster_socket_unpipe(open_socket(0));
}
END_TEST

START_TEST(a_second_pipe_replaces_the_first)
{
	struct muster_socket *from = open_socket(0), *first = open_socket(1), *second = open_socket(2);

	ck_assert_int_eq(muster_socket_pipe(from, from), 0);
	ck_assert_int_eq(muster_socket_pipe(from, first), 0);
	ck_assert_int_eq(muster_socket_pipe(from, second), 0);
	client_send_text(peers[0], "x");
	run_until_idle(test_loop);
	client_expect_text(peers[2], "x");
	ck_assert_uint_eq(client_waiting(peers[1]), 0);
	ck_assert_uint_eq(client_waiting(peers[0]), 0);
	/* The first target has nothing to do with it any more. */
	muster_socket_destroy(first, 0);
	client_send_text(peers[0], "y");
	run_until_idle(test_loop);
	client_expect_text(peers[2], "y");
}
END_TEST

START_TEST(when_the_target_closes_the_source_is_paused)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	muster_socket_destroy(to, 0);
	run_until_count(test_loop, counts[1].close, 1);
	ck_assert(muster_socket_is_paused(from));
	client_send_text(peers[0], "x");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts[0].close, 0);
	ck_assert_uint_eq(client_waiting(muster_socket_fd(from)), 1);
}
END_TEST

START_TEST(a_target_that_was_ended_ends_the_pipe)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	muster_socket_end(to);
	client_send_text(peers[0], "x");
	run_until_idle(test_loop);
	ck_assert(muster_socket_is_paused(from));
	ck_assert_uint_eq(counts[0].error + counts[1].error, 0);
}
END_TEST

START_TEST(an_error_of_the_source_leaves_the_target_open)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	client_reset(peers[0]);
	peers[0] = -1;
	run_until_count(test_loop, counts[0].close, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts[0].error, 1);
	ck_assert_str_eq(counts[1].order, "");
	muster_socket_write(to, "still open", 10);
	client_expect_text(peers[1], "still open");
}
END_TEST

START_TEST(an_error_of_the_target_leaves_the_source_open)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	run_until_idle(test_loop);
	client_reset(peers[1]);
	peers[1] = -1;
	run_until_count(test_loop, counts[1].close, 1);
	ck_assert_uint_eq(counts[1].error, 1);
	ck_assert_str_eq(counts[0].order, "");
	ck_assert(muster_socket_is_paused(from));
	muster_socket_write(from, "still open", 10);
	client_expect_text(peers[0], "still open");
}
END_TEST

START_TEST(destroying_both_at_once_is_fine)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	ck_assert_int_eq(muster_socket_pipe(from, to), 0);
	ck_assert_int_eq(muster_socket_pipe(to, from), 0);
	if (_i == 0) {
		muster_socket_destroy(from, 0);
		muster_socket_destroy(to, 0);
	} else {
		muster_socket_destroy(to, 0);
		muster_socket_destroy(from, 0);
	}
	run_dry(test_loop);
	ck_assert_uint_eq(counts[0].close, 1);
	ck_assert_uint_eq(counts[1].close, 1);
}
END_TEST

START_TEST(the_end_of_the_loop_ends_pipes)
{
	struct muster_socket *a = open_socket(0), *b = open_socket(1), *c = open_socket(2);

	ck_assert_int_eq(muster_socket_pipe(a, b), 0);
	ck_assert_int_eq(muster_socket_pipe(b, c), 0);
	ck_assert_int_eq(muster_socket_pipe(c, a), 0);
	stuff(0);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(counts[0].close + counts[1].close + counts[2].close, 3);
}
END_TEST

START_TEST(a_destroyed_target_is_refused)
{
	struct muster_socket *from = open_socket(0), *to = open_socket(1);

	muster_socket_destroy(to, 0);
	ck_assert_int_eq(muster_socket_pipe(from, to), MUSTER_EDESTROYED);
	client_send_text(peers[0], "x");
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(muster_socket_fd(from)), 1);
}
END_TEST

static TCase *add_pipe_case(Suite *suite, const char *name)
{
	TCase *tcase = add_loop_case(suite, name);

	tcase_add_checked_fixture(tcase, NULL, close_peers);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("src/pipe");
	TCase *echo = add_pipe_case(suite, "echo");
	TCase *pipes = add_pipe_case(suite, "from one to another");
	TCase *end = add_pipe_case(suite, "end");

	tcase_add_test(echo, an_echo_returns_every_byte);
	tcase_add_test(echo, an_echo_through_small_buffers_returns_every_byte);
	tcase_add_test(echo, an_echo_holds_no_more_than_its_mark_and_one_read);
	tcase_add_test(echo, a_half_open_echo_ends_with_its_peer);
	tcase_add_test(echo, an_echo_that_was_ended_closes_with_its_peer);
	tcase_add_test(pipes, everything_and_the_end_is_passed_on);
	tcase_add_test(pipes, two_pipes_make_a_proxy);
	tcase_add_test(pipes, a_target_that_is_not_read_holds_the_source_back);
	tcase_add_test(pipes, resume_does_not_overrule_the_pipe);
	tcase_add_test(pipes, a_pause_of_the_user_outlasts_the_pipes);
	tcase_add_test(pipes, a_target_that_is_connecting_gets_it_later);
	tcase_add_test(pipes, two_sources_may_have_one_target);
	tcase_add_test(pipes, other_tables_see_the_data_too);
	tcase_add_test(end, unpipe_stops_reading);
	tcase_add_test(end, unpipe_lets_a_held_source_go_on);
	tcase_add_test(end, unpipe_without_a_pipe_is_fine);
	tcase_add_test(end, a_second_pipe_replaces_the_first);
	tcase_add_test(end, when_the_target_closes_the_source_is_paused);
	tcase_add_test(end, a_target_that_was_ended_ends_the_pipe);
	tcase_add_test(end, an_error_of_the_source_leaves_the_target_open);
	tcase_add_test(end, an_error_of_the_target_leaves_the_source_open);
	tcase_add_loop_test(end, destroying_both_at_once_is_fine, 0, 2);
	tcase_add_test(end, the_end_of_the_loop_ends_pipes);
	tcase_add_test(end, a_destroyed_target_is_refused);
	return run_suite(suite);
}
