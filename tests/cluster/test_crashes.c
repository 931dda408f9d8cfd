/*
 * tests/cluster/test_crashes.c - a connection's way from accept to answer, and at each step of it the death of the worker or
 * of the primary. Whoever dies: no client is served twice, none is left hanging, and those who survive keep nothing.
 *
 * The primary is a process of its own, so that it can be killed. What happens is written down in memory that all share.
 */
#include "ipc/hook.h"
#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <muster/muster.h>

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 40
#define DEATHS 60
#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

struct stage {
	atomic_uint delivered[65536]; /* by the port of the client: all are connected at once, so it is theirs alone */
	atomic_uint port, online, listening, exits, handed, passed, fired;
	atomic_int primary, worker[DEATHS + 8];
	size_t bytes[DEATHS + 8]; /* what the primary had allocated when this worker came online */
};

struct step {
	const char *point;
	bool in_worker;       /* it is the victim that passes it; else the primary */
	unsigned nth;         /* at the nth time */
	unsigned least, most; /* clients of a killed worker that may see an end without a greeting */
	bool frozen;          /* a killed worker had looked at nothing */
	enum muster_policy policy;
};

static struct stage *stage;
static struct step step;
static bool primary_dies;
static unsigned victim = 1; /* the worker that dies, unless the primary does */
static void (*hook)(const char *point);

/* ---- the death */

static void await_death(pid_t pid)
{
	siginfo_t info;

	if (pid == stage->primary)
		while (getppid() == pid)
			sched_yield();
	else
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
}

static void strike(void)
{
	pid_t pid = primary_dies ? stage->primary : stage->worker[victim];

	atomic_store(&stage->fired, 1);
	kill(pid, SIGKILL);
	if (pid == getpid())
		pause();
	await_death(pid);
}

static void at_point(const char *point)
{
	static bool has_received;
	struct muster_worker *self = muster_worker_self();

	stage->handed += self == NULL && strcmp(point, "handed-over") == 0;
	has_received = has_received || strcmp(point, "received") == 0;
	if (strcmp(point, step.point) != 0 || (self != NULL) != step.in_worker)
		return;
	if (self != NULL && (muster_worker_id(self) != victim || !has_received))
		return;
	if (++stage->passed == step.nth)
		strike();
}

/* ---- a worker */

/* Without it nothing is read, and the end of the client is not noticed. */
static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)socket, (void)bytes, (void)length, (void)data;
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = on_data };
	struct muster_address client;

	(void)server, (void)data;
	if (muster_socket_remote_address(socket, &client) < 0)
		abort();
	stage->delivered[client.port]++;
	muster__hook("adopted");
	muster_socket_on(socket, &on, NULL);
	muster_socket_write(socket, "!", 1);
}

static int greet(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	(void)data;
	if (server == NULL || muster_server_on(server, &on, NULL) < 0)
		return -ENOMEM;
	return muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" });
}

/* ---- the primary */

static void on_fork(struct muster_worker *worker, void *data)
{
	(void)data;
	stage->worker[muster_worker_id(worker)] = muster_worker_pid(worker);
}

static void on_online(struct muster_worker *worker, void *data)
{
	(void)data;
	stage->bytes[muster_worker_id(worker)] = mallinfo2().uordblks;
	stage->online++;
}

/* The second is forked when the first one listens: turns go by their ids. */
static void on_listening(struct muster_worker *worker, const struct muster_address *address, void *data)
{
	stage->port = address->port;
	stage->listening++;
	if (muster_worker_id(worker) == 1 && muster_cluster_fork(data, NULL, NULL) < 0)
		abort();
}

static void on_exit_of(struct muster_worker *worker, int code, int signal, void *data)
{
	(void)worker, (void)code, (void)signal, (void)data;
	stage->exits++;
}

static struct event *term;

static void on_close(struct muster_cluster *cluster, void *data)
{
	(void)cluster, (void)data;
	event_del(term);
}

static void on_term(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	muster_cluster_close(data);
}

static int be_primary(void)
{
	static const struct muster_worker_handlers on = { .on_fork = on_fork,
							  .on_online = on_online,
							  .on_listening = on_listening,
							  .on_exit = on_exit_of,
							  .on_close = on_close };
	struct muster_loop *loop = muster_loop_new();
	struct muster_cluster_options options = {
		.worker = greet, .policy = step.policy, .respawn = true, .backoff_ms = 1
	};
	struct muster_cluster *cluster = muster_cluster_new(loop, &options);
	int err = muster_cluster_on(cluster, &on, cluster);

	muster_log_set_level(MUSTER_LOG_ERROR);
	term = evsignal_new(muster_loop_base(loop), SIGTERM, on_term, cluster);
	event_add(term, NULL);
	if (err == 0)
		err = muster_cluster_start(cluster, 1);
	if (err == 0)
		err = muster_loop_run(loop);
	event_free(term);
	muster_loop_free(loop);
	munmap(stage, sizeof *stage);
	return err;
}

