/*
 * Node's protocol for it: a connection goes with the key of its server. The sender asks by that key how many are open on the
 * other side, and to be told when none is; a key that means nothing here is answered as well, with none, since a sender that
 * is not answered could never close its server.
 */
#include "ipc/socket_list.h"

#include "ipc/message.h"
#include "src/census.h"
#include "src/socket.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What went out. */
struct muster__sent_list {
	struct muster__away away;
	LIST_ENTRY(muster__sent_list) link;
	struct muster__socket_lists *lists;
	unsigned count; /* ever sent */
	char key[MUSTER__SENT_KEY_MAX];
};

/* What came in, and is still open. */
struct muster__got_list {
	struct muster__owner owner;
	LIST_ENTRY(muster__got_list) link;
	struct muster__socket_lists *lists;
	unsigned count;
	unsigned notices; /* to be told when it becomes 0 */
	size_t key_length;
	char key[];
};

void muster__socket_lists_init(struct muster__socket_lists *lists, struct muster_loop *loop,
			       void (*say)(struct muster__socket_lists *lists, const char *text, size_t length))
{
	*lists = (struct muster__socket_lists){ .loop = loop, .say = say };
}

/* ---- lines */

/* `count` not negative: with it. */
static void say(struct muster__socket_lists *lists, const char *cmd, const char *key, size_t length, long count)
{
	json_t *json = json_pack("{s:s,s:s%}", "cmd", cmd, "key", key, length);
	char *text;

	if (count >= 0)
		json_object_set_new(json, "count", json_integer(count));
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		return;
	length = strlen(text);
	text[length] = '\n'; /* in the place of its NUL */
	lists->say(lists, text, length + 1);
	free(text);
}

/* ---- what went out */

static struct muster__sent_list *sent_of(struct muster__away *away)
{
	return MUSTER__CONTAINER(away, struct muster__sent_list, away);
}

static void sent_ask(struct muster__away *away)
{
	const struct muster__sent_list *list = sent_of(away);

	say(list->lists, "NODE_SOCKET_GET_COUNT", list->key, strlen(list->key), -1);
}

static void sent_notify(struct muster__away *away)
{
	const struct muster__sent_list *list = sent_of(away);

	say(list->lists, "NODE_SOCKET_NOTIFY_CLOSE", list->key, strlen(list->key), -1);
}

static void sent_release(struct muster__away *away)
{
	struct muster__sent_list *list = sent_of(away);

	LIST_REMOVE(list, link);
	free(list);
}

static const struct muster__away_ops away_ops = { sent_ask, sent_notify, sent_release };

/* A path may have characters that JSON writes otherwise; the key is only to be told from others. */
static void make_plain(char *name)
{
	for (; *name != '\0'; name++)
		if (*name < ' ' || *name > '~' || *name == '"' || *name == '\\')
			*name = '_';
}

/* Two servers may have the same name, at port 0 or by a duplicate; their connections are not counted together. */
static struct muster__sent_list *sent_new(struct muster__socket_lists *lists, struct muster__census *census)
{
	struct muster__sent_list *list = calloc(1, sizeof *list);
	char name[160];

	if (list == NULL)
		return NULL;
	list->lists = lists;
	census->ops->name(census, name, sizeof name);
	make_plain(name);
	snprintf(list->key, sizeof list->key, "%s:%u", name, lists->next++);
	LIST_INSERT_HEAD(&lists->sent, list, link);
	muster__away_join(&list->away, census, &away_ops);
	return list;
}

struct muster__sent_list *muster__sent_list_for(struct muster__socket_lists *lists, struct muster__census *census)
{
	struct muster__sent_list *list;

	LIST_FOREACH(list, &lists->sent, link)
	if (list->away.census == census)
		return list;
	return sent_new(lists, census);
}

const char *muster__sent_list_key(const struct muster__sent_list *list)
{
	return list->key;
}

void muster__sent_list_add(struct muster__sent_list *list, const struct muster_socket *kept)
{
	list->count++;
	muster__away_sent(&list->away, kept);
}

