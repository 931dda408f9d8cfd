/* muster/cluster.h - a primary and its workers: fork them, spread connections over them, replace those that die. */
#ifndef MUSTER_CLUSTER_H
#define MUSTER_CLUSTER_H

#include <muster/address.h>
#include <muster/channel.h>
#include <muster/child.h>
#include <muster/error.h>
#include <muster/export.h>
#include <muster/policy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct muster_cluster;
struct muster_loop;
struct muster_worker;

/*
 * What a worker runs, in the forked child: it sets things up on muster_worker_loop(self) and returns; the library then runs
 * that loop until nothing is alive and exits 0. Negative: a log line and exit status 1.
 */
typedef int (*muster_worker_function)(struct muster_worker *self, void *data);

/* When a worker is ready, and the one whose place it takes may leave. */
enum muster_ready {
	/*
	 * It listens on all that the worker before it listened on; if that is nothing, on anything; and if that one never
	 * listened at all, it is online.
	 */
	MUSTER_READY_DEFAULT = 0,
	MUSTER_READY_ONLINE,    /* it has begun */
	MUSTER_READY_LISTENING, /* it listens on anything */
	MUSTER_READY_SAID, /* muster_worker_ready was called; or it sent the message "ready", as process.send does */
};

/* Zero is the default for each: cluster.setupPrimary(settings). */
struct muster_cluster_options {
	muster_worker_function worker;
	void *data;                 /* for `worker`; as it was when the worker was forked */
	enum muster_policy policy;  /* for listeners that name none; 0 is round robin */
	bool respawn;               /* fork a new worker when one dies without having been asked to leave */
	unsigned window;            /* unanswered hand-overs per worker; 0 is 16, at most 64 */
	unsigned backoff_ms;        /* respawn of a worker that never came online: first delay, 0 is 100 ... */
	unsigned backoff_max_ms;    /* ... doubling up to this, 0 is 10,000 */
	unsigned orphan_timeout_ms; /* how long a worker drains once its primary is gone; 0 is 30,000 */
	const char *const *exec; /* instead of `worker`: a program and its arguments, NULL-terminated; any that speaks
	                              * Node's channel: a Node script, or one of ours with muster_worker_run_from_env */
	const char *const *env;  /* "NAME=value", NULL-terminated: set in each worker */
	const char *cwd;         /* the working directory of the workers */
	uid_t uid;               /* 0 is as the primary; supplementary groups go with it */
	gid_t gid;
	bool own_group; /* each worker in a process group of its own: Ctrl-C reaches the primary alone */
	/*
	 * Open connections of one worker, over all its servers; 0 is no limit. One that is full is passed over, and while
	 * all are connections wait in the kernel's queue. It holds for workers that write down what they have: not for Node's.
	 */
	unsigned worker_max_connections;
	/*
	 * Close what comes while a limit over all workers is reached, or all workers are full, and tell it by on_drop; instead
	 * of letting it wait. What a worker accepted itself it drops itself: on_drop of its server.
	 */
	bool drop_max_connection;
	enum muster_ready ready;   /* when a worker is ready: see muster_cluster_restart */
	unsigned ready_timeout_ms; /* a worker that is to replace another must be ready by then; 0 is 30,000 */
	/*
	 * A worker that was asked to leave is made to after so long: it flushes what is queued, then SIGTERM, then SIGKILL. 0: it
	 * may take its time, as in Node.
	 */
	unsigned drain_timeout_ms;
	unsigned kill_timeout_ms; /* from each of these steps to the next, and from SIGABRT to SIGKILL; 0 is 2,000 */
	/*
	 * After so many workers in a row that ended without ever listening their place stays empty until a restart, and
	 * on_error is told ("respawn"). 0: it is tried for ever.
	 */
	unsigned budget;
	/*
	 * A worker of ours whose loop has not turned for so long is hung: SIGABRT, then SIGKILL, and it has died. That includes
	 * `worker` itself, before it returns. 0: nobody looks.
	 */
	unsigned heartbeat_ms;
	/* Replaced, as by muster_worker_restart and one at a time, after so many connections; this and the next two: 0 is never. */
	uint64_t max_requests;
	unsigned max_lifetime_ms; /* ... after so long */
	uint64_t max_memory;      /* ... when so many bytes are resident */
	/* By up to so much, at most 100, each worker's last three limits are lower, at random: not all fall due together. */
	unsigned jitter_percent;
	/*
	 * Each worker on one CPU: by its place, of those that the primary may use, and again from the first. A worker that may
	 * not have this or one of the next exits with 127.
	 */
	bool cpu_affinity;
	int nice;              /* added to the primary's */
	uint64_t limit_nofile; /* RLIMIT_NOFILE; 0 is as the primary */
	uint64_t limit_core;   /* RLIMIT_CORE, bytes; 0 is as the primary, UINT64_MAX no limit ... */
	bool no_core;          /* ... and this is none at all */
	/* Standard input, output and error of each worker, as of a child: see muster_worker_stdio. Descriptors stay the caller's ... */
	bool silent;
	int stdio[3]; /* ... and open as long as workers are forked */
};

