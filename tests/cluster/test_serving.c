/* tests/cluster/test_serving.c - what musterd serves, by every kind of listener, policy and application. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MEGABYTE ((uint64_t)1024 * 1024)
#define PROXY_APP(upstream) "'applications': { 'front': { 'builtin': 'proxy', 'upstream': " upstream " } }"
#define FRONT(keys) "{ 'name': 'front', 'host': '127.0.0.1', 'port': 0, 'application': 'front' " keys "}"

static void echo_once(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
}

/* An echo ends behind the end of its client. */
static void echo_and_end(int fd)
{
	echo_once(fd);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	client_expect_end(fd);
	close(fd);
}

/* ---- listeners and policies */

static json_t *status_by_musterctl(const struct daemon *daemon)
{
	struct ended ended;
	json_t *status;

	run(&ended, MUSTERCTL, "-s", daemon->control, "--json", "status");
	ck_assert_msg(ended.status == 0, "%s", ended.err);
	status = json_loads(ended.out, 0, NULL);
	ck_assert_ptr_nonnull(status);
	return status;
}

START_TEST(of_1000_connections_each_of_4_workers_gets_250)
{
	struct daemon *daemon = daemon_start(ECHO("4", ""));
	unsigned port = daemon_port(daemon, "tcp"), i;
	const json_t *worker;
	json_t *status;

	for (i = 0; i < 1000; i++)
		echo_and_end(client_connect_port(port));
	until(daemon_is_idle(daemon));
	status = status_by_musterctl(daemon);
	ck_assert_uint_eq(json_array_size(json_object_get(status, "workers")), 4);
	json_array_foreach(json_object_get(status, "workers"), i, worker)
		ck_assert_int_eq(json_integer_value(json_object_get(worker, "accepted")), 250);
	json_decref(status);
	daemon_stop(daemon);
}
END_TEST

START_TEST(ipv6_and_a_path_and_an_abstract_name_and_a_host_name_are_served)
{
	struct daemon *daemon =
		daemon_start("'workers': 2, 'listeners': ["
			     "{ 'name': 'six', 'host': '::1', 'port': 0, 'application': 'echo' },"
			     "{ 'name': 'name', 'host': 'localhost', 'port': 0, 'application': 'echo' },"
			     "{ 'path': 'echo.sock', 'application': 'echo' },"
			     "{ 'path': '@muster-test-serving', 'application': 'echo' }], " ECHO_APP);

	echo_and_end(client_connect_to("::1", daemon_port(daemon, "six")));
	echo_and_end(client_connect_path(folder_path("echo.sock")));
	echo_and_end(client_connect_path("@muster-test-serving"));
	ck_assert_uint_gt(daemon_port(daemon, "name"), 0);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("echo.sock"), F_OK), -1);
}
END_TEST

START_TEST(one_listener_without_a_host_serves_ipv6_and_ipv4)
{
	struct daemon *daemon = daemon_start("'workers': 2, 'listeners': ["
					     "{ 'name': 'all', 'port': 0, 'application': 'echo' }], " ECHO_APP);
	unsigned port = daemon_port(daemon, "all");

	echo_and_end(client_connect_to("127.0.0.1", port));
	if (client_has_ipv6())
		echo_and_end(client_connect_to("::1", port));
	daemon_stop(daemon);
}
END_TEST

static const char *const policies[] = {
	ECHO("3", ", 'policy': 'round-robin'"), ECHO("3", ", 'policy': 'least-connections'"),
	ECHO("3", ", 'policy': 'shared'"),      ECHO("3", ", 'policy': 'reuse-port'"),
	ECHO("3", ", 'policy': 'exclusive'"),
};

