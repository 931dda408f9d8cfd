/*
 * The primary: seats, and who sits in them. A seat whose worker died is filled again by the rules of respawn.c; one whose
 * worker was asked to leave is taken away. The cluster keeps its loop running as long as it has a seat.
 */
#include "master/cluster.h"

#include "master/health.h"
#include "master/listeners.h"
#include "master/respawn.h"
#include "master/restart.h"
#include "master/seat.h"
#include "src/error.h"
#include "src/sized.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 16
#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 10000

static struct muster_cluster *cluster_of(struct muster__object *object)
{
	return MUSTER__CONTAINER(object, struct muster_cluster, object);
}

/* ---- seats */

/* The last seat is gone: tell who waits for that. */
void muster__cluster_emptied(struct muster_cluster *cluster)
{
	if (!TAILQ_EMPTY(&cluster->seats))
		return;
	if (cluster->closing) {
		muster__object_close(&cluster->object);
	} else if (cluster->disconnected != NULL) {
		muster__object_wake(&cluster->object);
	} else {
		cluster->leaving = false;
		muster__object_rest(&cluster->object);
	}
}

static void report_spent(struct muster__seat *seat)
{
	struct muster_error error = { .code = -ECHILD, .call = "respawn" };

	seat->spent = true;
	muster__log(MUSTER_LOG_ERROR,
		    "%u workers in a row ended before they listened: the place stays empty until a restart",
		    seat->failures);
	muster__cluster_error(seat->cluster, &error);
}

static void respawn(struct muster__seat *seat, const struct muster__process *process)
{
	const struct muster_cluster_options *options = &seat->cluster->options;
	struct muster__respawn_rules rules = { options->backoff_ms, options->backoff_max_ms, options->budget };
	struct muster__death death = {
		.listened = process->listened > 0,
		.served = process->served,
		.lived_ms = (unsigned)(muster__now_ms() - process->started_ms),
	};
	unsigned delay = muster__respawn_delay(&rules, &death, &seat->failures);

	if (muster__respawn_is_over(&rules, &death, seat->failures)) {
		report_spent(seat);
		return;
	}
	seat->restarts++;
	muster__scoreboard_tally(seat->cluster->board)->restarts++;
	if (delay == 0) {
		muster__seat_refill(seat);
		return;
	}
	muster__log(MUSTER_LOG_WARN, "worker %u lived for %u ms and served nobody, the next try is in %u ms",
		    process->peer.id, death.lived_ms, delay);
	muster__seat_refill_after(seat, delay);
}

static void on_vacated(struct muster__seat *seat, const struct muster__process *process)
{
	struct muster_cluster *cluster = seat->cluster;

	muster__restart_vacated(seat);
	if (cluster->options.respawn && !cluster->leaving && !process->peer.exited_after_disconnect && !seat->retired) {
		respawn(seat, process);
		return;
	}
	muster__seat_free(seat);
	muster__cluster_emptied(cluster);
}

/* ---- the object */

static void emit_disconnected(struct muster_cluster *cluster)
{
	void (*done)(struct muster_cluster *, void *) = cluster->disconnected;

	cluster->disconnected = NULL;
	cluster->leaving = cluster->closing;
	if (!cluster->closing)
		muster__object_rest(&cluster->object);
	done(cluster, cluster->disconnected_data);
}

static void ask_all_to_leave(struct muster_cluster *cluster);

/* Closing: those who can still take what was queued leave only after that. Where nobody is left, nobody can. */
static void close_when_empty(struct muster_cluster *cluster)
{
	if (!cluster->closing || cluster->leaving)
		return;
	if (!muster__listeners_are_empty(cluster) && !TAILQ_EMPTY(&cluster->seats))
		return;
	muster__listeners_free(cluster);
	ask_all_to_leave(cluster);
	muster__cluster_emptied(cluster);
}

static void answer_count(struct muster_cluster *cluster, const struct muster__count_question *question)
{
	size_t count = muster__listeners_count(cluster, NULL, 0);
	struct muster_count *rows = calloc(count + 1, sizeof *rows);

	if (rows != NULL)
		muster__listeners_count(cluster, rows, count);
	question->done(cluster, rows != NULL ? 0 : -ENOMEM, rows, rows != NULL ? count : 0, question->data);
	free(rows);
}

