/* tests/master/test_policies.c - listeners of which workers accept for themselves, and those with one holder. */
#include "master/cluster.h"
#include "master/lanes.h"
#include "master/listeners.h"
#include "src/loop.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOST 512

static struct worker_counts counts;
static struct service service = { .quiet = true };
static int clients[MOST];
static unsigned served[WORKERS_MOST]; /* by worker id */

static void connect_one(unsigned i)
{
	ck_assert_uint_lt(i, MOST);
	clients[i] = client_connect_port(counts.address.port);
}

static void connect_all(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		connect_one(i);
}

static void greet_all(unsigned count)
{
	unsigned i, id;

	for (i = 0; i < count; i++) {
		id = greeted_by(clients[i]);
		ck_assert_uint_lt(id, WORKERS_MOST);
		served[id]++;
	}
}

static void close_all(unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		close(clients[i]);
}

static void serve_all(unsigned count)
{
	connect_all(count);
	greet_all(count);
	close_all(count);
}

static struct muster_cluster *cluster_with(enum muster_policy policy, unsigned workers)
{
	return serving_cluster(&(struct muster_cluster_options){ .policy = policy }, &service, workers, &counts);
}

static struct muster_cluster *respawning(enum muster_policy policy, unsigned workers)
{
	struct muster_cluster_options options = { .policy = policy, .respawn = true, .backoff_ms = 1 };

	return serving_cluster(&options, &service, workers, &counts);
}

static pid_t pid_of(struct muster_cluster *cluster, unsigned id)
{
	return muster_worker_pid(worker_by_id(cluster, id));
}

/* Hand-overs that this worker has had. */
static uint64_t handed_to(struct muster_cluster *cluster, unsigned id)
{
	return muster__process_of(worker_by_id(cluster, id))->handed;
}

static void kill_one(struct muster_cluster *cluster, unsigned id)
{
	unsigned before = counts.exit;

	kill(pid_of(cluster, id), SIGKILL);
	run_until_count(test_loop, counts.exit, before + 1);
	counts.bad_exits = 0;
}

/* The worker is to close its servers; it does so when it has read that. */
static void ask_to_leave(struct muster_cluster *cluster, unsigned id)
{
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, id)), 0);
}

/* ---- reuse-port */

/* The kernel spreads by a hash: of 400 each of 4 has 100, and a standard deviation of 9. */
START_TEST(each_worker_accepts_on_a_port_of_its_own)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 4);
	unsigned id;

	serve_all(400);
	for (id = 1; id <= 4; id++) {
		ck_assert_uint_gt(served[id], 100 - 6 * 9);
		ck_assert_uint_eq(handed_to(cluster, id), 0);
	}
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_frozen_worker_leaves_the_sockets_of_others_alone)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 2);

	process_freeze(pid_of(cluster, 1));
	connect_all(100);
	kill(pid_of(cluster, 1), SIGCONT);
	greet_all(100);
	ck_assert_uint_gt(served[1], 0);
	ck_assert_uint_gt(served[2], 0);
	close_all(100);
	close_cluster(cluster, &counts);
}
END_TEST

