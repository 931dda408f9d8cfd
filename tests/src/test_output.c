/* tests/src/test_output.c - the outgoing side of a socket: everything arrives, in order, and everyone is told once. */
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

static struct socket_counts counts;
static struct write_counts writes;
static int peer = -1;

static struct muster_socket *open_socket(void)
{
	return socket_with_peer(test_loop, &peer, &counts);
}

static struct muster_socket *open_with_mark(size_t high_water_mark)
{
	return socket_with_options(test_loop, &(struct muster_socket_options){ .high_water_mark = high_water_mark },
				   &peer, &counts);
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

/* A peer that takes in everything, and ends its own side at once. */
static struct exchange *drain_peer(void)
{
	int fd = peer;

	peer = -1;
	return exchange_start(fd, 0);
}

/* ---- Writing. */

START_TEST(what_the_kernel_takes_goes_at_once)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_write(socket, "hello ", 6), 0);
	ck_assert_int_eq(muster_socket_write(socket, "world", 5), 0);
	client_expect_text(peer, "hello world");
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 11);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	ck_assert(!muster_socket_needs_drain(socket));
}
END_TEST

START_TEST(what_it_does_not_take_is_queued_and_follows_in_order)
{
	struct muster_socket *socket = open_socket();
	size_t length = fill_output(socket, 4 << 20);
	struct exchange *exchange;

	ck_assert_uint_ge(muster_socket_buffered(socket), 4 << 20);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), length);
	exchange = drain_peer();
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), length);
}
END_TEST

START_TEST(one_write_may_be_larger_than_any_buffer)
{
	static char bytes[16 << 20];
	struct muster_socket *socket = open_socket();
	struct exchange *exchange;

	pattern_fill(bytes, 0, sizeof bytes);
	ck_assert_int_eq(muster_socket_end_with(socket, bytes, sizeof bytes), 0);
	/* The bytes are copied: the caller may use his again. */
	memset(bytes, 0, sizeof bytes);
	exchange = drain_peer();
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), sizeof bytes);
}
END_TEST

START_TEST(many_small_writes_arrive_in_order)
{
	struct muster_socket *socket = open_socket();
	struct exchange *exchange;
	char bytes[7];
	size_t at;

	for (at = 0; at < 7 * 200000; at += sizeof bytes) {
		pattern_fill(bytes, at, sizeof bytes);
		ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	}
	exchange = drain_peer();
	muster_socket_end(socket);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), at);
}
END_TEST

START_TEST(an_empty_write_is_fine)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_write(socket, NULL, 0), 0);
	ck_assert_int_eq(muster_socket_write(socket, "", 0), 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
}
END_TEST

START_TEST(writing_after_end_is_refused_and_touches_nothing)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_end(socket), 0);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_end(socket), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_end_with(socket, "x", 1), MUSTER_EENDED);
	ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, count_written, NULL), MUSTER_EENDED);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "finish");
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
}
END_TEST

START_TEST(writing_after_destroy_is_refused_and_touches_nothing)
{
	struct muster_socket *socket = open_socket();

	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EDESTROYED);
	ck_assert_int_eq(muster_socket_end(socket), MUSTER_EDESTROYED);
	ck_assert_int_eq(muster_socket_end_then(socket, "x", 1, count_written, NULL), MUSTER_EDESTROYED);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

/* ---- Draining. */

START_TEST(a_socket_needs_drain_from_its_mark_on)
{
	struct muster_socket *socket = open_with_mark(1000);
	size_t filled;

	/* Once the kernel takes no more, each byte is queued. */
	fill_output(socket, 1);
	ck_assert(muster_socket_needs_drain(socket));
	muster_socket_destroy(socket, 0);
	ck_assert(!muster_socket_needs_drain(socket));
	close_peer();

	socket = open_with_mark(100 << 20);
	ck_assert_uint_eq(muster_socket_high_water_mark(socket), 100 << 20);
	filled = fill_output(socket, 1 << 20);
	ck_assert_uint_gt(filled, 0);
	ck_assert(!muster_socket_needs_drain(socket));
}
END_TEST

