/* Datagrams are read as they come, one at a time: what travels in one of them and what does not is half of the protocol. */
#include "tests/support/manager.h"

#include "tests/support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int manager_open(const char *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t length = strlen(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert(fd >= 0 && length < sizeof un.sun_path);
	memcpy(un.sun_path, address, length);
	if (address[0] == '@')
		un.sun_path[0] = '\0';
	/* An abstract name is all bytes that are given: one NUL more is another name. */
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&un,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address[0] != '@'))),
			 0);
	return fd;
}

const char *manager_variable(const char *address)
{
	static char text[256];

	snprintf(text, sizeof text, "NOTIFY_SOCKET=%s", address);
	return text;
}

bool manager_has_heard(int manager, struct heard *heard)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec into = { heard->text, sizeof heard->text - 1 };
	struct msghdr header = {
		.msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	ssize_t length = recvmsg(manager, &header, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *with = length >= 0 ? CMSG_FIRSTHDR(&header) : NULL;

	heard->text[length > 0 ? length : 0] = '\0';
	heard->fd = -1;
	if (with != NULL && with->cmsg_type == SCM_RIGHTS)
		memcpy(&heard->fd, CMSG_DATA(with), sizeof heard->fd);
	return length >= 0;
}

void manager_hear(int manager, struct heard *heard)
{
	struct pollfd wait = { .fd = manager, .events = POLLIN };

	ck_assert_msg(poll(&wait, 1, (int)test_patience() * 1000) == 1, "the manager was told nothing");
	ck_assert(manager_has_heard(manager, heard));
}

unsigned manager_await(int manager, const char *text, struct heard *heard)
{
	unsigned forgotten = 0;

	for (manager_hear(manager, heard); strncmp(heard->text, text, strlen(text)) != 0;
	     manager_hear(manager, heard)) {
		forgotten++;
		if (heard->fd >= 0)
			close(heard->fd);
	}
	return forgotten;
}
