/* tests/cluster/test_reload.c - a daemon that reads its file again goes on serving, whatever it finds there. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define UNIX(name, keys) "{ 'name': '" name "', 'path': '" name "', 'application': 'echo' " keys "}"
#define SERVING(workers, listeners) "'workers': " workers ", 'listeners': [ " listeners " ], " ECHO_APP
#define SLOW(ms, rest) "'restart': { 'ready_timeout_ms': " ms " }, " rest

/* A program that never listens: its workers are never ready. */
#define NEVER_READY                                                                                                    \
	"'listeners': [ " TCP("") " ], 'applications': { "                                                             \
				  "'echo': { 'exec': ['/bin/sleep', '1000'], 'workers': 1 } }"

static const char *const policies[] = {
	ECHO("2", ", 'policy': 'round-robin'"), ECHO("2", ", 'policy': 'least-connections'"),
	ECHO("2", ", 'policy': 'shared'"),      ECHO("2", ", 'policy': 'reuse-port'"),
	ECHO("2", ", 'policy': 'exclusive'"),
};

static const char *const queues[] = {
	ECHO("1", ""),
	ECHO("1", ", 'policy': 'shared'"),
	ECHO("1", ", 'policy': 'reuse-port'"),
	ECHO("1", ", 'policy': 'exclusive'"),
};

static void hang_up(const struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
}

static long reload_number(const struct daemon *daemon, const char *key)
{
	json_t *status = daemon_status(daemon);
	long number = (long)json_integer_value(json_object_get(json_object_get(status, "reload"), key));

	json_decref(status);
	return number;
}

/* "" if there was none. Lasts until the next. */
static const char *last_failure(const struct daemon *daemon)
{
	static char text[4096];
	json_t *status = daemon_status(daemon);
	const char *failure = json_string_value(json_object_get(json_object_get(status, "reload"), "failure"));

	snprintf(text, sizeof text, "%s", failure != NULL ? failure : "");
	json_decref(status);
	return text;
}

static size_t generations(const struct daemon *daemon)
{
	json_t *status = daemon_status(daemon);
	size_t count = json_array_size(json_object_get(status, "generations"));

	json_decref(status);
	return count;
}

/* By SIGHUP, until the generation `number` is the only one. */
static void reload_to(const struct daemon *daemon, long number)
{
	hang_up(daemon);
	until(daemon_number(daemon, "generation") == number && generations(daemon) == 1);
}

static void reload_fails(const struct daemon *daemon)
{
	long failures = reload_number(daemon, "failed");

	hang_up(daemon);
	until(reload_number(daemon, "failed") == failures + 1);
}

static ino_t socket_of(pid_t pid, unsigned port)
{
	char line[512], path[64];
	unsigned found, state;
	unsigned long inode = 0;
	FILE *stream;

	snprintf(path, sizeof path, "/proc/%d/net/tcp", (int)pid);
	stream = fopen(path, "re");
	while (inode == 0 && fgets(line, sizeof line, stream) != NULL)
		if (sscanf(line, " %*d: %*x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %*d %*d %lu", &found, &state, &inode) !=
			    3 ||
		    found != port || state != 0x0a)
			inode = 0;
	fclose(stream);
	ck_assert_uint_ne(inode, 0);
	return (ino_t)inode;
}

/* ---- what a reload keeps */

START_TEST(a_reload_keeps_sockets_connections_and_counts)
{
	struct daemon *daemon = daemon_start(policies[_i]);
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid);
	ino_t inode = socket_of(daemon->pid, port);
	pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid");
	int fd = client_connected(port), other;

	hang_up(daemon);
	until(daemon_number(daemon, "generation") == 2);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	ck_assert(socket_of(daemon->pid, port) == inode);
	client_talk(fd, "still there?");
	other = client_connected(port);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 2);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "connections"), 2);
	ck_assert_int_eq(daemon_number(daemon, "connections"), 2);
	client_talk(fd, "and now?");
	close(fd);
	close(other);
	until(generations(daemon) == 1);
	until(!process_lives(worker));
	ck_assert_uint_eq(daemon_ready(daemon), 2);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 2);
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	daemon_stop(daemon);
}
END_TEST

