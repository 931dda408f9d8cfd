/*
 * The primary's listening sockets. Each is known by a key that is the same for the same question of any worker; it is opened by
 * configuration or on demand, and what was opened on demand goes with the last worker that leaves it.
 */
#include "master/listeners.h"

#include "master/demand.h"
#include "master/inherited.h"
#include "master/lanes.h"
#include "src/address.h"
#include "src/fd.h"
#include "src/tune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define UNREAD_MAX ((size_t)16 * 1024) /* of answers */

/* ---- opening and closing */

/* Several sockets at one address are a thing of ports, and none of them may listen before the others are made. */
static enum muster_policy policy_of(const struct muster_cluster *cluster, const struct muster_listen_options *options,
				    const struct muster__listener *socket)
{
	enum muster_policy policy =
		options->policy != MUSTER_POLICY_DEFAULT ? options->policy : cluster->options.policy;

	bool by_path = options->path != NULL && options->port == 0;

	if (policy != MUSTER_POLICY_REUSE_PORT || (!by_path && !muster__fd_is_listening(socket->fd)))
		return policy;
	if (by_path)
		muster__log(MUSTER_LOG_WARN,
			    "listener %s: a path cannot have the policy reuse-port, it is shared instead",
			    options->path);
	else
		muster__log(MUSTER_LOG_WARN,
			    "port %u: a socket that listens already cannot have the policy reuse-port, it is shared "
			    "instead",
			    options->port);
	return MUSTER_POLICY_SHARED;
}

static int listen_on(struct muster__listening *listening, struct muster_error *error)
{
	const struct muster__listener *socket = &listening->socket;

	/* Of an inherited address others have lanes still. */
	if (listening->policy == MUSTER_POLICY_REUSE_PORT)
		return socket->inherited ? 0 : muster__lane_open(listening, error);
	/* The backlog of a socket that listens already is its owner's choice, unless we were given one. */
	if (socket->foreign && listening->backlog == 0 && muster__fd_is_listening(socket->fd))
		return 0;
	return muster__listener_listen(socket, listening->backlog, error);
}

/* What the primary or a worker of ours accepts on must not block; a program is given what it expects. */
static int set_blocking(struct muster__listening *listening, struct muster_error *error)
{
	const struct muster__passing *passing = listening->cluster->passing;
	int fd = listening->socket.fd, flags = fcntl(fd, F_GETFL);

	flags = passing == NULL || passing->non_blocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (fcntl(fd, F_SETFL, flags) == 0)
		return 0;
	*error = (struct muster_error){ .code = -errno, .call = "fcntl" };
	return error->code;
}

static void listening_free(struct muster__listening *listening);

/* `socket` is bound, and listens from here on; it is taken. NULL: `error` says why not. */
static struct muster__listening *listening_new(struct muster_cluster *cluster, const char *key,
					       const struct muster_listen_options *options,
					       struct muster__listener *socket, struct muster_error *error)
{
	struct muster__listening *listening = calloc(1, sizeof *listening);

	if (listening == NULL) {
		muster__listener_close(socket, true);
		*error = (struct muster_error){ .code = -ENOMEM, .call = "listen" };
		return NULL;
	}
	listening->cluster = cluster;
	strncpy(listening->key, key, sizeof listening->key - 1);
	listening->policy = policy_of(cluster, options, socket);
	listening->watch_lanes = listening->policy == MUSTER_POLICY_REUSE_PORT ? muster__lanes_watch : NULL;
	listening->backlog = options->backlog;
	listening->drops = cluster->options.drop_max_connection;
	listening->socket = *socket;
	*socket = MUSTER__LISTENER_NONE;
	listening->row = muster__scoreboard_take_row(cluster->board);
	muster__handover_begin(listening);
	LIST_INSERT_HEAD(&cluster->listenings, listening, link);
	if (set_blocking(listening, error) == 0 && listen_on(listening, error) == 0)
		return listening;
	listening_free(listening);
	return NULL;
}

static void listening_free(struct muster__listening *listening)
{
	muster__lanes_close(listening);
	muster__handover_end(listening);
	muster__listener_close(&listening->socket, true);
	muster__scoreboard_give_row(listening->cluster->board, listening->row);
	LIST_REMOVE(listening, link);
	muster__data_drop(listening->data);
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

	return socket->inode != 0 && stat(path, &status) == 0 && status.st_dev == socket->device &&
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
		.family = by_path                                                ? -1 :
			  options->host != NULL && muster_is_ipv6(options->host) ? 6 :
										   4,
		.fd = -1,
		.ipv6_only = options->ipv6_only,
	};

	do
		muster__query_key(&query, key);
	while (query.index++ < 1000 && query.port == 0 && find(cluster, key, strlen(key)) != NULL);
}

int muster__listening_configure(struct muster_cluster *cluster, const struct muster__app_listener *configured,
				struct muster__listener *socket, struct muster_error *error,
				struct muster__listening **out)
{
	struct muster__listening *listening;
	char key[MUSTER__KEY_MAX];