START_TEST(every_policy_answers_a_crowd)
{
	struct daemon *daemon = daemon_start(policies[_i]);
	unsigned before = process_descriptors(daemon->pid);
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 100, 2000);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 2000);
	until(daemon_is_idle(daemon));
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 2000);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(least_connections_evens_out_what_others_left_uneven)
{
	struct daemon *daemon = daemon_start(ECHO("2", ", 'policy': 'least-connections'"));
	unsigned port = daemon_port(daemon, "tcp"), i;
	int fds[8];

	for (i = 0; i < 4; i++)
		echo_once(fds[i] = client_connect_port(port));
	until(daemon_worker(daemon, 0, "connections") == 2 && daemon_worker(daemon, 1, "connections") == 2);
	/* Of these four, the two of one worker end: it gets the next two. */
	close(fds[0]);
	close(fds[2]);
	until(daemon_number(daemon, "connections") == 2);
	for (i = 4; i < 6; i++)
		echo_once(fds[i] = client_connect_port(port));
	ck_assert_int_eq(daemon_worker(daemon, 0, "connections"), 2);
	ck_assert_int_eq(daemon_worker(daemon, 1, "connections"), 2);
	close(fds[1]);
	close(fds[3]);
	close(fds[4]);
	close(fds[5]);
	daemon_stop(daemon);
}
END_TEST

/* ---- applications */

START_TEST(eight_megabytes_come_back_as_they_went)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp");

	ck_assert_uint_eq(exchange_finish(exchange_start(client_connect_port(port), 8 * MEGABYTE)), 8 * MEGABYTE);
	daemon_stop(daemon);
}
END_TEST

START_TEST(discard_takes_all_and_answers_with_its_end_alone)
{
	static char bytes[MEGABYTE];
	struct daemon *daemon = daemon_start("'workers': 1, 'listeners': ["
					     "{ 'name': 'bin', 'host': '127.0.0.1', 'port': 0, 'application': 'bin' }],"
					     "'applications': { 'bin': { 'builtin': 'discard' } }");
	int fd = client_connect_port(daemon_port(daemon, "bin")), i;

	for (i = 0; i < 8; i++)
		client_send(fd, bytes, sizeof bytes);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	client_expect_end(fd);
	close(fd);
	daemon_stop(daemon);
}
END_TEST

/* ---- proxy */

/* A proxy in front of the listening socket `upstream`. */
static struct daemon *proxy_to_port(unsigned port)
{
	char text[512];

	snprintf(text, sizeof text,
		 "'workers': 1, 'listeners': [ " FRONT("") " ], " PROXY_APP("{ 'host': '127.0.0.1', 'port': %u }"),
		 port);
	return daemon_start(text);
}

static int accept_within_bounds(int listener)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	struct timeval limit = { .tv_sec = (time_t)test_patience() };
	int fd;

	ck_assert_int_eq(poll(&ready, 1, (int)test_patience() * 1000), 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return fd;
}

