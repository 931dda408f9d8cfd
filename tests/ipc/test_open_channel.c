/* tests/ipc/test_open_channel.c - a channel of one's own, on a socket pair: messages, handles, and its end. */
#include "ipc/hook.h"
#include "tests/support/channels.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two channels that speak to each other; or one, and the plain descriptor of its peer. */
static struct muster_channel *left, *right;
static struct channel_counts of_left, of_right;
static int peer;

static struct muster_channel *open_one(int fd, struct channel_counts *counts)
{
	struct muster_channel *channel = muster_channel_open(test_loop, fd);

	ck_assert_ptr_nonnull(channel);
	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, counts), 0);
	return channel;
}

static void open_both(void)
{
	int ends[2];

	client_pair_local(ends);
	left = open_one(ends[0], &of_left);
	right = open_one(ends[1], &of_right);
}

static void open_left(void)
{
	int ends[2];

	client_pair_local(ends);
	left = open_one(ends[0], &of_left);
	peer = ends[1];
}

/* One side leaves, both are told once, and nothing is left to keep the loop running. */
static void close_both(void)
{
	ck_assert_int_eq(muster_channel_disconnect(left), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(of_left.disconnect, 1);
	ck_assert_uint_eq(of_right.disconnect, 1);
}

static void leave(void)
{
	close(peer);
	run_dry(test_loop);
	ck_assert_uint_eq(of_left.disconnect, 1);
}

static int send_json(struct muster_channel *channel, const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	int err = muster_channel_send(channel, &(struct muster_message){ .json = json });

	ck_assert_ptr_nonnull(json);
	json_decref(json);
	return err;
}

/* ---- messages */

static const char *const values[] = {
	"null",
	"true",
	"false",
	"0",
	"-1.5",
	"9223372036854775807",
	"\"\"",
	"\"a\\nb\\u0000c\\\"\"",
	"\"\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xe2\x80\xa8\"",
	"[]",
	"{}",
	"[1,[2,[3,[\"four\",{\"five\":[null]}]]]]",
	"{\"\":{\"cmd\":\"NODE\"},\"\xc3\xbc\":[1,2.5,{}]}",
};

START_TEST(any_JSON_value_goes_both_ways)
{
	char want[128];

	open_both();
	snprintf(want, sizeof want, "%s ", values[_i]);
	ck_assert_int_eq(send_json(left, values[_i]), 0);
	ck_assert_int_eq(send_json(right, values[_i]), 0);
	run_until_count(test_loop, of_left.message, 1);
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_str_eq(of_left.said, want);
	ck_assert_str_eq(of_right.said, want);
	ck_assert_uint_eq(of_left.texts + of_right.texts, 0);
	close_both();
}
END_TEST

static const char *const too_much[] = {
	"\"\\ud800\"", "[1e400]", "123456789012345678901234567890", "{\"a\\u0000b\":1}", "[\"\\udead\",1]",
};

START_TEST(what_is_beyond_jansson_arrives_as_text)
{
	char want[128];

	open_both();
	snprintf(want, sizeof want, "%s ", too_much[_i]);
	ck_assert_int_eq(say(left, too_much[_i]), 0);
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_str_eq(of_right.said, want);
	ck_assert_uint_eq(of_right.texts, 1);
	close_both();
}
END_TEST

START_TEST(a_megabyte_goes_both_ways_at_once)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length };

	open_both();
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	ck_assert_int_eq(muster_channel_send(right, &message), 0);
	free(text);
	run_until_count(test_loop, of_left.message, 1);
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_uint_eq(of_left.length, length);
	ck_assert_uint_eq(of_right.length, length);
	close_both();
}
END_TEST

/* The nth message is n. */
static void expect_number(struct muster_channel *channel, struct muster_message *message, void *data)
{
	unsigned *came = data;

	(void)channel;
	ck_assert_int_eq(json_integer_value(message->json), ++*came);
}

START_TEST(messages_keep_their_order)
{
	static const struct muster_channel_handlers on = { .on_message = expect_number };
	unsigned i, came = 0;
	char text[32];

	open_both();
	ck_assert_int_eq(muster_channel_on(right, &on, &came), 0);
	for (i = 1; i <= 10000; i++) {
		snprintf(text, sizeof text, "%u", i);
		ck_assert_int_eq(say(left, text), 0);
	}
	run_until_count(test_loop, came, 10000);
	close_both();
}
END_TEST

