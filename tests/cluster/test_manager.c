/* tests/cluster/test_manager.c - musterd as a service: what its manager hears, and what it is passed. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/manager.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACTIVATED(keys) "{ 'name': 'web', 'fd_name': 'activated', 'application': 'echo' " keys "}"

static int manager = -1;
static struct heard heard;

static void set_up(void)
{
	manager = manager_open(folder_path("notify"));
}

static void tear_down(void)
{
	close(manager);
}

static void is_served(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

static const char *notify(void)
{
	return manager_variable(folder_path("notify"));
}

/* ---- what is told */

START_TEST(it_is_ready_when_its_workers_are_and_its_pid_file_is_written)
{
	struct daemon *daemon = daemon_configure("'pid_file': 'pid', " ECHO("3", ""));
	const char *variables[] = { notify(), NULL };
	struct stat status;

	daemon_launch(daemon, &(struct daemon_start){ .variables = variables });
	manager_await(manager, "READY=1", &heard);
	ck_assert_str_eq(heard.text, "READY=1");
	ck_assert_uint_eq(daemon_ready(daemon), 3);
	ck_assert_int_eq(stat(folder_path("pid"), &status), 0);
	ck_assert_int_gt(status.st_size, 0);
	daemon_stop(daemon);
}
END_TEST

START_TEST(its_status_counts_workers_and_connections)
{
	const char *variables[] = { notify(), NULL };
	struct daemon *daemon = daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .variables = variables });
	int fd;

	manager_await(manager, "STATUS=serving: 2 of 2 workers ready, 0 connections", &heard);
	fd = client_connect_port(daemon_port(daemon, "tcp"));
	manager_await(manager, "STATUS=serving: 2 of 2 workers ready, 1 connections", &heard);
	close(fd);
	daemon_stop(daemon);
}
END_TEST

/* Systemd takes the word for final. */
START_TEST(its_end_is_told_and_drains_for_longer_than_the_manager_knows)
{
	const char *variables[] = { notify(), NULL };
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .variables = variables });
	int fd = client_connect_port(daemon_port(daemon, "tcp"));

	client_send_text(fd, "x");
	client_expect_text(fd, "x");
	kill(daemon->pid, SIGQUIT);
	manager_await(manager, "STOPPING=1", &heard);
	manager_await(manager, "EXTEND_TIMEOUT_USEC=10000000", &heard);
	manager_await(manager, "STATUS=draining", &heard);
	manager_await(manager, "EXTEND_TIMEOUT_USEC=10000000", &heard);
	close(fd);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	while (manager_has_heard(manager, &heard))
		ck_assert_int_ne(strncmp(heard.text, "STOPPING", 8), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_start_that_fails_says_so_and_is_never_ready)
{
	struct daemon *daemon = daemon_configure("'listeners': [ " ACTIVATED("") " ], " ECHO_APP);
	const char *variables[] = { notify(), NULL };

	daemon_launch(daemon, &(struct daemon_start){ .variables = variables });
	ck_assert_int_eq(daemon_wait(daemon), 1);
	manager_hear(manager, &heard);
	ck_assert_str_eq(
		heard.text,
		"STATUS=could not start: listener web: no socket named activated was passed to musterd: is there a "
		".socket unit with FileDescriptorName=activated?");
	ck_assert(!manager_has_heard(manager, &heard));
	daemon_free(daemon);
}
END_TEST

START_TEST(a_manager_that_reads_nothing_holds_nothing_up)
{
	const char *variables[] = { notify(), "WATCHDOG_USEC=2000", NULL };
	struct daemon *daemon = daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .variables = variables });
	unsigned i, heard_of_it = 0;

	for (i = 0; i < 20; i++)
		is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill(daemon->pid, SIGTERM);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	while (manager_has_heard(manager, &heard))
		heard_of_it++;
	ck_assert_uint_gt(heard_of_it, 0);
	daemon_free(daemon);
}
END_TEST

static bool is_waiting(const struct daemon *daemon)
{
	long pid = daemon_worker(daemon, 0, "pid");

	if (pid > 0)
		kill((pid_t)pid, SIGKILL);
	return daemon_ready(daemon) == 0 && daemon_worker(daemon, 0, "pid") < 0;
}

