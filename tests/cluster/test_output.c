/* tests/cluster/test_output.c - what programs write, in the log of musterd. */
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A shell that says something, and is what it is told to be; a slow replacement, so that it says it once. */
#define SAYS(words, keys)                                                                                              \
	"'workers': 1, 'restart': { 'backoff_ms': 600000, 'backoff_max_ms': 600000 }, 'listeners': [], "               \
	"'applications': { 'app': { 'exec': [ 'sh', '-c', '" words "' ], 'protocol': 'listen-fds',"                    \
	"'ready': 'online' " keys "} }"
#define STAYS "; exec sleep 600"

static void stop(struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(process_wait(daemon->pid), 0);
	daemon_free(daemon);
}

/* What a file holds so far. */
static const char *text_of(const char *name)
{
	static char text[64];
	FILE *stream = fopen(folder_path(name), "re");

	text[stream != NULL ? fread(text, 1, sizeof text - 1, stream) : 0] = '\0';
	if (stream != NULL)
		fclose(stream);
	return text;
}

START_TEST(each_line_has_the_application_and_the_slot_before_it)
{
	struct daemon *daemon =
		daemon_start(SAYS("echo to output; echo to error >&2; printf \\\"a\\\\r\\\\n\\\\nb\\\"" STAYS, ""));

	until(daemon_logged(daemon, " info  app/0: a\n") == 1);
	ck_assert_uint_eq(daemon_logged(daemon, " info  app/0: to output\n"), 1);
	ck_assert_uint_eq(daemon_logged(daemon, " info  app/0: to error\n"), 1);
	until(daemon_logged(daemon, " info  app/0: \n") == 1);
	ck_assert_uint_eq(daemon_logged(daemon, "app/0: b"), 0);
	stop(daemon);
}
END_TEST

START_TEST(in_json_it_is_the_application_that_speaks)
{
	struct daemon *daemon = daemon_start("'log': { 'format': 'json' }, " SAYS("echo to output" STAYS, ""));

	until(daemon_logged(daemon, "\"process\":\"app/0\",\"message\":\"to output\"}") == 1);
	stop(daemon);
}
END_TEST

/* Nobody has read it when the program is dead already: the pipe has. */
START_TEST(the_last_words_of_a_program_are_logged_before_its_end)
{
	struct daemon *daemon = daemon_start(SAYS("echo first; printf last; kill -9 $$", ""));

	until(daemon_logged(daemon, "app/0: first\n") == 1 && daemon_logged(daemon, "was killed by signal 9\n") == 1);
	ck_assert_uint_eq(daemon_logged(daemon, "app/0: last\n"), 1);
	stop(daemon);
}
END_TEST

START_TEST(the_end_of_much_is_logged_although_it_is_too_much)
{
	struct daemon *daemon = daemon_start(SAYS("seq 10001 30000; kill -9 $$", ""));
	char line[64];
	unsigned i;

	until(daemon_logged(daemon, "was killed by signal 9\n") == 1);
	for (i = 29985; i <= 30000; i++) {
		snprintf(line, sizeof line, "app/0: %u\n", i);
		ck_assert_uint_eq(daemon_logged(daemon, line), 1);
	}
	ck_assert_uint_ge(daemon_logged(daemon, "lines were dropped: it wrote more than 1000 in a second\n"), 1);
	stop(daemon);
}
END_TEST

START_TEST(what_is_too_much_is_dropped_and_counted_and_the_rest_goes_on)
{
	struct daemon *daemon = daemon_start(SAYS("yes | head -n 20000; sleep 1.1; echo after" STAYS, ""));

	until(daemon_logged(daemon, "app/0: after\n") == 1);
	ck_assert_uint_ge(daemon_logged(daemon, "app/0: y\n"), 1000);
	ck_assert_uint_lt(daemon_logged(daemon, "app/0: y\n"), 20000);
	ck_assert_uint_ge(daemon_logged(daemon, "lines were dropped"), 1);
	stop(daemon);
}
END_TEST

START_TEST(a_long_line_becomes_several)
{
	struct daemon *daemon = daemon_start(SAYS("head -c 2000 /dev/zero | tr \\\"\\\\0\\\" x; echo end" STAYS, ""));

	until(daemon_logged(daemon, "end\n") == 1);
	ck_assert_uint_eq(daemon_logged(daemon, "app/0: xxxx"), 3);
	ck_assert_uint_eq(daemon_logged(daemon, "xxxxxxxxxx"), 89 + 89 + 20); /* 896, 896 and 208 */
	stop(daemon);
}
END_TEST

START_TEST(a_program_that_closes_its_output_lives_on)
{
	struct daemon *daemon = daemon_start(SAYS("echo before; exec >/dev/null 2>&1" STAYS, ""));

	until(daemon_logged(daemon, "app/0: before\n") == 1);
	ck_assert_int_eq(daemon_worker(daemon, 0, "restarts"), 0);
	ck_assert_uint_eq(daemon_ready(daemon), 1);
	stop(daemon);
}
END_TEST

START_TEST(output_may_be_left_as_it_is)
{
	struct daemon *daemon = daemon_start(SAYS("echo to output; echo to error >&2" STAYS, ", 'output': 'inherit'"));

	until(daemon_logged(daemon, "\nto output\n") == 1);
	until(daemon_logged(daemon, "\nto error\n") == 1);
	stop(daemon);
}
END_TEST

START_TEST(output_may_go_nowhere)
{
	struct daemon *daemon = daemon_start("'log': { 'target': 'file' }, " SAYS(
		"echo to output; echo to error >&2; readlink /proc/$$/fd/1 /proc/$$/fd/2 | cat >where" STAYS,
		", 'output': 'null'"));

	until(strcmp(text_of("where"), "/dev/null\n/dev/null\n") == 0);
	stop(daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output");
	TCase *tcase = add_case(suite, "output");

	tcase_add_test(tcase, each_line_has_the_application_and_the_slot_before_it);
	tcase_add_test(tcase, in_json_it_is_the_application_that_speaks);
	tcase_add_test(tcase, the_last_words_of_a_program_are_logged_before_its_end);
	tcase_add_test(tcase, the_end_of_much_is_logged_although_it_is_too_much);
	tcase_add_test(tcase, what_is_too_much_is_dropped_and_counted_and_the_rest_goes_on);
	tcase_add_test(tcase, a_long_line_becomes_several);
	tcase_add_test(tcase, a_program_that_closes_its_output_lives_on);
	tcase_add_test(tcase, output_may_be_left_as_it_is);
	tcase_add_test(tcase, output_may_go_nowhere);
	return run_suite(suite);
}