START_TEST(what_is_no_message_is_refused_at_once)
{
	struct muster_message odd = { .text = "1", .length = 1, .handle_type = (enum muster_handle_type)7 };

	open_both();
	ck_assert_int_eq(muster_channel_send(left, &(struct muster_message){ 0 }), -EINVAL);
	ck_assert_int_eq(say(left, ""), -EINVAL);
	ck_assert_int_eq(say(left, "1\n2"), -EINVAL);
	ck_assert_int_eq(muster_channel_send(left, &odd), MUSTER_EHANDLETYPE);
	ck_assert_int_eq(say_with(left, "1", -1), -EINVAL);
	close_both();
	ck_assert_uint_eq(of_right.message, 0);
}
END_TEST

START_TEST(messages_of_clusters_and_of_newer_Nodes_are_ignored)
{
	open_left();
	client_send_text(peer, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n"
			       "{\"cmd\":\"NODE_CLUSTER\",\"ack\":7,\"accepted\":true,\"seq\":1}\n"
			       "{\"cmd\":\"NODE_NEWS\"}\n"
			       "{\"cmd\":\"NODE_\"}\n\"last\"\n");
	run_until_count(test_loop, of_left.message, 2);
	run_until_idle(test_loop);
	ck_assert_str_eq(of_left.said, "{\"cmd\":\"NODE_\"} \"last\" ");
	ck_assert_uint_eq(client_waiting(peer), 0);
	leave();
}
END_TEST

START_TEST(every_table_hears_every_message)
{
	struct channel_counts other = { 0 };

	open_both();
	ck_assert_int_eq(muster_channel_on(right, &counting_channel, &other), 0);
	ck_assert_int_eq(say(left, "1"), 0);
	run_until_count(test_loop, other.message, 1);
	ck_assert_int_eq(muster_channel_off(right, &counting_channel, &other), 0);
	ck_assert_int_eq(muster_channel_off(right, &counting_channel, &other), -ENOENT);
	ck_assert_int_eq(say(left, "2"), 0);
	run_until_count(test_loop, of_right.message, 2);
	ck_assert_uint_eq(other.message, 1);
	close_both();
}
END_TEST

/* ---- handles */

