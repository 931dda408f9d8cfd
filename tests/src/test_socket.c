/* tests/src/test_socket.c - net.Socket: what comes in, and how it ends. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
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

static struct socket_counts counts, other_counts;
static int peer = -1;

static struct muster_socket *open_socket(void)
{
	return socket_with_peer(test_loop, &peer, &counts);
}

static struct muster_socket *open_with(struct muster_socket_options options)
{
	return socket_with_options(test_loop, &options, &peer, &counts);
}

/* One that does not read. */
static struct muster_socket *open_deaf(void)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);

	ck_assert_int_eq(muster_socket_on(socket, &deaf_socket, &counts), 0);
	return socket;
}

static struct muster_socket *open_local(void)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair_local(ends);
	peer = ends[1];
	socket = muster_socket_open(test_loop, ends[0], NULL);
	ck_assert_ptr_nonnull(socket);
	return socket;
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void reset_peer(void)
{
	client_reset(peer);
	peer = -1;
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

/* ---- Opening. */

START_TEST(a_descriptor_becomes_an_open_socket)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_OPEN);
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert(!muster_socket_is_pending(socket));
	ck_assert(!muster_socket_is_destroyed(socket));
	ck_assert_ptr_eq(muster_socket_loop(socket), test_loop);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
}
END_TEST

static int a_file(void)
{
	return open("/dev/null", O_RDONLY);
}

static int a_datagram_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static int nothing(void)
{
	return -1;
}

static int (*const wrong_descriptors[])(void) = { a_file, a_datagram_socket, nothing };

START_TEST(what_is_no_stream_socket_is_refused_and_closed)
{
	int fd = wrong_descriptors[_i]();

	ck_assert_ptr_null(muster_socket_open(test_loop, fd, NULL));
	ck_assert_int_eq(errno, fd < 0 ? EBADF : EINVAL);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	run_dry(test_loop);
}
END_TEST

START_TEST(options_of_a_newer_library_are_refused_and_the_descriptor_closed)
{
	struct {
		struct muster_socket_options known;
		long unknown;
	} newer = { .unknown = 1 };
	int ends[2];

	client_pair(ends);
	ck_assert_ptr_null(muster_socket_open_sized(test_loop, ends[0], &newer.known, sizeof newer));
	ck_assert_int_eq(errno, E2BIG);
	client_expect_end(ends[1]);
	close(ends[1]);
	ck_assert_ptr_null(muster_socket_new_sized(test_loop, &newer.known, sizeof newer));
	newer.unknown = 0;
	ck_assert_ptr_nonnull(muster_socket_new_sized(test_loop, &newer.known, sizeof newer));
}
END_TEST

START_TEST(a_fresh_socket_has_nothing)
{
	struct muster_socket *socket = muster_socket_new(test_loop, NULL);
	struct muster_address address;

	ck_assert_int_eq(muster_socket_fd(socket), -1);
	ck_assert(muster_socket_is_pending(socket));
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert_int_eq(muster_socket_local_address(socket, &address), -ENOTCONN);
	ck_assert_int_eq(muster_socket_remote_address(socket, &address), -ENOTCONN);
	ck_assert_int_eq(muster_socket_take_fd(socket), -ENOTCONN);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_socket_end(socket), MUSTER_ECLOSED);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	ck_assert_uint_eq(muster_socket_high_water_mark(socket), 65536);
	muster_socket_on(socket, &counting_socket, &counts);
	muster_socket_pause(socket);
	muster_socket_resume(socket);
	muster_socket_destroy(socket, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

START_TEST(both_addresses_are_known)
{
	struct muster_socket *socket = open_socket();
	struct muster_address local, remote;

	ck_assert_int_eq(muster_socket_local_address(socket, &local), 0);
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), 0);
	ck_assert_int_eq(local.family, 4);
	ck_assert_str_eq(local.text, "127.0.0.1");
	ck_assert_uint_eq(local.port, client_port_of(muster_socket_fd(socket)));
	ck_assert_uint_eq(remote.port, client_port_of(peer));
}
END_TEST

