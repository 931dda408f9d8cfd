/* echo: what comes in goes out, no faster than it is taken. */
#include "ipc/plan.h"
#include "worker/app.h"
#include "worker/app_limits.h"

#include <muster/socket.h>

/* Clients that reset are everyday life, not lines in a log. */
static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	(void)socket, (void)error, (void)data;
}

void muster__echo_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_error = on_error };
	const struct muster__app_server *context = data;

	(void)server;
	muster_socket_on(socket, &on, NULL);
	if (muster__app_limit(socket, context->listener) < 0)
		muster_socket_destroy(socket, 0);
	muster_socket_pipe(socket, socket);
}
