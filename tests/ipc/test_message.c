/* tests/ipc/test_message.c - lines of the wire: captured ones, their near misses, and what nobody should send. */
#include "ipc/message.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "127.0.0.1:0:4:undefined:0"
#define NO ((uint64_t)-1)

static struct muster__line line;

static int decode(const char *text)
{
	return muster__line_decode(&line, text, strlen(text));
}

static void clear(void)
{
	muster__line_clear(&line);
}

/* ---- What was captured. */

struct captured {
	const char *text;
	enum muster__line_kind kind;
	enum muster__act act;
	bool is_handle;
	uint64_t ack, seq; /* NO: there is none */
	const char *key;
	int accepted; /* -1: there is none */
};

static const struct captured session[] = {
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}", MUSTER__LINE_CLUSTER, MUSTER__ACT_ONLINE, false,
	  NO, 0, NULL, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
	  "\"address\":\"127.0.0.1\",\"port\":0,"
	  "\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_QUERY, false, NO, 1, NULL, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"" KEY "\",\"ack\":1,\"data\":null,\"sockname\":"
	  "{\"address\":\"127.0.0.1\",\"family\":\"IPv4\",\"port\":35443},\"seq\":0}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, false, 1, 0, KEY, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","
	  "\"port\":35443,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":2}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_LISTENING, false, NO, 2, NULL, -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
	  "\"act\":\"newconn\",\"key\":"
	  "\"" KEY "\",\"seq\":1}}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_NEWCONN, true, NO, 1, KEY, -1 },
	{ "{\"cmd\":\"NODE_HANDLE_ACK\"}", MUSTER__LINE_ACK, MUSTER__ACT_NONE, false, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_HANDLE_NACK\"}", MUSTER__LINE_NACK, MUSTER__ACT_NONE, false, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":3}", MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE,
	  false, 1, 3, NULL, 1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"ack\":0,\"accepted\":false,\"seq\":4}", MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE,
	  false, 0, 4, NULL, 0 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":2}", MUSTER__LINE_CLUSTER, MUSTER__ACT_DISCONNECT,
	  false, NO, 2, NULL, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"" KEY "\",\"seq\":4}", MUSTER__LINE_CLUSTER,
	  MUSTER__ACT_CLOSE, false, NO, 4, KEY, -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"errno\":0,"
	  "\"key\":\"" KEY "\",\"ack\":1,\"data\":null,\"seq\":0}}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, true, 1, 0, KEY, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":4}", MUSTER__LINE_CLUSTER,
	  MUSTER__ACT_EXITED_AFTER_DISCONNECT, false, NO, 4, NULL, -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"ack\":4,\"seq\":2}", MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, false, 4, 2, NULL,
	  -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"errno\":-98,\"key\":\"null:80:4:undefined\",\"ack\":1,\"data\":null,\"seq\":0}",
	  MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, false, 1, 0, "null:80:4:undefined", -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Server\",\"msg\":\"server\"}", MUSTER__LINE_USER, MUSTER__ACT_NONE,
	  true, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{\"sock\":1},\"key\":\"4:127.0.0.1:0\"}",
	  MUSTER__LINE_USER, MUSTER__ACT_NONE, true, NO, NO, "4:127.0.0.1:0", -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":\"native\"}", MUSTER__LINE_USER, MUSTER__ACT_NONE,
	  true, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_HANDLE\",\"type\":\"dgram.Socket\",\"msg\":\"dg\",\"dgramType\":\"udp4\"}",
	  MUSTER__LINE_USER, MUSTER__ACT_NONE, true, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"4:127.0.0.1:0\"}", MUSTER__LINE_SOCKETS, MUSTER__ACT_GET_COUNT,
	  false, NO, NO, "4:127.0.0.1:0", -1 },
	{ "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"4:127.0.0.1:0\",\"count\":3}", MUSTER__LINE_SOCKETS,
	  MUSTER__ACT_COUNT, false, NO, NO, "4:127.0.0.1:0", -1 },
	{ "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"4:127.0.0.1:0\"}", MUSTER__LINE_SOCKETS,
	  MUSTER__ACT_NOTIFY_CLOSE, false, NO, NO, "4:127.0.0.1:0", -1 },
	{ "{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"4:127.0.0.1:0\"}", MUSTER__LINE_SOCKETS,
	  MUSTER__ACT_ALL_CLOSED, false, NO, NO, "4:127.0.0.1:0", -1 },
	{ "{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":1}", MUSTER__LINE_UNKNOWN, MUSTER__ACT_GET_COUNT, false, NO, NO,
	  NULL, -1 },
	{ "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"1\",\"count\":-1}", MUSTER__LINE_UNKNOWN, MUSTER__ACT_COUNT, false,
	  NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"1\",\"count\":\"1\"}", MUSTER__LINE_UNKNOWN, MUSTER__ACT_COUNT,
	  false, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_DEBUG_ENABLED\"}", MUSTER__LINE_UNKNOWN, MUSTER__ACT_NONE, false, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_X\"}", MUSTER__LINE_UNKNOWN, MUSTER__ACT_NONE, false, NO, NO, NULL, -1 },
	{ "{\"cmd\":\"NODE_MUSTER\",\"act\":\"room\"}", MUSTER__LINE_CLUSTER, MUSTER__ACT_ROOM, false, NO, NO, NULL,
	  -1 },
	{ "{\"cmd\":\"NODE_MUSTER\",\"act\":\"stop\"}", MUSTER__LINE_CLUSTER, MUSTER__ACT_STOP, false, NO, NO, NULL,
	  -1 },
	{ "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"room\"}", MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, false, NO, NO, NULL,
	  -1 },
	{ "{\"cmd\":\"NODE_MUSTER\",\"act\":\"online\"}", MUSTER__LINE_CLUSTER, MUSTER__ACT_NONE, false, NO, NO, NULL,
	  -1 },
};

