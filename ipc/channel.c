/*
 * The channel. Incoming: bytes become lines, descriptors queue up beside them, and each handle line claims the oldest one and
 * is acknowledged exactly once. Outgoing: a queue of chunks, each with at most one descriptor; everything said in a turn
 * leaves in one write.
 *
 * A peer may die at any byte and may send anything. Whatever descriptor is not claimed is closed; whatever is not a message is
 * counted, logged and ignored, and a peer that goes on so loses its channel.
 */
#include "ipc/channel.h"

#include "ipc/fdpass.h"
#include "ipc/hook.h"
#include "src/fd.h"

#include <errno.h>
#include <muster/error.h>
#include <stdlib.h>
#include <string.h>

#define READ_SIZE 65536
#define READS_PER_TURN 64
#define READS_AT_END 4096 /* more than a socket holds */
#define QUEUE_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define DRAIN_BYTES ((size_t)128 * 1024)
#define MALFORMED_MAX 16
#define CHUNK_ROOM 1024
#define AWAITED UINT64_MAX /* the ticket of a handle that is kept: the first of them is meant */

struct muster__chunk {
	TAILQ_ENTRY(muster__chunk) next;
	size_t length, offset, room;
	int fd; /* owned; goes with the first byte */
	bool is_handle;
	bool kept; /* with its descriptor, until it has been received */
	unsigned char losses;
	uint64_t ticket;
	struct muster__sent sent;
	char bytes[];
};

/* Most messages. */
static const struct muster__sent nobody = { NULL, NULL };

/* ---- out */

static void chunk_free(struct muster__chunk *chunk, int err)
{
	struct muster__sent sent = chunk->sent;

	muster__fd_close(&chunk->fd);
	free(chunk);
	if (sent.fn != NULL)
		sent.fn(err, sent.data);
}

static struct muster__chunk *chunk_new(size_t room)
{
	struct muster__chunk *chunk = malloc(sizeof *chunk + room);

	if (chunk == NULL)
		return NULL;
	*chunk = (struct muster__chunk){ .room = room, .fd = -1 };
	return chunk;
}

/* What is on its way keeps the loop running, as in Node: also where nobody listens. */
static void set_queued(struct muster__channel *channel, size_t queued)
{
	if ((queued > 0) != (channel->queued > 0))
		muster__loop_alive(channel->loop, queued > 0 ? 1 : -1);
	channel->queued = queued;
}

static void chunk_append(struct muster__channel *channel, struct muster__chunk *chunk, const char *text, size_t length)
{
	memcpy(chunk->bytes + chunk->length, text, length);
	chunk->length += length;
	set_queued(channel, channel->queued + length);
	/* Whoever asked has been told that it will be told. */
	if (muster__channel_needs_drain(channel))
		channel->full = true;
}

/* A handle that is to be sent again keeps the loop running as well. */
static void take_lost(struct muster__channel *channel, struct muster__chunks *to)
{
	if (TAILQ_EMPTY(&channel->lost))
		return;
	TAILQ_CONCAT(to, &channel->lost, next);
	muster__event_del(channel->loop, &channel->again);
	muster__loop_alive(channel->loop, -1);
}

/* Whoever is told may send again: what he queues then is not among these. */
static void drop_queue(struct muster__channel *channel)
{
	struct muster__chunks dropped = TAILQ_HEAD_INITIALIZER(dropped);
	struct muster__chunk *chunk;

	TAILQ_CONCAT(&dropped, &channel->chunks, next);
	TAILQ_CONCAT(&dropped, &channel->awaited, next);
	take_lost(channel, &dropped);
	set_queued(channel, 0);
	muster__event_del(channel->loop, &channel->writable);
	while ((chunk = TAILQ_FIRST(&dropped)) != NULL) {
		TAILQ_REMOVE(&dropped, chunk, next);
		chunk_free(chunk, MUSTER_ECHANNEL);
	}
}

static void peer_is_gone(struct muster__channel *channel)
{
	muster__event_del(channel->loop, &channel->readable);
	if (channel->state < MUSTER__CHANNEL_ENDED) {
		channel->state = MUSTER__CHANNEL_ENDED;
		muster__loop_queue(channel->loop, &channel->task);
	}
	drop_queue(channel);
}

