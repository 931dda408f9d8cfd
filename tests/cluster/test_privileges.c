/* tests/cluster/test_privileges.c - what workers give up, as the kernel tells it; the primary keeps what it has. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM(keys)                                                                                                  \
	"'listeners': [], 'restart': { 'ready_timeout_ms': 60000 }, 'applications': { 'x': { 'exec': [ 'sh', '-c', "   \
	"'cat /proc/self/status >status.new; env >env; mv status.new status; exec sleep 60' ], 'workers': 1 " keys     \
	" } }"

static void is_served(int fd)
{
	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

/* A line of a file, without its key and blanks; "" if it is not there. */
static const char *line_of(const char *path, const char *key)
{
	static char line[4096];
	FILE *stream = fopen(path, "re");
	size_t length = strlen(key);

	while (stream != NULL && fgets(line, sizeof line, stream) != NULL)
		if (strncmp(line, key, length) == 0) {
			fclose(stream);
			line[strcspn(line, "\n")] = '\0';
			return line + length + strspn(line + length, " \t");
		}
	if (stream != NULL)
		fclose(stream);
	return "";
}

static const char *status_of(pid_t pid, const char *key)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return line_of(path, key);
}

static pid_t worker_of(const struct daemon *daemon)
{
	return (pid_t)daemon_worker(daemon, 0, "pid");
}

static const char *root_of(pid_t pid)
{
	static char target[256];
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	length = readlink(path, target, sizeof target - 1);
	ck_assert_int_ge(length, 0);
	target[length] = '\0';
	return target;
}

/* A checker of leaks looks into /proc, which is not inside. */
static struct daemon *start_enclosed(const char *text)
{
	static const char *const variables[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };

	return daemon_start_with(text, &(struct daemon_start){ .variables = variables });
}

