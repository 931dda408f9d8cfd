/* master/complain.h - what is wrong with a configuration, said as a line with file, line and place. */
#ifndef MASTER_COMPLAIN_H
#define MASTER_COMPLAIN_H

#include "master/origin.h"

#include <stddef.h>

struct json_t;

enum { MUSTER__SHOWN_MAX = 72 /* bytes a message shows of a value */, MUSTER__LIST_MAX = 512 };

/* The word among some that is nearest to another; NULL if none is near. */
struct muster__guess {
	const char *word;
	const char *nearest; /* NULL if none is near */
	size_t distance;
};

/* A new line about the value at a place; NULL is the whole file. */
__attribute__((format(printf, 3, 4))) void muster__complain(struct muster__reader *reader,
							    const struct muster__json_path *at, const char *format,
							    ...);
/* ... that it is of another kind than expected. */
void muster__complain_kind(struct muster__reader *reader, const struct muster__json_path *at, const char *expected,
			   const struct json_t *found);

/* A line as it is, taken; NULL if there was no memory for it. */
void muster__add_line(struct muster__reader *reader, char *line);

/* New text, or NULL. */
__attribute__((format(printf, 1, 2))) char *muster__new_text(const char *format, ...);

/* `word` as JSON would write it, cut short; lives no longer than `text`. */
const char *muster__quote(const char *word, char text[MUSTER__SHOWN_MAX]);

/* One more quoted word to a list of them. */
void muster__list_add(char list[MUSTER__LIST_MAX], const char *separator, const char *word);

/* Is this one nearer? */
void muster__consider(struct muster__guess *guess, const char *candidate);

#endif
