/* tests/src/test_socket_bufferevent.c - sockets whose input and output go through a bufferevent of libevent. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct socket_counts counts;
static struct write_counts writes;
static int peer = -1;

/* What the bufferevent's own callbacks have seen. */
struct through {
	struct muster_socket *socket;
	char bytes[256];
	size_t length;
	unsigned reads, ends, errors;
	bool destroy_on_read, destroy_on_end;
};

static struct through through;

static void take_input(struct bufferevent *bufferevent, struct through *seen)
{
	struct evbuffer *input = bufferevent_get_input(bufferevent);
	size_t length = evbuffer_get_length(input), room = sizeof seen->bytes - 1;

	if (seen->length < room)
		evbuffer_copyout(input, seen->bytes + seen->length,
				 length < room - seen->length ? length : room - seen->length);
	seen->length += length;
	evbuffer_drain(input, length);
}

static void on_read(struct bufferevent *bufferevent, void *data)
{
	struct through *seen = data;

	seen->reads++;
	take_input(bufferevent, seen);
	if (seen->destroy_on_read)
		muster_socket_destroy(seen->socket, 0);
}

static void on_event(struct bufferevent *bufferevent, short what, void *data)
{
	struct through *seen = data;

	(void)bufferevent;
	seen->ends += (what & BEV_EVENT_EOF) != 0;
	seen->errors += (what & BEV_EVENT_ERROR) != 0;
	if (seen->destroy_on_end)
		muster_socket_destroy(seen->socket, 0);
}

/* The caller drives it, as he would one of his own. */
static struct bufferevent *take_bufferevent(struct muster_socket *socket)
{
	struct bufferevent *bufferevent = muster_socket_bufferevent(socket);

	ck_assert_ptr_nonnull(bufferevent);
	through.socket = socket;
	through.destroy_on_end = true;
	bufferevent_setcb(bufferevent, on_read, NULL, on_event, &through);
	ck_assert_int_eq(bufferevent_enable(bufferevent, EV_READ | EV_WRITE), 0);
	return bufferevent;
}

static void begin(void)
{
	signal(SIGPIPE, SIG_IGN);
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

START_TEST(bytes_go_both_ways)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	struct bufferevent *bufferevent = take_bufferevent(socket);

	ck_assert_int_eq(bufferevent_write(bufferevent, "hello", 5), 0);
	client_send_text(peer, "hi!");
	run_until_count(test_loop, through.reads, 1);
	client_expect_text(peer, "hello");
	ck_assert_str_eq(through.bytes, "hi!");
	ck_assert_uint_eq(counts.data, 0);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 3);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 5);
	close_peer();
	run_dry(test_loop);
	ck_assert_uint_eq(through.ends, 1);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(it_is_made_once_and_needs_a_connection)
{
	struct muster_socket *fresh = muster_socket_new(test_loop, NULL);
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	struct bufferevent *bufferevent = take_bufferevent(socket);

	ck_assert_ptr_null(muster_socket_bufferevent(fresh));
	ck_assert_int_eq(errno, ENOTCONN);
	ck_assert_int_eq(muster_last_error(), -ENOTCONN);
	ck_assert_ptr_eq(muster_socket_bufferevent(socket), bufferevent);
	ck_assert_ptr_eq(bufferevent_get_base(bufferevent), muster_loop_base(test_loop));
}
END_TEST

START_TEST(a_destroyed_socket_has_none)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	muster_socket_destroy(socket, 0);
	ck_assert_ptr_null(muster_socket_bufferevent(socket));
	ck_assert_int_eq(errno, ENOTCONN);
	run_dry(test_loop);
}
END_TEST

static void none_yet(struct muster_socket *socket, void *data)
{
	*(struct bufferevent **)data = muster_socket_bufferevent(socket);
}

START_TEST(from_on_connect_on_it_can_be_had)
{
	static const struct muster_socket_handlers handlers = { .on_connect = none_yet };
	static struct server_counts servers;
	static struct bufferevent *bufferevent;
	struct muster_server *server = listening_server(test_loop, &servers);
	struct muster_connect_options there = { .host = "127.0.0.1", .port = server_port(server) };
	struct muster_socket *socket = muster_connect(test_loop, &there, &handlers, &bufferevent);

	ck_assert_ptr_null(muster_socket_bufferevent(socket));
	ck_assert_int_eq(muster_socket_write(socket, "before ", 7), 0);
	run_until_count(test_loop, servers.connection, 1);
	run_until_idle(test_loop);
	ck_assert_ptr_nonnull(bufferevent);
	bufferevent_enable(bufferevent, EV_WRITE);
	bufferevent_write(bufferevent, "after", 5);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(muster_socket_fd(servers.last)), 12);
}
END_TEST

