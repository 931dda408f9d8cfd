/* tests/cluster/test_exec.c - musterd with applications that are programs: Node's, which have never heard of it. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* Parts of configurations, as in daemon.h. The program is tests/node/web.js; LISTEN is what it listens on. */
#define WEB_JS TEST_SOURCE_DIR "/tests/node/web.js"
#define WEB(listen, keys) "'web': { 'exec': ['node', '" WEB_JS "'], 'env': { 'LISTEN': '" listen "' } " keys " }"
#define WEB_TCP "{ 'name': 'tcp', 'host': '127.0.0.1', 'port': %u, 'application': 'web' }"
#define LOCAL "{\\'port\\':%u,\\'host\\':\\'127.0.0.1\\'}"

/* ---- daemons and what they are asked */

/* A configuration with its numbers; JSON inside of a string is written with \' for \". */
__attribute__((format(printf, 1, 2))) static struct daemon *configure(const char *format, ...)
{
	char text[2048];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	ck_assert_int_lt(length, (int)sizeof text);
	return daemon_configure(text);
}

static struct daemon *start(struct daemon *daemon)
{
	daemon_launch(daemon, NULL);
	daemon_await(daemon);
	return daemon;
}

/* One program, two workers, one port that the configuration has. */
static struct daemon *start_web(unsigned port, const char *policy)
{
	return start(
		configure("'workers': 2, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': %u,"
			  "'policy': '%s', 'application': 'web' } ], 'applications': { " WEB("[" LOCAL "]", "") " }",
			  port, policy, port));
}

/* The body of the answer. */
static const char *ask(int fd, const char *path)
{
	static char answer[4096];
	char request[128];
	char *body;
	size_t length;

	snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
	client_send_text(fd, request);
	length = client_receive_all(fd, answer, sizeof answer - 1);
	answer[length] = '\0';
	close(fd);
	body = strstr(answer, "\r\n\r\n");
	ck_assert_msg(body != NULL, "%s: no answer", path);
	return body + 4;
}

static const char *ask_port(unsigned port, const char *path)
{
	return ask(client_connect_port(port), path);
}

static pid_t ask_pid(unsigned port)
{
	return (pid_t)strtol(ask_port(port, "/pid"), NULL, 10);
}

static pid_t worker_pid(const struct daemon *daemon, unsigned slot)
{
	return (pid_t)daemon_worker(daemon, slot, "pid");
}

