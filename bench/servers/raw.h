/* bench/servers/raw.h - the two sides of the hand-written server. */
#ifndef BENCH_SERVERS_RAW_H
#define BENCH_SERVERS_RAW_H

struct raw_worker {
	int channel;  /* -1: the worker accepts */
	int listener; /* -1: connections come over the channel */
	int workers;  /* of the server: how often the listener is added again depends on it */
};

/* Both run for ever. */
void raw_primary_run(int listener, const int *channels, int workers);
void raw_worker_run(void *worker);

#endif
