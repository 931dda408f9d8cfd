/*
 * A server in a worker has a source far away. It asks the primary and is told one of two things: the primary accepts and
 * hands connections over (there is a name here, and no descriptor), or here is the listening socket, accept yourself.
 *
 * The crash rule: what happens to a hand-over is written to the slot immediately before the connection is given to its
 * server. A primary that keeps no slot is answered first instead, so that to it unanswered means undelivered.
 */
#include "worker/listen.h"

#include "ipc/hook.h"
#include "ipc/protocol.h"
#include "src/address.h"
#include "src/direct.h"
#include "src/fd.h"
#include "src/lookup.h"
#include "worker/self.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct muster__far {
	struct muster__source source;
	LIST_ENTRY(muster__far) link;
	struct muster__self *self;
	struct muster__sink *sink; /* NULL: closed, and only its reply is still due */
	struct muster__lookup *lookup;
	struct muster__query query;
	char *address;    /* of the query: an address literal or a path */
	uint64_t seq;     /* of the query */
	bool waiting;     /* to be asked */
	bool asked, told; /* the query was sent, the reply has come */
	char *key;
	struct muster_address sockname;
	struct muster__source *here; /* shared, reuse-port: the accepting side */
	struct muster__task reap;
};

static struct muster__far *far_of(struct muster__source *source)
{
	return MUSTER__CONTAINER(source, struct muster__far, source);
}

/* ---- counting */

static void count_opened(unsigned row, void *data)
{
	struct muster__self *self = data;

	if (self->slot != NULL)
		muster__slot_opened(self->slot, row);
}

/* Someone may be waiting for this one to close. */
static void count_closed(unsigned row, void *data)
{
	struct muster__self *self = data;
	bool wanted;

	if (self->slot == NULL)
		return;
	muster__slot_closed(self->slot, row);
	wanted = muster__scoreboard_take_starved(self->board) || self->refused;
	if (wanted && muster_worker_is_connected(&self->peer)) {
		self->refused = false;
		muster__send_room(&self->peer.channel);
	}
}

/* A limit over all workers is reached. */
static bool is_over_all(const struct muster__self *self, unsigned row)
{
	unsigned all = muster__scoreboard_max(self->board), own = self->limits[row].max;

	return (all != 0 && muster__scoreboard_sum(self->board) >= all) ||
	       (own != 0 && muster__scoreboard_row_open(self->board, row) >= own);
}

static bool is_full(const struct muster__self *self)
{
	return self->most != 0 && atomic_load_explicit(&self->slot->open, memory_order_relaxed) >= self->most;
}

static bool count_has_room(unsigned row, void *data)
{
	const struct muster__self *self = data;

	return self->slot == NULL || (!is_full(self) && !is_over_all(self, row));
}

/* What is too much for this worker alone is for others to take, if they can. */
static bool count_must_drop(unsigned row, void *data)
{
	const struct muster__self *self = data;
	const struct muster__limit *limit = &self->limits[row];

	return self->slot != NULL && limit->drops && (is_over_all(self, row) || (limit->alone && is_full(self)));
}

static void count_dropped(unsigned row, void *data)
{
	struct muster__self *self = data;

	if (self->slot != NULL)
		muster__slot_dropped(self->slot, row);
}

static void count_refused(unsigned row, void *data)
{
	struct muster__self *self = data;

	if (self->slot != NULL)
		muster__slot_refused(self->slot, row);
}

static bool count_visitors(struct muster__visitors *visitors, void *data)
{
	struct muster__self *self = data;

	if (self->slot != NULL)
		muster__scoreboard_visitors(self->board, self->slot, visitors);
	return self->slot != NULL;
}

const struct muster__count_ops muster__count_in_slot = {
	count_opened, count_closed, count_has_room, count_must_drop, count_dropped, count_refused, count_visitors,
};

/* ---- the source */

static void free_far(struct muster__far *far)
{
	LIST_REMOVE(far, link);
	free(far->address);
	free(far->key);
	free(far);
}

static void run_reap(struct muster__task *task)
{
	free_far(MUSTER__CONTAINER(task, struct muster__far, reap));
}

