/* master/daemon.h - what makes a process a daemon: detached, with a pid file, and in good order whatever started it. */
#ifndef MASTER_DAEMON_H
#define MASTER_DAEMON_H

#include <sys/types.h>

/*
 * Detach: fork into a session of its own. The parent does not return: it waits until the child has told how it went, prints
 * the reason if it failed, and exits with that status. In the child: a descriptor to tell it by, or -errno.
 */
int muster__daemon_detach(void);

/* Tell the parent: 0, or an exit status; and let go of its terminal if all is well. -1 for `fd`: not detached. */
void muster__daemon_tell(int fd, int status);

/* Descriptors 0 to 2 are open, no signal is blocked, SIGPIPE is ignored: whatever we were started with. */
void muster__daemon_normalise(void);

/* The pid in the file; -1: there is none. */
pid_t muster__daemon_read_pid(const char *path);

/* Write our pid, whole or not at all. 0 or -errno. */
int muster__daemon_write_pid(const char *path);

#endif
