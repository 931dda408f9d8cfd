/* tests/ipc/test_socket_list.c - connections that a server gave to other processes: counted, and waited for. */
#include "ipc/fdpass.h"
#include "tests/support/channels.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who sends, who receives (a channel, or a plain descriptor), and what they hear. */
static struct muster_channel *left, *right;
static struct channel_counts of_left, of_right;
static int peer = -1;

static struct muster_server *server;
static struct server_counts here;
static struct socket_counts here_sockets;
static struct socket_counts there;

#define MOST 8
static struct muster_socket *taken[MOST]; /* sockets on the other side, NULL once they have closed */
static unsigned taken_count;
static int clients[MOST];

/* ---- answers */

static struct {
	unsigned count;
	int err[MOST], open[MOST];
} answers;

static void note_count(struct muster_server *asked, int err, unsigned count, void *data)
{
	(void)data;
	ck_assert_ptr_eq(asked, server);
	answers.err[answers.count] = err;
	answers.open[answers.count++] = (int)count;
}

static void ask(void)
{
	ck_assert_int_eq(muster_server_get_connections(server, note_count, NULL), 0);
}

static void expect_count(int err, int open)
{
	unsigned n = answers.count;

	ask();
	ck_assert_uint_eq(answers.count, n);
	run_until_count(test_loop, answers.count, n + 1);
	ck_assert_int_eq(answers.err[n], err);
	ck_assert_int_eq(answers.open[n], open);
}

/* ---- the other side */

static void on_taken_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)had_error;
	ck_assert_ptr_eq(*(struct muster_socket **)data, socket);
	*(struct muster_socket **)data = NULL;
}

static void take(struct muster_channel *channel, struct muster_message *message, void *data)
{
	static const struct muster_socket_handlers on = { .on_close = on_taken_close };
	struct muster_socket **place = &taken[taken_count];

	(void)data;
	*place = muster_message_take_socket(message, muster_channel_loop(channel));
	ck_assert_ptr_nonnull(*place);
	/* Its server is in another process, or at least on another end. */
	ck_assert_ptr_null(muster_socket_server(*place));
	ck_assert_int_eq(muster_socket_on(*place, &counting_socket, &there), 0);
	ck_assert_int_eq(muster_socket_on(*place, &on, place), 0);
	taken_count++;
}

static const struct muster_channel_handlers taking = { .on_message = take };

static struct muster_channel *open_one(int fd, struct channel_counts *counts)
{
	struct muster_channel *channel = muster_channel_open(test_loop, fd);

	ck_assert_ptr_nonnull(channel);
	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, counts), 0);
	return channel;
}

static void open_channels(bool both)
{
	int ends[2];

	client_pair_local(ends);
	left = open_one(ends[0], &of_left);
	if (both)
		right = open_one(ends[1], &of_right);
	else
		peer = ends[1];
}

static void begin(bool both)
{
	here.sockets = &here_sockets;
	open_channels(both);
	server = listening_server(test_loop, &here);
}

static void begin_taking(void)
{
	begin(true);
	ck_assert_int_eq(muster_channel_on(right, &taking, NULL), 0);
}

/* A new connection of the server. */
static struct muster_socket *connection(void)
{
	unsigned n = here.connection;

	ck_assert_uint_lt(n, MOST);
	clients[n] = client_connect_port(server_port(server));
	run_until_count(test_loop, here.connection, n + 1);
	return here.last;
}

static void send_over(struct muster_channel *channel, struct muster_socket *socket, bool keep_open)
{
	struct muster_message message = {
		.text = "\"one\"",
		.length = 5,
		.handle_type = MUSTER_HANDLE_SOCKET,
		.handle.socket = socket,
		.keep_open = keep_open,
	};

	ck_assert_int_eq(muster_channel_send(channel, &message), 0);
}

/* A connection is taken on the other side; its index there. */
static unsigned sent(void)
{
	unsigned n = taken_count;

	send_over(left, connection(), false);
	run_until_count(test_loop, taken_count, n + 1);
	return n;
}

static bool has_closed(void *data)
{
	return *(struct muster_socket **)data == NULL;
}

static void close_there(unsigned n)
{
	muster_socket_destroy(taken[n], 0);
	run_until(test_loop, has_closed, &taken[n]);
}