static ino_t inode(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

START_TEST(a_descriptor_goes_both_ways)
{
	int ends[2];
	ino_t sent;

	open_both();
	of_left.keep_fd = of_right.keep_fd = true;
	client_pair(ends);
	sent = inode(ends[0]);
	ck_assert_int_eq(say_with(left, "\"there\"", ends[0]), 0);
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_str_eq(of_right.said, "\"there\" ");
	ck_assert_int_eq(of_right.handle_type, MUSTER_HANDLE_FD);
	ck_assert_int_eq(fcntl(of_right.fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(say_with(right, "\"and back\"", of_right.fd), 0);
	run_until_count(test_loop, of_left.message, 1);
	ck_assert(inode(of_left.fd) == sent);
	/* It is the only one left: its end reaches the peer. */
	close(of_left.fd);
	run_until_ended(ends[1]);
	close(ends[1]);
	close_both();
}
END_TEST

START_TEST(a_descriptor_nobody_takes_is_closed)
{
	int ends[2];

	open_both();
	client_pair(ends);
	ck_assert_int_eq(say_with(left, "1", ends[0]), 0);
	run_until_count(test_loop, of_right.message, 1);
	run_until_ended(ends[1]);
	close(ends[1]);
	close_both();
}
END_TEST

static const int refusals[] = { -EINVAL, MUSTER_ECHANNEL };

START_TEST(a_descriptor_that_is_refused_is_closed)
{
	int ends[2];

	open_both();
	client_pair(ends);
	if (_i == 1)
		ck_assert_int_eq(muster_channel_disconnect(left), 0);
	ck_assert_int_eq(say_with(left, _i == 0 ? "1\n" : "1", ends[0]), refusals[_i]);
	client_expect_end(ends[1]);
	close(ends[1]);
	if (_i == 0)
		ck_assert_int_eq(muster_channel_disconnect(left), 0);
	run_dry(test_loop);
}
END_TEST

#define MANY 600

static struct {
	int other[MANY];
	unsigned came;
} crowd;

/* The nth message tells on the nth descriptor. */
static void expect_next(struct muster_channel *channel, struct muster_message *message, void *data)
{
	int fd = muster_message_take_fd(message);
	char text[16];

	(void)channel, (void)data;
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(json_integer_value(message->json), crowd.came);
	snprintf(text, sizeof text, "%u", crowd.came);
	client_send_text(fd, text);
	close(fd);
	client_expect_text(crowd.other[crowd.came++], text);
}

START_TEST(hundreds_of_handles_and_their_messages_stay_together)
{
	static const struct muster_channel_handlers on = { .on_message = expect_next };
	char text[16];
	unsigned i;
	int ends[2];

	open_both();
	ck_assert_int_eq(muster_channel_on(right, &on, NULL), 0);
	for (i = 0; i < MANY; i++) {
		client_pair_local(ends);
		crowd.other[i] = ends[1];
		snprintf(text, sizeof text, "%u", i);
		ck_assert_int_eq(say_with(left, text, ends[0]), 0);
	}
	run_until_count(test_loop, crowd.came, MANY);
	for (i = 0; i < MANY; i++) {
		run_until_ended(crowd.other[i]);
		close(crowd.other[i]);
	}
	close_both();
}
END_TEST

START_TEST(a_handle_behind_much_plain_text_arrives_with_its_message)
{
	size_t length = 300 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length };
	int ends[2], round;

	open_both();
	of_right.keep_fd = true;
	for (round = 0; round < 3; round++) {
		client_pair_local(ends);
		ck_assert_int_eq(muster_channel_send(left, &message), 0);
		ck_assert_int_eq(say_with(left, "\"with\"", ends[0]), 0);
		close(ends[1]);
	}
	for (round = 1; round <= 3; round++) {
		run_until_count(test_loop, of_right.handles, (unsigned)round);
		close(of_right.fd);
	}
	free(text);
	ck_assert_str_eq(of_right.said, "\"with\" \"with\" \"with\" ");
	close_both();
}
END_TEST

static struct muster_socket *taken_socket;

static void take_socket(struct muster_channel *channel, struct muster_message *message, void *data)
{
	ck_assert_int_eq(message->handle_type, MUSTER_HANDLE_SOCKET);
	taken_socket = muster_message_take_socket(message, muster_channel_loop(channel));
	ck_assert_ptr_nonnull(taken_socket);
	ck_assert_int_eq(muster_message_take_fd(message), -ENOENT);
	ck_assert_ptr_null(muster_message_take_socket(message, muster_channel_loop(channel)));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(muster_socket_on(taken_socket, &counting_socket, data), 0);
}

static void expect_sockets(struct socket_counts *counts)
{
	static const struct muster_channel_handlers on = { .on_message = take_socket };

	ck_assert_int_eq(muster_channel_on(right, &on, counts), 0);
}

START_TEST(a_socket_is_given_away)
{
	struct socket_counts of_sent = { 0 }, of_taken = { 0 };
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	int client;

	open_both();
	expect_sockets(&of_taken);
	message.handle.socket = socket_with_peer(test_loop, &client, &of_sent);
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	client_send_text(client, "hello");
	run_until_count(test_loop, of_taken.data, 1);
	ck_assert_str_eq(of_taken.bytes, "hello");
	ck_assert_uint_eq(of_sent.close, 1);
	ck_assert_uint_eq(of_sent.data + of_sent.bad_close, 0);
	muster_socket_destroy(taken_socket, 0);
	client_expect_end(client);
	close(client);
	close_both();
}
END_TEST

START_TEST(a_socket_may_be_kept_open)
{
	struct socket_counts of_sent = { 0 }, of_taken = { 0 };
	struct muster_message message = {
		.text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET, .keep_open = true
	};
	int client;

	open_both();
	expect_sockets(&of_taken);
	message.handle.socket = socket_with_peer(test_loop, &client, &of_sent);
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_int_eq(muster_socket_write(message.handle.socket, "mine ", 5), 0);
	ck_assert_int_eq(muster_socket_write(taken_socket, "and yours", 9), 0);
	client_expect_text(client, "mine and yours");
	muster_socket_destroy(taken_socket, 0);
	run_until_count(test_loop, of_taken.close, 1);
	ck_assert_uint_eq(of_sent.close, 0);
	muster_socket_destroy(message.handle.socket, 0);
	client_expect_end(client);
	close(client);
	close_both();
}
END_TEST

/* Refused for its text, for a channel that is closed, for a queue that is full. */
START_TEST(a_socket_that_cannot_be_sent_is_still_the_callers)
{
	static const int errors[] = { -EINVAL, MUSTER_ECHANNEL, -ENOBUFS };
	size_t length = 8 * 1024 * 1024;
	char *text = long_string(length);
	struct muster_message filler = { .text = text, .length = length };
	struct muster_message message = { .text = "1\n", .length = 2, .handle_type = MUSTER_HANDLE_SOCKET };
	struct socket_counts of_socket = { 0 };
	int client;

	open_left();
	message.handle.socket = socket_with_peer(test_loop, &client, &of_socket);
	if (_i > 0)
		message.length = 1;
	if (_i == 1)
		ck_assert_int_eq(muster_channel_disconnect(left), 0);
	if (_i == 2) {
		while (muster_channel_send(left, &filler) == 0)
			;
		for (length = 1024 * 1024; length >= 4; length /= 2)
			for (filler.length = length; muster_channel_send(left, &filler) == 0;)
				;
	}
	free(text);
	ck_assert_int_eq(muster_channel_send(left, &message), errors[_i]);
	ck_assert_int_eq(muster_socket_write(message.handle.socket, "mine", 4), 0);
	client_expect_text(client, "mine");
	muster_socket_destroy(message.handle.socket, 0);
	close(client);
	leave();
	ck_assert_uint_eq(of_socket.close, 1);
}
END_TEST

START_TEST(what_has_no_descriptor_is_EHANDLETYPE)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	struct muster_message server = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SERVER };

	open_left();
	message.handle.socket = muster_socket_new(test_loop, NULL);
	server.handle.server = muster_server_new(test_loop, NULL);
	message.keep_open = true;
	ck_assert_int_eq(muster_channel_send(left, &message), MUSTER_EHANDLETYPE);
	message.keep_open = false;
	ck_assert_int_eq(muster_channel_send(left, &message), MUSTER_EHANDLETYPE);
	ck_assert_int_eq(muster_channel_send(left, &server), MUSTER_EHANDLETYPE);
	muster_socket_destroy(message.handle.socket, 0);
	muster_server_destroy(server.handle.server);
	leave();
}
END_TEST

