/* src/direct.h - listening in this process. */
#ifndef SRC_DIRECT_H
#define SRC_DIRECT_H

#include "src/listener.h"

/* Bind and listen here. */
extern const struct muster__listen_ops muster__listen_direct;

/* A source that accepts on `listener` here (taken, failure included). `rotate_every` as for an acceptor. */
int muster__source_here(struct muster__sink *sink, struct muster__listener *listener, int backlog,
			unsigned rotate_every, struct muster__source **source);

#endif
