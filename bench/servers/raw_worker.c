/*
 * Echoes. Connections come over the channel or from the shared listener. The listener is watched with EPOLLEXCLUSIVE,
 * one wake-up per connection, and added again after each k-th accept, which moves this worker to the end of the
 * kernel's queue: without that a few workers get everything.
 *
 * An idle connection costs 8 bytes here: its place in a table by descriptor. Output that the socket does not take is
 * kept in a block of its own, and nothing is read meanwhile.
 */
#include "bench/servers/raw.h"

#include "bench/servers/raw_channel.h"

#include "bench/servers/prefork.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, BUFFER = 64 * 1024, DESCRIPTORS_MAX = 1 << 20 };

struct rest {
	size_t offset;
	size_t length;
	char bytes[];
};

static char buffer[BUFFER];
static struct rest **rests; /* by descriptor */
static size_t rests_max;
static struct raw_worker self;
static int epoll;
static unsigned accepted;

static void watch(int operation, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, operation, fd, &event) != 0)
		prefork_die("epoll_ctl");
}

static void connection_open(int fd)
{
	if ((size_t)fd >= rests_max) {
		errno = EMFILE;
		prefork_die("descriptor");
	}
	watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void connection_close(int fd)
{
	free(rests[fd]);
	rests[fd] = NULL;
	/* The primary may still hold its copy, and would keep the registration alive. */
	if (self.channel >= 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

static void keep_rest(int fd, const char *bytes, size_t length)
{
	struct rest *rest = malloc(sizeof(*rest) + length);

	if (rest == NULL)
		prefork_die("malloc");
	rest->offset = 0;
	rest->length = length;
	memcpy(rest->bytes, bytes, length);
	rests[fd] = rest;
	watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void on_readable(int fd)
{
	ssize_t length = recv(fd, buffer, sizeof(buffer), 0);
	ssize_t sent;

	if (length < 0 && errno == EAGAIN)
		return;
	if (length <= 0) {
		connection_close(fd);
		return;
	}
	sent = send(fd, buffer, (size_t)length, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		connection_close(fd);
	else if (sent < length)
		keep_rest(fd, buffer + (sent > 0 ? sent : 0), (size_t)(length - (sent > 0 ? sent : 0)));
}

static void on_writable(int fd)
{
	struct rest *rest = rests[fd];
	ssize_t sent = send(fd, rest->bytes + rest->offset, rest->length - rest->offset, MSG_NOSIGNAL);

	if (sent < 0) {
		if (errno != EAGAIN)
			connection_close(fd);
		return;
	}
	rest->offset += (size_t)sent;
	if (rest->offset < rest->length)
		return;
	free(rest);
	rests[fd] = NULL;
	watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void on_channel(void)
{
	unsigned char answer = 0;
	int fd;

	while (answer < RAW_WINDOW && (fd = raw_receive(self.channel)) >= 0) {
		connection_open(fd);
		answer++;
	}
	if (answer < RAW_WINDOW && fd != -EAGAIN)
		prefork_die("recvmsg");
	if (answer > 0 && send(self.channel, &answer, 1, MSG_NOSIGNAL) != 1)
		prefork_die("send");
}

static void on_listener(void)
{
	unsigned each = self.workers >= 32 ? (unsigned)self.workers / 16 : 1;
	int fd = accept4(self.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	connection_open(fd);
	if (++accepted % each != 0)
		return;
	epoll_ctl(epoll, EPOLL_CTL_DEL, self.listener, NULL);
	watch(EPOLL_CTL_ADD, self.listener, EPOLLIN | EPOLLEXCLUSIVE);
}

static void on_event(int fd)
{
	if (fd == self.channel)
		on_channel();
	else if (fd == self.listener)
		on_listener();
	else if (rests[fd] != NULL)
		on_writable(fd);
	else
		on_readable(fd);
}

/* One pointer per possible descriptor; pages are there only once they are touched. */
static void init_rests(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		prefork_die("getrlimit");
	rests_max = limit.rlim_cur < DESCRIPTORS_MAX ? (size_t)limit.rlim_cur : DESCRIPTORS_MAX;
	rests = mmap(NULL, rests_max * sizeof(*rests), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rests == MAP_FAILED)
		prefork_die("mmap");
}

static void turn(void)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(epoll, events, EVENTS, -1);

	if (count < 0 && errno != EINTR)
		prefork_die("epoll_wait");
	for (int i = 0; i < count; i++)
		on_event(events[i].data.fd);
}

void raw_worker_run(void *worker)
{
	self = *(const struct raw_worker *)worker;
	init_rests();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		prefork_die("epoll_create1");
	if (self.channel >= 0)
		watch(EPOLL_CTL_ADD, self.channel, EPOLLIN);
	if (self.listener >= 0)
		watch(EPOLL_CTL_ADD, self.listener, EPOLLIN | EPOLLEXCLUSIVE);
	for (;;)
		turn();
}
