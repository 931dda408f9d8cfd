/* A message owns its descriptor: what nobody takes is closed, on both sides. */
#include "ipc/post.h"

#include "src/encoding.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/proxy_protocol.h"
#include "src/sized.h"
#include "src/socket_state.h"
#include "src/unread.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <jansson.h>
#include <muster/server.h>
#include <muster/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sending */

static const char *const wire_types[] = {
	[MUSTER_HANDLE_SOCKET] = "net.Socket",
	[MUSTER_HANDLE_FD] = "net.Native",
	[MUSTER_HANDLE_SERVER] = "net.Server",
};

#define UNREAD_MAX ((size_t)4 * 1024 * 1024)

/* A line in the making. */
struct draft {
	char *line;
	size_t length;
	/* What the socket takes along to one of us, in base64; or NULL: bytes that were read, addresses that a proxy told. */
	char *unread, *ends;
	size_t unread_length, ends_length;
	struct muster__sent_list *list; /* of the server that the socket belongs to; or NULL */
};

static void add(struct draft *draft, const char *text, size_t length)
{
	memcpy(draft->line + draft->length, text, length);
	draft->length += length;
}

#define ADD(draft, word) add(draft, word, sizeof(word) - 1)

/* What Node does not look at. */
static void add_ours(struct draft *draft)
{
	ADD(draft, ",\"muster\":{");
	if (draft->unread != NULL) {
		ADD(draft, "\"unread\":\"");
		add(draft, draft->unread, draft->unread_length);
		ADD(draft, "\"");
	}
	if (draft->unread != NULL && draft->ends != NULL)
		ADD(draft, ",");
	if (draft->ends != NULL) {
		ADD(draft, "\"ends\":\"");
		add(draft, draft->ends, draft->ends_length);
		ADD(draft, "\"");
	}
	ADD(draft, "}");
}

/* ... with a handle: its body in Node's wrapping. */
static void wrap(struct draft *draft, enum muster_handle_type type, const char *text, size_t size)
{
	draft->length =
		(size_t)sprintf(draft->line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s\",\"msg\":", wire_types[type]);
	add(draft, text, size);
	if (draft->list != NULL)
		draft->length += (size_t)sprintf(draft->line + draft->length, ",\"key\":\"%s\"",
						 muster__sent_list_key(draft->list));
	if (draft->unread != NULL || draft->ends != NULL)
		add_ours(draft);
	ADD(draft, "}");
}

