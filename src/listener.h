/* src/listener.h - a bound socket, the request that led to it, and the operations by which a server comes to one. */
#ifndef SRC_LISTENER_H
#define SRC_LISTENER_H

#include <muster/error.h>
#include <muster/server.h>
#include <stdbool.h>
#include <sys/types.h>

struct muster__visitors;
struct muster_loop;
struct muster_server;

/* A listening or bound descriptor, and the path that goes when it goes. */
struct muster__listener {
	int fd;
	char *path; /* ours to unlink, or NULL */
	dev_t device;
	ino_t inode; /* of the path as we made it: another one by that name is not ours */
	bool lent;   /* its maker still has it and may keep it: neither the path nor the queue is ours yet */
	bool foreign; /* it came from somebody who keeps it, as systemd does; its file, if it has one, is known all the same */
	bool inherited; /* it was bound before, by whomever: others may have it as well */
};

#define MUSTER__LISTENER_NONE ((struct muster__listener){ .fd = -1 })
#define MUSTER__BACKLOG 511

/*
 * Bind (not yet listen) to an address literal, every address (host NULL: "::", else "0.0.0.0"), or a path. On failure
 * `error` says what and where; the listener is then unchanged.
 */
int muster__listener_bind(struct muster__listener *listener, const struct muster_listen_options *options,
			  struct muster_error *error);

/* listen(2) with the default backlog for 0. */
int muster__listener_listen(const struct muster__listener *listener, int backlog, struct muster_error *error);

/*
 * One more socket at the address of this one, which has a port and does not listen, with SO_REUSEPORT: several such may
 * listen there. Negative: `error` says what and where.
 */
int muster__listener_twin(struct muster__listener *twin, const struct muster__listener *listener,
			  struct muster_error *error);

/* Give the path, if it still is the one we made, the mode that binding would have given it. 0 or -errno. */
int muster__listener_open_up(const struct muster__listener *listener, const struct muster_listen_options *options);

/* Close the descriptor; unlink the path if `unlink_path` and it still is the one we made. */
void muster__listener_close(struct muster__listener *listener, bool unlink_path);

/*
 * What takes connections: a server, seen from whatever feeds it. `adopt` is the only door through which a connection enters
 * a server.
 */
struct muster__sink {
	const struct muster__sink_ops *ops;
	struct muster_loop *loop;
	unsigned row; /* what the loop's counting operations are told with each connection */
};

struct muster__sink_ops {
	/* The source is bound: on_listening at the end of the turn. */
	void (*ready)(struct muster__sink *sink);
	/* It could not listen: the source is closed, and on_error comes at the end of the turn. */
	void (*failed)(struct muster__sink *sink, const struct muster_error *error);
	/* accept failed; the server goes on. */
	void (*accept_failed)(struct muster__sink *sink, int err);
	/* Takes `fd` in every case: a socket and on_connection, or, over max_connections, closed and on_drop. */
	void (*adopt)(struct muster__sink *sink, int fd);
	/* Below its own max_connections, or at it and dropping what is more. */
	bool (*takes)(const struct muster__sink *sink);
	/* Below the limits that go beyond this server, or dropping what is over them: else a source waits. */
	bool (*may_accept)(const struct muster__sink *sink);
};

/* What feeds a server: its own listener, or a primary far away. */
struct muster__source {
	const struct muster__source_ops *ops;
};

struct muster__source_ops {
	void (*close)(struct muster__source *source); /* stop feeding, free the source */
	int (*address)(struct muster__source *source, struct muster_address *out);
	int (*fd)(const struct muster__source *source); /* or -1 */
	void (*room)(struct muster__source *source);    /* a connection has gone; may be NULL */
	void (*drain)(struct muster__source *source);   /* take what is queued: the end is near; may be NULL */
};

/* How a server on this loop starts to listen. `data` is the loop's ops_data. */
struct muster__listen_ops {
	/*
	 * Make *source, which belongs to the sink from here on. Strings in `options` are borrowed. The source calls ready
	 * or failed once, now or later, unless it is closed before.
	 */
	int (*listen)(struct muster__sink *sink, const struct muster_listen_options *options,
		      struct muster__source **source, void *data);
};

/* Counting of connections outside src/: a table on the loop, so that src/ knows nothing of clusters. */
struct muster__count_ops {
	void (*opened)(unsigned row, void *data);
	void (*closed)(unsigned row, void *data);
	bool (*has_room)(unsigned row, void *data);  /* limits beyond the server's own */
	bool (*must_drop)(unsigned row, void *data); /* there is no room, and nobody is to wait for some */
	void (*dropped)(unsigned row, void *data);
	/* Both may be NULL. A connection closed at the door; what all processes know of addresses, false if they share nothing. */
	void (*refused)(unsigned row, void *data);
	bool (*visitors)(struct muster__visitors *visitors, void *data);
};

#endif
