/* tests/cluster/test_node_primary.c - Node's own primary, and workers of ours that it takes for its own. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/folder.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANY_PORT "{listen:[{port:0,host:'127.0.0.1'}]}"
#define QUIET "{quiet:true,listen:[{port:0,host:'127.0.0.1'}]}"

static const char *const policies[] = { "rr", "none" };
static struct node node;

/* As many workers as that, that all listen; the port. */
static unsigned serving(const char *policy, const char *settings, unsigned workers)
{
	char said[16];
	unsigned id;

	node_start(&node, policy);
	for (id = 1; id <= workers; id++) {
		node_run(&node, "start(%s)", settings);
		snprintf(said, sizeof said, "listening %u ", id);
		node_await(&node, said);
	}
	return node_await_number(&node, "listening 1 4 127.0.0.1 ");
}

static unsigned greeting(int client)
{
	char line[2];

	client_receive(client, line, 2);
	ck_assert_int_eq(line[1], '\n');
	return (unsigned)line[0] - '0';
}

static unsigned ask(unsigned port)
{
	int client = client_connect_port(port);
	unsigned id = greeting(client);

	close(client);
	return id;
}

/* All workers leave, with a status of 0, and Node with them. */
static void finish(void)
{
	node_run(&node, "cluster.disconnect(() => print('all', 'gone'))");
	node_await(&node, "all gone");
	node_end(&node);
}

/* ---- serving */

START_TEST(the_primary_sees_a_life_as_of_a_worker_of_its_own)
{
	unsigned port = serving(policies[_i], ANY_PORT, 1);
	int client = client_connect_port(port);

	ck_assert_uint_eq(greeting(client), 1);
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	close(client);
	node_run(&node, "cluster.workers[1].disconnect()");
	/* Newer Nodes tell the two in either order. */
	node_await(&node, "exit 1 0  true");
	node_await(&node, "disconnect 1 true");
	ck_assert_ptr_nonnull(strstr(node.said, "online 1\nlistening 1 4 127.0.0.1 "));
	node_end(&node);
}
END_TEST

START_TEST(node_spreads_evenly_over_our_workers)
{
	unsigned port = serving("rr", ANY_PORT, 3), served[4] = { 0 }, i;

	for (i = 0; i < 30; i++)
		served[ask(port)]++;
	for (i = 1; i <= 3; i++)
		ck_assert_uint_eq(served[i], 10);
	finish();
}
END_TEST

START_TEST(our_workers_accept_from_a_socket_that_node_shares)
{
	unsigned port = serving("none", ANY_PORT, 2), i, id;

	for (i = 0; i < 20; i++) {
		id = ask(port);
		ck_assert(id == 1 || id == 2);
	}
	node_run(&node, "cluster.workers[1].disconnect()");
	node_await(&node, "exit 1 0");
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(ask(port), 2);
	finish();
}
END_TEST

START_TEST(port_0_is_the_same_port_in_all_our_workers)
{
	unsigned port = serving(policies[_i], ANY_PORT, 2);

	ck_assert_uint_eq(node_await_number(&node, "listening 2 4 127.0.0.1 "), port);
	finish();
}
END_TEST

START_TEST(two_servers_in_one_worker_have_two_ports)
{
	unsigned first, second;

	node_start(&node, policies[_i]);
	node_run(&node, "start({listen:[{port:0,host:'127.0.0.1'},{port:0,host:'127.0.0.1'}]})");
	node_await_times(&node, "listening 1 4 127.0.0.1 ", 2);
	first = node_await_number(&node, "listening 1 4 127.0.0.1 ");
	second = (unsigned)strtoul(strstr(strstr(node.said, "listening 1") + 1, "127.0.0.1 ") + 10, NULL, 10);
	second = second != first ? second : (unsigned)strtoul(strrchr(node.said, ' ') + 1, NULL, 10);
	ck_assert_uint_ne(first, second);
	ck_assert_uint_eq(ask(first), 1);
	ck_assert_uint_eq(ask(second), 1);
	finish();
}
END_TEST

START_TEST(a_port_without_a_host_is_served_too)
{
	unsigned port = client_free_port();

	node_start(&node, policies[_i]);
	node_run(&node, "start({listen:[{port:%u}]}, 2)", port);
	node_await(&node, "listening 1 4 ");
	node_await(&node, "listening 2 4 ");
	ck_assert_uint_gt(ask(port), 0);
	finish();
}
END_TEST

