/* client.c - connect, say something, print the answer: client HOST PORT TEXT. Try it against echo. */
#include <muster/muster.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_connect(struct muster_socket *socket, void *text)
{
	/* Half-close: the other side sees our end, and we still hear its answer. */
	muster_socket_end_with(socket, text, strlen(text));
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *text)
{
	(void)socket, (void)text;
	fwrite(bytes, 1, length, stdout);
}

static void on_error(struct muster_socket *socket, const struct muster_error *error, void *text)
{
	char line[256];

	(void)socket, (void)text;
	muster_error_format(error, line, sizeof line);
	fprintf(stderr, "client: %s\n", line);
}

static void on_close(struct muster_socket *socket, bool had_error, void *text)
{
	(void)socket, (void)text;
	if (had_error)
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	static const struct muster_socket_handlers on = {
		.on_connect = on_connect,
		.on_data = on_data,
		.on_error = on_error,
		.on_close = on_close,
	};
	struct muster_loop *loop;
	struct muster_socket *socket;
	int err = -1;

	if (argc != 4) {
		fprintf(stderr, "usage: client HOST PORT TEXT\n");
		return 2;
	}
	loop = muster_loop_new();
	socket = muster_connect(loop,
				&(struct muster_connect_options){ .host = argv[1], .port = (unsigned)atoi(argv[2]) },
				&on, argv[3]);
	if (socket != NULL)
		err = muster_loop_run(loop);
	else
		fprintf(stderr, "client: %s\n", muster_strerror(muster_last_error()));
	muster_loop_free(loop);
	return err < 0;
}
