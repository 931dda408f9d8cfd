/* http_hello.c - a small HTTP/1.1 server over several processes: http_hello [PORT]. Try: curl localhost:8080 */
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The head of a request, as much of it as has come. */
struct client {
	size_t length;
	char head[8192];
};

/* Whoever sends a body, or is not understood, gets an answer and the end: nothing here reads one. */
static void answer(struct muster_socket *socket, const char *head)
{
	char method[16], minor = '0', text[128];
	bool valid = sscanf(head, "%15[A-Z] %*[^ \r\n] HTTP/1.%c\r", method, &minor) == 2;
	bool last = !valid || minor == '0' || strcasestr(head, "\r\nconnection: close\r\n") != NULL ||
		    strcasestr(head, "\r\ncontent-length:") != NULL ||
		    strcasestr(head, "\r\ntransfer-encoding:") != NULL;

	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: 6\r\nConnection: %s\r\n\r\n%s",
		 valid ? "200 OK" : "400 Bad Request", last ? "close" : "keep-alive",
		 valid && strcmp(method, "HEAD") == 0 ? "" : "hello\n");
	muster_socket_write(socket, text, strlen(text));
	if (last)
		muster_socket_destroy_soon(socket);
	else if (muster_socket_needs_drain(socket))
		muster_socket_pause(socket); /* it asks faster than it reads */
}

/* Requests come in pieces, or several in one. */
static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct client *client = data;
	const char *at = bytes, *end = at + length;

	while (at < end && muster_socket_ready_state(socket) == MUSTER_READY_OPEN) {
		client->head[client->length++] = *at++;
		client->head[client->length] = '\0';
		if (client->length >= 4 && strcmp(client->head + client->length - 4, "\r\n\r\n") == 0) {
			client->length = 0;
			answer(socket, client->head);
		} else if (client->length == sizeof client->head - 1) {
			muster_socket_destroy(socket, 0); /* no head is that long */
		}
	}
}

static void on_drain(struct muster_socket *socket, void *client)
{
	(void)client;
	muster_socket_resume(socket);
}

static void on_timeout(struct muster_socket *socket, void *client)
{
	(void)client;
	muster_socket_destroy(socket, 0);
}

static void on_close(struct muster_socket *socket, bool had_error, void *client)
{
	(void)socket, (void)had_error;
	free(client);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = {
		.on_data = on_data, .on_drain = on_drain, .on_timeout = on_timeout, .on_close = on_close
	};
	struct client *client = calloc(1, sizeof *client);

	(void)server, (void)data;
	if (client == NULL || muster_socket_on(socket, &on, client) < 0) {
		free(client);
		muster_socket_destroy(socket, 0);
	} else {
		muster_socket_set_timeout(socket, 5000);
	}
}

static void on_listening(struct muster_server *server, void *self)
{
	struct muster_address address;

	muster_server_address(server, &address);
	printf("worker %u listening on port %u\n", muster_worker_id(self), address.port);
	fflush(stdout);
}

static int worker(struct muster_worker *self, void *port)
{
	static const struct muster_server_handlers on = { .on_listening = on_listening,
							  .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	if (server == NULL || muster_server_on(server, &on, self) < 0)
		return -ENOMEM;
	return muster_server_listen(server, &(struct muster_listen_options){ .port = *(unsigned *)port });
}

int main(int argc, char **argv)
{
	unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 8080;
	struct muster_cluster_options options = { .worker = worker, .data = &port, .respawn = true };
	struct muster_loop *loop = muster_loop_new();
	struct muster_cluster *cluster = loop ? muster_cluster_new(loop, &options) : NULL;
	int err = cluster ? muster_cluster_start(cluster, 2) : -ENOMEM;

	if (err == 0)
		err = muster_loop_run(loop);
	muster_loop_free(loop);
	return err < 0;
}
