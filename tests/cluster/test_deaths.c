/* tests/cluster/test_deaths.c - processes die at any moment; connections they had not taken are served by others. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static const char *const policies_of_2[] = {
	ECHO("2", ", 'policy': 'round-robin'"),
	ECHO("2", ", 'policy': 'least-connections'"),
	ECHO("2", ", 'policy': 'shared'"),
	ECHO("2", ", 'policy': 'reuse-port'"),
};

static const char *const policies_of_4[] = {
	ECHO("4", ", 'policy': 'round-robin'"),
	ECHO("4", ", 'policy': 'least-connections'"),
	ECHO("4", ", 'policy': 'shared'"),
	ECHO("4", ", 'policy': 'reuse-port'"),
};

static pid_t worker_pid(const struct daemon *daemon, unsigned slot)
{
	pid_t pid = (pid_t)daemon_worker(daemon, slot, "pid");

	ck_assert_int_gt(pid, 1);
	return pid;
}

static long restarts(const struct daemon *daemon, unsigned workers)
{
	long sum = 0;
	unsigned i;

	for (i = 0; i < workers; i++)
		sum += daemon_worker(daemon, i, "restarts");
	return sum;
}

/* So many have died and been replaced, and nobody is being served. */
static bool has_recovered(const struct daemon *daemon, unsigned workers, unsigned deaths)
{
	return restarts(daemon, workers) == (long)deaths && daemon_ready(daemon) == workers && daemon_is_idle(daemon);
}

/* An end or a reset, and no byte before it. */
static bool is_cut(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	return got == 0 || (got < 0 && errno == ECONNRESET);
}

static void another_is_served(unsigned port)
{
	int fd = client_connect_port(port);

	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

/* ---- a worker that has not looked at its connections */

#define FEW 12

static void ask_some(unsigned port, int *fds, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		fds[i] = client_connect_port(port);
		client_send_text(fds[i], "hello");
	}
}

static void answered(int *fds, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
}

START_TEST(connections_on_their_way_to_a_killed_worker_are_served_by_others)
{
	struct daemon *daemon = daemon_start(policies_of_2[_i]);
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid);
	pid_t frozen = worker_pid(daemon, 0);
	int fds[FEW];

	process_freeze(frozen);
	ask_some(port, fds, FEW);
	/* Where workers accept for themselves they are on their way to nobody. */
	until(_i >= 2 || daemon_worker(daemon, 0, "in_flight") == FEW / 2);
	kill(frozen, SIGKILL);
	answered(fds, FEW);
	until(has_recovered(daemon, 2, 1));
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), FEW);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* One that holds the listener, and one of those that wait for that. */
START_TEST(when_the_holder_of_an_exclusive_listener_is_killed_the_next_serves_what_is_queued)
{
	struct daemon *daemon = daemon_start(ECHO("3", ", 'policy': 'exclusive'"));
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid);
	pid_t frozen = worker_pid(daemon, 0);
	int fds[FEW];

	another_is_served(port);
	ck_assert_int_eq(daemon_worker(daemon, 0, "accepted"), 1);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "holder"), 0);
	process_freeze(frozen);
	ask_some(port, fds, FEW);
	until(daemon_worker(daemon, 0, "in_flight") == FEW);
	kill(frozen, SIGKILL);
	answered(fds, FEW);
	until(has_recovered(daemon, 3, 1));
	another_is_served(port);
	ck_assert_int_eq(daemon_worker(daemon, 1, "accepted"), FEW + 1);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "holder"), 1);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* More than its channel takes: the surplus never goes to it. */
START_TEST(a_frozen_worker_keeps_at_most_a_window_of_clients_waiting)
{
	struct daemon *daemon = daemon_start(policies_of_2[_i]);
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid);
	pid_t frozen = worker_pid(daemon, 1);
	struct crowd crowd;

	process_freeze(frozen);
	crowd_begin(&crowd, port, 200, 1000);
	while (crowd.answered < 1000 - 16 && crowd_turn(&crowd))
		;
	kill(frozen, SIGKILL);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 1000);
	until(has_recovered(daemon, 2, 1));
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 1000);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* ---- kill -9 under load */

#define KILLS 10
#define CROWD 6000

/* When so many more clients have ended; never before the last one was replaced. */
static bool is_time_to_kill(const struct daemon *daemon, const struct crowd *crowd, unsigned kills)
{
	if (kills == KILLS || crowd_ended(crowd) < (kills + 1) * CROWD / (KILLS + 2))
		return false;
	until(restarts(daemon, 4) == (long)kills && daemon_ready(daemon) == 4);
	return true;
}

/*
 * The account: the listener counts each connection that a worker gave to its handler. If that is every client there
 * was, then none was given twice, and those that failed had been given. What a worker had in hand when it was killed
 * between the decision and the count is missing, at most one for each death.
 */
