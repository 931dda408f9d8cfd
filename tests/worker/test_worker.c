/* tests/worker/test_worker.c - messages between a primary and its workers, and workers that misbehave. */
#include "ipc/fdpass.h"
#include "ipc/peer.h"

#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

static struct muster_cluster *cluster_of(muster_worker_function function, void *data)
{
	return new_cluster(&(struct muster_cluster_options){ .worker = function, .data = data }, NULL, &counts);
}

static struct muster_cluster *start_one(muster_worker_function function, void *data)
{
	struct muster_cluster *cluster = cluster_of(function, data);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.online, 1);
	return cluster;
}

static int send_text(struct muster_worker *worker, const char *text)
{
	return muster_worker_send(worker, &(struct muster_message){ .text = text, .length = strlen(text) });
}

/* ---- A worker that sends everything back, with what came with it. */

static void send_back(struct muster_worker *self, struct muster_message *message, void *data)
{
	struct muster_message answer = { .json = message->json };

	(void)data;
	if (message->json == NULL) {
		answer.text = "\"text\"";
		answer.length = 6;
	}
	if (message->handle_type != MUSTER_HANDLE_NONE) {
		answer.handle_type = MUSTER_HANDLE_FD;
		answer.handle.fd = muster_message_take_fd(message);
	}
	if (muster_worker_send(self, &answer) < 0)
		_exit(9);
}

static int mirror(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = send_back };

	(void)data;
	return muster_worker_on(self, &on, NULL);
}

START_TEST(any_json_value_goes_there_and_back)
{
	static const char *const values[] = { "1",
					      "\"a\\nb\"",
					      "null",
					      "true",
					      "{\"a\":[1,2.5,{}],\"b\":\"\xc3\xa9\"}",
					      "[]",
					      "-9223372036854775808",
					      "\"a\\u0000b\"" };
	struct muster_cluster *cluster = start_one(mirror, NULL);
	char want[128];
	size_t i;

	for (i = 0; i < sizeof values / sizeof values[0]; i++) {
		json_t *json = json_loads(values[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		struct muster_message message = { .json = json };

		counts.said[0] = '\0';
		ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
		json_decref(json);
		run_until_count(test_loop, counts.message, (unsigned)i + 1);
		snprintf(want, sizeof want, "%s ", values[i]);
		ck_assert_str_eq(counts.said, want);
	}
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(text_that_is_json_already_may_be_sent)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);

	ck_assert_int_eq(send_text(worker_by_id(cluster, 1), "{\"ready\": \"made\"}"), 0);
	run_until_said(&counts, "{\"ready\":\"made\"}");
	/* Too much for jansson, though legal: it arrives as text. */
	ck_assert_int_eq(send_text(worker_by_id(cluster, 1), "\"\\ud800\""), 0);
	run_until_said(&counts, "\"text\"");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(what_is_no_message_is_refused_at_once)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	unsigned before = descriptors_open();
	struct muster_message odd = { .text = "1", .length = 1, .handle_type = (enum muster_handle_type)7 };
	struct muster_message with_fd = { .text = "1\n", .length = 2, .handle_type = MUSTER_HANDLE_FD };

	ck_assert_int_eq(muster_worker_send(worker, &(struct muster_message){ 0 }), -EINVAL);
	ck_assert_int_eq(send_text(worker, ""), -EINVAL);
	ck_assert_int_eq(send_text(worker, "1\n2"), -EINVAL);
	ck_assert_int_eq(muster_worker_send(worker, &odd), MUSTER_EHANDLETYPE);
	/* A descriptor is taken in every case. */
	with_fd.handle.fd = dup(STDIN_FILENO);
	ck_assert_int_eq(muster_worker_send(worker, &with_fd), -EINVAL);
	ck_assert_uint_eq(descriptors_open(), before);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.message, 0);
}
END_TEST

