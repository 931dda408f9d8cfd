/* tests/src/test_connect_options.c - where a connection comes from, whom it asks for addresses, and which it tries. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/nameserver.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct socket_counts counts, sockets;
static struct server_counts servers;
static struct muster_server *server;
static struct muster_connect_options there;

/* Another loopback address, at the port of the server: nobody listens unless a test sees to it. */
#define ELSEWHERE "127.0.0.2"

/* ---- What is tried, as it is told. */

struct trials {
	unsigned begun, failed, late;
	char addresses[512]; /* "+127.0.0.1 -127.0.0.1 ?::1": begun, failed, took too long */
	int last_err;
	unsigned last_port;
	/* What the socket says of them inside on_error: afterwards it is gone. */
	size_t told;
	struct muster_error all[16];
};

static struct trials trials;

static void note_trial(char mark, const struct muster_address *address)
{
	size_t used = strlen(trials.addresses);

	snprintf(trials.addresses + used, sizeof trials.addresses - used, "%s%c%s", used > 0 ? " " : "", mark,
		 address->text);
	trials.last_port = address->port;
}

static void on_attempt(struct muster_socket *socket, const struct muster_address *address, void *data)
{
	(void)data;
	ck_assert(muster_socket_is_connecting(socket));
	trials.begun++;
	note_trial('+', address);
	order_add(counts.order, sizeof counts.order, "attempt");
}

static void on_attempt_failed(struct muster_socket *socket, const struct muster_address *address, int err, void *data)
{
	(void)socket, (void)data;
	trials.failed++;
	trials.last_err = err;
	note_trial('-', address);
	order_add(counts.order, sizeof counts.order, "failed");
}

static void on_attempt_timeout(struct muster_socket *socket, const struct muster_address *address, void *data)
{
	(void)socket, (void)data;
	trials.late++;
	note_trial('?', address);
	order_add(counts.order, sizeof counts.order, "late");
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	const struct muster_error *all;

	(void)error, (void)data;
	trials.told = muster_socket_attempts(socket, &all);
	ck_assert_uint_le(trials.told, sizeof trials.all / sizeof *trials.all);
	ck_assert((all == NULL) == (trials.told == 0));
	if (all != NULL)
		memcpy(trials.all, all, trials.told * sizeof *all);
}

static const struct muster_socket_handlers watching = {
	.on_error = on_error,
	.on_attempt = on_attempt,
	.on_attempt_failed = on_attempt_failed,
	.on_attempt_timeout = on_attempt_timeout,
};

static struct muster_socket *new_socket(void)
{
	struct muster_socket *socket = muster_socket_new(test_loop, NULL);

	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_on(socket, &counting_socket, &counts), 0);
	ck_assert_int_eq(muster_socket_on(socket, &watching, NULL), 0);
	return socket;
}

/* Nothing is told from inside the call. */
static struct muster_socket *connect_there(void)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_str_eq(counts.order, "");
	return socket;
}

static void serve(void)
{
	servers.sockets = &sockets;
	server = listening_server(test_loop, &servers);
	there = (struct muster_connect_options){ .host = "127.0.0.1", .port = server_port(server) };
}

/* The end, which must be one of failure. */
static void expect_failure(int code, const char *call)
{
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_close, 1);
	ck_assert_uint_eq(counts.connect, 0);
	ck_assert_str_eq(muster_error_name(counts.last_error.code), muster_error_name(code));
	ck_assert_str_eq(counts.last_error.call, call);
}

/* ---- From where. */

START_TEST(a_connection_comes_from_the_address_asked_for)
{
	struct muster_address local, remote;
	struct muster_socket *socket;

	there.local_address = "127.0.0.3";
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, servers.connection, 1);
	ck_assert_int_eq(muster_socket_local_address(socket, &local), 0);
	ck_assert_int_eq(muster_socket_remote_address(servers.last, &remote), 0);
	ck_assert_str_eq(local.text, "127.0.0.3");
	ck_assert_str_eq(remote.text, "127.0.0.3");
	ck_assert_uint_eq(local.port, remote.port);
	ck_assert_int_eq(local.family, 4);
}
END_TEST

START_TEST(a_connection_comes_from_the_port_asked_for)
{
	struct muster_address local;
	struct muster_socket *socket;

	there.local_port = client_free_port();
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_int_eq(muster_socket_local_address(socket, &local), 0);
	ck_assert_uint_eq(local.port, there.local_port);
	ck_assert_str_eq(local.text, "127.0.0.1");
}
END_TEST

