/*
 * master/config.c - decides what a configuration file may say, and what it says.
 *
 * A table of keys for each object is the whole grammar: a new key is a line there. What reads walks the tables and
 * knows no key by name; the rules that join several keys stand apart. It promises to go on after a mistake, so that one
 * run shows them all, and to free on every path what it made.
 */
#include "master/config.h"
#include "master/locate.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum {
	FILE_MAX = 16 << 20,
	CHUNK = 16 << 10,
	WORD_MAX = 31,  /* letters of a word for which a near one is sought */
	SHOWN_MAX = 72, /* bytes a message shows of a value */
	PLACE_MAX = 4 * SHOWN_MAX,
	LIST_MAX = 512,

	WORKERS_MAX = 512,
	CONNECTIONS_MAX = 1000000000,
	MILLISECONDS_MAX = INT_MAX,
	BACKOFF_MAX = 3600000,
};

enum kind {
	KIND_BOOL,
	KIND_NUMBER,  /* min..max */
	KIND_WORKERS, /* min..max, or "auto" */
	KIND_CHOICE,  /* a word of `choices`, kept as its value */
	KIND_MODE,    /* octal text, kept as a number */
	KIND_TEXT,
	KIND_FILE,        /* a path, relative to the folder of the file */
	KIND_SOCKET,      /* the same, short enough for a UNIX address; or an abstract name */
	KIND_TARGET,      /* a file, or "stderr", kept as NULL */
	KIND_APPLICATION, /* a name, looked up when all applications are known */
	KIND_OBJECT,      /* an object whose values are kept in the same struct */
	KIND_LIST,        /* an array of objects, kept as an array of structs */
	KIND_MAP,         /* an object of objects, kept as an array of structs that begin with their name */
};

struct choice {
	const char *word;
	unsigned value;
};

struct key {
	const char *name;
	enum kind kind;
	bool required;
	size_t offset;                /* where the value is kept */
	unsigned min, max;            /* of numbers */
	unsigned fallback;            /* of numbers, choices and modes that are not given */
	const struct choice *choices; /* ended by a NULL word */
	const struct object *object;  /* what an object, or each of a list or map, may say */
	size_t count, size;           /* of a list or map: where the number of structs is kept; the size of each */
};

struct reader {
	const char *file;
	char *text;
	struct muster__config *config;
	struct muster__config_errors *errors;
	int err; /* -ENOMEM once memory was missing */
};

/* A value on its way into the struct of the object around it; an object on its way into its own. */
struct node {
	const struct muster__json_path *at;
	json_t *value;
	const struct key *key;
	void *base;
};

struct object {
	const struct key *keys;
	size_t count;
	/* The rules that join several keys. Each value alone has been read, or complained about. */
	void (*check)(struct reader *reader, const struct node *node);
};

static void check_restart(struct reader *reader, const struct node *node);
static void check_listener(struct reader *reader, const struct node *node);
static void check_upstream(struct reader *reader, const struct node *node);
static void check_application(struct reader *reader, const struct node *node);
static void check_root(struct reader *reader, const struct node *node);

static const struct choice levels[] = {
	{ "error", MUSTER_LOG_ERROR },
	{ "warn", MUSTER_LOG_WARN },
	{ "info", MUSTER_LOG_INFO },
	{ "debug", MUSTER_LOG_DEBUG },
	{ NULL, 0 },
};

static const struct choice formats[] = {
	{ "text", MUSTER__LOG_TEXT },
	{ NULL, 0 },
};

static const struct choice policies[] = {
	{ "round-robin", MUSTER_POLICY_ROUND_ROBIN },
	{ "least-connections", MUSTER_POLICY_LEAST_CONNECTIONS },
	{ "shared", MUSTER_POLICY_SHARED },
	{ NULL, 0 },
};

static const struct choice builtins[] = {
	{ "echo", MUSTER__BUILTIN_ECHO },
	{ "discard", MUSTER__BUILTIN_DISCARD },
	{ "proxy", MUSTER__BUILTIN_PROXY },
	{ NULL, 0 },
};