/* Several of its times, in which nothing may come. */
static bool is_silent(const char *text, int ms)
{
	struct pollfd wait = { .fd = manager, .events = POLLIN };
	uint64_t end = clock_ms() + (unsigned)ms;

	while (clock_ms() < end)
		if (poll(&wait, 1, ms) == 1 && manager_has_heard(manager, &heard) && strcmp(heard.text, text) == 0)
			return false;
	return true;
}

START_TEST(the_watchdog_hears_of_it_while_somebody_serves)
{
	const char *variables[] = { notify(), "WATCHDOG_USEC=100000", NULL };
	struct daemon *daemon =
		daemon_start_with("'restart': { 'backoff_ms': 3600000, 'backoff_max_ms': 3600000 }, " ECHO("1", ""),
				  &(struct daemon_start){ .variables = variables });
	unsigned i;

	for (i = 0; i < 5; i++)
		manager_await(manager, "WATCHDOG=1", &heard);
	until(is_waiting(daemon));
	manager_await(manager, "STATUS=serving: 0 of 1", &heard);
	ck_assert(is_silent("WATCHDOG=1", 500));
	kill(daemon->pid, SIGTERM);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_reload_is_told_when_it_begins_and_when_it_is_over)
{
	const char *variables[] = { notify(), NULL };
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .variables = variables });

	manager_await(manager, "READY=1", &heard);
	daemon_rewrite(daemon, ECHO("2", ""));
	kill(daemon->pid, SIGHUP);
	manager_await(manager, "RELOADING=1\nMONOTONIC_USEC=", &heard);
	manager_await(manager, "STATUS=serving: 2 of 2 workers ready, 0 connections", &heard);
	manager_await(manager, "READY=1", &heard);
	daemon_rewrite(daemon, "'workers': 0");
	kill(daemon->pid, SIGHUP);
	manager_await(manager, "RELOADING=1\nMONOTONIC_USEC=", &heard);
	manager_await(manager, "STATUS=serving: 2 of 2 workers ready, 0 connections; reload failed: ", &heard);
	manager_hear(manager, &heard);
	ck_assert_str_eq(heard.text, "READY=1");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_watchdog_of_another_process_is_not_ours)
{
	const char *variables[] = { notify(), "WATCHDOG_USEC=20000", "WATCHDOG_PID=1", NULL };
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .variables = variables });

	daemon_stop(daemon);
	while (manager_has_heard(manager, &heard))
		ck_assert_str_ne(heard.text, "WATCHDOG=1");
}
END_TEST

/* ---- what is passed */

static int passed[3]; /* -1: none */
static const char *passed_names;

/* In the child: they become 3, 4 and so on, and the rest is closed. */
static void pass(void)
{
	char number[16];
	int count = 0, i, high[3];

	for (i = 0; i < 3; i++)
		high[i] = passed[i] >= 0 ? fcntl(passed[i], F_DUPFD, 100) : -1;
	for (i = 0; i < 3; i++)
		if (high[i] >= 0)
			dup2(high[i], 3 + count++);
	close_range(3 + (unsigned)count, ~0u, 0);
	snprintf(number, sizeof number, "%d", count);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	if (passed_names != NULL)
		setenv("LISTEN_FDNAMES", passed_names, 1);
}

static struct daemon *start_with(const char *text, const char *const *variables, const char *names, int a, int b, int c)
{
	passed[0] = a;
	passed[1] = b;
	passed[2] = c;
	passed_names = names;
	return daemon_start_with(text, &(struct daemon_start){ .prepare = pass, .variables = variables });
}

static struct daemon *start_passing(const char *text, const char *names, int a, int b, int c)
{
	return start_with(text, NULL, names, a, b, c);
}

START_TEST(a_socket_is_found_by_its_name_and_served)
{
	int other = client_listen(8), web = client_listen(8), client = client_connect_port(client_port_of(web));
	struct daemon *daemon =
		start_passing("'listeners': [ " ACTIVATED("") " ], " ECHO_APP, "other:activated", other, web, -1);
	unsigned port = client_port_of(web);

	close(web);
	is_served(client); /* it was queued before there was a daemon */
	is_served(client_connect_port(port));
	ck_assert_uint_eq(daemon_port(daemon, "web"), port);
	ck_assert_uint_eq(daemon_logged(daemon, "a socket (other) was passed to musterd that no listener wants"), 1);
	daemon_stop(daemon);
	close(other);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
}
END_TEST

