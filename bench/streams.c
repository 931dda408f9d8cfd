/*
 * All connections run until the total has been sent, so none idles while others finish, and the run ends when the last
 * byte has come back. Ping-pong, pipelining and bulk are the same loop with another window. One thread is enough for
 * messages; in bulk it would be slower than the server, and the figure would be the client's own.
 */
#include "bench/streams.h"

#include "bench/client.h"
#include "bench/clock.h"
#include "bench/stop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER = 256 * 1024,
	EVENTS = 256,
	BATCH = 16, /* connections opened together: so few that no queue of a server fills and disturbs its turns */
	OPEN_TIMEOUT_MS = 10000,
	TICK_MS = 200,
};

struct stream {
	int fd;
	bool blocked; /* waits for the socket to take more */
	uint64_t sent;
	uint64_t received;
};

struct job {
	pthread_t thread;
	struct streams *streams;
	const struct streams_plan *plan;
	int error;
};

static int watch(struct streams *streams, struct stream *stream, int operation, bool blocked)
{
	struct epoll_event event = { .events = EPOLLIN | (blocked ? EPOLLOUT : 0u), .data.ptr = stream };

	stream->blocked = blocked;
	return epoll_ctl(streams->epoll, operation, stream->fd, &event) == 0 ? 0 : -errno;
}

static int open_one(struct streams *streams, struct stream *stream, uint16_t port)
{
	int on = 1;

	stream->fd = client_open(port);
	if (stream->fd < 0)
		return stream->fd;
	streams->count++;
	/* Only the server's own habits shall show: the client never lets a message wait for an acknowledgement. */
	setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return client_send(stream->fd, OPEN_TIMEOUT_MS);
}

static int open_batch(struct streams *streams, uint16_t port, int count)
{
	struct stream *first = streams->list + streams->count;
	int error = 0;

	for (int i = 0; error == 0 && i < count; i++)
		error = open_one(streams, &first[i], port);
	for (int i = 0; error == 0 && i < count; i++)
		error = client_receive(first[i].fd, OPEN_TIMEOUT_MS);
	for (int i = 0; error == 0 && i < count; i++)
		error = watch(streams, &first[i], EPOLL_CTL_ADD, false);
	return error;
}

static void fill(char *buffer)
{
	for (size_t i = 0; i < BUFFER; i += CLIENT_MESSAGE)
		memcpy(buffer + i, client_pattern, CLIENT_MESSAGE);
}

/* Two buffers in one block: what is sent, with one message to spare for any offset, and where to receive. */
static int streams_init(struct streams *streams, int count)
{
	memset(streams, 0, sizeof(*streams));
	streams->list = calloc((size_t)count, sizeof(*streams->list));
	streams->buffer = malloc((size_t)2 * BUFFER);
	streams->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (streams->list == NULL || streams->buffer == NULL)
		return -ENOMEM;
	fill(streams->buffer);
	return streams->epoll >= 0 ? 0 : -errno;
}

int streams_open(struct streams *streams, uint16_t port, int count)
{
	int error = streams_init(streams, count);

	while (error == 0 && streams->count < count) {
		int left = count - streams->count;

		error = open_batch(streams, port, left < BATCH ? left : BATCH);
		if (stop_requested())
			error = -EINTR;
	}
	return error;
}

/* How much this stream may send now: whole messages within its window and the total. */
static uint64_t room(const struct streams *streams, const struct stream *stream, const struct streams_plan *plan)
{
	uint64_t bytes = plan->window - (stream->sent - stream->received);
	uint64_t left = plan->total - streams->sent;

	if (bytes > left)
		bytes = left;
	/* A message that the socket took in part is finished first. */
	if (stream->sent % plan->message != 0)
		return bytes;
	return bytes - bytes % plan->message;
}

static int set_blocked(struct streams *streams, struct stream *stream, bool blocked)
{
	if (stream->blocked == blocked)
		return 0;
	return watch(streams, stream, EPOLL_CTL_MOD, blocked);
}

