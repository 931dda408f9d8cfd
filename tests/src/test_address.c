/* tests/src/test_address.c - text to addresses and back, with Node's grammar. */
#include "src/address.h"

#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <muster/address.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const struct {
	const char *text;
	int family;
} literals[] = {
	{ "127.0.0.1", 4 },
	{ "0.0.0.0", 4 },
	{ "255.255.255.255", 4 },
	{ "::", 6 },
	{ "::1", 6 },
	{ "2001:db8::8a2e:370:7334", 6 },
	{ "::ffff:1.2.3.4", 6 },
	{ "fe80::1%lo", 6 },
	{ "fe80::1%1", 6 },
	{ "", 0 },
	{ "localhost", 0 },
	{ "127.0.0.01", 0 },
	{ "127.0.0", 0 },
	{ "127.0.0.1/24", 0 },
	{ "127.0.0.256", 0 },
	{ " 127.0.0.1", 0 },
	{ "127.0.0.1:80", 0 },
	{ "::1%", 0 },
	{ "fe80::1%l o", 0 },
	{ "[::1]", 0 },
	{ ":::1", 0 },
	{ "::1/64", 0 },
	{ "1:2:3:4:5:6:7:8:9", 0 },
	{ "11111111111111111111111111111111111111111111111111", 0 },
};

START_TEST(is_ip_tells_the_family_of_a_literal)
{
	ck_assert_int_eq(muster_is_ip(literals[_i].text), literals[_i].family);
	ck_assert_int_eq(muster_is_ipv4(literals[_i].text), literals[_i].family == 4);
	ck_assert_int_eq(muster_is_ipv6(literals[_i].text), literals[_i].family == 6);
}
END_TEST

START_TEST(is_ip_of_nothing_is_0)
{
	ck_assert_int_eq(muster_is_ip(NULL), 0);
}
END_TEST

static const struct {
	const char *text, *address;
	unsigned port;
	int family;
} parsed[] = {
	{ "1.2.3.4:80", "1.2.3.4", 80, 4 },
	{ "1.2.3.4", "1.2.3.4", 0, 4 },
	{ "[::1]:8080", "::1", 8080, 6 },
	{ "[::1]", "::1", 0, 6 },
	{ "::1", "::1", 0, 6 },
	{ "[2001:DB8:0::1]:1", "2001:db8::1", 1, 6 },
	{ "0.0.0.0:65535", "0.0.0.0", 65535, 4 },
	{ "fe80::1%lo", "fe80::1%lo", 0, 6 },
	{ "[fe80::1%lo]:9", "fe80::1%lo", 9, 6 },
};

START_TEST(parse_reads_an_address_and_a_port)
{
	struct muster_address address;

	ck_assert_int_eq(muster_address_parse(&address, parsed[_i].text), 0);
	ck_assert_int_eq(address.family, parsed[_i].family);
	ck_assert_uint_eq(address.port, parsed[_i].port);
	ck_assert_str_eq(address.text, parsed[_i].address);
	ck_assert_uint_eq(address.length, strlen(parsed[_i].address));
}
END_TEST

static const char *const unparsed[] = {
	"",           "localhost",  "localhost:80", "1.2.3.4:",      "1.2.3.4:65536", "1.2.3.4:-1",
	"1.2.3.4:+1", "1.2.3.4: 1", "1.2.3.4:8x",   "[::1",          "[::1]80",       "[::1]:",
	"::1]:80",    ":80",        "/a/path",      "fe80::1%none0", "[1.2.3.4]:80",  "[]:80",
};

START_TEST(parse_refuses_what_is_no_address_and_leaves_the_result_alone)
{
	struct muster_address address, before;

	memset(&address, 0x5a, sizeof address);
	before = address;
	ck_assert_int_eq(muster_address_parse(&address, unparsed[_i]), -EINVAL);
	ck_assert_mem_eq(&address, &before, sizeof address);
}
END_TEST

