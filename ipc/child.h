/* ipc/child.h - fork, in named steps: plan, fork, plumb, run. */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct muster__plan;

/*
 * Fork a child that runs main(plan) and exits with what it returned; or, if the plan has one, executes the program. In the child nothing of the parent but the plan, the
 * standard descriptors and the plan's is left open, and no signal is blocked or handled. `plan->channel_fd` stays the
 * caller's. 0 with the pid and a pidfd (close-on-exec), or -errno.
 */
int muster__child_fork(const struct muster__plan *plan, int (*main)(const struct muster__plan *plan), pid_t *pid,
		       int *pidfd);

/* Reap the child behind the pidfd. True when it has ended: its exit code, or the signal that killed it. */
bool muster__child_reap(int pidfd, int *code, int *signal);

/* 0 or -errno; -ESRCH once it has been reaped. */
int muster__child_signal(int pidfd, int signal);

#endif
