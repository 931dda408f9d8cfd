/* ipc/fdpass.h - one sendmsg, one recvmsg: bytes and descriptors over a UNIX stream. */
#ifndef IPC_FDPASS_H
#define IPC_FDPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* libuv's receivers have room for as many. */
#define MUSTER__FDPASS_MAX 64

/* What came with the bytes: close-on-exec, and the receiver's to close. */
struct muster__fds {
	unsigned count;
	bool lost; /* MSG_CTRUNC: a descriptor was sent that did not arrive, since this process is at its limit */
	int fd[MUSTER__FDPASS_MAX];
};

/*
 * Send bytes, with `fd` unless it is -1; the descriptor stays the caller's and goes with the first byte. Returns how many
 * bytes went, or -errno: -EAGAIN, -ETOOMANYREFS and -ENOBUFS mean that the receiver is full, -EPIPE that it is gone.
 */
ssize_t muster__fdpass_send(int channel, const void *bytes, size_t length, int fd);

/* Receive up to `size` bytes and all descriptors that came with them. 0 is the end; -errno. */
ssize_t muster__fdpass_receive(int channel, void *bytes, size_t size, struct muster__fds *fds);

#endif
