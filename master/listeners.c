/*
 * The primary's listening sockets. Each is known by a key that is the same for the same question of any worker; it accepts
 * and hands over, or is shared.
 *
 * One function, derive, answers "should this one be accepting?" from the state as it is now, and is called after every change:
 * nothing remembers that it was stopped, or why. While nobody can take a connection the kernel's queue holds them.
 *
 * The primary keeps its copy of a connection from accept until the worker has answered; a worker that dies before that loses
 * none of those that it had not given to a server.
 */
#include "master/listeners.h"

#include "ipc/hook.h"
#include "master/permit.h"
#include "master/scheduler.h"
#include "src/address.h"
#include "src/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 1000
#define SWEEP_MAX 4096

static void derive(struct muster__listening *listening);

static bool is_shared(const struct muster__listening *listening)
{
	return listening->policy == MUSTER_POLICY_SHARED;
}

/* ---- who can take a connection */

static bool can_take(const struct muster__process *process)
{
	return muster__channel_is_connected(&process->peer.channel) && !process->leaving &&
	       !process->peer.channel.full && process->flight_count < process->cluster->options.window;
}

static bool member_able(const void *data, size_t index)
{
	const struct muster__listening *listening = data;

	return !listening->members[index].full && can_take(listening->members[index].process);
}

/* What its slot tells, and what it has not looked at yet; of a peer without a slot, what it has not answered. */
static unsigned member_load(const void *data, size_t index)
{
	const struct muster__process *process = ((const struct muster__listening *)data)->members[index].process;
	struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);

	if (!process->is_muster || slot == NULL)
		return process->flight_count;
	return atomic_load_explicit(&slot->open, memory_order_relaxed) +
	       (unsigned)(process->handed - atomic_load_explicit(&slot->decided, memory_order_relaxed));
}

/* The user's word about those who can take one: an index among the members, or their count for none. */
static size_t ask_user(const struct muster__listening *listening)
{
	struct muster_cluster *cluster = listening->cluster;
	struct muster_worker *able[MUSTER__SLOTS], *chosen;
	size_t count = 0, i;

	for (i = 0; i < listening->member_count; i++)
		if (member_able(listening, i))
			able[count++] = &listening->members[i].process->peer;
	cluster->picking = true;
	chosen = count > 0 ? cluster->pick(cluster, able, count, cluster->pick_data) : NULL;
	cluster->picking = false;
	for (i = 0; i < listening->member_count; i++)
		if (&listening->members[i].process->peer == chosen && member_able(listening, i))
			break;
	return i;
}

static struct muster__roster roster_of(const struct muster__listening *listening)
{
	return (struct muster__roster){
		.count = listening->member_count,
		.turn = listening->turn,
		.able = member_able,
		.load = member_load,
		.data = listening,
	};
}

/* In the end the policy decides: a cluster that closes would wait for ever for a user who gives its connections to nobody. */
static size_t pick(const struct muster__listening *listening)
{
	const struct muster_cluster *cluster = listening->cluster;
	struct muster__roster roster;
	size_t index;

	if (cluster->pick != NULL) {
		index = ask_user(listening);
		if (index < listening->member_count || (cluster->pick != NULL && !cluster->closing))
			return index;
	}
	roster = roster_of(listening);
	return muster__schedule(listening->policy, &roster);
}

static bool somebody_is_able(const struct muster__listening *listening)
{
	struct muster__roster roster = roster_of(listening);

	return muster__schedule(MUSTER_POLICY_ROUND_ROBIN, &roster) < listening->member_count;
}

static bool at_limit(const struct muster__listening *listening)
{
	struct muster__scoreboard *board = listening->cluster->board;
	unsigned all = muster__scoreboard_max(board), own = listening->max_connections;

	if (all != 0 && muster__scoreboard_sum(board) + muster__scoreboard_flying(board) >= all)
		return true;
	return own != 0 && muster__scoreboard_row_open(board, listening->row) + listening->flying >= own;
}

/* ---- hand over */