/* It may be its own accept loop that closes it: the memory goes at the end of the turn. */
static void reap(struct muster__far *far)
{
	far->reap.run = run_reap;
	muster__loop_queue(far->self->peer.object.loop, &far->reap);
}

/* A reply that is still due is waited for, so that its descriptor is not mistaken for anything else. */
static void far_close(struct muster__source *source)
{
	struct muster__far *far = far_of(source);
	struct muster__channel *channel = &far->self->peer.channel;

	muster__lookup_cancel(far->lookup);
	far->lookup = NULL;
	far->sink = NULL;
	if (far->here != NULL)
		far->here->ops->close(far->here);
	far->here = NULL;
	if (far->asked && !far->told && muster__channel_is_connected(channel))
		return;
	if (far->key != NULL && muster__channel_is_connected(channel))
		muster__send_close(channel, far->key, far->self->peer.seq++);
	reap(far);
}

static int far_address(struct muster__source *source, struct muster_address *out)
{
	struct muster__far *far = far_of(source);

	if (far->here != NULL)
		return far->here->ops->address(far->here, out);
	*out = far->sockname;
	return 0;
}

static int far_fd(const struct muster__source *source)
{
	const struct muster__far *far = MUSTER__CONTAINER(source, const struct muster__far, source);

	return far->here != NULL ? far->here->ops->fd(far->here) : -1;
}

static void far_room(struct muster__source *source)
{
	struct muster__far *far = far_of(source);

	if (far->here != NULL)
		far->here->ops->room(far->here);
}

static void far_drain(struct muster__source *source)
{
	struct muster__far *far = far_of(source);

	if (far->here != NULL)
		far->here->ops->drain(far->here);
}

static const struct muster__source_ops far_ops = { far_close, far_address, far_fd, far_room, far_drain };

static void fail(struct muster__far *far, int err, const char *call)
{
	struct muster_error error = { .code = err, .call = call };

	if (far->address != NULL)
		muster__address_named(&error.address, far->query.family == -1 ? MUSTER__FAMILY_UNIX : far->query.family,
				      far->address, far->query.port > 0 ? (unsigned)far->query.port : 0);
	far->sink->ops->failed(far->sink, &error);
}

/* ---- asking */

static bool asks_the_same(const struct muster__far *a, const struct muster__far *b)
{
	return a->query.port == b->query.port && a->query.family == b->query.family &&
	       strcmp(a->address ? a->address : "", b->address ? b->address : "") == 0;
}

/* How many servers of this worker asked for the same: port 0 gives each of them a port of its own. */
static unsigned next_index(const struct muster__far *far)
{
	const struct muster__far *other;
	unsigned index = 0;
	bool taken = true;

	for (; taken; index += taken) {
		taken = false;
		LIST_FOREACH(other, &far->self->fars, link)
		if (other != far && other->asked && other->sink != NULL && other->query.index == index &&
		    asks_the_same(other, far))
			taken = true;
	}
	return index;
}

/* To the primary this worker still listens there until the reply to a closed server has come, and our close has gone. */
static bool must_wait(const struct muster__far *far)
{
	const struct muster__far *other;

	LIST_FOREACH(other, &far->self->fars, link)
	if (other->sink == NULL && other->asked && !other->told && asks_the_same(other, far))
		return true;
	return false;
}

static void ask(struct muster__far *far)
{
	int err;

	far->waiting = must_wait(far);
	if (far->waiting)
		return;
	far->query.address = far->address;
	far->query.index = next_index(far);
	far->seq = far->self->peer.seq++;
	err = muster__send_query(&far->self->peer.channel, &far->query, far->seq);
	if (err < 0)
		fail(far, err, "listen");
	else
		far->asked = true;
}

static void on_looked_up(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__far *far = data;
	struct muster_address address;

	(void)count;
	far->lookup = NULL;
	if (err == 0) {
		muster__address_from(&address, &addresses[0].any, addresses[0].length);
		free(far->address);
		far->address = strdup(address.text);
		far->query.family = address.family;
		err = far->address != NULL ? 0 : -ENOMEM;
	}
	if (err < 0)
		fail(far, err, "getaddrinfo");
	else
		ask(far);
}

