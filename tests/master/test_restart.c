/* tests/master/test_restart.c - workers that are replaced while they serve, and how many there are of them. */
#include "master/table.h"

#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

struct outcome {
	unsigned calls;
	int err;
	unsigned again; /* ask for so many more */
};

static struct outcome outcome;

static void on_done(struct muster_cluster *cluster, int err, void *data)
{
	struct outcome *told = data;

	told->calls++;
	told->err = err;
	if (told->again > 0) {
		told->again--;
		ck_assert_int_eq(muster_cluster_restart(cluster, on_done, data), 0);
	}
}

static void restart(struct muster_cluster *cluster)
{
	ck_assert_int_eq(muster_cluster_restart(cluster, on_done, &outcome), 0);
	ck_assert_uint_eq(outcome.calls, 0);
}

static void run_until_done(void)
{
	run_until_count(test_loop, outcome.calls, 1);
	ck_assert_uint_eq(outcome.calls, 1);
}

static void restart_fails_with(struct muster_cluster *cluster, int err)
{
	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, err);
}

static unsigned workers_of(struct muster_cluster *cluster)
{
	const struct muster_worker *worker;
	unsigned count = 0;

	/* One is in the table until its on_exit has returned. */
	run_until_idle(test_loop);
	for (worker = muster_cluster_next(cluster, NULL); worker != NULL;
	     worker = muster_cluster_next(cluster, (struct muster_worker *)worker))
		count++;
	return count;
}

/* A place in the order of events; the test fails if it has not happened. */
static const char *when(const char *event)
{
	const char *found = strstr(counts.order, event);

	ck_assert_msg(found != NULL, "%s is not in %s", event, counts.order);
	return found;
}

/* What a worker is told by the memory it was forked with. */
static bool broken;

static int serve_unless_broken(struct muster_worker *self, void *data)
{
	if (broken)
		_exit(7);
	return serve(self, data);
}

static int idle_if_broken(struct muster_worker *self, void *data)
{
	return broken ? idle(self, data) : serve(self, data);
}

/* ---- All of them. */

START_TEST(a_restart_replaces_every_worker_and_each_only_when_its_successor_listens)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 3, &counts);

	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 3);
	ck_assert_uint_eq(counts.fork, 6);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert(when("listening4") < when("disconnect1"));
	ck_assert(when("listening5") < when("disconnect2"));
	ck_assert(when("listening6") < when("disconnect3"));
	ck_assert(when("listening4") < when("fork5"));
	ck_assert(when("listening5") < when("fork6"));
	ck_assert(counts.willing);
	ck_assert_uint_eq(workers_of(cluster), 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(successors_take_the_places_of_those_before_them)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 3, &counts);
	unsigned id;

	restart(cluster);
	run_until_count(test_loop, counts.exit, 3);
	for (id = 4; id <= 6; id++)
		ck_assert_uint_eq(muster__process_of(worker_by_id(cluster, id))->seat->index, id - 4);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_restart_leaves_no_descriptor_behind)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	unsigned before;

	run_until_idle(test_loop);
	before = descriptors_open();
	restart(cluster);
	run_until_count(test_loop, counts.exit, 2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(descriptors_open(), before);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(connections_that_are_open_end_with_their_own_worker)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int before = client_connect_port(counts.address.port), after;

	ck_assert_uint_eq(greeted_by(before), 1);
	restart(cluster);
	run_until_done();
	after = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(after), 2);
	client_send_text(before, "still here");
	client_expect_text(before, "still here");
	ck_assert_uint_eq(counts.exit, 0);
	close(before);
	run_until_count(test_loop, counts.exit, 1);
	close(after);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_restart_without_workers_calls_back_too)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);

	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_int_eq(muster_cluster_restart(cluster, NULL, NULL), 0);
	run_until_idle(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(of_two_restarts_the_second_is_refused_until_the_first_is_over)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	outcome.again = 1;
	restart(cluster);
	ck_assert_int_eq(muster_cluster_restart(cluster, on_done, &outcome), -EALREADY);
	ck_assert_int_eq(muster_worker_restart(worker_by_id(cluster, 1), on_done, &outcome), -EALREADY);
	run_until_count(test_loop, outcome.calls, 2);
	ck_assert_uint_eq(counts.fork, 6);
	run_until_count(test_loop, counts.exit, 4);
	ck_assert_uint_eq(outcome.calls, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(one_worker_can_be_replaced_alone)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	ck_assert_int_eq(muster_worker_restart(worker_by_id(cluster, 2), on_done, &outcome), 0);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(counts.fork, 3);
	ck_assert_uint_eq(workers_of(cluster), 2);
	worker_by_id(cluster, 1);
	worker_by_id(cluster, 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_is_leaving_is_not_replaced)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	struct muster_worker *worker = worker_by_id(cluster, 1);

	ck_assert_int_eq(muster_worker_disconnect(worker), 0);
	ck_assert_int_eq(muster_worker_restart(worker, on_done, &outcome), -ESRCH);
	restart(cluster);
	run_until_done();
	run_until_count(test_loop, counts.exit, 2);
	ck_assert_uint_eq(counts.fork, 3);
	close_cluster(cluster, &counts);
}
END_TEST

/* It tells -EINVAL, or ends badly. */
static int restart_myself(struct muster_worker *self, void *data)
{
	tell(self, "restart %s", muster_error_name(muster_worker_restart(self, NULL, NULL)));
	return idle(self, data);
}

START_TEST(a_worker_cannot_replace_itself)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = restart_myself }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "restart EINVAL");
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Ready. */

