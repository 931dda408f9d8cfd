/* master/source.h - the files of a configuration: their text, and which of them says what. */
#ifndef MASTER_SOURCE_H
#define MASTER_SOURCE_H

#include "master/complain.h"

struct json_t;

/* A file that was included: where in the whole its listeners are, and its applications by their names. */
struct muster__source {
	char *file;
	char *text;
	size_t first_listener, listener_count;
	struct json_t *applications; /* or NULL */
};

/* Read the reader's file and take it apart: a new value; NULL, and a line tells why. */
struct json_t *muster__source_load(struct muster__reader *reader, int *err);

/* Into `root` go listeners and applications of all files that its "include" names. What is wrong is complained about. */
void muster__source_include(struct muster__reader *reader, struct json_t *root);

/* The included file that says what is at this place of the whole; NULL: the first one does. */
const struct muster__source *muster__source_of(const struct muster__reader *reader, const struct muster__json_path *at);

void muster__sources_free(struct muster__reader *reader);

#endif
