/*
 * Text and bytes, with what Node v20 does to either where they do not fit.
 *
 * Reading UTF-8 is one small machine with two users: the decoder, which writes UTF-8 again, and the encoder, which
 * writes UTF-16 or the low bytes of it. Each converter is given room for the worst case beforehand, so that none can
 * fail half way: a decoder that has no memory has taken nothing.
 */
#include "src/encoding.h"

#include "src/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xfffd

/* A character of UTF-8 in the making: how many bytes it still needs, and between which bounds the next has to be. */
struct utf8 {
	uint32_t point;
	unsigned char needs, low, high;
};

struct muster__decoder {
	enum muster_encoding encoding;
	struct utf8 utf8;
	uint16_t lead;         /* utf16le: a high surrogate that waits for its low one, or 0 */
	unsigned char held[3]; /* utf16le: half a unit; base64: less than a group */
	unsigned char held_length;
	unsigned char *text;
	size_t size;
};

/* Writes one character, and returns where the next one goes. */
typedef unsigned char *put_point(unsigned char *out, uint32_t point);

static unsigned char *put_utf8(unsigned char *out, uint32_t point)
{
	if (point < 0x80) {
		*out++ = (unsigned char)point;
		return out;
	}
	if (point < 0x800) {
		*out++ = (unsigned char)(0xc0 | point >> 6);
	} else {
		if (point < 0x10000) {
			*out++ = (unsigned char)(0xe0 | point >> 12);
		} else {
			*out++ = (unsigned char)(0xf0 | point >> 18);
			*out++ = (unsigned char)(0x80 | (point >> 12 & 0x3f));
		}
		*out++ = (unsigned char)(0x80 | (point >> 6 & 0x3f));
	}
	*out++ = (unsigned char)(0x80 | (point & 0x3f));
	return out;
}

static unsigned char *put_unit(unsigned char *out, uint32_t unit)
{
	*out++ = (unsigned char)(unit & 0xff);
	*out++ = (unsigned char)(unit >> 8);
	return out;
}

static uint32_t high_surrogate(uint32_t point)
{
	return 0xd800 + ((point - 0x10000) >> 10);
}

static uint32_t low_surrogate(uint32_t point)
{
	return 0xdc00 + (point & 0x3ff);
}

static unsigned char *put_utf16(unsigned char *out, uint32_t point)
{
	if (point < 0x10000)
		return put_unit(out, point);
	return put_unit(put_unit(out, high_surrogate(point)), low_surrogate(point));
}

static unsigned char *put_low_bytes(unsigned char *out, uint32_t point)
{
	if (point >= 0x10000) {
		*out++ = (unsigned char)(high_surrogate(point) & 0xff);
		point = low_surrogate(point);
	}
	*out++ = (unsigned char)(point & 0xff);
	return out;
}

/*
 * The bounds of the second byte are what tells overlong forms (E0, F0), surrogates (ED) and points beyond the last one
 * (F4) at the earliest: a maximal subpart ends before the first byte that no character could have there.
 */
static bool utf8_begin(struct utf8 *utf8, unsigned char byte)
{
	if (byte < 0xc2 || byte > 0xf4)
		return false;
	utf8->needs = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	utf8->point = byte & (0x3f >> utf8->needs);
	utf8->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
	utf8->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
	return true;
}

static bool utf8_continue(struct utf8 *utf8, unsigned char byte)
{
	if (byte < utf8->low || byte > utf8->high)
		return false;
	utf8->needs--;
	utf8->point = utf8->point << 6 | (byte & 0x3f);
	utf8->low = 0x80;
	utf8->high = 0xbf;
	return true;
}

/* Whatever has begun will not be finished. */
static unsigned char *utf8_end(struct utf8 *utf8, unsigned char *out, put_point *put)
{
	if (utf8->needs == 0)
		return out;
	utf8->needs = 0;
	return put(out, REPLACEMENT);
}

static unsigned char *utf8_byte(struct utf8 *utf8, unsigned char byte, unsigned char *out, put_point *put)
{
	if (utf8->needs > 0 && utf8_continue(utf8, byte))
		return utf8->needs > 0 ? out : put(out, utf8->point);
	out = utf8_end(utf8, out, put);
	if (byte < 0x80)
		return put(out, byte);
	return utf8_begin(utf8, byte) ? out : put(out, REPLACEMENT);
}