START_TEST(a_worker_that_never_listened_is_followed_by_one_that_is_online)
{
	struct muster_cluster *cluster = new_cluster(&(struct muster_cluster_options){ .worker = idle }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.online, 2);
	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 2);
	ck_assert_uint_eq(counts.ready, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_is_followed_by_one_that_listens_on_as_much)
{
	struct muster_cluster *cluster;

	service.servers = 3;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	run_until_count(test_loop, counts.listening, 3);
	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(counts.listening, 6);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(ready_is_told_once_by_each_worker)
{
	struct muster_cluster *cluster;

	service.servers = 2;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	run_until_count(test_loop, counts.listening, 2);
	run_until_count(test_loop, counts.ready, 1);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.ready, 1);
}
END_TEST

START_TEST(online_may_be_ready)
{
	static const struct muster_cluster_options options = { .worker = idle, .ready = MUSTER_READY_ONLINE };
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.ready, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static void on_go(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)message, (void)data;
	if (muster_worker_ready(self) < 0)
		_exit(9);
}

static int ready_on_a_message(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = on_go };

	(void)data;
	return muster_worker_on(self, &on, NULL);
}

START_TEST(a_worker_can_say_that_it_is_ready)
{
	static const struct muster_cluster_options options = { .worker = ready_on_a_message,
							       .ready = MUSTER_READY_SAID };
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.online, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.ready, 0);
	tell(worker_by_id(cluster, 1), "go");
	run_until_count(test_loop, counts.ready, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static int say_ready_as_programs_do(struct muster_worker *self, void *data)
{
	tell(self, "ready");
	return idle(self, data);
}

START_TEST(a_worker_can_say_it_by_the_message_that_programs_send)
{
	static const struct muster_cluster_options options = { .worker = say_ready_as_programs_do,
							       .ready = MUSTER_READY_SAID };
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.said, "\"ready\" ");
	close_cluster(cluster, &counts);
}
END_TEST

/* A restart of one worker that waits until the user says that the new one, which listens, is ready. */
static struct muster_cluster *half_restarted(const struct muster_cluster_options *options)
{
	struct muster_cluster_options mine = *options;
	struct muster_cluster *cluster;

	mine.ready = MUSTER_READY_SAID;
	cluster = serving_cluster(&mine, &service, 1, &counts);
	ck_assert_int_eq(muster_worker_ready(worker_by_id(cluster, 1)), 0);
	ck_assert_uint_eq(counts.ready, 0);
	run_until_count(test_loop, counts.ready, 1);
	restart(cluster);
	run_until_count(test_loop, counts.listening, 2);
	return cluster;
}

static unsigned who_greets(void)
{
	int client = client_connect_port(counts.address.port);
	unsigned id = greeted_by(client);

	close(client);
	return id;
}

