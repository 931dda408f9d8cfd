/* worker/app.h - the applications of musterd that run in its own workers. */
#ifndef WORKER_APP_H
#define WORKER_APP_H

#include "src/log.h"

struct muster__app;
struct muster__app_listener;
struct muster_server;
struct muster_socket;
struct muster_worker;

/* One server on its way to listen: what its handlers are given. */
struct muster__app_server {
	const struct muster__app *app;
	const struct muster__app_listener *listener;
	struct muster_worker *self;
	struct muster__log_limit dropped; /* how often connections beyond a limit are told */
};

/* Listen as the plan says, and serve. 0 or negative: the worker cannot start. */
int muster__app_run(struct muster_worker *self, const struct muster__app *app);

/* The same for an application that is a module. */
int muster__module_run(struct muster_worker *self, const struct muster__app *app);

/* What each built-in application does with a connection. `data` is a struct muster__app_server. */
void muster__echo_connection(struct muster_server *server, struct muster_socket *socket, void *data);
void muster__discard_connection(struct muster_server *server, struct muster_socket *socket, void *data);
void muster__proxy_connection(struct muster_server *server, struct muster_socket *socket, void *data);

/* musterd's own: listen as the plan says, and serve the status there over HTTP. 0 or negative. */
int muster__status_run(struct muster_worker *self, const struct muster__app *app);

#endif
