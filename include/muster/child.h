/* muster/child.h - a child process with a channel: child_process.fork and spawn. */
#ifndef MUSTER_CHILD_H
#define MUSTER_CHILD_H

#include <muster/channel.h>
#include <muster/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct muster_child;
struct muster_loop;
struct muster_socket;

/*
 * What a forked child runs: it sets things up on the loop of its channel and returns; the library then runs that loop until
 * nothing is alive and exits 0. Negative: a log line and exit status 1.
 */
typedef int (*muster_child_function)(struct muster_channel *parent, void *data);

/* What 0, 1 or 2 of a child can be, beside a descriptor above 0 of the caller's. */
enum muster_stdio {
	MUSTER_STDIO_INHERIT = 0, /* what it is in the parent */
	MUSTER_STDIO_NULL = -1,   /* /dev/null: Node's 'ignore' */
	MUSTER_STDIO_SOCKET = -2, /* a socket of the loop here, see muster_child_stdio: Node's 'pipe' */
};

/* Either `function` or `exec`. Zero is the default for each. */
struct muster_child_options {
	muster_child_function function;
	void *data;
	const char *const
		*exec; /* a program and its arguments, NULL-terminated, found as execvp does; Node's or any other */
	const char *const *env; /* "NAME=value", NULL-terminated: set beside what is inherited */
	const char *cwd;
	uid_t uid; /* 0 is as the parent; supplementary groups go with it */
	gid_t gid;
	bool silent; /* what `stdio` leaves 0 are MUSTER_STDIO_SOCKET */
	/* 0 to 2 of the child: of enum muster_stdio, or a descriptor, which is duplicated and stays the caller's. */
	int stdio[3];
};

struct muster_child_handlers {
	void (*on_message)(struct muster_child *child, struct muster_message *message, void *data);
	/* Its channel has closed. */
	void (*on_disconnect)(struct muster_child *child, void *data);
	/* It has been reaped: an exit code (127: it could not be executed), or the signal that killed it. */
	void (*on_exit)(struct muster_child *child, int code, int signal, void *data);
};

/*
 * Start a child. It lives as an object until the later of on_exit and on_disconnect has returned, and keeps the loop running.
 * NULL with errno set: EINVAL (neither function nor exec, or both; a form of `stdio` that is none), EBADF, ENOMEM, E2BIG, or
 * what fork said.
 */
MUSTER_API struct muster_child *muster_child_spawn_sized(struct muster_loop *loop,
							 const struct muster_child_options *options, size_t size);

static inline struct muster_child *muster_child_spawn(struct muster_loop *loop,
						      const struct muster_child_options *options)
{
	return muster_child_spawn_sized(loop, options, sizeof *options);
}

/* Add a table of handlers; -ENOMEM, -E2BIG. Take the last equal pair away; -ENOENT. */
MUSTER_API int muster_child_on_sized(struct muster_child *child, const struct muster_child_handlers *handlers,
				     size_t size, void *data);
MUSTER_API int muster_child_off_sized(struct muster_child *child, const struct muster_child_handlers *handlers,
				      size_t size, void *data);

static inline int muster_child_on(struct muster_child *child, const struct muster_child_handlers *handlers, void *data)
{
	return muster_child_on_sized(child, handlers, sizeof *handlers, data);
}

static inline int muster_child_off(struct muster_child *child, const struct muster_child_handlers *handlers, void *data)
{
	return muster_child_off_sized(child, handlers, sizeof *handlers, data);
}

/* Its channel (borrowed, as long as the child): send, disconnect, ref and unref. */
MUSTER_API struct muster_channel *muster_child_channel(struct muster_child *child);
MUSTER_API pid_t muster_child_pid(const struct muster_child *child);

/* Send a signal; 0 is SIGTERM. -ESRCH if it has ended. */
MUSTER_API int muster_child_kill(struct muster_child *child, int signal);

/*
 * Our end of its standard input (0), output (1) or error (2), where it is a socket of the loop; NULL elsewhere, and once it has
 * closed. What is not read keeps whoever writes it waiting.
 */
MUSTER_API struct muster_socket *muster_child_stdio(struct muster_child *child, int n);

/* Whether the child alone keeps its loop running; it does unless unref'd. */
MUSTER_API void muster_child_ref(struct muster_child *child);
MUSTER_API void muster_child_unref(struct muster_child *child);

#ifdef __cplusplus
}
#endif
#endif
