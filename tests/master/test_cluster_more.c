/* tests/master/test_cluster_more.c - a scheduler of the user's own, counts of connections, what workers begin with. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct worker_counts counts;
static struct service service;

/* ---- A scheduler that notes what it is asked, and answers what it is told to. */

struct chooser {
	unsigned asked;
	unsigned want;                  /* the id it chooses, if it is offered; 0 is none */
	struct muster_worker *stranger; /* chosen in any case */
	char offered[64];               /* the ids it was offered last, in order */
	bool alien;                     /* a cluster or a number of workers that cannot be */
	struct muster_cluster *cluster;
	void (*meddle)(struct muster_cluster *cluster, struct muster_worker *worker); /* while it is asked, once */
};

static struct chooser chooser;

static int by_id(const void *a, const void *b)
{
	return *(const unsigned *)a < *(const unsigned *)b ? -1 : 1;
}

static void note_offer(struct muster_worker *const *workers, size_t count)
{
	unsigned ids[16];
	size_t i, used = 0;

	for (i = 0; i < count && i < 16; i++)
		ids[i] = muster_worker_id(workers[i]);
	qsort(ids, i, sizeof *ids, by_id);
	chooser.offered[0] = '\0';
	for (i = 0; i < count && i < 16; i++)
		used += (size_t)sprintf(chooser.offered + used, "%u ", ids[i]);
}

static struct muster_worker *choose(struct muster_cluster *cluster, struct muster_worker *const *workers, size_t count,
				    void *data)
{
	void (*meddle)(struct muster_cluster *, struct muster_worker *) = chooser.meddle;
	struct muster_worker *chosen = chooser.stranger;
	size_t i;

	chooser.asked++;
	chooser.alien |= data != &chooser || cluster != chooser.cluster || count == 0;
	note_offer(workers, count);
	for (i = 0; i < count && chosen == NULL; i++)
		if (muster_worker_id(workers[i]) == chooser.want)
			chosen = workers[i];
	chooser.meddle = NULL;
	if (meddle != NULL)
		meddle(cluster, workers[0]);
	return chosen;
}

static void let_choose(struct muster_cluster *cluster, unsigned want)
{
	chooser.cluster = cluster;
	chooser.want = want;
	muster_cluster_set_scheduler(cluster, choose, &chooser);
}

static int connected(void)
{
	return client_connect_port(counts.address.port);
}

static void expect_served_by(unsigned id)
{
	int client = connected();

	ck_assert_uint_eq(greeted_by(client), id);
	close(client);
}

static void thaw(struct muster_cluster *cluster, unsigned id)
{
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, id), SIGCONT), 0);
}

static void freeze(struct muster_cluster *cluster, unsigned id)
{
	process_freeze(muster_worker_pid(worker_by_id(cluster, id)));
}

static void kill_worker(struct muster_cluster *cluster, unsigned id)
{
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, id), SIGKILL), 0);
}

/* A connection about which the scheduler has been asked, and that nobody has. */
static int held_back(void)
{
	unsigned before = chooser.asked;
	int client = connected();

	run_until_count(test_loop, chooser.asked, before + 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(client), 0);
	return client;
}

START_TEST(the_worker_that_is_chosen_serves)
{
	static const unsigned wants[] = { 3, 3, 1, 2, 2, 2, 1, 3 };
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 3, &counts);
	size_t i;

	let_choose(cluster, 0);
	for (i = 0; i < sizeof wants / sizeof wants[0]; i++) {
		chooser.want = wants[i];
		expect_served_by(wants[i]);
		ck_assert_uint_eq(chooser.asked, i + 1);
		ck_assert_str_eq(chooser.offered, "1 2 3 ");
	}
	close_cluster(cluster, &counts);
	ck_assert(!chooser.alien);
}
END_TEST

START_TEST(a_scheduler_is_offered_only_those_who_can_take_one)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .window = 1 }, &service, 3, &counts);
	int first;

	let_choose(cluster, 1);
	freeze(cluster, 1);
	first = connected();
	run_until_count(test_loop, chooser.asked, 1);
	/* One hand-over is on its way to it, and that is its window. */
	chooser.want = 2;
	expect_served_by(2);
	ck_assert_str_eq(chooser.offered, "2 3 ");
	/* Who was asked to leave is not offered either. */
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 2)), 0);
	chooser.want = 3;
	expect_served_by(3);
	ck_assert_str_eq(chooser.offered, "3 ");
	thaw(cluster, 1);
	ck_assert_uint_eq(greeted_by(first), 1);
	close(first);
	close_cluster(cluster, &counts);
	ck_assert(!chooser.alien);
}
END_TEST

