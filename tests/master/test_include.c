/* tests/master/test_include.c - several files are one configuration, and what is wrong in one is told of that one. */
#include "master/config.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define WHOLE "'applications': { 'echo': { 'builtin': 'echo' } }, 'control': { 'path': '/c' }"

static struct muster__config *config;
static struct muster__config_errors errors;

/* With ' for ". */
static void write_file(const char *name, const char *text)
{
	FILE *stream = fopen(folder_path(name), "we");

	ck_assert_ptr_nonnull(stream);
	for (; *text; text++)
		putc(*text == '\'' ? '"' : *text, stream);
	ck_assert_int_eq(fclose(stream), 0);
}

static int load(const char *text)
{
	write_file("muster.json", text);
	return muster__config_load(&config, folder_path("muster.json"), &errors);
}

static void forget(void)
{
	muster__config_free(config);
	muster__config_errors_clear(&errors);
}

START_TEST(included_listeners_and_applications_are_part_of_the_whole)
{
	write_file("b.inc", "{ 'listeners': [ { 'path': 's', 'application': 'own' } ],\n"
			    "  'applications': { 'own': { 'builtin': 'discard' } } }");
	write_file("a.inc", "{ 'listeners': [ { 'port': 2, 'application': 'echo' } ] }");
	ck_assert_int_eq(load("{ 'include': [ '*.inc', 'nothing-*' ], 'listeners': [ { 'port': 1, "
			      "'application': 'echo' } ], " WHOLE " }"),
			 0);
	ck_assert_uint_eq(config->listener_count, 3);
	ck_assert_uint_eq(config->listeners[1].port, 2);
	ck_assert_str_eq(config->listeners[2].path, folder_path("s"));
	ck_assert_str_eq(config->applications[config->listeners[2].application].name, "own");
	forget();
}
END_TEST

START_TEST(all_listeners_and_applications_may_be_in_included_files)
{
	write_file("a.inc", "{ 'listeners': [ { 'port': 2, 'application': 'echo' } ], "
			    "'applications': { 'echo': { 'builtin': 'echo' } } }");
	ck_assert_int_eq(load("{ 'include': [ 'a.inc' ], 'control': { 'path': '/c' } }"), 0);
	ck_assert_uint_eq(config->listener_count, 1);
	forget();
}
END_TEST

START_TEST(paths_are_taken_from_the_folder_of_their_own_file)
{
	char pattern[512], text[1024];
	char other[] = "/tmp/muster-include-XXXXXX";
	FILE *stream;

	ck_assert_ptr_nonnull(mkdtemp(other));
	snprintf(pattern, sizeof pattern, "%s/a.inc", other);
	stream = fopen(pattern, "we");
	fputs("{ \"listeners\": [ { \"path\": \"s\", \"application\": \"echo\" } ] }", stream);
	fclose(stream);
	snprintf(text, sizeof text, "{ 'include': [ '%s' ], 'pid_file': 'p', " WHOLE " }", pattern);
	ck_assert_int_eq(load(text), 0);
	unlink(pattern);
	rmdir(other);
	snprintf(pattern, sizeof pattern, "%s/s", other);
	ck_assert_str_eq(config->listeners[0].path, pattern);
	ck_assert_str_eq(config->pid_file, folder_path("p"));
	forget();
}
END_TEST

static const struct {
	const char *included, *said; /* behind its name */
} mistakes[] = {
	{ "{\n 'listeners': [\n { 'port': 2 } ] }", ":3: listeners[0]: \"application\" is missing" },
	{ "{ 'listeners': [\n { 'port': 70000, 'application': 'echo' } ] }",
	  ":2: listeners[0].port: 70000 is not in 0..65535" },
	{ "{ 'listeners': [ { 'port': 2, 'application': 'echo' },\n { 'port': 2, 'application': 'echo' } ] }",
	  ":2: listeners[1].port: listeners[0] listens there already" },
	{ "{ 'listeners': [ { 'port': 2,\n 'application': 'ecko' } ] }",
	  ":2: listeners[0].application: no application is named \"ecko\", did you mean \"echo\"?" },
	{ "{ 'applications': {\n 'x': { 'builtin': 'ecko' } } }",
	  ":2: applications.x.builtin: expected \"echo\" or \"discard\" or \"proxy\", found \"ecko\"" },
	{ "{ 'applications': {\n 'echo': { 'builtin': 'echo' } } }",
	  ":2: applications.echo: another file has this application already" },
	{ "{\n\n 'log': {} }", ":3: log: an included file has only \"listeners\" and \"applications\"" },
	{ "{ 'include': ['x'] }", ":1: include: an included file has only \"listeners\" and \"applications\"" },
	{ "{ 'listeners': {} }", ":1: listeners: expected an array of objects, found an empty object" },
	{ "{ 'applications': [] }", ":1: applications: expected an object of objects by name, found an empty array" },
	{ "[]", ":1: expected an object, found an empty array" },
	{ "{ 'listeners':\n }", ":2:2: unexpected token near '}'" },
};

