/* tests/cluster/test_node_workers.c - our primary, and workers that are Node's own and have never heard of it. */
#include "src/loop.h"

#include "ipc/hook.h"
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANY_PORT "{\"listen\":[{\"port\":0,\"host\":\"127.0.0.1\"}]}"

static struct worker_counts counts;

/* ---- a cluster of Node workers */

static struct muster_cluster *node_cluster(const char *settings, enum muster_policy policy)
{
	const char *exec[] = { "node", NODE_WORKER, settings, NULL };

	return new_cluster(&(struct muster_cluster_options){ .exec = exec, .policy = policy }, NULL, &counts);
}

static void fork_one(struct muster_cluster *cluster, const char *const *env)
{
	unsigned listening = counts.listening;

	ck_assert_int_eq(muster_cluster_fork(cluster, env, NULL), 0);
	run_until_count(test_loop, counts.listening, listening + 1);
}

/* They listen one after the other: turns go by their ids. */
static struct muster_cluster *serving(const char *settings, unsigned workers)
{
	struct muster_cluster *cluster = node_cluster(settings, MUSTER_POLICY_ROUND_ROBIN);

	while (workers-- > 0)
		fork_one(cluster, NULL);
	return cluster;
}

static void say(struct muster_cluster *cluster, unsigned id, const char *json)
{
	struct muster_message message = { .text = json, .length = strlen(json) };

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, id), &message), 0);
}

/* Let it run some JavaScript. */
static void run_in(struct muster_cluster *cluster, unsigned id, const char *script)
{
	char text[512];

	snprintf(text, sizeof text, "{\"run\":\"%s\"}", script);
	say(cluster, id, text);
}

static int connect_here(void)
{
	return client_connect_port(counts.address.port);
}

/* Who serves the next connection. */
static unsigned ask(void)
{
	int client = connect_here();
	unsigned id = greeted_by(client);

	close(client);
	return id;
}

/* The line that has to come next. */
static void expect_line(int client, const char *line)
{
	run_until_readable(client);
	client_expect_text(client, line);
}

static void finish(struct muster_cluster *cluster)
{
	close_cluster(cluster, &counts);
}

/* ---- serving */

START_TEST(node_workers_have_all_their_events)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 1);
	int client = connect_here();

	ck_assert_uint_eq(greeted_by(client), 1);
	client_send_text(client, "hello");
	expect_line(client, "hello");
	close(client);
	finish(cluster);
	ck_assert_str_eq(counts.order, "fork1 online1 listening1 disconnect1 exit1 close0");
	ck_assert(counts.willing);
}
END_TEST

START_TEST(node_serves_http_through_the_primary)
{
	struct muster_cluster *cluster = serving("{\"http\":true,\"listen\":[{\"port\":0,\"host\":\"127.0.0.1\"}]}", 2);
	char answer[1024];
	int i, client;
	size_t length;

	for (i = 0; i < 4; i++) {
		client = connect_here();
		client_send_text(client, "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
		run_until_readable(client);
		length = client_receive_all(client, answer, sizeof answer - 1);
		answer[length] = '\0';
		ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK"));
		ck_assert_ptr_nonnull(strstr(answer, i % 2 == 0 ? "worker 1" : "worker 2"));
		close(client);
	}
	finish(cluster);
}
END_TEST

/* Each policy, and as many requests on one connection as the client likes. */
START_TEST(node_serves_http_by_each_policy)
{
	struct muster_cluster *cluster = node_cluster(
		"{\"http\":true,\"listen\":[{\"port\":0,\"host\":\"127.0.0.1\"}]}", (enum muster_policy)_i);
	char answer[1024];
	int client, i;
	ssize_t got;

	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	client = connect_here();
	for (i = 0; i < 4; i++) {
		client_send_text(client, "GET / HTTP/1.1\r\nHost: here\r\n\r\n");
		run_until_readable(client);
		got = recv(client, answer, sizeof answer - 1, 0);
		ck_assert_int_gt(got, 0);
		answer[got] = '\0';
		ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK"));
		ck_assert_ptr_nonnull(strstr(answer, "worker "));
	}
	close(client);
	finish(cluster);
}
END_TEST

START_TEST(round_robin_is_exact_over_node_workers)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 3);
	unsigned i;

	for (i = 0; i < 12; i++)
		ck_assert_uint_eq(ask(), i % 3 + 1);
	finish(cluster);
}
END_TEST

START_TEST(port_0_is_the_same_port_in_all_node_workers)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 1);
	unsigned port = counts.address.port;

	fork_one(cluster, NULL);
	ck_assert_uint_eq(counts.address.port, port);
	run_in(cluster, 1, "say(servers[0].address().port)");
	run_in(cluster, 2, "say(servers[0].address().port)");
	run_until_count(test_loop, counts.message, 2);
	ck_assert_uint_eq((unsigned)strtoul(counts.said, NULL, 10), port);
	ck_assert_uint_eq((unsigned)strtoul(strchr(counts.said, ' '), NULL, 10), port);
	finish(cluster);
}
END_TEST

START_TEST(two_servers_of_a_node_worker_on_port_0_have_two_ports)
{
	struct muster_cluster *cluster = node_cluster("{\"listen\":[{\"port\":0},{\"port\":0}]}", 0);
	unsigned first, second;

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 2);
	run_in(cluster, 1, "say(servers[0].address().port); say(servers[1].address().port)");
	run_until_count(test_loop, counts.message, 2);
	ck_assert_int_eq(sscanf(counts.said, "%u %u", &first, &second), 2);
	ck_assert_uint_ne(first, second);
	counts.address.port = first;
	ck_assert_uint_eq(ask(), 1);
	counts.address.port = second;
	ck_assert_uint_eq(ask(), 1);
	finish(cluster);
}
END_TEST

