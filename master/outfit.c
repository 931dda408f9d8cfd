/*
 * In two steps, as all of a reload: what can fail is opened beside what works, and takes its place when the new configuration
 * comes to count.
 */
#include "master/outfit.h"

#include "master/commands.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/generations.h"
#include "master/log_file.h"
#include "src/fd.h"

#include <errno.h>
#include <muster/muster.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void muster__outfit_init(struct muster__outfit *outfit, struct muster__generations *all)
{
	*outfit = (struct muster__outfit){ .all = all, .next_control = MUSTER__LISTENER_NONE, .next_log = -1 };
	outfit->control.ops = &muster__commands;
	outfit->control.all = all;
	outfit->control.group = (gid_t)-1;
	outfit->control.spare = -1;
}

static const struct muster__config *current_config(const struct muster__outfit *outfit)
{
	return outfit->all->current != NULL ? outfit->all->current->config : NULL;
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int complain(struct muster__service *next, const char *what, const char *where, int err)
{
	muster__config_complain(&next->why, "%s %s: %s", what, where, muster_strerror(err));
	return err;
}

/* ---- preparing */

/* The same file is opened anew as well: it may have been moved away. */
static int prepare_log(struct muster__outfit *outfit, struct muster__service *next)
{
	const char *target = next->config->log_target;

	if (target == NULL)
		return 0;
	outfit->next_log = muster__log_file_open(target);
	return outfit->next_log < 0 ? complain(next, "log.target", target, outfit->next_log) : 0;
}

static int prepare_control(struct muster__outfit *outfit, struct muster__service *next)
{
	const struct muster__config *now = current_config(outfit), *config = next->config;
	int err;

	err = muster__control_group(config, &outfit->next_group);
	if (err < 0)
		return complain(next, "control.group", config->control_group, err);
	if (now == NULL)
		outfit->control.group = outfit->next_group;
	if (now != NULL && is_same(now->control_path, config->control_path))
		return 0;
	if (outfit->all->successor && now == NULL)
		err = muster__control_bind_beside(config, outfit->next_group, &outfit->next_control);
	else
		err = muster__control_bind(config, outfit->next_group, &outfit->next_control);
	if (err == 0 && now == NULL && !outfit->all->successor)
		err = muster__control_listen(&outfit->control, &outfit->next_control, &outfit->server);
	return err < 0 ? complain(next, "control socket", config->control_path, err) : 0;
}

/* The first one is written when there is something that serves. */
static int prepare_pid_file(struct muster__outfit *outfit, struct muster__service *next)
{
	const char *path = next->config->pid_file;
	int err;

	if (path == NULL || outfit->all->current == NULL || is_same(path, outfit->pid_file))
		return 0;
	err = muster__daemon_write_pid(path);
	if (err < 0)
		return complain(next, "pid file", path, err);
	outfit->next_pid_file = strdup(path);
	return outfit->next_pid_file != NULL ? 0 : -ENOMEM;
}

int muster__outfit_prepare(struct muster__outfit *outfit, struct muster__service *next)
{
	int err = prepare_log(outfit, next);

	if (err == 0)
		err = prepare_control(outfit, next);
	return err == 0 ? prepare_pid_file(outfit, next) : err;
}

void muster__outfit_open(struct muster__outfit *outfit, struct muster__service *next)
{
	if (outfit->next_log < 0)
		return;
	if (outfit->all->current != NULL) {
		muster__service_set_output(next, outfit->next_log);
		return;
	}
	/* Until here whoever started us reads what went wrong where he is. */
	muster__log_file_use(outfit->next_log);
	outfit->next_log = -1;
}

/* ---- committing */

static void commit_log(struct muster__outfit *outfit, struct muster__service *current)
{
	muster_log_set_level(current->config->log_level);
	muster__log_set_format(current->config->log_format);
	/* Its workers were forked when we still logged as before. */
	muster__service_tell_log(current, -1);
	if (outfit->next_log < 0)
		return;
	muster__service_set_output(current, 0);
	muster__log_file_use(outfit->next_log);
	outfit->next_log = -1;
}

static void commit_control(struct muster__outfit *outfit, const struct muster__config *config)
{
	struct muster_server *elder = outfit->server;
	int err;

	outfit->control.group = outfit->next_group;
	if (outfit->next_control.fd < 0) {
		err = muster__control_open_to(config, outfit->next_group);
		if (err < 0)
			muster__log(MUSTER_LOG_ERROR, "control socket %s: %s", config->control_path,
				    muster_strerror(err));
		return;
	}
	outfit->server = NULL;
	err = muster__control_place(config, &outfit->next_control);
	if (err == 0)
		err = muster__control_listen(&outfit->control, &outfit->next_control, &outfit->server);
	if (err < 0) {
		muster__log(MUSTER_LOG_ERROR, "control socket %s: %s", config->control_path, muster_strerror(err));
		outfit->server = elder;
	} else if (elder != NULL) {
		/* Those who ask there are answered. */
		muster_server_close(elder);
	}
}

static void commit_pid_file(struct muster__outfit *outfit, const struct muster__config *config)
{
	bool is_first = outfit->pid_file == NULL && outfit->next_pid_file == NULL;
	int err;

	if (is_same(config->pid_file, outfit->pid_file))
		return;
	if (is_first) {
		err = muster__daemon_write_pid(config->pid_file);
		if (err < 0)
			muster__log(MUSTER_LOG_ERROR, "pid file %s: %s", config->pid_file, muster_strerror(err));
		else
			outfit->pid_file = strdup(config->pid_file);
		return;
	}
	if (outfit->pid_file != NULL)
		unlink(outfit->pid_file);
	free(outfit->pid_file);
	outfit->pid_file = outfit->next_pid_file;
	outfit->next_pid_file = NULL;
}

void muster__outfit_commit(struct muster__outfit *outfit, struct muster__service *current)
{
	commit_log(outfit, current);
	commit_control(outfit, current->config);
	commit_pid_file(outfit, current->config);
}

void muster__outfit_give_up(struct muster__outfit *outfit)
{
	if (outfit->next_log >= 0)
		close(outfit->next_log);
	outfit->next_log = -1;
	muster__listener_close(&outfit->next_control, true);
	if (outfit->next_pid_file != NULL)
		unlink(outfit->next_pid_file);
	free(outfit->next_pid_file);
	outfit->next_pid_file = NULL;
}

/* ---- rotation */

/* Nobody is left on the old file but programs, which have it for good. */
void muster__outfit_reopen_log(struct muster__outfit *outfit)
{
	const struct muster__config *config = current_config(outfit);
	int fd;

	if (config == NULL || config->log_target == NULL) {
		muster__log(MUSTER_LOG_INFO, "the log is standard error, which is not opened again");
		return;
	}
	fd = muster__log_file_open(config->log_target);
	if (fd < 0) {
		muster__log(MUSTER_LOG_ERROR, "log.target %s: %s", config->log_target, muster_strerror(fd));
		return;
	}
	muster__log_file_use(fd);
	muster__generations_tell_log(outfit->all, STDERR_FILENO);
	muster__log(MUSTER_LOG_INFO, "the log has been opened again");
}

/* ---- the end */

void muster__outfit_close(struct muster__outfit *outfit)
{
	if (outfit->server != NULL)
		muster_server_destroy(outfit->server);
	outfit->server = NULL;
}

void muster__outfit_forget(struct muster__outfit *outfit)
{
	if (outfit->pid_file != NULL && muster__daemon_read_pid(outfit->pid_file) == getpid())
		unlink(outfit->pid_file);
	free(outfit->pid_file);
	outfit->pid_file = NULL;
	if (outfit->server != NULL)
		muster_server_close(outfit->server);
	outfit->server = NULL;
}

void muster__outfit_restore(struct muster__outfit *outfit)
{
	const struct muster__config *config = current_config(outfit);
	struct muster_server *elder = outfit->server;
	struct muster__listener listener = MUSTER__LISTENER_NONE;
	int err = 0;

	if (outfit->pid_file != NULL)
		err = muster__daemon_write_pid(outfit->pid_file);
	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "pid file %s: %s", outfit->pid_file, muster_strerror(err));
	err = muster__control_bind(config, outfit->control.group, &listener);
	/* Nobody took it: it is the one that we listen on. */
	if (err == -EADDRINUSE)
		return;
	outfit->server = NULL;
	if (err == 0)
		err = muster__control_listen(&outfit->control, &listener, &outfit->server);
	if (err == 0 && elder != NULL)
		muster_server_close(elder);
	else
		outfit->server = elder;
	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "control socket %s: %s", config->control_path, muster_strerror(err));
}

void muster__outfit_clear(struct muster__outfit *outfit)
{
	muster__outfit_give_up(outfit);
	muster__fd_close(&outfit->control.spare);
	if (outfit->pid_file != NULL)
		unlink(outfit->pid_file);
	free(outfit->pid_file);
}
