/* tests/cluster/test_clients.c - clients that do not behave cost the others nothing, and leave nothing behind. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 3
#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* A daemon, and what its processes had open while nobody was there. */
struct scene {
	struct daemon *daemon;
	unsigned port;
	unsigned primary, workers[WORKERS];
};

static const char *const policies[] = {
	ECHO("3", ", 'policy': 'round-robin'"),
	ECHO("3", ", 'policy': 'least-connections'"),
	ECHO("3", ", 'policy': 'shared'"),
};

static void answer_others(const struct scene *scene)
{
	struct crowd crowd;

	crowd_begin(&crowd, scene->port, 30, 300);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 300);
}

static void begin(struct scene *scene, const char *text)
{
	unsigned i;

	scene->daemon = daemon_start(text);
	scene->port = daemon_port(scene->daemon, "tcp");
	/* What a first connection makes for good is part of it. */
	answer_others(scene);
	until(daemon_is_idle(scene->daemon));
	scene->primary = process_descriptors(scene->daemon->pid);
	for (i = 0; i < WORKERS; i++)
		scene->workers[i] = process_descriptors((pid_t)daemon_worker(scene->daemon, i, "pid"));
}

/* The same workers still live, and have open what they had. */
static void end(struct scene *scene)
{
	unsigned i;

	answer_others(scene);
	until(daemon_is_idle(scene->daemon));
	ck_assert_int_eq(daemon_number(scene->daemon, "connections"), 0);
	ck_assert_uint_eq(process_descriptors(scene->daemon->pid), scene->primary);
	for (i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(daemon_worker(scene->daemon, i, "restarts"), 0);
		ck_assert_uint_eq(process_descriptors((pid_t)daemon_worker(scene->daemon, i, "pid")),
				  scene->workers[i]);
	}
	ck_assert_uint_eq(daemon_logged(scene->daemon, " error "), 0);
	ck_assert_uint_eq(daemon_logged(scene->daemon, " warn "), 0);
	daemon_stop(scene->daemon);
}

START_TEST(clients_that_say_nothing_are_left_in_peace)
{
	struct scene scene;
	int fds[30], i;

	begin(&scene, policies[_i]);
	for (i = 0; i < 30; i++)
		fds[i] = client_connect_port(scene.port);
	answer_others(&scene);
	until(daemon_number(scene.daemon, "connections") == 30);
	for (i = 0; i < 30; i++) {
		ck_assert_int_eq(recv(fds[i], &(char){ 0 }, 1, MSG_DONTWAIT), -1);
		ck_assert_int_eq(errno, EAGAIN);
		close(fds[i]);
	}
	end(&scene);
}
END_TEST

START_TEST(clients_that_end_their_side_get_all_of_their_answer)
{
	struct scene scene;
	struct exchange *exchanges[10];
	int i;

	begin(&scene, policies[_i]);
	for (i = 0; i < 10; i++)
		exchanges[i] = exchange_start(client_connect_port(scene.port), 1000000);
	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(exchange_finish(exchanges[i]), 1000000);
	end(&scene);
}
END_TEST

START_TEST(clients_that_reset_are_forgotten)
{
	struct scene scene;
	int fds[30], i;

	begin(&scene, policies[_i]);
	for (i = 0; i < 30; i++) {
		fds[i] = client_connect_port(scene.port);
		client_send_text(fds[i], "hello");
		if (i % 2 == 0)
			client_expect_text(fds[i], "hello");
	}
	for (i = 0; i < 30; i++)
		client_reset(fds[i]);
	end(&scene);
}
END_TEST

static void signal_workers(const struct daemon *daemon, int signal)
{
	unsigned i;

	for (i = 0; i < WORKERS; i++)
		if (signal == SIGSTOP)
			process_freeze((pid_t)daemon_worker(daemon, i, "pid"));
		else
			kill((pid_t)daemon_worker(daemon, i, "pid"), signal);
}

static void reset_a_few(unsigned port, const char *text)
{
	int fds[10], i;

	for (i = 0; i < 10; i++)
		client_send_text(fds[i] = client_connect_port(port), text);
	for (i = 0; i < 10; i++)
		client_reset(fds[i]);
}