START_TEST(a_socket_is_found_by_its_place)
{
	int web = client_listen(8);
	char text[256];
	struct daemon *daemon;
	unsigned port = client_port_of(web);

	snprintf(
		text, sizeof text,
		"'listeners': [ { 'name': 'web', 'host': '127.0.0.1', 'port': %u, 'application': 'echo' } ], " ECHO_APP,
		port);
	daemon = start_passing(text, NULL, web, -1, -1);
	is_served(client_connect_port(port));
	daemon_stop(daemon);
	/* It is still here, as it would be at the manager. */
	ck_assert_int_eq(client_try_port(port), 0);
	close(web);
}
END_TEST

static void serves_with_policy(const char *policy)
{
	int web = client_listen(8);
	char text[256];
	struct daemon *daemon;
	unsigned port = client_port_of(web), i;

	snprintf(text, sizeof text, "'workers': 2, 'listeners': [ " ACTIVATED(", 'policy': '%s' ") " ], " ECHO_APP,
		 policy);
	daemon = start_passing(text, "activated", web, -1, -1);
	close(web);
	for (i = 0; i < 10; i++)
		is_served(client_connect_port(port));
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}

START_TEST(each_policy_serves_a_socket_that_was_passed)
{
	static const char *const policies[] = { "round-robin", "least-connections", "shared" };

	serves_with_policy(policies[_i]);
}
END_TEST

static int listen_path(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(fd >= 0 && strlen(path) < sizeof un.sun_path);
	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

START_TEST(the_path_of_a_socket_that_was_passed_is_not_ours_to_remove)
{
	const char *path = folder_path("web.sock");
	int web = listen_path(path);
	struct daemon *daemon =
		start_passing("'listeners': [ " ACTIVATED("") " ], " ECHO_APP, "activated", web, -1, -1);
	struct stat status;

	is_served(client_connect_path(path));
	daemon_stop(daemon);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(client_try_path(path), 0);
	close(web);
}
END_TEST

START_TEST(what_is_no_socket_is_closed_and_the_rest_served)
{
	int web = client_listen(8), file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct daemon *daemon =
		start_passing("'listeners': [ " ACTIVATED("") " ], " ECHO_APP, "file:activated", file, web, -1);

	is_served(client_connect_port(client_port_of(web)));
	ck_assert_uint_eq(daemon_logged(daemon, "descriptor 3 (file) was passed to musterd, but is no socket"), 1);
	daemon_stop(daemon);
	close(file);
	close(web);
}
END_TEST

static void pass_to_another(void)
{
	pass();
	setenv("LISTEN_PID", "1", 1);
}

START_TEST(what_was_passed_to_another_process_is_left_alone)
{
	int web = client_listen(8);
	struct daemon *daemon = daemon_configure("'listeners': [ " ACTIVATED("") " ], " ECHO_APP);

	passed[0] = web;
	passed[1] = passed[2] = -1;
	passed_names = "activated";
	daemon_launch(daemon, &(struct daemon_start){ .prepare = pass_to_another });
	ck_assert_int_eq(daemon_wait(daemon), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "no socket named activated"), 1);
	daemon_free(daemon);
	close(web);
}
END_TEST

static bool file_has(const char *path, const char *text)
{
	char all[16384] = "";
	FILE *stream = fopen(path, "re");

	if (stream == NULL)
		return false;
	all[fread(all, 1, sizeof all - 1, stream)] = '\0';
	fclose(stream);
	return strstr(all, text) != NULL;
}

START_TEST(programs_learn_nothing_of_the_manager)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "FDSTORE" };
	const char *variables[] = { notify(), "WATCHDOG_USEC=30000000", "FDSTORE=4", "LISTEN_PIDFDID=0", NULL };
	const char *out = folder_path("environment");
	struct daemon *daemon = daemon_configure(
		"'restart': { 'ready_timeout_ms': 60000 }, 'listeners': [], 'applications': { 'x': { "
		"'exec': [ 'sh', '-c', 'env > environment.new; mv environment.new environment; exec sleep 60' ], 'workers': 1 } }");
	size_t i;

	passed[0] = passed[1] = passed[2] = -1;
	passed_names = "";
	daemon_launch(daemon, &(struct daemon_start){ .prepare = pass, .variables = variables });
	until(file_has(out, "NODE_UNIQUE_ID=1"));
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		ck_assert_msg(!file_has(out, names[i]), "%s is there", names[i]);
	kill(daemon->pid, SIGTERM);
	process_wait(daemon->pid);
	daemon_free(daemon);
}
END_TEST