static const char *write_file(const char *name, const char *text, mode_t mode)
{
	const char *path = folder_path(name);
	FILE *stream = fopen(path, "we");

	ck_assert_ptr_nonnull(stream);
	fputs(text, stream);
	ck_assert_int_eq(fclose(stream), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

/* ---- where it listens */

static const char *const policies[] = { "round-robin", "least-connections", "shared" };

START_TEST(a_program_serves_a_configured_listener_by_its_policy)
{
	unsigned port = client_free_port(), i;
	struct daemon *daemon = start_web(port, policies[_i]);
	pid_t first, second;

	ck_assert_uint_eq(daemon_ready(daemon), 2);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	for (i = 0; i < 20; i++) {
		first = ask_pid(port);
		second = ask_pid(port);
		ck_assert(first == worker_pid(daemon, 0) || first == worker_pid(daemon, 1));
		ck_assert(strcmp(policies[_i], "round-robin") != 0 || first != second);
	}
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_needs_no_listener_to_listen)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start(configure(
		"'workers': 2, 'listeners': [], 'applications': { " WEB("[" LOCAL ",\\'own.sock\\']", "") " }", port));

	ck_assert_uint_eq(daemon_ready(daemon), 2);
	ck_assert_int_ne(ask_pid(port), ask_pid(port));
	/* In its own folder, which is that of the configuration. */
	ck_assert_str_ne(ask(client_connect_path(folder_path("own.sock")), "/pid"), "");
	/* What was opened on demand is shown by its address. */
	ck_assert_int_ge(daemon_listener(daemon, folder_path("own.sock"), "workers"), 1);
	daemon_stop(daemon);
	ck_assert_int_eq(access(folder_path("own.sock"), F_OK), -1);
}
END_TEST

/* Only through its listener it may listen outside of its directory, and it may spell that as it likes. */
START_TEST(a_path_elsewhere_is_had_through_a_listener)
{
	struct daemon *daemon;

	ck_assert_int_eq(mkdir(folder_path("app"), 0755), 0);
	ck_assert_int_eq(symlink("app", folder_path("alias")), 0);
	daemon = start(configure(
		"'workers': 1, 'listeners': [ { 'name': 'out', 'path': 'out.sock', 'application': 'web' } ],"
		"'applications': { " WEB("[\\'../out.sock\\',\\'../other.sock\\']", ", 'directory': 'alias'") " }"));

	ck_assert_str_eq(ask(client_connect_path(folder_path("out.sock")), "/cwd"), folder_path("app"));
	until(daemon_logged(daemon, "web: EACCES bind") == 1);
	ck_assert_int_eq(access(folder_path("other.sock"), F_OK), -1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_port_below_1024_on_demand_is_refused_and_the_program_sees_why)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start(
		configure("'workers': 1, 'listeners': [], 'applications': { " WEB("[80," LOCAL "]", "") " }", port));

	until(daemon_logged(daemon, "web: EACCES bind 80") == 1);
	ck_assert_uint_eq(daemon_logged(daemon, "may listen on * port 80 only if a listener is configured there"), 1);
	ck_assert_int_eq(ask_pid(port), worker_pid(daemon, 0));
	daemon_stop(daemon);
}
END_TEST

/* ---- when it is ready */

static const char *state_of(const struct daemon *daemon, unsigned slot)
{
	static char state[32];
	json_t *status = daemon_status(daemon);
	const json_t *worker = json_array_get(json_object_get(status, "workers"), slot);
	const char *text = json_string_value(json_object_get(worker, "state"));

	snprintf(state, sizeof state, "%s", text != NULL ? text : "none");
	json_decref(status);
	return state;
}

START_TEST(a_program_is_ready_when_it_listens_on_all_that_is_configured)
{
	unsigned port = client_free_port();
	struct daemon *daemon =
		configure("'workers': 1, 'listeners': [ " WEB_TCP ", { 'path': 'late.sock', 'application': 'web' } ],"
			  "'applications': { 'web': { 'exec': ['node', '" WEB_JS "'],"
			  "'env': { 'LISTEN': '[" LOCAL ",{\\'port\\':0}]', 'LATE': '\\'late.sock\\'' } } }",
			  port, port);

	daemon_launch(daemon, NULL);
	/* Two are listening, and two are configured; but not the same two. */
	until(daemon_logged(daemon, "web: listening") == 2);
	until(strcmp(state_of(daemon, 0), "online") == 0);
	ask_port(port, "/late");
	daemon_await(daemon);
	ck_assert_str_eq(state_of(daemon, 0), "ready");
	daemon_stop(daemon);
}
END_TEST

static const struct {
	const char *exec, *keys, *logged[2];
} missing[] = {
	{ "'muster-no-such-program'",
	  "",
	  { "worker: muster-no-such-program: No such file or directory",
	    "application web: the program muster-no-such-program could not be run" } },
	{ "'./missing'", "", { "/./missing: No such file or directory", "/./missing could not be run" } },
	{ "'/dev/null'", "", { "/dev/null: Permission denied", "the program /dev/null could not be run" } },
	{ "'node'", ", 'directory': 'missing'", { "directory: No such file or directory", "node could not be run" } },
};

START_TEST(a_program_that_is_missing_is_told_and_the_start_fails)
{
	struct daemon *daemon =
		configure("'workers': 2, 'restart': { 'ready_timeout_ms': 500 }, 'listeners': [ " TCP(
				  "") " ],"
				      "'applications': { 'web': { 'exec': [%s] %s }, 'echo': { 'builtin': 'echo' } }",
			  missing[_i].exec, missing[_i].keys);

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_ge(daemon_logged(daemon, missing[_i].logged[0]), 2);
	ck_assert_uint_ge(daemon_logged(daemon, missing[_i].logged[1]), 2);
	ck_assert_uint_eq(daemon_logged(daemon, "the workers were not ready within 500 ms"), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "application web: 0 of 2 workers were ready"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_program_that_never_listens_is_not_ready)
{
	struct daemon *daemon = configure("'restart': { 'ready_timeout_ms': 1000 }, 'listeners': [],"
					  "'applications': { " WEB("[]", ", 'workers': 1") " }");

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "application web: 0 of 1 workers were ready"), 1);
	daemon_free(daemon);
}
END_TEST

/* ---- beside others */

