/* muster/server.h - a listening net.Server. Works alike alone and in a worker. */
#ifndef MUSTER_SERVER_H
#define MUSTER_SERVER_H

#include <muster/address.h>
#include <muster/error.h>
#include <muster/export.h>
#include <muster/policy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct muster_block_list;
struct muster_loop;
struct muster_server;
struct muster_socket;

/* Zero is Node's default for each. */
struct muster_server_options {
	bool allow_half_open;                 /* accepted sockets do not end their own side when the peer ends his */
	bool pause_on_connect;                /* accepted sockets are not read until muster_socket_resume */
	bool no_delay;                        /* TCP_NODELAY on accepted sockets */
	bool keep_alive;                      /* SO_KEEPALIVE on accepted sockets */
	unsigned keep_alive_delay_ms;         /* idle time before the first probe; 0 leaves the system's */
	size_t high_water_mark;               /* of accepted sockets; 0 is 64 KiB */
	unsigned max_connections;             /* 0 is no limit */
	struct muster_block_list *block_list; /* shared; peers on it are closed as they come, and nothing is told */
	bool drop_max_connection;        /* in a worker: over the limit drop, instead of leaving it to another worker */
	unsigned keep_alive_interval_ms; /* time between two probes, in whole seconds; 0 is one second */
	unsigned keep_alive_count;       /* unanswered probes before the connection is given up; 0 is 10 */
	/*
	 * Each connection comes from a proxy and begins with a header of the PROXY protocol, version 1 or 2, which tells for
	 * whom it speaks: muster_socket_remote_address and muster_socket_local_address are then those of the header, unless
	 * it says that they are not known. The header is taken away before on_connection; without one in time, or with one
	 * that is wrong, the connection is closed. It counts as a connection meanwhile.
	 */
	bool proxy_protocol;
	unsigned proxy_timeout_ms;               /* how long a header may take; 0 is 3,000 */
	struct muster_block_list *proxy_trusted; /* with proxy_protocol: who alone may connect; NULL is everybody */
	struct muster_block_list *allow_list; /* shared as block_list is, which goes before it: who alone is welcome */
	/*
	 * Limits of each client's address, of an IPv6 client's /64; they hold for all workers of a cluster together. Who is
	 * over them is closed as he comes, and nothing is told. Clients at a path have no address, and no such limits.
	 */
	unsigned max_per_address;  /* connections that are open; 0 is no limit */
	unsigned rate_per_address; /* connections in a second, at most 1,000,000; 0 is no limit */
	unsigned rate_burst;       /* so many of them at once, after a pause; 0 is rate_per_address */
};

struct muster_listen_options {
	const char *host;          /* an address or a name; NULL is every address, "::" with IPv4 included */
	unsigned port;             /* 0 is any free port; wins over `path` when not zero */
	const char *path;          /* a UNIX path; an abstract name is written with a leading '@' */
	int backlog;               /* 0 is 511; the system's somaxconn cuts it */
	bool exclusive;            /* in a worker: bind here, share with no one */
	bool ipv6_only;            /* "::" takes IPv6 alone */
	bool readable_all;         /* a UNIX path that everybody may read ... */
	bool writable_all;         /* ... and connect to */
	bool reuse_port;           /* SO_REUSEPORT: bind here, beside others that do so too */
	enum muster_policy policy; /* in a worker: how its primary spreads the connections; 0 is the cluster's own */
	/*
	 * Bind and listen, and accept nothing: a library that accepts for itself, as libevent's evhttp does, gets a duplicate
	 * of muster_server_fd. What it accepts is its own: not counted, not limited. In a worker the listener is shared; an
	 * -EOPNOTSUPP by on_error tells of a primary that hands connections over. On on_close it has to stop accepting too.
	 */
	bool no_accept;
	/* Of the listening socket, and so of all that is accepted on it, here or elsewhere; at a path they do nothing. */
	bool no_delay;                /* TCP_NODELAY */
	bool keep_alive;              /* SO_KEEPALIVE ... */
	unsigned keep_alive_delay_ms; /* ... idle time before the first probe; 0 leaves the system's */
	unsigned defer_accept_ms; /* TCP_DEFER_ACCEPT: the kernel keeps who says nothing for so long; whole seconds */
	unsigned fast_open;       /* TCP_FASTOPEN: how many may wait with data in their SYN; 0 is none */
};

struct muster_server_handlers {
	/* The server is bound and listening. */
	void (*on_listening)(struct muster_server *server, void *data);
	/* A connection; the socket is the library's and lives until its on_close has returned. */
	void (*on_connection)(struct muster_server *server, struct muster_socket *socket, void *data);
	/* A connection closed for max_connections, or for a limit of its cluster's. Both addresses are borrowed; family 0 for UNIX peers. */
	void (*on_drop)(struct muster_server *server, const struct muster_address *local,
			const struct muster_address *remote, void *data);
	/* listen failed (the server may listen again) or accept did (it goes on; at most once a second). */
	void (*on_error)(struct muster_server *server, const struct muster_error *error, void *data);
	/* Closed, and the last connection has gone. The server is freed when this returns, unless it listens again. */
	void (*on_close)(struct muster_server *server, void *data);
};

/*
 * net.createServer. NULL with errno set: ENOMEM, E2BIG (options of a newer library), EINVAL (an interval above 32767 s, or more
 * than 127 probes).
 */