static struct muster_server *taken_server;

static void take_server(struct muster_channel *channel, struct muster_message *message, void *data)
{
	ck_assert_int_eq(message->handle_type, MUSTER_HANDLE_SERVER);
	taken_server = muster_message_take_server(message, muster_channel_loop(channel));
	ck_assert_ptr_nonnull(taken_server);
	ck_assert_int_eq(muster_server_on(taken_server, &counting_server, data), 0);
}

START_TEST(a_server_is_shared_and_either_side_accepts)
{
	static const struct muster_channel_handlers on = { .on_message = take_server };
	struct server_counts of_sent = { 0 }, of_taken = { 0 };
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SERVER };
	struct muster_server *server;
	int client;

	open_both();
	ck_assert_int_eq(muster_channel_on(right, &on, &of_taken), 0);
	server = listening_server(test_loop, &of_sent);
	message.handle.server = server;
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	run_until_count(test_loop, of_taken.listening, 1);
	ck_assert_uint_eq(server_port(taken_server), server_port(server));
	ck_assert(muster_server_is_listening(server));
	/* Only the other one is left. */
	client = client_connect_port(server_port(server));
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_count(test_loop, of_taken.connection, 1);
	muster_socket_destroy(of_taken.last, 0);
	close(client);
	ck_assert_int_eq(muster_server_close(taken_server), 0);
	close_both();
	ck_assert_uint_eq(of_sent.close, 1);
	ck_assert_uint_eq(of_taken.close, 1);
	ck_assert_uint_eq(of_taken.error, 0);
}
END_TEST

/* What was sent has left a free place. */
static void take_the_place(int err, void *data)
{
	ck_assert_int_eq(err, 0);
	*(int *)data = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Send one end of a pair, and see it get lost. */
static void lose_one(int ends[2], int *place)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_FD };

	open_both();
	lines_record(MUSTER_LOG_WARN);
	client_pair_local(ends);
	message.handle.fd = ends[0];
	message.on_sent = take_the_place;
	message.data = place;
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	descriptors_exhaust(0);
}

static bool is_warned(void *data)
{
	(void)data;
	return lines_with("was not received in 4 tries") > 0;
}

START_TEST(a_handle_that_is_lost_four_times_is_closed_and_its_message_not_heard)
{
	int ends[2], place = -1;

	lose_one(ends, &place);
	run_until(test_loop, is_warned, NULL);
	if (place >= 0)
		close(place);
	descriptors_release();
	run_until_idle(test_loop);
	ck_assert_uint_eq(of_right.message, 0);
	ck_assert_uint_eq(lines_with("was not received in 4 tries"), 1);
	run_until_ended(ends[1]);
	close(ends[1]);
	close_both();
}
END_TEST

static unsigned lost;

static void note_loss(const char *point)
{
	lost += strcmp(point, "handle-lost") == 0;
}

START_TEST(a_handle_that_is_lost_once_is_sent_again)
{
	int ends[2], place = -1;

	lost = 0;
	muster__hook = note_loss;
	of_right.keep_fd = true;
	lose_one(ends, &place);
	run_until_count(test_loop, lost, 1);
	if (place >= 0)
		close(place);
	descriptors_release();
	run_until_count(test_loop, of_right.message, 1);
	ck_assert_str_eq(of_right.said, "1 ");
	client_send_text(of_right.fd, "found");
	client_expect_text(ends[1], "found");
	close(of_right.fd);
	run_until_ended(ends[1]);
	close(ends[1]);
	ck_assert_uint_eq(lines_with("was not received"), 0);
	muster__hook = NULL;
	close_both();
}
END_TEST

