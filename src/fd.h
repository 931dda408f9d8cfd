/* src/fd.h - descriptors: born close-on-exec and non-blocking, owned by one struct, closed once. */
#ifndef SRC_FD_H
#define SRC_FD_H

#include <stdbool.h>

/* Close *fd if it is open and leave -1. errno is kept. */
void muster__fd_close(int *fd);

/* Make a descriptor that came from elsewhere non-blocking and close-on-exec. 0 or -errno. */
int muster__fd_prepare(int fd);

/* A descriptor that is none of 0 to 2: `fd` itself, or taken and moved. Negative: -errno, and `fd` is closed. */
int muster__fd_above_standard(int fd);

/* The same for one that was inherited: /dev/null takes the place that it leaves, so that nothing else does. */
int muster__fd_vacate_standard(int fd);

/* A stream socket? 0, or -EINVAL for anything else (-EBADF for a closed descriptor). */
int muster__fd_check_stream(int fd);

bool muster__fd_is_listening(int fd);

#endif
