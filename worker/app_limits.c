/*
 * Two times: until the first byte, which nothing but a byte of the peer's ends, and between any two signs of life. The first
 * is kept apart, since what a server says would be a sign of life as well.
 */
#include "worker/app_limits.h"

#include "ipc/plan.h"
#include "src/idle.h"

#include <errno.h>
#include <muster/socket.h>
#include <stdlib.h>

struct silence {
	struct muster_socket *socket;
	struct muster__idle *deadline;
};

static void on_late(void *data)
{
	const struct silence *silence = data;

	muster_socket_destroy(silence->socket, 0);
}

static void on_first_data(struct muster_socket *socket, const void *bytes, size_t length, void *data);
static void on_close(struct muster_socket *socket, bool had_error, void *data);

static const struct muster_socket_handlers until_first = { .on_data = on_first_data, .on_close = on_close };

static void end_silence(struct muster_socket *socket, struct silence *silence)
{
	muster_socket_off(socket, &until_first, silence);
	muster__idle_free(silence->deadline);
	free(silence);
}

static void on_first_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)bytes, (void)length;
	end_silence(socket, data);
}

static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)had_error;
	end_silence(socket, data);
}

static int limit_silence(struct muster_socket *socket, unsigned ms)
{
	struct silence *silence = calloc(1, sizeof *silence);

	if (silence == NULL)
		return -ENOMEM;
	silence->socket = socket;
	silence->deadline = muster__idle_new(muster_socket_loop(socket), ms, on_late, silence);
	if (silence->deadline != NULL && muster_socket_on(socket, &until_first, silence) == 0)
		return 0;
	muster__idle_free(silence->deadline);
	free(silence);
	return -ENOMEM;
}

static void on_idle(struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_destroy(socket, 0);
}

int muster__app_limit(struct muster_socket *socket, const struct muster__app_listener *listener)
{
	static const struct muster_socket_handlers on = { .on_timeout = on_idle };
	int err = 0;

	if (listener->timeout_ms != 0)
		err = muster_socket_on(socket, &on, NULL);
	if (err == 0)
		err = muster_socket_set_timeout(socket, listener->timeout_ms);
	if (err == 0 && listener->first_byte_timeout_ms != 0)
		err = limit_silence(socket, listener->first_byte_timeout_ms);
	return err;
}
