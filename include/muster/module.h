/* muster/module.h - a module: an application that musterd loads into its workers. */
#ifndef MUSTER_MODULE_H
#define MUSTER_MODULE_H

#include <muster/export.h>
#include <muster/server.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct muster_worker;

/* Of this header. A musterd loads modules of its own version and of older ones; a new member at an end is a new version. */
#define MUSTER_MODULE_VERSION 1

/*
 * A listener of the application, which the primary has bound. Give `server` to muster_server_new and `listen`, unchanged, to
 * muster_server_listen: that is how the primary knows which of its sockets is meant. A worker is ready when it listens on all.
 */
struct muster_module_listener {
	const char *name;
	struct muster_server_options server;
	struct muster_listen_options listen;
	unsigned timeout_ms; /* for muster_socket_set_timeout; 0 is none */
};

/* What a module is told. All of it stays as it is until the process ends. */
struct muster_module_context {
	const char *application; /* its name in the configuration */
	const char *config;      /* the application's object "config", as JSON text; "{}" without one */
	const struct muster_module_listener *const *listeners;
	size_t listener_count;
};

/*
 * What a module exports, by the name muster_module. A reload makes new workers, in which it is loaded anew: none ever changes
 * its configuration.
 */
struct muster_module {
	unsigned version; /* MUSTER_MODULE_VERSION */
	const char *name; /* for the log */
	/*
	 * In each worker, after it has given up its privileges: set servers up on muster_worker_loop(self) and return 0.
	 * Negative: the worker ends, and musterd does not start if it was about to.
	 */
	int (*start)(struct muster_worker *self, const struct muster_module_context *context);
	/*
	 * The worker has begun to leave, or its primary is gone: its servers are closing, and when the loop runs dry it ends.
	 * Time to end connections that wait for nothing, and whatever else keeps the loop alive. NULL: nothing to do.
	 */
	void (*leave)(struct muster_worker *self);
};

/*
 * Defined by the module, which is a shared object that is not linked with libmuster: musterd has it. Build with
 * "cc -shared -fPIC" and the compiler flags of pkg-config alone.
 */
extern MUSTER_API const struct muster_module muster_module;

#ifdef __cplusplus
}
#endif
#endif
