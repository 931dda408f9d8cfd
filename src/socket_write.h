/* src/socket_write.h - the outgoing side of a socket, for the rest of it. */
#ifndef SRC_SOCKET_WRITE_H
#define SRC_SOCKET_WRITE_H

#include "src/socket_state.h"

/* The connection is made: send what was queued before. */
void muster__socket_start_writing(struct muster_socket *socket);

/* Something has been sent by somebody else, a bufferevent: completions, and the end if it was asked for. */
void muster__socket_sent(struct muster_socket *socket);

/* Deliver the completions that are due. */
void muster__socket_complete(struct muster_socket *socket);

#endif
