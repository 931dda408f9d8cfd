/* master/stale.h - the path of a UNIX socket that nobody listens on any more. */
#ifndef MASTER_STALE_H
#define MASTER_STALE_H

/*
 * Make way for a socket at `path`: one whose owner is gone is removed. 0: the path is free. -EADDRINUSE: somebody listens
 * there. -EEXIST: what lies there is no socket, and is left alone. -errno.
 */
int muster__stale_remove(const char *path);

#endif
