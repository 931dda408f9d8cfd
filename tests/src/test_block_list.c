/* tests/src/test_block_list.c - which addresses a rule matches. The verdicts are those of Node v20's BlockList. */
#include "src/block_list.h"

#include "src/address.h"
#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

enum kind { ADDRESS, RANGE, SUBNET };

/* clang-format off */
static const struct {
	enum kind kind;
	const char *from, *to;
	unsigned prefix;
	const char *checked;
	bool blocked;
} rules[] = {
	{ ADDRESS, "1.2.3.4", NULL, 0, "1.2.3.4", true },
	{ ADDRESS, "1.2.3.4", NULL, 0, "1.2.3.5", false },
	{ ADDRESS, "1.2.3.4", NULL, 0, "1.2.3.3", false },
	{ ADDRESS, "1.2.3.4", NULL, 0, "::ffff:1.2.3.4", true },
	{ ADDRESS, "1.2.3.4", NULL, 0, "::ffff:102:304", true },
	{ ADDRESS, "1.2.3.4", NULL, 0, "::1.2.3.4", false },
	{ ADDRESS, "1.2.3.4", NULL, 0, "::ffff:1.2.3.5", false },
	{ ADDRESS, "::1", NULL, 0, "::1", true },
	{ ADDRESS, "::1", NULL, 0, "0:0:0:0:0:0:0:1", true },
	{ ADDRESS, "::1", NULL, 0, "::2", false },
	{ ADDRESS, "::1", NULL, 0, "0.0.0.1", false },
	{ ADDRESS, "::1", NULL, 0, "::ffff:0.0.0.1", false },
	{ ADDRESS, "::ffff:1.2.3.4", NULL, 0, "1.2.3.4", true },
	{ ADDRESS, "::ffff:1.2.3.4", NULL, 0, "::ffff:1.2.3.4", true },
	{ ADDRESS, "::ffff:1.2.3.4", NULL, 0, "1.2.3.5", false },
	{ ADDRESS, "fe80::1", NULL, 0, "fe80::1", true },
	{ ADDRESS, "fe80::1", NULL, 0, "fe80::1%lo", true },
	{ ADDRESS, "fe80::1", NULL, 0, "fe80::1%none0", true },
	{ ADDRESS, "fe80::1", NULL, 0, "fe80::1%", true },
	{ ADDRESS, "fe80::1", NULL, 0, "fe80::2%lo", false },
	{ ADDRESS, "fe80::1%lo", NULL, 0, "fe80::1", true },
	{ ADDRESS, "fe80::1%lo", NULL, 0, "fe80::1%lo", true },
	{ ADDRESS, "fe80::1%lo", NULL, 0, "fe80::1%none0", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.0.0", false },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.0.1", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.0.255", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.1.0", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.1.5", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "1.0.1.6", false },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "0.0.0.3", false },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "2.0.0.3", false },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "::ffff:1.0.0.9", true },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "::ffff:1.0.1.6", false },
	{ RANGE, "1.0.0.1", "1.0.1.5", 0, "::1.0.0.9", false },
	{ RANGE, "1.0.0.1", "1.0.0.1", 0, "1.0.0.0", false },
	{ RANGE, "1.0.0.1", "1.0.0.1", 0, "1.0.0.1", true },
	{ RANGE, "1.0.0.1", "1.0.0.1", 0, "1.0.0.2", false },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "0.0.0.0", true },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "127.0.0.1", true },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "255.255.255.255", true },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "::", false },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "::ffff:9.9.9.9", true },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "::fffe:9.9.9.9", false },
	{ RANGE, "0.0.0.0", "255.255.255.255", 0, "::1:0:0:0", false },
	{ RANGE, "127.255.255.255", "128.0.0.1", 0, "128.0.0.0", true },
	{ RANGE, "127.255.255.255", "128.0.0.1", 0, "127.255.255.254", false },
	{ RANGE, "127.255.255.255", "128.0.0.1", 0, "128.0.0.2", false },
	{ RANGE, "2001::1", "2001::ff", 0, "2001::", false },
	{ RANGE, "2001::1", "2001::ff", 0, "2001::1", true },
	{ RANGE, "2001::1", "2001::ff", 0, "2001::80", true },
	{ RANGE, "2001::1", "2001::ff", 0, "2001::ff", true },
	{ RANGE, "2001::1", "2001::ff", 0, "2001::100", false },
	{ RANGE, "2001::1", "2001::ff", 0, "1.2.3.4", false },
	{ RANGE, "::ffff:1.0.0.1", "::ffff:1.0.1.5", 0, "1.0.0.1", true },
	{ RANGE, "::ffff:1.0.0.1", "::ffff:1.0.1.5", 0, "1.0.1.5", true },
	{ RANGE, "::ffff:1.0.0.1", "::ffff:1.0.1.5", 0, "1.0.0.0", false },
	{ RANGE, "::ffff:1.0.0.1", "::ffff:1.0.1.5", 0, "1.0.1.6", false },
	{ RANGE, "::ffff:1.0.0.1", "::ffff:1.0.1.5", 0, "::ffff:1.0.0.1", true },
	{ RANGE, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "::", true },
	{ RANGE, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "1.2.3.4", false },
	{ RANGE, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "::1", true },
	{ RANGE, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "::ffff:1.2.3.4", true },
	{ RANGE, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ RANGE, "::ffff:1.0.0.1", "::1:0:0:0", 0, "1.0.0.2", false },
	{ RANGE, "::ffff:1.0.0.1", "::1:0:0:0", 0, "::ffff:1.0.0.2", true },
	{ RANGE, "::1", "::ffff:1.0.0.5", 0, "1.0.0.3", false },
	{ RANGE, "::1", "::ffff:1.0.0.5", 0, "::ffff:1.0.0.3", true },
	{ SUBNET, "10.1.2.3", NULL, 8, "10.0.0.0", true },
	{ SUBNET, "10.1.2.3", NULL, 8, "10.255.255.255", true },
	{ SUBNET, "10.1.2.3", NULL, 8, "9.255.255.255", false },
	{ SUBNET, "10.1.2.3", NULL, 8, "11.0.0.0", false },
	{ SUBNET, "10.1.2.3", NULL, 8, "::ffff:10.9.9.9", true },
	{ SUBNET, "10.1.2.3", NULL, 8, "::ffff:11.9.9.9", false },
	{ SUBNET, "10.1.2.3", NULL, 8, "::10.9.9.9", false },
	{ SUBNET, "10.1.2.3", NULL, 0, "0.0.0.0", true },
	{ SUBNET, "10.1.2.3", NULL, 0, "255.255.255.255", true },
	{ SUBNET, "10.1.2.3", NULL, 0, "::1", false },
	{ SUBNET, "10.1.2.3", NULL, 0, "::ffff:1.2.3.4", true },
	{ SUBNET, "10.1.2.3", NULL, 1, "127.255.255.255", true },
	{ SUBNET, "10.1.2.3", NULL, 1, "128.0.0.0", false },
	{ SUBNET, "10.1.2.3", NULL, 13, "10.0.0.0", true },
	{ SUBNET, "10.1.2.3", NULL, 13, "10.7.255.255", true },
	{ SUBNET, "10.1.2.3", NULL, 13, "10.8.0.0", false },
	{ SUBNET, "10.1.2.3", NULL, 13, "9.255.255.255", false },
	{ SUBNET, "10.1.2.3", NULL, 31, "10.1.2.1", false },
	{ SUBNET, "10.1.2.3", NULL, 31, "10.1.2.2", true },
	{ SUBNET, "10.1.2.3", NULL, 31, "10.1.2.3", true },
	{ SUBNET, "10.1.2.3", NULL, 31, "10.1.2.4", false },
	{ SUBNET, "10.1.2.3", NULL, 32, "10.1.2.2", false },
	{ SUBNET, "10.1.2.3", NULL, 32, "10.1.2.3", true },
	{ SUBNET, "10.1.2.3", NULL, 32, "10.1.2.4", false },
	{ SUBNET, "10.1.2.3", NULL, 32, "::ffff:10.1.2.3", true },
	{ SUBNET, "2001:db8::", NULL, 33, "2001:db8::", true },
	{ SUBNET, "2001:db8::", NULL, 33, "2001:db8:7fff:ffff::", true },
	{ SUBNET, "2001:db8::", NULL, 33, "2001:db8:8000::", false },
	{ SUBNET, "2001:db8::", NULL, 33, "2001:db7::", false },
	{ SUBNET, "2001:db8::", NULL, 33, "1.2.3.4", false },
	{ SUBNET, "2001:db8::1", NULL, 128, "2001:db8::1", true },
	{ SUBNET, "2001:db8::1", NULL, 128, "2001:db8::", false },
	{ SUBNET, "2001:db8::1", NULL, 128, "2001:db8::2", false },
	{ SUBNET, "2001:db8::1", NULL, 127, "2001:db8::", true },
	{ SUBNET, "2001:db8::1", NULL, 127, "2001:db8::1", true },
	{ SUBNET, "2001:db8::1", NULL, 127, "2001:db8::2", false },
	{ SUBNET, "::", NULL, 0, "1.2.3.4", true },
	{ SUBNET, "::", NULL, 0, "::1", true },
	{ SUBNET, "::", NULL, 0, "ffff::", true },
	{ SUBNET, "::", NULL, 0, "::ffff:1.2.3.4", true },
	{ SUBNET, "::ffff:10.0.0.0", NULL, 104, "10.1.2.3", true },
	{ SUBNET, "::ffff:10.0.0.0", NULL, 104, "11.0.0.0", false },
	{ SUBNET, "::ffff:10.0.0.0", NULL, 104, "::ffff:10.1.2.3", true },
	{ SUBNET, "::ffff:0:0", NULL, 95, "10.1.2.3", true },
	{ SUBNET, "::ffff:0:0", NULL, 95, "::fffe:1.2.3.4", true },
	{ SUBNET, "::ffff:0:0", NULL, 95, "::fffd:1.2.3.4", false },
	{ SUBNET, "::ffff:0:0", NULL, 128, "0.0.0.0", true },
	{ SUBNET, "::ffff:0:0", NULL, 128, "0.0.0.1", false },
};
/* clang-format on */

