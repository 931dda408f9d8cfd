/* tests/master/test_lives.c - what a worker asks for reaches the socket, and a life may end in more than one way at once. */
#include "master/handover.h"
#include "tests/support/client.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <muster/muster.h>

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

static struct muster_cluster *cluster_with(muster_worker_function worker, enum muster_policy policy)
{
	return new_cluster(&(struct muster_cluster_options){ .worker = worker, .policy = policy }, &service, &counts);
}

static void order(struct muster_cluster *cluster, unsigned id, const char *what)
{
	json_t *json = json_string(what);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, id), &(struct muster_message){ .json = json }), 0);
	json_decref(json);
}

/* ---- what it asks for */

START_TEST(the_backlog_is_that_of_the_first_who_asks)
{
	struct muster_cluster *cluster;
	struct tcp_info info;
	socklen_t length = sizeof info;

	service.listen.backlog = 7;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	ck_assert_int_eq(getsockopt(LIST_FIRST(&cluster->listenings)->socket.fd, IPPROTO_TCP, TCP_INFO, &info, &length),
			 0);
	/* Of a listening socket this field tells how many may wait. */
	ck_assert_uint_eq(info.tcpi_sacked, 7);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(ipv6_only_is_as_the_workers_asked)
{
	struct muster_cluster *cluster = cluster_with(NULL, (enum muster_policy)_i);
	int client;

	service.listen = (struct muster_listen_options){ .host = "::", .ipv6_only = true };
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_int_eq(client_try_port(counts.address.port), -ECONNREFUSED);
	client = client_connect_to("::1", counts.address.port);
	ck_assert_uint_ge(greeted_by(client), 1);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(without_ipv6_only_both_families_reach_the_workers)
{
	struct muster_cluster *cluster = cluster_with(NULL, (enum muster_policy)_i);
	int client;

	service.listen = (struct muster_listen_options){ .host = "::" };
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 2);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_ge(greeted_by(client), 1);
	close(client);
	client = client_connect_to("::1", counts.address.port);
	ck_assert_uint_ge(greeted_by(client), 1);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- orders for a worker whose server is this one */

static struct muster_server *mine;

static void obey(struct muster_worker *self, struct muster_message *message, void *data)
{
	const char *what = json_string_value(message->json);

	(void)data;
	if (strcmp(what, "again") == 0 && muster_server_listen(mine, &service.listen) < 0)
		_exit(3);
	if (strcmp(what, "leave") == 0 && muster_worker_disconnect(self) < 0)
		_exit(4);
	if (strcmp(what, "unref") == 0)
		muster_server_unref(mine);
	if (strcmp(what, "ref") == 0)
		muster_server_ref(mine);
	if (strcmp(what, "deaf") == 0)
		muster_worker_off(self, &(struct muster_worker_handlers){ .on_message = obey }, NULL);
	tell(self, "did %s", what);
}

static void take_orders(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_worker_handlers on = { .on_message = obey };

	mine = server;
	muster_worker_on(self, &on, NULL);
}

/* ---- listening */

START_TEST(a_port_that_was_in_use_may_be_asked_for_again)
{
	int taken = client_listen(1), client;
	struct muster_cluster *cluster = cluster_with(NULL, (enum muster_policy)_i);

	service.listen = (struct muster_listen_options){ .host = "127.0.0.1", .port = client_port_of(taken) };
	service.begin = take_orders;
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "error EADDRINUSE bind");
	ck_assert_uint_eq(counts.listening, 0);
	close(taken);
	order(cluster, 1, "again");
	run_until_count(test_loop, counts.listening, 1);
	client = client_connect_port(service.listen.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

/* A handed-over listener has no descriptor in the worker, and keeps it alive all the same. */
START_TEST(a_server_keeps_its_worker_alive_until_it_is_unrefd)
{
	struct muster_cluster *cluster;

	service.begin = take_orders;
	cluster = serving_cluster(&(struct muster_cluster_options){ .policy = (enum muster_policy)_i }, &service, 1,
				  &counts);
	order(cluster, 1, "unref");
	order(cluster, 1, "ref");
	order(cluster, 1, "deaf");
	run_until_said(&counts, "did deaf");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.exit, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_whose_server_is_unrefd_ends_by_itself)
{
	struct muster_cluster *cluster;

	service.begin = take_orders;
	cluster = serving_cluster(&(struct muster_cluster_options){ .policy = (enum muster_policy)_i }, &service, 1,
				  &counts);
	order(cluster, 1, "unref");
	order(cluster, 1, "deaf");
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code + counts.signal, 0);
	close_cluster(cluster, &counts);
}
END_TEST

static void on_drop(struct muster_server *server, const struct muster_address *local,
		    const struct muster_address *remote, void *data)
{
	(void)server, (void)local, (void)remote, (void)data;
	tell(muster_worker_self(), "dropped");
}

static void tell_drops(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_server_handlers on = { .on_drop = on_drop };

	(void)self;
	muster_server_on(server, &on, NULL);
}

/* It takes what it is given and ends it, though another worker has room. */
START_TEST(with_drop_max_connection_a_full_worker_leaves_nothing_to_others)
{
	struct muster_cluster *cluster;
	int full, other, dropped;

	service.server = (struct muster_server_options){ .max_connections = 1, .drop_max_connection = true };
	service.begin = tell_drops;
	cluster = serving_cluster(NULL, &service, 2, &counts);
	full = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(full), 1);
	other = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(other), 2);
	close(other);
	run_until_said(&counts, "closed");
	dropped = client_connect_port(counts.address.port);
	run_until_ended(dropped);
	run_until_said(&counts, "dropped");
	close(full);
	close(dropped);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- leaving */

static int serve_or_idle(struct muster_worker *self, void *data)
{
	return muster_worker_id(self) == 1 ? idle(self, data) : serve(self, data);
}

START_TEST(a_worker_that_never_listened_leaves_and_the_others_serve_on)
{
	struct muster_cluster *cluster = cluster_with(serve_or_idle, (enum muster_policy)_i);
	int client;

	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert(counts.willing);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(both_sides_may_want_a_worker_to_leave_at_once)
{
	struct muster_cluster *cluster;

	service.begin = take_orders;
	cluster = serving_cluster(NULL, &service, 2, &counts);
	order(cluster, 1, "leave");
	if (_i == 1)
		run_until_said(&counts, "did leave");
	muster_worker_disconnect(worker_by_id(cluster, 1));
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code + counts.signal, 0);
	ck_assert(counts.willing);
	ck_assert_uint_eq(counts.disconnect, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_was_asked_to_leave_may_be_killed)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int client = client_connect_port(counts.address.port);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), 0), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGTERM);
	ck_assert(counts.willing);
	run_until_ended(client);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_whose_listen_failed_leaves_when_it_is_asked)
{
	int taken = client_listen(1);
	struct muster_cluster *cluster = cluster_with(NULL, (enum muster_policy)_i);

	service.listen = (struct muster_listen_options){ .host = "127.0.0.1", .port = client_port_of(taken) };
	service.begin = take_orders;
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "error EADDRINUSE bind");
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code + counts.signal, 0);
	close(taken);
	close_cluster(cluster, &counts);
}
END_TEST

