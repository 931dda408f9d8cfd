/* tests/src/test_acceptor.c - accepting: bounded per turn, and patient when it fails. */
#include "src/acceptor.h"

#include "src/loop.h"
#include "src/server.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <muster/server.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the next calls of accept4 fail with; 0 asks the kernel. */
static int script[256];
static unsigned scripted, calls;

/* Takes the place of libc's, to be counted and to fail as a kernel rarely does. */
int accept4(int fd, __SOCKADDR_ARG address, socklen_t *length, int flags)
{
	unsigned call = calls++;

	if (call < scripted && script[call] != 0) {
		errno = script[call];
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address.__sockaddr__, length, flags);
}

static void fail_with(int err, unsigned times)
{
	while (times-- > 0 && calls + scripted < sizeof script / sizeof script[0])
		script[scripted++] = err;
}

static struct muster__acceptor acceptor;
static unsigned accepted, failed, stop_after;
static int last_error;
static int listener = -1, clients[256];
static unsigned client_count;

static void on_accepted(struct muster__acceptor *self, int fd)
{
	ck_assert_ptr_eq(self, &acceptor);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	accepted++;
	close(fd);
	if (accepted == stop_after)
		muster__acceptor_stop(self);
}

static void on_failed(struct muster__acceptor *self, int err)
{
	(void)self;
	failed++;
	last_error = err;
}

static const struct muster__acceptor_ops ops = { on_accepted, on_failed };

static void start_with(unsigned rotate_every)
{
	listener = client_listen(256);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	muster__acceptor_init(&acceptor, test_loop, listener, &ops, rotate_every);
	ck_assert_int_eq(muster__acceptor_start(&acceptor), 0);
}

static void finish(void)
{
	muster__acceptor_stop(&acceptor);
	close(listener);
	while (client_count > 0)
		close(clients[--client_count]);
}

static void connect_clients(unsigned count)
{
	while (count-- > 0)
		clients[client_count++] = client_connect_port(client_port_of(listener));
}

static void turn(void)
{
	event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Let the loop run for that long. */
static void wait_ms(unsigned ms)
{
	struct timeval time = { .tv_usec = (suseconds_t)ms * 1000 };

	event_base_loopexit(muster_loop_base(test_loop), &time);
	event_base_loop(muster_loop_base(test_loop), EVLOOP_NO_EXIT_ON_EMPTY);
}

START_TEST(one_turn_takes_many_but_not_all)
{
	start_with(0);
	connect_clients(100);
	turn();
	ck_assert_uint_gt(accepted, 1);
	ck_assert_uint_lt(accepted, 100);
	run_until_count(test_loop, accepted, 100);
	/* The kernel was asked once too often at most. */
	ck_assert_uint_le(calls, 102);
}
END_TEST

START_TEST(on_a_shared_socket_one_turn_takes_one)
{
	start_with(8);
	connect_clients(5);
	turn();
	ck_assert_uint_eq(accepted, 1);
	turn();
	ck_assert_uint_eq(accepted, 2);
	run_until_count(test_loop, accepted, 5);
}
END_TEST

START_TEST(stop_and_start_may_be_called_any_number_of_times)
{
	start_with(0);
	muster__acceptor_stop(&acceptor);
	muster__acceptor_stop(&acceptor);
	connect_clients(1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(accepted, 0);
	ck_assert_uint_eq(descriptors_watching(listener, NULL), 0);
	ck_assert_int_eq(muster__acceptor_start(&acceptor), 0);
	ck_assert_int_eq(muster__acceptor_start(&acceptor), 0);
	run_until_count(test_loop, accepted, 1);
	ck_assert_uint_eq(descriptors_watching(listener, NULL), 1);
}
END_TEST

START_TEST(stop_inside_accepted_takes_no_more)
{
	stop_after = 3;
	start_with(0);
	connect_clients(10);
	run_until_idle(test_loop);
	ck_assert_uint_eq(accepted, 3);
	muster__acceptor_start(&acceptor);
	run_until_count(test_loop, accepted, 10);
}
END_TEST

START_TEST(an_acceptor_does_not_keep_the_loop_running)
{
	start_with(0);
	run_dry(test_loop);
}
END_TEST

/* ---- Failing. */

static const int of_the_peer[] = {
	EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH,
};

START_TEST(what_went_wrong_with_one_connection_does_not_hold_up_the_next)
{
	fail_with(of_the_peer[_i], 3);
	start_with(0);
	connect_clients(1);
	run_until_count(test_loop, accepted, 1);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_le(calls, 5);
}
END_TEST

static const int waits[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL, EPERM };

START_TEST(any_other_failure_is_told_once_and_tried_again_later)
{
	fail_with(waits[_i], 2);
	start_with(0);
	connect_clients(1);
	run_until_idle(test_loop);
	/* It does not spin: the connection is still there, and is not looked at. */
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(failed, 1);
	ck_assert_int_eq(last_error, -waits[_i]);
	run_until_count(test_loop, accepted, 1);
	/* The second failure came within the same second. */
	ck_assert_uint_eq(failed, 1);
	ck_assert_uint_le(calls, 4);
}
END_TEST

START_TEST(stop_while_it_waits_is_a_stop)
{
	fail_with(EMFILE, 1);
	start_with(0);
	connect_clients(1);
	run_until_count(test_loop, failed, 1);
	muster__acceptor_stop(&acceptor);
	wait_ms(250);
	ck_assert_uint_eq(accepted, 0);
	ck_assert_uint_eq(calls, 1);
	muster__acceptor_start(&acceptor);
	run_until_count(test_loop, accepted, 1);
}
END_TEST

START_TEST(a_shared_socket_waits_as_well)
{
	fail_with(EMFILE, 1);
	start_with(1);
	connect_clients(2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(calls, 1);
	run_until_count(test_loop, accepted, 2);
}
END_TEST

/* The real thing: no descriptors, a server, and a client that waits. */
START_TEST(a_server_without_descriptors_tells_waits_and_goes_on)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	unsigned before;
	int client = client_connect_port(server_port(server)), second;

	descriptors_exhaust(0);
	run_until_count(test_loop, counts.error, 1);
	ck_assert_int_eq(counts.last_error.code, -EMFILE);
	ck_assert_str_eq(counts.last_error.call, "accept");
	ck_assert_uint_eq(counts.last_error.address.port, server_port(server));
	before = calls;
	wait_ms(350);
	/* About one try every 100 ms. */
	ck_assert_uint_le(calls - before, 4);
	ck_assert_uint_eq(counts.error, 1);
	ck_assert(muster_server_is_listening(server));
	ck_assert_uint_eq(counts.close, 0);
	descriptors_release();
	/* valgrind, which only plays the limit, has lost the first client. */
	second = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	close(client);
	close(second);
}
END_TEST

static void close_server(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)error, (void)data;
	muster_server_close(server);
}

START_TEST(a_server_may_be_closed_inside_that_error)
{
	static const struct muster_server_handlers handlers = { .on_error = close_server };
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	muster_server_on(server, &handlers, NULL);
	fail_with(EMFILE, 1);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "listening error close");
	close(client);
}
END_TEST