static struct muster_block_list *new_list(void)
{
	struct muster_block_list *list = muster_block_list_new();

	ck_assert_ptr_nonnull(list);
	return list;
}

static struct muster_block_list *list_with_rule(int i)
{
	struct muster_block_list *list = new_list();
	int err = rules[i].kind == ADDRESS ? muster_block_list_add_address(list, rules[i].from) :
		  rules[i].kind == RANGE   ? muster_block_list_add_range(list, rules[i].from, rules[i].to) :
					     muster_block_list_add_subnet(list, rules[i].from, rules[i].prefix);

	ck_assert_int_eq(err, 0);
	return list;
}

static bool blocks(const struct muster_block_list *list, const char *text)
{
	struct muster__sockaddr address;

	ck_assert_int_eq(muster__sockaddr_ip(&address, text, 80), 0);
	return muster__block_list_blocks(list, &address.any);
}

START_TEST(check_tells_what_node_tells)
{
	struct muster_block_list *list = list_with_rule(_i);

	ck_assert_int_eq(muster_block_list_check(list, rules[_i].checked), rules[_i].blocked);
	muster_block_list_free(list);
}
END_TEST

START_TEST(an_address_of_a_socket_is_judged_as_its_text)
{
	struct muster_block_list *list = list_with_rule(_i);

	/* An interface that is not there has no sockaddr. */
	if (strchr(rules[_i].checked, '%') == NULL)
		ck_assert_int_eq(blocks(list, rules[_i].checked), rules[_i].blocked);
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_subnet_may_be_written_as_one_text)
{
	struct muster_block_list *list = new_list();
	char cidr[128];

	if (rules[_i].kind == SUBNET) {
		snprintf(cidr, sizeof cidr, "%s/%u", rules[_i].from, rules[_i].prefix);
		ck_assert_int_eq(muster_block_list_add_cidr(list, cidr), 0);
		ck_assert_int_eq(muster_block_list_check(list, rules[_i].checked), rules[_i].blocked);
	}
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_rule_blocks_whatever_other_rules_there_are)
{
	struct muster_block_list *list = list_with_rule(_i);

	ck_assert_int_eq(muster_block_list_add_address(list, "203.0.113.1"), 0);
	ck_assert_int_eq(muster_block_list_add_subnet(list, "3fff::", 20), 0);
	ck_assert_int_eq(muster_block_list_check(list, rules[_i].checked), rules[_i].blocked);
	ck_assert(muster_block_list_check(list, "203.0.113.1"));
	ck_assert(muster_block_list_check(list, "3fff:fff::1"));
	muster_block_list_free(list);
}
END_TEST

