/* tests/cluster/test_sockets.c - musterd with programs that are given their sockets as systemd passes them. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PROGRAM TEST_BUILD_DIR "/tests/sockets/takes_sockets"
#define TAKES(words, keys)                                                                                             \
	"'applications': { 'app': { 'exec': [ '" PROGRAM "' " words "], 'protocol': 'listen-fds' " keys "} }, "
#define ONE(name) "{ 'name': '" name "', 'host': '127.0.0.1', 'port': 0, 'application': 'app' }"
#define LISTENERS "'listeners': [ " ONE("tcp") " ]"

static const char *ask_fd(int fd, const char *word)
{
	static char text[512];

	client_send_text(fd, word);
	text[client_receive_all(fd, text, sizeof text - 1)] = '\0';
	close(fd);
	return text;
}

static const char *ask(const struct daemon *daemon, const char *word)
{
	return ask_fd(client_connect_port(daemon_port(daemon, "tcp")), word);
}

static const char *status_of(const struct daemon *daemon, unsigned slot)
{
	static char text[512];
	json_t *status = daemon_status(daemon);
	const json_t *worker = json_array_get(json_object_get(status, "workers"), slot);
	const char *said = json_string_value(json_object_get(worker, "status"));

	snprintf(text, sizeof text, "%s", said != NULL ? said : "");
	json_decref(status);
	return text;
}

/* ---- what it is given */

START_TEST(a_program_gets_all_its_sockets_in_the_order_of_the_file_and_nothing_else)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(", 'READY=1'", "") "'listeners': [ " ONE(
		"tcp") ", " ONE("b:c") ", { 'name': 'd', 'path': 'd.sock', 'application': 'app' } ]");

	ck_assert_str_eq(ask(daemon, "names"), "tcp:b_c:d");
	ck_assert_str_eq(ask_fd(client_connect_port(daemon_port(daemon, "b:c")), "channel"), "no");
	ck_assert_str_eq(ask_fd(client_connect_path(folder_path("d.sock")), "next"), "0");
	daemon_stop(daemon);
}
END_TEST

START_TEST(sockets_block_unless_the_configuration_says_otherwise)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(", 'READY=1'", "") LISTENERS);

	ck_assert_str_eq(ask(daemon, "blocks"), "yes");
	daemon_stop(daemon);
	daemon = daemon_start("'workers': 1, " TAKES(", 'READY=1'", ", 'non_blocking': true") LISTENERS);
	ck_assert_str_eq(ask(daemon, "blocks"), "no");
	daemon_stop(daemon);
}
END_TEST

START_TEST(all_workers_share_the_socket_of_the_primary)
{
	struct daemon *daemon = daemon_start("'workers': 2, " TAKES(", 'READY=1'", "") LISTENERS);
	pid_t pids[] = { (pid_t)daemon_worker(daemon, 0, "pid"), (pid_t)daemon_worker(daemon, 1, "pid") };
	unsigned stopped;

	ck_assert_int_eq(daemon_listener(daemon, "tcp", "workers"), 2);
	for (stopped = 0; stopped < 2; stopped++) {
		process_freeze(pids[stopped]);
		ck_assert_int_eq(atoi(ask(daemon, "pid")), pids[1 - stopped]);
		ck_assert_int_eq(kill(pids[stopped], SIGCONT), 0);
	}
	daemon_stop(daemon);
}
END_TEST

/* ---- when it is ready */

