/* tests/src/test_preface.c - servers behind a proxy: connections begin with a header of the PROXY protocol. */
#include "src/proxy_protocol.h"
#include "src/server.h"

#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <event2/event.h>
#include <muster/block_list.h>
#include <muster/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER "PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n"

static struct server_counts counts;
static struct socket_counts sockets;

static struct muster_server *serving(struct muster_server_options options)
{
	struct muster_server *server;

	options.proxy_protocol = true;
	counts.sockets = &sockets;
	server = new_server(test_loop, &options, &counts);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_until_count(test_loop, counts.listening, 1);
	return server;
}

static bool has_counted(void *server)
{
	return muster_server_connections(server) == 1;
}

static bool has_counted_nobody(void *server)
{
	return muster_server_connections(server) == 0;
}

static bool has_refused(void *server)
{
	return muster_server_refused(server, MUSTER_REFUSAL_NO_HEADER) == 1;
}

static bool has_blocked(void *server)
{
	return muster_server_refused(server, MUSTER_REFUSAL_BLOCKED) == 1;
}

static void expect_ends(struct muster_socket *socket, const char *remote, const char *local)
{
	struct muster_address address;
	char text[160];

	ck_assert_int_eq(muster_socket_remote_address(socket, &address), 0);
	muster_address_format(&address, text, sizeof text);
	ck_assert_str_eq(text, remote);
	ck_assert_int_eq(muster_socket_local_address(socket, &address), 0);
	muster_address_format(&address, text, sizeof text);
	ck_assert_str_eq(text, local);
}

/* ---- What a header tells. */

static size_t make_header(char *out, int version)
{
	struct muster__sockaddr source, destination;

	muster__sockaddr_ip(&source, "192.0.2.1", 12345);
	muster__sockaddr_ip(&destination, "192.0.2.2", 443);
	return muster__proxy_write(out, (unsigned)version, &source, &destination);
}

/* The payload begins behind it, and has the bytes that came with the header as well. */
START_TEST(the_addresses_of_a_socket_are_those_of_the_header)
{
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	char bytes[MUSTER__PROXY_WRITTEN_MAX + 16];
	size_t length = make_header(bytes, _i + 1);
	int client = client_connect_port(server_port(server));

	memcpy(bytes + length, "hello", 5);
	client_send(client, bytes, length + 5);
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_str_eq(sockets.bytes, "hello");
	expect_ends(counts.last, "192.0.2.1:12345", "192.0.2.2:443");
	ck_assert_uint_eq(muster_socket_bytes_read(counts.last), 5);
	close(client);
	run_until_count(test_loop, sockets.close, 1);
	ck_assert_int_eq(muster_server_connections(server), 0);
}
END_TEST

START_TEST(a_header_may_come_byte_by_byte)
{
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	char bytes[MUSTER__PROXY_WRITTEN_MAX + 16];
	size_t length = make_header(bytes, _i + 1), at;
	int client = client_connect_port(server_port(server));

	for (at = 0; at < length; at++) {
		ck_assert_uint_eq(counts.connection, 0);
		client_send(client, bytes + at, 1);
		run_until_idle(test_loop);
	}
	run_until_count(test_loop, counts.connection, 1);
	expect_ends(counts.last, "192.0.2.1:12345", "192.0.2.2:443");
	ck_assert_uint_eq(sockets.data, 0);
	client_send_text(client, "hello");
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_str_eq(sockets.bytes, "hello");
	close(client);
}
END_TEST

START_TEST(a_header_and_its_payload_may_be_cut_anywhere)
{
	static const char said[] = HEADER "PROXY UNKNOWN\r\n";
	struct muster_server *server = serving((struct muster_server_options){ 0 });

	for (size_t cut = 1; cut < sizeof said - 1; cut++) {
		int client = client_connect_port(server_port(server));

		sockets = (struct socket_counts){ 0 };
		client_send(client, said, cut);
		run_until_idle(test_loop);
		client_send_text(client, said + cut);
		shutdown(client, SHUT_WR);
		run_until_count(test_loop, sockets.close, 1);
		ck_assert_str_eq(sockets.bytes, "PROXY UNKNOWN\r\n");
		close(client);
	}
	ck_assert_uint_eq(counts.connection, sizeof said - 2);
}
END_TEST

