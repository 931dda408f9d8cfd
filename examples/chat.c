/* chat.c - a chat server, each line of one client goes to all others: chat [PORT]. Your first line is your name. */
#include <muster/muster.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_UNREAD (64 * 1024) /* a client that leaves more than this unread is dropped */

static struct client {
	struct muster_socket *socket;
	char name[32], line[512];
} clients[100], *const end = clients + 100;

static void say(const struct client *from)
{
	char text[600];
	size_t length = (size_t)snprintf(text, sizeof text, "%s: %s\n", from->name, from->line);

	for (struct client *to = clients; to < end; to++) {
		if (to->socket == NULL || to == from)
			continue;
		muster_socket_write(to->socket, text, length);
		if (muster_socket_buffered(to->socket) > MOST_UNREAD)
			muster_socket_destroy(to->socket, 0);
	}
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct client *client = data;
	size_t have = strlen(client->line);

	(void)socket;
	for (const char *at = bytes; length-- > 0; at++) {
		if (*at != '\n')
			client->line[have++] = *at;
		if (*at != '\n' && have < sizeof client->line - 1)
			continue;
		client->line[strcspn(client->line, "\r")] = '\0';
		if (client->name[0] != '\0')
			say(client);
		else
			snprintf(client->name, sizeof client->name, "%.31s", client->line);
		memset(client->line, 0, sizeof client->line);
		have = 0;
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
	if (client == end || muster_socket_on(socket, &on, client) < 0)
		muster_socket_destroy(socket, 0);
	else
		client->socket = socket;
}

static void on_listening(struct muster_server *server, void *status)
{
	struct muster_address address;
	char text[160];

	muster_server_address(server, &address);
	muster_address_format(&address, text, sizeof text);
	printf("listening on %s\n", text);
	fflush(stdout);
	*(int *)status = EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	/* There is no on_error: the library logs why it could not listen. */
	static const struct muster_server_handlers on = { .on_listening = on_listening,
							  .on_connection = on_connection };
	unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7000;
	struct muster_loop *loop = muster_loop_new();
	struct muster_server *server = loop ? muster_server_new(loop, NULL) : NULL;
	int status = EXIT_FAILURE;

	if (server != NULL && muster_server_on(server, &on, &status) == 0 &&
	    muster_server_listen(server, &(struct muster_listen_options){ .port = port }) == 0)
		muster_loop_run(loop);
	muster_loop_free(loop);
	return status;
}