static int listen_at_path(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* Each side may speak after the other has ended, and each end arrives. */
static void speak_through(int client, int upstream)
{
	client_send_text(client, "question");
	client_expect_text(upstream, "question");
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	client_expect_end(upstream);
	client_send_text(upstream, "answer");
	client_expect_text(client, "answer");
	close(upstream);
	client_expect_end(client);
	close(client);
}

START_TEST(a_proxy_passes_the_end_of_one_side_on_and_the_other_goes_on_speaking)
{
	int listener = client_listen(8);
	struct daemon *daemon = proxy_to_port(client_port_of(listener));
	int client = client_connect_port(daemon_port(daemon, "front"));

	speak_through(client, accept_within_bounds(listener));
	until(daemon_is_idle(daemon));
	close(listener);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_proxy_lets_the_upstream_end_first_and_the_client_go_on_speaking)
{
	int listener = client_listen(8);
	struct daemon *daemon = proxy_to_port(client_port_of(listener));
	int client = client_connect_port(daemon_port(daemon, "front"));

	speak_through(accept_within_bounds(listener), client);
	until(daemon_is_idle(daemon));
	close(listener);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_proxy_reaches_an_upstream_by_path)
{
	int listener = listen_at_path(folder_path("up.sock")), client;
	struct daemon *daemon =
		daemon_start("'workers': 1, 'listeners': [ " FRONT("") " ], " PROXY_APP("{ 'path': 'up.sock' }"));

	client = client_connect_port(daemon_port(daemon, "front"));
	speak_through(client, accept_within_bounds(listener));
	until(daemon_is_idle(daemon));
	close(listener);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_proxy_passes_megabytes_both_ways)
{
	struct daemon *echo = daemon_start(ECHO("1", ""));
	struct daemon *front = proxy_to_port(daemon_port(echo, "tcp"));
	unsigned port = daemon_port(front, "front");

	ck_assert_uint_eq(exchange_finish(exchange_start(client_connect_port(port), 8 * MEGABYTE)), 8 * MEGABYTE);
	until(daemon_is_idle(front) && daemon_is_idle(echo));
	daemon_stop(front);
	daemon_stop(echo);
}
END_TEST

/* The client may see an end or a reset, but nothing else. */
static void expect_over(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	ck_assert_msg(got == 0 || (got < 0 && errno == ECONNRESET), "recv: %s", got > 0 ? "data" : strerror(errno));
	close(fd);
}

START_TEST(a_client_sees_an_end_when_the_upstream_is_down)
{
	struct daemon *daemon = proxy_to_port(client_free_port());
	unsigned port = daemon_port(daemon, "front"), i;

	for (i = 0; i < 20; i++) {
		int client = client_connect_port(port);

		send(client, "hello", 5, MSG_NOSIGNAL);
		expect_over(client);
	}
	until(daemon_is_idle(daemon));
	ck_assert_uint_ge(daemon_logged(daemon, "upstream"), 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_client_sees_an_end_when_the_upstream_resets)
{
	int listener = client_listen(8), client, upstream;
	struct daemon *daemon = proxy_to_port(client_port_of(listener));

	client = client_connect_port(daemon_port(daemon, "front"));
	client_send_text(client, "hello");
	upstream = accept_within_bounds(listener);
	client_expect_text(upstream, "hello");
	client_reset(upstream);
	expect_over(client);
	until(daemon_is_idle(daemon));
	close(listener);
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_upstream_sees_an_end_when_the_client_resets)
{
	int listener = client_listen(8), client, upstream;
	struct daemon *daemon = proxy_to_port(client_port_of(listener));

	client = client_connect_port(daemon_port(daemon, "front"));
	client_send_text(client, "hello");
	upstream = accept_within_bounds(listener);
	client_expect_text(upstream, "hello");
	client_reset(client);
	expect_over(upstream);
	until(daemon_is_idle(daemon));
	close(listener);
	daemon_stop(daemon);
}
END_TEST

/* ---- limits */

START_TEST(a_connection_without_traffic_is_closed_after_the_timeout)
{
	struct daemon *daemon = daemon_start(ECHO("1", ", 'timeout': 200"));
	int fd = client_connect_port(daemon_port(daemon, "tcp"));
	uint64_t spoken;

	echo_once(fd);
	spoken = clock_ms();
	client_expect_end(fd);
	ck_assert_uint_ge(clock_ms() - spoken, 190);
	close(fd);
	daemon_stop(daemon);
}
END_TEST

#define HELD 3
/* So many connections for each worker. */
#define LIMITED_ECHO(workers, most, keys)                                                                              \
	"'workers': " workers ", 'listeners': [ " TCP(keys) " ], 'applications': { 'echo': { 'builtin': 'echo', "      \
							    "'worker_max_connections': " most " } }"

static const struct {
	const char *text;
} limited[] = {
	{ ECHO("2", ", 'max_connections': 3") },
	{ ECHO("2", ", 'max_connections': 3, 'policy': 'least-connections'") },
	{ "'limits': { 'max_connections': 3 }, " ECHO("2", "") },
	/* Each of two workers may overshoot a limit over all of them by one: with one it is exact. */
	{ ECHO("1", ", 'max_connections': 3, 'policy': 'shared'") },
	{ "'limits': { 'max_connections': 3 }, " ECHO("1", ", 'policy': 'shared'") },
	{ ECHO("1", ", 'max_connections': 3, 'policy': 'reuse-port'") },
	{ ECHO("2", ", 'max_connections': 3, 'policy': 'exclusive'") },
	{ LIMITED_ECHO("1", "3", "") },
	{ LIMITED_ECHO("1", "3", ", 'policy': 'shared'") },
	{ LIMITED_ECHO("1", "3", ", 'policy': 'reuse-port'") },
};

static const struct {
	const char *text;
} dropping[] = {
	{ ECHO("2", ", 'max_connections': 3, 'overflow': 'drop'") },
	{ "'limits': { 'max_connections': 3 }, " ECHO("2", ", 'overflow': 'drop'") },
	{ ECHO("2", ", 'max_connections': 3, 'overflow': 'drop', 'policy': 'exclusive'") },
	{ ECHO("1", ", 'max_connections': 3, 'overflow': 'drop', 'policy': 'shared'") },
	{ ECHO("1", ", 'max_connections': 3, 'overflow': 'drop', 'policy': 'reuse-port'") },
	{ LIMITED_ECHO("1", "3", ", 'overflow': 'drop'") },
	{ LIMITED_ECHO("1", "3", ", 'overflow': 'drop', 'policy': 'reuse-port'") },
};

/* Nobody is refused: those beyond the limit wait in the kernel's queue, and come in as others close. */
START_TEST(beyond_a_limit_connections_wait_until_others_close)
{
	struct daemon *daemon = daemon_start(limited[_i].text);
	unsigned port = daemon_port(daemon, "tcp"), i;
	unsigned before = process_descriptors(daemon->pid);
	int fds[12];

	for (i = 0; i < 12; i++) {
		fds[i] = client_connect_port(port);
		client_send_text(fds[i], "hello");
	}
	for (i = 0; i < HELD; i++)
		client_expect_text(fds[i], "hello");
	ck_assert_int_eq(daemon_number(daemon, "connections"), HELD);
	for (; i < 12; i++) {
		ck_assert_uint_eq(client_waiting(fds[i]), 0);
		close(fds[i - HELD]);
		client_expect_text(fds[i], "hello");
		ck_assert_int_le(daemon_number(daemon, "connections"), HELD);
	}
	for (i = 12 - HELD; i < 12; i++)
		close(fds[i]);
	until(daemon_is_idle(daemon));
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(beyond_a_limit_connections_are_dropped_and_counted_and_told_if_that_is_wanted)
{
	struct daemon *daemon = daemon_start(dropping[_i].text);
	unsigned port = daemon_port(daemon, "tcp"), i;
	int fds[HELD], more;

	for (i = 0; i < HELD; i++)
		echo_once(fds[i] = client_connect_port(port));
	for (i = 0; i < 10; i++) {
		more = client_connect_port(port);
		client_expect_end(more);
		close(more);
	}
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "dropped"), 10);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), HELD);
	ck_assert_uint_ge(daemon_logged(daemon, "dropped, a limit of connections is reached"), 1);
	close(fds[0]);
	until(daemon_number(daemon, "connections") == HELD - 1);
	echo_once(fds[0] = client_connect_port(port));
	for (i = 0; i < HELD; i++)
		close(fds[i]);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_crowd_larger_than_the_limit_is_answered_nevertheless)
{
	struct daemon *daemon = daemon_start(limited[_i].text);
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 50, 1000);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 1000);
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