START_TEST(a_connection_that_speaks_for_itself_has_its_own_addresses)
{
	static const char *const headers[] = { "PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n",
					       "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" };
	static const size_t lengths[] = { 15, 39, 16 };
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	int client = client_connect_port(server_port(server));
	struct muster_address address;

	client_send(client, headers[_i], lengths[_i]);
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_int_eq(muster_socket_remote_address(counts.last, &address), 0);
	ck_assert_str_eq(address.text, "127.0.0.1");
	ck_assert_int_eq(muster_socket_local_address(counts.last, &address), 0);
	ck_assert_uint_eq(address.port, server_port(server));
	close(client);
}
END_TEST

/* ---- What is none. */

START_TEST(what_is_no_header_closes_the_connection)
{
	static const char *const said[] = { "GET / HTTP/1.1\r\n", "PROXY TCP4\r\n", "PROXY UNKNOWN\n", "\r\n\r\nx" };
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	int client = client_connect_port(server_port(server));
	char byte;

	lines_record(MUSTER_LOG_WARN);
	client_send_text(client, said[_i]);
	run_until(test_loop, has_refused, server);
	ck_assert_int_eq(muster_server_connections(server), 0);
	ck_assert_uint_eq(counts.connection, 0);
	ck_assert_uint_eq(lines_with("no valid header of the PROXY protocol"), 1);
	ck_assert_int_le(recv(client, &byte, 1, 0), 0);
	close(client);
}
END_TEST

START_TEST(a_header_that_is_cut_off_closes_the_connection)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 3600000 });
	int client = client_connect_port(server_port(server));

	client_send_text(client, "PROXY TCP4 ");
	if (_i == 0) {
		run_until(test_loop, has_counted, server);
		run_until_idle(test_loop);
	}
	if (_i < 2)
		shutdown(client, SHUT_WR);
	else
		client_reset(client);
	run_until(test_loop, has_refused, server);
	ck_assert_int_eq(muster_server_connections(server), 0);
	ck_assert_uint_eq(counts.connection, 0);
	if (_i < 2)
		close(client);
}
END_TEST

START_TEST(who_only_looks_whether_somebody_is_there_is_no_line_in_the_log)
{
	struct muster_server *server = serving((struct muster_server_options){ 0 });

	lines_record(MUSTER_LOG_DEBUG);
	close(client_connect_port(server_port(server)));
	run_until(test_loop, has_refused, server);
	ck_assert_uint_eq(lines_count(), 0);
}
END_TEST

START_TEST(a_header_has_to_come_in_time)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 50 });
	int client = client_connect_port(server_port(server));
	uint64_t begin = clock_ms();

	lines_record(MUSTER_LOG_WARN);
	if (_i == 1)
		client_send_text(client, "PROXY");
	run_until(test_loop, has_refused, server);
	ck_assert_uint_ge(clock_ms() - begin, 40);
	ck_assert_uint_eq(lines_with("no header of the PROXY protocol"), 1);
	ck_assert_uint_eq(counts.connection, 0);
	close(client);
}
END_TEST

/* The next byte of a header that takes minutes to come: its length is the largest. */
static void drip(evutil_socket_t client, short what, void *data)
{
	static const char beginning[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";
	size_t *at = data;

	(void)what;
	/* It may be closed already. */
	send(client, *at < sizeof beginning - 1 ? beginning + *at : "", 1, MSG_NOSIGNAL);
	++*at;
}

START_TEST(who_drips_a_header_gets_no_more_time)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 200 });
	int client = client_connect_port(server_port(server));
	struct timeval pace = { .tv_usec = 5000 };
	size_t at = 0;
	struct event *drops = event_new(muster_loop_base(test_loop), client, EV_TIMEOUT | EV_PERSIST, drip, &at);

	event_add(drops, &pace);
	run_until(test_loop, has_refused, server);
	ck_assert_uint_gt(at, 0);
	ck_assert_uint_eq(counts.connection, 0);
	event_free(drops);
	close(client);
}
END_TEST

/* ---- Limits, lists, ends. */

START_TEST(a_connection_counts_while_its_header_has_not_come)
{
	struct muster_server *server =
		serving((struct muster_server_options){ .max_connections = 1, .proxy_timeout_ms = 3600000 });
	int silent = client_connect_port(server_port(server)), other;

	run_until(test_loop, has_counted, server);
	other = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 1);
	client_expect_end(other);
	close(silent);
	run_until(test_loop, has_counted_nobody, server);
	close(other);
}
END_TEST

