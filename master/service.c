/*
 * From configuration to clusters. Binding is all or nothing, and comes before the first fork, so that a start that fails has
 * served nobody. The end has phases, each with a time-out that leads to the next: drain, stop, kill.
 */
#include "master/service.h"

#include "master/listeners.h"
#include "master/stale.h"
#include "src/address.h"
#include "src/fd.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 1500    /* workers flush for one second; the rest is for their going */
#define FREE_PORTS 1024 /* from here on ports are anybody's */
#define CANNOT_RUN 127  /* the exit status of a worker whose program cannot be executed */

const char *muster__phase_name(enum muster__phase phase)
{
	static const char *const names[] = { "starting", "serving", "draining", "stopping", "killing" };

	return names[phase];
}

static void enter(struct muster__service *service, enum muster__phase phase, unsigned timeout_ms)
{
	struct timeval delay = muster__ms(timeout_ms);

	muster__log(MUSTER_LOG_INFO, "%s", muster__phase_name(phase));
	service->phase = phase;
	muster__event_del(service->loop, &service->timer);
	if (timeout_ms > 0)
		muster__event_add(service->loop, &service->timer, &delay);
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
	service->on_ended(service, service->data);
}

void muster__service_drain(struct muster__service *service)
{
	size_t i;

	if (service->phase >= MUSTER__PHASE_DRAINING)
		return;
	/* 0 would mean no time-out; it is the shortest drain. */
	enter(service, MUSTER__PHASE_DRAINING, service->config->drain_timeout_ms + 1);
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
	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster__cluster_stop(cluster_at(service, i));
}

static void kill_all(struct muster__service *service)
{
	size_t i;

	enter(service, MUSTER__PHASE_KILLING, STOP_MS);
	for (i = 0; i < service->app_count; i++)
		if (cluster_at(service, i) != NULL)
			muster__cluster_kill(cluster_at(service, i), SIGKILL);
}

void muster__service_press(struct muster__service *service)
{
	if (service->phase < MUSTER__PHASE_STOPPING)
		muster__service_stop(service);
	else
		kill_all(service);
}

static void fail_late(struct muster__service *service)
{
	const struct muster__service_app *app;

	muster__log(MUSTER_LOG_ERROR, "the workers were not ready within %u ms (restart.ready_timeout_ms)",
		    service->config->ready_timeout_ms);
	for (app = service->apps; app < service->apps + service->app_count; app++)
		if (app->ready < app->workers)
			muster__log(MUSTER_LOG_ERROR, "application %s: %u of %u workers were ready", app->plan.name,
				    app->ready, app->workers);
	service->failed = true;
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__service *service = data;

	(void)fd, (void)what;
	if (service->phase == MUSTER__PHASE_STARTING)
		fail_late(service);
	muster__service_press(service);
}

/* ---- the beginning */

static void check_ready(struct muster__service *service)
{
	size_t i;

	for (i = 0; i < service->app_count; i++)
		if (service->apps[i].ready < service->apps[i].workers)
			return;
	enter(service, MUSTER__PHASE_SERVING, 0);
	service->on_ready(service, service->data);
}

/* A program may listen on more than was configured, or on something although nothing was. */
static bool is_ready(const struct muster__service_app *app, struct muster__process *process)
{
	return process->listened >= app->plan.listener_count && muster__listeners_are_served(process);
}

static void on_listening(struct muster_worker *worker, const struct muster_address *address, void *data)
{
	struct muster__process *process = muster__process_of(worker);
	struct muster__service_app *app = data;

	(void)address;
	if (process->ready || !is_ready(app, process))
		return;
	process->ready = true;
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
	if (app->service->phase == MUSTER__PHASE_STARTING && muster__process_of(worker)->ready)
		app->ready--;
}

static void on_close(struct muster_cluster *cluster, void *data)
{
	struct muster__service_app *app = data;

	(void)cluster;
	app->cluster = NULL;
	if (!app->service->loop->freeing)
		finish_if_empty(app->service);
}

/* Takes the line. */
static void add_line(struct muster__config_errors *errors, char *line)
{
	char **lines = realloc(errors->lines, (errors->count + 1) * sizeof *lines);

	if (lines == NULL) {
		free(line);
		return;
	}
	errors->lines = lines;
	lines[errors->count++] = line;
}