	configured_key(cluster, &configured->listen, key);
	listening = listening_new(cluster, key, &configured->listen, socket, error);
	if (listening == NULL)
		return error->code;
	listening->configured = configured;
	listening->name = strdup(configured->name);
	*out = listening;
	if (listening->name == NULL)
		*error = (struct muster_error){ .code = -ENOMEM, .call = "listen" };
	return listening->name != NULL ? 0 : -ENOMEM;
}

/* On a socket of somebody else's what he has set stays, beyond what is asked for. */
static int tune(const struct muster__listening *listening)
{
	const struct muster_listen_options *options = &listening->configured->listen;
	int fd = listening->socket.fd;

	return listening->socket.foreign ? muster__tune_listener(fd, options) :
					   muster__tune_listener_again(fd, options);
}

void muster__listeners_tune(const struct muster_cluster *cluster)
{
	const struct muster__listening *listening;
	int err;

	LIST_FOREACH(listening, &cluster->listenings, link)
	if (listening->configured != NULL && (err = tune(listening)) < 0)
		muster__log(MUSTER_LOG_WARN, "listener %s: its socket cannot have the options of the file: %s",
			    listening->name, muster_strerror(err));
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
		.policy = query->policy,
		.no_delay = query->no_delay,
		.keep_alive = query->keep_alive,
		.keep_alive_delay_ms = query->keep_alive_delay_ms,
		.defer_accept_ms = query->defer_accept_ms,
		.fast_open = query->fast_open,
	};
}

static int find_or_bind(struct muster__inherited *inherited, const struct muster_listen_options *options,
			struct muster__listener *socket, struct muster_error *error)
{
	struct muster__inherited_wish wish = { .place = options };
	int err = inherited != NULL ? muster__inherited_take(inherited, &wish, socket) : -ENOENT;

	return err == 0 ? 0 : muster__listener_bind(socket, options, error);
}

/* For a worker's question nobody has asked before. NULL: `error` says why not. */
static struct muster__listening *open_on_demand(struct muster__process *process, const struct muster__query *query,
						const char *key, struct muster_error *error)
{
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	struct muster_listen_options options;
	struct muster__listening *listening;
	int err;

	query_options(query, &options);
	error->code = err = muster__demand_check(process, query);
	if (err == 0)
		err = find_or_bind(process->cluster->inherited, &options, &socket, error);
	if (err < 0)
		return NULL;
	listening = listening_new(process->cluster, key, &options, &socket, error);
	if (listening != NULL)
		listening->data = muster__data_keep(query->data);
	return listening;
}

/* ---- members */

static unsigned accepted_by(const struct muster__listening *listening, const struct muster__process *process)
{
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);

	return (unsigned)atomic_load_explicit(&slot->rows[listening->row].accepted, memory_order_relaxed);
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
	if (listening->holder == process)
		listening->holder = NULL;
	listening->member_count--;
	memmove(&listening->members[i], &listening->members[i + 1],
		(listening->member_count - i) * sizeof listening->members[0]);
	if (listening->turn > i)
		listening->turn--;
	return true;
}

void muster__listeners_end(struct muster_cluster *cluster)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
	{
		muster__acceptor_stop(&listening->acceptor);
		if (!listening->handed_on && !listening->no_accept && !listening->socket.lent &&
		    listening->policy != MUSTER_POLICY_REUSE_PORT)
			muster__handover_take_queue(listening, listening->socket.fd);
		muster__lanes_take_queues(listening);
		muster__lanes_close(listening);
		muster__listener_close(&listening->socket, true);
		muster__handover_derive(listening);
	}
}

static bool owes_an_answer(const struct muster__process *process)
{
	unsigned i;

	for (i = 0; process->is_muster && i < process->flight_count; i++)
		if (process->flights[(process->first_flight + i) % MUSTER__FLIGHT_MAX].listening != NULL)
			return true;
	return false;
}

/* One on its way is offered again if its worker dies. Only those are waited for who are sure to answer. */
bool muster__listeners_are_empty(const struct muster_cluster *cluster)
{
	const struct muster__listening *listening;
	const struct muster__seat *seat;

	LIST_FOREACH(listening, &cluster->listenings, link)
	if (listening->returned_count > 0)
		return false;
	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->process != NULL && owes_an_answer(seat->process))
		return false;
	return true;
}

/* What was opened for workers goes with the last that leaves; one that died is about to be replaced. */
static void member_left(struct muster__listening *listening, bool dead)
{
	bool replaced = dead && listening->cluster->options.respawn && !listening->cluster->leaving;

	if (listening->member_count == 0 && listening->name == NULL && !replaced && !listening->cluster->closing) {
		listening->deserted = true;
		if (!muster__handover_settle_later(listening->cluster))
			listening_free(listening);
		return;
	}
	if (dead && muster__listening_is_shared(listening) && !listening->no_accept && listening->socket.fd >= 0)
		muster__handover_sweep(listening);
	muster__handover_derive(listening);
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
			muster__handover_derive(listening);
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

void muster__listeners_vacate(struct muster_cluster *cluster, unsigned seat)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
	if (muster__lanes_vacate(listening, seat))
		muster__handover_derive(listening);
}

