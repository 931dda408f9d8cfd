/* bench/syscalls.h - counts the system calls of a process tree, at full speed, through the kernel's own trace point. */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include "bench/tree.h"

struct syscalls {
	int count;
	int counters[TREE_MAX]; /* one per thread */
};

/*
 * Begin to count every thread of the tree, and those that it starts. 0, or a negative error: -EACCES, -EPERM or -ENOENT
 * when the user may not trace (it takes root on most systems). To be stopped only after a 0.
 */
int syscalls_start(struct syscalls *syscalls, const struct tree *tree);

/* The calls since the start, or a negative error. */
long syscalls_stop(struct syscalls *syscalls);

#endif
