/* tests/cluster/test_stop.c - the ways in which a daemon ends, and what its clients see of it. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define WITH_DRAIN(ms, rest) "'restart': { 'drain_timeout_ms': " ms " }, " rest

/* What a slow machine adds to a time. */
#define SLACK_MS 2000

static void send_signal(const struct daemon *daemon, int signal)
{
	ck_assert_int_eq(kill(daemon->pid, signal), 0);
}

static unsigned ms_to_end_with(struct daemon *daemon, int status)
{
	uint64_t since = clock_ms();

	ck_assert_int_eq(daemon_wait(daemon), status);
	return (unsigned)(clock_ms() - since);
}

/* How long the daemon took to end with 0, from now. */
static unsigned ms_to_end(struct daemon *daemon)
{
	return ms_to_end_with(daemon, 0);
}

/* A worker had to be killed. */
#define FORCED 3

static bool is_gone(const char *path)
{
	struct stat status;

	return lstat(path, &status) < 0 && errno == ENOENT;
}

/* ---- stop */

static const int stops[] = { SIGTERM, SIGINT };

static const char *const policies[] = {
	ECHO("2", ", 'policy': 'round-robin'"),
	ECHO("2", ", 'policy': 'least-connections'"),
	ECHO("2", ", 'policy': 'shared'"),
};

START_TEST(a_stop_ends_connections_at_once_and_the_daemon_with_0)
{
	struct daemon *daemon = daemon_start(policies[_i / COUNT_OF(stops)]);
	unsigned port = daemon_port(daemon, "tcp"), i;
	int fds[10];

	for (i = 0; i < 10; i++)
		fds[i] = client_connected(port);
	send_signal(daemon, stops[_i % COUNT_OF(stops)]);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	for (i = 0; i < 10; i++) {
		client_expect_end(fds[i]);
		close(fds[i]);
	}
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
	ck_assert(is_gone(daemon->control));
	daemon_free(daemon);
}
END_TEST

static int unread(int fd)
{
	int bytes;

	ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &bytes), 0);
	return bytes;
}

#define PIECE 8192

/* Send, until the echo has to queue what the kernel does not take, and has nothing more to read. */
static size_t fill(int fd)
{
	static char bytes[PIECE];
	size_t sent = 0;

	do {
		pattern_fill(bytes, sent, PIECE);
		client_send(fd, bytes, PIECE);
		sent += PIECE;
		until(unread(fd) == 0);
		ck_assert_uint_lt(sent, 4 * 1024 * 1024);
	} while (client_waiting(fd) + PIECE >= sent);
	return sent;
}