/* Give the connection to somebody. False: nobody can take it now, and it is still the caller's. */
static bool place(struct muster__listening *listening, int fd)
{
	size_t index;

	while ((index = pick(listening)) < listening->member_count) {
		struct muster__process *process = listening->members[index].process;
		uint64_t seq = process->peer.seq;
		int err = muster__try_newconn(&process->peer.channel, listening->key, fd, seq);

		listening->turn = (index + 1) % listening->member_count;
		if (err == 0) {
			process->peer.seq++;
			muster__flight_add(process, listening, fd, seq);
			listening->flying++;
			MUSTER__HOOK("handed-over");
			return true;
		}
		/* Full (its channel says so from now on) or gone (its end is about to be told). */
		if (err != -EAGAIN)
			process->peer.channel.full = true;
	}
	return false;
}

/* It found no worker: it waits here, and nothing more is accepted meanwhile. */
static void keep(struct muster__listening *listening, int fd)
{
	if (listening->returned_count == listening->returned_room) {
		size_t room = listening->returned_room ? listening->returned_room * 2 : 4;
		int *returned = realloc(listening->returned, room * sizeof *returned);

		if (returned == NULL) {
			muster__log(MUSTER_LOG_ERROR, "listener %s: out of memory, a connection is lost",
				    listening->key);
			muster__fd_close(&fd);
			return;
		}
		listening->returned = returned;
		listening->returned_room = room;
	}
	listening->returned[listening->returned_count++] = fd;
}

static void offer_again(struct muster__listening *listening)
{
	size_t placed = 0;

	while (placed < listening->returned_count && !at_limit(listening) &&
	       place(listening, listening->returned[placed]))
		placed++;
	listening->returned_count -= placed;
	if (placed > 0)
		memmove(listening->returned, listening->returned + placed,
			listening->returned_count * sizeof *listening->returned);
}

static void on_accepted(struct muster__acceptor *acceptor, int fd)
{
	struct muster__listening *listening = MUSTER__CONTAINER(acceptor, struct muster__listening, acceptor);

	/* A limit over all listeners may have been reached by another one. */
	if (at_limit(listening) || !place(listening, fd))
		keep(listening, fd);
	derive(listening);
}

static void on_failed(struct muster__acceptor *acceptor, int err)
{
	struct muster__listening *listening = MUSTER__CONTAINER(acceptor, struct muster__listening, acceptor);
	struct muster_error error = { .code = err, .call = "accept" };

	muster__address_local(&error.address, listening->socket.fd);
	muster__cluster_error(listening->cluster, &error);
}

static const struct muster__acceptor_ops acceptor_ops = { on_accepted, on_failed };

/* ---- should it be accepting? */

static bool somebody_is_full(const struct muster__listening *listening)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (listening->members[i].full)
			return true;
	return false;
}

static void arm_retry(struct muster__listening *listening, bool wanted)
{
	struct muster_loop *loop = listening->cluster->object.loop;
	struct timeval delay;

	if (!wanted) {
		muster__event_del(loop, &listening->retry);
		listening->retry_ms = RETRY_FIRST_MS;
	} else if (!event_pending(&listening->retry, EV_TIMEOUT, NULL)) {
		delay = muster__ms(listening->retry_ms);
		muster__event_add(loop, &listening->retry, &delay);
	}
}

/* What a scheduler changes while it is asked is looked at when its answer has been. */
static bool settle_later(struct muster_cluster *cluster)
{
	if (!cluster->picking)
		return false;
	cluster->unsettled = true;
	muster__object_wake(&cluster->object);
	return true;
}

static void derive(struct muster__listening *listening)
{
	bool limited = at_limit(listening);

	if (settle_later(listening->cluster))
		return;
	if (!limited && listening->returned_count > 0)
		offer_again(listening);
	if (limited)
		muster__scoreboard_set_starved(listening->cluster->board, true);
	arm_retry(listening, limited || listening->returned_count > 0 || somebody_is_full(listening));
	if (listening->socket.fd < 0) {
		muster__object_wake(&listening->cluster->object);
		return;
	}
	if (!is_shared(listening) && !limited && listening->returned_count == 0 &&
	    somebody_is_able(listening))
		muster__acceptor_start(&listening->acceptor);
	else
		muster__acceptor_stop(&listening->acceptor);
}

void muster__listeners_derive(struct muster_cluster *cluster)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
		derive(listening);
}

/* Those that refused are asked again: not every peer says when it has room. */
static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct muster__listening *listening = data;
	size_t i;

	(void)fd, (void)what;
	muster__event_del(listening->cluster->object.loop, &listening->retry);
	if (listening->retry_ms < RETRY_MAX_MS)
		listening->retry_ms *= 2;
	for (i = 0; i < listening->member_count; i++)
		listening->members[i].full = false;
	derive(listening);
}

