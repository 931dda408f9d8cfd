/* tests/master/test_bounds.c - workers that are asked to leave and do not. */
#include "master/table.h"

#include "tests/support/client.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <event2/event.h>
#include <signal.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

static const struct muster_cluster_options hasty = { .drain_timeout_ms = 50, .kill_timeout_ms = 50 };

static struct muster_cluster *cluster_of_program(const char *const *words)
{
	struct muster_cluster_options options = hasty;
	struct muster_cluster *cluster;

	options.exec = words;
	cluster = muster_cluster_new(test_loop, &options);
	ck_assert_ptr_nonnull(cluster);
	ck_assert_int_eq(muster_cluster_on(cluster, &counting_workers, &counts), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	return cluster;
}

#define PROGRAM(...) cluster_of_program((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_worker_that_takes_too_long_to_leave_cuts_its_connections)
{
	struct muster_cluster_options options = hasty;
	struct muster_cluster *cluster;
	int client;

	/* What it flushes has a second; the next step must not come before that. */
	options.kill_timeout_ms = 60 * 1000;
	lines_record(MUSTER_LOG_WARN);
	cluster = serving_cluster(&options, &service, 1, &counts);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_uint_eq(lines_with("has not left in time: its connections are cut"), 1);
	client_expect_end(client);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_leaves_in_time_is_not_pressed)
{
	struct muster_cluster_options options = hasty;
	struct muster_cluster *cluster;

	options.drain_timeout_ms = 60 * 1000;
	lines_record(MUSTER_LOG_WARN);
	cluster = serving_cluster(&options, &service, 2, &counts);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(lines_with("in time"), 0);
}
END_TEST

START_TEST(without_a_time_out_a_worker_may_take_its_time)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	struct muster_worker *worker = worker_by_id(cluster, 1);
	int client = client_connect_port(counts.address.port);

	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_worker_disconnect(worker), 0);
	run_until_idle(test_loop);
	ck_assert(!event_pending(&muster__process_of(worker)->bound_timer, EV_TIMEOUT, NULL));
	close(client);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_frozen_worker_that_is_asked_to_leave_is_killed_in_the_end)
{
	struct muster_cluster *cluster;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&hasty, &service, 1, &counts);
	lines_record(MUSTER_LOG_WARN);
	process_freeze(muster_worker_pid(worker_by_id(cluster, 1)));
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGKILL);
	ck_assert_uint_eq(lines_with("its connections are cut"), 1);
	ck_assert_uint_eq(lines_with("in time: SIGTERM"), 1);
	ck_assert_uint_eq(lines_with("in time: SIGKILL"), 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_does_not_hear_gets_a_sigterm)
{
	struct muster_cluster *cluster = PROGRAM("sleep", "1000");

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_disconnect(cluster, NULL, NULL), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.signal, SIGTERM);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_does_not_mind_a_sigterm_gets_a_sigkill)
{
	struct muster_cluster *cluster = PROGRAM("sh", "-c", "trap '' TERM; exec 3<&-; exec sleep 1000");

	lines_record(MUSTER_LOG_ERROR);
	/* Its channel is closed when the signal is ignored. */
	run_until_count(test_loop, counts.disconnect, 1);
	run_dry(test_loop);
	ck_assert_int_eq(counts.signal, SIGKILL);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_only_closes_its_channel_is_ended_too)
{
	struct muster_cluster *cluster = PROGRAM("sh", "-c", "exec 3<&-; exec sleep 1000");

	lines_record(MUSTER_LOG_ERROR);
	run_until_count(test_loop, counts.disconnect, 1);
	run_dry(test_loop);
	ck_assert_int_eq(counts.signal, SIGTERM);
	ck_assert(!counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bounds");
	TCase *leave = add_loop_case(suite, "leave"), *programs = add_loop_case(suite, "programs");

	tcase_add_test(leave, a_worker_that_takes_too_long_to_leave_cuts_its_connections);
	tcase_add_test(leave, a_worker_that_leaves_in_time_is_not_pressed);
	tcase_add_test(leave, without_a_time_out_a_worker_may_take_its_time);
	tcase_add_test(leave, a_frozen_worker_that_is_asked_to_leave_is_killed_in_the_end);
	tcase_add_test(programs, a_program_that_does_not_hear_gets_a_sigterm);
	tcase_add_test(programs, a_program_that_does_not_mind_a_sigterm_gets_a_sigkill);
	tcase_add_test(programs, a_program_that_only_closes_its_channel_is_ended_too);
	return run_suite(suite);
}
