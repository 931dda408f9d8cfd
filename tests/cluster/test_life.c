/* tests/cluster/test_life.c - how the workers of musterd live: hung, old, limited, not ready, not willing to go. */
#include "tests/support/client.h"
#include "tests/support/crowd.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static pid_t worker_pid(const struct daemon *daemon, unsigned slot)
{
	return (pid_t)daemon_worker(daemon, slot, "pid");
}

/* A worker that was killed is in its log. */
static void stop_and_expect(struct daemon *daemon, int status)
{
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), status);
	daemon_free(daemon);
}

/* A daemon of one program, of which this is the text; it is in the test's folder. */
static struct daemon *configure_program(const char *text, const char *keys)
{
	const char *path = folder_path("program.js");
	FILE *stream = fopen(path, "we");
	char members[1024];

	ck_assert_ptr_nonnull(stream);
	fputs(text, stream);
	ck_assert_int_eq(fclose(stream), 0);
	snprintf(members, sizeof members,
		 "'listeners': [], 'applications': { 'web': { 'exec': ['node', 'program.js'], 'workers': 1 %s } }",
		 keys);
	return daemon_configure(members);
}

static struct daemon *start_program(const char *text, const char *keys)
{
	struct daemon *daemon = configure_program(text, keys);

	daemon_launch(daemon, NULL);
	daemon_await(daemon);
	return daemon;
}

/* ---- hung and old */

START_TEST(a_frozen_worker_is_replaced)
{
	struct daemon *daemon =
		daemon_start("'restart': { 'heartbeat_ms': 500, 'kill_timeout_ms': 100 }, " ECHO("2", ""));
	pid_t frozen = worker_pid(daemon, 0);

	process_freeze(frozen);
	until(daemon_ready(daemon) == 2 && worker_pid(daemon, 0) != frozen);
	ck_assert(!process_lives(frozen));
	ck_assert_uint_eq(daemon_logged(daemon, "is hung"), 1);
	stop_and_expect(daemon, 0);
}
END_TEST

START_TEST(under_load_workers_are_replaced_after_so_many_connections_and_no_client_notices)
{
	struct daemon *daemon = daemon_start("'restart': { 'max_requests': 200, 'jitter': 50 }, " ECHO("2", ""));
	struct crowd crowd;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 20, 6000);
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 6000);
	until(daemon_logged(daemon, "takes the place of worker") >= 2);
	daemon_stop(daemon);
}
END_TEST

/* ---- restarted */

#define TWO_APPS                                                                                                       \
	"'workers': 2, 'listeners': [ " TCP(                                                                           \
		"") ", { 'port': 0, 'name': 'other', 'application': 'sink' } ],"                                       \
		    "'applications': { 'echo': { 'builtin': 'echo' }, 'sink': { 'builtin': 'discard' } }"

/* The processes of all four. */
static void remember(const struct daemon *daemon, pid_t *pids)
{
	json_t *status = daemon_status(daemon), *worker;
	size_t i;

	json_array_foreach(json_object_get(status, "workers"), i, worker) pids[i] =
		(pid_t)json_integer_value(json_object_get(worker, "pid"));
	ck_assert_uint_eq(i, 4);
	json_decref(status);
}

START_TEST(musterctl_restarts_all_workers_or_those_of_one_application)
{
	struct daemon *daemon = daemon_start(TWO_APPS);
	pid_t first[4], second[4], third[4];
	struct ended ended;
	unsigned i;

	remember(daemon, first);
	run(&ended, MUSTERCTL, "-s", daemon->control, "--wait", "restart");
	ck_assert_str_eq(ended.err, "");
	ck_assert_str_eq(ended.out, "");
	ck_assert_int_eq(ended.status, 0);
	until(daemon_logged(daemon, "exited with status 0") == 4);
	remember(daemon, second);
	run(&ended, MUSTERCTL, "-s", daemon->control, "restart", "sink");
	ck_assert_int_eq(ended.status, 0);
	until(daemon_logged(daemon, "exited with status 0") == 6);
	remember(daemon, third);
	for (i = 0; i < 4; i++) {
		ck_assert_int_ne(first[i], second[i]);
		ck_assert(i < 2 ? second[i] == third[i] : second[i] != third[i]);
	}
	daemon_stop(daemon);
}
END_TEST

START_TEST(musterctl_restarts_the_worker_of_one_slot)
{
	struct daemon *daemon = daemon_start(TWO_APPS);
	pid_t first[4], second[4];
	struct ended ended;
	unsigned i, changed = 0;

	remember(daemon, first);
	run(&ended, MUSTERCTL, "-s", daemon->control, "--wait", "restart", "sink", "1");
	ck_assert_str_eq(ended.err, "");
	ck_assert_int_eq(ended.status, 0);
	until(daemon_logged(daemon, "exited with status 0") == 1);
	remember(daemon, second);
	for (i = 0; i < 4; i++)
		changed += first[i] != second[i];
	ck_assert_uint_eq(changed, 1);
	ck_assert_int_ne(first[3], second[3]);
	run(&ended, MUSTERCTL, "-s", daemon->control, "restart", "sink", "2");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_str_eq(ended.err, "musterctl: no worker has this slot\n");
	run(&ended, MUSTERCTL, "-s", daemon->control, "restart", "sink", "one");
	ck_assert_int_eq(ended.status, 2);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_restart_of_nobody_is_refused)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	struct ended ended;

	run(&ended, MUSTERCTL, "-s", daemon->control, "restart", "nobody");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_str_eq(ended.err, "musterctl: no application has this name\n");
	daemon_stop(daemon);
}
END_TEST