START_TEST(a_path_is_served)
{
	const char *path = folder_path("socket");
	int client, i;

	node_start(&node, policies[_i]);
	node_run(&node, "start({listen:[{path:'%s'}]}, 2)", path);
	node_await(&node, "listening 1 -1 ");
	node_await(&node, "listening 2 -1 ");
	for (i = 0; i < 6; i++) {
		client = client_connect_path(path);
		ck_assert_uint_le(greeting(client), 2);
		close(client);
	}
	finish();
}
END_TEST

START_TEST(an_address_in_use_is_an_error_in_our_worker)
{
	int taken = client_listen(1);

	node_start(&node, policies[_i]);
	node_run(&node, "start({listen:[{port:%u,host:'127.0.0.1'}]})", client_port_of(taken));
	node_await(&node, "error EADDRINUSE");
	finish();
	close(taken);
}
END_TEST

START_TEST(a_worker_that_closes_its_server_gets_no_more)
{
	unsigned port = serving(policies[_i], ANY_PORT, 2), i;

	node_run(&node, "cluster.workers[1].send('close')");
	node_await(&node, "message 1 \"closed\"");
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(ask(port), 2);
	finish();
}
END_TEST

START_TEST(a_full_worker_leaves_connections_to_others)
{
	unsigned port, i;
	int full, other[6];

	node_start(&node, "rr");
	node_run(&node, "start({max:1,listen:[{port:0,host:'127.0.0.1'}]})");
	port = node_await_number(&node, "listening 1 4 127.0.0.1 ");
	full = client_connect_port(port);
	ck_assert_uint_eq(greeting(full), 1);
	node_run(&node, "start(%s)", ANY_PORT);
	node_await(&node, "listening 2 ");
	for (i = 0; i < 6; i++) {
		other[i] = client_connect_port(port);
		ck_assert_uint_eq(greeting(other[i]), 2);
	}
	close(full);
	until(ask(port) == 1);
	for (i = 0; i < 6; i++)
		close(other[i]);
	finish();
}
END_TEST

START_TEST(a_worker_at_its_descriptor_limit_leaves_connections_to_others)
{
	unsigned port, i;

	node_start(&node, "rr");
	node_run(&node,
		 "process.execPath = '/bin/sh'; cluster.setupPrimary({execArgv: ['-c', `ulimit -n ${30}; exec "
		 "${program} \"$0\"`], exec: JSON.stringify(%s)}); cluster.fork()",
		 ANY_PORT);
	port = node_await_number(&node, "listening 1 4 127.0.0.1 ");
	node_run(&node, "process.execPath = program; start(%s)", ANY_PORT);
	node_await(&node, "listening 2 ");
	node_run(&node, "cluster.workers[1].send('exhaust')");
	node_await(&node, "\"exhausted\"");
	for (i = 0; i < 20; i++)
		ck_assert_uint_eq(ask(port), 2);
	node_run(&node, "cluster.workers[1].send('release')");
	node_await(&node, "\"released\"");
	ck_assert_uint_eq(ask(port) + ask(port), 1 + 2);
	finish();
}
END_TEST

/* ---- messages and handles */

START_TEST(values_of_all_kinds_survive_the_way_from_node_and_back)
{
	node_start(&node, "rr");
	node_run(
		&node,
		"const values = [{a: 1, list: [2, null, true, 'x'], empty: {}}, 'plain', '', 0, -9007199254740991, 0.1, true, "
		"false, null, 'line\\nfeed \"quoted\" \\\\ \\u0000 \\u2028', '\\u00e9 \\u{1f600} \\u4e2d', {cmd: 'NODE_'}, "
		"'m'.repeat(200 * 1024), Array(20000).fill('\\u{1f600}'), 'x'.repeat(4 << 20)]; "
		"start({}); let next = 0; const step = () => cluster.workers[1].send({echo: values[next]}); "
		"cluster.on('message', (worker, message) => { if (JSON.stringify(message) !== JSON.stringify(values[next])) "
		"print('wrong', next); if (++next < values.length) step(); else print('all', 'equal'); }); step();");
	node_await(&node, "all equal");
	ck_assert_uint_eq(node_said(&node, "wrong"), 0);
	finish();
}
END_TEST

START_TEST(many_messages_come_in_order)
{
	node_start(&node, "rr");
	node_run(&node, "cluster.removeAllListeners('message'); start({}); let next = 0; "
			"cluster.on('message', (worker, message) => { if (message !== next++) print('wrong', next); "
			"if (next === 5000) print('all', 'came'); }); "
			"for (let i = 0; i < 5000; i++) cluster.workers[1].send({echo: i});");
	node_await(&node, "all came");
	ck_assert_uint_eq(node_said(&node, "wrong"), 0);
	finish();
}
END_TEST

