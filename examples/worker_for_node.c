/* worker_for_node.c - a worker in C of a primary in another language: worker_for_node PORT; see node_primary.js */
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whoever is greeted with a name says it to the primary as well: messages are JSON, in both directions. */
static void on_connection(struct muster_server *server, struct muster_socket *socket, void *self)
{
	static const char told[] = "{\"served\":1}";
	char greeting[64];
	int length = snprintf(greeting, sizeof greeting, "hello from worker %u, in C\n", muster_worker_id(self));

	(void)server;
	muster_socket_write(socket, greeting, (size_t)length);
	muster_socket_pipe(socket, socket);
	muster_worker_send(self, &(struct muster_message){ .text = told, .length = strlen(told) });
}

static int worker(struct muster_worker *self, void *port)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	if (server == NULL || muster_server_on(server, &on, self) < 0)
		return -ENOMEM;
	return muster_server_listen(server, &(struct muster_listen_options){ .port = *(unsigned *)port });
}

int main(int argc, char **argv)
{
	unsigned port = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	int status = muster_worker_run_from_env(worker, &port); /* all of the worker's life */

	if (status < 0)
		fprintf(stderr, "worker_for_node: no primary started this: %s\n", muster_strerror(status));
	return status < 0 ? 1 : status;
}