START_TEST(on_drain_comes_once_when_all_is_sent)
{
	struct muster_socket *socket = open_socket();
	size_t length = fill_output(socket, 1 << 20);
	char bytes[65536];

	ck_assert(muster_socket_needs_drain(socket));
	ck_assert_uint_eq(counts.drain, 0);
	while (length > 0) {
		size_t piece = length < sizeof bytes ? length : sizeof bytes;

		ck_assert_uint_eq(counts.drain, muster_socket_buffered(socket) == 0);
		/* Waits for the loop, unless the kernel holds enough already. */
		while (client_waiting(peer) == 0)
			run_until_idle(test_loop);
		if (piece > client_waiting(peer))
			piece = client_waiting(peer);
		client_receive(peer, bytes, piece);
		length -= piece;
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(counts.drain, 1);
	ck_assert(!muster_socket_needs_drain(socket));
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
}
END_TEST

START_TEST(on_drain_does_not_come_below_the_mark)
{
	struct muster_socket *socket = open_with_mark(100 << 20);
	size_t length = fill_output(socket, 1 << 20);
	static char bytes[64 << 20];

	ck_assert_uint_lt(length, sizeof bytes);
	while (muster_socket_buffered(socket) > 0) {
		client_receive(peer, bytes, client_waiting(peer));
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(counts.drain, 0);
}
END_TEST

START_TEST(on_drain_does_not_come_after_end)
{
	struct muster_socket *socket = open_socket();
	struct exchange *exchange;

	fill_output(socket, 1 << 20);
	muster_socket_end(socket);
	exchange = drain_peer();
	run_dry(test_loop);
	exchange_finish(exchange);
	ck_assert_uint_eq(counts.drain, 0);
	ck_assert_uint_eq(counts.finish, 1);
}
END_TEST

static void write_more(struct muster_socket *socket, void *data)
{
	unsigned *times = data;

	if ((*times)-- > 1)
		fill_output(socket, 100000);
	else
		muster_socket_end(socket);
}

START_TEST(on_drain_may_write_again)
{
	static const struct muster_socket_handlers handlers = { .on_drain = write_more };
	struct muster_socket *socket = open_socket();
	static unsigned times = 5;
	struct exchange *exchange;
	uint64_t written;

	muster_socket_on(socket, &handlers, &times);
	fill_output(socket, 100000);
	/* The peer's end must not end ours before the five rounds are over. */
	muster_socket_pause(socket);
	exchange = drain_peer();
	run_until_count(test_loop, counts.finish, 1);
	ck_assert_uint_eq(counts.drain, 5);
	written = muster_socket_bytes_written(socket);
	muster_socket_resume(socket);
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), written);
}
END_TEST

/* ---- Completions. */

START_TEST(completions_come_later_and_in_order)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' }, c = { &writes, 'c' };
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_write_then(socket, "1", 1, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_write_then(socket, NULL, 0, count_written, &b), 0);
	ck_assert_int_eq(muster_socket_write_then(socket, "2", 1, count_written, &c), 0);
	ck_assert_uint_eq(writes.done, 0);
	run_until_count(test_loop, writes.done, 3);
	ck_assert_str_eq(writes.order, "abc");
	ck_assert_uint_eq(writes.failed, 0);
}
END_TEST

START_TEST(a_completion_waits_until_the_kernel_has_all_of_it)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' };
	static char bytes[1 << 20];
	struct muster_socket *socket = open_socket();
	size_t filled = fill_output(socket, 1);
	struct exchange *exchange;

	pattern_fill(bytes, filled, sizeof bytes);
	ck_assert_int_eq(muster_socket_write_then(socket, bytes, sizeof bytes, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_end_then(socket, NULL, 0, count_written, &b), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(writes.done, 0);
	exchange = drain_peer();
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), filled + sizeof bytes);
	ck_assert_str_eq(writes.order, "ab");
	ck_assert_uint_eq(writes.failed, 0);
}
END_TEST

