/* src/unread.h - bytes that were read and given back: the next that on_data gets, or that go with a socket that is sent. */
#ifndef SRC_UNREAD_H
#define SRC_UNREAD_H

#include <stddef.h>

struct evbuffer;
struct muster_socket;

/* All that waits, in a bufferevent's input as well: borrowed until the socket is touched. NULL, and 0, if nothing does. -ENOMEM. */
int muster__unread_peek(const struct muster_socket *socket, const char **bytes, size_t *length);

/* It is the caller's: NULL if nothing waits. And the socket's again. */
struct evbuffer *muster__unread_take(struct muster_socket *socket);
void muster__unread_put_back(struct muster_socket *socket, struct evbuffer *unread);

#endif
