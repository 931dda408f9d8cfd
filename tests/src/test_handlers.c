/* tests/src/test_handlers.c - many tables on one object, added and taken away at any time. */
#include "src/handlers.h"

#include "tests/support/loop.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An object with two events; what its handlers do is written down in `trace`. */
struct thing {
	struct muster__listeners on;
};

struct thing_handlers {
	void (*on_a)(struct thing *thing, void *data);
	void (*on_b)(struct thing *thing, void *data);
};

static struct thing thing;
static char trace[128];

static int on(const struct thing_handlers *handlers, const char *name)
{
	return muster__listeners_on(test_loop, &thing.on, handlers, sizeof *handlers, sizeof *handlers, (void *)name);
}

static int off(const struct thing_handlers *handlers, const char *name)
{
	return muster__listeners_off(test_loop, &thing.on, handlers, sizeof *handlers, sizeof *handlers, (void *)name);
}

static const char *emit_a(void)
{
	trace[0] = '\0';
	MUSTER__EMIT(&thing.on, struct thing_handlers, on_a, &thing);
	return trace;
}

static const char *emit_b(void)
{
	trace[0] = '\0';
	MUSTER__EMIT(&thing.on, struct thing_handlers, on_b, &thing);
	return trace;
}

static void say(struct thing *self, void *data)
{
	ck_assert_ptr_eq(self, &thing);
	strcat(trace, data);
}

static const struct thing_handlers speaker = { .on_a = say };
static const struct thing_handlers both = { .on_a = say, .on_b = say };
static const struct thing_handlers silent = { 0 };

static const char one[] = "1", two[] = "2", three[] = "3";

static void clear(void)
{
	muster__listeners_clear(&thing.on);
}

START_TEST(tables_are_called_in_the_order_added)
{
	on(&speaker, three);
	on(&both, one);
	on(&speaker, two);
	ck_assert_str_eq(emit_a(), "312");
	ck_assert_str_eq(emit_b(), "1");
}
END_TEST

START_TEST(no_table_and_a_silent_one_are_fine)
{
	ck_assert_str_eq(emit_a(), "");
	on(&silent, one);
	ck_assert_str_eq(emit_a(), "");
}
END_TEST

START_TEST(the_same_pair_may_be_added_twice_and_is_called_twice)
{
	on(&speaker, one);
	on(&speaker, one);
	ck_assert_str_eq(emit_a(), "11");
}
END_TEST

START_TEST(off_takes_the_last_equal_pair)
{
	on(&speaker, one);
	on(&speaker, two);
	on(&speaker, one);
	ck_assert_int_eq(off(&speaker, one), 0);
	ck_assert_str_eq(emit_a(), "12");
	ck_assert_int_eq(off(&speaker, one), 0);
	ck_assert_str_eq(emit_a(), "2");
	ck_assert_int_eq(off(&speaker, one), -ENOENT);
	ck_assert_int_eq(off(&speaker, two), 0);
	ck_assert_str_eq(emit_a(), "");
	ck_assert_int_eq(off(&speaker, two), -ENOENT);
}
END_TEST

START_TEST(a_table_is_known_by_its_content)
{
	struct thing_handlers copy = speaker;

	on(&speaker, one);
	ck_assert_int_eq(off(&copy, one), 0);
	ck_assert_str_eq(emit_a(), "");
}
END_TEST

START_TEST(a_table_need_not_outlive_the_call)
{
	struct thing_handlers passing = speaker;

	on(&passing, one);
	memset(&passing, 0, sizeof passing);
	ck_assert_str_eq(emit_a(), "1");
}
END_TEST

START_TEST(equal_tables_are_kept_once_per_loop)
{
	struct thing_handlers copy = speaker;
	int err;
	const void *first = muster__table_intern(test_loop, &speaker, sizeof speaker, sizeof speaker, &err);

	ck_assert_ptr_eq(muster__table_intern(test_loop, &copy, sizeof copy, sizeof copy, &err), first);
	ck_assert_ptr_ne(muster__table_intern(test_loop, &both, sizeof both, sizeof both, &err), first);
}
END_TEST