/* The first that leaves takes nothing from the second, which takes the listener with it. */
START_TEST(a_listener_is_held_until_the_second_of_two_has_left)
{
	struct muster_cluster_options options = { .policy = (enum muster_policy)_i };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 2, &counts);
	unsigned port = counts.address.port;
	int client;

	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	client = client_connect_port(port);
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 2)), 0);
	run_until_count(test_loop, counts.exit, 2);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
	close_cluster(cluster, &counts);
}
END_TEST

#define FROM MUSTER_POLICY_ROUND_ROBIN
#define TO (MUSTER_POLICY_SHARED + 1)

int main(void)
{
	Suite *suite = suite_create("lives");
	TCase *asks = add_loop_case(suite, "asks"), *leaves = add_loop_case(suite, "leaves");

	tcase_add_test(asks, the_backlog_is_that_of_the_first_who_asks);
	if (client_has_ipv6()) {
		tcase_add_loop_test(asks, ipv6_only_is_as_the_workers_asked, FROM, TO);
		tcase_add_loop_test(asks, without_ipv6_only_both_families_reach_the_workers, FROM, TO);
	}
	tcase_add_loop_test(asks, a_port_that_was_in_use_may_be_asked_for_again, FROM, TO);
	tcase_add_test(asks, with_drop_max_connection_a_full_worker_leaves_nothing_to_others);
	tcase_add_loop_test(leaves, a_server_keeps_its_worker_alive_until_it_is_unrefd, FROM, TO);
	tcase_add_loop_test(leaves, a_worker_whose_server_is_unrefd_ends_by_itself, FROM, TO);
	tcase_add_loop_test(leaves, a_worker_that_never_listened_leaves_and_the_others_serve_on, FROM, TO);
	tcase_add_loop_test(leaves, both_sides_may_want_a_worker_to_leave_at_once, 0, 2);
	tcase_add_test(leaves, a_worker_that_was_asked_to_leave_may_be_killed);
	tcase_add_loop_test(leaves, a_worker_whose_listen_failed_leaves_when_it_is_asked, FROM, TO);
	tcase_add_loop_test(leaves, a_listener_is_held_until_the_second_of_two_has_left, FROM, TO);
	return run_suite(suite);
}