START_TEST(the_end_of_a_channel_waits_for_a_handle_that_is_to_be_sent_again)
{
	int ends[2], place = -1;

	lost = 0;
	muster__hook = note_loss;
	of_right.keep_fd = true;
	lose_one(ends, &place);
	run_until_count(test_loop, lost, 1);
	ck_assert_int_eq(muster_channel_disconnect(left), 0);
	if (place >= 0)
		close(place);
	descriptors_release();
	run_dry(test_loop);
	ck_assert_uint_eq(of_right.message, 1);
	ck_assert_uint_eq(of_left.disconnect, 1);
	close(of_right.fd);
	close(ends[1]);
	muster__hook = NULL;
}
END_TEST

/* ---- when it is sent */

struct sent_counts {
	unsigned good, bad;
	int last;
	struct muster_channel *again; /* send once more when it failed */
};

static void count_sent(int err, void *data)
{
	struct sent_counts *counts = data;
	struct muster_message message = { .text = "2", .length = 1, .on_sent = count_sent, .data = data };

	counts->good += err == 0;
	counts->bad += err != 0;
	counts->last = err;
	if (err != 0 && counts->again != NULL)
		muster_channel_send(counts->again, &message);
}

START_TEST(on_sent_comes_once_and_not_from_inside_the_call)
{
	struct sent_counts counts = { 0 };
	struct muster_message message = { .text = "1", .length = 1, .on_sent = count_sent, .data = &counts };
	int ends[2];

	open_both();
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	ck_assert_uint_eq(counts.good, 0);
	run_until_count(test_loop, counts.good, 1);
	/* The same for a handle. */
	client_pair_local(ends);
	message.handle_type = MUSTER_HANDLE_FD;
	message.handle.fd = ends[0];
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	ck_assert_uint_eq(counts.good, 1);
	run_until_count(test_loop, counts.good, 2);
	close(ends[1]);
	close_both();
	ck_assert_uint_eq(counts.good, 2);
	ck_assert_uint_eq(counts.bad, 0);
}
END_TEST

START_TEST(a_message_that_is_refused_has_no_on_sent)
{
	struct sent_counts counts = { 0 };
	struct muster_message message = { .text = "\n", .length = 1, .on_sent = count_sent, .data = &counts };

	open_both();
	ck_assert_int_eq(muster_channel_send(left, &message), -EINVAL);
	close_both();
	ck_assert_uint_eq(counts.good + counts.bad, 0);
}
END_TEST

/* More than the kernel takes, of which the first goes and the last cannot. */
static void send_too_much(struct sent_counts *counts)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length, .on_sent = count_sent, .data = counts };
	int i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(muster_channel_send(left, &message), 0);
	free(text);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts->good + counts->bad, 0);
}

START_TEST(on_sent_tells_why_it_never_will_be)
{
	struct sent_counts counts = { 0 };

	open_left();
	send_too_much(&counts);
	leave();
	ck_assert_uint_eq(counts.bad, 3);
	ck_assert_int_eq(counts.last, MUSTER_ECHANNEL);
}
END_TEST

START_TEST(to_send_again_what_failed_is_no_endless_loop)
{
	struct sent_counts counts = { 0 };

	open_left();
	counts.again = left;
	send_too_much(&counts);
	leave();
	ck_assert_uint_ge(counts.bad, 3);
}
END_TEST

START_TEST(to_send_again_while_the_loop_goes_is_no_endless_loop)
{
	struct sent_counts counts = { 0 };

	open_left();
	counts.again = left;
	send_too_much(&counts);
	test_loop_close();
	ck_assert_uint_ge(counts.bad, 3);
	ck_assert_uint_eq(of_left.disconnect, 1);
	close(peer);
}
END_TEST

/* ---- how much is queued */

