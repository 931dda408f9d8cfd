/* tests/cluster/test_network.c - the options of musterd's listeners: proxies, lists, limits, times; over all workers. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER "PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n"

/* Two workers, and a listener with these keys, for each policy. */
static const char *configuration(const char *keys, int policy)
{
	static const char *const policies[] = { "round-robin", "least-connections", "shared" };
	static char text[1024];

	snprintf(text, sizeof text,
		 "'workers': 2, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': 0, 'application': 'echo', "
		 "'policy': '%s', %s } ], " ECHO_APP,
		 policies[policy], keys);
	return text;
}

static struct daemon *start(const char *keys, int policy)
{
	return daemon_start(configuration(keys, policy));
}

enum { POLICIES = 3 };

static unsigned port_of(const struct daemon *daemon)
{
	return daemon_port(daemon, "tcp");
}

static int client_from(const char *host, unsigned port)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &from.sin_addr);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void expect_echo(int client, const char *text)
{
	client_send_text(client, text);
	client_expect_text(client, text);
}

/* Closed, gracefully or, with bytes that nobody has read, by a reset. */
static void expect_closed(int client)
{
	char byte;

	ck_assert_int_le(recv(client, &byte, 1, 0), 0);
	close(client);
}

static void expect_refused(const struct daemon *daemon, long count)
{
	until(daemon_listener(daemon, "tcp", "refused") == count);
}

/* ---- The PROXY protocol. */

