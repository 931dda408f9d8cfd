/* tests/src/test_log.c - levels, the sink, and not too many lines. */
#include "src/log.h"

#include "tests/support/lines.h"
#include "tests/support/suite.h"

#include <muster/log.h>
#include <string.h>
#include <unistd.h>

START_TEST(the_default_level_is_warn)
{
	ck_assert_int_eq(muster_log_level(), MUSTER_LOG_WARN);
}
END_TEST

START_TEST(lines_above_the_level_are_not_made)
{
	lines_record(MUSTER_LOG_WARN);
	muster__log(MUSTER_LOG_ERROR, "one %d", 1);
	muster__log(MUSTER_LOG_WARN, "two");
	muster__log(MUSTER_LOG_INFO, "three");
	muster__log(MUSTER_LOG_DEBUG, "four");
	ck_assert_uint_eq(lines_count(), 2);
	ck_assert_str_eq(lines_at(0), "one 1");
	ck_assert_str_eq(lines_at(1), "two");
}
END_TEST

START_TEST(a_line_begins_with_the_role)
{
	lines_record(MUSTER_LOG_WARN);
	muster__log_set_role("worker 3");
	muster__log(MUSTER_LOG_WARN, "accept failed");
	ck_assert_str_eq(lines_at(0), "worker 3: accept failed");
}
END_TEST

static void note(enum muster_log_level level, const char *line, void *data)
{
	(void)line;
	*(enum muster_log_level *)data = level;
}

START_TEST(the_sink_gets_the_level_and_its_data)
{
	enum muster_log_level level = MUSTER_LOG_DEBUG;

	muster_log_set_sink(note, &level);
	muster__log(MUSTER_LOG_ERROR, "x");
	ck_assert_int_eq(level, MUSTER_LOG_ERROR);
	muster_log_set_sink(NULL, NULL);
}
END_TEST

/* Standard error into a pipe, while it is written to. */
START_TEST(without_a_sink_a_line_is_one_write_to_standard_error)
{
	char got[64] = "";
	int ends[2], saved = dup(STDERR_FILENO);

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	muster__log(MUSTER_LOG_WARN, "a line");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], got, sizeof got - 1), (int)strlen("a line\n"));
	ck_assert_str_eq(got, "a line\n");
	close(ends[0]);
}
END_TEST

START_TEST(a_line_of_any_length_is_cut)
{
	char longer[5000];

	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	lines_record(MUSTER_LOG_WARN);
	muster__log_set_role("a role of more than forty-eight bytes, which is more than a role has");
	muster__log(MUSTER_LOG_WARN, "%s", longer);
	ck_assert_uint_lt(strlen(lines_at(0)), 1024);
	ck_assert_uint_gt(strlen(lines_at(0)), 1000);
}
END_TEST

START_TEST(a_limit_lets_one_line_a_second_through_and_counts_the_rest)
{
	struct muster__log_limit limit = { 0 };

	ck_assert(muster__log_allowed(&limit));
	ck_assert(!muster__log_allowed(&limit));
	ck_assert(!muster__log_allowed(&limit));
	ck_assert_uint_eq(limit.skipped, 2);
	limit.next_ms = muster__now_ms();
	ck_assert(muster__log_allowed(&limit));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/log");
	TCase *lines = add_case(suite, "lines");

	tcase_add_test(lines, the_default_level_is_warn);
	tcase_add_test(lines, lines_above_the_level_are_not_made);
	tcase_add_test(lines, a_line_begins_with_the_role);
	tcase_add_test(lines, the_sink_gets_the_level_and_its_data);
	tcase_add_test(lines, without_a_sink_a_line_is_one_write_to_standard_error);
	tcase_add_test(lines, a_line_of_any_length_is_cut);
	tcase_add_test(lines, a_limit_lets_one_line_a_second_through_and_counts_the_rest);
	return run_suite(suite);
}
