/*
 * A replacement: a new worker beside the old one, barred from hand-overs until it is ready; then the two change roles in one turn,
 * and the old one is asked to leave. What is due next is derived each time: the seats of workers from before the request, and
 * those that are marked. Only one replacement is under way at any time, so that a new generation that is no good costs one fork.
 *
 * A shared listener is the exception to the bar: whoever holds the socket accepts. So a new worker that fails may have
 * connections already; it is asked to leave then, not killed.
 */
#include "master/restart.h"

#include "master/bounds.h"
#include "master/handover.h"
#include "master/seat.h"

#include <errno.h>
#include <signal.h>

/* ---- the outcome */

static void conclude(struct muster_cluster *cluster, int err)
{
	struct muster__restarting *restarting = &cluster->restarting;
	struct muster__seat *seat;

	restarting->over = true;
	restarting->err = err;
	restarting->upto = 0;
	restarting->one = NULL;
	TAILQ_FOREACH(seat, &cluster->seats, link)
	seat->due = false;
	muster__object_wake(&cluster->object);
}

static void tell(struct muster_cluster *cluster)
{
	struct muster__restarting *restarting = &cluster->restarting;
	void (*done)(struct muster_cluster *, int, void *) = restarting->done;

	restarting->asked = restarting->over = false;
	restarting->done = NULL;
	if (done != NULL)
		done(cluster, restarting->err, restarting->data);
}

static void failed(struct muster_cluster *cluster, int err)
{
	struct muster_error error = { .code = err, .call = "restart" };

	if (cluster->restarting.for_request) {
		conclude(cluster, err);
		return;
	}
	/* What is wrong will not be right a moment later. */
	cluster->rounds.again_ms = muster__now_ms() + cluster->options.backoff_max_ms;
	muster__cluster_error(cluster, &error);
}

/* ---- one replacement */

/* Ask it to leave; one that cannot be asked is made to. */
static void send_away(struct muster__process *process)
{
	if (muster_worker_disconnect(&process->peer) == 0)
		return;
	process->leaving = true;
	muster__bound_death(process, SIGTERM);
}

/* A new worker that failed, and that the old one goes on without. */
static void drop(struct muster__seat *seat)
{
	struct muster__process *process = seat->process;
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);

	seat->replaces = NULL;
	seat->retired = true;
	if (atomic_load(&slot->open) > 0)
		send_away(process);
	else
		muster__bound_death(process, SIGKILL);
}

static void give_up(struct muster_cluster *cluster, int err)
{
	struct muster__seat *incoming = cluster->restarting.incoming;
	struct muster__process *process = incoming->process;

	muster__log(MUSTER_LOG_ERROR, "worker %u (pid %d) was not ready in time: %s", process->peer.id,
		    (int)process->peer.pid,
		    incoming->replaces != NULL ? "the one before it stays" : "nobody sits in its place");
	cluster->restarting.incoming = NULL;
	if (incoming->replaces != NULL)
		drop(incoming);
	else
		muster__bound_death(process, SIGKILL);
	failed(cluster, err);
}

/* The new worker is the worker of the place from here on. */
static void install(struct muster_cluster *cluster)
{
	struct muster__seat *incoming = cluster->restarting.incoming;

	cluster->restarting.incoming = NULL;
	incoming->replaces = NULL;
	incoming->process->barred = false;
	muster__bound_end(incoming->process);
	muster__handover_derive_all(cluster);
}

static void commit(struct muster_cluster *cluster)
{
	struct muster__seat *incoming = cluster->restarting.incoming, *old = incoming->replaces;

	install(cluster);
	if (old == NULL)
		return;
	muster__log(MUSTER_LOG_INFO, "worker %u takes the place of worker %u", incoming->process->peer.id,
		    old->process->peer.id);
	old->retired = true;
	send_away(old->process);
}

/* An empty seat is filled; beside one that is not, another is made. */
static int fork_successor(struct muster__seat *seat, struct muster__seat **out)
{
	struct muster__seat *incoming = seat->process != NULL ? muster__seat_beside(seat) : seat;
	int err;

	if (incoming == NULL)
		return -ENOMEM;
	muster__event_del(seat->cluster->object.loop, &incoming->timer);
	err = muster__seat_fill(incoming, NULL);
	if (err < 0 && incoming != seat)
		muster__seat_free(incoming);
	else if (err < 0)
		muster__seat_refill_after(seat, seat->cluster->options.backoff_max_ms);
	*out = incoming;
	return err;
}

static void begin(struct muster__seat *seat)
{
	struct muster__restarting *restarting = &seat->cluster->restarting;
	struct muster__seat *incoming;
	int err;

	restarting->for_request = restarting->upto != 0 || restarting->one == seat;
	seat->due = seat->spent = false;
	seat->failures = 0;
	err = fork_successor(seat, &incoming);
	if (err < 0) {
		failed(seat->cluster, err);
		return;
	}
	if (restarting->one == seat)
		restarting->one = NULL;
	restarting->incoming = incoming;
	incoming->process->barred = incoming != seat;
	muster__bound_ready(incoming->process);
}

