/*
 * tests/master/test_schema.c - schema, manual and parser know the same keys.
 *
 * "test_schema --print" prints the schema that the parser's tables make: what conf/muster.schema.json has to be.
 */
#include "master/config.h"
#include "master/reader.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <glob.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA TEST_SOURCE_DIR "/conf/muster.schema.json"
#define MANUAL TEST_SOURCE_DIR "/docs/muster.json.5"

/* ---- from the tables to a schema */

static json_t *schema_of_object(const struct muster__grammar *object);

static json_t *schema_of_number(const struct muster__key *key)
{
	return json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum", (json_int_t)key->min, "maximum",
			 (json_int_t)key->max);
}

static json_t *schema_of_choice(const struct muster__key *key)
{
	const struct muster__choice *choice;
	json_t *words = json_array();

	for (choice = key->choices; choice->word; choice++)
		json_array_append_new(words, json_string(choice->word));
	return json_pack("{s:o}", "enum", words);
}

/* Bytes as a number, as a number with a letter, or by one of the words. */
static json_t *schema_of_size(const struct muster__key *key)
{
	json_t *ways = json_pack("[{s:s,s:i},{s:s,s:s}]", "type", "integer", "minimum", 0, "type", "string", "pattern",
				 "^[0-9]+[KMG]?$");

	if (key->choices != NULL)
		json_array_append_new(ways, schema_of_choice(key));
	return json_pack("{s:o}", "anyOf", ways);
}

static json_t *schema_of_kind(const struct muster__key *key)
{
	switch (key->kind) {
	case MUSTER__KIND_BOOL: return json_pack("{s:s}", "type", "boolean");
	case MUSTER__KIND_NUMBER: return schema_of_number(key);
	case MUSTER__KIND_WORKERS: return json_pack("{s:[{s:s},o]}", "anyOf", "const", "auto", schema_of_number(key));
	case MUSTER__KIND_CHOICE: return schema_of_choice(key);
	case MUSTER__KIND_SIZE: return schema_of_size(key);
	case MUSTER__KIND_MODE: return json_pack("{s:s,s:s}", "type", "string", "pattern", "^0?[0-7][0-7][0-7]$");
	case MUSTER__KIND_NETWORKS:
	case MUSTER__KIND_PROGRAM:
		return json_pack("{s:s,s:{s:s},s:i}", "type", "array", "items", "type", "string", "minItems", 1);
	case MUSTER__KIND_VARIABLES:
		return json_pack("{s:s,s:{s:s}}", "type", "object", "additionalProperties", "type", "string");
	case MUSTER__KIND_JSON: return json_pack("{s:s}", "type", "object");
	case MUSTER__KIND_PATTERNS:
		return json_pack("{s:s,s:{s:s,s:i}}", "type", "array", "items", "type", "string", "minLength", 1);
	case MUSTER__KIND_OBJECT: return schema_of_object(key->object);
	case MUSTER__KIND_LIST: return json_pack("{s:s,s:o}", "type", "array", "items", schema_of_object(key->object));
	case MUSTER__KIND_MAP:
		return json_pack("{s:s,s:o,s:i}", "type", "object", "additionalProperties",
				 schema_of_object(key->object), "minProperties", 1);
	default: return json_pack("{s:s,s:i}", "type", "string", "minLength", 1);
	}
}

/* What a file may leave out has a default, if that is a value. */
static json_t *schema_of_key(const struct muster__key *key)
{
	json_t *schema = schema_of_kind(key);
	const struct muster__choice *choice = key->choices;

	if (key->fallback == 0)
		return schema;
	if (key->kind == MUSTER__KIND_MODE)
		json_object_set_new(schema, "default", json_sprintf("%04o", key->fallback));
	else if (key->kind != MUSTER__KIND_CHOICE)
		json_object_set_new(schema, "default", json_integer(key->fallback));
	for (; choice && choice->word; choice++)
		if (choice->value == key->fallback)
			json_object_set_new(schema, "default", json_string(choice->word));
	return schema;
}

static json_t *schema_of_object(const struct muster__grammar *object)
{
	json_t *properties = json_object(), *required = json_array(), *schema;

	for (const struct muster__key *key = object->keys; key < object->keys + object->count; key++) {
		json_object_set_new(properties, key->name, schema_of_key(key));
		if (key->required)
			json_array_append_new(required, json_string(key->name));
	}
	schema = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties, "additionalProperties", false);
	if (json_array_size(required) > 0)
		json_object_set(schema, "required", required);
	json_decref(required);
	return schema;
}