START_TEST(a_unix_socket_without_a_name_has_addresses_without_text)
{
	struct muster_socket *socket = open_local();
	struct muster_address address;

	ck_assert_int_eq(muster_socket_local_address(socket, &address), 0);
	ck_assert_int_eq(address.family, 1);
	ck_assert_uint_eq(address.length, 0);
}
END_TEST

/* ---- Reading. */

START_TEST(what_the_peer_sends_arrives_and_then_its_end)
{
	struct muster_socket *socket = open_socket();

	client_send_text(peer, "hello");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 5);
	client_send_text(peer, " world");
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.bytes, "hello world");
	ck_assert_str_eq(counts.order, "data end finish close");
	ck_assert_uint_eq(counts.end + counts.finish + counts.close, 3);
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

START_TEST(without_on_data_nothing_is_read)
{
	struct muster_socket *socket = open_deaf();

	client_send_text(peer, "hello");
	shutdown(peer, SHUT_WR);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert_uint_eq(client_waiting(muster_socket_fd(socket)), 5);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 0);
}
END_TEST

START_TEST(on_data_added_later_gets_what_has_waited)
{
	struct muster_socket *socket = open_deaf();

	client_send_text(peer, "hello");
	run_until_idle(test_loop);
	muster_socket_on(socket, &counting_socket, &other_counts);
	run_until_count(test_loop, other_counts.data, 1);
	ck_assert_str_eq(other_counts.bytes, "hello");
}
END_TEST

START_TEST(on_data_taken_away_stops_reading)
{
	struct muster_socket *socket = open_socket();

	client_send_text(peer, "a");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_int_eq(muster_socket_off(socket, &counting_socket, &counts), 0);
	client_send_text(peer, "b");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 1);
	ck_assert_uint_eq(client_waiting(muster_socket_fd(socket)), 1);
}
END_TEST

START_TEST(pause_leaves_bytes_with_the_kernel_until_resume)
{
	struct muster_socket *socket = open_socket();

	muster_socket_pause(socket);
	ck_assert(muster_socket_is_paused(socket));
	client_send_text(peer, "hello");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 0);
	muster_socket_resume(socket);
	muster_socket_resume(socket);
	ck_assert(!muster_socket_is_paused(socket));
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "hello");
}
END_TEST

START_TEST(a_paused_socket_does_not_see_the_end)
{
	struct muster_socket *socket = open_socket();

	muster_socket_pause(socket);
	client_send_text(peer, "hello");
	close_peer();
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	muster_socket_resume(socket);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "data end finish close");
}
END_TEST

static void pause_it(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)bytes, (void)length, (void)data;
	muster_socket_pause(socket);
}

START_TEST(pause_inside_on_data_is_the_last_read)
{
	static const struct muster_socket_handlers handlers = { .on_data = pause_it };
	struct muster_socket *socket = open_socket();

	muster_socket_on(socket, &handlers, NULL);
	client_send_text(peer, "a");
	run_until_count(test_loop, counts.data, 1);
	client_send_text(peer, "b");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 1);
	muster_socket_resume(socket);
	run_until_count(test_loop, counts.data, 2);
	ck_assert_str_eq(counts.bytes, "ab");
}
END_TEST

static uint64_t received;

static void check_pattern(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)socket, (void)data;
	ck_assert(pattern_matches(bytes, received, length));
	received += length;
}

START_TEST(many_bytes_arrive_in_order)
{
	static const struct muster_socket_handlers handlers = { .on_data = check_pattern };
	struct muster_socket *socket = open_socket();
	struct exchange *exchange = exchange_start(peer, 8 << 20);

	muster_socket_on(socket, &handlers, NULL);
	run_dry(test_loop);
	ck_assert_uint_eq(received, 8 << 20);
	ck_assert_uint_eq(exchange_finish(exchange), 0);
	peer = -1;
}
END_TEST

/* ---- Resets and hang-ups. */

START_TEST(a_reset_while_reading_is_an_error)
{
	struct muster_socket *socket = open_socket();

	run_until_idle(test_loop);
	reset_peer();
	run_dry(test_loop);
	(void)socket;
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -ECONNRESET);
	ck_assert_str_eq(counts.last_error.call, "read");
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