START_TEST(a_connection_that_node_sends_is_answered)
{
	unsigned port;
	int client;

	node_start(&node, "rr");
	node_run(&node, "start({}); pass(1, () => ({for: 'you'}))");
	port = node_await_number(&node, "passing ");
	client = client_connect_port(port);
	client_expect_text(client, "{\"for\":\"you\"}\n");
	client_expect_end(client);
	close(client);
	node_run(&node, "cluster.workers[1].disconnect()");
	node_await(&node, "exit 1 0");
	node_run(&node, "passing.close()");
	node_end(&node);
}
END_TEST

START_TEST(a_server_of_nodes_counts_and_closes_though_its_connections_were_sent_away)
{
	unsigned port;
	int client;

	node_start(&node, "rr");
	node_run(&node, "start({}); pass(1, () => 'you')");
	port = node_await_number(&node, "passing ");
	client = client_connect_port(port);
	client_expect_text(client, "\"you\"\n");
	client_expect_end(client);
	close(client);
	node_run(&node, "passing.getConnections((error, count) => print('connections', error, count))");
	node_await(&node, "connections  0");
	node_run(&node, "passing.close(() => print('server closed'))");
	node_await(&node, "server closed");
	finish();
}
END_TEST

/* Each arrives with the message that was sent with it, whatever goes before and between. */
START_TEST(handles_from_node_keep_their_messages)
{
	static const unsigned fillers[] = { 0, 100, 65400, 65536, 1024 * 1024 };
	int clients[12], i;
	unsigned port;
	char text[32];

	node_start(&node, "rr");
	node_run(&node,
		 "start({}); pass(1, (n) => { const {1: worker} = cluster.workers; if (%u) worker.send({filler: "
		 "'x'.repeat(%u)}); worker.send({echo: n}); return n; })",
		 fillers[_i], fillers[_i]);
	port = node_await_number(&node, "passing ");
	for (i = 0; i < 12; i++)
		clients[i] = client_connect_port(port);
	for (i = 0; i < 12; i++) {
		snprintf(text, sizeof text, "%d\n", i);
		client_expect_text(clients[i], text);
		close(clients[i]);
	}
	node_await_times(&node, "message 1 ", 12);
	node_run(&node, "cluster.workers[1].disconnect()");
	node_await(&node, "exit 1 0");
	node_run(&node, "passing.close()");
	node_end(&node);
}
END_TEST

START_TEST(node_answers_on_a_connection_that_our_worker_sends)
{
	int listener = client_listen(8), peer, i;

	node_start(&node, "rr");
	node_run(&node, "start({})");
	for (i = 0; i < 5; i++)
		node_run(&node, "cluster.workers[1].send('connect %u')", client_port_of(listener));
	node_await_times(&node, "message 1 \"yours\" handle", 5);
	for (i = 0; i < 5; i++) {
		peer = accept(listener, NULL, NULL);
		client_expect_text(peer, "\"yours\"\n");
		client_expect_end(peer);
		close(peer);
	}
	finish();
	close(listener);
}
END_TEST

/* ---- ends */

START_TEST(a_worker_that_leaves_waits_for_its_connections)
{
	static const char *const ways[] = { "cluster.workers[1].disconnect()", "cluster.workers[1].send('leave')" };
	unsigned port = serving(policies[_i / 2], ANY_PORT, 1);
	int client = client_connect_port(port);

	ck_assert_uint_eq(greeting(client), 1);
	/* Node forgets a worker that it has asked to leave; its channel is still there. */
	node_run(&node, "const {1: one} = cluster.workers; %s; one.send({echo: 'still here'})", ways[_i % 2]);
	node_await(&node, "\"still here\"");
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	ck_assert_uint_eq(node_said(&node, "disconnect"), 0);
	close(client);
	/* Newer Nodes tell the two in either order. */
	node_await(&node, "exit 1 0  true");
	node_await(&node, "disconnect 1 true");
	node_end(&node);
}
END_TEST

START_TEST(a_worker_that_kills_itself_does_not_wait)
{
	unsigned port = serving("rr", ANY_PORT, 1);
	int client = client_connect_port(port);

	ck_assert_uint_eq(greeting(client), 1);
	node_run(&node, "cluster.workers[1].send('kill')");
	client_expect_end(client);
	close(client);
	node_await(&node, "exit 1 0  true");
	node_end(&node);
}
END_TEST

