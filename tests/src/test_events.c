/* tests/src/test_events.c - what comes before what, and what is true meanwhile: the order that Node's events have. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <event2/event.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct socket_counts counts;
static struct server_counts servers;
static char order[256];

static void add(const char *word)
{
	order_add(order, sizeof order, word);
}

/* ---- Of a socket. */

static void on_written(struct muster_socket *socket, int err, void *data)
{
	(void)socket, (void)err;
	add(data);
}

static void on_drain(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	add("drain");
}

START_TEST(on_drain_comes_before_the_completions_of_its_writes)
{
	static const struct muster_socket_handlers handlers = { .on_drain = on_drain };
	static char bytes[65536];
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &counts);

	muster_socket_on(socket, &handlers, NULL);
	fill_output(socket, 300000);
	ck_assert(muster_socket_needs_drain(socket));
	ck_assert_int_eq(muster_socket_write_then(socket, "last", 4, on_written, "written"), 0);
	while (counts.drain == 0) {
		while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
			;
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	run_until_idle(test_loop);
	ck_assert_str_eq(order, "drain written");
	close(peer);
}
END_TEST

START_TEST(what_waits_for_the_connection_counts_as_written)
{
	struct muster_server *server = listening_server(test_loop, &servers);
	struct muster_connect_options there = { .host = "127.0.0.1", .port = server_port(server) };
	struct muster_socket *socket = muster_connect(test_loop, &there, &counting_socket, &counts);

	ck_assert_int_eq(muster_socket_write(socket, "1234567", 7), 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 7);
	ck_assert_uint_eq(muster_socket_buffered(socket), 7);
	muster_socket_destroy(socket, 0);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
}
END_TEST

START_TEST(a_path_one_may_not_write_to_cannot_be_connected_to)
{
	const char *path = folder_path("socket");
	struct muster_connect_options there = { .path = path };

	listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &servers);
	ck_assert_int_eq(chmod(path, 0555), 0);
	/* Nothing is forbidden to root. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	muster_connect(test_loop, &there, &counting_socket, &counts);
	run_until_count(test_loop, counts.close, 1);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -EACCES);
	ck_assert_str_eq(counts.last_error.call, "connect");
	ck_assert_str_eq(counts.last_error.address.text, path);
}
END_TEST

/* ---- Of a server. */

static void check_count(struct muster_server *server, struct muster_socket *socket, void *data)
{
	struct muster_address address;

	(void)data;
	ck_assert_int_eq(muster_server_connections(server), (int)servers.connection);
	ck_assert_ptr_eq(muster_socket_server(socket), server);
	ck_assert_int_eq(muster_socket_remote_address(socket, &address), 0);
	ck_assert(muster_server_is_listening(server));
	add("checked");
}

START_TEST(a_connection_is_counted_before_it_is_told)
{
	static const struct muster_server_handlers handlers = { .on_connection = check_count };
	struct muster_server *server = listening_server(test_loop, &servers);
	int clients[] = { client_connect_port(server_port(server)), client_connect_port(server_port(server)) };

	muster_server_on(server, &handlers, NULL);
	run_until_count(test_loop, servers.connection, 2);
	ck_assert_str_eq(order, "checked");
	close(clients[0]);
	close(clients[1]);
}
END_TEST

START_TEST(listening_twice_during_the_lookup_is_refused_and_told_once)
{
	struct muster_listen_options here = { .host = "localhost" };
	struct muster_server *server = new_server(test_loop, NULL, &servers);

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	ck_assert_int_eq(muster_server_listen(server, &here), MUSTER_EALREADYLISTENING);
	run_until_count(test_loop, servers.listening, 1);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_dry(test_loop);
	ck_assert_str_eq(servers.order, "listening close");
	ck_assert_uint_eq(servers.listening, 1);
}
END_TEST

/* 1 is the loopback's number on every Linux. */
START_TEST(an_address_may_have_a_zone_on_both_ends)
{
	struct muster_server *server =
		listening_server_at(test_loop, &(struct muster_listen_options){ .host = "::1%lo" }, &servers);
	struct muster_connect_options there = { .host = "::1%1", .port = server_port(server) };

	muster_connect(test_loop, &there, &counting_socket, &counts);
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, servers.connection, 1);
}
END_TEST

START_TEST(an_abstract_name_is_nobodys_to_open_up)
{
	struct muster_server *server = new_server(test_loop, NULL, &servers);
	struct muster_listen_options name = { .path = "@muster-events",
					      .readable_all = _i == 0,
					      .writable_all = _i == 1 };

	ck_assert_int_eq(muster_server_listen(server, &name), -EINVAL);
	run_until_idle(test_loop);
	ck_assert_str_eq(servers.order, "");
}
END_TEST

/* ---- Idle time begins anew on the way to a connection. */

static struct muster_lookup *asked;

static int look_up(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	(void)host, (void)family, (void)hints, (void)data;
	asked = reply;
	return 0;
}

static void wait_for(unsigned ms)
{
	struct timeval delay = { .tv_usec = (suseconds_t)ms * 1000 };

	event_base_loopexit(muster_loop_base(test_loop), &delay);
	event_base_dispatch(muster_loop_base(test_loop));
}

static void answer(const char *text)
{
	struct muster_address address;

	ck_assert_int_eq(muster_address_parse(&address, text), 0);
	muster_lookup_answer(asked, 0, &address, 1);
}

START_TEST(the_answer_of_a_lookup_and_the_connection_put_the_time_out_off)
{
	struct muster_server *server = listening_server(test_loop, &servers);
	struct muster_connect_options there = {
		.host = "name.test", .port = server_port(server), .timeout_ms = 400, .lookup = look_up
	};
	uint64_t answered;

	muster_connect(test_loop, &there, &counting_socket, &counts);
	wait_for(200);
	answered = clock_ms();
	answer("127.0.0.1");
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, counts.timeout, 1);
	/* Not 400 ms after the beginning; the clock of the loop is some milliseconds behind. */
	ck_assert_uint_ge(clock_ms() - answered, 350);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/events");
	TCase *socket = add_loop_case(suite, "socket");
	TCase *server = add_loop_case(suite, "server");

	tcase_add_test(socket, on_drain_comes_before_the_completions_of_its_writes);
	tcase_add_test(socket, what_waits_for_the_connection_counts_as_written);
	tcase_add_test(socket, the_answer_of_a_lookup_and_the_connection_put_the_time_out_off);
	tcase_add_test(socket, a_path_one_may_not_write_to_cannot_be_connected_to);
	tcase_add_test(server, a_connection_is_counted_before_it_is_told);
	tcase_add_test(server, listening_twice_during_the_lookup_is_refused_and_told_once);
	if (client_has_ipv6())
		tcase_add_test(server, an_address_may_have_a_zone_on_both_ends);
	tcase_add_loop_test(server, an_abstract_name_is_nobodys_to_open_up, 0, 2);
	return run_suite(suite);
}
