/* Applications are restarted side by side, each one worker at a time; one that fails does not stop the others. */
#include "master/renewal.h"

#include "master/restart.h"
#include "master/seat.h"
#include "master/service.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct renewal;

struct part {
	struct renewal *renewal;
	const char *name;
};

struct renewal {
	void (*done)(const char *error, void *data);
	void *data;
	unsigned pending;
	char error[160]; /* the first */
	struct part parts[];
};

static bool is_meant(const struct muster__service_app *app, const char *name)
{
	if (app->cluster == NULL || name == NULL)
		return app->cluster != NULL;
	return !muster__service_app_is_own(app) && strcmp(app->plan.name, name) == 0;
}

static void on_restarted(struct muster_cluster *cluster, int err, void *data)
{
	const struct part *part = data;
	struct renewal *renewal = part->renewal;

	(void)cluster;
	if (err < 0) {
		muster__log(MUSTER_LOG_ERROR, "application %s: the restart failed: %s", part->name,
			    muster_strerror(err));
		if (renewal->error[0] == '\0')
			snprintf(renewal->error, sizeof renewal->error, "application %s: %s", part->name,
				 muster_strerror(err));
	}
	if (--renewal->pending > 0)
		return;
	if (renewal->done != NULL)
		renewal->done(renewal->error[0] != '\0' ? renewal->error : NULL, renewal->data);
	free(renewal);
}

static struct muster__seat *seat_at(const struct muster_cluster *cluster, unsigned slot)
{
	struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->index == slot && muster__seat_is_kept(seat))
		break;
	return seat;
}

static int restart(struct muster_cluster *cluster, unsigned slot, struct part *part)
{
	if (slot == MUSTER__RENEW_ALL)
		return muster_cluster_restart(cluster, on_restarted, part);
	return muster__restart_one(seat_at(cluster, slot), on_restarted, part);
}

/* 0, or why it cannot be done. */
static int check(const struct muster__service *service, const char *name, unsigned slot)
{
	int err = -ENOENT;
	size_t i;

	if (service == NULL || service->phase != MUSTER__PHASE_SERVING)
		return -EBUSY;
	for (i = 0; i < service->app_count; i++) {
		if (!is_meant(&service->apps[i], name))
			continue;
		if (service->apps[i].cluster->restarting.asked)
			return -EALREADY;
		if (slot != MUSTER__RENEW_ALL && seat_at(service->apps[i].cluster, slot) == NULL)
			return -ESRCH;
		err = 0;
	}
	return err;
}

int muster__renew(struct muster__service *service, const char *name, unsigned slot,
		  void (*done)(const char *error, void *data), void *data)
{
	struct renewal *renewal;
	int err = check(service, name, slot);
	struct part *part;
	size_t i;

	if (err < 0)
		return err;
	renewal = calloc(1, sizeof *renewal + service->app_count * sizeof renewal->parts[0]);
	if (renewal == NULL)
		return -ENOMEM;
	renewal->done = done;
	renewal->data = data;
	for (i = 0; i < service->app_count; i++) {
		if (!is_meant(&service->apps[i], name))
			continue;
		part = &renewal->parts[renewal->pending++];
		*part = (struct part){ renewal, service->apps[i].plan.name };
		/* What could be refused was asked for before. */
		err = restart(service->apps[i].cluster, slot, part);
		assert(err == 0);
	}
	return 0;
}