/* Closing a socket of the kind resets whoever is queued on it: nobody may be. */
START_TEST(what_is_queued_on_the_socket_of_a_killed_worker_goes_to_the_others)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 2);

	lines_record(MUSTER_LOG_ERROR);
	process_freeze(pid_of(cluster, 1));
	connect_all(200);
	kill_one(cluster, 1);
	greet_all(200);
	ck_assert_uint_eq(served[2], 200);
	ck_assert_uint_gt(handed_to(cluster, 2), 0);
	close_all(200);
	/* Its seat is gone for good, and with it the socket: nothing is handed over any more. */
	ck_assert_uint_lt(handed_to(cluster, 2), 200);
	served[2] = (unsigned)handed_to(cluster, 2);
	serve_all(100);
	ck_assert_uint_eq(handed_to(cluster, 2) + 100, served[2]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_replacement_of_a_killed_worker_has_its_socket)
{
	struct muster_cluster *cluster = respawning(MUSTER_POLICY_REUSE_PORT, 2);
	unsigned before;

	lines_record(MUSTER_LOG_ERROR);
	serve_all(50);
	before = descriptors_open();
	kill_one(cluster, 1);
	run_until_count(test_loop, counts.listening, 3);
	serve_all(200);
	ck_assert_uint_gt(served[3], 50);
	ck_assert_uint_eq(served[1] + served[2] + served[3], 250);
	ck_assert_uint_eq(descriptors_open(), before);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(what_is_queued_while_all_are_dead_is_served_by_those_that_follow)
{
	struct muster_cluster *cluster = respawning(MUSTER_POLICY_REUSE_PORT, 2);
	unsigned id;

	lines_record(MUSTER_LOG_ERROR);
	serve_all(50);
	for (id = 1; id <= 2; id++)
		process_freeze(pid_of(cluster, id));
	connect_all(200);
	for (id = 1; id <= 2; id++)
		kill_one(cluster, id);
	greet_all(200);
	ck_assert_uint_eq(served[3] + served[4], 200);
	close_all(200);
	close_cluster(cluster, &counts);
}
END_TEST

/* A worker that leaves stays in its seat until its connections have ended. */
START_TEST(the_primary_accepts_for_a_seat_whose_worker_has_left)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 2);
	uint64_t handed;
	int held = -1;

	while (served[1] == 0) {
		held = client_connect_port(counts.address.port);
		served[greeted_by(held)]++;
		if (served[1] == 0)
			close(held);
	}
	ask_to_leave(cluster, 1);
	/* Those it still takes in its last moments are its own. */
	while (handed_to(cluster, 2) < 10)
		serve_all(10);
	ck_assert_uint_eq(counts.exit, 0);
	close(held);
	run_until_count(test_loop, counts.exit, 1);
	run_until_idle(test_loop);
	handed = handed_to(cluster, 2);
	serve_all(100);
	ck_assert_uint_eq(handed_to(cluster, 2), handed);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_comes_later_has_a_socket_too)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 1);

	serve_all(20);
	ck_assert_uint_eq(served[1], 20);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.listening, 2);
	serve_all(100);
	ck_assert_uint_gt(served[2], 20);
	ck_assert_uint_eq(handed_to(cluster, 1) + handed_to(cluster, 2), 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_cluster_that_closes_serves_what_is_queued)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 2);

	process_freeze(pid_of(cluster, 1));
	process_freeze(pid_of(cluster, 2));
	connect_all(40);
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	kill(pid_of(cluster, 1), SIGCONT);
	kill(pid_of(cluster, 2), SIGCONT);
	greet_all(40);
	close_all(40);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(an_address_that_somebody_has_is_in_use)
{
	struct muster_cluster *cluster;
	int other = client_listen(1);

	service.listen.port = client_port_of(other);
	cluster =
		new_cluster(&(struct muster_cluster_options){ .policy = MUSTER_POLICY_REUSE_PORT }, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "error EADDRINUSE bind");
	close(other);
	close_cluster(cluster, &counts);
}
END_TEST

/* Even with sockets that could share it. */
START_TEST(an_address_that_another_cluster_has_is_in_use)
{
	struct muster_cluster *first = cluster_with(MUSTER_POLICY_REUSE_PORT, 1), *second;
	static struct worker_counts others;
	struct service same = { .quiet = true };

	same.listen.port = counts.address.port;
	second = new_cluster(&(struct muster_cluster_options){ .policy = MUSTER_POLICY_REUSE_PORT }, &same, &others);
	ck_assert_int_eq(muster_cluster_start(second, 1), 0);
	run_until_said(&others, "error EADDRINUSE bind");
	serve_all(20);
	ck_assert_uint_eq(served[1], 20);
	ck_assert_int_eq(muster_cluster_close(second), 0);
	run_until_count(test_loop, others.close, 1);
	close_cluster(first, &counts);
}
END_TEST

START_TEST(a_path_is_shared_instead_and_that_is_said_once)
{
	struct muster_cluster *cluster;
	int client;
	unsigned i;

	lines_record(MUSTER_LOG_WARN);
	service.listen.path = folder_path("socket");
	cluster = cluster_with(MUSTER_POLICY_REUSE_PORT, 2);
	ck_assert_uint_eq(lines_with("a path cannot have the policy reuse-port, it is shared instead"), 1);
	for (i = 0; i < 10; i++) {
		client = client_connect_path(folder_path("socket"));
		served[greeted_by(client)]++;
		close(client);
	}
	ck_assert_uint_eq(served[1] + served[2], 10);
	ck_assert_uint_eq(handed_to(cluster, 1) + handed_to(cluster, 2), 0);
	close_cluster(cluster, &counts);
}
END_TEST