START_TEST(a_listener_behind_a_proxy_wants_a_header)
{
	struct daemon *daemon = start("'proxy_protocol': true", _i);
	int client = client_connect_port(port_of(daemon));

	client_send_text(client, HEADER "hello");
	client_expect_text(client, "hello");
	expect_echo(client, "and more");
	close(client);
	client = client_connect_port(port_of(daemon));
	client_send_text(client, "hello");
	expect_closed(client);
	expect_refused(daemon, 1);
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_header_that_does_not_come_ends_the_connection)
{
	struct daemon *daemon = start("'proxy_protocol': true, 'proxy_timeout': 100", _i);
	int silent = client_connect_port(port_of(daemon)), slow = client_connect_port(port_of(daemon));

	client_send_text(slow, "PROXY TCP4 ");
	expect_closed(silent);
	expect_closed(slow);
	expect_refused(daemon, 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(the_client_is_judged_and_not_his_proxy)
{
	struct daemon *daemon =
		start("'proxy_protocol': true, 'proxy_trusted': ['127.0.0.1'], 'deny': ['192.0.2.1']", _i);
	int denied = client_connect_port(port_of(daemon)), client = client_connect_port(port_of(daemon));

	client_send_text(denied, HEADER "hello");
	expect_closed(denied);
	client_send_text(client, "PROXY TCP4 192.0.2.9 192.0.2.2 12345 443\r\nhello");
	client_expect_text(client, "hello");
	close(client);
	client = client_from("127.0.0.2", port_of(daemon));
	expect_closed(client);
	expect_refused(daemon, 2);
	daemon_stop(daemon);
}
END_TEST

static struct daemon *start_proxy(const char *host, unsigned upstream, const char *version)
{
	char text[512];

	snprintf(text, sizeof text,
		 "'workers': 1, 'listeners': [ { 'name': 'tcp', 'host': '%s', 'port': 0, 'application': 'front' } ], "
		 "'applications': { 'front': { 'builtin': 'proxy', 'upstream': { 'host': '127.0.0.1', 'port': %u, "
		 "'proxy_protocol': '%s' } } }",
		 host, upstream, version);
	return daemon_start(text);
}

/* On a listener of both families IPv4 clients are those of IPv4. */
START_TEST(a_proxy_tells_its_upstream_for_whom_it_speaks)
{
	int listener = client_listen(1), client, upstream;
	struct daemon *daemon = start_proxy(_i < 2 || !client_has_ipv6() ? "127.0.0.1" : "::", client_port_of(listener),
					    _i % 2 ? "v2" : "v1");
	unsigned char binary[28], want[28] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1";
	uint16_t ports[2];
	char text[128];

	client = client_connect_port(port_of(daemon));
	client_send_text(client, "hello");
	upstream = accept(listener, NULL, NULL);
	ports[0] = htons((uint16_t)client_port_of(client));
	ports[1] = htons((uint16_t)port_of(daemon));
	if (_i % 2) {
		memcpy(want + 24, ports, sizeof ports);
		client_receive(upstream, binary, sizeof binary);
		ck_assert_int_eq(memcmp(binary, want, sizeof want), 0);
	} else {
		snprintf(text, sizeof text, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n", client_port_of(client),
			 port_of(daemon));
		client_expect_text(upstream, text);
	}
	client_expect_text(upstream, "hello");
	close(upstream);
	client_expect_end(client);
	close(client);
	close(listener);
	daemon_stop(daemon);
}
END_TEST

START_TEST(two_of_us_understand_each_other)
{
	struct daemon *back = start("'proxy_protocol': true, 'max_per_address': 1", 0);
	struct daemon *front = start_proxy("127.0.0.1", port_of(back), _i ? "v2" : "v1");
	int client = client_from("127.0.0.5", port_of(front)), again, other;

	expect_echo(client, "hello");
	/* Behind the front two clients are two. */
	other = client_from("127.0.0.6", port_of(front));
	expect_echo(other, "hello");
	again = client_from("127.0.0.5", port_of(front));
	expect_closed(again);
	expect_refused(back, 1);
	close(client);
	close(other);
	daemon_stop(front);
	daemon_stop(back);
}
END_TEST

/* ---- Lists and limits. */

START_TEST(only_who_is_allowed_comes_in)
{
	struct daemon *daemon = start("'allow': ['127.0.0.0/30', '::1'], 'deny': ['127.0.0.2']", _i);
	int welcome = client_from("127.0.0.1", port_of(daemon)), client;

	expect_echo(welcome, "hello");
	client = client_from("127.0.0.2", port_of(daemon));
	expect_closed(client);
	client = client_from("127.0.0.9", port_of(daemon));
	expect_closed(client);
	expect_refused(daemon, 2);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 1);
	close(welcome);
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_address_has_so_many_connections_over_all_workers)
{
	struct daemon *daemon = start("'max_per_address': 3", _i);
	int clients[3], more, other, i;

	for (i = 0; i < 3; i++) {
		clients[i] = client_connect_port(port_of(daemon));
		expect_echo(clients[i], "hello");
	}
	more = client_connect_port(port_of(daemon));
	expect_closed(more);
	other = client_from("127.0.0.2", port_of(daemon));
	expect_echo(other, "hello");
	expect_refused(daemon, 1);
	close(clients[0]);
	until(daemon_number(daemon, "connections") == 3);
	clients[0] = client_connect_port(port_of(daemon));
	expect_echo(clients[0], "hello");
	for (i = 0; i < 3; i++)
		close(clients[i]);
	close(other);
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_address_comes_so_fast_over_all_workers)
{
	struct daemon *daemon = start("'rate_per_address': 1, 'rate_burst': 4", _i);
	int clients[4], i, more;

	for (i = 0; i < 4; i++) {
		clients[i] = client_connect_port(port_of(daemon));
		expect_echo(clients[i], "hello");
		close(clients[i]);
	}
	more = client_connect_port(port_of(daemon));
	expect_closed(more);
	more = client_from("127.0.0.2", port_of(daemon));
	expect_echo(more, "hello");
	close(more);
	expect_refused(daemon, 1);
	ck_assert_uint_ge(daemon_logged(daemon, "127.0.0.1 is at its limit"), 1);
	daemon_stop(daemon);
}
END_TEST

/* ---- Silent and slow clients. */

START_TEST(who_says_nothing_is_closed)
{
	struct daemon *daemon = start("'first_byte_timeout': 100", _i);
	int talker = client_connect_port(port_of(daemon)), silent = client_connect_port(port_of(daemon));

	expect_echo(talker, "x");
	expect_closed(silent);
	/* Who has spoken may be silent. */
	expect_echo(talker, "y");
	close(talker);
	daemon_stop(daemon);
}
END_TEST

START_TEST(what_the_server_says_first_is_no_byte_of_the_client)
{
	int listener = client_listen(1), client, upstream;
	uint64_t begin;
	char text[512];
	struct daemon *daemon;

	snprintf(
		text, sizeof text,
		"'workers': 1, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': 0, 'application': 'front', "
		"'first_byte_timeout': 300 } ], 'applications': { 'front': { 'builtin': 'proxy', 'upstream': { 'host': "
		"'127.0.0.1', 'port': %u } } }",
		client_port_of(listener));
	daemon = daemon_start(text);
	begin = clock_ms();
	client = client_connect_port(port_of(daemon));
	upstream = accept(listener, NULL, NULL);
	client_send_text(upstream, "220 welcome\r\n");
	client_expect_text(client, "220 welcome\r\n");
	expect_closed(client);
	ck_assert_uint_ge(clock_ms() - begin, 290);
	close(upstream);
	close(listener);
	daemon_stop(daemon);
}
END_TEST

/* Half a request, and then nothing: the idle time ends it. A half-closed one as well. */
START_TEST(who_falls_silent_is_closed)
{
	struct daemon *daemon = start("'timeout': 100, 'first_byte_timeout': 10000, 'allow_half_open': true", _i);
	int client = client_connect_port(port_of(daemon));

	expect_echo(client, "x");
	expect_closed(client);
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

START_TEST(who_is_gone_before_he_is_accepted_is_no_error)
{
	struct daemon *daemon =
		start("'first_byte_timeout': 60000, 'max_per_address': 100, 'deny': ['198.51.100.0/24'], "
		      "'proxy_protocol': true, 'proxy_trusted': ['127.0.0.0/8']",
		      _i);
	int i, client;

	for (i = 0; i < 100; i++) {
		client = client_connect_port(port_of(daemon));
		if (i % 2)
			client_send_text(client, HEADER);
		client_reset(client);
	}
	client = client_connect_port(port_of(daemon));
	client_send_text(client, HEADER "hello");
	client_expect_text(client, "hello");
	close(client);
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

/* ---- Options of the socket. */

START_TEST(the_kernel_keeps_who_says_nothing)
{
	struct daemon *daemon = start("'defer_accept': 60000, 'fast_open': 16, 'no_delay': true, 'keep_alive': true, "
				      "'keep_alive_delay': 5000",
				      _i);
	int silent = client_connect_port(port_of(daemon)), client = client_connect_port(port_of(daemon));

	expect_echo(client, "hello");
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 1);
	expect_echo(silent, "hello");
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 2);
	close(silent);
	close(client);
	daemon_stop(daemon);
}
END_TEST

/* With the port that it has. */
static void reload(const struct daemon *daemon, const char *keys, int policy)
{
	daemon_rewrite(daemon, configuration(keys, policy));
	kill(daemon->pid, SIGHUP);
	until(daemon_number(daemon, "generation") == 2);
}

START_TEST(a_reload_changes_lists_and_options)
{
	struct daemon *daemon = start("'defer_accept': 60000, 'allow': ['127.0.0.1']", _i);
	int silent, client = client_from("127.0.0.2", port_of(daemon));
	long accepted;

	client_send_text(client, "hello");
	expect_closed(client);
	reload(daemon, "'deny': ['127.0.0.1', '127.0.0.7/32']", _i);
	client = client_from("127.0.0.2", port_of(daemon));
	expect_echo(client, "hello");
	accepted = daemon_listener(daemon, "tcp", "accepted");
	silent = client_from("127.0.0.2", port_of(daemon));
	until(daemon_listener(daemon, "tcp", "accepted") == accepted + 1);
	close(silent);
	close(client);
	client = client_connect_port(port_of(daemon));
	expect_closed(client);
	daemon_stop(daemon);
}
END_TEST

static void expect_same_words(const json_t *listener, const char *key, const char *word)
{
	const json_t *words = json_object_get(listener, key);

	ck_assert_uint_eq(json_array_size(words), 2);
	ck_assert_str_eq(json_string_value(json_array_get(words, 1)), word);
}

/* As they were written. */
START_TEST(lists_are_dumped)
{
	struct daemon *daemon = daemon_configure(configuration("'allow': ['127.0.0.1', '10.1.2.3/8'], 'deny': ['::1', "
							       "'fe80::/10'], 'rate_per_address': 5",
							       0));
	struct ended ended;
	const json_t *listener;
	json_t *json;

	run(&ended, MUSTERD, "-c", daemon->file, "--dump");
	ck_assert_int_eq(ended.status, 0);
	json = json_loads(ended.out, 0, NULL);
	listener = json_array_get(json_object_get(json, "listeners"), 0);
	expect_same_words(listener, "allow", "10.1.2.3/8");
	expect_same_words(listener, "deny", "fe80::/10");
	ck_assert_int_eq(json_integer_value(json_object_get(listener, "rate_per_address")), 5);
	json_decref(json);
	daemon_free(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster/network");
	TCase *proxies = add_case(suite, "proxies"), *limits = add_case(suite, "limits");
	TCase *silence = add_case(suite, "silence"), *options = add_case(suite, "options");

	tcase_add_loop_test(proxies, a_listener_behind_a_proxy_wants_a_header, 0, POLICIES);
	tcase_add_loop_test(proxies, a_header_that_does_not_come_ends_the_connection, 0, POLICIES);
	tcase_add_loop_test(proxies, the_client_is_judged_and_not_his_proxy, 0, POLICIES);
	tcase_add_loop_test(proxies, a_proxy_tells_its_upstream_for_whom_it_speaks, 0, 4);
	tcase_add_loop_test(proxies, two_of_us_understand_each_other, 0, 2);

	tcase_add_loop_test(limits, only_who_is_allowed_comes_in, 0, POLICIES);
	tcase_add_loop_test(limits, an_address_has_so_many_connections_over_all_workers, 0, POLICIES);
	tcase_add_loop_test(limits, an_address_comes_so_fast_over_all_workers, 0, POLICIES);

	tcase_add_loop_test(silence, who_says_nothing_is_closed, 0, POLICIES);
	tcase_add_test(silence, what_the_server_says_first_is_no_byte_of_the_client);
	tcase_add_loop_test(silence, who_falls_silent_is_closed, 0, POLICIES);
	tcase_add_loop_test(silence, who_is_gone_before_he_is_accepted_is_no_error, 0, POLICIES);

	tcase_add_loop_test(options, the_kernel_keeps_who_says_nothing, 0, POLICIES);
	tcase_add_loop_test(options, a_reload_changes_lists_and_options, 0, POLICIES);
	tcase_add_test(options, lists_are_dumped);
	return run_suite(suite);
}