/* Another process has another working directory. */
static char *absolute_path(const char *path)
{
	char directory[4096], *absolute = NULL;

	if (path[0] == '/' || path[0] == '@')
		return strdup(path);
	if (getcwd(directory, sizeof directory) == NULL || asprintf(&absolute, "%s/%s", directory, path) < 0)
		return NULL;
	return absolute;
}

static struct muster__far *far_new(struct muster__self *self, struct muster__sink *sink,
				   const struct muster_listen_options *options)
{
	struct muster__far *far = calloc(1, sizeof *far);
	bool by_path = options->path != NULL && options->port == 0;

	if (far == NULL)
		return NULL;
	far->source.ops = &far_ops;
	far->self = self;
	far->sink = sink;
	far->query = (struct muster__query){
		.port = by_path ? -1 : (int)options->port,
		.family = by_path                                                ? -1 :
			  options->host != NULL && muster_is_ipv6(options->host) ? 6 :
										   4,
		.fd = -1,
		.backlog = options->backlog,
		.ipv6_only = options->ipv6_only,
		.readable_all = options->readable_all,
		.writable_all = options->writable_all,
		.policy = options->no_accept ? MUSTER_POLICY_SHARED : options->policy,
		.no_accept = options->no_accept,
		.no_delay = options->no_delay,
		.keep_alive = options->keep_alive,
		.keep_alive_delay_ms = options->keep_alive_delay_ms,
		.defer_accept_ms = options->defer_accept_ms,
		.fast_open = options->fast_open,
	};
	if (by_path)
		far->address = absolute_path(options->path);
	else if (options->host != NULL)
		far->address = strdup(options->host);
	LIST_INSERT_HEAD(&self->fars, far, link);
	if ((by_path || options->host != NULL) && far->address == NULL) {
		free_far(far);
		return NULL;
	}
	return far;
}

static int far_listen(struct muster__sink *sink, const struct muster_listen_options *options,
		      struct muster__source **source, void *data)
{
	struct muster__self *self = data;
	struct muster__far *far;
	int err;

	if (!muster_worker_is_connected(&self->peer))
		return MUSTER_ECHANNEL;
	far = far_new(self, sink, options);
	if (far == NULL)
		return -ENOMEM;
	if (far->query.family != -1 && far->address != NULL && !muster_is_ip(far->address)) {
		err = muster__lookup_start(self->peer.object.loop, far->address, options->port, 0, 0, on_looked_up, far,
					   &far->lookup);
		if (err < 0) {
			free_far(far);
			return err;
		}
		*source = &far->source;
		return 0;
	}
	*source = &far->source;
	ask(far);
	return 0;
}

const struct muster__listen_ops muster__listen_far = { far_listen };

/* ---- the answer */

static void tell_listening(struct muster__far *far)
{
	struct muster_address address;

	if (far->sink != NULL && far_address(&far->source, &address) == 0)
		muster__send_listening(&far->self->peer.channel, &far->query, address.port, far->self->peer.seq++);
}

static void begin_handed(struct muster__far *far, const struct muster__reply *reply)
{
	if (far->query.no_accept) {
		fail(far, -EOPNOTSUPP, "listen");
		return;
	}
	if (reply->has_sockname)
		far->sockname = reply->sockname;
	else
		muster__address_named(&far->sockname, MUSTER__FAMILY_UNIX, far->address ? far->address : "", 0);
	far->sink->ops->ready(far->sink);
}

/* Where an address is in use Node's primary shares a socket that is not bound: it would have learnt of it by listening. */
static bool is_bound_elsewhere(const struct muster__far *far, int fd)
{
	struct muster_address address;

	return far->query.port > 0 &&
	       (muster__address_local(&address, fd) < 0 || address.port != (unsigned)far->query.port);
}

/* Node's primary does not say how often. */
static unsigned rotation(const struct muster__reply *reply)
{
	if (reply->alone)
		return 0;
	return reply->rotate_every != 0 ? reply->rotate_every : 1;
}

