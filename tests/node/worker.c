/*
 * tests/node/worker.c - our worker as a program: any primary can start it. Its argument is JSON, as worker.js has it,
 * with "max", the connections that each server takes. It does what it is told by messages:
 * "leave", "kill", "close" (its first server), "exit N", "connect PORT" (and send that socket), { "echo": anything },
 * "exhaust" (its descriptors) and "release".
 */
#include <muster/muster.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *settings;
static struct muster_server *first;

static int say(struct muster_worker *self, json_t *json)
{
	int err = muster_worker_send(self, &(struct muster_message){ .json = json });

	json_decref(json);
	return err;
}

/* ---- serving */

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)data;
	muster_socket_write(socket, bytes, length);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers echo = { .on_data = on_data };
	char greeting[16];

	(void)server;
	muster_socket_on(socket, &echo, NULL);
	snprintf(greeting, sizeof greeting, "%u\n", muster_worker_id(data));
	if (!json_is_true(json_object_get(settings, "quiet")))
		muster_socket_write(socket, greeting, strlen(greeting));
}

static void on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)server;
	say(data, json_sprintf("error %s %s", muster_error_name(error->code), error->call));
}

static void on_close(struct muster_server *server, void *data)
{
	if (server != first)
		return;
	first = NULL;
	say(data, json_string("closed"));
}

static int serve(struct muster_worker *self, const json_t *listen)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection,
							  .on_error = on_error,
							  .on_close = on_close };
	struct muster_server_options options = {
		.max_connections = (unsigned)json_integer_value(json_object_get(settings, "max")),
	};
	struct muster_listen_options where = {
		.host = json_string_value(json_object_get(listen, "host")),
		.port = (unsigned)json_integer_value(json_object_get(listen, "port")),
		.path = json_string_value(json_object_get(listen, "path")),
	};
	struct muster_server *server = muster_server_new(muster_worker_loop(self), &options);

	if (server == NULL || muster_server_on(server, &on, self) < 0)
		return -ENOMEM;
	first = first != NULL ? first : server;
	return muster_server_listen(server, &where);
}

/* ---- what it is told */

/* The socket goes to the primary as soon as it is one. */
static void on_connect(struct muster_socket *socket, void *data)
{
	struct muster_message message = { .handle_type = MUSTER_HANDLE_SOCKET, .handle.socket = socket };

	message.json = json_string("yours");
	if (muster_worker_send(data, &message) < 0)
		abort();
	json_decref(message.json);
}

static void connect_to(struct muster_worker *self, unsigned port)
{
	static const struct muster_socket_handlers on = { .on_connect = on_connect };
	struct muster_connect_options options = { .host = "127.0.0.1", .port = port };

	if (muster_connect(muster_worker_loop(self), &options, &on, self) == NULL)
		abort();
}

/* Say on it what was said with it, and end. */
static void answer_on(struct muster_socket *socket, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

	if (socket == NULL || text == NULL)
		abort();
	muster_socket_write(socket, text, strlen(text));
	muster_socket_write(socket, "\n", 1);
	muster_socket_destroy_soon(socket);
	free(text);
}

/* All descriptors but none: whatever arrives next cannot be received. */
static int hoard[1024];
static int hoarded;

static void exhaust(struct muster_worker *self)
{
	while (hoarded < 1024 && (hoard[hoarded] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		hoarded++;
	say(self, json_string("exhausted"));
}

static void release(struct muster_worker *self)
{
	while (hoarded > 0)
		close(hoard[--hoarded]);
	say(self, json_string("released"));
}

static void obey(struct muster_worker *self, const char *order)
{
	unsigned number;

	if (strcmp(order, "leave") == 0)
		muster_worker_disconnect(self);
	else if (strcmp(order, "kill") == 0)
		muster_worker_kill(self, 0);
	else if (strcmp(order, "close") == 0)
		muster_server_close(first);
	else if (strcmp(order, "exhaust") == 0)
		exhaust(self);
	else if (strcmp(order, "release") == 0)
		release(self);
	else if (sscanf(order, "exit %u", &number) == 1)
		_Exit((int)number);
	else if (sscanf(order, "connect %u", &number) == 1)
		connect_to(self, number);
}

static void on_message(struct muster_worker *self, struct muster_message *message, void *data)
{
	const char *order = json_string_value(message->json);
	json_t *echo = json_object_get(message->json, "echo");

	(void)data;
	if (message->handle_type != MUSTER_HANDLE_NONE)
		answer_on(muster_message_take_socket(message, muster_worker_loop(self)), message->json);
	else if (echo != NULL)
		say(self, json_incref(echo));
	else if (order != NULL)
		obey(self, order);
}

static int work(struct muster_worker *self, void *data)
{
	static const struct muster_worker_handlers on = { .on_message = on_message };
	const json_t *listens = json_object_get(settings, "listen"), *listen;
	size_t i;
	int err = muster_worker_on(self, &on, data);

	json_array_foreach(listens, i, listen) if (err == 0) err = serve(self, listen);
	return err;
}

int main(int argc, char **argv)
{
	int status;

	settings = json_loads(argc > 1 ? argv[1] : "{}", 0, NULL);
	status = muster_worker_run_from_env(work, NULL);
	json_decref(settings);
	if (status < 0)
		fprintf(stderr, "worker: %s\n", muster_strerror(status));
	return status < 0 ? 1 : status;
}