static const char *const no_addresses[] = {
	"",
	"localhost",
	"1.2.3",
	"1.2.3.4 ",
	" 1.2.3.4",
	"1.2.3.04",
	"1.2.3.256",
	"1.2.3.4:80",
	"1.2.3.4/32",
	"1.2.3.4%lo",
	"[::1]",
	":::",
	"::1/128",
	"%lo",
	"1:2:3:4:5:6:7:8:9",
	"/tmp/socket",
	"@name",
	NULL,
	"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
};

START_TEST(what_is_no_address_is_refused_as_a_rule)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_address(list, no_addresses[_i]), -EINVAL);
	ck_assert_int_eq(muster_block_list_add_range(list, no_addresses[_i], "1.2.3.4"), -EINVAL);
	ck_assert_int_eq(muster_block_list_add_range(list, "::", no_addresses[_i]), -EINVAL);
	ck_assert_int_eq(muster_block_list_add_subnet(list, no_addresses[_i], 8), -EINVAL);
	ck_assert_int_eq(muster_block_list_add_subnet(list, no_addresses[_i], 999), -EINVAL);
	muster_block_list_free(list);
}
END_TEST

START_TEST(what_is_no_address_is_not_blocked)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_subnet(list, "::", 0), 0);
	ck_assert(muster_block_list_check(list, "1.2.3.4"));
	ck_assert(!muster_block_list_check(list, no_addresses[_i]));
	muster_block_list_free(list);
}
END_TEST

