/* tests/cluster/test_failures.c - what the machine refuses, and what else goes wrong around a daemon: it goes on. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define NOBODY 65534
#define WATCHED_MS 1000

static void is_served(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

static int asked(unsigned port)
{
	int fd = client_connect_port(port);

	client_send_text(fd, "hello");
	return fd;
}

static pid_t worker_pid(const struct daemon *daemon, unsigned slot)
{
	pid_t pid = (pid_t)daemon_worker(daemon, slot, "pid");

	ck_assert_int_gt(pid, 1);
	return pid;
}

/* Of a second, how much it spent on a processor. */
static unsigned cpu_ms_of_a_second(pid_t pid)
{
	unsigned before = process_cpu_ms(pid);
	uint64_t end = clock_ms() + WATCHED_MS;

	while (clock_ms() < end)
		usleep(10000);
	return process_cpu_ms(pid) - before;
}

/* ---- no descriptors */

/* The lowest number that is free: at this limit nothing more can be opened. */
static rlim_t first_free_descriptor(pid_t pid)
{
	char path[64];
	struct stat status;
	rlim_t number = 0;

	do
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, (int)number++);
	while (lstat(path, &status) == 0);
	return number - 1;
}

static struct rlimit limit_descriptors(pid_t pid, rlim_t count)
{
	struct rlimit limit = { .rlim_cur = count }, before;

	ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &before), 0);
	limit.rlim_max = before.rlim_max;
	ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
	return before;
}

#define FEW 20

START_TEST(a_primary_without_descriptors_rests_answers_its_operator_and_goes_on)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid), i;
	struct rlimit before = limit_descriptors(daemon->pid, first_free_descriptor(daemon->pid));
	int fds[FEW];

	for (i = 0; i < FEW; i++)
		fds[i] = asked(port);
	until(daemon_logged(daemon, "accept EMFILE") > 0);
	ck_assert_uint_le(cpu_ms_of_a_second(daemon->pid), WATCHED_MS / 20);
	ck_assert_uint_le(daemon_logged(daemon, "accept EMFILE"), 4);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(daemon_ready(daemon), 2);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 0);
	ck_assert_int_eq(prlimit(daemon->pid, RLIMIT_NOFILE, &before, NULL), 0);
	for (i = 0; i < FEW; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
	until(daemon_is_idle(daemon));
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	daemon_stop(daemon);
}
END_TEST

/* What is handed to it arrives without its descriptor, is refused, and offered to the other. */
START_TEST(a_worker_without_descriptors_leaves_connections_to_the_others)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t poor = worker_pid(daemon, 0);
	struct rlimit before = limit_descriptors(poor, first_free_descriptor(poor));
	int fds[FEW];

	for (i = 0; i < FEW; i++)
		fds[i] = asked(port);
	for (i = 0; i < FEW; i++)
		client_expect_text(fds[i], "hello");
	ck_assert_int_eq(daemon_worker(daemon, 0, "accepted"), 0);
	ck_assert_int_eq(daemon_worker(daemon, 1, "accepted"), FEW);
	ck_assert_int_eq(prlimit(poor, RLIMIT_NOFILE, &before, NULL), 0);
	for (i = 0; i < FEW; i++)
		close(fds[i]);
	/* It is asked again. */
	until(daemon_worker(daemon, 0, "accepted") > 0) is_served(client_connect_port(port));
	ck_assert_int_eq(daemon_worker(daemon, 0, "restarts"), 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- accept(2) fails as the kernel may let it */

static const char *const accept_errors[] = { "ENFILE", "ENOMEM", "ENOBUFS", "EPERM" };

/* strace makes the next calls of a process fail; returns when it does. */
static pid_t inject(pid_t pid, const char *error)
{
	const char *said = folder_path("strace");
	char what[64], whom[16];
	pid_t self = getpid(), tracer;
	struct stat status;
	int out = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(out, 0);
	snprintf(what, sizeof what, "inject=accept4:error=%s:when=1..3", error);
	snprintf(whom, sizeof whom, "%d", (int)pid);
	tracer = fork();
	ck_assert_int_ge(tracer, 0);
	if (tracer == 0) {
		process_bind(self);
		dup2(out, STDERR_FILENO);
		execlp("strace", "strace", "-o", "/dev/null", "-e", "trace=accept4", "-e", what, "-p", whom, NULL);
		_exit(127);
	}
	close(out);
	/* "Process N attached", in a file that was empty. */
	until(stat(said, &status) == 0 && status.st_size > 0);
	return tracer;
}

START_TEST(whatever_accept_fails_with_it_is_tried_again)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp");
	pid_t tracer = inject(daemon->pid, accept_errors[_i]);
	char said[32];
	int fd = asked(port);

	snprintf(said, sizeof said, "accept %s", accept_errors[_i]);
	client_expect_text(fd, "hello");
	close(fd);
	kill(tracer, SIGTERM);
	process_wait(tracer);
	ck_assert_uint_eq(daemon_logged(daemon, said), 1);
	is_served(client_connect_port(port));
	daemon_stop(daemon);
}
END_TEST