START_TEST(a_connection_for_nobody_waits_for_a_change)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int client, second;

	let_choose(cluster, 0);
	client = held_back();
	/* One more waits in the kernel: nothing is accepted that nobody is to have. */
	second = connected();
	run_until_idle(test_loop);
	/* The change: somebody else listens. */
	chooser.want = 2;
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	ck_assert_uint_eq(greeted_by(client), 2);
	ck_assert_uint_eq(greeted_by(second), 2);
	close(client);
	close(second);
	close_cluster(cluster, &counts);
	ck_assert(!chooser.alien);
}
END_TEST

START_TEST(setting_a_scheduler_is_a_change)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int client;

	let_choose(cluster, 0);
	client = held_back();
	let_choose(cluster, 2);
	ck_assert_uint_eq(greeted_by(client), 2);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(without_its_scheduler_a_cluster_returns_to_its_policy)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	unsigned asked;
	int client;

	let_choose(cluster, 2);
	expect_served_by(2);
	chooser.want = 0;
	client = held_back();
	muster_cluster_set_scheduler(cluster, NULL, NULL);
	asked = chooser.asked;
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	expect_served_by(2);
	expect_served_by(1);
	ck_assert_uint_eq(chooser.asked, asked);
	close_cluster(cluster, &counts);
}
END_TEST

/* What it answers is no member that can take one: it is as if it had answered NULL. */
START_TEST(a_worker_of_another_cluster_is_nobody)
{
	static struct worker_counts of_other;
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	struct muster_cluster *other = serving_cluster(NULL, &service, 1, &of_other);
	int client;

	run_until_count(test_loop, of_other.message, 1); /* "listening" */
	let_choose(cluster, 1);
	chooser.stranger = worker_by_id(other, 1);
	client = held_back();
	ck_assert_uint_eq(of_other.message, 1);
	chooser.stranger = NULL;
	let_choose(cluster, 1);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	ck_assert_int_eq(muster_cluster_close(other), 0);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(of_other.close, 1);
	ck_assert_uint_eq(of_other.bad_exits, 0);
}
END_TEST

START_TEST(a_worker_that_can_take_none_is_nobody)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .window = 1 }, &service, 2, &counts);
	int first, client;

	let_choose(cluster, 1);
	freeze(cluster, 1);
	first = connected();
	run_until_count(test_loop, chooser.asked, 1);
	chooser.stranger = worker_by_id(cluster, 1);
	client = held_back();
	ck_assert_str_eq(chooser.offered, "2 ");
	/* Its answer to the first is the change. */
	thaw(cluster, 1);
	ck_assert_uint_eq(greeted_by(first), 1);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(first);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

static int serve_if_first(struct muster_worker *self, void *data)
{
	return muster_worker_id(self) == 1 ? serve(self, data) : idle(self, data);
}

START_TEST(a_worker_that_does_not_listen_there_is_nobody)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .worker = serve_if_first }, &service, 1, &counts);
	int client;

	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.online, 2);
	let_choose(cluster, 0);
	chooser.stranger = worker_by_id(cluster, 2);
	client = held_back();
	ck_assert_str_eq(chooser.offered, "1 ");
	chooser.stranger = NULL;
	let_choose(cluster, 1);
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(of_a_dead_worker_the_scheduler_is_asked_again)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int clients[5];
	size_t i;

	lines_record(MUSTER_LOG_ERROR);
	let_choose(cluster, 1);
	freeze(cluster, 1);
	for (i = 0; i < 5; i++)
		clients[i] = connected();
	run_until_count(test_loop, chooser.asked, 5);
	chooser.want = 2;
	kill_worker(cluster, 1);
	for (i = 0; i < 5; i++) {
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
		close(clients[i]);
	}
	ck_assert_str_eq(chooser.offered, "2 ");
	ck_assert_uint_eq(chooser.asked, 10);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
	ck_assert(!chooser.alien);
}
END_TEST

