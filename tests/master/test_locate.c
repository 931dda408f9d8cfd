/* tests/master/test_locate.c - a path leads to the line a reader of the file would look at. */
#include "master/locate.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define IN(of, name) (&(struct muster__json_path){ .parent = (of), .key = (name) })
#define AT(of, number) (&(struct muster__json_path){ .parent = (of), .index = (number) })

static const char text[] = "\n"                                                   /*  1 */
			   "{\n"                                                  /*  2 */
			   "  \"workers\": 4,\n"                                  /*  3 */
			   "  \"log\"\n"                                          /*  4 */
			   "    :\n"                                              /*  5 */
			   "    { \"level\": \"}],\\\"{[\", \"target\":\n"        /*  6 */
			   "      \"x\" },\n"                                     /*  7 */
			   "  \"listeners\": [ { \"port\": 1 },\n"                /*  8 */
			   "    {\n"                                              /*  9 */
			   "      \"port\": 2, \"path\": [],\n"                   /* 10 */
			   "      \"host\": {} }, 3\n"                            /* 11 */
			   "    , [ [ 1,\n"                                       /* 12 */
			   "      2 ], 3 ]\n"                                     /* 13 */
			   "  ],\n"                                               /* 14 */
			   "  \"applications\": {\n"                              /* 15 */
			   "    \"a.b\": { \"builtin\": 1 },\n"                   /* 16 */
			   "    \"listeners[0].port\": 2,\n"                      /* 17 */
			   "    \"\\u0061\\u00e4\\u20AC\\ud83d\\ude00\\/\": 3,\n" /* 18 */
			   "    \"\xc3\xa4\": 4,\n"                               /* 19 */
			   "    \"\\\"\\\\\\b\\f\\n\\r\\t\": 5,\n"                /* 20 */
			   "    \"\\\\n\": 6,\n"                                  /* 21 */
			   "    \"\": 7,\n"                                       /* 22 */
			   "    \"port\": 8, \"por\":\n"                          /* 23 */
			   "      9\n"                                            /* 24 */
			   "  }\n"
			   "}\n";

#define LISTENERS IN(NULL, "listeners")
#define APPLICATIONS IN(NULL, "applications")

static const struct {
	const struct muster__json_path *path;
	unsigned line;
} places[] = {
	{ NULL, 2 },
	{ IN(NULL, "workers"), 3 },
	{ IN(NULL, "log"), 4 },
	{ IN(IN(NULL, "log"), "level"), 6 },
	{ IN(IN(NULL, "log"), "target"), 6 },
	{ LISTENERS, 8 },
	{ AT(LISTENERS, 0), 8 },
	{ IN(AT(LISTENERS, 0), "port"), 8 },
	{ AT(LISTENERS, 1), 9 },
	{ IN(AT(LISTENERS, 1), "port"), 10 },
	{ IN(AT(LISTENERS, 1), "path"), 10 },
	{ IN(AT(LISTENERS, 1), "host"), 11 },
	{ AT(LISTENERS, 2), 11 },
	{ AT(LISTENERS, 3), 12 },
	{ AT(AT(LISTENERS, 3), 0), 12 },
	{ AT(AT(AT(LISTENERS, 3), 0), 1), 13 },
	{ AT(AT(LISTENERS, 3), 1), 13 },
	{ APPLICATIONS, 15 },
	{ IN(APPLICATIONS, "a.b"), 16 },
	{ IN(IN(APPLICATIONS, "a.b"), "builtin"), 16 },
	{ IN(APPLICATIONS, "listeners[0].port"), 17 },
	{ IN(APPLICATIONS, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80/"), 18 },
	{ IN(APPLICATIONS, "\xc3\xa4"), 19 },
	{ IN(APPLICATIONS, "\"\\\b\f\n\r\t"), 20 },
	{ IN(APPLICATIONS, "\\n"), 21 },
	{ IN(APPLICATIONS, ""), 22 },
	{ IN(APPLICATIONS, "port"), 23 },
	{ IN(APPLICATIONS, "por"), 23 },
};

static const struct muster__json_path *const nowhere[] = {
	IN(NULL, "worker"),
	IN(NULL, "workers4"),
	IN(IN(NULL, "workers"), "x"),
	IN(LISTENERS, "port"),
	AT(LISTENERS, 4),
	AT(NULL, 0),
	AT(IN(AT(LISTENERS, 1), "path"), 0),
	IN(IN(AT(LISTENERS, 1), "host"), ""),
	IN(APPLICATIONS, "a"),
	IN(APPLICATIONS, "\\u0061"),
	IN(IN(NULL, "nothing"), "port"),
};

START_TEST(a_path_leads_to_the_line_of_its_key_or_element)
{
	ck_assert_uint_eq(muster__locate_line(text, places[_i].path), places[_i].line);
}
END_TEST

START_TEST(a_path_that_is_not_there_has_no_line)
{
	ck_assert_uint_eq(muster__locate_line(text, nowhere[_i]), 0);
}
END_TEST

START_TEST(a_value_that_is_no_container_has_a_line)
{
	ck_assert_uint_eq(muster__locate_line("\n\n 7", NULL), 3);
	ck_assert_uint_eq(muster__locate_line("7", IN(NULL, "x")), 0);
	ck_assert_uint_eq(muster__locate_line("\"\\\"\"", AT(NULL, 0)), 0);
}
END_TEST

START_TEST(windows_line_ends_count_once)
{
	ck_assert_uint_eq(muster__locate_line("{\r\n\t\"a\": 1,\r\n\t\"b\": 2\r\n}\r\n", IN(NULL, "b")), 3);
}
END_TEST

/* For a sanitizer to watch: every beginning of the text, in a block of just its size. */
START_TEST(text_cut_anywhere_is_not_read_beyond_its_end)
{
	size_t length, i;

	for (length = 0; length < sizeof text; length++) {
		char *cut = strndup(text, length);

		ck_assert_ptr_nonnull(cut);
		for (i = 0; i < sizeof places / sizeof *places; i++)
			ck_assert_uint_le(muster__locate_line(cut, places[i].path), places[i].line);
		free(cut);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("locate");
	TCase *lines = tcase_create("lines");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, lines);
	tcase_add_loop_test(lines, a_path_leads_to_the_line_of_its_key_or_element, 0,
			    (int)(sizeof places / sizeof *places));
	tcase_add_loop_test(lines, a_path_that_is_not_there_has_no_line, 0, (int)(sizeof nowhere / sizeof *nowhere));
	tcase_add_test(lines, a_value_that_is_no_container_has_a_line);
	tcase_add_test(lines, windows_line_ends_count_once);
	tcase_add_test(lines, text_cut_anywhere_is_not_read_beyond_its_end);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
