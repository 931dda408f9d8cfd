/* tests/src/test_lookup.c - host names to addresses: one answer, never inside the call, none once cancelled. */
#include "src/lookup.h"

#include "src/address.h"
#include "src/loop.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/nameserver.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/error.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static const struct nameserver_record records[] = {
	{ "four.test", "192.0.2.1" },
	{ "six.test", "2001:db8::1" },
	{ "both.test", "192.0.2.2" },
	{ "both.test", "2001:db8::2" },
	{ "two.test", "192.0.2.3" },
	{ "two.test", "192.0.2.4" },
	{ "many.test", "192.0.2.1" },
	{ "many.test", "192.0.2.2" },
	{ "many.test", "192.0.2.3" },
	{ "many.test", "192.0.2.4" },
	{ "many.test", "192.0.2.5" },
	{ "many.test", "192.0.2.6" },
	{ "many.test", "192.0.2.7" },
	{ "many.test", "192.0.2.8" },
	{ "many.test", "192.0.2.9" },
	{ "many.test", "192.0.2.10" },
	{ "many.test", "192.0.2.11" },
	{ "many.test", "192.0.2.12" },
	{ "many.test", "192.0.2.13" },
	{ "many.test", "192.0.2.14" },
	{ "many.test", "192.0.2.15" },
	{ "many.test", "192.0.2.16" },
	{ "many.test", "192.0.2.17" },
	{ "many.test", "192.0.2.18" },
	{ "silent.test", NAMESERVER_SILENT },
	{ "broken.test", NAMESERVER_BROKEN },
	{ "empty.test", NAMESERVER_EMPTY },
	{ "crowd.test", "192.0.2.1" },
	{ "crowd.test", "192.0.2.2" },
	{ "crowd.test", "192.0.2.3" },
	{ "crowd.test", "192.0.2.4" },
	{ "crowd.test", "192.0.2.5" },
	{ "crowd.test", "192.0.2.6" },
	{ "crowd.test", "192.0.2.7" },
	{ "crowd.test", "192.0.2.8" },
	{ "crowd.test", "192.0.2.9" },
	{ "crowd.test", "192.0.2.10" },
	{ "crowd.test", "192.0.2.11" },
	{ "crowd.test", "192.0.2.12" },
	{ "crowd.test", "192.0.2.13" },
	{ "crowd.test", "192.0.2.14" },
	{ "crowd.test", "192.0.2.15" },
	{ "crowd.test", "192.0.2.16" },
	{ "crowd.test", "192.0.2.17" },
	{ "crowd.test", "2001:db8::1" },
	{ "cut.test", NAMESERVER_CUT },
	{ 0 },
};

/* Of these the question for IPv6 has its own fate. */
static const struct nameserver_record halves[] = {
	{ "broken.test", "192.0.2.1" },
	{ "broken.test", NAMESERVER_BROKEN IN_IPV6 },
	{ "silent.test", "192.0.2.1" },
	{ "silent.test", NAMESERVER_SILENT IN_IPV6 },
	{ "empty-and-broken.test", NAMESERVER_BROKEN IN_IPV6 },
	{ "empty-and-silent.test", NAMESERVER_SILENT IN_IPV6 },
	{ 0 },
};

/* A name server that is waited for longer than any test. */
#define PATIENT "options timeout:3600\n"

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
	ck_assert_uint_eq(test_loop->questions, 0);
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

START_TEST(a_name_without_that_family_is_not_found)
{
	look_up(_i == 4 ? "six.test" : "four.test", _i);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(answer.count, 0);
	ck_assert_uint_eq(nameserver_questions(), 1);
	expect_rest();
}
END_TEST

