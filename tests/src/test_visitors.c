/* tests/src/test_visitors.c - what each address has open and how fast it comes, over several processes. */
#include "src/visitors.h"

#include "src/address.h"

#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4

static struct muster__visitors here, there;
static size_t size;

static void make_area(void)
{
	size = muster__visitors_size(PROCESSES);
	here.area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(here.area, MAP_FAILED);
	muster__visitors_init(here.area, PROCESSES);
	here.own = 0;
	there = here;
	there.own = 3;
}

static void free_area(void)
{
	munmap(here.area, size);
}

static uint64_t key_in(const char *text, unsigned room)
{
	struct muster__sockaddr address;

	ck_assert_int_eq(muster__sockaddr_ip(&address, text, 80), 0);
	return muster__visitors_key(&here, &address.any, room);
}

static uint64_t key_of(const char *text)
{
	return key_in(text, 1);
}

/* ---- Keys. */

START_TEST(an_address_of_ipv6_is_its_network)
{
	ck_assert_uint_eq(key_of("2001:db8::1"), key_of("2001:db8::ffff:2"));
	ck_assert_uint_ne(key_of("2001:db8:0:1::1"), key_of("2001:db8::1"));
}
END_TEST

START_TEST(an_address_of_ipv4_is_itself_in_either_family)
{
	ck_assert_uint_eq(key_of("192.0.2.1"), key_of("::ffff:192.0.2.1"));
	ck_assert_uint_ne(key_of("192.0.2.1"), key_of("192.0.2.2"));
	ck_assert_uint_ne(key_of("0.0.0.0"), key_of("::"));
}
END_TEST

START_TEST(rooms_are_counted_apart)
{
	ck_assert_uint_ne(key_in("192.0.2.1", 1), key_in("192.0.2.1", 2));
}
END_TEST

START_TEST(a_path_has_no_key)
{
	struct muster__sockaddr address;

	ck_assert_int_eq(muster__sockaddr_path(&address, "/path"), 0);
	ck_assert_uint_eq(muster__visitors_key(&here, &address.any, 1), 0);
}
END_TEST

/* ---- Open connections. */

START_TEST(the_limit_is_one_over_all_processes)
{
	uint64_t key = key_of("192.0.2.1");

	ck_assert(muster__visitors_enter(&here, key, 3));
	ck_assert(muster__visitors_enter(&there, key, 3));
	ck_assert(muster__visitors_enter(&there, key, 3));
	ck_assert(!muster__visitors_enter(&here, key, 3));
	ck_assert(!muster__visitors_enter(&there, key, 3));
	ck_assert(muster__visitors_enter(&there, key_of("192.0.2.2"), 3));
	muster__visitors_leave(&there, key);
	ck_assert(muster__visitors_enter(&here, key, 3));
	ck_assert(!muster__visitors_enter(&here, key, 3));
}
END_TEST

START_TEST(what_a_dead_process_had_open_is_forgotten)
{
	uint64_t key = key_of("192.0.2.1");
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(!muster__visitors_enter(&there, key, 2) || !muster__visitors_enter(&there, key, 2));
	ck_assert_int_eq(process_wait(child), 0);
	ck_assert(!muster__visitors_enter(&here, key, 2));
	muster__visitors_forget(here.area, there.own);
	ck_assert(muster__visitors_enter(&here, key, 2));
}
END_TEST

/* Far more than there are places: nobody is refused for others, and who is counted is limited as ever. */
START_TEST(a_full_table_refuses_nobody)
{
	uint64_t key = key_of("198.51.100.1"), i;

	ck_assert(muster__visitors_enter(&here, key, 1));
	for (i = 1; i <= 100000; i++)
		ck_assert(muster__visitors_enter(&here, i * 0x9e3779b97f4a7c15ULL, 1));
	ck_assert(!muster__visitors_enter(&here, key, 1));
	for (i = 1; i <= 100000; i++)
		muster__visitors_leave(&here, i * 0x9e3779b97f4a7c15ULL);
	muster__visitors_leave(&here, key);
	for (i = 1; i <= 500; i++)
		ck_assert(muster__visitors_enter(&here, i * 0x9e3779b97f4a7c15ULL, 1));
}
END_TEST

/* ---- Rates. */

#define SECOND ((uint64_t)1000000)

static unsigned begin_many(uint64_t key, unsigned rate, unsigned burst, uint64_t now_us, unsigned times)
{
	unsigned begun = 0;

	while (times-- > 0)
		begun += muster__visitors_may_begin(times % 2 ? &here : &there, key, rate, burst, now_us);
	return begun;
}

START_TEST(a_burst_may_begin_at_once_and_then_the_rate_holds)
{
	uint64_t key = key_of("192.0.2.1"), now = 1000 * SECOND;

	ck_assert_uint_eq(begin_many(key, 10, 5, now, 100), 5);
	ck_assert_uint_eq(begin_many(key, 10, 5, now + SECOND / 10, 100), 1);
	ck_assert_uint_eq(begin_many(key, 10, 5, now + SECOND / 10 * 3, 100), 2);
	/* Whoever waits long enough has his burst again, and no more than that. */
	ck_assert_uint_eq(begin_many(key, 10, 5, now + 100 * SECOND, 100), 5);
	ck_assert_uint_eq(begin_many(key_of("192.0.2.2"), 10, 5, now, 100), 5);
}
END_TEST

START_TEST(a_burst_of_one_is_an_even_pace)
{
	uint64_t key = key_of("192.0.2.1"), now = SECOND;
	unsigned begun = 0;

	for (unsigned tick = 0; tick < 10000; tick++)
		begun += muster__visitors_may_begin(&here, key, 50, 1, now + tick * 1000);
	ck_assert_uint_eq(begun, 500);
}
END_TEST

START_TEST(who_comes_after_many_others_is_let_in)
{
	uint64_t i, now = SECOND;

	for (i = 1; i <= 100000; i++)
		ck_assert(muster__visitors_may_begin(&here, i * 0x9e3779b97f4a7c15ULL, 1, 1, now + i));
	ck_assert(muster__visitors_may_begin(&here, key_of("192.0.2.1"), 1, 1, now + i));
	ck_assert(!muster__visitors_may_begin(&here, key_of("192.0.2.1"), 1, 1, now + i));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/visitors");
	TCase *keys = add_case(suite, "keys"), *open = add_case(suite, "open"), *rates = add_case(suite, "rates");

	tcase_add_checked_fixture(keys, make_area, free_area);
	tcase_add_checked_fixture(open, make_area, free_area);
	tcase_add_checked_fixture(rates, make_area, free_area);
	tcase_add_test(keys, an_address_of_ipv6_is_its_network);
	tcase_add_test(keys, an_address_of_ipv4_is_itself_in_either_family);
	tcase_add_test(keys, rooms_are_counted_apart);
	tcase_add_test(keys, a_path_has_no_key);

	tcase_add_test(open, the_limit_is_one_over_all_processes);
	tcase_add_test(open, what_a_dead_process_had_open_is_forgotten);
	tcase_add_test(open, a_full_table_refuses_nobody);

	tcase_add_test(rates, a_burst_may_begin_at_once_and_then_the_rate_holds);
	tcase_add_test(rates, a_burst_of_one_is_an_even_pace);
	tcase_add_test(rates, who_comes_after_many_others_is_let_in);
	return run_suite(suite);
}
