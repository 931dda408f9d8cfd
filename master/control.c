/* The socket file: its folder, its mode from the first moment, its group. Who is at the other end is the session's affair. */
#include "master/control.h"

#include "master/config.h"
#include "master/generations.h"
#include "master/session.h"
#include "master/stale.h"
#include "src/fd.h"
#include "src/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep_spare(struct muster__control *control)
{
	if (control->spare < 0)
		control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_last_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error;
	keep_spare(data);
}

/* The operator who wants to know why nothing is accepted any more must be heard. */
static bool admit_with_spare(struct muster_server *server, struct muster__control *control)
{
	static const struct muster_socket_handlers on = { .on_close = on_last_close };
	struct muster_socket *socket = NULL;
	int fd;

	if (control->spare < 0)
		return false;
	muster__fd_close(&control->spare);
	fd = accept4(muster_server_fd(server), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		socket = muster_socket_open(control->all->loop, fd, NULL);
	if (socket == NULL || muster_socket_on(socket, &on, control) < 0) {
		if (socket != NULL)
			muster_socket_destroy(socket, 0);
		keep_spare(control);
		return false;
	}
	muster__session_begin(socket, control);
	return true;
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server;
	keep_spare(data);
	muster__session_begin(socket, data);
}

static void on_server_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	char text[256];

	if ((error->code == -EMFILE || error->code == -ENFILE) && admit_with_spare(server, data))
		return;
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "control: %s", text);
}

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

int muster__control_group(const struct muster__config *config, gid_t *gid)
{
	const struct group *group = config->control_group != NULL ? getgrnam(config->control_group) : NULL;

	*gid = group != NULL ? group->gr_gid : (gid_t)-1;
	return config->control_group != NULL && group == NULL ? -ENOENT : 0;
}

static int open_to(const char *path, unsigned mode, gid_t group)
{
	if (group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0)
		return -errno;
	/* Changing the group may take bits away. */
	return chmod(path, mode) < 0 ? -errno : 0;
}

int muster__control_open_to(const struct muster__config *config, gid_t group)
{
	return open_to(config->control_path, config->control_mode, group);
}

static int bind_at(const char *path, unsigned mode, gid_t group, struct muster__listener *listener)
{
	struct muster_error error = { 0 };
	int err = make_folder(path);

	if (err == 0)
		err = muster__stale_remove(path);
	if (err == 0)
		err = bind_with_mode(path, mode, listener, &error);
	if (err == 0 && group != (gid_t)-1 && (err = open_to(path, mode, group)) < 0)
		muster__listener_close(listener, true);
	return err;
}

int muster__control_bind(const struct muster__config *config, gid_t group, struct muster__listener *listener)
{
	return bind_at(config->control_path, config->control_mode, group, listener);
}

int muster__control_bind_beside(const struct muster__config *config, gid_t group, struct muster__listener *listener)
{
	const char *slash = strrchr(config->control_path, '/');
	int folder = slash != NULL ? (int)(slash + 1 - config->control_path) : 0, err;
	char *path;

	if (asprintf(&path, "%.*s.%d", folder, config->control_path, (int)getpid()) < 0)
		return -ENOMEM;
	err = bind_at(path, config->control_mode, group, listener);
	free(path);
	return err;
}

int muster__control_place(const struct muster__config *config, struct muster__listener *listener)
{
	char *path;

	if (strcmp(listener->path, config->control_path) == 0)
		return 0;
	path = strdup(config->control_path);
	if (path == NULL)
		return -ENOMEM;
	if (rename(listener->path, path) < 0) {
		free(path);
		return -errno;
	}
	free(listener->path);
	listener->path = path;
	return 0;
}

int muster__control_listen(struct muster__control *control, struct muster__listener *listener,
			   struct muster_server **out)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection, .on_error = on_server_error };

	*out = muster_server_new(control->all->loop, NULL);
	if (*out == NULL) {
		muster__listener_close(listener, true);
		return -ENOMEM;
	}
	keep_spare(control);
	muster_server_on(*out, &on, control);
	muster_server_unref(*out);
	return muster__server_listen_on(*out, listener, 0);
}