START_TEST(a_name_without_addresses_is_not_found)
{
	look_up("empty.test", _i);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(answer.count, 0);
	expect_rest();
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

START_TEST(many_addresses_of_one_family_leave_room_for_the_other)
{
	look_up("crowd.test", 0);
	ck_assert_uint_eq(answer.count, MUSTER__LOOKUP_MAX);
	ck_assert_int_eq(answer.addresses[MUSTER__LOOKUP_MAX - 2].family, 4);
	ck_assert_str_eq(answer.addresses[MUSTER__LOOKUP_MAX - 1].text, "2001:db8::1");
}
END_TEST

START_TEST(a_final_dot_is_not_part_of_the_name)
{
	look_up("four.test.", 4);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.1");
}
END_TEST

static const char *const impossible[] = {
	"", ".", "..", "a..test", ".test", "a-label-of-64-characters-is-one-more-than-a-label-may-ever-have-x.test",
};

START_TEST(what_cannot_be_a_name_is_not_found_and_nobody_is_asked)
{
	look_up(impossible[_i], 0);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(nameserver_questions(), 0);
	expect_rest();
}
END_TEST

START_TEST(a_name_may_have_253_characters)
{
	char name[300];

	memset(name, 'x', sizeof name);
	name[63] = name[127] = name[191] = '.';
	name[254] = '\0';
	look_up(name, 4);
	ck_assert_uint_eq(nameserver_questions(), 0);
	name[253] = '\0';
	answer = (struct answer){ 0 };
	look_up(name, 4);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(nameserver_questions(), 1);
}
END_TEST

/* ---- IPv4 as IPv6. */

static void look_up_with(const char *host, int family, int flags)
{
	struct muster__lookup *lookup;

	ck_assert_int_eq(muster__lookup_start(test_loop, host, 80, family, flags, keep_answer, &answer, &lookup), 0);
	run_until_count(test_loop, answer.times, 1);
	ck_assert_int_eq(answer.err, 0);
}

START_TEST(mapped_ipv4_serves_where_there_is_no_ipv6)
{
	look_up_with("four.test", 6, AI_V4MAPPED);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_int_eq(answer.addresses[0].family, 6);
	ck_assert_str_eq(answer.addresses[0].text, "::ffff:192.0.2.1");
	ck_assert_uint_eq(answer.addresses[0].port, 80);
}
END_TEST

START_TEST(mapped_ipv4_is_not_wanted_beside_ipv6)
{
	look_up_with("both.test", 6, AI_V4MAPPED);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_str_eq(answer.addresses[0].text, "2001:db8::2");
}
END_TEST

START_TEST(mapped_ipv4_comes_too_if_all_is_asked_for)
{
	look_up_with("both.test", 6, AI_V4MAPPED | AI_ALL);
	ck_assert_uint_eq(answer.count, 2);
	ck_assert_str_eq(answer.addresses[0].text, "::ffff:192.0.2.2");
	ck_assert_str_eq(answer.addresses[1].text, "2001:db8::2");
}
END_TEST

/* A machine with the loopback alone has neither, and so wants both. */
START_TEST(what_the_machine_can_use_is_never_nothing)
{
	look_up_with("both.test", 0, AI_ADDRCONFIG);
	ck_assert_uint_ge(answer.count, 1);
	ck_assert_uint_eq(nameserver_questions(), answer.count);
}
END_TEST

/* ---- Trouble. */

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

START_TEST(an_answer_that_did_not_fit_means_try_again)
{
	look_up("cut.test", 0);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	expect_rest();
}
END_TEST

static void serve_halves(void)
{
	nameserver_start(test_loop, halves);
}

START_TEST(trouble_with_one_family_does_not_matter_beside_an_address_of_the_other)
{
	look_up(_i == 0 ? "broken.test" : "silent.test", 0);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.1");
	expect_rest();
}
END_TEST

START_TEST(trouble_with_one_family_is_not_the_absence_of_both)
{
	look_up(_i == 0 ? "empty-and-broken.test" : "empty-and-silent.test", 0);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	expect_rest();
}
END_TEST

static void serve_patiently(void)
{
	nameserver_start_with(test_loop, halves, PATIENT);
}

START_TEST(an_address_does_not_wait_for_ever_for_the_other_family)
{
	test_loop->lookup_ms = 100;
	look_up("silent.test", 0);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(answer.count, 1);
	expect_rest();
}
END_TEST

START_TEST(a_lookup_ends_when_its_time_is_up)
{
	test_loop->lookup_ms = 20;
	look_up(_i == 6 ? "silent.test" : "empty-and-silent.test", _i);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	ck_assert_uint_eq(answer.count, 0);
	expect_rest();
}
END_TEST

START_TEST(a_question_that_nobody_waits_for_does_not_keep_the_loop_running)
{
	struct muster__lookup *lookup = start("silent.test", 6, &answer);

	run_until_idle(test_loop);
	ck_assert_uint_eq(nameserver_questions(), 1);
	muster__lookup_cancel(lookup);
	run_dry(test_loop);
	ck_assert_uint_eq(answer.times, 0);
	/* ... and the next one is answered as ever. */
	look_up("broken.test", 4);
	ck_assert_int_eq(answer.err, 0);
}
END_TEST

/* evdns plans to look after 10 s whether the server is back. */
START_TEST(a_dead_name_server_does_not_keep_the_loop_running)
{
	look_up("silent.test", 6);
	ck_assert_int_eq(answer.err, MUSTER_EAIAGAIN);
	run_dry(test_loop);
}
END_TEST

static void serve_with_a_search_list(void)
{
	nameserver_start_with(test_loop, records, "search nowhere.test test\n");
}

START_TEST(a_short_name_is_looked_for_in_the_search_list)
{
	look_up("four", 4);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.1");
	ck_assert_uint_eq(nameserver_questions(), 2);
}
END_TEST

START_TEST(with_a_final_dot_the_search_list_is_not_used)
{
	look_up("four.", 4);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(nameserver_questions(), 1);
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

static void write_hosts(const char *lines)
{
	const char *path = folder_path("hosts");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(lines, file);
	ck_assert_int_eq(fclose(file), 0);
	test_loop->hosts = path;
}

static void look_up_again(const char *host, int family)
{
	answer = (struct answer){ 0 };
	look_up(host, family);
}

START_TEST(the_hosts_file_goes_before_dns_and_its_changes_count)
{
	serve_names();
	write_hosts("192.0.2.77 four.test\n");
	look_up("four.test", 0);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.77");
	write_hosts("192.0.2.78 four.test\n");
	look_up_again("FOUR.test", 4);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.78");
	ck_assert_uint_eq(nameserver_questions(), 0);
	write_hosts("");
	look_up_again("four.test", 4);
	ck_assert_str_eq(answer.addresses[0].text, "192.0.2.1");
	nameserver_stop();
}
END_TEST

START_TEST(what_the_hosts_file_has_not_in_that_family_is_asked_for)
{
	serve_names();
	write_hosts("192.0.2.77 six.test\n");
	look_up("six.test", 6);
	ck_assert_str_eq(answer.addresses[0].text, "2001:db8::1");
	nameserver_stop();
}
END_TEST

START_TEST(an_address_of_the_hosts_file_can_be_mapped)
{
	write_hosts("192.0.2.77 mapped.test\n");
	look_up_with("mapped.test", 6, AI_V4MAPPED);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert_str_eq(answer.addresses[0].text, "::ffff:192.0.2.77");
}
END_TEST

START_TEST(without_descriptors_a_lookup_says_so)
{
	struct rlimit limit, none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	look_up("four.test", 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(answer.err, -EMFILE);
}
END_TEST

START_TEST(a_change_of_resolv_conf_counts_from_the_next_lookup_on)
{
	serve_names();
	look_up("four.test", 4);
	ck_assert_int_eq(answer.err, 0);
	nameserver_stop();
	serve_halves();
	look_up_again("broken.test", 4);
	ck_assert_int_eq(answer.err, 0);
	ck_assert_uint_eq(nameserver_questions(), 1);
	nameserver_stop();
}
END_TEST

START_TEST(a_change_of_resolv_conf_leaves_the_questions_that_are_out_alone)
{
	static struct answer other;

	struct muster__lookup *waiting;

	nameserver_start_with(test_loop, halves, PATIENT);
	waiting = start("silent.test", 6, &answer);
	run_until_idle(test_loop);
	nameserver_stop();
	serve_names();
	test_loop->lookup_ms = 50;
	start("four.test", 4, &other);
	run_until_count(test_loop, other.times, 1);
	ck_assert_uint_eq(nameserver_questions(), 0);
	muster__lookup_cancel(waiting);
	nameserver_stop();
}
END_TEST

START_TEST(a_literal_of_the_other_family_is_not_found)
{
	look_up("192.0.2.9", 6);
	ck_assert_int_eq(answer.err, MUSTER_ENOTFOUND);
	ck_assert_uint_eq(answer.count, 0);
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
	TCase *half = add_loop_case(suite, "half answers");
	TCase *patient = add_loop_case(suite, "patience");
	TCase *search = add_loop_case(suite, "search list");

	tcase_add_checked_fixture(names, serve_names, nameserver_stop);
	tcase_add_checked_fixture(cancelling, serve_names, nameserver_stop);
	tcase_add_checked_fixture(half, serve_halves, nameserver_stop);
	tcase_add_checked_fixture(patient, serve_patiently, nameserver_stop);
	tcase_add_checked_fixture(search, serve_with_a_search_list, nameserver_stop);
	tcase_add_test(names, a_name_gives_its_address_and_the_port);
	tcase_add_test(names, a_name_may_have_ipv6_alone);
	tcase_add_test(names, without_a_family_both_are_asked);
	tcase_add_loop_test(names, a_family_restricts_the_answer, 4, 5);
	tcase_add_loop_test(names, a_family_restricts_the_answer, 6, 7);
	tcase_add_loop_test(names, a_name_without_that_family_is_not_found, 4, 5);
	tcase_add_loop_test(names, a_name_without_that_family_is_not_found, 6, 7);
	tcase_add_test(names, a_name_without_addresses_is_not_found);
	tcase_add_loop_test(names, a_name_without_addresses_is_not_found, 4, 5);
	tcase_add_loop_test(names, a_name_without_addresses_is_not_found, 6, 7);
	tcase_add_test(names, many_addresses_of_one_family_leave_room_for_the_other);
	tcase_add_test(names, a_final_dot_is_not_part_of_the_name);
	tcase_add_loop_test(names, what_cannot_be_a_name_is_not_found_and_nobody_is_asked, 0, COUNT_OF(impossible));
	tcase_add_test(names, a_name_may_have_253_characters);
	tcase_add_test(names, mapped_ipv4_serves_where_there_is_no_ipv6);
	tcase_add_test(names, mapped_ipv4_is_not_wanted_beside_ipv6);
	tcase_add_test(names, mapped_ipv4_comes_too_if_all_is_asked_for);
	tcase_add_test(names, what_the_machine_can_use_is_never_nothing);
	tcase_add_test(names, an_answer_that_did_not_fit_means_try_again);
	tcase_add_loop_test(half, trouble_with_one_family_does_not_matter_beside_an_address_of_the_other, 0, 2);
	tcase_add_loop_test(half, trouble_with_one_family_is_not_the_absence_of_both, 0, 2);
	tcase_add_test(half, a_dead_name_server_does_not_keep_the_loop_running);
	tcase_add_test(patient, an_address_does_not_wait_for_ever_for_the_other_family);
	tcase_add_test(patient, a_lookup_ends_when_its_time_is_up);
	tcase_add_loop_test(patient, a_lookup_ends_when_its_time_is_up, 6, 7);
	tcase_add_test(patient, a_question_that_nobody_waits_for_does_not_keep_the_loop_running);
	tcase_add_test(search, a_short_name_is_looked_for_in_the_search_list);
	tcase_add_test(search, with_a_final_dot_the_search_list_is_not_used);
	tcase_add_test(machine, the_hosts_file_goes_before_dns_and_its_changes_count);
	tcase_add_test(machine, what_the_hosts_file_has_not_in_that_family_is_asked_for);
	tcase_add_test(machine, an_address_of_the_hosts_file_can_be_mapped);
	tcase_add_test(machine, without_descriptors_a_lookup_says_so);
	tcase_add_test(machine, a_change_of_resolv_conf_counts_from_the_next_lookup_on);
	tcase_add_test(machine, a_change_of_resolv_conf_leaves_the_questions_that_are_out_alone);
	tcase_add_test(machine, a_literal_of_the_other_family_is_not_found);
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