START_TEST(exit_codes_and_signals_are_told)
{
	serving(policies[_i], ANY_PORT, 3);
	node_run(&node, "cluster.workers[1].send('exit 7')");
	node_await(&node, "exit 1 7  false");
	node_run(&node, "cluster.workers[2].process.kill('SIGKILL')");
	node_await(&node, "exit 2  SIGKILL false");
	node_run(&node, "cluster.workers[3].kill()");
	node_await(&node, "exit 3  SIGTERM false");
	node_end(&node);
}
END_TEST

START_TEST(all_leave_when_the_cluster_disconnects)
{
	unsigned port = serving(policies[_i], ANY_PORT, 3), id;
	int client = client_connect_port(port);
	char said[32];

	ck_assert_uint_gt(greeting(client), 0);
	node_run(&node, "cluster.disconnect()");
	node_await_times(&node, "exit ", 2);
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	close(client);
	node_await_times(&node, "exit ", 3);
	for (id = 1; id <= 3; id++) {
		snprintf(said, sizeof said, "exit %u 0  true", id);
		ck_assert_uint_eq(node_said(&node, said), 1);
	}
	node_end(&node);
}
END_TEST

START_TEST(the_others_serve_on_when_one_is_killed)
{
	unsigned port = serving(policies[_i], ANY_PORT, 2), i;

	node_run(&node, "cluster.workers[1].process.kill('SIGKILL')");
	node_await(&node, "exit 1  SIGKILL false");
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(ask(port), 2);
	finish();
}
END_TEST

START_TEST(a_worker_whose_primary_is_killed_drains_and_exits_with_0)
{
	unsigned port = serving(policies[_i], ANY_PORT, 1);
	int client = client_connect_port(port);
	pid_t pid;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	node_run(&node, "print('pid', cluster.workers[1].process.pid)");
	pid = (pid_t)node_await_number(&node, "pid ");
	ck_assert_uint_eq(greeting(client), 1);
	node_kill(&node);
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	until(client_try_port(port) < 0);
	client_send_text(client, "again");
	client_expect_text(client, "again");
	close(client);
	ck_assert_int_eq(process_wait(pid), 0);
}
END_TEST

START_TEST(a_worker_whose_channel_is_closed_drains_and_exits_with_0)
{
	unsigned port = serving(policies[_i], ANY_PORT, 1);
	int client = client_connect_port(port);

	ck_assert_uint_eq(greeting(client), 1);
	node_run(&node, "cluster.workers[1].process.disconnect()");
	node_await(&node, "disconnect 1 false");
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	close(client);
	node_await(&node, "exit 1 0  false");
	node_end(&node);
}
END_TEST

START_TEST(a_primary_that_does_not_speak_json_is_told_by_the_exit_code)
{
	node_start(&node, "rr");
	node_run(&node, "cluster.setupPrimary({serialization: 'advanced'}); start({})");
	node_await(&node, "exit 1 1  false");
	node_end(&node);
}
END_TEST

START_TEST(many_workers_come_and_go)
{
	unsigned port = serving(policies[_i], ANY_PORT, 1), i;

	node_run(&node, "cluster.on('disconnect', (worker) => { if (worker.id <= 20) cluster.fork(); }); "
			"cluster.on('listening', (worker) => { if (worker.id > 20) print('the last'); });");
	for (i = 1; i <= 20; i++) {
		char said[32];

		node_run(&node, "cluster.workers[%u].send('leave')", i);
		snprintf(said, sizeof said, "listening %u ", i + 1);
		node_await(&node, said);
	}
	node_await(&node, "the last");
	node_await_times(&node, "exit ", 20);
	ck_assert_uint_eq(node_said(&node, " 0  true"), 20);
	(void)port;
	finish();
}
END_TEST

START_TEST(variables_of_another_primary_do_no_harm)
{
	char link[64], before[64] = "", after[64] = "";
	pid_t pid;

	node_start(&node, "rr");
	node_run(&node,
		 "process.env.MUSTER_SCOREBOARD_FD = 1; process.env.MUSTER_SCOREBOARD_SLOT = 0; start(%s); "
		 "print('pid', cluster.workers[1].process.pid)",
		 ANY_PORT);
	pid = (pid_t)node_await_number(&node, "pid ");
	ck_assert_uint_eq(ask(node_await_number(&node, "listening 1 4 127.0.0.1 ")), 1);
	snprintf(link, sizeof link, "/proc/%d/fd/1", (int)pid);
	ck_assert_int_gt(readlink(link, after, sizeof after - 1), 0);
	snprintf(link, sizeof link, "/proc/%d/fd/1", (int)node.pid);
	ck_assert_int_gt(readlink(link, before, sizeof before - 1), 0);
	ck_assert_str_eq(after, before);
	finish();
}
END_TEST