static size_t ascii_run(const unsigned char *bytes, size_t length)
{
	size_t run = 0;

	while (run < length && bytes[run] < 0x80)
		run++;
	return run;
}

/* ---- From bytes to text. Each returns where its text ends. */

static unsigned char *decode_utf8(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				  unsigned char *out)
{
	size_t run;

	while (length > 0) {
		run = ascii_run(bytes, length);
		if (run > 0) {
			out = utf8_end(&decoder->utf8, out, put_utf8);
			memcpy(out, bytes, run);
			out += run;
		} else {
			run = 1;
			out = utf8_byte(&decoder->utf8, *bytes, out, put_utf8);
		}
		bytes += run;
		length -= run;
	}
	return out;
}

static unsigned char *end_utf8(struct muster__decoder *decoder, unsigned char *out)
{
	return utf8_end(&decoder->utf8, out, put_utf8);
}

static unsigned char *end_utf16(struct muster__decoder *decoder, unsigned char *out)
{
	if (decoder->lead == 0)
		return out;
	decoder->lead = 0;
	return put_utf8(out, REPLACEMENT);
}

static unsigned char *decode_unit(struct muster__decoder *decoder, uint16_t unit, unsigned char *out)
{
	bool is_low = (unit & 0xfc00) == 0xdc00;
	uint32_t lead = decoder->lead;

	if (is_low && lead != 0) {
		decoder->lead = 0;
		return put_utf8(out, 0x10000 + ((lead & 0x3ff) << 10) + (unit & 0x3ff));
	}
	out = end_utf16(decoder, out);
	if ((unit & 0xfc00) == 0xd800) {
		decoder->lead = unit;
		return out;
	}
	return put_utf8(out, is_low ? REPLACEMENT : unit);
}

static unsigned char *decode_utf16(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				   unsigned char *out)
{
	for (size_t i = 0; i < length; i++) {
		if (decoder->held_length == 0) {
			decoder->held[decoder->held_length++] = bytes[i];
			continue;
		}
		decoder->held_length = 0;
		out = decode_unit(decoder, (uint16_t)(decoder->held[0] | bytes[i] << 8), out);
	}
	return out;
}

static unsigned char *decode_latin1(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				    unsigned char *out)
{
	(void)decoder;
	for (size_t i = 0; i < length; i++)
		out = put_utf8(out, bytes[i]);
	return out;
}

static unsigned char *decode_ascii(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				   unsigned char *out)
{
	(void)decoder;
	for (size_t i = 0; i < length; i++)
		*out++ = bytes[i] & 0x7f;
	return out;
}

static unsigned char *decode_hex(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				 unsigned char *out)
{
	static const char digits[] = "0123456789abcdef";

	(void)decoder;
	for (size_t i = 0; i < length; i++) {
		*out++ = (unsigned char)digits[bytes[i] >> 4];
		*out++ = (unsigned char)digits[bytes[i] & 0xf];
	}
	return out;
}

static unsigned char base64_digit(unsigned sextet, bool url)
{
	if (sextet < 26)
		return (unsigned char)('A' + sextet);
	if (sextet < 52)
		return (unsigned char)('a' + sextet - 26);
	if (sextet < 62)
		return (unsigned char)('0' + sextet - 52);
	if (sextet == 62)
		return url ? '-' : '+';
	return url ? '_' : '/';
}

/* The first `count` digits of a group of three bytes. */
static unsigned char *put_base64(unsigned char *out, const unsigned char group[3], unsigned count, bool url)
{
	unsigned bits = (unsigned)group[0] << 16 | (unsigned)group[1] << 8 | group[2];

	for (unsigned i = 0; i < count; i++)
		*out++ = base64_digit(bits >> (18 - 6 * i) & 0x3f, url);
	return out;
}