/* On a UNIX socket, whose kernel buffer has a fixed size, it can be seen how much the worker holds. */
START_TEST(a_stop_flushes_what_is_queued)
{
	struct daemon *daemon = daemon_start(
		"'workers': 1, 'listeners': [ { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP);
	int fd = client_connect_path(folder_path("echo.sock"));
	size_t sent = fill(fd), length;
	char *got = malloc(sent + 1);

	ck_assert_ptr_nonnull(got);
	send_signal(daemon, SIGTERM);
	until(daemon_logged(daemon, "stopping") == 1);
	length = client_receive_all(fd, got, sent + 1);
	ck_assert_uint_eq(length, sent);
	ck_assert(pattern_matches(got, 0, length));
	free(got);
	close(fd);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	ck_assert(is_gone(folder_path("echo.sock")));
	daemon_free(daemon);
}
END_TEST

START_TEST(a_stop_waits_a_second_for_a_client_who_does_not_read_and_no_longer)
{
	struct daemon *daemon = daemon_start(
		"'workers': 1, 'listeners': [ { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP);
	int fd = client_connect_path(folder_path("echo.sock"));
	unsigned took;

	fill(fd);
	send_signal(daemon, SIGTERM);
	took = ms_to_end(daemon);
	ck_assert_uint_ge(took, 900);
	ck_assert_uint_lt(took, 1000 + SLACK_MS);
	close(fd);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_worker_that_does_not_react_to_a_stop_is_killed)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	pid_t frozen = (pid_t)daemon_worker(daemon, 0, "pid");

	process_freeze(frozen);
	send_signal(daemon, SIGTERM);
	ck_assert_uint_lt(ms_to_end_with(daemon, FORCED), 2500 + SLACK_MS);
	ck_assert_uint_eq(daemon_logged(daemon, "terminating"), 1);
	ck_assert(!process_lives(frozen));
	daemon_free(daemon);
}
END_TEST

START_TEST(a_stop_in_the_middle_of_the_start_is_a_stop)
{
	struct daemon *daemon = daemon_configure(ECHO("8", ""));

	daemon_launch(daemon, NULL);
	until(daemon_logged(daemon, "starting") == 1);
	send_signal(daemon, SIGTERM);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

/* ---- drain */

START_TEST(a_drain_lets_connections_go_on_and_refuses_new_ones)
{
	struct daemon *daemon = daemon_start(policies[_i]);
	unsigned port = daemon_port(daemon, "tcp"), i;
	int fds[10];

	for (i = 0; i < 10; i++)
		fds[i] = client_connected(port);
	send_signal(daemon, SIGQUIT);
	until(daemon_logged(daemon, "draining") == 1);
	/* A shared one is closed by each worker too. */
	until(client_try_port(port) == -ECONNREFUSED);
	for (i = 0; i < 10; i++) {
		client_talk(fds[i], "still there?");
		ck_assert_int_eq(shutdown(fds[i], SHUT_WR), 0);
		client_expect_end(fds[i]);
		close(fds[i]);
	}
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_drain_takes_the_path_of_a_listener_away)
{
	struct daemon *daemon = daemon_start(
		"'workers': 1, 'listeners': [ { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP);
	int fd = client_connect_path(folder_path("echo.sock"));

	client_talk(fd, "hello");
	send_signal(daemon, SIGQUIT);
	until(is_gone(folder_path("echo.sock")));
	client_talk(fd, "still there?");
	close(fd);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_drain_without_connections_ends_at_once)
{
	struct daemon *daemon = daemon_start(ECHO("4", ""));

	close(client_connected(daemon_port(daemon, "tcp")));
	send_signal(daemon, SIGQUIT);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

/* No more than two workers take at once. */
#define QUEUED 100

/* They were connected, and could not know. */
START_TEST(a_drain_serves_those_who_wait_in_the_kernels_queue)
{
	struct daemon *daemon = daemon_start(policies[_i]);
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t pids[] = { daemon->pid, (pid_t)daemon_worker(daemon, 0, "pid"), (pid_t)daemon_worker(daemon, 1, "pid") };
	int fds[QUEUED];

	for (i = 0; i < 3; i++)
		process_freeze(pids[i]);
	for (i = 0; i < QUEUED; i++)
		client_send_text(fds[i] = client_connect_port(port), "hello");
	send_signal(daemon, SIGQUIT);
	for (i = 0; i < 3; i++)
		kill(pids[i], SIGCONT);
	for (i = 0; i < QUEUED; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

/* Who connects between the last look at the queue and the end of the socket is reset: the kernel knows no other way. */
START_TEST(in_a_drain_under_load_no_client_hangs)
{
	struct daemon *daemon = daemon_start(policies[_i]);
	struct crowd crowd;
	bool told = false;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), QUEUED, 1000);
	while (crowd_turn(&crowd))
		if (!told && crowd.answered >= 300) {
			send_signal(daemon, SIGQUIT);
			told = true;
		}
	crowd_end(&crowd);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	ck_assert_uint_gt(crowd.refused, 0);
	ck_assert_uint_le(crowd.failed, 10);
	daemon_free(daemon);
}
END_TEST

START_TEST(while_it_drains_a_daemon_says_so)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	int fd = client_connected(daemon_port(daemon, "tcp"));
	json_t *status;

	send_signal(daemon, SIGQUIT);
	/* The worker without connections has left. */
	until(daemon_worker(daemon, 1, "pid") == -1);
	status = daemon_status(daemon);
	ck_assert_str_eq(json_string_value(json_object_get(status, "state")), "draining");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "connections")), 1);
	json_decref(status);
	close(fd);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_drain_that_takes_too_long_is_cut)
{
	struct daemon *daemon = daemon_start(WITH_DRAIN("500", ECHO("2", "")));
	int fd = client_connected(daemon_port(daemon, "tcp"));
	unsigned took;

	send_signal(daemon, SIGQUIT);
	took = ms_to_end(daemon);
	ck_assert_uint_ge(took, 450);
	ck_assert_uint_lt(took, 500 + SLACK_MS);
	client_expect_end(fd);
	close(fd);
	daemon_free(daemon);
}
END_TEST

static const int seconds[] = { SIGQUIT, SIGTERM, SIGINT };