START_TEST(a_reset_ends_a_paused_socket)
{
	struct muster_socket *socket = open_socket();

	muster_socket_pause(socket);
	client_send_text(peer, "lost");
	run_until_idle(test_loop);
	reset_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -ECONNRESET);
}
END_TEST

START_TEST(a_reset_ends_a_socket_without_on_data)
{
	open_deaf();
	run_until_idle(test_loop);
	reset_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

START_TEST(a_reset_that_came_before_the_socket_was_opened_is_seen)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair(ends);
	client_reset(ends[1]);
	socket = muster_socket_open(test_loop, ends[0], NULL);
	muster_socket_on(socket, &deaf_socket, &counts);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
}
END_TEST

START_TEST(a_reset_while_output_waits_is_an_error)
{
	struct muster_socket *socket = open_deaf();

	fill_output(socket, 1);
	run_until_idle(test_loop);
	reset_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_str_eq(counts.last_error.call, "write");
}
END_TEST

START_TEST(an_error_nobody_listens_for_is_logged)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);
	static const struct muster_socket_handlers handlers = { .on_data = check_pattern };

	muster_socket_on(socket, &handlers, NULL);
	lines_record(MUSTER_LOG_WARN);
	reset_peer();
	run_dry(test_loop);
	ck_assert_uint_eq(lines_count(), 1);
	ck_assert_uint_eq(lines_with("read ECONNRESET"), 1);
}
END_TEST

START_TEST(a_hang_up_ends_a_socket_that_nobody_reads)
{
	struct muster_socket *socket = open_local();

	muster_socket_on(socket, &deaf_socket, &counts);
	run_until_idle(test_loop);
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(a_hang_up_leaves_a_paused_socket_its_bytes)
{
	struct muster_socket *socket = open_local();

	muster_socket_on(socket, &counting_socket, &counts);
	muster_socket_pause(socket);
	client_send_text(peer, "hello");
	close_peer();
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	muster_socket_resume(socket);
	run_dry(test_loop);
	ck_assert_str_eq(counts.bytes, "hello");
	ck_assert_str_eq(counts.order, "data end finish close");
}
END_TEST

START_TEST(a_socket_nobody_reads_ends_once_both_sides_have_ended)
{
	struct muster_socket *socket = open_deaf();

	close_peer();
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish close");
}
END_TEST

/* ---- Half-open. */

START_TEST(the_end_of_the_peer_ends_our_side_after_what_is_queued)
{
	struct muster_socket *socket = open_socket();
	size_t length = fill_output(socket, 1 << 20);
	struct exchange *exchange;

	shutdown(peer, SHUT_WR);
	run_until_count(test_loop, counts.end, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "end");
	exchange = exchange_start(peer, 0);
	peer = -1;
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), length);
	ck_assert_str_eq(counts.order, "end finish close");
}
END_TEST

START_TEST(allow_half_open_keeps_our_side_until_we_end_it)
{
	struct muster_socket *socket = open_with((struct muster_socket_options){ .allow_half_open = true });

	shutdown(peer, SHUT_WR);
	run_until_count(test_loop, counts.end, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "end");
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_WRITE_ONLY);
	ck_assert_int_eq(muster_socket_write(socket, "late", 4), 0);
	client_expect_text(peer, "late");
	ck_assert_int_eq(muster_socket_end_with(socket, "bye", 3), 0);
	run_dry(test_loop);
	client_expect_text(peer, "bye");
	client_expect_end(peer);
	ck_assert_str_eq(counts.order, "end finish close");
}
END_TEST

START_TEST(our_end_leaves_the_peers_side_open)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, counts.finish, 1);
	client_expect_end(peer);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_READ_ONLY);
	client_send_text(peer, "still");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_uint_eq(counts.close, 0);
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish data end close");
}
END_TEST

START_TEST(with_allow_half_open_our_end_comes_first_as_well)
{
	struct muster_socket *socket = open_with((struct muster_socket_options){ .allow_half_open = true });

	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, counts.finish, 1);
	shutdown(peer, SHUT_WR);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish end close");
}
END_TEST

