/*
 * tests/src/test_faults_memory.c - each allocation fails once, the first, the second, and so on until none is left to
 * fail: a call says so and nothing follows, or an event does. Nothing crashes, hangs, leaks, or forgets an on_close.
 */
#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/nameserver.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <event2/event.h>
#include <muster/block_list.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <muster/server.h>
#include <muster/socket.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Which allocations, and how many in a row. */
static const struct mode {
	unsigned calls, times;
} modes[] = {
	{ FAULTS_MEMORY, 1 },
	{ FAULTS_LIBEVENT, 1 },
	{ FAULTS_MEMORY | FAULTS_LIBEVENT, 2 },
	{ FAULTS_MEMORY, FAULTS_FOREVER },
	{ FAULTS_LIBEVENT, FAULTS_FOREVER },
	{ FAULTS_MEMORY | FAULTS_LIBEVENT, FAULTS_FOREVER },
};

static struct faults_plan plan;

/*
 * A story returns the promise that was broken, or NULL: an assertion would allocate, and fail by itself. What it makes
 * it frees. A story that hangs ends by a signal that says where.
 */
typedef const char *(*story)(void);

#define PROMISE(holds)                                                                                                 \
	do {                                                                                                           \
		if (!(holds))                                                                                          \
			return #holds;                                                                                 \
	} while (0)

static char hang[64];

static void on_alarm(int signal)
{
	(void)signal;
	if (write(STDERR_FILENO, hang, strlen(hang)) >= 0)
		abort();
}

static void tell_once(story tell)
{
	unsigned open = descriptors_open();
	long blocks = faults_blocks();
	const char *broken;

	snprintf(hang, sizeof hang, "the story hangs with failure %u\n", plan.at);
	alarm(test_patience());
	faults_begin(&plan);
	broken = tell();
	faults_end();
	alarm(0);
	ck_assert_msg(broken == NULL, "broken with failure %u: %s", plan.at, broken);
	ck_assert_msg(descriptors_open() == open, "failure %u leaks a descriptor", plan.at);
	ck_assert_msg(faults_blocks() == blocks, "failure %u leaks %ld blocks", plan.at, faults_blocks() - blocks);
}

/* Again and again, until a run comes to its end before the failure. */
static void tell_with_each_failure(story tell, int mode, size_t limit)
{
	signal(SIGALRM, on_alarm);
	plan = (struct faults_plan){ .calls = modes[mode].calls, .times = modes[mode].times, .limit = limit };
	/* What is allocated once for ever, and a story that holds at all. */
	tell_once(tell);
	do {
		plan.at++;
		tell_once(tell);
	} while (faults_failed() > 0);
	if (plan.calls & FAULTS_MEMORY)
		ck_assert_uint_ge(plan.at, 2);
}

static bool is_forever(void)
{
	return plan.times == FAULTS_FOREVER;
}

/* ---- what a story needs and what it does not want to see fail */

static struct muster_loop *sound_loop(void)
{
	struct muster_loop *loop;

	faults_pause();
	loop = muster_loop_new();
	faults_resume();
	return loop;
}

static int sound_client(unsigned at)
{
	int fd;

	faults_pause();
	fd = client_connect_port(at);
	client_send_text(fd, "hello");
	faults_resume();
	return fd;
}

static void sound_pair(int ends[2])
{
	faults_pause();
	client_pair(ends);
	faults_resume();
}

static bool is_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return poll(&look, 1, 0) > 0;
}

#define turn_until(loop, condition)                                                                                    \
	while (!(condition))                                                                                           \
	event_base_loop(muster_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK)

/* ---- what came */

static struct {
	unsigned listening, server_error, server_close;
	unsigned connections, unwatched;
	unsigned connect, data, end, drain, finish, timeout, error, close, bad_close;
	unsigned written, unwritten;
	int code;
	char call[16];
} came;

static void came_error(const struct muster_error *error)
{
	came.code = error->code;
	snprintf(came.call, sizeof came.call, "%s", error->call != NULL ? error->call : "");
}

static void on_connect(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	came.connect++;
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)socket, (void)bytes, (void)data;
	came.data += (unsigned)length;
}

static void on_end(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	came.end++;
}

static void on_drain(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	came.drain++;
}

static void on_finish(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	came.finish++;
}

static void on_timeout(struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	came.timeout++;
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	(void)socket, (void)data;
	came.error++;
	came_error(error);
}

