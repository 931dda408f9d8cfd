/* tests/cluster/test_start.c - a daemon starts well, whatever it is started from, or says why it does not. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
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
#include <sys/un.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static void is_served(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = folder_path(name);
	FILE *stream = fopen(path, "we");

	ck_assert_ptr_nonnull(stream);
	fputs(text, stream);
	ck_assert_int_eq(fclose(stream), 0);
	return path;
}

/* ---- words and files */

static const char five_mistakes[] = "{\n"
				    "  \"workers\": 0,\n"
				    "  \"log\": { \"levle\": \"info\" },\n"
				    "  \"listeners\": [\n"
				    "    { \"port\": 70000, \"application\": \"echo\" },\n"
				    "    { \"port\": 7001, \"policy\": \"robin\", \"application\": \"ehco\" }\n"
				    "  ],\n"
				    "  \"applications\": { \"echo\": { \"builtin\": \"echo\" } }\n"
				    "}\n";

START_TEST(five_mistakes_are_told_each_with_its_line_and_place)
{
	const char *path = write_file("bad.json", five_mistakes);
	char expected[2048];
	struct ended ended;

	snprintf(expected, sizeof expected,
		 "%s:2: workers: 0 is not in 1..512\n"
		 "%s:3: log.levle: unknown key \"levle\", did you mean \"level\"?\n"
		 "%s:5: listeners[0].port: 70000 is not in 0..65535\n"
		 "%s:6: listeners[1].policy: expected \"round-robin\" or \"least-connections\" or \"shared\" "
		 "or \"reuse-port\" or \"exclusive\", found \"robin\"\n"
		 "%s:6: listeners[1].application: no application is named \"ehco\", did you mean \"echo\"?\n",
		 path, path, path, path, path);
	run(&ended, MUSTERD, "-c", path);
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, expected);
	run(&ended, MUSTERD, "-t", "-c", path);
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, expected);
	ck_assert_str_eq(ended.out, "");
}
END_TEST

START_TEST(a_good_file_is_tested_and_nothing_is_started)
{
	struct daemon *daemon = daemon_configure(
		"'pid_file': 'pid', 'listeners': [ { 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP);
	struct ended ended;

	run(&ended, MUSTERD, "-t", "-c", daemon->file);
	ck_assert_int_eq(ended.status, 0);
	expect_part(ended.out, daemon->file);
	expect_part(ended.out, ": ok\n");
	ck_assert_str_eq(ended.err, "");
	ck_assert_int_eq(access(folder_path("echo.sock"), F_OK), -1);
	ck_assert_int_eq(access(folder_path("pid"), F_OK), -1);
	ck_assert_int_eq(access(daemon->control, F_OK), -1);
	daemon_free(daemon);
}
END_TEST

START_TEST(musterd_explains_itself)
{
	struct ended ended;

	run(&ended, MUSTERD, "--help");
	ck_assert_int_eq(ended.status, 0);
	expect_part(ended.out, "usage: musterd");
	ck_assert_str_eq(ended.err, "");
	run(&ended, MUSTERD, "--version");
	ck_assert_int_eq(ended.status, 0);
	expect_part(ended.out, "musterd ");
}
END_TEST

static const struct {
	const char *words[3];
	const char *said;
} bad_words[] = {
	{ { "--nonsense" }, "--nonsense" },
	{ { "-c" }, "usage: musterd" },
	{ { "start" }, "unexpected argument \"start\"" },
	{ { "-c", "/nonexistent/muster.json" }, "/nonexistent/muster.json: No such file or directory" },
	{ { "-c", "/tmp" }, "/tmp: Is a directory" },
	{ { "-c", "/nonexistent/muster.json", "--daemon" }, "/nonexistent/muster.json: No such file or directory" },
};

START_TEST(musterd_says_what_is_wrong_with_its_words)
{
	const char *const *words = bad_words[_i].words;
	struct ended ended;

	run(&ended, MUSTERD, words[0], words[1], words[2]);
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.out, "");
	expect_part(ended.err, bad_words[_i].said);
}
END_TEST

/* ---- listeners that cannot be had */

/* A listener that could be served stands before the one that cannot. */
static struct daemon *configure_busy(unsigned port, const char *more)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "%s 'workers': 2, 'listeners': [ { 'path': 'free.sock', 'application': 'echo' },"
		 "{ 'name': 'busy', 'host': '127.0.0.1', 'port': %u, 'application': 'echo' } ], " ECHO_APP,
		 more, port);
	return daemon_configure(text);
}