static bool has_strace(void)
{
	return system("strace -o /dev/null true 2>/dev/null") == 0;
}

/* ---- no processes */

static void become(uid_t user)
{
	if (getuid() == 0 && (setgid(user) < 0 || setuid(user) < 0))
		_exit(126);
}

static void become_nobody(void)
{
	become(NOBODY);
}

/* A user who has no other processes, and may have some. */
#define PLACES 10
#define LONER (100000 + (uid_t)getppid())

static void become_loner(void)
{
	struct rlimit limit = { PLACES, PLACES };

	become(LONER);
	if (setrlimit(RLIMIT_NPROC, &limit) < 0)
		_exit(126);
}

static uid_t user_of(pid_t pid)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	ck_assert_int_eq(stat(path, &status), 0);
	return status.st_uid;
}

/* A process more of that user. */
static pid_t take_a_place(uid_t user)
{
	pid_t self = getpid(), child = fork();

	if (child == 0) {
		process_bind(self);
		become(user);
		for (;;)
			pause();
	}
	ck_assert_int_gt(child, 0);
	until(user_of(child) == user);
	return child;
}

START_TEST(a_worker_that_cannot_be_forked_is_forked_when_it_can)
{
	struct daemon *daemon =
		daemon_configure("'restart': { 'backoff_ms': 100, 'backoff_max_ms': 3600000 }, " ECHO("2", ""));
	unsigned port, i;
	pid_t others[PLACES];

	ck_assert_int_eq(chmod(folder_path("."), 0777), 0);
	daemon_launch(daemon, &(struct daemon_start){ .prepare = become_loner });
	daemon_await(daemon);
	port = daemon_port(daemon, "tcp");
	for (i = 0; i < PLACES; i++)
		others[i] = take_a_place(user_of(daemon->pid));
	kill(worker_pid(daemon, 0), SIGKILL);
	until(daemon_logged(daemon, "fork EAGAIN") > 0);
	ck_assert_uint_le(cpu_ms_of_a_second(daemon->pid), WATCHED_MS / 20);
	/* At 0, 100, 300, 700 and 1500 ms; and two for good measure. */
	ck_assert_uint_le(daemon_logged(daemon, "fork EAGAIN"), 7);
	for (i = 0; i < FEW; i++)
		is_served(client_connect_port(port));
	for (i = 0; i < PLACES; i++) {
		kill(others[i], SIGKILL);
		process_wait(others[i]);
	}
	until(daemon_ready(daemon) == 2);
	daemon_stop(daemon);
}
END_TEST

/* ---- workers that crash */

/* A start that can only fail does so in its time, and not by forking as fast as it can. */
START_TEST(a_program_that_crashes_at_once_is_tried_ever_more_slowly_and_the_start_fails)
{
	struct daemon *daemon =
		daemon_configure("'workers': 1, 'restart': { 'ready_timeout_ms': 2000 }, 'listeners': [],"
				 "'applications': { 'x': { 'exec': [ 'false' ] } }");

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_ge(daemon_logged(daemon, " started"), 2);
	/* 0, 100, 300, 700, 1500 ms: and one for good measure. */
	ck_assert_uint_le(daemon_logged(daemon, " started"), 6);
	ck_assert_uint_eq(daemon_logged(daemon, "application x: 0 of 1 workers were ready"), 1);
	daemon_free(daemon);
}
END_TEST

#define CROWD 4000
#define KILLS 40