/* ---- what is kept */

START_TEST(a_daemon_that_is_killed_loses_no_connection_that_waits)
{
	const char *variables[] = { notify(), "FDSTORE=4", NULL };
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .variables = variables });
	unsigned port = daemon_port(daemon, "tcp");
	int kept, client;

	manager_await(manager, "FDSTORE=1\nFDNAME=musterd/tcp\nFDPOLL=0", &heard);
	kept = heard.fd;
	ck_assert_int_ge(kept, 0);
	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(process_wait(daemon->pid), 128 + SIGKILL);
	daemon_free(daemon);
	client = client_connect_port(port);
	client_send_text(client, "hel");
	daemon = start_with(ECHO("1", ""), variables, "musterd/tcp", kept, -1, -1);
	close(kept);
	client_send_text(client, "lo");
	client_expect_text(client, "hello");
	close(client);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_socket_that_was_kept_for_a_listener_that_is_no_more_is_forgotten)
{
	const char *variables[] = { notify(), "FDSTORE=4", NULL };
	int kept = client_listen(1);
	struct daemon *daemon = start_with(ECHO("1", ""), variables, "musterd/old:stored", kept, kept, -1);

	manager_await(manager, "FDSTOREREMOVE=1\nFDNAME=musterd/old", &heard);
	manager_await(manager, "FDSTOREREMOVE=1\nFDNAME=stored", &heard);
	daemon_stop(daemon);
	close(kept);
}
END_TEST

START_TEST(a_path_that_was_kept_goes_with_its_socket)
{
	static const char text[] =
		"'listeners': [ { 'name': 'unix', 'path': 'web.sock', 'application': 'echo' } ], " ECHO_APP;
	const char *variables[] = { notify(), "FDSTORE=4", NULL }, *path = folder_path("web.sock");
	struct daemon *daemon = daemon_start_with(text, &(struct daemon_start){ .variables = variables });
	struct stat before, after;
	int kept;

	manager_await(manager, "FDSTORE=1\nFDNAME=musterd/unix", &heard);
	kept = heard.fd;
	ck_assert_int_eq(stat(path, &before), 0);
	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(process_wait(daemon->pid), 128 + SIGKILL);
	daemon_free(daemon);
	daemon = start_with(text, variables, "musterd/unix", kept, -1, -1);
	close(kept);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	is_served(client_connect_path(path));
	daemon_stop(daemon);
	ck_assert_int_lt(stat(path, &after), 0);
}
END_TEST

START_TEST(a_reload_keeps_what_is_new_and_forgets_what_is_gone)
{
	const char *variables[] = { notify(), "FDSTORE=4", NULL };
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .variables = variables });

	manager_await(manager, "FDSTORE=1\nFDNAME=musterd/tcp\n", &heard);
	close(heard.fd);
	daemon_rewrite(
		daemon,
		"'listeners': [ { 'name': 'new', 'host': '127.0.0.1', 'port': 0, 'application': 'echo' } ], " ECHO_APP);
	kill(daemon->pid, SIGHUP);
	manager_await(manager, "FDSTORE=1\nFDNAME=musterd/new\n", &heard);
	close(heard.fd);
	manager_await(manager, "FDSTOREREMOVE=1\nFDNAME=musterd/tcp", &heard);
	daemon_rewrite(daemon, ECHO("1", ""));
	kill(daemon->pid, SIGHUP);
	manager_await(manager, "FDSTORE=1\nFDNAME=musterd/tcp\n", &heard);
	close(heard.fd);
	manager_await(manager, "FDSTOREREMOVE=1\nFDNAME=musterd/new", &heard);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_socket_that_was_passed_survives_reloads)
{
	int web = client_listen(8);
	struct daemon *daemon =
		start_passing("'listeners': [ " ACTIVATED("") " ], " ECHO_APP, "activated", web, -1, -1);
	unsigned port = client_port_of(web), i;

	close(web);
	for (i = 2; i < 5; i++) {
		kill(daemon->pid, SIGHUP);
		until(daemon_logged(daemon, "serves") == i);
		is_served(client_connect_port(port));
	}
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_socket_that_was_passed_is_not_kept_twice)
{
	const char *variables[] = { notify(), "FDSTORE=4", NULL };
	int web = client_listen(1);
	struct daemon *daemon = start_with("'listeners': [ " TCP("") ", " ACTIVATED("") " ], " ECHO_APP, variables,
					   "activated", web, -1, -1);

	daemon_stop(daemon);
	close(web);
	while (manager_has_heard(manager, &heard)) {
		ck_assert_ptr_null(strstr(heard.text, "musterd/web"));
		if (heard.fd >= 0)
			close(heard.fd);
	}
}
END_TEST