/* A snapshot, as of deferred calls: asking again in each answer must not starve the loop. */
static void answer_counts(struct muster_cluster *cluster)
{
	struct muster__count_questions asked = STAILQ_HEAD_INITIALIZER(asked);
	struct muster__count_question *question;

	STAILQ_CONCAT(&asked, &cluster->questions);
	while ((question = STAILQ_FIRST(&asked)) != NULL) {
		STAILQ_REMOVE_HEAD(&asked, next);
		if (!cluster->object.loop->freeing)
			answer_count(cluster, question);
		free(question);
	}
}

static void cluster_turn(struct muster__object *object)
{
	struct muster_cluster *cluster = cluster_of(object);

	muster__listeners_settle(cluster);
	muster__restart_turn(cluster);
	answer_counts(cluster);
	close_when_empty(cluster);
	if (cluster->disconnected != NULL && TAILQ_EMPTY(&cluster->seats))
		emit_disconnected(cluster);
	if (object->life == MUSTER__CLOSING) {
		answer_counts(cluster);
		MUSTER__EMIT(&cluster->on, struct muster_worker_handlers, on_close, cluster);
		muster__object_ended(object);
	}
}

static void free_seats(struct muster_cluster *cluster)
{
	struct muster__seat *seat;

	while ((seat = TAILQ_FIRST(&cluster->seats)) != NULL) {
		assert(seat->process == NULL);
		muster__seat_free(seat);
	}
}

/* A loop lets go of its newest objects first: the workers have been abandoned already. */
static void cluster_abandon(struct muster__object *object)
{
	struct muster_cluster *cluster = cluster_of(object);

	cluster->leaving = cluster->closing = true;
	muster__listeners_free(cluster);
	free_seats(cluster);
	MUSTER__EMIT(&cluster->on, struct muster_worker_handlers, on_close, cluster);
}

static void free_strings(struct muster_cluster_options *options)
{
	muster__strings_free(options->exec);
	muster__strings_free(options->env);
	free((char *)options->cwd);
}

static void cluster_free(struct muster__object *object)
{
	struct muster_cluster *cluster = cluster_of(object);

	muster__health_end(cluster);
	muster__listeners_free(cluster);
	free_seats(cluster);
	answer_counts(cluster);
	free_strings(&cluster->options);
	muster__listeners_clear(&cluster->on);
	muster__scoreboard_unwatch(&cluster->watcher);
	muster__scoreboard_free(cluster->board);
	free(cluster);
}

static const struct muster__class cluster_class = { "cluster", cluster_turn, cluster_abandon, cluster_free };

static void on_room(struct muster__board_watcher *watcher)
{
	muster__handover_derive_all(MUSTER__CONTAINER(watcher, struct muster_cluster, watcher));
}

static int fill_defaults(struct muster_cluster_options *options)
{
	if (options->window > MUSTER__FLIGHT_MAX || options->jitter_percent > 100)
		return -EINVAL;
	if (options->window == 0)
		options->window = WINDOW;
	if (options->backoff_ms == 0)
		options->backoff_ms = BACKOFF_MS;
	if (options->backoff_max_ms == 0)
		options->backoff_max_ms = BACKOFF_MAX_MS;
	if (options->backoff_max_ms < options->backoff_ms)
		options->backoff_max_ms = options->backoff_ms;
	if (options->policy == MUSTER_POLICY_DEFAULT)
		options->policy = MUSTER_POLICY_ROUND_ROBIN;
	return 0;
}

static int copy_strings(struct muster_cluster_options *to, const struct muster_cluster_options *from)
{
	int err;

	to->exec = to->env = NULL;
	to->cwd = from->cwd != NULL ? strdup(from->cwd) : NULL;
	err = from->cwd != NULL && to->cwd == NULL ? -ENOMEM : muster__strings_copy(&to->exec, from->exec);
	return err < 0 ? err : muster__strings_copy(&to->env, from->env);
}

