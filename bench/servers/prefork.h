/* bench/servers/prefork.h - what our own benchmark servers have in common: arguments, the listener, forked workers. */
#ifndef BENCH_SERVERS_PREFORK_H
#define BENCH_SERVERS_PREFORK_H

#include <stdbool.h>
#include <stdint.h>

enum { PREFORK_WORKERS_MAX = 256 };

struct prefork {
	bool is_shared; /* the workers accept; else the primary does, and passes connections on */
	int workers;
	uint16_t port;
};

/* PROGRAM hand-over|shared WORKERS PORT. 0, or -EINVAL, which has been explained on stderr. */
int prefork_parse(struct prefork *prefork, int argc, char **argv);

/* A listening socket on 127.0.0.1, non-blocking, or a negative error. */
int prefork_listen(const struct prefork *prefork);

/* Fork one worker, which runs `work` for ever and dies with the primary. 0 or a negative error. */
int prefork_worker(void (*work)(void *data), void *data);

/* Say what failed, with errno, and end the process. */
void prefork_die(const char *call) __attribute__((noreturn));

#endif
