/* tests/master/test_health.c - workers that are hung, and workers that are old enough. */
#include "master/table.h"

#include "tests/support/client.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TIMEOUT_MS 400

static struct worker_counts counts;
static struct service service;
static bool broken;

static const struct muster_cluster_options watched = {
	.respawn = true, .heartbeat_ms = TIMEOUT_MS, .kill_timeout_ms = 50, .no_core = true
};

static _Noreturn void hang(void)
{
	for (;;)
		pause();
}

static void on_message(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)self, (void)message, (void)data;
	hang();
}

static int serve_until_a_message(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = on_message };

	return muster_worker_on(self, &on, NULL) < 0 ? -ENOMEM : serve(self, data);
}

static int hang_if_broken(struct muster_worker *self, void *data)
{
	if (broken)
		hang();
	return serve(self, data);
}

static const struct muster__process *process_by_id(struct muster_cluster *cluster, unsigned id)
{
	return muster__process_of(worker_by_id(cluster, id));
}

static uint64_t beat_of(const struct muster__process *process)
{
	return atomic_load(&muster__scoreboard_slot(process->cluster->board, process->slot)->beat);
}

struct goal {
	const struct muster__process *process;
	uint64_t beat;
};

static bool has_beaten(void *data)
{
	const struct goal *goal = data;

	return beat_of(goal->process) >= goal->beat;
}

static bool is_time(void *until_ms)
{
	return clock_ms() >= *(const uint64_t *)until_ms;
}

/* ---- Hung. */

START_TEST(a_frozen_worker_is_ended_and_replaced)
{
	struct muster_cluster *cluster;
	int client;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&watched, &service, 1, &counts);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_int_eq(counts.signal, SIGKILL);
	ck_assert_uint_eq(lines_with("is hung: its loop has not turned for"), 1);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(connections_on_their_way_to_a_hung_worker_are_served_by_its_successor)
{
	struct muster_cluster *cluster;
	int client;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&watched, &service, 1, &counts);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_does_not_come_back_to_its_loop_dies_of_sigabrt)
{
	struct muster_cluster_options options = watched;
	struct muster_cluster *cluster;

	options.worker = serve_until_a_message;
	options.kill_timeout_ms = 60 * 1000;
	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&options, &service, 2, &counts);
	tell(worker_by_id(cluster, 2), "hang");
	run_until_count(test_loop, counts.listening, 3);
	ck_assert_int_eq(counts.signal, SIGABRT);
	ck_assert_uint_eq(counts.exit, 1);
	worker_by_id(cluster, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_hangs_before_it_has_a_loop_is_ended_too)
{
	struct muster_cluster_options options = watched;
	struct muster_cluster *cluster;

	options.worker = hang_if_broken;
	lines_record(MUSTER_LOG_ERROR);
	broken = true;
	cluster = new_cluster(&options, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	broken = false;
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_int_eq(counts.signal, SIGABRT);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_whose_loop_turns_is_left_alone)
{
	struct muster_cluster *cluster = serving_cluster(&watched, &service, 1, &counts);
	struct goal goal = { process_by_id(cluster, 1), 12 };

	run_until(test_loop, has_beaten, &goal);
	ck_assert_uint_eq(counts.exit, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(nobody_beats_unless_asked_to)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	ck_assert_uint_eq(beat_of(process_by_id(cluster, 1)), 0);
	ck_assert(!event_pending(&cluster->rounds.timer, EV_TIMEOUT, NULL));
	close_cluster(cluster, &counts);
}
END_TEST

/* As when the whole machine was suspended: the primary is the first to wake. */
START_TEST(a_primary_that_overslept_ends_nobody)
{
	struct muster_cluster *cluster = serving_cluster(&watched, &service, 2, &counts);
	struct goal goals[2] = { { process_by_id(cluster, 1), 0 }, { process_by_id(cluster, 2), 0 } };
	uint64_t slept = cluster->rounds.last_ms;
	unsigned i;

	for (i = 0; i < 2; i++)
		process_freeze(goals[i].process->peer.pid);
	usleep(3 * TIMEOUT_MS * 1000);
	while (cluster->rounds.last_ms == slept)
		ck_assert_int_eq(event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(kill(goals[i].process->peer.pid, SIGCONT), 0);
	for (i = 0; i < 2; i++) {
		goals[i].beat = beat_of(goals[i].process) + 4;
		run_until(test_loop, has_beaten, &goals[i]);
	}
	ck_assert_uint_eq(counts.exit, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_does_not_beat_is_not_expected_to)
{
	struct muster_cluster_options options = { .exec = (const char *const[]){ "sleep", "1000", NULL },
						  .heartbeat_ms = 20,
						  .drain_timeout_ms = 1 };
	struct muster_cluster *cluster = muster_cluster_new(test_loop, &options);
	uint64_t end = clock_ms() + 200;

	ck_assert_ptr_nonnull(cluster);
	ck_assert_int_eq(muster_cluster_on(cluster, &counting_workers, &counts), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until(test_loop, is_time, &end);
	ck_assert_uint_eq(counts.exit, 0);
	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	run_dry(test_loop);
}
END_TEST

/* ---- Old enough. */

static void serve_one(unsigned id)
{
	int client = client_connect_port(counts.address.port);

	ck_assert_uint_eq(greeted_by(client), id);
	close(client);
}

START_TEST(a_worker_is_replaced_after_so_many_connections)
{
	struct muster_cluster_options options = { .max_requests = 3 };
	struct muster_cluster *cluster;

	options.policy = _i == 0 ? MUSTER_POLICY_ROUND_ROBIN : MUSTER_POLICY_SHARED;
	cluster = serving_cluster(&options, &service, 1, &counts);
	serve_one(1);
	serve_one(1);
	serve_one(1);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert(strstr(counts.order, "listening2") < strstr(counts.order, "disconnect1"));
	ck_assert_uint_eq(counts.bad_exits, 0);
	serve_one(2);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.fork, 2);
}
END_TEST

START_TEST(workers_that_have_lived_long_enough_are_replaced_one_after_the_other)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .max_lifetime_ms = 300 }, &service, 2, &counts);

	run_until_count(test_loop, counts.exit, 2);
	ck_assert(strstr(counts.order, "listening3") < strstr(counts.order, "fork4"));
	ck_assert_uint_eq(counts.bad_exits, 0);
	close_cluster(cluster, &counts);
}
END_TEST

static void eat(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)self, (void)message, (void)data;
	if (mmap(NULL, (size_t)300 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) ==
	    MAP_FAILED)
		_exit(9);
}