static int complain(struct muster__config_errors *errors, const struct muster__config_listener *listener,
		    const struct muster_error *error)
{
	bool is_missing = listener->fd_name != NULL && error->code == -ENOENT;
	char *line, text[256];
	int length;

	muster_error_format(error, text, sizeof text);
	if (is_missing)
		length = asprintf(&line,
				  "listener %s: no socket named %s was passed to musterd: is there a .socket "
				  "unit with FileDescriptorName=%s?",
				  listener->name, listener->fd_name, listener->fd_name);
	else
		length = asprintf(&line, "listener %s: %s: %s", listener->name, text, muster_strerror(error->code));
	if (length > 0)
		add_line(errors, line);
	return error->code;
}

/* Before there is a loop to serve, a name may be looked up the simple way. */
static int resolve(const char *host, char **literal)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	struct muster_address address;

	if (muster_is_ip(host)) {
		*literal = strdup(host);
	} else {
		if (getaddrinfo(host, NULL, &hints, &found) != 0)
			return MUSTER_ENOTFOUND;
		muster__address_from(&address, found->ai_addr, found->ai_addrlen);
		freeaddrinfo(found);
		*literal = strdup(address.text);
	}
	return *literal != NULL ? 0 : -ENOMEM;
}

static int plan_listener(struct muster__app_listener *plan, const struct muster__config_listener *listener)
{
	*plan = (struct muster__app_listener){
		.name = listener->name,
		.listen = {
			.port = listener->port,
			.backlog = listener->backlog,
			.ipv6_only = listener->ipv6_only,
			.readable_all = listener->readable_all,
			.writable_all = listener->writable_all,
			.policy = listener->policy,
		},
		.server = {
			.allow_half_open = listener->allow_half_open,
			.no_delay = listener->no_delay,
			.keep_alive = listener->keep_alive,
		},
		.timeout_ms = listener->timeout_ms,
	};
	if (listener->path != NULL && (plan->listen.path = strdup(listener->path)) == NULL)
		return -ENOMEM;
	return listener->host != NULL ? resolve(listener->host, (char **)&plan->listen.host) : 0;
}

/* What a worker asks for is where it is bound. */
static int plan_place(struct muster_listen_options *options, const struct muster__listener *socket)
{
	struct muster_address bound;
	char text[sizeof bound.text];
	int err = muster__address_local(&bound, socket->fd);

	if (err < 0)
		return err;
	if (bound.family != MUSTER__FAMILY_UNIX) {
		options->port = bound.port;
		options->host = strdup(bound.text);
		return options->host != NULL ? 0 : -ENOMEM;
	}
	bound.port = 0;
	muster_address_format(&bound, text, sizeof text);
	options->path = strdup(text);
	return options->path != NULL ? 0 : -ENOMEM;
}

/* 0, -ENOENT: there is none, it is to be bound; or another error. */
static int inherit(struct muster__service *service, const struct muster__config_listener *listener,
		   struct muster__app_listener *plan, struct muster__listener *socket)
{
	struct muster__inherited_wish wish = { listener->fd_name, listener->name, &plan->listen };
	int err = service->inherited != NULL ? muster__inherited_take(service->inherited, &wish, socket) : -ENOENT;

	if (err < 0 || listener->fd_name == NULL)
		return err;
	err = plan_place(&plan->listen, socket);
	if (err < 0)
		muster__listener_close(socket, false);
	return err;
}

static int bind_listener(struct muster__listener *socket, const struct muster_listen_options *options,
			 struct muster_error *error)
{
	int err = options->path != NULL ? muster__stale_remove(options->path) : 0;

	if (err < 0) {
		*error = (struct muster_error){ .code = err, .call = "bind" };
		muster__address_named(&error->address, MUSTER__FAMILY_UNIX, options->path, 0);
		return err;
	}
	return muster__listener_bind(socket, options, error);
}

/* The backlog of a socket that listens already is its owner's choice, unless the file has one. */
static int listen_on(struct muster__listener *socket, const struct muster_listen_options *options,
		     struct muster_error *error)
{
	int err = 0;

	if (!socket->foreign || options->backlog > 0 || !muster__fd_is_listening(socket->fd))
		err = muster__listener_listen(socket, options->backlog, error);
	if (err < 0)
		muster__listener_close(socket, true);
	return err;
}

static int open_socket(struct muster__service *service, const struct muster__config_listener *listener,
		       struct muster__app_listener *plan, struct muster__listener *socket, struct muster_error *error)
{
	int err = inherit(service, listener, plan, socket);

	*error = (struct muster_error){ .code = err, .call = "getsockname" };
	if (err == -ENOENT && listener->fd_name == NULL)
		err = bind_listener(socket, &plan->listen, error);
	return err == 0 ? listen_on(socket, &plan->listen, error) : err;
}

