/* tests/master/test_respawn.c - when a worker that died is replaced, as tables. */
#include "master/respawn.h"

#include "tests/support/suite.h"

static const struct muster__respawn_rules rules = { .backoff_ms = 100, .backoff_max_ms = 1000 };

struct row {
	struct muster__death death;
	unsigned failures; /* before */
	unsigned delay, failures_after;
};

static const struct row rows[] = {
	/* It had worked: at once, whatever came before. */
	{ { .listened = true, .served = true, .lived_ms = 0 }, 0, 0, 0 },
	{ { .listened = true, .served = true, .lived_ms = 5 }, 9, 0, 0 },
	{ { .listened = true, .served = false, .lived_ms = 1000 }, 3, 0, 0 },
	/* Not proven: it waits, longer each time, up to the most. */
	{ { .listened = true, .served = false, .lived_ms = 999 }, 0, 0, 1 },
	{ { .listened = true, .served = false, .lived_ms = 999 }, 1, 100, 2 },
	{ { .listened = true, .served = false, .lived_ms = 999 }, 2, 200, 3 },
	{ { .listened = false, .served = false, .lived_ms = 0 }, 0, 100, 1 },
	{ { .listened = false, .served = true, .lived_ms = 999 }, 0, 100, 1 },
	{ { .lived_ms = 10 }, 1, 200, 2 },
	{ { .lived_ms = 10 }, 2, 400, 3 },
	{ { .lived_ms = 10 }, 3, 800, 4 },
	{ { .lived_ms = 10 }, 4, 1000, 5 },
	{ { .lived_ms = 10 }, 4000000000u, 1000, 4000000001u },
	/* It stayed longer than it would have to wait. */
	{ { .lived_ms = 1000 }, 4, 0, 0 },
};

START_TEST(a_death_leads_to_this_delay)
{
	unsigned failures = rows[_i].failures;

	ck_assert_uint_eq(muster__respawn_delay(&rules, &rows[_i].death, &failures), rows[_i].delay);
	ck_assert_uint_eq(failures, rows[_i].failures_after);
}
END_TEST

START_TEST(no_delay_is_longer_than_the_longest)
{
	static const struct muster__respawn_rules odd = { .backoff_ms = 3000000000u, .backoff_max_ms = 4000000000u };
	struct muster__death death = { .lived_ms = 1 };
	unsigned failures = 0, i;

	for (i = 0; i < 100; i++) {
		unsigned delay = muster__respawn_delay(&odd, &death, &failures);

		ck_assert_uint_ge(delay, 3000000000u);
		ck_assert_uint_le(delay, 4000000000u);
	}
}
END_TEST

START_TEST(a_fork_that_fails_is_tried_ever_more_slowly)
{
	static const unsigned delays[] = { 100, 200, 400, 800, 1000, 1000 };
	unsigned refusals = 0, i;

	for (i = 0; i < sizeof delays / sizeof delays[0]; i++)
		ck_assert_uint_eq(muster__respawn_retry(&rules, &refusals), delays[i]);
	ck_assert_uint_eq(refusals, i);
}
END_TEST

static const struct {
	unsigned budget, failures;
	bool listened, over;
} spending[] = {
	{ 3, 2, false, false },
	{ 3, 3, false, true },
	{ 3, 4, false, true },
	{ 1, 1, false, true },
	/* Without one it is tried for ever. */
	{ 0, 1000, false, false },
	/* Whoever listened may have been ended by a client: that must not buy an outage. */
	{ 3, 1000, true, false },
};

START_TEST(a_budget_is_spent_by_workers_that_never_listened_alone)
{
	struct muster__respawn_rules poor = { .budget = spending[_i].budget };
	struct muster__death death = { .listened = spending[_i].listened };

	ck_assert_int_eq(muster__respawn_is_over(&poor, &death, spending[_i].failures), spending[_i].over);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("respawn");
	TCase *tcase = add_case(suite, "respawn");

	tcase_add_loop_test(tcase, a_death_leads_to_this_delay, 0, sizeof rows / sizeof rows[0]);
	tcase_add_test(tcase, no_delay_is_longer_than_the_longest);
	tcase_add_test(tcase, a_fork_that_fails_is_tried_ever_more_slowly);
	tcase_add_loop_test(tcase, a_budget_is_spent_by_workers_that_never_listened_alone, 0,
			    sizeof spending / sizeof spending[0]);
	return run_suite(suite);
}
