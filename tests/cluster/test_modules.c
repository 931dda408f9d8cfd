/* tests/cluster/test_modules.c - musterd with applications that are modules: that of the examples, good ones and bad ones. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define HELLO TEST_BUILD_DIR "/examples/module_hello.so"
#define MODULE(name) TEST_BUILD_DIR "/tests/module/" name ".so"
#define LISTENER(keys)                                                                                                 \
	"'listeners': [ { 'name': 'tcp', 'host': '127.0.0.1', 'port': 0, 'application': 'app' " keys "} ]"
#define APP(workers, file, keys) "'workers': " workers ", 'applications': { 'app': { 'module': '" file "' " keys "} }, "
#define GOOD(keys) APP("1", MODULE("none"), keys) LISTENER("")

/* What it answers to a word. */
static const char *ask(const struct daemon *daemon, const char *word)
{
	static char text[512];
	int fd = client_connect_port(daemon_port(daemon, "tcp"));

	client_send_text(fd, word);
	text[client_receive_all(fd, text, sizeof text - 1)] = '\0';
	close(fd);
	return text;
}

/* ---- what it is told */

static const char *const policies[] = { "round-robin", "least-connections", "shared", "reuse-port", "exclusive" };

START_TEST(the_example_greets_whatever_the_policy)
{
	char text[1024];
	struct daemon *daemon;
	int fd;

	snprintf(text, sizeof text, APP("2", HELLO, ", 'config': { 'greeting': 'Ahoy' }") LISTENER(", 'policy': '%s'"),
		 policies[_i]);
	daemon = daemon_start(text);
	ck_assert_uint_eq(daemon_ready(daemon), 2);
	fd = client_connect_port(daemon_port(daemon, "tcp"));
	client_expect_text(fd, "Ahoy from worker ");
	close(fd);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_module_gets_its_names_and_its_configuration_as_json)
{
	struct daemon *daemon = daemon_start(APP("1", MODULE("none"), ", 'config': { 'a': [ 1, { 'b': 'c' } ] }")
						     LISTENER(", 'timeout': 5000"));

	ck_assert_str_eq(ask(daemon, "config"), "{\"a\":[1,{\"b\":\"c\"}]}");
	ck_assert_str_eq(ask(daemon, "names"), "app tcp 5000");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_module_without_a_configuration_gets_an_empty_one)
{
	struct daemon *daemon = daemon_start(GOOD(""));

	ck_assert_str_eq(ask(daemon, "config"), "{}");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_module_is_loaded_after_privileges_are_dropped_and_in_its_directory)
{
	struct daemon *daemon;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(mkdir(folder_path("home"), 0755), 0);
	daemon = daemon_start(GOOD(", 'user': 'nobody', 'directory': 'home'"));
	ck_assert_str_eq(ask(daemon, "user"), "65534");
	ck_assert_str_eq(ask(daemon, "directory"), folder_path("home"));
	daemon_stop(daemon);
}
END_TEST

static void enter_folder(void)
{
	if (chdir(folder_path(".")) < 0)
		_exit(126);
}

/* Named by a file that is itself named relative to where musterd was started. */
START_TEST(a_module_is_found_beside_its_configuration_wherever_that_is)
{
	struct daemon *daemon = daemon_configure(APP("1", "app.so", "") LISTENER(""));
	char *file = daemon->file;

	ck_assert_int_eq(symlink(MODULE("none"), folder_path("app.so")), 0);
	daemon->file = strdup(strrchr(file, '/') + 1);
	daemon_launch(daemon, &(struct daemon_start){ .prepare = enter_folder });
	daemon_await(daemon);
	ck_assert_str_eq(ask(daemon, "config"), "{}");
	free(file);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_module_is_ready_when_it_says_so_if_that_is_asked_for)
{
	struct daemon *daemon = daemon_configure(GOOD(", 'ready': 'message'"));

	daemon_launch(daemon, NULL);
	until(daemon_listener(daemon, "tcp", "workers") == 1);
	ck_assert_uint_eq(daemon_ready(daemon), 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- its end, and the next one */

START_TEST(a_module_is_told_once_that_its_worker_leaves)
{
	struct daemon *daemon = daemon_start(GOOD(""));
	int fd = client_connect_port(daemon_port(daemon, "tcp"));

	client_send_text(fd, "stay");
	client_expect_text(fd, "staying");
	ck_assert_int_eq(kill(daemon->pid, SIGQUIT), 0);
	client_expect_text(fd, "left 1 times");
	client_expect_end(fd);
	close(fd);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "left "), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_reload_loads_the_module_anew_with_its_new_configuration)
{
	struct daemon *daemon = daemon_start(GOOD(", 'config': { 'n': 1 }"));
	unsigned port = daemon_port(daemon, "tcp");

	ck_assert_str_eq(ask(daemon, "config"), "{\"n\":1}");
	daemon_rewrite(daemon, GOOD(", 'config': { 'n': 2 }"));
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "generation 2 serves") == 1);
	ck_assert_uint_eq(daemon_port(daemon, "tcp"), port);
	ck_assert_str_eq(ask(daemon, "config"), "{\"n\":2}");
	daemon_stop(daemon);
}
END_TEST

/* ---- what cannot be used */

static const struct {
	const char *file, *logged;
} bad[] = {
	{ MODULE("entry"), "exports no muster_module: see muster/module.h" },
	{ MODULE("version"), "is of version 2, this musterd loads up to 1" },
	{ MODULE("start"), "module test: its start failed: " },
	{ TEST_SOURCE_DIR "/README.md", "invalid ELF header" },
};

