/*
 * Hung is who was seen not to beat for the whole time-out: what counts is what this process saw, and when. So if it has been stopped
 * itself, or the machine has, everybody's time begins anew.
 */
#include "master/health.h"

#include "master/bounds.h"
#include "master/restart.h"
#include "master/seat.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEATS 4 /* in a time-out */
#define RECYCLE_MS 250

/* ---- hung */

static unsigned beat_ms(const struct muster_cluster *cluster)
{
	unsigned timeout_ms = cluster->options.heartbeat_ms;

	return timeout_ms == 0 ? 0 : timeout_ms / BEATS + 1;
}

static void end_hung(struct muster__process *process, uint64_t since_ms)
{
	muster__log(MUSTER_LOG_ERROR, "worker %u (pid %d) is hung: its loop has not turned for %" PRIu64 " ms, SIGABRT",
		    process->peer.id, (int)process->peer.pid, since_ms);
	process->barred = true;
	muster__bound_death(process, SIGABRT);
}

static void check_beat(struct muster__process *process, uint64_t now)
{
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);
	uint64_t beat = atomic_load_explicit(&slot->beat, memory_order_relaxed);

	if (beat != process->beat) {
		process->beat = beat;
		process->beat_ms = now;
	} else if (beat != 0 && now - process->beat_ms > process->cluster->options.heartbeat_ms &&
		   process->bound != MUSTER__BOUND_DEATH) {
		end_hung(process, now - process->beat_ms);
	}
}

/* ---- old enough */

static uint64_t lowered(const struct muster__process *process, uint64_t limit)
{
	double jitter = process->cluster->options.jitter_percent / 100.0 * process->luck / UINT32_MAX;

	return limit - (uint64_t)((double)limit * jitter);
}

static uint64_t served_by(const struct muster__process *process)
{
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);
	uint64_t accepted = atomic_load_explicit(&slot->accepted, memory_order_relaxed);

	return accepted > process->handed ? accepted : process->handed;
}

/* The second number of statm: pages that are resident. 0 if it is gone already. */
static uint64_t memory_of(const struct muster__process *process)
{
	char path[32], text[128] = "";
	const char *resident;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)process->peer.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	resident = strchr(text, ' ');
	return resident != NULL ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Why it is to be replaced, if it is. */
static const char *reason(const struct muster__process *process, uint64_t now)
{
	const struct muster_cluster_options *options = &process->cluster->options;

	if (options->max_requests != 0 && served_by(process) >= lowered(process, options->max_requests))
		return "has served enough connections";
	if (options->max_lifetime_ms != 0 && now - process->started_ms >= lowered(process, options->max_lifetime_ms))
		return "has lived long enough";
	if (options->max_memory != 0 && memory_of(process) >= lowered(process, options->max_memory))
		return "has too much memory";
	return NULL;
}

static void check_age(struct muster__process *process, uint64_t now)
{
	struct muster__seat *seat = process->seat;
	const char *why;

	if (seat->due || !process->ready || process->barred || !muster__seat_is_kept(seat) ||
	    now < process->cluster->rounds.again_ms)
		return;
	why = reason(process, now);
	if (why == NULL)
		return;
	muster__log(MUSTER_LOG_INFO, "worker %u (pid %d) %s, it is to be replaced", process->peer.id,
		    (int)process->peer.pid, why);
	muster__restart_want(seat);
}

/* ---- rounds */

static bool overslept(const struct muster__rounds *rounds, uint64_t now)
{
	return now - rounds->last_ms > 2 * (uint64_t)rounds->every_ms;
}

static void on_round(evutil_socket_t fd, short what, void *data)
{
	struct muster_cluster *cluster = data;
	uint64_t now = muster__now_ms();
	bool late = overslept(&cluster->rounds, now);
	struct muster__seat *seat;

	(void)fd, (void)what;
	cluster->rounds.last_ms = now;
	TAILQ_FOREACH(seat, &cluster->seats, link)
	{
		if (seat->process == NULL || seat->process->peer.dead)
			continue;
		if (late)
			seat->process->beat_ms = now;
		if (cluster->options.heartbeat_ms != 0)
			check_beat(seat->process, now);
		check_age(seat->process, now);
	}
}

/* Of both intervals the shorter. */
static unsigned interval(const struct muster_cluster *cluster)
{
	const struct muster_cluster_options *options = &cluster->options;
	unsigned beat_ms = cluster->rounds.beat_ms;

	if (options->max_requests == 0 && options->max_lifetime_ms == 0 && options->max_memory == 0)
		return beat_ms;
	return beat_ms != 0 && beat_ms < RECYCLE_MS ? beat_ms : RECYCLE_MS;
}

int muster__health_begin(struct muster_cluster *cluster)
{
	struct muster_loop *loop = cluster->object.loop;
	struct timeval delay;

	cluster->rounds.beat_ms = beat_ms(cluster);
	cluster->rounds.every_ms = interval(cluster);
	cluster->rounds.last_ms = muster__now_ms();
	delay = muster__ms(cluster->rounds.every_ms);
	event_assign(&cluster->rounds.timer, loop->base, -1, EV_PERSIST, on_round, cluster);
	return cluster->rounds.every_ms != 0 ? muster__event_add(loop, &cluster->rounds.timer, &delay) : 0;
}

void muster__health_end(struct muster_cluster *cluster)
{
	muster__event_del(cluster->object.loop, &cluster->rounds.timer);
}
