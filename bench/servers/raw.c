/*
 * bench-raw: the limit. What a prefork echo server costs when it is written by hand for that one purpose, on epoll,
 * with a binary channel, no timers, no logs, no errors survived. Others are measured against it. Like them it keeps the
 * promise that a connection is closed by the primary only when a worker has answered for it.
 */
#include "bench/servers/raw.h"

#include "bench/servers/prefork.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int start_hand_over(const struct prefork *prefork, int listener)
{
	int channels[PREFORK_WORKERS_MAX];

	for (int i = 0; i < prefork->workers; i++) {
		struct raw_worker worker = { .listener = -1, .workers = prefork->workers };
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
			return -errno;
		worker.channel = pair[1];
		if (prefork_worker(raw_worker_run, &worker) != 0)
			return -errno;
		close(pair[1]);
		channels[i] = pair[0];
	}
	raw_primary_run(listener, channels, prefork->workers);
	return 0;
}

static int start_shared(const struct prefork *prefork, int listener)
{
	struct raw_worker worker = { .channel = -1, .listener = listener, .workers = prefork->workers };

	for (int i = 0; i < prefork->workers; i++)
		if (prefork_worker(raw_worker_run, &worker) != 0)
			return -errno;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct prefork prefork;
	int listener;

	if (prefork_parse(&prefork, argc, argv) != 0)
		return 2;
	listener = prefork_listen(&prefork);
	if (listener < 0) {
		fprintf(stderr, "bench-raw: listen: %s\n", strerror(-listener));
		return 1;
	}
	return prefork.is_shared ? start_shared(&prefork, listener) : start_hand_over(&prefork, listener);
}