#define LISTENER(field) .offset = offsetof(struct muster__config_listener, field)
static const struct key listener_keys[] = {
	{ "name", KIND_TEXT, LISTENER(name) },
	{ "host", KIND_TEXT, LISTENER(host) },
	{ "port", KIND_NUMBER, LISTENER(port), .max = 65535 },
	{ "path", KIND_SOCKET, LISTENER(path) },
	{ "policy", KIND_CHOICE, LISTENER(policy), .choices = policies, .fallback = MUSTER_POLICY_ROUND_ROBIN },
	{ "backlog", KIND_NUMBER, LISTENER(backlog), .min = 1, .max = 65535 },
	{ "max_connections", KIND_NUMBER, LISTENER(max_connections), .max = CONNECTIONS_MAX },
	{ "timeout", KIND_NUMBER, LISTENER(timeout_ms), .max = MILLISECONDS_MAX },
	{ "allow_half_open", KIND_BOOL, LISTENER(allow_half_open) },
	{ "no_delay", KIND_BOOL, LISTENER(no_delay) },
	{ "keep_alive", KIND_BOOL, LISTENER(keep_alive) },
	{ "ipv6_only", KIND_BOOL, LISTENER(ipv6_only) },
	{ "readable_all", KIND_BOOL, LISTENER(readable_all) },
	{ "writable_all", KIND_BOOL, LISTENER(writable_all) },
	{ "application", KIND_APPLICATION, .required = true },
};
static const struct object listener_object = { listener_keys, COUNT_OF(listener_keys), check_listener };

#define APPLICATION(field) .offset = offsetof(struct muster__config_application, field)
static const struct key upstream_keys[] = {
	{ "host", KIND_TEXT, APPLICATION(upstream_host) },
	{ "port", KIND_NUMBER, APPLICATION(upstream_port), .min = 1, .max = 65535 },
	{ "path", KIND_SOCKET, APPLICATION(upstream_path) },
};
static const struct object upstream_object = { upstream_keys, COUNT_OF(upstream_keys), check_upstream };

static const struct key application_keys[] = {
	{ "builtin", KIND_CHOICE, APPLICATION(builtin), .choices = builtins, .required = true },
	{ "upstream", KIND_OBJECT, .object = &upstream_object },
	{ "workers", KIND_WORKERS, APPLICATION(workers), .min = 1, .max = WORKERS_MAX },
};
static const struct object application_object = { application_keys, COUNT_OF(application_keys), check_application };

#define ROOT(field) .offset = offsetof(struct muster__config, field)
static const struct key control_keys[] = {
	{ "path", KIND_SOCKET, ROOT(control_path) },
	{ "mode", KIND_MODE, ROOT(control_mode), .fallback = 0600 },
};
static const struct object control_object = { control_keys, COUNT_OF(control_keys), NULL };

static const struct key log_keys[] = {
	{ "level", KIND_CHOICE, ROOT(log_level), .choices = levels, .fallback = MUSTER_LOG_INFO },
	{ "target", KIND_TARGET, ROOT(log_target) },
	{ "format", KIND_CHOICE, ROOT(log_format), .choices = formats, .fallback = MUSTER__LOG_TEXT },
};
static const struct object log_object = { log_keys, COUNT_OF(log_keys), NULL };

static const struct key limits_keys[] = {
	{ "max_connections", KIND_NUMBER, ROOT(max_connections), .max = CONNECTIONS_MAX },
};
static const struct object limits_object = { limits_keys, COUNT_OF(limits_keys), NULL };

static const struct key restart_keys[] = {
	{ "backoff_ms", KIND_NUMBER, ROOT(backoff_ms), .min = 1, .max = BACKOFF_MAX, .fallback = 100 },
	{ "backoff_max_ms", KIND_NUMBER, ROOT(backoff_max_ms), .min = 1, .max = BACKOFF_MAX, .fallback = 10000 },
	{ "drain_timeout_ms", KIND_NUMBER, ROOT(drain_timeout_ms), .max = MILLISECONDS_MAX, .fallback = 30000 },
	{ "ready_timeout_ms", KIND_NUMBER, ROOT(ready_timeout_ms), .min = 1, .max = MILLISECONDS_MAX,
	  .fallback = 30000 },
};
static const struct object restart_object = { restart_keys, COUNT_OF(restart_keys), check_restart };

