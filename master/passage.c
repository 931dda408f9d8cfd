/*
 * A socket of its own for each program, with a name that the kernel makes up. Anybody may write there: the kernel tells who
 * did, and only the program and what runs in its process group are heard. Descriptors that come along are closed, which is
 * also what a barrier waits for.
 */
#include "master/passage.h"

#include "ipc/sockets.h"
#include "master/handover.h"
#include "master/listeners.h"
#include "master/ready.h"
#include "src/fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTENERS_MAX = 256, FDS_MAX = 8, STATUS_MAX = 256, MESSAGES_MAX = 64 };

struct muster__passage {
	struct muster__process *process;
	struct muster__sockets sockets;
	char *names;
	int channel_end; /* -1 once it has ended */
	int notify;
	char address[64]; /* of that, as in NOTIFY_SOCKET */
	struct event readable, patience;
	char status[STATUS_MAX];
	struct muster__log_limit status_limit, stranger_limit;
};

/* ---- what it is given */

/* LISTEN_FDNAMES separates by colons. */
static int put_names(struct muster__passage *passage, struct muster__listening *const *list, size_t count)
{
	size_t length, i;
	FILE *stream = open_memstream(&passage->names, &length);
	const char *name;

	if (stream == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		if (i > 0)
			putc(':', stream);
		for (name = list[i]->name; *name != '\0'; name++)
			putc(*name != ':' ? *name : '_', stream);
	}
	return fclose(stream) == 0 ? 0 : -ENOMEM;
}

static int put_sockets(struct muster__passage *passage)
{
	struct muster__listening *list[LISTENERS_MAX];
	size_t count = muster__listeners_pass(passage->process, list, LISTENERS_MAX), i;

	passage->sockets.fds = calloc(count + 1, sizeof *passage->sockets.fds);
	if (passage->sockets.fds == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		passage->sockets.fds[i] = list[i]->socket.fd;
	passage->sockets.count = count;
	return put_names(passage, list, count);
}

/* Bound without a name it gets an abstract one that is nobody else's. */
static int open_notify(struct muster__passage *passage)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = sizeof address;
	int on = 1;

	passage->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (passage->notify < 0 || setsockopt(passage->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
	    bind(passage->notify, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
	    getsockname(passage->notify, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	length -= (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
	snprintf(passage->address, sizeof passage->address, "@%.*s", (int)length, address.sun_path + 1);
	return 0;
}

int muster__passage_new(struct muster__process *process)
{
	struct muster__passage *passage = calloc(1, sizeof *passage);
	int err;

	if (passage == NULL)
		return -ENOMEM;
	process->passage = passage;
	passage->process = process;
	passage->channel_end = passage->notify = -1;
	err = put_sockets(passage);
	if (err == 0)
		err = open_notify(passage);
	passage->sockets.names = passage->names;
	passage->sockets.notify = passage->address;
	return err;
}

const struct muster__sockets *muster__passage_sockets(const struct muster__process *process)
{
	return &process->passage->sockets;
}

/* ---- what it says */

static void be_ready(struct muster__passage *passage)
{
	struct muster__process *process = passage->process;

	muster__event_del(process->peer.object.loop, &passage->patience);
	process->said_ready = true;
	process->listened = (unsigned)passage->sockets.count + 1; /* it has worked, if it has none as well */
	muster__ready_look(process);
}

/* For a log and a terminal: what is no text has no meaning there. */
static void take_status(struct muster__passage *passage, const char *text)
{
	const struct muster_worker *worker = &passage->process->peer;
	char *at;

	snprintf(passage->status, sizeof passage->status, "%s", text);
	for (at = passage->status; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	if (muster__log_allowed(&passage->status_limit))
		muster__log(MUSTER_LOG_INFO, "worker %u (pid %d) says: %s", worker->id, (int)worker->pid,
			    passage->status);
}

/* Other keys ask for what only a service manager has. */
static void take_message(struct muster__passage *passage, char *text)
{
	char *rest = NULL, *line;

	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (strcmp(line, "READY=1") == 0)
			be_ready(passage);
		else if (strncmp(line, "STATUS=", 7) == 0)
			take_status(passage, line + 7);
	}
}

/* Closes what came along, and tells who sent it: 0 if that is not known. */
static pid_t open_letter(struct msghdr *message)
{
	struct cmsghdr *part;
	struct ucred sender = { 0 };
	size_t i;
	int fd;

	for (part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(part), sizeof sender);
		for (i = 0; part->cmsg_type == SCM_RIGHTS && i < (part->cmsg_len - CMSG_LEN(0)) / sizeof fd; i++) {
			memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
			close(fd);
		}
	}
	return sender.pid;
}

static bool is_its_own(const struct muster__passage *passage, pid_t sender)
{
	pid_t own = passage->process->peer.pid;

	return sender > 0 && (sender == own || getpgid(sender) == own);
}

/* False: there is nothing more. */
static bool receive(struct muster__passage *passage)
{
	char text[2048];
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { text, sizeof text - 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t length = recvmsg(passage->notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	pid_t sender;

	if (length < 0)
		return false;
	sender = open_letter(&message);
	if (is_its_own(passage, sender)) {
		text[length] = '\0';
		take_message(passage, text);
	} else if (muster__log_allowed(&passage->stranger_limit)) {
		muster__log(MUSTER_LOG_WARN, "worker %u (pid %d): pid %d spoke for it, and was not heard",
			    passage->process->peer.id, (int)passage->process->peer.pid, (int)sender);
	}
	return true;
}

static void receive_some(struct muster__passage *passage)
{
	int left = MESSAGES_MAX;

	while (left-- > 0 && receive(passage))
		;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	receive_some(data);
}

static void on_patience(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	be_ready(data);
}

/* ---- life */

void muster__passage_begin(struct muster__process *process, int *end)
{
	struct muster__passage *passage = process->passage;
	struct muster_loop *loop = process->peer.object.loop;
	struct timeval patience = muster__ms(process->cluster->passing->ready_after_ms);

	passage->channel_end = *end;
	*end = -1;
	event_assign(&passage->readable, loop->base, passage->notify, EV_READ | EV_PERSIST, on_readable, passage);
	event_assign(&passage->patience, loop->base, -1, EV_PERSIST, on_patience, passage);
	muster__event_add(loop, &passage->readable, NULL);
	if (process->cluster->passing->ready_after_ms != 0)
		muster__event_add(loop, &passage->patience, &patience);
}

void muster__passage_end(struct muster__process *process)
{
	struct muster__passage *passage = process->passage;

	if (passage == NULL)
		return;
	muster__event_del(process->peer.object.loop, &passage->patience);
	muster__event_del(process->peer.object.loop, &passage->readable);
	receive_some(passage);
	muster__fd_close(&passage->channel_end);
}

void muster__passage_free(struct muster__process *process)
{
	struct muster__passage *passage = process->passage;

	if (passage == NULL)
		return;
	if (passage->channel_end >= 0) {
		muster__event_del(process->peer.object.loop, &passage->patience);
		muster__event_del(process->peer.object.loop, &passage->readable);
	}
	muster__fd_close(&passage->channel_end);
	muster__fd_close(&passage->notify);
	free(passage->sockets.fds);
	free(passage->names);
	free(passage);
	process->passage = NULL;
}

const char *muster__passage_status(const struct muster__process *process)
{
	return process->passage != NULL && process->passage->status[0] != '\0' ? process->passage->status : NULL;
}