static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)data;
	came.close++;
	came.bad_close += had_error;
}

static const struct muster_socket_handlers watching = {
	.on_connect = on_connect,
	.on_data = on_data,
	.on_end = on_end,
	.on_drain = on_drain,
	.on_finish = on_finish,
	.on_timeout = on_timeout,
	.on_error = on_error,
	.on_close = on_close,
};

/* The same without on_data: it reads only as one end of a pipe. */
static const struct muster_socket_handlers watching_pipe = {
	.on_end = on_end,
	.on_finish = on_finish,
	.on_error = on_error,
	.on_close = on_close,
};

static void on_written(struct muster_socket *socket, int err, void *data)
{
	(void)socket, (void)data;
	came.written += err == 0;
	came.unwritten += err < 0;
}

static unsigned came_at_all(void)
{
	return came.connect + came.data + came.end + came.finish + came.error + came.close + came.written +
	       came.unwritten;
}

/* ---- a loop */

static void count_call(void *data)
{
	unsigned *calls = data;

	++*calls;
}

static const char *a_loop(void)
{
	struct muster_loop *loop = muster_loop_new();
	unsigned calls = 0;
	int err, i, promised = 0;

	PROMISE(loop != NULL || (errno == ENOMEM && muster_last_error() == -ENOMEM));
	if (loop == NULL)
		return NULL;
	for (i = 0; i < 3; i++) {
		err = muster_loop_defer(loop, count_call, &calls);
		PROMISE(err == 0 || err == -ENOMEM);
		promised += err == 0;
	}
	PROMISE(calls == 0);
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(calls == (unsigned)promised);
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_loop_is_made_and_works_or_is_not_made)
{
	tell_with_each_failure(a_loop, _i, 0);
}
END_TEST

/* ---- deferring in the last moment of a turn */

struct relay {
	struct muster_loop *loop;
	unsigned calls;
	int promised;
};

static void defer_again(void *data)
{
	struct relay *relay = data;

	relay->calls++;
	if (relay->calls < 4)
		relay->promised += muster_loop_defer(relay->loop, defer_again, relay) == 0;
}

static const char *a_relay(void)
{
	struct relay relay = { .loop = sound_loop() };

	relay.promised = muster_loop_defer(relay.loop, defer_again, &relay) == 0;
	PROMISE(muster_loop_run(relay.loop) == 0);
	PROMISE(relay.calls == (unsigned)relay.promised);
	muster_loop_free(relay.loop);
	return NULL;
}

START_TEST(what_was_deferred_is_called_even_if_there_is_no_memory_for_a_timer)
{
	tell_with_each_failure(a_relay, _i, 0);
}
END_TEST

/* ---- stopping */

static void stop_it(void *data)
{
	muster_loop_stop(data);
}

/* The socket keeps the loop running, so only the stop ends it. */
static const char *a_stop(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	int ends[2];

	sound_pair(ends);
	socket = muster_socket_open(loop, ends[0], NULL);
	if (socket != NULL)
		muster_socket_on(socket, &watching_pipe, NULL);
	if (socket != NULL && muster_loop_defer(loop, stop_it, loop) == 0)
		PROMISE(muster_loop_run(loop) == 0);
	close(ends[1]);
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_loop_that_is_stopped_returns)
{
	tell_with_each_failure(a_stop, _i, 0);
}
END_TEST

/* ---- a server */

static void on_listening(struct muster_server *server, void *data)
{
	(void)server, (void)data;
	came.listening++;
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	came.connections++;
	if (muster_socket_on(socket, &watching_pipe, NULL) < 0)
		came.unwatched++;
	else if (muster_socket_pipe(socket, socket) == 0)
		return;
	muster_socket_destroy(socket, 0);
}

static void on_server_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)server, (void)data;
	came.server_error++;
	came_error(error);
}

static void on_server_close(struct muster_server *server, void *data)
{
	(void)server, (void)data;
	came.server_close++;
}

static const struct muster_server_handlers serving = { on_listening, on_connection, NULL, on_server_error,
						       on_server_close };

/* NULL: the story ends here, and rightly so. */
static struct muster_server *start_server(struct muster_loop *loop, const char **broken)
{
	struct muster_server *server = muster_server_new(loop, NULL);
	int err = server != NULL ? muster_server_on(server, &serving, NULL) : -errno;

