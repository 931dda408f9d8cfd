/* tests/worker/test_handles.c - what travels with a message: servers, sockets that stay, and when it has gone. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
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
#include <sys/wait.h>
#include <unistd.h>

static struct worker_counts counts;
static struct server_counts here;
static struct socket_counts of_socket;

/* ---- In the worker: the text of a message says what to do with what came. */

static void greet(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_write(socket, "there", 5);
	muster_socket_end(socket);
}

static void tell_port(struct muster_server *server, void *data)
{
	struct muster_address address = { 0 };

	muster_server_address(server, &address);
	tell(data, "listening %u", address.port);
}

static void tell_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)server;
	tell(data, "failed %s %s", muster_error_name(error->code), error->call);
}

static void tell_close(struct muster_server *server, void *data)
{
	(void)server;
	tell(data, "closed");
}

static const struct muster_server_handlers greeting = { tell_port, greet, NULL, tell_error, tell_close };

static struct muster_server *taken;

static void take_server(struct muster_worker *self, struct muster_message *message)
{
	taken = muster_message_take_server(message, muster_worker_loop(self));
	if (taken == NULL || muster_server_on(taken, &greeting, self) < 0)
		tell(self, "none %s", muster_error_name(muster_last_error()));
}

static struct muster_socket *kept;

static void take_socket(struct muster_worker *self, struct muster_message *message)
{
	kept = muster_message_take_socket(message, muster_worker_loop(self));
	if (kept == NULL)
		tell(self, "none %s", muster_error_name(muster_last_error()));
	else
		muster_socket_write(kept, "there", 5);
}

static void obey(struct muster_worker *self, struct muster_message *message, void *data)
{
	const char *text = message->json != NULL ? json_string_value(message->json) : NULL;

	(void)data;
	if (text == NULL || text[0] == 'x')
		tell(self, "type %d", (int)message->handle_type);
	else if (strcmp(text, "take server") == 0)
		take_server(self, message);
	else if (strcmp(text, "take socket") == 0)
		take_socket(self, message);
	else if (strcmp(text, "close server") == 0)
		muster_server_close(taken);
	else if (strcmp(text, "end socket") == 0)
		muster_socket_end(kept);
}

static int obedient(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = obey };

	(void)data;
	return muster_worker_on(self, &on, NULL);
}

/* ---- In the primary. */

static struct muster_cluster *start(muster_worker_function function, void *data, unsigned workers)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = function, .data = data }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, workers), 0);
	run_until_count(test_loop, counts.online, workers);
	return cluster;
}

static struct muster_message message_of(const char *text)
{
	return (struct muster_message){ .text = text, .length = strlen(text) };
}

static struct muster_message with_server(const char *text, struct muster_server *server)
{
	struct muster_message message = message_of(text);

	message.handle_type = MUSTER_HANDLE_SERVER;
	message.handle.server = server;
	return message;
}

static struct muster_message with_socket(const char *text, struct muster_socket *socket)
{
	struct muster_message message = message_of(text);

	message.handle_type = MUSTER_HANDLE_SOCKET;
	message.handle.socket = socket;
	return message;
}

static struct muster_message with_fd(const char *text, int fd)
{
	struct muster_message message = message_of(text);

	message.handle_type = MUSTER_HANDLE_FD;
	message.handle.fd = fd;
	return message;
}

static void order_to(struct muster_cluster *cluster, unsigned id, const char *text)
{
	struct muster_message message = message_of(text);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, id), &message), 0);
}

static void give_server(struct muster_cluster *cluster, unsigned id, struct muster_server *server)
{
	struct muster_message message = with_server("\"take server\"", server);
	unsigned said = counts.message;

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, id), &message), 0);
	run_until_count(test_loop, counts.message, said + 1);
}

/* This process' loop stands still meanwhile: only the other one can accept. */
static void expect_served_there(unsigned port)
{
	int client = client_connect_port(port);

	client_expect_text(client, "there");
	client_expect_end(client);
	close(client);
}

static void expect_served_here(unsigned port)
{
	unsigned before = here.connection;
	int client = client_connect_port(port);

	run_until_count(test_loop, here.connection, before + 1);
	muster_socket_destroy(here.last, 0);
	run_until_idle(test_loop);
	client_expect_end(client);
	close(client);
}