START_TEST(of_a_shared_listener_no_scheduler_is_asked)
{
	struct muster_cluster *cluster = serving_cluster(
		&(struct muster_cluster_options){ .policy = MUSTER_POLICY_SHARED }, &service, 1, &counts);

	let_choose(cluster, 0);
	expect_served_by(1);
	ck_assert_uint_eq(chooser.asked, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_cluster_whose_scheduler_gives_to_nobody_closes_nevertheless)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int client;

	let_choose(cluster, 0);
	client = held_back();
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	/* It had a connection, as far as it knows, and is served. */
	ck_assert_uint_eq(greeted_by(client), 1);
	close(client);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

static void remove_scheduler(struct muster_cluster *cluster, struct muster_worker *worker)
{
	(void)worker;
	muster_cluster_set_scheduler(cluster, NULL, NULL);
}

START_TEST(a_scheduler_may_remove_itself_while_it_is_asked)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	int clients[3];
	size_t i;

	let_choose(cluster, 0);
	clients[0] = held_back();
	clients[1] = connected();
	clients[2] = connected();
	chooser.meddle = remove_scheduler;
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(greeted_by(clients[i]), 1);
		close(clients[i]);
	}
	/* Each was handed over once. */
	run_until_said(&counts, "\"closed\" ");
	close_cluster(cluster, &counts);
	ck_assert_ptr_null(strstr(counts.said, "\"error"));
}
END_TEST

static void ask_to_leave(struct muster_cluster *cluster, struct muster_worker *worker)
{
	(void)cluster;
	ck_assert_int_eq(muster_worker_disconnect(worker), 0);
}

START_TEST(a_worker_may_be_asked_to_leave_while_a_scheduler_is_asked)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1 + (unsigned)_i, &counts);
	int client;

	let_choose(cluster, 1);
	chooser.meddle = ask_to_leave;
	client = connected();
	run_until_count(test_loop, chooser.asked, 1);
	run_until_count(test_loop, counts.exit, 1);
	/* The last one takes the listener with him; of two the other one serves. */
	if (_i == 0) {
		run_until_ended(client);
	} else {
		let_choose(cluster, 2);
		ck_assert_uint_eq(greeted_by(client), 2);
	}
	close(client);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

static void close_it(struct muster_cluster *cluster, struct muster_worker *worker)
{
	(void)worker;
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
}

START_TEST(a_cluster_may_be_closed_while_its_scheduler_is_asked)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int clients[3];
	size_t i;

	let_choose(cluster, 0);
	clients[0] = held_back();
	clients[1] = connected();
	clients[2] = connected();
	chooser.want = 2;
	chooser.meddle = close_it;
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(greeted_by(clients[i]), 2);
		close(clients[i]);
	}
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

/* ---- Counting. */

struct answer {
	unsigned times;
	int err;
	size_t count;
	struct muster_count rows[16];
	unsigned ids[16];
	unsigned open, accepted; /* of all rows */
	unsigned unknown;        /* rows */
	unsigned again;          /* ask so many times more, in the answer */
	int refused;             /* what asking again gave */
	void (*then)(struct muster_cluster *cluster);
};

static struct answer answer;

static void note_answer(struct muster_cluster *cluster, int err, const struct muster_count *rows, size_t count,
			void *data)
{
	struct answer *to = data;
	size_t i;

	to->times++;
	to->err = err;
	to->count = count;
	to->open = to->accepted = to->unknown = 0;
	for (i = 0; i < count; i++)
		to->unknown += !rows[i].known;
	for (i = 0; i < count && i < 16; i++) {
		to->rows[i] = rows[i];
		to->ids[i] = muster_worker_id(rows[i].worker);
		to->open += rows[i].open;
		to->accepted += rows[i].accepted;
	}
	if (to->again > 0) {
		to->again--;
		to->refused = muster_cluster_get_connections(cluster, note_answer, data);
	}
	if (to->then != NULL)
		to->then(cluster);
}

static void count_now(struct muster_cluster *cluster)
{
	unsigned before = answer.times;

	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	ck_assert_uint_eq(answer.times, before);
	run_until_count(test_loop, answer.times, before + 1);
	ck_assert_int_eq(answer.err, 0);
}

static const struct muster_count *row_of(unsigned id, unsigned port)
{
	size_t i;

	for (i = 0; i < answer.count; i++)
		if (answer.ids[i] == id && answer.rows[i].listener.port == port)
			return &answer.rows[i];
	ck_abort_msg("no row of worker %u at port %u", id, port);
	return NULL;
}

static void expect_row(unsigned id, unsigned port, unsigned open, unsigned accepted)
{
	const struct muster_count *row = row_of(id, port);

	ck_assert_uint_eq(row->open, open);
	ck_assert_uint_eq(row->accepted, accepted);
	ck_assert(row->known);
	ck_assert_int_eq(row->listener.family, 4);
	ck_assert_str_eq(row->listener.text, "127.0.0.1");
}

/* How often a worker has told this. */
static unsigned told(const char *what)
{
	const char *at = counts.said;
	unsigned times = 0;

	for (; (at = strstr(at, what)) != NULL; at++)
		times++;
	return times;
}

static bool all_have_closed(void *data)
{
	return told("\"closed\"") == *(unsigned *)data;
}