	*broken = NULL;
	if (err == 0)
		err = muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" });
	if (err < 0) {
		*broken = err == -ENOMEM ? NULL : "a server that is not made says ENOMEM";
		muster_loop_run(loop);
		return NULL;
	}
	turn_until(loop, came.listening + came.server_error > 0);
	if (came.listening == 1)
		return server;
	*broken = came.code == -ENOMEM ? NULL : "a server that does not listen says ENOMEM";
	muster_loop_run(loop);
	return NULL;
}

/* A client that says hello: did it hear the same? If not it was cut off, which is as good. */
static bool visit(struct muster_loop *loop, unsigned at)
{
	int client = sound_client(at);
	char answer[5];
	ssize_t length;

	turn_until(loop, is_readable(client));
	length = recv(client, answer, sizeof answer, MSG_DONTWAIT);
	close(client);
	return length == 5 && memcmp(answer, "hello", 5) == 0;
}

static const char *an_echo(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_address address;
	struct muster_server *server;
	const char *broken;
	unsigned i, heard = 0;

	memset(&came, 0, sizeof came);
	server = start_server(loop, &broken);
	if (server != NULL) {
		PROMISE(muster_server_address(server, &address) == 0);
		for (i = 0; i < 3; i++)
			heard += visit(loop, address.port);
		/* One is heard for certain: at most two allocations have failed. */
		PROMISE(heard > 0 || is_forever());
		PROMISE(muster_server_close(server) == 0);
		PROMISE(muster_loop_run(loop) == 0);
		PROMISE(came.server_close == 1);
		/* A connection that cannot be taken in is told of, once a second. */
		PROMISE(came.server_error == (came.connections < 3 ? 1 : 0));
	}
	PROMISE(came.close == came.connections - came.unwatched);
	PROMISE(came.error <= came.bad_close);
	muster_loop_free(loop);
	PROMISE(came.server_close == (server != NULL));
	PROMISE(came.close == came.connections - came.unwatched);
	return broken;
}

START_TEST(a_server_goes_on_serving_and_closes)
{
	tell_with_each_failure(an_echo, _i, 0);
}
END_TEST

/* ---- a server at a path, and what may be asked of it */

static const char *path;

static void count_answer(struct muster_server *server, int err, unsigned count, void *data)
{
	unsigned *answers = data;

	(void)server;
	*answers += err == 0 && count == 0;
}

static const char *a_path(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_server *server = muster_server_new(loop, NULL);
	unsigned answers = 0;
	int err = server != NULL ? muster_server_on(server, &serving, NULL) : -errno, asked = -1;

	memset(&came, 0, sizeof came);
	if (err == 0)
		err = muster_server_listen(server, &(struct muster_listen_options){ .path = path });
	PROMISE(err == 0 || err == -ENOMEM);
	turn_until(loop, err < 0 || came.listening + came.server_error > 0);
	PROMISE(came.server_error == 0 || came.code == -ENOMEM);
	if (came.listening == 1) {
		asked = muster_server_get_connections(server, count_answer, &answers);
		PROMISE(asked == 0 || asked == -ENOMEM);
		PROMISE(muster_server_close(server) == 0);
	}
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(answers == (asked == 0 ? 1 : 0));
	PROMISE(came.server_close == came.listening);
	PROMISE(access(path, F_OK) < 0);
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_path_that_was_made_is_removed_and_a_question_answered)
{
	path = folder_path("a");
	tell_with_each_failure(a_path, _i, 0);
}
END_TEST

/* ---- a connection */

static int listener = -1;
static unsigned port;

static void open_listener(void)
{
	listener = client_listen(64);
	port = client_port_of(listener);
}

static void close_listener(void)
{
	close(listener);
}

/* Take in the client, if it came, until its end. What it said. */
static size_t answer_client(char *said, size_t size)
{
	int fd = is_readable(listener) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
	size_t used = 0;
	ssize_t length;

	if (fd < 0)
		return 0;
	while (used < size && (length = recv(fd, said + used, size - used, 0)) > 0)
		used += (size_t)length;
	close(fd);
	return used;
}

