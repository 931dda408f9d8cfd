/*
 * pipe: built of public events alone. The source carries one table whose data is the target, the target one whose data is
 * the source; a pipe from a socket to itself needs only one, and so costs an echo server nothing.
 */
#include "src/socket_state.h"

#include <errno.h>

static void on_source_data(struct muster_socket *from, const void *bytes, size_t length, void *data)
{
	struct muster_socket *to = data;
	int err = muster_socket_write(to, bytes, length);

	/* Nobody else is there to be told that bytes are lost. */
	if (err == -ENOMEM)
		muster__socket_fail(to, err, "write");
	if (err < 0) {
		muster_socket_unpipe(from);
		muster_socket_pause(from);
	} else if (muster_socket_needs_drain(to)) {
		muster__socket_hold(from, MUSTER__PAUSED_BY_PIPE);
	}
}

static void on_source_end(struct muster_socket *from, void *data)
{
	(void)from;
	muster_socket_end(data);
}

static void on_source_close(struct muster_socket *from, bool had_error, void *data)
{
	(void)had_error, (void)data;
	muster_socket_unpipe(from);
}

static void on_target_drain(struct muster_socket *to, void *data)
{
	(void)to;
	muster__socket_release(data, MUSTER__PAUSED_BY_PIPE);
}

static void on_target_close(struct muster_socket *to, bool had_error, void *data)
{
	(void)to, (void)had_error;
	muster_socket_unpipe(data);
	muster_socket_pause(data);
}

static const struct muster_socket_handlers source_handlers = {
	.on_data = on_source_data,
	.on_end = on_source_end,
	.on_close = on_source_close,
};

static const struct muster_socket_handlers target_handlers = {
	.on_drain = on_target_drain,
	.on_close = on_target_close,
};

/* From a socket to itself. Unless half-open, its end is passed on by itself. */
static const struct muster_socket_handlers echo_handlers = {
	.on_data = on_source_data,
	.on_end = on_source_end,
	.on_drain = on_target_drain,
};

static struct muster_socket *target_of(struct muster_socket *from, const struct muster_socket_handlers *handlers)
{
	int err;
	const void *table = muster__table_intern(from->object.loop, handlers, sizeof *handlers, sizeof *handlers, &err);
	const struct muster__pair *pair = table != NULL ? muster__listeners_find(&from->on, table) : NULL;

	return pair != NULL ? pair->data : NULL;
}

void muster_socket_unpipe(struct muster_socket *from)
{
	struct muster_socket *to = target_of(from, &source_handlers);

	if (to != NULL) {
		muster_socket_off(from, &source_handlers, to);
		muster_socket_off(to, &target_handlers, from);
	} else if (target_of(from, &echo_handlers) == from) {
		muster_socket_off(from, &echo_handlers, from);
	}
	muster__socket_release(from, MUSTER__PAUSED_BY_PIPE);
}

int muster_socket_pipe(struct muster_socket *from, struct muster_socket *to)
{
	int err;

	muster_socket_unpipe(from);
	if (to->destroyed)
		return MUSTER_EDESTROYED;
	if (from == to)
		return muster_socket_on(from, &echo_handlers, from);
	err = muster_socket_on(to, &target_handlers, from);
	if (err == 0)
		err = muster_socket_on(from, &source_handlers, to);
	if (err < 0)
		muster_socket_off(to, &target_handlers, from);
	return err;
}