static void answer(struct muster_socket *socket, void *data)
{
	(void)data;
	ck_assert_int_eq(muster_socket_write(socket, "answer", 6), 0);
}

START_TEST(on_end_may_still_write)
{
	static const struct muster_socket_handlers handlers = { .on_end = answer };
	struct muster_socket *socket = open_socket();

	muster_socket_on(socket, &handlers, NULL);
	shutdown(peer, SHUT_WR);
	run_dry(test_loop);
	client_expect_text(peer, "answer");
	client_expect_end(peer);
}
END_TEST

START_TEST(no_read_never_reads_and_ends_with_our_side)
{
	struct muster_socket *socket = open_with((struct muster_socket_options){ .no_read = true });

	client_send_text(peer, "x");
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_WRITE_ONLY);
	ck_assert_int_eq(muster_socket_end_with(socket, "bye", 3), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish close");
}
END_TEST

START_TEST(no_read_still_sees_a_hang_up)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair_local(ends);
	socket = muster_socket_open(test_loop, ends[0], &(struct muster_socket_options){ .no_read = true });
	muster_socket_on(socket, &counting_socket, &counts);
	run_until_idle(test_loop);
	close(ends[1]);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(no_write_never_writes_and_ends_with_the_peers_side)
{
	struct muster_socket *socket = open_with((struct muster_socket_options){ .no_write = true });

	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_end(socket), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_READ_ONLY);
	client_send_text(peer, "x");
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "data end close");
}
END_TEST

/* ---- Destroying. */

START_TEST(destroy_closes_at_once_and_tells_later)
{
	struct muster_socket *socket = open_socket();

	run_until_idle(test_loop);
	muster_socket_destroy(socket, 0);
	ck_assert(muster_socket_is_destroyed(socket));
	ck_assert_int_eq(muster_socket_fd(socket), -1);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_CLOSED);
	client_expect_end(peer);
	ck_assert_uint_eq(counts.close, 0);
	muster_socket_destroy(socket, 0);
	muster_socket_destroy(socket, -EIO);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

START_TEST(destroy_with_an_error_tells_it_first)
{
	struct muster_socket *socket = open_socket();

	muster_socket_destroy(socket, -EPROTO);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -EPROTO);
	ck_assert_ptr_null(counts.last_error.call);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

START_TEST(counters_survive_destroy)
{
	struct muster_socket *socket = open_socket();

	client_send_text(peer, "hello");
	run_until_count(test_loop, counts.data, 1);
	muster_socket_write(socket, "abc", 3);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 5);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 3);
	run_dry(test_loop);
}
END_TEST

static void destroy_it(struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
	muster_socket_destroy(socket, 0);
}

static void destroy_on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)bytes, (void)length;
	destroy_it(socket, data);
}

static void destroy_on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	(void)error;
	destroy_it(socket, data);
}

static void destroy_on_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)had_error;
	destroy_it(socket, data);
}

static const struct muster_socket_handlers destroyers[] = {
	{ .on_data = destroy_on_data }, { .on_end = destroy_it },     { .on_finish = destroy_it },
	{ .on_drain = destroy_it },     { .on_timeout = destroy_it }, { .on_close = destroy_on_close },
};

START_TEST(destroy_inside_any_callback_gives_one_on_close)
{
	struct muster_socket *socket = open_socket();
	struct exchange *exchange;

	muster_socket_on(socket, &destroyers[_i], NULL);
	muster_socket_set_timeout(socket, destroyers[_i].on_timeout != NULL ? 1 : 0);
	fill_output(socket, 100000);
	if (destroyers[_i].on_timeout != NULL)
		run_until_count(test_loop, counts.timeout, 1);
	exchange = exchange_start(peer, 1000);
	peer = -1;
	run_dry(test_loop);
	exchange_finish(exchange);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

START_TEST(destroy_inside_on_error_gives_one_on_close)
{
	static const struct muster_socket_handlers handlers = { .on_error = destroy_on_error };
	struct muster_socket *socket = open_socket();

	muster_socket_on(socket, &handlers, NULL);
	reset_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

/* A copy of the descriptor, as a primary has one, keeps the connection: nothing may come from it any more. */
START_TEST(the_descriptor_leaves_epoll_before_it_is_closed)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket), copy = dup(fd);

	run_until_idle(test_loop);
	ck_assert_uint_eq(descriptors_watching(fd, NULL), 1);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(descriptors_watching(fd, NULL), 0);
	client_send_text(peer, "x");
	run_dry(test_loop);
	ck_assert_uint_eq(counts.data, 0);
	close(copy);
}
END_TEST