static unsigned char *decode_base64(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				    unsigned char *out)
{
	bool url = decoder->encoding == MUSTER_ENCODING_BASE64URL;

	for (size_t i = 0; i < length; i++) {
		decoder->held[decoder->held_length++] = bytes[i];
		if (decoder->held_length < 3)
			continue;
		decoder->held_length = 0;
		out = put_base64(out, decoder->held, 4, url);
	}
	return out;
}

static unsigned char *end_base64(struct muster__decoder *decoder, unsigned char *out)
{
	bool url = decoder->encoding == MUSTER_ENCODING_BASE64URL;
	unsigned rest = decoder->held_length;

	if (rest == 0)
		return out;
	memset(decoder->held + rest, 0, sizeof decoder->held - rest);
	out = put_base64(out, decoder->held, rest + 1, url);
	for (; rest < 3 && !url; rest++)
		*out++ = '=';
	return out;
}

/* `growth` bounds how many bytes of text a byte can become; EXTRA, what may be waiting beside it. */
#define EXTRA 8

static const struct {
	unsigned char *(*decode)(struct muster__decoder *decoder, const unsigned char *bytes, size_t length,
				 unsigned char *out);
	unsigned char *(*end)(struct muster__decoder *decoder, unsigned char *out);
	size_t growth;
} decoders[] = {
	[MUSTER_ENCODING_UTF8] = { decode_utf8, end_utf8, 3 },
	[MUSTER_ENCODING_UTF16LE] = { decode_utf16, end_utf16, 2 },
	[MUSTER_ENCODING_LATIN1] = { decode_latin1, NULL, 2 },
	[MUSTER_ENCODING_ASCII] = { decode_ascii, NULL, 1 },
	[MUSTER_ENCODING_HEX] = { decode_hex, NULL, 2 },
	[MUSTER_ENCODING_BASE64] = { decode_base64, end_base64, 2 },
	[MUSTER_ENCODING_BASE64URL] = { decode_base64, end_base64, 2 },
};

struct muster__decoder *muster__decoder_new(enum muster_encoding encoding)
{
	size_t kind = (size_t)encoding;
	struct muster__decoder *decoder;

	if (kind >= sizeof decoders / sizeof decoders[0] || decoders[kind].decode == NULL)
		return muster__no_object(-EINVAL);
	decoder = calloc(1, sizeof *decoder);
	if (decoder == NULL)
		return muster__no_object(-ENOMEM);
	decoder->encoding = encoding;
	return decoder;
}

void muster__decoder_free(struct muster__decoder *decoder)
{
	if (decoder == NULL)
		return;
	free(decoder->text);
	free(decoder);
}

static int reserve(struct muster__decoder *decoder, size_t length)
{
	size_t growth = decoders[decoder->encoding].growth;
	unsigned char *text;
	size_t size;

	if (length > (SIZE_MAX - EXTRA) / growth)
		return -ENOMEM;
	size = length * growth + EXTRA;
	if (size <= decoder->size)
		return 0;
	/* Not realloc: the old text is of no use to anyone. */
	text = malloc(size);
	if (text == NULL)
		return -ENOMEM;
	free(decoder->text);
	decoder->text = text;
	decoder->size = size;
	return 0;
}

int muster__decode(struct muster__decoder *decoder, const void *bytes, size_t length, char **text, size_t *text_length)
{
	unsigned char *end;
	int err = reserve(decoder, length);

	if (err < 0)
		return err;
	end = decoders[decoder->encoding].decode(decoder, bytes, length, decoder->text);
	*text = (char *)decoder->text;
	*text_length = (size_t)(end - decoder->text);
	return 0;
}

int muster__decode_end(struct muster__decoder *decoder, char **text, size_t *text_length)
{
	unsigned char *end;
	int err = reserve(decoder, 0);

	if (err < 0)
		return err;
	end = decoder->text;
	if (decoders[decoder->encoding].end != NULL)
		end = decoders[decoder->encoding].end(decoder, end);
	decoder->held_length = 0;
	*text = (char *)decoder->text;
	*text_length = (size_t)(end - decoder->text);
	return 0;
}

