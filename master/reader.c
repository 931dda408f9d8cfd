/*
 * Walks the tables and knows no key by name. It goes on after a mistake, so that one run shows them all.
 */
#include "master/reader.h"

#include "master/config.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <muster/block_list.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

static void muster__complain_unknown(struct muster__reader *reader, const struct muster__json_path *at,
				     const struct muster__grammar *object)
{
	struct muster__guess guess = { .word = at->key };
	char word[MUSTER__SHOWN_MAX], list[MUSTER__LIST_MAX] = "";

	for (size_t i = 0; i < object->count; i++) {
		muster__consider(&guess, object->keys[i].name);
		muster__list_add(list, ", ", object->keys[i].name);
	}
	if (guess.nearest)
		muster__complain(reader, at, "unknown key %s, did you mean \"%s\"?", muster__quote(at->key, word),
				 guess.nearest);
	else
		muster__complain(reader, at, "unknown key %s, known are %s", muster__quote(at->key, word), list);
}

/* Values. */

static void *slot_of(const struct muster__key *key, void *base)
{
	return (char *)base + key->offset;
}

/* The field may be an int or an enum: copying needs not know which. */
static void put_number(const struct muster__key *key, void *base, unsigned number)
{
	_Static_assert(sizeof(enum muster_policy) == sizeof number, "an enum is as large as a number");
	memcpy(slot_of(key, base), &number, sizeof number);
}

/* Takes a new text, or NULL if there was no memory for it. */
void muster__put_text(struct muster__reader *reader, char **slot, char *text)
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

static void read_bool(struct muster__reader *reader, const struct muster__node *node)
{
	if (json_is_boolean(node->value))
		*(bool *)slot_of(node->key, node->base) = json_is_true(node->value);
	else
		muster__complain_kind(reader, node->at, "true or false", node->value);
}

static void read_number(struct muster__reader *reader, const struct muster__node *node)
{
	const struct muster__key *key = node->key;
	json_int_t number = json_integer_value(node->value);
	char expected[MUSTER__SHOWN_MAX];

	if (!json_is_integer(node->value)) {
		snprintf(expected, sizeof expected, "%san integer in %d..%u",
			 key->kind == MUSTER__KIND_WORKERS ? "\"auto\" or " : "", key->min, key->max);
		muster__complain_kind(reader, node->at, expected, node->value);
	} else if (number < key->min || number > (json_int_t)key->max) {
		muster__complain(reader, node->at, "%" JSON_INTEGER_FORMAT " is not in %d..%u", number, key->min,
				 key->max);
	} else {
		put_number(key, node->base, (unsigned)number);
	}
}

/* The processors this process may use, which in a container are fewer than there are. */
unsigned muster__processors(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t has room for */
	return (unsigned)MIN(MAX(n, 1), MUSTER__WORKERS_MAX);
}

static void read_workers(struct muster__reader *reader, const struct muster__node *node)
{
	if (is_text(node->value, "auto"))
		put_number(node->key, node->base, muster__processors());
	else
		read_number(reader, node);
}

static void read_choice(struct muster__reader *reader, const struct muster__node *node)
{
	const struct muster__choice *choice;
	char list[MUSTER__LIST_MAX] = "";

	for (choice = node->key->choices; choice->word; choice++) {
		if (is_text(node->value, choice->word)) {
			put_number(node->key, node->base, choice->value);
			return;
		}
		muster__list_add(list, " or ", choice->word);
	}
	muster__complain_kind(reader, node->at, list, node->value);
}

/* "64M": a number, and perhaps a letter. False: it is something else, or too much. */
static bool size_of(const char *text, uint64_t *bytes)
{
	static const char letters[] = "KMG";
	unsigned long long number;
	const char *letter;
	unsigned shift = 0;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return false;
	if (*end) {
		letter = strchr(letters, *end++);
		if (!letter || *end)
			return false;
		shift = 10 * (unsigned)(letter - letters + 1);
	}
	*bytes = (uint64_t)number << shift;
	return *bytes >> shift == number && number <= (uint64_t)INT64_MAX >> shift;
}

static bool is_choice(const struct muster__key *key, const json_t *value)
{
	const struct muster__choice *choice = key->choices;

	while (choice && choice->word && !is_text(value, choice->word))
		choice++;
	return choice && choice->word;
}