START_TEST(thousands_of_messages_keep_their_order)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	char text[32], tail[32];
	unsigned i;

	for (i = 1; i <= 5000; i++) {
		snprintf(text, sizeof text, "%u", i);
		ck_assert_int_eq(send_text(worker, text), 0);
		if (i % 400 == 0) {
			/* `said` is bounded: keep what is said last. */
			run_until_count(test_loop, counts.message, i);
			snprintf(tail, sizeof tail, "%u %u %u ", i - 2, i - 1, i);
			ck_assert_ptr_nonnull(strstr(counts.said, tail));
			counts.said[0] = '\0';
		}
	}
	run_until_count(test_loop, counts.message, 5000);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_megabyte_goes_there_and_back)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	size_t length = 1024 * 1024;
	char *text = malloc(length);

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1),
					    &(struct muster_message){ .text = text, .length = length }),
			 0);
	free(text);
	run_until_count(test_loop, counts.message, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static ino_t inode(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

START_TEST(a_descriptor_goes_there_and_back)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	struct muster_message message = { .text = "\"with\"", .length = 6, .handle_type = MUSTER_HANDLE_FD };
	unsigned before = descriptors_open();
	int ends[2];
	ino_t sent;

	client_pair(ends);
	counts.keep_fd = true;
	sent = inode(ends[0]);
	message.handle.fd = ends[0];
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_str_eq(counts.said, "\"with\" ");
	ck_assert(inode(counts.fd) == sent);
	/* It is the only one left: its end reaches the peer. */
	close(counts.fd);
	client_expect_end(ends[1]);
	close(ends[1]);
	ck_assert_uint_eq(descriptors_open(), before);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_descriptor_nobody_takes_is_closed)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_FD };
	int ends[2];

	client_pair(ends);
	message.handle.fd = ends[0];
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_count(test_loop, counts.message, 1);
	client_expect_end(ends[1]);
	close(ends[1]);
	close_cluster(cluster, &counts);
}
END_TEST

static void greet_socket(struct muster_worker *self, struct muster_message *message, void *data)
{
	struct muster_socket *socket = muster_message_take_socket(message, muster_worker_loop(self));

	(void)data;
	if (socket == NULL || muster_message_take_fd(message) != -ENOENT)
		_exit(9);
	muster_socket_write(socket, "hello from the worker", 21);
	muster_socket_end(socket);
}

static int greeter(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = greet_socket };

	(void)data;
	return muster_worker_on(self, &on, NULL);
}

START_TEST(an_open_socket_is_given_away_to_a_worker)
{
	struct muster_cluster *cluster = start_one(greeter, NULL);
	static struct socket_counts of_socket;
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	struct muster_socket *socket;
	int ends[2];

	client_pair(ends);
	socket = muster_socket_open(test_loop, ends[0], NULL);
	ck_assert_int_eq(muster_socket_on(socket, &deaf_socket, &of_socket), 0);
	message.handle.socket = socket;
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_readable(ends[1]);
	client_expect_text(ends[1], "hello from the worker");
	client_expect_end(ends[1]);
	close(ends[1]);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(of_socket.close, 1);
	ck_assert_uint_eq(of_socket.bad_close, 0);
}
END_TEST

START_TEST(a_socket_that_cannot_be_sent_is_still_the_callers)
{
	struct muster_cluster *cluster = start_one(greeter, NULL);
	static struct socket_counts of_socket;
	struct muster_message message = { .text = "1\n", .length = 2, .handle_type = MUSTER_HANDLE_SOCKET };
	struct muster_socket *socket;
	int peer;

	socket = socket_with_peer(test_loop, &peer, &of_socket);
	message.handle.socket = socket;
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), -EINVAL);
	ck_assert_int_eq(muster_socket_write(socket, "mine", 4), 0);
	client_expect_text(peer, "mine");
	muster_socket_destroy(socket, 0);
	close(peer);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_does_not_read_is_ENOBUFS_in_the_end)
{
	struct muster_cluster *cluster = start_one(mirror, NULL);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	size_t length = 4 * 1024 * 1024;
	char *text = malloc(length);
	int i, err = 0;

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	process_freeze(muster_worker_pid(worker));
	for (i = 0; err == 0 && i < 64; i++)
		err = muster_worker_send(worker, &(struct muster_message){ .text = text, .length = length });
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert(muster_worker_is_connected(worker));
	free(text);
	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_worker_kill(worker, SIGKILL), 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Who keeps a worker running. */

static int listen_for_a_while(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = send_back };

	(void)data;
	if (muster_worker_on(self, &on, NULL) < 0)
		return -ENOMEM;
	return muster_worker_off(self, &on, NULL);
}

