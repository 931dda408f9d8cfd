/*
 * Messages: one line each, whatever the file holds, with what is there cut short and the line found anew in the text, since
 * jansson keeps no positions.
 */
#include "master/complain.h"

#include "master/config.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
	WORD_MAX = 31, /* letters of a word for which a near one is sought */
	PLACE_MAX = 4 * MUSTER__SHOWN_MAX,
	DEPTH_MAX = 16, /* no table leads deeper */
};

__attribute__((format(printf, 1, 0))) static char *new_text_list(const char *format, va_list arguments)
{
	char *text;

	return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

char *muster__new_text(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = new_text_list(format, arguments);
	va_end(arguments);
	return text;
}

/* Takes a new line, or NULL if there was no memory for it. */
void muster__add_line(struct muster__reader *reader, char *line)
{
	struct muster__config_errors *errors = reader->errors;
	char **lines = realloc(errors->lines, (errors->count + 1) * sizeof *lines);

	if (lines)
		errors->lines = lines;
	if (!lines || !line) {
		reader->err = -ENOMEM;
		free(line);
		return;
	}
	lines[errors->count++] = line;
	for (; *line; line++)
		if (iscntrl((unsigned char)*line))
			*line = '?';
}

/* Writes to `text` if it has to; what is returned lives no longer. */
static const char *muster__show(const json_t *value, char text[MUSTER__SHOWN_MAX])
{
	size_t length;

	if (json_is_object(value))
		return json_object_size(value) ? "an object" : "an empty object";
	if (json_is_array(value))
		return json_array_size(value) ? "an array" : "an empty array";
	length = json_dumpb(value, text, MUSTER__SHOWN_MAX - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (length >= MUSTER__SHOWN_MAX)
		return "a long string";
	text[length] = '\0';
	return text;
}

const char *muster__quote(const char *word, char text[MUSTER__SHOWN_MAX])
{
	json_t *value = json_string(word);
	const char *shown = muster__show(value, text);

	json_decref(value);
	return shown;
}

static bool is_plain_key(const char *key)
{
	size_t length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return length > 0 && length < MUSTER__SHOWN_MAX && !key[length];
}

/* `listeners[0].port`, `applications["a.b"]`: as in JavaScript, but for the '-' it allows in a name. */
static size_t format_path(const struct muster__json_path *path, char *text, size_t size)
{
	char key[MUSTER__SHOWN_MAX];
	size_t length;
	int n;

	if (!path)
		return 0;
	length = format_path(path->parent, text, size);
	if (!path->key)
		n = snprintf(text + length, size - length, "[%zu]", path->index);
	else if (is_plain_key(path->key))
		n = snprintf(text + length, size - length, "%s%s", length ? "." : "", path->key);
	else
		n = snprintf(text + length, size - length, "[%s]", muster__quote(path->key, key));
	return MIN(length + (size_t)MAX(n, 0), size - 1);
}

/* As it is called in its own file. The steps are kept in `steps`, from the last one. */
static const struct muster__json_path *path_in(const struct muster__origin *source, const struct muster__json_path *at,
					       struct muster__json_path *steps, size_t room)
{
	if (!at || room == 0)
		return NULL;
	*steps = *at;
	steps->parent = path_in(source, at->parent, steps + 1, room - 1);
	/* The second one is an index into all listeners. */
	if (!at->key && at->parent && !at->parent->parent)
		steps->index -= source->first_listener;
	return steps;
}

void muster__complain(struct muster__reader *reader, const struct muster__json_path *at, const char *format, ...)
{
	const struct muster__origin *source = muster__origin_of(reader, at);
	const char *file = source ? source->file : reader->file;
	struct muster__json_path steps[DEPTH_MAX];
	const struct muster__json_path *own = source ? path_in(source, at, steps, DEPTH_MAX) : at;
	unsigned line = muster__locate_line(source ? source->text : reader->text, own);
	char place[PLACE_MAX] = "";
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = new_text_list(format, arguments);
	va_end(arguments);
	format_path(own, place, sizeof place);
	muster__add_line(reader,
			 text ? muster__new_text("%s:%u: %s%s%s", file, line, place, at ? ": " : "", text) : NULL);
	free(text);
}

void muster__complain_kind(struct muster__reader *reader, const struct muster__json_path *at, const char *expected,
			   const json_t *found)
{
	char text[MUSTER__SHOWN_MAX];

	muster__complain(reader, at, "expected %s, found %s", expected, muster__show(found, text));
}

void muster__list_add(char list[MUSTER__LIST_MAX], const char *separator, const char *word)
{
	size_t length = strlen(list);

	snprintf(list + length, MUSTER__LIST_MAX - length, "%s\"%s\"", length ? separator : "", word);
}

/* ---- the nearest of some words */

/* Damerau and Levenshtein's, in the form that edits no letter twice. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1], i, j;

	for (i = 0; i <= a_length; i++) {
		for (j = 0; j <= b_length; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			d[i][j] = MIN(d[i][j], MIN(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a_length][b_length];
}

/* Near is one slip in three letters. */
void muster__consider(struct muster__guess *guess, const char *candidate)
{
	size_t length = strlen(guess->word), candidate_length = strlen(candidate), slips;

	if (length > WORD_MAX || candidate_length > WORD_MAX)
		return;
	slips = distance(guess->word, length, candidate, candidate_length);
	if (slips * 3 > MAX(length, candidate_length) || (guess->nearest && slips >= guess->distance))
		return;
	guess->nearest = candidate;
	guess->distance = slips;
}