static void run_until_closed(unsigned times)
{
	run_until(test_loop, all_have_closed, &times);
}

START_TEST(a_cluster_without_workers_has_no_rows)
{
	struct muster_cluster *cluster = new_cluster(NULL, &service, &counts);

	count_now(cluster);
	ck_assert_uint_eq(answer.count, 0);
	ck_assert_uint_eq(answer.times, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(connections_are_counted_by_worker_and_listener)
{
	struct muster_cluster *cluster;
	unsigned ports[2];
	int clients[6];
	size_t i;

	service.servers = 2;
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_int_eq(sscanf(counts.said, "\"listening %u\" \"listening %u\"", &ports[0], &ports[1]), 2);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.message, 4);
	let_choose(cluster, 1);
	/* Worker 1: one and two; worker 2: two and one. */
	for (i = 0; i < 6; i++) {
		chooser.want = i < 3 ? 1 : 2;
		clients[i] = client_connect_port(ports[i == 0 || i == 3 || i == 4 ? 0 : 1]);
		ck_assert_uint_eq(greeted_by(clients[i]), chooser.want);
	}
	count_now(cluster);
	ck_assert_uint_eq(answer.count, 4);
	expect_row(1, ports[0], 1, 1);
	expect_row(1, ports[1], 2, 2);
	expect_row(2, ports[0], 2, 2);
	expect_row(2, ports[1], 1, 1);
	ck_assert_uint_eq(answer.open, 6);
	for (i = 0; i < 4; i++)
		close(clients[i]);
	run_until_closed(4);
	count_now(cluster);
	expect_row(1, ports[0], 0, 1);
	expect_row(1, ports[1], 0, 2);
	expect_row(2, ports[0], 1, 2);
	expect_row(2, ports[1], 1, 1);
	ck_assert_uint_eq(answer.open, 2);
	ck_assert_uint_eq(answer.accepted, 6);
	close(clients[4]);
	close(clients[5]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_rows_of_many_connections_add_up_under_each_policy)
{
	static const enum muster_policy policies[] = { MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_SHARED,
						       MUSTER_POLICY_LEAST_CONNECTIONS };
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .policy = policies[_i] }, &service, 3, &counts);
	int clients[30];
	size_t i;

	for (i = 0; i < 30; i++)
		clients[i] = connected();
	for (i = 0; i < 30; i++)
		greeted_by(clients[i]);
	count_now(cluster);
	ck_assert_uint_eq(answer.count, 3);
	ck_assert_uint_eq(answer.open, 30);
	for (i = 0; i < 30; i += 2)
		close(clients[i]);
	run_until_closed(15);
	count_now(cluster);
	ck_assert_uint_eq(answer.open, 15);
	ck_assert_uint_eq(answer.accepted, 30);
	ck_assert_uint_eq(answer.unknown, 0);
	for (i = 1; i < 30; i += 2)
		close(clients[i]);
	run_until_closed(30);
	count_now(cluster);
	ck_assert_uint_eq(answer.open, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_has_gone_has_no_row_and_its_successor_begins_at_zero)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .respawn = true }, &service, 1, &counts);
	int client = connected();

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_uint_eq(greeted_by(client), 1);
	kill_worker(cluster, 1);
	run_until_count(test_loop, counts.exit, 1);
	run_until_count(test_loop, counts.listening, 2);
	run_until_ended(client);
	close(client);
	count_now(cluster);
	ck_assert_uint_eq(answer.count, 1);
	expect_row(2, counts.address.port, 0, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_count_may_be_asked_for_twice_in_a_turn)
{
	static struct answer other;
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	int client = connected();

	greeted_by(client);
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &other), 0);
	ck_assert_uint_eq(answer.times + other.times, 0);
	run_until_count(test_loop, other.times, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(answer.times, 1);
	ck_assert_uint_eq(other.times, 1);
	ck_assert_uint_eq(answer.open, 1);
	ck_assert_uint_eq(other.open, 1);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

static void count_turns(void *data)
{
	++*(unsigned *)data;
}

START_TEST(asking_again_in_each_answer_lets_the_loop_go_on)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	unsigned turns = 0;

	answer.again = 3;
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	ck_assert_int_eq(muster_loop_defer(test_loop, count_turns, &turns), 0);
	run_until_count(test_loop, turns, 1);
	/* In that turn one of them was answered. */
	ck_assert_uint_eq(answer.times, 1);
	run_until_count(test_loop, answer.times, 4);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(answer.times, 4);
}
END_TEST