/* ---- Servers. */

START_TEST(a_server_sent_to_a_worker_accepts_there_and_here)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	unsigned port = server_port(server), before = descriptors_open();
	char want[32];

	snprintf(want, sizeof want, "\"listening %u\" ", port);
	give_server(cluster, 1, server);
	ck_assert_str_eq(counts.said, want);
	ck_assert(muster_server_is_listening(server));
	ck_assert_uint_eq(descriptors_open(), before);
	expect_served_there(port);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	expect_served_here(port);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGCONT), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_count(test_loop, here.close, 1);
	expect_served_there(port);
	close_cluster(cluster, &counts);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
}
END_TEST

START_TEST(the_sender_goes_on_listening_when_the_worker_has_closed_it)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);

	give_server(cluster, 1, server);
	order_to(cluster, 1, "\"close server\"");
	run_until_said(&counts, "\"closed\"");
	expect_served_here(server_port(server));
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_server_may_be_sent_twice)
{
	struct muster_cluster *cluster = start(obedient, NULL, 2);
	struct muster_server *server = listening_server(test_loop, &here);
	unsigned port = server_port(server), id;

	give_server(cluster, 1, server);
	give_server(cluster, 2, server);
	for (id = 1; id <= 2; id++) {
		process_freeze(muster_worker_pid(worker_by_id(cluster, id)));
		expect_served_there(port);
		ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, id), SIGCONT), 0);
	}
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_server_may_be_sent_twice_to_the_same_worker)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	unsigned port = server_port(server);

	give_server(cluster, 1, server);
	give_server(cluster, 1, server);
	/* One of the two goes, the other one serves. */
	order_to(cluster, 1, "\"close server\"");
	run_until_said(&counts, "\"closed\"");
	expect_served_there(port);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_server_at_a_path_can_be_sent_as_well)
{
	struct muster_listen_options at = { .path = folder_path("socket") };
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server_at(test_loop, &at, &here);
	int client;

	give_server(cluster, 1, server);
	client = client_connect_path(at.path);
	client_expect_text(client, "there");
	close(client);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_server_that_does_not_listen_is_EHANDLETYPE)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = new_server(test_loop, NULL, &here);
	struct muster_message message = with_server("1", server);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), MUSTER_EHANDLETYPE);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.message, 0);
}
END_TEST

START_TEST(a_server_that_nobody_takes_is_closed_there)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	struct muster_message message = with_server("1", server);
	unsigned port = server_port(server);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_count(test_loop, counts.message, 1);
	muster_server_destroy(server);
	run_until_count(test_loop, here.close, 1);
	/* Served by nobody, and no queue either. */
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
	close_cluster(cluster, &counts);
}
END_TEST

static void send_upwards(struct muster_server *server, void *data)
{
	struct muster_message message = with_server("\"up\"", server);
	int err = muster_worker_send(data, &message);

	tell(data, "sent %s", err == 0 ? "0" : muster_error_name(err));
}

static int listen_and_send_upwards(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_listening = send_upwards, .on_connection = greet };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	if (server == NULL || muster_server_on(server, &on, self) < 0)
		return -ENOMEM;
	return muster_server_listen(server, data);
}

START_TEST(a_workers_server_without_a_socket_is_EHANDLETYPE)
{
	struct muster_listen_options listen = { .host = "127.0.0.1" };
	struct muster_cluster *cluster = start(listen_and_send_upwards, &listen, 1);

	run_until_said(&counts, "\"sent ");
	ck_assert_str_eq(counts.said, "\"sent ERR_INVALID_HANDLE_TYPE\" ");
	close_cluster(cluster, &counts);
}
END_TEST

static struct muster_server *from_worker;

static void take_here(struct muster_worker *worker, struct muster_message *message, void *data)
{
	(void)worker, (void)data;
	if (message->handle_type != MUSTER_HANDLE_SERVER)
		return;
	from_worker = muster_message_take_server(message, test_loop);
	ck_assert_ptr_nonnull(from_worker);
	ck_assert_int_eq(muster_server_on(from_worker, &counting_server, &here), 0);
	ck_assert_int_eq(muster_message_take_fd(message), -ENOENT);
	ck_assert_ptr_null(muster_message_take_server(message, test_loop));
	ck_assert_int_eq(errno, ENOENT);
}

