/*
 * tests/cluster/test_node_handles.c - handles by the thousand between Node and us, whoever of the two is parent or child,
 * primary or worker; in both directions at once; and one side killed in the midst of it.
 */
#include "tests/support/client.h"
#include "tests/support/channels.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <muster/muster.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODE_CHILD TEST_SOURCE_DIR "/tests/node/child.js"
#define NODE_STORM TEST_SOURCE_DIR "/tests/node/storm.js"
#define MUSTER_CHILD TEST_BUILD_DIR "/tests/node/child"
#define AT_ONCE 100
#define MANY 10000
#define LONG ((size_t)100 * 1024)

/* Node is our child, or our worker; either way there is a channel to it. */
static const char *const roles[] = { "child", "worker" };
static struct muster_child *child;
static struct muster_cluster *cluster;
static struct channel_counts of_child;
static struct worker_counts of_worker;

static struct muster_channel *node_begin(int role)
{
	const char *as_child[] = { "node", NODE_CHILD, NULL }, *as_worker[] = { "node", NODE_WORKER, "{}", NULL };

	if (role == 0) {
		child = muster_child_spawn(test_loop, &(struct muster_child_options){ .exec = as_child });
		ck_assert_ptr_nonnull(child);
		ck_assert_int_eq(muster_child_on(child, &counting_child, &of_child), 0);
		run_until_count(test_loop, of_child.message, 1);
		return muster_child_channel(child);
	}
	cluster = new_cluster(&(struct muster_cluster_options){ .exec = as_worker }, NULL, &of_worker);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, of_worker.online, 1);
	return muster_worker_channel(worker_by_id(cluster, 1));
}

static pid_t node_pid(void)
{
	return child != NULL ? muster_child_pid(child) : muster_worker_pid(worker_by_id(cluster, 1));
}

static bool has_exited(void *data)
{
	(void)data;
	return of_child.exit + of_worker.exit > 0;
}

static void node_finish(struct muster_channel *channel)
{
	if (cluster != NULL) {
		close_cluster(cluster, &of_worker);
		return;
	}
	ck_assert_int_eq(muster_channel_disconnect(channel), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(of_child.exit, 1);
	ck_assert_int_eq(of_child.code + of_child.signal, 0);
}

/* ---- down: sockets for Node, each with its number, which Node says on it */

static struct down {
	struct muster_channel *channel;
	unsigned total, begun, taken, answered, ended, sent, failed;
	unsigned long_every; /* so many, and a long message before the next */
	bool over;           /* the channel is gone: begin no more */
} down;

static void down_more(void);

static void on_number(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	char want[24];

	(void)socket;
	snprintf(want, sizeof want, "%u\n", (unsigned)(uintptr_t)data);
	ck_assert_msg(length == strlen(want) && memcmp(bytes, want, length) == 0, "%.*s instead of %s", (int)length,
		      (const char *)bytes, want);
	down.answered++;
}

static void on_number_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error, (void)data;
	down.ended++;
	down_more();
}

static void on_sent(int err, void *data)
{
	(void)data;
	down.sent++;
	down.failed += err < 0;
}

static void down_one(unsigned number)
{
	static const struct muster_socket_handlers on = { .on_data = on_number, .on_close = on_number_close };
	struct muster_message message = { .handle_type = MUSTER_HANDLE_FD, .on_sent = on_sent };
	struct muster_socket *socket;
	char text[16];
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	socket = muster_socket_open(test_loop, ends[0], NULL);
	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_on(socket, &on, (void *)(uintptr_t)number), 0);
	message.length = (size_t)snprintf(text, sizeof text, "%u", number);
	message.text = text;
	message.handle.fd = ends[1];
	/* A refused message has no on_sent, and its handle is closed. */
	if (muster_channel_send(down.channel, &message) == 0)
		down.taken++;
	else
		down.over = true;
}

static void say_long(struct muster_channel *channel)
{
	char *text = long_string(LONG);

	muster_channel_send(channel, &(struct muster_message){ .text = text, .length = LONG });
	free(text);
}

