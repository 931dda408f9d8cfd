/*
 * One wake-up drains the queue, bounded, so that a flood on one listener does not starve the rest of the loop; a shared
 * listener takes one connection per wake-up, which is what keeps several processes even. Errors never close a listener:
 * after one, as at the descriptor limit, it is left alone for a moment, since a level-triggered watch on it would spin.
 */
#include "src/acceptor.h"

#include "src/exclusive.h"
#include "src/log.h"
#include "src/loop.h"

#include <errno.h>
#include <sys/socket.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPTS_AT_END 4096
#define RETRY_MS 100
#define ERROR_INTERVAL_MS 1000

/* What belongs to one aborted connection and not to the listener: see accept(2), "Error handling". */
static bool is_of_the_peer(int err)
{
	switch (-err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH: return true;
	default: return false;
	}
}

static void report(struct muster__acceptor *acceptor, int err)
{
	unsigned long long now = muster__now_ms();

	if (now < acceptor->quiet_until_ms)
		return;
	acceptor->quiet_until_ms = now + ERROR_INTERVAL_MS;
	acceptor->ops->failed(acceptor, err);
}

/* Watch the socket exactly when it is wanted and not throttled. */
static int derive(struct muster__acceptor *acceptor)
{
	bool run = acceptor->wanted && !acceptor->throttled;

	if (run == acceptor->running)
		return 0;
	if (!run) {
		muster__event_del(acceptor->loop, &acceptor->ready);
	} else {
		int err = muster__event_add(acceptor->loop, &acceptor->ready, NULL);

		if (err < 0)
			return err;
		if (acceptor->rotate_every != 0 && !muster__exclusive_plant(acceptor->loop, acceptor->fd)) {
			muster__log(MUSTER_LOG_WARN,
				    "listener %d: no exclusive wake-ups here; each connection wakes "
				    "every worker",
				    acceptor->fd);
			acceptor->rotate_every = 0;
		}
	}
	acceptor->running = run;
	return 0;
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct muster__acceptor *acceptor = data;

	(void)fd, (void)what;
	muster__event_del(acceptor->loop, &acceptor->retry);
	acceptor->throttled = false;
	derive(acceptor);
}

static void throttle(struct muster__acceptor *acceptor)
{
	struct timeval delay = muster__ms(RETRY_MS);

	if (muster__event_add(acceptor->loop, &acceptor->retry, &delay) < 0)
		return;
	acceptor->throttled = true;
	derive(acceptor);
}

/* Returns false when there is nothing more to accept now. */
static bool accept_one(struct muster__acceptor *acceptor)
{
	int fd = accept4(acceptor->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (fd >= 0) {
		acceptor->aborted = 0;
		acceptor->ops->accepted(acceptor, fd);
		return true;
	}
	if (err == -EAGAIN)
		return false;
	if (is_of_the_peer(err) && ++acceptor->aborted < ACCEPTS_PER_TURN)
		return true;
	/* Descriptors or memory are exhausted, nothing but aborted ones comes, or it is what nobody has thought of. */
	acceptor->aborted = 0;
	throttle(acceptor);
	report(acceptor, err);
	return false;
}

static void rotate(struct muster__acceptor *acceptor)
{
	if (++acceptor->since_rotation < acceptor->rotate_every)
		return;
	acceptor->since_rotation = 0;
	muster__exclusive_rotate(acceptor->loop, acceptor->fd);
}

static void on_ready(evutil_socket_t fd, short what, void *data)
{
	struct muster__acceptor *acceptor = data;
	unsigned left = acceptor->rotate_every != 0 ? 1 : ACCEPTS_PER_TURN;

	(void)fd, (void)what;
	while (left-- > 0 && acceptor->running && accept_one(acceptor))
		;
	if (acceptor->rotate_every != 0 && acceptor->running)
		rotate(acceptor);
}

void muster__acceptor_drain(struct muster__acceptor *acceptor)
{
	unsigned left = ACCEPTS_AT_END;

	/* Whoever comes may be the one who closes it. */
	while (left-- > 0 && acceptor->fd >= 0 && accept_one(acceptor))
		;
}

void muster__acceptor_init(struct muster__acceptor *acceptor, struct muster_loop *loop, int fd,
			   const struct muster__acceptor_ops *ops, unsigned rotate_every)
{
	*acceptor = (struct muster__acceptor){ .loop = loop, .fd = fd, .ops = ops, .rotate_every = rotate_every };
	event_assign(&acceptor->ready, loop->base, fd, EV_READ | EV_PERSIST, on_ready, acceptor);
	event_assign(&acceptor->retry, loop->base, -1, EV_PERSIST, on_retry, acceptor);
}

int muster__acceptor_start(struct muster__acceptor *acceptor)
{
	acceptor->wanted = true;
	return derive(acceptor);
}

void muster__acceptor_stop(struct muster__acceptor *acceptor)
{
	acceptor->wanted = false;
	derive(acceptor);
	muster__event_del(acceptor->loop, &acceptor->retry);
	acceptor->throttled = false;
}
