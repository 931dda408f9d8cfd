/* worker/listen.h - listening in a worker: ask the primary, take what it passes. */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include "ipc/message.h"
#include "src/listener.h"

struct muster__self;

/* For the loop of a worker; their data is the struct muster__self. */
extern const struct muster__listen_ops muster__listen_far;
extern const struct muster__count_ops muster__count_in_slot;

/* A connection was handed over; *fd is taken if it is adopted. */
void muster__far_newconn(struct muster__self *self, const struct muster__line *line, int *fd);

/* The primary answered a query; *fd is the shared listener, taken if it is used. False: no query of ours. */
bool muster__far_reply(struct muster__self *self, const struct muster__line *line, int *fd);

/* The channel is gone: forget all, the servers are closed already. */
void muster__far_free(struct muster__self *self);

#endif
