/* tests/master/test_limits.c - limits over all workers and of each: what is beyond them waits, or is dropped and told. */
#include "master/cluster.h"
#include "master/handover.h"
#include "src/loop.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 32

static struct worker_counts counts;
static struct service service;
static int clients[MOST];
static unsigned served[WORKERS_MOST]; /* by worker id */
static unsigned ids[MOST];            /* of the worker that serves the client */

static void connect_one(unsigned i)
{
	clients[i] = client_connect_port(counts.address.port);
}

static void greet_one(unsigned i)
{
	ids[i] = greeted_by(clients[i]);
	ck_assert_uint_lt(ids[i], WORKERS_MOST);
	served[ids[i]]++;
}

static void serve_many(unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++) {
		connect_one(i);
		greet_one(i);
	}
}

static void close_many(unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++)
		close(clients[i]);
}

static void is_dropped(unsigned i)
{
	connect_one(i);
	run_until_ended(clients[i]);
	close(clients[i]);
}

static struct muster__listening *only_listening(struct muster_cluster *cluster)
{
	struct muster__listening *listening = LIST_FIRST(&cluster->listenings);

	ck_assert_ptr_nonnull(listening);
	ck_assert_ptr_null(LIST_NEXT(listening, link));
	return listening;
}

static uint64_t dropped(struct muster_cluster *cluster)
{
	return muster__scoreboard_row_dropped(cluster->board, only_listening(cluster)->row);
}

static struct muster_cluster *cluster_of(enum muster_policy policy, bool drops, unsigned most, unsigned workers)
{
	struct muster_cluster_options options = { .policy = policy,
						  .drop_max_connection = drops,
						  .worker_max_connections = most };

	return serving_cluster(&options, &service, workers, &counts);
}

static unsigned open_now(struct muster_cluster *cluster)
{
	return muster__scoreboard_sum(cluster->board);
}

static bool has_one_less(void *data)
{
	return open_now(data) == 2;
}

/* ---- over all workers */

static const enum muster_policy of_primary[] = { MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_LEAST_CONNECTIONS,
						 MUSTER_POLICY_EXCLUSIVE };
static const enum muster_policy of_worker[] = { MUSTER_POLICY_SHARED, MUSTER_POLICY_REUSE_PORT };

START_TEST(beyond_a_limit_over_all_workers_the_primary_drops_and_tells)
{
	struct muster_cluster *cluster = cluster_of(of_primary[_i], true, 0, 2);

	muster_cluster_set_max_connections(cluster, 3);
	serve_many(0, 3);
	is_dropped(3);
	is_dropped(3);
	ck_assert_uint_eq(counts.drop, 2);
	ck_assert_uint_eq(counts.drop_local.port, counts.address.port);
	ck_assert_str_eq(counts.drop_remote.text, "127.0.0.1");
	ck_assert_uint_eq(dropped(cluster), 2);
	close(clients[0]);
	run_until(test_loop, has_one_less, cluster);
	serve_many(0, 1);
	ck_assert_uint_eq(counts.drop, 2);
	close_many(0, 3);
	close_cluster(cluster, &counts);
}
END_TEST

/* With one worker it is exact. */
START_TEST(beyond_a_limit_over_all_workers_who_accepts_himself_drops_himself)
{
	struct muster_cluster *cluster = cluster_of(of_worker[_i], true, 0, 1);

	muster_cluster_set_max_connections(cluster, 3);
	serve_many(0, 3);
	is_dropped(3);
	run_until_said(&counts, "drop");
	ck_assert_uint_eq(counts.drop, 0);
	ck_assert_uint_eq(dropped(cluster), 1);
	close(clients[0]);
	run_until(test_loop, has_one_less, cluster);
	serve_many(0, 1);
	ck_assert_uint_eq(dropped(cluster), 1);
	close_many(0, 3);
	close_cluster(cluster, &counts);
}
END_TEST

static void leave_all(struct muster_cluster *cluster, const struct muster_address *local,
		      const struct muster_address *remote, void *data)
{
	struct muster_worker *worker = NULL;

	(void)local, (void)remote;
	++*(unsigned *)data;
	while ((worker = muster_cluster_next(cluster, worker)) != NULL)
		muster_worker_disconnect(worker);
}

/* The listener goes with the last worker that leaves it, and it is its accept that tells. */
START_TEST(all_workers_may_be_asked_to_leave_in_on_drop)
{
	static const struct muster_worker_handlers leaving = { .on_drop = leave_all };
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_ROUND_ROBIN, true, 0, 2);
	unsigned told = 0;

	ck_assert_int_eq(muster_cluster_on(cluster, &leaving, &told), 0);
	muster_cluster_set_max_connections(cluster, 1);
	serve_many(0, 1);
	is_dropped(1);
	ck_assert_uint_eq(told, 1);
	close(clients[0]);
	run_until_count(test_loop, counts.exit, 2);
	ck_assert(LIST_EMPTY(&cluster->listenings));
	close_cluster(cluster, &counts);
}
END_TEST

static void leave_on_error(struct muster_worker *worker, const struct muster_error *error, void *data)
{
	(void)worker;
	ck_assert_int_eq(error->code, -EMFILE);
	leave_all(data, NULL, NULL, &(unsigned){ 0 });
}