START_TEST(a_workers_server_with_a_socket_is_taken_by_the_primary)
{
	static const struct muster_worker_handlers on = { .on_message = take_here };
	struct muster_listen_options listen = { .host = "127.0.0.1" };
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .worker = listen_and_send_upwards, .data = &listen }, NULL, &counts);

	if (_i == 0)
		listen.policy = MUSTER_POLICY_SHARED;
	else
		listen.exclusive = true;
	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "\"sent 0\"");
	run_until_count(test_loop, here.listening, 1);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	expect_served_here(server_port(from_worker));
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGCONT), 0);
	muster_server_destroy(from_worker);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- What it is called, and what it is taken as. */

START_TEST(a_handle_is_received_as_what_its_sender_calls_it)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	struct muster_message server_message = with_server("1", server), socket_message, fd_message;
	int peer, ends[2];

	socket_message = with_socket("1", socket_with_peer(test_loop, &peer, NULL));
	client_pair(ends);
	fd_message = with_fd("1", ends[0]);
	order_to(cluster, 1, "1");
	ck_assert_int_eq(muster_worker_send(worker, &server_message), 0);
	ck_assert_int_eq(muster_worker_send(worker, &socket_message), 0);
	ck_assert_int_eq(muster_worker_send(worker, &fd_message), 0);
	run_until_count(test_loop, counts.message, 4);
	ck_assert_str_eq(counts.said, "\"type 0\" \"type 3\" \"type 1\" \"type 2\" ");
	close(peer);
	close(ends[1]);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_bare_descriptor_that_listens_may_be_taken_as_a_server)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int fd = client_listen(8);
	unsigned port = client_port_of(fd);
	struct muster_message message = with_fd("\"take server\"", fd);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_said(&counts, "\"listening ");
	expect_served_there(port);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(what_cannot_listen_and_is_taken_as_a_server_has_on_error)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_message message;
	int ends[2];

	client_pair(ends);
	message = with_fd("\"take server\"", _i == 0 ? ends[0] : memfd_create("no socket", 0));
	if (_i == 1)
		close(ends[0]);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_said(&counts, "\"failed EINVAL listen\"");
	client_expect_end(ends[1]);
	close(ends[1]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(taking_a_server_of_a_message_without_one_is_ENOENT)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);

	order_to(cluster, 1, "\"take server\"");
	order_to(cluster, 1, "\"take socket\"");
	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(counts.said, "\"none ENOENT\" \"none ENOENT\" ");
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Sockets that stay. */

/* Once it has been received, the copy that went is closed. */
static bool are_open(void *data)
{
	return descriptors_open() == *(unsigned *)data;
}

START_TEST(a_socket_that_is_kept_open_is_written_to_by_both)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message message = with_socket("\"take socket\"", socket);
	unsigned before = descriptors_open();

	message.keep_open = true;
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_readable(peer);
	client_expect_text(peer, "there");
	run_until(test_loop, are_open, &before);
	ck_assert_int_eq(muster_socket_write(socket, "here", 4), 0);
	client_expect_text(peer, "here");
	/* Ours goes, the connection stays: the other one has it. */
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, of_socket.close, 1);
	ck_assert_uint_eq(client_waiting(peer), 0);
	order_to(cluster, 1, "\"end socket\"");
	run_until_readable(peer);
	client_expect_end(peer);
	close(peer);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(of_socket.error, 0);
}
END_TEST

static unsigned open_here, rows_there, answers;

static void note_connections(struct muster_server *server, int err, unsigned count, void *data)
{
	(void)server, (void)data;
	ck_assert_int_eq(err, 0);
	open_here = count;
	answers++;
}

static void note_rows(struct muster_cluster *cluster, int err, const struct muster_count *rows, size_t count,
		      void *data)
{
	(void)cluster, (void)rows, (void)data;
	ck_assert_int_eq(err, 0);
	rows_there = (unsigned)count;
	answers++;
}

