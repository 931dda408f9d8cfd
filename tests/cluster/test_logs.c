/* tests/cluster/test_logs.c - the log of a daemon and its workers: rotated, unread, and in the way of nobody. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG(keys) "'log': { 'level': 'debug' " keys " }, "

static void is_served(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

static bool file_has(const char *path, const char *text)
{
	static char all[1 << 20];
	FILE *stream = fopen(path, "re");

	if (stream == NULL)
		return false;
	all[fread(all, 1, sizeof all - 1, stream)] = '\0';
	fclose(stream);
	return strstr(all, text) != NULL;
}

START_TEST(a_file_that_was_moved_away_is_opened_anew_by_all)
{
	struct daemon *daemon = daemon_start(LOG(", 'target': 'the.log'") ECHO("2", ""));
	const char *path = folder_path("the.log"), *aside = folder_path("aside.log");
	unsigned i;

	ck_assert_int_eq(rename(path, aside), 0);
	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "primary: the log has been opened again"));
	until(file_has(path, "worker 1: the log is another file now"));
	until(file_has(path, "worker 2: the log is another file now"));
	ck_assert(!file_has(aside, "another file now"));
	for (i = 0; i < 2; i++)
		ck_assert_uint_eq(process_has_open((pid_t)daemon_worker(daemon, i, "pid"), aside), 0);
	ck_assert_uint_eq(process_has_open(daemon->pid, aside), 0);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_anew_leaves_the_old_one)
{
	const char *folder = folder_path("logs"), *aside = folder_path("aside");
	char path[256];
	struct daemon *daemon;

	ck_assert_int_eq(mkdir(folder, 0755), 0);
	daemon = daemon_start(LOG(", 'target': 'logs/the.log'") ECHO("1", ""));
	ck_assert_int_eq(rename(folder, aside), 0);
	snprintf(path, sizeof path, "%s/the.log", aside);
	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "/logs/the.log: No such file or directory"));
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(standard_error_is_not_opened_anew)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	kill(daemon->pid, SIGUSR1);
	until(daemon_logged(daemon, "the log is standard error, which is not opened again") == 1);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_log_in_json_is_json_in_all_processes)
{
	struct daemon *daemon = daemon_start(LOG(", 'target': 'the.log', 'format': 'json'") ECHO("1", ""));
	const char *path = folder_path("the.log");

	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "\"process\":\"worker 1\",\"message\":\"the log is another file now\"}"));
	ck_assert(file_has(path, "\"level\":\"info\",\"process\":\"primary\",\"message\":\""));
	daemon_stop(daemon);
}
END_TEST

/* They have been forked when the primary still logged as before. */
START_TEST(a_reload_changes_how_the_new_workers_log)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	const char *path = folder_path("the.log");

	daemon_rewrite(daemon, LOG(", 'target': 'the.log', 'format': 'json'") ECHO("1", ""));
	kill(daemon->pid, SIGHUP);
	until(daemon_number(daemon, "generation") == 2);
	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "\"process\":\"worker 1\",\"message\":\"the log is another file now\"}"));
	daemon_stop(daemon);
}
END_TEST

static void have_a_journal(void)
{
	char text[64];
	struct stat status;

	if (fstat(STDERR_FILENO, &status) == 0) {
		snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
		setenv("JOURNAL_STREAM", text, 1);
	}
}

START_TEST(workers_that_no_longer_write_to_the_journal_write_as_to_a_file)
{
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .prepare = have_a_journal });
	const char *path = folder_path("the.log");

	ck_assert_uint_gt(daemon_logged(daemon, "<6>primary: "), 0);
	daemon_rewrite(daemon, LOG(", 'target': 'the.log'") ECHO("1", ""));
	kill(daemon->pid, SIGHUP);
	until(daemon_number(daemon, "generation") == 2);
	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "Z debug worker 1: the log is another file now"));
	daemon_stop(daemon);
}
END_TEST