START_TEST(address_and_port_may_be_asked_for_together)
{
	struct muster_address remote;

	there.local_address = "127.0.0.3";
	there.local_port = client_free_port();
	connect_there();
	run_until_count(test_loop, servers.connection, 1);
	ck_assert_int_eq(muster_socket_remote_address(servers.last, &remote), 0);
	ck_assert_str_eq(remote.text, "127.0.0.3");
	ck_assert_uint_eq(remote.port, there.local_port);
}
END_TEST

START_TEST(a_local_port_in_use_is_told_as_bind)
{
	int other = client_listen(1);

	there.local_address = "127.0.0.1";
	there.local_port = client_port_of(other);
	connect_there();
	expect_failure(-EADDRINUSE, "bind");
	ck_assert_str_eq(counts.order, "attempt failed error close");
	close(other);
}
END_TEST

START_TEST(a_local_port_alone_that_is_in_use_is_told_as_bind)
{
	int other = client_listen(1);

	there.local_port = client_port_of(other);
	connect_there();
	expect_failure(-EADDRINUSE, "bind");
	close(other);
}
END_TEST

START_TEST(an_address_of_another_machine_is_told_as_bind)
{
	there.local_address = "192.0.2.1";
	connect_there();
	expect_failure(-EADDRNOTAVAIL, "bind");
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

START_TEST(a_local_address_that_is_none_is_refused)
{
	struct muster_socket *socket = new_socket();

	there.local_address = "localhost";
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.local_address = "";
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.local_address = NULL;
	there.local_port = 65536;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert(!muster_socket_is_connecting(socket));
}
END_TEST

START_TEST(a_path_ignores_what_is_meant_for_tcp)
{
	static struct server_counts local;
	const char *path = folder_path("socket");

	listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &local);
	there.path = path;
	there.host = "none.test";
	there.local_address = "none";
	there.local_port = 70000;
	there.family = 5;
	there.hints = -1;
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	run_until_count(test_loop, local.connection, 1);
}
END_TEST

START_TEST(hints_and_families_that_are_none_are_refused)
{
	struct muster_socket *socket = new_socket();

	there.host = "localhost";
	there.hints = AI_PASSIVE;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.hints = AI_ADDRCONFIG | AI_NUMERICHOST;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.hints = 0;
	there.family = 5;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.family = -4;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EINVAL);
	there.family = 4;
	there.hints = AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL;
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.ready, 1);
}
END_TEST

/* ---- A lookup function of the user's. */

struct question {
	unsigned asked;
	char host[64];
	int family, hints;
	struct muster_lookup *reply;
};

static struct question question;

static struct muster_address answers[20];
static size_t answer_count;

static void answer_with(const char *address)
{
	struct muster_address *to = &answers[answer_count++];

	*to = (struct muster_address){ .family = muster_is_ip(address), .length = strlen(address) };
	snprintf(to->text, sizeof to->text, "%s", address);
}

static int look_up(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	struct question *asked = data;

	asked->asked++;
	snprintf(asked->host, sizeof asked->host, "%s", host);
	asked->family = family;
	asked->hints = hints;
	asked->reply = reply;
	return 0;
}

static int look_up_at_once(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	look_up(host, family, hints, reply, data);
	muster_lookup_answer(reply, 0, answers, answer_count);
	return 0;
}

static int look_up_in_vain(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	look_up(host, family, hints, reply, data);
	return -EPERM;
}

static void serve_and_ask(void)
{
	serve();
	there.host = "any.test";
	there.lookup = look_up_at_once;
	there.lookup_data = &question;
}

static char names[256];

static void keep_lookup(struct muster_socket *socket, int err, const struct muster_address *address, const char *host,
			void *data)
{
	size_t used = strlen(names);

	(void)socket, (void)data;
	snprintf(names + used, sizeof names - used, "%s%s=%s", used > 0 ? " " : "", host,
		 err < 0 ? muster_error_name(err) : address->text);
}

static const struct muster_socket_handlers naming = { .on_lookup = keep_lookup };

START_TEST(a_lookup_function_is_asked_instead_of_dns)
{
	there.hints = AI_ADDRCONFIG;
	there.family = 4;
	answer_with("127.0.0.1");
	muster_socket_on(connect_there(), &naming, NULL);
	ck_assert_uint_eq(question.asked, 1);
	ck_assert_str_eq(question.host, "any.test");
	ck_assert_int_eq(question.family, 4);
	ck_assert_int_eq(question.hints, AI_ADDRCONFIG);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "lookup attempt connect ready");
	ck_assert_str_eq(names, "any.test=127.0.0.1");
}
END_TEST

