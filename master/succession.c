/*
 * Two generations share a socket by two descriptors of it; the kernel tells whether two are one socket. Until the heir counts
 * the elder has the path and the queue, so that an heir who fails takes nothing with it.
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
static const char *name_of(const struct muster__service *service, const struct muster__listening *listening)
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

static int offer(const struct muster__service *elder, const struct muster__listening *listening,
		 struct muster__inherited *table)
{
	int copy = fcntl(listening->socket.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (copy < 0)
		return -errno;
	return muster__inherited_add(table, copy, name_of(elder, listening), !listening->socket.foreign);
}

/* The newest is in front, and several of one name are found in the order in which they were opened. */
static int offer_from(const struct muster__service *elder, const struct muster__listening *listening,
		      struct muster__inherited *table)
{
	int err = listening != NULL ? offer_from(elder, LIST_NEXT(listening, link), table) : 0;

	return err == 0 && listening != NULL ? offer(elder, listening, table) : err;
}

int muster__succession_offer(const struct muster__service *elder, struct muster__inherited *table)
{
	int err = 0;
	size_t i;

	for (i = 0; i < elder->app_count && err == 0; i++)
		if (elder->apps[i].cluster != NULL)
			err = offer_from(elder, LIST_FIRST(&elder->apps[i].cluster->listenings), table);
	return err;
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

typedef void (*pair_function)(struct muster__listening *elder, struct muster__listening *heir);

static void each_pair(const struct muster__service *elder, const struct muster__service *heir, pair_function fn)
{
	struct muster__listening *listening, *same;
	size_t i;

	for (i = 0; i < heir->app_count; i++)
		if (heir->apps[i].cluster != NULL)
			LIST_FOREACH(listening, &heir->apps[i].cluster->listenings, link)
	if ((same = find_same(elder, listening)) != NULL)
		fn(same, listening);
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

static void leave_to(struct muster__listening *loser)
{
	free(loser->socket.path);
	loser->socket.path = NULL;
	loser->handed_on = true;
}

static void pass(struct muster__listening *elder, struct muster__listening *heir)
{
	muster__lanes_trim(heir);
	muster__lanes_hand_on(elder, heir);
	leave_to(elder);
	muster__handover_move_waiting(elder, heir);
}

static void renounce(struct muster__listening *elder, struct muster__listening *heir)
{
	muster__lanes_hand_on(heir, elder);
	leave_to(heir);
	/* What only the heir has goes to the elder's workers. */
	muster__lanes_take_queues(heir);
	muster__handover_move_waiting(heir, elder);
}

void muster__succession_join(const struct muster__service *elder, const struct muster__service *heir)
{
	each_pair(elder, heir, join);
}

void muster__succession_pass(const struct muster__service *elder, const struct muster__service *heir)
{
	each_pair(elder, heir, pass);
}

void muster__succession_renounce(const struct muster__service *elder, const struct muster__service *heir)
{
	each_pair(elder, heir, renounce);
}