/* The clients are in the kernel's queue when the generations change. */
START_TEST(what_waits_in_the_queue_is_served_by_the_next_generation)
{
	struct daemon *daemon = daemon_start(queues[_i]);
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid");
	int fds[40];

	process_freeze(worker);
	for (i = 0; i < 40; i++) {
		fds[i] = client_connect_port(port);
		client_send_text(fds[i], "hello");
	}
	hang_up(daemon);
	until(daemon_number(daemon, "generation") == 2);
	/* A window of them is on its way to the frozen one, and comes back when that is killed. */
	kill(worker, SIGKILL);
	for (i = 0; i < 40; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
	until(generations(daemon) == 1);
	daemon_stop(daemon);
}
END_TEST

/* With reuse-port there is a queue for each worker, and fewer of them later. */
START_TEST(what_waits_for_a_worker_too_many_is_served_by_those_that_are_left)
{
	struct daemon *daemon = daemon_start(ECHO("3", ", 'policy': 'reuse-port'"));
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid), i;
	pid_t workers[3];
	int fds[60];

	for (i = 0; i < 3; i++)
		process_freeze(workers[i] = (pid_t)daemon_worker(daemon, i, "pid"));
	for (i = 0; i < 60; i++) {
		fds[i] = client_connect_port(port);
		client_send_text(fds[i], "hello");
	}
	daemon_rewrite(daemon, ECHO("1", ", 'policy': 'reuse-port'"));
	hang_up(daemon);
	for (i = 0; i < 60; i++) {
		client_expect_text(fds[i], "hello");
		close(fds[i]);
	}
	for (i = 0; i < 3; i++)
		kill(workers[i], SIGKILL);
	until(generations(daemon) == 1);
	ck_assert_uint_lt(process_descriptors(daemon->pid), descriptors);
	close(client_connected(port));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_crowd_is_answered_while_generations_of_more_and_more_workers_follow)
{
	static const char *const texts[] = {
		ECHO("2", ", 'policy': 'reuse-port'"),
		ECHO("2", ", 'policy': 'reuse-port'"),
		ECHO("3", ", 'policy': 'reuse-port'"),
		ECHO("4", ", 'policy': 'reuse-port'"),
	};
	struct daemon *daemon = daemon_start(texts[0]);
	struct crowd crowd;
	unsigned done = 0;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 50, 4000);
	while (crowd_turn(&crowd))
		if (done < 3 && crowd_ended(&crowd) >= (done + 1) * 900 &&
		    daemon_number(daemon, "generation") == done + 1) {
			daemon_rewrite(daemon, texts[++done]);
			hang_up(daemon);
		}
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 4000);
	ck_assert_uint_eq(done, 3);
	until(daemon_ready(daemon) == 4 && generations(daemon) == 1);
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "accepted"), 4000);
	daemon_stop(daemon);
}
END_TEST

/* What only the generation has that failed goes back with the rest. */
START_TEST(a_generation_that_fails_leaves_its_sockets_to_the_one_before)
{
	struct daemon *daemon = daemon_start(ECHO("2", ", 'policy': 'reuse-port'"));
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid), i;

	daemon_rewrite(
		daemon,
		SLOW("50",
		     "'listeners': [ " TCP(
			     ", 'policy': 'reuse-port'") " ], 'applications': { "
							 "'echo': { 'exec': ['/bin/sleep', '1000'], 'workers': 4 } }"));
	reload_fails(daemon);
	for (i = 0; i < 50; i++)
		close(client_connected(port));
	until(generations(daemon) == 1);
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_change_from_reuse_port_or_to_it_needs_a_restart)
{
	struct daemon *daemon = daemon_start(ECHO("1", ", 'policy': 'reuse-port'"));
	unsigned port = daemon_port(daemon, "tcp");

	daemon_rewrite(daemon, ECHO("1", ""));
	reload_fails(daemon);
	expect_part(last_failure(daemon), "EADDRINUSE");
	close(client_connected(port));
	daemon_stop(daemon);

	daemon = daemon_start(ECHO("1", ""));
	port = daemon_port(daemon, "tcp");
	daemon_rewrite(daemon, ECHO("1", ", 'policy': 'reuse-port'"));
	reload_to(daemon, 2);
	ck_assert_uint_eq(daemon_logged(daemon, "it is shared instead"), 1);
	close(client_connected(port));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_limit_counts_the_connections_of_all_generations)
{
	struct daemon *daemon = daemon_start(ECHO("1", ", 'max_connections': 2"));
	unsigned port = daemon_port(daemon, "tcp");
	int first = client_connected(port), second, third;

	hang_up(daemon);
	until(daemon_number(daemon, "generation") == 2);
	second = client_connected(port);
	third = client_connect_port(port);
	client_send_text(third, "hello");
	ck_assert_int_eq(daemon_listener(daemon, "tcp", "connections"), 2);
	client_talk(first, "still there?");
	client_talk(second, "and you?");
	ck_assert_uint_eq(client_waiting(third), 0);
	close(first);
	client_expect_text(third, "hello");
	close(second);
	close(third);
	daemon_stop(daemon);
}
END_TEST

