/*
 * The bytes stay in the kernel until the header is whole, and then it alone is taken out: the payload is never touched, and a
 * connection that waits costs no buffer. It is watched for edges, since what is only looked at stays readable.
 */
#include "src/preface.h"

#include "src/fd.h"
#include "src/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define FEW 1024 /* more than all headers but those with certificates in them */

/* Off the loop, and no longer the owner of its descriptor. */
static int release(struct muster__preface *preface)
{
	int fd = preface->fd;

	muster__event_del(preface->loop, &preface->ready);
	muster__event_del(preface->loop, &preface->deadline);
	LIST_REMOVE(preface, link);
	muster__loop_alive(preface->loop, -1);
	preface->fd = -1;
	return fd;
}

static void finish(struct muster__preface *preface, int err, const struct muster__proxy *proxy)
{
	preface->done(preface, release(preface), err, proxy);
	free(preface);
}

/* The rest will never come; but what has come hides the end that follows it. */
static bool has_ended(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLRDHUP };

	return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* -EAGAIN: there is more to come, or more than `size`. What came just before the end is looked at once more. */
static int read_into(int fd, char *buffer, size_t size, struct muster__proxy *proxy)
{
	bool ended = false;
	ssize_t length;
	int err;

	for (;;) {
		length = recv(fd, buffer, size, MSG_PEEK);
		if (length < 0)
			return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
		if (length == 0)
			return -ENODATA;
		err = muster__proxy_parse(proxy, buffer, (size_t)length);
		if (err != -EAGAIN || (size_t)length == size)
			break;
		if (ended)
			return -EBADMSG;
		ended = has_ended(fd);
		if (!ended)
			return -EAGAIN;
	}
	if (err == 0 && recv(fd, buffer, proxy->length, 0) != (ssize_t)proxy->length)
		return -ECONNRESET;
	return err;
}

/* Not the buffer of the loop: somebody up the stack may be reading what is in it. */
static int read_header(int fd, struct muster__proxy *proxy)
{
	char few[FEW], *all;
	int err = read_into(fd, few, sizeof few, proxy);

	if (err != -EAGAIN || proxy->length <= sizeof few)
		return err;
	all = malloc(proxy->length);
	if (all == NULL)
		return -ENOMEM;
	err = read_into(fd, all, proxy->length, proxy);
	free(all);
	return err;
}

/* Returns false while the header has not come. */
static bool look(struct muster__preface *preface)
{
	struct muster__proxy proxy = { .length = 0 };
	int err = read_header(preface->fd, &proxy);

	if (err != -EAGAIN)
		finish(preface, err, &proxy);
	return err != -EAGAIN;
}

static void on_ready(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	look(data);
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	finish(data, -ETIMEDOUT, NULL);
}

int muster__preface_start(struct muster__prefaces *list, struct muster_loop *loop, int fd, unsigned timeout_ms,
			  unsigned row, muster__preface_done done, void *data)
{
	struct muster__preface *preface = calloc(1, sizeof *preface);
	struct timeval delay = muster__ms(timeout_ms);

	if (preface == NULL)
		return -ENOMEM;
	*preface = (struct muster__preface){ .loop = loop, .fd = fd, .row = row, .data = data, .done = done };
	event_assign(&preface->ready, loop->base, fd, EV_READ | EV_ET | EV_PERSIST, on_ready, preface);
	event_assign(&preface->deadline, loop->base, -1, EV_PERSIST, on_deadline, preface);
	LIST_INSERT_HEAD(list, preface, link);
	/* As the socket would that it is to become: also once its server has closed. */
	muster__loop_alive(loop, 1);
	/* Most headers come with the connection. What comes between this look and the watch is an edge to the watch. */
	if (look(preface))
		return 0;
	if (muster__event_add(loop, &preface->ready, NULL) == 0 &&
	    muster__event_add(loop, &preface->deadline, &delay) == 0)
		return 0;
	release(preface);
	free(preface);
	return -ENOMEM;
}

void muster__preface_drop(struct muster__preface *preface)
{
	int fd = release(preface);

	muster__fd_close(&fd);
	free(preface);
}
