/* ipc/environment.h - what a parent tells its child by environment variables: Node's names, and ours. */
#ifndef IPC_ENVIRONMENT_H
#define IPC_ENVIRONMENT_H

#include <stdbool.h>

/* A number of the environment, which it leaves: what we start in turn is nobody's child. False: it is not there, or none. */
bool muster__environment_take_number(const char *name, int *number);
void muster__environment_set_number(const char *name, unsigned number);

/*
 * The descriptor of the channel, never one of 0 to 2. -ENOENT: there is none; -ENOTSUP: it speaks something else than
 * JSON; -EINVAL: the number is no descriptor.
 */
int muster__environment_take_channel(int *fd);

#endif