static void read_size(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__config_size *size = slot_of(node->key, node->base);
	const json_t *value = node->value;

	size->given = true;
	if (is_choice(node->key, value))
		size->bytes = UINT64_MAX;
	else if (json_is_integer(value) && json_integer_value(value) >= 0)
		size->bytes = (uint64_t)json_integer_value(value);
	else if (!json_is_string(value) || !size_of(json_string_value(value), &size->bytes))
		muster__complain_kind(reader, node->at,
				      node->key->choices ? "a number of bytes, as 4096 or \"64M\", or \"unlimited\"" :
							   "a number of bytes, as 4096 or \"64M\"",
				      value);
}

static void read_mode(struct muster__reader *reader, const struct muster__node *node)
{
	const char *text = json_is_string(node->value) ? json_string_value(node->value) : "";
	size_t length = strspn(text, "01234567");

	if (!text[length] && (length == 3 || (length == 4 && *text == '0')))
		put_number(node->key, node->base, (unsigned)strtoul(text, NULL, 8));
	else
		muster__complain_kind(reader, node->at, "an octal mode as \"0600\"", node->value);
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

static void read_text(struct muster__reader *reader, const struct muster__node *node)
{
	const char *text = json_is_string(node->value) ? json_string_value(node->value) : "";
	const char *expected = expected_instead(text);
	enum muster__kind kind = node->key->kind;
	char **slot = slot_of(node->key, node->base);
	bool is_path;

	if (expected) {
		muster__complain_kind(reader, node->at, expected, node->value);
		return;
	}
	if (kind == MUSTER__KIND_TARGET && strcmp(text, "stderr") == 0)
		return;
	is_path = kind != MUSTER__KIND_TEXT && !(kind == MUSTER__KIND_SOCKET && *text == '@');
	muster__put_text(reader, slot, is_path ? muster__resolve_path(reader, text) : strdup(text));
	if (kind == MUSTER__KIND_SOCKET && *slot && strlen(*slot) > MUSTER__CONFIG_PATH_MAX)
		muster__complain(reader, node->at, "\"%s\" is %zu bytes long, the path of a socket at most %d", *slot,
				 strlen(*slot), MUSTER__CONFIG_PATH_MAX);
}

static void read_application(struct muster__reader *reader, const struct muster__node *node)
{
	if (!json_is_string(node->value))
		muster__complain_kind(reader, node->at, "the name of an application", node->value);
}

/* Lists of strings. */

/* Empty, and in its place at once, so that it is freed whatever comes. */
static char **put_strings(struct muster__reader *reader, const struct muster__node *node, size_t count)
{
	char **strings = calloc(count + 1, sizeof *strings);

	if (!strings)
		reader->err = -ENOMEM;
	memcpy(slot_of(node->key, node->base), &strings, sizeof strings);
	return strings;
}

/* The program itself ends up in lines of a log; what follows it is its own affair, and may have any characters. */
static void read_word(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value,
		      char **slot)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	bool is_program = at->index == 0;
	const char *expected = is_program || !*text ? expected_instead(text) : NULL;

	if (expected)
		muster__complain_kind(reader, at, expected, value);
	else if (is_program && strchr(text, '/'))
		muster__put_text(reader, slot, muster__absolute_path(reader, text));
	else
		muster__put_text(reader, slot, strdup(text));
}

static void read_program(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	size_t count = json_array_size(node->value);
	char **words;

	if (count == 0) {
		muster__complain_kind(reader, node->at, "an array of at least one string", node->value);
		return;
	}
	words = put_strings(reader, node, count);
	for (; words && step.index < count; step.index++) {
		read_word(reader, &step, json_array_get(node->value, step.index), words);
		words += *words != NULL;
	}
}

/* The name and value of a variable. */
static void read_variable(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value,
			  char **slot)
{
	const char *expected = strchr(at->key, '=') ? "a string without \"=\"" : expected_instead(at->key);

	if (expected)
		muster__complain(reader, at, "expected %s as the name", expected);
	if (!json_is_string(value))
		muster__complain_kind(reader, at, "a string", value);
	else if (!expected)
		muster__put_text(reader, slot, muster__new_text("%s=%s", at->key, json_string_value(value)));
}

static void read_variables(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	char **variables;

	if (!json_is_object(node->value)) {
		muster__complain_kind(reader, node->at, "an object of strings", node->value);
		return;
	}
	variables = put_strings(reader, node, json_object_size(node->value));
	for (void *i = json_object_iter(node->value); variables && i; i = json_object_iter_next(node->value, i)) {
		step.key = json_object_iter_key(i);
		read_variable(reader, &step, json_object_iter_value(i), variables);
		variables += *variables != NULL;
	}
}