START_TEST(without_a_host_a_lookup_function_is_asked_for_localhost)
{
	there.host = NULL;
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(question.host, "localhost");
	ck_assert_int_eq(question.family, 0);
}
END_TEST

START_TEST(a_lookup_function_may_answer_later)
{
	struct muster_socket *socket;

	there.lookup = look_up;
	socket = connect_there();
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	ck_assert(muster_socket_is_connecting(socket));
	ck_assert(muster_socket_is_pending(socket));
	answer_with("127.0.0.1");
	muster_lookup_answer(question.reply, 0, answers, answer_count);
	ck_assert_str_eq(counts.order, "");
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "lookup attempt connect ready");
}
END_TEST

START_TEST(a_lookup_function_is_not_asked_for_a_literal_or_a_path)
{
	struct muster_connect_options nowhere = there;

	there.host = "127.0.0.1";
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	nowhere.port = 0;
	nowhere.path = "@muster-none";
	ck_assert_ptr_nonnull(muster_connect(test_loop, &nowhere, &counting_socket, &counts));
	run_until_count(test_loop, counts.close, 1);
	ck_assert_uint_eq(question.asked, 0);
	ck_assert_uint_eq(counts.lookup, 0);
}
END_TEST

START_TEST(a_lookup_function_may_answer_after_the_socket_has_gone)
{
	struct muster_socket *socket;

	there.lookup = look_up;
	socket = connect_there();
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.close, 1);
	answer_with("127.0.0.1");
	muster_lookup_answer(question.reply, 0, answers, answer_count);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

START_TEST(an_answer_under_way_to_a_destroyed_socket_is_lost)
{
	struct muster_socket *socket;

	answer_with("127.0.0.1");
	socket = connect_there();
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

/* Two questions of one socket, of which the first is answered last, to nobody. */
START_TEST(each_question_has_an_answer_of_its_own)
{
	struct muster_lookup *first;
	struct muster_socket *socket;

	there.lookup = look_up;
	socket = connect_there();
	first = question.reply;
	muster_socket_destroy(socket, 0);
	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_uint_eq(question.asked, 2);
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	muster_lookup_answer(question.reply, 0, &answers[1], 1);
	muster_lookup_answer(first, 0, &answers[0], 1);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(trials.addresses, "+127.0.0.1");
	ck_assert_uint_eq(counts.close, 0);
}
END_TEST

static void destroy_on_lookup(struct muster_socket *socket, int err, const struct muster_address *address,
			      const char *host, void *data)
{
	(void)err, (void)address, (void)host, (void)data;
	muster_socket_destroy(socket, 0);
}

START_TEST(destroy_while_answers_are_told_tries_none)
{
	static const struct muster_socket_handlers handlers = { .on_lookup = destroy_on_lookup };

	answer_with("127.0.0.1");
	answer_with(ELSEWHERE);
	muster_socket_on(connect_there(), &handlers, NULL);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "lookup close");
	ck_assert_uint_eq(counts.lookup, 1);
}
END_TEST

START_TEST(an_error_of_the_lookup_function_is_told)
{
	struct muster_socket *socket;

	there.lookup = look_up;
	socket = connect_there();
	muster_socket_on(socket, &naming, NULL);
	muster_lookup_answer(question.reply, MUSTER_EAIAGAIN, NULL, 0);
	expect_failure(MUSTER_EAIAGAIN, "getaddrinfo");
	ck_assert_str_eq(counts.order, "lookup error close");
	ck_assert_str_eq(counts.last_error.address.text, "any.test");
	ck_assert_str_eq(names, "any.test=EAI_AGAIN");
}
END_TEST

START_TEST(an_answer_without_addresses_is_not_found)
{
	connect_there();
	expect_failure(MUSTER_ENOTFOUND, "getaddrinfo");
	ck_assert_str_eq(counts.order, "lookup error close");
}
END_TEST

static const char *const junk[] = { "", "localhost", "127.0.0.1:80", "1.2.3", "::1::", "127.0.0.1 " };

START_TEST(an_answer_that_is_no_address_is_an_error)
{
	answer_with("127.0.0.1");
	answer_with(junk[_i]);
	connect_there();
	expect_failure(MUSTER_EADDRESS, "getaddrinfo");
	ck_assert_uint_eq(trials.begun, 0);
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

START_TEST(a_lookup_function_that_refuses_starts_nothing)
{
	struct muster_socket *socket = new_socket();

	there.lookup = look_up_in_vain;
	ck_assert_int_eq(muster_socket_connect(socket, &there), -EPERM);
	ck_assert(!muster_socket_is_connecting(socket));
	ck_assert_ptr_null(muster_connect(test_loop, &there, &counting_socket, &counts));
	ck_assert_int_eq(muster_last_error(), -EPERM);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
	there.lookup = look_up_at_once;
	answer_with("127.0.0.1");
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.ready, 1);
}
END_TEST

