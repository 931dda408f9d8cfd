/* discard: what comes in is gone. */
#include "ipc/plan.h"
#include "worker/app.h"
#include "worker/app_limits.h"

#include <muster/socket.h>

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)socket, (void)bytes, (void)length, (void)data;
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	(void)socket, (void)error, (void)data;
}

void muster__discard_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = {
		.on_data = on_data,
		.on_error = on_error,
	};
	const struct muster__app_server *context = data;

	(void)server;
	muster_socket_on(socket, &on, NULL);
	if (muster__app_limit(socket, context->listener) < 0)
		muster_socket_destroy(socket, 0);
}
