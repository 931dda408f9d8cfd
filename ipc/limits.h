/* ipc/limits.h - what the kernel gives a child: processors, priority, descriptors, core files. */
#ifndef IPC_LIMITS_H
#define IPC_LIMITS_H

struct muster__plan;

/* In the child. 0, or -errno and the name of what it may not have. */
int muster__limits_apply(const struct muster__plan *plan, const char **what);

#endif