struct muster_cluster *muster_cluster_new_sized(struct muster_loop *loop, const struct muster_cluster_options *options,
						size_t size)
{
	struct muster_cluster_options mine;
	struct muster_cluster *cluster;
	int err = loop->freeing ? MUSTER_ECLOSED : muster__sized_copy(&mine, sizeof mine, options, size);

	if (err == 0)
		err = fill_defaults(&mine);
	if (err < 0)
		return muster__no_object(err);
	cluster = calloc(1, sizeof *cluster);
	if (cluster == NULL || (cluster->board = muster__scoreboard_new()) == NULL) {
		free(cluster);
		return muster__no_object(-ENOMEM);
	}
	cluster->options = mine;
	if (copy_strings(&cluster->options, &mine) < 0) {
		free_strings(&cluster->options);
		muster__scoreboard_free(cluster->board);
		free(cluster);
		return muster__no_object(-ENOMEM);
	}
	cluster->watcher.room = on_room;
	cluster->vacated = on_vacated;
	muster__scoreboard_watch(cluster->board, &cluster->watcher);
	TAILQ_INIT(&cluster->seats);
	LIST_INIT(&cluster->listenings);
	STAILQ_INIT(&cluster->questions);
	muster__object_init(&cluster->object, loop, &cluster_class);
	if (muster__health_begin(cluster) < 0) {
		muster__object_discard(&cluster->object);
		return muster__no_object(-ENOMEM);
	}
	return cluster;
}

void muster__cluster_set_app(struct muster_cluster *cluster, const struct muster__app *app)
{
	cluster->app = app;
}

void muster__cluster_set_permit(struct muster_cluster *cluster, const struct muster__permit *permit)
{
	cluster->permit = permit;
}

void muster__cluster_set_passing(struct muster_cluster *cluster, const struct muster__passing *passing)
{
	cluster->passing = passing;
}

void muster__cluster_set_inherited(struct muster_cluster *cluster, struct muster__inherited *inherited)
{
	cluster->inherited = inherited;
}

void muster__cluster_set_output(struct muster_cluster *cluster, int fd)
{
	if (cluster->options.stdio[STDERR_FILENO] != MUSTER_STDIO_NULL)
		cluster->options.stdio[STDERR_FILENO] = fd;
}

void muster__cluster_set_name(struct muster_cluster *cluster, const char *name)
{
	cluster->speaks_as = name;
}

void muster__cluster_set_privileges(struct muster_cluster *cluster, const struct muster__privileges *privileges)
{
	cluster->privileges = privileges;
}

void muster__cluster_set_board(struct muster_cluster *cluster, struct muster__scoreboard *board)
{
	muster__scoreboard_unwatch(&cluster->watcher);
	muster__scoreboard_free(cluster->board);
	cluster->board = muster__scoreboard_share(board);
	muster__scoreboard_watch(board, &cluster->watcher);
}

void muster__cluster_hold(struct muster_cluster *cluster, bool held)
{
	cluster->held = held;
	muster__handover_derive_all(cluster);
}

int muster_cluster_on_sized(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers, size_t size,
			    void *data)
{
	return muster__listeners_on(cluster->object.loop, &cluster->on, handlers, size, sizeof *handlers, data);
}

int muster_cluster_off_sized(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers, size_t size,
			     void *data)
{
	return muster__listeners_off(cluster->object.loop, &cluster->on, handlers, size, sizeof *handlers, data);
}

/* ---- what users ask of it */

static int may_fork(const struct muster_cluster *cluster)
{
	if (cluster->object.loop->freeing || cluster->closing)
		return MUSTER_ECLOSED;
	return cluster->options.worker == NULL && cluster->options.exec == NULL && cluster->app == NULL ? -EINVAL : 0;
}

int muster_cluster_fork(struct muster_cluster *cluster, const char *const *env, struct muster_worker **out)
{
	int err = may_fork(cluster);
	struct muster__seat *seat = err == 0 ? muster__seat_new(cluster) : NULL;

	if (err < 0)
		return err;
	if (seat == NULL)
		return -ENOMEM;
	err = muster__seat_set_env(seat, env);
	if (err == 0)
		err = muster__seat_fill(seat, out);
	if (err < 0)
		muster__seat_free(seat);
	else
		muster__object_open(&cluster->object);
	return err;
}

