/* echo_cluster.c - an echo server over several processes: echo_cluster [WORKERS [PORT]]. Try: nc localhost 8080 */
#include <muster/muster.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_pipe(socket, socket); /* backpressure included */
}

/* Ordinary server code: it does not know that it runs in a worker. */
static int worker(struct muster_worker *self, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), NULL);

	if (server == NULL)
		return -ENOMEM;
	muster_server_on(server, &on, NULL);
	return muster_server_listen(server, &(struct muster_listen_options){ .port = *(unsigned *)data });
}

static void on_listening(struct muster_worker *self, const struct muster_address *address, void *data)
{
	(void)data;
	printf("worker %u listening on port %u\n", muster_worker_id(self), address->port);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct muster_worker_handlers on = { .on_listening = on_listening };
	unsigned workers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 4;
	unsigned port = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 8080;
	struct muster_loop *loop = muster_loop_new();
	struct muster_cluster *cluster =
		loop == NULL ? NULL :
			       muster_cluster_new(loop, &(struct muster_cluster_options){
								.worker = worker, .data = &port, .respawn = true });
	int err = cluster ? muster_cluster_on(cluster, &on, NULL) : -ENOMEM;

	if (err == 0)
		err = muster_cluster_start(cluster, workers);
	if (err == 0)
		err = muster_loop_run(loop); /* returns when nothing is left alive */
	if (err < 0)
		fprintf(stderr, "echo_cluster: %s\n", muster_strerror(err));
	muster_loop_free(loop); /* closes and frees everything on it */
	return err < 0;
}