/* Whoever can crash a worker with a request must not be able to slow the service down by that. */
START_TEST(workers_that_served_are_replaced_at_once_however_often_they_crash)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned kills = 0;
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 20, CROWD);
	while (crowd_turn(&crowd)) {
		long pid;

		if (crowd_ended(&crowd) < (kills + 1) * CROWD / (KILLS + 2))
			continue;
		pid = daemon_worker(daemon, kills % 2, "pid");
		if (pid > 0 && daemon_worker(daemon, kills % 2, "accepted") > 0 && kill((pid_t)pid, SIGKILL) == 0)
			kills++;
	}
	crowd_end(&crowd);
	ck_assert_uint_ge(kills, KILLS / 2);
	ck_assert_uint_eq(crowd.refused, 0);
	ck_assert_uint_le(crowd.failed, kills * 20);
	ck_assert_uint_eq(daemon_logged(daemon, "the next try is in"), 0);
	until(daemon_ready(daemon) == 2);
	daemon_stop(daemon);
}
END_TEST

#define MANY 64
#define ROUNDS 3

/* Signals that say nothing to a daemon, and one that it reacts to by doing nothing. */
static const int storm[] = { SIGCHLD, SIGWINCH, SIGUSR1, SIGURG, SIGPIPE };

static unsigned zombies_of(pid_t parent)
{
	char path[64], text[4096];
	unsigned found = 0;
	FILE *stream;
	char *at, *end;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(stream);
	text[fread(text, 1, sizeof text - 1, stream)] = '\0';
	fclose(stream);
	for (at = text;; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at)
			return found;
		found += process_state((pid_t)pid) == 'Z';
	}
}

static void kill_all(const struct daemon *daemon)
{
	pid_t pids[MANY];
	unsigned i;

	for (i = 0; i < MANY; i++)
		pids[i] = worker_pid(daemon, i);
	for (i = 0; i < MANY; i++) {
		kill(pids[i], SIGKILL);
		kill(daemon->pid, storm[i % (unsigned)COUNT_OF(storm)]);
	}
}

static long restarts(const struct daemon *daemon)
{
	long sum = 0;
	unsigned i;

	for (i = 0; i < MANY; i++)
		sum += daemon_worker(daemon, i, "restarts");
	return sum;
}

