/* src/server.h - net.Server, for the rest of the library. */
#ifndef SRC_SERVER_H
#define SRC_SERVER_H

#include <muster/server.h>

struct muster__listener;

/* muster_server_listen on what is bound already; `listener` is taken in every case, its path with it. */
int muster__server_listen_on(struct muster_server *server, struct muster__listener *listener, int backlog);

/* Take what is queued for it: it is about to close, and its clients have a connection as far as they know. */
void muster__server_drain(struct muster_server *server);

/* Call fn for each server of the loop that is listening or about to. fn may close it. */
void muster__servers_each(struct muster_loop *loop, void (*fn)(struct muster_server *server, void *data), void *data);

#endif