/* They have been followed already. */
static void read_patterns(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	const json_t *pattern;

	if (!json_is_array(node->value))
		muster__complain_kind(reader, node->at, "an array of strings", node->value);
	json_array_foreach(node->value, step.index, pattern) if (json_string_length(pattern) == 0)
		muster__complain_kind(reader, &step, "a string that is not empty", pattern);
}

static void read_json(struct muster__reader *reader, const struct muster__node *node)
{
	if (json_is_object(node->value))
		muster__put_text(reader, slot_of(node->key, node->base), json_dumps(node->value, JSON_COMPACT));
	else
		muster__complain_kind(reader, node->at, "an object", node->value);
}

/* An address, or a network: its host bits may be set, as people write them. */
static void read_network(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value,
			 struct muster_block_list *list)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	int err =
		strchr(text, '/') ? muster_block_list_add_cidr(list, text) : muster_block_list_add_address(list, text);

	if (err == -ENOMEM)
		reader->err = err;
	else if (err == -ERANGE)
		muster__complain(reader, at, "\"%s\" has a longer prefix than addresses have bits", text);
	else if (err < 0)
		muster__complain_kind(reader, at, "an IP address, or a network as \"10.0.0.0/8\"", value);
}

static void read_networks(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__networks *networks = slot_of(node->key, node->base);
	struct muster__json_path step = { .parent = node->at };
	size_t count = json_array_size(node->value);
	const char *text;

	/* Of an empty list nobody can tell whether nobody is meant, or everybody. */
	if (count == 0) {
		muster__complain_kind(reader, node->at, "an array of at least one address or network", node->value);
		return;
	}
	networks->list = muster_block_list_new();
	if (!networks->list)
		reader->err = -ENOMEM;
	networks->texts = put_strings(reader, node, count);
	for (; networks->list && networks->texts && step.index < count; step.index++) {
		read_network(reader, &step, json_array_get(node->value, step.index), networks->list);
		text = json_string_value(json_array_get(node->value, step.index));
		muster__put_text(reader, &networks->texts[step.index], strdup(text ? text : ""));
	}
}

static void free_strings(char **strings)
{
	for (char **each = strings; each && *each; each++)
		free(*each);
	free(strings);
}

static void free_networks(const struct muster__networks *networks)
{
	free_strings(networks->texts);
	muster_block_list_free(networks->list);
}

/* Containers. */

static void read_value(struct muster__reader *reader, const struct muster__node *node);

static const struct muster__key *find_key(const struct muster__grammar *object, const char *name)
{
	for (size_t i = 0; i < object->count; i++)
		if (strcmp(object->keys[i].name, name) == 0)
			return &object->keys[i];
	return NULL;
}

void muster__read_keys(struct muster__reader *reader, const struct muster__grammar *object,
		       const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct muster__node member = { .at = &step, .base = node->base };
	const struct muster__origin *source = muster__origin_of(reader, node->at);

	reader->current = source ? source->file : NULL;
	if (!json_is_object(node->value)) {
		muster__complain_kind(reader, node->at, "an object", node->value);
		return;
	}
	for (void *i = json_object_iter(node->value); i; i = json_object_iter_next(node->value, i)) {
		step.key = json_object_iter_key(i);
		member.value = json_object_iter_value(i);
		member.key = find_key(object, step.key);
		if (member.key && !member.key->inherits)
			read_value(reader, &member);
		else if (!member.key)
			muster__complain_unknown(reader, &step, object);
	}
	for (size_t i = 0; i < object->count; i++)
		if (object->keys[i].required && !json_object_get(node->value, object->keys[i].name))
			muster__complain(reader, node->at, "\"%s\" is missing", object->keys[i].name);
	if (object->check)
		object->check(reader, node);
}

void muster__read_inherited(struct muster__reader *reader, const struct muster__grammar *object,
			    const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct muster__node member = { .at = &step, .base = node->base };

	for (size_t i = 0; i < object->count; i++) {
		step.key = object->keys[i].name;
		member.value = json_object_get(node->value, step.key);
		member.key = &object->keys[i];
		if (member.key->inherits && member.value)
			read_value(reader, &member);
	}
}

static void read_object(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__node inside = *node;

	inside.base = slot_of(node->key, node->base);
	muster__read_keys(reader, node->key->object, &inside);
}

void muster__put_fallbacks(const struct muster__grammar *object, void *base)
{
	for (size_t i = 0; i < object->count; i++) {
		if (object->keys[i].kind == MUSTER__KIND_OBJECT)
			muster__put_fallbacks(object->keys[i].object, slot_of(&object->keys[i], base));
		else if (object->keys[i].fallback)
			put_number(&object->keys[i], base, object->keys[i].fallback);
	}
}