static const char *const no_ranges[][2] = {
	{ "1.0.0.2", "1.0.0.1" },
	{ "128.0.0.0", "127.255.255.255" },
	{ "::2", "::1" },
	{ "8000::", "7fff::" },
	{ "1.0.0.1", "::2" },
	{ "::1", "1.0.0.2" },
	{ "::ffff:1.0.0.1", "1.0.0.2" },
	{ "1.0.0.1", "::ffff:1.0.0.2" },
};

START_TEST(a_range_that_is_reversed_or_of_two_families_is_refused)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_range(list, no_ranges[_i][0], no_ranges[_i][1]), -EINVAL);
	ck_assert(!muster_block_list_check(list, no_ranges[_i][0]));
	ck_assert(!muster_block_list_check(list, no_ranges[_i][1]));
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_prefix_longer_than_the_address_is_refused)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_subnet(list, "1.0.0.2", 33), -ERANGE);
	ck_assert_int_eq(muster_block_list_add_subnet(list, "1.0.0.2", (unsigned)-1), -ERANGE);
	ck_assert_int_eq(muster_block_list_add_subnet(list, "::", 129), -ERANGE);
	ck_assert_int_eq(muster_block_list_add_subnet(list, "::ffff:1.0.0.2", 129), -ERANGE);
	ck_assert(!muster_block_list_check(list, "1.0.0.2"));
	ck_assert(!muster_block_list_check(list, "::"));
	muster_block_list_free(list);
}
END_TEST