/* All that the peer is sent, until there is nothing more. */
static size_t drain_peer(void)
{
	static char bytes[65536];
	size_t total = 0;
	ssize_t got;

	while ((got = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		total += (size_t)got;
	return total;
}

START_TEST(a_full_channel_says_so_and_tells_when_it_takes_more)
{
	unsigned sent = 0;
	char *text = long_string(1000);
	struct muster_message message = { .text = text, .length = 1000 };
	size_t got = 0;

	open_left();
	for (; !muster_channel_needs_drain(left); sent++) {
		ck_assert_int_eq(muster_channel_send(left, &message), 0);
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(of_left.drain, 0);
	while (of_left.drain == 0) {
		got += drain_peer();
		run_until_idle(test_loop);
	}
	ck_assert(!muster_channel_needs_drain(left));
	got += drain_peer();
	ck_assert_uint_eq(got, sent * 1001);
	run_until_idle(test_loop);
	ck_assert_uint_eq(of_left.drain, 1);
	free(text);
	leave();
}
END_TEST

START_TEST(on_drain_follows_also_where_the_kernel_takes_all_at_once)
{
	size_t length = 140 * 1024;
	char *text = long_string(length);

	open_left();
	ck_assert(!muster_channel_needs_drain(left));
	ck_assert_int_eq(muster_channel_send(left, &(struct muster_message){ .text = text, .length = length }), 0);
	ck_assert(muster_channel_needs_drain(left));
	free(text);
	run_until_idle(test_loop);
	ck_assert_uint_eq(drain_peer(), length + 1);
	ck_assert(!muster_channel_needs_drain(left));
	ck_assert_uint_eq(of_left.drain, 1);
	leave();
}
END_TEST

START_TEST(little_that_is_queued_tells_nothing)
{
	open_left();
	ck_assert_int_eq(say(left, "1"), 0);
	ck_assert(!muster_channel_needs_drain(left));
	run_until_idle(test_loop);
	ck_assert_uint_eq(of_left.drain, 0);
	leave();
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_ENOBUFS_in_the_end)
{
	size_t length = 4 * 1024 * 1024;
	char *text = long_string(length);
	int i, err = 0;

	open_left();
	for (i = 0; err == 0 && i < 64; i++)
		err = muster_channel_send(left, &(struct muster_message){ .text = text, .length = length });
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert(muster_channel_is_connected(left));
	free(text);
	leave();
}
END_TEST

START_TEST(how_much_may_be_queued_can_be_set)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length, .handle_type = MUSTER_HANDLE_FD };

	open_left();
	muster_channel_set_max_queued(left, length);
	ck_assert_int_eq(say(left, "\"a little\""), 0);
	message.handle.fd = dup(STDIN_FILENO);
	ck_assert_int_eq(muster_channel_send(left, &message), -ENOBUFS);
	muster_channel_set_max_queued(left, 0);
	message.handle_type = MUSTER_HANDLE_NONE;
	ck_assert_int_eq(muster_channel_send(left, &message), 0);
	free(text);
	leave();
}
END_TEST

/* ---- its end */

START_TEST(disconnect_sends_what_is_queued_and_tells_once)
{
	size_t length = 1024 * 1024, got = 0;
	char *text = long_string(length);

	open_left();
	ck_assert_int_eq(muster_channel_send(left, &(struct muster_message){ .text = text, .length = length }), 0);
	free(text);
	ck_assert_int_eq(muster_channel_disconnect(left), 0);
	ck_assert(!muster_channel_is_connected(left));
	ck_assert_uint_eq(of_left.disconnect, 0);
	while (of_left.disconnect == 0) {
		run_until_idle(test_loop);
		got += drain_peer();
	}
	got += drain_peer();
	ck_assert_uint_eq(got, length + 1);
	client_expect_end(peer);
	run_dry(test_loop);
	ck_assert_uint_eq(of_left.disconnect, 1);
	ck_assert_uint_eq(of_left.drain, 0);
	close(peer);
}
END_TEST

START_TEST(a_handle_that_is_queued_goes_before_the_end)
{
	int ends[2];

	open_both();
	of_right.keep_fd = true;
	client_pair_local(ends);
	ck_assert_int_eq(say_with(left, "1", ends[0]), 0);
	close_both();
	ck_assert_uint_eq(of_right.handles, 1);
	close(of_right.fd);
	client_expect_end(ends[1]);
	close(ends[1]);
}
END_TEST

START_TEST(nothing_can_be_asked_of_a_channel_twice)
{
	open_both();
	ck_assert_int_eq(muster_channel_disconnect(left), 0);
	ck_assert_int_eq(muster_channel_disconnect(left), MUSTER_ECHANNEL);
	ck_assert_int_eq(say(left, "1"), MUSTER_ECHANNEL);
	run_dry(test_loop);
	ck_assert_uint_eq(of_left.disconnect, 1);
	ck_assert_uint_eq(of_right.message, 0);
}
END_TEST

START_TEST(both_sides_may_disconnect_at_once)
{
	open_both();
	ck_assert_int_eq(say(left, "1"), 0);
	ck_assert_int_eq(muster_channel_disconnect(right), 0);
	close_both();
}
END_TEST

START_TEST(what_the_peer_said_before_its_end_is_heard)
{
	open_left();
	client_send_text(peer, "1\n2\n{\"half\":");
	leave();
	ck_assert_str_eq(of_left.said, "1 2 ");
	ck_assert_str_eq(of_left.order, "message disconnect");
}
END_TEST

static void leave_at_once(struct muster_channel *channel, struct muster_message *message, void *data)
{
	(void)message, (void)data;
	ck_assert_int_eq(muster_channel_disconnect(channel), 0);
}

START_TEST(it_may_be_disconnected_by_its_own_handler)
{
	static const struct muster_channel_handlers on = { .on_message = leave_at_once };

	open_left();
	ck_assert_int_eq(muster_channel_on(left, &on, NULL), 0);
	client_send_text(peer, "1\n");
	run_dry(test_loop);
	ck_assert_str_eq(of_left.order, "message disconnect");
	client_expect_end(peer);
	close(peer);
}
END_TEST

static void ask_the_dead(struct muster_channel *channel, void *data)
{
	unsigned *asked = data;

	ck_assert_int_eq(muster_channel_disconnect(channel), MUSTER_ECHANNEL);
	ck_assert_int_eq(say(channel, "1"), MUSTER_ECHANNEL);
	ck_assert(!muster_channel_needs_drain(channel));
	ck_assert_ptr_eq(muster_channel_loop(channel), test_loop);
	muster_channel_unref(channel);
	muster_channel_ref(channel);
	(*asked)++;
}

START_TEST(on_disconnect_still_has_a_channel_to_ask)
{
	static const struct muster_channel_handlers on = { .on_disconnect = ask_the_dead };
	unsigned asked = 0;

	open_left();
	ck_assert_int_eq(muster_channel_on(left, &on, &asked), 0);
	leave();
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(a_peer_that_does_not_speak_the_protocol_loses_its_channel)
{
	int i;

	open_left();
	lines_record(MUSTER_LOG_ERROR);
	for (i = 0; i < 100; i++)
		client_send_text(peer, "garbage\n");
	run_dry(test_loop);
	ck_assert_uint_eq(of_left.disconnect, 1);
	ck_assert_uint_eq(of_left.message, 0);
	ck_assert_uint_eq(lines_with("does not speak the protocol"), 1);
	close(peer);
}
END_TEST

START_TEST(it_keeps_the_loop_running_unless_unrefd)
{
	open_left();
	ck_assert_ptr_eq(muster_channel_loop(left), test_loop);
	muster_channel_unref(left);
	run_dry(test_loop);
	ck_assert(muster_channel_is_connected(left));
	/* Its listeners have no say in that. */
	ck_assert_int_eq(muster_channel_on(left, &counting_channel, NULL), 0);
	run_dry(test_loop);
	ck_assert_int_eq(muster_channel_off(left, &counting_channel, NULL), 0);
	muster_channel_ref(left);
	leave();
}
END_TEST

static int no_channel(int kind)
{
	int ends[2] = { -1, -1 };

	switch (kind) {
	case 0: return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1: ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0); break;
	case 2: ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0); break;
	case 3: ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0); break;
	case 4: client_pair(ends); break;
	case 5: return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 6: return client_listen(1);
	default: return kind == 7 ? -1 : 4000;
	}
	close(ends[1]);
	return ends[0];
}

