/* Seats alone: why one is filled or taken away is decided by others. */
#include "master/seat.h"

#include "master/listeners.h"
#include "master/respawn.h"
#include "master/spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool index_is_taken(const struct muster_cluster *cluster, unsigned index)
{
	const struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->index == index)
		break;
	return seat != NULL;
}

static unsigned free_index(const struct muster_cluster *cluster)
{
	unsigned index = 0;

	while (index_is_taken(cluster, index))
		index++;
	return index;
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__seat *seat = data;

	(void)fd, (void)what;
	muster__event_del(seat->cluster->object.loop, &seat->timer);
	muster__seat_refill(seat);
}

static struct muster__seat *create(struct muster_cluster *cluster, unsigned index)
{
	struct muster__seat *seat = calloc(1, sizeof *seat);

	if (seat == NULL)
		return NULL;
	seat->cluster = cluster;
	seat->index = index;
	event_assign(&seat->timer, cluster->object.loop->base, -1, EV_PERSIST, on_timer, seat);
	return seat;
}

struct muster__seat *muster__seat_new(struct muster_cluster *cluster)
{
	struct muster__seat *seat = create(cluster, free_index(cluster));

	if (seat != NULL)
		TAILQ_INSERT_TAIL(&cluster->seats, seat, link);
	return seat;
}

struct muster__seat *muster__seat_beside(struct muster__seat *seat)
{
	struct muster__seat *beside = create(seat->cluster, seat->index);

	if (beside == NULL)
		return NULL;
	TAILQ_INSERT_AFTER(&seat->cluster->seats, seat, beside, link);
	if (muster__seat_set_env(beside, seat->env) < 0) {
		muster__seat_free(beside);
		return NULL;
	}
	beside->replaces = seat;
	beside->restarts = seat->restarts + 1;
	muster__scoreboard_tally(seat->cluster->board)->restarts++;
	return beside;
}

void muster__seat_free(struct muster__seat *seat)
{
	struct muster_cluster *cluster = seat->cluster;

	if (cluster->restarting.one == seat)
		cluster->restarting.one = NULL;
	muster__event_del(cluster->object.loop, &seat->timer);
	TAILQ_REMOVE(&cluster->seats, seat, link);
	/* What belongs to the place goes with the last who has it: a successor may be there. */
	if (!index_is_taken(cluster, seat->index))
		muster__listeners_vacate(cluster, seat->index);
	muster__strings_free(seat->env);
	free(seat);
}

void muster__strings_free(const char *const *list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free((char *)list[i]);
	free((void *)list);
}

int muster__strings_copy(const char *const **to, const char *const *list)
{
	size_t count = 0, i;
	const char **copy;

	*to = NULL;
	if (list == NULL)
		return 0;
	while (list[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof *copy);
	if (copy == NULL)
		return -ENOMEM;
	*to = copy;
	for (i = 0; i < count; i++)
		if ((copy[i] = strdup(list[i])) == NULL)
			return -ENOMEM;
	return 0;
}

int muster__seat_set_env(struct muster__seat *seat, const char *const *env)
{
	return muster__strings_copy(&seat->env, env);
}

int muster__seat_fill(struct muster__seat *seat, struct muster_worker **out)
{
	struct muster__process *process;
	int err = muster__spawn(seat, &process);

	if (err < 0)
		return err;
	if (out != NULL)
		*out = &process->peer;
	return 0;
}

void muster__seat_refill_after(struct muster__seat *seat, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	muster__event_add(seat->cluster->object.loop, &seat->timer, &delay);
}

void muster__seat_refill(struct muster__seat *seat)
{
	const struct muster_cluster_options *options = &seat->cluster->options;
	struct muster__respawn_rules rules = { options->backoff_ms, options->backoff_max_ms, 0 };
	struct muster_error error = { .call = "fork" };

	error.code = muster__seat_fill(seat, NULL);
	if (error.code == 0) {
		seat->refusals = 0;
		return;
	}
	muster__cluster_error(seat->cluster, &error);
	muster__seat_refill_after(seat, muster__respawn_retry(&rules, &seat->refusals));
}

bool muster__seat_is_kept(const struct muster__seat *seat)
{
	const struct muster__process *process = seat->process;

	if (seat->retired || seat->replaces != NULL)
		return false;
	if (process == NULL)
		return true;
	return !process->leaving && (!process->peer.dead || seat->cluster->options.respawn);
}