START_TEST(parse_refuses_a_text_of_any_length)
{
	struct muster_address address;
	char text[4096];

	memset(text, '1', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ck_assert_int_eq(muster_address_parse(&address, text), -EINVAL);
	text[0] = '[';
	text[sizeof text - 2] = ']';
	ck_assert_int_eq(muster_address_parse(&address, text), -EINVAL);
}
END_TEST

START_TEST(format_puts_brackets_around_ipv6_alone)
{
	struct muster_address address;
	char text[64];

	ck_assert_int_eq(muster_address_parse(&address, "1.2.3.4:80"), 0);
	ck_assert_uint_eq(muster_address_format(&address, text, sizeof text), strlen("1.2.3.4:80"));
	ck_assert_str_eq(text, "1.2.3.4:80");
	ck_assert_int_eq(muster_address_parse(&address, "[::1]:80"), 0);
	muster_address_format(&address, text, sizeof text);
	ck_assert_str_eq(text, "[::1]:80");
}
END_TEST

START_TEST(format_cuts_at_the_size_and_tells_the_whole_length)
{
	struct muster_address address;
	char text[6] = "xxxxx";

	ck_assert_int_eq(muster_address_parse(&address, "1.2.3.4:80"), 0);
	ck_assert_uint_eq(muster_address_format(&address, text, sizeof text), 10);
	ck_assert_str_eq(text, "1.2.3");
	ck_assert_uint_eq(muster_address_format(&address, NULL, 0), 10);
}
END_TEST

START_TEST(format_writes_a_path_and_marks_an_abstract_name)
{
	struct muster_address address = { .family = 1, .length = 4, .text = "/a/b" };
	char text[64];

	ck_assert_uint_eq(muster_address_format(&address, text, sizeof text), 4);
	ck_assert_str_eq(text, "/a/b");
	memcpy(address.text, "\0abc", 4);
	ck_assert_uint_eq(muster_address_format(&address, text, sizeof text), 4);
	ck_assert_str_eq(text, "@abc");
	address.length = 0;
	ck_assert_uint_eq(muster_address_format(&address, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}
END_TEST

static struct muster_address round_trip(const char *path)
{
	struct muster__sockaddr address;
	struct muster_address text;

	ck_assert_int_eq(muster__sockaddr_path(&address, path), 0);
	muster__address_from(&text, &address.any, address.length);
	ck_assert_int_eq(text.family, 1);
	return text;
}

START_TEST(a_path_comes_back_as_it_was_given)
{
	struct muster_address address = round_trip("/tmp/a socket");

	ck_assert_str_eq(address.text, "/tmp/a socket");
	ck_assert_uint_eq(address.length, strlen("/tmp/a socket"));
}
END_TEST

START_TEST(an_abstract_name_begins_with_a_nul)
{
	struct muster_address address = round_trip("@name");

	ck_assert_uint_eq(address.length, 5);
	ck_assert_mem_eq(address.text, "\0name", 5);
}
END_TEST

START_TEST(a_path_may_have_107_bytes)
{
	struct muster__sockaddr address;
	char path[256];

	memset(path, 'p', sizeof path);
	path[107] = '\0';
	ck_assert_uint_eq(round_trip(path).length, 107);
	path[107] = 'p';
	path[108] = '\0';
	ck_assert_int_eq(muster__sockaddr_path(&address, path), -ENAMETOOLONG);
}
END_TEST

START_TEST(an_abstract_name_may_have_107_bytes_after_its_mark)
{
	struct muster__sockaddr address;
	char path[256];

	memset(path, 'p', sizeof path);
	path[0] = '@';
	path[108] = '\0';
	ck_assert_uint_eq(round_trip(path).length, 108);
	path[108] = 'p';
	path[109] = '\0';
	ck_assert_int_eq(muster__sockaddr_path(&address, path), -ENAMETOOLONG);
}
END_TEST

START_TEST(an_empty_path_is_refused)
{
	struct muster__sockaddr address;

	ck_assert_int_eq(muster__sockaddr_path(&address, ""), -EINVAL);
}
END_TEST

START_TEST(a_path_without_its_nul_is_read_to_its_length)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct muster_address text;

	memset(un.sun_path, 'x', sizeof un.sun_path);
	muster__address_from(&text, (const struct sockaddr *)&un, sizeof un);
	ck_assert_uint_eq(text.length, sizeof un.sun_path);
	ck_assert_uint_eq(strlen(text.text), sizeof un.sun_path);
}
END_TEST

START_TEST(an_unnamed_unix_end_has_no_text)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct muster_address text;

	muster__address_from(&text, (const struct sockaddr *)&un, sizeof un.sun_family);
	ck_assert_int_eq(text.family, 1);
	ck_assert_uint_eq(text.length, 0);
	ck_assert_str_eq(text.text, "");
}
END_TEST

START_TEST(an_unknown_family_is_no_address)
{
	struct sockaddr other = { .sa_family = AF_NETLINK };
	struct muster_address text;

	muster__address_from(&text, &other, sizeof other);
	ck_assert_int_eq(text.family, 0);
	muster__address_from(&text, &other, 0);
	ck_assert_int_eq(text.family, 0);
}
END_TEST

START_TEST(a_literal_becomes_a_sockaddr_in_network_order)
{
	struct muster__sockaddr address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)&address.storage;

	ck_assert_int_eq(muster__sockaddr_ip(&address, "1.2.3.4", 258), 0);
	ck_assert_uint_eq(in->sin_port, htons(258));
	ck_assert_uint_eq(in->sin_addr.s_addr, htonl(0x01020304));
	ck_assert_uint_eq(address.length, sizeof *in);
	ck_assert_int_eq(muster__sockaddr_ip(&address, "1.2.3.4", 65536), -EINVAL);
	ck_assert_int_eq(muster__sockaddr_ip(&address, "localhost", 1), -EINVAL);
}
END_TEST