START_TEST(a_port_without_a_host_is_served_too)
{
	struct muster_cluster *cluster;
	char settings[64];
	unsigned port = client_free_port();

	snprintf(settings, sizeof settings, "{\"listen\":[{\"port\":%u}]}", port);
	cluster = serving(settings, 2);
	ck_assert_uint_eq(counts.address.port, port);
	ck_assert_uint_eq(ask(), 1);
	ck_assert_uint_eq(ask(), 2);
	finish(cluster);
}
END_TEST

START_TEST(a_path_is_served_and_removed_in_the_end)
{
	const char *path = folder_path("socket");
	struct muster_cluster *cluster;
	char settings[256];
	struct stat info;
	int client;
	unsigned i;

	snprintf(settings, sizeof settings, "{\"listen\":[{\"path\":\"%s\"}]}", path);
	cluster = serving(settings, 2);
	ck_assert_str_eq(counts.address.text, path);
	for (i = 0; i < 4; i++) {
		client = client_connect_path(path);
		ck_assert_uint_eq(greeted_by(client), i % 2 + 1);
		close(client);
	}
	finish(cluster);
	ck_assert_int_eq(stat(path, &info), -1);
}
END_TEST

START_TEST(node_workers_accept_from_a_shared_socket)
{
	struct muster_cluster *cluster = node_cluster(ANY_PORT, MUSTER_POLICY_SHARED);
	unsigned i, id;

	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	for (i = 0; i < 12; i++) {
		id = ask();
		ck_assert(id == 1 || id == 2);
	}
	/* Whoever is left accepts all. */
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(ask(), 2);
	finish(cluster);
}
END_TEST

START_TEST(an_address_in_use_is_an_error_in_the_node_worker)
{
	int taken = client_listen(1);
	struct muster_cluster *cluster;
	char settings[96];

	snprintf(settings, sizeof settings, "{\"listen\":[{\"port\":%u,\"host\":\"127.0.0.1\"}]}",
		 client_port_of(taken));
	cluster = node_cluster(settings, (enum muster_policy)_i);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "error EADDRINUSE bind");
	finish(cluster);
	close(taken);
}
END_TEST

START_TEST(a_node_worker_that_closes_its_server_gets_no_more)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	unsigned i;

	run_in(cluster, 1, "servers[0].close(() => say('closed'))");
	run_until_said(&counts, "closed");
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(ask(), 2);
	/* And it may listen there again. */
	run_in(cluster, 1, "servers[0].listen(0, '127.0.0.1')");
	run_until_count(test_loop, counts.listening, 3);
	ck_assert_uint_eq(ask() + ask(), 3);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_that_closes_while_it_is_asked_loses_no_client)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	int clients[8];
	unsigned i;

	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	run_in(cluster, 1, "servers[0].close()");
	for (i = 0; i < 8; i++)
		clients[i] = connect_here();
	/* Four have been handed to a worker that will not know the server any more when it looks. */
	for (i = 1; i < 8; i += 2)
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
	kill(muster_worker_pid(worker_by_id(cluster, 1)), SIGCONT);
	for (i = 0; i < 8; i += 2)
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
	for (i = 0; i < 8; i++)
		close(clients[i]);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_may_ask_for_what_it_cannot_have)
{
	static const char *const asks[][2] = {
		{ "serve({fd:4000})", "error EBADF" },
		{ "const u = require('node:dgram').createSocket('udp4'); u.on('error', (e) => say(`error ${e.code}`)); u.bind(0)",
		  "error EINVAL" },
		{ "serve({path:'/no/such/folder/socket'})", "error ENOENT bind" },
		{ "serve({port:0,host:'192.0.2.1'})", "error EADDRNOTAVAIL" },
	};
	struct muster_cluster *cluster = serving(ANY_PORT, 1);

	run_in(cluster, 1, asks[_i][0]);
	run_until_said(&counts, asks[_i][1]);
	ck_assert_uint_eq(ask(), 1);
	finish(cluster);
}
END_TEST

START_TEST(an_exclusive_server_of_a_node_worker_is_its_own)
{
	struct muster_cluster *cluster = serving("{}", 0);
	unsigned port = client_free_port();
	char script[96];
	int client;

	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	snprintf(script, sizeof script, "serve({port:%u,host:'127.0.0.1',exclusive:true})", port);
	run_in(cluster, 1, script);
	run_in(cluster, 1, "servers[0].on('listening', () => say('first'))");
	run_until_said(&counts, "first");
	run_in(cluster, 2, script);
	run_until_said(&counts, "error EADDRINUSE");
	client = client_connect_port(port);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	ck_assert_uint_eq(counts.listening, 0);
	/* No server of the cluster's, it is not closed by leaving. */
	run_in(cluster, 1, "servers[0].close()");
	finish(cluster);
}
END_TEST

START_TEST(a_second_server_of_a_node_worker_on_the_same_port_is_an_error)
{
	struct muster_cluster *cluster;
	char settings[64], script[64];
	unsigned port = client_free_port();

	snprintf(settings, sizeof settings, "{\"listen\":[{\"port\":%u}]}", port);
	cluster = serving(settings, 2);
	snprintf(script, sizeof script, "serve({port:%u})", port);
	run_in(cluster, 1, script);
	run_until_said(&counts, "error EADDRINUSE bind");
	ck_assert_uint_eq(ask(), 1);
	ck_assert_uint_eq(ask(), 2);
	finish(cluster);
}
END_TEST