static void leave_all(struct muster_cluster *cluster)
{
	answer.then = NULL;
	ck_assert_int_eq(muster_cluster_disconnect(cluster, NULL, NULL), 0);
}

START_TEST(the_workers_may_leave_in_an_answer_and_the_next_is_right_again)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 3, &counts);
	static struct answer next;

	answer.then = leave_all;
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &next), 0);
	run_until_count(test_loop, next.times, 1);
	ck_assert_uint_eq(answer.count, 3);
	/* Those that are about to leave are no members any more. */
	ck_assert_uint_eq(next.count, 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_count_that_is_asked_for_before_close_is_answered_before_on_close)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	answer.again = 1000;
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	run_dry(test_loop);
	ck_assert_uint_ge(answer.times, 2);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

static int in_on_close;

static void count_in_on_close(struct muster_cluster *cluster, void *data)
{
	in_on_close = muster_cluster_get_connections(cluster, note_answer, data);
}

START_TEST(in_on_close_there_is_nothing_left_to_count)
{
	static const struct muster_worker_handlers on = { .on_close = count_in_on_close };
	struct muster_cluster *cluster =
		_i == 0 ? new_cluster(NULL, &service, &counts) : serving_cluster(NULL, &service, 1, &counts);

	ck_assert_int_eq(muster_cluster_on(cluster, &on, &answer), 0);
	close_cluster(cluster, &counts);
	ck_assert_int_eq(in_on_close, MUSTER_ECLOSED);
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

/* Whether it is still answered is the loop's affair; what was asked for is freed. */
START_TEST(a_loop_may_be_freed_while_a_count_is_due)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	pid_t pid = muster_worker_pid(worker_by_id(cluster, 1));

	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, &answer), 0);
	test_loop_close();
	ck_assert_uint_eq(answer.times, 0);
	ck_assert_int_eq(process_wait(pid), 0);
	test_loop_open();
}
END_TEST

static struct muster_server *again_server;

static int listen_on(struct muster_worker *self, unsigned port, const struct muster_server_handlers *on)
{
	struct muster_listen_options listen = { .host = "127.0.0.1", .port = port };

	again_server = muster_server_new(muster_worker_loop(self), NULL);
	if (again_server == NULL || muster_server_on(again_server, on, self) < 0)
		return -ENOMEM;
	return muster_server_listen(again_server, &listen);
}

static void ignore_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)socket, (void)bytes, (void)length, (void)data;
}

static void tell_closed(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error;
	tell(data, "closed");
}

static void greet_again(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = ignore_data, .on_close = tell_closed };

	(void)server;
	muster_socket_on(socket, &on, data);
	muster_socket_write(socket, "hello", 5);
}

static const struct muster_server_handlers greeting = { .on_connection = greet_again };

static void listen_anew(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)message, (void)data;
	muster_server_close(again_server);
	if (listen_on(self, 0, &greeting) < 0)
		_exit(9);
}

static int serve_anew(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = listen_anew };

	(void)data;
	return muster_worker_on(self, &on, NULL) < 0 ? -ENOMEM : listen_on(self, 0, &greeting);
}

/* Whether the connection of the first is open still (0), or is no more (1). */
START_TEST(a_listener_that_comes_after_another_counts_its_own_alone)
{
	struct muster_cluster *cluster =
		serving_cluster(&(struct muster_cluster_options){ .worker = serve_anew }, NULL, 1, &counts);
	int client = connected();

	run_until_readable(client);
	client_expect_text(client, "hello");
	if (_i == 1) {
		close(client);
		run_until_closed(1);
	}
	ck_assert_int_eq(
		muster_worker_send(worker_by_id(cluster, 1), &(struct muster_message){ .text = "1", .length = 1 }), 0);
	run_until_count(test_loop, counts.listening, 2);
	count_now(cluster);
	ck_assert_uint_eq(answer.count, 1);
	expect_row(1, counts.address.port, 0, 0);
	if (_i == 0)
		close(client);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(of_a_listener_beyond_those_counted_one_by_one_the_numbers_are_not_known)
{
	struct muster_cluster *cluster;

	service.servers = 60;
	service.quiet = true;
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 60);
	count_now(cluster);
	ck_assert_uint_eq(answer.count, 60);
	ck_assert_uint_eq(answer.unknown, 5);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- What workers begin with. */

static int tell_environment(struct muster_worker *self, void *data)
{
	(void)data;
	tell(self, "%s|%s|%s", getenv("MUSTER_TEST_A"), getenv("MUSTER_TEST_B"), getenv("MUSTER_TEST_C"));
	return 0;
}

START_TEST(of_two_environments_that_of_the_fork_wins)
{
	static const char *const all[] = { "MUSTER_TEST_A=all", "MUSTER_TEST_B=all", NULL };
	static const char *const one[] = { "MUSTER_TEST_B=one", "MUSTER_TEST_C=one", NULL };
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_environment, .env = all }, NULL, &counts);

	setenv("MUSTER_TEST_A", "primary", 1);
	setenv("MUSTER_TEST_C", "primary", 1);
	ck_assert_int_eq(muster_cluster_fork(cluster, one, NULL), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.exit, 2);
	ck_assert_str_eq(counts.said, "\"all|one|one\" \"all|all|primary\" ");
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_str_eq(getenv("MUSTER_TEST_A"), "primary");
	close_cluster(cluster, &counts);
}
END_TEST

