/*
 * A reload makes a second generation beside the first. All that can fail comes before the commit: the file, the sockets, the
 * workers' being ready; until then the first one works on as if nothing were, and a failure takes the second away. The commit
 * itself cannot fail: the new acceptors start, the old ones stop, and the old workers drain.
 */
#include "master/generations.h"

#include "master/succession.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DRAINING_MAX 8
#define ENDING_MAX 16 /* with those that were stopped: a reload waits for one of them to go */

/* All lines in one text. */
static char *text_of(const struct muster__config_errors *why, int err)
{
	char *text = NULL;
	size_t length, i;
	FILE *stream;

	if (why->count == 0)
		return strdup(muster_strerror(err));
	stream = open_memstream(&text, &length);
	if (stream == NULL)
		return NULL;
	for (i = 0; i < why->count; i++)
		fprintf(stream, "%s%s", i > 0 ? "\n" : "", why->lines[i]);
	fclose(stream);
	return text;
}

static void log_lines(const struct muster__config_errors *why)
{
	size_t i;

	for (i = 0; i < why->count; i++)
		muster__log(MUSTER_LOG_ERROR, "%s", why->lines[i]);
}

/* ---- the end of one */

static bool may_begin(const struct muster__generations *all)
{
	return all->due && !all->paused && !all->stopping && all->next == NULL && all->current != NULL &&
	       all->ending_count < ENDING_MAX;
}

static void begin_if_due(struct muster__generations *all)
{
	if (may_begin(all))
		muster__loop_queue(all->loop, &all->begin);
}

/* One that is stopped is gone soon; of those that drain the oldest has to hurry for one more. */
static void let_end(struct muster__generations *all, struct muster__service *service)
{
	struct muster__service *each, *oldest = NULL;
	unsigned draining = 0;

	TAILQ_INSERT_TAIL(&all->ending, service, link);
	all->ending_count++;
	TAILQ_FOREACH_REVERSE(each, &all->ending, muster__services, link)
	if (each->phase < MUSTER__PHASE_STOPPING) {
		oldest = each;
		draining++;
	}
	if (draining <= DRAINING_MAX)
		return;
	muster__log(MUSTER_LOG_WARN, "generation %u is stopped: %u later ones drain as well", oldest->generation,
		    draining - 1);
	muster__service_stop(oldest);
}

static void settle(struct muster__generations *all, char *failure)
{
	free(all->failure);
	all->failure = failure;
	all->failures += failure != NULL;
	muster__inherited_close(&all->inherited, NULL, NULL);
	if (all->stopping)
		return;
	all->ops->settled(all);
	muster__waiters_tell(&all->waiting, failure);
	begin_if_due(all);
}

/* Whoever accepts for himself may have connections already. */
static void end_quietly(struct muster__generations *all, struct muster__service *service)
{
	if (all->current != NULL)
		muster__succession_renounce(all->current, service);
	if (muster__service_connections(service) > 0)
		muster__service_drain(service);
	else
		muster__service_stop(service);
}

static void give_up(struct muster__generations *all, int err)
{
	struct muster__service *service = all->next;

	all->next = NULL;
	muster__log(MUSTER_LOG_ERROR, "generation %u could not start%s", service->generation,
		    all->current != NULL ? ", the one before it goes on" : "");
	log_lines(&service->why);
	all->ops->given_up(all);
	all->failed = all->current == NULL;
	all->stopping = all->stopping || all->failed;
	let_end(all, service);
	end_quietly(all, service);
	settle(all, text_of(&service->why, err));
}

static void remove_ending(struct muster__generations *all, struct muster__service *service)
{
	TAILQ_REMOVE(&all->ending, service, link);
	all->ending_count--;
}

static void on_ended(struct muster__service *service)
{
	struct muster__generations *all = service->data;

	if (service == all->current)
		all->current = NULL;
	else
		remove_ending(all, service);
	all->forced |= all->stopping && service->forced;
	muster__log(MUSTER_LOG_INFO, "generation %u: gone", service->generation);
	muster__service_free(service);
	if (all->current == NULL && all->next == NULL && TAILQ_EMPTY(&all->ending))
		all->ops->ended(all);
	begin_if_due(all);
}

/* ---- the beginning of one */

void muster__generations_commit(struct muster__generations *all)
{
	struct muster__service *service = all->next, *elder = all->current;

	all->next = NULL;
	all->current = service;
	muster__scoreboard_set_max(all->board, service->config->max_connections);
	muster__succession_own(service);
	if (elder != NULL)
		muster__succession_pass(elder, service);
	muster__service_release(service);
	all->ops->committed(all);
	if (elder != NULL) {
		let_end(all, elder);
		muster__service_drain(elder);
	}
	settle(all, NULL);
}

static void on_ready(struct muster__service *service)
{
	struct muster__generations *all = service->data;

	if (all->current != NULL || all->ops->ready(all))
		muster__generations_commit(all);
}

static void on_failed(struct muster__service *service)
{
	give_up(service->data, -ETIMEDOUT);
}

static int open_next(struct muster__generations *all, struct muster__service *next)
{
	int err = all->ops->prepare(all, next);

	if (err == 0 && all->current != NULL)
		err = muster__succession_offer(all->current, &all->inherited);
	if (err == 0)
		err = muster__service_open(next);
	if (err == 0 && all->current != NULL)
		muster__succession_join(all->current, next);
	if (err < 0)
		return err;
	all->ops->opened(all, next);
	return muster__service_start(next);
}

static void on_asked(struct muster__service *service, struct muster_worker *worker)
{
	struct muster__generations *all = service->data;

	all->ops->asked(all, worker);
}