/* Towards Node's receiver: a descriptor behind 64 KiB of plain data can be paired with the wrong line, unless it is alone. */
static bool must_be_alone(const struct muster__channel *channel, size_t length)
{
	return channel->plain_since_fd + length > READ_SIZE;
}

static bool must_wait(const struct muster__channel *channel, size_t length)
{
	return channel->tickets.count > 0 && (channel->alone || must_be_alone(channel, length));
}

/* The first bytes of a handle line have gone, and the descriptor with them. */
static void handle_sent(struct muster__channel *channel, size_t length, uint64_t ticket)
{
	channel->alone = must_be_alone(channel, length);
	channel->plain_since_fd = 0;
	muster__tickets_push(&channel->tickets, ticket);
}

/* Sends some of the first chunk. 0: it is gone; -EAGAIN: later; else the peer is gone. */
static int send_chunk(struct muster__channel *channel, struct muster__chunk *chunk)
{
	bool first_bytes = chunk->offset == 0;
	ssize_t sent;

	if (chunk->is_handle && first_bytes && must_wait(channel, chunk->length))
		return -EAGAIN;
	if (chunk->is_handle && first_bytes && muster__tickets_reserve(&channel->tickets) < 0)
		return -EAGAIN;
	sent = muster__fdpass_send(channel->fd, chunk->bytes + chunk->offset, chunk->length - chunk->offset,
				   first_bytes ? chunk->fd : -1);
	if (sent < 0)
		return sent == -ETOOMANYREFS || sent == -ENOBUFS ? -EAGAIN : (int)sent;
	if (chunk->is_handle && first_bytes)
		handle_sent(channel, chunk->length, chunk->ticket);
	else if (!chunk->is_handle)
		channel->plain_since_fd += (size_t)sent;
	if (!chunk->kept)
		muster__fd_close(&chunk->fd);
	chunk->offset += (size_t)sent;
	set_queued(channel, channel->queued - (size_t)sent);
	return chunk->offset < chunk->length ? -EAGAIN : 0;
}

static void tell_drained(struct muster__channel *channel)
{
	if (!channel->full || channel->queued > 0)
		return;
	channel->full = false;
	if (channel->state == MUSTER__CHANNEL_OPEN)
		channel->ops->drained(channel);
}

static void chunk_sent(struct muster__channel *channel, struct muster__chunk *chunk)
{
	struct muster__sent sent = chunk->sent;

	TAILQ_REMOVE(&channel->chunks, chunk, next);
	if (!chunk->kept) {
		chunk_free(chunk, 0);
		return;
	}
	chunk->sent = nobody;
	TAILQ_INSERT_TAIL(&channel->awaited, chunk, next);
	if (sent.fn != NULL)
		sent.fn(0, sent.data);
}

/* What must have been received before the end. */
static bool is_awaiting(const struct muster__channel *channel)
{
	return !TAILQ_EMPTY(&channel->awaited) || !TAILQ_EMPTY(&channel->lost);
}

/* When the peer is gone what is queued is of no use; the reading side will see the end and tell it. */
void muster__channel_flush(struct muster__channel *channel)
{
	struct muster__chunk *chunk;
	int err = 0;

	if (channel->fd < 0)
		return;
	while (err == 0 && (chunk = TAILQ_FIRST(&channel->chunks)) != NULL) {
		err = send_chunk(channel, chunk);
		if (err == 0)
			chunk_sent(channel, chunk);
	}
	if (err == -EAGAIN) {
		channel->full = true;
		muster__event_add(channel->loop, &channel->writable, NULL);
		return;
	}
	if (err < 0) {
		channel->broken = true;
		drop_queue(channel);
	}
	muster__event_del(channel->loop, &channel->writable);
	tell_drained(channel);
	if (channel->state == MUSTER__CHANNEL_ENDING && !is_awaiting(channel)) {
		channel->state = MUSTER__CHANNEL_ENDED;
		muster__loop_queue(channel->loop, &channel->task);
	}
}

