/* tests/cluster/test_upgrade.c - another musterd takes the place of the one that runs, or does not, and no client notices. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/http.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define SOON "'restart': { 'ready_timeout_ms': 500 }, "

/* ---- a program that can be replaced */

static const char *program, *next, *broken_program;

static void link_program(const char *target)
{
	unlink(next);
	ck_assert_int_eq(symlink(target, next), 0);
	ck_assert_int_eq(rename(next, program), 0);
}

/* Upgraded daemons are their predecessors' children: whoever is left becomes ours. */
static struct daemon *start(const char *text)
{
	struct daemon *daemon;

	program = folder_path("musterd");
	next = folder_path("next");
	broken_program = folder_path("broken");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	link_program(MUSTERD);
	daemon = daemon_configure(text);
	daemon_launch(daemon, &(struct daemon_start){ .program = program });
	daemon_await(daemon);
	return daemon;
}

static void write_program(const char *text)
{
	int fd = open(broken_program, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	link_program(broken_program);
}

/* musterctl upgrade --wait, which must end with `status`. What it said lasts until the next. */
static const struct ended *upgrade(const struct daemon *daemon, int status)
{
	static struct ended ended;

	run(&ended, MUSTERCTL, "-s", daemon->control, "upgrade", "--wait");
	ck_assert_msg(ended.status == status, "%d: %s", ended.status, ended.err);
	return &ended;
}

/* The daemon is another process now; the one before it ends, with 0. */
static void follow(struct daemon *daemon, pid_t before)
{
	pid_t heir;

	until((heir = (pid_t)daemon_number(daemon, "pid")) > 0 && heir != before);
	ck_assert_int_eq(process_wait(before), 0);
	daemon->pid = heir;
}

static pid_t pid_in(const char *name)
{
	FILE *stream = fopen(folder_path(name), "re");
	int pid = 0;

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_eq(fscanf(stream, "%d", &pid), 1);
	fclose(stream);
	return pid;
}

/* ---- what an upgrade keeps */

static const char *const policies[] = {
	ECHO("2", ", 'policy': 'round-robin'"),
	ECHO("2", ", 'policy': 'least-connections'"),
	ECHO("2", ", 'policy': 'shared'"),
};

/* Each asks on a connection of his own: at the port that both have, one of the two answers. */
START_TEST(the_status_is_served_through_an_upgrade)
{
	static struct answer answer;
	unsigned port = client_free_port();
	char text[256], heir[32];
	struct daemon *daemon;
	pid_t before;

	snprintf(text, sizeof text, "'status': { 'port': %u }, %s", port, ECHO("1", ""));
	daemon = start(text);
	before = daemon->pid;
	kill(before, SIGUSR2);
	do {
		http_get(&answer, client_connect_port(port), "/status");
		ck_assert_int_eq(answer.status, 200);
	} while (daemon_number(daemon, "pid") == before);
	follow(daemon, before);
	snprintf(heir, sizeof heir, "\"pid\":%d,", (int)daemon->pid);
	http_get(&answer, client_connect_port(port), "/status");
	ck_assert_msg(strstr(answer.body, heir) != NULL, "no %s in %s", heir, answer.body);
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_upgrade_keeps_sockets_and_connections)
{
	struct daemon *daemon = start(policies[_i]);
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid);
	pid_t before = daemon->pid;
	int fd = client_connected(port);

	upgrade(daemon, 0);
	until(daemon_number(daemon, "pid") != before);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	client_talk(fd, "still there?");
	close(client_connected(port));
	close(fd);
	follow(daemon, before);
	ck_assert_uint_eq(daemon_ready(daemon), 2);
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	daemon_stop(daemon);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
}
END_TEST