/* Speak, and see the connection to its end, good or bad. */
static const char *converse(struct muster_loop *loop, struct muster_socket *socket)
{
	int err = muster_socket_write_then(socket, "hello", 5, on_written, NULL), ended;
	char said[16];
	size_t length;

	PROMISE(err == 0 || err == -ENOMEM);
	PROMISE(came_at_all() == 0);
	ended = muster_socket_end(socket);
	PROMISE(ended == 0);
	turn_until(loop, came.finish + came.close > 0);
	length = answer_client(said, sizeof said);
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(came.close == 1);
	PROMISE(came.written + came.unwritten == (err == 0));
	PROMISE(came.error <= came.bad_close);
	PROMISE(came.bad_close > 0 || (came.finish == 1 && came.end == 1));
	PROMISE(came.bad_close > 0 || err < 0 || (length == 5 && memcmp(said, "hello", 5) == 0 && came.written == 1));
	return NULL;
}

static const char *a_connection(void)
{
	struct muster_connect_options to = { .host = "127.0.0.1", .port = port, .timeout_ms = 60000 };
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	const char *broken = NULL;

	memset(&came, 0, sizeof came);
	socket = muster_connect(loop, &to, &watching, NULL);
	PROMISE(socket != NULL || (errno == ENOMEM && muster_last_error() == -ENOMEM));
	if (socket != NULL)
		broken = converse(loop, socket);
	else
		PROMISE(muster_loop_run(loop) == 0 && came_at_all() == 0);
	muster_loop_free(loop);
	PROMISE(came.close == (socket != NULL));
	return broken;
}

START_TEST(a_connection_is_made_or_told_to_have_failed)
{
	tell_with_each_failure(a_connection, _i, 0);
}
END_TEST

static const char *a_connection_by_steps(void)
{
	struct muster_connect_options to = { .host = "127.0.0.1", .port = port, .timeout_ms = 60000 };
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	const char *broken = NULL;
	int err, tries = 3;

	memset(&came, 0, sizeof came);
	socket = muster_socket_new(loop, NULL);
	PROMISE(socket != NULL || errno == ENOMEM);
	err = socket != NULL ? muster_socket_on(socket, &watching, NULL) : -ENOMEM;
	while (err == 0 && (err = muster_socket_connect(socket, &to)) < 0 && tries-- > 0) {
		PROMISE(err == -ENOMEM);
		/* Nothing has begun: it may be tried again. */
		PROMISE(!muster_socket_is_connecting(socket) && muster_socket_is_pending(socket));
		PROMISE(muster_loop_run(loop) == 0 && came_at_all() == 0);
		err = 0;
	}
	PROMISE(err == 0 || err == -ENOMEM);
	PROMISE(err == 0 || plan.times != 1 || tries == 3);
	if (err == 0)
		broken = converse(loop, socket);
	muster_loop_free(loop);
	PROMISE(came.close == (err == 0));
	return broken;
}

START_TEST(a_connect_that_is_refused_may_be_tried_again)
{
	tell_with_each_failure(a_connection_by_steps, _i, 0);
}
END_TEST

/* ---- a connection by a name */

/* `loop` is freed. */
static const char *connect_by_name(struct muster_loop *loop, const char *name)
{
	struct muster_connect_options to = { .host = name, .port = port, .family = 4 };
	struct muster_socket *socket;
	const char *broken = NULL;

	memset(&came, 0, sizeof came);
	socket = muster_connect(loop, &to, &watching, NULL);
	PROMISE(socket != NULL || errno == ENOMEM);
	if (socket != NULL)
		broken = converse(loop, socket);
	nameserver_stop();
	muster_loop_free(loop);
	PROMISE(came.close == (socket != NULL));
	return broken;
}

static const char *a_known_name(void)
{
	return connect_by_name(sound_loop(), "localhost");
}

START_TEST(a_name_in_the_hosts_file_is_found)
{
	tell_with_each_failure(a_known_name, _i, 0);
}
END_TEST

/* libevent 2.1.12 loses an answer that it finds no memory for: then the lookup ends when its time is up. */
static struct muster_loop *loop_with_names(void)
{
	static const struct nameserver_record records[] = { { "one.test", "127.0.0.1" }, { 0 } };
	struct muster_loop *loop;

	faults_pause();
	loop = muster_loop_new();
	nameserver_start(loop, records);
	loop->lookup_ms = 200;
	faults_resume();
	return loop;
}

static const char *a_question(void)
{
	return connect_by_name(loop_with_names(), "one.test");
}

START_TEST(a_question_is_answered_or_told_to_have_failed)
{
	tell_with_each_failure(a_question, _i, 0);
}
END_TEST