static const struct {
	const char *text;
	int err;
} cidrs[] = {
	{ "10.0.0.0/8", 0 },
	{ "10.0.0.0/0", 0 },
	{ "::/0", 0 },
	{ "fd00::/128", 0 },
	{ "fe80::%lo/10", 0 },
	{ "10.0.0.0/33", -ERANGE },
	{ "::/129", -ERANGE },
	{ "::/999999999999999999999", -ERANGE },
	{ "10.0.0.0/4294967304", -ERANGE },
	{ "10.0.0.0", -EINVAL },
	{ "10.0.0.0/", -EINVAL },
	{ "/8", -EINVAL },
	{ "", -EINVAL },
	{ NULL, -EINVAL },
	{ "10.0.0.0/-1", -EINVAL },
	{ "10.0.0.0/+8", -EINVAL },
	{ "10.0.0.0/ 8", -EINVAL },
	{ "10.0.0.0/8 ", -EINVAL },
	{ "10.0.0.0/08", -EINVAL },
	{ "10.0.0.0/8/8", -EINVAL },
	{ "10.0.0.0/0x8", -EINVAL },
	{ "10.0.0/8", -EINVAL },
	{ "10.0.0.0/255.0.0.0", -EINVAL },
	{ "name/8", -EINVAL },
	{ "name/999", -EINVAL },
	{ "[::]/8", -EINVAL },
};

START_TEST(a_cidr_is_an_address_and_a_decimal_prefix)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_cidr(list, cidrs[_i].text), cidrs[_i].err);
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_cidr_of_any_length_is_refused)
{
	struct muster_block_list *list = new_list();
	char text[4096];

	memset(text, '1', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	text[sizeof text - 3] = '/';
	ck_assert_int_eq(muster_block_list_add_cidr(list, text), -EINVAL);
	muster_block_list_free(list);
}
END_TEST

START_TEST(an_empty_list_blocks_nothing)
{
	struct muster_block_list *list = new_list();

	ck_assert(!muster_block_list_check(list, "1.2.3.4"));
	ck_assert(!muster_block_list_check(list, "::"));
	ck_assert(!blocks(list, "1.2.3.4"));
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_list_holds_as_many_rules_as_are_added)
{
	struct muster_block_list *list = new_list();
	char text[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "10.0.%d.%d", i / 250, 2 * (i % 125));
		ck_assert_int_eq(muster_block_list_add_address(list, text), 0);
	}
	ck_assert(muster_block_list_check(list, "10.0.0.0"));
	ck_assert(muster_block_list_check(list, "10.0.3.248"));
	ck_assert(!muster_block_list_check(list, "10.0.3.249"));
	muster_block_list_free(list);
}
END_TEST

START_TEST(whoever_shares_a_list_keeps_it_when_its_user_lets_go)
{
	struct muster_block_list *list = new_list();
	struct muster_block_list *shared = muster__block_list_share(list);

	ck_assert_ptr_eq(shared, list);
	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	muster_block_list_free(list);
	ck_assert(blocks(shared, "1.2.3.4"));
	muster_block_list_free(shared);
}
END_TEST

START_TEST(rules_added_later_count_for_whoever_shares_the_list)
{
	struct muster_block_list *list = new_list();
	struct muster_block_list *shared = muster__block_list_share(list);

	ck_assert(!blocks(shared, "1.2.3.4"));
	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert(blocks(shared, "1.2.3.4"));
	muster_block_list_free(shared);
	ck_assert(muster_block_list_check(list, "1.2.3.4"));
	muster_block_list_free(list);
}
END_TEST

START_TEST(no_list_blocks_nothing_and_can_be_shared_and_freed)
{
	ck_assert(!blocks(NULL, "1.2.3.4"));
	ck_assert_ptr_null(muster__block_list_share(NULL));
	muster_block_list_free(NULL);
}
END_TEST

START_TEST(a_unix_peer_is_not_blocked)
{
	struct muster_block_list *list = new_list();
	struct muster__sockaddr address;

	ck_assert_int_eq(muster_block_list_add_subnet(list, "::", 0), 0);
	ck_assert_int_eq(muster__sockaddr_path(&address, "/tmp/socket"), 0);
	ck_assert(!muster__block_list_blocks(list, &address.any));
	muster_block_list_free(list);
}
END_TEST

START_TEST(the_scope_of_a_peer_does_not_matter)
{
	struct muster_block_list *list = new_list();
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_scope_id = 9, .sin6_port = htons(80) };

	ck_assert_int_eq(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
	ck_assert_int_eq(muster_block_list_add_address(list, "fe80::1"), 0);
	ck_assert(muster__block_list_blocks(list, (struct sockaddr *)&in6));
	muster_block_list_free(list);
}
END_TEST