START_TEST(the_client_is_looked_for_on_the_block_list_and_not_the_proxy)
{
	struct muster_block_list *list = muster_block_list_new();
	struct muster_server *server = serving((struct muster_server_options){ .block_list = list });
	int blocked = client_connect_port(server_port(server)), welcome;

	muster_block_list_add_address(list, "192.0.2.1");
	muster_block_list_add_address(list, "127.0.0.1");
	muster_block_list_free(list);
	client_send_text(blocked, HEADER "hello");
	run_until(test_loop, has_blocked, server);
	ck_assert_int_eq(muster_server_connections(server), 0);
	ck_assert_uint_eq(muster_server_refused(server, MUSTER_REFUSAL_NO_HEADER), 0);
	welcome = client_connect_port(server_port(server));
	client_send_text(welcome, "PROXY TCP4 192.0.2.9 192.0.2.2 12345 443\r\n");
	run_until_count(test_loop, counts.connection, 1);
	close(blocked);
	close(welcome);
}
END_TEST

static bool has_crowd(void *server)
{
	return muster_server_refused(server, MUSTER_REFUSAL_PER_ADDRESS) == 1;
}

START_TEST(the_limits_of_an_address_are_those_of_the_client)
{
	struct muster_server *server = serving((struct muster_server_options){ .max_per_address = 1 });
	int clients[3], i;

	for (i = 0; i < 3; i++) {
		clients[i] = client_connect_port(server_port(server));
		client_send_text(clients[i], i == 1 ? "PROXY TCP4 192.0.2.9 192.0.2.2 1 443\r\n" : HEADER);
	}
	run_until(test_loop, has_crowd, server);
	run_until_count(test_loop, counts.connection, 2);
	close(clients[0]);
	run_until_count(test_loop, sockets.close, 1);
	close(clients[2]);
	clients[2] = client_connect_port(server_port(server));
	client_send_text(clients[2], HEADER);
	run_until_count(test_loop, counts.connection, 3);
	close(clients[1]);
	close(clients[2]);
}
END_TEST

START_TEST(only_proxies_that_are_trusted_may_connect)
{
	struct muster_block_list *trusted = muster_block_list_new();
	struct muster_server *server = serving((struct muster_server_options){ .proxy_trusted = trusted });
	int stranger = client_connect_port(server_port(server)), proxy;

	client_send_text(stranger, HEADER);
	run_until(test_loop, has_blocked, server);
	muster_block_list_add_cidr(trusted, "127.0.0.0/8");
	muster_block_list_free(trusted);
	proxy = client_connect_port(server_port(server));
	client_send_text(proxy, HEADER);
	run_until_count(test_loop, counts.connection, 1);
	close(stranger);
	close(proxy);
}
END_TEST

START_TEST(a_proxy_at_a_path_is_trusted)
{
	struct muster_block_list *trusted = muster_block_list_new();
	struct muster_server *server = new_server(
		test_loop, &(struct muster_server_options){ .proxy_protocol = true, .proxy_trusted = trusted },
		&counts);
	const char *path = folder_path("socket");
	int client;

	muster_block_list_free(trusted);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = path }), 0);
	run_until_count(test_loop, counts.listening, 1);
	client = client_connect_path(path);
	client_send_text(client, HEADER);
	run_until_count(test_loop, counts.connection, 1);
	expect_ends(counts.last, "192.0.2.1:12345", "192.0.2.2:443");
	close(client);
}
END_TEST

START_TEST(a_server_that_closes_waits_for_headers)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 3600000 });
	int client = client_connect_port(server_port(server));

	run_until(test_loop, has_counted, server);
	muster_server_close(server);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.close, 0);
	client_send_text(client, HEADER "hello");
	run_until_count(test_loop, sockets.data, 1);
	close(client);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

/* Nothing else keeps the loop running, as little as the server does. */
START_TEST(a_header_that_is_due_keeps_the_loop_running_until_it_is_late)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 50 });
	int client = client_connect_port(server_port(server));

	lines_record(MUSTER_LOG_WARN);
	run_until(test_loop, has_counted, server);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	client_expect_end(client);
	close(client);
}
END_TEST

/* Somebody comes, and is let in, while a handler stands in bytes that were read. */
static void on_data_let_in(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct muster_server *server = data;
	int client = client_connect_port(server_port(server));

	(void)socket;
	client_send_text(client, HEADER);
	muster__server_drain(server);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_uint_eq(length, 5);
	ck_assert_mem_eq(bytes, "hello", 5);
	close(client);
}

