/* src/server.h - net.Server, for the rest of the library. */
#ifndef SRC_SERVER_H
#define SRC_SERVER_H

#include <muster/server.h>

struct muster__listener;

/* muster_server_listen on what is bound already; `listener` is taken in every case, its path with it. */
int muster__server_listen_on(struct muster_server *server, struct muster__listener *listener, int backlog);

/* Call fn for each server of the loop that is listening or about to. fn may close it. */
void muster__servers_each(struct muster_loop *loop, void (*fn)(struct muster_server *server, void *data), void *data);

#endif