START_TEST(ports_of_answers_do_not_matter)
{
	answer_with("127.0.0.1");
	answers[0].port = 1;
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_eq(trials.last_port, there.port);
}
END_TEST

START_TEST(more_answers_than_anyone_tries_are_cut)
{
	char text[32];
	unsigned i;

	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "127.0.1.%u", i + 1);
		answer_with(text);
	}
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_uint_eq(trials.told, 16);
	ck_assert_uint_eq(counts.lookup, 16);
}
END_TEST

/* The function answers from inside a loop that is about to end, and long after it. */
START_TEST(a_question_may_outlive_the_loop)
{
	struct muster_loop *loop = muster_loop_new();
	struct muster_lookup *late;

	there.lookup = look_up;
	ck_assert_ptr_nonnull(muster_connect(loop, &there, &counting_socket, &counts));
	late = question.reply;
	there.lookup = look_up_at_once;
	answer_with("127.0.0.1");
	ck_assert_ptr_nonnull(muster_connect(loop, &there, &counting_socket, &counts));
	muster_loop_free(loop);
	ck_assert_uint_eq(counts.close, 2);
	muster_lookup_answer(late, 0, answers, answer_count);
}
END_TEST

/* ---- One address after the other. */

START_TEST(a_single_address_is_one_attempt)
{
	const struct muster_error *attempts = &counts.last_error;
	struct muster_socket *socket;

	there.lookup = NULL;
	there.host = "127.0.0.1";
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "attempt connect ready");
	ck_assert_str_eq(trials.addresses, "+127.0.0.1");
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 0);
	ck_assert_ptr_null(attempts);
}
END_TEST

START_TEST(a_single_address_that_refuses_is_no_list)
{
	there.port = client_free_port();
	answer_with("127.0.0.1");
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_uint_eq(trials.told, 0);
	ck_assert_str_eq(counts.order, "lookup attempt failed error close");
	ck_assert_int_eq(trials.last_err, -ECONNREFUSED);
}
END_TEST

START_TEST(a_path_is_an_attempt_too)
{
	static struct server_counts local;
	const char *path = folder_path("socket");

	listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &local);
	there = (struct muster_connect_options){ .path = path };
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "attempt connect ready");
	ck_assert_ptr_nonnull(strstr(trials.addresses, path));
}
END_TEST

START_TEST(what_refuses_is_told_before_the_next_is_tried)
{
	const struct muster_error *attempts;
	struct muster_socket *socket;

	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "lookup attempt failed attempt connect ready");
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 -127.0.0.2 +127.0.0.1");
	ck_assert_int_eq(trials.last_err, -ECONNREFUSED);
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 2);
	ck_assert_int_eq(attempts[0].code, -ECONNREFUSED);
	ck_assert_str_eq(attempts[0].address.text, ELSEWHERE);
	ck_assert_uint_eq(attempts[0].address.port, there.port);
	ck_assert_str_eq(attempts[0].call, "connect");
	ck_assert_int_eq(attempts[1].code, 0);
	ck_assert_str_eq(attempts[1].address.text, "127.0.0.1");
}
END_TEST

START_TEST(when_all_fail_the_error_is_that_of_the_first)
{
	there.port = client_free_port();
	answer_with("127.0.0.3");
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_uint_eq(trials.told, 3);
	ck_assert_int_eq(trials.all[2].code, -ECONNREFUSED);
	ck_assert_str_eq(trials.all[2].address.text, "127.0.0.1");
	ck_assert_str_eq(counts.last_error.address.text, "127.0.0.3");
	ck_assert_uint_eq(trials.failed, 3);
	ck_assert_uint_eq(counts.lookup, 3);
}
END_TEST

/* Attempts at IPv6 may fail here: what is tried is what matters. */
START_TEST(families_take_turns)
{
	there.port = client_free_port();
	answer_with("127.0.0.1");
	answer_with("127.0.0.2");
	answer_with("127.0.0.3");
	answer_with("::1");
	answer_with("::ffff:127.0.0.4");
	connect_there();
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(trials.addresses, "+127.0.0.1 -127.0.0.1 +::1 -::1 +127.0.0.2 -127.0.0.2 +::ffff:127.0.0.4 "
					   "-::ffff:127.0.0.4 +127.0.0.3 -127.0.0.3");
}
END_TEST