static void expect_echo(const struct daemon *daemon)
{
	int fd = client_connect_port(daemon_port(daemon, "tcp"));

	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

START_TEST(a_program_and_a_builtin_live_on_one_daemon)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start(configure(
		"'workers': 2, 'listeners': [ " TCP("") " ], 'applications': { 'echo': { 'builtin': 'echo' }, " WEB(
			"[" LOCAL "]", ", 'workers': 1") " }",
		port));

	expect_echo(daemon);
	ck_assert_int_eq(ask_pid(port), worker_pid(daemon, 2));
	until(daemon_is_idle(daemon));
	ck_assert_int_eq(daemon_worker(daemon, 0, "accepted") + daemon_worker(daemon, 1, "accepted"), 1);
	/* Who counts nothing has no counts. */
	ck_assert_int_eq(daemon_worker(daemon, 2, "accepted"), -1);
	ck_assert_int_eq(daemon_worker(daemon, 2, "connections"), -1);
	ck_assert_int_eq(daemon_worker(daemon, 2, "restarts"), 0);
	daemon_stop(daemon);
}
END_TEST

/* The builtin's port is its own: a program that asks for it is told that it is taken. */
START_TEST(the_listener_of_another_application_is_taken)
{
	unsigned port = client_free_port(), own = client_free_port();
	struct daemon *daemon;

	ck_assert_uint_ne(port, own);
	daemon = start(configure("'workers': 1, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': %u,"
				 "'application': 'echo' } ], 'applications': { 'echo': { 'builtin': 'echo' }, " WEB(
					 "[" LOCAL "," LOCAL "]", "") " }",
				 port, port, own));
	until(daemon_logged(daemon, "web: EADDRINUSE bind") == 1);
	expect_echo(daemon);
	ck_assert_int_eq(ask_pid(own), worker_pid(daemon, 1));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_that_is_killed_is_replaced)
{
	unsigned port = client_free_port(), i;
	struct daemon *daemon = start_web(port, policies[_i]);
	pid_t killed = worker_pid(daemon, 0), stays = worker_pid(daemon, 1), pid;

	ck_assert_int_eq(kill(killed, SIGKILL), 0);
	until(daemon_worker(daemon, 0, "restarts") == 1 && daemon_ready(daemon) == 2);
	ck_assert_int_eq(worker_pid(daemon, 1), stays);
	for (i = 0; i < 10; i++) {
		pid = ask_pid(port);
		ck_assert(pid == stays || pid == worker_pid(daemon, 0));
	}
	ck_assert_int_ne(worker_pid(daemon, 0), killed);
	ck_assert_uint_eq(daemon_logged(daemon, "was killed by signal 9"), 1);
	daemon_stop(daemon);
}
END_TEST

/* What was opened on demand waits for the replacement of its only worker. */
START_TEST(a_port_opened_on_demand_outlives_the_worker_that_asked_for_it)
{
	unsigned port = client_free_port();
	struct daemon *daemon =
		start(configure("'workers': 1, 'listeners': [], 'applications': { " WEB("[" LOCAL "]", "") " }", port));
	pid_t killed = worker_pid(daemon, 0);
	int early;

	process_freeze(killed);
	early = client_connect_port(port);
	ck_assert_int_eq(kill(killed, SIGKILL), 0);
	ck_assert_int_ne(strtol(ask(early, "/pid"), NULL, 10), killed);
	daemon_stop(daemon);
}
END_TEST

/* ---- its end */

static int hang(unsigned port)
{
	int fd = client_connect_port(port);
	char byte;

	client_send_text(fd, "GET /never HTTP/1.0\r\n\r\n");
	client_receive(fd, &byte, 1);
	return fd;
}

static const int stops[] = { SIGTERM, SIGINT, SIGQUIT };

START_TEST(every_signal_that_ends_the_daemon_ends_its_programs)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start_web(port, "round-robin");
	pid_t pids[] = { worker_pid(daemon, 0), worker_pid(daemon, 1) };

	ck_assert_int_gt(ask_pid(port), 0);
	ck_assert_int_eq(kill(daemon->pid, stops[_i]), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert(!process_lives(pids[0]) && !process_lives(pids[1]));
	ck_assert_uint_eq(daemon_logged(daemon, "exited with status 0"), 2);
	ck_assert_int_lt(client_try_port(port), 0);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_a_program_that_answers_for_ever)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start_web(port, "round-robin");
	int client = hang(port);

	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "was killed by signal 15"), 1);
	close(client);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_drain_waits_for_the_answers_of_a_program)
{
	unsigned port = client_free_port();
	struct daemon *daemon = start_web(port, "round-robin");
	int client = hang(port);

	ck_assert_int_eq(kill(daemon->pid, SIGQUIT), 0);
	until(daemon_logged(daemon, "exited with status 0") == 1);
	ck_assert(process_lives(daemon->pid));
	close(client);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "exited with status 0"), 2);
	daemon_free(daemon);
}
END_TEST