/* As systemd hands them over: nothing can join a socket that listens without the option. */
START_TEST(a_socket_that_listens_already_is_shared_instead)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);
	struct muster__listener socket = { .fd = client_listen(5), .foreign = true };
	struct muster__app_listener configured = { .name = "given" };
	struct muster__listening *listening;
	struct muster_error error;

	lines_record(MUSTER_LOG_WARN);
	configured.listen.host = "127.0.0.1";
	configured.listen.policy = MUSTER_POLICY_REUSE_PORT;
	service.listen.port = configured.listen.port = client_port_of(socket.fd);
	ck_assert_int_eq(muster__listening_configure(cluster, &configured, &socket, &error, &listening), 0);
	ck_assert_int_eq(listening->policy, MUSTER_POLICY_SHARED);
	ck_assert_uint_eq(lines_with("cannot have the policy reuse-port"), 1);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 2);
	serve_all(10);
	ck_assert_uint_eq(served[1] + served[2], 10);
	ck_assert_uint_eq(handed_to(cluster, 1) + handed_to(cluster, 2), 0);
	close_cluster(cluster, &counts);
}
END_TEST

/* The listen option of that name binds in the worker, as in Node: the primary knows nothing of it. */
START_TEST(the_listen_option_is_not_the_policy)
{
	struct muster_cluster *cluster;

	service.quiet = false;
	service.listen.reuse_port = true;
	service.listen.port = client_free_port();
	counts.address.port = service.listen.port;
	cluster =
		new_cluster(&(struct muster_cluster_options){ .policy = MUSTER_POLICY_REUSE_PORT }, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.message, 2);
	serve_all(50);
	ck_assert_uint_gt(served[1], 0);
	ck_assert_uint_gt(served[2], 0);
	ck_assert_uint_eq(counts.listening, 0);
	ck_assert(LIST_EMPTY(&cluster->listenings));
	close_cluster(cluster, &counts);
}
END_TEST

static struct muster_worker *pick_nobody(struct muster_cluster *cluster, struct muster_worker *const *workers,
					 size_t count, void *data)
{
	(void)cluster, (void)workers, (void)count;
	++*(unsigned *)data;
	return NULL;
}

static const enum muster_policy own_choice[] = { MUSTER_POLICY_SHARED, MUSTER_POLICY_REUSE_PORT,
						 MUSTER_POLICY_EXCLUSIVE };

/* Not even for what the primary accepts in the place of a worker that has died. */
START_TEST(no_scheduler_is_asked)
{
	struct muster_cluster *cluster = cluster_with(own_choice[_i], 2);
	unsigned asked = 0;

	lines_record(MUSTER_LOG_ERROR);
	muster_cluster_set_scheduler(cluster, pick_nobody, &asked);
	process_freeze(pid_of(cluster, 1));
	connect_all(40);
	kill_one(cluster, 1);
	greet_all(40);
	ck_assert_uint_eq(served[2], 40);
	ck_assert_uint_eq(asked, 0);
	close_all(40);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- shared */

#define HERD 64

/* As the workers have written it down. */
static unsigned accepted_by(struct muster_cluster *cluster, unsigned id)
{
	int slot = muster__process_of(worker_by_id(cluster, id))->slot;

	return (unsigned)atomic_load(&muster__scoreboard_slot(cluster->board, slot)->accepted);
}

/* The next one comes when the worker that had the last sleeps again, at the end of the kernel's queue. */
START_TEST(a_shared_socket_is_shared_evenly)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_SHARED, 4);
	unsigned least = MOST, most = 0, id, i;

	for (i = 0; i < 400; i++) {
		connect_one(i);
		id = greeted_by(clients[i]);
		served[id]++;
		until(process_state(pid_of(cluster, id)) == 'S');
	}
	for (id = 1; id <= 4; id++) {
		ck_assert_uint_eq(accepted_by(cluster, id), served[id]);
		least = served[id] < least ? served[id] : least;
		most = served[id] > most ? served[id] : most;
	}
	ck_assert_uint_le(most * 10, least * 12);
	close_all(400);
	close_cluster(cluster, &counts);
}
END_TEST

static bool is_fair(unsigned workers, unsigned share)
{
	while (workers > 0 && served[workers] >= share)
		workers--;
	return workers == 0;
}

/*
 * How even depends on who gets a processor, and on a busy machine one may get none for as long as all of a wave takes. Without
 * a turn for each, one or two workers would get nearly all of any.
 */
