/* Each test runs in a process of its own, so that what it breaks is broken for it alone. */
#include "tests/support/suite.h"

#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE 10

unsigned test_patience(void)
{
	const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
	double factor = multiplier != NULL ? strtod(multiplier, NULL) : 1;

	return factor > 1 ? (unsigned)(PATIENCE * factor) : PATIENCE;
}

static void begin(void)
{
	descriptors_remember();
}

static void end(void)
{
	lines_forget();
	folder_remove();
	descriptors_compare();
}

TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	/* libcheck multiplies this one itself. Waiting fails first, and says for what. */
	tcase_set_timeout(tcase, 3 * PATIENCE);
	tcase_add_checked_fixture(tcase, begin, end);
	suite_add_tcase(suite, tcase);
	return tcase;
}

TCase *add_loop_case(Suite *suite, const char *name)
{
	TCase *tcase = add_case(suite, name);

	tcase_add_checked_fixture(tcase, test_loop_open, test_loop_close);
	return tcase;
}

int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

void expect_part(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in:\n%s", part, text);
}