START_TEST(a_port_in_use_is_named_with_its_listener_and_nothing_else_is_served)
{
	int taken = client_listen(1);
	struct daemon *daemon = configure_busy(client_port_of(taken), "");
	struct ended ended;
	char address[64];

	snprintf(address, sizeof address, "listener busy: bind 127.0.0.1:%u", client_port_of(taken));
	run(&ended, MUSTERD, "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, "listener busy: ");
	expect_part(ended.err, strchr(address, '1'));
	expect_part(ended.err, "ddress already in use");
	ck_assert_msg(strstr(ended.err, "started") == NULL, "%s", ended.err);
	ck_assert_int_eq(access(folder_path("free.sock"), F_OK), -1);
	ck_assert_int_eq(access(daemon->control, F_OK), -1);
	close(taken);
	daemon_free(daemon);
}
END_TEST

static int bound_path(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

#define AT_PATH                                                                                                        \
	"'workers': 1, 'listeners': [ { 'name': 'here', 'path': 'echo.sock', 'application': 'echo' } ], " ECHO_APP

START_TEST(a_socket_that_was_not_passed_is_named_with_its_listener)
{
	struct daemon *daemon = daemon_configure("'listeners': [ { 'name': 'web', 'fd_name': 'activated', "
						 "'application': 'echo' } ], " ECHO_APP);

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(daemon_wait(daemon), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "listener web: no socket named activated was passed to musterd"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_dead_socket_in_the_place_of_a_listener_is_replaced)
{
	struct daemon *daemon;

	close(bound_path(folder_path("echo.sock")));
	daemon = daemon_start(AT_PATH);
	is_served(client_connect_path(folder_path("echo.sock")));
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("echo.sock"), F_OK), -1);
}
END_TEST

START_TEST(a_live_socket_in_the_place_of_a_listener_is_an_error_and_lives_on)
{
	struct daemon *daemon = daemon_configure(AT_PATH);
	int fd = bound_path(folder_path("echo.sock"));
	struct ended ended;

	ck_assert_int_eq(listen(fd, 8), 0);
	run(&ended, MUSTERD, "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, "listener here: ");
	expect_part(ended.err, "echo.sock");
	expect_part(ended.err, "ddress already in use");
	ck_assert_int_eq(client_try_path(folder_path("echo.sock")), 0);
	close(fd);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_file_in_the_place_of_a_listener_is_an_error_and_left_alone)
{
	struct daemon *daemon = daemon_configure(AT_PATH);
	const char *path = write_file("echo.sock", "mine");
	struct ended ended;
	struct stat status;

	run(&ended, MUSTERD, "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, "listener here: ");
	expect_part(ended.err, path);
	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISREG(status.st_mode) && status.st_size == 4);
	daemon_free(daemon);
}
END_TEST

/* ---- detached */

static long read_number(const char *path)
{
	FILE *stream = fopen(path, "re");
	char text[32] = "";

	ck_assert_msg(stream != NULL, "%s: %s", path, strerror(errno));
	ck_assert_ptr_nonnull(fgets(text, sizeof text, stream));
	fclose(stream);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	return strtol(text, NULL, 10);
}

START_TEST(detached_it_returns_when_it_serves)
{
	struct daemon *daemon = daemon_configure("'pid_file': 'pid', 'log': { 'target': 'file.log' }, " ECHO("2", ""));
	struct ended ended;

	/* What detaches from its parent becomes our child. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	run(&ended, MUSTERD, "--daemon", "-c", daemon->file);
	ck_assert_msg(ended.status == 0, "%s", ended.err);
	ck_assert_str_eq(ended.out, "");
	/* No waiting: it is ready now. */
	daemon->pid = (pid_t)daemon_number(daemon, "pid");
	ck_assert_int_gt(daemon->pid, 1);
	process_guard(daemon->pid);
	ck_assert_uint_eq(daemon_ready(daemon), 2);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	ck_assert_int_eq(read_number(folder_path("pid")), daemon->pid);
	ck_assert_int_eq(getsid(daemon->pid), daemon->pid);
	/* Whoever waits for the end of its output does not wait for the daemon. */
	ck_assert_uint_eq(process_has_open(daemon->pid, "/memfd:test"), 0);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("pid"), F_OK), -1);
	ck_assert_int_eq(access(folder_path("file.log"), F_OK), 0);
	process_unguard();
}
END_TEST

