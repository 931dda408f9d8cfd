/* Blocking calls with a time limit in the kernel, so that a test that hangs says where. */
#include "tests/support/client.h"

#include "tests/support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct target {
	struct sockaddr_storage storage;
	socklen_t length;
};

static void target_ip(struct target *target, const char *host, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&target->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&target->storage;

	memset(target, 0, sizeof *target);
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		target->length = sizeof *in;
		return;
	}
	ck_assert_int_eq(inet_pton(AF_INET6, host, &in6->sin6_addr), 1);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	target->length = sizeof *in6;
}

static void target_path(struct target *target, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&target->storage;
	size_t length = strlen(path);

	ck_assert_uint_lt(length, sizeof un->sun_path);
	memset(target, 0, sizeof *target);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length);
	target->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	if (path[0] == '@') {
		un->sun_path[0] = '\0';
		target->length--;
	}
}

static int new_client(int family)
{
	struct timeval limit = { .tv_sec = (time_t)test_patience() };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	return fd;
}

static int try_target(const struct target *target, int *fd)
{
	int err;

	*fd = new_client(target->storage.ss_family);
	if (connect(*fd, (const struct sockaddr *)&target->storage, target->length) == 0)
		return 0;
	err = -errno;
	close(*fd);
	*fd = -1;
	return err;
}

int client_connect_to(const char *host, unsigned port)
{
	struct target target;
	int fd;

	target_ip(&target, host, port);
	ck_assert_int_eq(try_target(&target, &fd), 0);
	return fd;
}

int client_connect_port(unsigned port)
{
	return client_connect_to("127.0.0.1", port);
}

int client_connect_path(const char *path)
{
	struct target target;
	int fd;

	target_path(&target, path);
	ck_assert_int_eq(try_target(&target, &fd), 0);
	return fd;
}

int client_knock_port(unsigned port)
{
	struct target target;
	int fd, err;

	target_ip(&target, "127.0.0.1", port);
	err = try_target(&target, &fd);
	return err == 0 ? fd : err;
}

int client_try_port(unsigned port)
{
	int fd = client_knock_port(port);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int client_try_path(const char *path)
{
	struct target target;
	int fd, err;

	target_path(&target, path);
	err = try_target(&target, &fd);
	if (err == 0)
		close(fd);
	return err;
}

bool client_has_ipv6(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&in6, sizeof in6) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

void client_send(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);

		ck_assert_msg(sent > 0, "send: %s", strerror(errno));
		at += sent;
		length -= (size_t)sent;
	}
}

void client_send_text(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
}

void client_receive(int fd, void *bytes, size_t length)
{
	char *at = bytes;

	while (length > 0) {
		ssize_t got = recv(fd, at, length, 0);

		ck_assert_msg(got > 0, "recv: %s", got == 0 ? "end" : strerror(errno));
		at += got;
		length -= (size_t)got;
	}
}

size_t client_receive_all(int fd, void *bytes, size_t size)
{
	size_t used = 0;
	char more;

	for (;;) {
		ssize_t got = used < size ? recv(fd, (char *)bytes + used, size - used, 0) : recv(fd, &more, 1, 0);

		ck_assert_msg(got >= 0, "recv: %s", strerror(errno));
		if (got == 0)
			return used;
		ck_assert_uint_lt(used, size);
		used += (size_t)got;
	}
}

void client_expect_text(int fd, const char *text)
{
	char got[256];
	size_t length = strlen(text);

	ck_assert_uint_lt(length, sizeof got);
	client_receive(fd, got, length);
	got[length] = '\0';
	ck_assert_str_eq(got, text);
}

void client_expect_end(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);

	ck_assert_msg(got == 0, "recv: %s", got > 0 ? "data" : strerror(errno));
}

void client_reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(fd);
}

unsigned client_waiting(int fd)
{
	int bytes;

	ck_assert_int_eq(ioctl(fd, FIONREAD, &bytes), 0);
	return (unsigned)bytes;
}