/* One line of JSON, wrapped if a handle travels with it. */
static int make_line(const struct muster_message *message, struct draft *draft)
{
	char *body = message->json != NULL ? json_dumps(message->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	const char *text = body != NULL ? body : message->text;
	size_t size = body != NULL ? strlen(body) : message->length;
	int err = text == NULL || size == 0 || memchr(text, '\n', size) != NULL ? -EINVAL : 0;

	draft->line =
		err == 0 ? malloc(size + draft->unread_length + draft->ends_length + MUSTER__SENT_KEY_MAX + 160) : NULL;
	if (err == 0 && draft->line == NULL)
		err = -ENOMEM;
	if (err == 0 && message->handle_type != MUSTER_HANDLE_NONE) {
		wrap(draft, message->handle_type, text, size);
	} else if (err == 0) {
		add(draft, text, size);
	}
	if (err == 0)
		draft->line[draft->length++] = '\n';
	free(body);
	return err;
}

static int duplicate(int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? MUSTER_EHANDLETYPE : copy < 0 ? -errno : copy;
}

/* What waits to be read again is on the line already. */
static int take_descriptor(struct muster_socket *socket)
{
	struct evbuffer *unread = muster__unread_take(socket);
	int fd = muster_socket_take_fd(socket);

	if (unread != NULL && fd < 0)
		muster__unread_put_back(socket, unread);
	else if (unread != NULL)
		evbuffer_free(unread);
	return fd;
}

static int descriptor_of_socket(struct muster_socket *socket, bool keep_open)
{
	return keep_open || muster_socket_fd(socket) < 0 ? duplicate(muster_socket_fd(socket)) :
							   take_descriptor(socket);
}

/* The descriptor that travels, given away; negative: why it cannot. */
static int descriptor_of(const struct muster_message *message)
{
	switch (message->handle_type) {
	case MUSTER_HANDLE_SOCKET: return descriptor_of_socket(message->handle.socket, message->keep_open);
	case MUSTER_HANDLE_SERVER: return duplicate(muster_server_fd(message->handle.server));
	default: return message->handle.fd >= 0 ? message->handle.fd : -EINVAL;
	}
}

static int send_draft(struct muster__channel *wire, const struct muster_message *message, const struct draft *draft)
{
	struct muster__sent sent = { message->on_sent, message->data };
	int fd, err;

	if (message->handle_type == MUSTER_HANDLE_NONE)
		return muster__channel_print_then(wire, draft->line, draft->length, &sent);
	/* An object is touched only if the channel will have its descriptor. */
	err = message->handle_type != MUSTER_HANDLE_FD ? muster__channel_reserve(wire, draft->length) : 0;
	if (err < 0)
		return err;
	fd = descriptor_of(message);
	if (fd < 0)
		return fd;
	err = muster__channel_give_surely(wire, draft->line, draft->length, fd, &sent);
	if (err == 0 && draft->list != NULL)
		muster__sent_list_add(draft->list, message->keep_open ? message->handle.socket : NULL);
	return err;
}

/* A connection of a server: who gets it is asked how many it has. */
static int find_list(struct muster__channel *wire, const struct muster_message *message, struct draft *draft)
{
	const struct muster_socket *socket = message->handle.socket;

	if (message->handle_type != MUSTER_HANDLE_SOCKET || socket->owner == NULL || socket->owner->census == NULL ||
	    !muster__channel_is_connected(wire) || socket->object.loop != wire->loop)
		return 0;
	draft->list = muster__sent_list_for(&wire->sockets, socket->owner->census);
	return draft->list != NULL ? 0 : -ENOMEM;
}

/* A descriptor is consumed in every case, also when the message itself is refused. */
static int refuse(struct muster_message *message, int err)
{
	if (message->handle_type == MUSTER_HANDLE_FD)
		muster__fd_close(&message->handle.fd);
	return err;
}

/*
 * Bytes that were read and not used up go with the socket: to Node they would be lost, so it does not get it. One that stays
 * open keeps them.
 */
static int find_unread(struct muster__channel *wire, const struct muster_message *message, struct draft *draft)
{
	const char *unread = NULL;
	size_t length = 0;
	int err = 0;

	if (message->handle_type == MUSTER_HANDLE_SOCKET && !message->keep_open)
		err = muster__unread_peek(message->handle.socket, &unread, &length);
	if (err < 0 || unread == NULL)
		return err;
	if (!wire->is_muster)
		return -ENOTSUP;
	if (length > UNREAD_MAX)
		return -EMSGSIZE;
	draft->unread = muster__text_of(MUSTER_ENCODING_BASE64, unread, length, &draft->unread_length);
	return draft->unread != NULL ? 0 : -ENOMEM;
}

/* To Node they are lost: it has no place for them. */
static int find_ends(const struct muster__channel *wire, const struct muster_message *message, struct draft *draft)
{
	char header[MUSTER__PROXY_WRITTEN_MAX];
	size_t length = 0;

	if (message->handle_type == MUSTER_HANDLE_SOCKET && wire->is_muster)
		length = muster__socket_write_ends(message->handle.socket, header);
	if (length == 0)
		return 0;
	draft->ends = muster__text_of(MUSTER_ENCODING_BASE64, header, length, &draft->ends_length);
	return draft->ends != NULL ? 0 : -ENOMEM;
}

/* What the library itself has to say is not held up by a limit of the user's. */
static int check_room(const struct muster__channel *wire, const struct draft *draft)
{
	return wire->max_queued != 0 && wire->queued + draft->length > wire->max_queued ? -ENOBUFS : 0;
}

int muster__post_send(struct muster__channel *wire, const struct muster_message *message, size_t size)
{
	struct draft draft = { 0 };
	struct muster_message mine;
	int err = muster__sized_copy(&mine, sizeof mine, message, size);

	if (err < 0)
		return err;
	if ((unsigned)mine.handle_type > MUSTER_HANDLE_SERVER)
		return MUSTER_EHANDLETYPE;
	err = find_unread(wire, &mine, &draft);
	if (err == 0)
		err = find_ends(wire, &mine, &draft);
	if (err == 0)
		err = find_list(wire, &mine, &draft);
	if (err == 0)
		err = make_line(&mine, &draft);
	if (err == 0)
		err = check_room(wire, &draft);
	err = err == 0 ? send_draft(wire, &mine, &draft) : refuse(&mine, err);
	if (draft.list != NULL)
		muster__sent_list_settle(draft.list);
	free(draft.line);
	free(draft.unread);
	free(draft.ends);
	return err;
}

/* ---- receiving */

void muster__post_receive(struct muster__post *post, struct muster__channel *wire, const struct muster__line *line,
			  int *fd)
{
	*post = (struct muster__post){ .wire = wire, .line = line };
	post->message = (struct muster_message){
		.json = line->json,
		.text = line->text,
		.length = line->length,
		.handle_type = *fd >= 0 ? line->handle_type : MUSTER_HANDLE_NONE,
		.handle.fd = *fd,
		.post = post,
	};
	*fd = -1;
}

void muster__post_done(struct muster__post *post)
{
	if (post->message.handle_type != MUSTER_HANDLE_NONE)
		muster__fd_close(&post->message.handle.fd);
}

int muster_message_take_fd(struct muster_message *message)
{
	int fd = message->handle_type != MUSTER_HANDLE_NONE ? message->handle.fd : -1;

	if (fd < 0)
		return -ENOENT;
	message->handle.fd = -1;
	return fd;
}

/* On another loop, which may be another thread's, it cannot be counted. */
static void count(const struct muster__post *post, struct muster_socket *socket)
{
	struct muster__channel *wire = post->wire;

	if (post->line->key != NULL && muster__channel_is_connected(wire) && socket->object.loop == wire->loop)
		muster__socket_lists_got(&wire->sockets, post->line->key, post->line->key_length, socket);
}

static int give_unread(const struct muster__line *line, struct muster_socket *socket)
{
	size_t length;
	void *bytes;
	int err;

	if (line->unread == NULL)
		return 0;
	err = muster__encode(MUSTER_ENCODING_BASE64, line->unread, line->unread_length, &bytes, &length);
	if (err < 0)
		return err;
	err = muster_socket_unshift(socket, bytes, length);
	free(bytes);
	return err;
}

/* Without them it would pass for the proxy. */
static int give_ends(const struct muster__line *line, struct muster_socket *socket)
{
	struct muster__proxy proxy;
	size_t length;
	void *bytes;
	int err;

	if (line->ends == NULL)
		return 0;
	err = muster__encode(MUSTER_ENCODING_BASE64, line->ends, line->ends_length, &bytes, &length);
	if (err < 0)
		return err;
	err = muster__proxy_parse(&proxy, bytes, length);
	free(bytes);
	if (err < 0 || !proxy.has_ends)
		return -EBADMSG;
	return muster__socket_set_ends(socket, &proxy);
}

struct muster_socket *muster_message_take_socket(struct muster_message *message, struct muster_loop *loop)
{
	int fd = muster_message_take_fd(message);
	struct muster_socket *socket = fd < 0 ? muster__no_object(fd) : muster_socket_open(loop, fd, NULL);
	int err;

	if (socket == NULL || message->post == NULL)
		return socket;
	count(message->post, socket);
	err = give_ends(message->post->line, socket);
	if (err == 0)
		err = give_unread(message->post->line, socket);
	if (err == 0)
		return socket;
	muster_socket_destroy(socket, 0);
	return muster__no_object(err);
}

struct muster_server *muster_message_take_server(struct muster_message *message, struct muster_loop *loop)
{
	int fd = muster_message_take_fd(message), err;
	struct muster_server *server = fd < 0 ? NULL : muster_server_new(loop, NULL);

	if (server == NULL) {
		err = fd < 0 ? fd : muster_last_error();
		muster__fd_close(&fd);
		return muster__no_object(err);
	}
	err = muster_server_listen_fd(server, fd, 0);
	if (err == 0)
		return server;
	muster_server_destroy(server);
	return muster__no_object(err);
}