START_TEST(of_many_at_once_every_worker_gets_its_share)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_SHARED, 4);
	unsigned waves = 0;

	do {
		ck_assert_uint_lt(waves++, 8);
		memset(served, 0, sizeof served);
		connect_all(400);
		greet_all(400);
		close_all(400);
	} while (!is_fair(4, 400 / 4 / 4));
	close_cluster(cluster, &counts);
}
END_TEST

static void rests(pid_t pid)
{
	until(process_state(pid) == 'S');
}

static unsigned sleeps_of_all(struct muster_cluster *cluster)
{
	struct muster_worker *worker = NULL;
	unsigned sum = 0;

	while ((worker = muster_cluster_next(cluster, worker)) != NULL)
		sum += process_sleeps(muster_worker_pid(worker));
	return sum;
}

/* A herd would be woken 64 times for each. */
START_TEST(a_connection_to_64_workers_wakes_one)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_SHARED, HERD);
	unsigned before, i, idle = 0;

	before = sleeps_of_all(cluster);
	for (i = 0; i < 4 * HERD; i++) {
		connect_one(i);
		/* Who is still awake is not asked for the next one, and would not get its share. */
		rests(pid_of(cluster, greeted_by(clients[i])));
	}
	ck_assert_uint_lt(sleeps_of_all(cluster) - before, 4 * HERD * 3);
	for (i = 1; i <= HERD; i++)
		idle += accepted_by(cluster, i) == 0;
	ck_assert_uint_eq(idle, 0);
	close_all(4 * HERD);
	close_cluster(cluster, &counts);
}
END_TEST

/* Who is not waiting for the kernel is not woken by it: the others are. */
START_TEST(a_stopped_worker_keeps_nobody_waiting)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_SHARED, 4);
	unsigned stopped = (unsigned)_i + 1;

	process_freeze(pid_of(cluster, stopped));
	serve_all(100);
	ck_assert_uint_eq(served[stopped], 0);
	connect_all(100);
	greet_all(100);
	ck_assert_uint_eq(served[stopped], 0);
	close_all(100);
	kill(pid_of(cluster, stopped), SIGCONT);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(what_came_while_all_were_stopped_is_served_by_the_first_to_go_on)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_SHARED, 3);
	unsigned id;

	for (id = 1; id <= 3; id++)
		process_freeze(pid_of(cluster, id));
	connect_all(40);
	kill(pid_of(cluster, 2), SIGCONT);
	greet_all(40);
	ck_assert_uint_eq(served[2], 40);
	close_all(40);
	kill(pid_of(cluster, 1), SIGCONT);
	kill(pid_of(cluster, 3), SIGCONT);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- exclusive */