static int tell_folder(struct muster_worker *self, void *data)
{
	char folder[PATH_MAX];

	(void)data;
	tell(self, "%s", getcwd(folder, sizeof folder));
	return 0;
}

START_TEST(workers_have_the_folder_they_are_given_and_the_primary_keeps_its_own)
{
	char folder[] = "/", before[PATH_MAX], after[PATH_MAX];
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_folder, .cwd = folder }, NULL, &counts);

	folder[0] = 'x'; /* it was copied */
	ck_assert_ptr_nonnull(getcwd(before, sizeof before));
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"/\" ");
	ck_assert_str_eq(getcwd(after, sizeof after), before);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_without_its_folder_exits_with_127)
{
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .worker = tell_folder, .cwd = "/no/such/folder" }, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 disconnect1 exit1");
	ck_assert_int_eq(counts.code, 127);
	close_cluster(cluster, &counts);
}
END_TEST

static int tell_user(struct muster_worker *self, void *data)
{
	(void)data;
	tell(self, "%u %u %u %u groups %d again %d", (unsigned)getuid(), (unsigned)geteuid(), (unsigned)getgid(),
	     (unsigned)getegid(), getgroups(0, NULL), setuid(0) == 0);
	return 0;
}

static bool am_root(void)
{
	if (geteuid() == 0)
		return true;
	puts("not root: that workers give up user and group is not tested");
	return false;
}

START_TEST(workers_give_up_user_and_groups_for_good)
{
	static const gid_t groups[] = { 1, 2, 3 };
	struct muster_cluster *cluster = new_cluster(
		&(struct muster_cluster_options){ .worker = tell_user, .uid = 65534, .gid = 65533 }, NULL, &counts);

	ck_assert_int_eq(setgroups(3, groups), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"65534 65534 65533 65533 groups 0 again 0\" ");
	ck_assert_uint_eq(getuid(), 0);
	ck_assert_int_eq(getgroups(0, NULL), 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_with_a_group_alone_keeps_its_user)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_user, .gid = 65533 }, NULL, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"0 0 65533 65533 groups 0 again 1\" ");
	close_cluster(cluster, &counts);
}
END_TEST

static int drop_and_start(struct muster_cluster *cluster)
{
	return setgid(65533) == 0 && setuid(65534) == 0 ? muster_cluster_start(cluster, 1) : -errno;
}

START_TEST(a_worker_that_may_not_change_its_user_exits_with_127)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = tell_user, .uid = 65532 }, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(drop_and_start(cluster), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 127);
	ck_assert_str_eq(counts.said, "");
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Standard descriptors. */

static const char *target_of(int fd, char *target, size_t size)
{
	char path[32];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, target, size - 1);
	target[length > 0 ? length : 0] = '\0';
	return target;
}

static int tell_standard(struct muster_worker *self, void *data)
{
	char names[3][128];
	unsigned i;

	(void)data;
	for (i = 0; i < 3; i++)
		target_of((int)i, names[i], sizeof names[i]);
	tell(self, "%s %s %s", names[0], names[1], names[2]);
	return 0;
}

