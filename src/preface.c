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

/* Off the loop, and no longer the owner of its descriptor. */
static int release(struct muster__preface *preface)
{
	int fd = preface->fd;

	muster__event_del(preface->loop, &preface->ready);
	muster__event_del(preface->loop, &preface->deadline);
	LIST_REMOVE(preface, link);
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

/* -EAGAIN: there is more to come. */
static int read_header(int fd, char *buffer, struct muster__proxy *proxy)
{
	ssize_t length = recv(fd, buffer, MUSTER__PROXY_MAX, MSG_PEEK);
	int err;

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
	if (length == 0)
		return -ENODATA;
	err = muster__proxy_parse(proxy, buffer, (size_t)length);
	if (err == -EAGAIN && has_ended(fd))
		return -EBADMSG;
	if (err == 0 && recv(fd, buffer, proxy->length, 0) != (ssize_t)proxy->length)
		return -ECONNRESET;
	return err;
}

/* Returns false while the header has not come. */
static bool look(struct muster__preface *preface)
{
	char *buffer = muster__loop_buffer(preface->loop);
	struct muster__proxy proxy;
	int err = buffer != NULL ? read_header(preface->fd, buffer, &proxy) : -ENOMEM;

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

	_Static_assert(MUSTER__PROXY_MAX <= MUSTER__READ_SIZE, "a header fits into the buffer of the loop");
	if (preface == NULL)
		return -ENOMEM;
	*preface = (struct muster__preface){ .loop = loop, .fd = fd, .row = row, .data = data, .done = done };
	event_assign(&preface->ready, loop->base, fd, EV_READ | EV_ET | EV_PERSIST, on_ready, preface);
	event_assign(&preface->deadline, loop->base, -1, EV_PERSIST, on_deadline, preface);
	LIST_INSERT_HEAD(list, preface, link);
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
