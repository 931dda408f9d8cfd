/*
 * EPOLLEXCLUSIVE, planted in libevent's own epoll set.
 *
 * libevent cannot ask for it, and a nested epoll descriptor does not help. So the registration it made is deleted and made
 * again with the flag and the data it uses itself (data.fd); it dispatches as before. Its epoll descriptor is the one on
 * which the deletion succeeds: only one event of one base watches the listener in this process.
 */
#include "src/exclusive.h"

#include "src/loop.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool replant(int epoll_fd, int fd, unsigned flags)
{
	struct epoll_event event = { .events = EPOLLIN | flags, .data = { .fd = fd } };

	return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int find_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;
	int found = -1;

	while (fds != NULL && found < 0 && (entry = readdir(fds)) != NULL) {
		char *end;
		long candidate = strtol(entry->d_name, &end, 10);

		if (end != entry->d_name && candidate != fd &&
		    epoll_ctl((int)candidate, EPOLL_CTL_MOD, fd, &event) == 0)
			found = (int)candidate;
	}
	if (fds != NULL)
		closedir(fds);
	return found;
}

bool muster__exclusive_plant(struct muster_loop *loop, int fd)
{
	if (loop->epoll_fd < 0)
		loop->epoll_fd = find_epoll(fd);
	if (loop->epoll_fd < 0)
		return false;
	if (replant(loop->epoll_fd, fd, EPOLLEXCLUSIVE))
		return true;
	replant(loop->epoll_fd, fd, 0);
	return false;
}

void muster__exclusive_rotate(struct muster_loop *loop, int fd)
{
	if (loop->epoll_fd >= 0)
		replant(loop->epoll_fd, fd, EPOLLEXCLUSIVE);
}
