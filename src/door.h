/* src/door.h - the only door into a server: who is let in, who is counted, and who is closed without a word. */
#ifndef SRC_DOOR_H
#define SRC_DOOR_H

#include <stdbool.h>

struct muster__owner;
struct muster__sink;
struct muster_server;
struct muster_socket;

/* Operations of a server's sink. */
void muster__door_adopt(struct muster__sink *sink, int fd);
bool muster__door_takes(const struct muster__sink *sink);
bool muster__door_may_accept(const struct muster__sink *sink);

/* One of its sockets has been destroyed, or sent away. */
void muster__door_gone(struct muster__owner *owner, const struct muster_socket *socket);

/* Close those whose header has not come. */
void muster__door_drop_waiting(struct muster_server *server);

#endif