START_TEST(sixty_four_workers_killed_at_once_in_a_storm_of_signals_are_all_replaced)
{
	struct daemon *daemon = daemon_start("'restart': { 'backoff_ms': 1, 'backoff_max_ms': 10 }, " ECHO("64", ""));
	unsigned descriptors = process_descriptors(daemon->pid), round, i;

	for (round = 1; round <= ROUNDS; round++) {
		kill_all(daemon);
		for (i = 0; i < 10000; i++)
			kill(daemon->pid, storm[i % (unsigned)COUNT_OF(storm)]);
		until(restarts(daemon) == (long)(round * MANY) && daemon_ready(daemon) == MANY);
		ck_assert_uint_eq(zombies_of(daemon->pid), 0);
	}
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	until(daemon_is_idle(daemon));
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	/* So many may take longer than a stop gives them. */
	ck_assert_int_eq(kill(daemon->pid, SIGQUIT), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	daemon_free(daemon);
}
END_TEST

/* A machine that slept, a debugger: the workers are healthy, and nobody is killed for what the primary missed. */
START_TEST(a_primary_that_overslept_kills_nobody)
{
	struct daemon *daemon =
		daemon_start("'restart': { 'heartbeat_ms': 300, 'kill_timeout_ms': 100 }, " ECHO("2", ""));
	uint64_t end = clock_ms() + 2000;
	unsigned i;

	process_freeze(daemon->pid);
	while (clock_ms() < end)
		usleep(10000);
	kill(daemon->pid, SIGCONT);
	for (i = 0; i < FEW; i++)
		is_served(client_connect_port(daemon_port(daemon, "tcp")));
	ck_assert_int_eq(daemon_worker(daemon, 0, "restarts") + daemon_worker(daemon, 1, "restarts"), 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- addresses and files */

static const struct {
	const char *listener, *said;
} bad_addresses[] = {
	{ "{ 'name': 'web', 'host': '192.0.2.55', 'port': 8080, 'application': 'echo' }",
	  "listener web: bind EADDRNOTAVAIL 192.0.2.55:8080" },
	{ "{ 'name': 'web', 'host': '127.0.0.1', 'port': 81, 'application': 'echo' }",
	  "listener web: bind EACCES 127.0.0.1:81" },
	{ "{ 'name': 'web', 'path': 'nowhere/web.sock', 'application': 'echo' }", "listener web: bind ENOENT" },
};

static bool may_bind_low_ports(void)
{
	FILE *stream = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	int first = 1024;

	if (stream != NULL) {
		if (fscanf(stream, "%d", &first) != 1)
			first = 1024;
		fclose(stream);
	}
	return first <= 81;
}

START_TEST(an_address_that_cannot_be_had_is_named_with_its_listener_and_nothing_is_served)
{
	struct daemon *daemon;
	char text[512];

	if (_i == 1 && may_bind_low_ports())
		return;
	snprintf(text, sizeof text,
		 "'workers': 1, 'listeners': [ { 'path': 'good.sock', 'application': 'echo' }, %s ], " ECHO_APP,
		 bad_addresses[_i].listener);
	ck_assert_int_eq(chmod(folder_path("."), 0777), 0);
	daemon = daemon_configure(text);
	daemon_launch(daemon, &(struct daemon_start){ .prepare = become_nobody });
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_eq(daemon_logged(daemon, bad_addresses[_i].said), 1);
	ck_assert_uint_eq(daemon_logged(daemon, " started"), 0);
	ck_assert_int_eq(access(folder_path("good.sock"), F_OK), -1);
	daemon_free(daemon);
}
END_TEST

/* A file system of our own in which a file can be made and nothing written. */
static void fill_a_disk(void)
{
	static char page[4096];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("full", folder_path("full"), "tmpfs", 0, "size=16k,nr_inodes=16") < 0)
		_exit(126);
	fd = open(folder_path("full/ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && write(fd, page, sizeof page) > 0)
		;
}

START_TEST(a_full_disk_leaves_no_empty_pid_file_and_all_else_works)
{
	struct daemon *daemon = daemon_configure("'pid_file': 'full/pid', " ECHO("1", ""));
	char inside[256];

	ck_assert_int_eq(mkdir(folder_path("full"), 0755), 0);
	daemon_launch(daemon, &(struct daemon_start){ .prepare = fill_a_disk });
	daemon_await(daemon);
	ck_assert_uint_eq(daemon_logged(daemon, "full/pid: No space left on device"), 1);
	snprintf(inside, sizeof inside, "/proc/%d/root%s", (int)daemon->pid, folder_path("full/ballast"));
	ck_assert_int_eq(access(inside, F_OK), 0);
	snprintf(inside, sizeof inside, "/proc/%d/root%s", (int)daemon->pid, folder_path("full/pid"));
	ck_assert_int_eq(access(inside, F_OK), -1);
	strcat(inside, ".new");
	ck_assert_int_eq(access(inside, F_OK), -1);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

/* The file of the log is removed, its folder too: nobody notices but who reads it. */
START_TEST(a_log_that_is_removed_stops_nobody_and_comes_back_with_SIGUSR1)
{
	struct daemon *daemon = daemon_start("'log': { 'target': 'the.log' }, " ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");

	ck_assert_int_eq(unlink(folder_path("the.log")), 0);
	is_served(client_connect_port(port));
	kill(worker_pid(daemon, 0), SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 1);
	kill(daemon->pid, SIGUSR1);
	until(access(folder_path("the.log"), F_OK) == 0);
	is_served(client_connect_port(port));
	daemon_stop(daemon);
}
END_TEST

/* ---- secrets */

/* What /proc shows of a process belongs to its user, unless nobody may look into it: then to root. */
START_TEST(a_worker_that_gave_up_root_cannot_be_looked_into)
{
	struct daemon *daemon = daemon_start("'user': '65534', 'group': '65534', " ECHO("1", ""));
	pid_t worker = worker_pid(daemon, 0);
	struct stat status;
	char path[64];

	ck_assert_uint_eq(user_of(worker), 65534);
	snprintf(path, sizeof path, "/proc/%d/environ", (int)worker);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_uid, 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- process 1 of a container */

/* The process that is process 1 inside is the only child of the one that we started. */
static pid_t only_child(pid_t parent)
{
	char path[64];
	int child = 0;
	FILE *stream;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	stream = fopen(path, "re");
	if (stream == NULL || fscanf(stream, "%d", &child) != 1)
		child = 0;
	if (stream != NULL)
		fclose(stream);
	return child;
}

static volatile pid_t first;

static void pass_on(int signal)
{
	kill(first, signal);
}

/* As a container's runtime: the daemon is process 1 of its own, and this one waits for it. */
static void become_first(void)
{
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(126);
	signal(SIGTERM, pass_on);
	first = fork();
	if (first == 0)
		return;
	while (waitpid(first, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

#define ORPHANS                                                                                                        \
	"'listeners': [ " TCP("") " ], 'applications': { 'echo': { 'builtin': 'echo', 'workers': 1 }, 'x': { 'exec': " \
				  "[ 'sh', '-c', 'i=0; while [ $i -lt 20 ]; do (sleep 0.2 &); i=$((i+1)); done; "      \
				  "touch forked; while sleep 0.05; do [ -e end ] && exit 7; done' ], 'workers': 1 } }"

static unsigned children_of(pid_t pid)
{
	char path[64], text[4096];
	unsigned count = 0, i;
	FILE *stream;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(stream);
	text[fread(text, 1, sizeof text - 1, stream)] = '\0';
	fclose(stream);
	for (i = 0; text[i] != '\0'; i++)
		count += text[i] == ' ';
	return count;
}

/* Orphans come to process 1 to be reaped; its own children must not be mistaken for them. */
START_TEST(as_process_1_it_reaps_strangers_and_knows_its_own)
{
	struct daemon *daemon = daemon_configure(ORPHANS);
	pid_t inside;

	daemon_launch(daemon, &(struct daemon_start){ .prepare = become_first });
	until(access(folder_path("forked"), F_OK) == 0);
	inside = only_child(daemon->pid);
	ck_assert_int_gt(inside, 1);
	/* The echo, the shell, and what that waits for is the shell's. */
	until(children_of(inside) == 2 && zombies_of(inside) == 0);
	close(open(folder_path("end"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	until(daemon_logged(daemon, "exited with status 7") > 0);
	kill(daemon->pid, SIGTERM);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

static void add_limits(Suite *suite)
{
	TCase *tcase = add_case(suite, "limits");

	tcase_add_test(tcase, a_primary_without_descriptors_rests_answers_its_operator_and_goes_on);
	tcase_add_test(tcase, a_worker_without_descriptors_leaves_connections_to_the_others);
	if (has_strace())
		tcase_add_loop_test(tcase, whatever_accept_fails_with_it_is_tried_again, 0, COUNT_OF(accept_errors));
	else
		printf("no strace, or it may not trace: no failures of accept are injected\n");
	if (getuid() == 0)
		tcase_add_test(tcase, a_worker_that_cannot_be_forked_is_forked_when_it_can);
}

int main(void)
{
	Suite *suite = suite_create("failures");
	TCase *tcase;

	add_limits(suite);
	tcase = add_case(suite, "crashes");
	tcase_add_test(tcase, a_program_that_crashes_at_once_is_tried_ever_more_slowly_and_the_start_fails);
	tcase_add_test(tcase, workers_that_served_are_replaced_at_once_however_often_they_crash);
	tcase_add_test(tcase, sixty_four_workers_killed_at_once_in_a_storm_of_signals_are_all_replaced);
	tcase_add_test(tcase, a_primary_that_overslept_kills_nobody);
	tcase = add_case(suite, "addresses and files");
	tcase_add_loop_test(tcase, an_address_that_cannot_be_had_is_named_with_its_listener_and_nothing_is_served, 0,
			    COUNT_OF(bad_addresses));
	tcase_add_test(tcase, a_log_that_is_removed_stops_nobody_and_comes_back_with_SIGUSR1);
	if (getuid() == 0) {
		tcase_add_test(tcase, a_full_disk_leaves_no_empty_pid_file_and_all_else_works);
		tcase_add_test(tcase, a_worker_that_gave_up_root_cannot_be_looked_into);
		tcase = add_case(suite, "process 1");
		tcase_add_test(tcase, as_process_1_it_reaps_strangers_and_knows_its_own);
	} else {
		printf("not root: no full disk, no container\n");
	}
	return run_suite(suite);
}