/* The listen option: nothing goes through the primary. */
START_TEST(an_exclusive_port_0_is_another_in_each_worker)
{
	struct muster_cluster *cluster;
	unsigned ports[2] = { 0 };

	service.quiet = false;
	service.listen.exclusive = true;
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_int_eq(sscanf(counts.said, "\"listening %u\" \"listening %u\"", &ports[0], &ports[1]), 2);
	ck_assert_uint_ne(ports[0], ports[1]);
	ck_assert_uint_eq(counts.listening, 0);
	ck_assert(LIST_EMPTY(&cluster->listenings));
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(one_worker_has_all_and_the_others_are_ready_without)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_EXCLUSIVE, 3);

	ck_assert_uint_eq(counts.listening, 3);
	serve_all(60);
	ck_assert_uint_eq(served[1], 60);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(when_the_holder_is_killed_the_next_serves_what_is_queued)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_EXCLUSIVE, 3);

	lines_record(MUSTER_LOG_ERROR);
	serve_all(1);
	process_freeze(pid_of(cluster, 1));
	connect_all(60);
	run_until_idle(test_loop);
	ck_assert_uint_eq(handed_to(cluster, 2) + handed_to(cluster, 3), 0);
	kill_one(cluster, 1);
	greet_all(60);
	ck_assert_uint_eq(served[2], 60);
	close_all(60);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_holder_keeps_it_when_a_lower_seat_is_filled_again)
{
	struct muster_cluster *cluster = respawning(MUSTER_POLICY_EXCLUSIVE, 2);

	lines_record(MUSTER_LOG_ERROR);
	serve_all(1);
	kill_one(cluster, 1);
	serve_all(1);
	run_until_count(test_loop, counts.listening, 3);
	serve_all(10);
	ck_assert_uint_eq(served[2], 11);
	kill_one(cluster, 2);
	serve_all(10);
	ck_assert_uint_eq(served[3], 10);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(until_somebody_has_served_the_lowest_seat_holds_it)
{
	struct muster_cluster *cluster = respawning(MUSTER_POLICY_EXCLUSIVE, 2);

	lines_record(MUSTER_LOG_ERROR);
	kill_one(cluster, 1);
	run_until_count(test_loop, counts.listening, 3);
	serve_all(10);
	ck_assert_uint_eq(served[3], 10);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_holder_that_leaves_gives_it_to_the_next)
{
	struct muster_cluster *cluster = cluster_with(MUSTER_POLICY_EXCLUSIVE, 2);

	serve_all(5);
	ask_to_leave(cluster, 1);
	serve_all(5);
	ck_assert_uint_eq(served[1], 5);
	ck_assert_uint_eq(served[2], 5);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* The others do not help: one owner is what was asked for. */
START_TEST(a_holder_that_is_full_lets_the_rest_wait)
{
	struct muster_cluster *cluster;

	service.server.max_connections = 2;
	cluster = cluster_with(MUSTER_POLICY_EXCLUSIVE, 2);
	connect_all(4);
	greet_all(2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(handed_to(cluster, 2), 0);
	close_all(2);
	served[greeted_by(clients[2])]++;
	served[greeted_by(clients[3])]++;
	ck_assert_uint_eq(served[1], 4);
	close(clients[2]);
	close(clients[3]);
	close_cluster(cluster, &counts);
}
END_TEST

static void add_reuse_port(TCase *tcase)
{
	tcase_add_test(tcase, each_worker_accepts_on_a_port_of_its_own);
	tcase_add_test(tcase, a_frozen_worker_leaves_the_sockets_of_others_alone);
	tcase_add_test(tcase, what_is_queued_on_the_socket_of_a_killed_worker_goes_to_the_others);
	tcase_add_test(tcase, the_replacement_of_a_killed_worker_has_its_socket);
	tcase_add_test(tcase, what_is_queued_while_all_are_dead_is_served_by_those_that_follow);
	tcase_add_test(tcase, the_primary_accepts_for_a_seat_whose_worker_has_left);
	tcase_add_test(tcase, a_worker_that_comes_later_has_a_socket_too);
	tcase_add_test(tcase, a_cluster_that_closes_serves_what_is_queued);
	tcase_add_test(tcase, an_address_that_somebody_has_is_in_use);
	tcase_add_test(tcase, an_address_that_another_cluster_has_is_in_use);
	tcase_add_test(tcase, a_path_is_shared_instead_and_that_is_said_once);
	tcase_add_test(tcase, a_socket_that_listens_already_is_shared_instead);
	tcase_add_test(tcase, the_listen_option_is_not_the_policy);
	tcase_add_loop_test(tcase, no_scheduler_is_asked, 0, 3);
}

static void add_shared(TCase *tcase)
{
	tcase_add_test(tcase, a_shared_socket_is_shared_evenly);
	tcase_add_test(tcase, of_many_at_once_every_worker_gets_its_share);
	tcase_add_test(tcase, a_connection_to_64_workers_wakes_one);
	tcase_add_loop_test(tcase, a_stopped_worker_keeps_nobody_waiting, 0, 4);
	tcase_add_test(tcase, what_came_while_all_were_stopped_is_served_by_the_first_to_go_on);
}

static void add_exclusive(TCase *tcase)
{
	tcase_add_test(tcase, an_exclusive_port_0_is_another_in_each_worker);
	tcase_add_test(tcase, one_worker_has_all_and_the_others_are_ready_without);
	tcase_add_test(tcase, when_the_holder_is_killed_the_next_serves_what_is_queued);
	tcase_add_test(tcase, a_holder_keeps_it_when_a_lower_seat_is_filled_again);
	tcase_add_test(tcase, until_somebody_has_served_the_lowest_seat_holds_it);
	tcase_add_test(tcase, a_holder_that_leaves_gives_it_to_the_next);
	tcase_add_test(tcase, a_holder_that_is_full_lets_the_rest_wait);
}

int main(void)
{
	Suite *suite = suite_create("policies");

	add_reuse_port(add_loop_case(suite, "reuse-port"));
	add_shared(add_loop_case(suite, "shared"));
	add_exclusive(add_loop_case(suite, "exclusive"));
	return run_suite(suite);
}
