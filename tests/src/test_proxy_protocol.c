/* tests/src/test_proxy_protocol.c - headers of both versions, whole, in pieces, wrong; and those we write. */
#include "src/proxy_protocol.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2(fixed, rest) SIGNATURE fixed rest, sizeof(SIGNATURE fixed rest) - 1
#define V1(text) text, sizeof(text) - 1
#define INET                                                                                                           \
	"\xc0\0\2\1"                                                                                                   \
	"\xc0\0\2\2"                                                                                                   \
	"\x30\x39"                                                                                                     \
	"\1\xbb"
#define INET6                                                                                                          \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                                                        \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"                                                                        \
	"\x30\x39"                                                                                                     \
	"\1\xbb"
/* 108 bytes each. */
#define ZEROS10 "\0\0\0\0\0\0\0\0\0\0"
#define ZEROS100 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10 ZEROS10
#define UNIX "/from\0\0\0" ZEROS100 "\0to\0\0\0\0\0" ZEROS100

static const struct {
	const char *bytes;
	size_t length;
	const char *source, *destination; /* NULL: nothing is said of them */
} good[] = {
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n"), "192.0.2.1:12345", "192.0.2.2:443" },
	{ V1("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
	  "255.255.255.255:65535" },
	{ V1("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0" },
	{ V1("PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n"), "[2001:db8::1]:12345", "[2001:db8::2]:443" },
	{ V1("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ V1("PROXY UNKNOWN\r\n"), NULL, NULL },
	{ V1("PROXY UNKNOWN ffff::1 what ever\r\n"), NULL, NULL },
	{ V1("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"),
	  NULL, NULL },
	{ V2("\x21\x11\0\x0c", INET), "192.0.2.1:12345", "192.0.2.2:443" },
	{ V2("\x21\x12\0\x0c", INET), "192.0.2.1:12345", "192.0.2.2:443" },
	{ V2("\x21\x21\0\x24", INET6), "[2001:db8::1]:12345", "[2001:db8::2]:443" },
	{ V2("\x21\x31\0\xd8", UNIX), "/from", "\0to" },
	{ V2("\x21\x11\0\x13", INET "\4\0\4moot"), "192.0.2.1:12345", "192.0.2.2:443" },
	{ V2("\x21\x11\0\x0f", INET "\xe0\0\0"), "192.0.2.1:12345", "192.0.2.2:443" },
	{ V2("\x21\x11\0\x13", INET "\3\0\4"
				    "\x3e\xe8\x86\xa1"),
	  "192.0.2.1:12345", "192.0.2.2:443" },
	{ V2("\x20\x11\0\x0c", INET), NULL, NULL },
	{ V2("\x20\0\0\0", ""), NULL, NULL },
	{ V2("\x20\0\0\3", "any"), NULL, NULL },
	{ V2("\x21\0\0\0", ""), NULL, NULL },
	{ V2("\x21\0\0\3", "any"), NULL, NULL },
	{ V2("\x21\x10\0\0", ""), NULL, NULL },
};

enum { GOOD = sizeof good / sizeof *good };

/* A copy of its own, so that a checker sees a byte too many. */
static int parse(struct muster__proxy *proxy, const void *bytes, size_t length)
{
	char *copy = malloc(length + 1);
	int err;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, bytes, length);
	memset(proxy, 0xff, sizeof *proxy);
	err = muster__proxy_parse(proxy, copy + 1, length);
	free(copy);
	return err;
}

static void expect_end(const struct muster__sockaddr *end, const char *want)
{
	struct muster_address address;
	char text[160];

	muster__address_from(&address, &end->any, end->length);
	if (address.family == MUSTER__FAMILY_UNIX) {
		ck_assert_uint_eq(address.length, want[0] != '\0' ? strlen(want) : 1 + strlen(want + 1));
		ck_assert_int_eq(memcmp(address.text, want, address.length), 0);
		return;
	}
	muster_address_format(&address, text, sizeof text);
	ck_assert_str_eq(text, want);
}

static void expect_good(const struct muster__proxy *proxy, int i)
{
	ck_assert_uint_eq(proxy->length, good[i].length);
	ck_assert_int_eq(proxy->has_ends, good[i].source != NULL);
	if (good[i].source == NULL)
		return;
	expect_end(&proxy->source, good[i].source);
	expect_end(&proxy->destination, good[i].destination);
}

START_TEST(a_header_tells_both_ends)
{
	struct muster__proxy proxy;

	ck_assert_int_eq(parse(&proxy, good[_i].bytes, good[_i].length), 0);
	expect_good(&proxy, _i);
}
END_TEST

START_TEST(a_header_ends_where_the_payload_begins)
{
	static const char *const payloads[] = { "GET / HTTP/1.1\r\n\r\n", "\r\n", "\n", "PROXY UNKNOWN\r\n", " " };
	struct muster__proxy proxy;
	char bytes[1024];

	for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
		memcpy(bytes, good[_i].bytes, good[_i].length);
		strcpy(bytes + good[_i].length, payloads[i]);
		ck_assert_int_eq(parse(&proxy, bytes, good[_i].length + strlen(payloads[i])), 0);
		expect_good(&proxy, _i);
	}
}
END_TEST

START_TEST(every_part_of_a_header_waits_for_the_rest)
{
	struct muster__proxy proxy;

	for (size_t length = 0; length < good[_i].length; length++)
		ck_assert_int_eq(parse(&proxy, good[_i].bytes, length), -EAGAIN);
}
END_TEST

static const struct {
	const char *bytes;
	size_t length;
} bad[] = {
	{ V1("GET / HTTP/1.1\r\n\r\n") },
	{ V1("G") },
	{ V1("\n") },
	{ V1("PROXZ") },
	{ V1("PROXY\r\n") },
	{ V1("PROXY \r\n") },
	{ V1("PROXY  UNKNOWN\r\n") },
	{ V1("PROXY UNKNOWNS\r\n") },
	{ V1("PROXY unknown\r\n") },
	{ V1("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP4\r\n") },
	{ V1("PROXY TCP4 192.0.2.1\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n") },
	{ V1("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1  2\r\n") },
	{ V1("PROXY TCP4  192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1  1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n") },
	{ V1("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n") },
	{ V1("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ V1("PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 100000000000000000000\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n") },
	{ V1("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx") },
	{ V1("PROXY UNKNOWN\0\r\n") },
	{ V1("PROXY UNKNOWN 01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901\r\n") },
	{ V1("PROXY UNKNOWN 012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012") },
	{ V1("\r\n\r\n\0\r\nQUIT\r") },
	{ V1("\r\n\r\n\0\r\nQUIZ") },
	{ V2("\x11", "") },
	{ V2("\x22", "") },
	{ V2("\x2f", "") },
	{ V2("\x21\x41", "") },
	{ V2("\x21\x13", "") },
	{ V2("\x20\x1f", "") },
	{ V2("\x21\x11\0\x0b", "\1\2\3\4\5\6\7\1\2\3\4") },
	{ V2("\x21\x21\0\x0c", INET) },
	{ V2("\x21\x31\0\x24", INET6) },
	{ V2("\x21\x11\0\x0d", INET "\4") },
	{ V2("\x21\x11\0\x0f", INET "\4\0\1") },
	{ V2("\x21\x11\0\x13", INET "\4\xff\xff"
				    "1234") },
	{ V2("\x21\x11\0\x13", INET "\3\0\4"
				    "\x3e\xe8\x86\xa0") },
	{ V2("\x21\x11\0\x12", INET "\3\0\3"
				    "\x3e\xe8\x86") },
};

enum { BAD = sizeof bad / sizeof *bad };

START_TEST(what_is_no_header_is_refused)
{
	struct muster__proxy proxy;

	ck_assert_int_eq(parse(&proxy, bad[_i].bytes, bad[_i].length), -EBADMSG);
}
END_TEST

START_TEST(what_is_no_header_is_refused_in_pieces_too)
{
	struct muster__proxy proxy;
	size_t length = 0;
	int err = -EAGAIN;

	while (err == -EAGAIN && length < bad[_i].length)
		err = parse(&proxy, bad[_i].bytes, ++length);
	ck_assert_int_eq(err, -EBADMSG);
}
END_TEST

START_TEST(the_largest_header_is_taken)
{
	static char bytes[MUSTER__PROXY_MAX] = SIGNATURE "\x21\x11\xff\xff" INET "\4\xff\xf0";
	struct muster__proxy proxy;

	ck_assert_int_eq(parse(&proxy, bytes, sizeof bytes - 1), -EAGAIN);
	ck_assert_int_eq(parse(&proxy, bytes, sizeof bytes), 0);
	ck_assert_uint_eq(proxy.length, sizeof bytes);
}
END_TEST

/* ---- Writing. */

static const struct {
	const char *source, *destination; /* a leading '/' or '@' for a path */
	const char *v1;
	const char *read_source, *read_destination; /* what a reader of version 2 makes of it */
} written[] = {
	{ "192.0.2.1", "192.0.2.2", "PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n", "192.0.2.1:12345",
	  "192.0.2.2:443" },
	{ "2001:db8::1", "2001:db8::2", "PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n", "[2001:db8::1]:12345",
	  "[2001:db8::2]:443" },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", "PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n", "192.0.2.1:12345",
	  "192.0.2.2:443" },
	{ "::ffff:192.0.2.1", "2001:db8::2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 12345 443\r\n",
	  "[::ffff:192.0.2.1]:12345", "[2001:db8::2]:443" },
	{ "/from", "@to", "PROXY UNKNOWN\r\n", "/from", "\0to" },
	{ "192.0.2.1", "2001:db8::2", "PROXY UNKNOWN\r\n", NULL, NULL },
	{ NULL, "192.0.2.2", "PROXY UNKNOWN\r\n", NULL, NULL },
	{ "192.0.2.1", NULL, "PROXY UNKNOWN\r\n", NULL, NULL },
};

enum { WRITTEN = sizeof written / sizeof *written };

static const struct muster__sockaddr *end_at(struct muster__sockaddr *out, const char *text, unsigned port)
{
	if (text == NULL)
		return NULL;
	ck_assert_int_eq(strchr("/@", text[0]) != NULL ? muster__sockaddr_path(out, text) :
							 muster__sockaddr_ip(out, text, port),
			 0);
	return out;
}

static size_t write_header(char *out, unsigned version, int i)
{
	struct muster__sockaddr source, destination;

	return muster__proxy_write(out, version, end_at(&source, written[i].source, 12345),
				   end_at(&destination, written[i].destination, 443));
}

START_TEST(version_1_is_written_as_text)
{
	char out[MUSTER__PROXY_WRITTEN_MAX];

	ck_assert_uint_eq(write_header(out, 1, _i), strlen(written[_i].v1));
	ck_assert_int_eq(memcmp(out, written[_i].v1, strlen(written[_i].v1)), 0);
}
END_TEST

START_TEST(what_we_write_is_read_again)
{
	char out[MUSTER__PROXY_WRITTEN_MAX];
	struct muster__proxy proxy;
	size_t length = write_header(out, 2, _i);

	ck_assert_int_eq(parse(&proxy, out, length), 0);
	ck_assert_uint_eq(proxy.length, length);
	ck_assert_int_eq(proxy.has_ends, written[_i].read_source != NULL);
	if (!proxy.has_ends)
		return;
	expect_end(&proxy.source, written[_i].read_source);
	expect_end(&proxy.destination, written[_i].read_destination);
}
END_TEST

START_TEST(version_2_is_written_byte_for_byte)
{
	static const char want[] = SIGNATURE "\x21\x11\0\x0c" INET;
	char out[MUSTER__PROXY_WRITTEN_MAX];

	ck_assert_uint_eq(write_header(out, 2, 0), sizeof want - 1);
	ck_assert_int_eq(memcmp(out, want, sizeof want - 1), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/proxy_protocol");
	TCase *reading = add_case(suite, "reading"), *writing = add_case(suite, "writing");

	tcase_add_loop_test(reading, a_header_tells_both_ends, 0, GOOD);
	tcase_add_loop_test(reading, a_header_ends_where_the_payload_begins, 0, GOOD);
	tcase_add_loop_test(reading, every_part_of_a_header_waits_for_the_rest, 0, GOOD);
	tcase_add_loop_test(reading, what_is_no_header_is_refused, 0, BAD);
	tcase_add_loop_test(reading, what_is_no_header_is_refused_in_pieces_too, 0, BAD);
	tcase_add_test(reading, the_largest_header_is_taken);

	tcase_add_loop_test(writing, version_1_is_written_as_text, 0, WRITTEN);
	tcase_add_loop_test(writing, what_we_write_is_read_again, 0, WRITTEN);
	tcase_add_test(writing, version_2_is_written_byte_for_byte);
	return run_suite(suite);
}