/* One table for the cluster (all workers, and on_close) and for a single worker. */
struct muster_worker_handlers {
	void (*on_fork)(struct muster_worker *worker, void *data);
	void (*on_online)(struct muster_worker *worker, void *data);
	void (*on_listening)(struct muster_worker *worker, const struct muster_address *address, void *data);
	void (*on_message)(struct muster_worker *worker, struct muster_message *message, void *data);
	/* Its channel has closed. */
	void (*on_disconnect)(struct muster_worker *worker, void *data);
	/* It has been reaped: an exit code, or the signal that killed it (the other is 0). */
	void (*on_exit)(struct muster_worker *worker, int code, int signal, void *data);
	/* The cluster could not do something: fork a worker, accept. `worker` may be NULL. */
	void (*on_error)(struct muster_worker *worker, const struct muster_error *error, void *data);
	/* The cluster is closed: no worker and no listener is left. It is freed when this returns. */
	void (*on_close)(struct muster_cluster *cluster, void *data);
	/* The primary closed a connection beyond a limit. Both addresses are borrowed; family 0 for UNIX peers. */
	void (*on_drop)(struct muster_cluster *cluster, const struct muster_address *local,
			const struct muster_address *remote, void *data);
	/* It is ready, as the option of the cluster says. Once. */
	void (*on_ready)(struct muster_worker *worker, void *data);
};

/* NULL with errno set: ENOMEM, EINVAL (window over 64, jitter_percent over 100), E2BIG. */
MUSTER_API struct muster_cluster *muster_cluster_new_sized(struct muster_loop *loop,
							   const struct muster_cluster_options *options, size_t size);

static inline struct muster_cluster *muster_cluster_new(struct muster_loop *loop,
							const struct muster_cluster_options *options)
{
	return muster_cluster_new_sized(loop, options, sizeof *options);
}

/* Add a table of handlers for all workers, those to come as well; several are called in the order added. -ENOMEM, -E2BIG. */
MUSTER_API int muster_cluster_on_sized(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers,
				       size_t size, void *data);
/* Take the last equal pair away. -ENOENT if there is none. */
MUSTER_API int muster_cluster_off_sized(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers,
					size_t size, void *data);

static inline int muster_cluster_on(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers,
				    void *data)
{
	return muster_cluster_on_sized(cluster, handlers, sizeof *handlers, data);
}

static inline int muster_cluster_off(struct muster_cluster *cluster, const struct muster_worker_handlers *handlers,
				     void *data)
{
	return muster_cluster_off_sized(cluster, handlers, sizeof *handlers, data);
}

/*
 * cluster.fork([env]): one more worker. `env` ("NAME=value", NULL-terminated) is set in the child; it and `out` may be NULL.
 * -errno of fork, -EINVAL (neither worker nor exec), -EAGAIN when no slot is left, MUSTER_ECLOSED after close. on_fork follows.
 */
MUSTER_API int muster_cluster_fork(struct muster_cluster *cluster, const char *const *env, struct muster_worker **out);

/* Fork `count` workers; 0 is one per CPU this process may use. */
MUSTER_API int muster_cluster_start(struct muster_cluster *cluster, unsigned count);

