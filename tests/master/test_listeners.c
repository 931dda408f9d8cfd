/* tests/master/test_listeners.c - connections on their way to workers: none is lost, none is served twice. */
#include "ipc/fdpass.h"
#include "ipc/hook.h"
#include "master/cluster.h"
#include "master/handover.h"
#include "master/listeners.h"
#include "master/table.h"
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
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST 256

static struct worker_counts counts;
static struct service service;
static int clients[MOST];
static unsigned served[WORKERS_MOST]; /* by worker id */

static unsigned seen_messages(const char *what)
{
	const char *at = counts.said;
	unsigned found = 0;

	for (; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

static void connect_many(unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++)
		clients[i] = client_connect_port(counts.address.port);
}

static void greet_many(unsigned first, unsigned count)
{
	unsigned i, id;

	for (i = first; i < first + count; i++) {
		id = greeted_by(clients[i]);
		ck_assert_uint_lt(id, WORKERS_MOST);
		served[id]++;
	}
}

struct waited {
	struct event readable;
	unsigned *seen;
	bool here;
};

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct waited *waited = data;

	(void)fd, (void)what;
	waited->here = true;
	(*waited->seen)++;
	muster__event_del(test_loop, &waited->readable);
}

/* Wait until so many of these are greeted, whichever they are, and close them. A client of -1 is passed over. */
static void greet_some(unsigned first, unsigned count, unsigned wanted)
{
	static struct waited waited[MOST];
	unsigned seen = 0, i;

	for (i = first; i < first + count; i++) {
		waited[i] = (struct waited){ .seen = &seen };
		if (clients[i] < 0)
			continue;
		event_assign(&waited[i].readable, muster_loop_base(test_loop), clients[i], EV_READ | EV_PERSIST,
			     on_readable, &waited[i]);
		ck_assert_int_eq(muster__event_add(test_loop, &waited[i].readable, NULL), 0);
	}
	run_until_count(test_loop, seen, wanted);
	for (i = first; i < first + count; i++) {
		if (clients[i] >= 0)
			muster__event_del(test_loop, &waited[i].readable);
		if (!waited[i].here)
			continue;
		greet_many(i, 1);
		close(clients[i]);
		clients[i] = -1;
	}
}

static void close_many(unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++)
		close(clients[i]);
}

static pid_t pid_of(struct muster_cluster *cluster, unsigned id)
{
	return muster_worker_pid(worker_by_id(cluster, id));
}

static unsigned on_their_way(struct muster_cluster *cluster, unsigned id)
{
	return muster__process_of(worker_by_id(cluster, id))->flight_count;
}

static struct muster_cluster *policy_cluster(enum muster_policy policy, unsigned workers)
{
	return serving_cluster(&(struct muster_cluster_options){ .policy = policy }, &service, workers, &counts);
}

/* ---- Who gets it. */

START_TEST(round_robin_is_exactly_even)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 4);
	unsigned i;

	/* No more than the windows hold: a worker whose window is full is passed over. */
	connect_many(0, 60);
	greet_many(0, 60);
	for (i = 1; i <= 4; i++)
		ck_assert_uint_eq(served[i], 15);
	close_many(0, 60);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(round_robin_goes_in_turn)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_DEFAULT, 3);
	unsigned i, last = 0, id;

	for (i = 0; i < 9; i++) {
		connect_many(0, 1);
		id = greeted_by(clients[0]);
		ck_assert_uint_ne(id, last);
		served[id]++;
		last = id;
		close(clients[0]);
	}
	for (i = 1; i <= 3; i++)
		ck_assert_uint_eq(served[i], 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(least_connections_fills_up_whoever_has_fewest)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_LEAST_CONNECTIONS, 2);
	unsigned by[8], i;

	for (i = 0; i < 8; i++) {
		connect_many(i, 1);
		served[by[i] = greeted_by(clients[i])]++;
	}
	ck_assert_uint_eq(served[1], 4);
	ck_assert_uint_eq(served[2], 4);
	/* All that worker 1 has go: the next four are its. */
	for (i = 0; i < 8; i++)
		if (by[i] == 1)
			close(clients[i]);
	while (seen_messages("closed") < 4)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	for (i = 8; i < 12; i++) {
		connect_many(i, 1);
		greet_many(i, 1);
	}
	ck_assert_uint_eq(served[1], 8);
	for (i = 0; i < 12; i++)
		if (i >= 8 || by[i] == 2)
			close(clients[i]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(shared_serves_everybody_once)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_SHARED, 3);

	connect_many(0, 60);
	greet_many(0, 60);
	ck_assert_uint_eq(served[1] + served[2] + served[3], 60);
	close_many(0, 60);
	close_cluster(cluster, &counts);
}
END_TEST