START_TEST(a_descriptor_that_is_no_connected_stream_is_EINVAL_and_closed)
{
	unsigned before = descriptors_open();

	errno = 0;
	ck_assert_ptr_null(muster_channel_open(test_loop, no_channel(_i)));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(descriptors_open(), before);
	run_dry(test_loop);
}
END_TEST

START_TEST(its_descriptor_neither_blocks_nor_is_inherited)
{
	int ends[2];

	client_pair_local(ends);
	ck_assert_int_eq(fcntl(ends[0], F_SETFD, 0), 0);
	left = open_one(ends[0], &of_left);
	peer = ends[1];
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	leave();
}
END_TEST

START_TEST(loop_free_sends_what_is_queued_and_tells_the_end)
{
	open_left();
	ck_assert_int_eq(say(left, "\"farewell\""), 0);
	test_loop_close();
	ck_assert_uint_eq(of_left.disconnect, 1);
	client_expect_text(peer, "\"farewell\"\n");
	client_expect_end(peer);
	close(peer);
}
END_TEST

START_TEST(loop_free_closes_handles_that_cannot_be_sent)
{
	struct sent_counts counts = { 0 };
	int ends[2];

	open_left();
	send_too_much(&counts);
	client_pair_local(ends);
	ck_assert_int_eq(say_with(left, "1", ends[0]), 0);
	test_loop_close();
	client_expect_end(ends[1]);
	close(ends[1]);
	close(peer);
}
END_TEST

static void open_another(struct muster_channel *channel, void *data)
{
	int ends[2];

	(void)channel;
	client_pair_local(ends);
	errno = 0;
	*(bool *)data = muster_channel_open(test_loop, ends[0]) == NULL && errno != 0;
	client_expect_end(ends[1]);
	close(ends[1]);
}