/* Node's own primary says "in use" at some point, for its indexes drift apart. */
START_TEST(node_workers_may_close_and_listen_again_any_number_of_times)
{
	struct muster_cluster *cluster;
	char settings[64], script[160];
	unsigned port = client_free_port(), i;

	snprintf(settings, sizeof settings, "{\"listen\":[{\"port\":%u}]}", port);
	cluster = serving(settings, 2);
	snprintf(script, sizeof script, "servers[0].close(() => servers[0].listen(%u))", port);
	for (i = 0; i < 10; i++) {
		run_in(cluster, i % 2 + 1, script);
		run_until_count(test_loop, counts.listening, i + 3);
	}
	fork_one(cluster, NULL);
	ck_assert_uint_eq(counts.errors_of_worker, 0);
	ck_assert_uint_eq(ask() + ask() + ask(), 1 + 2 + 3);
	finish(cluster);
}
END_TEST

START_TEST(a_full_node_worker_leaves_connections_to_others)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	int full, others[6], last;
	unsigned i, before;

	run_in(cluster, 1, "servers[0].maxConnections = 1; say('set')");
	run_until_said(&counts, "set");
	full = connect_here();
	ck_assert_uint_eq(greeted_by(full), 1);
	for (i = 0; i < 6; i++) {
		others[i] = connect_here();
		ck_assert_uint_eq(greeted_by(others[i]), 2);
	}
	/* Where all are full the next one waits, and nobody burns a processor for it. */
	run_in(cluster, 2, "servers[0].maxConnections = 6; say('both')");
	run_until_said(&counts, "both");
	before = process_cpu_ms(getpid());
	last = connect_here();
	close(full);
	ck_assert_uint_eq(greeted_by(last), 1);
	ck_assert_uint_le(process_cpu_ms(getpid()) - before, 200);
	for (i = 0; i < 6; i++)
		close(others[i]);
	close(last);
	finish(cluster);
}
END_TEST

/* What one of them knows of a TLS session the others know too: the primary tells each what the first one said. */
START_TEST(node_serves_https_with_one_set_of_ticket_keys)
{
	struct ended ended;
	struct muster_cluster *cluster;
	unsigned i;
	char settings[1024], *second, *key = strdup(folder_path("key")), *cert = strdup(folder_path("cert"));

	run(&ended, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout",
	    key, "-out", cert);
	ck_assert_int_eq(ended.status, 0);
	snprintf(settings, sizeof settings,
		 "{\"tls\":{\"key\":\"%s\",\"cert\":\"%s\"},\"listen\":[{\"port\":0,\"host\":\"127.0.0.1\"}]}", key,
		 cert);
	cluster = node_cluster(settings, (enum muster_policy)_i);
	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	run_in(cluster, 1, "say(servers[0].getTicketKeys().toString('hex'))");
	run_in(cluster, 2, "say(servers[0].getTicketKeys().toString('hex'))");
	run_until_count(test_loop, counts.message, 2);
	second = strchr(counts.said, ' ') + 1;
	ck_assert_uint_gt(strlen(second), 90);
	ck_assert_int_eq(strncmp(counts.said, second, strlen(second)), 0);
	for (i = 1; i <= 2; i++) {
		run_in(cluster, 1, "fetch(servers[0].address().port)");
		run_until_count(test_loop, counts.message, 2 + i);
	}
	ck_assert_ptr_nonnull(strstr(counts.said, "got worker "));
	if (_i == MUSTER_POLICY_ROUND_ROBIN)
		ck_assert_ptr_nonnull(strstr(counts.said, "\"got worker 1\" \"got worker 2\""));
	free(key);
	free(cert);
	finish(cluster);
}
END_TEST

/* ---- messages */

static json_t *heard;
static unsigned heard_count;

static void on_heard(struct muster_worker *worker, struct muster_message *message, void *data)
{
	(void)worker, (void)data;
	json_decref(heard);
	heard = json_incref(message->json);
	heard_count++;
}

static struct muster_cluster *listened_to(void)
{
	static const struct muster_worker_handlers on = { .on_message = on_heard };
	struct muster_cluster *cluster = node_cluster("{}", 0);

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	return cluster;
}

/* There and back, through Node's own reading and writing of it; taken. */
static void echo(struct muster_cluster *cluster, json_t *value)
{
	json_t *message = json_pack("{s:O}", "echo", value);
	unsigned before = heard_count;

	ck_assert_ptr_nonnull(message);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &(struct muster_message){ .json = message }), 0);
	run_until_count(test_loop, heard_count, before + 1);
	ck_assert(json_equal(heard, value));
	json_decref(message);
	json_decref(value);
}

static void stop_listening(struct muster_cluster *cluster)
{
	json_decref(heard);
	heard = NULL;
	finish(cluster);
}

START_TEST(values_of_all_kinds_survive_the_way_to_node_and_back)
{
	struct muster_cluster *cluster = listened_to();

	echo(cluster, json_pack("{s:i,s:[i,n,b,s],s:{}}", "a", 1, "list", 2, 1, "x", "empty"));
	echo(cluster, json_string("plain"));
	echo(cluster, json_string(""));
	echo(cluster, json_integer(0));
	echo(cluster, json_integer(-9007199254740991));
	echo(cluster, json_real(0.1));
	echo(cluster, json_true());
	echo(cluster, json_false());
	echo(cluster, json_null());
	echo(cluster, json_string("line\nfeed \"quoted\" \\ tab\t \x01"));
	echo(cluster, json_string("\xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80 \xe4\xb8\xad\xe6\x96\x87"));
	echo(cluster, json_pack("{s:s}", "cmd", "NODE_"));
	echo(cluster, json_pack("{s:s}", "cmd", "node_handle"));
	stop_listening(cluster);
}
END_TEST

static json_t *long_string(size_t length)
{
	char *text = malloc(length + 1);
	json_t *json;

	ck_assert_ptr_nonnull(text);
	memset(text, 'm', length);
	text[length] = '\0';
	json = json_string(text);
	free(text);
	return json;
}

