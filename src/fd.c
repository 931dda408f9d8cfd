/* The few things that are done to bare descriptors. */
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void muster__fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int muster__fd_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
		return -errno;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static int option_of(int fd, int name, int *value)
{
	socklen_t length = sizeof *value;

	return getsockopt(fd, SOL_SOCKET, name, value, &length) < 0 ? -errno : 0;
}

int muster__fd_check_stream(int fd)
{
	int type;
	int err = option_of(fd, SO_TYPE, &type);

	if (err == -EBADF)
		return err;
	return err < 0 || type != SOCK_STREAM ? -EINVAL : 0;
}

bool muster__fd_is_listening(int fd)
{
	int listening;

	return option_of(fd, SO_ACCEPTCONN, &listening) == 0 && listening;
}

int muster__fd_above_standard(int fd)
{
	int moved, err;

	if (fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = moved < 0 ? -errno : moved;
	close(fd);
	return err;
}

int muster__fd_vacate_standard(int fd)
{
	int moved = muster__fd_above_standard(fd), null;

	if (moved < 0 || moved == fd)
		return moved;
	null = open("/dev/null", O_RDWR);
	if (null < 0 || null == fd)
		return moved;
	dup2(null, fd);
	close(null);
	return moved;
}