START_TEST(destroy_fails_what_has_not_been_sent)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' };
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_write_then(socket, "1", 1, count_written, &a), 0);
	fill_output(socket, 1);
	ck_assert_int_eq(muster_socket_write_then(socket, "2", 1, count_written, &b), 0);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(writes.done, 0);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	run_dry(test_loop);
	ck_assert_str_eq(writes.order, "ab");
	ck_assert_uint_eq(writes.failed, 1);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(destroy_leaves_only_what_was_sent_in_the_counter)
{
	struct muster_socket *socket = open_socket();
	size_t written = fill_output(socket, 1 << 20), queued = muster_socket_buffered(socket);

	ck_assert_uint_eq(muster_socket_bytes_written(socket), written);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), written - queued);
}
END_TEST

static void write_in_completion(struct muster_socket *socket, int err, void *data)
{
	unsigned *times = data;

	ck_assert_int_eq(err, 0);
	if ((*times)-- > 1)
		ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, write_in_completion, times), 0);
	else
		ck_assert_int_eq(muster_socket_end(socket), 0);
}

START_TEST(a_completion_may_write_again)
{
	struct muster_socket *socket = open_socket();
	static unsigned times = 5;

	ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, write_in_completion, &times), 0);
	run_until_count(test_loop, counts.finish, 1);
	client_expect_text(peer, "xxxxx");
	client_expect_end(peer);
}
END_TEST

static void destroy_in_completion(struct muster_socket *socket, int err, void *data)
{
	(void)err;
	++*(unsigned *)data;
	muster_socket_destroy(socket, 0);
}

START_TEST(a_completion_may_destroy_the_socket)
{
	struct muster_socket *socket = open_socket();
	static unsigned done;

	muster_socket_write_then(socket, "x", 1, destroy_in_completion, &done);
	muster_socket_write_then(socket, "y", 1, destroy_in_completion, &done);
	run_dry(test_loop);
	ck_assert_uint_eq(done, 2);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

/* Freed with a completion owed: it is called with an error before on_close. */
START_TEST(the_end_of_the_loop_fails_what_has_not_been_sent)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	fill_output(socket, 1);
	ck_assert_int_eq(muster_socket_write_then(socket, "1", 1, count_written, &a), 0);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(writes.done, 1);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

/* ---- Ending. */

START_TEST(end_sends_a_fin_and_tells_on_finish)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_end_with(socket, "bye", 3), 0);
	ck_assert_uint_eq(counts.finish, 0);
	client_expect_text(peer, "bye");
	client_expect_end(peer);
	run_until_count(test_loop, counts.finish, 1);
	ck_assert_uint_eq(counts.close, 0);
	ck_assert_int_eq(muster_socket_ready_state(socket), MUSTER_READY_READ_ONLY);
}
END_TEST

START_TEST(end_waits_for_what_is_queued)
{
	struct muster_socket *socket = open_socket();
	size_t length = fill_output(socket, 2 << 20);
	struct exchange *exchange;

	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.finish, 0);
	exchange = drain_peer();
	run_dry(test_loop);
	ck_assert_uint_eq(exchange_finish(exchange), length);
	ck_assert_uint_eq(counts.finish, 1);
}
END_TEST

START_TEST(end_then_completes_before_on_finish)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_end_then(socket, "bye", 3, count_written, &a), 0);
	ck_assert_uint_eq(writes.done, 0);
	run_until_count(test_loop, counts.finish, 1);
	ck_assert_uint_eq(writes.done, 1);
}
END_TEST

/* ---- Failing. The default action of SIGPIPE would end these tests. */

static void reset_peer(void)
{
	client_reset(peer);
	peer = -1;
}