START_TEST(long_messages_survive_the_way_to_node_and_back)
{
	struct muster_cluster *cluster = listened_to();
	json_t *wide = json_string("\xf0\x9f\x98\x80"), *list = json_array();
	unsigned i;

	for (i = 0; i < 20000; i++)
		json_array_append(list, wide);
	json_decref(wide);
	echo(cluster, list);
	echo(cluster, long_string(65535));
	echo(cluster, long_string(65536));
	echo(cluster, long_string(200 * 1024));
	echo(cluster, long_string(4 * 1024 * 1024));
	stop_listening(cluster);
}
END_TEST

START_TEST(many_messages_come_in_order)
{
	struct muster_cluster *cluster = listened_to();
	char text[32];
	unsigned i;

	for (i = 1; i <= 5000; i++) {
		snprintf(text, sizeof text, "{\"echo\":%u}", i);
		say(cluster, 1, text);
	}
	for (i = 1; i <= 5000; i++) {
		run_until_count(test_loop, heard_count, i);
		ck_assert(heard_count > i || json_integer_value(heard) == i);
	}
	stop_listening(cluster);
}
END_TEST

/* ---- handles */

static void send_end(struct muster_cluster *cluster, enum muster_handle_type type, int fd, const char *text)
{
	struct muster_message message = { .text = text, .length = strlen(text), .handle_type = type };

	if (type == MUSTER_HANDLE_SOCKET) {
		message.handle.socket = muster_socket_open(test_loop, fd, NULL);
		ck_assert_ptr_nonnull(message.handle.socket);
	} else {
		message.handle.fd = fd;
	}
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
}

START_TEST(node_answers_on_a_connection_that_it_is_sent)
{
	struct muster_cluster *cluster = listened_to();
	int ends[2];

	if (_i < 2)
		client_pair(ends);
	else
		client_pair_local(ends);
	send_end(cluster, _i % 2 == 0 ? MUSTER_HANDLE_SOCKET : MUSTER_HANDLE_FD, ends[0], "{\"for\":\"you\"}");
	expect_line(ends[1], "{\"for\":\"you\"}\n");
	client_expect_end(ends[1]);
	close(ends[1]);
	stop_listening(cluster);
}
END_TEST

/* Each arrives with the message that was sent with it, whatever goes before and between. */
START_TEST(handles_to_node_keep_their_messages)
{
	static const size_t fillers[] = { 0, 100, 65300, 65480, 65536, 131000, 1024 * 1024 };
	struct muster_cluster *cluster = listened_to();
	json_t *filler = json_pack("{s:o}", "filler", long_string(fillers[_i]));
	int ends[16][2], i;
	char text[32];

	for (i = 0; i < 16; i++) {
		client_pair(ends[i]);
		if (fillers[_i] > 0 && i % 3 == 0)
			ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1),
							    &(struct muster_message){ .json = filler }),
					 0);
		snprintf(text, sizeof text, "%d", i);
		send_end(cluster, MUSTER_HANDLE_FD, ends[i][0], text);
		snprintf(text, sizeof text, "{\"echo\":%d}", i);
		say(cluster, 1, text);
	}
	for (i = 0; i < 16; i++) {
		snprintf(text, sizeof text, "%d\n", i);
		expect_line(ends[i][1], text);
		close(ends[i][1]);
	}
	run_until_count(test_loop, heard_count, 16);
	json_decref(filler);
	stop_listening(cluster);
}
END_TEST

static int taken[64];
static unsigned taken_count;

/* The number beside it is the port of its other end. */
static void take_one(struct muster_worker *worker, struct muster_message *message, void *data)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;
	int fd = muster_message_take_fd(message);

	(void)worker, (void)data;
	if (fd < 0)
		return;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	ck_assert_int_eq(json_integer_value(message->json), ntohs(in.sin_port));
	taken[taken_count++] = fd;
}

START_TEST(handles_from_node_keep_their_messages)
{
	static const unsigned fillers[] = { 0, 65400, 1024 * 1024 };
	static const struct muster_worker_handlers on = { .on_message = take_one };
	struct muster_cluster *cluster = node_cluster("{}", 0);
	int listener = client_listen(64), peer;
	char script[64], text[32];
	unsigned i;

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	snprintf(script, sizeof script, "give(%u, 12, %u)", client_port_of(listener), fillers[_i]);
	run_in(cluster, 1, script);
	run_until_count(test_loop, taken_count, 12);
	for (i = 0; i < 12; i++) {
		snprintf(text, sizeof text, "it is mine: %u", i);
		client_send_text(taken[i], text);
		close(taken[i]);
	}
	for (i = 0; i < 12; i++) {
		peer = accept(listener, NULL, NULL);
		client_expect_text(peer, "it is mine: ");
		close(peer);
	}
	close(listener);
	finish(cluster);
}
END_TEST

static unsigned without, with;

/* The first time there is no descriptor left for it, and then there is. */
static void take_the_second(struct muster_worker *worker, struct muster_message *message, void *data)
{
	int fd = muster_message_take_fd(message);

	(void)worker, (void)data;
	if (fd >= 0) {
		client_send_text(fd, "it is mine");
		close(fd);
		with++;
	}
}

/* Node sends it again at our answer: from here on there is room for it. */
static void make_room(const char *point)
{
	if (strcmp(point, "handle-lost") != 0)
		return;
	without++;
	descriptors_release();
}

START_TEST(node_sends_a_connection_again_that_found_no_descriptor)
{
	static const struct muster_worker_handlers on = { .on_message = take_the_second };
	struct muster_cluster *cluster = node_cluster("{}", 0);
	int listener = client_listen(8), peers[2];
	char script[64];

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.online, 1);
	snprintf(script, sizeof script, "give(%u, 1, 0)", client_port_of(listener));
	run_in(cluster, 1, script);
	muster__hook = make_room;
	descriptors_exhaust(0);
	run_until_count(test_loop, with, 1);
	ck_assert_uint_eq(without, 1);
	peers[0] = accept(listener, NULL, NULL);
	client_expect_text(peers[0], "it is mine");
	/* The answer to it was one: another one goes the usual way. */
	run_in(cluster, 1, script);
	run_until_count(test_loop, with, 2);
	peers[1] = accept(listener, NULL, NULL);
	client_expect_text(peers[1], "it is mine");
	ck_assert_uint_eq(without, 1);
	close(peers[0]);
	close(peers[1]);
	close(listener);
	finish(cluster);
}
END_TEST

