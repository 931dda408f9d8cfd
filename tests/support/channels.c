/* What came is kept as text, to be compared in one line. */
#include "tests/support/channels.h"

#include "tests/support/counts.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void keep_words(struct channel_counts *counts, const struct muster_message *message)
{
	char *dump = message->json != NULL ? json_dumps(message->json, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	const char *text = dump != NULL ? dump : message->text;
	size_t length = dump != NULL ? strlen(dump) : message->length, used = strlen(counts->said);

	counts->length = length;
	if (used + length + 2 <= sizeof counts->said)
		snprintf(counts->said + used, sizeof counts->said - used, "%.*s ", (int)length, text);
	free(dump);
}

static void keep_message(struct channel_counts *counts, struct muster_message *message)
{
	keep_words(counts, message);
	counts->texts += message->json == NULL;
	counts->handle_type = message->handle_type;
	if (message->handle_type != MUSTER_HANDLE_NONE) {
		counts->handles++;
		if (counts->keep_fd)
			counts->fd = muster_message_take_fd(message);
	}
	order_add(counts->order, sizeof counts->order, "message");
	counts->message++;
}

static void count_disconnect(struct channel_counts *counts)
{
	order_add(counts->order, sizeof counts->order, "disconnect");
	counts->disconnect++;
}

static void on_message(struct muster_channel *channel, struct muster_message *message, void *data)
{
	(void)channel;
	keep_message(data, message);
}

static void on_disconnect(struct muster_channel *channel, void *data)
{
	ck_assert(!muster_channel_is_connected(channel));
	count_disconnect(data);
}

static void on_drain(struct muster_channel *channel, void *data)
{
	struct channel_counts *counts = data;

	(void)channel;
	order_add(counts->order, sizeof counts->order, "drain");
	counts->drain++;
}

const struct muster_channel_handlers counting_channel = { on_message, on_disconnect, on_drain };

static void on_child_message(struct muster_child *child, struct muster_message *message, void *data)
{
	(void)child;
	keep_message(data, message);
}

static void on_child_disconnect(struct muster_child *child, void *data)
{
	ck_assert(!muster_channel_is_connected(muster_child_channel(child)));
	count_disconnect(data);
}

static void on_child_exit(struct muster_child *child, int code, int signal, void *data)
{
	struct channel_counts *counts = data;

	(void)child;
	counts->code = code;
	counts->signal = signal;
	order_add(counts->order, sizeof counts->order, "exit");
	counts->exit++;
}

const struct muster_child_handlers counting_child = { on_child_message, on_child_disconnect, on_child_exit };

int say(struct muster_channel *channel, const char *json)
{
	return muster_channel_send(channel, &(struct muster_message){ .text = json, .length = strlen(json) });
}

int say_with(struct muster_channel *channel, const char *json, int fd)
{
	struct muster_message message = { .text = json, .length = strlen(json), .handle_type = MUSTER_HANDLE_FD };

	message.handle.fd = fd;
	return muster_channel_send(channel, &message);
}

char *long_string(size_t length)
{
	char *text = malloc(length);

	if (text == NULL)
		abort();
	memset(text, 'x', length);
	text[0] = text[length - 1] = '"';
	return text;
}

void send_back(struct muster_channel *channel, struct muster_message *message, void *data)
{
	struct muster_message answer = { .json = message->json, .text = message->text, .length = message->length };

	(void)data;
	if (message->handle_type != MUSTER_HANDLE_NONE) {
		answer.handle_type = MUSTER_HANDLE_FD;
		answer.handle.fd = muster_message_take_fd(message);
	}
	if (muster_channel_send(channel, &answer) < 0)
		_exit(9);
}