/* On Linux accept(2) succeeds for them, and only what follows fails. */
START_TEST(clients_that_reset_in_the_kernels_queue_are_forgotten)
{
	struct scene scene;

	begin(&scene, policies[_i]);
	signal_workers(scene.daemon, SIGSTOP);
	process_freeze(scene.daemon->pid);
	reset_a_few(scene.port, "");
	reset_a_few(scene.port, "hello");
	kill(scene.daemon->pid, SIGCONT);
	signal_workers(scene.daemon, SIGCONT);
	end(&scene);
}
END_TEST

START_TEST(clients_that_reset_on_their_way_to_a_worker_are_forgotten)
{
	struct scene scene;

	begin(&scene, policies[_i]);
	signal_workers(scene.daemon, SIGSTOP);
	reset_a_few(scene.port, "");
	reset_a_few(scene.port, "hello");
	signal_workers(scene.daemon, SIGCONT);
	end(&scene);
}
END_TEST

static int set_nonblocking(int fd)
{
	ck_assert_int_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
	return fd;
}

/* It sends until the kernel takes no more, and never reads what comes back. */
START_TEST(a_client_that_does_not_read_is_no_longer_read)
{
	static char bytes[256 * 1024];
	struct scene scene;
	size_t sent = 0;
	ssize_t now;
	int fd;

	begin(&scene, policies[_i]);
	fd = set_nonblocking(client_connect_port(scene.port));
	until((now = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL)) < 0 && errno == EAGAIN && sent > sizeof bytes) sent +=
		now > 0 ? (size_t)now : 0;
	answer_others(&scene);
	/* What the kernel holds for both ends, and not much more. */
	ck_assert_uint_lt(sent, 64 * 1024 * 1024);
	close(fd);
	end(&scene);
}
END_TEST

START_TEST(a_client_that_sends_byte_by_byte_is_answered_byte_by_byte)
{
	struct scene scene;
	int fd, i;

	begin(&scene, policies[_i]);
	fd = client_connect_port(scene.port);
	for (i = 0; i < 200; i++) {
		client_send_text(fd, "x");
		client_expect_text(fd, "x");
	}
	close(fd);
	end(&scene);
}
END_TEST

/* ---- ten thousand */

#define MANY 10000
#define SPARE 300 /* descriptors for all else */

/* The daemon inherits the limit. */
static unsigned how_many(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max >= MANY + SPARE)
		return MANY;
	ck_assert_uint_gt(limit.rlim_max, SPARE);
	printf("the hard limit of descriptors is %lu: idle clients scaled down from %d\n",
	       (unsigned long)limit.rlim_max, MANY);
	return (unsigned)limit.rlim_max - SPARE;
}

START_TEST(ten_thousand_idle_clients_do_not_keep_others_from_their_answer)
{
	unsigned count = how_many(), i;
	int *fds = calloc(count, sizeof *fds);
	struct scene scene;

	ck_assert_ptr_nonnull(fds);
	begin(&scene, policies[_i]);
	for (i = 0; i < count; i++)
		fds[i] = client_connect_port(scene.port);
	until(daemon_number(scene.daemon, "connections") == (long)count);
	answer_others(&scene);
	until(daemon_number(scene.daemon, "connections") == (long)count);
	for (i = 0; i < count; i++)
		if (i % 2 == 0)
			close(fds[i]);
		else
			client_reset(fds[i]);
	free(fds);
	end(&scene);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clients");
	TCase *tcase = add_case(suite, "clients");

	tcase_add_loop_test(tcase, clients_that_say_nothing_are_left_in_peace, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, clients_that_end_their_side_get_all_of_their_answer, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, clients_that_reset_are_forgotten, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, clients_that_reset_in_the_kernels_queue_are_forgotten, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, clients_that_reset_on_their_way_to_a_worker_are_forgotten, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, a_client_that_does_not_read_is_no_longer_read, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, a_client_that_sends_byte_by_byte_is_answered_byte_by_byte, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, ten_thousand_idle_clients_do_not_keep_others_from_their_answer, 0,
			    COUNT_OF(policies));
	return run_suite(suite);
}
