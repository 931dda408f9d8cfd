/* ipc/standard.h - what 0, 1 and 2 of a process are, and our ends of those that are sockets. */
#ifndef IPC_STANDARD_H
#define IPC_STANDARD_H

#include <stdbool.h>

struct muster_loop;
struct muster_socket;

/* All NULL is the beginning. One that closes is NULL again; none of them is freed here. */
struct muster__standard {
	struct muster_socket *sockets[3];
};

/*
 * Make ready what the options want (enum muster_stdio, or a descriptor); of a silent one what they leave open are sockets.
 * `theirs` gets what the process is to have as 0 to 2, all above 2; 0: as its parent. Whatever came of it, close them.
 */
int muster__standard_open(struct muster__standard *standard, struct muster_loop *loop, const int wanted[3], bool silent,
			  int theirs[3]);
void muster__standard_close(int theirs[3]);

struct muster_socket *muster__standard_at(const struct muster__standard *standard, int n);

/* The process has ended. */
void muster__standard_end_input(struct muster__standard *standard);
/* There was none after all. */
void muster__standard_destroy(struct muster__standard *standard);
/* The owner goes; the sockets may be read on. */
void muster__standard_leave(struct muster__standard *standard);

#endif