/* ---- questions */

/*
 * How often a shared listener's workers move to the tail of the kernel's queue. All should be told the same, so seats are
 * counted, and not who listens already: most ask before the others do.
 */
static unsigned rotate_every(const struct muster_cluster *cluster)
{
	const struct muster__seat *seat;
	unsigned workers = 0;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	workers++;
	return workers >= 32 ? workers / 16 : 1;
}

/* `fd`: what the worker accepts on itself, or -1. */
static void answer(struct muster__process *process, const struct muster__query *query, const char *key,
		   struct muster__listening *listening, int err, int fd, uint64_t ack)
{
	struct muster__reply reply = { .err = err, .key = listening != NULL ? listening->key : key };
	const struct json_t *data = query->data;

	if (listening != NULL) {
		reply.row = listening->row;
		reply.max_connections = listening->max_connections;
		reply.rotate_every = rotate_every(listening->cluster);
		reply.has_sockname =
			query->family != -1 && muster__address_local(&reply.sockname, listening->socket.fd) == 0;
		reply.worker_max = process->cluster->options.worker_max_connections;
		reply.drops = listening->drops;
		reply.alone = listening->policy == MUSTER_POLICY_REUSE_PORT;
		data = listening->data;
	}
	err = muster__send_reply(&process->peer.channel, &reply, data, fd, process->is_muster, ack,
				 process->peer.seq++);
	if (err < 0 && muster__log_allowed(&process->peer.channel.log_limit))
		muster__log(MUSTER_LOG_WARN, "worker %u: could not be answered about %s: %s", process->peer.id, key,
			    muster_strerror(err));
}

static void note_policy(struct muster__process *process, const struct muster__listening *listening,
			const struct muster__query *query)
{
	if (query->policy != MUSTER_POLICY_DEFAULT && query->policy != listening->policy &&
	    muster__log_allowed(&process->peer.channel.log_limit))
		muster__log(MUSTER_LOG_WARN, "listener %s: the policy is that of the first who asked", listening->key);
}

/* It is a member: with the socket that it accepts on, if it does. */
static int enter(struct muster__listening *listening, struct muster__process *process, int *fd)
{
	struct muster_error error;
	int err = join(listening, process);

	if (err < 0)
		return err;
	if (muster__listening_is_shared(listening))
		*fd = listening->socket.fd;
	else if (listening->policy == MUSTER_POLICY_REUSE_PORT &&
		 (err = *fd = muster__lane_take(listening, process->seat->index, &error)) < 0)
		part(listening, process);
	return err < 0 ? err : 0;
}

/* Each answer may carry a listener, and one that is not read keeps its descriptor here. */
static bool leaves_answers_unread(struct muster__channel *channel)
{
	if (channel->queued > UNREAD_MAX)
		muster__channel_flush(channel);
	return channel->queued > UNREAD_MAX;
}

void muster__listeners_query(struct muster__process *process, const struct muster__line *line)
{
	struct muster_error error = { .code = -EINVAL };
	struct muster__listening *listening = NULL;
	struct muster__query query;
	char key[MUSTER__KEY_MAX] = "";
	int err = muster__query_decode(&query, line->json), fd = -1;

	/* A worker that is leaving gets no answer, as in Node. */
	if (process->leaving)
		return;
	if (leaves_answers_unread(&process->peer.channel))
		err = -ENOBUFS;
	if (err == 0) {
		muster__query_key(&query, key);
		listening = find_for(process->cluster, &query, key);
		if (listening != NULL)
			note_policy(process, listening, &query);
		else
			listening = open_on_demand(process, &query, key, &error);
		err = listening != NULL ? enter(listening, process, &fd) : error.code;
	}
	if (err == 0)
		listening->no_accept |= query.no_accept;
	answer(process, &query, key, err == 0 ? listening : NULL, err, err == 0 ? fd : -1, line->seq);
	if (err == 0)
		muster__handover_derive(listening);
}

/* ---- what others ask */

size_t muster__listeners_pass(struct muster__process *process, struct muster__listening **list, size_t room)
{
	struct muster__listening *listening;
	size_t count = 0, i;

	LIST_FOREACH(listening, &process->cluster->listenings, link)
	if (count < room && join(listening, process) == 0)
		list[count++] = listening;
	/* The newest is in front; they are passed in the order of the file. */
	for (i = 0; i < count / 2; i++) {
		listening = list[i];
		list[i] = list[count - 1 - i];
		list[count - 1 - i] = listening;
	}
	return count;
}

unsigned muster__listeners_wanted(struct muster__process *process, const struct muster__process *before)
{
	struct muster__listening *listening;
	unsigned wanted = 0;

	LIST_FOREACH(listening, &process->cluster->listenings, link)
	{
		if (listening->name == NULL && (before == NULL || muster__handover_member(listening, before) == NULL))
			continue;
		if (muster__handover_member(listening, process) == NULL)
			return MUSTER__LISTENERS_MISSING;
		wanted++;
	}
	return wanted;
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
