/* tests/master/test_cluster.c - a primary and its workers: their lives, in order and once each. */
#include "master/cluster.h"
#include "master/table.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

static int die_at_once(struct muster_worker *self, void *data)
{
	(void)self, (void)data;
	_exit(7);
}

static int refuse_to_start(struct muster_worker *self, void *data)
{
	(void)self, (void)data;
	return -EIO;
}

static int return_at_once(struct muster_worker *self, void *data)
{
	(void)self, (void)data;
	return 0;
}

static void kill_worker(struct muster_cluster *cluster, unsigned id)
{
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, id), SIGKILL), 0);
}

/* ---- One life. */

START_TEST(a_life_has_its_events_in_order_and_once_each)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
	ck_assert_str_eq(counts.order, "fork1 online1 listening1 disconnect1 exit1 close0");
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
}
END_TEST

START_TEST(nothing_is_told_before_fork_has_returned)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);
	struct muster_worker *worker = NULL;

	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, &worker), 0);
	ck_assert_str_eq(counts.order, "");
	ck_assert_uint_eq(muster_worker_id(worker), 1);
	ck_assert_int_gt(muster_worker_pid(worker), 0);
	ck_assert(muster_worker_is_connected(worker));
	ck_assert(!muster_worker_is_dead(worker));
	ck_assert_ptr_eq(muster_worker_loop(worker), test_loop);
	ck_assert_ptr_eq(muster_cluster_loop(cluster), test_loop);
	ck_assert_ptr_eq(muster_cluster_next(cluster, NULL), worker);
	ck_assert_ptr_null(muster_cluster_next(cluster, worker));
	ck_assert(muster_is_primary());
	ck_assert_ptr_null(muster_worker_self());
	run_until_count(test_loop, counts.listening, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static void fork_and_wait_for_its_first_words(void *data)
{
	struct muster_worker *worker;
	struct pollfd readable = { .events = POLLIN };

	ck_assert_int_eq(muster_cluster_fork(data, NULL, &worker), 0);
	readable.fd = worker->channel.fd;
	ck_assert_int_eq(poll(&readable, 1, (int)test_patience() * 1000), 1);
}

START_TEST(fork_is_told_first_however_quick_the_worker_is)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);

	ck_assert_int_eq(muster_loop_defer(test_loop, fork_and_wait_for_its_first_words, cluster), 0);
	run_until_count(test_loop, counts.listening, 1);
	close_cluster(cluster, &counts);
	ck_assert_str_eq(counts.order, "fork1 online1 listening1 disconnect1 exit1 close0");
}
END_TEST

START_TEST(the_table_of_one_worker_hears_of_that_worker_alone)
{
	static struct worker_counts own;
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);
	struct muster_worker *worker;

	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, &worker), 0);
	ck_assert_int_eq(muster_worker_on(worker, &counting_workers, &own), 0);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.listening, 2);
	close_cluster(cluster, &counts);
	ck_assert_str_eq(own.order, "fork1 online1 listening1 disconnect1 exit1");
	ck_assert_uint_eq(counts.exit, 2);
}
END_TEST

static void disconnect_in_handler(struct muster_worker *worker, void *data)
{
	(void)data;
	ck_assert_int_eq(muster_worker_disconnect(worker), 0);
}

