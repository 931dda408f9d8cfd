/* tests/src/test_lookup.c - host names to addresses: one answer, never inside the call, none once cancelled. */
#include "src/lookup.h"

#include "src/address.h"
#include "src/loop.h"
#include "tests/support/loop.h"
#include "tests/support/nameserver.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/error.h>
#include <string.h>

static const struct nameserver_record records[] = {
	{ "four.test", "192.0.2.1" },         { "six.test", "2001:db8::1" },        { "both.test", "192.0.2.2" },
	{ "both.test", "2001:db8::2" },       { "two.test", "192.0.2.3" },          { "two.test", "192.0.2.4" },
	{ "many.test", "192.0.2.1" },         { "many.test", "192.0.2.2" },         { "many.test", "192.0.2.3" },
	{ "many.test", "192.0.2.4" },         { "many.test", "192.0.2.5" },         { "many.test", "192.0.2.6" },
	{ "many.test", "192.0.2.7" },         { "many.test", "192.0.2.8" },         { "many.test", "192.0.2.9" },
	{ "many.test", "192.0.2.10" },        { "many.test", "192.0.2.11" },        { "many.test", "192.0.2.12" },
	{ "many.test", "192.0.2.13" },        { "many.test", "192.0.2.14" },        { "many.test", "192.0.2.15" },
	{ "many.test", "192.0.2.16" },        { "many.test", "192.0.2.17" },        { "many.test", "192.0.2.18" },
	{ "silent.test", NAMESERVER_SILENT }, { "broken.test", NAMESERVER_BROKEN }, { 0 },
};

struct answer {
	unsigned times;
	int err;
	size_t count;
	struct muster_address addresses[MUSTER__LOOKUP_MAX];
};

static struct answer answer;

static void keep_answer(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct answer *kept = data;
	size_t i;

	kept->times++;
	kept->err = err;
	kept->count = count;
	ck_assert_uint_le(count, MUSTER__LOOKUP_MAX);
	for (i = 0; i < count; i++)
		muster__address_from(&kept->addresses[i], &addresses[i].any, addresses[i].length);
}

static struct muster__lookup *start(const char *host, int family, struct answer *into)
{
	struct muster__lookup *lookup = NULL;

	ck_assert_int_eq(muster__lookup_start(test_loop, host, 80, family, 0, keep_answer, into, &lookup), 0);
	ck_assert_ptr_nonnull(lookup);
	ck_assert_uint_eq(into->times, 0);
	return lookup;
}

static void look_up(const char *host, int family)
{
	start(host, family, &answer);
	run_until_count(test_loop, answer.times, 1);
}

static void serve_names(void)
{
	nameserver_start(test_loop, records);
}

/* Whether a lookup lives is its owner's business: it does not keep the loop running by itself. */
static void expect_rest(void)
{
	run_until_idle(test_loop);
	ck_assert_uint_eq(test_loop->lookups, 0);
	run_dry(test_loop);
}

START_TEST(a_name_gives_its_address_and_the_port)
{
	look_up("four.test", 0);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_int_eq(answer.addresses[0].family, 4);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.1");
	ck_assert_uint_eq(answer.addresses[0].port, 80);
	expect_rest();
}
END_TEST

START_TEST(a_name_may_have_ipv6_alone)
{
	look_up("six.test", 0);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_int_eq(answer.addresses[0].family, 6);
	ck_assert_str_eq(answer.addresses[0].text, "2001:db8::1");
}
END_TEST

START_TEST(without_a_family_both_are_asked)
{
	look_up("both.test", 0);
	ck_assert_uint_eq(answer.count, 2);
	ck_assert_int_ne(answer.addresses[0].family, answer.addresses[1].family);
}
END_TEST

START_TEST(a_family_restricts_the_answer)
{
	look_up("both.test", _i);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_int_eq(answer.addresses[0].family, _i);
	ck_assert_uint_eq(nameserver_questions(), 1);
}
END_TEST

/* evdns does not tell it from a name server in trouble. */
START_TEST(a_name_without_that_family_is_an_error)
{
	look_up("four.test", 6);
	ck_assert_int_lt(answer.err, 0);
	ck_assert_uint_eq(answer.count, 0);
}
END_TEST

START_TEST(all_addresses_come)
{
	look_up("two.test", 4);
	ck_assert_uint_eq(answer.count, 2);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.3");
	ck_assert_str_eq(answer.addresses[1].text, "192.0.2.4");
}
END_TEST

START_TEST(more_addresses_than_anyone_tries_are_cut)
{
	look_up("many.test", 0);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, MUSTER__LOOKUP_MAX);
}
END_TEST

START_TEST(an_unknown_name_is_not_found)
{
	look_up("none.test", 0);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(answer.count, 0);
	expect_rest();
}
END_TEST

START_TEST(a_name_server_in_trouble_means_try_again)
{
	look_up("broken.test", 0);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	expect_rest();
}
END_TEST

START_TEST(a_silent_name_server_means_try_again)
{
	look_up("silent.test", 0);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	expect_rest();
}
END_TEST

START_TEST(a_name_server_that_was_silent_is_asked_again)
{
	look_up("silent.test", 4);
	answer = (struct answer){ 0 };
	look_up("four.test", 4);
	ck_assert_int_eq(answer.err, 0);
	expect_rest();
}
END_TEST

