/*
 * systemd promises that the descriptors begin at 3 and that each has a name, not that they come in any order; stored ones are
 * among them. What they are is asked of the kernel, which of them are ours is told by their names.
 */
#include "master/activation.h"

#include "ipc/environment.h"
#include "master/inherited.h"
#include "master/sd.h"
#include "src/fd.h"
#include "src/log.h"

#include <errno.h>
#include <muster/error.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX 65536
#define PIDFS 0x50494446 /* PID_FS_MAGIC: here a pidfd has an inode of its own, as of Linux 6.9 */

/* A pid may be another process by now, the inode of its pidfd may not. What cannot be checked is not held against anybody. */
static bool is_for_pidfd(const char *text)
{
	int self = text != NULL ? pidfd_open(getpid(), 0) : -1;
	struct statfs system;
	struct stat status;
	bool is = true;

	if (self >= 0 && fstatfs(self, &system) == 0 && system.f_type == PIDFS && fstat(self, &status) == 0)
		is = strtoull(text, NULL, 10) == (uint64_t)status.st_ino;
	muster__fd_close(&self);
	return is;
}

/* How many were passed, to us. */
static int take_count(void)
{
	int pid, count;
	bool has_pid = muster__environment_take_number("LISTEN_PID", &pid);
	bool has_count = muster__environment_take_number("LISTEN_FDS", &count);
	bool is_ours = is_for_pidfd(getenv("LISTEN_PIDFDID"));

	unsetenv("LISTEN_PIDFDID");
	if (!has_pid || !has_count || pid != (int)getpid() || !is_ours)
		return 0;
	return count < FDS_MAX ? count : FDS_MAX;
}

static int take_one(struct muster__inherited *sockets, struct muster__sd *sd, int fd, const char *name)
{
	char listener[MUSTER__SD_NAME_MAX + 1];
	int err;

	if (name != NULL && muster__sd_listener_of(listener, name))
		err = muster__inherited_add(sockets, fd, listener, true);
	else
		err = muster__inherited_add(sockets, fd, name, false);
	if (err == 0 || err == -ENOMEM)
		return err;
	muster__log(MUSTER_LOG_WARN, "descriptor %d (%s) was passed to musterd, but is no socket to listen on: %s", fd,
		    name != NULL ? name : "no name", muster_strerror(err));
	if (name != NULL)
		muster__sd_unstore_name(sd, name);
	return 0;
}

int muster__activation_take(struct muster__inherited *sockets, struct muster__sd *sd)
{
	const char *value = getenv("LISTEN_FDNAMES");
	char *names = value != NULL ? strdup(value) : NULL, *rest = names;
	int count = take_count(), err = value != NULL && names == NULL ? -ENOMEM : 0, i;

	unsetenv("LISTEN_FDNAMES");
	for (i = 0; i < count && err == 0; i++) {
		const char *name = rest != NULL ? strsep(&rest, ":") : NULL;

		err = take_one(sockets, sd, FIRST_FD + i, name != NULL && *name != '\0' ? name : NULL);
	}
	free(names);
	return err;
}

static void forget(const struct muster__inherited_socket *socket, void *data)
{
	const char *name = socket->name != NULL ? socket->name : "no name";

	if (socket->ours) {
		muster__log(MUSTER_LOG_INFO, "the socket of listener %s, which is no more, is closed", name);
		muster__sd_unstore(data, name);
		return;
	}
	muster__log(MUSTER_LOG_WARN,
		    "a socket (%s) was passed to musterd that no listener wants: give one its \"fd_name\" or its place",
		    name);
	if (socket->name != NULL)
		muster__sd_unstore_name(data, name);
}

void muster__activation_close_rest(struct muster__inherited *sockets, struct muster__sd *sd)
{
	muster__inherited_close(sockets, forget, sd);
}