START_TEST(what_was_queued_moves_over)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	size_t length = fill_output(socket, 1 << 20);
	struct exchange *exchange;

	pattern_fill(through.bytes, length, 16);
	ck_assert_int_eq(muster_socket_write_then(socket, through.bytes, 16, count_written, &a), 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), length + 16);
	take_bufferevent(socket);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), length + 16);
	ck_assert_uint_gt(muster_socket_buffered(socket), 1 << 20);
	through.destroy_on_end = false;
	exchange = exchange_start(peer, 0);
	peer = -1;
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, counts.finish, 1);
	run_until_count(test_loop, writes.done, 1);
	ck_assert_uint_eq(writes.failed, 0);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(exchange_finish(exchange), length + 16);
}
END_TEST

START_TEST(what_is_corked_moves_over_too)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	muster_socket_cork(socket);
	ck_assert_int_eq(muster_socket_write(socket, "corked", 6), 0);
	take_bufferevent(socket);
	muster_socket_uncork(socket);
	run_until_idle(test_loop);
	client_expect_text(peer, "corked");
}
END_TEST

START_TEST(writes_and_ends_of_the_socket_go_through_it)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	take_bufferevent(socket);
	ck_assert_int_eq(muster_socket_write_then(socket, "bye", 3, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_end(socket), 0);
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EENDED);
	run_until_count(test_loop, counts.finish, 1);
	ck_assert_uint_eq(writes.done, 1);
	client_expect_text(peer, "bye");
	client_expect_end(peer);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 3);
	ck_assert_uint_eq(counts.close, 0);
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish close");
}
END_TEST

START_TEST(end_with_nothing_queued_ends_at_once)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	take_bufferevent(socket);
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, counts.finish, 1);
	client_expect_end(peer);
}
END_TEST

START_TEST(a_rate_limit_slows_it_down)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	struct bufferevent *bufferevent = take_bufferevent(socket);
	const struct timeval tick = { .tv_usec = 20000 };
	struct ev_token_bucket_cfg *limit = ev_token_bucket_cfg_new(1024, 1024, 1024, 1024, &tick);
	static char bytes[6000], got[6000];
	uint64_t begun = clock_ms();

	ck_assert_int_eq(bufferevent_set_rate_limit(bufferevent, limit), 0);
	pattern_fill(bytes, 0, sizeof bytes);
	ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, counts.finish, 1);
	/* 1024 at once, and five ticks for the rest; the first tick may be short. */
	ck_assert_uint_ge(clock_ms() - begun, 60);
	client_receive(peer, got, sizeof got);
	ck_assert(pattern_matches(got, 0, sizeof got));
	bufferevent_set_rate_limit(bufferevent, NULL);
	ev_token_bucket_cfg_free(limit);
}
END_TEST

static enum bufferevent_filter_result turn_case(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
						enum bufferevent_flush_mode mode, void *data)
{
	unsigned char byte;
	enum bufferevent_filter_result result = BEV_NEED_MORE;

	(void)limit, (void)mode, (void)data;
	while (evbuffer_remove(from, &byte, 1) == 1) {
		byte ^= 0x20;
		evbuffer_add(to, &byte, 1);
		result = BEV_OK;
	}
	return result;
}

static void free_filter(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error;
	bufferevent_free(data);
}

START_TEST(a_filter_sits_on_top)
{
	static const struct muster_socket_handlers handlers = { .on_close = free_filter };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	struct bufferevent *filter =
		bufferevent_filter_new(muster_socket_bufferevent(socket), turn_case, turn_case, 0, NULL, NULL);

	ck_assert_ptr_nonnull(filter);
	through.socket = socket;
	through.destroy_on_end = true;
	bufferevent_setcb(filter, on_read, NULL, on_event, &through);
	bufferevent_enable(filter, EV_READ | EV_WRITE);
	muster_socket_on(socket, &handlers, filter);
	ck_assert_int_eq(bufferevent_write(filter, "Hello", 5), 0);
	client_send_text(peer, "World");
	run_until_count(test_loop, through.reads, 1);
	client_expect_text(peer, "hELLO");
	ck_assert_str_eq(through.bytes, "wORLD");
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 5);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 5);
	close_peer();
	run_until_count(test_loop, counts.close, 1);
	run_dry(test_loop);
}
END_TEST

START_TEST(destroy_inside_its_callbacks_closes_once)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	take_bufferevent(socket);
	through.destroy_on_read = _i == 0;
	client_send_text(peer, "x");
	if (_i == 1)
		shutdown(peer, SHUT_WR);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(through.ends, (unsigned)_i);
	client_expect_end(peer);
}
END_TEST

START_TEST(an_error_reaches_its_callback)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	take_bufferevent(socket);
	client_reset(peer);
	peer = -1;
	run_dry(test_loop);
	ck_assert_uint_eq(through.errors, 1);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

static void look_at_the_end(struct muster_socket *socket, bool had_error, void *data)
{
	struct bufferevent *bufferevent = data;

	(void)had_error;
	ck_assert_int_eq(bufferevent_getfd(bufferevent), -1);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	ck_assert_uint_lt(muster_socket_bytes_written(socket), 8 << 20);
	bufferevent_write(bufferevent, "to nobody", 9);
}