START_TEST(a_worker_may_be_asked_to_leave_when_it_is_forked)
{
	static const struct muster_worker_handlers on = { .on_fork = disconnect_in_handler };
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.exit, 2);
	ck_assert_uint_eq(counts.bad_exits, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_whose_function_returns_with_nothing_alive_exits_with_0)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = return_at_once }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 online1 disconnect1 exit1");
	ck_assert_int_eq(counts.code, 0);
	ck_assert(!counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_cannot_start_exits_with_1)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = refuse_to_start }, NULL, &counts);

	lines_record(MUSTER_LOG_WARN);
	muster_log_set_level(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(an_exit_status_and_a_signal_are_told_apart)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = die_at_once }, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 7);
	ck_assert_int_eq(counts.signal, 0);
	close_cluster(cluster, &counts);
	memset(&counts, 0, sizeof counts);
	cluster = serving_cluster(NULL, &service, 1, &counts);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), 0), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 0);
	ck_assert_int_eq(counts.signal, SIGTERM);
	ck_assert(!counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

static int exits;

static void look_at_the_dead(struct muster_worker *worker, int code, int signal, void *data)
{
	struct muster_cluster *cluster = data;

	(void)code, (void)signal;
	exits++;
	ck_assert(muster_worker_is_dead(worker));
	ck_assert(!muster_worker_is_connected(worker));
	ck_assert_int_eq(muster_worker_kill(worker, SIGKILL), -ESRCH);
	ck_assert_int_eq(muster_worker_disconnect(worker), MUSTER_ECHANNEL);
	ck_assert_int_eq(muster_worker_send(worker, &(struct muster_message){ .text = "1", .length = 1 }),
			 MUSTER_ECHANNEL);
	ck_assert_ptr_eq(muster_cluster_next(cluster, NULL), worker);
}

START_TEST(a_dead_worker_can_be_looked_at_while_its_end_is_told)
{
	static const struct muster_worker_handlers on = { .on_exit = look_at_the_dead };
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_on(cluster, &on, cluster), 0);
	kill_worker(cluster, 1);
	run_dry(test_loop);
	ck_assert_int_eq(exits, 1);
	ck_assert_ptr_null(muster_cluster_next(cluster, NULL));
	close_cluster(cluster, &counts);
}
END_TEST

static int tell_environment(struct muster_worker *self, void *data)
{
	(void)data;
	tell(self, "%s|%s|%u|%d|%d", getenv("MUSTER_TEST_A"), getenv("MUSTER_TEST_B"), muster_worker_id(self),
	     muster_is_primary(), muster_worker_self() == self);
	return 0;
}

START_TEST(a_worker_gets_its_environment_and_so_does_its_replacement)
{
	static const char *const env[] = { "MUSTER_TEST_A=one two", "MUSTER_TEST_B=", NULL };
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .worker = tell_environment, .respawn = true, .backoff_ms = 1 }, NULL,
		&counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_fork(cluster, env, NULL), 0);
	run_until_said(&counts, "\"one two||1|0|1\" \"one two||2|0|1\"");
	ck_assert_ptr_null(getenv("MUSTER_TEST_A"));
	close_cluster(cluster, &counts);
}
END_TEST

/* What a worker has open: the standard descriptors, its channel, and what its loop needs. */
static int tell_descriptors(struct muster_worker *self, void *data)
{
	int *passed = data;

	tell(self, "open %u, passed %s", descriptors_open(), fcntl(*passed, F_GETFD) < 0 ? "closed" : "open");
	return 0;
}

START_TEST(a_worker_inherits_no_descriptor_but_its_own)
{
	int fd = memfd_create("a file of the primary", 0);
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_descriptors, .data = &fd }, NULL, &counts);

	ck_assert_int_eq(dup2(fd, 200), 200);
	close(fd);
	fd = 200;
	ck_assert_int_eq(muster_cluster_start(cluster, 3), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.message, 3);
	ck_assert_ptr_nonnull(strstr(counts.said, "passed closed"));
	ck_assert_ptr_null(strstr(counts.said, "passed open"));
	close(fd);
	close_cluster(cluster, &counts);
}
END_TEST

static int tell_signals(struct muster_worker *self, void *data)
{
	struct sigaction action;
	sigset_t blocked;

	(void)data;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigaction(SIGUSR1, NULL, &action);
	tell(self, "blocked %d default %d", sigismember(&blocked, SIGUSR2), action.sa_handler == SIG_DFL);
	return 0;
}

START_TEST(a_worker_begins_with_default_signals_and_the_primary_keeps_its_own)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_signals }, NULL, &counts);
	sigset_t usr2, now;

	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	sigprocmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGUSR2), 1);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"blocked 0 default 1\" ");
	close_cluster(cluster, &counts);
}
END_TEST

static int tell_group(struct muster_worker *self, void *data)
{
	(void)data;
	tell(self, "%s", getpgrp() == getpid() ? "own" : "shared");
	return 0;
}

START_TEST(a_process_group_of_its_own_is_an_option)
{
	static const char *const want[] = { "\"shared\" ", "\"own\" " };
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .worker = tell_group, .own_group = _i == 1 }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, want[_i]);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Making one. */