START_TEST(under_load_a_restart_is_not_noticed)
{
	struct daemon *daemon = daemon_start(ECHO("2", ", 'policy': 'shared'"));
	struct ended ended;
	struct crowd crowd;
	unsigned i;

	crowd_begin(&crowd, daemon_port(daemon, "tcp"), 20, 4000);
	for (i = 0; i < 5; i++) {
		int fd = client_connect_path(daemon->control);
		char answer[64] = "";

		client_send_text(fd, "{\"command\":\"restart\",\"wait\":true}\n");
		while (client_waiting(fd) == 0 && crowd_turn(&crowd))
			;
		client_receive_all(fd, answer, sizeof answer - 1);
		ck_assert_str_eq(answer, "{\"ok\":true}\n");
		close(fd);
	}
	while (crowd_turn(&crowd))
		;
	crowd_end(&crowd);
	ck_assert_uint_eq(crowd.answered, 4000);
	run(&ended, MUSTERCTL, "-s", daemon->control, "status");
	ck_assert_int_eq(ended.status, 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- limits */

START_TEST(workers_have_the_limits_of_their_application)
{
	struct daemon *daemon = daemon_start(
		"'workers': 2, 'nice': 1, 'cpu_affinity': true, 'limits': { 'nofile': 77, 'core': 0 },"
		"'listeners': [ " TCP(
			"") ", { 'port': 0, 'name': 'other', 'application': 'nicer' } ],"
			    "'applications': { 'echo': { 'builtin': 'echo' },"
			    "'nicer': { 'builtin': 'discard', 'nice': 2, 'cpu_affinity': false, 'limits': { 'nofile': 99 } } }");
	json_t *status = daemon_status(daemon), *worker;
	struct rlimit limit;
	cpu_set_t all, set;
	size_t i;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	json_array_foreach(json_object_get(status, "workers"), i, worker)
	{
		pid_t pid = (pid_t)json_integer_value(json_object_get(worker, "pid"));
		bool nicer = strcmp(json_string_value(json_object_get(worker, "application")), "nicer") == 0;

		ck_assert_int_eq(getpriority(PRIO_PROCESS, (id_t)pid), getpriority(PRIO_PROCESS, 0) + (nicer ? 2 : 1));
		ck_assert_int_eq(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
		ck_assert_uint_eq(limit.rlim_max, nicer ? 99 : 77);
		ck_assert_int_eq(prlimit(pid, RLIMIT_CORE, NULL, &limit), 0);
		ck_assert_uint_eq(limit.rlim_max, 0);
		ck_assert_int_eq(sched_getaffinity(pid, sizeof set, &set), 0);
		ck_assert_int_eq(CPU_COUNT(&set), nicer ? CPU_COUNT(&all) : 1);
	}
	ck_assert_uint_eq(i, 4);
	json_decref(status);
	daemon_stop(daemon);
}
END_TEST

/* ---- ready */

#define SAY_READY "process.on('message', () => {}); process.send('ready');\n"
#define SERVE "require('net').createServer().listen(0, '127.0.0.1');\n"

START_TEST(a_program_may_say_itself_that_it_is_ready)
{
	struct daemon *daemon = start_program(SAY_READY, ", 'ready': 'message'");

	ck_assert_uint_eq(daemon_ready(daemon), 1);
	stop_and_expect(daemon, 0);
}
END_TEST

START_TEST(a_program_that_is_to_say_it_and_only_listens_is_not_ready)
{
	struct daemon *daemon =
		configure_program(SERVE, ", 'ready': 'message', 'restart': { 'ready_timeout_ms': 1000 }");

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "application web: 0 of 1 workers were ready"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_program_that_is_online_may_be_ready)
{
	struct daemon *daemon = start_program("process.on('message', () => {});\n", ", 'ready': 'online'");

	stop_and_expect(daemon, 0);
}
END_TEST

/* It is ready the first time alone. */
#define READY_ONCE                                                                                                     \
	"const fs = require('fs'); process.on('message', () => {});\n"                                                 \
	"if (!fs.existsSync('ran')) { fs.writeFileSync('ran', ''); process.send('ready'); }\n"

START_TEST(a_restart_that_fails_says_so_and_what_was_there_stays)
{
	struct daemon *daemon =
		start_program(READY_ONCE, ", 'ready': 'message', 'restart': { 'ready_timeout_ms': 1000 }");
	pid_t before = worker_pid(daemon, 0);
	int impatient = client_connect_path(daemon->control), fd;
	char answer[128] = "";
	struct ended ended;

	/* Whoever asked may go; the others hear that it goes on. */
	client_send_text(impatient, "{\"command\":\"restart\",\"wait\":true}\n");
	until(daemon_logged(daemon, " started") == 2);
	fd = client_connect_path(daemon->control);
	client_send_text(fd, "{\"command\":\"restart\",\"application\":\"web\"}\n");
	client_receive_all(fd, answer, sizeof answer - 1);
	ck_assert_str_eq(answer, "{\"error\":\"a restart is under way\"}\n");
	close(fd);
	close(impatient);
	until(daemon_logged(daemon, "application web: the restart failed") == 1);
	run(&ended, MUSTERCTL, "-s", daemon->control, "--wait", "restart", "web");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_ptr_nonnull(strstr(ended.err, "application web: "));
	ck_assert_int_eq(worker_pid(daemon, 0), before);
	ck_assert(process_lives(before));
	stop_and_expect(daemon, 0);
}
END_TEST

/* ---- programs that cannot work */

START_TEST(a_start_fails_when_the_budget_of_a_program_is_spent)
{
	struct daemon *daemon =
		configure_program("process.exit(3);\n", ", 'restart': { 'budget': 2, 'backoff_ms': 1 }");

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "exited with status 3"), 2);
	ck_assert_uint_eq(daemon_logged(daemon, "2 workers in a row ended before they listened"), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "application web: 0 of 1 workers were ready"), 1);
	daemon_free(daemon);
}
END_TEST