START_TEST(nothing_is_handed_to_a_new_worker_before_it_is_ready)
{
	struct muster_cluster *cluster = half_restarted(&(struct muster_cluster_options){ 0 });
	unsigned i;

	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(who_greets(), 1);
	ck_assert_uint_eq(outcome.calls, 0);
	ck_assert_int_eq(muster_worker_ready(worker_by_id(cluster, 2)), 0);
	run_until_done();
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(who_greets(), 2);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Nothing gets worse. */

START_TEST(a_new_worker_that_is_not_ready_in_time_is_ended_and_the_old_one_stays)
{
	struct muster_cluster *cluster;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&(struct muster_cluster_options){ .worker = idle_if_broken, .ready_timeout_ms = 50 },
				  &service, 2, &counts);
	broken = true;
	restart_fails_with(cluster, -ETIMEDOUT);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGKILL);
	ck_assert_uint_eq(counts.fork, 3);
	ck_assert_uint_eq(counts.disconnect, 1);
	ck_assert_uint_eq(lines_with("was not ready in time: the one before it stays"), 1);
	worker_by_id(cluster, 1);
	worker_by_id(cluster, 2);
	ck_assert_uint_le(who_greets(), 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_new_worker_that_dies_before_it_is_ready_leaves_the_old_one)
{
	struct muster_cluster *cluster;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&(struct muster_cluster_options){ .worker = serve_unless_broken, .respawn = true },
				  &service, 2, &counts);
	broken = true;
	restart_fails_with(cluster, -ECHILD);
	ck_assert_int_eq(counts.code, 7);
	ck_assert_uint_eq(counts.fork, 3);
	ck_assert_uint_eq(workers_of(cluster), 2);
	ck_assert_uint_le(who_greets(), 2);
	/* And when the reason is gone, the next one works. */
	broken = false;
	memset(&outcome, 0, sizeof outcome);
	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_fork_that_fails_is_told_and_changes_nothing)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	restart(cluster);
	descriptors_exhaust(1);
	run_until_done();
	descriptors_release();
	ck_assert_int_eq(outcome.err, -EMFILE);
	ck_assert_uint_eq(who_greets(), 1);
	ck_assert_uint_eq(counts.fork, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(when_the_old_worker_dies_the_new_one_has_its_place_at_once)
{
	struct muster_cluster *cluster = half_restarted(&(struct muster_cluster_options){ .respawn = true });

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(who_greets(), 2);
	ck_assert_uint_eq(outcome.calls, 0);
	ck_assert_int_eq(muster_worker_ready(worker_by_id(cluster, 2)), 0);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_uint_eq(counts.fork, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_failed_worker_that_shared_a_listener_ends_after_its_connections)
{
	struct muster_cluster *cluster = half_restarted(
		&(struct muster_cluster_options){ .policy = MUSTER_POLICY_SHARED, .ready_timeout_ms = 1000 });
	int clients[64];
	unsigned i, served = 0;

	lines_record(MUSTER_LOG_ERROR);
	for (i = 0; i < 64; i++) {
		clients[i] = client_connect_port(counts.address.port);
		served += greeted_by(clients[i]) == 2;
	}
	ck_assert_uint_gt(served, 0);
	run_until_done();
	ck_assert_int_eq(outcome.err, -ETIMEDOUT);
	for (i = 0; i < 64; i++) {
		client_send_text(clients[i], "still here");
		client_expect_text(clients[i], "still here");
		close(clients[i]);
	}
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
	worker_by_id(cluster, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- What else may happen meanwhile. */

static void on_disconnected(struct muster_cluster *cluster, void *data)
{
	(void)cluster;
	++*(unsigned *)data;
}

START_TEST(a_disconnect_ends_a_restart)
{
	struct muster_cluster *cluster = half_restarted(&(struct muster_cluster_options){ 0 });
	unsigned disconnected = 0;

	ck_assert_int_eq(muster_cluster_disconnect(cluster, on_disconnected, &disconnected), 0);
	ck_assert_uint_eq(outcome.calls, 0);
	ck_assert_int_eq(muster_cluster_restart(cluster, on_done, &outcome), -ECANCELED);
	ck_assert_int_eq(muster_cluster_scale(cluster, 3), -ECANCELED);
	run_until_count(test_loop, disconnected, 1);
	ck_assert_uint_eq(outcome.calls, 1);
	ck_assert_int_eq(outcome.err, -ECANCELED);
	ck_assert_uint_eq(counts.exit, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_close_ends_a_restart)
{
	struct muster_cluster *cluster = half_restarted(&(struct muster_cluster_options){ 0 });

	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	ck_assert_int_eq(muster_cluster_restart(cluster, on_done, &outcome), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_cluster_scale(cluster, 3), MUSTER_ECLOSED);
	run_dry(test_loop);
	ck_assert_uint_eq(outcome.calls, 1);
	ck_assert_int_eq(outcome.err, -ECANCELED);
	ck_assert_uint_eq(counts.exit, 2);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(a_loop_may_be_freed_in_the_middle_of_a_restart)
{
	half_restarted(&(struct muster_cluster_options){ 0 });
	test_loop_close();
	ck_assert_uint_eq(outcome.calls, 0);
	ck_assert_uint_eq(counts.close, 1);
	test_loop_open();
}
END_TEST

/* ---- Under load. */

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_pipe(socket, socket);
}

static int echo(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	if (server == NULL || muster_server_on(server, &on, data) < 0)
		return -ENOMEM;
	return muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" });
}

static const enum muster_policy policies[] = { MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_LEAST_CONNECTIONS,
					       MUSTER_POLICY_SHARED, MUSTER_POLICY_REUSE_PORT,
					       MUSTER_POLICY_EXCLUSIVE };

START_TEST(under_load_a_restart_fails_nobody)
{
	struct muster_cluster_options options = { .worker = echo, .policy = policies[_i] };
	struct muster_cluster *cluster = serving_cluster(&options, NULL, 3, &counts);
	struct crowd crowd;

	crowd_begin(&crowd, counts.address.port, 40, 4000);
	outcome.again = 4;
	restart(cluster);
	while (crowd_turn(&crowd))
		ck_assert_int_ge(event_base_loop(muster_loop_base(test_loop), EVLOOP_NONBLOCK), 0);
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 4000);
	/* The load was there during at least one of them. */
	ck_assert_uint_ge(outcome.calls, 1);
	run_until_count(test_loop, outcome.calls, 5);
	ck_assert_int_eq(outcome.err, 0);
	run_until_count(test_loop, counts.exit, 15);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- How many. */

START_TEST(scaling_up_forks_and_scaling_down_lets_the_newest_go)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	ck_assert_int_eq(muster_cluster_scale(cluster, 4), 0);
	run_until_count(test_loop, counts.listening, 4);
	ck_assert_uint_eq(workers_of(cluster), 4);
	ck_assert_int_eq(muster_cluster_scale(cluster, 4), 0);
	ck_assert_int_eq(muster_cluster_scale(cluster, 1), 0);
	run_until_count(test_loop, counts.exit, 3);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_uint_eq(workers_of(cluster), 1);
	ck_assert_uint_eq(who_greets(), 1);
	ck_assert_uint_eq(counts.fork, 4);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(those_on_their_way_out_do_not_count)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int clients[2] = { client_connect_port(counts.address.port), client_connect_port(counts.address.port) };

	greeted_by(clients[0]);
	greeted_by(clients[1]);
	ck_assert_int_eq(muster_cluster_scale(cluster, 1), 0);
	ck_assert_int_eq(muster_cluster_scale(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 3);
	ck_assert_uint_eq(workers_of(cluster), 3);
	close(clients[0]);
	close(clients[1]);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(workers_of(cluster), 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(scaling_to_none_ends_the_loop)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .respawn = true }, &service, 2, &counts);

	ck_assert_int_eq(muster_cluster_scale(cluster, 0), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.exit, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_place_that_waits_for_its_next_worker_goes_at_once)
{
	struct muster_cluster_options options = {
		.worker = serve_unless_broken, .respawn = true, .backoff_ms = 3600 * 1000, .backoff_max_ms = 3600 * 1000
	};
	struct muster_cluster *cluster;

	lines_record(MUSTER_LOG_ERROR);
	broken = true;
	cluster = new_cluster(&options, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.exit, 2);
	run_until_idle(test_loop);
	ck_assert_int_eq(muster_cluster_scale(cluster, 0), 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(of_a_place_that_goes_the_new_worker_goes_too)
{
	struct muster_cluster *cluster = half_restarted(&(struct muster_cluster_options){ 0 });

	ck_assert_int_eq(muster_cluster_scale(cluster, 0), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.exit, 2);
	ck_assert_uint_eq(counts.fork, 2);
	ck_assert_uint_eq(outcome.calls, 1);
	ck_assert_int_eq(outcome.err, 0);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Places that stay empty. */

static const struct muster_cluster_options poor = {
	.worker = serve_unless_broken, .respawn = true, .backoff_ms = 1, .backoff_max_ms = 1000, .budget = 3
};

static struct muster_cluster *spent_cluster(void)
{
	struct muster_cluster *cluster;

	lines_record(MUSTER_LOG_ERROR);
	broken = true;
	cluster = new_cluster(&poor, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.error, 1);
	return cluster;
}

START_TEST(when_its_budget_is_spent_a_place_stays_empty_and_that_is_told)
{
	struct muster_cluster *cluster = spent_cluster();

	ck_assert_uint_eq(counts.fork, 3);
	ck_assert_int_eq(counts.last_error.code, -ECHILD);
	ck_assert_str_eq(counts.last_error.call, "respawn");
	ck_assert_uint_eq(lines_with("3 workers in a row ended before they listened"), 1);
	run_until_idle(test_loop);
	ck_assert(!event_pending(&TAILQ_FIRST(&cluster->seats)->timer, EV_TIMEOUT, NULL));
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.fork, 3);
}
END_TEST

START_TEST(a_restart_fills_a_place_whose_budget_is_spent)
{
	struct muster_cluster *cluster = spent_cluster();

	broken = false;
	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, 0);
	ck_assert_uint_eq(counts.listening, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_restart_of_an_empty_place_that_fails_is_told_and_the_budget_begins_anew)
{
	struct muster_cluster *cluster = spent_cluster();

	restart(cluster);
	run_until_done();
	ck_assert_int_eq(outcome.err, -ECHILD);
	run_until_count(test_loop, counts.error, 2);
	ck_assert_uint_eq(counts.fork, 6);
	close_cluster(cluster, &counts);
}
END_TEST

static void add_restarts(Suite *suite)
{
	TCase *all = add_loop_case(suite, "all"), *ready = add_loop_case(suite, "ready");
	TCase *failed = add_loop_case(suite, "failed"), *meanwhile = add_loop_case(suite, "meanwhile");

	tcase_add_test(all, a_restart_replaces_every_worker_and_each_only_when_its_successor_listens);
	tcase_add_test(all, successors_take_the_places_of_those_before_them);
	tcase_add_test(all, a_restart_leaves_no_descriptor_behind);
	tcase_add_test(all, connections_that_are_open_end_with_their_own_worker);
	tcase_add_test(all, a_restart_without_workers_calls_back_too);
	tcase_add_test(all, of_two_restarts_the_second_is_refused_until_the_first_is_over);
	tcase_add_test(all, one_worker_can_be_replaced_alone);
	tcase_add_test(all, a_worker_that_is_leaving_is_not_replaced);
	tcase_add_test(all, a_worker_cannot_replace_itself);
	tcase_add_test(ready, a_worker_that_never_listened_is_followed_by_one_that_is_online);
	tcase_add_test(ready, a_worker_is_followed_by_one_that_listens_on_as_much);
	tcase_add_test(ready, ready_is_told_once_by_each_worker);
	tcase_add_test(ready, online_may_be_ready);
	tcase_add_test(ready, a_worker_can_say_that_it_is_ready);
	tcase_add_test(ready, a_worker_can_say_it_by_the_message_that_programs_send);
	tcase_add_test(ready, nothing_is_handed_to_a_new_worker_before_it_is_ready);
	tcase_add_test(failed, a_new_worker_that_is_not_ready_in_time_is_ended_and_the_old_one_stays);
	tcase_add_test(failed, a_new_worker_that_dies_before_it_is_ready_leaves_the_old_one);
	tcase_add_test(failed, a_fork_that_fails_is_told_and_changes_nothing);
	tcase_add_test(failed, when_the_old_worker_dies_the_new_one_has_its_place_at_once);
	tcase_add_test(failed, a_failed_worker_that_shared_a_listener_ends_after_its_connections);
	tcase_add_test(meanwhile, a_disconnect_ends_a_restart);
	tcase_add_test(meanwhile, a_close_ends_a_restart);
	tcase_add_test(meanwhile, a_loop_may_be_freed_in_the_middle_of_a_restart);
}

int main(void)
{
	Suite *suite = suite_create("restart");
	TCase *load = add_loop_case(suite, "load"), *scale = add_loop_case(suite, "scale");
	TCase *budget = add_loop_case(suite, "budget");

	add_restarts(suite);
	tcase_add_loop_test(load, under_load_a_restart_fails_nobody, 0, sizeof policies / sizeof policies[0]);
	tcase_add_test(scale, scaling_up_forks_and_scaling_down_lets_the_newest_go);
	tcase_add_test(scale, those_on_their_way_out_do_not_count);
	tcase_add_test(scale, scaling_to_none_ends_the_loop);
	tcase_add_test(scale, a_place_that_waits_for_its_next_worker_goes_at_once);
	tcase_add_test(scale, of_a_place_that_goes_the_new_worker_goes_too);
	tcase_add_test(budget, when_its_budget_is_spent_a_place_stays_empty_and_that_is_told);
	tcase_add_test(budget, a_restart_fills_a_place_whose_budget_is_spent);
	tcase_add_test(budget, a_restart_of_an_empty_place_that_fails_is_told_and_the_budget_begins_anew);
	return run_suite(suite);
}