START_TEST(workers_are_the_user_with_his_groups_and_nothing_else)
{
	struct daemon *daemon = daemon_start("'user': 'nobody', 'group': 'daemon', " ECHO("1", ""));
	pid_t worker = worker_of(daemon);

	ck_assert_str_eq(status_of(worker, "Uid:"), "65534\t65534\t65534\t65534");
	ck_assert_str_eq(status_of(worker, "Gid:"), "1\t1\t1\t1");
	ck_assert_ptr_null(strstr(status_of(worker, "Groups:"), "0 "));
	ck_assert_str_eq(status_of(worker, "CapEff:"), "0000000000000000");
	ck_assert_str_eq(status_of(worker, "CapPrm:"), "0000000000000000");
	ck_assert_str_eq(status_of(daemon->pid, "Uid:"), "0\t0\t0\t0");
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_worker_that_is_replaced_is_the_user_as_well)
{
	struct daemon *daemon = daemon_start("'user': 'nobody', " ECHO("1", ""));

	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	kill(worker_of(daemon), SIGKILL);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 1);
	ck_assert_str_eq(status_of(worker_of(daemon), "Uid:"), "65534\t65534\t65534\t65534");
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(each_policy_serves_as_another_user)
{
	static const char *const policies[] = { "round-robin", "least-connections", "shared" };
	char text[512];
	struct daemon *daemon;

	snprintf(text, sizeof text,
		 "'user': 'nobody', 'no_new_privileges': true, 'chroot': '.', " ECHO("2", ", 'policy': '%s' "),
		 policies[_i]);
	daemon = start_enclosed(text);
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	until(daemon_is_idle(daemon));
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_application_has_a_user_of_its_own)
{
	struct daemon *daemon = daemon_start("'user': 'daemon', 'workers': 1, 'listeners': [ " TCP(
		"") ", "
		    "{ 'name': 'b', 'host': '127.0.0.1', 'port': 0, 'application': 'b' } ], "
		    "'applications': { 'echo': { 'builtin': 'echo' }, "
		    "'b': { 'builtin': 'discard', 'user': 'nobody' } }");
	char first[64];

	snprintf(first, sizeof first, "%s", status_of(worker_of(daemon), "Uid:"));
	ck_assert_str_ne(first, status_of((pid_t)daemon_worker(daemon, 1, "pid"), "Uid:"));
	ck_assert_int_eq(strncmp(first, "0", 1) == 0, 0);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_capability_is_kept_alone_and_over_an_exec)
{
	struct daemon *daemon =
		daemon_start("'user': 'nobody', 'keep_capabilities': [ 'net_bind_service' ], " ECHO("1", ""));
	pid_t worker = worker_of(daemon);

	ck_assert_str_eq(status_of(worker, "CapEff:"), "0000000000000400");
	ck_assert_str_eq(status_of(worker, "CapPrm:"), "0000000000000400");
	ck_assert_str_eq(status_of(worker, "CapAmb:"), "0000000000000400");
	ck_assert_str_eq(status_of(worker, "CapBnd:"), "0000000000000400");
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(root_keeps_no_capability_that_is_not_named)
{
	struct daemon *daemon = daemon_start("'keep_capabilities': [ 'kill' ], " ECHO("1", ""));
	pid_t worker = worker_of(daemon);

	ck_assert_str_eq(status_of(worker, "Uid:"), "0\t0\t0\t0");
	ck_assert_str_eq(status_of(worker, "CapEff:"), "0000000000000020");
	ck_assert_str_eq(status_of(worker, "CapBnd:"), "0000000000000020");
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(new_privileges_are_refused)
{
	struct daemon *daemon = daemon_start("'no_new_privileges': true, " ECHO("1", ""));

	ck_assert_str_eq(status_of(worker_of(daemon), "NoNewPrivs:"), "1");
	ck_assert_str_eq(status_of(daemon->pid, "NoNewPrivs:"), "0");
	daemon_stop(daemon);
}
END_TEST

START_TEST(workers_see_no_more_than_their_root)
{
	const char *cage = folder_path("cage");
	struct daemon *daemon;

	ck_assert_int_eq(mkdir(cage, 0755), 0);
	daemon = start_enclosed("'user': 'nobody', 'chroot': 'cage', " ECHO("1", ""));
	ck_assert_str_eq(root_of(worker_of(daemon)), cage);
	ck_assert_str_eq(root_of(daemon->pid), "/");
	is_served(client_connect_port(daemon_port(daemon, "tcp")));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_root_that_is_not_there_stops_the_start)
{
	struct daemon *daemon =
		daemon_configure("'chroot': 'none', 'restart': { 'ready_timeout_ms': 200 }, " ECHO("1", ""));

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_gt(daemon_logged(daemon, "worker: chroot: No such file or directory"), 0);
	daemon_free(daemon);
}
END_TEST

/* ---- programs */

static struct daemon *start_program(const char *text)
{
	struct daemon *daemon = daemon_configure(text);

	chmod(folder_path(""), 0777);
	daemon_launch(daemon, &(struct daemon_start){
				      .variables = (const char *const[]){ "SECRET=1", "HOME=/root", "LANG=x", NULL } });
	until(*line_of(folder_path("status"), "Uid:") != '\0');
	return daemon;
}

static void stop_program(struct daemon *daemon)
{
	kill(daemon->pid, SIGTERM);
	process_wait(daemon->pid);
	daemon_free(daemon);
}

START_TEST(a_program_is_the_user_and_at_home_there)
{
	struct daemon *daemon = start_program(PROGRAM(", 'user': 'daemon', 'env': { 'OWN': 'x' }"));

	ck_assert_str_eq(line_of(folder_path("status"), "Uid:"), "1\t1\t1\t1");
	ck_assert_str_eq(line_of(folder_path("env"), "USER="), "daemon");
	ck_assert_str_eq(line_of(folder_path("env"), "LOGNAME="), "daemon");
	ck_assert_str_eq(line_of(folder_path("env"), "HOME="), "/usr/sbin");
	ck_assert_str_eq(line_of(folder_path("env"), "OWN="), "x");
	ck_assert_str_eq(line_of(folder_path("env"), "SECRET="), "1");
	stop_program(daemon);
}
END_TEST

START_TEST(a_clean_environment_has_what_the_file_says)
{
	struct daemon *daemon = start_program(PROGRAM(", 'clean_env': true, 'env': { 'OWN': 'x' }"));

	ck_assert_str_eq(line_of(folder_path("env"), "SECRET="), "");
	ck_assert_str_eq(line_of(folder_path("env"), "LANG="), "");
	ck_assert_str_eq(line_of(folder_path("env"), "OWN="), "x");
	ck_assert_str_eq(line_of(folder_path("env"), "NODE_UNIQUE_ID="), "1");
	ck_assert_str_ne(line_of(folder_path("env"), "PATH="), "");
	stop_program(daemon);
}
END_TEST

START_TEST(a_program_ends_with_its_primary_though_it_never_looks)
{
	struct daemon *daemon = start_program(PROGRAM(""));
	pid_t program = (pid_t)atoi(line_of(folder_path("status"), "PPid:"));

	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(process_wait(daemon->pid), 128 + SIGKILL);
	until(!process_lives(program));
	daemon_free(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster/privileges");
	TCase *workers = add_case(suite, "workers");
	TCase *programs = add_case(suite, "programs");

	tcase_add_test(programs, a_clean_environment_has_what_the_file_says);
	tcase_add_test(programs, a_program_ends_with_its_primary_though_it_never_looks);
	tcase_add_test(workers, new_privileges_are_refused);
	if (getuid() != 0) {
		puts("skipped: only root can give up what it has");
		return run_suite(suite);
	}
	tcase_add_test(workers, workers_are_the_user_with_his_groups_and_nothing_else);
	tcase_add_test(workers, a_worker_that_is_replaced_is_the_user_as_well);
	tcase_add_loop_test(workers, each_policy_serves_as_another_user, 0, 3);
	tcase_add_test(workers, an_application_has_a_user_of_its_own);
	tcase_add_test(workers, a_capability_is_kept_alone_and_over_an_exec);
	tcase_add_test(workers, root_keeps_no_capability_that_is_not_named);
	tcase_add_test(workers, workers_see_no_more_than_their_root);
	tcase_add_test(workers, a_root_that_is_not_there_stops_the_start);
	tcase_add_test(programs, a_program_is_the_user_and_at_home_there);
	return run_suite(suite);
}