/* A level-triggered watch would spin while a handle waits for the answer to another one; the answer flushes too. */
static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct muster__channel *channel = data;
	const struct muster__chunk *chunk = TAILQ_FIRST(&channel->chunks);

	(void)fd, (void)what;
	if (chunk != NULL && chunk->is_handle && chunk->offset == 0 && must_wait(channel, chunk->length))
		muster__event_del(channel->loop, &channel->writable);
	else
		muster__channel_flush(channel);
}

static int may_send(const struct muster__channel *channel, size_t length)
{
	if (channel->state != MUSTER__CHANNEL_OPEN || channel->broken)
		return MUSTER_ECHANNEL;
	return channel->queued + length > QUEUE_MAX_BYTES ? -ENOBUFS : 0;
}

static void flush_later(struct muster__channel *channel)
{
	if (!channel->reading)
		muster__loop_queue(channel->loop, &channel->task);
}

/* Plain text joins what waits already, unless somebody wants to know when it has gone. */
static bool can_join(const struct muster__chunk *last, size_t length)
{
	return last != NULL && !last->is_handle && last->sent.fn == NULL && last->room - last->length >= length;
}

static int queue_text(struct muster__channel *channel, const char *text, size_t length, const struct muster__sent *sent)
{
	struct muster__chunk *last = TAILQ_LAST(&channel->chunks, muster__chunks);

	if (!can_join(last, length)) {
		last = chunk_new(length > CHUNK_ROOM ? length : CHUNK_ROOM);
		if (last == NULL)
			return -ENOMEM;
		TAILQ_INSERT_TAIL(&channel->chunks, last, next);
	}
	chunk_append(channel, last, text, length);
	last->sent = *sent;
	flush_later(channel);
	return 0;
}

int muster__channel_print_then(struct muster__channel *channel, const char *text, size_t length,
			       const struct muster__sent *sent)
{
	int err = may_send(channel, length);

	return err < 0 ? err : queue_text(channel, text, length, sent);
}

int muster__channel_print(struct muster__channel *channel, const char *text, size_t length)
{
	return muster__channel_print_then(channel, text, length, &nobody);
}

int muster__channel_reserve(struct muster__channel *channel, size_t length)
{
	int err = may_send(channel, length);

	if (err < 0)
		return err;
	free(channel->spare);
	channel->spare = chunk_new(length);
	return channel->spare != NULL ? 0 : -ENOMEM;
}

static struct muster__chunk *take_spare(struct muster__channel *channel, size_t length)
{
	struct muster__chunk *spare = channel->spare;

	if (spare == NULL || spare->room < length)
		return NULL;
	channel->spare = NULL;
	return spare;
}

static void queue_handle(struct muster__channel *channel, struct muster__chunk *chunk, const char *line, size_t length)
{
	chunk->is_handle = true;
	TAILQ_INSERT_TAIL(&channel->chunks, chunk, next);
	chunk_append(channel, chunk, line, length);
	flush_later(channel);
}

/* A chunk for the line, with its descriptor; NULL: it is closed, and *err tells why. */
static struct muster__chunk *handle_chunk(struct muster__channel *channel, size_t length, int fd, int *err)
{
	struct muster__chunk *chunk = NULL;

	*err = may_send(channel, length);
	if (*err == 0 && (chunk = take_spare(channel, length)) == NULL && (chunk = chunk_new(length)) == NULL)
		*err = -ENOMEM;
	if (chunk != NULL)
		chunk->fd = fd;
	else
		muster__fd_close(&fd);
	return chunk;
}

int muster__channel_give(struct muster__channel *channel, const char *line, size_t length, int fd, uint64_t ticket)
{
	int err;
	struct muster__chunk *chunk = handle_chunk(channel, length, fd, &err);

	if (chunk == NULL)
		return err;
	chunk->ticket = ticket;
	queue_handle(channel, chunk, line, length);
	return 0;
}

int muster__channel_give_surely(struct muster__channel *channel, const char *line, size_t length, int fd,
				const struct muster__sent *sent)
{
	int err;
	struct muster__chunk *chunk = handle_chunk(channel, length, fd, &err);

	if (chunk == NULL)
		return err;
	chunk->kept = true;
	chunk->ticket = AWAITED;
	chunk->sent = *sent;
	queue_handle(channel, chunk, line, length);
	return 0;
}