START_TEST(a_worker_that_no_longer_listens_to_messages_may_end)
{
	struct muster_cluster *cluster = cluster_of(listen_for_a_while, NULL);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 0);
	close_cluster(cluster, &counts);
}
END_TEST

static unsigned *goodbyes; /* shared with the worker */

static void say_goodbye(struct muster_worker *self, void *data)
{
	(void)data;
	*goodbyes += muster_worker_is_connected(self) ? 100 : 1;
}

static int wait_for_the_end(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_disconnect = say_goodbye };

	return muster_worker_on(self, &on, data);
}

START_TEST(a_worker_is_told_once_when_its_channel_closes)
{
	struct muster_cluster *cluster;

	goodbyes = mmap(NULL, sizeof *goodbyes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(goodbyes, MAP_FAILED);
	cluster = start_one(wait_for_the_end, NULL);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(*goodbyes, 1);
}
END_TEST

static unsigned *taken_in;
static bool inside;

static void take_in(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	if (inside)
		_exit(9);
	++*taken_in;
	muster_socket_destroy(socket, 0);
}

/* A client is in the queue, and has not been accepted. */
static void leave_at_once(struct muster_server *server, void *data)
{
	struct muster_address address;

	if (muster_server_address(server, &address) < 0)
		_exit(8);
	client_connect_port(address.port);
	inside = true;
	muster_worker_disconnect(data);
	inside = false;
}

static int serve_one_and_leave(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_listening = leave_at_once, .on_connection = take_in };
	struct muster_listen_options options = { .host = "127.0.0.1", .policy = MUSTER_POLICY_SHARED };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	(void)data;
	muster_server_on(server, &on, self);
	return muster_server_listen(server, &options);
}

START_TEST(disconnect_takes_in_what_is_queued_and_not_from_inside_the_call)
{
	struct muster_cluster *cluster;

	taken_in = mmap(NULL, sizeof *taken_in, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(taken_in, MAP_FAILED);
	cluster = start_one(serve_one_and_leave, NULL);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
	ck_assert_uint_eq(*taken_in, 1);
	close_cluster(cluster, &counts);
	munmap(taken_in, sizeof *taken_in);
}
END_TEST

/* ---- A rogue: it writes to its channel what it likes. */

static const char *rogue_text;
static unsigned rogue_times;
static bool rogue_fd, rogue_stays;

static void rogue_write(int fd)
{
	size_t length = strlen(rogue_text), at;
	unsigned i;

	for (i = 0; i < rogue_times; i++)
		for (at = 0; at < length;) {
			ssize_t sent = muster__fdpass_send(fd, rogue_text + at, length - at,
							   rogue_fd && at == 0 ? STDIN_FILENO : -1);

			if (sent == -EPIPE || sent == -ECONNRESET)
				return;
			at += sent > 0 ? (size_t)sent : 0;
		}
}

static int rogue(struct muster_worker *self, void *data)
{
	if (muster_worker_id(self) != 1)
		return serve(self, data);
	muster__channel_flush(&self->channel);
	rogue_write(self->channel.fd);
	if (rogue_stays)
		return mirror(self, data);
	_exit(0);
}

static struct muster_cluster *rogue_and_honest(void)
{
	struct muster_cluster *cluster = cluster_of(rogue, &service);

	lines_record(MUSTER_LOG_WARN);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	return cluster;
}

static void expect_honest_one_serves(struct muster_cluster *cluster)
{
	int client;

	run_until_count(test_loop, counts.exit, 1);
	/* The rogue may have named another port. */
	run_until_said(&counts, "\"listening ");
	client = client_connect_port((unsigned)strtoul(strstr(counts.said, "\"listening ") + 11, NULL, 10));
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	close_cluster(cluster, &counts);
}

static const struct {
	const char *text;
	unsigned times;
	bool fd;
} evil[] = {
	{ "garbage\n", 100, false },
	{ "\n", 100, false },
	{ "\xff\xfe\x00", 1, false },
	{ "{\"cmd\":\"NODE_HANDLE_ACK\"}\n", 5, false },
	{ "{\"cmd\":\"NODE_HANDLE_NACK\"}\n", 50, false },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":1}\n", 40, true },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":1}\n", 40, false },
	{ "\"plain\"\n", 40, true },
	{ "{", 5000, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n", 5, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"127.0.0.1:0:4:undefined:0\",\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\","
	  "\"key\":\"127.0.0.1:0:4:undefined:0\\u0000xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "\"}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"x\",\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"ack\":12345,\"accepted\":true,\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"ack\":12345,\"accepted\":false,\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_MUSTER\",\"act\":\"room\"}\n", 300, false },
	{ "{\"cmd\":\"NODE_MUSTER\",\"act\":\"stop\"}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"seq\":0}\n", 3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"\\n\\\"\",\"port\":0,"
	  "\"addressType\":4,\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":null,\"port\":70000,\"addressType\":4,"
	  "\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"fd\":0,\"port\":null,\"addressType\":null,\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"1.2.3\",\"port\":0,\"addressType\":4,"
	  "\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"::1\",\"port\":0,\"addressType\":4,"
	  "\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"/\",\"port\":-1,\"addressType\":-1,"
	  "\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":null,\"port\":0,\"addressType\":4,"
	  "\"backlog\":-7,\"seq\":0}\n",
	  3, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"address\":7,\"port\":\"x\",\"addressType\":-1,"
	  "\"seq\":0}\n",
	  1, false },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":0}\n", 5, false },
};

