/* master/respawn.h - whether a worker that has died is replaced, and when: a pure function of how it died. */
#ifndef MASTER_RESPAWN_H
#define MASTER_RESPAWN_H

#include <stdbool.h>

struct muster__respawn_rules {
	unsigned backoff_ms, backoff_max_ms;
	unsigned budget; /* failures in a row; 0: any number */
};

/* What is known of a life that has ended. */
struct muster__death {
	bool listened; /* it had told that it listens */
	bool served;   /* ... and had been given a connection */
	unsigned lived_ms;
};

/*
 * How long to wait before the next fork for this seat; `failures` counts those in a row and is brought up to date. A worker
 * that worked is replaced at once, always: a client that can crash workers must not be able to buy an outage with it. One
 * that only listened is replaced at once too, the first time.
 */
unsigned muster__respawn_delay(const struct muster__respawn_rules *rules, const struct muster__death *death,
			       unsigned *failures);

/* How long to wait after a fork that failed; `refusals` counts those in a row: the machine may have room again soon. */
unsigned muster__respawn_retry(const struct muster__respawn_rules *rules, unsigned *refusals);

/*
 * Is that, after the delay was asked for, one failure too many? Only for one that never listened: whoever listens can be reached by
 * clients, and may have been ended by them.
 */
bool muster__respawn_is_over(const struct muster__respawn_rules *rules, const struct muster__death *death,
			     unsigned failures);

#endif
