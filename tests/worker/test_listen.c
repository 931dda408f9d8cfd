/* tests/worker/test_listen.c - a worker whose primary is this test: it speaks Node's wire by hand. */
#include "ipc/child.h"
#include "ipc/fdpass.h"
#include "ipc/plan.h"
#include "worker/worker.h"

#include "tests/support/client.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "127.0.0.1:0:4:undefined:0"
#define ONLINE "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}"
#define QUERY(address, port, seq)                                                                                      \
	"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":" address             \
	",\"port\":" port ",\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":" seq "}"
#define REPLY                                                                                                          \
	"{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"" KEY "\",\"ack\":1,\"data\":null,\"sockname\":"           \
	"{\"address\":\"127.0.0.1\",\"family\":\"IPv4\",\"port\":35443},\"seq\":0}\n"
#define SHARED_REPLY                                                                                                   \
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"errno\":0,"              \
	"\"key\":\"" KEY "\",\"ack\":1,\"data\":null,\"seq\":0}}\n"
#define LISTENING(port, seq)                                                                                           \
	"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","         \
	"\"port\":" port ",\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":" seq "}"
#define NEWCONN(key, seq)                                                                                              \
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\","      \
	"\"key\":\"" key "\",\"seq\":" seq "}}\n"
#define ACCEPTED(ack, accepted, seq)                                                                                   \
	"{\"cmd\":\"NODE_CLUSTER\",\"ack\":" ack ",\"accepted\":" accepted ",\"seq\":" seq "}"
#define ACT(act, seq) "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"" act "\",\"seq\":" seq "}"
#define CLOSE(seq) "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"" KEY "\",\"seq\":" seq "}"
#define ACK "{\"cmd\":\"NODE_HANDLE_ACK\"}"
#define NACK "{\"cmd\":\"NODE_HANDLE_NACK\"}"

static int channel; /* the primary's end */
static pid_t worker;
static struct service service;

/* ---- The worker. */

static void start(void)
{
	struct muster__plan plan = { .id = 5, .slot = -1, .function = serve, .data = &service };
	struct timeval limit = { .tv_sec = (time_t)test_patience() };
	int ends[2], pidfd;

	client_pair_local(ends);
	setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	channel = ends[0];
	plan.channel_fd = ends[1];
	ck_assert_int_eq(muster__child_fork(&plan, muster__worker_main, &worker, &pidfd), 0);
	close(pidfd);
	close(ends[1]);
}

static void set_up(void)
{
	service.quiet = true;
	channel = -1;
}

/* One line from the worker. */
static void hear(const char *want)
{
	char line[1024];
	size_t used = 0;

	while (used < sizeof line - 1) {
		client_receive(channel, line + used, 1);
		if (line[used] == '\n')
			break;
		used++;
	}
	line[used] = '\0';
	ck_assert_str_eq(line, want);
}

static void say(const char *text)
{
	client_send_text(channel, text);
}

static void say_with(const char *text, int fd)
{
	ck_assert_int_eq(muster__fdpass_send(channel, text, strlen(text), fd), (ssize_t)strlen(text));
}

/* It closes its channel and exits. */
static void expect_the_end(void)
{
	client_expect_end(channel);
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}

/* The usual beginning: it listens, by hand-over. */
static void start_listening(void)
{
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say(REPLY);
	hear(LISTENING("35443", "2"));
}

/* A client whose other end is on its way to the worker. */
static int hand_over(const char *line)
{
	int ends[2];

	client_pair(ends);
	say_with(line, ends[1]);
	close(ends[1]);
	return ends[0];
}

/* ---- Hand-over. */

START_TEST(the_session_of_a_primary_of_Nodes_is_understood)
{
	int client;

	start_listening();
	client = hand_over(NEWCONN(KEY, "1"));
	hear(ACK);
	hear(ACCEPTED("1", "true", "3"));
	client_expect_text(client, "5\n");
	client_send_text(client, "echo");
	client_expect_text(client, "echo");
	close(client);
	say(ACT("disconnect", "2") "\n");
	hear(CLOSE("4"));
	expect_the_end();
}
END_TEST