static void take_self_away(struct thing *self, void *data)
{
	static const struct thing_handlers handlers = { .on_a = take_self_away };

	say(self, data);
	ck_assert_int_eq(off(&handlers, data), 0);
}

static const struct thing_handlers once = { .on_a = take_self_away };

START_TEST(a_handler_may_take_itself_away)
{
	on(&speaker, one);
	on(&once, two);
	on(&speaker, three);
	ck_assert_str_eq(emit_a(), "123");
	ck_assert_str_eq(emit_a(), "13");
}
END_TEST

START_TEST(the_only_handler_may_take_itself_away)
{
	on(&once, one);
	ck_assert_str_eq(emit_a(), "1");
	ck_assert_str_eq(emit_a(), "");
}
END_TEST

static void take_all_away(struct thing *self, void *data)
{
	(void)self, (void)data;
	strcat(trace, "x");
	while (off(&speaker, one) == 0)
		;
}

static const struct thing_handlers remover = { .on_a = take_all_away };

START_TEST(who_is_taken_away_during_an_event_still_gets_it)
{
	on(&remover, NULL);
	on(&speaker, one);
	on(&speaker, one);
	ck_assert_str_eq(emit_a(), "x11");
	ck_assert_str_eq(emit_a(), "x");
}
END_TEST

static void add_one_more(struct thing *self, void *data)
{
	(void)self, (void)data;
	strcat(trace, "+");
	ck_assert_int_eq(on(&speaker, one), 0);
}

static const struct thing_handlers adder = { .on_a = add_one_more };

START_TEST(who_is_added_during_an_event_gets_the_next_one)
{
	on(&adder, NULL);
	ck_assert_str_eq(emit_a(), "+");
	ck_assert_str_eq(emit_a(), "+1");
	ck_assert_str_eq(emit_a(), "+11");
}
END_TEST

static void emit_again(struct thing *self, void *data)
{
	static int depth;

	(void)self, (void)data;
	strcat(trace, "(");
	if (depth++ < 3)
		MUSTER__EMIT(&thing.on, struct thing_handlers, on_a, &thing);
	strcat(trace, ")");
}

static const struct thing_handlers nester = { .on_a = emit_again };

START_TEST(an_event_may_lead_to_another_of_its_kind)
{
	on(&nester, NULL);
	on(&speaker, one);
	ck_assert_str_eq(emit_a(), "(((()1)1)1)1");
}
END_TEST

START_TEST(have_looks_at_every_table)
{
	ck_assert(!MUSTER__HAVE(&thing.on, struct thing_handlers, on_b));
	on(&speaker, one);
	ck_assert(!MUSTER__HAVE(&thing.on, struct thing_handlers, on_b));
	ck_assert(MUSTER__HAVE(&thing.on, struct thing_handlers, on_a));
	on(&both, one);
	ck_assert(MUSTER__HAVE(&thing.on, struct thing_handlers, on_b));
	off(&both, one);
	ck_assert(!MUSTER__HAVE(&thing.on, struct thing_handlers, on_b));
}
END_TEST

START_TEST(find_gives_the_pair_with_a_table)
{
	int err;
	const void *table = muster__table_intern(test_loop, &both, sizeof both, sizeof both, &err);

	on(&speaker, one);
	ck_assert_ptr_null(muster__listeners_find(&thing.on, table));
	on(&both, two);
	ck_assert_ptr_eq(muster__listeners_find(&thing.on, table)->data, two);
}
END_TEST

/* What a caller compiled against a newer or an older header passes. */
struct newer_handlers {
	struct thing_handlers known;
	void (*on_c)(struct thing *thing, void *data);
};

