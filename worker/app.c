/* From a plan to running servers. What an application is, is one line of a table. */
#include "worker/app.h"

#include "ipc/plan.h"
#include "src/log.h"
#include "worker/self.h"

#include <errno.h>
#include <muster/muster.h>
#include <stdlib.h>

static void on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	const struct muster__app_server *context = data;
	char text[256];

	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "listener %s: %s", context->listener->name, text);
	if (!muster_server_is_listening(server))
		muster__self_fail(context->self, 1);
}

static void on_drop(struct muster_server *server, const struct muster_address *local,
		    const struct muster_address *remote, void *data)
{
	struct muster__app_server *context = data;

	(void)server, (void)local, (void)remote;
	if (muster__log_allowed(&context->dropped))
		muster__log(MUSTER_LOG_WARN, "listener %s: a connection was dropped, a limit of connections is reached",
			    context->listener->name);
}

static void on_close(struct muster_server *server, void *data)
{
	(void)server;
	free(data);
}

static const struct muster_server_handlers handlers[] = {
	[MUSTER__BUILTIN_ECHO] = { .on_connection = muster__echo_connection,
				   .on_drop = on_drop,
				   .on_error = on_error,
				   .on_close = on_close },
	[MUSTER__BUILTIN_DISCARD] = { .on_connection = muster__discard_connection,
				      .on_drop = on_drop,
				      .on_error = on_error,
				      .on_close = on_close },
	[MUSTER__BUILTIN_PROXY] = { .on_connection = muster__proxy_connection,
				    .on_drop = on_drop,
				    .on_error = on_error,
				    .on_close = on_close },
};

static int serve(struct muster_worker *self, const struct muster__app *app, const struct muster__app_listener *listener)
{
	struct muster__app_server *context = calloc(1, sizeof *context);
	struct muster_server_options options = listener->server;
	struct muster_server *server;
	int err;

	/* What the upstream still sends after a client's end has to reach him. */
	options.allow_half_open |= app->builtin == MUSTER__BUILTIN_PROXY;
	server = muster_server_new(muster_worker_loop(self), &options);
	err = context != NULL && server != NULL ? 0 : -ENOMEM;
	if (err == 0) {
		*context = (struct muster__app_server){ .app = app, .listener = listener, .self = self };
		err = muster_server_on(server, &handlers[app->builtin], context);
	}
	if (err < 0) {
		free(context);
		return err;
	}
	err = muster_server_listen(server, &listener->listen);
	/* It has never been open, and would have no on_close. */
	if (err < 0)
		muster_server_destroy(server);
	return err;
}

int muster__app_run(struct muster_worker *self, const struct muster__app *app)
{
	size_t i;
	int err = 0;

	if (app->module != NULL)
		return muster__module_run(self, app);
	if (app->builtin == MUSTER__BUILTIN_STATUS)
		return muster__status_run(self, app);
	for (i = 0; i < app->listener_count && err == 0; i++)
		err = serve(self, app, &app->listeners[i]);
	return err;
}