START_TEST(a_write_to_a_reset_connection_fails_by_events)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	reset_peer();
	ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, count_written, &a), 0);
	ck_assert_uint_eq(counts.error + writes.done, 0);
	ck_assert(muster_socket_is_destroyed(socket));
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EDESTROYED);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert(counts.last_error.code == -ECONNRESET || counts.last_error.code == -EPIPE);
	ck_assert_str_eq(counts.last_error.call, "write");
	ck_assert_uint_eq(counts.bad_close, 1);
	ck_assert_uint_eq(writes.failed, 1);
}
END_TEST

START_TEST(a_reset_fails_what_is_queued)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	fill_output(socket, 1);
	muster_socket_write_then(socket, "x", 1, count_written, &a);
	run_until_idle(test_loop);
	reset_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_uint_eq(writes.failed, 1);
}
END_TEST

START_TEST(a_peer_that_does_not_read_and_goes_is_an_error)
{
	struct muster_socket *socket = open_socket();

	muster_socket_pause(socket);
	fill_output(socket, 1);
	/* Closed with bytes unread, it answers with a reset. */
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
}
END_TEST

START_TEST(a_write_to_a_closed_unix_socket_is_epipe)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair_local(ends);
	socket = muster_socket_open(test_loop, ends[0], NULL);
	muster_socket_on(socket, &counting_socket, &counts);
	close(ends[1]);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -EPIPE);
}
END_TEST

static TCase *add_output_case(Suite *suite, const char *name)
{
	TCase *tcase = add_loop_case(suite, name);

	tcase_add_checked_fixture(tcase, NULL, close_peer);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("src/output");
	TCase *writing = add_output_case(suite, "writing");
	TCase *draining = add_output_case(suite, "draining");
	TCase *completions = add_output_case(suite, "completions");
	TCase *ending = add_output_case(suite, "ending");
	TCase *failing = add_output_case(suite, "failing");

	tcase_add_test(writing, what_the_kernel_takes_goes_at_once);
	tcase_add_test(writing, what_it_does_not_take_is_queued_and_follows_in_order);
	tcase_add_test(writing, one_write_may_be_larger_than_any_buffer);
	tcase_add_test(writing, many_small_writes_arrive_in_order);
	tcase_add_test(writing, an_empty_write_is_fine);
	tcase_add_test(writing, writing_after_end_is_refused_and_touches_nothing);
	tcase_add_test(writing, writing_after_destroy_is_refused_and_touches_nothing);
	tcase_add_test(draining, a_socket_needs_drain_from_its_mark_on);
	tcase_add_test(draining, on_drain_comes_once_when_all_is_sent);
	tcase_add_test(draining, on_drain_does_not_come_below_the_mark);
	tcase_add_test(draining, on_drain_does_not_come_after_end);
	tcase_add_test(draining, on_drain_may_write_again);
	tcase_add_test(completions, completions_come_later_and_in_order);
	tcase_add_test(completions, a_completion_waits_until_the_kernel_has_all_of_it);
	tcase_add_test(completions, destroy_fails_what_has_not_been_sent);
	tcase_add_test(completions, destroy_leaves_only_what_was_sent_in_the_counter);
	tcase_add_test(completions, a_completion_may_write_again);
	tcase_add_test(completions, a_completion_may_destroy_the_socket);
	tcase_add_test(completions, the_end_of_the_loop_fails_what_has_not_been_sent);
	tcase_add_test(ending, end_sends_a_fin_and_tells_on_finish);
	tcase_add_test(ending, end_waits_for_what_is_queued);
	tcase_add_test(ending, end_then_completes_before_on_finish);
	tcase_add_test(failing, a_write_to_a_reset_connection_fails_by_events);
	tcase_add_test(failing, a_reset_fails_what_is_queued);
	tcase_add_test(failing, a_peer_that_does_not_read_and_goes_is_an_error);
	tcase_add_test(failing, a_write_to_a_closed_unix_socket_is_epipe);
	return run_suite(suite);
}