START_TEST(each_captured_line_means_what_it_meant)
{
	const struct captured *want = &session[_i];

	ck_assert_int_eq(decode(want->text), 0);
	ck_assert_int_eq(line.kind, want->kind);
	ck_assert_int_eq(line.act, want->act);
	ck_assert_int_eq(line.is_handle, want->is_handle);
	ck_assert_int_eq(line.has_ack, want->ack != NO);
	if (want->ack != NO)
		ck_assert_uint_eq(line.ack, want->ack);
	ck_assert_uint_eq(line.seq, want->seq != NO ? want->seq : 0);
	ck_assert_uint_eq(line.key_length, want->key != NULL ? strlen(want->key) : 0);
	if (want->key != NULL)
		ck_assert_mem_eq(line.key, want->key, line.key_length);
	ck_assert_int_eq(line.has_accepted, want->accepted >= 0);
	ck_assert_int_eq(line.accepted, want->accepted > 0);
}
END_TEST

/* ---- Two ways to read the same. */

static const char *const hot[] = {
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\","
	"\"key\":"
	"\"" KEY "\",\"seq\":17}}",
	"{\"cmd\":\"NODE_HANDLE_ACK\"}",
	"{\"cmd\":\"NODE_CLUSTER\",\"ack\":10,\"accepted\":true,\"seq\":3}",
	"{\"cmd\":\"NODE_CLUSTER\",\"ack\":0,\"accepted\":false,\"seq\":200}",
};
#define HOT (sizeof hot / sizeof hot[0])

START_TEST(the_hot_lines_are_known_by_their_shape)
{
	ck_assert_int_eq(decode(hot[_i]), 0);
	ck_assert_ptr_null(line.json);
}
END_TEST

static bool same_key(const struct muster__line *a, const struct muster__line *b)
{
	return a->key_length == b->key_length && (a->key == NULL) == (b->key == NULL) &&
	       (a->key == NULL || memcmp(a->key, b->key, a->key_length) == 0);
}