START_TEST(the_family_of_the_first_answer_begins)
{
	answer_with("::1");
	answer_with("::ffff:127.0.0.4");
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(trials.addresses, "+::1 -::1 +127.0.0.1");
}
END_TEST

START_TEST(without_auto_select_the_first_address_is_the_only_one)
{
	there.no_auto_select = true;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_uint_eq(trials.told, 0);
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 -127.0.0.2");
}
END_TEST

/* What is asked for goes before what the loop has as its default. */
/* Node asks for one address then, or for all. */
START_TEST(only_the_addresses_that_may_be_tried_are_told)
{
	there.no_auto_select = _i == 0;
	there.family = _i == 1 ? 4 : 0;
	answer_with("127.0.0.1");
	answer_with(ELSEWHERE);
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_eq(counts.lookup, _i == 2 ? 2 : 1);
}
END_TEST

START_TEST(the_loop_may_have_another_default)
{
	ck_assert(muster_loop_auto_select(test_loop));
	muster_loop_set_auto_select(test_loop, false);
	ck_assert(!muster_loop_auto_select(test_loop));
	there.auto_select = _i == 1;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	if (_i == 1) {
		run_until_count(test_loop, counts.ready, 1);
		ck_assert_str_eq(trials.addresses, "+127.0.0.2 -127.0.0.2 +127.0.0.1");
		return;
	}
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 -127.0.0.2");
}
END_TEST

START_TEST(who_wants_both_gets_the_first_address_alone)
{
	there.auto_select = there.no_auto_select = true;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
}
END_TEST

START_TEST(a_family_or_a_local_address_selects_already)
{
	if (_i == 0)
		there.family = 4;
	else
		there.local_address = "127.0.0.1";
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 -127.0.0.2");
}
END_TEST

static void destroy_on_attempt(struct muster_socket *socket, const struct muster_address *address, void *data)
{
	(void)address, (void)data;
	muster_socket_destroy(socket, 0);
}

static void destroy_on_failure(struct muster_socket *socket, const struct muster_address *address, int err, void *data)
{
	(void)address, (void)err, (void)data;
	muster_socket_destroy(socket, 0);
}

static const struct muster_socket_handlers attempt_destroyers[] = {
	{ .on_attempt = destroy_on_attempt },
	{ .on_attempt_failed = destroy_on_failure },
};

START_TEST(destroy_inside_an_attempt_tries_no_other)
{
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	muster_socket_on(connect_there(), &attempt_destroyers[_i], NULL);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, _i == 0 ? "lookup attempt close" : "lookup attempt failed close");
	ck_assert_uint_eq(trials.begun, 1);
	ck_assert_uint_eq(counts.bad_close, 0);
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

static void start_over(struct muster_socket *socket, const struct muster_address *address, void *data)
{
	struct muster_connect_options straight = { .host = "127.0.0.1", .port = there.port };
	bool *done = data;

	(void)address;
	if (*done)
		return;
	*done = true;
	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_connect(socket, &straight), 0);
}

START_TEST(a_socket_may_start_over_inside_on_attempt)
{
	static const struct muster_socket_handlers handlers = { .on_attempt = start_over };
	static bool done;

	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	muster_socket_on(connect_there(), &handlers, &done);
	run_until_count(test_loop, counts.ready, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 +127.0.0.1");
	ck_assert_uint_eq(counts.connect, 1);
	ck_assert_uint_eq(counts.error + counts.close, 0);
}
END_TEST

static void reconnect(struct muster_socket *socket, bool had_error, void *data)
{
	unsigned *times = data;

	ck_assert(had_error);
	if ((*times)-- > 0)
		ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
}

START_TEST(after_all_have_failed_on_close_may_try_again)
{
	static const struct muster_socket_handlers handlers = { .on_close = reconnect };
	static unsigned times = 2;

	there.port = client_free_port();
	answer_with("127.0.0.1");
	answer_with(ELSEWHERE);
	muster_socket_on(connect_there(), &handlers, &times);
	run_until_count(test_loop, counts.close, 3);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.error, 3);
	ck_assert_uint_eq(trials.begun, 6);
	ck_assert_uint_eq(question.asked, 3);
}
END_TEST

START_TEST(a_new_connection_forgets_the_attempts_of_the_last)
{
	const struct muster_error *attempts;
	struct muster_socket *socket;

	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 2);
	muster_socket_destroy(socket, 0);
	there.host = "127.0.0.1";
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 0);
	run_until_count(test_loop, counts.ready, 2);
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 0);
}
END_TEST