START_TEST(destroy_soon_waits_for_what_is_queued)
{
	struct muster_socket *socket = open_socket();
	size_t length = fill_output(socket, 1 << 20);
	struct exchange *exchange;

	muster_socket_destroy_soon(socket);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EENDED);
	exchange = exchange_start(peer, 0);
	peer = -1;
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), length);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

START_TEST(destroy_soon_does_not_wait_for_the_peer)
{
	struct muster_socket *socket = open_socket();

	muster_socket_destroy_soon(socket);
	ck_assert_uint_eq(counts.close, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish close");
	client_expect_end(peer);
}
END_TEST

START_TEST(destroy_soon_after_the_end_closes)
{
	struct muster_socket *socket = open_socket();

	muster_socket_end(socket);
	run_until_count(test_loop, counts.finish, 1);
	muster_socket_destroy_soon(socket);
	muster_socket_destroy_soon(socket);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish close");
	ck_assert_uint_eq(counts.finish, 1);
}
END_TEST

START_TEST(destroy_soon_of_a_fresh_socket_closes_it)
{
	struct muster_socket *socket = muster_socket_new(test_loop, NULL);

	muster_socket_on(socket, &counting_socket, &counts);
	muster_socket_destroy_soon(socket);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

/* ---- Giving the descriptor away. */

START_TEST(take_fd_gives_the_connection_to_the_caller)
{
	struct muster_socket *socket = open_socket();
	int fd;

	run_until_idle(test_loop);
	fd = muster_socket_take_fd(socket);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(muster_socket_fd(socket), -1);
	ck_assert_int_eq(muster_socket_take_fd(socket), -ENOTCONN);
	ck_assert_uint_eq(descriptors_watching(fd, NULL), 0);
	client_send_text(peer, "hello");
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.bad_close, 0);
	client_expect_text(fd, "hello");
	client_send_text(fd, "back");
	client_expect_text(peer, "back");
	close(fd);
}
END_TEST

START_TEST(take_fd_is_refused_while_output_waits)
{
	struct muster_socket *socket = open_socket();

	fill_output(socket, 1);
	ck_assert_int_eq(muster_socket_take_fd(socket), -EBUSY);
	ck_assert_int_ge(muster_socket_fd(socket), 0);
}
END_TEST

START_TEST(a_connection_taken_away_is_gone_from_its_server)
{
	static struct server_counts servers;
	struct muster_server *server = listening_server(test_loop, &servers);
	int fd;

	peer = client_connect_port(server_port(server));
	run_until_count(test_loop, servers.connection, 1);
	fd = muster_socket_take_fd(servers.last);
	ck_assert_uint_eq(muster_server_connections(server), 0);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(servers.close, 1);
	close(fd);
}
END_TEST

/* ---- Options. */

START_TEST(no_delay_is_set_and_cleared)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket);

	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(muster_socket_set_no_delay(socket, true), 0);
	ck_assert_int_ne(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_eq(muster_socket_set_no_delay(socket, false), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
}
END_TEST

START_TEST(keep_alive_is_set_and_cleared)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket);

	ck_assert_int_eq(muster_socket_set_keep_alive(socket, true, 5999), 0);
	ck_assert_int_ne(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 5);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 10);
	ck_assert_int_eq(muster_socket_set_keep_alive(socket, false, 0), 0);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
}
END_TEST

START_TEST(keep_alive_without_a_delay_leaves_the_systems)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket), before = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);

	ck_assert_int_eq(muster_socket_set_keep_alive(socket, true, 0), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), before);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 10);
}
END_TEST

START_TEST(probes_follow_each_other_as_asked)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket);

	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 15999, 4), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
	ck_assert_int_eq(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(muster_socket_set_keep_alive(socket, true, 5000), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 0, 0), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 10);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 5);
}
END_TEST