START_TEST(a_connection_that_is_kept_open_counts_once)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	int client = client_connect_port(server_port(server));
	struct muster_message message;

	run_until_count(test_loop, here.connection, 1);
	message = with_socket("\"take socket\"", here.last);
	message.keep_open = true;
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_readable(client);
	ck_assert_int_eq(muster_server_get_connections(server, note_connections, NULL), 0);
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_rows, NULL), 0);
	run_until_count(test_loop, answers, 2);
	ck_assert_uint_eq(open_here, 1);
	ck_assert_uint_eq(rows_there, 0);
	muster_server_destroy(server);
	run_until_count(test_loop, here.close, 1);
	order_to(cluster, 1, "\"end socket\"");
	client_expect_text(client, "there");
	run_until_readable(client);
	client_expect_end(client);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

static void keep_count(struct muster_server *server, int err, unsigned count, void *data)
{
	(void)server;
	ck_assert_int_eq(err, 0);
	*(int *)data = (int)count;
}

static bool is_counted(void *data)
{
	return *(int *)data >= 0;
}

START_TEST(a_socket_that_is_given_away_is_counted_where_it_is)
{
	int open = -1;
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	int client = client_connect_port(server_port(server));
	struct muster_message message;

	run_until_count(test_loop, here.connection, 1);
	message = with_socket("\"take socket\"", here.last);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_readable(client);
	/* The count of one process is no longer all there is. */
	ck_assert_int_eq(muster_server_connections(server), -1);
	ck_assert_int_eq(muster_server_get_connections(server, keep_count, &open), 0);
	run_until(test_loop, is_counted, &open);
	ck_assert_int_eq(open, 1);
	/* The server ends when the worker has closed it. */
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(here.close, 0);
	close(client);
	run_until_count(test_loop, here.close, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Sends that fail. */

/* Still a socket, still open, still the caller's. */
static void expect_still_ours(struct muster_socket *socket, int peer)
{
	ck_assert(!muster_socket_is_destroyed(socket));
	ck_assert_int_ge(muster_socket_fd(socket), 0);
	ck_assert_int_eq(muster_socket_write(socket, "mine", 4), 0);
	client_expect_text(peer, "mine");
	muster_socket_destroy(socket, 0);
	close(peer);
}

static unsigned sent_calls;

static void never_sent(int err, void *data)
{
	(void)err, (void)data;
	sent_calls++;
}

/* Each of them with a socket that is given away (0) and with one that is kept (1). */
START_TEST(a_socket_for_a_worker_that_has_gone_stays_the_callers)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message message = with_socket("1", socket);

	message.keep_open = _i == 1;
	message.on_sent = never_sent;
	lines_record(MUSTER_LOG_ERROR);
	/* Known to be gone only with its exit: the worker stays in the table until that is told. */
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	while (muster_worker_is_connected(worker_by_id(cluster, 1)))
		ck_assert_int_eq(muster_loop_defer(test_loop, (void (*)(void *))muster_loop_stop, test_loop) +
					 muster_loop_run(test_loop),
				 0);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), MUSTER_ECHANNEL);
	expect_still_ours(socket, peer);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(sent_calls, 0);
}
END_TEST

/* Fills the queue of a worker that does not read until a small message more is too much. */
static void fill_channel(struct muster_worker *worker)
{
	size_t length = 4 * 1024 * 1024;
	char *text = malloc(length);

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	process_freeze(muster_worker_pid(worker));
	for (; length >= 2; length /= 2) {
		struct muster_message message = { .text = text, .length = length };

		text[length - 1] = '"';
		while (muster_worker_send(worker, &message) == 0)
			;
	}
	free(text);
}

START_TEST(a_socket_for_a_worker_that_does_not_read_stays_the_callers)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message message = with_socket("1", socket);
	unsigned before;

	fill_channel(worker);
	before = descriptors_open();
	message.keep_open = _i == 1;
	message.on_sent = never_sent;
	ck_assert_int_eq(muster_worker_send(worker, &message), -ENOBUFS);
	ck_assert_uint_eq(descriptors_open(), before);
	expect_still_ours(socket, peer);
	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_worker_kill(worker, SIGKILL), 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(sent_calls, 0);
}
END_TEST