START_TEST(what_a_handler_is_reading_stays_while_a_header_is_read)
{
	static const struct muster_socket_handlers on = { .on_data = on_data_let_in };
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);

	muster_socket_on(socket, &on, server);
	client_send_text(peer, "hello");
	run_until_count(test_loop, counts.connection, 1);
	close(peer);
}
END_TEST

START_TEST(a_header_may_be_as_long_as_any)
{
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	static char header[MUSTER__PROXY_MAX + 5] = "\r\n\r\n\0\r\nQUIT\n\x20\0\xff\xff";
	int client = client_connect_port(server_port(server));

	memcpy(header + MUSTER__PROXY_MAX, "hello", 5);
	if (_i > 0) {
		client_send(client, header, (size_t)_i);
		run_until_idle(test_loop);
	}
	client_send(client, header + _i, sizeof header - (size_t)_i);
	shutdown(client, SHUT_WR);
	run_until_count(test_loop, sockets.end, 1);
	ck_assert_str_eq(sockets.bytes, "hello");
	close(client);
}
END_TEST

START_TEST(a_server_that_is_destroyed_waits_for_nobody)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 3600000 });
	int client = client_connect_port(server_port(server));

	run_until(test_loop, has_counted, server);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.connection, 0);
	client_expect_end(client);
	close(client);
}
END_TEST

START_TEST(a_loop_may_be_freed_while_headers_are_due)
{
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 3600000 });
	int client = client_connect_port(server_port(server));

	run_until(test_loop, has_counted, server);
	test_loop_close();
	ck_assert_uint_eq(counts.close, 1);
	client_expect_end(client);
	close(client);
	test_loop_open();
}
END_TEST

static void destroy_server(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	muster_server_destroy(server);
}

START_TEST(a_server_may_be_destroyed_by_whoever_comes)
{
	static const struct muster_server_handlers on = { .on_connection = destroy_server };
	struct muster_server *server = serving((struct muster_server_options){ .proxy_timeout_ms = 3600000 });
	int silent = client_connect_port(server_port(server)), client = client_connect_port(server_port(server));

	muster_server_on(server, &on, NULL);
	client_send_text(client, HEADER);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_uint_eq(counts.close, 1);
	client_expect_end(silent);
	close(silent);
	close(client);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/preface");
	TCase *tcase = add_loop_case(suite, "headers");

	tcase_add_loop_test(tcase, the_addresses_of_a_socket_are_those_of_the_header, 0, 2);
	tcase_add_loop_test(tcase, a_header_may_come_byte_by_byte, 0, 2);
	tcase_add_test(tcase, a_header_and_its_payload_may_be_cut_anywhere);
	tcase_add_loop_test(tcase, a_connection_that_speaks_for_itself_has_its_own_addresses, 0, 3);

	tcase = add_loop_case(suite, "none");
	tcase_add_loop_test(tcase, what_is_no_header_closes_the_connection, 0, 4);
	tcase_add_loop_test(tcase, a_header_that_is_cut_off_closes_the_connection, 0, 3);
	tcase_add_test(tcase, who_only_looks_whether_somebody_is_there_is_no_line_in_the_log);
	tcase_add_loop_test(tcase, a_header_has_to_come_in_time, 0, 2);
	tcase_add_test(tcase, who_drips_a_header_gets_no_more_time);

	tcase = add_loop_case(suite, "ends");
	tcase_add_test(tcase, a_connection_counts_while_its_header_has_not_come);
	tcase_add_test(tcase, the_client_is_looked_for_on_the_block_list_and_not_the_proxy);
	tcase_add_test(tcase, the_limits_of_an_address_are_those_of_the_client);
	tcase_add_test(tcase, only_proxies_that_are_trusted_may_connect);
	tcase_add_test(tcase, a_proxy_at_a_path_is_trusted);
	tcase_add_test(tcase, a_server_that_closes_waits_for_headers);
	tcase_add_test(tcase, a_header_that_is_due_keeps_the_loop_running_until_it_is_late);
	tcase_add_test(tcase, what_a_handler_is_reading_stays_while_a_header_is_read);
	tcase_add_loop_test(tcase, a_header_may_be_as_long_as_any, 0, 40);
	tcase_add_test(tcase, a_server_that_is_destroyed_waits_for_nobody);
	tcase_add_test(tcase, a_loop_may_be_freed_while_headers_are_due);
	tcase_add_test(tcase, a_server_may_be_destroyed_by_whoever_comes);
	return run_suite(suite);
}