/* ---- a real one, as far as it goes without a machine of its own */

#define ACTIVATE "/usr/bin/systemd-socket-activate"

/* Its listening address is the only thing it needs to be told. */
static pid_t activate(const struct daemon *daemon, const char *address)
{
	pid_t self = getpid(), child = fork();
	int log;

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	process_bind(self);
	log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(log, STDERR_FILENO);
	execl(ACTIVATE, ACTIVATE, "-l", address, "--fdname=activated", MUSTERD, "-c", daemon->file, NULL);
	_exit(127);
}

START_TEST(systemd_starts_it_at_the_first_connection)
{
	const char *path = folder_path("web.sock");
	struct daemon *daemon = daemon_configure("'listeners': [ " ACTIVATED("") " ], " ECHO_APP);
	int client;

	daemon->pid = activate(daemon, path);
	until(client_try_path(path) == 0);
	client = client_connect_path(path);
	is_served(client);
	daemon_await(daemon);
	daemon_stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster/manager");
	TCase *telling = add_case(suite, "telling");
	TCase *passing = add_case(suite, "passing");
	TCase *keeping = add_case(suite, "keeping");

	tcase_add_checked_fixture(telling, set_up, tear_down);
	tcase_add_checked_fixture(passing, set_up, tear_down);
	tcase_add_checked_fixture(keeping, set_up, tear_down);
	tcase_add_test(telling, it_is_ready_when_its_workers_are_and_its_pid_file_is_written);
	tcase_add_test(telling, its_status_counts_workers_and_connections);
	tcase_add_test(telling, its_end_is_told_and_drains_for_longer_than_the_manager_knows);
	tcase_add_test(telling, a_start_that_fails_says_so_and_is_never_ready);
	tcase_add_test(telling, a_manager_that_reads_nothing_holds_nothing_up);
	tcase_add_test(telling, the_watchdog_hears_of_it_while_somebody_serves);
	tcase_add_test(telling, a_reload_is_told_when_it_begins_and_when_it_is_over);
	tcase_add_test(telling, a_watchdog_of_another_process_is_not_ours);
	tcase_add_test(passing, a_socket_is_found_by_its_name_and_served);
	tcase_add_test(passing, a_socket_is_found_by_its_place);
	tcase_add_loop_test(passing, each_policy_serves_a_socket_that_was_passed, 0, 3);
	tcase_add_test(passing, the_path_of_a_socket_that_was_passed_is_not_ours_to_remove);
	tcase_add_test(passing, what_is_no_socket_is_closed_and_the_rest_served);
	tcase_add_test(passing, what_was_passed_to_another_process_is_left_alone);
	tcase_add_test(passing, programs_learn_nothing_of_the_manager);
	if (access(ACTIVATE, X_OK) == 0)
		tcase_add_test(passing, systemd_starts_it_at_the_first_connection);
	else
		puts("skipped: there is no " ACTIVATE);
	tcase_add_test(keeping, a_daemon_that_is_killed_loses_no_connection_that_waits);
	tcase_add_test(keeping, a_socket_that_was_kept_for_a_listener_that_is_no_more_is_forgotten);
	tcase_add_test(keeping, a_path_that_was_kept_goes_with_its_socket);
	tcase_add_test(keeping, a_reload_keeps_what_is_new_and_forgets_what_is_gone);
	tcase_add_test(passing, a_socket_that_was_passed_survives_reloads);
	tcase_add_test(keeping, a_socket_that_was_passed_is_not_kept_twice);
	return run_suite(suite);
}
