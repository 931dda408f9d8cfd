/* src/socket.h - net.Socket, for the rest of the library. */
#ifndef SRC_SOCKET_H
#define SRC_SOCKET_H

#include "src/socket_state.h"

#include <muster/server.h>

/* A connection for `owner`, which is told its end; `fd` is taken in every case. NULL: no memory. */
struct muster_socket *muster__socket_accepted(struct muster_loop *loop, int fd,
					      const struct muster_server_options *options, struct muster__owner *owner,
					      unsigned row);

/* Destroy all sockets of the owner; or, when the loop is freed, only part with it. */
void muster__sockets_destroy(struct muster_loop *loop, struct muster__owner *owner);
void muster__sockets_leave(struct muster_loop *loop, struct muster__owner *owner);

/* muster_socket_destroy_soon for every socket of the loop. */
void muster__sockets_finish(struct muster_loop *loop);

#endif
