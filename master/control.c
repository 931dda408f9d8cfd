/*
 * Who may ask is decided twice: by the mode of the socket, and by who the kernel says is at the other end (root, or the user
 * the daemon runs as). A question is one line and short; whoever sends anything else is told so and cut off.
 */
#include "master/control.h"

#include "master/listeners.h"
#include "master/service.h"
#include "master/stale.h"
#include "src/address.h"
#include "src/server.h"

#include <errno.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUESTION_MAX 4096
#define QUESTION_MS 5000

struct session {
	struct muster__service *service;
	size_t length;
	char question[QUESTION_MAX];
};

/* ---- status */

static const char *const policy_names[] = {
	[MUSTER_POLICY_DEFAULT] = "default",
	[MUSTER_POLICY_ROUND_ROBIN] = "round-robin",
	[MUSTER_POLICY_SHARED] = "shared",
	[MUSTER_POLICY_LEAST_CONNECTIONS] = "least-connections",
};

static const char *worker_state(const struct muster__process *process)
{
	if (process == NULL)
		return "waiting";
	if (process->leaving)
		return "draining";
	if (!process->peer.online)
		return "starting";
	return process->ready ? "ready" : "online";
}

static json_t *worker_status(const struct muster__service_app *app, const struct muster__seat *seat)
{
	const struct muster__process *process = seat->process;
	json_t *json = json_pack("{s:s,s:i,s:s,s:i}", "application", app->plan.name, "slot", (int)seat->index, "state",
				 worker_state(process), "restarts", (int)seat->restarts);
	const struct muster__slot *slot;

	if (process == NULL)
		return json;
	json_object_set_new(json, "id", json_integer(process->peer.id));
	json_object_set_new(json, "pid", json_integer(process->peer.pid));
	json_object_set_new(json, "in_flight", json_integer(process->flight_count));
	/* One that does not write to its slot has counts that nobody knows. */
	if (process->peer.online && !process->is_muster)
		return json;
	slot = muster__scoreboard_slot(app->service->board, process->slot);
	json_object_set_new(json, "connections", json_integer(atomic_load(&slot->open)));
	json_object_set_new(json, "accepted", json_integer((json_int_t)atomic_load(&slot->accepted)));
	return json;
}

static json_t *listener_status(const struct muster__service_app *app, const struct muster__listening *listening)
{
	const struct muster__scoreboard *board = app->service->board;
	struct muster_address address;
	char text[160] = "";

	if (muster__address_local(&address, listening->socket.fd) == 0)
		muster_address_format(&address, text, sizeof text);
	return json_pack(
		"{s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:i,s:b}", "name", listening->name != NULL ? listening->name : text,
		"address", text, "policy", policy_names[listening->policy], "application", app->plan.name, "workers",
		(int)listening->member_count, "connections", (int)muster__scoreboard_row_open(board, listening->row),
		"accepted", (json_int_t)muster__scoreboard_row_accepted(board, listening->row), "waiting",
		(int)listening->returned_count, "accepting", (int)listening->acceptor.wanted);
}

/* New ones are put in front; people expect the order of the file. */
static json_t *listeners_status(const struct muster__service_app *app)
{
	json_t *array = json_array();
	const struct muster__listening *listening;

	LIST_FOREACH(listening, &app->cluster->listenings, link)
	json_array_insert_new(array, 0, listener_status(app, listening));
	return array;
}

static json_t *status(const struct muster__service *service)
{
	json_t *workers = json_array(), *listeners = json_array();
	const struct muster__seat *seat;
	size_t i;

	for (i = 0; i < service->app_count; i++) {
		json_t *own;

		if (service->apps[i].cluster == NULL)
			continue;
		TAILQ_FOREACH(seat, &service->apps[i].cluster->seats, link)
		json_array_append_new(workers, worker_status(&service->apps[i], seat));
		own = listeners_status(&service->apps[i]);
		json_array_extend(listeners, own);
		json_decref(own);
	}
	return json_pack("{s:s,s:i,s:s,s:I,s:i,s:i,s:o,s:o}", "version", MUSTER_VERSION, "pid", (int)getpid(), "state",
			 muster__phase_name(service->phase), "uptime_ms",
			 (json_int_t)(muster__now_ms() - service->started_ms), "connections",
			 (int)muster__scoreboard_sum(service->board), "max_connections",
			 (int)muster__scoreboard_max(service->board), "workers", workers, "listeners", listeners);
}

