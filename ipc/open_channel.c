/* A channel of one's own: it ends with its on_disconnect, and is freed then. */
#include "ipc/open_channel.h"

#include "ipc/endpoint.h"
#include "ipc/environment.h"
#include "ipc/post.h"
#include "src/error.h"
#include "src/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct open_channel {
	struct muster__object object;
	struct muster__channel wire;
	struct muster_channel face;
};

static struct open_channel *open_of(struct muster__channel *wire)
{
	return MUSTER__CONTAINER(wire, struct open_channel, wire);
}

static void on_line(struct muster__channel *wire, struct muster__line *line, int *fd)
{
	struct muster__post post;

	/* Messages of clusters mean nothing here. */
	if (line->kind != MUSTER__LINE_USER)
		return;
	muster__post_receive(&post, wire, line, fd);
	muster__endpoint_message(&open_of(wire)->face, &post.message);
	muster__post_done(&post);
}

static void on_drained(struct muster__channel *wire)
{
	muster__endpoint_drained(&open_of(wire)->face);
}

static void on_closed(struct muster__channel *wire)
{
	muster__object_close(&open_of(wire)->object);
}

static const struct muster__channel_ops wire_ops = { on_line, NULL, on_drained, on_closed };

static void channel_turn(struct muster__object *object)
{
	struct open_channel *open = MUSTER__CONTAINER(object, struct open_channel, object);

	if (object->life != MUSTER__CLOSING)
		return;
	muster__endpoint_disconnected(&open->face);
	muster__object_ended(object);
}

static void channel_abandon(struct muster__object *object)
{
	struct open_channel *open = MUSTER__CONTAINER(object, struct open_channel, object);

	muster__channel_flush(&open->wire);
	muster__channel_free(&open->wire);
	muster__endpoint_disconnected(&open->face);
}

static void channel_free(struct muster__object *object)
{
	struct open_channel *open = MUSTER__CONTAINER(object, struct open_channel, object);

	muster__channel_free(&open->wire);
	muster__listeners_clear(&open->face.on);
	free(open);
}

static const struct muster__class channel_class = { "channel", channel_turn, channel_abandon, channel_free };

/* A stream, connected, and over which descriptors can go. */
static int check(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;

	if (muster__fd_check_stream(fd) < 0 || getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
		return -EINVAL;
	return peer.ss_family == AF_UNIX ? 0 : -EINVAL;
}

struct muster_channel *muster_channel_open(struct muster_loop *loop, int fd)
{
	struct open_channel *open;
	int err = check(fd);

	if (err == 0)
		err = loop->freeing ? MUSTER_ECLOSED : muster__fd_prepare(fd);
	open = err == 0 ? calloc(1, sizeof *open) : NULL;
	if (open == NULL) {
		muster__fd_close(&fd);
		return muster__no_object(err < 0 ? err : -ENOMEM);
	}
	muster__object_init(&open->object, loop, &channel_class);
	muster__endpoint_init(&open->face, &open->object, &open->wire);
	if (muster__channel_init(&open->wire, loop, fd, &wire_ops) < 0) {
		muster__object_discard(&open->object);
		return muster__no_object(-ENOMEM);
	}
	muster__object_open(&open->object);
	return &open->face;
}

/* As in Node: a child whose program does not listen to its parent may end. */
static void follow_listeners(struct muster_channel *face)
{
	if (muster__endpoint_is_heard(face))
		muster__object_ref(face->object);
	else
		muster__object_unref(face->object);
}

struct muster_channel *muster__channel_to_parent(struct muster_loop *loop, int fd, bool is_muster)
{
	struct muster_channel *channel = muster_channel_open(loop, fd);

	if (channel == NULL)
		return NULL;
	channel->wire->is_muster = is_muster;
	channel->heard_changed = follow_listeners;
	follow_listeners(channel);
	return channel;
}

struct muster_channel *muster_channel_from_env(struct muster_loop *loop)
{
	static const char hello[] = "{\"cmd\":\"NODE_MUSTER\",\"act\":\"hello\"}\n";
	struct muster_channel *channel;
	int fd, parent;
	int err = muster__environment_take_channel(&fd);
	/* It may have come down from a grandparent, past a parent that knows nothing of us. */
	bool is_muster = muster__environment_take_number("MUSTER_PARENT", &parent) && parent == (int)getppid();

	channel = err < 0 ? muster__no_object(err) : muster__channel_to_parent(loop, fd, is_muster);
	if (channel != NULL && is_muster)
		muster__channel_print(channel->wire, hello, sizeof hello - 1);
	return channel;
}
