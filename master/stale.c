/* Only a refused connection proves that a socket is dead; anything else is left where it is. */
#include "master/stale.h"

#include "src/address.h"
#include "src/fd.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int probe(const char *path)
{
	struct muster__sockaddr address;
	int err = muster__sockaddr_path(&address, path);
	int fd = err < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (err < 0)
		return err;
	if (fd < 0)
		return -errno;
	err = connect(fd, &address.any, address.length) == 0 ? 0 : -errno;
	muster__fd_close(&fd);
	return err;
}

int muster__stale_remove(const char *path)
{
	struct stat status;
	int err;

	if (path[0] == '@')
		return 0;
	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	err = probe(path);
	if (err == 0 || err == -EAGAIN)
		return -EADDRINUSE;
	if (err != -ECONNREFUSED)
		return err == -ENOENT ? 0 : err;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
