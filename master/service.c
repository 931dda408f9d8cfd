/*
 * From configuration to clusters. Binding is all or nothing, and comes before the first fork, so that a start that fails has
 * served nobody. The end has phases, each with a time-out that leads to the next: drain, stop, kill.
 */
#include "master/service.h"

#include "master/listeners.h"
#include "master/places.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 1500 /* workers flush for one second; the rest is for their going */
#define TERM_MS 1000
#define FREE_PORTS 1024 /* from here on ports are anybody's */
#define CANNOT_RUN 127  /* the exit status of a worker whose program cannot be executed */

const char *muster__phase_name(enum muster__phase phase)
{
	static const char *const names[] = { "starting", "serving", "draining", "stopping", "terminating", "killing" };

	return names[phase];
}

static void enter(struct muster__service *service, enum muster__phase phase, unsigned timeout_ms)
{
	struct timeval delay = muster__ms(timeout_ms);

	muster__log(MUSTER_LOG_INFO, "generation %u: %s", service->generation, muster__phase_name(phase));
	service->phase = phase;
	muster__event_del(service->loop, &service->timer);
	if (timeout_ms > 0)
		muster__event_add(service->loop, &service->timer, &delay);
}

bool muster__service_app_is_own(const struct muster__service_app *app)
{
	return app->plan.builtin == MUSTER__BUILTIN_STATUS;
}

/* ---- the end */

static struct muster_cluster *cluster_at(const struct muster__service *service, size_t index)
{
	return service->apps[index].cluster;
}

static void finish_if_empty(struct muster__service *service)
{
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			return;
	muster__event_del(service->loop, &service->timer);
	muster__loop_queue(service->loop, &service->ended);
}

static void run_ended(struct muster__task *task)
{
	struct muster__service *service = MUSTER__CONTAINER(task, struct muster__service, ended);

	service->ops->ended(service);
}

/* Those who have asked already are answered with this when nobody is to be asked any more. */
static void tell_last(struct muster__service *service)
{
	const struct muster__service_app *app;
	const struct muster__seat *seat;

	if (service->app_count == 0)
		return;
	app = &service->apps[service->app_count - 1];
	if (app->cluster == NULL || !muster__service_app_is_own(app))
		return;
	TAILQ_FOREACH(seat, &app->cluster->seats, link)
	if (seat->process != NULL && muster_worker_is_connected(&seat->process->peer))
		service->ops->asked(service, &seat->process->peer);
}

void muster__service_drain(struct muster__service *service)
{
	size_t i;

	if (service->phase >= MUSTER__PHASE_DRAINING)
		return;
	/* 0 would mean no time-out; it is the shortest drain. */
	enter(service, MUSTER__PHASE_DRAINING, muster__config_drain_timeout(service->config) + 1);
	tell_last(service);
	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster_cluster_close(cluster_at(service, i));
}

void muster__service_stop(struct muster__service *service)
{
	size_t i;

	if (service->phase >= MUSTER__PHASE_STOPPING)
		return;
	enter(service, MUSTER__PHASE_STOPPING, STOP_MS);
	tell_last(service);
	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster__cluster_stop(cluster_at(service, i));
	finish_if_empty(service);
}

static void signal_all(struct muster__service *service, int signal)
{
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster__cluster_kill(cluster_at(service, i), signal);
}

/* Programs may have been taught what SIGTERM means. */
static void terminate(struct muster__service *service)
{
	enter(service, MUSTER__PHASE_TERMINATING, TERM_MS);
	signal_all(service, SIGTERM);
}

static void kill_all(struct muster__service *service)
{
	enter(service, MUSTER__PHASE_KILLING, STOP_MS);
	signal_all(service, SIGKILL);
}

void muster__service_press(struct muster__service *service)
{
	if (service->phase < MUSTER__PHASE_STOPPING)
		muster__service_stop(service);
	else
		kill_all(service);
}

static void fail_start(struct muster__service *service)
{
	const struct muster__service_app *app;

	for (app = service->apps; app < service->apps + service->app_count; app++)
		if (app->ready < app->workers)
			muster__config_complain(&service->why, "application %s: %u of %u workers were ready",
						app->plan.name, app->ready, app->workers);
	service->ops->failed(service);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__service *service = data;

	(void)fd, (void)what;
	if (service->phase == MUSTER__PHASE_STARTING) {
		muster__config_complain(&service->why,
					"the workers were not ready within %u ms (restart.ready_timeout_ms)",
					muster__config_ready_timeout(service->config));
		fail_start(service);
	} else if (service->phase == MUSTER__PHASE_STOPPING) {
		terminate(service);
	} else {
		muster__service_press(service);
	}
}