/* Takes `config`. Whatever comes, the outcome is told by `committed` or `given_up`. */
static int begin_with(struct muster__generations *all, struct muster__config *config)
{
	static const struct muster__service_ops ops = { on_ready, on_failed, on_ended, on_asked };
	struct muster__service *next = muster__service_new(all->loop, config, all->board);

	if (next == NULL)
		return -ENOMEM;
	next->generation = ++all->count;
	next->inherited = &all->inherited;
	next->held = all->current != NULL || all->successor;
	next->ops = &ops;
	next->data = all;
	all->next = next;
	if (all->current == NULL)
		muster__scoreboard_set_max(all->board, config->max_connections);
	return open_next(all, next);
}

static void refuse(struct muster__generations *all, const struct muster__config_errors *why, int err)
{
	muster__log(MUSTER_LOG_ERROR, "the configuration is not reloaded, the one before it goes on");
	log_lines(why);
	settle(all, text_of(why, err));
}

static void reload(struct muster__generations *all)
{
	struct muster__config_errors why;
	struct muster__config *config;
	int err;

	STAILQ_CONCAT(&all->waiting, &all->asked);
	all->due = false;
	all->reloads++;
	all->ops->reloading(all);
	err = muster__config_load(&config, all->file, &why);
	if (err < 0) {
		refuse(all, &why, err);
	} else {
		err = begin_with(all, config);
		if (err < 0 && all->next != NULL)
			give_up(all, err);
		else if (err < 0)
			refuse(all, &why, err);
		else
			muster__waiters_tell_started(&all->waiting);
	}
	muster__config_errors_clear(&why);
}

static void run_begin(struct muster__task *task)
{
	struct muster__generations *all = MUSTER__CONTAINER(task, struct muster__generations, begin);

	if (may_begin(all))
		reload(all);
}

/* ---- what the daemon asks */

int muster__generations_init(struct muster__generations *all, struct muster_loop *loop, const char *file,
			     const struct muster__generations_ops *ops, void *data)
{
	*all = (struct muster__generations){ .loop = loop, .file = file, .ops = ops, .data = data };
	all->started_ms = muster__now_ms();
	all->begin.run = run_begin;
	TAILQ_INIT(&all->ending);
	STAILQ_INIT(&all->waiting);
	STAILQ_INIT(&all->asked);
	muster__inherited_init(&all->inherited);
	all->board = muster__scoreboard_new();
	return all->board != NULL ? 0 : -ENOMEM;
}

int muster__generations_start(struct muster__generations *all, struct muster__config *config,
			      struct muster__config_errors *why)
{
	int err = begin_with(all, config);

	if (err < 0 && all->next != NULL) {
		*why = all->next->why;
		all->next->why = (struct muster__config_errors){ 0 };
	}
	return err;
}

void muster__generations_reload(struct muster__generations *all, struct muster__waiter *waiter)
{
	if (waiter != NULL)
		STAILQ_INSERT_TAIL(&all->asked, waiter, next);
	all->due = true;
	begin_if_due(all);
}

void muster__generations_forget(struct muster__generations *all, const struct muster__waiter *waiter)
{
	if (!muster__waiters_forget(&all->waiting, waiter))
		muster__waiters_forget(&all->asked, waiter);
}

void muster__generations_pause(struct muster__generations *all, bool paused)
{
	all->paused = paused;
	begin_if_due(all);
}

void muster__generations_tell_log(struct muster__generations *all, int fd)
{
	struct muster__service *service;

	if (all->current != NULL)
		muster__service_tell_log(all->current, fd);
	TAILQ_FOREACH(service, &all->ending, link)
	muster__service_tell_log(service, fd);
}

/* ---- the end of all */

static void each(struct muster__generations *all, void (*end)(struct muster__service *service))
{
	struct muster__service *service, *following;

	for (service = TAILQ_FIRST(&all->ending); service != NULL; service = following) {
		following = TAILQ_NEXT(service, link);
		end(service);
	}
	if (all->current != NULL)
		end(all->current);
}

/* One that only starts is not waited for. */
static void stop_all(struct muster__generations *all, void (*end)(struct muster__service *service))
{
	static const char failure[] = "the daemon is about to end";
	struct muster__service *next = all->next;

	all->ops->ending(all);
	all->stopping = true;
	all->next = NULL;
	if (next != NULL) {
		all->ops->given_up(all);
		let_end(all, next);
		end_quietly(all, next);
	}
	each(all, end);
	muster__waiters_tell(&all->waiting, failure);
	muster__waiters_tell(&all->asked, failure);
}

void muster__generations_drain(struct muster__generations *all)
{
	stop_all(all, muster__service_drain);
}

void muster__generations_stop(struct muster__generations *all)
{
	stop_all(all, muster__service_stop);
}

void muster__generations_press(struct muster__generations *all)
{
	each(all, muster__service_press);
}

enum muster__phase muster__generations_phase(const struct muster__generations *all)
{
	const struct muster__service *service = all->current != NULL ? all->current : all->next;

	if (service == NULL)
		service = TAILQ_LAST(&all->ending, muster__services);
	return service != NULL ? service->phase : MUSTER__PHASE_STARTING;
}

void muster__generations_clear(struct muster__generations *all)
{
	struct muster__service *service;

	while ((service = TAILQ_FIRST(&all->ending)) != NULL) {
		remove_ending(all, service);
		muster__service_free(service);
	}
	muster__service_free(all->next);
	muster__service_free(all->current);
	muster__inherited_close(&all->inherited, NULL, NULL);
	muster__scoreboard_free(all->board);
	free(all->failure);
}
