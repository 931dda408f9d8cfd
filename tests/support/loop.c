/*
 * The watchdog is an event that the loop takes for its own, so it does not keep it running: a test may watch how a loop
 * runs dry. Nothing here sleeps; what is waited for is an event.
 */
#include "tests/support/loop.h"

#include "src/loop.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

/* Idle once is not idle: what was sent last may have woken the other end. */
#define IDLE_TIMES 16

struct muster_loop *test_loop;

struct watchdog {
	struct muster_loop *loop;
	struct event timer;
	const char *what;
};

static void on_bark(evutil_socket_t fd, short what, void *data)
{
	const struct watchdog *watchdog = data;

	(void)fd, (void)what;
	ck_abort_msg("after %u s still waiting for: %s", test_patience(), watchdog->what);
}

static void watchdog_start(struct watchdog *watchdog, struct muster_loop *loop, const char *what)
{
	struct timeval patience = { .tv_sec = (time_t)test_patience() };

	watchdog->loop = loop;
	watchdog->what = what;
	event_assign(&watchdog->timer, muster_loop_base(loop), -1, EV_PERSIST, on_bark, watchdog);
	ck_assert_int_eq(muster__event_add(loop, &watchdog->timer, &patience), 0);
}

static void watchdog_stop(struct watchdog *watchdog)
{
	muster__event_del(watchdog->loop, &watchdog->timer);
}

void run_until_holds(struct muster_loop *loop, bool (*condition)(void *data), void *data, const char *what)
{
	struct watchdog watchdog;

	watchdog_start(&watchdog, loop, what);
	while (!condition(data))
		ck_assert_int_eq(event_base_loop(muster_loop_base(loop), EVLOOP_ONCE), 0);
	watchdog_stop(&watchdog);
}

struct goal {
	const unsigned *counter;
	unsigned n;
};

static bool is_reached(void *data)
{
	const struct goal *goal = data;

	return *goal->counter >= goal->n;
}

void run_until_reached(struct muster_loop *loop, const unsigned *counter, unsigned n, const char *what)
{
	struct goal goal = { counter, n };

	run_until_holds(loop, is_reached, &goal, what);
}

void run_dry(struct muster_loop *loop)
{
	struct watchdog watchdog;

	watchdog_start(&watchdog, loop, "the loop to run dry");
	ck_assert_int_eq(muster_loop_run(loop), 0);
	watchdog_stop(&watchdog);
}

void run_until_idle(struct muster_loop *loop)
{
	struct watchdog watchdog;
	unsigned times;

	watchdog_start(&watchdog, loop, "the loop to have nothing to do");
	for (times = 0; times < IDLE_TIMES; times++)
		ck_assert_int_ge(event_base_loop(muster_loop_base(loop), EVLOOP_NONBLOCK), 0);
	watchdog_stop(&watchdog);
}

void test_loop_open(void)
{
	test_loop = muster_loop_new();
	ck_assert_ptr_nonnull(test_loop);
}

void test_loop_close(void)
{
	muster_loop_free(test_loop);
	test_loop = NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	*(unsigned *)data = 1;
}

void run_until_readable(int client)
{
	struct event readable;
	unsigned seen = 0;

	event_assign(&readable, muster_loop_base(test_loop), client, EV_READ | EV_PERSIST, on_readable, &seen);
	ck_assert_int_eq(muster__event_add(test_loop, &readable, NULL), 0);
	run_until_count(test_loop, seen, 1);
	muster__event_del(test_loop, &readable);
}

void run_until_ended(int client)
{
	char byte;
	ssize_t got;

	run_until_readable(client);
	got = recv(client, &byte, 1, 0);
	ck_assert_msg(got == 0 || (got < 0 && errno == ECONNRESET), "a byte where the end should be: %d", byte);
}
