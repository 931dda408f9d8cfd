/* TCP options, as Node sets them. */
#include "src/tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static bool is_tcp(int fd)
{
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	return domain == AF_INET || domain == AF_INET6;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int muster__tune_no_delay(int fd, bool on)
{
	return is_tcp(fd) ? set(fd, IPPROTO_TCP, TCP_NODELAY, on) : 0;
}

/* Interval and count are Node's. A delay under a second would be refused by the kernel; it becomes one. */
int muster__tune_keep_alive(int fd, bool on, unsigned delay_ms)
{
	int err, seconds = delay_ms >= 1000 ? (int)(delay_ms / 1000) : 1;

	if (!is_tcp(fd))
		return 0;
	err = set(fd, SOL_SOCKET, SO_KEEPALIVE, on);
	if (err < 0 || !on)
		return err;
	if (delay_ms != 0)
		err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	if (err == 0)
		err = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	return err < 0 ? err : set(fd, IPPROTO_TCP, TCP_KEEPCNT, 10);
}
