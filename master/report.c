/*
 * A tick a second looks and tells what has changed; without a manager there is none. It is the daemon's own loop that says
 * that it lives, and only while somebody serves: a primary that turns but has lost all its workers is better started anew.
 */
#include "master/report.h"

#include "master/generations.h"
#include "master/listeners.h"
#include "master/sd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>

#define TICK_MS 1000
#define COUNTS_MS 3000  /* that connections come and go is no news sooner */
#define EXTEND_MS 10000 /* more than a few ticks, and less than anybody minds */

/* A socket that the manager keeps: which one, under whose name. */
struct muster__stored {
	char *listener;
	ino_t inode;
	bool seen;
};

/* ---- looking */

struct counts {
	unsigned ready, wanted;
};

static struct counts count_workers(const struct muster__service *service)
{
	const struct muster__seat *seat;
	struct counts counts = { 0 };
	size_t i;

	for (i = 0; service != NULL && i < service->app_count; i++) {
		if (muster__service_app_is_own(&service->apps[i]))
			continue;
		counts.wanted += service->apps[i].workers;
		if (service->apps[i].cluster == NULL)
			continue;
		TAILQ_FOREACH(seat, &service->apps[i].cluster->seats, link)
		counts.ready += seat->process != NULL && seat->process->ready && !seat->process->leaving;
	}
	return counts;
}

static bool is_healthy(const struct muster__generations *all)
{
	struct counts counts = count_workers(all->current);

	return all->stopping || counts.ready > 0 || counts.wanted == 0;
}

/* ---- telling */

static void tell_status(struct muster__report *report)
{
	const struct muster__generations *all = report->all;
	enum muster__phase phase = muster__generations_phase(all);
	struct counts counts = count_workers(all->current != NULL ? all->current : all->next);
	bool is_news = counts.ready != report->told_ready || (int)phase != report->told_phase;
	uint64_t now = muster__now_ms();
	char text[sizeof report->told];

	snprintf(text, sizeof text, "%s: %u of %u workers ready, %u connections%s%s", muster__phase_name(phase),
		 counts.ready, counts.wanted, muster__scoreboard_sum(all->board),
		 all->failure != NULL ? "; reload failed: " : "", all->failure != NULL ? all->failure : "");
	if (strcmp(text, report->told) == 0 || (!is_news && now < report->told_ms + COUNTS_MS))
		return;
	memcpy(report->told, text, sizeof text);
	report->told_ms = now;
	report->told_ready = counts.ready;
	report->told_phase = (int)phase;
	muster__sd_status(report->sd, "%s", text);
}

/* Starting and draining have time-outs of their own, which may be longer than the manager's. */
static void tell_phase(struct muster__report *report)
{
	if (report->all->stopping && !report->announced) {
		report->announced = true;
		muster__sd_stopping(report->sd);
	}
	if (report->all->stopping || report->all->next != NULL)
		muster__sd_extend(report->sd, EXTEND_MS);
}

static bool may_tell(const struct muster__report *report)
{
	return report->all != NULL && !report->silent && muster__sd_is_there(report->sd);
}

void muster__report_changed(struct muster__report *report)
{
	if (!may_tell(report))
		return;
	tell_phase(report);
	tell_status(report);
}

static void on_tick(evutil_socket_t fd, short what, void *data)
{
	struct muster__report *report = data;

	(void)fd, (void)what;
	if (muster__sd_watchdog_ms(report->sd) > 0 && is_healthy(report->all))
		muster__sd_watchdog(report->sd);
	muster__report_changed(report);
}

void muster__report_start(struct muster__report *report, struct muster__sd *sd, const struct muster__generations *all)
{
	unsigned watchdog = muster__sd_watchdog_ms(sd);
	unsigned ms = watchdog > 0 ? MAX(MIN(watchdog / 2, TICK_MS), 1) : TICK_MS;
	struct timeval delay = muster__ms(ms);

	report->sd = sd;
	report->all = all;
	report->told_phase = -1;
	event_assign(&report->tick, all->loop->base, -1, EV_PERSIST, on_tick, report);
	if (muster__sd_is_there(sd))
		muster__event_add(all->loop, &report->tick, &delay);
}

