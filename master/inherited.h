/*
 * master/inherited.h - bound sockets that were not made here: systemd's, those of the daemon before this one, and of the
 * generation before. A listener asks here first; what nobody wants is closed.
 */
#ifndef MASTER_INHERITED_H
#define MASTER_INHERITED_H

#include "src/listener.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct muster__inherited_socket {
	STAILQ_ENTRY(muster__inherited_socket) next;
	int fd;
	char *name; /* what its maker calls it; or NULL */
	bool ours;  /* made by a musterd for a listener of that name: its path is ours to unlink */
};

/* Zero-initialised by muster__inherited_init. */
struct muster__inherited {
	STAILQ_HEAD(, muster__inherited_socket) sockets;
};

void muster__inherited_init(struct muster__inherited *table);

/*
 * Add a socket; `fd` is taken in every case and made close-on-exec, `name` (or NULL) is copied.
 * Whether it blocks is left as it is: others may hold it, and rely on that.
 * -ENOTSOCK, -EINVAL (no stream socket, or neither listening nor bound, or a connection), -ENOMEM.
 */
int muster__inherited_add(struct muster__inherited *table, int fd, const char *name, bool ours);

/* All that one table has goes to the end of the other. */
void muster__inherited_move(struct muster__inherited *to, struct muster__inherited *from);

/* What a listener looks for: by `fd_name` alone if it is not NULL, else by its place. */
struct muster__inherited_wish {
	const char *fd_name;
	const char *name; /* the listener's, by which the port of one that left the choice to us is found again */
	const struct muster_listen_options *place;
};

/*
 * Take the first socket that fits; sockets of one fd_name come in the order in which they were added. It may not listen yet.
 * It is lent until whoever takes it says otherwise. 0; -ENOENT (there is none), -errno: `listener` is unchanged then.
 */
int muster__inherited_take(struct muster__inherited *table, const struct muster__inherited_wish *wish,
			   struct muster__listener *listener);

/* Close what is left, each after `tell` (or NULL) has seen it. */
void muster__inherited_close(struct muster__inherited *table,
			     void (*tell)(const struct muster__inherited_socket *socket, void *data), void *data);

#endif