/* ---- the beginning */

static void check_ready(struct muster__service *service)
{
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (service->apps[i].ready < service->apps[i].workers)
			return;
	enter(service, MUSTER__PHASE_SERVING, 0);
	service->ops->ready(service);
}

static void on_ready(struct muster_worker *worker, void *data)
{
	struct muster__service_app *app = data;

	(void)worker;
	if (app->service->phase != MUSTER__PHASE_STARTING)
		return;
	app->ready++;
	check_ready(app->service);
}

/* A worker that was ready and died before the others were is no longer ready. */
static void on_worker_exit(struct muster_worker *worker, int code, int signal, void *data)
{
	struct muster__service_app *app = data;

	(void)signal;
	if (app->program != NULL && code == CANNOT_RUN)
		muster__log(MUSTER_LOG_ERROR, "application %s: the program %s could not be run", app->plan.name,
			    app->program);
	if (app->service->phase >= MUSTER__PHASE_DRAINING)
		app->service->forced |= muster__process_of(worker)->slain;
	if (app->service->phase != MUSTER__PHASE_STARTING)
		return;
	if (muster__process_of(worker)->ready)
		app->ready--;
	if (code != MUSTER__EXIT_UNFIT || app->plan.module == NULL)
		return;
	muster__config_complain(&app->service->why,
				"application %s: module %s cannot be used, the log of its worker tells why",
				app->plan.name, app->plan.module);
	fail_start(app->service);
}

static void on_message(struct muster_worker *worker, struct muster_message *message, void *data)
{
	const struct muster__service_app *app = data;

	(void)message;
	app->service->ops->asked(app->service, worker);
}

static void on_drop(struct muster_cluster *cluster, const struct muster_address *local,
		    const struct muster_address *remote, void *data)
{
	struct muster__service_app *app = data;
	char text[160] = "a path";

	(void)cluster, (void)remote;
	if (!muster__log_allowed(&app->dropped))
		return;
	if (local->family != 0)
		muster_address_format(local, text, sizeof text);
	muster__log(MUSTER_LOG_WARN,
		    "application %s: a connection to %s was dropped, a limit of connections is reached", app->plan.name,
		    text);
}

/* A first generation that nothing can be made of is a start that failed, as late as that is known. */
static void on_error(struct muster_worker *worker, const struct muster_error *error, void *data)
{
	struct muster__service_app *app = data;
	char text[256];

	(void)worker;
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "application %s: %s", app->plan.name, text);
	if (app->service->phase != MUSTER__PHASE_STARTING || strcmp(error->call, "respawn") != 0)
		return;
	muster__config_complain(&app->service->why,
				"application %s: its workers end before they listen (restart.budget)", app->plan.name);
	fail_start(app->service);
}

static void on_close(struct muster_cluster *cluster, void *data)
{
	struct muster__service_app *app = data;

	(void)cluster;
	app->cluster = NULL;
	if (!app->service->loop->freeing)
		finish_if_empty(app->service);
}

static int open_listener(struct muster__service_app *app, const struct muster__config_listener *listener)
{
	struct muster__app_listener *plan = &app->listeners[app->plan.listener_count++];
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	struct muster__listening *listening;
	struct muster_error error;
	int err = muster__place_open(app->service->inherited, listener, plan, &socket, &app->service->why);

	if (err < 0)
		return err;
	err = muster__listening_configure(app->cluster, plan, &socket, &error, &listening);
	if (err < 0)
		return muster__place_complain(&app->service->why, listener, &error);
	listening->max_connections = listener->max_connections;
	listening->drops = listener->overflow == MUSTER__OVERFLOW_DROP;
	return 0;
}

/* The last application is the daemon's own, if it has one. */
static bool has_own_app(const struct muster__config *config)
{
	return config->status_application.builtin != 0;
}

static struct muster__config_application *config_of_app(struct muster__config *config, size_t index)
{
	return index < config->application_count ? &config->applications[index] : &config->status_application;
}

