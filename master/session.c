/*
 * Who may ask is decided twice: by the mode of the socket, and by who the kernel says is at the other end. A question is one
 * line and short; whoever sends anything else is told so and cut off.
 */
#include "master/session.h"

#include "master/generations.h"

#include <errno.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUESTION_MAX 4096
#define QUESTION_MS 5000
#define GROUPS_MAX 256

enum rights { NOTHING, LOOK, STEER };

struct muster__session {
	const struct muster__control *control;
	struct muster_socket *socket; /* NULL once it has closed */
	struct muster__waiter waiter;
	enum rights rights;
	bool answered;
	unsigned holds;
	size_t length;
	char question[QUESTION_MAX];
};

/* ---- who is there */

static bool has_group(int fd, gid_t wanted, const struct ucred *peer)
{
	gid_t groups[GROUPS_MAX];
	socklen_t length = sizeof groups;
	size_t i;

	if (peer->gid == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
		return false;
	for (i = 0; i < length / sizeof *groups; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static enum rights rights_of(const struct muster_socket *socket, gid_t group)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	int fd = muster_socket_fd(socket);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return NOTHING;
	if (peer.uid == 0 || peer.uid == geteuid())
		return STEER;
	return group != (gid_t)-1 && has_group(fd, group, &peer) ? LOOK : NOTHING;
}

/* ---- answers */

const struct muster__control *muster__session_control(const struct muster__session *session)
{
	return session->control;
}

void muster__session_answer(struct muster__session *session, json_t *json)
{
	struct muster_socket *socket = session->socket;
	char *text = json_dumps(json, JSON_COMPACT);
	bool first = !session->answered;

	json_decref(json);
	session->answered = true;
	if (socket != NULL && first) {
		muster_socket_set_timeout(socket, QUESTION_MS);
		if (text != NULL && muster_socket_write(socket, text, strlen(text)) == 0)
			muster_socket_end_with(socket, "\n", 1);
		else
			muster_socket_destroy(socket, 0);
	}
	free(text);
}

void muster__session_conclude(struct muster__session *session, const char *failure)
{
	muster__session_answer(session,
			       failure != NULL ? json_pack("{s:s}", "error", failure) : json_pack("{s:b}", "ok", true));
}

static void on_done(struct muster__waiter *waiter, const char *failure)
{
	muster__session_conclude(MUSTER__CONTAINER(waiter, struct muster__session, waiter), failure);
}

struct muster__waiter *muster__session_wait(struct muster__session *session, bool until_started)
{
	session->waiter = (struct muster__waiter){ .until_started = until_started, .done = on_done };
	muster_socket_set_timeout(session->socket, 0);
	return &session->waiter;
}

void muster__session_hold(struct muster__session *session)
{
	session->holds++;
	if (session->socket != NULL)
		muster_socket_set_timeout(session->socket, 0);
}

void muster__session_let_go(struct muster__session *session)
{
	if (--session->holds == 0)
		free(session);
}

/* ---- questions */

static void reply_to(struct muster__session *session, const char *question, size_t length)
{
	json_error_t error;
	json_t *json = json_loadb(question, length, 0, &error);
	const char *command = json_string_value(json_object_get(json, "command"));

	if (json == NULL)
		muster__session_conclude(session, "the question is no JSON object");
	else if (command == NULL)
		muster__session_conclude(session, "\"command\" is missing");
	else
		session->control->ops->run(session, command, json, session->rights == STEER);
	json_decref(json);
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct muster__session *session = data;
	const char *newline;

	if (length > sizeof session->question - session->length) {
		muster_socket_pause(socket);
		muster__session_conclude(session, "the question is too long");
		return;
	}
	memcpy(session->question + session->length, bytes, length);
	session->length += length;
	newline = memchr(session->question, '\n', session->length);
	if (newline == NULL)
		return;
	muster_socket_pause(socket);
	reply_to(session, session->question, (size_t)(newline - session->question));
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
	struct muster__session *session = data;

	(void)socket, (void)had_error;
	session->socket = NULL;
	session->control->ops->forget(session->control, &session->waiter);
	muster__session_let_go(session);
}

void muster__session_begin(struct muster_socket *socket, const struct muster__control *control)
{
	static const struct muster_socket_handlers on = {
		.on_data = on_data,
		.on_finish = on_finish,
		.on_timeout = on_timeout,
		.on_error = on_error,
		.on_close = on_close,
	};
	struct muster__session *session = calloc(1, sizeof *session);

	if (session == NULL || muster_socket_on(socket, &on, session) < 0) {
		free(session);
		muster_socket_destroy(socket, 0);
		return;
	}
	session->control = control;
	session->socket = socket;
	session->holds = 1;
	session->rights = rights_of(socket, control->group);
	muster_socket_unref(socket);
	muster_socket_set_timeout(socket, QUESTION_MS);
	if (session->rights == NOTHING)
		muster__session_conclude(session, "permission denied");
}
