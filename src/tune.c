/* TCP options, as Node sets them. */
#include "src/tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int domain_of(int fd)
{
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	return domain;
}

bool muster__tune_is_tcp(int fd)
{
	int domain = domain_of(fd);

	return domain == AF_INET || domain == AF_INET6;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int muster__tune_no_delay(int fd, bool on)
{
	return muster__tune_is_tcp(fd) ? set(fd, IPPROTO_TCP, TCP_NODELAY, on) : 0;
}

/* Interval and count are Node's. A delay under a second would be refused by the kernel; it becomes one. */
int muster__tune_keep_alive(int fd, bool on, unsigned delay_ms)
{
	int err, seconds = delay_ms >= 1000 ? (int)(delay_ms / 1000) : 1;

	if (!muster__tune_is_tcp(fd))
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

int muster__tune_type_of_service(int fd, unsigned value)
{
	int domain = domain_of(fd);

	if (domain == AF_INET6)
		return set(fd, IPPROTO_IPV6, IPV6_TCLASS, (int)value);
	return domain == AF_INET ? set(fd, IPPROTO_IP, IP_TOS, (int)value) : 0;
}

int muster__tune_get_type_of_service(int fd)
{
	int domain = domain_of(fd), value = 0, err = 0;
	socklen_t length = sizeof value;

	if (domain == AF_INET6)
		err = getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &value, &length);
	else if (domain == AF_INET)
		err = getsockopt(fd, IPPROTO_IP, IP_TOS, &value, &length);
	return err < 0 ? -errno : value;
}

int muster__tune_reset_on_close(int fd)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) < 0 ? -errno : 0;
}