START_TEST(only_clients_that_a_killed_worker_had_taken_notice)
{
	struct daemon *daemon = daemon_start(policies_of_4[_i]);
	unsigned before = process_descriptors(daemon->pid), kills = 0;
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 200, CROWD);
	while (crowd_turn(&crowd))
		if (is_time_to_kill(daemon, &crowd, kills))
			kill(worker_pid(daemon, kills++ % 4), SIGKILL);
	crowd_end(&crowd);
	until(has_recovered(daemon, 4, KILLS));
	ck_assert_uint_eq(crowd.refused, 0);
	ck_assert_uint_eq(crowd.answered + crowd.failed, CROWD);
	ck_assert_int_le(daemon_listener(daemon, "tcp", "accepted"), CROWD);
	ck_assert_int_ge(daemon_listener(daemon, "tcp", "accepted"), CROWD - KILLS);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* Frozen first, so that what it holds can be read: no more clients than that may fail. */
START_TEST(a_killed_worker_takes_no_more_clients_with_it_than_it_had)
{
	struct daemon *daemon = daemon_start(policies_of_4[_i]);
	unsigned kills = 0, held = 0;
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 200, CROWD);
	while (crowd_turn(&crowd))
		if (is_time_to_kill(daemon, &crowd, kills)) {
			pid_t pid = worker_pid(daemon, kills % 4);

			process_freeze(pid);
			held += (unsigned)daemon_worker(daemon, kills++ % 4, "connections") + 1;
			kill(pid, SIGKILL);
		}
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.refused, 0);
	ck_assert_uint_le(crowd.failed, held);
	ck_assert_uint_eq(crowd.answered + crowd.failed, CROWD);
	until(has_recovered(daemon, 4, KILLS));
	daemon_stop(daemon);
}
END_TEST

/* Each has served before, so that none waits for its successor. */
START_TEST(workers_that_are_all_killed_at_once_are_all_replaced)
{
	struct daemon *daemon = daemon_start(ECHO("4", ""));
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid), round, i;
	pid_t pids[4];

	for (round = 0; round < 10; round++) {
		for (i = 0; i < 4; i++)
			another_is_served(port);
		for (i = 0; i < 4; i++)
			pids[i] = worker_pid(daemon, i);
		for (i = 0; i < 4; i++)
			kill(pids[i], SIGKILL);
		/* Whoever is the first to be back. */
		another_is_served(port);
		until(has_recovered(daemon, 4, 4 * (round + 1)));
		for (i = 0; i < 4; i++)
			ck_assert_int_eq(process_state(pids[i]), 0); /* not even a zombie */
	}
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* ---- death at a given line */

static struct daemon *start_with_death_at(const char *point)
{
	static char kill_at[64], once[128];
	const char *const variables[] = { kill_at, once, NULL };

	snprintf(kill_at, sizeof kill_at, "MUSTER_TEST_KILL=%s", point);
	snprintf(once, sizeof once, "MUSTER_TEST_KILL_ONCE=%s", folder_path("killed"));
	return daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .variables = variables });
}

START_TEST(a_worker_that_dies_before_it_decided_leaves_the_client_to_another)
{
	struct daemon *daemon = start_with_death_at("before-decided");
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid);

	another_is_served(port);
	ck_assert_int_eq(access(folder_path("killed"), F_OK), 0);
	until(has_recovered(daemon, 2, 1));
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 1);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_worker_that_dies_after_it_decided_ends_the_connection_and_nobody_else_gets_it)
{
	struct daemon *daemon = start_with_death_at("after-decided");
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid);
	int fd = client_connect_port(port);

	client_send_text(fd, "hello");
	ck_assert(is_cut(fd));
	close(fd);
	until(has_recovered(daemon, 2, 1));
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 0);
	another_is_served(port);
	until(daemon_is_idle(daemon));
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

/* ---- frozen */

static bool is_accepting(const struct daemon *daemon)
{
	json_t *status = daemon_status(daemon);
	bool accepting =
		json_is_true(json_object_get(json_array_get(json_object_get(status, "listeners"), 0), "accepting"));

	json_decref(status);
	return accepting;
}

START_TEST(while_all_workers_are_frozen_clients_wait_and_the_primary_sleeps)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp"), before = process_descriptors(daemon->pid), spent;
	pid_t workers[2] = { worker_pid(daemon, 0), worker_pid(daemon, 1) };
	struct crowd crowd;
	uint64_t since;

	process_freeze(workers[0]);
	process_freeze(workers[1]);
	crowd_begin(&crowd, port, 300, 300);
	until(!is_accepting(daemon)) crowd_turn(&crowd);
	spent = process_cpu_ms(daemon->pid);
	for (since = clock_ms(); clock_ms() < since + 500;)
		crowd_turn(&crowd);
	ck_assert_uint_le(process_cpu_ms(daemon->pid) - spent, 50);
	ck_assert_uint_eq(crowd_ended(&crowd), 0);
	/* A window for each worker, and one that found nobody; the others are the kernel's. */
	ck_assert_uint_le(process_descriptors(daemon->pid), before + 2 * 16 + 1);
	kill(workers[0], SIGCONT);
	kill(workers[1], SIGCONT);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 300);
	until(daemon_is_idle(daemon));
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(while_the_primary_is_frozen_those_who_are_connected_are_served)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp");
	int connected = client_connect_port(port), late;

	client_send_text(connected, "hello");
	client_expect_text(connected, "hello");
	process_freeze(daemon->pid);
	client_send_text(connected, "still there?");
	client_expect_text(connected, "still there?");
	late = client_connect_port(port);
	client_send_text(late, "hello");
	kill(daemon->pid, SIGCONT);
	client_expect_text(late, "hello");
	close(late);
	close(connected);
	daemon_stop(daemon);
}
END_TEST