/* ---- opening and closing */

static struct muster__listening *listening_new(struct muster_cluster *cluster, const char *key,
					       enum muster_policy policy, struct muster__listener *socket)
{
	struct muster__listening *listening = calloc(1, sizeof *listening);
	struct muster_loop *loop = cluster->object.loop;

	if (listening == NULL) {
		muster__listener_close(socket, true);
		return NULL;
	}
	listening->cluster = cluster;
	strncpy(listening->key, key, sizeof listening->key - 1);
	listening->policy = policy != MUSTER_POLICY_DEFAULT ? policy : cluster->options.policy;
	listening->socket = *socket;
	*socket = MUSTER__LISTENER_NONE;
	listening->row = muster__scoreboard_take_row(cluster->board);
	listening->retry_ms = RETRY_FIRST_MS;
	muster__acceptor_init(&listening->acceptor, loop, listening->socket.fd, &acceptor_ops, 0);
	event_assign(&listening->retry, loop->base, -1, EV_PERSIST, on_retry, listening);
	LIST_INSERT_HEAD(&cluster->listenings, listening, link);
	return listening;
}

static void listening_free(struct muster__listening *listening)
{
	muster__acceptor_stop(&listening->acceptor);
	muster__event_del(listening->cluster->object.loop, &listening->retry);
	/* Hand-overs that are still on their way outlive the listener: their copies are only closed. */
	muster__flights_forget(listening->cluster, listening);
	while (listening->returned_count > 0)
		muster__fd_close(&listening->returned[--listening->returned_count]);
	muster__listener_close(&listening->socket, true);
	muster__scoreboard_give_row(listening->cluster->board, listening->row);
	LIST_REMOVE(listening, link);
	muster__data_drop(listening->data);
	free(listening->returned);
	free(listening->members);
	free(listening->name);
	free(listening);
}

void muster__listeners_free(struct muster_cluster *cluster)
{
	struct muster__listening *listening;

	while ((listening = LIST_FIRST(&cluster->listenings)) != NULL)
		listening_free(listening);
}

static struct muster__listening *find(struct muster_cluster *cluster, const char *key, size_t length)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
		if (strlen(listening->key) == length && memcmp(listening->key, key, length) == 0)
			return listening;
	return NULL;
}

static bool is_every_address(const char *text)
{
	return strcmp(text, "::") == 0 || strcmp(text, "0.0.0.0") == 0;
}

static bool is_same_host(const struct muster_address *bound, const struct muster__query *query)
{
	const char *host = query->address != NULL ? query->address : "::";
	struct muster__sockaddr asked;
	struct muster_address address;

	if (muster__sockaddr_ip(&asked, host, bound->port) < 0)
		return false;
	muster__address_from(&address, &asked.any, asked.length);
	return strcmp(address.text, bound->text) == 0 ||
	       (is_every_address(address.text) && is_every_address(bound->text));
}

/* A folder may have several names; the socket in it is one. */
static bool is_same_path(const struct muster__listener *socket, const char *path)
{
	struct stat status;

	return socket->path != NULL && stat(path, &status) == 0 && status.st_dev == socket->device &&
	       status.st_ino == socket->inode;
}

/* Is this what was configured, however the worker spells it? */
static bool is_configured_for(const struct muster__listening *listening, const struct muster__query *query)
{
	struct muster_address bound;

	if (listening->name == NULL || query->fd >= 0)
		return false;
	if (query->family == -1)
		return is_same_path(&listening->socket, query->address);
	return muster__address_local(&bound, listening->socket.fd) == 0 && bound.family != MUSTER__FAMILY_UNIX &&
	       bound.port == (unsigned)query->port && is_same_host(&bound, query);
}

/* By its key if it has one, for that is exact. */
static struct muster__listening *find_for(struct muster_cluster *cluster, const struct muster__query *query,
					  const char *key)
{
	struct muster__listening *listening = find(cluster, key, strlen(key));

	if (listening != NULL)
		return listening;
	LIST_FOREACH(listening, &cluster->listenings, link)
		if (is_configured_for(listening, query))
			return listening;
	return NULL;
}