/* Bit n: descriptor n is closed before the cluster is made, so that its own take those places; with bit 3 after it. */
START_TEST(what_is_closed_of_0_to_2_in_the_primary_is_dev_null_in_its_workers)
{
	char want[800], names[3][128];
	int saved[3], fd;
	bool late = _i & 8;
	struct muster_cluster *cluster =
		late ? new_cluster(&(struct muster_cluster_options){ .worker = tell_standard }, NULL, &counts) : NULL;

	lines_record(MUSTER_LOG_ERROR);
	for (fd = 0; fd < 3; fd++) {
		bool closed = _i & (1 << fd);

		target_of(fd, names[fd], sizeof names[fd]);
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		if (closed)
			strcpy(names[fd], "/dev/null");
	}
	for (fd = 0; fd < 3; fd++)
		if (_i & (1 << fd))
			close(fd);
	if (!late)
		cluster = new_cluster(&(struct muster_cluster_options){ .worker = tell_standard }, NULL, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_dry(test_loop);
	snprintf(want, sizeof want, "\"%s %s %s\" \"%s %s %s\" ", names[0], names[1], names[2], names[0], names[1],
		 names[2]);
	ck_assert_str_eq(counts.said, want);
	close_cluster(cluster, &counts);
	for (fd = 0; fd < 3; fd++) {
		if (_i & (1 << fd))
			dup2(saved[fd], fd);
		close(saved[fd]);
	}
}
END_TEST

static struct socket_counts of_out;

static int speak_and_listen(struct muster_worker *self, void *data)
{
	char line[64] = "";

	(void)data;
	ck_assert_ptr_null(muster_worker_stdio(self, 1));
	printf("worker %u heard ", muster_worker_id(self));
	if (fgets(line, sizeof line, stdin) == NULL)
		return -EIO;
	printf("%s", line);
	return 0;
}

static void converse(struct muster_worker *worker, void *data)
{
	(void)data;
	ck_assert_int_eq(muster_socket_on(muster_worker_stdio(worker, 1), &counting_socket, &of_out), 0);
	ck_assert_int_eq(muster_socket_write(muster_worker_stdio(worker, 0), "a line\n", 7), 0);
}

START_TEST(silent_workers_are_read_and_written_by_the_primary)
{
	static const struct muster_worker_handlers on = { .on_fork = converse };
	struct muster_cluster_options options = { .worker = _i == 0 ? speak_and_listen : NULL, .silent = true };
	const char *const exec[] = { "/bin/sh", "-c", "read line; echo worker $NODE_UNIQUE_ID heard $line", NULL };
	struct muster_cluster *cluster;

	options.exec = _i == 0 ? NULL : exec;
	cluster = new_cluster(&options, NULL, &counts);
	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.exit, 2);
	ck_assert_uint_eq(counts.bad_exits, 0);
	ck_assert_uint_eq(of_out.close, 2);
	ck_assert_ptr_nonnull(strstr(of_out.bytes, "worker 1 heard a line\n"));
	ck_assert_ptr_nonnull(strstr(of_out.bytes, "worker 2 heard a line\n"));
	close_cluster(cluster, &counts);
}
END_TEST

static void kill_the_first(struct muster_worker *worker, void *data)
{
	if (muster_worker_id(worker) == 1)
		ck_assert_int_eq(muster_worker_kill(worker, SIGKILL), 0);
	else
		converse(worker, data);
}

START_TEST(who_follows_a_silent_worker_is_silent)
{
	static const struct muster_worker_handlers on = { .on_fork = kill_the_first };
	struct muster_cluster_options options = {
		.worker = speak_and_listen, .silent = true, .respawn = true, .backoff_ms = 1
	};
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_text(of_out.bytes, "worker 2 heard a line\n");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(workers_write_to_a_descriptor_that_they_are_given)
{
	struct muster_cluster_options options = { .exec = (const char *const[]){ "/bin/sh", "-c",
										 "echo $NODE_UNIQUE_ID", NULL } };
	struct muster_cluster *cluster;
	char got[8] = "";
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	options.stdio[1] = ends[1];
	cluster = new_cluster(&options, NULL, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_dry(test_loop);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], got, sizeof got), 4);
	ck_assert_int_eq(got[0] + got[2], '1' + '2');
	close(ends[0]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_whose_output_cannot_be_made_is_not_forked)
{
	struct muster_cluster_options options = { .worker = speak_and_listen, .silent = true, .stdio[2] = 999 };
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), -EBADF);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.fork, 0);
}
END_TEST

static void close_standard(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		close(fd);
}

/* In a process of its own: the primary ends, and its worker must see that. */
static void primary_without_standard_descriptors(int pipe_end)
{
	struct muster_worker *worker;
	struct muster_cluster *cluster;
	pid_t pid;

	/* The channel's own end is what takes one of their places then. */
	test_loop_open();
	close_standard();
	lines_record(MUSTER_LOG_ERROR);
	cluster = muster_cluster_new(test_loop, &(struct muster_cluster_options){ .worker = idle });
	if (cluster == NULL || muster_cluster_fork(cluster, NULL, &worker) < 0)
		_exit(1);
	pid = muster_worker_pid(worker);
	if (write(pipe_end, &pid, sizeof pid) != sizeof pid)
		_exit(1);
	_exit(0);
}

