/* ipc/sockets.h - sockets for a program that takes them as systemd passes them: from descriptor 3 on, told by LISTEN_FDS. */
#ifndef IPC_SOCKETS_H
#define IPC_SOCKETS_H

#include <stddef.h>

struct muster__sockets {
	int *fds; /* the child puts its own numbers in their place */
	size_t count;
	const char *names;  /* for LISTEN_FDNAMES */
	const char *notify; /* for NOTIFY_SOCKET */
};

/* In a child: the sockets go to their places; what has a higher number is the caller's to close. 0 or -errno. */
int muster__sockets_plumb(const struct muster__sockets *sockets);

/* ... and the variables that tell of them. The last that is set: they are only good for the process they name. */
void muster__sockets_tell(const struct muster__sockets *sockets);

#endif
