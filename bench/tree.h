/* bench/tree.h - a server's process tree: who is in it, what it has run, what it holds. Read from /proc. */
#ifndef BENCH_TREE_H
#define BENCH_TREE_H

#include <stdbool.h>
#include <sys/types.h>

enum { TREE_MAX = 1024 };

/* The root comes first; the order of the others is that of /proc. */
struct tree {
	int count;
	pid_t pids[TREE_MAX];
};

/* The root and all its descendants. 0, or -ESRCH when the root is gone, or the error of reading /proc. */
int tree_read(struct tree *tree, pid_t root);

/* Processes that started or ended between two readings: their run time is not in a difference of two sums. */
bool tree_is_same(const struct tree *a, const struct tree *b);

/* Run time of all threads, user and system, in microseconds. Processes that are gone count nothing. */
double tree_cpu(const struct tree *tree);

/* Proportional set size in bytes; NAN when it cannot be read (another user's process). */
double tree_pss(const struct tree *tree);

/* Open descriptors of one process, or a negative error. */
int tree_descriptors(pid_t pid);

#endif