/* Started together they ask for the listener one after the other; an early one may not be told less than a late one. */
START_TEST(many_workers_share_a_listener_evenly)
{
	enum { MANY = 48, EACH = 12 };
	static int open[MANY * EACH];
	unsigned by[MANY + 1] = { 0 }, most = 0, fewest = MANY * EACH, i;
	struct muster_cluster *cluster;

	service.listen.policy = MUSTER_POLICY_SHARED;
	service.quiet = true;
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, MANY), 0);
	run_until_count(test_loop, counts.listening, MANY);
	for (i = 0; i < MANY * EACH; i++) {
		unsigned id;

		open[i] = client_connect_port(counts.address.port);
		id = greeted_by(open[i]);
		ck_assert_uint_le(id, MANY);
		by[id]++;
		/* Who is still awake is not asked for the next one. */
		until(process_state(muster_worker_pid(worker_by_id(cluster, id))) == 'S');
	}
	for (i = 0; i < MANY * EACH; i++)
		close(open[i]);
	for (i = 1; i <= MANY; i++) {
		most = by[i] > most ? by[i] : most;
		fewest = by[i] < fewest ? by[i] : fewest;
	}
	ck_assert_uint_le(most, 2 * fewest);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_listener_may_have_a_policy_of_its_own)
{
	struct muster_cluster *cluster;

	service.listen.policy = MUSTER_POLICY_SHARED;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);
	connect_many(0, 10);
	greet_many(0, 10);
	ck_assert_uint_eq(muster__process_of(worker_by_id(cluster, 1))->handed, 0);
	ck_assert_uint_eq(muster__process_of(worker_by_id(cluster, 2))->handed, 0);
	close_many(0, 10);
	close_cluster(cluster, &counts);
}
END_TEST

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

/* Whoever binds. */
START_TEST(the_options_of_the_socket_are_as_the_worker_asked)
{
	struct muster_cluster *cluster;
	int fd;

	service.listen.no_delay = service.listen.keep_alive = true;
	service.listen.keep_alive_delay_ms = 7000;
	service.listen.defer_accept_ms = 1000;
	service.listen.fast_open = 5;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 1);
	fd = LIST_FIRST(&cluster->listenings)->socket.fd;
	ck_assert_int_ne(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	ck_assert_int_ge(option_of(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_FASTOPEN), 5);
	close_cluster(cluster, &counts);
}
END_TEST

/* Whichever worker has them, and though one dies that had some. */
START_TEST(the_limit_of_an_address_is_one_over_all_workers)
{
	static const enum muster_policy policies[] = { MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_SHARED };
	struct muster_cluster *cluster;
	uint64_t refused;
	unsigned more;

	service.server.max_per_address = 4;
	cluster = policy_cluster(policies[_i], 2);
	connect_many(0, 4);
	greet_many(0, 4);
	connect_many(4, 2);
	run_until_ended(clients[4]);
	run_until_ended(clients[5]);
	refused = muster__scoreboard_row_refused(cluster->board, LIST_FIRST(&cluster->listenings)->row);
	ck_assert_uint_eq(refused, 2);
	close_many(4, 2);
	lines_record(MUSTER_LOG_ERROR);
	kill(pid_of(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	run_until_idle(test_loop);
	more = served[1];
	connect_many(4, more);
	greet_many(4, more);
	close_many(4, more);
	close_many(0, 4);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_connection_arrives_with_its_addresses_and_bytes)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 1);

	connect_many(0, 1);
	client_send_text(clients[0], "sent before it was handed over");
	ck_assert_uint_eq(greeted_by(clients[0]), 1);
	client_expect_text(clients[0], "sent before it was handed over");
	close_many(0, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- How many at once. */

static unsigned window_wanted;

static bool is_window_full(void *data)
{
	return on_their_way(data, 1) == window_wanted;
}

START_TEST(a_worker_that_does_not_answer_gets_no_more_than_its_window)
{
	static const unsigned windows[] = { 1, 3, 16, 64 };
	struct muster_cluster_options options = { .window = windows[_i] };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 2, &counts);

	window_wanted = windows[_i];
	run_until_count(test_loop, counts.message, 2); /* both have said "listening" */
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 200);
	run_until(test_loop, is_window_full, cluster);
	/* All others are served though. */
	while (counts.message < 2 + 200 - windows[_i])
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	run_until_idle(test_loop);
	ck_assert_uint_eq(on_their_way(cluster, 1), windows[_i]);
	kill(pid_of(cluster, 1), SIGCONT);
	greet_many(0, 200);
	ck_assert_uint_eq(served[1] + served[2], 200);
	ck_assert_uint_eq(served[1], windows[_i]);
	close_many(0, 200);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(when_nobody_can_take_one_the_kernel_holds_them)
{
	struct muster_cluster_options options = { .window = 2 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 1, &counts);
	unsigned before = descriptors_open();

	window_wanted = 2;
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 40);
	run_until(test_loop, is_window_full, cluster);
	run_until_idle(test_loop);
	/* 40 clients, and copies of no more than the window. */
	ck_assert_uint_eq(descriptors_open(), before + 40 + 2);
	kill(pid_of(cluster, 1), SIGCONT);
	greet_many(0, 40);
	ck_assert_uint_eq(served[1], 40);
	close_many(0, 40);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(copies_of_connections_are_closed_when_they_are_answered)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);
	unsigned before = descriptors_open();

	connect_many(0, 50);
	greet_many(0, 50);
	while (on_their_way(cluster, 1) + on_their_way(cluster, 2) > 0)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	ck_assert_uint_eq(descriptors_open(), before + 50);
	close_many(0, 50);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Exactly once. */

