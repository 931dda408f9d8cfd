/* bench/server.h - a server while it runs: how it is started and ended. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "bench/subject.h"
#include "bench/tree.h"

struct server {
	const struct subject *subject;
	pid_t pid;
	uint16_t port;
	struct tree tree; /* as it was when it was ready */
};

/*
 * Start a server and wait until all its workers are there and it has echoed a message. 0 or a negative error; nothing
 * is left running then. It ends with the driver, however that ends.
 */
int server_start(struct server *server, const struct subject *subject, const struct launch *launch);

/* End it and everything that it started, by force if it takes longer than a few seconds. */
void server_stop(struct server *server);

#endif