START_TEST(programs_end_when_the_daemon_is_killed)
{
	struct daemon *daemon = start_web(client_free_port(), "round-robin");
	pid_t pids[] = { worker_pid(daemon, 0), worker_pid(daemon, 1) };

	ck_assert_int_eq(kill(daemon->pid, SIGKILL), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 128 + SIGKILL);
	until(!process_lives(pids[0]) && !process_lives(pids[1]));
	daemon_free(daemon);
}
END_TEST

/* ---- what it is told, and what it says */

START_TEST(words_and_variables_and_directory_arrive)
{
	unsigned port = client_free_port();
	struct daemon *daemon;

	ck_assert_int_eq(mkdir(folder_path("app"), 0755), 0);
	ck_assert_int_eq(symlink(WEB_JS, folder_path("app/index.js")), 0);
	daemon = daemon_start_with(
		"'workers': 1, 'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': 0,"
		"'application': 'web' } ], 'applications': { 'web': { 'protocol': 'node', 'directory': 'app',"
		"'exec': ['node', 'index.js', 'one', 'two'], 'env': { 'NAME': 'a=b', 'TEST_NAME': 'new',"
		"'LISTEN': '[{\\'port\\':0,\\'host\\':\\'127.0.0.1\\'}]' } } }",
		&(struct daemon_start){ .variables =
						(const char *const[]){ "TEST_NAME=old", "TEST_KEPT=kept", NULL } });
	port = daemon_port(daemon, "tcp");
	ck_assert_str_eq(ask_port(port, "/cwd"), folder_path("app"));
	ck_assert_str_eq(ask_port(port, "/words"), "one two");
	ck_assert_str_eq(ask_port(port, "/env/NAME"), "a=b");
	ck_assert_str_eq(ask_port(port, "/env/TEST_NAME"), "new");
	ck_assert_str_eq(ask_port(port, "/env/TEST_KEPT"), "kept");
	daemon_stop(daemon);
}
END_TEST

/* It tells who and where it is, and what it knows. */
static const char tells[] =
	"const limits = require('fs').readFileSync('/proc/self/limits', 'utf8');\n"
	"console.log(process.getuid(), process.getgid(), process.cwd(), process.env.NAME, process.env.USER,\n"
	"process.env.TEST_NAME, /open files +([0-9]+)/.exec(limits)[1], /core file size +([0-9]+)/.exec(limits)[1]);\n"
	"require('net').createServer().listen(0, '127.0.0.1');\n";

