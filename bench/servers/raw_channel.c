/* One descriptor a message, eight bytes beside it, nothing to parse: the cheapest hand-over there is. */
#include "bench/servers/raw_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int raw_send(int channel, int fd)
{
	char bytes[RAW_MESSAGE] = "newconn";
	struct iovec part = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };
	struct cmsghdr *header;

	message.msg_controllen = sizeof(control.bytes);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	return sendmsg(channel, &message, MSG_NOSIGNAL) == RAW_MESSAGE ? 0 : -errno;
}

int raw_receive(int channel)
{
	char bytes[RAW_MESSAGE];
	struct iovec part = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	union control control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control };
	struct cmsghdr *header;
	ssize_t length;
	int fd;

	message.msg_controllen = sizeof(control.bytes);
	length = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	if (length <= 0)
		return length == 0 ? -EPIPE : -errno;
	header = CMSG_FIRSTHDR(&message);
	/* The payload without its descriptor: the worker is at its limit, and the connection is lost. */
	if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(sizeof(int)))
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}