/* ---- handles that were lost on the way */

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct muster__channel *channel = data;
	struct muster__chunks lost = TAILQ_HEAD_INITIALIZER(lost);
	struct muster__chunk *chunk;

	(void)fd, (void)what;
	take_lost(channel, &lost);
	TAILQ_FOREACH(chunk, &lost, next)
	{
		chunk->offset = 0;
		set_queued(channel, channel->queued + chunk->length);
	}
	TAILQ_CONCAT(&channel->chunks, &lost, next);
	muster__channel_flush(channel);
}

/* A peer at its descriptor limit is not helped by haste. */
static void send_again(struct muster__channel *channel, struct muster__chunk *chunk)
{
	static const unsigned delays_ms[] = { 10, 100, 1000 };
	struct timeval delay;

	if (chunk->losses == sizeof delays_ms / sizeof delays_ms[0]) {
		muster__log(
			MUSTER_LOG_WARN,
			"channel %d: a handle was not received in %u tries and is closed: is the peer at its descriptor limit?",
			channel->fd, chunk->losses + 1u);
		chunk_free(chunk, 0);
		return;
	}
	delay = muster__ms(delays_ms[chunk->losses++]);
	if (TAILQ_EMPTY(&channel->lost)) {
		/* Without memory for a timer: too soon is better than never. */
		if (muster__event_add(channel->loop, &channel->again, &delay) < 0)
			event_active(&channel->again, EV_TIMEOUT, 1);
		muster__loop_alive(channel->loop, 1);
	}
	TAILQ_INSERT_TAIL(&channel->lost, chunk, next);
}

static void awaited_answered(struct muster__channel *channel, bool received)
{
	struct muster__chunk *chunk = TAILQ_FIRST(&channel->awaited);

	TAILQ_REMOVE(&channel->awaited, chunk, next);
	if (received)
		chunk_free(chunk, 0);
	else
		send_again(channel, chunk);
	if (channel->state == MUSTER__CHANNEL_ENDING)
		muster__loop_queue(channel->loop, &channel->task);
}

/* The rest of a line whose descriptor has gone already; the room for it was made before. */
static void queue_rest(struct muster__channel *channel, struct muster__chunk *rest, const char *text, size_t length)
{
	TAILQ_INSERT_TAIL(&channel->chunks, rest, next);
	chunk_append(channel, rest, text, length);
	channel->full = true;
	muster__event_add(channel->loop, &channel->writable, NULL);
}

int muster__channel_try(struct muster__channel *channel, const char *line, size_t length, int fd, uint64_t ticket)
{
	struct muster__chunk *rest;
	ssize_t sent;

	if (channel->state != MUSTER__CHANNEL_OPEN)
		return MUSTER_ECHANNEL;
	if (channel->queued > 0)
		muster__channel_flush(channel);
	if (channel->queued > 0 || must_wait(channel, length) || muster__tickets_reserve(&channel->tickets) < 0) {
		channel->full = true;
		return -EAGAIN;
	}
	sent = muster__fdpass_send(channel->fd, line, length, fd);
	if (sent == -ETOOMANYREFS || sent == -ENOBUFS || sent == -EAGAIN) {
		channel->full = true;
		muster__event_add(channel->loop, &channel->writable, NULL);
		return -EAGAIN;
	}
	if (sent < 0)
		return MUSTER_ECHANNEL;
	handle_sent(channel, length, ticket);
	if ((size_t)sent == length)
		return 0;
	/* Half a line cannot be taken back: without memory for the rest the channel is lost. */
	rest = chunk_new(length);
	if (rest == NULL)
		peer_is_gone(channel);
	else
		queue_rest(channel, rest, line + sent, length - (size_t)sent);
	return 0;
}

/* ---- in */

static void give_up(struct muster__channel *channel)
{
	muster__log(MUSTER_LOG_ERROR, "channel %d: closed, the peer does not speak the protocol", channel->fd);
	peer_is_gone(channel);
}

