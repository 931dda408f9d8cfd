/* What can be asked of a channel, and what it tells. */
#include "ipc/endpoint.h"

#include "ipc/post.h"

#include <muster/error.h>

void muster__endpoint_init(struct muster_channel *endpoint, struct muster__object *object, struct muster__channel *wire)
{
	*endpoint = (struct muster_channel){ .object = object, .wire = wire };
}

bool muster__endpoint_is_heard(const struct muster_channel *endpoint)
{
	return MUSTER__HAVE(&endpoint->on, struct muster_channel_handlers, on_message) ||
	       MUSTER__HAVE(&endpoint->on, struct muster_channel_handlers, on_disconnect);
}

void muster__endpoint_message(struct muster_channel *endpoint, struct muster_message *message)
{
	MUSTER__EMIT(&endpoint->on, struct muster_channel_handlers, on_message, endpoint, message);
}

void muster__endpoint_drained(struct muster_channel *endpoint)
{
	MUSTER__EMIT(&endpoint->on, struct muster_channel_handlers, on_drain, endpoint);
}

void muster__endpoint_disconnected(struct muster_channel *endpoint)
{
	MUSTER__EMIT(&endpoint->on, struct muster_channel_handlers, on_disconnect, endpoint);
}

static int heard(struct muster_channel *channel, int err)
{
	if (err == 0 && channel->heard_changed != NULL)
		channel->heard_changed(channel);
	return err;
}

int muster_channel_on_sized(struct muster_channel *channel, const struct muster_channel_handlers *handlers, size_t size,
			    void *data)
{
	return heard(channel,
		     muster__listeners_on(channel->object->loop, &channel->on, handlers, size, sizeof *handlers, data));
}

int muster_channel_off_sized(struct muster_channel *channel, const struct muster_channel_handlers *handlers,
			     size_t size, void *data)
{
	return heard(channel, muster__listeners_off(channel->object->loop, &channel->on, handlers, size,
						    sizeof *handlers, data));
}

int muster_channel_send_sized(struct muster_channel *channel, const struct muster_message *message, size_t size)
{
	return muster__post_send(channel->wire, message, size);
}

int muster_channel_disconnect(struct muster_channel *channel)
{
	if (!muster__channel_is_connected(channel->wire))
		return MUSTER_ECHANNEL;
	muster__channel_disconnect(channel->wire);
	return 0;
}

bool muster_channel_is_connected(const struct muster_channel *channel)
{
	return muster__channel_is_connected(channel->wire);
}

bool muster_channel_needs_drain(const struct muster_channel *channel)
{
	return muster__channel_needs_drain(channel->wire);
}

void muster_channel_set_max_queued(struct muster_channel *channel, size_t bytes)
{
	channel->wire->max_queued = bytes;
}

/* As in Node: from then on it is the caller's decision, and no longer follows who listens. */
void muster_channel_ref(struct muster_channel *channel)
{
	channel->heard_changed = NULL;
	muster__object_ref(channel->object);
}

void muster_channel_unref(struct muster_channel *channel)
{
	channel->heard_changed = NULL;
	muster__object_unref(channel->object);
}

struct muster_loop *muster_channel_loop(const struct muster_channel *channel)
{
	return channel->object->loop;
}