/* Ask all workers to leave: each closes its servers, lets its connections end, and exits. `done` after the last. -ENOMEM. */
MUSTER_API int muster_cluster_disconnect(struct muster_cluster *cluster,
					 void (*done)(struct muster_cluster *cluster, void *data), void *data);

/*
 * Replace all workers that there are now, one by one, and never have fewer than before: a new worker is forked; when it is
 * ready (the option `ready`) it gets connections and the old one is asked to leave. Until then nothing is handed to it. `done` is
 * called once, after the last of the new ones is ready; old ones may still be letting their connections end. An error in `done`
 * is that of the first new worker that failed: it is ended, the old one stays, and so do all that are not replaced yet.
 * -ETIMEDOUT (not ready in time), -ECHILD (it ended before), -errno of fork, -ECANCELED (the workers were asked to leave
 * meanwhile). A place that waits for its next worker, or whose budget is spent, is filled at once. `done` may be NULL.
 * -EALREADY while a restart is under way, -ECANCELED while all are asked to leave, MUSTER_ECLOSED after close.
 */
MUSTER_API int muster_cluster_restart(struct muster_cluster *cluster,
				      void (*done)(struct muster_cluster *cluster, int err, void *data), void *data);

/*
 * Have so many workers: more are forked; of too many the newest are asked to leave. 0 is none at all. -errno of fork (those
 * forked before stay), -ECANCELED while all are asked to leave, MUSTER_ECLOSED after close.
 */
MUSTER_API int muster_cluster_scale(struct muster_cluster *cluster, unsigned count);

/* Close the listeners, let the workers leave, then on_close. The only end of a cluster but its loop's. */
MUSTER_API int muster_cluster_close(struct muster_cluster *cluster);

/* Iterate over the workers that are not gone: NULL gives the first, the last gives NULL. */
MUSTER_API struct muster_worker *muster_cluster_next(struct muster_cluster *cluster, struct muster_worker *previous);

/*
 * The user's own choice for connections that are handed over, instead of the policy's: one of the `count` workers that can
 * take one now, or NULL for none of them, and the connection waits for the next change. Called for each connection; not for
 * those of listeners with MUSTER_POLICY_SHARED or _REUSE_PORT, whose workers accept for themselves, nor with _EXCLUSIVE.
 */
typedef struct muster_worker *(*muster_scheduler)(struct muster_cluster *cluster, struct muster_worker *const *workers,
						  size_t count, void *data);

/* NULL goes back to the policies. */
MUSTER_API void muster_cluster_set_scheduler(struct muster_cluster *cluster, muster_scheduler pick, void *data);

/* Connections of one worker at one listener. */
struct muster_count {
	struct muster_worker *worker;
	struct muster_address listener;
	unsigned open;
	unsigned accepted; /* since the worker began to listen there */
	bool known;        /* false: it does not say, and the numbers are 0 */
};

/*
 * Count the connections of all workers: no message is sent, those who can have written down what they have. The rows are
 * borrowed until `done` returns; it comes once, never before this returns. -ENOMEM, MUSTER_ECLOSED.
 */
MUSTER_API int muster_cluster_get_connections(struct muster_cluster *cluster,
					      void (*done)(struct muster_cluster *cluster, int err,
							   const struct muster_count *rows, size_t count, void *data),
					      void *data);

/*
 * One limit over all workers: at it the primary stops accepting, or drops if the options say so. 0 is none. Where workers
 * accept for themselves it may be overshot by one for each of them.
 */
MUSTER_API void muster_cluster_set_max_connections(struct muster_cluster *cluster, unsigned max);

/* The loop it was made on (borrowed). */
MUSTER_API struct muster_loop *muster_cluster_loop(const struct muster_cluster *cluster);

/*
 * Become the worker that the environment names: a program that a primary, muster's or Node's, has started calls this first
 * of all. Runs worker(self, data) and the loop, and returns what main should: an exit status. -ENOENT when no primary has
 * started this process, -ENOTSUP for a channel that does not speak JSON.
 */
MUSTER_API int muster_worker_run_from_env(muster_worker_function worker, void *data);

/* cluster.worker: in a worker this process, else NULL; and whether this is no worker. */
MUSTER_API struct muster_worker *muster_worker_self(void);
MUSTER_API bool muster_is_primary(void);