static void down_more(void)
{
	while (!down.over && down.begun < down.total && down.begun - down.ended < AT_ONCE) {
		if (down.long_every != 0 && down.begun % down.long_every == down.long_every - 1)
			say_long(down.channel);
		down_one(down.begun++);
	}
}

static void down_begin(struct muster_channel *channel, unsigned total, unsigned long_every)
{
	down = (struct down){ .channel = channel, .total = total, .long_every = long_every };
	down_more();
}

/* ---- up: sockets from Node, which it has connected to a server of ours; each gets the port it is to have */

static struct up {
	unsigned given, arrived, wrong;
} up;

static void on_given(struct muster_channel *channel, struct muster_message *message, void *data)
{
	char text[16];
	int fd, length = snprintf(text, sizeof text, "%d", (int)json_integer_value(message->json));

	(void)channel, (void)data;
	if (message->handle_type == MUSTER_HANDLE_NONE)
		return;
	fd = muster_message_take_fd(message);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, (size_t)length), length);
	close(fd);
	up.given++;
}

static void on_port(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct muster_address address;
	char text[16];

	(void)data;
	ck_assert_int_eq(muster_socket_remote_address(socket, &address), 0);
	snprintf(text, sizeof text, "%u", address.port);
	up.wrong += length != strlen(text) || memcmp(bytes, text, length) != 0;
	up.arrived++;
}

static void on_up_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = on_port };

	(void)server, (void)data;
	ck_assert_int_eq(muster_socket_on(socket, &on, NULL), 0);
}

/* So many, some at a time, with long messages between them. */
static struct muster_server *up_begin(struct muster_channel *channel, unsigned total, unsigned long_every)
{
	static const struct muster_channel_handlers on = { .on_message = on_given };
	static const struct muster_server_handlers on_server = { .on_connection = on_up_connection };
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	char script[512];
	json_t *json;

	ck_assert_int_eq(muster_server_on(server, &on_server, NULL), 0);
	ck_assert_int_eq(muster_channel_on(channel, &on, NULL), 0);
	snprintf(
		script, sizeof script,
		"let n = 0; const next = () => { if (n++ >= %u) return; if (n %% %u === 0) process.send('y'.repeat(%zu)); "
		"const s = net.connect(%u, '127.0.0.1', () => process.send(s.localPort, s, next)); s.on('error', () => {}); };"
		"for (let i = 0; i < 50; i++) next();",
		total, long_every != 0 ? long_every : total + 1, LONG, server_port(server));
	json = json_pack("{s:s}", "run", script);
	ck_assert_int_eq(muster_channel_send(channel, &(struct muster_message){ .json = json }), 0);
	json_decref(json);
	return server;
}

/* ---- Each stretch has a patience of its own. */

static void run_to(const unsigned *count, unsigned total)
{
	unsigned goal;

	for (goal = 500; goal <= total; goal += 500)
		run_until_count(test_loop, *count, goal);
}

START_TEST(ten_thousand_handles_reach_Node_each_with_its_message)
{
	struct muster_channel *channel = node_begin(_i);

	down_begin(channel, MANY, 0);
	run_to(&down.ended, MANY);
	ck_assert_uint_eq(down.answered, MANY);
	ck_assert_uint_eq(down.sent, MANY);
	ck_assert_uint_eq(down.failed, 0);
	node_finish(channel);
}
END_TEST

