/*
 * Places are named as they are in the whole, once all files are one; of a listener or an application it is known which file it
 * came from. Paths begin at the folder of the file that has them.
 */
#include "master/origin.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct muster__origin *muster__origin_of(const struct muster__reader *reader, const struct muster__json_path *at)
{
	const struct muster__origin *source;

	while (at && at->parent && at->parent->parent)
		at = at->parent;
	if (!at || !at->parent)
		return NULL;
	for (source = reader->sources; source < reader->sources + reader->source_count; source++) {
		if (at->key && strcmp(at->parent->key, "applications") == 0 &&
		    json_object_get(source->applications, at->key))
			return source;
		if (!at->key && strcmp(at->parent->key, "listeners") == 0 &&
		    at->index - source->first_listener < source->listener_count)
			return source;
	}
	return NULL;
}

char *muster__resolve_path(const struct muster__reader *reader, const char *path)
{
	const char *file = reader->current ? reader->current : reader->file;
	const char *slash = strrchr(file, '/');
	char *text;

	if (*path == '/' || !slash)
		return strdup(path);
	return asprintf(&text, "%.*s%s", (int)(slash + 1 - file), file, path) < 0 ? NULL : text;
}

char *muster__absolute_path(const struct muster__reader *reader, const char *path)
{
	char *relative = muster__resolve_path(reader, path), *folder, *absolute;

	if (!relative || *relative == '/')
		return relative;
	folder = get_current_dir_name();
	if (!folder || asprintf(&absolute, "%s/%s", folder, relative) < 0)
		absolute = NULL;
	free(folder);
	free(relative);
	return absolute;
}