static const struct nameserver_record records[] = {
	{ "both.test", "127.0.0.1" },
	{ "both.test", "::1" },
	{ 0 },
};

START_TEST(a_family_restricts_what_a_name_may_be)
{
	nameserver_start(test_loop, records);
	there.lookup = NULL;
	there.host = "both.test";
	there.family = _i == 0 ? 4 : 6;
	muster_socket_on(connect_there(), &naming, NULL);
	run_until_count(test_loop, counts.lookup, 1);
	nameserver_stop();
	run_until_count(test_loop, trials.begun, 1);
	ck_assert_str_eq(names, _i == 0 ? "both.test=127.0.0.1" : "both.test=::1");
}
END_TEST

/* ---- Addresses that never answer: listeners whose queue is full. */

struct hole {
	int listener, queued[4];
};

static struct hole holes[2];
static unsigned hole_count;

static int bound_tcp(const char *address, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (strcmp(address, ELSEWHERE) == 0 ? 1 : 2));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	return fd;
}

static void dig_hole(const char *address, unsigned port)
{
	struct hole *hole = &holes[hole_count++];
	struct sockaddr_in in;
	socklen_t length = sizeof in;
	size_t i;

	hole->listener = bound_tcp(address, port);
	ck_assert_int_eq(listen(hole->listener, 0), 0);
	ck_assert_int_eq(getsockname(hole->listener, (struct sockaddr *)&in, &length), 0);
	for (i = 0; i < sizeof hole->queued / sizeof *hole->queued; i++) {
		hole->queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		ck_assert(connect(hole->queued[i], (struct sockaddr *)&in, length) == 0 || errno == EINPROGRESS);
	}
}

static void fill_holes(void)
{
	size_t i;

	while (hole_count > 0) {
		struct hole *hole = &holes[--hole_count];

		for (i = 0; i < sizeof hole->queued / sizeof *hole->queued; i++)
			close(hole->queued[i]);
		close(hole->listener);
	}
}

static void serve_ask_and_dig(void)
{
	serve_and_ask();
	dig_hole(ELSEWHERE, there.port);
}

START_TEST(an_address_that_does_not_answer_is_left_for_the_next)
{
	const struct muster_error *attempts;
	struct muster_socket *socket;
	uint64_t begun = clock_ms();

	there.attempt_timeout_ms = 30;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	socket = connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_ge(clock_ms() - begun, 29);
	ck_assert_str_eq(counts.order, "lookup attempt late attempt connect ready");
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 ?127.0.0.2 +127.0.0.1");
	ck_assert_uint_eq(trials.failed, 0);
	ck_assert_uint_eq(muster_socket_attempts(socket, &attempts), 2);
	ck_assert_int_eq(attempts[0].code, -ETIMEDOUT);
}
END_TEST

START_TEST(an_attempt_has_250_ms_unless_said_otherwise)
{
	uint64_t begun = clock_ms();

	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_ge(clock_ms() - begun, 249);
}
END_TEST

START_TEST(an_attempt_has_as_long_as_the_loop_says)
{
	uint64_t begun = clock_ms();

	ck_assert_uint_eq(muster_loop_attempt_timeout(test_loop), 250);
	muster_loop_set_attempt_timeout(test_loop, 1);
	ck_assert_uint_eq(muster_loop_attempt_timeout(test_loop), 10);
	muster_loop_set_attempt_timeout(test_loop, 0);
	ck_assert_uint_eq(muster_loop_attempt_timeout(test_loop), 250);
	muster_loop_set_attempt_timeout(test_loop, 400);
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	/* Longer than by default; the clock of the loop is some milliseconds behind. */
	ck_assert_uint_ge(clock_ms() - begun, 350);
}
END_TEST

START_TEST(an_attempt_of_its_own_length_does_not_ask_the_loop)
{
	muster_loop_set_attempt_timeout(test_loop, 3600000);
	there.attempt_timeout_ms = 20;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(trials.addresses, "+127.0.0.2 ?127.0.0.2 +127.0.0.1");
}
END_TEST

START_TEST(an_attempt_has_10_ms_at_least)
{
	uint64_t begun = clock_ms();

	there.attempt_timeout_ms = 1;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	connect_there();
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_ge(clock_ms() - begun, 9);
}
END_TEST

START_TEST(the_last_address_is_waited_for)
{
	struct muster_socket *socket;

	there.attempt_timeout_ms = 10;
	there.timeout_ms = 60;
	answer_with(ELSEWHERE);
	socket = connect_there();
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert(muster_socket_is_connecting(socket));
	ck_assert_str_eq(counts.order, "lookup attempt timeout");
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, counts.close, 1);
}
END_TEST