START_TEST(a_second_signal_shortens_a_drain)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	int fd = client_connected(daemon_port(daemon, "tcp"));

	send_signal(daemon, SIGQUIT);
	until(daemon_logged(daemon, "draining") == 1);
	send_signal(daemon, seconds[_i]);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	client_expect_end(fd);
	close(fd);
	daemon_free(daemon);
}
END_TEST

/* Who does not react would be waited for; not after the next signal. */
START_TEST(a_second_signal_shortens_a_stop)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));

	process_freeze((pid_t)daemon_worker(daemon, 0, "pid"));
	send_signal(daemon, SIGTERM);
	until(daemon_logged(daemon, "stopping") == 1);
	send_signal(daemon, SIGTERM);
	ck_assert_uint_lt(ms_to_end_with(daemon, FORCED), 1400);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_worker_that_is_killed_while_it_drains_is_not_replaced)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp");
	int fds[2] = { client_connected(port), client_connected(port) };

	send_signal(daemon, SIGQUIT);
	until(daemon_logged(daemon, "draining") == 1);
	kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL);
	until(daemon_worker(daemon, 1, "pid") == -1);
	ck_assert_uint_eq(daemon_logged(daemon, " started"), 2);
	close(fds[0]);
	close(fds[1]);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	daemon_free(daemon);
}
END_TEST

/* ---- the terminal */

static void lead_a_group(void)
{
	setpgid(0, 0);
}

/* What a terminal does: the signal goes to all of its foreground group. The workers must not die of it. */
START_TEST(a_signal_from_the_terminal_reaches_the_primary_alone)
{
	struct daemon *daemon = daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .prepare = lead_a_group });
	int fd = client_connected(daemon_port(daemon, "tcp"));
	unsigned i;

	for (i = 0; i < 2; i++) {
		pid_t worker = (pid_t)daemon_worker(daemon, i, "pid");

		ck_assert_int_eq(getpgid(worker), worker);
	}
	ck_assert_int_eq(kill(-daemon->pid, SIGQUIT), 0);
	until(daemon_logged(daemon, "draining") == 1);
	client_talk(fd, "still there?");
	ck_assert_int_eq(kill(-daemon->pid, SIGINT), 0);
	client_expect_end(fd);
	close(fd);
	ck_assert_uint_lt(ms_to_end(daemon), SLACK_MS);
	ck_assert_uint_eq(daemon_logged(daemon, "was killed by"), 0);
	daemon_free(daemon);
}
END_TEST

static void add_drains(Suite *suite)
{
	TCase *tcase = add_case(suite, "drain");

	tcase_add_loop_test(tcase, a_drain_lets_connections_go_on_and_refuses_new_ones, 0, COUNT_OF(policies));
	tcase_add_test(tcase, a_drain_takes_the_path_of_a_listener_away);
	tcase_add_test(tcase, a_drain_without_connections_ends_at_once);
	tcase_add_loop_test(tcase, a_drain_serves_those_who_wait_in_the_kernels_queue, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, in_a_drain_under_load_no_client_hangs, 0, COUNT_OF(policies));
	tcase_add_test(tcase, while_it_drains_a_daemon_says_so);
	tcase_add_test(tcase, a_drain_that_takes_too_long_is_cut);
	tcase_add_loop_test(tcase, a_second_signal_shortens_a_drain, 0, COUNT_OF(seconds));
	tcase_add_test(tcase, a_second_signal_shortens_a_stop);
	tcase_add_test(tcase, a_worker_that_is_killed_while_it_drains_is_not_replaced);
}

int main(void)
{
	Suite *suite = suite_create("stop");
	TCase *tcase = add_case(suite, "stop");

	tcase_add_loop_test(tcase, a_stop_ends_connections_at_once_and_the_daemon_with_0, 0,
			    COUNT_OF(stops) * COUNT_OF(policies));
	tcase_add_test(tcase, a_stop_flushes_what_is_queued);
	tcase_add_test(tcase, a_stop_waits_a_second_for_a_client_who_does_not_read_and_no_longer);
	tcase_add_test(tcase, a_worker_that_does_not_react_to_a_stop_is_killed);
	tcase_add_test(tcase, a_stop_in_the_middle_of_the_start_is_a_stop);
	add_drains(suite);
	tcase = add_case(suite, "terminal");
	tcase_add_test(tcase, a_signal_from_the_terminal_reaches_the_primary_alone);
	return run_suite(suite);
}