void muster__sent_list_settle(struct muster__sent_list *list)
{
	if (list->count == 0)
		muster__away_leave(&list->away);
}

static struct muster__sent_list *sent_by_key(struct muster__socket_lists *lists, const struct muster__line *line)
{
	struct muster__sent_list *list;

	LIST_FOREACH(list, &lists->sent, link)
	if (strlen(list->key) == line->key_length && memcmp(list->key, line->key, line->key_length) == 0)
		return list;
	return NULL;
}

/* ---- what came in */

static void got_free(struct muster__got_list *list)
{
	LIST_REMOVE(list, link);
	free(list);
}

static void tell_empty(struct muster__got_list *list)
{
	for (; list->notices > 0; list->notices--)
		say(list->lists, "NODE_SOCKET_ALL_CLOSED", list->key, list->key_length, -1);
}

static void got_gone(struct muster__owner *owner, const struct muster_socket *socket)
{
	struct muster__got_list *list = MUSTER__CONTAINER(owner, struct muster__got_list, owner);

	(void)socket;
	if (--list->count > 0)
		return;
	tell_empty(list);
	got_free(list);
}

static struct muster__got_list *got_by_key(struct muster__socket_lists *lists, const char *key, size_t length)
{
	struct muster__got_list *list;

	LIST_FOREACH(list, &lists->got, link)
	if (list->key_length == length && memcmp(list->key, key, length) == 0)
		return list;
	return NULL;
}

static struct muster__got_list *got_new(struct muster__socket_lists *lists, const char *key, size_t length)
{
	struct muster__got_list *list = calloc(1, sizeof *list + length);

	if (list == NULL)
		return NULL;
	list->owner.gone = got_gone;
	list->lists = lists;
	list->key_length = length;
	memcpy(list->key, key, length);
	LIST_INSERT_HEAD(&lists->got, list, link);
	return list;
}

void muster__socket_lists_got(struct muster__socket_lists *lists, const char *key, size_t length,
			      struct muster_socket *socket)
{
	struct muster__got_list *list = got_by_key(lists, key, length);

	if (list == NULL)
		list = got_new(lists, key, length);
	if (list == NULL)
		return;
	list->count++;
	socket->owner = &list->owner;
}

/* ---- questions and answers */

static void on_get_count(struct muster__socket_lists *lists, const struct muster__line *line)
{
	const struct muster__got_list *list = got_by_key(lists, line->key, line->key_length);

	say(lists, "NODE_SOCKET_COUNT", line->key, line->key_length, list != NULL ? (long)list->count : 0);
}

static void on_notify_close(struct muster__socket_lists *lists, const struct muster__line *line)
{
	struct muster__got_list *list = got_by_key(lists, line->key, line->key_length);

	if (list != NULL)
		list->notices++;
	else
		say(lists, "NODE_SOCKET_ALL_CLOSED", line->key, line->key_length, -1);
}

void muster__socket_lists_line(struct muster__socket_lists *lists, const struct muster__line *line)
{
	struct muster__sent_list *list;

	switch (line->act) {
	case MUSTER__ACT_GET_COUNT: on_get_count(lists, line); return;
	case MUSTER__ACT_NOTIFY_CLOSE: on_notify_close(lists, line); return;
	default: break;
	}
	list = sent_by_key(lists, line);
	if (list == NULL)
		return;
	if (line->act == MUSTER__ACT_COUNT)
		muster__away_counted(&list->away, line->count);
	else
		muster__away_emptied(&list->away);
}

void muster__socket_lists_clear(struct muster__socket_lists *lists)
{
	struct muster__got_list *got;

	while (!LIST_EMPTY(&lists->sent))
		muster__away_leave(&LIST_FIRST(&lists->sent)->away);
	/* With its last socket such a list is gone. */
	while ((got = LIST_FIRST(&lists->got)) != NULL) {
		got->notices = 0;
		muster__sockets_leave(lists->loop, &got->owner);
	}
}
