/*
 * src/visitors.h - how many connections each address has open, and how fast it makes them: two tables of fixed size, in memory
 * that several processes may share.
 */
#ifndef SRC_VISITORS_H
#define SRC_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct muster__visitors_area;

/* One process's view of an area. */
struct muster__visitors {
	struct muster__visitors_area *area;
	unsigned own; /* its place among those that count there */
};

/* The size of an area for so many processes, where pages nobody touches cost nothing. */
size_t muster__visitors_size(unsigned processes);
/* Memory, aligned to 64, becomes an empty area for so many processes. One that is shared has to be zeros already. */
void muster__visitors_init(struct muster__visitors_area *area, unsigned processes);
void muster__visitors_seed(struct muster__visitors_area *area);
/* A process is gone, and with it its connections. */
void muster__visitors_forget(struct muster__visitors_area *area, unsigned process);

/*
 * What an address is known by, never 0: one of IPv6 by its first 64 bits, which is what one customer has; IPv4 in IPv6 is IPv4.
 * What has no address (a path) gives 0. `room` keeps apart what is counted apart.
 */
uint64_t muster__visitors_key(const struct muster__visitors *visitors, const struct sockaddr *address, unsigned room);

/* One connection more, unless there are `max` over all processes. `leave` takes back what returned true. */
bool muster__visitors_enter(const struct muster__visitors *visitors, uint64_t key, unsigned max);
void muster__visitors_leave(const struct muster__visitors *visitors, uint64_t key);

/* May one more begin now? So many in a second, and up to `burst` at once. `now_us` is of a clock that all processes share. */
bool muster__visitors_may_begin(const struct muster__visitors *visitors, uint64_t key, unsigned rate, unsigned burst,
				uint64_t now_us);

#endif
