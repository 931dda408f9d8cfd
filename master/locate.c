/*
 * master/locate.c - walks a JSON text to a path and counts the lines before it.
 *
 * The parser keeps no positions, so an error found in a parsed value is located here, in a second walk that only errors
 * pay for. It checks nothing, the text has been parsed before; it promises to stay inside the text even if it was not.
 */
#include "master/locate.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SPACE " \t\r\n"

/* `at` is an opening quote; returns what follows the closing one. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* From an item of an object or array to the next one, or to the closing bracket. */
static const char *next_item(const char *at)
{
	long depth = 0;

	for (; *at && (depth > 0 || !strchr(",}]", *at)); at = *at == '"' ? skip_string(at) : at + 1)
		depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
	return *at == ',' ? at + 1 + strspn(at + 1, SPACE) : at;
}

/* The digits after "\u"; moves behind them. */
static unsigned long hex_unit(const char **at)
{
	char digits[5] = "";

	for (size_t i = 0; i < 4 && isxdigit((unsigned char)**at); i++)
		digits[i] = *(*at)++;
	return strtoul(digits, NULL, 16);
}

/* `at` follows "\u"; a character beyond U+FFFF is written as two units. Returns the length in UTF-8. */
static size_t decode_unicode(const char **at, char utf8[4])
{
	static const unsigned char leads[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	unsigned long c = hex_unit(at);
	size_t length, i;

	if (c >= 0xd800 && c < 0xdc00 && strncmp(*at, "\\u", 2) == 0) {
		*at += 2;
		c = 0x10000 + ((c - 0xd800) << 10) + (hex_unit(at) & 0x3ff);
	}
	length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (i = length - 1; i > 0; i--, c >>= 6)
		utf8[i] = (char)(0x80 | (c & 0x3f));
	utf8[0] = (char)(leads[length] | c);
	return length;
}

/* One character of a string, or one byte of it; moves behind it. Returns its length in UTF-8. */
static size_t decode(const char **at, char utf8[4])
{
	static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const char *name = NULL;

	if (**at == '\\' && (*at)[1]) {
		if (*++*at == 'u') {
			++*at;
			return decode_unicode(at, utf8);
		}
		name = strchr(names, **at);
	}
	utf8[0] = name ? meanings[name - names] : **at;
	++*at;
	return 1;
}

/* Whether the string at `at` says `key`, however it is escaped. */
static bool string_is(const char *at, const char *key)
{
	char utf8[4];
	size_t length;

	for (at++; *at && *at != '"'; key += length) {
		length = decode(&at, utf8);
		if (!*key || strncmp(key, utf8, length) != 0)
			return false;
	}
	return !*key;
}

/* The items of the object or array at `at`, up to the one `step` names. */
static const char *find_item(const char *at, const struct muster__json_path *step)
{
	size_t index = 0;

	if (*at != (step->key ? '{' : '['))
		return NULL;
	for (at += 1 + strspn(at + 1, SPACE); *at && !strchr("}]", *at); at = next_item(at))
		if (step->key ? string_is(at, step->key) : index++ == step->index)
			return at;
	return NULL;
}

static const char *find(const char *text, const struct muster__json_path *path)
{
	const char *at;

	if (!path)
		return text + strspn(text, SPACE);
	at = find(text, path->parent);
	if (at && path->parent && path->parent->key) {
		at = skip_string(at);
		at += strspn(at, SPACE ":");
	}
	return at ? find_item(at, path) : NULL;
}

unsigned muster__locate_line(const char *text, const struct muster__json_path *path)
{
	const char *place = find(text, path);
	unsigned line = 1;

	if (!place)
		return 0;
	for (; text < place; text++)
		line += *text == '\n';
	return line;
}