START_TEST(ten_thousand_handles_come_from_Node_each_with_its_message)
{
	struct muster_channel *channel = node_begin(_i);
	struct muster_server *server = up_begin(channel, MANY, 0);

	run_to(&up.arrived, MANY);
	ck_assert_uint_eq(up.given, MANY);
	ck_assert_uint_eq(up.wrong, 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	node_finish(channel);
}
END_TEST

/* Neither waits for the other, though each waits for answers, and both pipes are full of long messages. */
START_TEST(handles_go_both_ways_at_once_behind_long_messages)
{
	struct muster_channel *channel = node_begin(_i);
	struct muster_server *server = up_begin(channel, 2000, 20);

	down_begin(channel, 2000, 20);
	run_to(&up.arrived, 2000);
	run_to(&down.ended, 2000);
	ck_assert_uint_eq(down.answered, 2000);
	ck_assert_uint_eq(up.wrong, 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	node_finish(channel);
}
END_TEST

/* Each message is accounted for, each socket ends, and none of the descriptors stays here. */
START_TEST(when_Node_is_killed_every_handle_on_its_way_is_closed)
{
	struct muster_channel *channel = node_begin(_i);
	struct muster_server *server = up_begin(channel, MANY, 20);

	lines_record(MUSTER_LOG_ERROR);
	down_begin(channel, MANY, 20);
	run_to(&down.ended, 1000);
	ck_assert_int_eq(kill(node_pid(), SIGKILL), 0);
	run_until(test_loop, has_exited, NULL);
	down.over = true;
	run_until_count(test_loop, down.ended, down.begun);
	run_until_count(test_loop, down.sent, down.taken);
	ck_assert_int_eq(muster_server_close(server), 0);
	if (_i == 1)
		ck_assert_int_eq(muster_cluster_close(cluster), 0);
	run_dry(test_loop);
	ck_assert_int_eq(_i == 0 ? of_child.signal : of_worker.signal, SIGKILL);
}
END_TEST

/* We are killed: Node sees it, and ends by itself. */
START_TEST(when_we_are_killed_Node_ends)
{
	pid_t *node = mmap(NULL, sizeof *node, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
	      self = getpid(), us;

	ck_assert_ptr_ne(node, MAP_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	us = fork();
	ck_assert_int_ge(us, 0);
	if (us == 0) {
		struct muster_channel *channel;

		process_bind(self);
		test_loop = muster_loop_new();
		channel = node_begin(_i);
		up_begin(channel, MANY, 20);
		down_begin(channel, MANY, 20);
		run_to(&down.ended, 1000);
		*node = node_pid();
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(process_wait(us), 128 + SIGKILL);
	ck_assert_int_ge(*node, 1);
	ck_assert_int_eq(process_wait(*node), 0);
	munmap(node, sizeof *node);
}
END_TEST

/* ---- connections of a server of ours that Node holds */

#define HOLD                                                                                                           \
	"process.removeAllListeners('message'); globalThis.held = []; process.on('message', (message, socket) => { "   \
	"if (socket) held.push(socket); else held.pop().destroy(); process.send(held.length); })"

static void run_script(struct muster_channel *channel, const char *script)
{
	json_t *json = json_pack("{s:s}", "run", script);

	ck_assert_int_eq(muster_channel_send(channel, &(struct muster_message){ .json = json }), 0);
	json_decref(json);
}

static const unsigned *messages(void)
{
	return child != NULL ? &of_child.message : &of_worker.message;
}

static void give_to_node(struct muster_server *server, struct muster_socket *socket, void *data)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };

	(void)server;
	message.handle.socket = socket;
	ck_assert_int_eq(muster_channel_send(data, &message), 0);
}

static unsigned open_there, answers;

static void note_count(struct muster_server *server, int err, unsigned count, void *data)
{
	(void)server, (void)data;
	ck_assert_int_eq(err, 0);
	open_there = count;
	answers++;
}

static unsigned count_of(struct muster_server *server)
{
	unsigned before = answers;

	ck_assert_int_eq(muster_server_get_connections(server, note_count, NULL), 0);
	run_until_count(test_loop, answers, before + 1);
	return open_there;
}

static void run_to_message(unsigned count)
{
	run_until_reached(test_loop, messages(), count, "messages");
}

START_TEST(what_Node_holds_is_counted_and_waited_for)
{
	static const struct muster_server_handlers on = { .on_connection = give_to_node };
	struct muster_channel *channel = node_begin(_i);
	struct server_counts of_server = { 0 };
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .pause_on_connect = true }, &of_server);
	unsigned before = *messages(), i;
	int clients[2];

	run_script(channel, HOLD);
	ck_assert_int_eq(muster_server_on(server, &on, channel), 0);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_until_count(test_loop, of_server.listening, 1);
	for (i = 0; i < 2; i++) {
		clients[i] = client_connect_port(server_port(server));
		run_to_message(before + i + 1);
	}
	ck_assert_uint_eq(count_of(server), 2);
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(say(channel, "1"), 0);
	run_to_message(before + 3);
	ck_assert_uint_eq(of_server.close, 0);
	ck_assert_int_eq(say(channel, "1"), 0);
	run_until_count(test_loop, of_server.close, 1);
	for (i = 0; i < 2; i++) {
		client_expect_end(clients[i]);
		close(clients[i]);
	}
	node_finish(channel);
}
END_TEST

/* ---- Node is the parent, or the primary */

static struct node node;

static void storm_begin(int role, const char *total, const char *long_every, const char *end)
{
	const char *program = role == 0 ? MUSTER_CHILD : MUSTER_WORKER;

	node_launch(&node,
		    (const char *const[]){ "node", NODE_STORM, roles[role], program, total, long_every, end, NULL });
}

/* All of both ways, and an end without complaints. */
static void storm_through(int role, unsigned total, const char *long_every)
{
	char text[16], so_far[32];
	unsigned sum;

	snprintf(text, sizeof text, "%u", total);
	storm_begin(role, text, long_every, "leave");
	for (sum = 500; sum <= 2 * total; sum += 500) {
		snprintf(so_far, sizeof so_far, "so far %u\n", sum);
		node_await(&node, so_far);
	}
	node_await(&node, "exit 0\n");
	ck_assert_uint_eq(node_await_number(&node, "answered "), total);
	ck_assert_uint_eq(node_await_number(&node, "given "), total);
	ck_assert_uint_eq(node_await_number(&node, "wrong "), 0);
	node_end(&node);
}

START_TEST(ten_thousand_handles_go_both_ways_under_a_parent_in_Node)
{
	storm_through(_i, 10000, "0");
}
END_TEST

START_TEST(long_messages_stand_between_handles_of_a_parent_in_Node)
{
	storm_through(_i, 2000, "20");
}
END_TEST

START_TEST(a_parent_in_Node_sees_us_killed_in_the_midst)
{
	storm_begin(_i, "2000", "20", "kill");
	node_await(&node, "exit SIGKILL\n");
	ck_assert_uint_eq(node_await_number(&node, "wrong "), 0);
	node_end(&node);
}
END_TEST

/* Its end closes our channel; what we had taken is answered, and we end as well. */
START_TEST(a_parent_in_Node_that_is_killed_in_the_midst_leaves_nobody)
{
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	storm_begin(_i, "2000", "20", "die");
	pid = (pid_t)node_await_number(&node, "pid ");
	ck_assert_int_eq(process_wait(node.pid), 128 + SIGKILL);
	ck_assert_int_eq(process_wait(pid), 0);
	close(node.in);
	close(node.out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_handles");
	TCase *ours = add_loop_case(suite, "Node below us"), *theirs = add_case(suite, "Node above us");

	if (!node_is_installed())
		return 0;
	tcase_set_timeout(ours, 120);
	tcase_set_timeout(theirs, 120);
	tcase_add_test(ours, ten_thousand_handles_reach_Node_each_with_its_message);
	tcase_add_test(ours, ten_thousand_handles_come_from_Node_each_with_its_message);
	tcase_add_loop_test(ours, handles_go_both_ways_at_once_behind_long_messages, 0, 2);
	tcase_add_loop_test(ours, when_Node_is_killed_every_handle_on_its_way_is_closed, 0, 2);
	tcase_add_loop_test(ours, what_Node_holds_is_counted_and_waited_for, 0, 2);
	tcase_add_loop_test(theirs, when_we_are_killed_Node_ends, 0, 2);
	tcase_add_test(theirs, ten_thousand_handles_go_both_ways_under_a_parent_in_Node);
	tcase_add_loop_test(theirs, long_messages_stand_between_handles_of_a_parent_in_Node, 0, 2);
	tcase_add_loop_test(theirs, a_parent_in_Node_sees_us_killed_in_the_midst, 0, 2);
	tcase_add_loop_test(theirs, a_parent_in_Node_that_is_killed_in_the_midst_leaves_nobody, 0, 2);
	return run_suite(suite);
}
