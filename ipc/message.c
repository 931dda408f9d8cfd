/*
 * Lines of Node's wire. A peer's bytes are gossip: everything is checked here, and nothing here trusts a length, a type or
 * an order. The lines of the hot path (newconn, ACK, accepted) are recognised by the exact shape in which Node and we write
 * them; any other spelling of the same message takes the long way through jansson and means the same.
 */
#include "ipc/message.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#define MAX_NESTING 4 /* NODE_HANDLE in NODE_HANDLE: Node's retransmission wraps twice */

struct cursor {
	const char *at, *end;
};

static bool skip(struct cursor *cursor, const char *word, size_t length)
{
	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

#define SKIP(cursor, word) skip(cursor, word, sizeof(word) - 1)

static bool read_number(struct cursor *cursor, uint64_t *number)
{
	const char *start = cursor->at;

	*number = 0;
	while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && cursor->at - start < 15)
		*number = *number * 10 + (uint64_t)(*cursor->at++ - '0');
	return cursor->at > start && (*start != '0' || cursor->at - start == 1);
}

/* A string up to its closing quote; one that has to be looked at more closely, for an escape or for its UTF-8, is not plain. */
static bool read_plain_string(struct cursor *cursor, const char **text, size_t *length)
{
	const char *at = cursor->at;

	while (at < cursor->end && *at >= ' ' && *at <= '~' && *at != '"' && *at != '\\')
		at++;
	*text = cursor->at;
	*length = (size_t)(at - cursor->at);
	cursor->at = at;
	return at < cursor->end && *at == '"';
}

static bool is_newconn(struct muster__line *line)
{
	struct cursor cursor = { line->text, line->text + line->length };

	if (!SKIP(&cursor, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
			   "\"act\":\"newconn\",\"key\":\""))
		return false;
	if (!read_plain_string(&cursor, &line->key, &line->key_length) || !SKIP(&cursor, "\",\"seq\":") ||
	    !read_number(&cursor, &line->seq) || !SKIP(&cursor, "}}") || cursor.at != cursor.end)
		return false;
	line->kind = MUSTER__LINE_CLUSTER;
	line->act = MUSTER__ACT_NEWCONN;
	line->is_handle = true;
	line->handle_type = MUSTER_HANDLE_FD;
	return true;
}

static bool is_accepted(struct muster__line *line)
{
	struct cursor cursor = { line->text, line->text + line->length };

	if (!SKIP(&cursor, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":") || !read_number(&cursor, &line->ack) ||
	    !SKIP(&cursor, ",\"accepted\":"))
		return false;
	line->accepted = SKIP(&cursor, "true");
	if ((!line->accepted && !SKIP(&cursor, "false")) || !SKIP(&cursor, ",\"seq\":") ||
	    !read_number(&cursor, &line->seq) || !SKIP(&cursor, "}") || cursor.at != cursor.end)
		return false;
	line->kind = MUSTER__LINE_CLUSTER;
	line->has_ack = line->has_accepted = true;
	return true;
}

static bool is_ack(struct muster__line *line)
{
	static const char ack[] = "{\"cmd\":\"NODE_HANDLE_ACK\"}";

	if (line->length != sizeof ack - 1 || memcmp(line->text, ack, line->length) != 0)
		return false;
	line->kind = MUSTER__LINE_ACK;
	return true;
}

/* The shapes share members of the struct; what a near miss has written is taken back. */
static bool decode_by_shape(struct muster__line *line)
{
	struct muster__line blank = { .text = line->text, .length = line->length };

	if (is_ack(line) || is_accepted(line))
		return true;
	*line = blank;
	if (is_newconn(line))
		return true;
	*line = blank;
	return false;
}

static enum muster__act act_of(const json_t *json, bool ours)
{
	static const struct {
		const char *name;
		enum muster__act act;
		bool ours;
	} acts[] = {
		{ "online", MUSTER__ACT_ONLINE, false },
		{ "queryServer", MUSTER__ACT_QUERY, false },
		{ "listening", MUSTER__ACT_LISTENING, false },
		{ "newconn", MUSTER__ACT_NEWCONN, false },
		{ "close", MUSTER__ACT_CLOSE, false },
		{ "disconnect", MUSTER__ACT_DISCONNECT, false },
		{ "exitedAfterDisconnect", MUSTER__ACT_EXITED_AFTER_DISCONNECT, false },
		{ "room", MUSTER__ACT_ROOM, true },
		{ "stop", MUSTER__ACT_STOP, true },
		{ "log", MUSTER__ACT_LOG, true },
		{ "hello", MUSTER__ACT_HELLO, true },
		{ "ready", MUSTER__ACT_READY, true },
	};
	const char *name = json_string_value(json);
	size_t length = json_string_length(json), i;

	for (i = 0; name != NULL && i < sizeof acts / sizeof acts[0]; i++)
		if (acts[i].ours == ours && strlen(acts[i].name) == length && memcmp(acts[i].name, name, length) == 0)
			return acts[i].act;
	return MUSTER__ACT_NONE;
}

