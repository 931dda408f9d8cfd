/*
 * module_hello.c - a module of musterd that greets: cc -shared -fPIC module_hello.c $(pkg-config --cflags muster) -o hello.so
 *
 *	"applications": { "hello": { "module": "hello.so", "config": { "greeting": "Good morning" } } }
 */
#include <muster/module.h>
#include <muster/muster.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static char greeting[128];

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_end_with(socket, greeting, strlen(greeting));
}

static void on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	const struct muster_module_listener *listener = data;
	char text[256];

	(void)server;
	muster_error_format(error, text, sizeof text);
	fprintf(stderr, "hello: listener %s: %s\n", listener->name, text);
}

static int read_config(const char *text)
{
	json_t *config = json_loads(text, 0, NULL);
	const char *words = "Hello";
	int err = json_unpack(config, "{s?s}", "greeting", &words);

	snprintf(greeting, sizeof greeting, "%s from worker %u\n", words, muster_worker_id(muster_worker_self()));
	json_decref(config);
	return err < 0 ? -EINVAL : 0;
}

static int serve(struct muster_loop *loop, const struct muster_module_listener *listener)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection, .on_error = on_error };
	struct muster_server *server = muster_server_new(loop, &listener->server);

	if (server == NULL)
		return -ENOMEM;
	muster_server_on(server, &on, (void *)listener);
	return muster_server_listen(server, &listener->listen);
}

static int start(struct muster_worker *self, const struct muster_module_context *context)
{
	int err = read_config(context->config);
	size_t i;

	for (i = 0; i < context->listener_count && err == 0; i++)
		err = serve(muster_worker_loop(self), context->listeners[i]);
	return err;
}

const struct muster_module muster_module = { .version = MUSTER_MODULE_VERSION, .name = "hello", .start = start };