START_TEST(a_worker_killed_with_connections_on_their_way_loses_none)
{
	struct muster_cluster_options options = { .window = 8,
						  .policy = _i == 0 ? MUSTER_POLICY_ROUND_ROBIN :
								      MUSTER_POLICY_LEAST_CONNECTIONS };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 2, &counts);

	lines_record(MUSTER_LOG_ERROR);
	window_wanted = 8;
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 20);
	run_until(test_loop, is_window_full, cluster);
	kill(pid_of(cluster, 1), SIGKILL);
	greet_many(0, 20);
	ck_assert_uint_eq(served[2], 20);
	close_many(0, 20);
	run_until_count(test_loop, counts.exit, 1);
	counts.bad_exits = 0;
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_last_worker_killed_hands_them_to_its_replacement)
{
	struct muster_cluster_options options = { .window = 8, .respawn = true, .backoff_ms = 1 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 1, &counts);

	lines_record(MUSTER_LOG_ERROR);
	window_wanted = 8;
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 20);
	run_until(test_loop, is_window_full, cluster);
	kill(pid_of(cluster, 1), SIGKILL);
	greet_many(0, 20);
	ck_assert_uint_eq(served[2], 20);
	close_many(0, 20);
	close_cluster(cluster, &counts);
}
END_TEST

/* It is on its way out already, and no member of the listener any more. */
START_TEST(a_worker_killed_while_it_leaves_loses_none_either)
{
	struct muster_cluster_options options = { .window = 8 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 2, &counts);

	lines_record(MUSTER_LOG_ERROR);
	window_wanted = 8;
	run_until_count(test_loop, counts.message, 2); /* both have said "listening" */
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 20);
	run_until(test_loop, is_window_full, cluster);
	greet_many(1, 1);
	while (counts.message < 2 + 12)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	run_until_idle(test_loop);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	kill(pid_of(cluster, 1), SIGKILL);
	greet_many(0, 1);
	greet_many(2, 18);
	ck_assert_uint_eq(served[2], 20);
	close_many(0, 20);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static const char *deadly_point;

static void die_at(const char *point)
{
	if (muster_worker_self() != NULL && muster_worker_id(muster_worker_self()) == 1 &&
	    strcmp(point, deadly_point) == 0)
		kill(getpid(), SIGKILL);
}

static struct muster_cluster *dying_cluster(const char *point, unsigned workers, bool respawn)
{
	struct muster_cluster_options options = { .respawn = respawn, .backoff_ms = 1 };

	lines_record(MUSTER_LOG_ERROR);
	deadly_point = point;
	muster__hook = die_at;
	return serving_cluster(&options, &service, workers, &counts);
}

