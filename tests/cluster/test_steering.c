/* tests/cluster/test_steering.c - musterctl steers a daemon: what it says comes true, or it is told why not. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* musterctl, with status `expected`; what it printed lasts until the next. */
static const struct ended *steer(const struct daemon *daemon, int expected, const char *a, const char *b, const char *c)
{
	static struct ended ended;

	run(&ended, MUSTERCTL, "-s", daemon->control, a, b, c);
	ck_assert_msg(ended.status == expected, "%s: %d\n%s%s", a, ended.status, ended.out, ended.err);
	return &ended;
}

/* ---- reload */

START_TEST(a_reload_that_waits_returns_when_the_new_generation_serves)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	daemon_rewrite(daemon, ECHO("2", ""));
	ck_assert_str_eq(steer(daemon, 0, "reload", "--wait", NULL)->out, "");
	ck_assert_int_eq(daemon_number(daemon, "generation"), 2);
	expect_part(steer(daemon, 0, "status", NULL, NULL)->out, "generation 2");
	until(daemon_ready(daemon) == 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_reload_that_does_not_wait_still_tells_what_is_wrong_with_the_file)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	const struct ended *ended;

	daemon_rewrite(daemon, "'wrokers': 1, " ECHO("1", "") ", 'limits': 3");
	ended = steer(daemon, 1, "reload", NULL, NULL);
	expect_part(ended->err, "did you mean \"workers\"?");
	expect_part(ended->err, "limits: expected an object, found 3");
	expect_part(steer(daemon, 0, "status", NULL, NULL)->out, "the last reload failed: ");
	daemon_stop(daemon);
}
END_TEST

#define NEVER_READY                                                                                                    \
	"'restart': { 'ready_timeout_ms': 400 }, "                                                                     \
	"'listeners': [ " TCP("") " ], 'applications': { "                                                             \
				  "'echo': { 'exec': ['/bin/sleep', '1000'], 'workers': 1 } }"

START_TEST(whoever_waits_is_told_that_the_workers_were_never_ready)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	daemon_rewrite(daemon, NEVER_READY);
	expect_part(steer(daemon, 1, "reload", "--wait", NULL)->err, "the workers were not ready within 400 ms");
	ck_assert_int_eq(daemon_number(daemon, "generation"), 1);
	daemon_stop(daemon);
}
END_TEST

static pid_t start_waiting(const struct daemon *daemon)
{
	pid_t self = getpid(), child = fork();

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	process_bind(self);
	close(STDERR_FILENO);
	execl(MUSTERCTL, "musterctl", "-s", daemon->control, "reload", "--wait", NULL);
	_exit(127);
}

/* Two for the one under way, then two for the next. */
START_TEST(reloads_asked_for_during_a_reload_are_one_that_follows_it)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	pid_t pids[4];
	int i;

	daemon_rewrite(daemon, NEVER_READY);
	for (i = 0; i < 4; i++)
		pids[i] = start_waiting(daemon);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(process_wait(pids[i]), 1);
	ck_assert_uint_le(daemon_logged(daemon, "reading the configuration again"), 2);
	ck_assert_int_eq(daemon_number(daemon, "generation"), 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_waiting_musterctl_that_is_killed_leaves_nothing)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned before = process_descriptors(daemon->pid);
	pid_t child;

	daemon_rewrite(daemon, NEVER_READY);
	child = start_waiting(daemon);
	until(daemon_logged(daemon, "reading the configuration again") == 1);
	kill(child, SIGKILL);
	ck_assert_int_eq(process_wait(child), 128 + SIGKILL);
	until(daemon_logged(daemon, "generation 2: gone") == 1);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_daemon_that_ends_tells_those_who_wait)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	pid_t child;

	daemon_rewrite(daemon, NEVER_READY);
	child = start_waiting(daemon);
	until(daemon_logged(daemon, "reading the configuration again") == 1);
	kill(daemon->pid, SIGTERM);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_int_eq(process_wait(child), 1);
	daemon_free(daemon);
}
END_TEST

/* ---- the end */

START_TEST(a_daemon_is_stopped)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	int fd = client_connect_port(daemon_port(daemon, "tcp"));

	steer(daemon, 0, "stop", NULL, NULL);
	client_expect_end(fd);
	close(fd);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_daemon_is_drained)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned port = daemon_port(daemon, "tcp");
	int fd = client_connect_port(port);

	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	steer(daemon, 0, "drain", NULL, NULL);
	until(client_try_port(port) == -ECONNREFUSED);
	client_send_text(fd, "still there?");
	client_expect_text(fd, "still there?");
	close(fd);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	daemon_free(daemon);
}
END_TEST

/* ---- to look */