char *muster__text_of(enum muster_encoding encoding, const void *bytes, size_t length, size_t *text_length)
{
	struct muster__decoder *decoder = muster__decoder_new(encoding);
	char *text = NULL, *part;
	size_t first = 0, rest = 0;

	if (decoder != NULL && muster__decode(decoder, bytes, length, &part, &first) == 0 &&
	    (text = malloc(first + EXTRA + 1)) != NULL) {
		memcpy(text, part, first);
		if (muster__decode_end(decoder, &part, &rest) == 0)
			memcpy(text + first, part, rest);
		text[first + rest] = '\0';
		*text_length = first + rest;
	}
	muster__decoder_free(decoder);
	return text;
}

/* ---- From text to bytes. Each returns how many there are. */

static size_t encode_points(const char *text, size_t length, unsigned char *bytes, put_point *put)
{
	struct utf8 utf8 = { .needs = 0 };
	unsigned char *out = bytes;

	for (size_t i = 0; i < length; i++)
		out = utf8_byte(&utf8, (unsigned char)text[i], out, put);
	out = utf8_end(&utf8, out, put);
	return (size_t)(out - bytes);
}

static size_t encode_bytes(const char *text, size_t length, unsigned char *bytes)
{
	if (length > 0)
		memcpy(bytes, text, length);
	return length;
}

static size_t encode_utf16(const char *text, size_t length, unsigned char *bytes)
{
	return encode_points(text, length, bytes, put_utf16);
}

static size_t encode_latin1(const char *text, size_t length, unsigned char *bytes)
{
	return encode_points(text, length, bytes, put_low_bytes);
}

static int hex_value(unsigned char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/*
 * Node looks at the low byte of a UTF-16 unit here too ("\u0136" is as good as "6"), so this begins as latin1 does. The
 * result is no longer than its text and is written over it.
 */
static size_t encode_hex(const char *text, size_t length, unsigned char *bytes)
{
	size_t digits = encode_latin1(text, length, bytes);
	size_t count = 0;

	for (; 2 * count + 1 < digits; count++) {
		int high = hex_value(bytes[2 * count]);
		int low = hex_value(bytes[2 * count + 1]);

		if (high < 0 || low < 0)
			break;
		bytes[count] = (unsigned char)(high << 4 | low);
	}
	return count;
}

static int base64_value(unsigned char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+' || digit == '-')
		return 62;
	return digit == '/' || digit == '_' ? 63 : -1;
}

/* By low bytes and in place, as hex is. */
static size_t encode_base64(const char *text, size_t length, unsigned char *bytes)
{
	size_t digits = encode_latin1(text, length, bytes);
	size_t count = 0;
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < digits && bytes[i] != '='; i++) {
		int value = base64_value(bytes[i]);

		if (value < 0)
			continue;
		bits = (bits << 6 | (unsigned)value) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		bytes[count++] = (unsigned char)(bits >> have & 0xff);
	}
	return count;
}

static size_t (*const encoders[])(const char *text, size_t length, unsigned char *bytes) = {
	[MUSTER_ENCODING_BYTES] = encode_bytes,   [MUSTER_ENCODING_UTF8] = encode_bytes,
	[MUSTER_ENCODING_UTF16LE] = encode_utf16, [MUSTER_ENCODING_LATIN1] = encode_latin1,
	[MUSTER_ENCODING_ASCII] = encode_latin1,  [MUSTER_ENCODING_HEX] = encode_hex,
	[MUSTER_ENCODING_BASE64] = encode_base64, [MUSTER_ENCODING_BASE64URL] = encode_base64,
};

int muster__encode(enum muster_encoding encoding, const char *text, size_t length, void **bytes, size_t *out_length)
{
	size_t kind = (size_t)encoding;
	unsigned char *out;

	if (kind >= sizeof encoders / sizeof encoders[0])
		return -EINVAL;
	/* At most one unit of UTF-16 for each byte of UTF-8; and one byte more, so that nothing is never NULL. */
	if (length > (SIZE_MAX - 1) / 2)
		return -ENOMEM;
	out = malloc((encoding == MUSTER_ENCODING_UTF16LE ? 2 * length : length) + 1);
	if (out == NULL)
		return -ENOMEM;
	*out_length = encoders[kind](text, length, out);
	*bytes = out;
	return 0;
}
