/* chat.c - a chat server, each line of one client goes to all others: chat [PORT]. Try it with two of: nc localhost 7000 */
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct client {
	struct muster_socket *socket;
	char line[512];
} clients[100], *const end = clients + 100;

static void say(const struct client *from)
{
	char text[600];
	int length = snprintf(text, sizeof text, "%td: %s\n", from - clients + 1, from->line);

	for (struct client *to = clients; to < end; to++) {
		if (to->socket == NULL || to == from)
			continue;
		muster_socket_write(to->socket, text, (size_t)length);
		if (muster_socket_buffered(to->socket) > 64 * 1024) /* it does not read */
			muster_socket_destroy(to->socket, 0);
	}
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct client *client = data;
	size_t have = strlen(client->line);

	(void)socket;
	for (const char *at = bytes; length-- > 0; at++) {
		if (*at == '\n' || have == sizeof client->line - 1) {
			say(client);
			memset(client->line, 0, sizeof client->line);
			have = 0;
		}
		if (*at != '\n' && *at != '\r')
			client->line[have++] = *at;
	}
}

static void on_close(struct muster_socket *socket, bool had_error, void *client)
{
	(void)socket, (void)had_error;
	memset(client, 0, sizeof *end);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = on_data, .on_close = on_close };
	struct client *client = clients;

	(void)server, (void)data;
	while (client < end && client->socket != NULL)
		client++;
	if (client < end && muster_socket_on(socket, &on, client) == 0)
		client->socket = socket;
	else
		muster_socket_destroy(socket, 0);
}

int main(int argc, char **argv)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_listen_options options = { .port = argc > 1 ? (unsigned)atoi(argv[1]) : 7000 };
	struct muster_loop *loop = muster_loop_new();
	struct muster_server *server = loop ? muster_server_new(loop, NULL) : NULL;
	struct muster_address address;
	int status = EXIT_FAILURE;

	if (server != NULL && muster_server_on(server, &on, NULL) == 0 && muster_server_listen(server, &options) == 0) {
		if (muster_server_address(server, &address) == 0)
			status = printf("listening on [%s]:%u\n", address.text, address.port) < 0 || fflush(stdout);
		muster_loop_run(loop); /* without on_error the library logs what fails */
	}
	muster_loop_free(loop);
	return status;
}