static unsigned usable_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

int muster_cluster_start(struct muster_cluster *cluster, unsigned count)
{
	int err = 0;

	if (count == 0)
		count = usable_cpus();
	while (err == 0 && count-- > 0)
		err = muster_cluster_fork(cluster, NULL, NULL);
	return err;
}

/* Seats that only wait for their next worker go at once. */
static void ask_all_to_leave(struct muster_cluster *cluster)
{
	struct muster__seat *seat, *next;

	cluster->leaving = true;
	muster__restart_cancel(cluster);
	for (seat = TAILQ_FIRST(&cluster->seats); seat != NULL; seat = next) {
		next = TAILQ_NEXT(seat, link);
		if (seat->process == NULL)
			muster__seat_free(seat);
		else
			muster_worker_disconnect(&seat->process->peer);
	}
}

int muster_cluster_disconnect(struct muster_cluster *cluster, void (*done)(struct muster_cluster *cluster, void *data),
			      void *data)
{
	if (cluster->disconnected != NULL)
		return -EALREADY;
	cluster->disconnected = done;
	cluster->disconnected_data = data;
	ask_all_to_leave(cluster);
	muster__cluster_emptied(cluster);
	return 0;
}

int muster_cluster_close(struct muster_cluster *cluster)
{
	if (cluster->closing)
		return MUSTER_ECLOSED;
	cluster->closing = true;
	muster__restart_cancel(cluster);
	muster__listeners_end(cluster);
	muster__object_open(&cluster->object);
	muster__object_wake(&cluster->object);
	return 0;
}

void muster__cluster_stop(struct muster_cluster *cluster)
{
	struct muster__seat *seat;

	cluster->closing = true;
	muster__listeners_free(cluster);
	ask_all_to_leave(cluster);
	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->process != NULL && seat->process->is_muster)
		muster__send_stop(&seat->process->peer.channel);
	muster__cluster_emptied(cluster);
}

void muster__cluster_kill(struct muster_cluster *cluster, int signal)
{
	struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->process != NULL) {
		seat->process->slain |= signal == SIGKILL;
		muster_worker_kill(&seat->process->peer, signal);
	}
}

struct muster_worker *muster_cluster_next(struct muster_cluster *cluster, struct muster_worker *previous)
{
	struct muster__seat *seat =
		previous != NULL ? TAILQ_NEXT(muster__process_of(previous)->seat, link) : TAILQ_FIRST(&cluster->seats);

	while (seat != NULL && seat->process == NULL)
		seat = TAILQ_NEXT(seat, link);
	return seat != NULL ? &seat->process->peer : NULL;
}

void muster_cluster_set_scheduler(struct muster_cluster *cluster, muster_scheduler pick, void *data)
{
	cluster->pick = pick;
	cluster->pick_data = data;
	muster__handover_derive_all(cluster);
}

int muster_cluster_get_connections(struct muster_cluster *cluster,
				   void (*done)(struct muster_cluster *cluster, int err,
						const struct muster_count *rows, size_t count, void *data),
				   void *data)
{
	struct muster__count_question *question;

	/* on_close is the last event: nothing can follow it. */
	if (cluster->object.loop->freeing || cluster->object.life == MUSTER__CLOSING)
		return MUSTER_ECLOSED;
	question = malloc(sizeof *question);
	if (question == NULL)
		return -ENOMEM;
	question->done = done;
	question->data = data;
	STAILQ_INSERT_TAIL(&cluster->questions, question, next);
	muster__object_wake(&cluster->object);
	return 0;
}

void muster_cluster_set_max_connections(struct muster_cluster *cluster, unsigned max)
{
	muster__scoreboard_set_max(cluster->board, max);
	muster__handover_derive_all(cluster);
}

struct muster_loop *muster_cluster_loop(const struct muster_cluster *cluster)
{
	return cluster->object.loop;
}