static const struct key root_keys[] = {
	{ "workers", KIND_WORKERS, ROOT(workers), .min = 1, .max = WORKERS_MAX },
	{ "control", KIND_OBJECT, .object = &control_object },
	{ "log", KIND_OBJECT, .object = &log_object },
	{ "limits", KIND_OBJECT, .object = &limits_object },
	{ "restart", KIND_OBJECT, .object = &restart_object },
	{ "listeners", KIND_LIST, ROOT(listeners), .count = offsetof(struct muster__config, listener_count),
	  .size = sizeof(struct muster__config_listener), .object = &listener_object, .required = true },
	{ "applications", KIND_MAP, ROOT(applications), .count = offsetof(struct muster__config, application_count),
	  .size = sizeof(struct muster__config_application), .object = &application_object, .required = true },
	{ "pid_file", KIND_FILE, ROOT(pid_file) },
};
static const struct object root_object = { root_keys, COUNT_OF(root_keys), check_root };

_Static_assert(offsetof(struct muster__config_application, name) == 0, "a struct of a map begins with its name");

/* Messages. */

__attribute__((format(printf, 1, 0))) static char *new_text_list(const char *format, va_list arguments)
{
	char *text;

	return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

__attribute__((format(printf, 1, 2))) static char *new_text(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = new_text_list(format, arguments);
	va_end(arguments);
	return text;
}

/* Takes a new line, or NULL if there was no memory for it. */
static void add_line(struct reader *reader, char *line)
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
static const char *show(const json_t *value, char text[SHOWN_MAX])
{
	size_t length;

	if (json_is_object(value))
		return json_object_size(value) ? "an object" : "an empty object";
	if (json_is_array(value))
		return json_array_size(value) ? "an array" : "an empty array";
	length = json_dumpb(value, text, SHOWN_MAX - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (length >= SHOWN_MAX)
		return "a long string";
	text[length] = '\0';
	return text;
}

static const char *quote(const char *word, char text[SHOWN_MAX])
{
	json_t *value = json_string(word);
	const char *shown = show(value, text);

	json_decref(value);
	return shown;
}

static bool is_plain_key(const char *key)
{
	size_t length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return length > 0 && length < SHOWN_MAX && !key[length];
}

/* `listeners[0].port`, `applications["a.b"]`: as in JavaScript, but for the '-' it allows in a name. */
static size_t format_path(const struct muster__json_path *path, char *text, size_t size)
{
	char key[SHOWN_MAX];
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
		n = snprintf(text + length, size - length, "[%s]", quote(path->key, key));
	return MIN(length + (size_t)MAX(n, 0), size - 1);
}

__attribute__((format(printf, 3, 4))) static void complain(struct reader *reader, const struct muster__json_path *at,
							   const char *format, ...)
{
	unsigned line = muster__locate_line(reader->text, at);
	char place[PLACE_MAX] = "";
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = new_text_list(format, arguments);
	va_end(arguments);
	format_path(at, place, sizeof place);
	add_line(reader, text ? new_text("%s:%u: %s%s%s", reader->file, line, place, at ? ": " : "", text) : NULL);
	free(text);
}

static void complain_kind(struct reader *reader, const struct muster__json_path *at, const char *expected,
			  const json_t *found)
{
	char text[SHOWN_MAX];

	complain(reader, at, "expected %s, found %s", expected, show(found, text));
}

static void list_add(char list[LIST_MAX], const char *separator, const char *word)
{
	size_t length = strlen(list);

	snprintf(list + length, LIST_MAX - length, "%s\"%s\"", length ? separator : "", word);
}

/* The nearest of some words. */

struct guess {
	const char *word;
	const char *nearest; /* NULL if none is near */
	size_t distance;
};

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
static void consider(struct guess *guess, const char *candidate)
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

static void complain_unknown(struct reader *reader, const struct muster__json_path *at, const struct object *object)
{
	struct guess guess = { .word = at->key };
	char word[SHOWN_MAX], list[LIST_MAX] = "";

	for (size_t i = 0; i < object->count; i++) {
		consider(&guess, object->keys[i].name);
		list_add(list, ", ", object->keys[i].name);
	}
	if (guess.nearest)
		complain(reader, at, "unknown key %s, did you mean \"%s\"?", quote(at->key, word), guess.nearest);
	else
		complain(reader, at, "unknown key %s, known are %s", quote(at->key, word), list);
}

/* Values. */

static void *slot_of(const struct key *key, void *base)
{
	return (char *)base + key->offset;
}

/* The field may be an int or an enum: copying needs not know which. */
static void put_number(const struct key *key, void *base, unsigned number)
{
	_Static_assert(sizeof(enum muster_policy) == sizeof number, "an enum is as large as a number");
	memcpy(slot_of(key, base), &number, sizeof number);
}

/* Takes a new text, or NULL if there was no memory for it. */
static void put_text(struct reader *reader, char **slot, char *text)
{
	if (!text)
		reader->err = -ENOMEM;
	*slot = text;
}

/* What is not text equals none. */
static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static void read_bool(struct reader *reader, const struct node *node)
{
	if (json_is_boolean(node->value))
		*(bool *)slot_of(node->key, node->base) = json_is_true(node->value);
	else
		complain_kind(reader, node->at, "true or false", node->value);
}

static void read_number(struct reader *reader, const struct node *node)
{
	const struct key *key = node->key;
	json_int_t number = json_integer_value(node->value);
	char expected[SHOWN_MAX];

	if (!json_is_integer(node->value)) {
		snprintf(expected, sizeof expected, "%san integer in %u..%u",
			 key->kind == KIND_WORKERS ? "\"auto\" or " : "", key->min, key->max);
		complain_kind(reader, node->at, expected, node->value);
	} else if (number < key->min || number > key->max) {
		complain(reader, node->at, "%" JSON_INTEGER_FORMAT " is not in %u..%u", number, key->min, key->max);
	} else {
		put_number(key, node->base, (unsigned)number);
	}
}

/* The processors this process may use, which in a container are fewer than there are. */
static unsigned processors(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t has room for */
	return (unsigned)MIN(MAX(n, 1), WORKERS_MAX);
}

static void read_workers(struct reader *reader, const struct node *node)
{
	if (is_text(node->value, "auto"))
		put_number(node->key, node->base, processors());
	else
		read_number(reader, node);
}

static void read_choice(struct reader *reader, const struct node *node)
{
	const struct choice *choice;
	char list[LIST_MAX] = "";

	for (choice = node->key->choices; choice->word; choice++) {
		if (is_text(node->value, choice->word)) {
			put_number(node->key, node->base, choice->value);
			return;
		}
		list_add(list, " or ", choice->word);
	}
	complain_kind(reader, node->at, list, node->value);
}

static void read_mode(struct reader *reader, const struct node *node)
{
	const char *text = json_is_string(node->value) ? json_string_value(node->value) : "";
	size_t length = strspn(text, "01234567");

	if (!text[length] && (length == 3 || (length == 4 && *text == '0')))
		put_number(node->key, node->base, (unsigned)strtoul(text, NULL, 8));
	else
		complain_kind(reader, node->at, "an octal mode as \"0600\"", node->value);
}

/* Names and paths end up in lines of a log and of the control socket: nothing may break these. NULL: it does not. */
static const char *expected_instead(const char *text)
{
	if (!*text)
		return "a string that is not empty";
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return "a string without control characters";
	return NULL;
}

/* A new path: as it is if absolute, else from the folder of the file. */
static char *resolve(const struct reader *reader, const char *path)
{
	const char *slash = strrchr(reader->file, '/');

	if (*path == '/' || !slash)
		return strdup(path);
	return new_text("%.*s%s", (int)(slash + 1 - reader->file), reader->file, path);
}

static void read_text(struct reader *reader, const struct node *node)
{
	const char *text = json_is_string(node->value) ? json_string_value(node->value) : "";
	const char *expected = expected_instead(text);
	enum kind kind = node->key->kind;
	char **slot = slot_of(node->key, node->base);
	bool is_path;

	if (expected) {
		complain_kind(reader, node->at, expected, node->value);
		return;
	}
	if (kind == KIND_TARGET && strcmp(text, "stderr") == 0)
		return;
	is_path = kind != KIND_TEXT && !(kind == KIND_SOCKET && *text == '@');
	put_text(reader, slot, is_path ? resolve(reader, text) : strdup(text));
	if (kind == KIND_SOCKET && *slot && strlen(*slot) > MUSTER__CONFIG_PATH_MAX)
		complain(reader, node->at, "\"%s\" is %zu bytes long, the path of a socket at most %d", *slot,
			 strlen(*slot), MUSTER__CONFIG_PATH_MAX);
}

static void read_application(struct reader *reader, const struct node *node)
{
	if (!json_is_string(node->value))
		complain_kind(reader, node->at, "the name of an application", node->value);
}

/* Containers. */

static void read_value(struct reader *reader, const struct node *node);

static const struct key *find_key(const struct object *object, const char *name)
{
	for (size_t i = 0; i < object->count; i++)
		if (strcmp(object->keys[i].name, name) == 0)
			return &object->keys[i];
	return NULL;
}

static void read_keys(struct reader *reader, const struct object *object, const struct node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct node member = { .at = &step, .base = node->base };

	if (!json_is_object(node->value)) {
		complain_kind(reader, node->at, "an object", node->value);
		return;
	}
	for (void *i = json_object_iter(node->value); i; i = json_object_iter_next(node->value, i)) {
		step.key = json_object_iter_key(i);
		member.value = json_object_iter_value(i);
		member.key = find_key(object, step.key);
		if (member.key)
			read_value(reader, &member);
		else
			complain_unknown(reader, &step, object);
	}
	for (size_t i = 0; i < object->count; i++)
		if (object->keys[i].required && !json_object_get(node->value, object->keys[i].name))
			complain(reader, node->at, "\"%s\" is missing", object->keys[i].name);
	if (object->check)
		object->check(reader, node);
}

static void read_object(struct reader *reader, const struct node *node)
{
	read_keys(reader, node->key->object, node);
}

static void put_fallbacks(const struct object *object, void *base)
{
	for (size_t i = 0; i < object->count; i++) {
		if (object->keys[i].kind == KIND_OBJECT)
			put_fallbacks(object->keys[i].object, base);
		else if (object->keys[i].fallback)
			put_number(&object->keys[i], base, object->keys[i].fallback);
	}
}

static size_t *count_of(const struct key *key, void *base)
{
	return (size_t *)((char *)base + key->count);
}

/* Keeps them empty at once, so that they are freed whatever comes. The first; NULL without memory. */
static char *put_structs(struct reader *reader, const struct node *node, size_t count)
{
	const struct key *key = node->key;
	char *structs = calloc(count, key->size);

	if (!structs) {
		reader->err = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		put_fallbacks(key->object, structs + i * key->size);
	memcpy(slot_of(key, node->base), &structs, sizeof structs);
	*count_of(key, node->base) = count;
	return structs;
}

static void read_list(struct reader *reader, const struct node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct node element = { .at = &step };
	char *structs;

	if (json_array_size(node->value) == 0) {
		complain_kind(reader, node->at, "an array of at least one object", node->value);
		return;
	}
	structs = put_structs(reader, node, json_array_size(node->value));
	if (!structs)
		return;
	for (; step.index < json_array_size(node->value); step.index++) {
		element.value = json_array_get(node->value, step.index);
		element.base = structs + step.index * node->key->size;
		read_keys(reader, node->key->object, &element);
	}
}

static void read_map(struct reader *reader, const struct node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct node member = { .at = &step };
	const char *expected;
	char *structs;

	if (json_object_size(node->value) == 0) {
		complain_kind(reader, node->at, "an object of at least one object by name", node->value);
		return;
	}
	structs = put_structs(reader, node, json_object_size(node->value));
	if (!structs)
		return;
	for (void *i = json_object_iter(node->value); i; i = json_object_iter_next(node->value, i)) {
		step.key = json_object_iter_key(i);
		member.value = json_object_iter_value(i);
		expected = expected_instead(step.key);
		if (expected)
			complain(reader, &step, "expected %s as the name", expected);
		put_text(reader, (char **)structs, strdup(step.key));
		member.base = structs;
		read_keys(reader, node->key->object, &member);
		structs += node->key->size;
	}
}

static void read_value(struct reader *reader, const struct node *node)
{
	static void (*const functions[])(struct reader *, const struct node *) = {
		[KIND_BOOL] = read_bool,       [KIND_NUMBER] = read_number,
		[KIND_WORKERS] = read_workers, [KIND_CHOICE] = read_choice,
		[KIND_MODE] = read_mode,       [KIND_TEXT] = read_text,
		[KIND_FILE] = read_text,       [KIND_SOCKET] = read_text,
		[KIND_TARGET] = read_text,     [KIND_APPLICATION] = read_application,
		[KIND_OBJECT] = read_object,   [KIND_LIST] = read_list,
		[KIND_MAP] = read_map,
	};

	functions[node->key->kind](reader, node);
}

static void free_values(const struct object *object, void *base);

static void free_structs(const struct key *key, void *base)
{
	char *structs, *each;

	memcpy(&structs, slot_of(key, base), sizeof structs);
	for (size_t i = 0; i < *count_of(key, base); i++) {
		each = structs + i * key->size;
		free_values(key->object, each);
		if (key->kind == KIND_MAP)
			free(*(char **)each);
	}
	free(structs);
}

static void free_values(const struct object *object, void *base)
{
	for (const struct key *key = object->keys; key < object->keys + object->count; key++) {
		if (key->kind == KIND_TEXT || key->kind == KIND_FILE || key->kind == KIND_SOCKET ||
		    key->kind == KIND_TARGET)
			free(*(char **)slot_of(key, base));
		else if (key->kind == KIND_OBJECT)
			free_values(key->object, base);
		else if (key->kind == KIND_LIST || key->kind == KIND_MAP)
			free_structs(key, base);
	}
}

/* Rules that join several keys. */

static bool has(const json_t *object, const char *key)
{
	return json_object_get(object, key) != NULL;
}

/* A complaint about the value of a key. */
static void complain_key(struct reader *reader, const struct muster__json_path *at, const char *key, const char *text)
{
	complain(reader, &(struct muster__json_path){ .parent = at, .key = key }, "%s", text);
}

static void check_place(struct reader *reader, const struct node *node)
{
	if (!has(node->value, "path")) {
		if (!has(node->value, "port"))
			complain(reader, node->at, "\"port\" or \"path\" is missing");
		return;
	}
	if (has(node->value, "port"))
		complain_key(reader, node->at, "port", "cannot stand beside \"path\"");
	if (has(node->value, "host"))
		complain_key(reader, node->at, "host", "cannot stand beside \"path\"");
}

static void check_restart(struct reader *reader, const struct node *node)
{
	const struct muster__config *config = node->base;

	if (config->backoff_ms > config->backoff_max_ms)
		complain(reader, node->at, "backoff_ms, %u, is more than backoff_max_ms, %u", config->backoff_ms,
			 config->backoff_max_ms);
}

/* Without a place it gets no name, so that one mistake does not look like two. */
static void name_listener(struct reader *reader, struct muster__config_listener *listener, const json_t *value)
{
	const char *host = listener->host ? listener->host : "*";

	if (has(value, "name"))
		return;
	if (listener->path)
		put_text(reader, &listener->name, strdup(listener->path));
	else if (has(value, "port") && json_integer_value(json_object_get(value, "port")) == listener->port)
		put_text(reader, &listener->name,
			 new_text(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, listener->port));
}

static void check_listener(struct reader *reader, const struct node *node)
{
	struct muster__config_listener *listener = node->base;
	bool is_path = has(node->value, "path");

	check_place(reader, node);
	if (is_path && has(node->value, "ipv6_only"))
		complain_key(reader, node->at, "ipv6_only", "cannot stand beside \"path\"");
	if (!is_path && has(node->value, "readable_all"))
		complain_key(reader, node->at, "readable_all", "has no meaning without \"path\"");
	if (!is_path && has(node->value, "writable_all"))
		complain_key(reader, node->at, "writable_all", "has no meaning without \"path\"");
	if (has(node->value, "host") && !listener->host)
		listener->port = 0; /* its place is unknown: it is not compared with others' */
	name_listener(reader, listener, node->value);
}

static void check_upstream(struct reader *reader, const struct node *node)
{
	check_place(reader, node);
	if (has(node->value, "port") && !has(node->value, "host") && !has(node->value, "path"))
		complain(reader, node->at, "\"host\" is missing");
}

static void check_application(struct reader *reader, const struct node *node)
{
	const struct muster__config_application *application = node->base;
	bool is_proxy = application->builtin == MUSTER__BUILTIN_PROXY;

	if (is_proxy && !has(node->value, "upstream"))
		complain(reader, node->at, "\"upstream\" is missing, a proxy needs one");
	if (application->builtin && !is_proxy && has(node->value, "upstream"))
		complain_key(reader, node->at, "upstream", "only a proxy has one");
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_same_place(const struct muster__config_listener *a, const struct muster__config_listener *b)
{
	if (a->path || b->path)
		return is_same(a->path, b->path);
	return a->port && a->port == b->port && is_same(a->host ? a->host : "::", b->host ? b->host : "::");
}

static void check_twins(struct reader *reader, const struct muster__json_path *at, const json_t *value, size_t first)
{
	const struct muster__config_listener *a = &reader->config->listeners[first];
	const struct muster__config_listener *b = &reader->config->listeners[at->index];
	struct muster__json_path step = { .parent = at, .key = b->path ? "path" : "port" };
	char text[SHOWN_MAX];
	bool same_place = is_same_place(a, b);

	if (same_place)
		complain(reader, &step, "listeners[%zu] listens there already", first);
	if (!is_same(a->name, b->name))
		return;
	step.key = "name";
	if (has(value, "name"))
		complain(reader, &step, "listeners[%zu] has this name already", first);
	else if (!same_place)
		complain(reader, at, "its default name, %s, is the name of listeners[%zu]: give it a \"name\"",
			 quote(b->name, text), first);
}

/* Whether the listener's application is known, and now linked. */
static bool link_listener(struct reader *reader, const struct muster__json_path *at, const json_t *value)
{
	struct muster__config *config = reader->config;
	const char *name = json_string_value(json_object_get(value, "application"));
	struct muster__json_path step = { .parent = at, .key = "application" };
	struct guess guess = { .word = name };
	char text[SHOWN_MAX];

	if (!name || config->application_count == 0)
		return false;
	for (size_t i = 0; i < config->application_count; i++) {
		if (strcmp(config->applications[i].name, name) == 0) {
			config->listeners[at->index].application = i;
			return true;
		}
		consider(&guess, config->applications[i].name);
	}
	if (guess.nearest)
		complain(reader, &step, "no application is named %s, did you mean \"%s\"?", quote(name, text),
			 guess.nearest);
	else
		complain(reader, &step, "no application is named %s", quote(name, text));
	return false;
}

static void check_listeners(struct reader *reader, const json_t *listeners)
{
	struct muster__json_path list = { .key = "listeners" }, at = { .parent = &list };
	struct muster__json_path map = { .key = "applications" }, step = { .parent = &map };
	struct muster__config *config = reader->config;
	bool linked = config->listener_count > 0;
	size_t i;

	for (; at.index < config->listener_count; at.index++) {
		const json_t *value = json_array_get(listeners, at.index);

		for (i = 0; i < at.index; i++)
			check_twins(reader, &at, value, i);
		linked = link_listener(reader, &at, value) && linked;
	}
	for (size_t a = 0; linked && a < config->application_count; a++) {
		step.key = config->applications[a].name;
		for (i = 0; i < config->listener_count && config->listeners[i].application != a; i++)
			;
		if (i == config->listener_count)
			complain(reader, &step, "no listener names this application: it would have nothing to do");
	}
}

static void check_control(struct reader *reader, const json_t *root)
{
	struct muster__json_path control = { .key = "control" };
	char text[MUSTER__CONFIG_PATH_MAX + 1];
	struct muster__config *config = reader->config;

	if (config->control_path && *config->control_path == '@')
		complain_key(reader, &control, "path", "no mode guards an abstract name: name a file");
	if (has(json_object_get(root, "control"), "path"))
		return;
	if (muster__config_default_control(text, sizeof text) == 0)
		put_text(reader, &config->control_path, strdup(text));
	else
		complain(reader, has(root, "control") ? &control : NULL,
			 "set control.path: without a usable XDG_RUNTIME_DIR it has no default");
}

static void check_root(struct reader *reader, const struct node *node)
{
	struct muster__config *config = node->base;

	if (reader->err)
		return; /* a name may be missing */
	if (config->workers == 0)
		config->workers = processors();
	for (size_t i = 0; i < config->application_count; i++)
		if (config->applications[i].workers == 0)
			config->applications[i].workers = config->workers;
	check_control(reader, node->value);
	check_listeners(reader, json_object_get(node->value, "listeners"));
}

/* The file. */

static int read_text_of_file(const char *file, char **text, size_t *length)
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

static int read_root(struct reader *reader, size_t length)
{
	json_error_t error;
	json_t *root = json_loadb(reader->text, length, JSON_REJECT_DUPLICATES, &error);

	if (root) {
		put_fallbacks(&root_object, reader->config);
		read_keys(reader, &root_object, &(struct node){ .value = root, .base = reader->config });
		json_decref(root);
	} else if (json_error_code(&error) == json_error_out_of_memory) {
		reader->err = -ENOMEM;
	} else {
		add_line(reader,
			 new_text("%s:%d:%d: %s", reader->file, MAX(error.line, 1), MAX(error.column, 1), error.text));
	}
	if (reader->err)
		return reader->err;
	return reader->errors->count > 0 ? -EINVAL : 0;
}

int muster__config_load(struct muster__config **config, const char *file, struct muster__config_errors *errors)
{
	struct reader reader = { .file = file, .errors = errors };
	size_t length = 0;
	int err;

	*config = NULL;
	*errors = (struct muster__config_errors){ 0 };
	reader.config = calloc(1, sizeof *reader.config);
	if (!reader.config)
		return -ENOMEM;
	err = read_text_of_file(file, &reader.text, &length);
	if (err)
		add_line(&reader, new_text("%s: %s", file, strerror(-err)));
	else
		err = read_root(&reader, length);
	free(reader.text);
	if (err) {
		muster__config_free(reader.config);
		return err;
	}
	*config = reader.config;
	return 0;
}

void muster__config_free(struct muster__config *config)
{
	if (config)
		free_values(&root_object, config);
	free(config);
}

void muster__config_errors_clear(struct muster__config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct muster__config_errors){ 0 };
}

int muster__config_default_control(char *path, size_t size)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	int length;

	if (geteuid() == 0)
		length = snprintf(path, size, "/run/muster/control.sock");
	else if (folder && *folder == '/')
		length = snprintf(path, size, "%s/muster.sock", folder);
	else
		length = -ENOENT;
	if (length >= 0 && (size_t)length < size)
		return 0;
	*path = '\0';
	return length < 0 ? -ENOENT : -ENAMETOOLONG;
}
