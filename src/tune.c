/* TCP options, as Node sets them. */
#include "src/tune.h"

#include <errno.h>
#include <muster/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PROBES 10          /* Node's number */
#define MAX_PROBES 127     /* the kernel's MAX_TCP_KEEPCNT ... */
#define MAX_INTERVAL 32767 /* ... and MAX_TCP_KEEPINTVL, in seconds */

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

/* The kernel counts seconds, and refuses none at all. */
static int seconds_of(unsigned ms)
{
	return ms >= 1000 ? (int)(ms / 1000) : 1;
}

int muster__tune_check_probes(unsigned interval_ms, unsigned count)
{
	return seconds_of(interval_ms) > MAX_INTERVAL || count > MAX_PROBES ? -EINVAL : 0;
}

int muster__tune_probes(int fd, const struct muster__keep_alive *how)
{
	int err;

	if (!muster__tune_is_tcp(fd))
		return 0;
	err = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds_of(how->interval_ms));
	return err < 0 ? err : set(fd, IPPROTO_TCP, TCP_KEEPCNT, how->count != 0 ? (int)how->count : PROBES);
}

int muster__tune_keep_alive(int fd, bool on, const struct muster__keep_alive *how)
{
	int err;

	if (!muster__tune_is_tcp(fd))
		return 0;
	err = set(fd, SOL_SOCKET, SO_KEEPALIVE, on);
	if (err < 0 || !on)
		return err;
	if (how->delay_ms != 0)
		err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds_of(how->delay_ms));
	return err < 0 ? err : muster__tune_probes(fd, how);
}

/* Accepted sockets inherit all but the queues. A part of a second is one: less than 1 would turn it off. */
int muster__tune_listener(int fd, const struct muster_listen_options *options)
{
	unsigned seconds = options->defer_accept_ms / 1000 + (options->defer_accept_ms % 1000 != 0);
	int err = 0;

	if (!muster__tune_is_tcp(fd))
		return 0;
	if (options->no_delay)
		err = muster__tune_no_delay(fd, true);
	if (err == 0 && options->keep_alive)
		err = muster__tune_keep_alive(fd, true,
					      &(struct muster__keep_alive){ .delay_ms = options->keep_alive_delay_ms });
	if (err == 0 && seconds != 0)
		err = set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, (int)seconds);
	if (err == 0 && options->fast_open != 0)
		err = set(fd, IPPROTO_TCP, TCP_FASTOPEN, (int)options->fast_open);
	return err;
}

int muster__tune_listener_again(int fd, const struct muster_listen_options *options)
{
	int err = 0;

	if (!muster__tune_is_tcp(fd))
		return 0;
	if (!options->no_delay)
		err = set(fd, IPPROTO_TCP, TCP_NODELAY, 0);
	if (err == 0 && !options->keep_alive)
		err = set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	if (err == 0 && options->defer_accept_ms == 0)
		err = set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	if (err == 0 && options->fast_open == 0)
		err = set(fd, IPPROTO_TCP, TCP_FASTOPEN, 0);
	return err < 0 ? err : muster__tune_listener(fd, options);
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