static const struct muster_address made[] = {
	{ 4, 80, 9, "192.0.2.1" }, { 6, 65535, 11, "2001:db8::1" }, { 1, 0, 5, "/path" }, { 1, 0, 7, "\0abs\0ct" },
	{ 1, 0, 0, "" },
};

START_TEST(an_address_becomes_what_it_was_made_of)
{
	struct muster__sockaddr address;
	struct muster_address again;

	ck_assert_int_eq(muster__sockaddr_of(&address, &made[_i]), 0);
	muster__address_from(&again, &address.any, address.length);
	ck_assert_int_eq(again.family, made[_i].family);
	ck_assert_uint_eq(again.port, made[_i].port);
	ck_assert_uint_eq(again.length, made[_i].length);
	ck_assert_mem_eq(again.text, made[_i].text, made[_i].length);
}
END_TEST

START_TEST(no_address_and_one_that_is_too_long_become_nothing)
{
	struct muster__sockaddr address;

	ck_assert_int_eq(muster__sockaddr_of(&address, &(struct muster_address){ 0 }), -EINVAL);
	ck_assert_int_eq(muster__sockaddr_of(&address, &(struct muster_address){ .family = 1, .length = 109 }),
			 -ENAMETOOLONG);
}
END_TEST

START_TEST(the_addresses_of_what_is_no_socket_are_errors)
{
	struct muster_address address;

	ck_assert_int_eq(muster__address_local(&address, -1), -EBADF);
	ck_assert_int_eq(muster__address_remote(&address, -1), -EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/address");
	TCase *text = add_case(suite, "text");
	TCase *kernel = add_case(suite, "kernel");

	tcase_add_loop_test(text, is_ip_tells_the_family_of_a_literal, 0, sizeof literals / sizeof literals[0]);
	tcase_add_test(text, is_ip_of_nothing_is_0);
	tcase_add_loop_test(text, parse_reads_an_address_and_a_port, 0, sizeof parsed / sizeof parsed[0]);
	tcase_add_loop_test(text, parse_refuses_what_is_no_address_and_leaves_the_result_alone, 0,
			    sizeof unparsed / sizeof unparsed[0]);
	tcase_add_test(text, parse_refuses_a_text_of_any_length);
	tcase_add_test(text, format_puts_brackets_around_ipv6_alone);
	tcase_add_test(text, format_cuts_at_the_size_and_tells_the_whole_length);
	tcase_add_test(text, format_writes_a_path_and_marks_an_abstract_name);
	tcase_add_test(kernel, a_path_comes_back_as_it_was_given);
	tcase_add_test(kernel, an_abstract_name_begins_with_a_nul);
	tcase_add_test(kernel, a_path_may_have_107_bytes);
	tcase_add_test(kernel, an_abstract_name_may_have_107_bytes_after_its_mark);
	tcase_add_test(kernel, an_empty_path_is_refused);
	tcase_add_test(kernel, a_path_without_its_nul_is_read_to_its_length);
	tcase_add_test(kernel, an_unnamed_unix_end_has_no_text);
	tcase_add_test(kernel, an_unknown_family_is_no_address);
	tcase_add_test(kernel, a_literal_becomes_a_sockaddr_in_network_order);
	tcase_add_loop_test(kernel, an_address_becomes_what_it_was_made_of, 0, sizeof made / sizeof made[0]);
	tcase_add_test(kernel, no_address_and_one_that_is_too_long_become_nothing);
	tcase_add_test(kernel, the_addresses_of_what_is_no_socket_are_errors);
	return run_suite(suite);
}
