/* tests/src/test_sized.c - structs that travel with their size. */
#include "src/sized.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <string.h>

struct ours {
	int a, b;
};

struct newer {
	int a, b, c;
};

struct older {
	int a;
};

START_TEST(the_same_size_is_copied)
{
	struct ours from = { 1, 2 }, to;

	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, &from, sizeof from), 0);
	ck_assert_int_eq(to.a, 1);
	ck_assert_int_eq(to.b, 2);
}
END_TEST

START_TEST(a_smaller_struct_leaves_zero_in_what_it_does_not_know)
{
	struct older from = { 1 };
	struct ours to = { 7, 7 };

	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, &from, sizeof from), 0);
	ck_assert_int_eq(to.a, 1);
	ck_assert_int_eq(to.b, 0);
}
END_TEST

START_TEST(a_larger_struct_is_taken_if_its_tail_is_zero)
{
	struct newer from = { 1, 2, 0 };
	struct ours to;

	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, &from, sizeof from), 0);
	ck_assert_int_eq(to.a, 1);
	ck_assert_int_eq(to.b, 2);
}
END_TEST

START_TEST(a_larger_struct_is_refused_if_its_tail_is_used)
{
	struct newer from = { 1, 2, 3 };
	struct ours to;

	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, &from, sizeof from), -E2BIG);
}
END_TEST

START_TEST(the_last_byte_of_a_tail_counts)
{
	char from[64] = { 0 };
	struct ours to;

	from[sizeof from - 1] = 1;
	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, from, sizeof from), -E2BIG);
}
END_TEST

START_TEST(no_struct_is_all_zero)
{
	struct ours to = { 7, 7 };

	ck_assert_int_eq(muster__sized_copy(&to, sizeof to, NULL, sizeof to), 0);
	ck_assert_int_eq(to.a, 0);
	ck_assert_int_eq(to.b, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/sized");
	TCase *copy = add_case(suite, "copy");

	tcase_add_test(copy, the_same_size_is_copied);
	tcase_add_test(copy, a_smaller_struct_leaves_zero_in_what_it_does_not_know);
	tcase_add_test(copy, a_larger_struct_is_taken_if_its_tail_is_zero);
	tcase_add_test(copy, a_larger_struct_is_refused_if_its_tail_is_used);
	tcase_add_test(copy, the_last_byte_of_a_tail_counts);
	tcase_add_test(copy, no_struct_is_all_zero);
	return run_suite(suite);
}