START_TEST(probes_that_the_kernel_would_refuse_are_refused)
{
	struct muster_socket *socket = open_socket();
	int fd = muster_socket_fd(socket);

	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 32767999, 127), 0);
	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 32768000, 1), -EINVAL);
	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 1000, 128), -EINVAL);
	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, (unsigned)-1, (unsigned)-1), -EINVAL);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 32767);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 127);
}
END_TEST

START_TEST(tcp_options_do_nothing_on_unix_sockets)
{
	struct muster_socket *socket = open_local();

	ck_assert_int_eq(muster_socket_set_keep_alive_probes(socket, 1000, 1), 0);
	ck_assert_int_eq(muster_socket_set_no_delay(socket, true), 0);
	ck_assert_int_eq(muster_socket_set_keep_alive(socket, true, 1000), 0);
	ck_assert_int_eq(option_of(muster_socket_fd(socket), SOL_SOCKET, SO_KEEPALIVE), 0);
}
END_TEST

/* ---- Several tables. */

START_TEST(each_table_gets_each_event_in_the_order_added)
{
	struct muster_socket *socket = open_socket();

	muster_socket_on(socket, &counting_socket, &other_counts);
	client_send_text(peer, "x");
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, other_counts.order);
	ck_assert_uint_eq(other_counts.close, 1);
}
END_TEST

static void once(struct muster_socket *socket, const void *bytes, size_t length, void *data);
static const struct muster_socket_handlers one_time = { .on_data = once };

static void once(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)bytes, (void)length;
	++*(unsigned *)data;
	ck_assert_int_eq(muster_socket_off(socket, &one_time, data), 0);
}

START_TEST(a_listener_for_one_occasion_takes_itself_off)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);
	static unsigned times = 0;

	muster_socket_on(socket, &one_time, &times);
	muster_socket_on(socket, &counting_socket, &counts);
	client_send_text(peer, "a");
	run_until_count(test_loop, counts.data, 1);
	client_send_text(peer, "b");
	run_until_count(test_loop, counts.data, 2);
	ck_assert_uint_eq(times, 1);
	ck_assert_int_eq(muster_socket_off(socket, &one_time, &times), -ENOENT);
}
END_TEST

START_TEST(a_table_of_a_newer_library_is_refused_if_used)
{
	struct muster_socket *socket = open_socket();
	struct {
		struct muster_socket_handlers known;
		void (*unknown)(struct muster_socket *socket, void *data);
	} newer = { .known = counting_socket };

	ck_assert_int_eq(muster_socket_on_sized(socket, &newer.known, sizeof newer, &other_counts), 0);
	ck_assert_int_eq(muster_socket_off_sized(socket, &newer.known, sizeof newer, &other_counts), 0);
	newer.unknown = destroy_it;
	ck_assert_int_eq(muster_socket_on_sized(socket, &newer.known, sizeof newer, &other_counts), -E2BIG);
}
END_TEST

