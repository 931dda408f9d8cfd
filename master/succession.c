/*
 * Two generations share a socket by two descriptors of it; the kernel tells whether two are one socket. What the heir took is
 * lent to it until it counts: the elder has the path and the queue, and an heir who fails takes nothing with it.
 */
#include "master/succession.h"

#include "master/handover.h"
#include "master/inherited.h"
#include "master/lanes.h"
#include "master/listeners.h"
#include "master/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- offering */

/* One of systemd's is known by the name it gave. */
const char *muster__succession_name(const struct muster__service *service, const struct muster__listening *listening)
{
	const struct muster__config *config = service->config;
	size_t i;

	if (!listening->socket.foreign || listening->name == NULL)
		return listening->name;
	for (i = 0; i < config->listener_count; i++)
		if (strcmp(config->listeners[i].name, listening->name) == 0)
			return config->listeners[i].fd_name;
	return NULL;
}

struct visit {
	const struct muster__service *service;
	muster__listening_visitor fn;
	void *data;
};

/* The newest is in front, and several of one name are found in the order in which they were opened. */
static void visit_from(const struct visit *visit, struct muster__listening *listening)
{
	if (listening == NULL)
		return;
	visit_from(visit, LIST_NEXT(listening, link));
	visit->fn(visit->service, listening, visit->data);
}

void muster__succession_each(const struct muster__service *service, muster__listening_visitor fn, void *data)
{
	struct visit visit = { service, fn, data };
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (service->apps[i].cluster != NULL)
			visit_from(&visit, LIST_FIRST(&service->apps[i].cluster->listenings));
}

struct offer {
	struct muster__inherited *table;
	int err;
};

static void offer(const struct muster__service *elder, struct muster__listening *listening, void *data)
{
	struct offer *to = data;
	int copy = to->err == 0 ? fcntl(listening->socket.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;

	if (to->err == 0 && copy < 0)
		to->err = -errno;
	if (to->err == 0)
		to->err = muster__inherited_add(to->table, copy, muster__succession_name(elder, listening),
						!listening->socket.foreign);
}

int muster__succession_offer(const struct muster__service *elder, struct muster__inherited *table)
{
	struct offer to = { table, 0 };

	muster__succession_each(elder, offer, &to);
	return to.err;
}

/* ---- pairs */

static bool is_same_socket(const struct muster__listening *a, const struct muster__listening *b)
{
	struct stat one, other;

	return fstat(a->socket.fd, &one) == 0 && fstat(b->socket.fd, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static struct muster__listening *find_same(const struct muster__service *service,
					   const struct muster__listening *wanted)
{
	struct muster__listening *listening;
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (service->apps[i].cluster != NULL)
			LIST_FOREACH(listening, &service->apps[i].cluster->listenings, link)
	if (is_same_socket(listening, wanted))
		return listening;
	return NULL;
}

struct pairs {
	const struct muster__service *elder;
	void (*fn)(struct muster__listening *elder, struct muster__listening *heir);
};

static void pair(const struct muster__service *heir, struct muster__listening *listening, void *data)
{
	const struct pairs *pairs = data;
	struct muster__listening *same = find_same(pairs->elder, listening);

	(void)heir;
	if (same != NULL)
		pairs->fn(same, listening);
}

static void join(struct muster__listening *elder, struct muster__listening *heir)
{
	struct muster__scoreboard *board = heir->cluster->board;
	int err;

	muster__scoreboard_give_row(board, heir->row);
	heir->row = muster__scoreboard_share_row(board, elder->row);
	/* The sockets of the seats are the same; without that the heir opens others, and the elder drains its own. */
	err = muster__lanes_share(elder, heir);
	if (err < 0)
		muster__log(MUSTER_LOG_WARN, "listener %s: not all of its sockets can be kept: %s", heir->key,
			    muster_strerror(err));
}

static void leave(struct muster__listening *listening)
{
	free(listening->socket.path);
	listening->socket.path = NULL;
	listening->handed_on = true;
}

/* What somebody has set by hand stays, unless the file says something else than before. */
static void open_up(const struct muster__listening *elder, const struct muster__listening *heir)
{
	const struct muster_listen_options *before, *now;
	int err;

	if (elder->configured == NULL || heir->configured == NULL)
		return;
	before = &elder->configured->listen;
	now = &heir->configured->listen;
	if (before->readable_all == now->readable_all && before->writable_all == now->writable_all)
		return;
	err = muster__listener_open_up(&heir->socket, now);
	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "listener %s: the mode of %s cannot be changed: %s", heir->name,
			    heir->socket.path, muster_strerror(err));
}

static void pass(struct muster__listening *elder, struct muster__listening *heir)
{
	open_up(elder, heir);
	muster__lanes_trim(heir);
	muster__lanes_hand_on(elder, heir);
	leave(elder);
	muster__handover_move_waiting(elder, heir);
}

/* What only the heir has goes to the elder's workers. */
static void renounce(struct muster__listening *elder, struct muster__listening *heir)
{
	muster__lanes_hand_on(heir, elder);
	muster__lanes_take_queues(heir);
	muster__handover_move_waiting(heir, elder);
}

static void own(const struct muster__service *heir, struct muster__listening *listening, void *data)
{
	(void)heir, (void)data;
	listening->socket.lent = false;
}

void muster__succession_own(const struct muster__service *heir)
{
	muster__succession_each(heir, own, NULL);
}

static void leave_it(const struct muster__service *elder, struct muster__listening *listening, void *data)
{
	(void)elder, (void)data;
	leave(listening);
}

void muster__succession_leave(const struct muster__service *elder)
{
	muster__succession_each(elder, leave_it, NULL);
}

void muster__succession_join(const struct muster__service *elder, const struct muster__service *heir)
{
	struct pairs pairs = { elder, join };

	muster__succession_each(heir, pair, &pairs);
}

void muster__succession_pass(const struct muster__service *elder, const struct muster__service *heir)
{
	struct pairs pairs = { elder, pass };

	muster__succession_each(heir, pair, &pairs);
}

void muster__succession_renounce(const struct muster__service *elder, const struct muster__service *heir)
{
	struct pairs pairs = { elder, renounce };

	muster__succession_each(heir, pair, &pairs);
}