START_TEST(a_program_is_ready_when_it_says_so)
{
	struct daemon *daemon =
		daemon_configure("'workers': 1, " TAKES(", 'STATUS=warming up'", ", 'ready': 'message'") LISTENERS);

	daemon_launch(daemon, NULL);
	until(daemon_logged(daemon, "says: warming up") == 1);
	until(daemon_listener(daemon, "tcp", "workers") == 1);
	ck_assert_uint_eq(daemon_ready(daemon), 0);
	ask(daemon, "STATUS=warm\nREADY=1");
	daemon_await(daemon);
	ck_assert_uint_eq(daemon_ready(daemon), 1);
	ck_assert_str_eq(status_of(daemon, 0), "warm");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_that_says_nothing_is_ready_after_a_while)
{
	uint64_t start = clock_ms();
	struct daemon *daemon = daemon_start("'workers': 2, " TAKES("", ", 'ready_after': 300") LISTENERS);

	ck_assert_uint_ge(clock_ms() - start, 300);
	ck_assert_uint_eq(daemon_ready(daemon), 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_that_is_ready_at_once_is_not_waited_for)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(
		"", ", 'ready': 'online'") "'restart': { 'ready_timeout_ms': 60000 }, " LISTENERS);

	ck_assert_uint_eq(daemon_ready(daemon), 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_stranger_cannot_speak_for_a_program)
{
	struct daemon *daemon = daemon_configure("'workers': 1, " TAKES("", ", 'ready': 'message'") LISTENERS);

	daemon_launch(daemon, NULL);
	until(daemon_listener(daemon, "tcp", "workers") == 1);
	ask(daemon, "strange READY=1\nSTATUS=wrong");
	until(daemon_logged(daemon, "spoke for it, and was not heard") == 1);
	ck_assert_uint_eq(daemon_ready(daemon), 0);
	ck_assert_str_eq(status_of(daemon, 0), "");
	ask(daemon, "READY=1");
	daemon_await(daemon);
	daemon_stop(daemon);
}
END_TEST

/* A shell script has others speak for it: they are of its group. */
START_TEST(systemd_notify_is_heard)
{
	struct daemon *daemon;

	if (system("command -v systemd-notify >/dev/null") != 0)
		return;
	daemon = daemon_start(
		"'workers': 1, 'restart': { 'ready_timeout_ms': 20000 }, 'listeners': [], 'applications': {"
		"'app': { 'exec': [ 'sh', '-c', 'systemd-notify --ready --status=\\'at work\\'; exec sleep 60' ],"
		"'protocol': 'listen-fds', 'ready': 'message' } }");
	ck_assert_str_eq(status_of(daemon, 0), "at work");
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

/* ---- its end, and the next one */

START_TEST(a_program_that_ends_is_replaced_and_the_queue_waits_for_it)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(", 'READY=1'", "") LISTENERS);
	unsigned port = daemon_port(daemon, "tcp");
	int early;

	process_freeze((pid_t)daemon_worker(daemon, 0, "pid"));
	early = client_connect_port(port);
	ck_assert_int_eq(kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL), 0);
	ck_assert_str_eq(ask_fd(early, "names"), "tcp");
	ck_assert_str_eq(ask_fd(client_connect_port(port), "exit"), "");
	ck_assert_str_eq(ask_fd(client_connect_port(port), "names"), "tcp");
	until(daemon_worker(daemon, 0, "restarts") == 2);
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_program_that_ignores_sigterm_is_killed)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(", 'deaf', 'READY=1'", "") LISTENERS);
	pid_t pid = (pid_t)daemon_worker(daemon, 0, "pid");

	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 3);
	ck_assert_uint_eq(daemon_logged(daemon, "was killed by signal 9"), 1);
	ck_assert(!process_lives(pid));
	daemon_free(daemon);
}
END_TEST

START_TEST(a_drain_ends_programs_by_sigterm)
{
	struct daemon *daemon = daemon_start("'workers': 2, " TAKES(", 'READY=1'", "") LISTENERS);

	ck_assert_int_eq(kill(daemon->pid, SIGQUIT), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "exited with status 0"), 2);
	daemon_free(daemon);
}
END_TEST