int client_listen(int backlog)
{
	struct target target;
	int fd = new_client(AF_INET);

	target_ip(&target, "127.0.0.1", 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&target.storage, target.length), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

unsigned client_port_of(int fd)
{
	struct sockaddr_in in;
	socklen_t length = sizeof in;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	return ntohs(in.sin_port);
}

unsigned client_free_port(void)
{
	int fd = client_listen(1);
	unsigned port = client_port_of(fd);

	close(fd);
	return port;
}

void client_pair(int ends[2])
{
	int listener = client_listen(1);

	ends[0] = client_connect_port(client_port_of(listener));
	ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(ends[1], 0);
	close(listener);
}

void client_pair_local(int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

/* 251 is prime, so no power of two in a buffer's size hides a shift. */
static unsigned char pattern_at(uint64_t at)
{
	return (unsigned char)((at % 251) ^ (at / 65536 % 256));
}

void pattern_fill(void *bytes, uint64_t at, size_t length)
{
	unsigned char *to = bytes;
	size_t i;

	for (i = 0; i < length; i++)
		to[i] = pattern_at(at + i);
}

bool pattern_matches(const void *bytes, uint64_t at, size_t length)
{
	const unsigned char *from = bytes;
	size_t i;

	for (i = 0; i < length; i++)
		if (from[i] != pattern_at(at + i))
			return false;
	return true;
}

struct exchange {
	pthread_t thread;
	int fd;
	uint64_t length, sent, received;
	bool ended, bad;
};

static void send_some(struct exchange *exchange)
{
	char bytes[32768];
	uint64_t left = exchange->length - exchange->sent;
	size_t length = left < sizeof bytes ? (size_t)left : sizeof bytes;
	ssize_t sent;

	pattern_fill(bytes, exchange->sent, length);
	sent = send(exchange->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		exchange->bad = errno != EAGAIN;
	else
		exchange->sent += (uint64_t)sent;
	if (exchange->sent == exchange->length)
		shutdown(exchange->fd, SHUT_WR);
}

static void receive_some(struct exchange *exchange)
{
	char bytes[32768];
	ssize_t got = recv(exchange->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (got == 0)
		exchange->ended = true;
	else if (got < 0)
		exchange->bad = errno != EAGAIN;
	else if (!pattern_matches(bytes, exchange->received, (size_t)got))
		exchange->bad = true;
	else
		exchange->received += (uint64_t)got;
}

static bool is_over(const struct exchange *exchange)
{
	return exchange->bad || (exchange->ended && exchange->sent == exchange->length);
}

static void *exchange_run(void *data)
{
	struct exchange *exchange = data;

	while (!is_over(exchange)) {
		short in = exchange->ended ? 0 : POLLIN, out = exchange->sent < exchange->length ? POLLOUT : 0;
		struct pollfd ready = { .fd = exchange->fd, .events = (short)(in | out) };

		if (poll(&ready, 1, (int)test_patience() * 1000) <= 0)
			break;
		if (in != 0 && (ready.revents & (POLLIN | POLLERR | POLLHUP)))
			receive_some(exchange);
		if (out != 0 && (ready.revents & (POLLOUT | POLLERR | POLLHUP)))
			send_some(exchange);
	}
	close(exchange->fd);
	return NULL;
}

struct exchange *exchange_start(int fd, uint64_t length)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);

	ck_assert_ptr_nonnull(exchange);
	exchange->fd = fd;
	exchange->length = length;
	if (length == 0)
		shutdown(fd, SHUT_WR);
	ck_assert_int_eq(pthread_create(&exchange->thread, NULL, exchange_run, exchange), 0);
	return exchange;
}

uint64_t exchange_finish(struct exchange *exchange)
{
	uint64_t received;

	ck_assert_int_eq(pthread_join(exchange->thread, NULL), 0);
	received = is_over(exchange) && !exchange->bad ? exchange->received : 0;
	free(exchange);
	return received;
}

void client_talk(int fd, const char *text)
{
	client_send_text(fd, text);
	client_expect_text(fd, text);
}

int client_connected(unsigned port)
{
	int fd = client_connect_port(port);

	client_talk(fd, "hello");
	return fd;
}