static const char *a_question_nobody_waits_for(void)
{
	struct muster_connect_options to = { .host = "one.test", .port = port };
	struct muster_loop *loop = loop_with_names();
	struct muster_socket *socket;

	memset(&came, 0, sizeof came);
	socket = muster_connect(loop, &to, &watching, NULL);
	PROMISE(socket != NULL || errno == ENOMEM);
	/* Before the answer, or with it already in the base. */
	event_base_loop(muster_loop_base(loop), EVLOOP_NONBLOCK);
	if (socket != NULL && came.close == 0)
		muster_socket_destroy(socket, 0);
	PROMISE(muster_loop_run(loop) == 0);
	nameserver_stop();
	PROMISE(came.close == (socket != NULL));
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_question_that_is_taken_back_leaves_nothing)
{
	tell_with_each_failure(a_question_nobody_waits_for, _i, 0);
}
END_TEST

/* ---- several tables of handlers */

#define TABLES 5

static unsigned told[TABLES];

static void tell_0(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error;
	++*(unsigned *)data;
}

/* Other tables than the one before, not only other data: each has to be remembered. */
static struct muster_socket_handlers table_of(int i)
{
	struct muster_socket_handlers table = { .on_close = tell_0 };

	if (i & 1)
		table.on_finish = on_finish;
	if (i & 2)
		table.on_timeout = on_timeout;
	if (i & 4)
		table.on_drain = on_drain;
	return table;
}

static const char *many_tables(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	bool added[TABLES] = { false };
	int i, err;

	memset(told, 0, sizeof told);
	socket = muster_socket_new(loop, NULL);
	PROMISE(socket != NULL || errno == ENOMEM);
	for (i = 0; socket != NULL && i < TABLES; i++) {
		struct muster_socket_handlers table = table_of(i);

		err = muster_socket_on(socket, &table, &told[i]);
		PROMISE(err == 0 || err == -ENOMEM);
		added[i] = err == 0;
	}
	for (i = 1; socket != NULL && i < 3; i++) {
		struct muster_socket_handlers table = table_of(i);

		err = muster_socket_off(socket, &table, &told[i]);
		PROMISE(added[i] ? err == 0 : err == -ENOENT || err == -ENOMEM);
		added[i] = false;
	}
	if (socket != NULL)
		muster_socket_destroy(socket, 0);
	PROMISE(muster_loop_run(loop) == 0);
	for (i = 0; i < TABLES; i++)
		PROMISE(told[i] == added[i]);
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_table_is_called_exactly_if_it_was_added)
{
	tell_with_each_failure(many_tables, _i, 0);
}
END_TEST

/* ---- wishes and rules */

static const char *a_wish(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket = muster_socket_new(loop, NULL);
	int err;

	PROMISE(socket != NULL || errno == ENOMEM);
	if (socket != NULL) {
		err = muster_socket_set_keep_alive_probes(socket, 3000, 5);
		PROMISE(err == 0 || err == -ENOMEM);
		err = muster_socket_set_keep_alive(socket, true, 9000);
		PROMISE(err == 0 || err == -ENOMEM);
	}
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_wish_is_remembered_or_refused)
{
	tell_with_each_failure(a_wish, _i, 0);
}
END_TEST

static const char *some_rules(void)
{
	struct muster_block_list *list = muster_block_list_new();
	char text[MUSTER_RULE_SIZE];
	size_t i, added = 0;
	bool is_last = false;

	PROMISE(list != NULL || errno == ENOMEM);
	for (i = 0; list != NULL && i < 20; i++) {
		snprintf(text, sizeof text, "Address: IPv4 192.0.2.%zu", i);
		is_last = muster_block_list_add_rule(list, text) == 0;
		added += is_last;
		PROMISE(muster_block_list_size(list) == added);
	}
	if (list != NULL)
		PROMISE(muster_block_list_remove_address(list, "192.0.2.19") == (is_last ? 0 : -ENOENT));
	muster_block_list_free(list);
	return NULL;
}

START_TEST(a_rule_is_added_or_refused)
{
	tell_with_each_failure(some_rules, _i, 0);
}
END_TEST

/* ---- writes that have to be queued */