static TCase *add_socket_case(Suite *suite, const char *name)
{
	TCase *tcase = add_loop_case(suite, name);

	tcase_add_checked_fixture(tcase, NULL, close_peer);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("src/socket");
	TCase *opening = add_socket_case(suite, "opening");
	TCase *reading = add_socket_case(suite, "reading");
	TCase *resets = add_socket_case(suite, "resets");
	TCase *half_open = add_socket_case(suite, "half-open");
	TCase *destroying = add_socket_case(suite, "destroying");
	TCase *taking = add_socket_case(suite, "taking");
	TCase *options = add_socket_case(suite, "options");
	TCase *tables = add_socket_case(suite, "tables");

	tcase_add_test(opening, a_descriptor_becomes_an_open_socket);
	tcase_add_loop_test(opening, what_is_no_stream_socket_is_refused_and_closed, 0,
			    sizeof wrong_descriptors / sizeof wrong_descriptors[0]);
	tcase_add_test(opening, options_of_a_newer_library_are_refused_and_the_descriptor_closed);
	tcase_add_test(opening, a_fresh_socket_has_nothing);
	tcase_add_test(opening, both_addresses_are_known);
	tcase_add_test(opening, a_unix_socket_without_a_name_has_addresses_without_text);
	tcase_add_test(reading, what_the_peer_sends_arrives_and_then_its_end);
	tcase_add_test(reading, without_on_data_nothing_is_read);
	tcase_add_test(reading, on_data_added_later_gets_what_has_waited);
	tcase_add_test(reading, on_data_taken_away_stops_reading);
	tcase_add_test(reading, pause_leaves_bytes_with_the_kernel_until_resume);
	tcase_add_test(reading, a_paused_socket_does_not_see_the_end);
	tcase_add_test(reading, pause_inside_on_data_is_the_last_read);
	tcase_add_test(reading, many_bytes_arrive_in_order);
	tcase_add_test(resets, a_reset_while_reading_is_an_error);
	tcase_add_test(resets, a_reset_ends_a_paused_socket);
	tcase_add_test(resets, a_reset_ends_a_socket_without_on_data);
	tcase_add_test(resets, a_reset_that_came_before_the_socket_was_opened_is_seen);
	tcase_add_test(resets, a_reset_while_output_waits_is_an_error);
	tcase_add_test(resets, an_error_nobody_listens_for_is_logged);
	tcase_add_test(resets, a_hang_up_ends_a_socket_that_nobody_reads);
	tcase_add_test(resets, a_hang_up_leaves_a_paused_socket_its_bytes);
	tcase_add_test(resets, a_socket_nobody_reads_ends_once_both_sides_have_ended);
	tcase_add_test(half_open, the_end_of_the_peer_ends_our_side_after_what_is_queued);
	tcase_add_test(half_open, allow_half_open_keeps_our_side_until_we_end_it);
	tcase_add_test(half_open, our_end_leaves_the_peers_side_open);
	tcase_add_test(half_open, with_allow_half_open_our_end_comes_first_as_well);
	tcase_add_test(half_open, on_end_may_still_write);
	tcase_add_test(half_open, no_read_never_reads_and_ends_with_our_side);
	tcase_add_test(half_open, no_read_still_sees_a_hang_up);
	tcase_add_test(half_open, no_write_never_writes_and_ends_with_the_peers_side);
	tcase_add_test(destroying, destroy_closes_at_once_and_tells_later);
	tcase_add_test(destroying, destroy_with_an_error_tells_it_first);
	tcase_add_test(destroying, counters_survive_destroy);
	tcase_add_loop_test(destroying, destroy_inside_any_callback_gives_one_on_close, 0,
			    sizeof destroyers / sizeof destroyers[0]);
	tcase_add_test(destroying, destroy_inside_on_error_gives_one_on_close);
	tcase_add_test(destroying, the_descriptor_leaves_epoll_before_it_is_closed);
	tcase_add_test(destroying, destroy_soon_waits_for_what_is_queued);
	tcase_add_test(destroying, destroy_soon_does_not_wait_for_the_peer);
	tcase_add_test(destroying, destroy_soon_after_the_end_closes);
	tcase_add_test(destroying, destroy_soon_of_a_fresh_socket_closes_it);
	tcase_add_test(taking, take_fd_gives_the_connection_to_the_caller);
	tcase_add_test(taking, take_fd_is_refused_while_output_waits);
	tcase_add_test(taking, a_connection_taken_away_is_gone_from_its_server);
	tcase_add_test(options, no_delay_is_set_and_cleared);
	tcase_add_test(options, keep_alive_is_set_and_cleared);
	tcase_add_test(options, keep_alive_without_a_delay_leaves_the_systems);
	tcase_add_test(options, probes_follow_each_other_as_asked);
	tcase_add_test(options, probes_that_the_kernel_would_refuse_are_refused);
	tcase_add_test(options, tcp_options_do_nothing_on_unix_sockets);
	tcase_add_test(tables, each_table_gets_each_event_in_the_order_added);
	tcase_add_test(tables, a_listener_for_one_occasion_takes_itself_off);
	tcase_add_test(tables, a_table_of_a_newer_library_is_refused_if_used);
	return run_suite(suite);
}