START_TEST(whatever_a_rogue_worker_says_harms_no_one)
{
	rogue_text = evil[_i].text;
	rogue_times = evil[_i].times;
	rogue_fd = evil[_i].fd;
	expect_honest_one_serves(rogue_and_honest());
}
END_TEST

START_TEST(a_rogue_that_stays_loses_its_channel_and_leaves)
{
	struct muster_cluster *cluster;

	rogue_text = "garbage\n";
	rogue_times = 30;
	rogue_stays = true;
	cluster = rogue_and_honest();
	run_until_count(test_loop, counts.disconnect, 1);
	ck_assert_uint_eq(lines_with("does not speak the protocol"), 1);
	expect_honest_one_serves(cluster);
}
END_TEST

static int close_channel(struct muster_worker *self, void *data)
{
	(void)data;
	shutdown(self->channel.fd, SHUT_RDWR);
	pause();
	return 0;
}

START_TEST(a_worker_that_closes_its_channel_and_stays_is_disconnected_and_can_be_killed)
{
	struct muster_cluster *cluster = cluster_of(close_channel, NULL);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.disconnect, 1);
	ck_assert(!muster_worker_is_connected(worker_by_id(cluster, 1)));
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), MUSTER_ECHANNEL);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 disconnect1 exit1");
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *messages = add_loop_case(suite, "messages"), *alive = add_loop_case(suite, "alive");
	TCase *rogues = add_loop_case(suite, "rogue");

	tcase_add_test(messages, any_json_value_goes_there_and_back);
	tcase_add_test(alive, disconnect_takes_in_what_is_queued_and_not_from_inside_the_call);
	tcase_add_test(messages, text_that_is_json_already_may_be_sent);
	tcase_add_test(messages, what_is_no_message_is_refused_at_once);
	tcase_add_test(messages, thousands_of_messages_keep_their_order);
	tcase_add_test(messages, a_megabyte_goes_there_and_back);
	tcase_add_test(messages, a_descriptor_goes_there_and_back);
	tcase_add_test(messages, a_descriptor_nobody_takes_is_closed);
	tcase_add_test(messages, an_open_socket_is_given_away_to_a_worker);
	tcase_add_test(messages, a_socket_that_cannot_be_sent_is_still_the_callers);
	tcase_add_test(messages, a_worker_that_does_not_read_is_ENOBUFS_in_the_end);
	tcase_add_test(alive, a_worker_that_no_longer_listens_to_messages_may_end);
	tcase_add_test(alive, a_worker_is_told_once_when_its_channel_closes);
	tcase_add_loop_test(rogues, whatever_a_rogue_worker_says_harms_no_one, 0, sizeof evil / sizeof evil[0]);
	tcase_add_test(rogues, a_rogue_that_stays_loses_its_channel_and_leaves);
	tcase_add_test(rogues, a_worker_that_closes_its_channel_and_stays_is_disconnected_and_can_be_killed);
	return run_suite(suite);
}
