/* forward.c - a port forwarder: forward PORT HOST PORT. Try: forward 8000 localhost 7000, and nc localhost 8000 */
#include <muster/muster.h>

#include <stdio.h>
#include <stdlib.h>

static struct muster_connect_options target;

static void on_close(struct muster_socket *socket, bool had_error, void *other);

static const struct muster_socket_handlers on_socket = { .on_close = on_close };

/* With one socket goes the other: after all that it still has to send, or cut off as this one was. */
static void on_close(struct muster_socket *socket, bool had_error, void *other)
{
	muster_socket_off(other, &on_socket, socket);
	if (had_error)
		muster_socket_reset(other);
	else
		muster_socket_destroy_soon(other);
}

static void on_connection(struct muster_server *server, struct muster_socket *client, void *data)
{
	/* Half-open: the end of what one says leaves the other free to answer. */
	static const struct muster_socket_options half_open = { .allow_half_open = true };
	struct muster_socket *service = muster_socket_new(muster_server_loop(server), &half_open);

	(void)data;
	if (service != NULL && muster_socket_connect(service, &target) == 0 &&
	    muster_socket_on(client, &on_socket, service) == 0 && muster_socket_on(service, &on_socket, client) == 0 &&
	    muster_socket_pipe(client, service) == 0 && muster_socket_pipe(service, client) == 0)
		return; /* what the client says already waits until the service is there */
	muster_socket_destroy(client, 0);
	if (service != NULL)
		muster_socket_destroy(service, 0);
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
	/* There is no on_error: the library logs why it cannot listen, or connect. */
	static const struct muster_server_handlers on = { .on_listening = on_listening,
							  .on_connection = on_connection };
	static const struct muster_server_options half_open = { .allow_half_open = true };
	struct muster_listen_options here = { .port = 0 };
	struct muster_server *server;
	struct muster_loop *loop;
	int status = EXIT_FAILURE;

	if (argc != 4) {
		fprintf(stderr, "usage: forward PORT HOST PORT\n");
		return 2;
	}
	here.port = (unsigned)strtoul(argv[1], NULL, 10);
	target.host = argv[2];
	target.port = (unsigned)strtoul(argv[3], NULL, 10);
	loop = muster_loop_new();
	server = loop ? muster_server_new(loop, &half_open) : NULL;
	if (server != NULL && muster_server_on(server, &on, &status) == 0 && muster_server_listen(server, &here) == 0)
		muster_loop_run(loop);
	muster_loop_free(loop);
	return status;
}