static void begin_shared(struct muster__far *far, const struct muster__reply *reply, int *fd)
{
	struct muster__accepting how = {
		.backlog = far->query.backlog,
		.rotate_every = rotation(reply),
		.none = far->query.no_accept,
	};
	struct muster__listener listener = { .fd = *fd };
	int err;

	if (is_bound_elsewhere(far, *fd)) {
		fail(far, -EADDRINUSE, "bind");
		return;
	}
	err = muster__fd_prepare(*fd);
	*fd = -1;
	far->self->most = reply->worker_max;
	if (reply->row < MUSTER__ROWS)
		far->self->limits[reply->row] =
			(struct muster__limit){ reply->max_connections, reply->drops, reply->alone };
	if (err == 0)
		err = muster__source_here(far->sink, &listener, &how, &far->here);
	else
		muster__listener_close(&listener, false);
	if (err < 0)
		fail(far, err, "listen");
}

static struct muster__far *far_by_seq(struct muster__self *self, uint64_t seq)
{
	struct muster__far *far;

	LIST_FOREACH(far, &self->fars, link)
	if (far->asked && !far->told && far->seq == seq)
		return far;
	return NULL;
}

static void begin(struct muster__far *far, const struct muster__reply *reply, int *fd)
{
	far->sink->row = reply->row < MUSTER__ROWS ? reply->row : 0;
	if (*fd >= 0)
		begin_shared(far, reply, fd);
	else
		begin_handed(far, reply);
	tell_listening(far);
}

/* The list has the newest first. */
static struct muster__far *oldest_waiting(const struct muster__far *closed)
{
	struct muster__far *far, *oldest = NULL;

	LIST_FOREACH(far, &closed->self->fars, link)
	if (far->waiting && far->sink != NULL && asks_the_same(far, closed))
		oldest = far;
	return oldest;
}

/* The server had closed before its reply came; those that have asked for the same since then are heard now. */
static void close_and_go_on(struct muster__far *closed)
{
	struct muster__far *far;

	far_close(&closed->source);
	if (!must_wait(closed))
		while ((far = oldest_waiting(closed)) != NULL)
			ask(far);
}

bool muster__far_reply(struct muster__self *self, const struct muster__line *line, int *fd)
{
	struct muster__far *far = far_by_seq(self, line->ack);
	struct muster__reply reply;
	int err;

	if (far == NULL)
		return false;
	far->told = true;
	err = muster__reply_decode(&reply, line->json);
	if (err == 0)
		err = reply.err;
	if (err == 0 && (far->key = strdup(reply.key)) == NULL)
		err = -ENOMEM;
	/* A shared listener that was lost on its way here cannot be accepted on. */
	if (err == 0 && line->is_handle && *fd < 0)
		err = -EMFILE;
	if (far->sink == NULL)
		close_and_go_on(far);
	else if (err < 0)
		fail(far, err, "bind");
	else
		begin(far, &reply, fd);
	return true;
}

/* ---- connections */

static struct muster__far *far_by_key(struct muster__self *self, const char *key, size_t length)
{
	struct muster__far *far;

	LIST_FOREACH(far, &self->fars, link)
	if (far->sink != NULL && far->key != NULL && strlen(far->key) == length && memcmp(far->key, key, length) == 0)
		return far;
	return NULL;
}

void muster__far_newconn(struct muster__self *self, const struct muster__line *line, int *fd)
{
	struct muster__far *far = line->key != NULL ? far_by_key(self, line->key, line->key_length) : NULL;
	bool adopt = far != NULL && *fd >= 0 && far->sink->ops->takes(far->sink);
	struct muster__sink *sink = adopt ? far->sink : NULL;
	int taken = *fd;

	self->received++;
	if (self->slot != NULL) {
		MUSTER__HOOK("before-decided");
		muster__slot_decide(self->slot, self->received, adopt);
		MUSTER__HOOK("after-decided");
	}
	muster__send_accepted(&self->peer.channel, line->seq, adopt, self->peer.seq++);
	if (!adopt) {
		self->refused = self->refused || far != NULL;
		return;
	}
	*fd = -1;
	/* A completion of the user's may close the server in here; what was accepted is its own all the same. */
	if (self->slot == NULL) {
		muster__channel_flush(&self->peer.channel);
		muster__fd_prepare(taken);
	}
	sink->ops->adopt(sink, taken);
}

void muster__far_free(struct muster__self *self)
{
	struct muster__far *far;

	while ((far = LIST_FIRST(&self->fars)) != NULL) {
		muster__loop_unqueue(self->peer.object.loop, &far->reap);
		free_far(far);
	}
}