/* The question a worker will ask about this configured listener. */
static void configured_key(struct muster_cluster *cluster, const struct muster_listen_options *options, char *key)
{
	bool by_path = options->path != NULL && options->port == 0;
	struct muster__query query = {
		.address = by_path ? options->path : options->host,
		.port = by_path ? -1 : (int)options->port,
		.family = by_path ? -1 : options->host != NULL && muster_is_ipv6(options->host) ? 6 : 4,
		.fd = -1,
		.ipv6_only = options->ipv6_only,
	};

	do
		muster__query_key(&query, key);
	while (query.index++ < 1000 && query.port == 0 && find(cluster, key, strlen(key)) != NULL);
}

int muster__listening_configure(struct muster_cluster *cluster, const struct muster__app_listener *configured,
				struct muster__listener *socket, unsigned max_connections,
				struct muster__listening **out)
{
	struct muster__listening *listening;
	char key[MUSTER__KEY_MAX];

	configured_key(cluster, &configured->listen, key);
	listening = listening_new(cluster, key, configured->listen.policy, socket);
	if (listening == NULL)
		return -ENOMEM;
	listening->max_connections = max_connections;
	listening->name = strdup(configured->name);
	*out = listening;
	return listening->name != NULL ? 0 : -ENOMEM;
}

static void query_options(const struct muster__query *query, struct muster_listen_options *options)
{
	*options = (struct muster_listen_options){
		.host = query->family != -1 ? query->address : NULL,
		.port = query->port > 0 ? (unsigned)query->port : 0,
		.path = query->family == -1 ? query->address : NULL,
		.backlog = query->backlog,
		.ipv6_only = query->ipv6_only,
		.readable_all = query->readable_all,
		.writable_all = query->writable_all,
	};
}

/* For the eyes of whoever can mend it. */
static void note_refusal(const struct muster__process *process, const struct muster__query *query)
{
	const char *place = query->address != NULL ? query->address : "*";

	if (query->family == -1)
		muster__log(MUSTER_LOG_WARN,
			    "worker %u (pid %d) may listen on %s only if a listener is configured there",
			    process->peer.id, (int)process->peer.pid, place);
	else
		muster__log(MUSTER_LOG_WARN,
			    "worker %u (pid %d) may listen on %s port %d only if a listener is configured there",
			    process->peer.id, (int)process->peer.pid, place, query->port);
}

static int may_open(const struct muster__process *process, const struct muster__query *query)
{
	const struct muster_cluster *cluster = process->cluster;

	if (query->fd >= 0)
		return -EBADF;
	if (cluster->app == NULL && (cluster->permit == NULL || muster__permit_allows(cluster->permit, query)))
		return 0;
	note_refusal(process, query);
	return -EACCES;
}

/* For a worker's question nobody has asked before. NULL: `error` says why not. */
static struct muster__listening *open_on_demand(const struct muster__process *process,
						const struct muster__query *query, const char *key,
						struct muster_error *error)
{
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	struct muster_listen_options options;
	struct muster__listening *listening;
	int err;

	query_options(query, &options);
	error->code = err = may_open(process, query);
	if (err == 0)
		err = muster__listener_bind(&socket, &options, error);
	if (err == 0 && (err = muster__listener_listen(&socket, query->backlog, error)) < 0)
		muster__listener_close(&socket, true);
	if (err < 0)
		return NULL;
	listening = listening_new(process->cluster, key, query->policy, &socket);
	error->code = -ENOMEM;
	if (listening != NULL)
		listening->data = muster__data_keep(query->data);
	return listening;
}

/* ---- members */

static unsigned accepted_by(const struct muster__listening *listening, const struct muster__process *process)
{
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);

	return atomic_load_explicit(&slot->rows[listening->row].accepted, memory_order_relaxed);
}

static int join(struct muster__listening *listening, struct muster__process *process)
{
	struct muster__member *members;
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (listening->members[i].process == process)
			return -EADDRINUSE;
	members = realloc(listening->members, (listening->member_count + 1) * sizeof *members);
	if (members == NULL)
		return -ENOMEM;
	listening->members = members;
	listening->deserted = false;
	listening->members[listening->member_count++] =
		(struct muster__member){ .process = process, .before = accepted_by(listening, process) };
	return 0;
}

/* False if it was no member. */
static bool part(struct muster__listening *listening, const struct muster__process *process)
{
	size_t i;

	for (i = 0; i < listening->member_count && listening->members[i].process != process; i++)
		;
	if (i == listening->member_count)
		return false;
	listening->member_count--;
	memmove(&listening->members[i], &listening->members[i + 1],
		(listening->member_count - i) * sizeof listening->members[0]);
	if (listening->turn > i)
		listening->turn--;
	return true;
}

