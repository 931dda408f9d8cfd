/* tests/src/test_error.c - codes, their names and texts. */
#include "src/error.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <limits.h>
#include <muster/error.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int code;
	const char *name;
} names[] = {
	{ 0, "OK" },
	{ -EADDRINUSE, "EADDRINUSE" },
	{ -ECONNREFUSED, "ECONNREFUSED" },
	{ MUSTER_EALREADYLISTENING, "ERR_SERVER_ALREADY_LISTEN" },
	{ MUSTER_ENOTRUNNING, "ERR_SERVER_NOT_RUNNING" },
	{ MUSTER_ECLOSED, "ERR_SOCKET_CLOSED" },
	{ MUSTER_EENDED, "ERR_STREAM_WRITE_AFTER_END" },
	{ MUSTER_EDESTROYED, "ERR_STREAM_DESTROYED" },
	{ MUSTER_ECHANNEL, "ERR_IPC_CHANNEL_CLOSED" },
	{ MUSTER_EHANDLETYPE, "ERR_INVALID_HANDLE_TYPE" },
	{ MUSTER_ENOTFOUND, "ENOTFOUND" },
	{ MUSTER_EAIAGAIN, "EAI_AGAIN" },
	{ 1, "UNKNOWN" },
	{ -4000, "UNKNOWN" },
	{ -5000, "UNKNOWN" },
	{ INT_MIN, "UNKNOWN" },
	{ INT_MAX, "UNKNOWN" },
};

START_TEST(a_code_has_the_name_that_node_gives_it)
{
	ck_assert_str_eq(muster_error_name(names[_i].code), names[_i].name);
}
END_TEST

START_TEST(every_code_has_a_text)
{
	ck_assert_uint_gt(strlen(muster_strerror(names[_i].code)), 0);
}
END_TEST

START_TEST(each_code_of_ours_has_a_name_and_a_text_of_its_own)
{
	static const int codes[] = {
#define XX(name, number, text) number,
		MUSTER_ERROR_MAP(XX)
#undef XX
	};
	size_t i, j, count = sizeof codes / sizeof codes[0];

	for (i = 0; i < count; i++) {
		ck_assert_int_lt(codes[i], -4096);
		ck_assert_str_ne(muster_error_name(codes[i]), "UNKNOWN");
		for (j = 0; j < i; j++) {
			ck_assert_str_ne(muster_error_name(codes[i]), muster_error_name(codes[j]));
			ck_assert_str_ne(muster_strerror(codes[i]), muster_strerror(codes[j]));
		}
	}
}
END_TEST

START_TEST(format_says_the_call_the_code_and_the_address)
{
	struct muster_error error = { .code = -EADDRINUSE, .call = "bind" };
	char text[128];

	ck_assert_int_eq(muster_address_parse(&error.address, "127.0.0.1:80"), 0);
	ck_assert_uint_eq(muster_error_format(&error, text, sizeof text), strlen("bind EADDRINUSE 127.0.0.1:80"));
	ck_assert_str_eq(text, "bind EADDRINUSE 127.0.0.1:80");
}
END_TEST

START_TEST(format_leaves_out_what_is_not_there)
{
	struct muster_error error = { .code = MUSTER_EDESTROYED };
	char text[128];

	muster_error_format(&error, text, sizeof text);
	ck_assert_str_eq(text, "ERR_STREAM_DESTROYED");
	error.call = "write";
	muster_error_format(&error, text, sizeof text);
	ck_assert_str_eq(text, "write ERR_STREAM_DESTROYED");
}
END_TEST

START_TEST(format_cuts_at_the_size_and_tells_the_whole_length)
{
	struct muster_error error = { .code = -EPIPE, .call = "write" };
	char text[8];

	ck_assert_uint_eq(muster_error_format(&error, text, sizeof text), strlen("write EPIPE"));
	ck_assert_str_eq(text, "write E");
	ck_assert_uint_eq(muster_error_format(&error, NULL, 0), strlen("write EPIPE"));
}
END_TEST

START_TEST(a_constructor_that_fails_leaves_errno_and_the_code)
{
	ck_assert_ptr_null(muster__no_object(-ENOMEM));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(muster_last_error(), -ENOMEM);
	ck_assert_ptr_null(muster__no_object(MUSTER_ECLOSED));
	ck_assert_int_gt(errno, 0);
	ck_assert_int_eq(muster_last_error(), MUSTER_ECLOSED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/error");
	TCase *codes = add_case(suite, "codes");

	tcase_add_loop_test(codes, a_code_has_the_name_that_node_gives_it, 0, sizeof names / sizeof names[0]);
	tcase_add_loop_test(codes, every_code_has_a_text, 0, sizeof names / sizeof names[0]);
	tcase_add_test(codes, each_code_of_ours_has_a_name_and_a_text_of_its_own);
	tcase_add_test(codes, format_says_the_call_the_code_and_the_address);
	tcase_add_test(codes, format_leaves_out_what_is_not_there);
	tcase_add_test(codes, format_cuts_at_the_size_and_tells_the_whole_length);
	tcase_add_test(codes, a_constructor_that_fails_leaves_errno_and_the_code);
	return run_suite(suite);
}