START_TEST(workers_that_run_hear_of_another_level)
{
	struct daemon *daemon = daemon_start("'log': { 'target': 'the.log' }, " ECHO("1", ""));
	const char *path = folder_path("the.log");
	struct ended ended;

	run(&ended, MUSTERCTL, "-s", daemon->control, "log-level", "debug");
	ck_assert_int_eq(ended.status, 0);
	kill(daemon->pid, SIGUSR1);
	until(file_has(path, "worker 1: the log is another file now"));
	daemon_stop(daemon);
}
END_TEST

static int stuck[2];

static void write_to_stuck(void)
{
	dup2(stuck[1], STDERR_FILENO);
}

/* Nobody reads, and the pipe is full: hundreds of lines later all goes on. */
START_TEST(a_reader_that_has_stopped_stops_nobody)
{
	struct daemon *daemon;
	unsigned i;
	char page[4096];

	ck_assert_int_eq(pipe2(stuck, O_CLOEXEC), 0);
	memset(page, 'x', sizeof page);
	fcntl(stuck[1], F_SETFL, O_NONBLOCK);
	while (write(stuck[1], page, sizeof page) > 0)
		;
	fcntl(stuck[1], F_SETFL, 0);
	daemon = daemon_start_with(LOG("") ECHO("2", ""), &(struct daemon_start){ .prepare = write_to_stuck });
	for (i = 0; i < 50; i++)
		is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 2);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
	close(stuck[0]);
	close(stuck[1]);
}
END_TEST

START_TEST(a_full_disk_stops_nobody)
{
	struct daemon *daemon = daemon_start("'log': { 'level': 'debug', 'target': '/dev/full' }, " ECHO("2", ""));
	unsigned i;

	for (i = 0; i < 10; i++)
		is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(what_a_program_writes_to_blocks)
{
	char text[512] = "";
	int ends[2];
	struct daemon *daemon =
		daemon_configure("'listeners': [], 'applications': { 'x': { 'exec': [ 'sh', '-c', "
				 "'cat /proc/self/fdinfo/2 >flags.new; mv flags.new flags; exec sleep 60' ], "
				 "'workers': 1 } }");
	unsigned flags = 0;
	FILE *stream;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	stuck[0] = ends[0];
	stuck[1] = ends[1];
	daemon_launch(daemon, &(struct daemon_start){ .prepare = write_to_stuck });
	until(file_has(folder_path("flags"), "flags:"));
	stream = fopen(folder_path("flags"), "re");
	text[fread(text, 1, sizeof text - 1, stream)] = '\0';
	fclose(stream);
	ck_assert_int_eq(sscanf(strstr(text, "flags:"), "flags: %o", &flags), 1);
	ck_assert_uint_eq(flags & O_NONBLOCK, 0);
	kill(daemon->pid, SIGTERM);
	process_wait(daemon->pid);
	daemon_free(daemon);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster/logs");
	TCase *tcase = add_case(suite, "logs");

	tcase_add_test(tcase, a_file_that_was_moved_away_is_opened_anew_by_all);
	tcase_add_test(tcase, a_file_that_cannot_be_opened_anew_leaves_the_old_one);
	tcase_add_test(tcase, standard_error_is_not_opened_anew);
	tcase_add_test(tcase, a_log_in_json_is_json_in_all_processes);
	tcase_add_test(tcase, a_reload_changes_how_the_new_workers_log);
	tcase_add_test(tcase, workers_that_no_longer_write_to_the_journal_write_as_to_a_file);
	tcase_add_test(tcase, workers_that_run_hear_of_another_level);
	tcase_add_test(tcase, a_reader_that_has_stopped_stops_nobody);
	tcase_add_test(tcase, a_full_disk_stops_nobody);
	tcase_add_test(tcase, what_a_program_writes_to_blocks);
	return run_suite(suite);
}