/*
 * A worker that dies may take the kernel's wake-up for a queued connection with it, and the others sleep on: whatever is
 * queued on a shared listener is accepted here and handed to one of them.
 */
static void sweep(struct muster__listening *listening)
{
	int left = SWEEP_MAX, fd;

	while (left-- > 0 && !at_limit(listening) && somebody_is_able(listening) &&
	       (fd = accept4(listening->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		if (!place(listening, fd))
			keep(listening, fd);
}

/*
 * A client that is in the kernel's queue has a connection, as far as it knows; closing the socket would reset it. So the
 * queue comes in whole, whoever can take it, and what is left over waits here for answers.
 */
static void take_queue(struct muster__listening *listening)
{
	int left = SWEEP_MAX, fd;

	while (left-- > 0 &&
	       (fd = accept4(listening->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		keep(listening, fd);
}

void muster__listeners_end(struct muster_cluster *cluster)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link) {
		muster__acceptor_stop(&listening->acceptor);
		take_queue(listening);
		muster__listener_close(&listening->socket, true);
		derive(listening);
	}
}

bool muster__listeners_are_empty(const struct muster_cluster *cluster)
{
	const struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
		if (listening->returned_count > 0)
			return false;
	return true;
}

/* What was opened for workers goes with the last that leaves; one that died is about to be replaced. */
static void member_left(struct muster__listening *listening, bool dead)
{
	bool replaced = dead && listening->cluster->options.respawn && !listening->cluster->leaving;

	if (listening->member_count == 0 && listening->name == NULL && !replaced && !listening->cluster->closing) {
		listening->deserted = true;
		if (!settle_later(listening->cluster))
			listening_free(listening);
		return;
	}
	if (dead && is_shared(listening) && listening->socket.fd >= 0)
		sweep(listening);
	derive(listening);
}

void muster__listeners_settle(struct muster_cluster *cluster)
{
	struct muster__listening *listening, *next;

	if (!cluster->unsettled)
		return;
	cluster->unsettled = false;
	for (listening = LIST_FIRST(&cluster->listenings); listening != NULL; listening = next) {
		next = LIST_NEXT(listening, link);
		if (listening->deserted && listening->member_count == 0)
			listening_free(listening);
		else
			derive(listening);
	}
}

void muster__listeners_close(struct muster__process *process, const char *key, size_t length)
{
	struct muster__listening *listening = key != NULL ? find(process->cluster, key, length) : NULL;

	if (listening != NULL && part(listening, process))
		member_left(listening, false);
}

void muster__listeners_leave(struct muster__process *process, bool dead)
{
	struct muster__listening *listening, *next;

	for (listening = LIST_FIRST(&process->cluster->listenings); listening != NULL; listening = next) {
		next = LIST_NEXT(listening, link);
		if (part(listening, process))
			member_left(listening, dead);
	}
}

/* ---- questions */

/* How often a shared listener's workers move to the tail of the kernel's queue. */
static unsigned rotate_every(const struct muster__listening *listening)
{
	size_t every = listening->member_count / 16;

	return every > 1 ? (unsigned)every : 1;
}

static void answer(struct muster__process *process, const struct muster__query *query, const char *key,
		   struct muster__listening *listening, int err, uint64_t ack)
{
	struct muster__reply reply = { .err = err, .key = listening != NULL ? listening->key : key };
	const struct json_t *data = query->data;
	int fd = -1;

	if (listening != NULL) {
		reply.row = listening->row;
		reply.max_connections = listening->max_connections;
		reply.rotate_every = rotate_every(listening);
		reply.has_sockname = query->family != -1 &&
				     muster__address_local(&reply.sockname, listening->socket.fd) == 0;
		data = listening->data;
		fd = is_shared(listening) ? listening->socket.fd : -1;
	}
	err = muster__send_reply(&process->peer.channel, &reply, data, fd, process->is_muster, ack,
				 process->peer.seq++);
	if (err < 0)
		muster__log(MUSTER_LOG_WARN, "worker %u: could not be answered about %s: %s", process->peer.id, key,
			    muster_strerror(err));
}

static void note_policy(const struct muster__listening *listening, const struct muster__query *query)
{
	if (query->policy != MUSTER_POLICY_DEFAULT && query->policy != listening->policy)
		muster__log(MUSTER_LOG_WARN, "listener %s: the policy is that of the first who asked", listening->key);
}

void muster__listeners_query(struct muster__process *process, const struct muster__line *line)
{
	struct muster_error error = { .code = -EINVAL };
	struct muster__listening *listening = NULL;
	struct muster__query query;
	char key[MUSTER__KEY_MAX] = "";
	int err = muster__query_decode(&query, line->json);

	/* A worker that is leaving gets no answer, as in Node. */
	if (process->leaving)
		return;
	if (err == 0) {
		muster__query_key(&query, key);
		listening = find_for(process->cluster, &query, key);
		if (listening != NULL)
			note_policy(listening, &query);
		else
			listening = open_on_demand(process, &query, key, &error);
		err = listening != NULL ? join(listening, process) : error.code;
	}
	answer(process, &query, key, err == 0 ? listening : NULL, err, line->seq);
	if (err == 0)
		derive(listening);
}

/* ---- answers */

static struct muster__member *member_of(struct muster__listening *listening, const struct muster__process *process)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (listening->members[i].process == process)
			return &listening->members[i];
	return NULL;
}

bool muster__listeners_are_served(struct muster__process *process)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &process->cluster->listenings, link)
		if (listening->name != NULL && member_of(listening, process) == NULL)
			return false;
	return true;
}

static void landed(const struct muster__flight *flight)
{
	if (flight->listening != NULL)
		flight->listening->flying--;
}

static void give_back(struct muster__listening *listening, int fd)
{
	if (listening != NULL)
		keep(listening, fd);
	else
		muster__fd_close(&fd);
}

void muster__listeners_answered(struct muster__process *process, uint64_t seq, bool accepted)
{
	struct muster__flight flight;
	struct muster__member *member;

	if (!muster__flight_take(process, seq, &flight))
		return;
	landed(&flight);
	member = flight.listening != NULL ? member_of(flight.listening, process) : NULL;
	if (member != NULL)
		member->full = !accepted;
	if (accepted)
		muster__fd_close(&flight.fd);
	else
		give_back(flight.listening, flight.fd);
	if (flight.listening != NULL)
		derive(flight.listening);
}

/*
 * "Exactly once": those the worker gave to a server are over, and closing our copy tells their clients; those that it refused
 * or never looked at go to somebody else. Without a slot, unanswered means undelivered.
 */
void muster__listeners_recover(struct muster__process *process)
{
	struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);
	struct muster__flight flight;
	unsigned saved = 0, lost = 0;

	while (muster__flight_take_oldest(process, &flight)) {
		landed(&flight);
		if (process->is_muster && slot != NULL && muster__slot_adopted(slot, flight.number)) {
			muster__fd_close(&flight.fd);
			lost++;
		} else {
			give_back(flight.listening, flight.fd);
			saved++;
		}
	}
	if (saved + lost > 0)
		muster__log(MUSTER_LOG_INFO, "worker %u: of %u connections on their way to it %u are handed to others",
			    process->peer.id, saved + lost, saved);
}

