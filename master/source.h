/* master/source.h - the files of a configuration: their text, and which of them says what. */
#ifndef MASTER_SOURCE_H
#define MASTER_SOURCE_H

#include "master/complain.h"

struct json_t;

/* Read the reader's file and take it apart: a new value; NULL, and a line tells why. */
struct json_t *muster__source_load(struct muster__reader *reader, int *err);

/* Into `root` go listeners and applications of all files that its "include" names. What is wrong is complained about. */
void muster__source_include(struct muster__reader *reader, struct json_t *root);

void muster__sources_free(struct muster__reader *reader);

#endif