START_TEST(a_socket_with_output_that_waits_cannot_be_given_away_and_stays)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message message = with_socket("1", socket);

	fill_output(socket, 1);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), -EBUSY);
	ck_assert(!muster_socket_is_destroyed(socket));
	muster_socket_destroy(socket, 0);
	close(peer);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.message, 0);
}
END_TEST

START_TEST(a_socket_that_is_closed_cannot_be_sent)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message message = with_socket("1", socket);

	message.keep_open = _i == 1;
	message.on_sent = never_sent;
	muster_socket_destroy(socket, 0);
	ck_assert_int_lt(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_count(test_loop, of_socket.close, 1);
	close(peer);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.message, 0);
	ck_assert_uint_eq(sent_calls, 0);
}
END_TEST

START_TEST(a_duplicate_that_cannot_be_made_is_EMFILE)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &of_socket);
	struct muster_message kept_open = with_socket("1", socket), message = with_server("1", server);

	kept_open.keep_open = true;
	descriptors_exhaust(0);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), -EMFILE);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &kept_open), -EMFILE);
	descriptors_release();
	expect_still_ours(socket, peer);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(no_descriptor_at_all_is_no_message)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_message message = with_fd("1", -1);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), -EINVAL);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.message, 0);
}
END_TEST

/* ---- When it has gone. */

struct sent_mark {
	char letter;
	struct muster_worker *again; /* send it once more, there */
};

static char sent_order[64];
static int sent_last;
static bool sending;

static void note_sent(int err, void *data)
{
	const struct sent_mark *mark = data;
	struct muster_message message = message_of("1");

	ck_assert(!sending);
	ck_assert_uint_lt(sent_calls, sizeof sent_order - 1);
	sent_order[sent_calls++] = mark->letter;
	sent_last = err;
	message.on_sent = note_sent;
	message.data = data;
	if (mark->again != NULL)
		ck_assert_int_eq(muster_worker_send(mark->again, &message), MUSTER_ECHANNEL);
}

static void send_marked(struct muster_worker *worker, struct muster_message message, struct sent_mark *mark)
{
	message.on_sent = note_sent;
	message.data = mark;
	sending = true;
	ck_assert_int_eq(muster_worker_send(worker, &message), 0);
	sending = false;
}

START_TEST(on_sent_comes_once_with_0_and_not_inside_the_call)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct sent_mark mark = { 'a', NULL };

	sent_last = 1;
	send_marked(worker_by_id(cluster, 1), message_of("1"), &mark);
	ck_assert_uint_eq(sent_calls, 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_uint_eq(sent_calls, 1);
	ck_assert_int_eq(sent_last, 0);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(sent_calls, 1);
}
END_TEST

START_TEST(on_sent_comes_in_the_order_of_the_messages_with_handles_and_without)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	struct muster_server *server = listening_server(test_loop, &here);
	struct sent_mark marks[12];
	int peers[12];
	unsigned i;

	for (i = 0; i < 12; i++) {
		marks[i] = (struct sent_mark){ (char)('a' + i), NULL };
		peers[i] = -1;
		if (i % 3 == 0)
			send_marked(worker, message_of("1"), &marks[i]);
		else if (i % 3 == 1)
			send_marked(worker, with_server("1", server), &marks[i]);
		else
			send_marked(worker, with_socket("1", socket_with_peer(test_loop, &peers[i], NULL)), &marks[i]);
		/* Said between them without a mark: their marks wait for nothing of it. */
		order_to(cluster, 1, "1");
	}
	run_until_count(test_loop, counts.message, 24);
	ck_assert_str_eq(sent_order, "abcdefghijkl");
	ck_assert_int_eq(sent_last, 0);
	for (i = 0; i < 12; i++)
		if (peers[i] >= 0)
			close(peers[i]);
	muster_server_destroy(server);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(sent_calls, 12);
}
END_TEST