static void raise_curtain(void)
{
	pid_t self = getpid(), pid;

	stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stage, MAP_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	muster__hook = hook != NULL ? hook : at_point;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		process_bind(self);
		stage->primary = getpid();
		exit(be_primary() != 0);
	}
	until(stage->listening == 2 || stage->fired == 1);
}

/* ---- clients */

static int clients[CLIENTS];

/* A socket of reuse-port that closes resets who is just knocking; its client knows that it has no connection. */
static void connect_all(void)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		clients[i] = client_knock_port(stage->port);
		ck_assert_msg(clients[i] >= 0 || (clients[i] == -ECONNRESET && primary_dies &&
						  step.policy == MUSTER_POLICY_REUSE_PORT),
			      "client %d: %s", i, strerror(-clients[i]));
	}
}

static unsigned own_port(int fd)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	return ntohs(in.sin_port);
}

/* A greeting, or an end in its place; nothing else, and no silence. */
static bool was_greeted(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	char byte = 0;
	ssize_t got;

	ck_assert_msg(poll(&readable, 1, (int)test_patience() * 1000) == 1, "a client hangs");
	got = recv(fd, &byte, 1, 0);
	ck_assert_msg((got == 1 && byte == '!') || got == 0 || (got < 0 && errno == ECONNRESET), "%zd, %c", got, byte);
	return got == 1;
}

static unsigned take_account(void)
{
	unsigned greeted = 0, times;
	int i;

	for (i = 0; i < CLIENTS; i++) {
		bool answered = clients[i] >= 0 && was_greeted(clients[i]);

		if (clients[i] < 0)
			continue;
		times = stage->delivered[own_port(clients[i])];
		ck_assert_msg(times <= 1 && (times == 1 || !answered), "client %d was delivered %u times", i, times);
		greeted += answered;
	}
	for (i = 0; i < CLIENTS; i++)
		if (clients[i] >= 0)
			close(clients[i]);
	return greeted;
}

/* ---- what must hold */

static bool can_bind(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)stage->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool bound;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	bound = bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && listen(fd, 8) == 0;
	close(fd);
	return bound;
}

/* So many have died, each with one that follows it. */
static void survive_workers(unsigned deaths, unsigned descriptors)
{
	unsigned cut;

	until(stage->exits == deaths && stage->online == 2 + deaths);
	cut = CLIENTS - take_account();
	ck_assert_msg(cut >= step.least && cut <= step.most, "%u were cut", cut);
	until(process_descriptors(stage->primary) == descriptors);
	kill(stage->primary, SIGTERM);
	ck_assert_int_eq(process_wait(stage->primary), 0);
}

static bool is_accepted_by_workers(void)
{
	return step.policy == MUSTER_POLICY_SHARED || step.policy == MUSTER_POLICY_REUSE_PORT;
}

/* Workers that have a listening socket give it up when they have seen that nobody is left to share it with. */
static void survive_primary(unsigned first)
{
	unsigned greeted, id;

	ck_assert_int_eq(process_wait(stage->primary), 128 + SIGKILL);
	if (is_accepted_by_workers())
		until(can_bind());
	else
		ck_assert(can_bind());
	greeted = take_account();
	ck_assert_msg(greeted >= stage->handed, "of %u handed over %u were greeted", stage->handed, greeted);
	for (id = first; id <= 2; id++)
		ck_assert_int_eq(process_wait(stage->worker[id]), 0);
}

static void play(const struct step *wanted, bool primary)
{
	unsigned descriptors;

	step = *wanted;
	primary_dies = primary;
	raise_curtain();
	descriptors = process_descriptors(stage->primary);
	/* All come at once. */
	process_freeze(stage->primary);
	if (step.frozen && !primary)
		process_freeze(stage->worker[1]);
	/* Whoever comes after the death finds somebody who listens. */
	if (is_accepted_by_workers())
		process_freeze(stage->worker[2]);
	connect_all();
	kill(stage->primary, SIGCONT);
	until(stage->fired == 1);
	/* One that was not frozen may be looking for leaks as it ends, and would never stop for that. */
	if (is_accepted_by_workers())
		kill(stage->worker[2], SIGCONT);
	if (primary)
		survive_primary(1);
	else
		survive_workers(1, descriptors);
	munmap(stage, sizeof *stage);
}

