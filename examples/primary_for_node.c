/*
 * primary_for_node.c - a worker in Node and one in C behind the same port: primary_for_node SCRIPT [PORT]
 * Try: primary_for_node examples/node_worker.js, and twice curl localhost:8080
 */
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nhello from C\n";

	(void)bytes, (void)length, (void)data;
	muster_socket_write(socket, answer, strlen(answer));
	muster_socket_destroy_soon(socket);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers on = { .on_data = on_data };

	(void)server;
	muster_socket_on(socket, &on, data);
}

static int worker(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);
	unsigned port = (unsigned)strtoul(getenv("PORT"), NULL, 10);

	if (server == NULL || muster_server_on(server, &on, data) < 0)
		return -ENOMEM;
	return muster_server_listen(server, &(struct muster_listen_options){ .port = port });
}

static void on_listening(struct muster_worker *self, const struct muster_address *address, void *data)
{
	(void)data;
	printf("worker %u listening on port %u\n", muster_worker_id(self), address->port);
	fflush(stdout);
}

static int primary(const char *script, const char *port)
{
	static const struct muster_worker_handlers on = { .on_listening = on_listening };
	const char *const again[] = { "/proc/self/exe", script, NULL };
	const char *const in_node[] = { "IN=node", NULL }, *const in_c[] = { "IN=C", NULL };
	struct muster_cluster_options options = { .exec = again, .respawn = true };
	struct muster_loop *loop = muster_loop_new();
	struct muster_cluster *cluster = loop ? muster_cluster_new(loop, &options) : NULL;
	int err = cluster ? muster_cluster_on(cluster, &on, NULL) : -ENOMEM;

	setenv("PORT", port, 1); /* for both workers */
	if (err == 0)
		err = muster_cluster_fork(cluster, in_node, NULL);
	if (err == 0)
		err = muster_cluster_fork(cluster, in_c, NULL);
	if (err == 0)
		err = muster_loop_run(loop);
	muster_loop_free(loop);
	return err < 0;
}

/* This program is executed again for each worker. One becomes Node, the other is that of the environment it got. */
int main(int argc, char **argv)
{
	if (argc < 2)
		return fputs("usage: primary_for_node SCRIPT [PORT]\n", stderr), 2;
	if (getenv("NODE_UNIQUE_ID") == NULL)
		return primary(argv[1], argc > 2 ? argv[2] : "8080");
	if (strcmp(getenv("IN"), "C") == 0)
		return muster_worker_run_from_env(worker, NULL);
	execlp("node", "node", argv[1], NULL);
	return perror("node"), 127;
}
