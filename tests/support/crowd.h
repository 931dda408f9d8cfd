/* tests/support/crowd.h - many clients at once, each of which asks an echo once, and an account of how it went. */
#ifndef TESTS_SUPPORT_CROWD_H
#define TESTS_SUPPORT_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct crowd_client;

struct crowd {
	unsigned port;
	unsigned at_once, total;
	/* The account. Each client that has started ends in one of these ways. */
	unsigned started, answered;
	unsigned refused; /* could not connect */
	unsigned failed;  /* connected, and was reset, or ended before the answer was whole */
	/* Its own. */
	struct crowd_client *clients;
	int epoll;
	unsigned ended_before;
	uint64_t last_ms;
};

/* `total` clients in all, `at_once` of them at a time. */
void crowd_begin(struct crowd *crowd, unsigned port, unsigned at_once, unsigned total);

/* Take what has happened. False: all have ended. The test fails if nothing happens for too long: then clients hang. */
bool crowd_turn(struct crowd *crowd);

void crowd_end(struct crowd *crowd);

static inline unsigned crowd_ended(const struct crowd *crowd)
{
	return crowd->answered + crowd->refused + crowd->failed;
}

#endif