START_TEST(one_limit_holds_over_two_listeners)
{
	struct daemon *daemon = daemon_start("'limits': { 'max_connections': 2 }, 'workers': 2, 'listeners': [ " TCP(
		"") ", { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP);
	int tcp[2], local;

	echo_once(tcp[0] = client_connect_port(daemon_port(daemon, "tcp")));
	echo_once(tcp[1] = client_connect_port(daemon_port(daemon, "tcp")));
	local = client_connect_path(folder_path("echo.sock"));
	client_send_text(local, "hello");
	ck_assert_int_eq(daemon_number(daemon, "connections"), 2);
	close(tcp[0]);
	client_expect_text(local, "hello");
	ck_assert_int_eq(daemon_number(daemon, "connections"), 2);
	close(tcp[1]);
	close(local);
	daemon_stop(daemon);
}
END_TEST

/* ---- real peers */

START_TEST(nc_gets_back_what_it_sends)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	struct ended ended;
	char port[8];

	snprintf(port, sizeof port, "%u", daemon_port(daemon, "tcp"));
	run_with_input(&ended, "hello\nworld\n", "nc", "-N", "-w", "5", "127.0.0.1", port);
	ck_assert_msg(ended.status == 0, "%s", ended.err);
	ck_assert_str_eq(ended.out, "hello\nworld\n");
	daemon_stop(daemon);
}
END_TEST