/* The old one goes when the new one has said that it is ready, and not before. */
START_TEST(a_reload_replaces_programs_once_the_new_ones_are_ready)
{
	struct daemon *daemon = daemon_start("'workers': 1, " TAKES(", 'READY=1'", ", 'ready': 'message'") LISTENERS);
	unsigned port = daemon_port(daemon, "tcp");
	pid_t old = (pid_t)daemon_worker(daemon, 0, "pid");

	daemon_rewrite(daemon, "'workers': 1, " TAKES(", 'STATUS=not yet'", ", 'ready': 'message'") LISTENERS);
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "says: not yet") == 1);
	ck_assert(process_lives(old));
	ck_assert_str_eq(ask_fd(client_connect_port(port), "blocks"), "yes");
	process_freeze(old);
	ask_fd(client_connect_port(port), "READY=1");
	until(daemon_logged(daemon, "generation 2 serves") == 1);
	ck_assert_int_eq(kill(old, SIGCONT), 0);
	until(!process_lives(old));
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	ck_assert_int_eq(atoi(ask(daemon, "pid")), daemon_worker(daemon, 0, "pid"));
	daemon_stop(daemon);
}
END_TEST

/* One reload to another kind of application, and one back: whoever accepts finds the socket as he needs it. */
START_TEST(a_socket_may_change_from_a_program_to_a_builtin_and_back)
{
	static const char builtin[] = "'workers': 1, 'listeners': [ " ONE("tcp") " ], 'applications': { 'app': {"
										 "'builtin': 'echo' } }";
	static const char program[] = "'workers': 1, " TAKES(", 'READY=1'", "") LISTENERS;
	struct daemon *daemon = daemon_start(program);
	int fd;

	daemon_rewrite(daemon, builtin);
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "generation 1: gone") == 1);
	fd = client_connect_port(daemon_port(daemon, "tcp"));
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
	daemon_rewrite(daemon, program);
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "generation 2: gone") == 1);
	ck_assert_str_eq(ask(daemon, "blocks"), "yes");
	daemon_stop(daemon);
}
END_TEST

/* The old daemon goes, and its programs with it; the socket stays as those find it who hold it. */
START_TEST(an_upgrade_hands_the_sockets_to_new_programs)
{
	struct daemon *daemon =
		daemon_start_with("'workers': 1, " TAKES(", 'READY=1'", ", 'ready': 'message'") LISTENERS,
				  &(struct daemon_start){ .program = MUSTERD });
	unsigned port = daemon_port(daemon, "tcp");
	pid_t before = daemon->pid, old = (pid_t)daemon_worker(daemon, 0, "pid"), heir;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(kill(daemon->pid, SIGUSR2), 0);
	until((heir = (pid_t)daemon_number(daemon, "pid")) > 0 && heir != before);
	ck_assert_int_eq(process_wait(before), 0);
	daemon->pid = heir;
	ck_assert(!process_lives(old));
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	ck_assert_int_eq(atoi(ask(daemon, "pid")), daemon_worker(daemon, 0, "pid"));
	ck_assert_str_eq(ask(daemon, "blocks"), "yes");
	daemon_stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sockets");
	TCase *tcase = add_case(suite, "given");

	tcase_add_test(tcase, a_program_gets_all_its_sockets_in_the_order_of_the_file_and_nothing_else);
	tcase_add_test(tcase, sockets_block_unless_the_configuration_says_otherwise);
	tcase_add_test(tcase, all_workers_share_the_socket_of_the_primary);
	tcase = add_case(suite, "ready");
	tcase_add_test(tcase, a_program_is_ready_when_it_says_so);
	tcase_add_test(tcase, a_program_that_says_nothing_is_ready_after_a_while);
	tcase_add_test(tcase, a_program_that_is_ready_at_once_is_not_waited_for);
	tcase_add_test(tcase, a_stranger_cannot_speak_for_a_program);
	tcase_add_test(tcase, systemd_notify_is_heard);
	tcase = add_case(suite, "end");
	tcase_add_test(tcase, a_program_that_ends_is_replaced_and_the_queue_waits_for_it);
	tcase_add_test(tcase, a_program_that_ignores_sigterm_is_killed);
	tcase_add_test(tcase, a_drain_ends_programs_by_sigterm);
	tcase_add_test(tcase, a_reload_replaces_programs_once_the_new_ones_are_ready);
	tcase_add_test(tcase, an_upgrade_hands_the_sockets_to_new_programs);
	tcase_add_test(tcase, a_socket_may_change_from_a_program_to_a_builtin_and_back);
	return run_suite(suite);
}