START_TEST(workers_and_listeners_can_be_seen_alone)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	const struct ended *ended = steer(daemon, 0, "workers", NULL, NULL);
	json_t *json;

	expect_part(ended->out, "ready");
	ck_assert_ptr_null(strstr(ended->out, "127.0.0.1"));
	ended = steer(daemon, 0, "listeners", NULL, NULL);
	expect_part(ended->out, "127.0.0.1");
	expect_part(ended->out, "  dropped  refused\n");
	ck_assert_ptr_null(strstr(ended->out, "ready"));
	json = json_loads(steer(daemon, 0, "--json", "workers", NULL)->out, 0, NULL);
	ck_assert_uint_eq(json_array_size(json), 2);
	json_decref(json);
	daemon_stop(daemon);
}
END_TEST

START_TEST(the_configuration_at_work_is_a_configuration)
{
	struct daemon *daemon = daemon_start("'log': { 'level': 'warn' }, " ECHO("2", ", 'no_delay': true"));
	const char *path = folder_path("dumped.json");
	struct ended dumped;
	FILE *stream = fopen(path, "we");

	fputs(steer(daemon, 0, "config", NULL, NULL)->out, stream);
	fclose(stream);
	run(&dumped, MUSTERD, "-c", path, "--dump");
	ck_assert_msg(dumped.status == 0, "%s", dumped.err);
	ck_assert_str_eq(dumped.out, steer(daemon, 0, "config", NULL, NULL)->out);
	expect_part(dumped.out, "\"level\": \"warn\"");
	expect_part(dumped.out, "\"drain_timeout_ms\": 30000");
	daemon_stop(daemon);
}
END_TEST

START_TEST(the_log_level_changes_until_the_next_reload)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	steer(daemon, 0, "log-level", "error", NULL);
	steer(daemon, 0, "reload", "--wait", NULL);
	ck_assert_uint_eq(daemon_logged(daemon, "reading the configuration again"), 0);
	steer(daemon, 0, "reload", "--wait", NULL);
	ck_assert_uint_eq(daemon_logged(daemon, "reading the configuration again"), 1);
	steer(daemon, 2, "log-level", "loud", NULL);
	steer(daemon, 2, "log-level", NULL, NULL);
	steer(daemon, 2, "stop", "--wait", NULL);
	daemon_stop(daemon);
}
END_TEST

/* As a terminal would start it: its own session, and the other end of ours. */
static pid_t start_top(const struct daemon *daemon, int master)
{
	pid_t self = getpid(), child = fork();
	int end;

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	process_bind(self);
	setsid();
	end = open(ptsname(master), O_RDWR);
	if (dup2(end, 0) < 0 || dup2(end, 1) < 0 || dup2(end, 2) < 0)
		_exit(126);
	execl(MUSTERCTL, "musterctl", "-s", daemon->control, "top", NULL);
	_exit(127);
}

START_TEST(an_application_is_scaled_until_the_next_reload)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));

	steer(daemon, 0, "scale", "4", NULL);
	until(daemon_ready(daemon) == 4);
	steer(daemon, 0, "scale", "echo", "1");
	until(daemon_ready(daemon) == 1);
	steer(daemon, 0, "reload", "--wait", NULL);
	until(daemon_ready(daemon) == 2);
	expect_part(steer(daemon, 1, "scale", "ehco", "1")->err, "no application has this name");
	expect_part(steer(daemon, 1, "scale", "0", NULL)->err, "\"workers\" is not in 1..512");
	expect_part(steer(daemon, 1, "scale", "513", NULL)->err, "\"workers\" is not in 1..512");
	steer(daemon, 2, "scale", "many", NULL);
	steer(daemon, 2, "scale", NULL, NULL);
	daemon_stop(daemon);
}
END_TEST

/* Until it has drawn twice; then q. */
START_TEST(top_draws_again_and_again_until_q)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	char text[65536];
	size_t length = 0;
	ssize_t got = 1;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	pid_t child;

	ck_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	child = start_top(daemon, master);
	while (got > 0 && length < sizeof text - 1) {
		const char *first, *second;

		got = read(master, text + length, sizeof text - 1 - length);
		length += got > 0 ? (size_t)got : 0;
		text[length] = '\0';
		first = strstr(text, "127.0.0.1:");
		second = first != NULL ? strstr(first + 1, "127.0.0.1:") : NULL;
		if (second != NULL && write(master, "q", 1) != 1)
			break;
	}
	ck_assert_int_eq(process_wait(child), 0);
	expect_part(text, "\033[?1049h");
	expect_part(text, "\033[?1049l");
	close(master);
	expect_part(steer(daemon, 0, "top", NULL, NULL)->out, "serving");
	daemon_stop(daemon);
}
END_TEST

/* ---- the shell */

static const struct {
	const char *words, *completed;
} completions[] = {
	{ "'' re", "reload restart" },
	{ "--json l", "listeners log-level" },
	{ "log-level d", "debug" },
	{ "reload --w", "--wait" },
};