START_TEST(killed_before_it_has_decided_another_worker_serves)
{
	struct muster_cluster *cluster = dying_cluster("before-decided", 2, false);

	connect_many(0, 2);
	greet_many(0, 2);
	ck_assert_uint_eq(served[2], 2);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.signal, SIGKILL);
	close_many(0, 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(killed_after_it_has_decided_the_connection_is_over)
{
	struct muster_cluster *cluster = dying_cluster("after-decided", 2, false);
	unsigned ended = 0, i;

	connect_many(0, 2);
	for (i = 0; i < 2; i++) {
		char line[8];
		ssize_t got;

		run_until_readable(clients[i]);
		got = read(clients[i], line, sizeof line);
		ended += got <= 0;
		if (got > 0)
			ck_assert_int_eq(line[0], '2');
	}
	ck_assert_uint_eq(ended, 1);
	run_until_count(test_loop, counts.exit, 1);
	close_many(0, 2);
	close_cluster(cluster, &counts);
}
END_TEST

/* Of many that are on their way, the one under work is settled by the store, and all behind it go to others. */
START_TEST(of_many_on_their_way_exactly_the_decided_one_is_over)
{
	struct muster_cluster *cluster = dying_cluster(_i == 0 ? "before-decided" : "after-decided", 1, true);
	unsigned ended = 0, i;

	window_wanted = 10;
	process_freeze(pid_of(cluster, 1));
	connect_many(0, 10);
	run_until(test_loop, is_window_full, cluster);
	kill(pid_of(cluster, 1), SIGCONT);
	for (i = 0; i < 10; i++) {
		char line[8];
		ssize_t got;

		run_until_readable(clients[i]);
		got = read(clients[i], line, sizeof line);
		ended += got <= 0;
		if (got > 0)
			ck_assert_int_eq(line[0], '2');
	}
	ck_assert_uint_eq(ended, (unsigned)_i);
	close_many(0, 10);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_shared_listener_goes_on_when_a_worker_is_killed)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_SHARED, 2);
	unsigned victim = (unsigned)_i + 1;

	lines_record(MUSTER_LOG_ERROR);
	process_freeze(pid_of(cluster, victim));
	connect_many(0, 20);
	kill(pid_of(cluster, victim), SIGKILL);
	greet_many(0, 20);
	ck_assert_uint_eq(served[3 - victim], 20);
	close_many(0, 20);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* The dead may have been woken for what is queued, and nobody else will be: the primary hands it over. */