static json_t *schema_of_tables(void)
{
	json_t *schema = json_pack("{s:s,s:s,s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
				   "muster.json", "description", "The configuration of musterd, see muster.json(5)");
	json_t *root = schema_of_object(muster__config_grammar());

	json_object_update(schema, root);
	json_decref(root);
	return schema;
}

/* ---- checking against a schema: the part of the language that is used above */

static bool is_valid(const json_t *schema, const json_t *value);

static bool has_type(const char *type, const json_t *value)
{
	return type == NULL || (strcmp(type, "object") == 0 && json_is_object(value)) ||
	       (strcmp(type, "array") == 0 && json_is_array(value)) ||
	       (strcmp(type, "string") == 0 && json_is_string(value)) ||
	       (strcmp(type, "integer") == 0 && json_is_integer(value)) ||
	       (strcmp(type, "boolean") == 0 && json_is_boolean(value));
}

static bool is_one_of(const json_t *values, const json_t *value)
{
	const json_t *each;
	size_t i;

	json_array_foreach(values, i, each) if (json_equal(each, value)) return true;
	return values == NULL;
}

static bool is_valid_for_any(const json_t *schemas, const json_t *value)
{
	const json_t *each;
	size_t i;

	json_array_foreach(schemas, i, each) if (is_valid(each, value)) return true;
	return schemas == NULL;
}

static bool matches(const char *pattern, const json_t *value)
{
	regex_t regex;
	bool does;

	if (pattern == NULL)
		return true;
	ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	does = regexec(&regex, json_string_value(value), 0, NULL, 0) == 0;
	regfree(&regex);
	return does;
}

static json_int_t bound(const json_t *schema, const char *name, json_int_t otherwise)
{
	const json_t *value = json_object_get(schema, name);

	return value != NULL ? json_integer_value(value) : otherwise;
}

static bool has_valid_members(const json_t *schema, const json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties"), *each, *own;
	const json_t *others = json_object_get(schema, "additionalProperties"), *required;
	const char *name;
	size_t i;

	json_object_foreach((json_t *)value, name, each)
	{
		own = json_object_get(properties, name);
		own = own != NULL ? own : others;
		if (json_is_false(own) || (own != NULL && !is_valid(own, each)))
			return false;
	}
	json_array_foreach(json_object_get(schema, "required"), i,
			   required) if (json_object_get(value, json_string_value(required)) == NULL) return false;
	return (json_int_t)json_object_size(value) >= bound(schema, "minProperties", 0);
}

static bool has_valid_items(const json_t *schema, const json_t *value)
{
	const json_t *items = json_object_get(schema, "items"), *each;
	size_t i;

	json_array_foreach(value, i, each) if (!is_valid(items, each)) return false;
	return (json_int_t)json_array_size(value) >= bound(schema, "minItems", 0);
}

static bool is_valid(const json_t *schema, const json_t *value)
{
	const json_t *fixed = json_object_get(schema, "const");

	if (!has_type(json_string_value(json_object_get(schema, "type")), value) ||
	    !is_one_of(json_object_get(schema, "enum"), value) ||
	    !is_valid_for_any(json_object_get(schema, "anyOf"), value) || (fixed != NULL && !json_equal(fixed, value)))
		return false;
	if (json_is_integer(value))
		return json_integer_value(value) >= bound(schema, "minimum", INT64_MIN) &&
		       json_integer_value(value) <= bound(schema, "maximum", INT64_MAX);
	if (json_is_string(value))
		return (json_int_t)json_string_length(value) >= bound(schema, "minLength", 0) &&
		       matches(json_string_value(json_object_get(schema, "pattern")), value);
	return json_is_object(value) ? has_valid_members(schema, value) :
	       json_is_array(value)  ? has_valid_items(schema, value) :
				       true;
}

/* ---- tests */

static json_t *load(const char *path)
{
	json_error_t error;
	json_t *json = json_load_file(path, 0, &error);

	ck_assert_msg(json != NULL, "%s:%d: %s", path, error.line, error.text);
	return json;
}

START_TEST(the_schema_says_what_the_tables_say)
{
	json_t *file = load(SCHEMA), *tables = schema_of_tables();

	ck_assert_msg(json_equal(file, tables), "conf/muster.schema.json is not what test_schema --print prints");
	json_decref(file);
	json_decref(tables);
}
END_TEST

