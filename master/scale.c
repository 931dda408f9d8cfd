/* How many workers there are. Those that are on their way out do not count, nor do those that are to follow others. */
#include "master/cluster.h"
#include "master/bounds.h"
#include "master/restart.h"
#include "master/seat.h"

#include <errno.h>
#include <signal.h>

static unsigned count_kept(const struct muster_cluster *cluster)
{
	const struct muster__seat *seat;
	unsigned count = 0;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	count += muster__seat_is_kept(seat);
	return count;
}

/* The one with the highest index: seats are filled from the lowest. */
static struct muster__seat *newest(const struct muster_cluster *cluster)
{
	struct muster__seat *seat, *newest = NULL;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (muster__seat_is_kept(seat) && (newest == NULL || seat->index > newest->index))
		newest = seat;
	return newest;
}

static void dismiss(struct muster__seat *seat)
{
	struct muster_cluster *cluster = seat->cluster;

	muster__restart_forget(seat);
	if (seat->process == NULL) {
		muster__seat_free(seat);
		muster__cluster_emptied(cluster);
		return;
	}
	seat->retired = true;
	/* It does not read what it is told, or cannot hear it any more. */
	if (muster_worker_disconnect(&seat->process->peer) < 0)
		muster__bound_death(seat->process, SIGTERM);
}

int muster_cluster_scale(struct muster_cluster *cluster, unsigned count)
{
	unsigned now = count_kept(cluster);
	int err = 0;

	if (cluster->closing || cluster->object.loop->freeing)
		return MUSTER_ECLOSED;
	if (cluster->leaving)
		return -ECANCELED;
	for (; now > count; now--)
		dismiss(newest(cluster));
	for (; now < count && err == 0; now++)
		err = muster_cluster_fork(cluster, NULL, NULL);
	return err;
}