static const char *state_of_first(const struct daemon *daemon)
{
	static char state[32];
	json_t *status = daemon_status(daemon);
	json_t *worker = json_array_get(json_object_get(status, "workers"), 0);

	snprintf(state, sizeof state, "%s", json_string_value(json_object_get(worker, "state")));
	json_decref(status);
	return state;
}

START_TEST(a_place_whose_budget_is_spent_is_shown_as_errored)
{
	struct daemon *daemon = start_program("if (require('fs').existsSync('broken')) process.exit(3);\n" SERVE,
					      ", 'restart': { 'budget': 2, 'backoff_ms': 1 }");
	FILE *broken = fopen(folder_path("broken"), "we");

	ck_assert_ptr_nonnull(broken);
	ck_assert_int_eq(fclose(broken), 0);
	ck_assert_int_eq(kill(worker_pid(daemon, 0), SIGKILL), 0);
	until(strcmp(state_of_first(daemon), "errored") == 0);
	stop_and_expect(daemon, 0);
}
END_TEST

/* ---- programs that do not go */

#define STAYS(on_sigterm) SERVE "setInterval(() => {}, 1000); process.on('SIGTERM', () => {" on_sigterm "});\n"

START_TEST(a_program_that_stays_gets_a_sigterm_before_a_sigkill)
{
	struct daemon *daemon = start_program(STAYS("console.error('goodbye'); process.exit(0);"), "");

	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "goodbye"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_program_that_stays_after_a_sigterm_gets_a_sigkill)
{
	struct daemon *daemon = start_program(STAYS("console.error('no');"), "");

	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 3);
	ck_assert_uint_eq(daemon_logged(daemon, "was killed by signal 9"), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "no\n"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_program_that_outstays_its_drain_gets_a_sigterm)
{
	struct daemon *daemon = start_program(STAYS("console.error('goodbye'); process.exit(0);"),
					      ", 'restart': { 'drain_timeout_ms': 100 }");

	ck_assert_int_eq(kill(daemon->pid, SIGQUIT), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "goodbye"), 1);
	daemon_free(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life");
	TCase *health = add_case(suite, "health"), *ready = add_case(suite, "ready");
	TCase *broken = add_case(suite, "broken"), *stay = add_case(suite, "stay");

	tcase_add_test(health, a_frozen_worker_is_replaced);
	tcase_add_test(health, under_load_workers_are_replaced_after_so_many_connections_and_no_client_notices);
	tcase_add_test(health, musterctl_restarts_all_workers_or_those_of_one_application);
	tcase_add_test(health, a_restart_of_nobody_is_refused);
	tcase_add_test(health, musterctl_restarts_the_worker_of_one_slot);
	tcase_add_test(health, under_load_a_restart_is_not_noticed);
	tcase_add_test(health, workers_have_the_limits_of_their_application);
	if (!node_is_installed())
		return run_suite(suite);
	tcase_add_test(ready, a_program_may_say_itself_that_it_is_ready);
	tcase_add_test(ready, a_program_that_is_to_say_it_and_only_listens_is_not_ready);
	tcase_add_test(ready, a_program_that_is_online_may_be_ready);
	tcase_add_test(ready, a_restart_that_fails_says_so_and_what_was_there_stays);
	tcase_add_test(broken, a_start_fails_when_the_budget_of_a_program_is_spent);
	tcase_add_test(broken, a_place_whose_budget_is_spent_is_shown_as_errored);
	tcase_add_test(stay, a_program_that_stays_gets_a_sigterm_before_a_sigkill);
	tcase_add_test(stay, a_program_that_stays_after_a_sigterm_gets_a_sigkill);
	tcase_add_test(stay, a_program_that_outstays_its_drain_gets_a_sigterm);
	return run_suite(suite);
}
