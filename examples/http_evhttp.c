/* http_evhttp.c - libevent's HTTP server over several processes: http_evhttp [PORT]. Try: curl localhost:8080 */
#include <muster/muster.h>

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct service {
	struct evhttp *http;
	struct evhttp_bound_socket *bound; /* while it accepts */
};

static void on_request(struct evhttp_request *request, void *self)
{
	struct evbuffer *page = evhttp_request_get_output_buffer(request);

	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
	evbuffer_add_printf(page, "worker %u: %s\n", muster_worker_id(self), evhttp_request_get_uri(request));
	evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

/* The server holds its socket for all workers, and its own duplicate is what evhttp accepts on. */
static void on_listening(struct muster_server *server, void *data)
{
	struct service *service = data;
	int fd = fcntl(muster_server_fd(server), F_DUPFD_CLOEXEC, 0);
	struct muster_address address;

	service->bound = fd < 0 ? NULL : evhttp_accept_socket_with_handle(service->http, fd);
	if (service->bound == NULL)
		muster_server_close(server);
	else if (muster_server_address(server, &address) == 0)
		printf("worker %u listening on port %u\n", muster_worker_id(muster_worker_self()), address.port);
	fflush(stdout);
}

/* The worker is leaving: no more connections. Those that are there keep the loop running until they end. */
static void on_close(struct muster_server *server, void *data)
{
	struct service *service = data;

	(void)server;
	if (service->bound != NULL)
		evhttp_del_accept_socket(service->http, service->bound);
	service->bound = NULL;
}

static int worker(struct muster_worker *self, void *port)
{
	static const struct muster_server_handlers on = { .on_listening = on_listening, .on_close = on_close };
	static struct service service;
	struct muster_loop *loop = muster_worker_loop(self);
	struct muster_server *server = muster_server_new(loop, NULL);

	service.http = evhttp_new(muster_loop_base(loop));
	if (server == NULL || service.http == NULL || muster_server_on(server, &on, &service) < 0)
		return -ENOMEM;
	evhttp_set_gencb(service.http, on_request, self);
	evhttp_set_timeout(service.http, 5); /* of a connection that says nothing: a worker that leaves waits for it */
	return muster_server_listen(server,
				    &(struct muster_listen_options){ .port = *(unsigned *)port, .no_accept = true });
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
