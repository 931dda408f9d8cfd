/* Every descriptor that the kernel gives is either handed to the caller or closed here; none is forgotten. */
#include "ipc/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(MUSTER__FDPASS_MAX * sizeof(int))];
};

ssize_t muster__fdpass_send(int channel, const void *bytes, size_t length, int fd)
{
	struct iovec piece = { .iov_base = (void *)bytes, .iov_len = length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	ssize_t sent;

	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = &control;
		message.msg_controllen = sizeof control.room;
	}
	do
		sent = sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static void take_rights(struct cmsghdr *header, struct muster__fds *fds)
{
	size_t bytes = header->cmsg_len - CMSG_LEN(0), at;
	int fd;

	for (at = 0; at + sizeof fd <= bytes; at += sizeof fd) {
		memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
		if (fds->count < MUSTER__FDPASS_MAX)
			fds->fd[fds->count++] = fd;
		else
			close(fd);
	}
}

ssize_t muster__fdpass_receive(int channel, void *bytes, size_t size, struct muster__fds *fds)
{
	struct iovec piece = { .iov_base = bytes, .iov_len = size };
	union control control;
	struct msghdr message = {
		.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	struct cmsghdr *header;
	ssize_t received;

	fds->count = 0;
	fds->lost = false;
	do
		received = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	for (header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
			take_rights(header, fds);
	fds->lost = message.msg_flags & MSG_CTRUNC;
	return received;
}
