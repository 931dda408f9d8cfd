/*
 * Who may ask is decided twice: by the mode of the socket, and by who the kernel says is at the other end (root, or the user
 * the daemon runs as). A question is one line and short; whoever sends anything else is told so and cut off.
 */
#include "master/control.h"

#include "master/generations.h"
#include "master/stale.h"
#include "master/status.h"
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
	struct muster__generations *all;
	size_t length;
	char question[QUESTION_MAX];
};

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
		reply = muster__status(session->all);
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
	session->all = data;
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

int muster__control_bind(const struct muster__config *config, struct muster__listener *listener)
{
	const char *path = config->control_path;
	struct muster_error error = { 0 };
	int err = make_folder(path);

	if (err == 0)
		err = muster__stale_remove(path);
	return err == 0 ? bind_with_mode(path, config->control_mode, listener, &error) : err;
}

int muster__control_listen(struct muster__generations *all, struct muster__listener *listener,
			   struct muster_server **out)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection, .on_error = on_server_error };

	*out = muster_server_new(all->loop, NULL);
	if (*out == NULL) {
		muster__listener_close(listener, true);
		return -ENOMEM;
	}
	muster_server_on(*out, &on, all);
	muster_server_unref(*out);
	return muster__server_listen_on(*out, listener, 0);
}
