/* See sd_listen_fds(3): this is its other side. */
#include "ipc/sockets.h"

#include "ipc/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

/* Out of the way first, so that none is overwritten by another; the new numbers are inherited. */
int muster__sockets_plumb(const struct muster__sockets *sockets)
{
	size_t i;

	for (i = 0; i < sockets->count; i++)
		if ((sockets->fds[i] = fcntl(sockets->fds[i], F_DUPFD, FIRST_FD + (int)sockets->count)) < 0)
			return -errno;
	for (i = 0; i < sockets->count; i++)
		if (dup2(sockets->fds[i], FIRST_FD + (int)i) < 0)
			return -errno;
	return 0;
}

void muster__sockets_tell(const struct muster__sockets *sockets)
{
	muster__environment_set_number("LISTEN_FDS", (unsigned)sockets->count);
	muster__environment_set_number("LISTEN_PID", (unsigned)getpid());
	setenv("LISTEN_FDNAMES", sockets->names, 1);
	setenv("NOTIFY_SOCKET", sockets->notify, 1);
}
