/* tests/src/test_hosts.c - the hosts file: an address, then its names; what cannot be understood is passed over. */
#include "src/hosts.h"

#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <string.h>

#define MAX 4

static const char hosts[] = "# the first line is a comment\n"
			    "\n"
			    "192.0.2.1 one.test one\n"
			    "\t192.0.2.2\t two.test\ttwo # 192.0.2.9 three.test\n"
			    "2001:db8::1 one.test\r\n"
			    "fe80::1%lo zone.test\n"
			    "nonsense four.test\n"
			    "192.0.2.256 four.test\n"
			    "192.0.2.5\n"
			    "192.0.2.6 many.test\n192.0.2.7 many.test\n192.0.2.8 many.test\n"
			    "192.0.2.9 many.test\n192.0.2.10 many.test\n"
			    "192.0.2.11 last.test";

static struct muster__sockaddr found[MAX];
static struct muster_address first;

static const char *write_file(const char *text)
{
	const char *path = folder_path("hosts");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

static int find(const char *host, int family)
{
	int count = muster__hosts_find(write_file(hosts), host, family, 80, found, MAX);

	if (count > 0)
		muster__address_from(&first, &found[0].any, found[0].length);
	return count;
}

START_TEST(each_name_of_a_line_has_its_address)
{
	ck_assert_int_eq(find("one", 0), 1);
	ck_assert_str_eq(first.text, "192.0.2.1");
	ck_assert_uint_eq(first.port, 80);
	ck_assert_int_eq(find("two", 0), 1);
	ck_assert_str_eq(first.text, "192.0.2.2");
}
END_TEST

START_TEST(a_name_has_the_addresses_of_all_its_lines)
{
	ck_assert_int_eq(find("one.test", 0), 2);
	ck_assert_int_eq(find("one.test", 4), 1);
	ck_assert_str_eq(first.text, "192.0.2.1");
	ck_assert_int_eq(find("one.test", 6), 1);
	ck_assert_str_eq(first.text, "2001:db8::1");
}
END_TEST

START_TEST(upper_case_does_not_matter)
{
	ck_assert_int_eq(find("TWO.Test", 0), 1);
}
END_TEST

START_TEST(a_part_of_a_name_or_a_comment_is_none)
{
	ck_assert_int_eq(find("test", 0), 0);
	ck_assert_int_eq(find("one.tes", 0), 0);
	ck_assert_int_eq(find("three.test", 0), 0);
	ck_assert_int_eq(find("192.0.2.1", 0), 0);
}
END_TEST

START_TEST(what_is_no_address_is_passed_over)
{
	ck_assert_int_eq(find("four.test", 0), 0);
}
END_TEST

START_TEST(an_address_may_have_a_zone)
{
	ck_assert_int_eq(find("zone.test", 6), 1);
	ck_assert_str_eq(first.text, "fe80::1%lo");
}
END_TEST

START_TEST(no_more_are_taken_than_there_is_room_for)
{
	ck_assert_int_eq(find("many.test", 4), MAX);
	ck_assert_str_eq(first.text, "192.0.2.6");
}
END_TEST

START_TEST(the_last_line_may_be_open)
{
	ck_assert_int_eq(find("last.test", 0), 1);
}
END_TEST

START_TEST(a_line_may_be_long)
{
	char line[20000];

	memset(line, 'x', sizeof line);
	memcpy(line, "192.0.2.1 ", 10);
	strcpy(line + sizeof line - 11, " long.test");
	ck_assert_int_eq(muster__hosts_find(write_file(line), "long.test", 0, 80, found, MAX), 1);
}
END_TEST

START_TEST(without_the_file_nobody_is_known_but_localhost)
{
	ck_assert_int_eq(muster__hosts_find("/nowhere/hosts", "one.test", 0, 80, found, MAX), 0);
	ck_assert_int_eq(muster__hosts_find("/nowhere/hosts", "LocalHost", 0, 80, found, MAX), 2);
	ck_assert_int_eq(muster__hosts_find("/nowhere/hosts", "localhost", 6, 80, found, MAX), 1);
	muster__address_from(&first, &found[0].any, found[0].length);
	ck_assert_str_eq(first.text, "::1");
}
END_TEST

START_TEST(the_file_decides_what_localhost_is)
{
	const char *path = write_file("127.0.0.7 localhost\n");

	ck_assert_int_eq(muster__hosts_find(path, "localhost", 0, 80, found, MAX), 1);
	muster__address_from(&first, &found[0].any, found[0].length);
	ck_assert_str_eq(first.text, "127.0.0.7");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/hosts");
	TCase *file = add_case(suite, "file");

	tcase_add_test(file, each_name_of_a_line_has_its_address);
	tcase_add_test(file, a_name_has_the_addresses_of_all_its_lines);
	tcase_add_test(file, upper_case_does_not_matter);
	tcase_add_test(file, a_part_of_a_name_or_a_comment_is_none);
	tcase_add_test(file, what_is_no_address_is_passed_over);
	tcase_add_test(file, an_address_may_have_a_zone);
	tcase_add_test(file, no_more_are_taken_than_there_is_room_for);
	tcase_add_test(file, the_last_line_may_be_open);
	tcase_add_test(file, a_line_may_be_long);
	tcase_add_test(file, without_the_file_nobody_is_known_but_localhost);
	tcase_add_test(file, the_file_decides_what_localhost_is);
	return run_suite(suite);
}