static bool read_id(const json_t *json, const char *name, uint64_t *id)
{
	const json_t *value = json_object_get(json, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*id = (uint64_t)json_integer_value(value);
	return true;
}

static void read_key(struct muster__line *line, const json_t *json)
{
	const json_t *key = json_object_get(json, "key");

	line->key = json_string_value(key);
	line->key_length = json_string_length(key);
}

static void read_envelope(struct muster__line *line, bool ours)
{
	const json_t *accepted = json_object_get(line->json, "accepted");

	line->kind = MUSTER__LINE_CLUSTER;
	line->act = act_of(json_object_get(line->json, "act"), ours);
	line->has_ack = read_id(line->json, "ack", &line->ack);
	read_id(line->json, "seq", &line->seq);
	line->has_accepted = json_is_boolean(accepted);
	line->accepted = json_is_true(accepted);
	read_key(line, line->json);
}

/* False if it is none that can be answered. */
static bool read_sockets(struct muster__line *line, const char *cmd)
{
	static const struct {
		const char *cmd;
		enum muster__act act;
	} acts[] = {
		{ "NODE_SOCKET_GET_COUNT", MUSTER__ACT_GET_COUNT },
		{ "NODE_SOCKET_COUNT", MUSTER__ACT_COUNT },
		{ "NODE_SOCKET_NOTIFY_CLOSE", MUSTER__ACT_NOTIFY_CLOSE },
		{ "NODE_SOCKET_ALL_CLOSED", MUSTER__ACT_ALL_CLOSED },
	};
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < sizeof acts / sizeof acts[0] && strcmp(acts[i].cmd, cmd) != 0; i++)
		;
	if (i == sizeof acts / sizeof acts[0])
		return false;
	line->act = acts[i].act;
	if (line->act == MUSTER__ACT_COUNT && (!read_id(line->json, "count", &count) || count > INT_MAX))
		return false;
	line->count = (unsigned)count;
	read_key(line, line->json);
	return line->key != NULL;
}

/* Node's rule: an object whose cmd is a string longer than "NODE_" that begins with it. */
static const char *internal_command(const json_t *json)
{
	const char *cmd = json_string_value(json_object_get(json, "cmd"));

	return cmd != NULL && strncmp(cmd, "NODE_", 5) == 0 && cmd[5] != '\0' ? cmd : NULL;
}

/* What one of us says beside a socket. */
static void read_ours(struct muster__line *line, const json_t *ours)
{
	const json_t *unread = json_object_get(ours, "unread"), *ends = json_object_get(ours, "ends");

	line->unread = json_string_value(unread);
	line->unread_length = json_string_length(unread);
	line->ends = json_string_value(ends);
	line->ends_length = json_string_length(ends);
}

/* The innermost wrapping says it; what is not ours to know is a bare descriptor. */
static enum muster_handle_type handle_type_of(const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "type"));

	if (type != NULL && strcmp(type, "net.Socket") == 0)
		return MUSTER_HANDLE_SOCKET;
	return type != NULL && strcmp(type, "net.Server") == 0 ? MUSTER_HANDLE_SERVER : MUSTER_HANDLE_FD;
}

static void classify(struct muster__line *line)
{
	const char *cmd = internal_command(line->json);
	int nesting;

	for (nesting = 0; cmd != NULL && strcmp(cmd, "NODE_HANDLE") == 0 && nesting < MAX_NESTING; nesting++) {
		line->is_handle = true;
		line->handle_type = handle_type_of(line->json);
		read_key(line, line->json);
		read_ours(line, json_object_get(line->json, "muster"));
		line->json = json_object_get(line->json, "msg");
		cmd = internal_command(line->json);
	}
	if (cmd == NULL)
		line->kind = MUSTER__LINE_USER;
	else if (strcmp(cmd, "NODE_CLUSTER") == 0 || strcmp(cmd, "NODE_MUSTER") == 0)
		read_envelope(line, cmd[5] == 'M');
	else if (strcmp(cmd, "NODE_HANDLE_ACK") == 0)
		line->kind = MUSTER__LINE_ACK;
	else if (strcmp(cmd, "NODE_HANDLE_NACK") == 0)
		line->kind = MUSTER__LINE_NACK;
	else if (read_sockets(line, cmd))
		line->kind = MUSTER__LINE_SOCKETS;
	else
		line->kind = MUSTER__LINE_UNKNOWN;
}

/* jansson refuses some legal JSON (lone surrogates, huge numbers, a NUL in a name). Does the text at least claim to be a handle message? */
static void guess(struct muster__line *line)
{
	static const char handle[] = "{\"cmd\":\"NODE_HANDLE\"";

	line->kind = MUSTER__LINE_USER;
	line->is_handle = line->length >= sizeof handle - 1 && memcmp(line->text, handle, sizeof handle - 1) == 0;
	line->handle_type = line->is_handle ? MUSTER_HANDLE_FD : MUSTER_HANDLE_NONE;
}

static bool is_limit_of_jansson(const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);

	return code == json_error_invalid_utf8 || code == json_error_invalid_syntax ?
		       strstr(error->text, "surrogate") != NULL || strstr(error->text, "Unicode") != NULL :
		       code == json_error_numeric_overflow || code == json_error_stack_overflow ||
			       code == json_error_null_byte_in_key;
}

int muster__line_decode(struct muster__line *line, const char *text, size_t length)
{
	json_error_t error;

	*line = (struct muster__line){ .text = text, .length = length };
	if (decode_by_shape(line))
		return 0;
	line->root = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	line->json = line->root;
	if (line->root != NULL) {
		classify(line);
		return 0;
	}
	guess(line);
	return is_limit_of_jansson(&error) ? 0 : -EBADMSG;
}

void muster__line_clear(struct muster__line *line)
{
	json_decref(line->root);
	line->root = line->json = NULL;
}