/* ---- Rules as texts: those of Node v20's `rules`. */

static const char *rule_at(const struct muster_block_list *list, size_t index)
{
	static char text[MUSTER_RULE_SIZE];
	size_t length = muster_block_list_rule(list, index, text, sizeof text);

	ck_assert_uint_eq(length, strlen(text));
	return text;
}

static struct muster_block_list *list_with_each_kind(void)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert_int_eq(muster_block_list_add_range(list, "10.0.0.1", "10.0.0.10"), 0);
	ck_assert_int_eq(muster_block_list_add_subnet(list, "10.1.2.3", 8), 0);
	ck_assert_int_eq(muster_block_list_add_cidr(list, "8592:757c:efae:4e45:1::/64"), 0);
	ck_assert_int_eq(muster_block_list_add_address(list, "::ffff:1.2.3.4"), 0);
	ck_assert_int_eq(muster_block_list_add_range(list, "::1", "0::5"), 0);
	ck_assert_int_eq(muster_block_list_add_address(list, "fe80::1%lo"), 0);
	return list;
}

static const char *const listed[] = {
	"Address: IPv6 fe80::1",        "Range: IPv6 ::1-::5",
	"Address: IPv6 ::ffff:1.2.3.4", "Subnet: IPv6 8592:757c:efae:4e45:1::/64",
	"Subnet: IPv4 10.1.2.3/8",      "Range: IPv4 10.0.0.1-10.0.0.10",
	"Address: IPv4 1.2.3.4",
};

START_TEST(rules_are_listed_as_node_does_the_newest_first)
{
	struct muster_block_list *list = list_with_each_kind();
	size_t i;

	ck_assert_uint_eq(muster_block_list_size(list), COUNT(listed));
	for (i = 0; i < COUNT(listed); i++)
		ck_assert_str_eq(rule_at(list, i), listed[i]);
	ck_assert_str_eq(rule_at(list, i), "");
	ck_assert_str_eq(rule_at(list, (size_t)-1), "");
	muster_block_list_free(list);
}
END_TEST

START_TEST(the_text_of_a_rule_is_cut_and_its_length_told)
{
	struct muster_block_list *list = new_list();
	char text[8];

	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert_uint_eq(muster_block_list_rule(list, 0, text, sizeof text), strlen(listed[6]));
	ck_assert_str_eq(text, "Address");
	ck_assert_uint_eq(muster_block_list_rule(list, 0, NULL, 0), strlen(listed[6]));
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_list_can_be_made_of_the_texts_of_another)
{
	struct muster_block_list *list = list_with_each_kind(), *copy = new_list();
	size_t i;

	for (i = muster_block_list_size(list); i-- > 0;)
		ck_assert_int_eq(muster_block_list_add_rule(copy, rule_at(list, i)), 0);
	for (i = 0; i < COUNT(listed); i++)
		ck_assert_str_eq(rule_at(copy, i), listed[i]);
	ck_assert(muster_block_list_check(copy, "10.200.1.1"));
	ck_assert(muster_block_list_check(copy, "::3"));
	ck_assert(!muster_block_list_check(copy, "::6"));
	muster_block_list_free(list);
	muster_block_list_free(copy);
}
END_TEST

START_TEST(the_longest_rule_fits)
{
	struct muster_block_list *list = new_list();
	const char *from = "1111:1111:1111:1111:1111:1111:1111:1111", *to = "ffff:1111:1111:1111:1111:1111:1111:1111";

	ck_assert_int_eq(muster_block_list_add_range(list, from, to), 0);
	ck_assert_uint_lt(muster_block_list_rule(list, 0, NULL, 0), MUSTER_RULE_SIZE);
	ck_assert_int_eq(muster_block_list_add_rule(list, rule_at(list, 0)), 0);
	muster_block_list_free(list);
}
END_TEST