START_TEST(user_variables_directory_and_limits_hold_together)
{
	struct daemon *daemon;
	struct passwd *nobody = getpwnam("nobody");
	char told[512];

	if (geteuid() != 0 || nobody == NULL)
		return;
	ck_assert_int_eq(chmod(folder_path("."), 0755), 0);
	ck_assert_int_eq(mkdir(folder_path("app"), 0755), 0);
	write_file("app/tells.js", tells, 0644);
	daemon = daemon_start_with(
		"'workers': 1, 'listeners': [], 'applications': { 'web': { 'exec': [ 'node', 'tells.js' ],"
		"'user': 'nobody', 'directory': 'app', 'env': { 'NAME': 'a=b' }, 'clean_env': true,"
		"'limits': { 'nofile': 128, 'core': 0 } } }",
		&(struct daemon_start){ .variables = (const char *const[]){ "TEST_NAME=secret", NULL } });
	snprintf(told, sizeof told, " web/0: %u %u %s a=b nobody undefined 128 0\n", nobody->pw_uid, nobody->pw_gid,
		 folder_path("app"));
	until(daemon_logged(daemon, told) == 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_by_its_path_is_that_in_the_folder_of_the_file)
{
	unsigned port = client_free_port();
	struct daemon *daemon;

	ck_assert_int_eq(mkdir(folder_path("bin"), 0755), 0);
	write_file("bin/serve", "#!/bin/sh\nexec node '" WEB_JS "' \"$0\"\n", 0755);
	daemon = start(configure("'workers': 1, 'listeners': [], 'applications': { 'web': { 'exec': ['bin/serve'],"
				 "'directory': '/', 'env': { 'LISTEN': '[" LOCAL "]' } } }",
				 port));
	ck_assert_str_eq(ask_port(port, "/cwd"), "/");
	ck_assert_str_eq(ask_port(port, "/words"), folder_path("bin/serve"));
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_program_is_looked_up_in_its_own_path)
{
	unsigned port = client_free_port();
	struct daemon *daemon;
	char path[512];

	ck_assert_int_eq(mkdir(folder_path("bin"), 0755), 0);
	write_file("bin/muster-test-serve", "#!/bin/sh\nexec node '" WEB_JS "'\n", 0755);
	snprintf(path, sizeof path, "%s:%s", folder_path("bin"), getenv("PATH"));
	daemon = start(configure("'workers': 1, 'listeners': [], 'applications': { 'web': {"
				 "'exec': ['muster-test-serve'], 'env': { 'PATH': '%s', 'LISTEN': '[" LOCAL "]' } } }",
				 path, port));
	ck_assert_int_eq(ask_pid(port), worker_pid(daemon, 0));
	daemon_stop(daemon);
}
END_TEST

static const char speaks[] = "console.log('to output');\n"
			     "console.error('to error');\n"
			     "process.env.LISTEN = '[{\"port\":0,\"host\":\"127.0.0.1\"}]';\n"
			     "require('" WEB_JS "');\n";

#define SPEAKS "'workers': 1, 'listeners': [], 'applications': { 'web': { 'exec': ['node', 'speaks.js'] } }"

START_TEST(what_a_program_says_goes_where_the_log_of_the_daemon_goes)
{
	struct daemon *daemon;

	write_file("speaks.js", speaks, 0644);
	daemon = daemon_start(SPEAKS);
	ck_assert_uint_eq(daemon_logged(daemon, " web/0: to output\n"), 1);
	ck_assert_uint_eq(daemon_logged(daemon, " web/0: to error\n"), 1);
	daemon_stop(daemon);
}
END_TEST

START_TEST(what_a_program_says_goes_to_the_file_of_the_log)
{
	struct ended ended;
	struct daemon *daemon;

	write_file("speaks.js", speaks, 0644);
	daemon = daemon_start("'log': { 'target': 'file.log' }, " SPEAKS);
	run(&ended, "grep", "-c", " web/0: to output$\\| web/0: to error$", folder_path("file.log"));
	ck_assert_str_eq(ended.out, "2\n");
	daemon_stop(daemon);
}
END_TEST

/* ---- */

static void add_life(Suite *suite)
{
	TCase *tcase = add_case(suite, "beside others");

	tcase_add_test(tcase, a_program_and_a_builtin_live_on_one_daemon);
	tcase_add_test(tcase, the_listener_of_another_application_is_taken);
	tcase_add_loop_test(tcase, a_program_that_is_killed_is_replaced, 0, COUNT_OF(policies));
	tcase_add_test(tcase, a_port_opened_on_demand_outlives_the_worker_that_asked_for_it);
	tcase = add_case(suite, "end");
	tcase_add_loop_test(tcase, every_signal_that_ends_the_daemon_ends_its_programs, 0, COUNT_OF(stops));
	tcase_add_test(tcase, a_stop_does_not_wait_for_a_program_that_answers_for_ever);
	tcase_add_test(tcase, a_drain_waits_for_the_answers_of_a_program);
	tcase_add_test(tcase, programs_end_when_the_daemon_is_killed);
	tcase = add_case(suite, "words");
	tcase_add_test(tcase, words_and_variables_and_directory_arrive);
	tcase_add_test(tcase, user_variables_directory_and_limits_hold_together);
	tcase_add_test(tcase, a_program_by_its_path_is_that_in_the_folder_of_the_file);
	tcase_add_test(tcase, a_program_is_looked_up_in_its_own_path);
	tcase_add_test(tcase, what_a_program_says_goes_where_the_log_of_the_daemon_goes);
	tcase_add_test(tcase, what_a_program_says_goes_to_the_file_of_the_log);
}

int main(void)
{
	Suite *suite = suite_create("exec");
	TCase *tcase = add_case(suite, "missing");

	tcase_add_loop_test(tcase, a_program_that_is_missing_is_told_and_the_start_fails, 0, COUNT_OF(missing));
	if (!node_is_installed())
		return run_suite(suite);
	tcase = add_case(suite, "listeners");
	tcase_add_loop_test(tcase, a_program_serves_a_configured_listener_by_its_policy, 0, COUNT_OF(policies));
	tcase_add_test(tcase, a_program_needs_no_listener_to_listen);
	tcase_add_test(tcase, a_path_elsewhere_is_had_through_a_listener);
	tcase_add_test(tcase, a_port_below_1024_on_demand_is_refused_and_the_program_sees_why);
	tcase = add_case(suite, "ready");
	tcase_add_test(tcase, a_program_is_ready_when_it_listens_on_all_that_is_configured);
	tcase_add_test(tcase, a_program_that_never_listens_is_not_ready);
	add_life(suite);
	return run_suite(suite);
}
