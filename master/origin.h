/* master/origin.h - the files a configuration is read from: which of them says what, and what a path in it means. */
#ifndef MASTER_ORIGIN_H
#define MASTER_ORIGIN_H

#include "master/locate.h"

#include <stddef.h>

struct json_t;
struct muster__config;
struct muster__config_errors;

/* A file that was included: where in the whole its listeners are, and its applications by their names. */
struct muster__origin {
	char *file;
	char *text;
	size_t first_listener, listener_count;
	struct json_t *applications; /* or NULL */
};

/* A file that is being read, and what was found wrong with it so far. */
struct muster__reader {
	const char *file;
	char *text;
	struct muster__origin *sources; /* files that it includes */
	size_t source_count;
	const char *current; /* the file of what is being read now; NULL: the first one */
	struct muster__config *config;
	struct muster__config_errors *errors;
	int err; /* -ENOMEM once memory was missing */
};

/* The included file that says what is at this place of the whole; NULL: the first one does. */
const struct muster__origin *muster__origin_of(const struct muster__reader *reader, const struct muster__json_path *at);

/* A new path: as it is if absolute, else from the folder of the file. */
char *muster__resolve_path(const struct muster__reader *reader, const char *path);

/* A new path that is the same from every current folder: as it is if absolute, else from the folder of the file. */
char *muster__absolute_path(const struct muster__reader *reader, const char *path);

#endif