/* ---- storms */

START_TEST(ten_thousand_connections_come_through_node_without_a_loss)
{
	struct crowd crowd;

	crowd_begin(&crowd, serving(policies[_i], QUIET, 2), 100, 10000);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 10000);
	finish();
}
END_TEST

START_TEST(a_worker_that_leaves_under_load_costs_nobody)
{
	static const char *const ways[] = { "close", "leave" };
	struct crowd crowd;
	bool told = false;

	crowd_begin(&crowd, serving("rr", QUIET, 3), 100, 3000);
	while (crowd_turn(&crowd))
		if (!told && crowd_ended(&crowd) > 1000) {
			told = true;
			node_run(&node, "cluster.workers[2].send('%s')", ways[_i]);
		}
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 3000);
	finish();
}
END_TEST

static void add_serving(Suite *suite)
{
	TCase *serve = add_case(suite, "serving"), *messages = add_case(suite, "messages");

	tcase_add_loop_test(serve, the_primary_sees_a_life_as_of_a_worker_of_its_own, 0, 2);
	tcase_add_test(serve, node_spreads_evenly_over_our_workers);
	tcase_add_test(serve, our_workers_accept_from_a_socket_that_node_shares);
	tcase_add_loop_test(serve, port_0_is_the_same_port_in_all_our_workers, 0, 2);
	tcase_add_loop_test(serve, two_servers_in_one_worker_have_two_ports, 0, 2);
	tcase_add_loop_test(serve, a_port_without_a_host_is_served_too, 0, 2);
	tcase_add_loop_test(serve, a_path_is_served, 0, 2);
	tcase_add_loop_test(serve, an_address_in_use_is_an_error_in_our_worker, 0, 2);
	tcase_add_loop_test(serve, a_worker_that_closes_its_server_gets_no_more, 0, 2);
	tcase_add_test(serve, a_worker_at_its_descriptor_limit_leaves_connections_to_others);
	tcase_add_test(serve, a_full_worker_leaves_connections_to_others);
	tcase_add_test(messages, values_of_all_kinds_survive_the_way_from_node_and_back);
	tcase_add_test(messages, many_messages_come_in_order);
	tcase_add_test(messages, a_connection_that_node_sends_is_answered);
	tcase_add_test(messages, a_server_of_nodes_counts_and_closes_though_its_connections_were_sent_away);
	tcase_add_loop_test(messages, handles_from_node_keep_their_messages, 0, 5);
	tcase_add_test(messages, node_answers_on_a_connection_that_our_worker_sends);
}

static void add_lives(Suite *suite)
{
	TCase *ends = add_case(suite, "ends"), *storms = add_case(suite, "storms");

	tcase_add_loop_test(ends, a_worker_that_leaves_waits_for_its_connections, 0, 4);
	tcase_add_test(ends, a_worker_that_kills_itself_does_not_wait);
	tcase_add_loop_test(ends, exit_codes_and_signals_are_told, 0, 2);
	tcase_add_loop_test(ends, all_leave_when_the_cluster_disconnects, 0, 2);
	tcase_add_loop_test(ends, the_others_serve_on_when_one_is_killed, 0, 2);
	tcase_add_loop_test(ends, a_worker_whose_primary_is_killed_drains_and_exits_with_0, 0, 2);
	tcase_add_loop_test(ends, a_worker_whose_channel_is_closed_drains_and_exits_with_0, 0, 2);
	tcase_add_test(ends, a_primary_that_does_not_speak_json_is_told_by_the_exit_code);
	tcase_add_loop_test(ends, many_workers_come_and_go, 0, 2);
	tcase_add_test(ends, variables_of_another_primary_do_no_harm);
	tcase_add_loop_test(storms, ten_thousand_connections_come_through_node_without_a_loss, 0, 2);
	tcase_add_loop_test(storms, a_worker_that_leaves_under_load_costs_nobody, 0, 2);
}

int main(void)
{
	Suite *suite;

	if (!node_is_installed())
		return 0;
	suite = suite_create("node_primary");
	add_serving(suite);
	add_lives(suite);
	return run_suite(suite);
}