static const char *const log_targets[] = { "", "'log': { 'target': 'file.log' }," };

START_TEST(detached_it_fails_with_its_status_and_its_reason)
{
	int taken = client_listen(1);
	struct daemon *daemon = configure_busy(client_port_of(taken), log_targets[_i]);
	struct ended ended;

	run(&ended, MUSTERD, "--daemon", "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, "listener busy: ");
	expect_part(ended.err, "ddress already in use");
	ck_assert_int_eq(access(daemon->control, F_OK), -1);
	close(taken);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_log_that_cannot_be_written_is_a_failure_with_its_name)
{
	struct daemon *daemon = daemon_configure("'log': { 'target': 'missing/file.log' }, " AT_PATH);
	struct ended ended;

	run(&ended, MUSTERD, _i ? "--daemon" : "-c", _i ? "-c" : daemon->file, _i ? daemon->file : NULL);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, "log.target ");
	expect_part(ended.err, "missing/file.log: No such file or directory");
	ck_assert_int_eq(access(folder_path("echo.sock"), F_OK), -1);
	ck_assert_int_eq(access(daemon->control, F_OK), -1);
	daemon_free(daemon);
}
END_TEST

START_TEST(detached_with_mistakes_in_its_file_it_fails_with_2)
{
	struct ended ended;

	run(&ended, MUSTERD, "--daemon", "-c", write_file("bad.json", five_mistakes));
	ck_assert_int_eq(ended.status, 2);
	expect_part(ended.err, "bad.json:5: listeners[0].port: 70000");
}
END_TEST

START_TEST(the_pid_file_is_written_when_it_serves_and_goes_when_it_ends)
{
	struct daemon *daemon = daemon_start("'pid_file': 'pid', " ECHO("1", ""));

	ck_assert_int_eq(read_number(folder_path("pid")), daemon->pid);
	ck_assert_int_eq(access(folder_path("pid.new"), F_OK), -1);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("pid"), F_OK), -1);
}
END_TEST

START_TEST(a_daemon_that_could_not_start_leaves_the_pid_file_of_the_one_that_runs)
{
	struct daemon *first = daemon_start("'pid_file': 'pid', " ECHO("1", "")), *second;
	struct ended ended;

	second = configure_busy(daemon_port(first, "tcp"), "'pid_file': 'pid', ");
	run(&ended, MUSTERD, "-c", second->file);
	ck_assert_int_eq(ended.status, 1);
	ck_assert_int_eq(read_number(folder_path("pid")), first->pid);
	daemon_free(second);
	daemon_stop(first);
}
END_TEST

/* ---- what it is started from */

static void close_standard(void)
{
	close(0);
	close(1);
	close(2);
}

START_TEST(closed_standard_descriptors_never_become_connections)
{
	struct daemon *daemon = daemon_start_with("'log': { 'target': 'file.log' }, " ECHO("1", ""),
						  &(struct daemon_start){ .prepare = close_standard });
	int fds[8], i;

	for (i = 0; i < 8; i++)
		is_served(fds[i] = client_connect_port(daemon_port(daemon, "tcp")));
	/* 0 and 1 of both. */
	ck_assert_uint_ge(process_has_open(daemon->pid, "/dev/null"), 2);
	ck_assert_uint_ge(process_has_open((pid_t)daemon_worker(daemon, 0, "pid"), "/dev/null"), 2);
	ck_assert_uint_eq(process_has_open(daemon->pid, folder_path("file.log")), 1);
	daemon_stop(daemon);
}
END_TEST

static void spoil_signals(void)
{
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

static unsigned long long signals_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	unsigned long long mask = ~0ull;
	FILE *stream;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	stream = fopen(path, "re");
	ck_assert_ptr_nonnull(stream);
	while (fgets(line, sizeof line, stream) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			mask = strtoull(line + strlen(key) + 1, NULL, 16);
	fclose(stream);
	return mask;
}

START_TEST(ignored_and_blocked_signals_are_not_inherited)
{
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .prepare = spoil_signals });
	pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid");

	ck_assert_uint_eq(signals_of(daemon->pid, "SigBlk:"), 0);
	ck_assert_uint_eq(signals_of(worker, "SigBlk:"), 0);
	ck_assert_uint_eq(signals_of(worker, "SigIgn:") & ~(1ull << (SIGPIPE - 1)), 0);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill(worker, SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 1);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