static void close_by_visitor(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
	muster_server_close(server);
}

START_TEST(a_server_may_be_closed_while_its_queue_is_drained)
{
	static const struct muster_server_handlers handlers = { .on_connection = close_by_visitor };
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	int first = client_connect_port(server_port(server)), second = client_connect_port(server_port(server));

	muster_server_on(server, &handlers, NULL);
	muster__server_drain(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "listening connection close");
	ck_assert_uint_eq(counts.connection, 1);
	close(first);
	close(second);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/acceptor");
	TCase *accepting = add_loop_case(suite, "accepting");
	TCase *failing = add_loop_case(suite, "failing");
	TCase *servers = add_loop_case(suite, "servers");

	tcase_add_checked_fixture(accepting, NULL, finish);
	tcase_add_checked_fixture(failing, NULL, finish);
	tcase_add_test(accepting, one_turn_takes_many_but_not_all);
	tcase_add_test(accepting, on_a_shared_socket_one_turn_takes_one);
	tcase_add_test(accepting, stop_and_start_may_be_called_any_number_of_times);
	tcase_add_test(accepting, stop_inside_accepted_takes_no_more);
	tcase_add_test(accepting, an_acceptor_does_not_keep_the_loop_running);
	tcase_add_loop_test(failing, what_went_wrong_with_one_connection_does_not_hold_up_the_next, 0,
			    sizeof of_the_peer / sizeof of_the_peer[0]);
	tcase_add_loop_test(failing, any_other_failure_is_told_once_and_tried_again_later, 0,
			    sizeof waits / sizeof waits[0]);
	tcase_add_test(failing, stop_while_it_waits_is_a_stop);
	tcase_add_test(failing, a_shared_socket_waits_as_well);
	tcase_add_test(servers, a_server_without_descriptors_tells_waits_and_goes_on);
	tcase_add_test(servers, a_server_may_be_closed_inside_that_error);
	tcase_add_test(servers, a_server_may_be_closed_while_its_queue_is_drained);
	return run_suite(suite);
}