/* ---- what a reload changes */

START_TEST(listeners_come_go_and_change_their_application)
{
	struct daemon *daemon =
		daemon_start(SERVING("1", TCP("") ", " UNIX("old.sock", "") ", " UNIX("kept.sock", "")));
	unsigned port = daemon_port(daemon, "tcp");
	struct stat before, after;
	int fd = client_connect_path(folder_path("old.sock"));

	client_talk(fd, "hello");
	ck_assert_int_eq(lstat(folder_path("kept.sock"), &before), 0);
	daemon_rewrite(
		daemon,
		"'workers': 2, 'listeners': [ " UNIX("kept.sock", "") ", " UNIX(
			"new.sock", "") ", { 'name': 'tcp', 'host': '127.0.0.1', 'port': 0, 'application': 'sink' } ], "
					"'applications': { 'echo': { 'builtin': 'echo' }, "
					"'sink': { 'builtin': 'discard', 'workers': 1 } }");
	hang_up(daemon);
	until(daemon_number(daemon, "generation") == 2);
	ck_assert_int_eq(access(folder_path("old.sock"), F_OK), -1);
	client_talk(fd, "still there?");
	close(fd);
	ck_assert_int_eq(lstat(folder_path("kept.sock"), &after), 0);
	ck_assert(after.st_ino == before.st_ino);
	fd = client_connect_path(folder_path("new.sock"));
	client_talk(fd, "hello");
	close(fd);
	fd = client_connect_path(folder_path("kept.sock"));
	client_talk(fd, "hello");
	close(fd);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	until(generations(daemon) == 1);
	ck_assert_uint_eq(daemon_ready(daemon), 3);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("kept.sock"), F_OK), -1);
	ck_assert_int_eq(access(folder_path("new.sock"), F_OK), -1);
}
END_TEST