START_TEST(paths_and_pid_file_are_the_new_ones_and_go_with_it)
{
	struct daemon *daemon =
		start("'pid_file': 'pid', 'workers': 1, 'listeners': [ { 'name': 'path', 'path': 'echo.sock', "
		      "'application': 'echo' } ], " ECHO_APP);
	pid_t before = daemon->pid;
	struct stat one, other;
	char *control = strdup(daemon->control);
	int fd;

	ck_assert_int_eq(stat(folder_path("echo.sock"), &one), 0);
	upgrade(daemon, 0);
	follow(daemon, before);
	ck_assert_int_eq(stat(folder_path("echo.sock"), &other), 0);
	ck_assert(one.st_ino == other.st_ino);
	ck_assert_int_eq(pid_in("pid"), daemon->pid);
	fd = client_connect_path(folder_path("echo.sock"));
	client_talk(fd, "hello");
	close(fd);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("echo.sock"), F_OK), -1);
	ck_assert_int_eq(access(folder_path("pid"), F_OK), -1);
	ck_assert_int_eq(access(control, F_OK), -1);
	free(control);
}
END_TEST

START_TEST(what_waits_in_the_queue_is_served_by_the_new_daemon)
{
	struct daemon *daemon = start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t before = daemon->pid, worker = (pid_t)daemon_worker(daemon, 0, "pid");
	int fds[40];

	process_freeze(worker);
	for (i = 0; i < 40; i++) {
		fds[i] = client_connect_port(port);
		client_send_text(fds[i], "hello");
	}
	upgrade(daemon, 0);
	kill(worker, SIGKILL);
	for (i = 0; i < 40; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
	follow(daemon, before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_upgraded_daemon_upgrades_reloads_and_has_the_new_configuration)
{
	struct daemon *daemon = start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t before;

	for (i = 2; i < 5; i++) {
		char text[256];

		snprintf(text, sizeof text, ECHO("%u", ""), i);
		daemon_rewrite(daemon, text);
		before = daemon->pid;
		ck_assert_int_eq(kill(before, SIGUSR2), 0);
		follow(daemon, before);
		ck_assert_uint_eq(daemon_ready(daemon), i);
		ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
		until(daemon_number(daemon, "generation") == 2);
		close(client_connected(port));
	}
	daemon_stop(daemon);
}
END_TEST

/* ---- what an upgrade survives */

#define WHEN_CHECKED "#!/bin/sh\nfor word; do [ \"$word\" != -t ] || exit 0; done\n"

static const struct {
	const char *program, *said;
} broken[] = {
	{ "\177ELF is not all that it takes", "Exec format error" },
	{ "#!/nowhere/interpreter\n", "No such file or directory" },
	{ "#!/bin/sh\necho there is no such option >&2; exit 3\n", "there is no such option" },
	{ "#!/bin/sh\nkill -SEGV $$\n", "killed by signal 11 while it checked" },
	{ WHEN_CHECKED "exit 7\n", "ended with status 7 before it served" },
	{ WHEN_CHECKED "kill -ABRT $$\n", "killed by signal 6 before it served" },
	{ WHEN_CHECKED "exec sleep 1000\n", "was not ready in time" },
};

START_TEST(a_broken_program_leaves_the_daemon_as_it_was)
{
	struct daemon *daemon = start("'pid_file': 'pid', " SOON ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid);
	pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid"), before = daemon->pid;
	int fd = client_connected(port);

	write_program(broken[_i].program);
	expect_part(upgrade(daemon, 1)->err, broken[_i].said);
	ck_assert_uint_eq(daemon_logged(daemon, broken[_i].said), 1);
	ck_assert_int_eq(daemon_number(daemon, "pid"), before);
	ck_assert_int_eq(daemon_worker(daemon, 0, "pid"), worker);
	ck_assert_int_eq(pid_in("pid"), before);
	client_talk(fd, "still there?");
	close(fd);
	close(client_connected(port));
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	/* And the next one is fine. */
	link_program(MUSTERD);
	upgrade(daemon, 0);
	follow(daemon, before);
	close(client_connected(port));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_broken_configuration_refuses_an_upgrade)
{
	struct daemon *daemon = start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");

	daemon_rewrite(daemon, "'wrokers': 1, " ECHO("1", ""));
	expect_part(upgrade(daemon, 1)->err, "did you mean \"workers\"?");
	close(client_connected(port));
	daemon_stop(daemon);
}
END_TEST

#define NEVER_READY(first)                                                                                             \
	first "'listeners': [ " TCP("") " ], 'applications': { "                                                       \
					"'echo': { 'exec': ['/bin/sleep', '1000'], 'workers': 1 } }"

/* The new daemon says so itself. */
START_TEST(workers_that_are_never_ready_end_an_upgrade)
{
	struct daemon *daemon = start(SOON ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");

	daemon_rewrite(daemon, NEVER_READY(SOON));
	expect_part(upgrade(daemon, 1)->err, "ended with status 1 before it served");
	ck_assert_uint_eq(daemon_logged(daemon, "the workers were not ready within 500 ms"), 1);
	close(client_connected(port));
	daemon_stop(daemon);
}
END_TEST

/* ---- at the wrong time */

static pid_t start_waiting(const struct daemon *daemon, const char *command)
{
	pid_t self = getpid(), child = fork();

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	process_bind(self);
	close(STDERR_FILENO);
	execl(MUSTERCTL, "musterctl", "-s", daemon->control, command, "--wait", NULL);
	_exit(127);
}

START_TEST(what_is_asked_for_during_an_upgrade_is_refused_or_waits)
{
	struct daemon *daemon = start(SOON ECHO("1", ""));
	pid_t first, reload;

	write_program(WHEN_CHECKED "exec sleep 1000\n");
	first = start_waiting(daemon, "upgrade");
	until(daemon_logged(daemon, "upgrade: starting") == 1);
	expect_part(upgrade(daemon, 1)->err, "an upgrade is under way");
	daemon_rewrite(daemon, ECHO("2", ""));
	reload = start_waiting(daemon, "reload");
	ck_assert_int_eq(process_wait(first), 1);
	ck_assert_int_eq(process_wait(reload), 0);
	ck_assert_int_eq(daemon_number(daemon, "generation"), 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(no_upgrade_begins_during_a_reload)
{
	struct daemon *daemon = start(ECHO("1", ""));

	daemon_rewrite(daemon, NEVER_READY(SOON));
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "generation 2: starting") == 1);
	expect_part(upgrade(daemon, 1)->err, "a reload is under way");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_stop_in_the_middle_of_an_upgrade_ends_both)
{
	struct daemon *daemon = start(ECHO("1", ""));
	pid_t waiting;

	write_program(WHEN_CHECKED "echo $$ > heir; exec sleep 1000\n");
	ck_assert_int_eq(chdir(folder_path("")), 0);
	waiting = start_waiting(daemon, "upgrade");
	until(daemon_logged(daemon, "upgrade: starting") == 1);
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_int_eq(process_wait(waiting), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(another_upgrade_waits_until_the_daemon_before_is_gone)
{
	struct daemon *daemon = start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");
	pid_t before = daemon->pid;
	int fd = client_connected(port);

	upgrade(daemon, 0);
	until(daemon_number(daemon, "pid") != before);
	expect_part(upgrade(daemon, 1)->err, "the daemon before this one still drains");
	close(fd);
	follow(daemon, before);
	before = daemon->pid;
	until(daemon_logged(daemon, "the daemon before this one is gone") == 1);
	upgrade(daemon, 0);
	follow(daemon, before);
	daemon_stop(daemon);
}
END_TEST

/* ---- all of it */

#define CLIENTS 6000

/* A worker dies when nobody is talking to it: those who come then must not notice. */
static void kill_a_worker(const struct daemon *daemon, struct crowd *crowd, unsigned port)
{
	long pid = daemon_worker(daemon, 0, "pid");

	while (crowd_turn(crowd))
		;
	ck_assert_uint_eq(crowd->answered, crowd->total);
	crowd_end(crowd);
	if (pid > 0)
		kill((pid_t)pid, SIGKILL);
	crowd_begin(crowd, port, 20, CLIENTS);
}

static void turn_until(struct crowd *crowd, unsigned port, unsigned more)
{
	unsigned goal = crowd_ended(crowd) + more;

	while (crowd_ended(crowd) < goal)
		if (!crowd_turn(crowd)) {
			ck_assert_uint_eq(crowd->answered, crowd->total);
			crowd_end(crowd);
			crowd_begin(crowd, port, 20, CLIENTS);
			goal = more;
		}
}

/* What step `step` does; every kind of thing comes along, each often. */
static void do_something(struct daemon *daemon, struct crowd *crowd, unsigned port, unsigned step)
{
	pid_t before = daemon->pid;
	long generation;

	switch (step % 12) {
	case 3:
	case 11: kill_a_worker(daemon, crowd, port); break;
	case 5:
		daemon_rewrite(daemon, "'wrokers': 1, " ECHO("1", ""));
		kill(daemon->pid, SIGHUP);
		until(daemon_logged(daemon, "did you mean \"workers\"?") > step / 12);
		break;
	case 7:
		write_program("garbage");
		kill(daemon->pid, SIGUSR2);
		until(daemon_logged(daemon, "this daemon goes on") > step / 12);
		link_program(MUSTERD);
		break;
	case 9:
		kill(daemon->pid, SIGUSR2);
		while (daemon_number(daemon, "pid") == before)
			turn_until(crowd, port, 20);
		while (process_lives(before))
			turn_until(crowd, port, 20);
		follow(daemon, before);
		break;
	default:
		daemon_rewrite(daemon, policies[step % COUNT_OF(policies)]);
		generation = daemon_number(daemon, "generation");
		kill(daemon->pid, SIGHUP);
		while (daemon_number(daemon, "generation") == generation)
			turn_until(crowd, port, 20);
	}
}

START_TEST(fifty_reloads_kills_upgrades_and_mistakes_lose_no_request)
{
	struct daemon *daemon = start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp"), step;
	struct crowd crowd;

	crowd_begin(&crowd, port, 20, CLIENTS);
	for (step = 0; step < 88; step++) {
		do_something(daemon, &crowd, port, step);
		turn_until(&crowd, port, 20);
	}
	while (crowd_turn(&crowd))
		;
	ck_assert_uint_eq(crowd.answered, crowd.total);
	crowd_end(&crowd);
	daemon_stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upgrade");
	TCase *tcase = add_case(suite, "what it keeps");

	tcase_add_test(tcase, the_status_is_served_through_an_upgrade);
	tcase_add_loop_test(tcase, an_upgrade_keeps_sockets_and_connections, 0, COUNT_OF(policies));
	tcase_add_test(tcase, paths_and_pid_file_are_the_new_ones_and_go_with_it);
	tcase_add_test(tcase, what_waits_in_the_queue_is_served_by_the_new_daemon);
	tcase_add_test(tcase, an_upgraded_daemon_upgrades_reloads_and_has_the_new_configuration);
	tcase = add_case(suite, "what it survives");
	tcase_add_loop_test(tcase, a_broken_program_leaves_the_daemon_as_it_was, 0, COUNT_OF(broken));
	tcase_add_test(tcase, a_broken_configuration_refuses_an_upgrade);
	tcase_add_test(tcase, workers_that_are_never_ready_end_an_upgrade);
	tcase = add_case(suite, "at the wrong time");
	tcase_add_test(tcase, what_is_asked_for_during_an_upgrade_is_refused_or_waits);
	tcase_add_test(tcase, no_upgrade_begins_during_a_reload);
	tcase_add_test(tcase, a_stop_in_the_middle_of_an_upgrade_ends_both);
	tcase_add_test(tcase, another_upgrade_waits_until_the_daemon_before_is_gone);
	tcase = add_case(suite, "all of it");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, fifty_reloads_kills_upgrades_and_mistakes_lose_no_request);
	return run_suite(suite);
}