static int open_listener(struct muster__service_app *app, const struct muster__config_listener *listener,
			 struct muster__config_errors *errors)
{
	struct muster__app_listener *plan = &app->listeners[app->plan.listener_count];
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	struct muster__listening *listening;
	struct muster_error error = { 0 };
	int err = plan_listener(plan, listener);

	app->plan.listener_count++;
	error.code = err;
	error.call = "getaddrinfo";
	if (err == 0)
		err = open_socket(app->service, listener, plan, &socket, &error);
	if (err < 0)
		return complain(errors, listener, &error);
	return muster__listening_configure(app->cluster, plan, &socket, listener->max_connections, &listening);
}

static int open_listeners(struct muster__service *service, struct muster__config_errors *errors)
{
	const struct muster__config *config = service->config;
	int err = 0, failed;
	size_t i;

	for (i = 0; i < config->listener_count; i++) {
		const struct muster__config_listener *listener = &config->listeners[i];

		failed = open_listener(&service->apps[listener->application], listener, errors);
		err = err < 0 ? err : failed;
	}
	return err;
}

static void plan_builtin(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->plan.builtin = from->builtin;
	app->plan.upstream = (struct muster_connect_options){ .host = from->upstream_host,
							      .port = from->upstream_port,
							      .path = from->upstream_path };
	muster__cluster_set_app(app->cluster, &app->plan);
}

static void plan_program(struct muster__service_app *app, const struct muster__config_application *from)
{
	app->program = from->exec[0];
	app->permit = (struct muster__permit){ .min_port = FREE_PORTS, .folder = from->directory };
	muster__cluster_set_permit(app->cluster, &app->permit);
}

static struct muster_cluster *new_cluster(const struct muster__service *service,
					  const struct muster__config_application *from)
{
	struct muster_cluster_options options = {
		.respawn = true,
		.own_group = true,
		.backoff_ms = service->config->backoff_ms,
		.backoff_max_ms = service->config->backoff_max_ms,
		.exec = (const char *const *)from->exec,
		.env = (const char *const *)from->env,
		.cwd = from->directory,
	};

	return muster_cluster_new(service->loop, &options);
}

static int open_app(struct muster__service *service, size_t index)
{
	static const struct muster_worker_handlers on = {
		.on_listening = on_listening,
		.on_exit = on_worker_exit,
		.on_close = on_close,
	};
	const struct muster__config *config = service->config;
	const struct muster__config_application *from = &config->applications[index];
	struct muster__service_app *app = &service->apps[index];

	app->service = service;
	app->workers = from->workers;
	app->listeners = calloc(config->listener_count + 1, sizeof *app->listeners);
	app->plan = (struct muster__app){ .name = from->name, .listeners = app->listeners };
	app->cluster = new_cluster(service, from);
	if (app->listeners == NULL || app->cluster == NULL)
		return -ENOMEM;
	muster__cluster_set_board(app->cluster, service->board);
	if (from->exec != NULL)
		plan_program(app, from);
	else
		plan_builtin(app, from);
	return muster_cluster_on(app->cluster, &on, app);
}

int muster__service_open(struct muster__service *service, struct muster_loop *loop, const struct muster__config *config,
			 struct muster__config_errors *errors)
{
	int err = 0;

	service->loop = loop;
	service->config = config;
	service->started_ms = muster__now_ms();
	service->board = muster__scoreboard_new();
	service->apps = calloc(config->application_count, sizeof *service->apps);
	event_assign(&service->timer, loop->base, -1, EV_PERSIST, on_timer, service);
	if (service->board == NULL || service->apps == NULL)
		return -ENOMEM;
	muster__scoreboard_set_max(service->board, config->max_connections);
	for (; service->app_count < config->application_count && err == 0; service->app_count++)
		err = open_app(service, service->app_count);
	return err == 0 ? open_listeners(service, errors) : err;
}

int muster__service_start(struct muster__service *service)
{
	size_t i;
	int err = 0;

	enter(service, MUSTER__PHASE_STARTING, service->config->ready_timeout_ms);
	for (i = 0; i < service->app_count && err == 0; i++)
		err = muster_cluster_start(service->apps[i].cluster, service->apps[i].workers);
	return err;
}

void muster__service_free(struct muster__service *service)
{
	size_t i, k;

	for (i = 0; i < service->app_count; i++) {
		for (k = 0; k < service->apps[i].plan.listener_count; k++) {
			free((char *)service->apps[i].listeners[k].listen.host);
			free((char *)service->apps[i].listeners[k].listen.path);
		}
		free(service->apps[i].listeners);
	}
	free(service->apps);
	muster__scoreboard_free(service->board);
}