/* An echo is no web server, but what it sends back is enough for HTTP 0.9. */
START_TEST(curl_gets_its_own_request_back)
{
	struct daemon *daemon = daemon_start(ECHO("2", ", 'timeout': 300"));
	struct ended ended;
	char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u/where", daemon_port(daemon, "tcp"));
	run(&ended, "curl", "-q", "-s", "-S", "--noproxy", "*", "--http0.9", "-m", "10", url);
	ck_assert_msg(ended.status == 0, "%s", ended.err);
	ck_assert_msg(strncmp(ended.out, "GET /where HTTP/1.1\r\n", 21) == 0, "%s", ended.out);
	daemon_stop(daemon);
}
END_TEST

/* ---- */

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static void add_applications(Suite *suite)
{
	TCase *tcase = add_case(suite, "applications");

	tcase_add_test(tcase, eight_megabytes_come_back_as_they_went);
	tcase_add_test(tcase, discard_takes_all_and_answers_with_its_end_alone);
	tcase_add_test(tcase, nc_gets_back_what_it_sends);
	tcase_add_test(tcase, curl_gets_its_own_request_back);
	tcase = add_case(suite, "proxy");
	tcase_add_test(tcase, a_proxy_passes_the_end_of_one_side_on_and_the_other_goes_on_speaking);
	tcase_add_test(tcase, a_proxy_lets_the_upstream_end_first_and_the_client_go_on_speaking);
	tcase_add_test(tcase, a_proxy_reaches_an_upstream_by_path);
	tcase_add_test(tcase, a_proxy_passes_megabytes_both_ways);
	tcase_add_test(tcase, a_client_sees_an_end_when_the_upstream_is_down);
	tcase_add_test(tcase, a_client_sees_an_end_when_the_upstream_resets);
	tcase_add_test(tcase, an_upstream_sees_an_end_when_the_client_resets);
}

int main(void)
{
	Suite *suite = suite_create("serving");
	TCase *tcase = add_case(suite, "listeners");

	tcase_add_test(tcase, of_1000_connections_each_of_4_workers_gets_250);
	if (client_has_ipv6())
		tcase_add_test(tcase, ipv6_and_a_path_and_an_abstract_name_and_a_host_name_are_served);
	tcase_add_test(tcase, one_listener_without_a_host_serves_ipv6_and_ipv4);
	tcase_add_loop_test(tcase, every_policy_answers_a_crowd, 0, COUNT_OF(policies));
	tcase_add_test(tcase, least_connections_evens_out_what_others_left_uneven);
	add_applications(suite);
	tcase = add_case(suite, "limits");
	tcase_add_test(tcase, a_connection_without_traffic_is_closed_after_the_timeout);
	tcase_add_loop_test(tcase, beyond_a_limit_connections_wait_until_others_close, 0, COUNT_OF(limited));
	tcase_add_loop_test(tcase, beyond_a_limit_connections_are_dropped_and_counted_and_told_if_that_is_wanted, 0,
			    COUNT_OF(dropping));
	tcase_add_loop_test(tcase, a_crowd_larger_than_the_limit_is_answered_nevertheless, 0, COUNT_OF(limited));
	tcase_add_test(tcase, one_limit_holds_over_two_listeners);
	return run_suite(suite);
}