static const struct {
	const char *text;
	int err;
} texts[] = {
	{ NULL, -EINVAL },
	{ "", -EINVAL },
	{ "Address", -EINVAL },
	{ "Address: IPv4", -EINVAL },
	{ "Address: IPv4 ", -EINVAL },
	{ "Address: IPv4 1.2.3", -EINVAL },
	{ "Address: IPv6 1.2.3.4", -EINVAL },
	{ "Address: IPv4 ::1", -EINVAL },
	{ "Address: IPv5 1.2.3.4", -EINVAL },
	{ "Address: IPv4 1.2.3.4 ", -EINVAL },
	{ "Address: IPv4 1.2.3.4-1.2.3.5", -EINVAL },
	{ "Addresses: IPv4 1.2.3.4", -EINVAL },
	{ "address: IPv4 1.2.3.4", -EINVAL },
	{ "1.2.3.4", -EINVAL },
	{ "Range: IPv4 1.2.3.4", -EINVAL },
	{ "Range: IPv4 1.2.3.4-", -EINVAL },
	{ "Range: IPv4 1.2.3.5-1.2.3.4", -EINVAL },
	{ "Range: IPv4 1.2.3.4-::1", -EINVAL },
	{ "Subnet: IPv4 10.0.0.0", -EINVAL },
	{ "Subnet: IPv4 10.0.0.0/33", -ERANGE },
	{ "Subnet: IPv6 10.0.0.0/8", -EINVAL },
	{ "Subnet: IPv4 10.0.0.0/8x", -EINVAL },
};

START_TEST(a_text_that_is_no_rule_is_refused)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_rule(list, texts[_i].text), texts[_i].err);
	ck_assert_uint_eq(muster_block_list_size(list), 0);
	muster_block_list_free(list);
}
END_TEST

/* ---- Taking rules away. */

START_TEST(a_rule_that_is_removed_blocks_no_more)
{
	struct muster_block_list *list = list_with_each_kind();

	ck_assert_int_eq(muster_block_list_remove_address(list, "1.2.3.4"), 0);
	ck_assert_int_eq(muster_block_list_remove_address(list, "::ffff:1.2.3.4"), 0);
	ck_assert(!muster_block_list_check(list, "1.2.3.4"));
	ck_assert_int_eq(muster_block_list_remove_range(list, "::1", "::5"), 0);
	ck_assert(!muster_block_list_check(list, "::3"));
	ck_assert_int_eq(muster_block_list_remove_cidr(list, "8592:757c:efae:4e45::/64"), 0);
	ck_assert(!muster_block_list_check(list, "8592:757c:efae:4e45::1"));
	ck_assert_uint_eq(muster_block_list_size(list), 3);
	/* What is left is as it was. */
	ck_assert_str_eq(rule_at(list, 0), listed[0]);
	ck_assert_str_eq(rule_at(list, 1), listed[4]);
	ck_assert_str_eq(rule_at(list, 2), listed[5]);
	ck_assert_int_eq(muster_block_list_remove_subnet(list, "10.0.0.0", 8), 0);
	ck_assert(muster_block_list_check(list, "10.0.0.5"));
	ck_assert_int_eq(muster_block_list_remove_range(list, "10.0.0.1", "10.0.0.10"), 0);
	ck_assert(!muster_block_list_check(list, "10.0.0.5"));
	muster_block_list_free(list);
}
END_TEST

START_TEST(removing_takes_a_rule_that_was_added_twice)
{
	struct muster_block_list *list = new_list();

	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert_uint_eq(muster_block_list_size(list), 2);
	ck_assert_int_eq(muster_block_list_remove_address(list, "1.2.3.4"), 0);
	ck_assert_uint_eq(muster_block_list_size(list), 0);
	muster_block_list_free(list);
}
END_TEST