START_TEST(options_that_cannot_be_are_refused)
{
	struct muster_cluster *cluster;

	errno = 0;
	ck_assert_ptr_null(
		muster_cluster_new(test_loop, &(struct muster_cluster_options){ .worker = idle, .window = 65 }));
	ck_assert_int_eq(errno, EINVAL);
	cluster = muster_cluster_new(test_loop, &(struct muster_cluster_options){ .window = 64 });
	ck_assert_ptr_nonnull(cluster);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), -EINVAL);
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	ck_assert_int_eq(muster_cluster_close(cluster), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), MUSTER_ECLOSED);
	run_dry(test_loop);
}
END_TEST

START_TEST(start_without_a_number_forks_one_per_cpu)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = return_at_once }, NULL, &counts);
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 0), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.fork, (unsigned)CPU_COUNT(&set));
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_fork_without_descriptors_fails_and_leaves_nothing)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);
	unsigned left;

	for (left = 0; left < 3; left++) {
		descriptors_exhaust(left);
		ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), -EMFILE);
		descriptors_release();
	}
	ck_assert_ptr_null(muster_cluster_next(cluster, NULL));
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(many_workers_come_and_go_and_no_descriptor_stays)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);
	unsigned before, round;

	before = descriptors_open();
	for (round = 1; round <= 5; round++) {
		ck_assert_int_eq(muster_cluster_start(cluster, 4), 0);
		run_until_count(test_loop, counts.listening, 4 * round);
		ck_assert_int_eq(muster_cluster_disconnect(cluster, NULL, NULL), 0);
		run_dry(test_loop);
		ck_assert_uint_eq(counts.exit, 4 * round);
		ck_assert_uint_eq(descriptors_open(), before);
	}
	ck_assert_uint_eq(counts.bad_exits, 0);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Replacing the dead. */

static const struct muster_cluster_options respawning = { .respawn = true, .backoff_ms = 20, .backoff_max_ms = 100 };

START_TEST(without_respawn_the_dead_are_not_replaced)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	lines_record(MUSTER_LOG_ERROR);
	kill_worker(cluster, 1);
	run_until_count(test_loop, counts.exit, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.fork, 2);
	kill_worker(cluster, 2);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_served_is_replaced_at_once)
{
	struct muster_cluster_options options = { .respawn = true, .backoff_ms = 3600 * 1000 };
	struct muster_cluster *cluster;
	int client;

	options.backoff_max_ms = options.backoff_ms;
	cluster = serving_cluster(&options, &service, 1, &counts);
	lines_record(MUSTER_LOG_ERROR);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	kill_worker(cluster, 1);
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_ptr_nonnull(strstr(counts.order, "exit1 fork2 online2 listening2"));
	run_until_ended(client);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_never_listens_is_replaced_ever_more_slowly)
{
	struct muster_cluster_options options = respawning;
	struct muster_cluster *cluster;

	options.worker = die_at_once;
	lines_record(MUSTER_LOG_WARN);
	cluster = new_cluster(&options, NULL, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.exit, 5);
	ck_assert_uint_ge(lines_with("the next try is in 20 ms"), 1);
	ck_assert_uint_eq(lines_with("the next try is in 40 ms"), 1);
	ck_assert_uint_eq(lines_with("the next try is in 80 ms"), 1);
	ck_assert_uint_ge(lines_with("the next try is in 100 ms"), 1);
	/* Closing does not wait for the next try. */
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_was_asked_to_leave_is_not_replaced)
{
	struct muster_cluster *cluster = serving_cluster(&respawning, &service, 2, &counts);

	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.fork, 2);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.fork, 2);
}
END_TEST

/* ---- Leaving. */

static void leave_when_told(struct muster_worker *self, struct muster_message *message, void *data)
{
	const char *text = json_string_value(message->json);

	(void)data;
	if (strcmp(text, "leave") == 0 && muster_worker_disconnect(self) < 0)
		_exit(3);
	if (strcmp(text, "kill") == 0 && muster_worker_kill(self, 0) < 0)
		_exit(3);
	tell(self, "did %s", text);
}

