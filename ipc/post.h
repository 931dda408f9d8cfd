/* ipc/post.h - users' messages: to a line and its descriptor, and back. */
#ifndef IPC_POST_H
#define IPC_POST_H

#include "ipc/channel.h"

#include <muster/channel.h>

/* The body of every muster_x_send: see there for the errors. */
int muster__post_send(struct muster__channel *wire, const struct muster_message *message, size_t size);

/* A message on its way to its handlers, and where it came from. */
struct muster__post {
	struct muster_message message;
	struct muster__channel *wire;
	const struct muster__line *line;
};

/* A line of a user's as a message; it has the descriptor now, *fd is -1. */
void muster__post_receive(struct muster__post *post, struct muster__channel *wire, const struct muster__line *line,
			  int *fd);

/* What was not taken is closed. */
void muster__post_done(struct muster__post *post);

#endif