static int pump(struct streams *streams, struct stream *stream, const struct streams_plan *plan)
{
	uint64_t bytes;

	while ((bytes = room(streams, stream, plan)) > 0) {
		size_t offset = stream->sent % CLIENT_MESSAGE;
		size_t length = bytes < BUFFER - offset ? (size_t)bytes : BUFFER - offset;
		ssize_t sent = send(stream->fd, streams->buffer + offset, length, MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN ? set_blocked(streams, stream, true) : -errno;
		stream->sent += (uint64_t)sent;
		streams->sent += (uint64_t)sent;
	}
	return set_blocked(streams, stream, false);
}

static bool is_echo(const struct streams *streams, const struct stream *stream, size_t length)
{
	const char *received = streams->buffer + BUFFER;
	size_t offset = stream->received % CLIENT_MESSAGE;

	return memcmp(received, streams->buffer + offset, length) == 0;
}

static int receive(struct streams *streams, struct stream *stream, const struct streams_plan *plan)
{
	/*
	 * One message less than was filled: comparing starts at an offset. What is not compared is not copied either
	 * (tcp(7), MSG_TRUNC): in bulk the client would otherwise be busier than any server.
	 */
	int flags = plan->verify ? 0 : MSG_TRUNC;
	ssize_t length = recv(stream->fd, streams->buffer + BUFFER, BUFFER - CLIENT_MESSAGE, flags);

	if (length < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (length == 0)
		return -ECONNRESET;
	if (plan->verify && !is_echo(streams, stream, (size_t)length))
		return -EPROTO;
	stream->received += (uint64_t)length;
	streams->received += (uint64_t)length;
	return 0;
}

static int on_event(struct streams *streams, const struct epoll_event *event, const struct streams_plan *plan)
{
	struct stream *stream = event->data.ptr;
	int error = 0;

	if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		error = receive(streams, stream, plan);
	return error != 0 ? error : pump(streams, stream, plan);
}

static int turn(struct streams *streams, const struct streams_plan *plan)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(streams->epoll, events, EVENTS, TICK_MS);
	int error = 0;

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; error == 0 && i < count; i++)
		error = on_event(streams, &events[i], plan);
	return error;
}

static int start(struct streams *streams, const struct streams_plan *plan)
{
	int error = 0;

	streams->sent = streams->received = 0;
	for (int i = 0; error == 0 && i < streams->count; i++)
		error = pump(streams, &streams->list[i], plan);
	return error;
}

static int run_set(struct streams *streams, const struct streams_plan *plan)
{
	uint64_t begin = clock_now();
	int error = start(streams, plan);

	while (error == 0 && streams->received < plan->total) {
		error = turn(streams, plan);
		if (stop_requested())
			error = -EINTR;
		else if (clock_seconds_since(begin) > plan->seconds)
			error = -ETIMEDOUT;
	}
	return error;
}

static void *run_thread(void *data)
{
	struct job *job = data;

	job->error = run_set(job->streams, job->plan);
	return NULL;
}

/* The first set is the caller's own: a load of one set runs without a thread. */
int streams_run(struct streams *sets, int count, const struct streams_plan *plan, double *seconds)
{
	uint64_t begin = clock_now();
	struct job jobs[STREAMS_SETS_MAX];
	int started = 1;
	int error = 0;

	for (int i = 0; i < count; i++)
		jobs[i] = (struct job){ .streams = &sets[i], .plan = plan };
	while (started < count && error == 0) {
		error = -pthread_create(&jobs[started].thread, NULL, run_thread, &jobs[started]);
		started += error == 0;
	}
	if (error == 0)
		run_thread(&jobs[0]);
	for (int i = 1; i < started; i++)
		pthread_join(jobs[i].thread, NULL);
	*seconds = clock_seconds_since(begin);
	for (int i = 0; i < started && error == 0; i++)
		error = jobs[i].error;
	return error;
}

void streams_close(struct streams *streams)
{
	for (int i = 0; streams->list != NULL && i < streams->count; i++)
		client_close(streams->list[i].fd, true);
	if (streams->epoll >= 0)
		close(streams->epoll);
	free(streams->list);
	free(streams->buffer);
	memset(streams, 0, sizeof(*streams));
	streams->epoll = -1;
}