START_TEST(a_worker_of_a_primary_without_standard_descriptors_sees_its_end)
{
	int ends[2];
	pid_t primary, worker;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	primary = fork();
	if (primary == 0) {
		close(ends[0]);
		primary_without_standard_descriptors(ends[1]);
	}
	close(ends[1]);
	ck_assert_int_eq(process_wait(primary), 0);
	ck_assert_int_eq(read(ends[0], &worker, sizeof worker), sizeof worker);
	close(ends[0]);
	until(!process_lives(worker));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster_more");
	TCase *scheduler = add_loop_case(suite, "scheduler"), *counting = add_loop_case(suite, "counting");
	TCase *begin = add_loop_case(suite, "begin"), *user = add_loop_case(suite, "user");
	TCase *silent = add_loop_case(suite, "silent"), *standard = add_loop_case(suite, "standard"),
	      *lonely = add_case(suite, "lonely");

	tcase_add_test(scheduler, the_worker_that_is_chosen_serves);
	tcase_add_test(scheduler, a_scheduler_is_offered_only_those_who_can_take_one);
	tcase_add_test(scheduler, a_connection_for_nobody_waits_for_a_change);
	tcase_add_test(scheduler, setting_a_scheduler_is_a_change);
	tcase_add_test(scheduler, without_its_scheduler_a_cluster_returns_to_its_policy);
	tcase_add_test(scheduler, a_worker_of_another_cluster_is_nobody);
	tcase_add_test(scheduler, a_worker_that_can_take_none_is_nobody);
	tcase_add_test(scheduler, a_worker_that_does_not_listen_there_is_nobody);
	tcase_add_test(scheduler, of_a_dead_worker_the_scheduler_is_asked_again);
	tcase_add_test(scheduler, of_a_shared_listener_no_scheduler_is_asked);
	tcase_add_test(scheduler, a_cluster_whose_scheduler_gives_to_nobody_closes_nevertheless);
	tcase_add_test(scheduler, a_scheduler_may_remove_itself_while_it_is_asked);
	tcase_add_loop_test(scheduler, a_worker_may_be_asked_to_leave_while_a_scheduler_is_asked, 0, 2);
	tcase_add_test(scheduler, a_cluster_may_be_closed_while_its_scheduler_is_asked);
	tcase_add_test(counting, a_cluster_without_workers_has_no_rows);
	tcase_add_test(counting, connections_are_counted_by_worker_and_listener);
	tcase_add_loop_test(counting, the_rows_of_many_connections_add_up_under_each_policy, 0, 3);
	tcase_add_test(counting, a_worker_that_has_gone_has_no_row_and_its_successor_begins_at_zero);
	tcase_add_test(counting, a_count_may_be_asked_for_twice_in_a_turn);
	tcase_add_test(counting, asking_again_in_each_answer_lets_the_loop_go_on);
	tcase_add_test(counting, the_workers_may_leave_in_an_answer_and_the_next_is_right_again);
	tcase_add_test(counting, a_count_that_is_asked_for_before_close_is_answered_before_on_close);
	tcase_add_loop_test(counting, in_on_close_there_is_nothing_left_to_count, 0, 2);
	tcase_add_test(counting, a_loop_may_be_freed_while_a_count_is_due);
	tcase_add_loop_test(counting, a_listener_that_comes_after_another_counts_its_own_alone, 0, 2);
	tcase_add_test(counting, of_a_listener_beyond_those_counted_one_by_one_the_numbers_are_not_known);
	tcase_add_test(begin, of_two_environments_that_of_the_fork_wins);
	tcase_add_test(begin, workers_have_the_folder_they_are_given_and_the_primary_keeps_its_own);
	tcase_add_test(begin, a_worker_without_its_folder_exits_with_127);
	if (am_root()) {
		tcase_add_test(user, workers_give_up_user_and_groups_for_good);
		tcase_add_test(user, a_worker_with_a_group_alone_keeps_its_user);
		tcase_add_test(user, a_worker_that_may_not_change_its_user_exits_with_127);
	}
	tcase_add_loop_test(standard, what_is_closed_of_0_to_2_in_the_primary_is_dev_null_in_its_workers, 0, 16);
	tcase_add_loop_test(silent, silent_workers_are_read_and_written_by_the_primary, 0, 2);
	tcase_add_test(silent, who_follows_a_silent_worker_is_silent);
	tcase_add_test(silent, workers_write_to_a_descriptor_that_they_are_given);
	tcase_add_test(silent, a_worker_whose_output_cannot_be_made_is_not_forked);
	tcase_add_test(lonely, a_worker_of_a_primary_without_standard_descriptors_sees_its_end);
	return run_suite(suite);
}