/* A blank before it keeps a line from being known by its shape, and changes nothing else. */
static void compare_both_ways(const char *text, size_t length)
{
	struct muster__line a, b;
	char *longer = malloc(length + 1);
	int err_a, err_b;

	longer[0] = ' ';
	memcpy(longer + 1, text, length);
	err_a = muster__line_decode(&a, text, length);
	err_b = muster__line_decode(&b, longer, length + 1);
	ck_assert_msg(err_a == err_b, "%d or %d: %.*s", err_a, err_b, (int)length, text);
	if (err_a == 0)
		ck_assert_msg(a.kind == b.kind && a.act == b.act && a.is_handle == b.is_handle &&
				      a.has_ack == b.has_ack && a.ack == b.ack && a.seq == b.seq &&
				      a.has_accepted == b.has_accepted && a.accepted == b.accepted && same_key(&a, &b),
			      "read in two ways: %.*s", (int)length, text);
	muster__line_clear(&a);
	muster__line_clear(&b);
	free(longer);
}

START_TEST(the_long_way_means_the_same)
{
	compare_both_ways(hot[_i], strlen(hot[_i]));
}
END_TEST

START_TEST(a_changed_byte_means_the_same_on_both_ways)
{
	static const char others[] = "\0\n\x01\x7f\x80\xff \"\\09-.e{}[],:nNtTaK";
	size_t length = strlen(hot[_i]), at, i;
	char text[256];

	for (at = 0; at < length; at++)
		for (i = 0; i < sizeof others; i++) {
			memcpy(text, hot[_i], length);
			text[at] = others[i];
			compare_both_ways(text, length);
		}
}
END_TEST

START_TEST(a_missing_or_doubled_byte_means_the_same_on_both_ways)
{
	size_t length = strlen(hot[_i]), at;
	char text[256];

	for (at = 0; at < length; at++) {
		memcpy(text, hot[_i], at);
		memcpy(text + at, hot[_i] + at + 1, length - at - 1);
		compare_both_ways(text, length - 1);
		memcpy(text, hot[_i], at + 1);
		memcpy(text + at + 1, hot[_i] + at, length - at);
		compare_both_ways(text, length + 1);
		compare_both_ways(hot[_i], at);
	}
}
END_TEST

START_TEST(near_misses_mean_the_same_on_both_ways)
{
	static const char *const texts[] = {
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":999999999999999,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":9007199254740993,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":9223372036854775807,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":9223372036854775808,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":007,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":00}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":-1,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1.0,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1e1,\"accepted\":true,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":1,\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":\"true\",\"seq\":9}",
		"{\"cmd\":\"NODE_CLUSTER\",\"seq\":9,\"accepted\":true,\"ack\":1}",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":9} ",
		"{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":9}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"\",\"seq\":1}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"a\\\"b\",\"seq\":1}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"a\\u0000b\",\"seq\":1}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"/tmp/\xc3\xa9.sock\",\"seq\":1}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"a\tb\",\"seq\":1}}",
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
		"\"act\":\"newconn\","
		"\"key\":\"k\",\"seq\":1}",
		"{\"cmd\":\"NODE_HANDLE_ACK\"}\r",
		"{\"cmd\":\"NODE_HANDLE_ACK\" }",
	};

	size_t i;

	for (i = 0; i < sizeof texts / sizeof texts[0]; i++)
		compare_both_ways(texts[i], strlen(texts[i]));
}
END_TEST

/* ---- Handles. */

