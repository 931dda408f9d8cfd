/*
 * tests/node/child.c - our child as a program: any parent with a channel can start it. "hello" says that and does not
 * listen; "mirror" sends back what it is sent, says a message on the socket that comes with it, serves on a server, and
 * obeys "leave", "exit", "print", "nest" and { "connect": PORT }.
 */
#include <muster/muster.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(struct muster_channel *parent, json_t *json)
{
	int err = muster_channel_send(parent, &(struct muster_message){ .json = json });

	json_decref(json);
	return err;
}

/* ---- handles */

static void answer_on(struct muster_socket *socket, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY), line[256];

	if (socket == NULL || text == NULL)
		abort();
	snprintf(line, sizeof line, "%s by our child\n", text);
	muster_socket_end_with(socket, line, strlen(line));
	muster_socket_destroy_soon(socket);
	free(text);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_end_with(socket, "served by our child\n", 20);
	muster_socket_destroy_soon(socket);
	muster_server_close(server);
}

static void serve(struct muster_server *server, struct muster_channel *parent)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };

	if (server == NULL || muster_server_on(server, &on, NULL) < 0)
		abort();
	say(parent, json_string("serving"));
}

/* The socket goes to the parent as soon as it is one. */
static void on_connect(struct muster_socket *socket, void *data)
{
	struct muster_message message = { .handle_type = MUSTER_HANDLE_SOCKET, .handle.socket = socket };

	message.json = json_string("yours");
	if (muster_channel_send(data, &message) < 0)
		abort();
	json_decref(message.json);
}

static void connect_to(struct muster_channel *parent, unsigned port)
{
	static const struct muster_socket_handlers on = { .on_connect = on_connect };
	struct muster_connect_options options = { .host = "127.0.0.1", .port = port };

	if (muster_connect(muster_channel_loop(parent), &options, &on, parent) == NULL)
		abort();
}

/* ---- what a child of this child has */

static int tell_nested(struct muster_channel *self, void *data)
{
	bool has_channel = muster_channel_from_env(muster_channel_loop(self)) != NULL;

	(void)data;
	printf("nested child: %s\n", has_channel ? "some" : errno == ENOENT ? "none" : strerror(errno));
	return 0;
}

static void on_nested_exit(struct muster_child *nested, int code, int signal, void *data)
{
	(void)nested;
	say(data, json_pack("[i,i]", code, signal));
}

static void nest(struct muster_channel *parent)
{
	static const struct muster_child_handlers on = { .on_exit = on_nested_exit };
	struct muster_child_options options = { .function = tell_nested };
	struct muster_child *nested;

	if (system("echo nested: ${NODE_CHANNEL_FD-none}, sockets: $(ls -l /proc/self/fd | grep -c socket)") != 0)
		abort();
	nested = muster_child_spawn(muster_channel_loop(parent), &options);
	if (nested == NULL || muster_child_on(nested, &on, parent) < 0)
		abort();
}

/* ---- what it is told */

static void print(struct muster_channel *parent)
{
	fputs("to the output\n", stdout);
	fputs("to the error output\n", stderr);
	fflush(NULL);
	say(parent, json_string("printed"));
}

static void obey(struct muster_channel *parent, json_t *json)
{
	const char *order = json_is_string(json) ? json_string_value(json) : "";

	if (strcmp(order, "leave") == 0)
		muster_channel_disconnect(parent);
	else if (strcmp(order, "exit") == 0)
		_Exit(7);
	else if (strcmp(order, "print") == 0)
		print(parent);
	else if (strcmp(order, "nest") == 0)
		nest(parent);
	else if (json_object_get(json, "connect") != NULL)
		connect_to(parent, (unsigned)json_integer_value(json_object_get(json, "connect")));
	else
		say(parent, json_incref(json));
}

static void on_message(struct muster_channel *parent, struct muster_message *message, void *data)
{
	struct muster_loop *loop = muster_channel_loop(parent);

	(void)data;
	if (message->handle_type == MUSTER_HANDLE_SERVER)
		serve(muster_message_take_server(message, loop), parent);
	else if (message->handle_type != MUSTER_HANDLE_NONE)
		answer_on(muster_message_take_socket(message, loop), message->json);
	else
		obey(parent, message->json);
}

int main(int argc, char **argv)
{
	static const struct muster_channel_handlers on = { .on_message = on_message };
	struct muster_loop *loop = muster_loop_new();
	struct muster_channel *parent = loop != NULL ? muster_channel_from_env(loop) : NULL;
	int err = errno;

	if (parent == NULL) {
		muster_loop_free(loop);
		return err;
	}
	if (argc > 1 && strcmp(argv[1], "hello") == 0)
		err = say(parent, json_string("hello"));
	else
		err = muster_channel_on(parent, &on, NULL);
	if (err == 0)
		err = muster_loop_run(loop);
	muster_loop_free(loop);
	return err < 0;
}
