/*
 * One slot per connection in flight, all on one epoll; a slot that is done starts the next connection at once. The
 * client is single-threaded and does as little as it can: over loopback the handshake is over when connect returns, so
 * it sends without asking epoll first, and registers the descriptor once, for reading.
 */
#include "bench/connections.h"

#include "bench/client.h"
#include "bench/clock.h"
#include "bench/stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENTS = 64,
	FAILED_MAX = 100, /* a server that refuses this often is not being measured */
	TICK_MS = 200,    /* how late a stop or a time-out may be seen */
};

struct slot {
	int fd; /* -1: at rest */
	bool sent;
	size_t got;
	uint64_t start;
	char message[CLIENT_MESSAGE];
};

struct run {
	const struct connections_plan *plan;
	struct connections_result *result;
	struct slot *slots;
	int epoll;
	int open;
	long started;
};

static int watch(struct run *run, struct slot *slot, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = slot };

	return epoll_ctl(run->epoll, operation, slot->fd, &event) == 0 ? 0 : -errno;
}

static int try_send(struct slot *slot)
{
	if (send(slot->fd, client_pattern, CLIENT_MESSAGE, MSG_NOSIGNAL) == CLIENT_MESSAGE) {
		slot->sent = true;
		return 0;
	}
	return errno == EAGAIN ? 0 : -errno;
}

static void slot_end(struct run *run, struct slot *slot)
{
	client_close(slot->fd, run->plan->reset);
	slot->fd = -1;
	run->open--;
}

static int slot_open(struct run *run, struct slot *slot)
{
	slot->sent = false;
	slot->got = 0;
	slot->start = clock_now();
	slot->fd = client_open(run->plan->port);
	if (slot->fd < 0)
		return slot->fd;
	run->open++;
	if (try_send(slot) != 0)
		return -errno;
	return watch(run, slot, EPOLL_CTL_ADD, slot->sent ? EPOLLIN : EPOLLOUT);
}

/* Failures are counted and the next connection tried, up to the bound, so a refused one cannot end in a busy loop. */
static void slot_start(struct run *run, struct slot *slot)
{
	while (run->started < run->plan->count && run->result->failed < FAILED_MAX) {
		run->started++;
		if (slot_open(run, slot) == 0)
			return;
		run->result->failed++;
		if (slot->fd >= 0)
			slot_end(run, slot);
	}
}

static int slot_read(struct slot *slot)
{
	ssize_t length = recv(slot->fd, slot->message + slot->got, CLIENT_MESSAGE - slot->got, 0);

	if (length < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (length == 0)
		return -ECONNRESET;
	slot->got += (size_t)length;
	if (slot->got == CLIENT_MESSAGE && memcmp(slot->message, client_pattern, CLIENT_MESSAGE) != 0)
		return -EPROTO;
	return 0;
}

static int slot_step(struct run *run, struct slot *slot)
{
	int error;

	if (slot->sent)
		return slot_read(slot);
	error = try_send(slot);
	if (error != 0 || !slot->sent)
		return error;
	return watch(run, slot, EPOLL_CTL_MOD, EPOLLIN);
}

static void on_event(struct run *run, struct slot *slot)
{
	int error = slot_step(run, slot);

	if (error == 0 && slot->got < CLIENT_MESSAGE)
		return;
	if (error == 0)
		run->result->latencies[run->result->done++] = (double)(clock_now() - slot->start) / 1e3;
	else
		run->result->failed++;
	slot_end(run, slot);
	slot_start(run, slot);
}

static int run_turn(struct run *run)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(run->epoll, events, EVENTS, TICK_MS);

	if (count < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < count; i++)
		on_event(run, events[i].data.ptr);
	return 0;
}

static int run_loop(struct run *run)
{
	uint64_t begin = clock_now();
	int error = 0;

	for (int i = 0; i < run->plan->in_flight; i++)
		slot_start(run, &run->slots[i]);
	while (error == 0 && run->open > 0) {
		error = run_turn(run);
		if (stop_requested())
			error = -EINTR;
		else if (clock_seconds_since(begin) > run->plan->seconds)
			error = -ETIMEDOUT;
	}
	run->result->seconds = clock_seconds_since(begin);
	if (error == 0 && run->result->failed >= FAILED_MAX)
		error = -EPROTO;
	return error;
}

static int run_init(struct run *run)
{
	size_t slots = (size_t)run->plan->in_flight;

	run->slots = calloc(slots, sizeof(*run->slots));
	run->result->latencies = calloc((size_t)run->plan->count, sizeof(double));
	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run->slots == NULL || run->result->latencies == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < slots; i++)
		run->slots[i].fd = -1;
	return run->epoll >= 0 ? 0 : -errno;
}

static void run_clear(struct run *run)
{
	for (int i = 0; run->slots != NULL && i < run->plan->in_flight; i++)
		if (run->slots[i].fd >= 0)
			client_close(run->slots[i].fd, true);
	free(run->slots);
	if (run->epoll >= 0)
		close(run->epoll);
}

int connections_run(const struct connections_plan *plan, struct connections_result *result)
{
	struct run run = { .plan = plan, .result = result, .epoll = -1 };
	int error;

	memset(result, 0, sizeof(*result));
	error = run_init(&run);
	if (error == 0)
		error = run_loop(&run);
	run_clear(&run);
	return error;
}

void connections_result_free(struct connections_result *result)
{
	free(result->latencies);
	result->latencies = NULL;
}