/* ---- questions */

static void answer(struct muster_socket *socket, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text != NULL && muster_socket_write(socket, text, strlen(text)) == 0)
		muster_socket_end_with(socket, "\n", 1);
	else
		muster_socket_destroy(socket, 0);
	free(text);
}

static json_t *error_json(const char *text)
{
	return json_pack("{s:s}", "error", text);
}

static json_t *reply_to(const struct session *session, const char *question, size_t length)
{
	json_error_t error;
	json_t *json = json_loadb(question, length, 0, &error), *reply;
	const char *command = json_string_value(json_object_get(json, "command"));

	if (json == NULL)
		reply = error_json("the question is no JSON object");
	else if (command == NULL)
		reply = error_json("\"command\" is missing");
	else if (strcmp(command, "status") == 0)
		reply = status(session->service);
	else
		reply = error_json("unknown command, known is \"status\"");
	json_decref(json);
	return reply;
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct session *session = data;
	const char *newline;

	if (length > sizeof session->question - session->length) {
		muster_socket_pause(socket);
		answer(socket, error_json("the question is too long"));
		return;
	}
	memcpy(session->question + session->length, bytes, length);
	session->length += length;
	newline = memchr(session->question, '\n', session->length);
	if (newline == NULL)
		return;
	muster_socket_pause(socket);
	answer(socket, reply_to(session, session->question, (size_t)(newline - session->question)));
}

static void on_finish(struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
}

static void on_timeout(struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	(void)socket, (void)error, (void)data;
}

static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error;
	free(data);
}

static bool is_allowed(const struct muster_socket *socket)
{
	struct ucred peer;
	socklen_t length = sizeof peer;

	if (getsockopt(muster_socket_fd(socket), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = {
		.on_data = on_data,
		.on_finish = on_finish,
		.on_timeout = on_timeout,
		.on_error = on_error,
		.on_close = on_close,
	};
	struct session *session = calloc(1, sizeof *session);

	(void)server;
	if (session == NULL || muster_socket_on(socket, &on, session) < 0) {
		free(session);
		muster_socket_destroy(socket, 0);
		return;
	}
	session->service = data;
	muster_socket_unref(socket);
	muster_socket_set_timeout(socket, QUESTION_MS);
	if (!is_allowed(socket))
		answer(socket, error_json("permission denied"));
}

static void on_server_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	char text[256];

	(void)server, (void)data;
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "control: %s", text);
}

/* ---- the socket */

static int make_folder(const char *path)
{
	char folder[128];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path || (size_t)(slash - path) >= sizeof folder)
		return 0;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	return mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The mode is right from the first moment: bind(2) makes the file under the umask. */
static int bind_with_mode(const char *path, unsigned mode, struct muster__listener *listener,
			  struct muster_error *error)
{
	mode_t before = umask((mode_t)~mode & 0777);
	int err = muster__listener_bind(listener, &(struct muster_listen_options){ .path = path }, error);

	umask(before);
	return err;
}

static int complain(const char *path, int err)
{
	muster__log(MUSTER_LOG_ERROR, "control socket %s: %s", path, muster_strerror(err));
	return err;
}

int muster__control_open(struct muster__service *service, struct muster_server **out)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection, .on_error = on_server_error };
	const char *path = service->config->control_path;
	struct muster__listener listener = MUSTER__LISTENER_NONE;
	struct muster_error error = { 0 };
	int err = make_folder(path);

	if (err == 0)
		err = muster__stale_remove(path);
	if (err == 0)
		err = bind_with_mode(path, service->config->control_mode, &listener, &error);
	if (err < 0)
		return complain(path, err);
	*out = muster_server_new(service->loop, NULL);
	if (*out == NULL) {
		muster__listener_close(&listener, true);
		return complain(path, -ENOMEM);
	}
	muster_server_on(*out, &on, service);
	muster_server_unref(*out);
	err = muster__server_listen_on(*out, &listener, 0);
	return err < 0 ? complain(path, err) : 0;
}
