/* tests/src/test_idle.c - the idle time-out of a socket: once, and not too early. A busy machine may make it late. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <event2/event.h>
#include <muster/loop.h>
#include <time.h>
#include <unistd.h>

/* The clock by which the time-out goes is a few ms coarse. */
#define COARSE_MS 12

static struct socket_counts counts;
static int peer = -1;

static struct muster_socket *open_socket(void)
{
	return socket_with_peer(test_loop, &peer, &counts);
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* Let the loop run for that long. */
static void wait_ms(unsigned ms)
{
	struct timeval time = { .tv_usec = (suseconds_t)ms * 1000 };

	event_base_loopexit(muster_loop_base(test_loop), &time);
	ck_assert_int_eq(event_base_loop(muster_loop_base(test_loop), EVLOOP_NO_EXIT_ON_EMPTY), 0);
}

START_TEST(it_fires_once_and_not_too_early)
{
	double before = now_ms();

	muster_socket_set_timeout(open_socket(), 50);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert_double_ge(now_ms() - before, 50 - COARSE_MS);
	wait_ms(150);
	ck_assert_uint_eq(counts.timeout, 1);
	ck_assert_str_eq(counts.order, "timeout");
}
END_TEST

START_TEST(it_closes_nothing)
{
	struct muster_socket *socket = open_socket();

	muster_socket_set_timeout(socket, 10);
	run_until_count(test_loop, counts.timeout, 1);
	muster_socket_write(socket, "still here", 10);
	client_expect_text(peer, "still here");
}
END_TEST

/* Traffic every few ms, ten times; the time-out counts from the last. */
struct traffic {
	struct muster_socket *socket; /* writes; NULL: the peer does */
	struct event *timer;
	unsigned left;
	double last;
};

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	struct traffic *traffic = data;

	(void)fd, (void)what;
	traffic->last = now_ms();
	if (traffic->socket != NULL)
		ck_assert_int_eq(muster_socket_write(traffic->socket, "x", 1), 0);
	else
		client_send(peer, "x", 1);
	if (--traffic->left == 0)
		event_del(traffic->timer);
}

static void expect_put_off(struct muster_socket *writer, struct muster_socket *socket)
{
	struct traffic traffic = { .socket = writer, .left = 10, .last = now_ms() };
	struct timeval often = { .tv_usec = 10000 };

	muster_socket_set_timeout(socket, 60);
	traffic.timer = event_new(muster_loop_base(test_loop), -1, EV_PERSIST, on_tick, &traffic);
	event_add(traffic.timer, &often);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert_double_ge(now_ms() - traffic.last, 60 - COARSE_MS);
	event_free(traffic.timer);
}

START_TEST(what_comes_in_puts_it_off)
{
	expect_put_off(NULL, open_socket());
	ck_assert_uint_gt(counts.data, 0);
}
END_TEST

START_TEST(what_goes_out_puts_it_off)
{
	struct muster_socket *socket = open_socket();

	expect_put_off(socket, socket);
}
END_TEST

START_TEST(traffic_after_it_has_fired_starts_it_again)
{
	struct muster_socket *socket = open_socket();

	muster_socket_set_timeout(socket, 10);
	run_until_count(test_loop, counts.timeout, 1);
	client_send_text(peer, "x");
	run_until_count(test_loop, counts.timeout, 2);
	muster_socket_write(socket, "x", 1);
	run_until_count(test_loop, counts.timeout, 3);
	wait_ms(50);
	ck_assert_uint_eq(counts.timeout, 3);
}
END_TEST

START_TEST(zero_turns_it_off)
{
	struct muster_socket *socket = open_socket();

	muster_socket_set_timeout(socket, 10);
	muster_socket_set_timeout(socket, 0);
	wait_ms(40);
	ck_assert_uint_eq(counts.timeout, 0);
}
END_TEST

START_TEST(setting_it_again_replaces_it)
{
	struct muster_socket *socket = open_socket();
	double before = now_ms();

	muster_socket_set_timeout(socket, 1);
	muster_socket_set_timeout(socket, 60);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert_double_ge(now_ms() - before, 60 - COARSE_MS);
}
END_TEST

START_TEST(it_does_not_keep_the_loop_running)
{
	struct muster_socket *fresh = muster_socket_new(test_loop, NULL), *socket = open_socket();

	muster_socket_on(fresh, &counting_socket, &counts);
	muster_socket_set_timeout(fresh, 5000);
	muster_socket_set_timeout(socket, 5000);
	muster_socket_unref(socket);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.timeout, 0);
}
END_TEST

START_TEST(a_socket_that_never_connects_is_idle_too)
{
	struct muster_socket *fresh = muster_socket_new(test_loop, NULL);

	muster_socket_on(fresh, &counting_socket, &counts);
	muster_socket_set_timeout(fresh, 10);
	run_until_count(test_loop, counts.timeout, 1);
}
END_TEST

START_TEST(a_destroyed_socket_is_not_idle)
{
	struct muster_socket *socket = open_socket();

	muster_socket_set_timeout(socket, 10);
	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_set_timeout(socket, 10), 0);
	wait_ms(40);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

static void set_again(struct muster_socket *socket, void *data)
{
	unsigned *times = data;

	if ((*times)-- > 0)
		ck_assert_int_eq(muster_socket_set_timeout(socket, 5), 0);
	else
		muster_socket_set_timeout(socket, 0);
}

START_TEST(on_timeout_may_set_it_again)
{
	static const struct muster_socket_handlers handlers = { .on_timeout = set_again };
	struct muster_socket *socket = open_socket();
	static unsigned times = 3;

	muster_socket_on(socket, &handlers, &times);
	muster_socket_set_timeout(socket, 5);
	run_until_count(test_loop, counts.timeout, 4);
	wait_ms(30);
	ck_assert_uint_eq(counts.timeout, 4);
}
END_TEST

START_TEST(output_that_moves_puts_it_off)
{
	struct muster_socket *socket = open_socket();
	struct exchange *exchange;

	fill_output(socket, 8 << 20);
	muster_socket_set_timeout(socket, 5000);
	exchange = exchange_start(peer, 0);
	peer = -1;
	run_dry(test_loop);
	exchange_finish(exchange);
	ck_assert_uint_eq(counts.timeout, 0);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(output_that_stands_still_does_not_put_it_off)
{
	struct muster_socket *socket = open_socket();

	fill_output(socket, 1);
	muster_socket_set_timeout(socket, 20);
	run_until_count(test_loop, counts.timeout, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/idle");
	TCase *idle = add_loop_case(suite, "idle");

	tcase_add_checked_fixture(idle, NULL, close_peer);
	tcase_add_test(idle, it_fires_once_and_not_too_early);
	tcase_add_test(idle, it_closes_nothing);
	tcase_add_test(idle, what_comes_in_puts_it_off);
	tcase_add_test(idle, what_goes_out_puts_it_off);
	tcase_add_test(idle, traffic_after_it_has_fired_starts_it_again);
	tcase_add_test(idle, zero_turns_it_off);
	tcase_add_test(idle, setting_it_again_replaces_it);
	tcase_add_test(idle, it_does_not_keep_the_loop_running);
	tcase_add_test(idle, a_socket_that_never_connects_is_idle_too);
	tcase_add_test(idle, a_destroyed_socket_is_not_idle);
	tcase_add_test(idle, on_timeout_may_set_it_again);
	tcase_add_test(idle, output_that_moves_puts_it_off);
	tcase_add_test(idle, output_that_stands_still_does_not_put_it_off);
	return run_suite(suite);
}
