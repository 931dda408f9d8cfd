/*
 * The process that tells others how the daemon is. It reads what strangers send, so it gives away all it does not need before
 * it listens: whoever gets hold of it can neither fork, nor reach the counts of the workers, nor ask the primary for more than
 * the status.
 */
#include "worker/app.h"

#include "ipc/plan.h"
#include "worker/self.h"
#include "worker/status_http.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/muster.h>
#include <signal.h>
#include <sys/resource.h>

#define DESCRIPTORS 96 /* connections, and a few of our own */

/* The leak checker of a test build looks on from a process beside this one. */
#if defined(MUSTER_TEST_HOOKS) && defined(__SANITIZE_ADDRESS__)
#define FORKS 64
#else
#define FORKS 0
#endif

/* The process is for nothing else, and so is this. */
struct context {
	struct muster_worker *self;
	const struct muster__app *app;
	struct muster__status_http *http; /* NULL before there is a socket to accept on, and after the end */
};

static void limit(int resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) == 0 &&
	    (now.rlim_max == RLIM_INFINITY || now.rlim_max > most))
		setrlimit((__rlimit_resource_t)resource, &(struct rlimit){ most, most });
}

/* Nothing is handed over here, and nothing is counted. */
static void give_away(struct muster__self *self)
{
	muster__scoreboard_leave(self->board);
	self->board = NULL;
	self->slot = NULL;
	limit(RLIMIT_NOFILE, DESCRIPTORS);
	limit(RLIMIT_NPROC, FORKS);
	limit(RLIMIT_CORE, 0);
	/* libevent writes as if nobody ever hung up. */
	signal(SIGPIPE, SIG_IGN);
}

/* ---- asking */

static int ask(void *data)
{
	struct context *context = data;
	static const char question[] = "{\"ask\":\"status\"}";

	return muster_worker_send(context->self,
				  &(struct muster_message){ .text = question, .length = sizeof question - 1 });
}

static void on_message(struct muster_worker *worker, struct muster_message *message, void *data)
{
	struct context *context = data;

	(void)worker;
	if (context->http != NULL && message->json != NULL)
		muster__status_http_answer(context->http, message->json);
}

static void on_disconnect(struct muster_worker *worker, void *data)
{
	struct context *context = data;

	(void)worker;
	if (context->http != NULL)
		muster__status_http_end(context->http);
	context->http = NULL;
}

/* ---- listening */

/* libevent accepts there. */
static void on_listening(struct muster_server *server, void *data)
{
	struct context *context = data;
	int fd = fcntl(muster_server_fd(server), F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		context->http = muster__status_http_new(muster_worker_loop(context->self), fd, context->app->is_public,
							ask, context);
	if (context->http == NULL) {
		muster__log(MUSTER_LOG_ERROR, "no memory or descriptor to listen");
		muster__self_fail(context->self, 1);
	}
}

static void on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	const struct context *context = data;
	char text[256];

	(void)server;
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "%s", text);
	muster__self_fail(context->self, 1);
}

int muster__status_run(struct muster_worker *self, const struct muster__app *app)
{
	static const struct muster_server_handlers on_server = { .on_listening = on_listening, .on_error = on_error };
	static const struct muster_worker_handlers on_self = { .on_message = on_message,
							       .on_disconnect = on_disconnect };
	static struct context context;
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);
	struct muster_listen_options options = app->listeners[0].listen;
	int err = server != NULL ? 0 : -ENOMEM;

	muster__log_set_role("status");
	give_away(muster__self_of(self));
	context = (struct context){ .self = self, .app = app };
	if (err == 0)
		err = muster_server_on(server, &on_server, &context);
	if (err == 0)
		err = muster_worker_on(self, &on_self, &context);
	if (err < 0)
		return err;
	options.no_accept = true;
	return muster_server_listen(server, &options);
}
