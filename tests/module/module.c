/* module.c - a module that serves what tests ask of it; or, with MISTAKE_x, that cannot be used for one reason. */
#include <muster/module.h>
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef MISTAKE_ENTRY

static const struct muster_module_context *told;
static unsigned left;
static struct muster_socket *last; /* the connection that waits for nothing; or NULL */

static const char *answer_to(const char *question)
{
	static char text[512];

	if (strncmp(question, "config", 6) == 0)
		snprintf(text, sizeof text, "%s", told->config);
	else if (strncmp(question, "names", 5) == 0)
		snprintf(text, sizeof text, "%s %s %u", told->application, told->listeners[0]->name,
			 told->listeners[0]->timeout_ms);
	else if (strncmp(question, "user", 4) == 0)
		snprintf(text, sizeof text, "%u", (unsigned)getuid());
	else if (getcwd(text, sizeof text) == NULL)
		text[0] = '\0';
	return text;
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	char question[64] = "";

	(void)data;
	memcpy(question, bytes, length < sizeof question ? length : sizeof question - 1);
	if (strncmp(question, "ready", 5) == 0)
		muster_worker_ready(muster_worker_self());
	if (strncmp(question, "stay", 4) == 0) {
		last = socket;
		muster_socket_write(socket, "staying", 7);
		return;
	}
	muster_socket_end_with(socket, answer_to(question), strlen(answer_to(question)));
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = on_data };

	(void)server, (void)data;
	muster_socket_on(socket, &on, NULL);
}

static int start(struct muster_worker *self, const struct muster_module_context *context)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	size_t i;
	int err = 0;

#ifdef MISTAKE_START
	return -EADDRNOTAVAIL;
#endif
	told = context;
	for (i = 0; i < context->listener_count && err == 0; i++) {
		struct muster_server *server =
			muster_server_new(muster_worker_loop(self), &context->listeners[i]->server);

		muster_server_on(server, &on, NULL);
		err = muster_server_listen(server, &context->listeners[i]->listen);
	}
	return err;
}

/* Without this the connection that stays would keep the worker. */
static void leave(struct muster_worker *self)
{
	char text[64];

	snprintf(text, sizeof text, "left %u times", ++left);
	fprintf(stderr, "worker %u: %s\n", muster_worker_id(self), text);
	if (last != NULL)
		muster_socket_end_with(last, text, strlen(text));
}

#ifdef MISTAKE_VERSION
#define VERSION (MUSTER_MODULE_VERSION + 1)
#else
#define VERSION MUSTER_MODULE_VERSION
#endif
const struct muster_module muster_module = { VERSION, "test", start, leave };

#endif
