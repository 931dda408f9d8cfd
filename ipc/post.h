/* ipc/post.h - users' messages: to a line and its descriptor, and back. */
#ifndef IPC_POST_H
#define IPC_POST_H

#include "ipc/channel.h"

#include <muster/channel.h>

/* The body of every muster_x_send: see there for the errors. */
int muster__post_send(struct muster__channel *wire, const struct muster_message *message, size_t size);

/* A line of a user's as a message; it has the descriptor now, *fd is -1. */
struct muster_message muster__post_received(const struct muster__line *line, int *fd);

/* What was not taken is closed. */
void muster__post_done(struct muster_message *message);

#endif
