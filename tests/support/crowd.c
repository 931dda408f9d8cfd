/* One thread, no blocking: a client that is not answered does not keep the others from asking. */
#include "tests/support/crowd.h"

#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUESTION "are you there?\n"
#define LENGTH (sizeof QUESTION - 1)

struct crowd_client {
	int fd;
	bool connected, refused;
	size_t received;
};

static void start(struct crowd *crowd, struct crowd_client *client)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)crowd->port) };
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = client };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*client = (struct crowd_client){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	ck_assert_int_ge(client->fd, 0);
	crowd->started++;
	ck_assert_int_eq(epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event), 0);
	/* On the loopback even a refusal may come at once; the watch tells of it in any case. */
	client->refused = connect(client->fd, (struct sockaddr *)&in, sizeof in) < 0 && errno == ECONNREFUSED;
}

/* It has ended in this way; the next takes its place. */
static void finish(struct crowd *crowd, struct crowd_client *client, unsigned *way)
{
	++*way;
	close(client->fd);
	client->fd = -1;
	if (crowd->started < crowd->total)
		start(crowd, client);
}

static void ask(struct crowd *crowd, struct crowd_client *client)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

	client->connected = true;
	ck_assert_int_eq(epoll_ctl(crowd->epoll, EPOLL_CTL_MOD, client->fd, &event), 0);
	if (send(client->fd, QUESTION, LENGTH, MSG_NOSIGNAL) != (ssize_t)LENGTH)
		finish(crowd, client, &crowd->failed);
}

static void listen_to(struct crowd *crowd, struct crowd_client *client)
{
	char answer[LENGTH];
	ssize_t got = recv(client->fd, answer, LENGTH - client->received, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		finish(crowd, client, &crowd->failed);
		return;
	}
	ck_assert_mem_eq(answer, &QUESTION[client->received], (size_t)got);
	client->received += (size_t)got;
	if (client->received == LENGTH)
		finish(crowd, client, &crowd->answered);
}

static void attend(struct crowd *crowd, struct crowd_client *client, uint32_t events)
{
	int err = 0;
	socklen_t length = sizeof err;

	if (!client->connected && (events & (EPOLLERR | EPOLLHUP))) {
		getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &err, &length);
		finish(crowd, client, client->refused || err == ECONNREFUSED ? &crowd->refused : &crowd->failed);
	} else if (!client->connected) {
		ask(crowd, client);
	} else {
		listen_to(crowd, client);
	}
}

void crowd_begin(struct crowd *crowd, unsigned port, unsigned at_once, unsigned total)
{
	unsigned i;

	*crowd = (struct crowd){ .port = port, .at_once = at_once, .total = total };
	crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
	crowd->clients = calloc(at_once, sizeof *crowd->clients);
	ck_assert(crowd->epoll >= 0 && crowd->clients != NULL);
	crowd->last_ms = clock_ms();
	for (i = 0; i < at_once; i++)
		start(crowd, &crowd->clients[i]);
}

static void check_progress(struct crowd *crowd)
{
	uint64_t now = clock_ms();

	if (crowd_ended(crowd) != crowd->ended_before)
		crowd->last_ms = now;
	crowd->ended_before = crowd_ended(crowd);
	ck_assert_msg(now < crowd->last_ms + test_patience() * 1000,
		      "%u clients hang: %u answered, %u refused, %u failed", crowd->started - crowd_ended(crowd),
		      crowd->answered, crowd->refused, crowd->failed);
}

bool crowd_turn(struct crowd *crowd)
{
	struct epoll_event events[64];
	int count, i;

	if (crowd_ended(crowd) == crowd->total)
		return false;
	count = epoll_wait(crowd->epoll, events, 64, 10);
	for (i = 0; i < count; i++)
		attend(crowd, events[i].data.ptr, events[i].events);
	check_progress(crowd);
	return true;
}

void crowd_end(struct crowd *crowd)
{
	close(crowd->epoll);
	free(crowd->clients);
}
