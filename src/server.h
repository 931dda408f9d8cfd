/* src/server.h - net.Server, seen from what feeds it and from its sockets. */
#ifndef SRC_SERVER_H
#define SRC_SERVER_H

#include <muster/server.h>

struct muster__listener;
struct muster__source;

/* muster_server_listen on what is bound already; `listener` is taken in every case, its path with it. */
int muster__server_listen_on(struct muster_server *server, struct muster__listener *listener, int backlog);

/* The source is bound: on_listening at the end of the turn. */
void muster__server_ready(struct muster_server *server);

/* The source could not listen: it is closed, and on_error comes at the end of the turn. */
void muster__server_failed(struct muster_server *server, const struct muster_error *error);

/* accept failed; the server goes on. */
void muster__server_accept_failed(struct muster_server *server, int err);

/*
 * The only door through which a connection enters a server, whoever accepted it. Takes `fd` in every case: a socket and
 * on_connection, or, over max_connections, closed and on_drop.
 */
void muster__server_adopt(struct muster_server *server, int fd);

/* Below max_connections, and below the limits of the loop's counting operations. */
bool muster__server_has_room(const struct muster_server *server);

/* May accept at all: limits beyond the server's own hold it back; its own drops instead. */
bool muster__server_may_accept(struct muster_server *server);

/* One of its sockets, counted in `row` when it came, has been destroyed. */
void muster__server_connection_gone(struct muster_server *server, unsigned row);

/* Call fn for each server of the loop that is listening or about to. fn may close it. */
void muster__servers_each(struct muster_loop *loop, void (*fn)(struct muster_server *server, void *data), void *data);

/* What the loop's counting operations are told with each connection from here on: which row of theirs counts it. */
void muster__server_set_row(struct muster_server *server, unsigned row);

#endif