/* ---- the primary */

static void kill_primary(struct daemon *daemon)
{
	/* Its workers become ours, so that they are reaped. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(daemon), 128 + SIGKILL);
}

static struct daemon *start_at_port(unsigned port, const char *policy)
{
	char text[512];

	snprintf(text, sizeof text,
		 "'workers': 2, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': %u, 'policy': '%s', "
		 "'application': 'echo' }, { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP,
		 port, policy);
	return daemon_start(text);
}

static const char *const policy_names[] = { "round-robin", "least-connections", "shared", "reuse-port" };

START_TEST(a_killed_primarys_workers_drain_while_a_new_daemon_takes_its_place)
{
	struct daemon *old = start_at_port(0, policy_names[_i]), *new;
	unsigned port = daemon_port(old, "tcp"), i;
	pid_t workers[2] = { worker_pid(old, 0), worker_pid(old, 1) };
	int clients[2];

	for (i = 0; i < 2; i++)
		ask_some(port, &clients[i], 1), client_expect_text(clients[i], "hello");
	kill_primary(old);
	/* What workers accept on is also theirs, who see in a moment that they are alone. */
	until(_i < 2 || client_try_port(port) == -ECONNREFUSED);
	new = start_at_port(port, policy_names[_i]);
	another_is_served(port);
	for (i = 0; i < 2; i++) {
		client_send_text(clients[i], "still there?");
		client_expect_text(clients[i], "still there?");
		close(clients[i]);
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(process_wait(workers[i]), 0);
	daemon_stop(new);
	daemon_free(old);
}
END_TEST

START_TEST(a_worker_that_loses_its_primary_serves_what_was_on_its_way)
{
	const char *const variables[] = { "MUSTER_TEST_KILL=handed-over", NULL };
	struct daemon *daemon = daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .variables = variables });
	unsigned port = daemon_port(daemon, "tcp");
	pid_t workers[2] = { worker_pid(daemon, 0), worker_pid(daemon, 1) };
	int client;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	client = client_connect_port(port);
	ck_assert_int_eq(daemon_wait(daemon), 128 + SIGKILL);
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	close(client);
	ck_assert_int_eq(process_wait(workers[0]), 0);
	ck_assert_int_eq(process_wait(workers[1]), 0);
	daemon_free(daemon);
}
END_TEST

static void add_others(Suite *suite)
{
	TCase *tcase = add_case(suite, "at a given line");

	tcase_add_test(tcase, a_worker_that_dies_before_it_decided_leaves_the_client_to_another);
	tcase_add_test(tcase, a_worker_that_dies_after_it_decided_ends_the_connection_and_nobody_else_gets_it);
	tcase = add_case(suite, "frozen");
	tcase_add_test(tcase, while_all_workers_are_frozen_clients_wait_and_the_primary_sleeps);
	tcase_add_test(tcase, while_the_primary_is_frozen_those_who_are_connected_are_served);
	tcase = add_case(suite, "the primary");
	tcase_add_loop_test(tcase, a_killed_primarys_workers_drain_while_a_new_daemon_takes_its_place, 0,
			    COUNT_OF(policy_names));
	tcase_add_test(tcase, a_worker_that_loses_its_primary_serves_what_was_on_its_way);
}

int main(void)
{
	Suite *suite = suite_create("deaths");
	TCase *tcase = add_case(suite, "not looked at");

	tcase_add_loop_test(tcase, connections_on_their_way_to_a_killed_worker_are_served_by_others, 0,
			    COUNT_OF(policies_of_2));
	tcase_add_test(tcase, when_the_holder_of_an_exclusive_listener_is_killed_the_next_serves_what_is_queued);
	/* With reuse-port a frozen worker keeps waiting whomever the kernel gives it. */
	tcase_add_loop_test(tcase, a_frozen_worker_keeps_at_most_a_window_of_clients_waiting, 0,
			    COUNT_OF(policies_of_2) - 1);
	tcase = add_case(suite, "under load");
	tcase_add_loop_test(tcase, only_clients_that_a_killed_worker_had_taken_notice, 0, COUNT_OF(policies_of_4));
	tcase_add_loop_test(tcase, a_killed_worker_takes_no_more_clients_with_it_than_it_had, 0,
			    COUNT_OF(policies_of_4));
	tcase_add_test(tcase, workers_that_are_all_killed_at_once_are_all_replaced);
	add_others(suite);
	return run_suite(suite);
}