static void await_file(const char *name)
{
	until(access(folder_path(name), F_OK) == 0);
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

static size_t size_of(const char *name)
{
	struct stat status;

	return stat(folder_path(name), &status) == 0 ? (size_t)status.st_size : 0;
}

START_TEST(log_level_and_pid_file_change)
{
	struct daemon *daemon = daemon_start("'pid_file': 'one.pid', " ECHO("1", ""));
	size_t size;

	ck_assert_int_eq(pid_in("one.pid"), daemon->pid);
	daemon_rewrite(daemon, "'pid_file': 'two.pid', 'log': { 'target': 'new.log' }, " ECHO("1", ""));
	reload_to(daemon, 2);
	ck_assert_int_eq(access(folder_path("one.pid"), F_OK), -1);
	ck_assert_int_eq(pid_in("two.pid"), daemon->pid);
	ck_assert_uint_gt(size_of("new.log"), 0);
	daemon_rewrite(daemon, "'log': { 'target': 'new.log', 'level': 'error' }, " ECHO("1", ""));
	reload_to(daemon, 3);
	ck_assert_int_eq(access(folder_path("two.pid"), F_OK), -1);
	size = size_of("new.log");
	reload_to(daemon, 4);
	ck_assert_uint_eq(size_of("new.log"), size);
	daemon_stop(daemon);
}
END_TEST

static unsigned mode_of(const char *name)
{
	struct stat status;

	ck_assert_int_eq(stat(folder_path(name), &status), 0);
	return status.st_mode & 0777;
}

START_TEST(who_may_connect_to_a_path_changes_and_what_was_set_by_hand_stays)
{
	struct daemon *daemon = daemon_start(SERVING("1", UNIX("a.sock", "") ", " UNIX("b.sock", "")));
	unsigned by_default = mode_of("a.sock");

	ck_assert_int_eq(chmod(folder_path("b.sock"), 0750), 0);
	daemon_rewrite(daemon, SERVING("1", UNIX("a.sock", ", 'readable_all': true, 'writable_all': true") ", " UNIX(
						    "b.sock", "")));
	reload_to(daemon, 2);
	ck_assert_uint_eq(mode_of("a.sock"), by_default | 0666);
	ck_assert_uint_eq(mode_of("b.sock"), 0750);
	daemon_rewrite(daemon, SERVING("1", UNIX("a.sock", "") ", " UNIX("b.sock", "")));
	reload_to(daemon, 3);
	ck_assert_uint_eq(mode_of("a.sock"), by_default);
	daemon_stop(daemon);
}
END_TEST

START_TEST(the_control_socket_moves)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	char *before = strdup(daemon->control);

	free(daemon->control);
	daemon->control = strdup(folder_path("elsewhere"));
	daemon_rewrite(daemon, ECHO("1", ""));
	hang_up(daemon);
	await_file("elsewhere");
	until(daemon_number(daemon, "generation") == 2);
	ck_assert_int_eq(access(before, F_OK), -1);
	free(before);
	daemon_stop(daemon);
}
END_TEST

/* ---- what a reload refuses */

static const struct {
	const char *text, *said;
} broken[] = {
	{ "'workers': ", ":2" },
	{ "'wrokers': 2, " ECHO("1", ""), "did you mean \"workers\"?" },
	{ SERVING("1", TCP("") ", { 'name': 'b', 'host': '192.0.2.55', 'port': 7, 'application': 'echo' }"),
	  "listener b: bind EADDRNOTAVAIL 192.0.2.55:7" },
	{ "'log': { 'target': 'nowhere/log' }, " ECHO("1", ""), "nowhere/log: No such file or directory" },
	{ "'pid_file': 'nowhere/pid', " ECHO("1", ""), "nowhere/pid: No such file or directory" },
	{ SLOW("300", NEVER_READY), "the workers were not ready within 300 ms" },
};

START_TEST(a_reload_that_fails_changes_nothing_and_says_why)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	unsigned port = daemon_port(daemon, "tcp"), descriptors = process_descriptors(daemon->pid);
	ino_t inode = socket_of(daemon->pid, port);
	pid_t worker = (pid_t)daemon_worker(daemon, 1, "pid");
	int fd = client_connected(port);

	daemon_rewrite(daemon, broken[_i].text);
	reload_fails(daemon);
	expect_part(last_failure(daemon), broken[_i].said);
	ck_assert_uint_ge(daemon_logged(daemon, broken[_i].said), 1);
	ck_assert_int_eq(daemon_number(daemon, "generation"), 1);
	ck_assert_int_eq(daemon_worker(daemon, 1, "pid"), worker);
	ck_assert(socket_of(daemon->pid, port) == inode);
	client_talk(fd, "still there?");
	close(fd);
	close(client_connected(port));
	until(generations(daemon) == 1);
	ck_assert_uint_eq(process_descriptors(daemon->pid), descriptors);
	/* The next one finds nothing of it. */
	daemon_rewrite(daemon, ECHO("1", ""));
	hang_up(daemon);
	until(daemon_ready(daemon) == 1 && generations(daemon) == 1);
	ck_assert_str_eq(last_failure(daemon), "");
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_busy_port_refuses_a_reload_and_leaves_paths_alone)
{
	struct daemon *other = daemon_start(ECHO("1", ""));
	struct daemon *daemon = daemon_start(SERVING("1", UNIX("a.sock", "")));
	char text[512];

	snprintf(text, sizeof text,
		 SERVING("1",
			 UNIX("a.sock", "") ", " UNIX(
				 "b.sock",
				 "") ", { 'name': 'busy', 'host': '127.0.0.1', 'port': %u, 'application': 'echo' }"),
		 daemon_port(other, "tcp"));
	daemon_rewrite(daemon, text);
	reload_fails(daemon);
	expect_part(last_failure(daemon), "listener busy: bind EADDRINUSE");
	until(generations(daemon) == 1);
	ck_assert_int_eq(access(folder_path("a.sock"), F_OK), 0);
	ck_assert_int_eq(access(folder_path("b.sock"), F_OK), -1);
	close(client_connect_path(folder_path("a.sock")));
	daemon_stop(daemon);
	daemon_stop(other);
}
END_TEST