START_TEST(on_sent_waits_until_all_of_it_is_with_the_kernel)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	size_t length = 4 * 1024 * 1024;
	char *text = malloc(length);
	struct sent_mark big = { 'a', NULL }, small = { 'b', NULL };

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	process_freeze(muster_worker_pid(worker));
	send_marked(worker, (struct muster_message){ .text = text, .length = length }, &big);
	send_marked(worker, message_of("1"), &small);
	free(text);
	run_until_idle(test_loop);
	ck_assert_uint_eq(sent_calls, 0);
	ck_assert_int_eq(muster_worker_kill(worker, SIGCONT), 0);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(sent_order, "ab");
	ck_assert_int_eq(sent_last, 0);
	close_cluster(cluster, &counts);
}
END_TEST

/* Three messages behind what fills the channel: text, a server, a socket that is given away. */
static struct sent_mark waiting[3] = { { 'a', NULL }, { 'b', NULL }, { 'c', NULL } };

static int leave_messages_waiting(struct muster_worker *worker)
{
	struct muster_server *server = listening_server(test_loop, &here);
	size_t length = 4 * 1024 * 1024;
	char *text = malloc(length);
	int peer;

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	process_freeze(muster_worker_pid(worker));
	send_marked(worker, (struct muster_message){ .text = text, .length = length }, &waiting[0]);
	send_marked(worker, with_server("1", server), &waiting[1]);
	send_marked(worker, with_socket("1", socket_with_peer(test_loop, &peer, NULL)), &waiting[2]);
	free(text);
	muster_server_destroy(server);
	run_until_idle(test_loop);
	ck_assert_uint_eq(sent_calls, 0);
	return peer;
}

START_TEST(on_sent_comes_once_with_ECHANNEL_when_the_channel_goes)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	int peer = leave_messages_waiting(worker_by_id(cluster, 1));

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	run_dry(test_loop);
	ck_assert_str_eq(sent_order, "abc");
	ck_assert_int_eq(sent_last, MUSTER_ECHANNEL);
	client_expect_end(peer);
	close(peer);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(sent_calls, 3);
}
END_TEST

START_TEST(on_sent_comes_with_ECHANNEL_when_the_loop_is_freed)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	pid_t pid = muster_worker_pid(worker_by_id(cluster, 1));
	int peer = leave_messages_waiting(worker_by_id(cluster, 1));

	lines_record(MUSTER_LOG_ERROR);
	test_loop_close();
	ck_assert_str_eq(sent_order, "abc");
	ck_assert_int_eq(sent_last, MUSTER_ECHANNEL);
	client_expect_end(peer);
	close(peer);
	kill(pid, SIGKILL);
	process_wait(pid);
	test_loop_open();
}
END_TEST

START_TEST(who_sends_again_in_on_sent_of_a_channel_that_goes_is_told_ECHANNEL)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	pid_t pid = muster_worker_pid(worker);
	int peer = leave_messages_waiting(worker);

	waiting[0].again = waiting[1].again = worker;
	lines_record(MUSTER_LOG_ERROR);
	if (_i == 0) {
		ck_assert_int_eq(muster_worker_kill(worker, SIGKILL), 0);
		run_dry(test_loop);
		close_cluster(cluster, &counts);
	} else {
		test_loop_close();
		kill(pid, SIGKILL);
		process_wait(pid);
		test_loop_open();
	}
	ck_assert_str_eq(sent_order, "abc");
	close(peer);
}
END_TEST

static struct muster_worker *next_to;

static void send_more(int err, void *data)
{
	struct muster_message message = message_of("1");

	(void)data;
	ck_assert_int_eq(err, 0);
	message.on_sent = send_more;
	if (++sent_calls < 100)
		ck_assert_int_eq(muster_worker_send(next_to, &message), 0);
}

START_TEST(the_next_message_may_be_sent_in_on_sent)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct muster_message message = message_of("1");

	next_to = worker_by_id(cluster, 1);
	message.on_sent = send_more;
	ck_assert_int_eq(muster_worker_send(next_to, &message), 0);
	run_until_count(test_loop, counts.message, 100);
	ck_assert_uint_eq(sent_calls, 100);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(what_was_sent_before_disconnect_is_sent_and_on_sent_says_so)
{
	struct muster_cluster *cluster = start(obedient, NULL, 1);
	struct sent_mark mark = { 'a', NULL };

	sent_last = 1;
	send_marked(worker_by_id(cluster, 1), message_of("1"), &mark);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"type 0\" ");
	ck_assert_str_eq(sent_order, "a");
	ck_assert_int_eq(sent_last, 0);
	close_cluster(cluster, &counts);
}
END_TEST