static const char *bad_config(int index)
{
	static char text[1024];

	snprintf(text, sizeof text, "'workers': 2, 'applications': { 'app': { 'module': '%s' } }, " LISTENER(""),
		 bad[index].file);
	return text;
}

/* Long before the time-out for being ready, which is 30 seconds. */
START_TEST(a_module_that_cannot_be_used_fails_the_start_at_once)
{
	struct daemon *daemon = daemon_configure(bad_config(_i));
	uint64_t start = clock_ms();

	daemon_launch(daemon, NULL);
	ck_assert_int_eq(process_wait(daemon->pid), 1);
	ck_assert_uint_lt(clock_ms() - start, 20000);
	ck_assert_uint_ge(daemon_logged(daemon, bad[_i].logged), 1);
	ck_assert_uint_le(daemon_logged(daemon, bad[_i].logged), 2);
	ck_assert_uint_eq(daemon_logged(daemon, "application app: module "), daemon_logged(daemon, bad[_i].logged) + 1);
	ck_assert_uint_eq(daemon_logged(daemon, "cannot be used, the log of its worker tells why"), 1);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_reload_with_a_module_that_cannot_be_used_changes_nothing)
{
	struct daemon *daemon = daemon_start(GOOD(", 'config': { 'n': 1 }"));

	daemon_rewrite(daemon, bad_config(_i));
	ck_assert_int_eq(kill(daemon->pid, SIGHUP), 0);
	until(daemon_logged(daemon, "generation 2 could not start, the one before it goes on") == 1);
	ck_assert_str_eq(ask(daemon, "config"), "{\"n\":1}");
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

static const struct {
	const char *file, *said;
} missing[] = {
	{ "none.so", "applications.app.module: " },
	{ "none.so", "/none.so: No such file or directory" },
	{ ".", "applications.app.module: is no file" },
};

START_TEST(a_test_of_the_configuration_finds_a_module_that_is_not_there)
{
	char text[512];
	struct daemon *daemon;

	snprintf(text, sizeof text, "'applications': { 'app': { 'module': '%s' } }, " LISTENER(""), missing[_i].file);
	daemon = daemon_configure(text);
	daemon_launch(daemon, &(struct daemon_start){ .option = "-t" });
	ck_assert_int_eq(process_wait(daemon->pid), 2);
	ck_assert_uint_eq(daemon_logged(daemon, missing[_i].said), 1);
	daemon_free(daemon);
}
END_TEST

/* Whether it can be loaded is the workers' affair. */
START_TEST(a_test_of_the_configuration_loads_nothing)
{
	struct daemon *daemon = daemon_configure(bad_config(_i));

	daemon_launch(daemon, &(struct daemon_start){ .option = "-t" });
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

/* A file that was replaced by a bad one while the daemon runs. */
START_TEST(a_module_that_went_bad_is_tried_again_with_a_backoff)
{
	struct daemon *daemon;

	ck_assert_int_eq(symlink(MODULE("none"), folder_path("app.so")), 0);
	daemon = daemon_start("'restart': { 'backoff_ms': 100, 'backoff_max_ms': 3600000 }," APP("1", "app.so", "")
				      LISTENER(""));
	ck_assert_int_eq(unlink(folder_path("app.so")), 0);
	ck_assert_int_eq(symlink(MODULE("start"), folder_path("app.so")), 0);
	ck_assert_int_eq(kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL), 0);
	until(daemon_logged(daemon, "the next try is in 400 ms") == 1);
	ck_assert_uint_le(daemon_logged(daemon, "its start failed"), 4);
	ck_assert_int_eq(unlink(folder_path("app.so")), 0);
	ck_assert_int_eq(symlink(MODULE("none"), folder_path("app.so")), 0);
	until(daemon_ready(daemon) == 1);
	ck_assert_str_eq(ask(daemon, "config"), "{}");
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("modules");
	TCase *tcase = add_case(suite, "good");

	tcase_add_loop_test(tcase, the_example_greets_whatever_the_policy, 0, COUNT_OF(policies));
	tcase_add_test(tcase, a_module_gets_its_names_and_its_configuration_as_json);
	tcase_add_test(tcase, a_module_without_a_configuration_gets_an_empty_one);
	tcase_add_test(tcase, a_module_is_loaded_after_privileges_are_dropped_and_in_its_directory);
	tcase_add_test(tcase, a_module_is_found_beside_its_configuration_wherever_that_is);
	tcase_add_test(tcase, a_module_is_ready_when_it_says_so_if_that_is_asked_for);
	tcase_add_test(tcase, a_module_is_told_once_that_its_worker_leaves);
	tcase_add_test(tcase, a_reload_loads_the_module_anew_with_its_new_configuration);
	tcase = add_case(suite, "bad");
	tcase_add_loop_test(tcase, a_module_that_cannot_be_used_fails_the_start_at_once, 0, COUNT_OF(bad));
	tcase_add_loop_test(tcase, a_reload_with_a_module_that_cannot_be_used_changes_nothing, 0, COUNT_OF(bad));
	tcase_add_loop_test(tcase, a_test_of_the_configuration_finds_a_module_that_is_not_there, 0, COUNT_OF(missing));
	tcase_add_loop_test(tcase, a_test_of_the_configuration_loads_nothing, 0, COUNT_OF(bad));
	tcase_add_test(tcase, a_module_that_went_bad_is_tried_again_with_a_backoff);
	return run_suite(suite);
}
