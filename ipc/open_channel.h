/* ipc/open_channel.h - a channel that is an object of its own. */
#ifndef IPC_OPEN_CHANNEL_H
#define IPC_OPEN_CHANNEL_H

#include <stdbool.h>

struct muster_channel;
struct muster_loop;

/* As muster_channel_from_env, on a descriptor that is known: taken in every case. Is the parent one of us? */
struct muster_channel *muster__channel_to_parent(struct muster_loop *loop, int fd, bool is_muster);

#endif