static void end(void)
{
	unsigned n;

	if (of_left.disconnect == 0)
		muster_channel_disconnect(left);
	for (n = 0; n < taken_count; n++)
		if (taken[n] != NULL)
			muster_socket_destroy(taken[n], 0);
	if (here.close == 0)
		muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(here.close, 1);
	for (n = 0; n < here.connection; n++)
		close(clients[n]);
	if (peer >= 0)
		close(peer);
}

/* ---- counting */

START_TEST(a_connection_that_was_sent_is_counted_where_it_is)
{
	begin_taking();
	connection();
	sent();
	ck_assert_int_eq(muster_server_connections(server), -1);
	expect_count(0, 2);
	sent();
	expect_count(0, 3);
	end();
}
END_TEST

START_TEST(one_that_has_closed_there_is_counted_no_more)
{
	begin_taking();
	sent();
	sent();
	close_there(0);
	expect_count(0, 1);
	close_there(1);
	expect_count(0, 0);
	end();
}
END_TEST

START_TEST(one_that_nobody_took_is_not_counted)
{
	begin(true);
	send_over(left, connection(), false);
	run_until_count(test_loop, of_right.message, 1);
	expect_count(0, 0);
	end();
}
END_TEST

START_TEST(one_that_was_kept_open_is_counted_once_until_both_have_closed_it)
{
	struct muster_socket *kept;

	begin_taking();
	kept = connection();
	send_over(left, kept, true);
	run_until_count(test_loop, taken_count, 1);
	expect_count(0, 1);
	muster_socket_destroy(kept, 0);
	expect_count(0, 1);
	close_there(0);
	expect_count(0, 0);
	end();
}
END_TEST

START_TEST(one_that_was_kept_open_is_counted_while_it_is_open_here)
{
	struct muster_socket *kept;

	begin_taking();
	kept = connection();
	send_over(left, kept, true);
	run_until_count(test_loop, taken_count, 1);
	close_there(0);
	expect_count(0, 1);
	muster_socket_destroy(kept, 0);
	expect_count(0, 0);
	end();
}
END_TEST

START_TEST(questions_are_answered_in_their_order)
{
	begin_taking();
	sent();
	ask();
	close_there(0);
	ask();
	run_until_count(test_loop, answers.count, 2);
	ck_assert_int_eq(answers.err[0], 0);
	ck_assert_int_eq(answers.err[1], 0);
	ck_assert_int_eq(answers.open[1], 0);
	end();
}
END_TEST

static void on_other_connection(struct muster_server *other, struct muster_socket *socket, void *data)
{
	(void)other;
	*(struct muster_socket **)data = socket;
}

static bool is_there(void *data)
{
	return *(struct muster_socket **)data != NULL;
}

START_TEST(each_server_counts_its_own)
{
	static const struct muster_server_handlers on = { .on_connection = on_other_connection };
	struct muster_socket *socket = NULL;
	struct server_counts counts = { 0 };
	struct muster_server *other;
	int client;

	begin_taking();
	other = listening_server(test_loop, &counts);
	ck_assert_int_eq(muster_server_on(other, &on, &socket), 0);
	client = client_connect_port(server_port(other));
	run_until(test_loop, is_there, &socket);
	sent();
	send_over(left, socket, false);
	run_until_count(test_loop, taken_count, 2);
	expect_count(0, 1);
	muster_server_destroy(other);
	close(client);
	end();
}
END_TEST

/* ---- answers that do not come */

/* What the peer reads, up to a newline. */
static void hear(const char *part)
{
	char text[512];
	size_t length = 0;

	do {
		run_until_readable(peer);
		ck_assert_int_eq(recv(peer, text + length, 1, 0), 1);
	} while (text[length++] != '\n' && length < sizeof text - 1);
	text[length] = '\0';
	ck_assert_msg(strstr(text, part) != NULL, "%s has no %s", text, part);
}

/* As the peer's answer; each # stands for the key that it heard. */
static void say_as_peer(const char *answer)
{
	char text[256];
	size_t used = 0;

	for (; *answer != '\0'; answer++)
		if (*answer == '#')
			used += (size_t)snprintf(text + used, sizeof text - used, "4:127.0.0.1:%u:0",
						 server_port(server));
		else
			text[used++] = *answer;
	text[used] = '\0';
	client_send_text(peer, text);
}

#define COUNT "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"#\",\"count\":"