/* clang-format off */
static const struct step steps[] = {
	{ "accepted",           false, 1, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "accepted",           false, 5, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "before-handed-over", false, 1, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "before-handed-over", false, 5, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "handed-over",        false, 1, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "handed-over",        false, 5, 0, 0, true,  MUSTER_POLICY_ROUND_ROBIN },
	{ "received",           true,  1, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "received",           true,  5, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "acknowledged",       true,  1, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "acknowledged",       true,  5, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "before-decided",     true,  1, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "before-decided",     true,  5, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "after-decided",      true,  1, 1, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "after-decided",      true,  5, 1, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "adopted",            true,  1, 1, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "adopted",            true,  5, 1, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "answers-sent",       true,  1, 0, 0, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "answer-received",    false, 1, 0, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "answer-received",    false, 5, 0, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "answer-settled",     false, 1, 0, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "answer-settled",     false, 5, 0, 1, false, MUSTER_POLICY_ROUND_ROBIN },
	{ "adopted",            true,  1, 1, 1, false, MUSTER_POLICY_SHARED },
	{ "adopted",            true,  5, 1, 1, false, MUSTER_POLICY_SHARED },
	{ "adopted",            true,  1, 1, 1, false, MUSTER_POLICY_REUSE_PORT },
	{ "adopted",            true,  5, 1, 1, false, MUSTER_POLICY_REUSE_PORT },
	{ "accepted",           false, 1, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "accepted",           false, 5, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "before-handed-over", false, 1, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "before-handed-over", false, 5, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "handed-over",        false, 1, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "handed-over",        false, 5, 0, 0, true,  MUSTER_POLICY_EXCLUSIVE },
	{ "received",           true,  1, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "received",           true,  5, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "acknowledged",       true,  1, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "acknowledged",       true,  5, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "before-decided",     true,  1, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "before-decided",     true,  5, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "after-decided",      true,  1, 1, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "after-decided",      true,  5, 1, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "adopted",            true,  1, 1, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "adopted",            true,  5, 1, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "answers-sent",       true,  1, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
	{ "answer-received",    false, 1, 0, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "answer-received",    false, 5, 0, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "answer-settled",     false, 1, 0, 1, false, MUSTER_POLICY_EXCLUSIVE },
	{ "answer-settled",     false, 5, 0, 1, false, MUSTER_POLICY_EXCLUSIVE },
};
/* clang-format on */

START_TEST(a_worker_may_die_at_any_step_of_a_connections_way)
{
	play(&steps[_i], false);
}
END_TEST

START_TEST(a_primary_may_die_at_any_step_of_a_connections_way)
{
	play(&steps[_i], true);
}
END_TEST

/* ---- a worker is dead already, and the primary accepts what is queued on the socket that was its own */

/* clang-format off */
static const struct step orphans[] = {
	{ "accepted",           false, 1, 0, 0, true,  MUSTER_POLICY_REUSE_PORT },
	{ "accepted",           false, 5, 0, 0, true,  MUSTER_POLICY_REUSE_PORT },
	{ "before-handed-over", false, 1, 0, 0, true,  MUSTER_POLICY_REUSE_PORT },
	{ "handed-over",        false, 1, 0, 0, true,  MUSTER_POLICY_REUSE_PORT },
	{ "handed-over",        false, 3, 0, 0, true,  MUSTER_POLICY_REUSE_PORT },
	{ "before-decided",     true,  1, 0, 0, false, MUSTER_POLICY_REUSE_PORT },
	{ "after-decided",      true,  1, 1, 1, false, MUSTER_POLICY_REUSE_PORT },
	{ "answer-received",    false, 1, 0, 1, false, MUSTER_POLICY_REUSE_PORT },
	{ "answer-settled",     false, 1, 0, 1, false, MUSTER_POLICY_REUSE_PORT },
};
/* clang-format on */

static void play_orphans(const struct step *wanted, bool primary)
{
	unsigned descriptors;

	step = *wanted;
	primary_dies = primary;
	victim = 2;
	raise_curtain();
	descriptors = process_descriptors(stage->primary);
	process_freeze(stage->primary);
	process_freeze(stage->worker[1]);
	if (step.frozen && !primary)
		process_freeze(stage->worker[2]);
	connect_all();
	kill(stage->worker[1], SIGKILL);
	kill(stage->primary, SIGCONT);
	until(stage->fired == 1);
	if (primary)
		survive_primary(2);
	else
		survive_workers(2, descriptors);
	munmap(stage, sizeof *stage);
}

START_TEST(a_second_worker_may_die_at_any_step_of_what_the_first_left_behind)
{
	play_orphans(&orphans[_i], false);
}
END_TEST

START_TEST(a_primary_may_die_at_any_step_of_what_a_worker_left_behind)
{
	play_orphans(&orphans[_i], true);
}
END_TEST

/* ---- before there are connections: the way of a shared listener */

/* clang-format off */
static const struct step shares[] = {
	{ "answers-sent", false, 1, 0, 0, false, MUSTER_POLICY_SHARED },
	{ "received",     true,  1, 0, 0, false, MUSTER_POLICY_SHARED },
	{ "acknowledged", true,  1, 0, 0, false, MUSTER_POLICY_SHARED },
	{ "answers-sent", true,  1, 0, 0, false, MUSTER_POLICY_SHARED },
	{ "answers-sent", false, 1, 0, 0, false, MUSTER_POLICY_REUSE_PORT },
	{ "received",     true,  1, 0, 0, false, MUSTER_POLICY_REUSE_PORT },
	{ "acknowledged", true,  1, 0, 0, false, MUSTER_POLICY_REUSE_PORT },
	{ "answers-sent", true,  1, 0, 0, false, MUSTER_POLICY_REUSE_PORT },
	{ "answers-sent", false, 1, 0, 0, false, MUSTER_POLICY_EXCLUSIVE },
};
/* clang-format on */

START_TEST(a_worker_may_die_at_any_step_of_a_shared_listeners_way)
{
	step = shares[_i];
	raise_curtain();
	until(stage->exits == 1 && stage->listening >= 1);
	connect_all();
	ck_assert_uint_eq(take_account(), CLIENTS);
	kill(stage->primary, SIGTERM);
	ck_assert_int_eq(process_wait(stage->primary), 0);
	munmap(stage, sizeof *stage);
}
END_TEST

START_TEST(a_primary_may_die_at_any_step_of_a_shared_listeners_way)
{
	step = shares[_i];
	primary_dies = true;
	raise_curtain();
	ck_assert_int_eq(process_wait(stage->primary), 128 + SIGKILL);
	ck_assert_int_eq(process_wait(stage->worker[1]), 0);
	munmap(stage, sizeof *stage);
}
END_TEST

/* ---- again and again */

/* All but the second, each with its first connection. */
static void die_early(const char *point)
{
	struct muster_worker *self = muster_worker_self();

	if (self != NULL && strcmp(point, "after-decided") == 0 && muster_worker_id(self) != 2)
		kill(getpid(), SIGKILL);
}

/* Its memory is the same after many deaths as after some. */
START_TEST(a_primary_keeps_nothing_of_workers_that_die)
{
	unsigned descriptors, deaths = 0;
	int client;

	step = (struct step){ .policy = MUSTER_POLICY_ROUND_ROBIN };
	hook = die_early;
	raise_curtain();
	descriptors = process_descriptors(stage->primary);
	while (deaths < DEATHS) {
		client = client_connect_port(stage->port);
		deaths += !was_greeted(client);
		close(client);
		until(stage->exits == deaths && stage->listening == deaths + 2);
	}
	ck_assert_uint_eq(process_descriptors(stage->primary), descriptors);
	/* Not even a pointer for each. */
	ck_assert_uint_lt(stage->bytes[DEATHS + 2], stage->bytes[DEATHS / 2 + 2] + DEATHS / 2 * sizeof(void *));
	kill(stage->primary, SIGTERM);
	ck_assert_int_eq(process_wait(stage->primary), 0);
	munmap(stage, sizeof *stage);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crashes");
	TCase *tcase = add_case(suite, "connections");

	tcase_add_loop_test(tcase, a_worker_may_die_at_any_step_of_a_connections_way, 0, COUNT_OF(steps));
	tcase_add_loop_test(tcase, a_primary_may_die_at_any_step_of_a_connections_way, 0, COUNT_OF(steps));
	tcase = add_case(suite, "orphans");
	tcase_add_loop_test(tcase, a_second_worker_may_die_at_any_step_of_what_the_first_left_behind, 0,
			    COUNT_OF(orphans));
	tcase_add_loop_test(tcase, a_primary_may_die_at_any_step_of_what_a_worker_left_behind, 0, COUNT_OF(orphans));
	tcase = add_case(suite, "listeners");
	tcase_add_loop_test(tcase, a_worker_may_die_at_any_step_of_a_shared_listeners_way, 0, COUNT_OF(shares));
	tcase_add_loop_test(tcase, a_primary_may_die_at_any_step_of_a_shared_listeners_way, 0, COUNT_OF(shares));
	tcase = add_case(suite, "again and again");
	tcase_add_test(tcase, a_primary_keeps_nothing_of_workers_that_die);
	return run_suite(suite);
}