START_TEST(when_the_first_took_too_long_that_is_the_error)
{
	dig_hole("127.0.0.3", there.port);
	there.attempt_timeout_ms = 10;
	answer_with("127.0.0.3");
	answer_with("127.0.0.9");
	connect_there();
	expect_failure(-ETIMEDOUT, "connect");
	ck_assert_str_eq(counts.order, "lookup attempt late attempt failed error close");
	ck_assert_str_eq(counts.last_error.address.text, "127.0.0.3");
}
END_TEST

static void destroy_on_late(struct muster_socket *socket, const struct muster_address *address, void *data)
{
	(void)address, (void)data;
	muster_socket_destroy(socket, -ECANCELED);
}

START_TEST(destroy_inside_on_attempt_timeout_tries_no_other)
{
	static const struct muster_socket_handlers handlers = { .on_attempt_timeout = destroy_on_late };

	there.attempt_timeout_ms = 10;
	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	muster_socket_on(connect_there(), &handlers, NULL);
	run_until_count(test_loop, counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "lookup attempt late error close");
	ck_assert_int_eq(counts.last_error.code, -ECANCELED);
	ck_assert_uint_eq(servers.connection, 0);
}
END_TEST

START_TEST(the_loop_may_end_during_an_attempt)
{
	struct muster_loop *loop = muster_loop_new();

	answer_with(ELSEWHERE);
	answer_with("127.0.0.1");
	ck_assert_ptr_nonnull(muster_connect(loop, &there, &counting_socket, &counts));
	run_until_count(loop, counts.lookup, 2);
	run_until_idle(loop);
	muster_loop_free(loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

/* ---- UNIX listeners, which do not let anyone wait. */

static int listener, queued;

static int local_socket(struct sockaddr_un *un)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof un->sun_path, "%s", folder_path("full"));
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void fill_local(void)
{
	struct sockaddr_un un;

	listener = local_socket(&un);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	queued = local_socket(&un);
	ck_assert_int_eq(connect(queued, (struct sockaddr *)&un, sizeof un), 0);
	there = (struct muster_connect_options){ .path = folder_path("full") };
}

static void empty_local(void)
{
	close(queued);
	if (listener >= 0)
		close(listener);
}

START_TEST(a_full_queue_at_a_path_is_tried_until_it_has_room)
{
	struct muster_socket *socket = connect_there();
	int accepted;

	run_until_count(test_loop, trials.begun, 1);
	run_until_idle(test_loop);
	ck_assert(muster_socket_is_connecting(socket));
	ck_assert_str_eq(counts.order, "attempt");
	accepted = accept(listener, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "attempt connect ready");
	ck_assert_uint_eq(trials.begun, 1);
	close(accepted);
}
END_TEST

START_TEST(a_full_queue_that_goes_away_is_told)
{
	connect_there();
	run_until_count(test_loop, trials.begun, 1);
	run_until_idle(test_loop);
	close(listener);
	listener = -1;
	expect_failure(-ECONNREFUSED, "connect");
	ck_assert_str_eq(counts.order, "attempt failed error close");
}
END_TEST

START_TEST(destroy_while_a_queue_is_full_knocks_no_more)
{
	struct muster_socket *socket = connect_there();

	run_until_count(test_loop, trials.begun, 1);
	run_until_idle(test_loop);
	muster_socket_destroy(socket, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "attempt close");
}
END_TEST

static void add_local_tests(Suite *suite)
{
	TCase *local = add_loop_case(suite, "full queues");

	tcase_add_checked_fixture(local, fill_local, empty_local);
	tcase_add_test(local, a_full_queue_at_a_path_is_tried_until_it_has_room);
	tcase_add_test(local, a_full_queue_that_goes_away_is_told);
	tcase_add_test(local, destroy_while_a_queue_is_full_knocks_no_more);
}

static void add_from_tests(Suite *suite)
{
	TCase *from = add_loop_case(suite, "from where");

	tcase_add_checked_fixture(from, serve, NULL);
	tcase_add_test(from, a_connection_comes_from_the_address_asked_for);
	tcase_add_test(from, a_connection_comes_from_the_port_asked_for);
	tcase_add_test(from, address_and_port_may_be_asked_for_together);
	tcase_add_test(from, a_local_port_in_use_is_told_as_bind);
	tcase_add_test(from, a_local_port_alone_that_is_in_use_is_told_as_bind);
	tcase_add_test(from, an_address_of_another_machine_is_told_as_bind);
	tcase_add_test(from, a_local_address_that_is_none_is_refused);
	tcase_add_test(from, a_path_ignores_what_is_meant_for_tcp);
	tcase_add_test(from, hints_and_families_that_are_none_are_refused);
}

static void add_lookup_tests(Suite *suite)
{
	TCase *lookup = add_loop_case(suite, "lookup");

	tcase_add_checked_fixture(lookup, serve_and_ask, NULL);
	tcase_add_test(lookup, a_lookup_function_is_asked_instead_of_dns);
	tcase_add_test(lookup, without_a_host_a_lookup_function_is_asked_for_localhost);
	tcase_add_test(lookup, a_lookup_function_may_answer_later);
	tcase_add_test(lookup, a_lookup_function_is_not_asked_for_a_literal_or_a_path);
	tcase_add_test(lookup, a_lookup_function_may_answer_after_the_socket_has_gone);
	tcase_add_test(lookup, an_answer_under_way_to_a_destroyed_socket_is_lost);
	tcase_add_test(lookup, each_question_has_an_answer_of_its_own);
	tcase_add_test(lookup, destroy_while_answers_are_told_tries_none);
	tcase_add_test(lookup, an_error_of_the_lookup_function_is_told);
	tcase_add_test(lookup, an_answer_without_addresses_is_not_found);
	tcase_add_loop_test(lookup, an_answer_that_is_no_address_is_an_error, 0, sizeof junk / sizeof *junk);
	tcase_add_test(lookup, a_lookup_function_that_refuses_starts_nothing);
	tcase_add_test(lookup, ports_of_answers_do_not_matter);
	tcase_add_test(lookup, more_answers_than_anyone_tries_are_cut);
	tcase_add_test(lookup, a_question_may_outlive_the_loop);
}

static void add_attempt_tests(Suite *suite)
{
	TCase *attempts = add_loop_case(suite, "attempts");

	tcase_add_checked_fixture(attempts, serve_and_ask, NULL);
	tcase_add_test(attempts, a_single_address_is_one_attempt);
	tcase_add_test(attempts, a_single_address_that_refuses_is_no_list);
	tcase_add_test(attempts, a_path_is_an_attempt_too);
	tcase_add_test(attempts, what_refuses_is_told_before_the_next_is_tried);
	tcase_add_test(attempts, when_all_fail_the_error_is_that_of_the_first);
	tcase_add_test(attempts, families_take_turns);
	tcase_add_test(attempts, the_family_of_the_first_answer_begins);
	tcase_add_test(attempts, without_auto_select_the_first_address_is_the_only_one);
	tcase_add_loop_test(attempts, only_the_addresses_that_may_be_tried_are_told, 0, 3);
	tcase_add_loop_test(attempts, the_loop_may_have_another_default, 0, 2);
	tcase_add_test(attempts, who_wants_both_gets_the_first_address_alone);
	tcase_add_loop_test(attempts, a_family_or_a_local_address_selects_already, 0, 2);
	tcase_add_loop_test(attempts, destroy_inside_an_attempt_tries_no_other, 0, 2);
	tcase_add_test(attempts, a_socket_may_start_over_inside_on_attempt);
	tcase_add_test(attempts, after_all_have_failed_on_close_may_try_again);
	tcase_add_test(attempts, a_new_connection_forgets_the_attempts_of_the_last);
	tcase_add_loop_test(attempts, a_family_restricts_what_a_name_may_be, 0, 2);
}

static void add_silent_tests(Suite *suite)
{
	TCase *silent = add_loop_case(suite, "silent addresses");

	tcase_add_checked_fixture(silent, serve_ask_and_dig, fill_holes);
	tcase_add_test(silent, an_address_that_does_not_answer_is_left_for_the_next);
	tcase_add_test(silent, an_attempt_has_250_ms_unless_said_otherwise);
	tcase_add_test(silent, an_attempt_has_as_long_as_the_loop_says);
	tcase_add_test(silent, an_attempt_of_its_own_length_does_not_ask_the_loop);
	tcase_add_test(silent, an_attempt_has_10_ms_at_least);
	tcase_add_test(silent, the_last_address_is_waited_for);
	tcase_add_test(silent, when_the_first_took_too_long_that_is_the_error);
	tcase_add_test(silent, destroy_inside_on_attempt_timeout_tries_no_other);
	tcase_add_test(silent, the_loop_may_end_during_an_attempt);
}

int main(void)
{
	Suite *suite = suite_create("src/connect_options");

	add_from_tests(suite);
	add_lookup_tests(suite);
	add_attempt_tests(suite);
	add_silent_tests(suite);
	add_local_tests(suite);
	return run_suite(suite);
}