START_TEST(many_in_one_go_are_answered_in_order)
{
	int clients[10], i;
	char line[256], want[128];

	start_listening();
	for (i = 0; i < 10; i++) {
		snprintf(line, sizeof line, NEWCONN(KEY, "%d"), i + 1);
		clients[i] = hand_over(line);
	}
	for (i = 0; i < 10; i++) {
		hear(ACK);
		snprintf(want, sizeof want, ACCEPTED("%d", "true", "%d"), i + 1, i + 3);
		hear(want);
		client_expect_text(clients[i], "5\n");
		close(clients[i]);
	}
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

START_TEST(a_retransmitted_hand_over_is_acknowledged_once)
{
	int client;

	start_listening();
	client = hand_over("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_HANDLE\","
			   "\"type\":\"net.Native\","
			   "\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"" KEY "\",\"seq\":1}}}\n");
	hear(ACK);
	hear(ACCEPTED("1", "true", "3"));
	client_expect_text(client, "5\n");
	close(client);
	say(ACT("disconnect", "2") "\n");
	hear(CLOSE("4"));
	expect_the_end();
}
END_TEST

START_TEST(a_connection_for_an_unknown_key_is_refused_and_closed_here)
{
	int client;

	start_listening();
	client = hand_over(NEWCONN("127.0.0.1:0:4:undefined", "1"));
	hear(ACK);
	hear(ACCEPTED("1", "false", "3"));
	client_expect_end(client);
	close(client);
	client = hand_over(NEWCONN(KEY "\\u0000", "2"));
	hear(ACK);
	hear(ACCEPTED("2", "false", "4"));
	client_expect_end(client);
	close(client);
	say(ACT("disconnect", "3") "\n");
	hear(CLOSE("5"));
	expect_the_end();
}
END_TEST

START_TEST(a_connection_that_was_lost_is_refused_so_that_it_is_offered_again)
{
	start_listening();
	say(NEWCONN(KEY, "1"));
	hear(NACK);
	hear(ACCEPTED("1", "false", "3"));
	say(ACT("disconnect", "2") "\n");
	hear(CLOSE("4"));
	expect_the_end();
}
END_TEST

START_TEST(a_full_server_refuses_and_says_nothing_of_ours_to_a_primary_of_Nodes)
{
	int first, second, third;

	service.server.max_connections = 1;
	start_listening();
	first = hand_over(NEWCONN(KEY, "1"));
	hear(ACK);
	hear(ACCEPTED("1", "true", "3"));
	second = hand_over(NEWCONN(KEY, "2"));
	hear(ACK);
	hear(ACCEPTED("2", "false", "4"));
	client_expect_end(second);
	client_expect_text(first, "5\n");
	shutdown(first, SHUT_WR);
	client_expect_end(first);
	third = hand_over(NEWCONN(KEY, "3"));
	hear(ACK);
	hear(ACCEPTED("3", "true", "5"));
	close(first), close(second), close(third);
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

/* It wants to drop them by itself, instead of leaving them to another worker. */
START_TEST(a_full_server_that_drops_takes_what_is_more_and_closes_it)
{
	int first, second;

	service.server.max_connections = 1;
	service.server.drop_max_connection = true;
	start_listening();
	first = hand_over(NEWCONN(KEY, "1"));
	hear(ACK);
	hear(ACCEPTED("1", "true", "3"));
	client_expect_text(first, "5\n");
	second = hand_over(NEWCONN(KEY, "2"));
	hear(ACK);
	hear(ACCEPTED("2", "true", "4"));
	client_expect_end(second);
	close(first), close(second);
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

/* ---- Shared. */

START_TEST(a_shared_listener_is_accepted_on_here)
{
	int listener = client_listen(1), client;
	char want[256];

	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say_with(SHARED_REPLY, listener);
	hear(ACK);
	snprintf(want, sizeof want, LISTENING("%u", "2"), client_port_of(listener));
	hear(want);
	client = client_connect_port(client_port_of(listener));
	client_expect_text(client, "5\n");
	close(client);
	say(ACT("disconnect", "2") "\n");
	hear(CLOSE("3"));
	expect_the_end();
	close(listener);
}
END_TEST

/* Node's primary binds without listening, and so learns too late that an address is in use. */
START_TEST(a_shared_socket_that_is_bound_elsewhere_is_an_address_in_use)
{
	int listener = client_listen(1);
	unsigned port = client_free_port();
	char want[256];

	service.listen.port = port;
	start();
	hear(ONLINE);
	snprintf(want, sizeof want, QUERY("\"127.0.0.1\"", "%u", "1"), port);
	hear(want);
	say_with(SHARED_REPLY, listener);
	hear(ACK);
	hear(CLOSE("2"));
	hear("\"error EADDRINUSE bind\"");
	expect_the_end();
	close(listener);
}
END_TEST

static void leave_no_descriptor(struct muster_worker *self, struct muster_server *server)
{
	struct rlimit few;

	(void)self, (void)server;
	if (getrlimit(RLIMIT_NOFILE, &few) < 0)
		abort();
	few.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		abort();
	while (dup(STDIN_FILENO) >= 0)
		;
}

START_TEST(a_shared_listener_that_was_lost_is_an_error_and_is_given_up)
{
	int listener = client_listen(1);

	service.begin = leave_no_descriptor;
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say_with(SHARED_REPLY, listener);
	hear(NACK);
	hear(CLOSE("2"));
	hear("\"error EMFILE bind\"");
	expect_the_end();
	close(listener);
}
END_TEST

#define NO_ACCEPT(act, port, seq)                                                                                      \
	"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"" act "\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","           \
	"\"port\":" port ",\"addressType\":4,\"flags\":0,\"backlog\":0,\"muster\":{\"policy\":2,\"noAccept\":1},"      \
	"\"seq\":" seq "}"

START_TEST(a_server_that_leaves_accepting_to_others_holds_the_shared_socket)
{
	int listener = client_listen(8), client = client_connect_port(client_port_of(listener)), accepted;
	char want[256];

	service.listen.no_accept = true;
	start();
	hear(ONLINE);
	hear(NO_ACCEPT("queryServer", "0", "1"));
	say_with(SHARED_REPLY, listener);
	hear(ACK);
	snprintf(want, sizeof want, NO_ACCEPT("listening", "%u", "2"), client_port_of(listener));
	hear(want);
	/* Others accept what is queued before they close. */
	say(ACT("disconnect", "2") "\n");
	hear(CLOSE("3"));
	expect_the_end();
	accepted = accept(listener, NULL, NULL);
	ck_assert_int_ge(accepted, 0);
	close(accepted);
	close(client);
	close(listener);
}
END_TEST

START_TEST(who_cannot_be_handed_connections_fails_where_they_are_handed)
{
	service.listen.no_accept = true;
	start();
	hear(ONLINE);
	hear(NO_ACCEPT("queryServer", "0", "1"));
	say(REPLY);
	hear(CLOSE("2"));
	hear("\"error EOPNOTSUPP listen\"");
	expect_the_end();
}
END_TEST

/* ---- Closing. */

START_TEST(an_error_of_the_primary_is_the_servers)
{
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say("{\"cmd\":\"NODE_CLUSTER\",\"errno\":-98,\"key\":\"" KEY "\",\"ack\":1,\"data\":null,\"seq\":0}\n");
	hear("\"error EADDRINUSE bind\"");
	expect_the_end();
}
END_TEST

START_TEST(a_reply_that_is_none_is_an_error)
{
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say("{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"seq\":0}\n");
	hear("\"error EBADMSG bind\"");
	expect_the_end();
}
END_TEST

static void close_at_once(struct muster_worker *self, struct muster_server *server)
{
	(void)self;
	muster_server_close(server);
	idle(self, NULL);
}

START_TEST(a_reply_to_a_server_that_has_closed_is_taken_and_given_up)
{
	int listener = client_listen(1);

	service.begin = close_at_once;
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say_with(SHARED_REPLY, listener);
	hear(ACK);
	hear(CLOSE("2"));
	say(ACT("disconnect", "2") "\n");
	expect_the_end();
	/* Nobody else holds it. */
	close(listener);
}
END_TEST

static void on_close_listen_again(struct muster_server *server, void *data)
{
	static unsigned again;

	(void)data;
	if (again++ == 0)
		muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" });
}

static void close_and_listen_again(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_server_handlers on = { .on_close = on_close_listen_again };

	(void)self;
	muster_server_on(server, &on, NULL);
	muster_server_close(server);
}

START_TEST(the_same_is_asked_again_only_after_the_first_is_given_up)
{
	service.begin = close_and_listen_again;
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say(REPLY);
	hear(CLOSE("2"));
	hear(QUERY("\"127.0.0.1\"", "0", "3"));
	say("{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"again\",\"ack\":3,\"data\":null,\"sockname\":"
	    "{\"address\":\"127.0.0.1\",\"family\":\"IPv4\",\"port\":7},\"seq\":1}\n");
	hear(LISTENING("7", "4"));
	say(ACT("disconnect", "2") "\n");
	hear("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"again\",\"seq\":5}");
	expect_the_end();
}
END_TEST

static void on_close_listen_twice(struct muster_server *server, void *data)
{
	struct muster_listen_options listen = { .host = "127.0.0.1" };
	struct muster_server *other = muster_server_new(muster_server_loop(server), NULL);

	if (data == NULL || muster_server_is_listening(server))
		return;
	muster_server_listen(server, &listen);
	muster_server_listen(other, &listen);
}

static void close_and_listen_twice(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_server_handlers on = { .on_close = on_close_listen_twice };

	muster_server_on(server, &on, self);
	muster_server_close(server);
}

START_TEST(all_who_wait_to_ask_for_the_same_ask_in_their_order)
{
	service.begin = close_and_listen_twice;
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	say(REPLY);
	hear(CLOSE("2"));
	hear(QUERY("\"127.0.0.1\"", "0", "3"));
	hear("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":1,\"data\":null,"
	     "\"address\":\"127.0.0.1\",\"port\":0,"
	     "\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":4}");
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

/* ---- Leaving. */

static void leave(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)message, (void)data;
	muster_worker_disconnect(self);
}

static void leave_when_told(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_worker_handlers on = { .on_message = leave };

	(void)server;
	muster_worker_on(self, &on, NULL);
}

START_TEST(a_worker_that_leaves_says_so_and_waits_for_the_answer)
{
	struct pollfd poll_fd;

	service.begin = leave_when_told;
	start_listening();
	say("\"leave\"\n");
	hear(CLOSE("3"));
	hear(ACT("exitedAfterDisconnect", "4"));
	poll_fd = (struct pollfd){ .fd = channel, .events = POLLIN };
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	say("{\"cmd\":\"NODE_CLUSTER\",\"ack\":3,\"seq\":1}\n");
	say("{\"cmd\":\"NODE_CLUSTER\",\"ack\":4,\"seq\":2}\n");
	expect_the_end();
}
END_TEST

START_TEST(without_a_primary_a_worker_drains)
{
	int client;

	start_listening();
	client = hand_over(NEWCONN(KEY, "1"));
	hear(ACK);
	hear(ACCEPTED("1", "true", "3"));
	close(channel);
	client_expect_text(client, "5\n");
	client_send_text(client, "still here");
	client_expect_text(client, "still here");
	ck_assert(process_lives(worker));
	close(client);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

/* ---- Questions: as a worker of Node's asks them. */

static const struct {
	struct muster_listen_options listen;
	const char *address, *port, *type, *rest;
} questions[] = {
	{ { .host = "127.0.0.1", .port = 18080 }, "\"127.0.0.1\"", "18080", "4", "\"flags\":0,\"backlog\":0" },
	{ { .host = "localhost", .port = 18080 }, "\"127.0.0.1\"", "18080", "4", "\"flags\":0,\"backlog\":0" },
	{ { .host = "127.0.0.1", .port = 18080, .backlog = 5 },
	  "\"127.0.0.1\"",
	  "18080",
	  "4",
	  "\"flags\":0,\"backlog\":5" },
	{ { .host = "::", .port = 18080, .ipv6_only = true }, "\"::\"", "18080", "6", "\"flags\":1,\"backlog\":0" },
	{ { .path = "/tmp/u2.sock" }, "\"/tmp/u2.sock\"", "-1", "-1", "\"backlog\":0" },
	{ { .path = "/tmp/u2.sock", .port = 7, .host = "::1" }, "\"::1\"", "7", "6", "\"flags\":0,\"backlog\":0" },
	{ { .path = "@abstract" }, "\"@abstract\"", "-1", "-1", "\"backlog\":0" },
	{ { .path = "/u", .readable_all = true, .writable_all = true, .backlog = 3 },
	  "\"/u\"",
	  "-1",
	  "-1",
	  "\"backlog\":3,\"readableAll\":true,\"writableAll\":true" },
};

START_TEST(a_question_is_asked_as_Node_asks_it)
{
	char want[512];

	service.listen = questions[_i].listen;
	start();
	hear(ONLINE);
	snprintf(want, sizeof want,
		 "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":%s,"
		 "\"port\":%s,"
		 "\"addressType\":%s,%s,\"seq\":1}",
		 questions[_i].address, questions[_i].port, questions[_i].type, questions[_i].rest);
	hear(want);
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

START_TEST(a_name_that_is_not_found_is_an_error_and_nothing_is_asked)
{
	service.listen.host = "no-such-name.invalid";
	start();
	hear(ONLINE);
	client_receive(channel, (char[7]){ 0 }, 7); /* "error */
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

START_TEST(a_second_server_on_port_0_asks_with_the_next_index)
{
	service.servers = 2;
	start();
	hear(ONLINE);
	hear(QUERY("\"127.0.0.1\"", "0", "1"));
	hear("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":1,\"data\":null,"
	     "\"address\":\"127.0.0.1\",\"port\":0,"
	     "\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":2}");
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

START_TEST(an_exclusive_server_asks_nothing)
{
	service.listen.exclusive = true;
	service.quiet = false;
	start();
	hear(ONLINE);
	client_receive(channel, (char[11]){ 0 }, 11); /* "listening */
	close(channel);
	ck_assert_int_eq(process_wait(worker), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listen");
	TCase *handed = add_case(suite, "hand-over"), *ends = add_case(suite, "ends"),
	      *asks = add_case(suite, "questions");

	tcase_add_checked_fixture(handed, set_up, NULL);
	tcase_add_test(handed, the_session_of_a_primary_of_Nodes_is_understood);
	tcase_add_test(handed, many_in_one_go_are_answered_in_order);
	tcase_add_test(handed, a_retransmitted_hand_over_is_acknowledged_once);
	tcase_add_test(handed, a_connection_for_an_unknown_key_is_refused_and_closed_here);
	tcase_add_test(handed, a_connection_that_was_lost_is_refused_so_that_it_is_offered_again);
	tcase_add_test(handed, a_full_server_that_drops_takes_what_is_more_and_closes_it);
	tcase_add_test(handed, a_full_server_refuses_and_says_nothing_of_ours_to_a_primary_of_Nodes);
	tcase_add_test(handed, a_shared_listener_is_accepted_on_here);
	tcase_add_test(handed, a_shared_socket_that_is_bound_elsewhere_is_an_address_in_use);
	tcase_add_test(handed, a_shared_listener_that_was_lost_is_an_error_and_is_given_up);
	tcase_add_test(handed, a_server_that_leaves_accepting_to_others_holds_the_shared_socket);

	tcase_add_checked_fixture(ends, set_up, NULL);
	tcase_add_test(ends, an_error_of_the_primary_is_the_servers);
	tcase_add_test(ends, who_cannot_be_handed_connections_fails_where_they_are_handed);
	tcase_add_test(ends, a_reply_that_is_none_is_an_error);
	tcase_add_test(ends, a_reply_to_a_server_that_has_closed_is_taken_and_given_up);
	tcase_add_test(ends, the_same_is_asked_again_only_after_the_first_is_given_up);
	tcase_add_test(ends, all_who_wait_to_ask_for_the_same_ask_in_their_order);
	tcase_add_test(ends, a_worker_that_leaves_says_so_and_waits_for_the_answer);
	tcase_add_test(ends, without_a_primary_a_worker_drains);

	tcase_add_checked_fixture(asks, set_up, NULL);
	tcase_add_loop_test(asks, a_question_is_asked_as_Node_asks_it, 0, sizeof questions / sizeof questions[0]);
	tcase_add_test(asks, a_name_that_is_not_found_is_an_error_and_nothing_is_asked);
	tcase_add_test(asks, a_second_server_on_port_0_asks_with_the_next_index);
	tcase_add_test(asks, an_exclusive_server_asks_nothing);
	return run_suite(suite);
}