START_TEST(a_mistake_in_an_included_file_is_told_with_its_own_line_and_place)
{
	char expected[512];

	write_file("x.inc", mistakes[_i].included);
	ck_assert_int_eq(
		load("{ 'include': [ 'x.inc' ], 'listeners': [ { 'port': 1, 'application': 'echo' } ],\n" WHOLE " }"),
		-EINVAL);
	ck_assert_uint_ge(errors.count, 1);
	snprintf(expected, sizeof expected, "%s%s", folder_path("x.inc"), mistakes[_i].said);
	ck_assert_str_eq(errors.lines[0], expected);
	ck_assert_uint_eq(errors.count, 1);
	forget();
}
END_TEST

START_TEST(a_twin_in_another_file_is_named_with_that)
{
	char expected[512];

	write_file("x.inc", "{ 'listeners': [\n { 'port': 1, 'name': 'a', 'application': 'echo' } ] }");
	ck_assert_int_eq(
		load("{ 'include': [ 'x.inc' ], 'listeners': [ { 'port': 1, 'application': 'echo' } ],\n" WHOLE " }"),
		-EINVAL);
	snprintf(expected, sizeof expected, "%s:2: listeners[0].port: listeners[0] of %s listens there already",
		 folder_path("x.inc"), folder_path("muster.json"));
	ck_assert_str_eq(errors.lines[0], expected);
	forget();
}
END_TEST

static const struct {
	const char *include, *said;
} wrong_includes[] = {
	{ "[ 'x.inc' ]", ":1: include[0]: %s: No such file or directory" },
	{ "'x.inc'", ":1: include: expected an array of strings, found \"x.inc\"" },
	{ "[ 7 ]", ":1: include[0]: expected a string that is not empty, found 7" },
	{ "[ '' ]", ":1: include[0]: expected a string that is not empty, found \"\"" },
};

START_TEST(an_include_that_makes_no_sense_is_an_error)
{
	char text[512], said[256], expected[512];

	snprintf(text, sizeof text,
		 "{ 'include': %s, 'listeners': [ { 'port': 1, 'application': 'echo' } ], " WHOLE " }",
		 wrong_includes[_i].include);
	ck_assert_int_eq(load(text), -EINVAL);
	strcpy(said, wrong_includes[_i].said);
	if (_i == 0)
		snprintf(said, sizeof said, ":1: include[0]: %s: No such file or directory", folder_path("x.inc"));
	snprintf(expected, sizeof expected, "%s%s", folder_path("muster.json"), said);
	ck_assert_str_eq(errors.lines[0], expected);
	forget();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("include");
	TCase *tcase = add_case(suite, "include");

	tcase_add_test(tcase, included_listeners_and_applications_are_part_of_the_whole);
	tcase_add_test(tcase, all_listeners_and_applications_may_be_in_included_files);
	tcase_add_test(tcase, paths_are_taken_from_the_folder_of_their_own_file);
	tcase_add_loop_test(tcase, a_mistake_in_an_included_file_is_told_with_its_own_line_and_place, 0,
			    COUNT_OF(mistakes));
	tcase_add_test(tcase, a_twin_in_another_file_is_named_with_that);
	tcase_add_loop_test(tcase, an_include_that_makes_no_sense_is_an_error, 0, COUNT_OF(wrong_includes));
	return run_suite(suite);
}