START_TEST(it_is_borrowed_until_on_close_has_returned)
{
	static const struct muster_socket_handlers handlers = { .on_close = look_at_the_end };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	struct bufferevent *bufferevent = take_bufferevent(socket);
	static char bytes[8 << 20];

	muster_socket_on(socket, &handlers, bufferevent);
	ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), sizeof bytes);
	run_until_idle(test_loop);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(what_was_not_sent_fails_when_it_is_destroyed)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	static char bytes[8 << 20];

	take_bufferevent(socket);
	ck_assert_int_eq(muster_socket_write_then(socket, bytes, sizeof bytes, count_written, &a), 0);
	run_until_idle(test_loop);
	muster_socket_destroy(socket, 0);
	run_dry(test_loop);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
}
END_TEST

START_TEST(a_descriptor_is_not_taken_while_it_has_output)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);
	struct bufferevent *bufferevent = muster_socket_bufferevent(socket);
	int fd;

	bufferevent_write(bufferevent, "bytes", 5);
	ck_assert_int_eq(muster_socket_take_fd(socket), -EBUSY);
	run_until_idle(test_loop);
	fd = muster_socket_take_fd(socket);
	ck_assert_int_ge(fd, 0);
	client_expect_text(peer, "bytes");
	close(fd);
}
END_TEST

START_TEST(traffic_through_it_puts_the_time_out_off)
{
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);
	uint64_t begun = clock_ms();
	unsigned i;

	take_bufferevent(socket);
	ck_assert_int_eq(muster_socket_set_timeout(socket, 100), 0);
	for (i = 0; i < 6; i++) {
		client_send_text(peer, "x");
		run_until_count(test_loop, through.reads, i + 1);
		until(clock_ms() - begun >= (i + 1) * 30);
	}
	ck_assert_uint_eq(counts.timeout, 0);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert_uint_ge(clock_ms() - begun, 150 + 95);
	ck_assert(!muster_socket_is_destroyed(socket));
}
END_TEST

START_TEST(the_loop_may_end_with_it)
{
	struct muster_loop *loop = muster_loop_new();
	struct muster_socket *socket = socket_with_peer(loop, &peer, &counts);
	static char bytes[8 << 20];

	take_bufferevent(socket);
	ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	run_until_idle(loop);
	muster_loop_free(loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(a_wrapped_base_may_end_after_it)
{
	struct event_base *base = event_base_new();
	struct muster_loop *loop = muster_loop_wrap(base);

	take_bufferevent(socket_with_peer(loop, &peer, &counts));
	client_send_text(peer, "x");
	ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	muster_loop_free(loop);
	event_base_free(base);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

static void reconnect(struct muster_socket *socket, bool had_error, void *data)
{
	const struct muster_connect_options *there = data;

	(void)had_error;
	if (counts.close == 1)
		ck_assert_int_eq(muster_socket_connect(socket, there), 0);
}

START_TEST(a_socket_that_connects_again_is_read_as_any_other)
{
	static const struct muster_socket_handlers handlers = { .on_close = reconnect };
	static struct server_counts servers;
	static struct muster_connect_options there;
	struct muster_server *server = listening_server(test_loop, &servers);
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	there = (struct muster_connect_options){ .host = "127.0.0.1", .port = server_port(server) };
	muster_socket_on(socket, &handlers, &there);
	take_bufferevent(socket);
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, servers.connection, 1);
	muster_socket_write(servers.last, "plain", 5);
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "plain");
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/socket_bufferevent");
	TCase *all = add_loop_case(suite, "all");

	tcase_add_checked_fixture(all, begin, close_peer);
	tcase_add_test(all, bytes_go_both_ways);
	tcase_add_test(all, it_is_made_once_and_needs_a_connection);
	tcase_add_test(all, a_destroyed_socket_has_none);
	tcase_add_test(all, from_on_connect_on_it_can_be_had);
	tcase_add_test(all, what_was_queued_moves_over);
	tcase_add_test(all, what_is_corked_moves_over_too);
	tcase_add_test(all, writes_and_ends_of_the_socket_go_through_it);
	tcase_add_test(all, end_with_nothing_queued_ends_at_once);
	tcase_add_test(all, a_rate_limit_slows_it_down);
	tcase_add_test(all, a_filter_sits_on_top);
	tcase_add_loop_test(all, destroy_inside_its_callbacks_closes_once, 0, 2);
	tcase_add_test(all, an_error_reaches_its_callback);
	tcase_add_test(all, it_is_borrowed_until_on_close_has_returned);
	tcase_add_test(all, what_was_not_sent_fails_when_it_is_destroyed);
	tcase_add_test(all, a_descriptor_is_not_taken_while_it_has_output);
	tcase_add_test(all, traffic_through_it_puts_the_time_out_off);
	tcase_add_test(all, the_loop_may_end_with_it);
	tcase_add_test(all, a_wrapped_base_may_end_after_it);
	tcase_add_test(all, a_socket_that_connects_again_is_read_as_any_other);
	return run_suite(suite);
}