static struct muster_server *taken_server;

static void on_taken_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_write(socket, "7\n", 2);
	muster_socket_destroy_soon(socket);
}

static void take_server(struct muster_worker *worker, struct muster_message *message, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_taken_connection };

	(void)worker, (void)data;
	if (message->handle_type != MUSTER_HANDLE_SERVER)
		return;
	taken_server = muster_message_take_server(message, test_loop);
	ck_assert_ptr_nonnull(taken_server);
	ck_assert_int_eq(muster_server_on(taken_server, &on, NULL), 0);
}

START_TEST(a_server_that_node_sends_is_served_by_the_primary)
{
	static const struct muster_worker_handlers on = { .on_message = take_server };
	struct muster_cluster *cluster = node_cluster("{}", 0);
	int client;

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_in(cluster, 1,
	       "const s = net.createServer(greet).listen({port:0,host:'127.0.0.1',exclusive:true}, () => "
	       "{ say(s.address().port); process.send('server', s, () => s.close(() => say('closed'))); })");
	run_until_said(&counts, "closed");
	ck_assert_ptr_nonnull(taken_server);
	counts.address.port = (unsigned)strtoul(counts.said, NULL, 10);
	client = connect_here();
	ck_assert_uint_eq(greeted_by(client), 7);
	close(client);
	ck_assert_int_eq(muster_server_close(taken_server), 0);
	finish(cluster);
}
END_TEST

START_TEST(a_server_that_node_is_sent_is_served_by_it)
{
	struct muster_cluster *cluster = node_cluster("{}", 0);
	static struct server_counts server_counts;
	struct muster_server *server = listening_server(test_loop, &server_counts);
	struct muster_message message = { .text = "\"serve\"", .length = 7, .handle_type = MUSTER_HANDLE_SERVER };
	struct muster_address address;
	int client;

	message.handle.server = server;
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	ck_assert_int_eq(muster_server_address(server, &address), 0);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_until_said(&counts, "serving");
	/* Ours is closed, and the port is served still. */
	ck_assert_int_eq(muster_server_close(server), 0);
	client = client_connect_port(address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	finish(cluster);
}
END_TEST

START_TEST(a_socket_may_stay_open_on_both_sides)
{
	struct muster_cluster *cluster = node_cluster("{}", 0);
	struct muster_message message = { .text = "\"shared\"", .length = 8, .handle_type = MUSTER_HANDLE_SOCKET };
	int ends[2];

	client_pair(ends);
	message.keep_open = true;
	message.handle.socket = muster_socket_open(test_loop, ends[0], NULL);
	ck_assert_ptr_nonnull(message.handle.socket);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	expect_line(ends[1], "\"shared\"\n");
	muster_socket_destroy(message.handle.socket, 0);
	close(ends[1]);
	finish(cluster);
}
END_TEST

/* ---- ends */

START_TEST(a_node_worker_that_leaves_waits_for_its_connections)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	int client = connect_here();

	ck_assert_uint_eq(greeted_by(client), 1);
	if (_i == 0)
		ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	else
		run_in(cluster, 1, "cluster.worker.disconnect()");
	run_in(cluster, 1, "say('still here')");
	run_until_said(&counts, "still here");
	ck_assert_uint_eq(ask(), 2);
	ck_assert_uint_eq(ask(), 2);
	client_send_text(client, "hello");
	expect_line(client, "hello");
	ck_assert_uint_eq(counts.disconnect, 0);
	close(client);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_ptr_nonnull(strstr(counts.order, "disconnect1 exit1"));
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_that_kills_itself_does_not_wait)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 1);
	int client = connect_here();

	ck_assert_uint_eq(greeted_by(client), 1);
	run_in(cluster, 1, "cluster.worker.kill()");
	run_until_ended(client);
	close(client);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
	finish(cluster);
}
END_TEST

START_TEST(the_exit_code_of_a_node_worker_is_told)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	int client = connect_here();

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_uint_eq(greeted_by(client), 1);
	run_in(cluster, 1, "process.exit(5)");
	run_until_ended(client);
	close(client);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code, 5);
	ck_assert_int_eq(counts.signal, 0);
	ck_assert(!counts.willing);
	ck_assert_uint_eq(ask(), 2);
	finish(cluster);
}
END_TEST

START_TEST(the_signal_that_killed_a_node_worker_is_told)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 1);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), 0), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGTERM);
	ck_assert(!counts.willing);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_that_dies_is_replaced)
{
	const char *exec[] = { "node", NODE_WORKER, ANY_PORT, NULL };
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .exec = exec, .respawn = true }, NULL, &counts);
	unsigned port;

	lines_record(MUSTER_LOG_ERROR);
	fork_one(cluster, NULL);
	port = counts.address.port;
	ck_assert_uint_eq(ask(), 1);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_uint_eq(counts.address.port, port);
	ck_assert_uint_eq(ask(), 2);
	finish(cluster);
}
END_TEST

/* They are in the queue of a socket that was its own. */
START_TEST(with_reuse_port_a_node_worker_accepts_for_itself_and_its_queue_outlives_it)
{
	struct muster_cluster *cluster = node_cluster(ANY_PORT, MUSTER_POLICY_REUSE_PORT);
	unsigned served[3] = { 0 }, i;
	int clients[60];

	lines_record(MUSTER_LOG_ERROR);
	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	for (i = 0; i < 60; i++)
		served[ask()]++;
	ck_assert_uint_gt(served[1], 5);
	ck_assert_uint_gt(served[2], 5);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	for (i = 0; i < 60; i++)
		clients[i] = connect_here();
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	for (i = 0; i < 60; i++) {
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
		close(clients[i]);
	}
	run_until_count(test_loop, counts.exit, 1);
	finish(cluster);
}
END_TEST