static struct muster_socket *watched_socket(struct muster_loop *loop, int fd,
					    const struct muster_socket_handlers *handlers)
{
	struct muster_socket *socket = muster_socket_open(loop, fd, NULL);

	if (socket != NULL && muster_socket_on(socket, handlers, NULL) == 0)
		return socket;
	if (socket != NULL)
		muster_socket_destroy(socket, 0);
	return NULL;
}

static size_t take_all(int fd)
{
	char bytes[8192];
	size_t all = 0;
	ssize_t length;

	while ((length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		all += (size_t)length;
	return all;
}

enum hindrance { TAKES_LITTLE, TAKES_NOTHING, CORKED };

static size_t in_the_way; /* bytes that the kernel holds from before */

static void fill_kernel(int fd)
{
	static const char bytes[65536];
	ssize_t sent;

	faults_pause();
	while ((sent = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		in_the_way += (size_t)sent;
	faults_resume();
}

static size_t turn_and_take(struct muster_loop *loop, int peer)
{
	event_base_loop(muster_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
	return take_all(peer);
}

/* Two writes and the end: each write is refused, or it arrives, or the connection fails. */
static const char *write_twice(struct muster_loop *loop, struct muster_socket *socket, int peer, bool corked)
{
	static const char bytes[3000];
	unsigned i, promised = 0;
	size_t arrived = 0;

	for (i = 0; i < 2; i++) {
		uint64_t before = muster_socket_bytes_written(socket);
		int err = muster_socket_write_then(socket, bytes, sizeof bytes, on_written, NULL);
		bool failed = muster_socket_is_destroyed(socket);

		PROMISE(err == 0 || err == -ENOMEM || (err == MUSTER_EDESTROYED && failed));
		PROMISE(err != -ENOMEM || failed || muster_socket_bytes_written(socket) == before);
		promised += err == 0;
	}
	if (corked)
		muster_socket_uncork(socket);
	PROMISE(came.error + came.close + came.finish + came.written + came.unwritten == 0);
	/* The end would help along what was forgotten, so it waits. */
	while (came.written + came.unwritten < promised && came.close == 0)
		arrived += turn_and_take(loop, peer);
	if (came.close == 0)
		muster_socket_end(socket);
	while (came.finish + came.close == 0)
		arrived += turn_and_take(loop, peer);
	arrived += take_all(peer);
	shutdown(peer, SHUT_WR);
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(came.close == 1);
	PROMISE(came.error <= came.bad_close);
	PROMISE(came.written + came.unwritten == promised);
	PROMISE(came.bad_close > 0 || arrived == in_the_way + promised * sizeof bytes);
	return NULL;
}

static const char *queue(enum hindrance hindrance)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	const char *broken = NULL;
	int ends[2];

	memset(&came, 0, sizeof came);
	sound_pair(ends);
	in_the_way = 0;
	if (hindrance == TAKES_NOTHING)
		fill_kernel(ends[0]);
	socket = watched_socket(loop, ends[0], &watching);
	if (socket != NULL && hindrance == CORKED)
		muster_socket_cork(socket);
	if (socket != NULL)
		broken = write_twice(loop, socket, ends[1], hindrance == CORKED);
	close(ends[1]);
	PROMISE(broken != NULL || muster_loop_run(loop) == 0);
	muster_loop_free(loop);
	return broken;
}

static const char *a_queue(void)
{
	return queue(TAKES_LITTLE);
}

static const char *a_corked_queue(void)
{
	return queue(CORKED);
}

static const char *a_full_queue(void)
{
	return queue(TAKES_NOTHING);
}

START_TEST(a_write_the_kernel_cuts_short_arrives_or_fails_the_connection)
{
	tell_with_each_failure(a_queue, _i, 100);
}
END_TEST

START_TEST(a_write_the_kernel_takes_nothing_of_is_refused_or_arrives)
{
	tell_with_each_failure(a_full_queue, _i, 0);
}
END_TEST

START_TEST(a_write_that_is_held_back_is_refused_or_arrives)
{
	tell_with_each_failure(a_corked_queue, _i, 100);
}
END_TEST

/* ---- a pipe whose target cannot keep up */

static bool target_is_corked;

static const char *flow(struct muster_loop *loop, struct muster_socket *from, struct muster_socket *to, int in, int out)
{
	static const char bytes[3000];
	size_t arrived = 0;
	int err = muster_socket_pipe(from, to);

	/* Until the end of the pipe lets it out. */
	if (target_is_corked)
		muster_socket_cork(to);
	PROMISE(err == 0 || err == -ENOMEM || err == MUSTER_EDESTROYED);
	faults_pause();
	client_send(in, bytes, sizeof bytes);
	shutdown(in, SHUT_WR);
	faults_resume();
	if (err < 0) {
		muster_socket_destroy(from, 0);
		muster_socket_destroy(to, 0);
	}
	/* Whatever fails, it is seen: nobody waits for ever for bytes that were lost. */
	while (came.finish + came.close == 0)
		arrived += turn_and_take(loop, out);
	arrived += take_all(out);
	PROMISE(came.bad_close > 0 || err < 0 || arrived == sizeof bytes);
	return NULL;
}

static const char *a_pipe(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *from, *to;
	const char *broken = NULL;
	int in[2], out[2];

	memset(&came, 0, sizeof came);
	sound_pair(in);
	sound_pair(out);
	from = watched_socket(loop, in[0], &watching_pipe);
	to = watched_socket(loop, out[0], &watching_pipe);
	if (from != NULL && to != NULL)
		broken = flow(loop, from, to, in[1], out[1]);
	close(in[1]);
	close(out[1]);
	muster_loop_free(loop);
	PROMISE(broken != NULL || came.close == (from != NULL ? 1u : 0) + (to != NULL ? 1u : 0));
	return broken;
}

START_TEST(a_pipe_carries_everything_or_one_of_its_ends_fails)
{
	tell_with_each_failure(a_pipe, _i, 100);
}
END_TEST

START_TEST(so_does_a_pipe_into_a_queue)
{
	target_is_corked = true;
	tell_with_each_failure(a_pipe, _i, 100);
}
END_TEST

/* ---- time-outs */

static const char *time_outs(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	int ends[2], err = -ENOMEM;
	bool failed;

	memset(&came, 0, sizeof came);
	sound_pair(ends);
	socket = watched_socket(loop, ends[0], &watching);
	if (socket != NULL)
		err = muster_socket_set_timeout(socket, 1);
	PROMISE(err == 0 || err == -ENOMEM);
	failed = socket == NULL || muster_socket_is_destroyed(socket);
	PROMISE(failed || muster_socket_timeout(socket) == (err == 0));
	turn_until(loop, err < 0 || came.close > 0 || came.timeout == 1);
	/* After traffic it is told again. */
	if (err == 0 && came.close == 0 && muster_socket_write(socket, "x", 1) == 0)
		turn_until(loop, came.close > 0 || came.timeout == 2);
	if (socket != NULL && came.close == 0)
		muster_socket_destroy(socket, 0);
	close(ends[1]);
	muster_loop_free(loop);
	PROMISE(came.close == (socket != NULL));
	return NULL;
}

START_TEST(a_time_out_that_was_set_is_told)
{
	tell_with_each_failure(time_outs, _i, 0);
}
END_TEST

/* ---- text, and other people's buffers */

static const char *text(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	size_t arrived = 0;
	int ends[2], err = -ENOMEM, sent = -ENOMEM;

	memset(&came, 0, sizeof came);
	sound_pair(ends);
	socket = watched_socket(loop, ends[0], &watching);
	if (socket != NULL)
		err = muster_socket_set_encoding(socket, MUSTER_ENCODING_HEX);
	PROMISE(err == 0 || err == -ENOMEM);
	if (err == 0)
		sent = muster_socket_write_encoded_then(socket, "c0ffee", 6, MUSTER_ENCODING_HEX, on_written, NULL);
	PROMISE(sent == 0 || sent == -ENOMEM || (sent == MUSTER_EDESTROYED && muster_socket_is_destroyed(socket)));
	PROMISE(came_at_all() == 0);
	PROMISE(write(ends[1], "hello", 5) == 5);
	shutdown(ends[1], SHUT_WR);
	if (err < 0 && socket != NULL)
		muster_socket_destroy(socket, 0);
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(came.close == (socket != NULL ? 1 : 0));
	arrived = take_all(ends[1]);
	close(ends[1]);
	PROMISE(err < 0 || came.bad_close == 1 || came.data == 10);
	PROMISE(came.written + came.unwritten == (sent == 0 ? 1 : 0));
	PROMISE(came.bad_close == 1 || arrived == (sent == 0 ? 3 : 0));
	muster_loop_free(loop);
	return NULL;
}

START_TEST(text_arrives_whole_or_the_connection_fails)
{
	tell_with_each_failure(text, _i, 1);
}
END_TEST

static const char *a_bufferevent(void)
{
	struct muster_loop *loop = sound_loop();
	struct muster_socket *socket;
	bool made = false;
	int ends[2];

	memset(&came, 0, sizeof came);
	sound_pair(ends);
	socket = watched_socket(loop, ends[0], &watching_pipe);
	if (socket != NULL)
		made = muster_socket_bufferevent(socket) != NULL;
	PROMISE(made || socket == NULL || errno == ENOMEM || muster_socket_is_destroyed(socket));
	PROMISE(!made || muster_socket_write(socket, "x", 1) <= 0);
	if (socket != NULL)
		muster_socket_destroy(socket, 0);
	PROMISE(muster_loop_run(loop) == 0);
	PROMISE(came.close == (socket != NULL ? 1 : 0));
	close(ends[1]);
	muster_loop_free(loop);
	return NULL;
}

START_TEST(a_bufferevent_is_made_or_not_made)
{
	tell_with_each_failure(a_bufferevent, _i, 0);
}
END_TEST

/* ---- a server whose connections find no memory */

START_TEST(connections_without_memory_are_told_once_a_second)
{
	struct faults_plan none = { FAULTS_MEMORY, .at = 1, .times = FAULTS_FOREVER };
	struct muster_loop *loop = muster_loop_new();
	struct muster_address address;
	struct muster_server *server;
	const char *broken;
	unsigned i;

	server = start_server(loop, &broken);
	ck_assert_ptr_nonnull(server);
	ck_assert_int_eq(muster_server_address(server, &address), 0);
	faults_begin(&none);
	for (i = 0; i < 5; i++)
		visit(loop, address.port);
	faults_end();
	ck_assert_uint_eq(came.connections, 0);
	ck_assert_uint_eq(came.server_error, 1);
	ck_assert_int_eq(came.code, -ENOMEM);
	ck_assert_str_eq(came.call, "accept");
	ck_assert(visit(loop, address.port));
	muster_loop_free(loop);
}
END_TEST

static void silence(int severity, const char *text)
{
	(void)severity, (void)text;
}

#define add(tcase, test) tcase_add_loop_test(tcase, test, 0, COUNT_OF(modes))

int main(void)
{
	Suite *suite = suite_create("src/faults_memory");
	TCase *loops = add_case(suite, "loops");
	TCase *servers = add_case(suite, "servers");
	TCase *connections = add_case(suite, "connections");
	TCase *sockets = add_case(suite, "sockets");

	faults_init();
	event_set_log_callback(silence);
	tcase_add_checked_fixture(connections, open_listener, close_listener);
	add(loops, a_loop_is_made_and_works_or_is_not_made);
	add(loops, what_was_deferred_is_called_even_if_there_is_no_memory_for_a_timer);
	add(loops, a_loop_that_is_stopped_returns);
	add(servers, a_server_goes_on_serving_and_closes);
	add(servers, a_path_that_was_made_is_removed_and_a_question_answered);
	tcase_add_test(servers, connections_without_memory_are_told_once_a_second);
	add(connections, a_connection_is_made_or_told_to_have_failed);
	add(connections, a_connect_that_is_refused_may_be_tried_again);
	tcase_add_loop_test(connections, a_name_in_the_hosts_file_is_found, 0, COUNT_OF(modes));
	tcase_add_loop_test(connections, a_question_is_answered_or_told_to_have_failed, 0, COUNT_OF(modes));
	add(connections, a_question_that_is_taken_back_leaves_nothing);
	add(sockets, a_table_is_called_exactly_if_it_was_added);
	add(sockets, a_wish_is_remembered_or_refused);
	add(sockets, a_rule_is_added_or_refused);
	add(sockets, a_write_the_kernel_cuts_short_arrives_or_fails_the_connection);
	add(sockets, a_write_the_kernel_takes_nothing_of_is_refused_or_arrives);
	add(sockets, a_write_that_is_held_back_is_refused_or_arrives);
	add(sockets, a_pipe_carries_everything_or_one_of_its_ends_fails);
	add(sockets, so_does_a_pipe_into_a_queue);
	add(sockets, text_arrives_whole_or_the_connection_fails);
	add(sockets, a_bufferevent_is_made_or_not_made);
	add(sockets, a_time_out_that_was_set_is_told);
	return run_suite(suite);
}