MUSTER_API struct muster_server *muster_server_new_sized(struct muster_loop *loop,
							 const struct muster_server_options *options, size_t size);

static inline struct muster_server *muster_server_new(struct muster_loop *loop,
						      const struct muster_server_options *options)
{
	return muster_server_new_sized(loop, options, sizeof *options);
}

/* Add a table of handlers; several are called in the order added. -ENOMEM, -E2BIG. */
MUSTER_API int muster_server_on_sized(struct muster_server *server, const struct muster_server_handlers *handlers,
				      size_t size, void *data);
/* Take the last equal pair away. -ENOENT if there is none. */
MUSTER_API int muster_server_off_sized(struct muster_server *server, const struct muster_server_handlers *handlers,
				       size_t size, void *data);

static inline int muster_server_on(struct muster_server *server, const struct muster_server_handlers *handlers,
				   void *data)
{
	return muster_server_on_sized(server, handlers, sizeof *handlers, data);
}

static inline int muster_server_off(struct muster_server *server, const struct muster_server_handlers *handlers,
				    void *data)
{
	return muster_server_off_sized(server, handlers, sizeof *handlers, data);
}

/*
 * Start listening. The outcome arrives as on_listening or on_error, never before this returns. Neither port nor path: any
 * free port. Strings in `options` are copied.
 * -EINVAL (options), -ENAMETOOLONG (path), MUSTER_EALREADYLISTENING, MUSTER_ECLOSED (loop being freed), -ENOMEM.
 */
MUSTER_API int muster_server_listen_sized(struct muster_server *server, const struct muster_listen_options *options,
					  size_t size);

static inline int muster_server_listen(struct muster_server *server, const struct muster_listen_options *options)
{
	return muster_server_listen_sized(server, options, sizeof *options);
}

/*
 * Listen on a bound stream socket, which is taken in every case: server.listen({fd}). `backlog` 0 is 511.
 * A descriptor that is no such socket arrives as on_error -EINVAL with call "listen", as in Node.
 */
MUSTER_API int muster_server_listen_fd(struct muster_server *server, int fd, int backlog);

/*
 * Listen where another server does, on a duplicate of its socket: server.listen(handle). MUSTER_ENOTRUNNING if the other has
 * no socket here, else as muster_server_listen_fd.
 */
MUSTER_API int muster_server_listen_server(struct muster_server *server, const struct muster_server *other,
					   int backlog);

/*
 * Stop listening; connections go on. on_close comes when the last has gone, here and in the processes that some were sent
 * to; a process that has ended is not waited for. A path this server made is unlinked.
 * MUSTER_ENOTRUNNING if it does not listen; the server stays then, and can listen.
 */
MUSTER_API int muster_server_close(struct muster_server *server);

/* End the server in any state, its connections too; one on_close follows. */
MUSTER_API void muster_server_destroy(struct muster_server *server);

/* Where it listens. MUSTER_ENOTRUNNING if it does not. */
MUSTER_API int muster_server_address(struct muster_server *server, struct muster_address *out);

/* Its socket is bound, and accepts. */
MUSTER_API bool muster_server_is_listening(const struct muster_server *server);

/* The listening descriptor (borrowed), or -1: a worker served by hand-over has none. */
MUSTER_API int muster_server_fd(const struct muster_server *server);

/*
 * The connections of this server that are open in this process: the deprecated server.connections. -1, Node's null, once one
 * of them was sent to another process.
 */
MUSTER_API int muster_server_connections(const struct muster_server *server);

/*
 * Count them, with those that were sent to other processes and are open there: server.getConnections. The answer comes by
 * `done`, never before this returns. Its `err` says that somebody's part is missing from the count: MUSTER_ECHILDCLOSED (it
 * has gone, and its connections with it), -ETIMEDOUT (it did not answer for 5 seconds). One that was sent with keep_open is
 * counted once while it is open on either side. -ENOMEM, MUSTER_ECLOSED.
 */
MUSTER_API int muster_server_get_connections(struct muster_server *server,
					     void (*done)(struct muster_server *server, int err, unsigned count,
							  void *data),
					     void *data);

/* Over so many connections the server drops, or a worker refuses; 0 is no limit. */
MUSTER_API void muster_server_set_max_connections(struct muster_server *server, unsigned max);

/* Why connections were closed before anybody was told of them. */
enum muster_refusal {
	MUSTER_REFUSAL_BLOCKED,     /* their address is not welcome: block_list, allow_list, proxy_trusted */
	MUSTER_REFUSAL_NO_HEADER,   /* proxy_protocol: the header was wrong, or late */
	MUSTER_REFUSAL_RATE,        /* rate_per_address */
	MUSTER_REFUSAL_PER_ADDRESS, /* max_per_address */
};

/* How many, in this process, since the server was made. */
MUSTER_API uint64_t muster_server_refused(const struct muster_server *server, enum muster_refusal why);

/* Whether the server alone keeps its loop running; it does unless unref'd. */
MUSTER_API void muster_server_ref(struct muster_server *server);
MUSTER_API void muster_server_unref(struct muster_server *server);

/* The loop it was made on (borrowed). */
MUSTER_API struct muster_loop *muster_server_loop(const struct muster_server *server);

#ifdef __cplusplus
}
#endif
#endif
