/* echo.c - an echo server in one process: echo [PORT]. Try: nc localhost 7000 */
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_pipe(socket, socket); /* backpressure included */
}

static void on_listening(struct muster_server *server, void *data)
{
	struct muster_address address;
	char text[160];

	(void)data;
	muster_server_address(server, &address);
	muster_address_format(&address, text, sizeof text);
	printf("listening on %s\n", text);
	fflush(stdout);
}

static void on_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	char text[256];

	(void)server;
	muster_error_format(error, text, sizeof text);
	fprintf(stderr, "echo: %s\n", text);
	*(int *)data = 1;
}

int main(int argc, char **argv)
{
	static const struct muster_server_handlers on = {
		.on_listening = on_listening,
		.on_connection = on_connection,
		.on_error = on_error,
	};
	unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 7000;
	struct muster_loop *loop = muster_loop_new();
	struct muster_server *server = loop ? muster_server_new(loop, NULL) : NULL;
	int status = 0;
	int err = server ? muster_server_on(server, &on, &status) : -ENOMEM;

	if (err == 0)
		err = muster_server_listen(server, &(struct muster_listen_options){ .port = port });
	if (err == 0)
		err = muster_loop_run(loop);
	if (err < 0)
		fprintf(stderr, "echo: %s\n", muster_strerror(err));
	muster_loop_free(loop);
	return err < 0 || status != 0;
}