static void complain(struct muster__channel *channel, const char *what)
{
	if (muster__log_allowed(&channel->log_limit))
		muster__log(MUSTER_LOG_WARN, "channel %d: %s (%u bad lines so far)", channel->fd, what,
			    channel->malformed);
	if (++channel->malformed < MALFORMED_MAX)
		return;
	give_up(channel);
}

/* Also from one that is about to disconnect: the peer may wait for it to do the same. */
static void answer(struct muster__channel *channel, bool received)
{
	static const char ack[] = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n", nack[] = "{\"cmd\":\"NODE_HANDLE_NACK\"}\n";

	if (!received)
		MUSTER__HOOK("handle-lost");
	if (channel->broken || channel->state > MUSTER__CHANNEL_ENDING || channel->queued > QUEUE_MAX_BYTES)
		return;
	if (received)
		queue_text(channel, ack, sizeof ack - 1, &nobody);
	else
		queue_text(channel, nack, sizeof nack - 1, &nobody);
}

static void got_answer(struct muster__channel *channel, bool received)
{
	uint64_t ticket;

	if (!muster__tickets_pop(&channel->tickets, &ticket)) {
		complain(channel, "an acknowledgement of nothing");
		return;
	}
	if (ticket != AWAITED && channel->ops->answered != NULL)
		channel->ops->answered(channel, ticket, received);
	else if (ticket == AWAITED && !TAILQ_EMPTY(&channel->awaited))
		awaited_answered(channel, received);
	else if (ticket == AWAITED && !channel->broken) /* its line has not gone yet; or else it was dropped */
		give_up(channel);
	if (channel->queued == 0)
		tell_drained(channel);
}

/* A user's message without its handle is not told: its sender has our NACK, and may send it again. */
static bool is_lost(const struct muster__line *line, int fd)
{
	return line->is_handle && fd < 0;
}

static void got_line(struct muster__channel *channel, const char *text, size_t length)
{
	struct muster__line line;
	int err = muster__line_decode(&line, text, length);
	int fd = line.is_handle ? muster__inbox_claim(&channel->inbox) : -1;

	if (line.is_handle) {
		MUSTER__HOOK("received");
		answer(channel, fd >= 0);
		MUSTER__HOOK("acknowledged");
	}
	if (err < 0)
		complain(channel, "a line that is no JSON");
	else if (!line.is_handle && (line.kind == MUSTER__LINE_ACK || line.kind == MUSTER__LINE_NACK))
		got_answer(channel, line.kind == MUSTER__LINE_ACK);
	else if (line.act == MUSTER__ACT_HELLO)
		channel->is_muster = true;
	else if (line.kind == MUSTER__LINE_CLUSTER || (line.kind == MUSTER__LINE_USER && !is_lost(&line, fd)))
		channel->ops->line(channel, &line, &fd);
	else if (!line.is_handle && line.kind == MUSTER__LINE_SOCKETS)
		muster__socket_lists_line(&channel->sockets, &line);
	muster__line_clear(&line);
	muster__fd_close(&fd);
}

static bool take_line(void *owner, const char *text, size_t length)
{
	struct muster__channel *channel = owner;

	got_line(channel, text, length);
	return channel->state < MUSTER__CHANNEL_ENDED;
}

static void got_bytes(struct muster__channel *channel, const char *bytes, size_t length)
{
	int err = muster__inbox_feed(&channel->inbox, bytes, length, take_line, channel);

	if (err < 0) {
		muster__log(MUSTER_LOG_ERROR, "channel %d: closed, a line longer than %zu bytes: %s", channel->fd,
			    err == -EMSGSIZE ? MUSTER__LINE_MAX : channel->inbox.partial_length, muster_strerror(err));
		peer_is_gone(channel);
	}
	if (muster__inbox_drop_unclaimed(&channel->inbox))
		complain(channel, "descriptors that belong to no message");
}

/* What one read found: nothing, now or ever; all that there was; or a part of it, maybe. */
enum harvest { READ_NOTHING, READ_ALL, READ_PART };

/* The kernel ends a read behind a descriptor; one that fell short without any has emptied the socket. */
static enum harvest read_some(struct muster__channel *channel)
{
	char *buffer = muster__loop_buffer(channel->loop);
	struct muster__fds fds;
	ssize_t length;

	if (buffer == NULL || channel->state >= MUSTER__CHANNEL_ENDED)
		return READ_NOTHING;
	length = muster__fdpass_receive(channel->fd, buffer, READ_SIZE, &fds);
	if (length > 0) {
		muster__inbox_keep(&channel->inbox, &fds);
		got_bytes(channel, buffer, (size_t)length);
		return fds.count == 0 && !fds.lost && length < READ_SIZE ? READ_ALL : READ_PART;
	}
	if (length != -EAGAIN)
		peer_is_gone(channel);
	return READ_NOTHING;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct muster__channel *channel = data;
	int reads = READS_PER_TURN;

	(void)fd, (void)what;
	channel->reading = true;
	while (reads-- > 0 && read_some(channel) == READ_PART)
		;
	channel->reading = false;
	if (channel->state < MUSTER__CHANNEL_ENDED && channel->queued > 0) {
		muster__channel_flush(channel);
		MUSTER__HOOK("answers-sent");
	}
}

/* ---- life */

static void close_all(struct muster__channel *channel)
{
	muster__event_del(channel->loop, &channel->readable);
	channel->state = MUSTER__CHANNEL_CLOSED;
	drop_queue(channel);
	muster__socket_lists_clear(&channel->sockets);
	free(channel->spare);
	channel->spare = NULL;
	muster__inbox_clear(&channel->inbox);
	muster__tickets_clear(&channel->tickets);
	muster__fd_close(&channel->fd);
}

static void run_task(struct muster__task *task)
{
	struct muster__channel *channel = MUSTER__CONTAINER(task, struct muster__channel, task);

	if (channel->state < MUSTER__CHANNEL_ENDED)
		muster__channel_flush(channel);
	if (channel->state != MUSTER__CHANNEL_ENDED)
		return;
	close_all(channel);
	channel->ops->closed(channel);
}

static void say_about_sockets(struct muster__socket_lists *lists, const char *text, size_t length)
{
	muster__channel_print(MUSTER__CONTAINER(lists, struct muster__channel, sockets), text, length);
}

int muster__channel_init(struct muster__channel *channel, struct muster_loop *loop, int fd,
			 const struct muster__channel_ops *ops)
{
	*channel = (struct muster__channel){ .loop = loop, .ops = ops, .fd = fd, .task = { .run = run_task } };
	TAILQ_INIT(&channel->chunks);
	TAILQ_INIT(&channel->awaited);
	TAILQ_INIT(&channel->lost);
	muster__socket_lists_init(&channel->sockets, loop, say_about_sockets);
	event_assign(&channel->again, loop->base, -1, EV_PERSIST, on_again, channel);
	event_assign(&channel->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, channel);
	event_assign(&channel->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
	if (muster__event_add(loop, &channel->readable, NULL) == 0)
		return 0;
	muster__channel_free(channel);
	return -ENOMEM;
}

void muster__channel_disconnect(struct muster__channel *channel)
{
	if (channel->state != MUSTER__CHANNEL_OPEN)
		return;
	channel->state = MUSTER__CHANNEL_ENDING;
	muster__loop_queue(channel->loop, &channel->task);
}

/* Whoever else may hold the other end, and go on, the one we spoke to is gone. */
void muster__channel_finish(struct muster__channel *channel)
{
	int reads = READS_AT_END;

	if (channel->state >= MUSTER__CHANNEL_ENDED)
		return;
	while (reads-- > 0 && read_some(channel) != READ_NOTHING)
		;
	peer_is_gone(channel);
}

bool muster__channel_is_connected(const struct muster__channel *channel)
{
	return channel->loop != NULL && channel->state == MUSTER__CHANNEL_OPEN;
}

bool muster__channel_needs_drain(const struct muster__channel *channel)
{
	return channel->queued >= DRAIN_BYTES;
}

void muster__channel_free(struct muster__channel *channel)
{
	if (channel->loop == NULL)
		return;
	muster__loop_unqueue(channel->loop, &channel->task);
	close_all(channel);
	channel->loop = NULL;
}