START_TEST(a_handle_in_a_handle_is_unwrapped)
{
	ck_assert_int_eq(
		decode("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_HANDLE\",\"type\":"
		       "\"net.Socket\",\"msg\":\"hello\",\"key\":\"4:127.0.0.1:0\"}}"),
		0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert(line.is_handle);
	ck_assert_str_eq(json_string_value(line.json), "hello");
}
END_TEST

START_TEST(handles_nested_without_end_are_not_followed)
{
	char text[4096] = "";
	int i;

	for (i = 0; i < 50; i++)
		strcat(text, "{\"cmd\":\"NODE_HANDLE\",\"msg\":");
	strcat(text, "1");
	for (i = 0; i < 50; i++)
		strcat(text, "}");
	ck_assert_int_eq(decode(text), 0);
	ck_assert(line.is_handle);
	ck_assert_int_eq(line.kind, MUSTER__LINE_UNKNOWN);
}
END_TEST

START_TEST(a_handle_without_a_message_is_a_message_without_a_value)
{
	ck_assert_int_eq(decode("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\"}"), 0);
	ck_assert(line.is_handle);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert_ptr_null(line.json);
}
END_TEST

/* ---- Messages of users. */

START_TEST(any_json_value_is_a_message)
{
	static const char *const values[] = {
		"\"str\"", "1",  "true", "false", "null", "{\"a\":1}",        "[1,2]",           "\"\"",
		"-0.5",    "{}", "[]",   " 1 ",   "1\r",  "\"\xe2\x80\xa8\"", "\"\xc3\xa9\\n\"", "\"a\\u0000b\""
	};
	json_t *want;

	ck_assert_int_eq(decode(values[_i]), 0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert(!line.is_handle);
	want = json_loads(values[_i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	ck_assert(json_equal(line.json, want));
	json_decref(want);
}
END_TEST

START_TEST(only_a_longer_NODE_command_is_internal)
{
	static const char *const users[] = {
		"{\"cmd\":\"NODE_\"}", "{\"cmd\":\"node_x\"}",   "{\"cmd\":\"xNODE_HANDLE\"}",
		"{\"cmd\":5}",         "{\"cmd\":[\"NODE_X\"]}", "[\"NODE_HANDLE\"]",
		"\"NODE_HANDLE\"",     "{\"CMD\":\"NODE_X\"}"
	};

	ck_assert_int_eq(decode(users[_i]), 0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert_ptr_nonnull(line.json);
}
END_TEST

START_TEST(what_is_legal_but_too_much_for_jansson_is_text)
{
	static const char *const texts[] = { "\"\\ud800\"",
					     "\"\\udc00x\"",
					     "\"\\ud800\\u0041\"",
					     "{\"a\":\"\\uDFFF\"}",
					     "99999999999999999999",
					     "-99999999999999999999",
					     "1e400",
					     "[1,-1e999]",
					     "{\"\\u0000\":1}",
					     "{\"a\\u0000b\":[]}" };

	ck_assert_int_eq(decode(texts[_i]), 0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert_ptr_null(line.json);
	ck_assert_str_eq(line.text, texts[_i]);
	ck_assert_uint_eq(line.length, strlen(texts[_i]));
}
END_TEST

START_TEST(values_nested_deeper_than_jansson_goes_are_text)
{
	size_t depth = 5000;
	char *text = malloc(2 * depth);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	ck_assert_int_eq(muster__line_decode(&line, text, 2 * depth), 0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert_ptr_null(line.json);
	free(text);
}
END_TEST

START_TEST(a_handle_whose_message_is_too_much_is_still_a_handle)
{
	ck_assert_int_eq(decode("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"\\ud800\"}"), 0);
	ck_assert(line.is_handle);
	ck_assert_int_eq(line.kind, MUSTER__LINE_USER);
	ck_assert_ptr_null(line.json);
}
END_TEST

START_TEST(numbers_of_64_bits_arrive_whole)
{
	static const char *const numbers[] = { "9223372036854775807", "-9223372036854775808", "9007199254740993" };
	static const json_int_t want[] = { INT64_MAX, INT64_MIN, 9007199254740993 };

	ck_assert_int_eq(decode(numbers[_i]), 0);
	ck_assert(json_integer_value(line.json) == want[_i]);
}
END_TEST

/* ---- What nobody should send. */

START_TEST(what_is_no_json_is_refused)
{
	static const char *const texts[] = { "",
					     " ",
					     "x",
					     "{",
					     "{\"a\":1",
					     "{a:1}",
					     "[1,]",
					     "\"a",
					     "'a'",
					     "nul",
					     "1 2",
					     "{}{}",
					     "\x80",
					     "\"\xff\"",
					     "\"\xc3\"",
					     "\"\x01\"",
					     "\"\\q\"",
					     "01",
					     "+1",
					     "NaN",
					     "undefined",
					     "\"\\u12\"",
					     "{\"cmd\":\"NODE_HANDLE\"",
					     "{\"cmd\":\"NODE_CLUSTER\",\"ack\":",
					     "{\"cmd\":\"NODE_HANDLE_ACK\"" };

	ck_assert_int_eq(decode(texts[_i]), -EBADMSG);
}
END_TEST

START_TEST(forged_envelopes_are_read_as_nothing)
{
	static const char *const texts[] = {
		"{\"cmd\":\"NODE_CLUSTER\"}",
		"{\"cmd\":\"NODE_CLUSTER\",\"act\":5,\"seq\":\"1\",\"ack\":\"2\",\"key\":7,\"accepted\":\"yes\"}",
		("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"constructor\",\"seq\":-1,\"ack\":-2,\"key\":null,"
		 "\"accepted\":null}"),
		"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\\u0000\",\"seq\":1.5,\"ack\":[],\"key\":{}}",
		"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"\",\"ack\":1e3}",
	};

	ck_assert_int_eq(decode(texts[_i]), 0);
	ck_assert_int_eq(line.kind, MUSTER__LINE_CLUSTER);
	ck_assert(!line.has_ack);
	ck_assert(!line.has_accepted);
	ck_assert_uint_eq(line.seq, 0);
	ck_assert_ptr_null(line.key);
	ck_assert_uint_eq(line.key_length, 0);
	ck_assert_int_eq(line.act, MUSTER__ACT_NONE);
}
END_TEST

START_TEST(a_line_of_a_mebibyte_is_read)
{
	size_t length = 1024 * 1024;
	char *text = malloc(length);

	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	ck_assert_int_eq(muster__line_decode(&line, text, length), 0);
	ck_assert_uint_eq(json_string_length(line.json), length - 2);
	free(text);
}
END_TEST

/* Each prefix of each line, and each line with a byte of it torn out: nothing may be read beyond them. */
START_TEST(torn_lines_harm_nobody)
{
	const char *text = session[_i].text;
	size_t length = strlen(text), at;

	for (at = 0; at < length; at++) {
		char *copy = malloc(length);

		memcpy(copy, text, at);
		muster__line_decode(&line, copy, at);
		muster__line_clear(&line);
		memcpy(copy + at, text + at + 1, length - at - 1);
		muster__line_decode(&line, copy, length - 1);
		muster__line_clear(&line);
		free(copy);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	int lines = sizeof session / sizeof session[0];
	TCase *captured = add_case(suite, "captured"), *ways = add_case(suite, "two ways"), *users, *bad;

	tcase_add_checked_fixture(captured, NULL, clear);
	tcase_add_loop_test(captured, each_captured_line_means_what_it_meant, 0, lines);
	tcase_add_test(captured, a_handle_in_a_handle_is_unwrapped);
	tcase_add_test(captured, handles_nested_without_end_are_not_followed);
	tcase_add_test(captured, a_handle_without_a_message_is_a_message_without_a_value);

	tcase_add_checked_fixture(ways, NULL, clear);
	tcase_add_loop_test(ways, the_hot_lines_are_known_by_their_shape, 0, HOT);
	tcase_add_loop_test(ways, the_long_way_means_the_same, 0, HOT);
	tcase_add_loop_test(ways, a_changed_byte_means_the_same_on_both_ways, 0, HOT);
	tcase_add_loop_test(ways, a_missing_or_doubled_byte_means_the_same_on_both_ways, 0, HOT);
	tcase_add_test(ways, near_misses_mean_the_same_on_both_ways);

	users = add_case(suite, "users");
	tcase_add_checked_fixture(users, NULL, clear);
	tcase_add_loop_test(users, any_json_value_is_a_message, 0, 16);
	tcase_add_loop_test(users, only_a_longer_NODE_command_is_internal, 0, 8);
	tcase_add_loop_test(users, what_is_legal_but_too_much_for_jansson_is_text, 0, 10);
	tcase_add_test(users, values_nested_deeper_than_jansson_goes_are_text);
	tcase_add_test(users, a_handle_whose_message_is_too_much_is_still_a_handle);
	tcase_add_loop_test(users, numbers_of_64_bits_arrive_whole, 0, 3);

	bad = add_case(suite, "bad");
	tcase_add_checked_fixture(bad, NULL, clear);
	tcase_add_loop_test(bad, what_is_no_json_is_refused, 0, 25);
	tcase_add_loop_test(bad, forged_envelopes_are_read_as_nothing, 0, 5);
	tcase_add_test(bad, a_line_of_a_mebibyte_is_read);
	tcase_add_loop_test(bad, torn_lines_harm_nobody, 0, lines);
	return run_suite(suite);
}