static struct muster_count count_of(const struct muster__listening *listening, const struct muster__member *member)
{
	struct muster__process *process = member->process;
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);
	/* In the first row there are others as well. */
	struct muster_count row = { .worker = &process->peer, .known = process->is_muster && listening->row != 0 };

	muster__address_local(&row.listener, listening->socket.fd);
	if (!row.known)
		return row;
	row.open = atomic_load_explicit(&slot->rows[listening->row].open, memory_order_relaxed);
	row.accepted = accepted_by(listening, process) - member->before;
	return row;
}

size_t muster__listeners_count(struct muster_cluster *cluster, struct muster_count *rows, size_t room)
{
	struct muster__listening *listening;
	size_t count = 0, i;

	LIST_FOREACH(listening, &cluster->listenings, link)
		for (i = 0; i < listening->member_count; i++, count++)
			if (count < room)
				rows[count] = count_of(listening, &listening->members[i]);
	return count;
}

void muster__listeners_room(struct muster__process *process)
{
	struct muster__listening *listening;
	struct muster__member *member;

	LIST_FOREACH(listening, &process->cluster->listenings, link) {
		member = member_of(listening, process);
		if (member != NULL)
			member->full = false;
	}
	/* The limit may be one over several clusters. */
	muster__scoreboard_tell_room(process->cluster->board);
}