#define LEAKED "/proc/sys/kernel/ostype"

static void leak(void)
{
	int fd = open(LEAKED, O_RDONLY);

	dup2(fd, 100);
	dup2(fd, 900);
}

START_TEST(what_the_parent_leaked_does_not_reach_the_workers)
{
	struct daemon *daemon = daemon_start_with(ECHO("2", ""), &(struct daemon_start){ .prepare = leak });
	pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid");

	ck_assert_uint_eq(process_has_open((pid_t)daemon_worker(daemon, 1, "pid"), LEAKED), 0);
	ck_assert_uint_eq(process_has_open(worker, LEAKED), 0);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill(worker, SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 2);
	ck_assert_uint_eq(process_has_open((pid_t)daemon_worker(daemon, 0, "pid"), LEAKED), 0);
	daemon_stop(daemon);
}
END_TEST

/* Of the primary's own: nothing but the standard three, the channel, and what its loop is made of. */
START_TEST(a_worker_that_is_replaced_has_open_what_the_first_had)
{
	struct daemon *daemon = daemon_start(ECHO("3", ""));
	unsigned port = daemon_port(daemon, "tcp"), first, i;
	int fds[30];

	first = process_descriptors((pid_t)daemon_worker(daemon, 0, "pid"));
	for (i = 0; i < 30; i++)
		fds[i] = client_connect_port(port);
	until(daemon_number(daemon, "connections") == 30);
	for (i = 0; i < 30; i++)
		close(fds[i]);
	until(daemon_is_idle(daemon));
	kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 3);
	ck_assert_uint_eq(process_descriptors((pid_t)daemon_worker(daemon, 0, "pid")), first);
	daemon_stop(daemon);
}
END_TEST

static void add_origins(Suite *suite)
{
	TCase *tcase = add_case(suite, "origins");

	tcase_add_test(tcase, closed_standard_descriptors_never_become_connections);
	tcase_add_test(tcase, ignored_and_blocked_signals_are_not_inherited);
	tcase_add_test(tcase, what_the_parent_leaked_does_not_reach_the_workers);
	tcase_add_test(tcase, a_worker_that_is_replaced_has_open_what_the_first_had);
}

int main(void)
{
	Suite *suite = suite_create("start");
	TCase *tcase = add_case(suite, "words and files");

	tcase_add_test(tcase, five_mistakes_are_told_each_with_its_line_and_place);
	tcase_add_test(tcase, a_good_file_is_tested_and_nothing_is_started);
	tcase_add_test(tcase, musterd_explains_itself);
	tcase_add_loop_test(tcase, musterd_says_what_is_wrong_with_its_words, 0, COUNT_OF(bad_words));
	tcase = add_case(suite, "listeners");
	tcase_add_test(tcase, a_port_in_use_is_named_with_its_listener_and_nothing_else_is_served);
	tcase_add_test(tcase, a_socket_that_was_not_passed_is_named_with_its_listener);
	tcase_add_test(tcase, a_dead_socket_in_the_place_of_a_listener_is_replaced);
	tcase_add_test(tcase, a_live_socket_in_the_place_of_a_listener_is_an_error_and_lives_on);
	tcase_add_test(tcase, a_file_in_the_place_of_a_listener_is_an_error_and_left_alone);
	tcase = add_case(suite, "detached");
	tcase_add_test(tcase, detached_it_returns_when_it_serves);
	tcase_add_loop_test(tcase, detached_it_fails_with_its_status_and_its_reason, 0, COUNT_OF(log_targets));
	tcase_add_loop_test(tcase, a_log_that_cannot_be_written_is_a_failure_with_its_name, 0, 2);
	tcase_add_test(tcase, detached_with_mistakes_in_its_file_it_fails_with_2);
	tcase_add_test(tcase, the_pid_file_is_written_when_it_serves_and_goes_when_it_ends);
	tcase_add_test(tcase, a_daemon_that_could_not_start_leaves_the_pid_file_of_the_one_that_runs);
	add_origins(suite);
	return run_suite(suite);
}