/* ---- many */

START_TEST(a_thousand_hangups_end_in_one_generation_and_the_last_file_counts)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned descriptors = process_descriptors(daemon->pid), i;

	for (i = 0; i < 1000; i++) {
		if (i == 990)
			daemon_rewrite(daemon, ECHO("3", ""));
		hang_up(daemon);
	}
	/* One more may begin when the last one has ended. */
	until(daemon_ready(daemon) == 3 && generations(daemon) == 1 &&
	      process_descriptors(daemon->pid) == descriptors + 2 * 2);
	ck_assert_int_lt(daemon_number(daemon, "generation"), 1000);
	ck_assert_int_eq(reload_number(daemon, "failed"), 0);
	daemon_stop(daemon);
}
END_TEST

START_TEST(generations_that_drain_are_bounded)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");
	int fds[12], i;

	for (i = 0; i < 12; i++) {
		fds[i] = client_connected(port);
		hang_up(daemon);
		until(daemon_number(daemon, "generation") == i + 2);
		ck_assert_uint_le(generations(daemon), 1 + 16 + 1);
	}
	client_expect_end(fds[0]);
	client_talk(fds[11], "still there?");
	for (i = 0; i < 12; i++)
		close(fds[i]);
	until(generations(daemon) == 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_stop_in_the_middle_of_a_reload_is_a_stop)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	daemon_rewrite(daemon, NEVER_READY);
	hang_up(daemon);
	until(generations(daemon) == 2);
	daemon_stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reload");
	TCase *tcase = add_case(suite, "what it keeps");

	tcase_add_loop_test(tcase, a_reload_keeps_sockets_connections_and_counts, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, what_waits_in_the_queue_is_served_by_the_next_generation, 0, COUNT_OF(queues));
	tcase_add_test(tcase, what_waits_for_a_worker_too_many_is_served_by_those_that_are_left);
	tcase_add_test(tcase, a_crowd_is_answered_while_generations_of_more_and_more_workers_follow);
	tcase_add_test(tcase, a_generation_that_fails_leaves_its_sockets_to_the_one_before);
	tcase_add_test(tcase, a_change_from_reuse_port_or_to_it_needs_a_restart);
	tcase_add_test(tcase, a_limit_counts_the_connections_of_all_generations);
	tcase = add_case(suite, "what it changes");
	tcase_add_test(tcase, listeners_come_go_and_change_their_application);
	tcase_add_test(tcase, log_level_and_pid_file_change);
	tcase_add_test(tcase, who_may_connect_to_a_path_changes_and_what_was_set_by_hand_stays);
	tcase_add_test(tcase, the_control_socket_moves);
	tcase = add_case(suite, "what it refuses");
	tcase_add_loop_test(tcase, a_reload_that_fails_changes_nothing_and_says_why, 0, COUNT_OF(broken));
	tcase_add_test(tcase, a_busy_port_refuses_a_reload_and_leaves_paths_alone);
	tcase = add_case(suite, "many");
	tcase_add_test(tcase, a_thousand_hangups_end_in_one_generation_and_the_last_file_counts);
	tcase_add_test(tcase, generations_that_drain_are_bounded);
	tcase_add_test(tcase, a_stop_in_the_middle_of_a_reload_is_a_stop);
	return run_suite(suite);
}
