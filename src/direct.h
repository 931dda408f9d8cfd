/* src/direct.h - listening in this process. */
#ifndef SRC_DIRECT_H
#define SRC_DIRECT_H

#include "src/listener.h"

/* Bind and listen here. */
extern const struct muster__listen_ops muster__listen_direct;

/* How a source here goes about it. Zero is the usual. */
struct muster__accepting {
	int backlog;
	unsigned rotate_every; /* as for an acceptor */
	bool none;             /* others accept on the socket, and this source never does */
};

/* A source that accepts on `listener` here (taken, failure included). */
int muster__source_here(struct muster__sink *sink, struct muster__listener *listener,
			const struct muster__accepting *how, struct muster__source **source);

#endif