START_TEST(connections_that_a_killed_node_worker_never_saw_go_to_another)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	int clients[20];
	unsigned i;

	lines_record(MUSTER_LOG_ERROR);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	for (i = 0; i < 20; i++)
		clients[i] = connect_here();
	for (i = 1; i < 20; i += 2)
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	for (i = 0; i < 20; i += 2)
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
	for (i = 0; i < 20; i++)
		close(clients[i]);
	run_until_count(test_loop, counts.exit, 1);
	finish(cluster);
}
END_TEST

static const char *const steps[] = { "accepted", "before-handed-over", "handed-over", "answer-received",
				     "answer-settled" };
static const char *deadly_step;
static pid_t victim;

static void kill_victim(const char *point)
{
	if (victim != 0 && strcmp(point, deadly_step) == 0) {
		kill(victim, SIGKILL);
		until(!process_lives(victim));
		victim = 0;
	}
}

/* It answers before it looks, so one that it had answered for, or was about to, may be lost with it; no other. */
START_TEST(a_node_worker_may_die_at_any_step_of_a_connections_way)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 2);
	unsigned greeted = 0, i;
	int clients[20];
	char line[8];

	lines_record(MUSTER_LOG_ERROR);
	deadly_step = steps[_i];
	victim = muster_worker_pid(worker_by_id(cluster, 1));
	muster__hook = kill_victim;
	for (i = 0; i < 20; i++)
		clients[i] = connect_here();
	for (i = 0; i < 20; i++) {
		run_until_readable(clients[i]);
		greeted += recv(clients[i], line, sizeof line, 0) > 0;
		close(clients[i]);
	}
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGKILL);
	ck_assert_uint_ge(greeted, _i < 2 ? 20 : 10);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_at_its_descriptor_limit_leaves_connections_to_others)
{
	static const char *const limit[] = { "LIMIT=40", NULL }, *const none[] = { "LIMIT=1024", NULL };
	const char *exec[] = { "sh", "-c", "ulimit -n $LIMIT; exec node \"$0\" \"$1\"", NODE_WORKER, ANY_PORT, NULL };
	struct muster_cluster *cluster = new_cluster(&(struct muster_cluster_options){ .exec = exec }, NULL, &counts);
	unsigned i;

	fork_one(cluster, limit);
	fork_one(cluster, none);
	run_in(cluster, 1, "exhaust()");
	run_until_said(&counts, "exhausted");
	for (i = 0; i < 20; i++)
		ck_assert_uint_eq(ask(), 2);
	run_in(cluster, 1, "release()");
	run_until_said(&counts, "released");
	/* It is asked again when some time has passed: then it serves as before. */
	until(ask() == 1);
	ck_assert_uint_eq(ask(), 2);
	ck_assert_uint_eq(ask(), 1);
	finish(cluster);
}
END_TEST

/* It has room again by the time that it is asked again, in the order of what it was sent. */
START_TEST(a_handle_that_node_had_no_descriptor_for_is_sent_again)
{
	const char *exec[] = { "sh", "-c", "ulimit -n 40; exec node \"$0\" \"$1\"", NODE_WORKER, ANY_PORT, NULL };
	struct muster_cluster *cluster = new_cluster(&(struct muster_cluster_options){ .exec = exec }, NULL, &counts);
	struct muster_message message = { .text = "\"yours\"", .length = 7, .handle_type = MUSTER_HANDLE_SOCKET };
	struct socket_counts of_socket = { 0 };
	int client;

	fork_one(cluster, NULL);
	run_in(cluster, 1, "exhaust()");
	run_until_said(&counts, "exhausted");
	message.handle.socket = socket_with_peer(test_loop, &client, &of_socket);
	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1), &message), 0);
	run_in(cluster, 1, "setImmediate(release)");
	expect_line(client, "\"yours\"\n");
	run_until_ended(client);
	close(client);
	finish(cluster);
}
END_TEST

START_TEST(node_workers_end_when_their_primary_is_gone)
{
	struct muster_cluster *cluster = serving(ANY_PORT, 1);
	pid_t pid = muster_worker_pid(worker_by_id(cluster, 1));

	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_int_eq(process_wait(pid), 0);
}
END_TEST

/* ---- any program */

START_TEST(a_program_gets_its_environment_and_its_folder)
{
	static const char *const all[] = { "MUSTER_TEST_A=all", "MUSTER_TEST_B=all", NULL };
	static const char *const one[] = { "MUSTER_TEST_B=one", NULL };
	const char *exec[] = { "node", NODE_WORKER, NULL };
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .exec = exec, .env = all, .cwd = "/proc/self" }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_fork(cluster, one, NULL), 0);
	run_in(cluster, 1, "say([process.env.MUSTER_TEST_A, process.env.MUSTER_TEST_B, process.env.NODE_UNIQUE_ID])");
	run_in(cluster, 1, "say(process.cwd() === `/proc/${process.pid}`)");
	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(counts.said, "[\"all\",\"one\",null] true ");
	finish(cluster);
}
END_TEST

START_TEST(a_program_that_is_not_there_exits_with_127)
{
	const char *exec[] = { "/no/such/program", NULL };
	struct muster_cluster *cluster = new_cluster(&(struct muster_cluster_options){ .exec = exec }, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(freopen("/dev/null", "w", stderr) == NULL, 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code, 127);
	finish(cluster);
}
END_TEST

START_TEST(a_program_runs_as_another_user)
{
	const char *exec[] = { "node", "-e", "process.send([process.getuid(), process.getgid(), process.getgroups()])",
			       NULL };
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .exec = exec, .uid = 65534, .gid = 65533, .cwd = "/" },
			    NULL, &counts);

	if (getuid() == 0) {
		ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
		run_until_count(test_loop, counts.exit, 1);
		ck_assert_str_eq(counts.said, "[65534,65533,[65533]] ");
	}
	finish(cluster);
}
END_TEST