START_TEST(while_the_loop_goes_none_is_opened)
{
	static const struct muster_channel_handlers on = { .on_disconnect = open_another };
	bool refused = false;

	open_left();
	ck_assert_int_eq(muster_channel_on(left, &on, &refused), 0);
	test_loop_close();
	ck_assert(refused);
	close(peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("open_channel");
	TCase *messages = add_loop_case(suite, "messages"), *handles = add_loop_case(suite, "handles");
	TCase *sent = add_loop_case(suite, "sent"), *full = add_loop_case(suite, "full");
	TCase *life = add_loop_case(suite, "life");

	tcase_add_loop_test(messages, any_JSON_value_goes_both_ways, 0, sizeof values / sizeof values[0]);
	tcase_add_loop_test(messages, what_is_beyond_jansson_arrives_as_text, 0, sizeof too_much / sizeof too_much[0]);
	tcase_add_test(messages, a_megabyte_goes_both_ways_at_once);
	tcase_add_test(messages, messages_keep_their_order);
	tcase_add_test(messages, what_is_no_message_is_refused_at_once);
	tcase_add_test(messages, messages_of_clusters_and_of_newer_Nodes_are_ignored);
	tcase_add_test(messages, every_table_hears_every_message);
	tcase_add_test(handles, a_descriptor_goes_both_ways);
	tcase_add_test(handles, a_descriptor_nobody_takes_is_closed);
	tcase_add_loop_test(handles, a_descriptor_that_is_refused_is_closed, 0, 2);
	tcase_add_test(handles, hundreds_of_handles_and_their_messages_stay_together);
	tcase_add_test(handles, a_handle_behind_much_plain_text_arrives_with_its_message);
	tcase_add_test(handles, a_socket_is_given_away);
	tcase_add_test(handles, a_socket_may_be_kept_open);
	tcase_add_loop_test(handles, a_socket_that_cannot_be_sent_is_still_the_callers, 0, 3);
	tcase_add_test(handles, what_has_no_descriptor_is_EHANDLETYPE);
	tcase_add_test(handles, a_server_is_shared_and_either_side_accepts);
	tcase_add_test(handles, a_handle_that_is_lost_four_times_is_closed_and_its_message_not_heard);
	tcase_add_test(handles, a_handle_that_is_lost_once_is_sent_again);
	tcase_add_test(handles, the_end_of_a_channel_waits_for_a_handle_that_is_to_be_sent_again);
	tcase_add_test(sent, on_sent_comes_once_and_not_from_inside_the_call);
	tcase_add_test(sent, a_message_that_is_refused_has_no_on_sent);
	tcase_add_test(sent, on_sent_tells_why_it_never_will_be);
	tcase_add_test(sent, to_send_again_what_failed_is_no_endless_loop);
	tcase_add_test(sent, to_send_again_while_the_loop_goes_is_no_endless_loop);
	tcase_add_test(full, a_full_channel_says_so_and_tells_when_it_takes_more);
	tcase_add_test(full, on_drain_follows_also_where_the_kernel_takes_all_at_once);
	tcase_add_test(full, little_that_is_queued_tells_nothing);
	tcase_add_test(full, a_peer_that_does_not_read_is_ENOBUFS_in_the_end);
	tcase_add_test(full, how_much_may_be_queued_can_be_set);
	tcase_add_test(life, disconnect_sends_what_is_queued_and_tells_once);
	tcase_add_test(life, a_handle_that_is_queued_goes_before_the_end);
	tcase_add_test(life, nothing_can_be_asked_of_a_channel_twice);
	tcase_add_test(life, both_sides_may_disconnect_at_once);
	tcase_add_test(life, what_the_peer_said_before_its_end_is_heard);
	tcase_add_test(life, it_may_be_disconnected_by_its_own_handler);
	tcase_add_test(life, on_disconnect_still_has_a_channel_to_ask);
	tcase_add_test(life, a_peer_that_does_not_speak_the_protocol_loses_its_channel);
	tcase_add_test(life, it_keeps_the_loop_running_unless_unrefd);
	tcase_add_loop_test(life, a_descriptor_that_is_no_connected_stream_is_EINVAL_and_closed, 0, 9);
	tcase_add_test(life, its_descriptor_neither_blocks_nor_is_inherited);
	tcase_add_test(life, loop_free_sends_what_is_queued_and_tells_the_end);
	tcase_add_test(life, loop_free_closes_handles_that_cannot_be_sent);
	tcase_add_test(life, while_the_loop_goes_none_is_opened);
	return run_suite(suite);
}
