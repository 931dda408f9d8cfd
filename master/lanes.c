/*
 * The kernel spreads the connections to an address over all sockets that listen there, and resets what is queued on one that
 * is closed. So the sockets belong to the primary and not to the workers that accept on them, and each outlives any number
 * of these. While a seat has no worker the primary accepts on its lane itself and hands over to the others.
 *
 * None of them holds the address: that is the listener's own socket, bound without SO_REUSEPORT, so that an address which
 * somebody else has is in use as with every other policy. It never listens, and so the kernel gives it nothing.
 */
#include "master/lanes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODYS (-1)

struct muster__lane {
	LIST_ENTRY(muster__lane) link;
	struct muster__listening *listening;
	struct muster__listener socket;
	int seat;       /* or NOBODYS */
	bool handed_on; /* the socket lives on in another cluster, its queue with it */
	struct muster__acceptor acceptor;
};

static struct muster__lane *lane_of(struct muster__listening *listening, int seat)
{
	struct muster__lane *lane;

	LIST_FOREACH(lane, &listening->lanes, link)
	if (lane->seat == seat)
		return lane;
	return NULL;
}

static void on_accepted(struct muster__acceptor *acceptor, int fd)
{
	muster__handover_offer(MUSTER__CONTAINER(acceptor, struct muster__lane, acceptor)->listening, fd);
}

static void on_failed(struct muster__acceptor *acceptor, int err)
{
	muster__handover_failed(MUSTER__CONTAINER(acceptor, struct muster__lane, acceptor)->listening, err);
}

static const struct muster__acceptor_ops acceptor_ops = { on_accepted, on_failed };

/* `socket` listens; it is taken. -ENOMEM. */
static int add_lane(struct muster__listening *listening, struct muster__listener *socket, int seat)
{
	struct muster__lane *lane = calloc(1, sizeof *lane);

	if (lane == NULL) {
		muster__listener_close(socket, false);
		return -ENOMEM;
	}
	lane->listening = listening;
	lane->socket = *socket;
	lane->seat = seat;
	muster__acceptor_init(&lane->acceptor, listening->cluster->object.loop, socket->fd, &acceptor_ops, 0);
	LIST_INSERT_HEAD(&listening->lanes, lane, link);
	return 0;
}

int muster__lane_open(struct muster__listening *listening, struct muster_error *error)
{
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	int err = muster__listener_twin(&socket, &listening->socket, error);

	if (err < 0)
		return err;
	err = muster__listener_listen(&socket, listening->backlog, error);
	if (err < 0)
		muster__listener_close(&socket, false);
	else if ((err = add_lane(listening, &socket, NOBODYS)) < 0)
		*error = (struct muster_error){ .code = err, .call = "listen" };
	return err;
}

int muster__lane_take(struct muster__listening *listening, unsigned seat, struct muster_error *error)
{
	struct muster__lane *lane = lane_of(listening, (int)seat);
	int err = 0;

	if (lane == NULL && (lane = lane_of(listening, NOBODYS)) == NULL) {
		err = muster__lane_open(listening, error);
		lane = lane_of(listening, NOBODYS);
	}
	if (err < 0)
		return err;
	lane->seat = (int)seat;
	return lane->socket.fd;
}

static bool has_worker(const struct muster__lane *lane)
{
	const struct muster__listening *listening = lane->listening;
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if ((int)listening->members[i].process->seat->index == lane->seat)
			return true;
	return false;
}

void muster__lanes_watch(struct muster__listening *listening, bool accepting)
{
	struct muster__lane *lane;

	LIST_FOREACH(lane, &listening->lanes, link)
	if (accepting && !has_worker(lane))
		muster__acceptor_start(&lane->acceptor);
	else
		muster__acceptor_stop(&lane->acceptor);
}

static void lane_close(struct muster__lane *lane)
{
	LIST_REMOVE(lane, link);
	muster__acceptor_stop(&lane->acceptor);
	muster__listener_close(&lane->socket, false);
	free(lane);
}

bool muster__lanes_vacate(struct muster__listening *listening, unsigned seat)
{
	struct muster__lane *lane = lane_of(listening, (int)seat);

	if (lane == NULL)
		return false;
	lane->seat = NOBODYS;
	if (lane == LIST_FIRST(&listening->lanes) && LIST_NEXT(lane, link) == NULL)
		return true;
	muster__handover_take_queue(listening, lane->socket.fd);
	lane_close(lane);
	return true;
}

/* ---- generations */

int muster__lanes_share(const struct muster__listening *from, struct muster__listening *to)
{
	const struct muster__lane *lane;
	int err = 0;

	LIST_FOREACH(lane, &from->lanes, link)
	{
		struct muster__listener socket = { .fd = fcntl(lane->socket.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) };

		err = socket.fd < 0 ? -errno : add_lane(to, &socket, lane->seat);
		if (err < 0)
			break;
	}
	return err;
}

static bool has_seat(const struct muster_cluster *cluster, int index)
{
	const struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if ((int)seat->index == index)
		return true;
	return false;
}

void muster__lanes_trim(struct muster__listening *listening)
{
	struct muster__lane *lane, *next;

	for (lane = LIST_FIRST(&listening->lanes); lane != NULL; lane = next) {
		next = LIST_NEXT(lane, link);
		if (has_seat(listening->cluster, lane->seat))
			continue;
		muster__handover_take_queue(listening, lane->socket.fd);
		lane_close(lane);
	}
}

static bool has_socket(const struct muster__listening *listening, const struct muster__lane *wanted)
{
	const struct muster__lane *lane;
	struct stat one, other;

	if (fstat(wanted->socket.fd, &one) < 0)
		return false;
	LIST_FOREACH(lane, &listening->lanes, link)
	if (fstat(lane->socket.fd, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino)
		return true;
	return false;
}

void muster__lanes_hand_on(struct muster__listening *listening, const struct muster__listening *keeper)
{
	struct muster__lane *lane;

	LIST_FOREACH(lane, &listening->lanes, link)
	lane->handed_on = has_socket(keeper, lane);
}

/* ---- the end */

void muster__lanes_take_queues(struct muster__listening *listening)
{
	struct muster__lane *lane;

	LIST_FOREACH(lane, &listening->lanes, link)
	if (!lane->handed_on)
		muster__handover_take_queue(listening, lane->socket.fd);
}

void muster__lanes_close(struct muster__listening *listening)
{
	struct muster__lane *lane;

	while ((lane = LIST_FIRST(&listening->lanes)) != NULL)
		lane_close(lane);
}
