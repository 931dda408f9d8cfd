/* A message owns its descriptor: what nobody takes is closed, on both sides. */
#include "ipc/post.h"

#include "src/error.h"
#include "src/fd.h"
#include "src/sized.h"
#include "src/socket_state.h"

#include <errno.h>
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

/* One line of JSON, wrapped if a handle travels with it. NULL: *err. */
static char *make_line(const struct muster_message *message, size_t *length, int *err)
{
	char *body = message->json != NULL ? json_dumps(message->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	const char *text = body != NULL ? body : message->text;
	size_t size = body != NULL ? strlen(body) : message->length;
	char *line = text != NULL ? malloc(size + 96) : NULL;
	int used = 0;

	*err = text == NULL || size == 0 || memchr(text, '\n', size) != NULL ? -EINVAL : line == NULL ? -ENOMEM : 0;
	if (*err == 0) {
		if (message->handle_type != MUSTER_HANDLE_NONE)
			used = sprintf(line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s\",\"msg\":",
				       wire_types[message->handle_type]);
		memcpy(line + used, text, size);
		*length = (size_t)used + size;
		if (used > 0)
			line[(*length)++] = '}';
		line[(*length)++] = '\n';
	}
	free(body);
	if (*err == 0)
		return line;
	free(line);
	return NULL;
}

static int duplicate(int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? MUSTER_EHANDLETYPE : copy < 0 ? -errno : copy;
}

/* Its server is told before it lets go of it. */
static int descriptor_of_socket(struct muster_socket *socket, bool keep_open)
{
	struct muster__owner *owner = socket->owner;
	int fd = keep_open || muster_socket_fd(socket) < 0 ? duplicate(muster_socket_fd(socket)) :
							     muster_socket_take_fd(socket);

	if (fd >= 0 && owner != NULL)
		owner->sent_away(owner);
	return fd;
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

static int send_line(struct muster__channel *wire, const struct muster_message *message, const char *line,
		     size_t length)
{
	struct muster__sent sent = { message->on_sent, message->data };
	int fd, err;

	if (message->handle_type == MUSTER_HANDLE_NONE)
		return muster__channel_print_then(wire, line, length, &sent);
	/* An object is touched only if the channel will have its descriptor. */
	err = message->handle_type != MUSTER_HANDLE_FD ? muster__channel_reserve(wire, length) : 0;
	if (err < 0)
		return err;
	fd = descriptor_of(message);
	return fd < 0 ? fd : muster__channel_give_then(wire, line, length, fd, 0, &sent);
}

/* A descriptor is consumed in every case, also when the message itself is refused. */
static int refuse(struct muster_message *message, int err)
{
	if (message->handle_type == MUSTER_HANDLE_FD)
		muster__fd_close(&message->handle.fd);
	return err;
}

int muster__post_send(struct muster__channel *wire, const struct muster_message *message, size_t size)
{
	struct muster_message mine;
	size_t length;
	char *line;
	int err = muster__sized_copy(&mine, sizeof mine, message, size);

	if (err < 0)
		return err;
	if ((unsigned)mine.handle_type > MUSTER_HANDLE_SERVER)
		return MUSTER_EHANDLETYPE;
	line = make_line(&mine, &length, &err);
	if (line == NULL)
		return refuse(&mine, err);
	err = send_line(wire, &mine, line, length);
	free(line);
	return err;
}

/* ---- receiving */

struct muster_message muster__post_received(const struct muster__line *line, int *fd)
{
	struct muster_message message = {
		.json = line->json,
		.text = line->text,
		.length = line->length,
		.handle_type = *fd >= 0 ? line->handle_type : MUSTER_HANDLE_NONE,
		.handle.fd = *fd,
	};

	*fd = -1;
	return message;
}

void muster__post_done(struct muster_message *message)
{
	if (message->handle_type != MUSTER_HANDLE_NONE)
		muster__fd_close(&message->handle.fd);
}

int muster_message_take_fd(struct muster_message *message)
{
	int fd = message->handle_type != MUSTER_HANDLE_NONE ? message->handle.fd : -1;

	if (fd < 0)
		return -ENOENT;
	message->handle.fd = -1;
	return fd;
}

struct muster_socket *muster_message_take_socket(struct muster_message *message, struct muster_loop *loop)
{
	int fd = muster_message_take_fd(message);

	return fd < 0 ? muster__no_object(fd) : muster_socket_open(loop, fd, NULL);
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
