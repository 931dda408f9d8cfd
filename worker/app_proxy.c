/*
 * proxy: each client gets an upstream connection of its own, piped both ways with backpressure. An end on one side is passed
 * on to the other, so that half-closing protocols work; a failure on one side ends both.
 */
#include "ipc/plan.h"
#include "src/log.h"
#include "src/proxy_protocol.h"
#include "worker/app.h"
#include "worker/app_limits.h"

#include <muster/muster.h>
#include <stdlib.h>

struct proxy {
	struct muster_socket *client, *upstream; /* NULL once closed */
	const struct muster__app *app;           /* of the plan, which lives as long as the worker */
};

static struct muster__log_limit log_limit;

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *data)
{
	const struct proxy *proxy = data;
	char text[256];

	if (socket != proxy->upstream || !muster__log_allowed(&log_limit))
		return;
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_WARN, "application %s: upstream: %s", proxy->app->name, text);
}

/* After a failure nothing the other side still sends has a reader; after a clean end what is queued has one. */
static void on_close(struct muster_socket *socket, bool had_error, void *data)
{
	struct proxy *proxy = data;
	struct muster_socket *other = socket == proxy->client ? proxy->upstream : proxy->client;

	if (socket == proxy->client)
		proxy->client = NULL;
	else
		proxy->upstream = NULL;
	if (other == NULL)
		free(proxy);
	else if (had_error)
		muster_socket_destroy(other, 0);
	else
		muster_socket_destroy_soon(other);
}

static const struct muster_socket_handlers on = {
	.on_error = on_error,
	.on_close = on_close,
};

/* The client's end must not end what the upstream still has to say. */
static struct muster_socket *upstream_new(struct muster_loop *loop, struct proxy *proxy)
{
	struct muster_socket *upstream =
		muster_socket_new(loop, &(struct muster_socket_options){ .allow_half_open = true });

	if (upstream == NULL)
		return NULL;
	if (muster_socket_on(upstream, &on, proxy) == 0 && muster_socket_connect(upstream, &proxy->app->upstream) == 0)
		return upstream;
	muster_socket_off(upstream, &on, proxy);
	muster_socket_destroy(upstream, 0);
	return NULL;
}

static bool to_sockaddr(struct muster__sockaddr *out, const struct muster_address *address)
{
	return address->family != MUSTER__FAMILY_UNIX && muster__sockaddr_of(out, address) == 0;
}

/* Before all else: for whom this connection is. The ends of a path have no names worth telling. */
static int introduce(const struct proxy *proxy)
{
	char header[MUSTER__PROXY_WRITTEN_MAX];
	struct muster_address from, to;
	struct muster__sockaddr source, destination;
	bool known;

	if (proxy->app->upstream_proxy == 0)
		return 0;
	known = muster_socket_remote_address(proxy->client, &from) == 0 &&
		muster_socket_local_address(proxy->client, &to) == 0 && to_sockaddr(&source, &from) &&
		to_sockaddr(&destination, &to);
	return muster_socket_write(proxy->upstream, header,
				   muster__proxy_write(header, proxy->app->upstream_proxy, known ? &source : NULL,
						       known ? &destination : NULL));
}

static int join(struct proxy *proxy, const struct muster__app_listener *listener)
{
	int err = introduce(proxy);

	if (err == 0)
		err = muster__app_limit(proxy->client, listener);
	if (err == 0)
		err = muster_socket_pipe(proxy->client, proxy->upstream);
	return err == 0 ? muster_socket_pipe(proxy->upstream, proxy->client) : err;
}

void muster__proxy_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	const struct muster__app_server *context = data;
	struct proxy *proxy = calloc(1, sizeof *proxy);

	if (proxy == NULL || muster_socket_on(socket, &on, proxy) < 0) {
		free(proxy);
		muster_socket_destroy(socket, 0);
		return;
	}
	proxy->app = context->app;
	proxy->client = socket;
	proxy->upstream = upstream_new(muster_server_loop(server), proxy);
	if (proxy->upstream != NULL && join(proxy, context->listener) == 0)
		return;
	muster_socket_destroy(socket, 0);
	if (proxy->upstream != NULL)
		muster_socket_destroy(proxy->upstream, 0);
}
