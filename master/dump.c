/* The way back through the tables that the reader follows: this file knows no key by name. */
#include "master/dump.h"

#include "master/config.h"
#include "master/reader.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const void *slot_of(const struct muster__key *key, const void *base)
{
	return (const char *)base + key->offset;
}

static unsigned number_at(const struct muster__key *key, const void *base)
{
	unsigned number;

	memcpy(&number, slot_of(key, base), sizeof number);
	return number;
}

/* NULL where nothing was said, and nothing is the default. */
static json_t *dump_number(const struct muster__key *key, const void *base)
{
	int number = (int)number_at(key, base);

	if (number < key->min || (number == 0 && key->fallback == 0 && !key->shown))
		return NULL;
	return json_integer(number);
}

static json_t *dump_size(const struct muster__key *key, const void *base)
{
	const struct muster__config_size *size = slot_of(key, base);

	if (!size->given)
		return NULL;
	return size->bytes == UINT64_MAX ? json_string(key->choices->word) : json_integer((json_int_t)size->bytes);
}

static json_t *dump_bool(const struct muster__key *key, const void *base)
{
	bool value = *(const bool *)slot_of(key, base);

	return value || key->shown ? json_boolean(value) : NULL;
}

static json_t *dump_choice(const struct muster__key *key, const void *base)
{
	const struct muster__choice *choice;

	for (choice = key->choices; choice->word; choice++)
		if (choice->value == number_at(key, base))
			return json_string(choice->word);
	return NULL;
}

static json_t *dump_mode(const struct muster__key *key, const void *base)
{
	return json_sprintf("%04o", number_at(key, base));
}

static json_t *dump_text(const struct muster__key *key, const void *base)
{
	const char *text = *(char *const *)slot_of(key, base);

	if (!text && key->kind == MUSTER__KIND_TARGET)
		return json_string("stderr");
	return text ? json_string(text) : NULL;
}

static json_t *dump_words(const struct muster__key *key, const void *base)
{
	char *const *words = *(char *const *const *)slot_of(key, base);
	json_t *array = words ? json_array() : NULL;

	for (; words && *words; words++)
		json_array_append_new(array, json_string(*words));
	return array;
}

static json_t *dump_variables(const struct muster__key *key, const void *base)
{
	char *const *words = *(char *const *const *)slot_of(key, base);
	json_t *object = words ? json_object() : NULL;
	const char *equals;

	for (; words && *words; words++) {
		equals = strchr(*words, '=');
		json_object_setn_new(object, *words, (size_t)(equals - *words), json_string(equals + 1));
	}
	return object;
}

static json_t *dump_json(const struct muster__key *key, const void *base)
{
	const char *text = *(char *const *)slot_of(key, base);

	return text ? json_loads(text, 0, NULL) : NULL;
}

/* ---- containers */

static json_t *dump_key(const struct muster__config *config, const struct muster__key *key, const void *base);

static json_t *dump_object(const struct muster__config *config, const struct muster__grammar *object, const void *base)
{
	json_t *json = json_object(), *value;

	for (const struct muster__key *key = object->keys; key < object->keys + object->count; key++) {
		value = key->has_meaning && !key->has_meaning(base) ? NULL : dump_key(config, key, base);
		if (value)
			json_object_set_new(json, key->name, value);
	}
	return json;
}

static json_t *dump_part(const struct muster__config *config, const struct muster__key *key, const void *base)
{
	json_t *json = dump_object(config, key->object, slot_of(key, base));

	if (json_object_size(json) > 0)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *dump_structs(const struct muster__config *config, const struct muster__key *key, const void *base)
{
	const char *each = *(char *const *)slot_of(key, base);
	size_t count;
	json_t *json = key->kind == MUSTER__KIND_MAP ? json_object() : json_array();

	memcpy(&count, (const char *)base + key->count, sizeof count);
	for (; count > 0; count--, each += key->size) {
		if (key->kind == MUSTER__KIND_MAP)
			json_object_set_new(json, *(char *const *)each, dump_object(config, key->object, each));
		else
			json_array_append_new(json, dump_object(config, key->object, each));
	}
	return json;
}

static json_t *dump_application(const struct muster__config *config, const struct muster__key *key, const void *base)
{
	(void)key;
	return json_string(config->applications[((const struct muster__config_listener *)base)->application].name);
}

static json_t *dump_key(const struct muster__config *config, const struct muster__key *key, const void *base)
{
	switch (key->kind) {
	case MUSTER__KIND_BOOL: return dump_bool(key, base);
	case MUSTER__KIND_SIZE: return dump_size(key, base);
	case MUSTER__KIND_NUMBER:
	case MUSTER__KIND_WORKERS: return dump_number(key, base);
	case MUSTER__KIND_CHOICE: return dump_choice(key, base);
	case MUSTER__KIND_MODE: return dump_mode(key, base);
	case MUSTER__KIND_TEXT:
	case MUSTER__KIND_FILE:
	case MUSTER__KIND_SOCKET:
	case MUSTER__KIND_TARGET: return dump_text(key, base);
	case MUSTER__KIND_APPLICATION: return dump_application(config, key, base);
	case MUSTER__KIND_NETWORKS: /* their texts come first */
	case MUSTER__KIND_PROGRAM: return dump_words(key, base);
	case MUSTER__KIND_VARIABLES: return dump_variables(key, base);
	/* What was included is part of it now. */
	case MUSTER__KIND_JSON: return dump_json(key, base);
	case MUSTER__KIND_PATTERNS: return NULL;
	case MUSTER__KIND_OBJECT: return dump_part(config, key, base);
	case MUSTER__KIND_LIST:
	case MUSTER__KIND_MAP: return dump_structs(config, key, base);
	}
	return NULL;
}

json_t *muster__config_dump(const struct muster__config *config)
{
	return dump_object(config, muster__config_grammar(), config);
}

int muster__config_print(const struct muster__config *config, FILE *out)
{
	json_t *json = muster__config_dump(config);
	int err = json == NULL ? -ENOMEM : 0;

	if (err == 0 && (json_dumpf(json, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF || fflush(out) == EOF))
		err = -EIO;
	json_decref(json);
	return err;
}
