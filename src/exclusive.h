/* src/exclusive.h - one wake-up per connection on a listening socket that several processes share. */
#ifndef SRC_EXCLUSIVE_H
#define SRC_EXCLUSIVE_H

#include <stdbool.h>

struct muster_loop;

/*
 * Turn the watch that libevent has on `fd` (one event, level-triggered, just added) into an exclusive one. False if that
 * is not possible; the plain watch is then left as it was.
 */
bool muster__exclusive_plant(struct muster_loop *loop, int fd);

/* Move this process to the tail of the kernel's queue of waiters; without it one process gets nearly all connections. */
void muster__exclusive_rotate(struct muster_loop *loop, int fd);

#endif
