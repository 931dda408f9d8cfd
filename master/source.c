/*
 * Included files become part of the first one before it is read, so that all rules hold for the whole; a place in the whole
 * leads back to its file when something is to be said about it.
 */
#include "master/source.h"

#include "master/config.h"

#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
	FILE_MAX = 16 << 20,
	CHUNK = 16 << 10,
};

/* ---- a file */

static int read_text(const char *file, char **text, size_t *length)
{
	FILE *stream = fopen(file, "re");
	size_t size = CHUNK, n = 1;
	char *grown;
	int err = 0;

	if (!stream)
		return -errno;
	for (; !err && n > 0; size *= 2) {
		grown = realloc(*text, size);
		if (!grown) {
			err = -ENOMEM;
			break;
		}
		*text = grown;
		n = fread(*text + *length, 1, size - *length - 1, stream);
		*length += n;
		(*text)[*length] = '\0';
		if (ferror(stream))
			err = -errno;
		else if (*length > FILE_MAX)
			err = -EFBIG;
	}
	fclose(stream);
	return err;
}

static json_t *parse(struct muster__reader *reader, size_t length)
{
	json_error_t error;
	json_t *root = json_loadb(reader->text, length, JSON_REJECT_DUPLICATES, &error);

	if (root)
		return root;
	if (json_error_code(&error) == json_error_out_of_memory)
		reader->err = -ENOMEM;
	else
		muster__add_line(reader, muster__new_text("%s:%d:%d: %s", reader->file, MAX(error.line, 1),
							  MAX(error.column, 1), error.text));
	return NULL;
}

json_t *muster__source_load(struct muster__reader *reader, int *err)
{
	size_t length = 0;
	json_t *root;

	*err = read_text(reader->file, &reader->text, &length);
	if (*err) {
		muster__add_line(reader, muster__new_text("%s: %s", reader->file, strerror(-*err)));
		return NULL;
	}
	root = parse(reader, length);
	if (!root)
		*err = reader->err ? reader->err : -EINVAL;
	return root;
}

/* ---- inclusion */

static struct muster__origin *new_source(struct muster__reader *reader)
{
	struct muster__origin *grown = realloc(reader->sources, (reader->source_count + 1) * sizeof *grown);

	if (!grown) {
		reader->err = -ENOMEM;
		return NULL;
	}
	reader->sources = grown;
	grown[reader->source_count] = (struct muster__origin){ 0 };
	return &grown[reader->source_count++];
}

/* The one in the whole; made if there is none, NULL if what is there is of another kind. */
static json_t *container(json_t *root, const char *name, json_t *empty)
{
	json_t *found = json_object_get(root, name);
	bool fits = !found || json_typeof(found) == json_typeof(empty);

	if (!found)
		json_object_set(root, name, empty);
	json_decref(empty);
	return fits ? json_object_get(root, name) : NULL;
}

static void add_applications(struct muster__reader *reader, json_t *root, json_t *applications)
{
	json_t *all = container(root, "applications", json_object()), *value;
	struct muster__json_path map = { .key = "applications" }, step = { .parent = &map };

	if (!json_is_object(applications)) {
		muster__complain_kind(reader, &map, "an object of objects by name", applications);
		return;
	}
	json_object_foreach(applications, step.key, value)
	{
		if (all && json_object_get(all, step.key))
			muster__complain(reader, &step, "another file has this application already");
		else if (all)
			json_object_set(all, step.key, value);
	}
}

static void add_listeners(struct muster__reader *reader, json_t *root, json_t *listeners, struct muster__origin *source)
{
	json_t *all = container(root, "listeners", json_array());

	if (!json_is_array(listeners)) {
		muster__complain_kind(reader, &(struct muster__json_path){ .key = "listeners" }, "an array of objects",
				      listeners);
		return;
	}
	if (!all)
		return;
	source->first_listener = json_array_size(all);
	source->listener_count = json_array_size(listeners);
	json_array_extend(all, listeners);
}

static void add_parts(struct muster__reader *reader, json_t *root, json_t *file, struct muster__origin *source)
{
	struct muster__json_path step = { 0 };
	json_t *value;

	if (!json_is_object(file)) {
		muster__complain_kind(reader, NULL, "an object", file);
		return;
	}
	json_object_foreach(file, step.key, value)
	{
		if (strcmp(step.key, "listeners") == 0)
			add_listeners(reader, root, value, source);
		else if (strcmp(step.key, "applications") == 0)
			add_applications(reader, root, value);
		else
			muster__complain(reader, &step, "an included file has only \"listeners\" and \"applications\"");
	}
}

/* Its text and its applications stay, for what is found wrong later. */
static void include_file(struct muster__reader *reader, json_t *root, const char *file)
{
	struct muster__origin *source = new_source(reader);
	struct muster__reader own = { .config = reader->config, .errors = reader->errors };
	json_t *value;
	int err;

	if (!source || !(source->file = strdup(file))) {
		reader->err = -ENOMEM;
		return;
	}
	own.file = source->file;
	value = muster__source_load(&own, &err);
	source->text = own.text;
	if (value) {
		add_parts(&own, root, value, source);
		source->applications = json_incref(json_object_get(value, "applications"));
		json_decref(value);
	}
	reader->err = reader->err ? reader->err : own.err;
}

/* A pattern that fits nothing is fine; a name that names nothing is not. */
static void include_pattern(struct muster__reader *reader, json_t *root, const struct muster__json_path *at,
			    const char *pattern)
{
	char *resolved = muster__resolve_path(reader, pattern);
	glob_t found = { 0 };
	int result = resolved ? glob(resolved, 0, NULL, &found) : GLOB_NOSPACE;

	if (result == GLOB_NOSPACE)
		reader->err = -ENOMEM;
	else if (result == GLOB_NOMATCH && !strpbrk(pattern, "*?["))
		muster__complain(reader, at, "%s: %s", resolved, strerror(ENOENT));
	else if (result == GLOB_ABORTED)
		muster__complain(reader, at, "%s cannot be read", resolved);
	for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
		include_file(reader, root, found.gl_pathv[i]);
	globfree(&found);
	free(resolved);
}

void muster__source_include(struct muster__reader *reader, json_t *root)
{
	struct muster__json_path list = { .key = "include" }, step = { .parent = &list };
	const json_t *patterns = json_object_get(root, "include"), *pattern;

	json_array_foreach(patterns, step.index,
			   pattern) if (json_is_string(pattern) && json_string_length(pattern) > 0)
		include_pattern(reader, root, &step, json_string_value(pattern));
}

/* ---- back to the file */

void muster__sources_free(struct muster__reader *reader)
{
	for (size_t i = 0; i < reader->source_count; i++) {
		free(reader->sources[i].file);
		free(reader->sources[i].text);
		json_decref(reader->sources[i].applications);
	}
	free(reader->sources);
}
