/* ipc/endpoint.h - struct muster_channel: a channel as its users see it, whoever owns it. */
#ifndef IPC_ENDPOINT_H
#define IPC_ENDPOINT_H

#include "ipc/channel.h"
#include "src/handlers.h"
#include "src/lifecycle.h"

#include <muster/channel.h>

struct muster_channel {
	struct muster__object *object; /* lives as long as this, and keeps the loop running */
	struct muster__channel *wire;
	struct muster__listeners on;
	void (*heard_changed)(struct muster_channel *channel); /* tables came or went; or NULL */
};

void muster__endpoint_init(struct muster_channel *endpoint, struct muster__object *object,
			   struct muster__channel *wire);

/* Does anybody wait for messages, or for its end? */
bool muster__endpoint_is_heard(const struct muster_channel *endpoint);

void muster__endpoint_message(struct muster_channel *endpoint, struct muster_message *message);
void muster__endpoint_drained(struct muster_channel *endpoint);
void muster__endpoint_disconnected(struct muster_channel *endpoint);

#endif
