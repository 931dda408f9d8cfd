/* bench/connections.h - a closed loop of short connections: connect, send 64 bytes, read them back, close. */
#ifndef BENCH_CONNECTIONS_H
#define BENCH_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connections_plan {
	uint16_t port;
	int in_flight; /* connections open at a time: one that ends is followed by the next */
	long count;    /* connections in all */
	int seconds;   /* give up after */
	bool reset;    /* close with RST */
};

struct connections_result {
	long done;
	long failed; /* refused, reset, or echoed wrongly */
	double seconds;
	double *latencies; /* `done` of them, microseconds from connect to the last byte; new */
};

/*
 * Run the plan to its end. 0, or a negative error: -ETIMEDOUT, -EINTR when the user wants to stop, -EPROTO when too
 * many connections failed. The result holds what was done in either case and must be freed.
 */
int connections_run(const struct connections_plan *plan, struct connections_result *result);

void connections_result_free(struct connections_result *result);

#endif