START_TEST(node_workers_and_ours_share_a_listener)
{
	static const char *const node[] = { "KIND=node", NULL }, *const ours[] = { "KIND=muster", NULL };
	const char *exec[] = {
		"sh",        "-c",          "[ $KIND = node ] && exec node \"$0\" \"$2\"; exec \"$1\" \"$2\"",
		NODE_WORKER, MUSTER_WORKER, ANY_PORT,
		NULL
	};
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .exec = exec, .policy = (enum muster_policy)_i }, NULL, &counts);
	unsigned i, id, served[5] = { 0 };

	for (i = 0; i < 4; i++)
		fork_one(cluster, i % 2 == 0 ? node : ours);
	for (i = 0; i < 16; i++) {
		id = ask();
		ck_assert(id >= 1 && id <= 4);
		served[id]++;
	}
	for (id = 1; id <= 4; id++)
		ck_assert(_i != MUSTER_POLICY_ROUND_ROBIN || served[id] == 4);
	/* Each kind takes over what the other leaves. */
	for (id = 1; id <= 3; id++)
		ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, id)), 0);
	run_until_count(test_loop, counts.exit, 3);
	ck_assert_uint_eq(ask(), 4);
	finish(cluster);
}
END_TEST

START_TEST(our_worker_as_a_program_counts_as_ours)
{
	const char *exec[] = { MUSTER_WORKER, ANY_PORT, NULL };
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .exec = exec, .policy = MUSTER_POLICY_LEAST_CONNECTIONS },
			    NULL, &counts);
	int clients[6];
	unsigned i, id, served[3] = { 0 };

	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	for (i = 0; i < 6; i++) {
		clients[i] = connect_here();
		id = greeted_by(clients[i]);
		ck_assert(id == 1 || id == 2);
		served[id]++;
	}
	ck_assert_uint_eq(served[1], 3);
	ck_assert_uint_eq(served[2], 3);
	for (i = 0; i < 6; i++)
		close(clients[i]);
	finish(cluster);
}
END_TEST

/* A wrapper may keep the descriptor from it: then it is as any other peer. */
START_TEST(our_worker_without_a_slot_gets_its_share)
{
	const char *exec[] = {
		"sh",          "-c",     "[ $NODE_UNIQUE_ID = 1 ] && unset MUSTER_SCOREBOARD_FD; exec \"$0\" \"$1\"",
		MUSTER_WORKER, ANY_PORT, NULL
	};
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .exec = exec, .policy = MUSTER_POLICY_LEAST_CONNECTIONS },
			    NULL, &counts);
	unsigned i;

	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	for (i = 0; i < 20; i++)
		ask();
	/* What either has served is over, as soon as it has seen that. */
	until(ask() == 1);
	until(ask() == 2);
	until(ask() == 1);
	finish(cluster);
}
END_TEST

/* ---- storms */

static void on_crowd(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	crowd_turn(data);
}

static unsigned goal;

static bool have_ended(void *data)
{
	return crowd_ended(data) >= goal;
}

/* The crowd's events are the loop's. Its patience begins anew with each half a thousand. */
static void storm(struct muster_cluster *cluster, struct crowd *crowd, unsigned total, const char *in_the_middle)
{
	struct event readable;

	crowd_begin(crowd, counts.address.port, 100, total);
	event_assign(&readable, muster_loop_base(test_loop), crowd->epoll, EV_READ | EV_PERSIST, on_crowd, crowd);
	ck_assert_int_eq(muster__event_add(test_loop, &readable, NULL), 0);
	for (goal = 500; goal <= total; goal += 500) {
		run_until(test_loop, have_ended, crowd);
		if (in_the_middle != NULL && goal == 1000)
			run_in(cluster, 2, in_the_middle);
	}
	muster__event_del(test_loop, &readable);
	crowd_end(crowd);
}

#define QUIET "{\"quiet\":true,\"listen\":[{\"port\":0,\"host\":\"127.0.0.1\"}]}"

START_TEST(ten_thousand_connections_reach_node_without_a_loss)
{
	struct muster_cluster *cluster = node_cluster(QUIET, (enum muster_policy)_i);
	struct crowd crowd;

	fork_one(cluster, NULL);
	fork_one(cluster, NULL);
	storm(cluster, &crowd, 10000, NULL);
	ck_assert_uint_eq(crowd.answered, 10000);
	finish(cluster);
}
END_TEST

/* Those that it had accepted are lost with it, and no others. */
START_TEST(a_node_worker_that_ends_under_load_costs_only_its_own)
{
	static const char *const ends[] = { "process.kill(process.pid, 'SIGKILL')", "process.exit(3)" };
	struct muster_cluster *cluster = serving(QUIET, 3);
	struct crowd crowd;

	lines_record(MUSTER_LOG_ERROR);
	storm(cluster, &crowd, 3000, ends[_i]);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(crowd.refused, 0);
	ck_assert_uint_eq(crowd.answered + crowd.failed, 3000);
	ck_assert_uint_le(crowd.failed, 100);
	finish(cluster);
}
END_TEST

START_TEST(a_node_worker_that_leaves_under_load_costs_nobody)
{
	struct muster_cluster *cluster = serving(QUIET, 3);
	struct crowd crowd;

	storm(cluster, &crowd, 3000, _i == 0 ? "cluster.worker.disconnect()" : "servers[0].close()");
	ck_assert_uint_eq(crowd.answered, 3000);
	finish(cluster);
}
END_TEST