static int eat_on_a_message(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = eat };

	return muster_worker_on(self, &on, NULL) < 0 ? -ENOMEM : serve(self, data);
}

START_TEST(a_worker_with_too_much_memory_is_replaced)
{
	static const struct muster_cluster_options options = { .worker = eat_on_a_message,
							       .max_memory = (uint64_t)256 << 20 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 2, &counts);

	tell(worker_by_id(cluster, 1), "eat");
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_ptr_nonnull(strstr(counts.order, "exit1"));
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_uint_eq(counts.fork, 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(jitter_lowers_a_limit_by_up_to_its_part)
{
	struct muster_cluster_options options = { .max_requests = 4, .jitter_percent = 50 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 1, &counts);
	uint64_t end;

	muster__process_of(worker_by_id(cluster, 1))->luck = UINT32_MAX;
	serve_one(1);
	serve_one(1);
	run_until_count(test_loop, counts.exit, 1);
	muster__process_of(worker_by_id(cluster, 2))->luck = 0;
	serve_one(2);
	serve_one(2);
	serve_one(2);
	end = cluster->rounds.last_ms + 2 * cluster->rounds.every_ms;
	run_until(test_loop, is_time, &end);
	ck_assert_uint_eq(counts.fork, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(workers_differ_in_their_jitter)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	ck_assert_uint_ne(process_by_id(cluster, 1)->luck, process_by_id(cluster, 2)->luck);
	close_cluster(cluster, &counts);
}
END_TEST

static int exit_if_broken(struct muster_worker *self, void *data)
{
	if (broken)
		_exit(7);
	return serve(self, data);
}

START_TEST(a_worker_that_cannot_be_replaced_stays_and_that_is_told_now_and_then)
{
	static const struct muster_cluster_options options = { .worker = exit_if_broken,
							       .max_requests = 1,
							       .backoff_max_ms = 3600 * 1000 };
	struct muster_cluster *cluster;
	uint64_t end;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&options, &service, 1, &counts);
	broken = true;
	serve_one(1);
	run_until_count(test_loop, counts.error, 1);
	ck_assert_int_eq(counts.last_error.code, -ECHILD);
	ck_assert_str_eq(counts.last_error.call, "restart");
	end = cluster->rounds.last_ms + 2 * cluster->rounds.every_ms;
	run_until(test_loop, is_time, &end);
	ck_assert_uint_eq(counts.fork, 2);
	ck_assert_uint_eq(counts.error, 1);
	serve_one(1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_jitter_of_more_than_all_is_refused)
{
	ck_assert_ptr_null(muster_cluster_new(test_loop, &(struct muster_cluster_options){ .jitter_percent = 101 }));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("health");
	TCase *hung = add_loop_case(suite, "hung"), *old = add_loop_case(suite, "old");

	tcase_add_test(hung, a_frozen_worker_is_ended_and_replaced);
	tcase_add_test(hung, connections_on_their_way_to_a_hung_worker_are_served_by_its_successor);
	tcase_add_test(hung, a_worker_that_does_not_come_back_to_its_loop_dies_of_sigabrt);
	tcase_add_test(hung, a_worker_that_hangs_before_it_has_a_loop_is_ended_too);
	tcase_add_test(hung, a_worker_whose_loop_turns_is_left_alone);
	tcase_add_test(hung, nobody_beats_unless_asked_to);
	tcase_add_test(hung, a_primary_that_overslept_ends_nobody);
	tcase_add_test(hung, a_program_that_does_not_beat_is_not_expected_to);
	tcase_add_loop_test(old, a_worker_is_replaced_after_so_many_connections, 0, 2);
	tcase_add_test(old, workers_that_have_lived_long_enough_are_replaced_one_after_the_other);
	tcase_add_test(old, a_worker_with_too_much_memory_is_replaced);
	tcase_add_test(old, jitter_lowers_a_limit_by_up_to_its_part);
	tcase_add_test(old, workers_differ_in_their_jitter);
	tcase_add_test(old, a_worker_that_cannot_be_replaced_stays_and_that_is_told_now_and_then);
	tcase_add_test(old, a_jitter_of_more_than_all_is_refused);
	return run_suite(suite);
}