START_TEST(all_workers_may_be_asked_to_leave_when_accepting_fails)
{
	static const struct muster_worker_handlers leaving = { .on_error = leave_on_error };
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_ROUND_ROBIN, false, 0, 2);
	struct rlimit limit, few;

	ck_assert_int_eq(muster_cluster_on(cluster, &leaving, cluster), 0);
	connect_one(0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ .rlim_cur = 3, .rlim_max = limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	run_until_count(test_loop, counts.error, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run_until_count(test_loop, counts.exit, 2);
	close(clients[0]);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- of each worker */

START_TEST(a_full_worker_is_passed_over_and_when_all_are_full_connections_wait)
{
	struct muster_cluster *cluster = cluster_of(of_primary[_i], false, 2, 2);

	serve_many(0, 4);
	ck_assert_uint_eq(served[1], 2);
	ck_assert_uint_eq(served[2], 2);
	connect_one(4);
	connect_one(5);
	run_until_idle(test_loop);
	ck_assert_uint_eq(open_now(cluster), 4);
	ck_assert_uint_eq(client_waiting(clients[4]), 0);
	close(clients[2]);
	greet_one(4);
	ck_assert_uint_eq(ids[4], ids[2]);
	ck_assert_uint_eq(open_now(cluster), 4);
	close(clients[3]);
	greet_one(5);
	ck_assert_uint_eq(ids[5], ids[3]);
	close_many(0, 2);
	close_many(4, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_limit_of_a_worker_holds_over_all_its_servers)
{
	struct muster_cluster *cluster;
	unsigned first;

	service.servers = 2;
	cluster = new_cluster(&(struct muster_cluster_options){ .worker_max_connections = 2 }, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 2);
	counts.address.port = client_port_of(LIST_FIRST(&cluster->listenings)->socket.fd);
	first = client_port_of(LIST_NEXT(LIST_FIRST(&cluster->listenings), link)->socket.fd);
	serve_many(0, 1);
	clients[1] = client_connect_port(first);
	greet_one(1);
	connect_one(2);
	clients[3] = client_connect_port(first);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(clients[2]) + client_waiting(clients[3]), 0);
	close(clients[0]);
	close(clients[1]);
	greet_one(2);
	greet_one(3);
	close_many(2, 2);
	close_cluster(cluster, &counts);
}
END_TEST

/* The others take what a full one leaves. */
START_TEST(with_a_shared_socket_the_limit_of_a_worker_holds_and_the_rest_waits)
{
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_SHARED, _i == 1, 2, 2);

	serve_many(0, 4);
	ck_assert_uint_eq(served[1], 2);
	ck_assert_uint_eq(served[2], 2);
	connect_one(4);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(clients[4]), 0);
	close(clients[1]);
	greet_one(4);
	ck_assert_uint_eq(ids[4], ids[1]);
	ck_assert_uint_eq(dropped(cluster), 0);
	close(clients[0]);
	close_many(2, 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(with_a_socket_of_its_own_a_full_worker_lets_wait_or_drops)
{
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_REUSE_PORT, _i == 1, 2, 1);

	serve_many(0, 2);
	connect_one(2);
	if (_i == 1)
		run_until_ended(clients[2]);
	else
		run_until_idle(test_loop);
	ck_assert_uint_eq(dropped(cluster), (unsigned)_i);
	close(clients[0]);
	if (_i == 0)
		greet_one(2);
	close_many(1, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(when_all_are_full_the_primary_drops_and_tells)
{
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_ROUND_ROBIN, true, 1, 2);

	serve_many(0, 2);
	is_dropped(2);
	ck_assert_uint_eq(counts.drop, 1);
	ck_assert_uint_eq(dropped(cluster), 1);
	close_many(0, 2);
	close_cluster(cluster, &counts);
}
END_TEST

/* As long as it takes, nobody looks by himself: it is the worker that says that it has room. */
static bool has_put_retry_off(void *data)
{
	struct muster__listening *listening = only_listening(data);
	struct timeval hour = { .tv_sec = 3600 };

	return event_pending(&listening->retry, EV_TIMEOUT, NULL) && event_add(&listening->retry, &hour) == 0;
}

START_TEST(a_worker_that_was_full_says_when_it_has_room)
{
	struct muster_cluster *cluster = cluster_of(MUSTER_POLICY_ROUND_ROBIN, false, 1, 2);

	serve_many(0, 2);
	run_until(test_loop, has_put_retry_off, cluster);
	connect_one(2);
	close(clients[1]);
	greet_one(2);
	close(clients[0]);
	close(clients[2]);
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *all = add_loop_case(suite, "over all workers"), *each = add_loop_case(suite, "of each worker");

	tcase_add_loop_test(all, beyond_a_limit_over_all_workers_the_primary_drops_and_tells, 0, 3);
	tcase_add_loop_test(all, beyond_a_limit_over_all_workers_who_accepts_himself_drops_himself, 0, 2);
	tcase_add_test(all, all_workers_may_be_asked_to_leave_in_on_drop);
	tcase_add_test(all, all_workers_may_be_asked_to_leave_when_accepting_fails);
	tcase_add_loop_test(each, a_full_worker_is_passed_over_and_when_all_are_full_connections_wait, 0, 2);
	tcase_add_test(each, the_limit_of_a_worker_holds_over_all_its_servers);
	tcase_add_loop_test(each, with_a_shared_socket_the_limit_of_a_worker_holds_and_the_rest_waits, 0, 2);
	tcase_add_loop_test(each, with_a_socket_of_its_own_a_full_worker_lets_wait_or_drops, 0, 2);
	tcase_add_test(each, when_all_are_full_the_primary_drops_and_tells);
	tcase_add_test(each, a_worker_that_was_full_says_when_it_has_room);
	return run_suite(suite);
}