/* ---- all of them */

static bool is_due(const struct muster__seat *seat)
{
	if (!muster__seat_is_kept(seat))
		return false;
	return seat->due || (seat->process != NULL && seat->process->peer.id <= seat->cluster->restarting.upto);
}

static struct muster__seat *next_due(const struct muster_cluster *cluster)
{
	struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (is_due(seat))
		break;
	return seat;
}

static bool may_begin(const struct muster_cluster *cluster)
{
	return !cluster->restarting.over && !cluster->leaving && !cluster->closing && !cluster->object.loop->freeing;
}

void muster__restart_turn(struct muster_cluster *cluster)
{
	struct muster__restarting *restarting = &cluster->restarting;
	struct muster__seat *seat;

	if (restarting->incoming != NULL && restarting->incoming->process->ready)
		commit(cluster);
	else if (restarting->incoming != NULL && restarting->incoming->process->late)
		give_up(cluster, -ETIMEDOUT);
	while (restarting->incoming == NULL && may_begin(cluster) && (seat = next_due(cluster)) != NULL)
		begin(seat);
	if (restarting->asked && !restarting->over && restarting->incoming == NULL)
		conclude(cluster, 0);
	if (restarting->over)
		tell(cluster);
}

void muster__restart_vacated(struct muster__seat *seat)
{
	struct muster_cluster *cluster = seat->cluster;
	struct muster__seat *incoming = cluster->restarting.incoming;

	if (incoming == seat) {
		cluster->restarting.incoming = NULL;
		seat->retired = seat->replaces != NULL;
		seat->replaces = NULL;
		failed(cluster, -ECHILD);
		muster__object_wake(&cluster->object);
	} else if (incoming != NULL && incoming->replaces == seat) {
		/* Dead before its time: there is nobody to go on with but the new one, ready or not. */
		seat->retired = true;
		incoming->replaces = NULL;
		incoming->process->barred = false;
		muster__handover_derive_all(cluster);
	}
}

void muster__restart_want(struct muster__seat *seat)
{
	seat->due = true;
	muster__object_wake(&seat->cluster->object);
}

void muster__restart_forget(struct muster__seat *seat)
{
	struct muster__restarting *restarting = &seat->cluster->restarting;
	struct muster__seat *incoming = restarting->incoming;

	if (incoming == NULL || (incoming != seat && incoming->replaces != seat))
		return;
	restarting->incoming = NULL;
	if (incoming != seat)
		drop(incoming);
	muster__object_wake(&seat->cluster->object);
}

void muster__restart_cancel(struct muster_cluster *cluster)
{
	if (cluster->restarting.incoming != NULL)
		install(cluster);
	if (cluster->restarting.asked && !cluster->restarting.over)
		conclude(cluster, -ECANCELED);
}

/* ---- what users ask */

static int ask(struct muster_cluster *cluster, void (*done)(struct muster_cluster *cluster, int err, void *data),
	       void *data)
{
	if (cluster->closing || cluster->object.loop->freeing)
		return MUSTER_ECLOSED;
	if (cluster->leaving)
		return -ECANCELED;
	if (cluster->restarting.asked)
		return -EALREADY;
	cluster->restarting.asked = true;
	cluster->restarting.done = done;
	cluster->restarting.data = data;
	muster__object_wake(&cluster->object);
	return 0;
}

int muster_cluster_restart(struct muster_cluster *cluster,
			   void (*done)(struct muster_cluster *cluster, int err, void *data), void *data)
{
	int err = ask(cluster, done, data);
	struct muster__seat *seat;

	if (err < 0)
		return err;
	cluster->restarting.upto = cluster->next_id;
	TAILQ_FOREACH(seat, &cluster->seats, link)
	seat->due = seat->due || seat->process == NULL;
	return 0;
}

int muster__restart_one(struct muster__seat *seat, void (*done)(struct muster_cluster *cluster, int err, void *data),
			void *data)
{
	int err = ask(seat->cluster, done, data);

	if (err < 0)
		return err;
	seat->due = true;
	seat->cluster->restarting.one = seat;
	return 0;
}

int muster_worker_restart(struct muster_worker *worker,
			  void (*done)(struct muster_cluster *cluster, int err, void *data), void *data)
{
	struct muster__process *process;

	if (worker == muster_worker_self())
		return -EINVAL;
	process = muster__process_of(worker);
	if (process->seat == NULL || process->leaving || process->peer.dead)
		return -ESRCH;
	return muster__restart_one(process->seat, done, data);
}
