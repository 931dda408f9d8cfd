/*
 * Where connections come from: an ordinary close leaves a TIME_WAIT entry at the client for a minute, and one address
 * has about 28,000 ports. So the source address moves on through 127.1.0.0/16 before the ports of one are used up; no
 * run ever waits for a port or meets an old entry, and the server sees the ordinary end of a connection. Closing with a
 * reset instead would spare the entries, but also the server's own FIN, which is a large part of what a connection
 * costs.
 */
#include "bench/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PORTS_PER_ADDRESS = 16384,
	FIRST_ADDRESS = 0x7f010001, /* 127.1.0.1 */
	ADDRESSES = 0xfff0,
};

const char client_pattern[2 * CLIENT_MESSAGE + 1] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"
						    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-";

static struct sockaddr_in address_of(uint32_t host, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	address.sin_addr.s_addr = htonl(host);
	return address;
}

static struct sockaddr_in next_source(void)
{
	static unsigned opened;
	uint32_t step = opened++ / PORTS_PER_ADDRESS % ADDRESSES;

	return address_of(FIRST_ADDRESS + step, 0);
}

int client_free_port(void)
{
	struct sockaddr_in address = address_of(INADDR_LOOPBACK, 0);
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int port;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		port = -errno;
	else
		port = ntohs(address.sin_port);
	close(fd);
	return port;
}

static int connect_from(int fd, const struct sockaddr_in *source, const struct sockaddr_in *target)
{
	int on = 1;

	/* The port is chosen at connect, where the whole quadruple is known: a port may serve several addresses. */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) != 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)source, sizeof(*source)) != 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)target, sizeof(*target)) != 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

int client_open(uint16_t port)
{
	struct sockaddr_in source = next_source();
	struct sockaddr_in target = address_of(INADDR_LOOPBACK, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	error = connect_from(fd, &source, &target);
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd item = { .fd = fd, .events = events };
	int ready = poll(&item, 1, timeout_ms);

	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

int client_send(int fd, int timeout_ms)
{
	int error = wait_for(fd, POLLOUT, timeout_ms);
	ssize_t sent;

	if (error != 0)
		return error;
	sent = send(fd, client_pattern, CLIENT_MESSAGE, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return sent == CLIENT_MESSAGE ? 0 : -EMSGSIZE;
}

int client_receive(int fd, int timeout_ms)
{
	char message[CLIENT_MESSAGE];
	size_t got = 0;

	while (got < sizeof(message)) {
		int error = wait_for(fd, POLLIN, timeout_ms);
		ssize_t length;

		if (error != 0)
			return error;
		length = recv(fd, message + got, sizeof(message) - got, 0);
		if (length <= 0)
			return length == 0 ? -ECONNRESET : -errno;
		got += (size_t)length;
	}
	return memcmp(message, client_pattern, sizeof(message)) == 0 ? 0 : -EPROTO;
}

void client_close(int fd, bool reset)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}