/* The peer has a connection of ours, and has said so. */
static void give_to_peer(void)
{
	begin(false);
	send_over(left, connection(), false);
	hear("\"type\":\"net.Socket\"");
	client_send_text(peer, "{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
}

START_TEST(an_end_instead_of_an_answer_is_ECHILDCLOSED_and_the_rest_is_counted)
{
	give_to_peer();
	connection();
	ask();
	hear("NODE_SOCKET_GET_COUNT");
	close(peer);
	peer = -1;
	run_until_count(test_loop, answers.count, 1);
	ck_assert_int_eq(answers.err[0], MUSTER_ECHILDCLOSED);
	ck_assert_int_eq(answers.open[0], 1);
	/* Gone is gone: the next question has nobody to wait for. */
	expect_count(0, 1);
	end();
}
END_TEST

START_TEST(an_answer_that_does_not_come_is_ETIMEDOUT_and_does_not_answer_the_next)
{
	give_to_peer();
	ask();
	hear("NODE_SOCKET_GET_COUNT");
	run_until_count(test_loop, answers.count, 1);
	ck_assert_int_eq(answers.err[0], -ETIMEDOUT);
	ck_assert_int_eq(answers.open[0], 0);
	ask();
	hear("NODE_SOCKET_GET_COUNT");
	say_as_peer(COUNT "7}\n");
	run_until_idle(test_loop);
	ck_assert_uint_eq(answers.count, 1);
	say_as_peer(COUNT "1}\n");
	run_until_count(test_loop, answers.count, 2);
	ck_assert_int_eq(answers.err[1], 0);
	ck_assert_int_eq(answers.open[1], 1);
	end();
}
END_TEST

static const char *const nonsense[] = {
	"{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"nobody's\",\"count\":1}\n",
	"{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"#\",\"count\":-1}\n",
	"{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"#\",\"count\":\"1\"}\n",
	"{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"#\"}\n",
	"{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"nobody's\"}\n",
	"{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"#\"}\n",
};

START_TEST(what_is_no_answer_is_none)
{
	give_to_peer();
	ask();
	hear("NODE_SOCKET_GET_COUNT");
	say_as_peer(nonsense[_i]);
	run_until_idle(test_loop);
	ck_assert_uint_eq(answers.count, 0);
	say_as_peer(COUNT "2}\n");
	run_until_count(test_loop, answers.count, 1);
	ck_assert_int_eq(answers.open[0], 2);
	say_as_peer(COUNT "3}\n");
	run_until_idle(test_loop);
	ck_assert_uint_eq(answers.count, 1);
	end();
}
END_TEST

START_TEST(a_loop_that_is_freed_answers_nobody)
{
	give_to_peer();
	ask();
	close(clients[0]);
	close(peer);
	test_loop_close();
	ck_assert_uint_eq(answers.count, 0);
	test_loop_open();
}
END_TEST

/* ---- closing */

START_TEST(close_waits_for_connections_that_were_sent)
{
	begin_taking();
	sent();
	sent();
	ck_assert_int_eq(muster_server_close(server), 0);
	close_there(0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	close_there(1);
	run_until_count(test_loop, here.close, 1);
	end();
}
END_TEST

START_TEST(close_waits_for_those_that_are_here_as_well)
{
	struct muster_socket *own;

	begin_taking();
	sent();
	own = connection();
	ck_assert_int_eq(muster_server_close(server), 0);
	close_there(0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	muster_socket_destroy(own, 0);
	run_until_count(test_loop, here.close, 1);
	end();
}
END_TEST

START_TEST(close_waits_for_one_that_is_sent_after_it)
{
	struct muster_socket *late;

	begin_taking();
	sent();
	late = connection();
	ck_assert_int_eq(muster_server_close(server), 0);
	close_there(0);
	send_over(left, late, false);
	run_until_count(test_loop, taken_count, 2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	close_there(1);
	run_until_count(test_loop, here.close, 1);
	end();
}
END_TEST

START_TEST(close_does_not_wait_for_a_process_that_is_gone)
{
	give_to_peer();
	ck_assert_int_eq(muster_server_close(server), 0);
	hear("NODE_SOCKET_NOTIFY_CLOSE");
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	close(peer);
	peer = -1;
	run_until_count(test_loop, here.close, 1);
	end();
}
END_TEST

START_TEST(destroy_does_not_wait_for_connections_that_were_sent)
{
	begin_taking();
	sent();
	muster_server_destroy(server);
	run_until_count(test_loop, here.close, 1);
	ck_assert_ptr_nonnull(taken[0]);
	end();
}
END_TEST

START_TEST(a_server_that_listens_again_does_not_mind_an_earlier_close)
{
	begin_taking();
	sent();
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_until_count(test_loop, here.listening, 2);
	close_there(0);
	expect_count(0, 0);
	sent();
	expect_count(0, 1);
	ck_assert_uint_eq(here.close, 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	close_there(1);
	run_until_count(test_loop, here.close, 1);
	end();
}
END_TEST

/* ---- being asked */

START_TEST(a_key_that_means_nothing_here_is_answered_with_none)
{
	begin(false);
	client_send_text(peer, "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"6:::80\"}\n"
			       "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"6:::80\"}\n");
	hear("{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"6:::80\",\"count\":0}\n");
	hear("{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"6:::80\"}\n");
	end();
}
END_TEST

START_TEST(each_who_asked_to_be_told_of_the_end_is_told_once)
{
	static const char line[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":1,\"key\":\"k\"}\n";
	int ends[2];

	begin(false);
	ck_assert_int_eq(muster_channel_on(left, &taking, NULL), 0);
	client_pair_local(ends);
	ck_assert_int_eq(muster__fdpass_send(peer, line, sizeof line - 1, ends[0]), sizeof line - 1);
	close(ends[0]);
	hear("NODE_HANDLE_ACK");
	client_send_text(peer, "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"k\"}\n"
			       "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"k\"}\n");
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
	close_there(0);
	hear("{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"k\"}\n");
	hear("{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"k\"}\n");
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
	close(ends[1]);
	end();
}
END_TEST

START_TEST(a_socket_outlives_the_channel_it_came_over)
{
	begin_taking();
	sent();
	ck_assert_int_eq(muster_channel_disconnect(right), 0);
	run_until_count(test_loop, of_right.disconnect, 1);
	run_until_count(test_loop, of_left.disconnect, 1);
	ck_assert_ptr_nonnull(taken[0]);
	ck_assert_int_eq(muster_socket_write(taken[0], "still here", 10), 0);
	client_expect_text(clients[0], "still here");
	expect_count(0, 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("socket_list");
	TCase *counting = add_loop_case(suite, "counting"), *missing = add_loop_case(suite, "missing"),
	      *closing = add_loop_case(suite, "closing"), *asked = add_loop_case(suite, "asked");

	tcase_add_test(counting, a_connection_that_was_sent_is_counted_where_it_is);
	tcase_add_test(counting, one_that_has_closed_there_is_counted_no_more);
	tcase_add_test(counting, one_that_nobody_took_is_not_counted);
	tcase_add_test(counting, one_that_was_kept_open_is_counted_once_until_both_have_closed_it);
	tcase_add_test(counting, one_that_was_kept_open_is_counted_while_it_is_open_here);
	tcase_add_test(counting, questions_are_answered_in_their_order);
	tcase_add_test(counting, each_server_counts_its_own);
	tcase_add_test(missing, an_end_instead_of_an_answer_is_ECHILDCLOSED_and_the_rest_is_counted);
	tcase_add_test(missing, an_answer_that_does_not_come_is_ETIMEDOUT_and_does_not_answer_the_next);
	tcase_add_loop_test(missing, what_is_no_answer_is_none, 0, sizeof nonsense / sizeof nonsense[0]);
	tcase_add_test(missing, a_loop_that_is_freed_answers_nobody);
	tcase_add_test(closing, close_waits_for_connections_that_were_sent);
	tcase_add_test(closing, close_waits_for_those_that_are_here_as_well);
	tcase_add_test(closing, close_waits_for_one_that_is_sent_after_it);
	tcase_add_test(closing, close_does_not_wait_for_a_process_that_is_gone);
	tcase_add_test(closing, destroy_does_not_wait_for_connections_that_were_sent);
	tcase_add_test(closing, a_server_that_listens_again_does_not_mind_an_earlier_close);
	tcase_add_test(asked, a_key_that_means_nothing_here_is_answered_with_none);
	tcase_add_test(asked, each_who_asked_to_be_told_of_the_end_is_told_once);
	tcase_add_test(asked, a_socket_outlives_the_channel_it_came_over);
	return run_suite(suite);
}