static void listen_to_orders(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_worker_handlers on = { .on_message = leave_when_told };

	(void)server;
	muster_worker_on(self, &on, NULL);
}

static unsigned round_trips;

static void ask(struct muster_cluster *cluster, unsigned id, const char *what)
{
	json_t *json = json_string(what);

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, id), &(struct muster_message){ .json = json }), 0);
	json_decref(json);
	round_trips++;
}

/* A question and its answer: whatever the worker was told before has been done. */
static void wait_for_worker(struct muster_cluster *cluster, unsigned id)
{
	char what[32], answer[40];

	snprintf(what, sizeof what, "question %u", round_trips);
	snprintf(answer, sizeof answer, "did question %u\"", round_trips);
	ask(cluster, id, what);
	run_until_said(&counts, answer);
}

START_TEST(disconnect_waits_for_open_connections)
{
	struct muster_cluster *cluster;
	int client;

	service.begin = listen_to_orders;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	wait_for_worker(cluster, 1);
	ck_assert_uint_eq(counts.disconnect, 0);
	ck_assert_int_eq(client_try_port(counts.address.port), -ECONNREFUSED);
	client_send_text(client, "still here");
	client_expect_text(client, "still here");
	close(client);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert(counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_leaves_by_itself_waits_for_its_connections_too)
{
	struct muster_cluster *cluster;
	int client;

	service.begin = listen_to_orders;
	cluster = serving_cluster(&respawning, &service, 1, &counts);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	ask(cluster, 1, "leave");
	run_until_said(&counts, "did leave");
	client_send_text(client, "still here");
	client_expect_text(client, "still here");
	ck_assert_uint_eq(counts.exit, 0);
	close(client);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 online1 listening1 disconnect1 exit1");
	ck_assert(counts.willing);
	ck_assert_int_eq(counts.code, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_kills_itself_cuts_its_connections_and_exits_with_0)
{
	struct muster_cluster *cluster;
	int client;

	service.begin = listen_to_orders;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	ask(cluster, 1, "kill");
	run_until_ended(client);
	close(client);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 0);
	ck_assert_int_eq(counts.signal, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(both_sides_may_ask_for_the_end_at_once)
{
	struct muster_cluster *cluster;

	service.begin = listen_to_orders;
	cluster = serving_cluster(&respawning, &service, 2, &counts);
	ask(cluster, 1, "leave");
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	ask(cluster, 2, "leave");
	run_until_said(&counts, "did leave");
	ck_assert_int_eq(muster_cluster_disconnect(cluster, NULL, NULL), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.disconnect, 2);
	ck_assert_uint_eq(counts.exit, 2);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert(counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_can_be_killed_while_it_leaves)
{
	struct muster_cluster *cluster = serving_cluster(&respawning, &service, 1, &counts);
	int client = client_connect_port(counts.address.port);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	kill_worker(cluster, 1);
	run_dry(test_loop);
	run_until_ended(client);
	close(client);
	ck_assert_str_eq(counts.order, "fork1 online1 listening1 disconnect1 exit1");
	ck_assert_int_eq(counts.signal, SIGKILL);
	/* It was asked to; how it went after that is another matter. As in Node. */
	ck_assert(counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

static void look_at_the_disconnected(struct muster_worker *worker, void *data)
{
	ck_assert(!muster_worker_is_connected(worker));
	ck_assert_ptr_eq(muster_cluster_next(data, NULL), worker);
	exits++;
}

START_TEST(a_worker_is_in_the_table_while_its_disconnect_is_told)
{
	static const struct muster_worker_handlers on = { .on_disconnect = look_at_the_disconnected };
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	ck_assert_int_eq(muster_cluster_on(cluster, &on, cluster), 0);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_dry(test_loop);
	ck_assert_int_eq(exits, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static void leave_on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)server;
	tell(data, "%s", muster_error_name(error->code));
	if (muster_worker_disconnect(data) < 0)
		_exit(3);
}

static void listen_where_another_does(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_server_handlers on = { .on_error = leave_on_error };

	muster_server_on(server, &on, self);
}

START_TEST(a_worker_whose_listen_failed_may_leave)
{
	int taken = client_listen(1);
	struct muster_cluster *cluster;

	service.listen.port = client_port_of(taken);
	service.begin = listen_where_another_does;
	cluster = new_cluster(&respawning, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_ptr_nonnull(strstr(counts.said, "\"EADDRINUSE\""));
	ck_assert_str_eq(counts.order, "fork1 online1 disconnect1 exit1");
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
	close(taken);
	close_cluster(cluster, &counts);
}
END_TEST

static unsigned done;

static void on_done(struct muster_cluster *cluster, void *data)
{
	struct worker_counts *at = data;

	ck_assert_ptr_null(muster_cluster_next(cluster, NULL));
	ck_assert_uint_eq(at->exit, at->fork);
	done++;
}

START_TEST(cluster_disconnect_calls_back_once_after_the_last_exit)
{
	struct muster_cluster *cluster = serving_cluster(&respawning, &service, 3, &counts);

	ck_assert_int_eq(muster_cluster_disconnect(cluster, on_done, &counts), 0);
	ck_assert_int_eq(muster_cluster_disconnect(cluster, on_done, &counts), -EALREADY);
	ck_assert_uint_eq(done, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(done, 1);
	ck_assert_uint_eq(counts.exit, 3);
	ck_assert_uint_eq(counts.bad_exits, 0);
	/* It goes on: only close is the end. */
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 4);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(cluster_disconnect_without_workers_calls_back_too)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);

	ck_assert_int_eq(muster_cluster_disconnect(cluster, on_done, &counts), 0);
	ck_assert_uint_eq(done, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(done, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(after_a_disconnect_respawn_works_again)
{
	struct muster_cluster_options options = respawning;
	struct muster_cluster *cluster = serving_cluster(&options, &service, 1, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_disconnect(cluster, NULL, NULL), 0);
	run_dry(test_loop);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 2);
	kill_worker(cluster, 2);
	run_until_count(test_loop, counts.listening, 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(close_with_a_disconnect_under_way_calls_both_back)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	ck_assert_int_eq(muster_cluster_disconnect(cluster, on_done, &counts), 0);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(close_waits_for_connections_and_refuses_new_ones)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int client = client_connect_port(counts.address.port);

	ck_assert_uint_eq(greeted_by(client), 1);
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	ck_assert_int_eq(client_try_port(counts.address.port), -ECONNREFUSED);
	run_until_idle(test_loop);
	client_send_text(client, "x");
	client_expect_text(client, "x");
	ck_assert_uint_eq(counts.close, 0);
	close(client);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

static void close_in_handler(struct muster_worker *worker, int code, int signal, void *data)
{
	(void)worker, (void)code, (void)signal;
	muster_cluster_close(data);
}

START_TEST(a_cluster_may_be_closed_while_an_exit_is_told)
{
	static const struct muster_worker_handlers on = { .on_exit = close_in_handler };
	struct muster_cluster *cluster = serving_cluster(&respawning, &service, 2, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_on(cluster, &on, cluster), 0);
	kill_worker(cluster, 2);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.fork, 2);
}
END_TEST

/* ---- The loop goes while workers live. */

/* All that is held open until the workers have ended: whoever reads its other end sees when they have. */
static int leash[2];

static void hold_leash(void)
{
	ck_assert_int_eq(pipe(leash), 0);
	/* The library leaves a worker only the standard descriptors. */
	ck_assert_int_eq(dup2(leash[1], STDIN_FILENO), STDIN_FILENO);
	close(leash[1]);
}

static void expect_all_gone(void)
{
	char byte;

	close(STDIN_FILENO);
	ck_assert_int_eq(read(leash[0], &byte, 1), 0);
	close(leash[0]);
	ck_assert_int_eq(open("/dev/null", O_RDONLY), STDIN_FILENO);
}

START_TEST(loop_free_with_workers_alive_tells_the_end_and_the_workers_leave)
{
	struct muster_worker *worker;
	pid_t pids[2];
	unsigned i = 0;
	struct muster_cluster *cluster;

	hold_leash();
	cluster = serving_cluster(&respawning, &service, 2, &counts);
	for (worker = NULL; (worker = muster_cluster_next(cluster, worker)) != NULL;)
		pids[i++] = muster_worker_pid(worker);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(counts.disconnect, 2);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.exit, 0);
	expect_all_gone();
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(process_wait(pids[i]), 0);
}
END_TEST

START_TEST(loop_free_does_not_wait_for_a_stopped_worker)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int client = client_connect_port(counts.address.port), i;
	pid_t pid = muster_worker_pid(worker_by_id(cluster, 1));

	process_freeze(pid);
	for (i = 0; i < 2000; i++)
		ck_assert_int_eq(
			muster_worker_send(worker_by_id(cluster, 1),
					   &(struct muster_message){ .text = "\"more than fits\"", .length = 16 }),
			0);
	run_until_idle(test_loop);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(counts.disconnect, 2);
	kill(pid, SIGKILL);
	ck_assert_int_eq(process_wait(pid), 128 + SIGKILL);
	close(client);
}
END_TEST

static unsigned unread(const struct muster__process *process)
{
	int bytes;

	ck_assert_int_eq(ioctl(process->peer.channel.fd, SIOCOUTQ, &bytes), 0);
	return (unsigned)bytes;
}

/* What its channel says then is about a cluster that is half gone. */
START_TEST(loop_free_does_not_stumble_over_a_channel_that_drains)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	struct muster__process *first = muster__process_of(worker_by_id(cluster, 1));
	int client = client_connect_port(counts.address.port);

	ck_assert_uint_eq(greeted_by(client), 1);
	process_freeze(first->peer.pid);
	while (!first->peer.channel.full) {
		ck_assert_int_eq(muster_worker_send(&first->peer, &(struct muster_message){ .text = "1", .length = 1 }),
				 0);
		muster__channel_flush(&first->peer.channel);
	}
	kill(first->peer.pid, SIGCONT);
	until(unread(first) == 0);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(counts.disconnect, 2);
	close(client);
}
END_TEST

/* ---- The primary goes. */

static void be_primary(int report)
{
	struct muster_loop *loop = muster_loop_new();
	struct muster_cluster *cluster =
		muster_cluster_new(loop, &(struct muster_cluster_options){ .worker = serve, .data = &service });

	muster_cluster_on(cluster, &counting_workers, &counts);
	muster_cluster_start(cluster, 2);
	while (counts.listening < 2)
		event_base_loop(muster_loop_base(loop), EVLOOP_ONCE);
	if (write(report, &counts.address.port, sizeof counts.address.port) < 0)
		_exit(1);
	muster_loop_run(loop);
	_exit(0);
}

static pid_t fork_primary(unsigned *port)
{
	int report[2];
	pid_t primary;

	ck_assert_int_eq(pipe(report), 0);
	/* What it leaves behind becomes ours to wait for. */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	primary = fork();
	if (primary == 0)
		be_primary(report[1]);
	close(report[1]);
	ck_assert_int_eq(read(report[0], port, sizeof *port), sizeof *port);
	close(report[0]);
	return primary;
}

static void expect_orphans_end_with_0(unsigned count)
{
	int status;

	while (count-- > 0) {
		ck_assert_int_gt(waitpid(-1, &status, 0), 0);
		ck_assert_int_eq(status, 0);
	}
}

START_TEST(workers_without_a_primary_drain_and_exit_with_0)
{
	unsigned port;
	pid_t primary;
	int client;

	lines_record(MUSTER_LOG_ERROR);
	service.quiet = true;
	primary = fork_primary(&port);
	client = client_connect_port(port);
	client_receive(client, (char[2]){ 0 }, 2);
	kill(primary, SIGKILL);
	ck_assert_int_eq(process_wait(primary), 128 + SIGKILL);
	/* The one without connections goes; the other one serves on. */
	expect_orphans_end_with_0(1);
	client_send_text(client, "still here");
	client_expect_text(client, "still here");
	close(client);
	expect_orphans_end_with_0(1);
}
END_TEST

START_TEST(a_drain_without_a_primary_has_an_end)
{
	struct muster_cluster *cluster;
	int client;
	pid_t pid;

	lines_record(MUSTER_LOG_ERROR);
	cluster = serving_cluster(&(struct muster_cluster_options){ .orphan_timeout_ms = 50 }, &service, 1, &counts);
	client = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(client), 1);
	pid = muster_worker_pid(worker_by_id(cluster, 1));
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_int_eq(process_wait(pid), 0);
	client_expect_end(client);
	close(client);
}
END_TEST

static void add_lives(Suite *suite)
{
	TCase *life = add_loop_case(suite, "life"), *make = add_loop_case(suite, "make");

	tcase_add_test(life, a_life_has_its_events_in_order_and_once_each);
	tcase_add_test(life, nothing_is_told_before_fork_has_returned);
	tcase_add_test(life, fork_is_told_first_however_quick_the_worker_is);
	tcase_add_test(life, the_table_of_one_worker_hears_of_that_worker_alone);
	tcase_add_test(life, a_worker_may_be_asked_to_leave_when_it_is_forked);
	tcase_add_test(life, a_worker_whose_function_returns_with_nothing_alive_exits_with_0);
	tcase_add_test(life, a_worker_that_cannot_start_exits_with_1);
	tcase_add_test(life, an_exit_status_and_a_signal_are_told_apart);
	tcase_add_test(life, a_dead_worker_can_be_looked_at_while_its_end_is_told);
	tcase_add_test(life, a_worker_gets_its_environment_and_so_does_its_replacement);
	tcase_add_test(life, a_worker_inherits_no_descriptor_but_its_own);
	tcase_add_test(life, a_worker_begins_with_default_signals_and_the_primary_keeps_its_own);
	tcase_add_loop_test(life, a_process_group_of_its_own_is_an_option, 0, 2);
	tcase_add_test(make, options_that_cannot_be_are_refused);
	tcase_add_test(make, start_without_a_number_forks_one_per_cpu);
	tcase_add_test(make, a_fork_without_descriptors_fails_and_leaves_nothing);
	tcase_add_test(make, many_workers_come_and_go_and_no_descriptor_stays);
}

static void add_ends(Suite *suite)
{
	TCase *respawn = add_loop_case(suite, "respawn"), *leave = add_loop_case(suite, "leave");
	TCase *gone = add_loop_case(suite, "gone");

	tcase_add_test(respawn, without_respawn_the_dead_are_not_replaced);
	tcase_add_test(respawn, a_worker_that_served_is_replaced_at_once);
	tcase_add_test(respawn, a_worker_that_never_listens_is_replaced_ever_more_slowly);
	tcase_add_test(respawn, a_worker_that_was_asked_to_leave_is_not_replaced);
	tcase_add_test(leave, disconnect_waits_for_open_connections);
	tcase_add_test(leave, a_worker_that_leaves_by_itself_waits_for_its_connections_too);
	tcase_add_test(leave, a_worker_that_kills_itself_cuts_its_connections_and_exits_with_0);
	tcase_add_test(leave, both_sides_may_ask_for_the_end_at_once);
	tcase_add_test(leave, a_worker_can_be_killed_while_it_leaves);
	tcase_add_test(leave, a_worker_is_in_the_table_while_its_disconnect_is_told);
	tcase_add_test(leave, a_worker_whose_listen_failed_may_leave);
	tcase_add_test(leave, cluster_disconnect_calls_back_once_after_the_last_exit);
	tcase_add_test(leave, cluster_disconnect_without_workers_calls_back_too);
	tcase_add_test(leave, after_a_disconnect_respawn_works_again);
	tcase_add_test(leave, close_with_a_disconnect_under_way_calls_both_back);
	tcase_add_test(leave, close_waits_for_connections_and_refuses_new_ones);
	tcase_add_test(leave, a_cluster_may_be_closed_while_an_exit_is_told);
	tcase_add_test(gone, loop_free_with_workers_alive_tells_the_end_and_the_workers_leave);
	tcase_add_test(gone, loop_free_does_not_wait_for_a_stopped_worker);
	tcase_add_test(gone, loop_free_does_not_stumble_over_a_channel_that_drains);
	tcase_add_test(gone, workers_without_a_primary_drain_and_exit_with_0);
	tcase_add_test(gone, a_drain_without_a_primary_has_an_end);
}

int main(void)
{
	Suite *suite = suite_create("cluster");

	add_lives(suite);
	add_ends(suite);
	return run_suite(suite);
}