static void tell_sent(int err, void *data)
{
	tell(data, "%s", err == 0 ? "gone" : muster_error_name(err));
}

static int send_from_worker(struct muster_worker *self, void *data)
{
	struct muster_message message = message_of("\"first\"");

	(void)data;
	message.on_sent = tell_sent;
	message.data = self;
	return muster_worker_send(self, &message) < 0 ? -EIO : obedient(self, NULL);
}

START_TEST(a_worker_is_told_on_sent_as_well)
{
	struct muster_cluster *cluster = start(send_from_worker, NULL, 1);

	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(counts.said, "\"first\" \"gone\" ");
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handles");
	TCase *servers = add_loop_case(suite, "servers"), *types = add_loop_case(suite, "types");
	TCase *stay = add_loop_case(suite, "keep_open"), *failing = add_loop_case(suite, "failing");
	TCase *sent = add_loop_case(suite, "on_sent");

	tcase_add_test(servers, a_server_sent_to_a_worker_accepts_there_and_here);
	tcase_add_test(servers, the_sender_goes_on_listening_when_the_worker_has_closed_it);
	tcase_add_test(servers, a_server_may_be_sent_twice);
	tcase_add_test(servers, a_server_may_be_sent_twice_to_the_same_worker);
	tcase_add_test(servers, a_server_at_a_path_can_be_sent_as_well);
	tcase_add_test(servers, a_server_that_does_not_listen_is_EHANDLETYPE);
	tcase_add_test(servers, a_server_that_nobody_takes_is_closed_there);
	tcase_add_test(servers, a_workers_server_without_a_socket_is_EHANDLETYPE);
	tcase_add_loop_test(servers, a_workers_server_with_a_socket_is_taken_by_the_primary, 0, 2);
	tcase_add_test(types, a_handle_is_received_as_what_its_sender_calls_it);
	tcase_add_test(types, a_bare_descriptor_that_listens_may_be_taken_as_a_server);
	tcase_add_loop_test(types, what_cannot_listen_and_is_taken_as_a_server_has_on_error, 0, 2);
	tcase_add_test(types, taking_a_server_of_a_message_without_one_is_ENOENT);
	tcase_add_test(stay, a_socket_that_is_kept_open_is_written_to_by_both);
	tcase_add_test(stay, a_connection_that_is_kept_open_counts_once);
	tcase_add_test(stay, a_socket_that_is_given_away_is_counted_where_it_is);
	tcase_add_loop_test(failing, a_socket_for_a_worker_that_has_gone_stays_the_callers, 0, 2);
	tcase_add_loop_test(failing, a_socket_for_a_worker_that_does_not_read_stays_the_callers, 0, 2);
	tcase_add_test(failing, a_socket_with_output_that_waits_cannot_be_given_away_and_stays);
	tcase_add_loop_test(failing, a_socket_that_is_closed_cannot_be_sent, 0, 2);
	tcase_add_test(failing, a_duplicate_that_cannot_be_made_is_EMFILE);
	tcase_add_test(failing, no_descriptor_at_all_is_no_message);
	tcase_add_test(sent, on_sent_comes_once_with_0_and_not_inside_the_call);
	tcase_add_test(sent, on_sent_comes_in_the_order_of_the_messages_with_handles_and_without);
	tcase_add_test(sent, on_sent_waits_until_all_of_it_is_with_the_kernel);
	tcase_add_test(sent, on_sent_comes_once_with_ECHANNEL_when_the_channel_goes);
	tcase_add_test(sent, on_sent_comes_with_ECHANNEL_when_the_loop_is_freed);
	tcase_add_loop_test(sent, who_sends_again_in_on_sent_of_a_channel_that_goes_is_told_ECHANNEL, 0, 2);
	tcase_add_test(sent, the_next_message_may_be_sent_in_on_sent);
	tcase_add_test(sent, what_was_sent_before_disconnect_is_sent_and_on_sent_says_so);
	tcase_add_test(sent, a_worker_is_told_on_sent_as_well);
	return run_suite(suite);
}
