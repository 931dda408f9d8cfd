/* unix_echo.c - an echo server at a path, which it removes at the end: unix_echo PATH. Try: nc -U PATH; Ctrl-C ends it */
#include <muster/muster.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct event *signals[2];

/* Stop listening, which removes the path; open connections go on. A second signal finds no handler, and ends all. */
static void on_signal(evutil_socket_t number, short what, void *server)
{
	(void)number, (void)what;
	event_free(signals[0]);
	event_free(signals[1]);
	muster_server_close(server);
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_pipe(socket, socket);
}

/* Events of one's own keep the loop running: these wait until there is a path to remove. */
static void on_listening(struct muster_server *server, void *status)
{
	struct muster_loop *loop = muster_server_loop(server);
	struct muster_address address;

	signals[0] = evsignal_new(muster_loop_base(loop), SIGINT, on_signal, server);
	signals[1] = evsignal_new(muster_loop_base(loop), SIGTERM, on_signal, server);
	if (signals[0] == NULL || signals[1] == NULL || event_add(signals[0], NULL) < 0 ||
	    event_add(signals[1], NULL) < 0) {
		muster_loop_stop(loop);
		return;
	}
	muster_server_address(server, &address);
	printf("listening on %s\n", address.text);
	fflush(stdout);
	*(int *)status = EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	/* There is no on_error: the library logs why it cannot listen. */
	static const struct muster_server_handlers on = { .on_listening = on_listening,
							  .on_connection = on_connection };
	struct muster_server *server;
	struct muster_loop *loop;
	int status = EXIT_FAILURE;

	if (argc != 2) {
		fprintf(stderr, "usage: unix_echo PATH\n");
		return 2;
	}
	loop = muster_loop_new();
	server = loop ? muster_server_new(loop, NULL) : NULL;
	if (server != NULL && muster_server_on(server, &on, &status) == 0 &&
	    muster_server_listen(server, &(struct muster_listen_options){ .path = argv[1] }) == 0)
		muster_loop_run(loop);
	muster_loop_free(loop);
	return status;
}