static int open_listeners(struct muster__service *service)
{
	const struct muster__config *config = service->config;
	int err = 0, failed;
	size_t i;

	if (has_own_app(config))
		err = open_listener(&service->apps[config->application_count], &config->status_listener);

	for (i = 0; i < config->listener_count; i++) {
		const struct muster__config_listener *listener = &config->listeners[i];

		failed = open_listener(&service->apps[listener->application], listener);
		err = err < 0 ? err : failed;
	}
	return err;
}

/* What of all that is bound for workers who decide themselves what to listen on. */
static void plan_permit(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->permit = (struct muster__permit){ .min_port = FREE_PORTS, .folder = from->directory };
	muster__cluster_set_permit(app->cluster, &app->permit);
}

static void plan_module(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->plan.module = from->module;
	app->plan.config = from->module_config;
	muster__cluster_set_app(app->cluster, &app->plan);
	plan_permit(app, from);
}

static void plan_builtin(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->plan.builtin = from->builtin;
	app->plan.is_public = app->service->config->status_public;
	app->plan.upstream = (struct muster_connect_options){ .host = from->upstream_host,
							      .port = from->upstream_port,
							      .path = from->upstream_path };
	app->plan.upstream_proxy = from->upstream_proxy;
	muster__cluster_set_app(app->cluster, &app->plan);
}

static void plan_program(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->program = from->exec[0];
	plan_permit(app, from);
	if (from->output == MUSTER__OUTPUT_LOG)
		muster__cluster_set_name(app->cluster, from->name);
	if (from->protocol != MUSTER__PROGRAM_LISTEN_FDS)
		return;
	app->passing.non_blocking = from->non_blocking;
	app->passing.ready_after_ms = from->ready == MUSTER_READY_SAID ? 0 : from->ready_after_ms;
	muster__cluster_set_passing(app->cluster, &app->passing);
}

static struct muster_cluster *new_cluster(const struct muster__service *service,
					  const struct muster__config_application *from)
{
	const struct muster__config_life *life = &from->life;
	struct muster_cluster_options options = {
		.respawn = true,
		.own_group = true,
		.worker_max_connections = from->worker_max_connections,
		.exec = (const char *const *)from->exec,
		.env = (const char *const *)from->env,
		.cwd = from->directory,
		.ready = from->ready,
		.backoff_ms = life->backoff_ms,
		.backoff_max_ms = life->backoff_max_ms,
		.budget = life->budget,
		.ready_timeout_ms = life->ready_timeout_ms,
		/* 0 would mean no time-out; it is the shortest drain. */
		.drain_timeout_ms = life->drain_timeout_ms + 1,
		.kill_timeout_ms = life->kill_timeout_ms,
		.heartbeat_ms = life->heartbeat_ms,
		.max_requests = life->max_requests,
		.max_lifetime_ms = life->max_lifetime_ms,
		.max_memory = life->max_memory.bytes,
		.jitter_percent = life->jitter,
		.cpu_affinity = life->cpu_affinity,
		.nice = life->nice,
		.limit_nofile = life->nofile,
		.limit_core = life->core.bytes,
		.no_core = life->core.given && life->core.bytes == 0,
	};

	if (from->exec != NULL && from->output == MUSTER__OUTPUT_NULL)
		options.stdio[STDOUT_FILENO] = options.stdio[STDERR_FILENO] = MUSTER_STDIO_NULL;
	return muster_cluster_new(service->loop, &options);
}

