/* bench/streams.h - load made of lasting connections: bytes go to and fro on them within a window. */
#ifndef BENCH_STREAMS_H
#define BENCH_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

enum { STREAMS_SETS_MAX = 16 };

struct stream;

/* A set of connections and what one thread needs to serve them. */
struct streams {
	struct stream *list;
	char *buffer;
	int count;
	int epoll;
	uint64_t sent; /* by all, since the run began */
	uint64_t received;
};

struct streams_plan {
	uint64_t message; /* bytes sent at least at a time, unless the socket takes fewer */
	uint64_t window;  /* bytes on their way per connection; equal to `message`: ping-pong */
	uint64_t total;   /* bytes over all connections of one set; a multiple of `message` */
	bool verify;      /* compare what comes back */
	int seconds;      /* give up after */
};

/*
 * Open `count` connections, each proved by one message that came back, so all have been accepted when this returns.
 * 0 or a negative error; to be closed in either case.
 */
int streams_open(struct streams *streams, uint16_t port, int count);

/*
 * Send and receive `total` bytes on each of `count` sets of connections, every set in a thread of its own. 0 and the
 * time it took until the last had ended, or a negative error.
 */
int streams_run(struct streams *sets, int count, const struct streams_plan *plan, double *seconds);

void streams_close(struct streams *streams);

#endif
