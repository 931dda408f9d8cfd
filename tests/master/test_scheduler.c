/* tests/master/test_scheduler.c - who is next, as tables. */
#include "master/scheduler.h"

#include "tests/support/suite.h"

#include <string.h>

/* A worker is a letter: '-' is not able, a digit is its load. */
static bool able(const void *data, size_t index)
{
	return ((const char *)data)[index] != '-';
}

static unsigned load(const void *data, size_t index)
{
	return (unsigned)(((const char *)data)[index] - '0');
}

struct row {
	const char *workers;
	size_t turn, next;
};

static size_t next(enum muster_policy policy, const struct row *row)
{
	struct muster__roster roster = { strlen(row->workers), row->turn, able, load, row->workers };

	return muster__schedule(policy, &roster);
}

static const struct row round_robin[] = {
	{ "", 0, 0 },    { "", 7, 0 },    { "5", 0, 0 },   { "-", 0, 1 },     { "000", 0, 0 },
	{ "000", 1, 1 }, { "000", 2, 2 }, { "000", 3, 0 }, { "000", 100, 1 }, { "-00", 0, 1 },
	{ "0-0", 1, 2 }, { "00-", 2, 0 }, { "0--", 1, 0 }, { "---", 1, 3 },   { "901", 0, 0 },
};

START_TEST(round_robin_takes_the_next_who_is_able)
{
	ck_assert_uint_eq(next(MUSTER_POLICY_ROUND_ROBIN, &round_robin[_i]), round_robin[_i].next);
}
END_TEST

static const struct row least[] = {
	{ "", 0, 0 },    { "3", 0, 0 },   { "-", 0, 1 },   { "210", 0, 2 }, { "012", 2, 0 }, { "000", 0, 0 },
	{ "000", 2, 2 }, { "100", 0, 1 }, { "100", 2, 2 }, { "001", 2, 0 }, { "-11", 0, 1 }, { "0-1", 1, 0 },
	{ "---", 0, 3 }, { "909", 5, 1 }, { "9-9", 1, 2 }, { "11", 7, 1 },
};

START_TEST(least_connections_takes_the_least_loaded_and_ties_in_turn)
{
	ck_assert_uint_eq(next(MUSTER_POLICY_LEAST_CONNECTIONS, &least[_i]), least[_i].next);
}
END_TEST

START_TEST(round_robin_is_even_to_the_last)
{
	unsigned got[5] = { 0 };
	struct row row = { "00000", 0, 0 };
	int i;

	for (i = 0; i < 500; i++) {
		size_t index = next(MUSTER_POLICY_ROUND_ROBIN, &row);

		got[index]++;
		row.turn = (index + 1) % 5;
	}
	for (i = 0; i < 5; i++)
		ck_assert_uint_eq(got[i], 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler");
	TCase *tcase = add_case(suite, "scheduler");

	tcase_add_loop_test(tcase, round_robin_takes_the_next_who_is_able, 0, sizeof round_robin / sizeof *round_robin);
	tcase_add_loop_test(tcase, least_connections_takes_the_least_loaded_and_ties_in_turn, 0,
			    sizeof least / sizeof *least);
	tcase_add_test(tcase, round_robin_is_even_to_the_last);
	return run_suite(suite);
}