START_TEST(every_file_that_is_shipped_is_valid_for_schema_and_parser)
{
	static const char *const patterns[] = { TEST_SOURCE_DIR "/conf/*.json", TEST_SOURCE_DIR "/examples/*.json" };
	struct muster__config_errors errors;
	struct muster__config *config;
	json_t *schema = load(SCHEMA), *json;
	glob_t found = { 0 };
	size_t i;

	glob(patterns[0], 0, NULL, &found);
	glob(patterns[1], GLOB_APPEND, NULL, &found);
	ck_assert_uint_ge(found.gl_pathc, 2);
	for (i = 0; i < found.gl_pathc; i++) {
		if (strcmp(found.gl_pathv[i], SCHEMA) == 0)
			continue;
		json = load(found.gl_pathv[i]);
		ck_assert_msg(is_valid(schema, json), "%s is not valid", found.gl_pathv[i]);
		ck_assert_msg(muster__config_load(&config, found.gl_pathv[i], &errors) == 0, "%s",
			      errors.count > 0 ? errors.lines[0] : "");
		muster__config_free(config);
		muster__config_errors_clear(&errors);
		json_decref(json);
	}
	globfree(&found);
	json_decref(schema);
}
END_TEST

static const char minimal[] = "{\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"a\"]}}}";

static const struct {
	const char *path, *value; /* of a key in the first application, or at the top */
} invalid[] = {
	{ NULL, "{}" },
	{ NULL, "[]" },
	{ "workers", "0" },
	{ "workers", "513" },
	{ "workers", "\"many\"" },
	{ "log", "{\"level\":\"loud\"}" },
	{ "log", "{\"levle\":\"info\"}" },
	{ "control", "{\"mode\":\"0999\"}" },
	{ "control", "{\"path\":\"\"}" },
	{ "listeners", "[{\"port\":1}]" },
	{ "listeners", "[{\"port\":65536,\"application\":\"a\"}]" },
	{ "listeners", "[{\"port\":1,\"no_delay\":1,\"application\":\"a\"}]" },
	{ "applications", "{}" },
	{ "applications", "{\"a\":{\"exec\":[]}}" },
	{ "pid_file", "7" },
};

START_TEST(the_schema_refuses_what_is_wrong)
{
	json_t *schema = load(SCHEMA), *json = json_loads(minimal, 0, NULL);

	ck_assert(is_valid(schema, json));
	if (invalid[_i].path != NULL) {
		json_object_set_new(json, invalid[_i].path, json_loads(invalid[_i].value, JSON_DECODE_ANY, NULL));
	} else {
		json_decref(json);
		json = json_loads(invalid[_i].value, 0, NULL);
	}
	ck_assert(!is_valid(schema, json));
	json_decref(json);
	json_decref(schema);
}
END_TEST

static void check_manual(const struct muster__grammar *object, const char *manual)
{
	char item[80];

	for (const struct muster__key *key = object->keys; key < object->keys + object->count; key++) {
		snprintf(item, sizeof item, "\n.It Cm %s\n", key->name);
		ck_assert_msg(strstr(manual, item) != NULL, "docs/muster.json.5 does not tell of %s", key->name);
		if (key->object)
			check_manual(key->object, manual);
	}
}

START_TEST(the_manual_tells_of_every_key)
{
	FILE *stream = fopen(MANUAL, "re");
	char *text = NULL;
	size_t room = 0;

	ck_assert_ptr_nonnull(stream);
	ck_assert(getdelim(&text, &room, '\0', stream) > 0);
	fclose(stream);
	check_manual(muster__config_grammar(), text);
	free(text);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("schema");
	TCase *tcase = add_case(suite, "schema");

	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		json_dumpf(schema_of_tables(), stdout, JSON_INDENT(2));
		putchar('\n');
		return 0;
	}
	tcase_add_test(tcase, the_schema_says_what_the_tables_say);
	tcase_add_test(tcase, every_file_that_is_shipped_is_valid_for_schema_and_parser);
	tcase_add_loop_test(tcase, the_schema_refuses_what_is_wrong, 0, (int)(sizeof invalid / sizeof *invalid));
	tcase_add_test(tcase, the_manual_tells_of_every_key);
	return run_suite(suite);
}
