/* The sockets are the loop's: output may still be read when its process, and whoever owned that, are gone. */
#include "ipc/standard.h"

#include "src/error.h"
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/child.h>
#include <muster/socket.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	struct muster__standard *standard = data;
	int n;

	(void)had_error;
	for (n = 0; n < 3; n++)
		if (standard->sockets[n] == socket)
			standard->sockets[n] = NULL;
}

static const struct muster_socket_handlers handlers = { .on_close = on_close };

/* Ours is a socket of the loop; theirs blocks, as a program expects. */
static int open_socket(struct muster__standard *standard, struct muster_loop *loop, int n)
{
	struct muster_socket_options options = { .no_read = n == 0, .no_write = n != 0 };
	int pair[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	standard->sockets[n] = muster_socket_open(loop, pair[0], &options);
	if (standard->sockets[n] == NULL)
		err = muster_last_error();
	else
		err = muster_socket_on(standard->sockets[n], &handlers, standard);
	if (err < 0)
		muster__fd_close(&pair[1]);
	return err < 0 ? err : pair[1];
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int duplicate(int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	return fd < 0 ? -EINVAL : copy < 0 ? -errno : copy;
}

/* 0 to 2 themselves may be wanted in another's place: a copy is in nobody's way. */
static int open_one(struct muster__standard *standard, struct muster_loop *loop, int n, int wanted)
{
	int fd;

	switch (wanted) {
	case MUSTER_STDIO_INHERIT: return 0;
	case MUSTER_STDIO_SOCKET: fd = open_socket(standard, loop, n); break;
	case MUSTER_STDIO_NULL: fd = open_null(); break;
	default: fd = duplicate(wanted); break;
	}
	return fd < 0 ? fd : muster__fd_above_standard(fd);
}

int muster__standard_open(struct muster__standard *standard, struct muster_loop *loop, const int wanted[3], bool silent,
			  int theirs[3])
{
	int n, fd;

	for (n = 0; n < 3; n++) {
		fd = open_one(standard, loop, n, silent && wanted[n] == 0 ? MUSTER_STDIO_SOCKET : wanted[n]);
		if (fd < 0)
			return fd;
		theirs[n] = fd;
	}
	return 0;
}

void muster__standard_close(int theirs[3])
{
	int n;

	for (n = 0; n < 3; n++)
		if (theirs[n] > STDERR_FILENO)
			muster__fd_close(&theirs[n]);
}

struct muster_socket *muster__standard_at(const struct muster__standard *standard, int n)
{
	return n >= 0 && n < 3 ? standard->sockets[n] : NULL;
}

/* As in Node: whoever else has its input hears no more than the end. */
void muster__standard_end_input(struct muster__standard *standard)
{
	if (standard->sockets[0] != NULL)
		muster_socket_destroy(standard->sockets[0], 0);
}

void muster__standard_destroy(struct muster__standard *standard)
{
	int n;

	for (n = 0; n < 3; n++)
		if (standard->sockets[n] != NULL)
			muster_socket_destroy(standard->sockets[n], 0);
}

void muster__standard_leave(struct muster__standard *standard)
{
	int n;

	for (n = 0; n < 3; n++)
		if (standard->sockets[n] != NULL)
			muster_socket_off(standard->sockets[n], &handlers, standard);
}
