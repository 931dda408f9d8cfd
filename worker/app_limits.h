/* worker/app_limits.h - how long a connection of a built-in application may be silent. */
#ifndef WORKER_APP_LIMITS_H
#define WORKER_APP_LIMITS_H

struct muster__app_listener;
struct muster_socket;

/* Close it when its first byte is late, or when it has been idle for too long, as the listener says. -ENOMEM. */
int muster__app_limit(struct muster_socket *socket, const struct muster__app_listener *listener);

#endif
