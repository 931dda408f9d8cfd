/* master/locate.h - from a place in a JSON value to the line of its text. */
#ifndef MASTER_LOCATE_H
#define MASTER_LOCATE_H

#include <stddef.h>

/*
 * One step down into a JSON value; a chain of them, linked upwards, is a path. NULL is the whole value. Whoever walks a
 * value keeps the steps on his stack: a path needs no memory, and no character in a key can make it ambiguous.
 */
struct muster__json_path {
	const struct muster__json_path *parent;
	const char *key; /* into an object: the key as UTF-8, without escapes; NULL: into an array */
	size_t index;    /* into an array */
};

/*
 * The line, counted from 1, on which `path` begins: the key of an object's member, the first line of an array's element
 * or of the whole value. `text` is valid JSON without duplicate keys. 0 if it has no such place.
 */
unsigned muster__locate_line(const char *text, const struct muster__json_path *path);

#endif