/* ---- sockets */

static struct muster__stored *find_stored(struct muster__report *report, const char *listener)
{
	unsigned i;

	for (i = 0; i < report->stored_count; i++)
		if (strcmp(report->stored[i].listener, listener) == 0)
			return &report->stored[i];
	return NULL;
}

static struct muster__stored *add_stored(struct muster__report *report, const char *listener)
{
	struct muster__stored *grown = realloc(report->stored, (report->stored_count + 1) * sizeof *grown);
	char *name = grown != NULL ? strdup(listener) : NULL;

	if (grown != NULL)
		report->stored = grown;
	if (name == NULL)
		return NULL;
	grown[report->stored_count] = (struct muster__stored){ .listener = name };
	return &grown[report->stored_count++];
}

static void store(struct muster__report *report, const struct muster__listening *listening)
{
	struct muster__stored *stored = find_stored(report, listening->name);
	struct stat status;

	if (fstat(listening->socket.fd, &status) < 0)
		return;
	if (stored == NULL)
		stored = add_stored(report, listening->name);
	else if (stored->inode != status.st_ino)
		muster__sd_unstore(report->sd, listening->name);
	if (stored == NULL)
		return;
	if (stored->inode != status.st_ino)
		muster__sd_store(report->sd, listening->socket.fd, listening->name);
	stored->inode = status.st_ino;
	stored->seen = true;
}

static void drop_unseen(struct muster__report *report)
{
	unsigned i, kept = 0;

	for (i = 0; i < report->stored_count; i++) {
		struct muster__stored *stored = &report->stored[i];

		if (stored->seen) {
			report->stored[kept++] = *stored;
			continue;
		}
		muster__sd_unstore(report->sd, stored->listener);
		free(stored->listener);
	}
	report->stored_count = kept;
}

/* What was opened on demand goes with its workers, and what the manager has bound it keeps without being asked. */
static void store_all(struct muster__report *report)
{
	const struct muster__service *service = report->all->current;
	const struct muster__listening *listening;
	size_t i;

	for (i = 0; i < report->stored_count; i++)
		report->stored[i].seen = false;
	for (i = 0; i < service->app_count; i++) {
		if (service->apps[i].cluster == NULL)
			continue;
		LIST_FOREACH(listening, &service->apps[i].cluster->listenings, link)
		if (listening->name != NULL && listening->socket.fd >= 0 && !listening->socket.foreign)
			store(report, listening);
	}
	drop_unseen(report);
}

/* ---- what happens */

void muster__report_reloading(struct muster__report *report)
{
	muster__sd_reloading(report->sd);
}

void muster__report_settled(struct muster__report *report)
{
	if (!may_tell(report) || report->all->current == NULL)
		return;
	if (muster__sd_stores(report->sd))
		store_all(report);
	report->told_ms = 0; /* a failure is news at once */
	muster__report_changed(report);
	muster__sd_ready(report->sd);
}

void muster__report_succeeded_by(struct muster__report *report, pid_t pid)
{
	muster__sd_main_pid(report->sd, pid);
	report->silent = true;
	muster__event_del(report->all->loop, &report->tick);
}

void muster__report_failed(struct muster__report *report, const char *reason)
{
	if (!report->failed)
		muster__sd_status(report->sd, "could not start: %s", reason);
	report->failed = true;
}

void muster__report_end(struct muster__report *report)
{
	unsigned i;

	if (report->all != NULL)
		muster__event_del(report->all->loop, &report->tick);
	for (i = 0; i < report->stored_count; i++)
		free(report->stored[i].listener);
	free(report->stored);
	report->stored = NULL;
	report->stored_count = 0;
}