START_TEST(what_is_not_there_cannot_be_removed)
{
	struct muster_block_list *list = list_with_each_kind();

	ck_assert_int_eq(muster_block_list_remove_address(list, "10.0.0.5"), -ENOENT);
	ck_assert_int_eq(muster_block_list_remove_address(list, "nonsense"), -EINVAL);
	ck_assert_int_eq(muster_block_list_remove_range(list, "10.0.0.1", "10.0.0.9"), -ENOENT);
	ck_assert_int_eq(muster_block_list_remove_range(list, "10.0.0.2", "10.0.0.1"), -EINVAL);
	ck_assert_int_eq(muster_block_list_remove_subnet(list, "10.0.0.0", 9), -ENOENT);
	ck_assert_int_eq(muster_block_list_remove_subnet(list, "10.0.0.0", 33), -ERANGE);
	ck_assert_int_eq(muster_block_list_remove_cidr(list, "1.2.3.4/32"), -ENOENT);
	ck_assert_int_eq(muster_block_list_remove_cidr(list, "1.2.3.4"), -EINVAL);
	ck_assert_uint_eq(muster_block_list_size(list), COUNT(listed));
	muster_block_list_free(list);
}
END_TEST

START_TEST(a_list_that_was_cleared_is_empty_and_can_be_filled_again)
{
	struct muster_block_list *list = list_with_each_kind();

	muster_block_list_clear(list);
	ck_assert_uint_eq(muster_block_list_size(list), 0);
	ck_assert(!muster_block_list_check(list, "1.2.3.4"));
	ck_assert_int_eq(muster_block_list_add_address(list, "1.2.3.4"), 0);
	ck_assert(muster_block_list_check(list, "1.2.3.4"));
	muster_block_list_free(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/block_list");
	TCase *texts_case = add_case(suite, "texts");
	TCase *removing = add_case(suite, "removing");
	TCase *matching = add_case(suite, "matching");
	TCase *refusing = add_case(suite, "refusing");
	TCase *holding = add_case(suite, "holding");

	tcase_add_loop_test(matching, check_tells_what_node_tells, 0, COUNT(rules));
	tcase_add_loop_test(matching, an_address_of_a_socket_is_judged_as_its_text, 0, COUNT(rules));
	tcase_add_loop_test(matching, a_subnet_may_be_written_as_one_text, 0, COUNT(rules));
	tcase_add_loop_test(matching, a_rule_blocks_whatever_other_rules_there_are, 0, COUNT(rules));
	tcase_add_test(matching, an_empty_list_blocks_nothing);
	tcase_add_test(matching, a_unix_peer_is_not_blocked);
	tcase_add_test(matching, the_scope_of_a_peer_does_not_matter);
	tcase_add_loop_test(refusing, what_is_no_address_is_refused_as_a_rule, 0, COUNT(no_addresses));
	tcase_add_loop_test(refusing, what_is_no_address_is_not_blocked, 0, COUNT(no_addresses));
	tcase_add_loop_test(refusing, a_range_that_is_reversed_or_of_two_families_is_refused, 0, COUNT(no_ranges));
	tcase_add_test(refusing, a_prefix_longer_than_the_address_is_refused);
	tcase_add_loop_test(refusing, a_cidr_is_an_address_and_a_decimal_prefix, 0, COUNT(cidrs));
	tcase_add_test(refusing, a_cidr_of_any_length_is_refused);
	tcase_add_test(holding, a_list_holds_as_many_rules_as_are_added);
	tcase_add_test(holding, whoever_shares_a_list_keeps_it_when_its_user_lets_go);
	tcase_add_test(holding, rules_added_later_count_for_whoever_shares_the_list);
	tcase_add_test(holding, no_list_blocks_nothing_and_can_be_shared_and_freed);
	tcase_add_test(texts_case, rules_are_listed_as_node_does_the_newest_first);
	tcase_add_test(texts_case, the_text_of_a_rule_is_cut_and_its_length_told);
	tcase_add_test(texts_case, a_list_can_be_made_of_the_texts_of_another);
	tcase_add_test(texts_case, the_longest_rule_fits);
	tcase_add_loop_test(texts_case, a_text_that_is_no_rule_is_refused, 0, COUNT(texts));
	tcase_add_test(removing, a_rule_that_is_removed_blocks_no_more);
	tcase_add_test(removing, removing_takes_a_rule_that_was_added_twice);
	tcase_add_test(removing, what_is_not_there_cannot_be_removed);
	tcase_add_test(removing, a_list_that_was_cleared_is_empty_and_can_be_filled_again);
	return run_suite(suite);
}
