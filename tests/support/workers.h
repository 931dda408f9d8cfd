/* tests/support/workers.h - a cluster whose events are counted, and workers that do what they were told. */
#ifndef TESTS_SUPPORT_WORKERS_H
#define TESTS_SUPPORT_WORKERS_H

#include <muster/muster.h>

#define WORKERS_MOST 32

/* `data` of counting_workers. Zero-initialised. */
struct worker_counts {
	unsigned fork, online, listening, ready, message, disconnect, exit, error, close;
	unsigned bad_exits;            /* a code that is not 0, or a signal */
	int code, signal;              /* of the last on_exit */
	bool willing;                  /* ... exited_after_disconnect */
	char order[512];               /* "fork1 online1 ...": each event with its worker's id */
	char said[4096];               /* each message as JSON, and a blank */
	struct muster_address address; /* of the last on_listening */
	struct muster_error last_error;
	unsigned drop; /* on_drop: the primary closed one beyond a limit */
	struct muster_address drop_local, drop_remote;
	unsigned errors_of_worker; /* messages "error CODE CALL" */
	int fd;                    /* keep_fd: of the last message that had one */
	bool keep_fd;
};

extern const struct muster_worker_handlers counting_workers;

/* What serve() does in a worker. Zero is the default for each. */
struct service {
	struct muster_listen_options listen; /* host NULL and no path: 127.0.0.1 */
	struct muster_server_options server;
	unsigned servers; /* listen so many times; 0 is once */
	bool deaf;        /* connections are not greeted, and not read */
	bool quiet;       /* tell nothing */
	void (*begin)(struct muster_worker *self, struct muster_server *server); /* after listen; may be NULL */
};

/*
 * A worker function; data is a struct service. Each connection is greeted with one line, the id of its worker, and then
 * echoed to. The worker tells, by message: "listening PORT", "error CODE CALL", "connection", "closed" (a connection), "drop".
 */
int serve(struct muster_worker *self, void *data);

/* A worker function that only waits to be told to leave. */
int idle(struct muster_worker *self, void *data);

/* Say something to the other side: a JSON string. */
__attribute__((format(printf, 2, 3))) void tell(struct muster_worker *worker, const char *format, ...);

/* A cluster on test_loop, counted; the worker function is serve unless the options name one. */
struct muster_cluster *new_cluster(const struct muster_cluster_options *options, struct service *service,
				   struct worker_counts *counts);
/* The same with so many workers that all listen, one after the other: turns go by their ids. */
struct muster_cluster *serving_cluster(const struct muster_cluster_options *options, struct service *service,
				       unsigned workers, struct worker_counts *counts);
struct muster_worker *worker_by_id(struct muster_cluster *cluster, unsigned id);

/* Close the cluster; all its workers must exit with 0 and the loop run dry. */
void close_cluster(struct muster_cluster *cluster, struct worker_counts *counts);

/* Turn the loop until `counts->said` has `part` in it. */
#define run_until_said(counts, part) run_until_text((counts)->said, part)
void run_until_text(const char *text, const char *part);

/* Turn the loop until the client has been greeted; the id of the worker that did it. */
unsigned greeted_by(int client);

#endif
