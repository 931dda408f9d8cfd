/* tests/src/test_exclusive.c - several processes on one listening socket, and one wake-up per connection. */
#include "src/exclusive.h"

#include "src/acceptor.h"
#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static struct muster__acceptor acceptor;
static unsigned accepted;
static int listener = -1;

/* A connection is answered with one byte: who took it. */
static char name = 'x';

static void on_accepted(struct muster__acceptor *self, int fd)
{
	(void)self;
	accepted++;
	ck_assert_int_eq(write(fd, &name, 1), 1);
	close(fd);
}

static void on_failed(struct muster__acceptor *self, int err)
{
	(void)self;
	ck_abort_msg("accept: %d", err);
}

static const struct muster__acceptor_ops ops = { on_accepted, on_failed };

static void open_listener(void)
{
	listener = client_listen(256);
	fcntl(listener, F_SETFL, O_NONBLOCK);
}

static void close_listener(void)
{
	close(listener);
}

static void start(struct muster_loop *loop, unsigned rotate_every)
{
	muster__acceptor_init(&acceptor, loop, listener, &ops, rotate_every);
	ck_assert_int_eq(muster__acceptor_start(&acceptor), 0);
}

static char ask(void)
{
	int fd = client_connect_port(client_port_of(listener));
	char answer;

	client_receive(fd, &answer, 1);
	close(fd);
	return answer;
}

static bool is_exclusive(void)
{
	unsigned events = 0;

	ck_assert_uint_eq(descriptors_watching(listener, &events), 1);
	return events & EPOLLEXCLUSIVE;
}

static void expect_served(unsigned times)
{
	int fd = client_connect_port(client_port_of(listener));

	run_until_count(test_loop, accepted, times);
	close(fd);
}

START_TEST(a_shared_listener_is_watched_exclusively)
{
	start(test_loop, 8);
	ck_assert(is_exclusive());
	expect_served(1);
	muster__acceptor_stop(&acceptor);
	ck_assert_uint_eq(descriptors_watching(listener, NULL), 0);
	ck_assert_int_eq(muster__acceptor_start(&acceptor), 0);
	ck_assert(is_exclusive());
	expect_served(2);
	muster__acceptor_stop(&acceptor);
}
END_TEST

START_TEST(a_listener_of_ones_own_is_not)
{
	start(test_loop, 0);
	ck_assert(!is_exclusive());
	muster__acceptor_stop(&acceptor);
}
END_TEST

START_TEST(it_stays_so_after_each_move_to_the_tail)
{
	unsigned i;

	start(test_loop, 1);
	for (i = 1; i <= 5; i++) {
		expect_served(i);
		ck_assert(is_exclusive());
	}
	muster__acceptor_stop(&acceptor);
}
END_TEST

static void on_nothing(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what, (void)data;
}

START_TEST(the_set_of_another_loop_is_left_alone)
{
	struct muster_loop *other = muster_loop_new();
	int elsewhere = client_listen(1);
	struct event *event = event_new(muster_loop_base(other), elsewhere, EV_READ | EV_PERSIST, on_nothing, NULL);
	unsigned events = 0;

	event_add(event, NULL);
	start(test_loop, 8);
	ck_assert(is_exclusive());
	ck_assert_uint_eq(descriptors_watching(elsewhere, &events), 1);
	ck_assert_uint_eq(events & EPOLLEXCLUSIVE, 0);
	muster__acceptor_stop(&acceptor);
	event_free(event);
	muster_loop_free(other);
	close(elsewhere);
}
END_TEST

/* libevent can be told not to use epoll: every process wakes up then, and that is said once. */
START_TEST(without_epoll_it_works_and_says_so)
{
	struct muster_loop *plain;
	int fd;

	setenv("EVENT_NOEPOLL", "1", 1);
	plain = muster_loop_new();
	lines_record(MUSTER_LOG_WARN);
	start(plain, 8);
	ck_assert_uint_eq(lines_with("no exclusive wake-ups"), 1);
	fd = client_connect_port(client_port_of(listener));
	run_until_count(plain, accepted, 1);
	muster__acceptor_stop(&acceptor);
	muster_loop_free(plain);
	close(fd);
	unsetenv("EVENT_NOEPOLL");
}
END_TEST

/* ---- Several processes. */

#define PROCESSES 2
#define CONNECTIONS 200

/* One of them: serve until the parent's end of the pipe is closed; that event alone keeps the loop running. */
static void serve_until(int end)
{
	struct muster_loop *loop = muster_loop_new();
	struct event *parent = event_new(muster_loop_base(loop), end, EV_READ, on_nothing, NULL);

	event_add(parent, NULL);
	start(loop, 1);
	muster_loop_run(loop);
	muster__acceptor_stop(&acceptor);
	event_free(parent);
	muster_loop_free(loop);
	_exit(0);
}

static void fork_servers(pid_t pids[], int *life)
{
	int ends[2], i;

	ck_assert_int_eq(pipe(ends), 0);
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] != 0)
			continue;
		close(ends[1]);
		name = (char)('a' + i);
		serve_until(ends[0]);
	}
	close(ends[0]);
	*life = ends[1];
}

START_TEST(with_rotation_all_processes_get_their_share)
{
	unsigned share[PROCESSES] = { 0 }, i;
	pid_t pids[PROCESSES];
	int life, status;

	fork_servers(pids, &life);
	/* Until all have begun to serve, those who have get everything. */
	for (i = 0; share[0] == 0 || share[1] == 0; i++) {
		ck_assert_uint_lt(i, 100000);
		share[ask() - 'a']++;
	}
	share[0] = share[1] = 0;
	for (i = 0; i < CONNECTIONS; i++)
		share[ask() - 'a']++;
	for (i = 0; i < PROCESSES; i++)
		ck_assert_uint_ge(share[i], CONNECTIONS / PROCESSES / 4);
	close(life);
	for (i = 0; i < PROCESSES; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/exclusive");
	TCase *watch = add_loop_case(suite, "watch");
	TCase *processes = add_case(suite, "processes");

	tcase_add_checked_fixture(watch, open_listener, close_listener);
	tcase_add_checked_fixture(processes, open_listener, close_listener);
	tcase_add_test(watch, a_shared_listener_is_watched_exclusively);
	tcase_add_test(watch, a_listener_of_ones_own_is_not);
	tcase_add_test(watch, it_stays_so_after_each_move_to_the_tail);
	tcase_add_test(watch, the_set_of_another_loop_is_left_alone);
	tcase_add_test(watch, without_epoll_it_works_and_says_so);
	tcase_add_test(processes, with_rotation_all_processes_get_their_share);
	return run_suite(suite);
}