/* As for the cluster, for this worker alone; the cluster's tables are called as well. -ENOMEM, -E2BIG. */
MUSTER_API int muster_worker_on_sized(struct muster_worker *worker, const struct muster_worker_handlers *handlers,
				      size_t size, void *data);
/* Take the last equal pair away. -ENOENT if there is none. */
MUSTER_API int muster_worker_off_sized(struct muster_worker *worker, const struct muster_worker_handlers *handlers,
				       size_t size, void *data);

static inline int muster_worker_on(struct muster_worker *worker, const struct muster_worker_handlers *handlers,
				   void *data)
{
	return muster_worker_on_sized(worker, handlers, sizeof *handlers, data);
}

static inline int muster_worker_off(struct muster_worker *worker, const struct muster_worker_handlers *handlers,
				    void *data)
{
	return muster_worker_off_sized(worker, handlers, sizeof *handlers, data);
}

/* Ids count from 1 and are never used again. */
MUSTER_API unsigned muster_worker_id(const struct muster_worker *worker);

/* Its process, also when that has ended. */
MUSTER_API pid_t muster_worker_pid(const struct muster_worker *worker);

/* The loop it lives on (borrowed): the primary's, or in a worker the loop to serve on. */
MUSTER_API struct muster_loop *muster_worker_loop(const struct muster_worker *worker);

/* Its channel alone (borrowed, as long as the worker): process.channel. Messages come to both. */
MUSTER_API struct muster_channel *muster_worker_channel(struct muster_worker *worker);

/*
 * Our end of its standard input (0), output (1) or error (2), as muster_child_stdio: worker.process.stdout and so on. It is
 * there when muster_cluster_fork returns, for a worker that follows another at on_fork; NULL in the worker itself.
 */
MUSTER_API struct muster_socket *muster_worker_stdio(const struct muster_worker *worker, int n);

/* Its channel is open; its process has been reaped. */
MUSTER_API bool muster_worker_is_connected(const struct muster_worker *worker);
MUSTER_API bool muster_worker_is_dead(const struct muster_worker *worker);
/* It left because it was asked to, or wanted to; not because it died. */
MUSTER_API bool muster_worker_exited_after_disconnect(const struct muster_worker *worker);

/*
 * Close the servers, let the connections end, close the channel. In the primary: ask the worker to. MUSTER_ECHANNEL if it is
 * not connected.
 */
MUSTER_API int muster_worker_disconnect(struct muster_worker *worker);

/*
 * As muster_cluster_restart, for this worker alone; `done` gets 0 also when it has gone by itself meanwhile. In the primary:
 * -EINVAL in the worker, -ESRCH if it is leaving or gone.
 */
MUSTER_API int muster_worker_restart(struct muster_worker *worker,
				     void (*done)(struct muster_cluster *cluster, int err, void *data), void *data);

/*
 * Say that the worker is ready, where the cluster's option `ready` is MUSTER_READY_SAID: in the worker itself, or in the primary
 * for it. Elsewhere, and to a primary that is Node's, it says nothing. MUSTER_ECHANNEL if it is not connected, -ENOMEM.
 */
MUSTER_API int muster_worker_ready(struct muster_worker *worker);

/* Primary: send the signal (0 is SIGTERM). Worker: leave without waiting for connections, exit 0. -ESRCH if it is gone. */
MUSTER_API int muster_worker_kill(struct muster_worker *worker, int signal);

/*
 * Send a message to the other side: worker.send, process.send. 0: it is queued, and a handle in it is given away.
 * MUSTER_ECHANNEL, -ENOBUFS (the peer does not read), -EINVAL (no message, text with a newline), -EBUSY (the socket has
 * output queued), -ENOTSUP, -EMSGSIZE (see muster_channel_send), MUSTER_EHANDLETYPE, -ENOMEM.
 */
MUSTER_API int muster_worker_send_sized(struct muster_worker *worker, const struct muster_message *message,
					size_t size);

static inline int muster_worker_send(struct muster_worker *worker, const struct muster_message *message)
{
	return muster_worker_send_sized(worker, message, sizeof *message);
}

#ifdef __cplusplus
}
#endif
#endif
