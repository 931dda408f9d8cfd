/* The least a prefork server needs. Nothing is restarted: the driver notices a worker that has died. */
#include "bench/servers/prefork.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *end == '\0' && value >= 1 && value <= max ? value : -1;
}

int prefork_parse(struct prefork *prefork, int argc, char **argv)
{
	long workers = argc == 4 ? number(argv[2], PREFORK_WORKERS_MAX) : -1;
	long port = argc == 4 ? number(argv[3], 65535) : -1;

	if (workers < 0 || port < 0 || (strcmp(argv[1], "hand-over") != 0 && strcmp(argv[1], "shared") != 0)) {
		fprintf(stderr, "usage: %s hand-over|shared WORKERS PORT\n", argv[0]);
		return -EINVAL;
	}
	prefork->is_shared = strcmp(argv[1], "shared") == 0;
	prefork->workers = (int)workers;
	prefork->port = (uint16_t)port;
	return 0;
}

int prefork_listen(const struct prefork *prefork)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(prefork->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -errno;
}

int prefork_worker(void (*work)(void *data), void *data)
{
	pid_t primary = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == primary)
		work(data);
	_exit(1);
}

void prefork_die(const char *call)
{
	fprintf(stderr, "bench server %d: %s: %s\n", (int)getpid(), call, strerror(errno));
	_exit(1);
}