START_TEST(what_is_queued_on_a_shared_listener_is_handed_over_when_a_worker_is_killed)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_SHARED, 2);

	lines_record(MUSTER_LOG_ERROR);
	process_freeze(pid_of(cluster, 1));
	process_freeze(pid_of(cluster, 2));
	connect_many(0, 20);
	kill(pid_of(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_uint_eq(on_their_way(cluster, 2), 16);
	kill(pid_of(cluster, 2), SIGCONT);
	greet_many(0, 20);
	ck_assert_uint_eq(served[2], 20);
	close_many(0, 20);
	close_cluster(cluster, &counts);
}
END_TEST

/* As a worker of Node's at its descriptor limit: it says that nothing arrived, and no more. */
static void answer_nack_only(int fd)
{
	static const char nack[] = "{\"cmd\":\"NODE_HANDLE_NACK\"}\n";
	char bytes[65536];
	struct muster__fds fds;
	ssize_t got;
	const char *at;

	for (;;) {
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		got = muster__fdpass_receive(fd, bytes, sizeof bytes - 1, &fds);
		if (got <= 0 && got != -EAGAIN)
			_exit(0);
		bytes[got > 0 ? got : 0] = '\0';
		for (at = bytes; (at = strstr(at, "NODE_HANDLE")) != NULL; at++)
			muster__fdpass_send(fd, nack, sizeof nack - 1, -1);
		while (fds.count > 0)
			close(fds.fd[--fds.count]);
	}
}

static int take_nothing(struct muster_worker *self, void *data)
{
	static const char question[] = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
				       "\"address\":\"127.0.0.1\",\"port\":0,"
				       "\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}\n";

	if (muster_worker_id(self) != 1)
		return serve(self, data);
	muster__channel_print(&self->channel, question, sizeof question - 1);
	muster__channel_flush(&self->channel);
	answer_nack_only(self->channel.fd);
	return 0;
}

static bool has_member(void *data)
{
	const struct muster_cluster *cluster = data;
	const struct muster__listening *listening = LIST_FIRST(&cluster->listenings);

	return listening != NULL && listening->member_count > 0;
}

START_TEST(a_connection_that_did_not_arrive_goes_to_another)
{
	struct muster_cluster *cluster =
		new_cluster(&(struct muster_cluster_options){ .worker = take_nothing }, &service, &counts);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until(test_loop, has_member, cluster);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 1);
	connect_many(0, 10);
	greet_many(0, 10);
	ck_assert_uint_eq(served[2], 10);
	close_many(0, 10);
	lines_record(MUSTER_LOG_ERROR);
	kill(pid_of(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Full workers. */

START_TEST(what_a_full_worker_refuses_goes_to_another)
{
	struct muster_cluster *cluster;

	service.server.max_connections = 3;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);
	/* The second worker's three stay free until the first is full. */
	process_freeze(pid_of(cluster, 2));
	connect_many(0, 6);
	greet_many(0, 1);
	kill(pid_of(cluster, 2), SIGCONT);
	greet_many(1, 5);
	ck_assert_uint_eq(served[1], 3);
	ck_assert_uint_eq(served[2], 3);
	close_many(0, 6);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(when_all_are_full_the_kernel_holds_the_rest_until_one_has_room)
{
	struct muster_cluster *cluster;
	unsigned before, turns, fds;

	service.server.max_connections = 2;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);
	before = descriptors_open();
	connect_many(0, 12);
	greet_many(0, 4);
	/* No more are accepted than had been on their way. */
	for (turns = 0; turns < 4; turns++)
		ck_assert_int_eq(event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE), 0);
	fds = descriptors_open();
	ck_assert_uint_le(fds, before + 12 + 2 * 16);
	close_many(0, 4);
	while (served[1] + served[2] < 12)
		greet_some(4, 8, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(full_workers_do_not_make_the_primary_spin)
{
	struct muster_cluster *cluster;
	struct timespec used;
	uint64_t before, turns = 0;
	struct timeval second = { .tv_sec = 1 };
	bool over = false;

	service.server.max_connections = 1;
	service.quiet = true;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);
	connect_many(0, 10);
	greet_many(0, 2);
	clock_gettime(CLOCK_MONOTONIC, &used);
	before = (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
	event_base_loopexit(muster_loop_base(test_loop), &second);
	while (!over) {
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
		clock_gettime(CLOCK_MONOTONIC, &used);
		over = (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000 >= before + 700;
		turns++;
	}
	ck_assert_uint_lt(turns, 200);
	close_many(0, 2);
	while (served[1] + served[2] < 10)
		greet_some(2, 8, 1);
	close_cluster(cluster, &counts);
}
END_TEST

/* Put the timer off that asks full workers again: what happens then, happens because somebody said so. */
static bool has_put_retry_off(void *data)
{
	struct muster_cluster *cluster = data;
	struct muster__listening *listening = LIST_FIRST(&cluster->listenings);
	struct timeval hour = { .tv_sec = 3600 };

	if (!event_pending(&listening->retry, EV_TIMEOUT, NULL) ||
	    listening->returned_count != (clients[1] < 0 ? 0 : 1))
		return false;
	return event_add(&listening->retry, &hour) == 0;
}

START_TEST(a_worker_that_had_refused_says_when_it_has_room)
{
	struct muster_cluster *cluster;

	service.server.max_connections = 1;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 1);
	connect_many(0, 1);
	greet_many(0, 1);
	connect_many(1, 1);
	run_until(test_loop, has_put_retry_off, cluster);
	close(clients[0]);
	greet_many(1, 1);
	close(clients[1]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(at_the_limit_over_all_workers_whoever_has_room_says_so)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);

	muster_cluster_set_max_connections(cluster, 1);
	connect_many(0, 1);
	greet_many(0, 1);
	clients[1] = -1;
	run_until(test_loop, has_put_retry_off, cluster);
	connect_many(1, 1);
	close(clients[0]);
	greet_many(1, 1);
	close(clients[1]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(room_in_a_worker_lets_the_next_one_in)
{
	struct muster_cluster *cluster;
	int i;

	service.server.max_connections = 1;
	cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 1);
	connect_many(0, 1);
	greet_many(0, 1);
	for (i = 1; i < 20; i++) {
		connect_many((unsigned)i, 1);
		close(clients[i - 1]);
		greet_many((unsigned)i, 1);
	}
	close(clients[i - 1]);
	while (seen_messages("connection") < 20)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_limit_over_all_workers_holds)
{
	static const enum muster_policy policies[] = { MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_LEAST_CONNECTIONS };
	struct muster_cluster *cluster = policy_cluster(policies[_i], 3);
	unsigned i;

	muster_cluster_set_max_connections(cluster, 4);
	connect_many(0, 10);
	greet_many(0, 4);
	run_until_idle(test_loop);
	ck_assert_uint_eq(muster__scoreboard_sum(cluster->board), 4);
	for (i = 4; i < 10; i++) {
		ck_assert_uint_eq(client_waiting(clients[i]), 0);
		close(clients[i - 4]);
		greet_many(i, 1);
	}
	ck_assert_uint_le(muster__scoreboard_sum(cluster->board), 4);
	close_many(6, 4);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_limit_that_is_lifted_lets_all_in)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_ROUND_ROBIN, 2);

	muster_cluster_set_max_connections(cluster, 1);
	connect_many(0, 10);
	greet_many(0, 1);
	muster_cluster_set_max_connections(cluster, 0);
	greet_many(1, 9);
	close_many(0, 10);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_limit_over_all_workers_holds_for_shared_listeners_too)
{
	struct muster_cluster *cluster = policy_cluster(MUSTER_POLICY_SHARED, 2);
	unsigned i;

	muster_cluster_set_max_connections(cluster, 4);
	connect_many(0, 8);
	greet_many(0, 4);
	/* It may be overshot by one per worker. */
	ck_assert_uint_le(muster__scoreboard_sum(cluster->board), 4 + 2);
	for (i = 0; i < 4; i++) {
		close(clients[i]);
		greet_many(i + 4, 1);
	}
	close_many(4, 4);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- The lives of listeners. */

START_TEST(port_0_is_the_same_port_in_all_workers)
{
	struct muster_cluster *cluster = policy_cluster(_i == 0 ? MUSTER_POLICY_ROUND_ROBIN : MUSTER_POLICY_SHARED, 3);
	char said[64];

	snprintf(said, sizeof said, "\"listening %u\"", counts.address.port);
	while (seen_messages("listening") < 3)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	ck_assert_uint_gt(counts.address.port, 0);
	ck_assert_uint_eq(seen_messages(said), 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(port_0_twice_is_two_ports_and_the_same_two_in_all_workers)
{
	struct muster_cluster *cluster;
	const char *first;
	char port[32];

	service.servers = 2;
	cluster = serving_cluster(NULL, &service, 2, &counts);
	while (seen_messages("listening") < 4)
		event_base_loop(muster_loop_base(test_loop), EVLOOP_ONCE);
	first = strstr(counts.said, "\"listening");
	snprintf(port, sizeof port, "%.*s", (int)strcspn(first, " ") + (int)strcspn(strchr(first, ' ') + 1, " ") + 1,
		 first);
	ck_assert_uint_eq(seen_messages(port), 2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_port_listened_on_twice_in_one_worker_is_in_use)
{
	struct muster_cluster *cluster;

	service.servers = 2;
	service.listen.port = client_free_port();
	cluster = serving_cluster(NULL, &service, 1, &counts);
	run_until_said(&counts, "\"error EADDRINUSE bind\"");
	connect_many(0, 1);
	greet_many(0, 1);
	close_many(0, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_port_that_somebody_else_has_is_in_use)
{
	int other = client_listen(1);
	struct muster_cluster *cluster;

	service.listen.port = client_port_of(other);
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.errors_of_worker, 2);
	ck_assert_uint_eq(seen_messages("\"error EADDRINUSE bind\""), 2);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.listening, 0);
	close(other);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_path_the_primary_may_not_make_is_refused)
{
	struct muster_cluster *cluster;

	ck_assert_int_eq(mkdir(folder_path("locked"), 0555), 0);
	service.listen.path = folder_path("locked/socket");
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	/* root may everything. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	run_until_said(&counts, "\"error EACCES bind\"");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	run_dry(test_loop);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_listener_closes_with_its_last_holder)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 2, &counts);

	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	connect_many(0, 1);
	ck_assert_uint_eq(greeted_by(clients[0]), 2);
	close_many(0, 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 2)), 0);
	run_until_count(test_loop, counts.exit, 2);
	ck_assert_int_eq(client_try_port(counts.address.port), -ECONNREFUSED);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_listener_closes_with_the_death_of_its_last_holder_if_none_follows)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);

	lines_record(MUSTER_LOG_ERROR);
	muster_worker_kill(worker_by_id(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(client_try_port(counts.address.port), -ECONNREFUSED);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_listener_survives_the_death_of_its_last_holder_if_one_follows)
{
	struct muster_cluster_options options = { .respawn = true, .backoff_ms = 20 };
	struct muster_cluster *cluster = serving_cluster(&options, &service, 1, &counts);
	unsigned port = counts.address.port;

	lines_record(MUSTER_LOG_ERROR);
	muster_worker_kill(worker_by_id(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	connect_many(0, 3);
	greet_many(0, 3);
	ck_assert_uint_eq(served[2], 3);
	ck_assert_uint_eq(counts.address.port, port);
	close_many(0, 3);
	close_cluster(cluster, &counts);
}
END_TEST

static void on_closed_listen_again(struct muster_server *server, void *data)
{
	static unsigned again;

	if (again++ == 0)
		muster_server_listen(server, data);
}

static void close_and_listen_again(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_server_handlers on = { .on_close = on_closed_listen_again };

	(void)self;
	muster_server_on(server, &on, &service.listen);
	muster_server_close(server);
}

START_TEST(a_server_may_be_closed_and_listen_again)
{
	struct muster_cluster *cluster;

	service.listen.host = "127.0.0.1";
	service.listen.port = client_free_port();
	service.begin = close_and_listen_again;
	cluster = serving_cluster(NULL, &service, 2, &counts);
	ck_assert_uint_eq(counts.errors_of_worker, 0);
	connect_many(0, 6);
	greet_many(0, 6);
	ck_assert_uint_eq(served[1] + served[2], 6);
	close_many(0, 6);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_worker_that_comes_later_joins)
{
	struct muster_cluster *cluster = serving_cluster(NULL, &service, 1, &counts);
	unsigned port = counts.address.port;

	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.listening, 2);
	ck_assert_uint_eq(counts.address.port, port);
	connect_many(0, 4);
	greet_many(0, 4);
	ck_assert_uint_eq(served[1], 2);
	ck_assert_uint_eq(served[2], 2);
	close_many(0, 4);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Paths. */

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

START_TEST(a_path_is_made_by_the_primary_and_goes_with_the_listener)
{
	struct muster_cluster *cluster;

	service.listen.path = folder_path("socket");
	cluster = policy_cluster(_i == 0 ? MUSTER_POLICY_ROUND_ROBIN : MUSTER_POLICY_SHARED, 2);
	ck_assert_int_eq(counts.address.family, 1);
	ck_assert_str_eq(counts.address.text, service.listen.path);
	clients[0] = client_connect_path(service.listen.path);
	greet_many(0, 1);
	close_many(0, 1);
	ck_assert_int_eq(muster_worker_disconnect(worker_by_id(cluster, 1)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert(exists(service.listen.path));
	clients[0] = client_connect_path(service.listen.path);
	ck_assert_uint_eq(greeted_by(clients[0]), 2);
	close_many(0, 1);
	close_cluster(cluster, &counts);
	ck_assert(!exists(service.listen.path));
}
END_TEST

static int serve_elsewhere(struct muster_worker *self, void *data)
{
	if (chdir(folder_path("elsewhere")) < 0)
		return -errno;
	return serve(self, data);
}

START_TEST(a_relative_path_is_that_of_the_worker)
{
	struct muster_cluster_options options = { .worker = serve_elsewhere };
	struct muster_cluster *cluster;

	ck_assert_int_eq(mkdir(folder_path("elsewhere"), 0755), 0);
	service.listen.path = "socket";
	cluster = serving_cluster(&options, &service, 1, &counts);
	ck_assert_str_eq(counts.address.text, folder_path("elsewhere/socket"));
	clients[0] = client_connect_path(folder_path("elsewhere/socket"));
	greet_many(0, 1);
	close_many(0, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(an_abstract_name_works_through_the_primary_too)
{
	struct muster_cluster *cluster;
	char name[64];

	snprintf(name, sizeof name, "@muster-test-%d", (int)getpid());
	service.listen.path = name;
	cluster = serving_cluster(NULL, &service, 2, &counts);
	clients[0] = client_connect_path(name);
	greet_many(0, 1);
	close_many(0, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_mode_of_a_path_is_as_the_worker_asked)
{
	struct muster_cluster *cluster;
	struct stat status;

	service.listen.path = folder_path("socket");
	service.listen.writable_all = service.listen.readable_all = true;
	cluster = serving_cluster(NULL, &service, 1, &counts);
	ck_assert_int_eq(stat(service.listen.path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0666, 0666);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Exclusive. */

START_TEST(an_exclusive_port_is_bound_in_the_worker_and_by_one_alone)
{
	struct muster_cluster *cluster;

	service.listen.exclusive = true;
	service.listen.port = client_free_port();
	counts.address.port = service.listen.port;
	cluster = new_cluster(NULL, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "listening");
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_said(&counts, "error EADDRINUSE");
	connect_many(0, 3);
	greet_many(0, 3);
	ck_assert_uint_eq(served[1], 3);
	ck_assert_uint_eq(counts.listening, 0);
	close_many(0, 3);
	close_cluster(cluster, &counts);
}
END_TEST

static void add_hand_over(Suite *suite)
{
	TCase *who = add_loop_case(suite, "who"), *many = add_loop_case(suite, "how many");
	TCase *once = add_loop_case(suite, "exactly once"), *full = add_loop_case(suite, "full");

	tcase_add_test(who, round_robin_is_exactly_even);
	tcase_add_test(who, round_robin_goes_in_turn);
	tcase_add_test(who, least_connections_fills_up_whoever_has_fewest);
	tcase_add_test(who, shared_serves_everybody_once);
	tcase_add_test(who, many_workers_share_a_listener_evenly);
	tcase_add_test(who, a_listener_may_have_a_policy_of_its_own);
	tcase_add_test(who, the_options_of_the_socket_are_as_the_worker_asked);
	tcase_add_loop_test(who, the_limit_of_an_address_is_one_over_all_workers, 0, 2);
	tcase_add_test(who, a_connection_arrives_with_its_addresses_and_bytes);
	tcase_add_loop_test(many, a_worker_that_does_not_answer_gets_no_more_than_its_window, 0, 4);
	tcase_add_test(many, when_nobody_can_take_one_the_kernel_holds_them);
	tcase_add_test(many, copies_of_connections_are_closed_when_they_are_answered);
	tcase_add_loop_test(once, a_worker_killed_with_connections_on_their_way_loses_none, 0, 2);
	tcase_add_test(once, the_last_worker_killed_hands_them_to_its_replacement);
	tcase_add_test(once, a_worker_killed_while_it_leaves_loses_none_either);
	tcase_add_test(once, killed_before_it_has_decided_another_worker_serves);
	tcase_add_test(once, killed_after_it_has_decided_the_connection_is_over);
	tcase_add_loop_test(once, of_many_on_their_way_exactly_the_decided_one_is_over, 0, 2);
	tcase_add_loop_test(once, a_shared_listener_goes_on_when_a_worker_is_killed, 0, 2);
	tcase_add_test(once, what_is_queued_on_a_shared_listener_is_handed_over_when_a_worker_is_killed);
	tcase_add_test(once, a_connection_that_did_not_arrive_goes_to_another);
	tcase_add_test(full, what_a_full_worker_refuses_goes_to_another);
	tcase_add_test(full, when_all_are_full_the_kernel_holds_the_rest_until_one_has_room);
	tcase_add_test(full, full_workers_do_not_make_the_primary_spin);
	tcase_add_test(full, a_worker_that_had_refused_says_when_it_has_room);
	tcase_add_test(full, at_the_limit_over_all_workers_whoever_has_room_says_so);
	tcase_add_test(full, room_in_a_worker_lets_the_next_one_in);
	tcase_add_loop_test(full, a_limit_over_all_workers_holds, 0, 2);
	tcase_add_test(full, a_limit_that_is_lifted_lets_all_in);
	tcase_add_test(full, a_limit_over_all_workers_holds_for_shared_listeners_too);
}

static void add_lives(Suite *suite)
{
	TCase *lives = add_loop_case(suite, "lives"), *paths = add_loop_case(suite, "paths");

	tcase_add_loop_test(lives, port_0_is_the_same_port_in_all_workers, 0, 2);
	tcase_add_test(lives, port_0_twice_is_two_ports_and_the_same_two_in_all_workers);
	tcase_add_test(lives, a_port_listened_on_twice_in_one_worker_is_in_use);
	tcase_add_test(lives, a_port_that_somebody_else_has_is_in_use);
	tcase_add_test(lives, a_path_the_primary_may_not_make_is_refused);
	tcase_add_test(lives, a_listener_closes_with_its_last_holder);
	tcase_add_test(lives, a_listener_closes_with_the_death_of_its_last_holder_if_none_follows);
	tcase_add_test(lives, a_listener_survives_the_death_of_its_last_holder_if_one_follows);
	tcase_add_test(lives, a_server_may_be_closed_and_listen_again);
	tcase_add_test(lives, a_worker_that_comes_later_joins);
	tcase_add_test(lives, an_exclusive_port_is_bound_in_the_worker_and_by_one_alone);
	tcase_add_loop_test(paths, a_path_is_made_by_the_primary_and_goes_with_the_listener, 0, 2);
	tcase_add_test(paths, a_relative_path_is_that_of_the_worker);
	tcase_add_test(paths, an_abstract_name_works_through_the_primary_too);
	tcase_add_test(paths, the_mode_of_a_path_is_as_the_worker_asked);
}

int main(void)
{
	Suite *suite = suite_create("listeners");

	add_hand_over(suite);
	add_lives(suite);
	return run_suite(suite);
}
