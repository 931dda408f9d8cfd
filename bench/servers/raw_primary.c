/*
 * Accepts until there is nothing more, in turns that are bounded, and passes each connection to the next worker that
 * has fewer than RAW_WINDOW without an answer. When none has, it stops watching the listener: the kernel's backlog is
 * the queue.
 */
#include "bench/servers/raw.h"

#include "bench/servers/raw_channel.h"

#include "bench/servers/prefork.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64, ACCEPTS_PER_TURN = 64, LISTENER = -1 };

struct peer {
	int channel;
	int copies[RAW_WINDOW]; /* in the order passed; a ring */
	int first;
	int count;
};

struct primary {
	struct peer peers[PREFORK_WORKERS_MAX];
	int workers;
	int next;
	int epoll;
	int listener;
	bool is_watching;
};

static void watch(const struct primary *primary, int fd, int index)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = index };

	if (epoll_ctl(primary->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		prefork_die("epoll_ctl");
}

static void watch_listener(struct primary *primary, bool on)
{
	if (primary->is_watching == on)
		return;
	primary->is_watching = on;
	if (on)
		watch(primary, primary->listener, LISTENER);
	else
		epoll_ctl(primary->epoll, EPOLL_CTL_DEL, primary->listener, NULL);
}

static struct peer *pick(struct primary *primary)
{
	for (int i = 0; i < primary->workers; i++) {
		struct peer *peer = &primary->peers[primary->next];

		primary->next = (primary->next + 1) % primary->workers;
		if (peer->count < RAW_WINDOW)
			return peer;
	}
	return NULL;
}

static void pass(struct peer *peer, int fd)
{
	/* A window of small messages always fits into a socket. */
	if (raw_send(peer->channel, fd) != 0)
		prefork_die("sendmsg");
	peer->copies[(peer->first + peer->count++) % RAW_WINDOW] = fd;
}

static void on_listener(struct primary *primary)
{
	struct peer *peer = pick(primary);

	for (int i = 0; peer != NULL && i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(primary->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* Nobody came: the turn goes on with this worker. */
			primary->next = (int)(peer - primary->peers);
			return;
		}
		pass(peer, fd);
		peer = pick(primary);
	}
	if (peer == NULL)
		watch_listener(primary, false);
	else
		primary->next = (int)(peer - primary->peers);
}

static void close_first(struct peer *peer)
{
	close(peer->copies[peer->first]);
	peer->first = (peer->first + 1) % RAW_WINDOW;
	peer->count--;
}

/* Each byte is how many connections the worker has taken. */
static void on_answer(struct primary *primary, struct peer *peer)
{
	unsigned char answers[RAW_WINDOW];
	ssize_t length = recv(peer->channel, answers, sizeof(answers), 0);

	if (length == 0 || (length < 0 && errno != EAGAIN))
		prefork_die("worker has gone");
	for (ssize_t i = 0; i < length; i++)
		for (int n = answers[i]; n > 0 && peer->count > 0; n--)
			close_first(peer);
	watch_listener(primary, true);
}

static void turn(struct primary *primary)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(primary->epoll, events, EVENTS, -1);

	/* Interrupted by a tracer that attaches. */
	if (count < 0 && errno != EINTR)
		prefork_die("epoll_wait");
	for (int i = 0; i < count; i++)
		if (events[i].data.fd == LISTENER)
			on_listener(primary);
		else
			on_answer(primary, &primary->peers[events[i].data.fd]);
}

void raw_primary_run(int listener, const int *channels, int workers)
{
	static struct primary primary;

	primary.listener = listener;
	primary.workers = workers;
	primary.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (primary.epoll < 0)
		prefork_die("epoll_create1");
	for (int i = 0; i < workers; i++) {
		primary.peers[i].channel = channels[i];
		watch(&primary, channels[i], i);
	}
	watch_listener(&primary, true);
	for (;;)
		turn(&primary);
}