static size_t *count_of(const struct muster__key *key, void *base)
{
	return (size_t *)((char *)base + key->count);
}

/* Keeps them empty at once, so that they are freed whatever comes. The first; NULL without memory. */
static char *put_structs(struct muster__reader *reader, const struct muster__node *node, size_t count)
{
	const struct muster__key *key = node->key;
	char *structs = calloc(count, key->size);

	if (!structs) {
		reader->err = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		muster__put_fallbacks(key->object, structs + i * key->size);
	memcpy(slot_of(key, node->base), &structs, sizeof structs);
	*count_of(key, node->base) = count;
	return structs;
}

static void read_list(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct muster__node element = { .at = &step };
	char *structs;

	if (!json_is_array(node->value)) {
		muster__complain_kind(reader, node->at, "an array of objects", node->value);
		return;
	}
	structs = json_array_size(node->value) > 0 ? put_structs(reader, node, json_array_size(node->value)) : NULL;
	if (!structs)
		return;
	for (; step.index < json_array_size(node->value); step.index++) {
		element.value = json_array_get(node->value, step.index);
		element.base = structs + step.index * node->key->size;
		muster__read_keys(reader, node->key->object, &element);
	}
}

static void read_map(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__json_path step = { .parent = node->at };
	struct muster__node member = { .at = &step };
	const char *expected;
	char *structs;

	if (json_object_size(node->value) == 0) {
		muster__complain_kind(reader, node->at, "an object of at least one object by name", node->value);
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
			muster__complain(reader, &step, "expected %s as the name", expected);
		muster__put_text(reader, (char **)structs, strdup(step.key));
		member.base = structs;
		muster__read_keys(reader, node->key->object, &member);
		structs += node->key->size;
	}
}

static void read_value(struct muster__reader *reader, const struct muster__node *node)
{
	static void (*const functions[])(struct muster__reader *, const struct muster__node *) = {
		[MUSTER__KIND_BOOL] = read_bool,
		[MUSTER__KIND_NUMBER] = read_number,
		[MUSTER__KIND_WORKERS] = read_workers,
		[MUSTER__KIND_CHOICE] = read_choice,
		[MUSTER__KIND_SIZE] = read_size,
		[MUSTER__KIND_MODE] = read_mode,
		[MUSTER__KIND_TEXT] = read_text,
		[MUSTER__KIND_FILE] = read_text,
		[MUSTER__KIND_SOCKET] = read_text,
		[MUSTER__KIND_TARGET] = read_text,
		[MUSTER__KIND_APPLICATION] = read_application,
		[MUSTER__KIND_OBJECT] = read_object,
		[MUSTER__KIND_LIST] = read_list,
		[MUSTER__KIND_MAP] = read_map,
		[MUSTER__KIND_PROGRAM] = read_program,
		[MUSTER__KIND_VARIABLES] = read_variables,
		[MUSTER__KIND_JSON] = read_json,
		[MUSTER__KIND_PATTERNS] = read_patterns,
		[MUSTER__KIND_NETWORKS] = read_networks,
	};

	functions[node->key->kind](reader, node);
}

static void free_structs(const struct muster__key *key, void *base)
{
	char *structs, *each;

	memcpy(&structs, slot_of(key, base), sizeof structs);
	for (size_t i = 0; i < *count_of(key, base); i++) {
		each = structs + i * key->size;
		muster__free_values(key->object, each);
		if (key->kind == MUSTER__KIND_MAP)
			free(*(char **)each);
	}
	free(structs);
}

void muster__free_values(const struct muster__grammar *object, void *base)
{
	for (const struct muster__key *key = object->keys; key < object->keys + object->count; key++) {
		if (key->kind == MUSTER__KIND_TEXT || key->kind == MUSTER__KIND_FILE ||
		    key->kind == MUSTER__KIND_SOCKET || key->kind == MUSTER__KIND_TARGET ||
		    key->kind == MUSTER__KIND_JSON)
			free(*(char **)slot_of(key, base));
		else if (key->kind == MUSTER__KIND_PROGRAM || key->kind == MUSTER__KIND_VARIABLES)
			free_strings(*(char ***)slot_of(key, base));
		else if (key->kind == MUSTER__KIND_NETWORKS)
			free_networks(slot_of(key, base));
		else if (key->kind == MUSTER__KIND_OBJECT)
			muster__free_values(key->object, slot_of(key, base));
		else if (key->kind == MUSTER__KIND_LIST || key->kind == MUSTER__KIND_MAP)
			free_structs(key, base);
	}
}

/* Rules that join several keys. */