static void add_serving(Suite *suite)
{
	TCase *serve_case = add_loop_case(suite, "serving"), *messages = add_loop_case(suite, "messages");
	TCase *handles = add_loop_case(suite, "handles"), *asks = add_loop_case(suite, "asks");

	tcase_add_test(serve_case, node_workers_have_all_their_events);
	tcase_add_test(serve_case, node_serves_http_through_the_primary);
	tcase_add_loop_test(serve_case, node_serves_http_by_each_policy, MUSTER_POLICY_ROUND_ROBIN,
			    MUSTER_POLICY_LEAST_CONNECTIONS + 1);
	tcase_add_test(serve_case, round_robin_is_exact_over_node_workers);
	tcase_add_test(serve_case, port_0_is_the_same_port_in_all_node_workers);
	tcase_add_test(serve_case, two_servers_of_a_node_worker_on_port_0_have_two_ports);
	tcase_add_test(serve_case, a_port_without_a_host_is_served_too);
	tcase_add_test(serve_case, a_path_is_served_and_removed_in_the_end);
	tcase_add_test(serve_case, node_workers_accept_from_a_shared_socket);
	tcase_add_loop_test(serve_case, an_address_in_use_is_an_error_in_the_node_worker, MUSTER_POLICY_ROUND_ROBIN,
			    MUSTER_POLICY_SHARED + 1);
	tcase_add_test(serve_case, a_node_worker_that_closes_its_server_gets_no_more);
	tcase_add_test(serve_case, a_node_worker_that_closes_while_it_is_asked_loses_no_client);
	tcase_add_loop_test(asks, a_node_worker_may_ask_for_what_it_cannot_have, 0, 4);
	tcase_add_test(asks, an_exclusive_server_of_a_node_worker_is_its_own);
	tcase_add_test(asks, a_second_server_of_a_node_worker_on_the_same_port_is_an_error);
	tcase_add_test(asks, node_workers_may_close_and_listen_again_any_number_of_times);
	tcase_add_test(asks, a_full_node_worker_leaves_connections_to_others);
	if (system("openssl version >/dev/null 2>&1") == 0)
		tcase_add_loop_test(asks, node_serves_https_with_one_set_of_ticket_keys, MUSTER_POLICY_ROUND_ROBIN,
				    MUSTER_POLICY_SHARED + 1);
	else
		puts("openssl is not installed: the test of https is skipped");
	tcase_add_test(messages, values_of_all_kinds_survive_the_way_to_node_and_back);
	tcase_add_test(messages, long_messages_survive_the_way_to_node_and_back);
	tcase_add_test(messages, many_messages_come_in_order);
	tcase_add_loop_test(handles, node_answers_on_a_connection_that_it_is_sent, 0, 4);
	tcase_add_loop_test(handles, handles_to_node_keep_their_messages, 0, 7);
	tcase_add_loop_test(handles, handles_from_node_keep_their_messages, 0, 3);
	tcase_add_test(handles, a_server_that_node_sends_is_served_by_the_primary);
	tcase_add_test(handles, a_server_that_node_is_sent_is_served_by_it);
	tcase_add_test(handles, a_socket_may_stay_open_on_both_sides);
	tcase_add_test(handles, node_sends_a_connection_again_that_found_no_descriptor);
}

static void add_lives(Suite *suite)
{
	TCase *ends = add_loop_case(suite, "ends"), *programs = add_loop_case(suite, "programs");
	TCase *storms = add_loop_case(suite, "storms");

	tcase_add_loop_test(ends, a_node_worker_that_leaves_waits_for_its_connections, 0, 2);
	tcase_add_test(ends, a_node_worker_that_kills_itself_does_not_wait);
	tcase_add_test(ends, the_exit_code_of_a_node_worker_is_told);
	tcase_add_test(ends, the_signal_that_killed_a_node_worker_is_told);
	tcase_add_test(ends, a_node_worker_that_dies_is_replaced);
	tcase_add_test(ends, connections_that_a_killed_node_worker_never_saw_go_to_another);
	tcase_add_test(ends, with_reuse_port_a_node_worker_accepts_for_itself_and_its_queue_outlives_it);
	tcase_add_loop_test(ends, a_node_worker_may_die_at_any_step_of_a_connections_way, 0,
			    sizeof steps / sizeof *steps);
	tcase_add_test(ends, a_node_worker_at_its_descriptor_limit_leaves_connections_to_others);
	tcase_add_test(ends, a_handle_that_node_had_no_descriptor_for_is_sent_again);
	tcase_add_test(ends, node_workers_end_when_their_primary_is_gone);
	tcase_add_test(programs, a_program_gets_its_environment_and_its_folder);
	tcase_add_test(programs, a_program_that_is_not_there_exits_with_127);
	tcase_add_test(programs, a_program_runs_as_another_user);
	tcase_add_loop_test(programs, node_workers_and_ours_share_a_listener, MUSTER_POLICY_ROUND_ROBIN,
			    MUSTER_POLICY_LEAST_CONNECTIONS + 1);
	tcase_add_test(programs, our_worker_as_a_program_counts_as_ours);
	tcase_add_test(programs, our_worker_without_a_slot_gets_its_share);
	tcase_add_loop_test(storms, ten_thousand_connections_reach_node_without_a_loss, MUSTER_POLICY_ROUND_ROBIN,
			    MUSTER_POLICY_LEAST_CONNECTIONS + 1);
	tcase_add_loop_test(storms, a_node_worker_that_ends_under_load_costs_only_its_own, 0, 2);
	tcase_add_loop_test(storms, a_node_worker_that_leaves_under_load_costs_nobody, 0, 2);
}

int main(void)
{
	Suite *suite;

	if (!node_is_installed())
		return 0;
	suite = suite_create("node_workers");
	add_serving(suite);
	add_lives(suite);
	return run_suite(suite);
}