START_TEST(bash_completes_commands_options_and_words)
{
	struct ended ended;
	char script[1024], expected[64];

	snprintf(script, sizeof script,
		 ". " TEST_SOURCE_DIR "/conf/musterctl.bash; COMP_WORDS=(" MUSTERCTL " %s); COMP_CWORD=2; "
		 "_musterctl; printf '%%s\n' \"${COMPREPLY[*]}\"",
		 completions[_i].words);
	snprintf(expected, sizeof expected, "%s\n", completions[_i].completed);
	run(&ended, "bash", "-c", script);
	ck_assert_str_eq(ended.err, "");
	ck_assert_str_eq(ended.out, expected);
}
END_TEST

/* ---- who may */

#define GROUP 12 /* any but ours; its name is looked up */

static int as_member(const struct daemon *daemon, const char *command)
{
	pid_t child = fork();
	const gid_t groups[] = { GROUP };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (child == 0) {
		dup2(null, STDERR_FILENO);
		dup2(null, STDOUT_FILENO);
		if (setgroups(1, groups) < 0 || setgid(1) < 0 || setuid(1) < 0)
			_exit(99);
		execl(MUSTERCTL, "musterctl", "-s", daemon->control, command, NULL);
		_exit(127);
	}
	close(null);
	return process_wait(child);
}

START_TEST(members_of_the_group_may_look_and_not_steer)
{
	const struct group *group = getgrgid(GROUP);
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	struct stat status;
	FILE *stream;

	ck_assert_ptr_nonnull(group);
	/* They are nobody yet: the socket is its owner's alone. */
	ck_assert_int_eq(as_member(daemon, "status"), 3);
	stream = fopen(daemon->file, "we");
	fprintf(stream,
		"{ \"control\": { \"path\": \"%s\", \"mode\": \"0660\", \"group\": \"%s\" }, \"workers\": 1, "
		"\"listeners\": [ { \"host\": \"127.0.0.1\", \"port\": 0, \"application\": \"echo\" } ], "
		"\"applications\": { \"echo\": { \"builtin\": \"echo\" } } }",
		daemon->control, group->gr_name);
	fclose(stream);
	steer(daemon, 0, "reload", "--wait", NULL);
	ck_assert_int_eq(stat(daemon->control, &status), 0);
	ck_assert_uint_eq(status.st_gid, GROUP);
	ck_assert_uint_eq(status.st_mode & 0777, 0660);
	ck_assert_int_eq(as_member(daemon, "status"), 0);
	ck_assert_int_eq(as_member(daemon, "stop"), 1);
	ck_assert_int_eq(as_member(daemon, "reload"), 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_group_that_is_unknown_refuses_a_reload)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	FILE *stream = fopen(daemon->file, "we");

	fprintf(stream,
		"{ \"control\": { \"path\": \"%s\", \"group\": \"no-such-group\" }, "
		"\"listeners\": [ { \"port\": 0, \"application\": \"echo\" } ], "
		"\"applications\": { \"echo\": { \"builtin\": \"echo\" } } }",
		daemon->control);
	fclose(stream);
	expect_part(steer(daemon, 1, "reload", NULL, NULL)->err, "control.group no-such-group");
	daemon_stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("steering");
	TCase *tcase = add_case(suite, "reload");

	tcase_add_test(tcase, a_reload_that_waits_returns_when_the_new_generation_serves);
	tcase_add_test(tcase, a_reload_that_does_not_wait_still_tells_what_is_wrong_with_the_file);
	tcase_add_test(tcase, whoever_waits_is_told_that_the_workers_were_never_ready);
	tcase_add_test(tcase, reloads_asked_for_during_a_reload_are_one_that_follows_it);
	tcase_add_test(tcase, a_waiting_musterctl_that_is_killed_leaves_nothing);
	tcase_add_test(tcase, a_daemon_that_ends_tells_those_who_wait);
	tcase = add_case(suite, "the end");
	tcase_add_test(tcase, a_daemon_is_stopped);
	tcase_add_test(tcase, a_daemon_is_drained);
	tcase = add_case(suite, "to look");
	tcase_add_test(tcase, workers_and_listeners_can_be_seen_alone);
	tcase_add_test(tcase, the_configuration_at_work_is_a_configuration);
	tcase_add_test(tcase, the_log_level_changes_until_the_next_reload);
	tcase_add_test(tcase, an_application_is_scaled_until_the_next_reload);
	tcase_add_test(tcase, top_draws_again_and_again_until_q);
	tcase_add_loop_test(tcase, bash_completes_commands_options_and_words, 0, COUNT_OF(completions));
	tcase = add_case(suite, "who may");
	if (geteuid() == 0)
		tcase_add_test(tcase, members_of_the_group_may_look_and_not_steer);
	tcase_add_test(tcase, a_group_that_is_unknown_refuses_a_reload);
	return run_suite(suite);
}