START_TEST(many_lookups_at_once_all_get_their_own_answer)
{
	static struct answer answers[100];
	int i;

	for (i = 0; i < 100; i++)
		start(i % 2 ? "four.test" : "six.test", 0, &answers[i]);
	for (i = 0; i < 100; i++) {
		run_until_count(test_loop, answers[i].times, 1);
		ck_assert_str_eq(answers[i].addresses[0].text, i % 2 ? "192.0.2.1" : "2001:db8::1");
	}
	expect_rest();
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(answers[i].times, 1);
}
END_TEST

/* ---- The machine's own configuration. */

START_TEST(localhost_is_found_in_the_hosts_file)
{
	look_up("localhost", 4);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_str_eq(answer.addresses[0].text, "127.0.0.1");
	ck_assert_uint_eq(answer.addresses[0].port, 80);
	expect_rest();
}
END_TEST

START_TEST(a_literal_is_its_own_answer)
{
	look_up("192.0.2.9", 0);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.9");
}
END_TEST

/* ---- Cancelling. */

START_TEST(a_cancelled_lookup_does_not_answer)
{
	struct muster__lookup *lookup = start("four.test", 0, &answer);

	muster__lookup_cancel(lookup);
	expect_rest();
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

START_TEST(a_lookup_can_be_cancelled_while_its_question_is_out)
{
	struct muster__lookup *lookup = start("silent.test", 0, &answer);

	run_until_idle(test_loop);
	muster__lookup_cancel(lookup);
	expect_rest();
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

START_TEST(an_answer_that_is_already_there_can_be_cancelled)
{
	struct muster__lookup *lookup = start("192.0.2.9", 4, &answer);

	muster__lookup_cancel(lookup);
	expect_rest();
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

START_TEST(cancelling_nothing_is_fine)
{
	muster__lookup_cancel(NULL);
}
END_TEST

START_TEST(the_end_of_the_loop_takes_its_lookups_along)
{
	struct muster__lookup *lookup = start("silent.test", 0, &answer);

	run_until_idle(test_loop);
	nameserver_stop();
	/* As the objects on the loop do it, whose lookups they are. */
	test_loop->freeing = true;
	muster__lookup_cancel(lookup);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

START_TEST(a_cancelled_lookup_may_still_be_under_way_when_the_loop_ends)
{
	muster__lookup_cancel(start("silent.test", 0, &answer));
	muster__lookup_cancel(start("192.0.2.9", 4, &answer));
	nameserver_stop();
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

/* ---- Nothing to look up. */

START_TEST(nothing_is_answered_at_the_end_of_the_turn)
{
	struct muster__lookup *lookup = NULL;

	ck_assert_int_eq(muster__lookup_nothing(test_loop, keep_answer, &answer, &lookup), 0);
	ck_assert_uint_eq(answer.times, 0);
	run_until_count(test_loop, answer.times, 1);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, 0);
}
END_TEST

START_TEST(nothing_can_be_cancelled_as_well)
{
	struct muster__lookup *lookup = NULL;

	ck_assert_int_eq(muster__lookup_nothing(test_loop, keep_answer, &answer, &lookup), 0);
	muster__lookup_cancel(lookup);
	run_dry(test_loop);
	ck_assert_uint_eq(answer.times, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/lookup");
	TCase *names = add_loop_case(suite, "names");
	TCase *machine = add_loop_case(suite, "machine");
	TCase *cancelling = add_loop_case(suite, "cancelling");

	tcase_add_checked_fixture(names, serve_names, nameserver_stop);
	tcase_add_checked_fixture(cancelling, serve_names, nameserver_stop);
	tcase_add_test(names, a_name_gives_its_address_and_the_port);
	tcase_add_test(names, a_name_may_have_ipv6_alone);
	tcase_add_test(names, without_a_family_both_are_asked);
	tcase_add_loop_test(names, a_family_restricts_the_answer, 4, 5);
	tcase_add_loop_test(names, a_family_restricts_the_answer, 6, 7);
	tcase_add_test(names, a_name_without_that_family_is_an_error);
	tcase_add_test(names, all_addresses_come);
	tcase_add_test(names, more_addresses_than_anyone_tries_are_cut);
	tcase_add_test(names, an_unknown_name_is_not_found);
	tcase_add_test(names, a_name_server_in_trouble_means_try_again);
	tcase_add_test(names, a_silent_name_server_means_try_again);
	tcase_add_test(names, a_name_server_that_was_silent_is_asked_again);
	tcase_add_test(names, many_lookups_at_once_all_get_their_own_answer);
	tcase_add_test(machine, localhost_is_found_in_the_hosts_file);
	tcase_add_test(machine, a_literal_is_its_own_answer);
	tcase_add_test(machine, nothing_is_answered_at_the_end_of_the_turn);
	tcase_add_test(machine, nothing_can_be_cancelled_as_well);
	tcase_add_test(cancelling, a_cancelled_lookup_does_not_answer);
	tcase_add_test(cancelling, a_lookup_can_be_cancelled_while_its_question_is_out);
	tcase_add_test(cancelling, an_answer_that_is_already_there_can_be_cancelled);
	tcase_add_test(cancelling, cancelling_nothing_is_fine);
	tcase_add_test(cancelling, the_end_of_the_loop_takes_its_lookups_along);
	tcase_add_test(cancelling, a_cancelled_lookup_may_still_be_under_way_when_the_loop_ends);
	return run_suite(suite);
}
