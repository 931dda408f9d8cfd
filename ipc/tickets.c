/* Which handle does an ACK answer? */
#include "ipc/tickets.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static int grow(struct muster__tickets *tickets)
{
	unsigned size = tickets->size ? tickets->size * 2 : 16, i;
	uint64_t *ring = malloc(size * sizeof *ring);

	if (ring == NULL)
		return -ENOMEM;
	assert(tickets->size > 0 || tickets->count == 0);
	for (i = 0; i < tickets->count; i++)
		ring[i] = tickets->ring[(tickets->first + i) % tickets->size];
	free(tickets->ring);
	tickets->ring = ring;
	tickets->size = size;
	tickets->first = 0;
	return 0;
}

int muster__tickets_reserve(struct muster__tickets *tickets)
{
	return tickets->count < tickets->size ? 0 : grow(tickets);
}

void muster__tickets_push(struct muster__tickets *tickets, uint64_t ticket)
{
	tickets->ring[(tickets->first + tickets->count++) % tickets->size] = ticket;
}

bool muster__tickets_pop(struct muster__tickets *tickets, uint64_t *ticket)
{
	if (tickets->count == 0)
		return false;
	*ticket = tickets->ring[tickets->first];
	tickets->first = (tickets->first + 1) % tickets->size;
	tickets->count--;
	return true;
}

void muster__tickets_clear(struct muster__tickets *tickets)
{
	free(tickets->ring);
	*tickets = (struct muster__tickets){ 0 };
}
