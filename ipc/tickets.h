/* ipc/tickets.h - numbers of the handles that were sent and not answered: an answer carries none, but comes in order. */
#ifndef IPC_TICKETS_H
#define IPC_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

/* A ring, oldest first. Zero-initialised. */
struct muster__tickets {
	uint64_t *ring;
	unsigned size, first, count;
};

/* Room for one more, made before a handle is sent so that sending cannot be half done. -ENOMEM. */
int muster__tickets_reserve(struct muster__tickets *tickets);
void muster__tickets_push(struct muster__tickets *tickets, uint64_t ticket);
/* The oldest; false if there is none. */
bool muster__tickets_pop(struct muster__tickets *tickets, uint64_t *ticket);
void muster__tickets_clear(struct muster__tickets *tickets);

#endif