START_TEST(a_larger_table_is_taken_if_what_we_do_not_know_is_unused)
{
	struct newer_handlers newer = { .known = speaker };

	ck_assert_int_eq(muster__listeners_on(test_loop, &thing.on, &newer, sizeof newer, sizeof speaker, (void *)one),
			 0);
	ck_assert_str_eq(emit_a(), "1");
	ck_assert_int_eq(off(&speaker, one), 0);
}
END_TEST

START_TEST(a_larger_table_is_refused_if_it_wants_what_we_do_not_know)
{
	struct newer_handlers newer = { .known = speaker, .on_c = say };

	ck_assert_int_eq(muster__listeners_on(test_loop, &thing.on, &newer, sizeof newer, sizeof speaker, NULL),
			 -E2BIG);
	ck_assert_int_eq(muster__listeners_off(test_loop, &thing.on, &newer, sizeof newer, sizeof speaker, NULL),
			 -E2BIG);
	ck_assert_str_eq(emit_a(), "");
}
END_TEST

START_TEST(a_smaller_table_has_none_of_the_newer_handlers)
{
	struct thing_handlers older = both;
	size_t size = offsetof(struct thing_handlers, on_b);

	ck_assert_int_eq(muster__listeners_on(test_loop, &thing.on, &older, size, sizeof older, (void *)one), 0);
	ck_assert_str_eq(emit_a(), "1");
	ck_assert_str_eq(emit_b(), "");
}
END_TEST

START_TEST(many_tables_come_and_go)
{
	char names[64][4];
	int i;

	for (i = 0; i < 64; i++) {
		snprintf(names[i], sizeof names[i], "%c", 'A' + i);
		ck_assert_int_eq(on(&speaker, names[i]), 0);
	}
	for (i = 0; i < 64; i += 2)
		ck_assert_int_eq(off(&speaker, names[i]), 0);
	ck_assert_uint_eq(strlen(emit_a()), 32);
	ck_assert_int_eq(strncmp(trace, "BDFH", 4), 0);
	for (i = 63; i > 0; i -= 2)
		ck_assert_int_eq(off(&speaker, names[i]), 0);
	ck_assert_str_eq(emit_a(), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/handlers");
	TCase *order = add_loop_case(suite, "order");
	TCase *meanwhile = add_loop_case(suite, "during an event");
	TCase *tables = add_loop_case(suite, "tables");

	tcase_add_checked_fixture(order, NULL, clear);
	tcase_add_checked_fixture(meanwhile, NULL, clear);
	tcase_add_checked_fixture(tables, NULL, clear);
	tcase_add_test(order, tables_are_called_in_the_order_added);
	tcase_add_test(order, no_table_and_a_silent_one_are_fine);
	tcase_add_test(order, the_same_pair_may_be_added_twice_and_is_called_twice);
	tcase_add_test(order, off_takes_the_last_equal_pair);
	tcase_add_test(order, many_tables_come_and_go);
	tcase_add_test(meanwhile, a_handler_may_take_itself_away);
	tcase_add_test(meanwhile, the_only_handler_may_take_itself_away);
	tcase_add_test(meanwhile, who_is_taken_away_during_an_event_still_gets_it);
	tcase_add_test(meanwhile, who_is_added_during_an_event_gets_the_next_one);
	tcase_add_test(meanwhile, an_event_may_lead_to_another_of_its_kind);
	tcase_add_test(tables, a_table_is_known_by_its_content);
	tcase_add_test(tables, a_table_need_not_outlive_the_call);
	tcase_add_test(tables, equal_tables_are_kept_once_per_loop);
	tcase_add_test(tables, have_looks_at_every_table);
	tcase_add_test(tables, find_gives_the_pair_with_a_table);
	tcase_add_test(tables, a_larger_table_is_taken_if_what_we_do_not_know_is_unused);
	tcase_add_test(tables, a_larger_table_is_refused_if_it_wants_what_we_do_not_know);
	tcase_add_test(tables, a_smaller_table_has_none_of_the_newer_handlers);
	return run_suite(suite);
}