static int open_app(struct muster__service *service, size_t index)
{
	static const struct muster_worker_handlers on = {
		.on_exit = on_worker_exit,
		.on_error = on_error,
		.on_close = on_close,
		.on_drop = on_drop,
		.on_ready = on_ready,
	};
	static const struct muster_worker_handlers on_own = { .on_message = on_message };
	struct muster__config *config = service->config;
	struct muster__config_application *from = config_of_app(config, index);
	struct muster__service_app *app = &service->apps[index];
	const char *refusal = muster__identity_refusal(&from->privileges);

	if (refusal != NULL) {
		muster__config_complain(&service->why, "application %s: %s", from->name, refusal);
		return -EPERM;
	}
	/* A worker of ours sees that its channel ends, and drains; a program may not look. */
	from->privileges.parent = from->exec != NULL ? getpid() : 0;
	app->service = service;
	app->workers = from->workers;
	app->listeners = calloc(config->listener_count + 1, sizeof *app->listeners);
	app->plan = (struct muster__app){ .name = from->name, .listeners = app->listeners };
	app->cluster = new_cluster(service, from);
	if (app->listeners == NULL || app->cluster == NULL)
		return -ENOMEM;
	muster__cluster_set_board(app->cluster, service->board);
	muster__cluster_set_inherited(app->cluster, service->inherited);
	muster__cluster_set_privileges(app->cluster, &from->privileges);
	if (from->exec != NULL)
		plan_program(app, from);
	else if (from->module != NULL)
		plan_module(app, from);
	else
		plan_builtin(app, from);
	if (muster__service_app_is_own(app) && muster_cluster_on(app->cluster, &on_own, app) < 0)
		return -ENOMEM;
	return muster_cluster_on(app->cluster, &on, app);
}

struct muster__service *muster__service_new(struct muster_loop *loop, struct muster__config *config,
					    struct muster__scoreboard *board)
{
	struct muster__service *service = calloc(1, sizeof *service);

	if (service == NULL) {
		muster__config_free(config);
		return NULL;
	}
	service->loop = loop;
	service->config = config;
	service->board = muster__scoreboard_share(board);
	service->ended.run = run_ended;
	event_assign(&service->timer, loop->base, -1, EV_PERSIST, on_timer, service);
	return service;
}

int muster__service_open(struct muster__service *service)
{
	const struct muster__config *config = service->config;
	size_t count = config->application_count + has_own_app(config);
	int err = 0;

	service->apps = calloc(count, sizeof *service->apps);
	if (service->apps == NULL)
		return -ENOMEM;
	for (; service->app_count < count && err == 0; service->app_count++)
		err = open_app(service, service->app_count);
	return err == 0 ? open_listeners(service) : err;
}

int muster__service_start(struct muster__service *service)
{
	size_t i;
	int err = 0;

	enter(service, MUSTER__PHASE_STARTING, muster__config_ready_timeout(service->config));
	for (i = 0; i < service->app_count && err == 0; i++) {
		muster__cluster_hold(cluster_at(service, i), service->held);
		if (!service->held)
			muster__listeners_tune(cluster_at(service, i));
		err = muster_cluster_start(cluster_at(service, i), service->apps[i].workers);
	}
	return err;
}

unsigned muster__service_connections(const struct muster__service *service)
{
	const struct muster__seat *seat;
	unsigned open = 0;
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			TAILQ_FOREACH(seat, &cluster_at(service, i)->seats, link)
	if (seat->process != NULL)
		open += atomic_load(&muster__scoreboard_slot(service->board, seat->process->slot)->open);
	return open;
}

void muster__service_set_output(struct muster__service *service, int fd)
{
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster__cluster_set_output(cluster_at(service, i), fd);
}

void muster__service_tell_log(struct muster__service *service, int fd)
{
	struct muster__seat *seat;
	size_t i;

	for (i = 0; i < service->app_count; i++) {
		if (cluster_at(service, i) == NULL || service->apps[i].program != NULL)
			continue;
		TAILQ_FOREACH(seat, &cluster_at(service, i)->seats, link)
		if (seat->process != NULL && muster_worker_is_connected(&seat->process->peer))
			muster__send_log(&seat->process->peer.channel, fd);
	}
}

void muster__service_release(struct muster__service *service)
{
	size_t i;

	for (i = 0; i < service->app_count; i++) {
		if (cluster_at(service, i) == NULL)
			continue;
		muster__listeners_tune(cluster_at(service, i));
		muster__cluster_hold(cluster_at(service, i), false);
	}
}

void muster__service_free(struct muster__service *service)
{
	size_t i, k;

	if (service == NULL)
		return;
	for (i = 0; i < service->app_count; i++) {
		for (k = 0; k < service->apps[i].plan.listener_count; k++) {
			free((char *)service->apps[i].listeners[k].listen.host);
			free((char *)service->apps[i].listeners[k].listen.path);
		}
		free(service->apps[i].listeners);
	}
	free(service->apps);
	muster__config_errors_clear(&service->why);
	muster__config_free(service->config);
	muster__scoreboard_free(service->board);
	free(service);
}
