/*
 * tests/src/test_encoding.c - bytes to text and back, as Node does it. The vectors are what Node v20 answered: write()
 * and end() of a StringDecoder, taken to UTF-8, and Buffer.from(text, encoding).
 */
#include "src/encoding.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <muster/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BYTES MUSTER_ENCODING_BYTES
#define UTF8 MUSTER_ENCODING_UTF8
#define UTF16LE MUSTER_ENCODING_UTF16LE
#define LATIN1 MUSTER_ENCODING_LATIN1
#define ASCII MUSTER_ENCODING_ASCII
#define HEX MUSTER_ENCODING_HEX
#define BASE64 MUSTER_ENCODING_BASE64
#define BASE64URL MUSTER_ENCODING_BASE64URL

#define TEXT(literal)                                                                                                  \
	{                                                                                                              \
		(literal), sizeof(literal) - 1                                                                         \
	}
#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

struct vector {
	enum muster_encoding encoding;
	struct {
		const char *bytes;
		size_t length;
	} from, to;
};

/* clang-format off */
static const struct vector decoded[] = {
	{ UTF8, TEXT(""), TEXT("") },
	{ UTF8, TEXT("hello"), TEXT("hello") },
	{ UTF8, TEXT("\xc3\xa9"), TEXT("\xc3\xa9") },
	{ UTF8, TEXT("\xe2\x82\xac"), TEXT("\xe2\x82\xac") },
	{ UTF8, TEXT("\xf0\x9f\x98\x80"), TEXT("\xf0\x9f\x98\x80") },
	{ UTF8, TEXT("\xf4\x8f\xbf\xbf"), TEXT("\xf4\x8f\xbf\xbf") },
	{ UTF8, TEXT("\xef\xbb\xbf" "A"), TEXT("\xef\xbb\xbf" "A") },
	{ UTF8, TEXT("\x00" "A\x00" "B"), TEXT("\x00" "A\x00" "B") },
	{ UTF8, TEXT("z\xc3\xb1\xe4\xb8\x96\xf0\x9d\x84\x9e!"), TEXT("z\xc3\xb1\xe4\xb8\x96\xf0\x9d\x84\x9e!") },
	{ UTF8, TEXT("\x80"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xff"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xc2"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xc0\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xc1\xbf"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xc3" "A"), TEXT("\xef\xbf\xbd" "A") },
	{ UTF8, TEXT("\xe2"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xe2\x82"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xe2\x82" "A"), TEXT("\xef\xbf\xbd" "A") },
	{ UTF8, TEXT("\xe2\x82\xe2\x82\xac"), TEXT("\xef\xbf\xbd\xe2\x82\xac") },
	{ UTF8, TEXT("\xe0\x80\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xe0\x9f\xbf"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xed\xa0\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xed\xbf\xbf"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xed\xa0\xbd\xed\xb8\x80"),
	  TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x9f"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x9f\x98"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x9f\x98" "A"), TEXT("\xef\xbf\xbd" "A") },
	{ UTF8, TEXT("\xf0\x80\x80\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x8f\xbf\xbf"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf4\x90\x80\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf5\x80\x80\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf8\x88\x80\x80"), TEXT("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xfe" "A\xff"), TEXT("\xef\xbf\xbd" "A\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x9f\x98\xf0\x9f\x98\x80"), TEXT("\xef\xbf\xbd\xf0\x9f\x98\x80") },
	{ UTF8, TEXT("\x80\xe2\x82\xac\x80"), TEXT("\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd") },
	{ UTF8, TEXT("\xe0\xa0"), TEXT("\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf0\x9f\x98\xe2"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xc3\xe9"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF8, TEXT("\xf4\x80\xc3\xa9"), TEXT("\xef\xbf\xbd\xc3\xa9") },
	{ UTF16LE, TEXT(""), TEXT("") },
	{ UTF16LE, TEXT("h\x00i\x00"), TEXT("hi") },
	{ UTF16LE, TEXT("\xac "), TEXT("\xe2\x82\xac") },
	{ UTF16LE, TEXT("=\xd8\x00\xde"), TEXT("\xf0\x9f\x98\x80") },
	{ UTF16LE, TEXT("a\x00=\xd8\x00\xde" "b\x00"), TEXT("a\xf0\x9f\x98\x80" "b") },
	{ UTF16LE, TEXT("\xff\xdb\xff\xdf"), TEXT("\xf4\x8f\xbf\xbf") },
	{ UTF16LE, TEXT("\xff\xfe" "A\x00"), TEXT("\xef\xbb\xbf" "A") },
	{ UTF16LE, TEXT("A"), TEXT("") },
	{ UTF16LE, TEXT("A\x00" "B"), TEXT("A") },
	{ UTF16LE, TEXT("=\xd8"), TEXT("\xef\xbf\xbd") },
	{ UTF16LE, TEXT("=\xd8\x00"), TEXT("\xef\xbf\xbd") },
	{ UTF16LE, TEXT("=\xd8=\xd8\x00\xde"), TEXT("\xef\xbf\xbd\xf0\x9f\x98\x80") },
	{ UTF16LE, TEXT("\x00\xde"), TEXT("\xef\xbf\xbd") },
	{ UTF16LE, TEXT("\x00\xde=\xd8"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF16LE, TEXT("=\xd8" "A\x00"), TEXT("\xef\xbf\xbd" "A") },
	{ UTF16LE, TEXT("=\xd8" "A\x00=\xd8"), TEXT("\xef\xbf\xbd" "A\xef\xbf\xbd") },
	{ UTF16LE, TEXT("=\xd8="), TEXT("\xef\xbf\xbd") },
	{ UTF16LE, TEXT("\x00\xdc\x00\xdc"), TEXT("\xef\xbf\xbd\xef\xbf\xbd") },
	{ UTF16LE, TEXT("\xff\xff\xfe\xff"), TEXT("\xef\xbf\xbf\xef\xbf\xbe") },
	{ LATIN1, TEXT(""), TEXT("") },
	{ LATIN1, TEXT("\x00" "A\x7f\x80"), TEXT("\x00" "A\x7f\xc2\x80") },
	{ LATIN1, TEXT("\xc3\xa9\xff"), TEXT("\xc3\x83\xc2\xa9\xc3\xbf") },
	{ LATIN1, TEXT("\xa4\xe4\xf6\xfc"), TEXT("\xc2\xa4\xc3\xa4\xc3\xb6\xc3\xbc") },
	{ ASCII, TEXT(""), TEXT("") },
	{ ASCII, TEXT("\x00" "A\x7f\x80"), TEXT("\x00" "A\x7f\x00") },
	{ ASCII, TEXT("\xc3\xa9\xff"), TEXT("C)\x7f") },
	{ ASCII, TEXT("\xe8\xe9"), TEXT("hi") },
	{ HEX, TEXT(""), TEXT("") },
	{ HEX, TEXT("\x00"), TEXT("00") },
	{ HEX, TEXT("\x01#Eg\x89\xab\xcd\xef"), TEXT("0123456789abcdef") },
	{ HEX, TEXT("\xff\x00"), TEXT("ff00") },
	{ BASE64, TEXT(""), TEXT("") },
	{ BASE64, TEXT("f"), TEXT("Zg==") },
	{ BASE64, TEXT("fo"), TEXT("Zm8=") },
	{ BASE64, TEXT("foo"), TEXT("Zm9v") },
	{ BASE64, TEXT("foob"), TEXT("Zm9vYg==") },
	{ BASE64, TEXT("fooba"), TEXT("Zm9vYmE=") },
	{ BASE64, TEXT("foobar"), TEXT("Zm9vYmFy") },
	{ BASE64, TEXT("\xfb\xff"), TEXT("+/8=") },
	{ BASE64, TEXT("\xfb\xef\xbe"), TEXT("++++") },
	{ BASE64, TEXT("\xff\xff\xff"), TEXT("////") },
	{ BASE64, TEXT("\x00"), TEXT("AA==") },
	{ BASE64, TEXT("\x00\x10\x83\x10Q\x87 \x92\x8b" "0\xd3\x8f" "A\x14\x93QU\x97"
		 "a\x96\x9bq\xd7\x9f\x82\x18\xa3\x92Y\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3]\xb7\xe3\x9e\xbb\xf3\xdf\xbf"),
	  TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") },
	{ BASE64URL, TEXT(""), TEXT("") },
	{ BASE64URL, TEXT("f"), TEXT("Zg") },
	{ BASE64URL, TEXT("fo"), TEXT("Zm8") },
	{ BASE64URL, TEXT("foo"), TEXT("Zm9v") },
	{ BASE64URL, TEXT("foob"), TEXT("Zm9vYg") },
	{ BASE64URL, TEXT("\xfb\xff"), TEXT("-_8") },
	{ BASE64URL, TEXT("\xfb\xef\xbe"), TEXT("----") },
	{ BASE64URL, TEXT("\xff\xff\xff"), TEXT("____") },
	{ BASE64URL, TEXT("\x00"), TEXT("AA") },
};

static const struct vector encoded[] = {
	{ UTF8, TEXT(""), TEXT("") },
	{ UTF8, TEXT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), TEXT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") },
	{ UTF16LE, TEXT(""), TEXT("") },
	{ UTF16LE, TEXT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), TEXT("a\x00\xe9\x00\xac =\xd8\x00\xde") },
	{ UTF16LE, TEXT("\x00"), TEXT("\x00\x00") },
	{ UTF16LE, TEXT("\xf4\x8f\xbf\xbf"), TEXT("\xff\xdb\xff\xdf") },
	{ UTF16LE, TEXT("\xff" "A"), TEXT("\xfd\xff" "A\x00") },
	{ UTF16LE, TEXT("\xe2\x82"), TEXT("\xfd\xff") },
	{ UTF16LE, TEXT("\xed\xa0\x80"), TEXT("\xfd\xff\xfd\xff\xfd\xff") },
	{ LATIN1, TEXT(""), TEXT("") },
	{ LATIN1, TEXT("a\xc3\xa9\xc3\xbf"), TEXT("a\xe9\xff") },
	{ LATIN1, TEXT("\xe2\x82\xac\xf0\x9f\x98\x80\xc5\x81"), TEXT("\xac=\x00" "A") },
	{ LATIN1, TEXT("A\xf0\x9f\x98"), TEXT("A\xfd") },
	{ LATIN1, TEXT("\x00" "a"), TEXT("\x00" "a") },
	{ ASCII, TEXT(""), TEXT("") },
	{ ASCII, TEXT("a\xc3\xa9"), TEXT("a\xe9") },
	{ ASCII, TEXT("\xe2\x82\xac"), TEXT("\xac") },
	{ HEX, TEXT(""), TEXT("") },
	{ HEX, TEXT("00ff"), TEXT("\x00\xff") },
	{ HEX, TEXT("ABcdEF"), TEXT("\xab\xcd\xef") },
	{ HEX, TEXT("6"), TEXT("") },
	{ HEX, TEXT("616"), TEXT("a") },
	{ HEX, TEXT("61zz62"), TEXT("a") },
	{ HEX, TEXT("zz"), TEXT("") },
	{ HEX, TEXT("6 1"), TEXT("") },
	{ HEX, TEXT("616g62"), TEXT("a") },
	{ HEX, TEXT("0x61"), TEXT("") },
	{ HEX, TEXT("61\xc3\xa9" "1"), TEXT("a") },
	{ HEX, TEXT("6161\x0a"), TEXT("aa") },
	{ HEX, TEXT("6g"), TEXT("") },
	{ HEX, TEXT("g6"), TEXT("") },
	{ HEX, TEXT("61\xc4\xb6\xc4\xb1"), TEXT("aa") },
	{ HEX, TEXT("/0"), TEXT("") },
	{ HEX, TEXT(":0"), TEXT("") },
	{ HEX, TEXT("@0"), TEXT("") },
	{ HEX, TEXT("`0"), TEXT("") },
	{ BASE64, TEXT(""), TEXT("") },
	{ BASE64, TEXT("Zg=="), TEXT("f") },
	{ BASE64, TEXT("Zm8="), TEXT("fo") },
	{ BASE64, TEXT("Zm9v"), TEXT("foo") },
	{ BASE64, TEXT("Zm9vYg"), TEXT("foob") },
	{ BASE64, TEXT("Zm9vYmE"), TEXT("fooba") },
	{ BASE64, TEXT("Zm9vYmFy"), TEXT("foobar") },
	{ BASE64, TEXT("Zg"), TEXT("f") },
	{ BASE64, TEXT("Z"), TEXT("") },
	{ BASE64, TEXT("Zm9vY"), TEXT("foo") },
	{ BASE64, TEXT("-_-_"), TEXT("\xfb\xff\xbf") },
	{ BASE64, TEXT("+/+/"), TEXT("\xfb\xff\xbf") },
	{ BASE64, TEXT("+_-/"), TEXT("\xfb\xff\xbf") },
	{ BASE64, TEXT("Zm\x0a" "9v\x0d\x0a"), TEXT("foo") },
	{ BASE64, TEXT("Z m 9 v"), TEXT("foo") },
	{ BASE64, TEXT("Zm*9v"), TEXT("foo") },
	{ BASE64, TEXT("Zm\xc3\xa9" "9v"), TEXT("foo") },
	{ BASE64, TEXT("Zm\xe2\x82\xac" "9v"), TEXT("foo") },
	{ BASE64, TEXT("Zm\x00" "9v"), TEXT("foo") },
	{ BASE64, TEXT("=Zm9v"), TEXT("") },
	{ BASE64, TEXT("Z=m9v"), TEXT("") },
	{ BASE64, TEXT("Zm=9v"), TEXT("f") },
	{ BASE64, TEXT("Zm9=v"), TEXT("fo") },
	{ BASE64, TEXT("Zg==Zg=="), TEXT("f") },
	{ BASE64, TEXT("Zg=Zg=="), TEXT("f") },
	{ BASE64, TEXT("===="), TEXT("") },
	{ BASE64, TEXT("Zh"), TEXT("f") },
	{ BASE64, TEXT("Zm9=\x0a"), TEXT("fo") },
	{ BASE64, TEXT("Zm9vYmFy==="), TEXT("foobar") },
	{ BASE64, TEXT("Zm\xc4\xbd" "9v"), TEXT("f") },
	{ BASE64, TEXT("\xc5\x81\xc5\x81\xc5\x81\xc5\x81"), TEXT("\x00\x00\x00") },
	{ BASE64, TEXT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"),
	  TEXT("\x00\x10\x83\x10Q\x87 \x92\x8b" "0\xd3\x8f" "A\x14\x93QU\x97"
		 "a\x96\x9bq\xd7\x9f\x82\x18\xa3\x92Y\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3]\xb7\xe3\x9e\xbb\xf3\xdf\xbf") },
	{ BASE64, TEXT("Zm9\xffv"), TEXT("foo") },
	{ BASE64URL, TEXT(""), TEXT("") },
	{ BASE64URL, TEXT("Zg=="), TEXT("f") },
	{ BASE64URL, TEXT("Zg"), TEXT("f") },
	{ BASE64URL, TEXT("Zm9v"), TEXT("foo") },
	{ BASE64URL, TEXT("-_-_"), TEXT("\xfb\xff\xbf") },
	{ BASE64URL, TEXT("+/+/"), TEXT("\xfb\xff\xbf") },
	{ BASE64URL, TEXT("Z m\x09" "9v"), TEXT("foo") },
	{ BASE64URL, TEXT("Zg==Zg=="), TEXT("f") },
};
/* clang-format on */

/* All the text of a stream, in the order it came. */
struct gathered {
	char text[1024];
	size_t length;
};

/* Does it end with the last byte of a character, and begin with a first one? */
static bool is_whole(const char *text, size_t length)
{
	const unsigned char *byte = (const unsigned char *)text;
	const unsigned char *end = byte + length;

	while (byte < end) {
		size_t size = *byte < 0x80 ? 1 : *byte < 0xe0 ? 2 : *byte < 0xf0 ? 3 : 4;

		if (*byte >= 0x80 && *byte < 0xc2)
			return false;
		if ((size_t)(end - byte) < size)
			return false;
		for (size_t i = 1; i < size; i++)
			if ((byte[i] & 0xc0) != 0x80)
				return false;
		byte += size;
	}
	return true;
}

static void gather(struct gathered *all, const char *text, size_t length)
{
	ck_assert_ptr_nonnull(text);
	ck_assert(is_whole(text, length));
	ck_assert_uint_le(all->length + length, sizeof all->text);
	memcpy(all->text + all->length, text, length);
	all->length += length;
}

/* Each part has memory of its own, so that a sanitizer sees a read beyond it. */
static void feed(struct muster__decoder *decoder, struct gathered *all, const char *bytes, size_t length)
{
	void *copy = malloc(length > 0 ? length : 1);
	char *text;
	size_t text_length;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, length);
	ck_assert_int_eq(muster__decode(decoder, copy, length, &text, &text_length), 0);
	free(copy);
	gather(all, text, text_length);
}

static void finish(struct muster__decoder *decoder, struct gathered *all)
{
	char *text;
	size_t length;

	ck_assert_int_eq(muster__decode_end(decoder, &text, &length), 0);
	gather(all, text, length);
}

static struct muster__decoder *decoder_for(enum muster_encoding encoding)
{
	struct muster__decoder *decoder = muster__decoder_new(encoding);

	ck_assert_ptr_nonnull(decoder);
	return decoder;
}

static void ck_gathered(const struct gathered *all, const char *text, size_t length)
{
	ck_assert_uint_eq(all->length, length);
	ck_assert_mem_eq(all->text, text, length);
}

/* The next text is exactly this. */
static void ck_next(struct muster__decoder *decoder, const char *bytes, size_t length, const char *text)
{
	struct gathered all = { .length = 0 };

	feed(decoder, &all, bytes, length);
	ck_gathered(&all, text, strlen(text));
}

static void ck_last(struct muster__decoder *decoder, const char *text)
{
	struct gathered all = { .length = 0 };

	finish(decoder, &all);
	ck_gathered(&all, text, strlen(text));
}

START_TEST(a_stream_in_one_piece_gives_the_text_node_gives)
{
	const struct vector *vector = &decoded[_i];
	struct muster__decoder *decoder = decoder_for(vector->encoding);
	struct gathered all = { .length = 0 };

	feed(decoder, &all, vector->from.bytes, vector->from.length);
	finish(decoder, &all);
	ck_gathered(&all, vector->to.bytes, vector->to.length);
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(a_stream_in_single_bytes_gives_the_same_text)
{
	const struct vector *vector = &decoded[_i];
	struct muster__decoder *decoder = decoder_for(vector->encoding);
	struct gathered all = { .length = 0 };

	for (size_t at = 0; at < vector->from.length; at++)
		feed(decoder, &all, vector->from.bytes + at, 1);
	finish(decoder, &all);
	ck_gathered(&all, vector->to.bytes, vector->to.length);
	muster__decoder_free(decoder);
}
END_TEST

/* Three pieces, any of them empty too. */
static void ck_cut(const struct vector *vector, size_t first, size_t second)
{
	struct muster__decoder *decoder = decoder_for(vector->encoding);
	struct gathered all = { .length = 0 };

	feed(decoder, &all, vector->from.bytes, first);
	feed(decoder, &all, vector->from.bytes + first, second - first);
	feed(decoder, &all, vector->from.bytes + second, vector->from.length - second);
	finish(decoder, &all);
	ck_gathered(&all, vector->to.bytes, vector->to.length);
	muster__decoder_free(decoder);
}

START_TEST(a_stream_cut_anywhere_gives_the_same_text_in_whole_characters)
{
	for (size_t second = 0; second <= decoded[_i].from.length; second++)
		for (size_t first = 0; first <= second; first++)
			ck_cut(&decoded[_i], first, second);
}
END_TEST

START_TEST(end_lets_the_decoder_begin_anew)
{
	const struct vector *vector = &decoded[_i];
	struct muster__decoder *decoder = decoder_for(vector->encoding);

	for (int round = 0; round < 2; round++) {
		struct gathered all = { .length = 0 };

		feed(decoder, &all, vector->from.bytes, vector->from.length);
		finish(decoder, &all);
		ck_gathered(&all, vector->to.bytes, vector->to.length);
	}
	ck_last(decoder, "");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(a_character_of_utf8_comes_with_its_last_byte)
{
	struct muster__decoder *decoder = decoder_for(UTF8);

	ck_next(decoder, "a\xf0", 2, "a");
	ck_next(decoder, "\x9f", 1, "");
	ck_next(decoder, "\x98", 1, "");
	ck_next(decoder, "\x80z", 2, "\xf0\x9f\x98\x80z");
	ck_last(decoder, "");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(an_unfinished_character_is_replaced_when_another_begins)
{
	struct muster__decoder *decoder = decoder_for(UTF8);

	ck_next(decoder, "\xe2\x82", 2, "");
	ck_next(decoder, "\xe2", 1, "\xef\xbf\xbd");
	ck_next(decoder, "\x82\xac", 2, "\xe2\x82\xac");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(a_surrogate_pair_comes_with_its_last_byte)
{
	struct muster__decoder *decoder = decoder_for(UTF16LE);

	ck_next(decoder, "\x3d", 1, "");
	ck_next(decoder, "\xd8", 1, "");
	ck_next(decoder, "\x00", 1, "");
	ck_next(decoder, "\xde", 1, "\xf0\x9f\x98\x80");
	ck_last(decoder, "");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(base64_comes_in_groups_and_its_rest_at_the_end)
{
	struct muster__decoder *decoder = decoder_for(BASE64);

	ck_next(decoder, "fo", 2, "");
	ck_next(decoder, "ob", 2, "Zm9v");
	ck_next(decoder, "arb", 3, "YmFy");
	ck_last(decoder, "Yg==");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(a_byte_order_mark_stays)
{
	struct muster__decoder *decoder = decoder_for(UTF16LE);

	ck_next(decoder, "\xff\xfe", 2, "\xef\xbb\xbf");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(no_bytes_are_no_text)
{
	struct muster__decoder *decoder = decoder_for((enum muster_encoding)_i);
	size_t length = 1;
	char *text = NULL;

	ck_assert_int_eq(muster__decode(decoder, NULL, 0, &text, &length), 0);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(length, 0);
	muster__decoder_free(decoder);
	decoder = decoder_for((enum muster_encoding)_i);
	ck_last(decoder, "");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(the_decoder_uses_its_memory_again)
{
	struct muster__decoder *decoder = decoder_for(UTF8);
	char *first, *second;
	size_t length;

	ck_assert_int_eq(muster__decode(decoder, "hello", 5, &first, &length), 0);
	ck_assert_int_eq(muster__decode(decoder, "you", 3, &second, &length), 0);
	ck_assert_ptr_eq(first, second);
	ck_assert_uint_eq(length, 3);
	ck_assert_mem_eq(second, "you", 3);
	muster__decoder_free(decoder);
}
END_TEST

/* What no memory can hold is refused before anything is looked at. */
START_TEST(a_decoder_without_memory_has_taken_nothing)
{
	struct muster__decoder *decoder = decoder_for(UTF8);
	char *text;
	size_t length;

	ck_next(decoder, "\xe2\x82", 2, "");
	ck_assert_int_eq(muster__decode(decoder, "x", SIZE_MAX, &text, &length), -ENOMEM);
	ck_next(decoder, "\xac", 1, "\xe2\x82\xac");
	muster__decoder_free(decoder);
}
END_TEST

START_TEST(what_does_not_fit_memory_is_refused_in_each_encoding)
{
	struct muster__decoder *decoder = decoder_for((enum muster_encoding)_i);
	void *bytes = NULL;
	char *text = NULL;
	size_t length = 7;

	ck_assert_int_eq(muster__decode(decoder, "x", SIZE_MAX, &text, &length), -ENOMEM);
	ck_assert_int_eq(muster__encode((enum muster_encoding)_i, "x", SIZE_MAX, &bytes, &length), -ENOMEM);
	ck_assert_ptr_null(text);
	ck_assert_ptr_null(bytes);
	ck_assert_uint_eq(length, 7);
	muster__decoder_free(decoder);
}
END_TEST

/* The worst an encoding can make of a length is known only when it is filled with that. */
START_TEST(there_is_room_for_the_longest_text_of_each_length)
{
	static const char fill[] = { '\xff', '\x80', '\xe2', '\0', '\xd8', '\xdc', 'a' };
	char bytes[64], *text;
	size_t length;

	for (size_t kind = 0; kind < sizeof fill; kind++) {
		memset(bytes, fill[kind], sizeof bytes);
		for (size_t size = 0; size <= sizeof bytes; size++) {
			struct muster__decoder *decoder = decoder_for((enum muster_encoding)_i);

			ck_assert_int_eq(muster__decode(decoder, bytes, size, &text, &length), 0);
			ck_assert_int_eq(muster__decode(decoder, bytes, size, &text, &length), 0);
			ck_assert_int_eq(muster__decode_end(decoder, &text, &length), 0);
			muster__decoder_free(decoder);
		}
	}
}
END_TEST

START_TEST(a_long_stream_is_decoded_at_any_length_of_its_pieces)
{
	static const char word[] = "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80 ";
	const size_t size = sizeof word - 1, total = 1000 * size;
	struct muster__decoder *decoder = decoder_for(UTF8);
	char *stream = malloc(total), *text;
	size_t seen = 0, length;

	ck_assert_ptr_nonnull(stream);
	for (size_t at = 0; at < total; at += size)
		memcpy(stream + at, word, size);
	for (size_t at = 0, piece = 1; at < total; at += piece, piece = piece % 1009 + 1) {
		if (piece > total - at)
			piece = total - at;
		ck_assert_int_eq(muster__decode(decoder, stream + at, piece, &text, &length), 0);
		ck_assert(is_whole(text, length));
		ck_assert_mem_eq(text, stream + seen, length);
		seen += length;
	}
	ck_assert_uint_eq(seen, total);
	free(stream);
	muster__decoder_free(decoder);
}
END_TEST

static const int no_decoders[] = { BYTES, -1, BASE64URL + 1, 1000, INT32_MIN, INT32_MAX };

START_TEST(there_is_no_decoder_for_bytes_and_for_what_is_no_encoding)
{
	errno = 0;
	ck_assert_ptr_null(muster__decoder_new((enum muster_encoding)no_decoders[_i]));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(muster_last_error(), -EINVAL);
}
END_TEST

START_TEST(no_decoder_can_be_freed)
{
	muster__decoder_free(NULL);
}
END_TEST

static void ck_encoded(enum muster_encoding encoding, const char *text, size_t length, const char *expected,
		       size_t expected_length)
{
	size_t out_length;
	void *bytes;

	ck_assert_int_eq(muster__encode(encoding, text, length, &bytes, &out_length), 0);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(out_length, expected_length);
	ck_assert_mem_eq(bytes, expected, expected_length);
	free(bytes);
}

START_TEST(a_text_is_encoded_to_the_bytes_node_makes_of_it)
{
	const struct vector *vector = &encoded[_i];

	ck_encoded(vector->encoding, vector->from.bytes, vector->from.length, vector->to.bytes, vector->to.length);
}
END_TEST

START_TEST(a_text_to_utf8_and_to_bytes_is_copied_as_it_is)
{
	ck_encoded(UTF8, "a\0\xff\xe2\x82", 5, "a\0\xff\xe2\x82", 5);
	ck_encoded(BYTES, "a\0\xff\xe2\x82", 5, "a\0\xff\xe2\x82", 5);
}
END_TEST

START_TEST(an_empty_text_is_no_bytes_that_can_be_freed)
{
	ck_encoded((enum muster_encoding)_i, NULL, 0, "", 0);
}
END_TEST

static const int no_encodings[] = { -1, BASE64URL + 1, 1000, INT32_MIN, INT32_MAX };

START_TEST(what_is_no_encoding_is_refused_and_the_result_left_alone)
{
	size_t length = 7;
	void *bytes = &length;

	ck_assert_int_eq(muster__encode((enum muster_encoding)no_encodings[_i], "a", 1, &bytes, &length), -EINVAL);
	ck_assert_ptr_eq(bytes, &length);
	ck_assert_uint_eq(length, 7);
}
END_TEST

static const enum muster_encoding lossless[] = { LATIN1, HEX, BASE64, BASE64URL };

START_TEST(bytes_that_became_text_come_back_the_same)
{
	struct muster__decoder *decoder = decoder_for(lossless[_i]);
	struct gathered all = { .length = 0 };
	char bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = (char)(255 - i);
	feed(decoder, &all, bytes, sizeof bytes);
	finish(decoder, &all);
	ck_encoded(lossless[_i], all.text, all.length, bytes, sizeof bytes);
	muster__decoder_free(decoder);
}
END_TEST

/* For all characters there are: what utf16le writes it reads again. */
START_TEST(each_character_goes_through_utf16le_and_back)
{
	struct muster__decoder *utf16le = decoder_for(UTF16LE);

	for (uint32_t point = 0x80; point < 0x110000; point += point < 0x10000 ? 1 : 61) {
		unsigned char character[4] = { (unsigned char)(0xf0 | point >> 18),
					       (unsigned char)(0x80 | (point >> 12 & 0x3f)),
					       (unsigned char)(0x80 | (point >> 6 & 0x3f)),
					       (unsigned char)(0x80 | (point & 0x3f)) };
		size_t skipped = point < 0x800 ? 2 : point < 0x10000 ? 1 : 0, length, text_length;
		char *text;
		void *units;

		if (point >= 0xd800 && point < 0xe000)
			continue;
		if (skipped > 0)
			character[skipped] = (unsigned char)(skipped == 2 ? 0xc0 | point >> 6 : 0xe0 | point >> 12);
		ck_assert_int_eq(muster__encode(UTF16LE, (char *)character + skipped, 4 - skipped, &units, &length), 0);
		ck_assert_uint_eq(length, point < 0x10000 ? 2 : 4);
		ck_assert_int_eq(muster__decode(utf16le, units, length, &text, &text_length), 0);
		ck_assert_uint_eq(text_length, 4 - skipped);
		ck_assert_mem_eq(text, character + skipped, text_length);
		free(units);
	}
	muster__decoder_free(utf16le);
}
END_TEST

static TCase *decoding(Suite *suite)
{
	TCase *tcase = add_case(suite, "decoding");

	tcase_add_loop_test(tcase, a_stream_in_one_piece_gives_the_text_node_gives, 0, COUNT(decoded));
	tcase_add_loop_test(tcase, a_stream_in_single_bytes_gives_the_same_text, 0, COUNT(decoded));
	tcase_add_loop_test(tcase, a_stream_cut_anywhere_gives_the_same_text_in_whole_characters, 0, COUNT(decoded));
	tcase_add_loop_test(tcase, end_lets_the_decoder_begin_anew, 0, COUNT(decoded));
	tcase_add_test(tcase, a_character_of_utf8_comes_with_its_last_byte);
	tcase_add_test(tcase, an_unfinished_character_is_replaced_when_another_begins);
	tcase_add_test(tcase, a_surrogate_pair_comes_with_its_last_byte);
	tcase_add_test(tcase, base64_comes_in_groups_and_its_rest_at_the_end);
	tcase_add_test(tcase, a_byte_order_mark_stays);
	tcase_add_test(tcase, a_long_stream_is_decoded_at_any_length_of_its_pieces);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("src/encoding");
	TCase *decoder = decoding(suite);
	TCase *encoder = add_case(suite, "encoding");

	tcase_add_loop_test(decoder, no_bytes_are_no_text, UTF8, BASE64URL + 1);
	tcase_add_test(decoder, the_decoder_uses_its_memory_again);
	tcase_add_test(decoder, a_decoder_without_memory_has_taken_nothing);
	tcase_add_loop_test(decoder, what_does_not_fit_memory_is_refused_in_each_encoding, UTF8, BASE64URL + 1);
	tcase_add_loop_test(decoder, there_is_room_for_the_longest_text_of_each_length, UTF8, BASE64URL + 1);
	tcase_add_loop_test(decoder, there_is_no_decoder_for_bytes_and_for_what_is_no_encoding, 0, COUNT(no_decoders));
	tcase_add_test(decoder, no_decoder_can_be_freed);
	tcase_add_loop_test(encoder, a_text_is_encoded_to_the_bytes_node_makes_of_it, 0, COUNT(encoded));
	tcase_add_test(encoder, a_text_to_utf8_and_to_bytes_is_copied_as_it_is);
	tcase_add_loop_test(encoder, an_empty_text_is_no_bytes_that_can_be_freed, BYTES, BASE64URL + 1);
	tcase_add_loop_test(encoder, what_is_no_encoding_is_refused_and_the_result_left_alone, 0, COUNT(no_encodings));
	tcase_add_loop_test(encoder, bytes_that_became_text_come_back_the_same, 0, COUNT(lossless));
	tcase_add_test(encoder, each_character_goes_through_utf16le_and_back);
	return run_suite(suite);
}
