/* muster/socket.h - a net.Socket: one end of a TCP or UNIX stream. */
#ifndef MUSTER_SOCKET_H
#define MUSTER_SOCKET_H

#include <muster/address.h>
#include <muster/encoding.h>
#include <muster/error.h>
#include <muster/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bufferevent;
struct muster_block_list;
struct muster_loop;
struct muster_server;
struct muster_socket;

/* Zero is Node's default for each. */
struct muster_socket_options {
	bool allow_half_open;   /* do not end our side when the peer ends his */
	bool no_read;           /* with a descriptor: never read, the incoming side counts as ended */
	bool no_write;          /* with a descriptor: the outgoing side counts as ended */
	size_t high_water_mark; /* queued bytes from which muster_socket_needs_drain is true; 0 is 64 KiB */
};

/* The answer that a lookup function owes. */
struct muster_lookup;

/*
 * A lookup function of the user's: dns.lookup. `host` is borrowed until it returns, family and hints are those of the
 * options. It answers `reply` once, now or later, with muster_lookup_answer; or returns a negative code and does not.
 */
typedef int (*muster_lookup_function)(const char *host, int family, int hints, struct muster_lookup *reply, void *data);

/*
 * Answer: addresses (their ports do not matter) or a negative `err`. `reply` is gone afterwards. Somebody may have cancelled
 * the connection meanwhile; answering is right all the same. Text that is no address arrives as MUSTER_EADDRESS.
 */
MUSTER_API void muster_lookup_answer(struct muster_lookup *reply, int err, const struct muster_address *addresses,
				     size_t count);

struct muster_connect_options {
	const char *host;    /* an address or a name; NULL is "localhost" */
	unsigned port;       /* required without a path */
	const char *path;    /* a UNIX path, or an abstract name with a leading '@'; what is for TCP is ignored then */
	int family;          /* 4 or 6 restricts what a name may resolve to; 0 is both */
	unsigned timeout_ms; /* as muster_socket_set_timeout, set before connecting */
	const char *local_address;     /* an IP address to connect from; NULL is any */
	unsigned local_port;           /* a port to connect from; 0 is any */
	int hints;                     /* AI_ADDRCONFIG, AI_V4MAPPED, AI_ALL of <netdb.h>: how a name is looked up */
	muster_lookup_function lookup; /* looks names up instead of DNS ... */
	void *lookup_data;             /* ... and gets this */
	bool no_auto_select;           /* try the first address of a name only, instead of one after the other */
	unsigned attempt_timeout_ms;   /* ... each but the last for so long; 0 is the loop's, at least 10 */
	struct muster_block_list *block_list; /* shared; connecting to what is on it fails with MUSTER_EBLOCKED */
	bool auto_select; /* try one address after the other even if muster_loop_set_auto_select has turned that off */
};

enum muster_ready_state {
	MUSTER_READY_OPENING,
	MUSTER_READY_OPEN,
	MUSTER_READY_READ_ONLY,
	MUSTER_READY_WRITE_ONLY,
	MUSTER_READY_CLOSED,
};

struct muster_socket_handlers {
	/* A host name was looked up, once for each address that may be tried; err negative and address NULL if that failed. */
	void (*on_lookup)(struct muster_socket *socket, int err, const struct muster_address *address, const char *host,
			  void *data);
	void (*on_connect)(struct muster_socket *socket, void *data);
	void (*on_ready)(struct muster_socket *socket, void *data); /* right after on_connect */
	/* `bytes` is borrowed until the handler returns. Without on_data or a pipe nothing is read. */
	void (*on_data)(struct muster_socket *socket, const void *bytes, size_t length, void *data);
	/* The peer has ended its side. Unless allow_half_open, ours ends too once what is queued has been sent. */
	void (*on_end)(struct muster_socket *socket, void *data);
	/* muster_socket_needs_drain was true, and now nothing is queued. */
	void (*on_drain)(struct muster_socket *socket, void *data);
	/* muster_socket_end was called, all is sent and the FIN with it. */
	void (*on_finish)(struct muster_socket *socket, void *data);
	/* Idle for the time set; nothing is closed by it. */
	void (*on_timeout)(struct muster_socket *socket, void *data);
	/* At most once per connection; on_close follows. */
	void (*on_error)(struct muster_socket *socket, const struct muster_error *error, void *data);
	/* The last event. The socket is freed when this returns, unless it connects again. */
	void (*on_close)(struct muster_socket *socket, bool had_error, void *data);
	/* An address is about to be tried; it failed; it took longer than attempt_timeout_ms. */
	void (*on_attempt)(struct muster_socket *socket, const struct muster_address *address, void *data);
	void (*on_attempt_failed)(struct muster_socket *socket, const struct muster_address *address, int err,
				  void *data);
	void (*on_attempt_timeout)(struct muster_socket *socket, const struct muster_address *address, void *data);
};

/* A write has been taken by the kernel (err 0), or never will be. */
typedef void (*muster_written)(struct muster_socket *socket, int err, void *data);

/* new net.Socket(): connect it, or end it with muster_socket_destroy. NULL with errno set: ENOMEM, E2BIG. */
MUSTER_API struct muster_socket *muster_socket_new_sized(struct muster_loop *loop,
							 const struct muster_socket_options *options, size_t size);

/*
 * new net.Socket({fd}): a connected stream socket, taken in every case. NULL with errno set: EBADF if there is no
 * such descriptor, EINVAL if it is no stream socket, ENOMEM, E2BIG.
 */
MUSTER_API struct muster_socket *muster_socket_open_sized(struct muster_loop *loop, int fd,
							  const struct muster_socket_options *options, size_t size);

/* Add a table of handlers; several are called in the order added. -ENOMEM, -E2BIG. */
MUSTER_API int muster_socket_on_sized(struct muster_socket *socket, const struct muster_socket_handlers *handlers,
				      size_t size, void *data);
/* Take the last equal pair away. -ENOENT if there is none. */
MUSTER_API int muster_socket_off_sized(struct muster_socket *socket, const struct muster_socket_handlers *handlers,
				       size_t size, void *data);

/*
 * Connect: the outcome arrives as on_connect or on_error, never before this returns.
 * -EINVAL (neither port nor path, a port above 65535, a local address that is none, other hints), -ENAMETOOLONG (path), -EISCONN, -EALREADY, MUSTER_ECLOSED, -ENOMEM.
 */
MUSTER_API int muster_socket_connect_sized(struct muster_socket *socket, const struct muster_connect_options *options,
					   size_t size);

/* net.connect: a new socket with these handlers that starts to connect. NULL with errno set, and nothing is left. */
MUSTER_API struct muster_socket *muster_connect_sized(struct muster_loop *loop,
						      const struct muster_connect_options *options, size_t size,
						      const struct muster_socket_handlers *handlers,
						      size_t handlers_size, void *data);

/*
 * What became of the addresses that were tried, in their order, when there was more than one: Node's AggregateError and
 * autoSelectFamilyAttemptedAddresses. Borrowed until the socket closes or connects again. 0 and NULL if there was only one.
 */
MUSTER_API size_t muster_socket_attempts(const struct muster_socket *socket, const struct muster_error **attempts);

static inline struct muster_socket *muster_socket_new(struct muster_loop *loop,
						      const struct muster_socket_options *options)
{
	return muster_socket_new_sized(loop, options, sizeof *options);
}

static inline struct muster_socket *muster_socket_open(struct muster_loop *loop, int fd,
						       const struct muster_socket_options *options)
{
	return muster_socket_open_sized(loop, fd, options, sizeof *options);
}

static inline int muster_socket_on(struct muster_socket *socket, const struct muster_socket_handlers *handlers,
				   void *data)
{
	return muster_socket_on_sized(socket, handlers, sizeof *handlers, data);
}

static inline int muster_socket_off(struct muster_socket *socket, const struct muster_socket_handlers *handlers,
				    void *data)
{
	return muster_socket_off_sized(socket, handlers, sizeof *handlers, data);
}

static inline int muster_socket_connect(struct muster_socket *socket, const struct muster_connect_options *options)
{
	return muster_socket_connect_sized(socket, options, sizeof *options);
}

static inline struct muster_socket *muster_connect(struct muster_loop *loop,
						   const struct muster_connect_options *options,
						   const struct muster_socket_handlers *handlers, void *data)
{
	return muster_connect_sized(loop, options, sizeof *options, handlers, sizeof *handlers, data);
}

/*
 * Send bytes: as much as the kernel takes at once, the rest is copied and queued. Before the connection is made all of it
 * is queued. Errors are returned only, the socket is untouched: MUSTER_EENDED after end, MUSTER_EDESTROYED after destroy,
 * MUSTER_ECLOSED if it was never connected, -ENOMEM. A failure of the connection itself (EPIPE, ECONNRESET) arrives as
 * on_error and on_close.
 */
MUSTER_API int muster_socket_write(struct muster_socket *socket, const void *bytes, size_t length);
/* The same, and `done` is called once all of it is with the kernel, never before this returns. */
MUSTER_API int muster_socket_write_then(struct muster_socket *socket, const void *bytes, size_t length,
					muster_written done, void *data);
/* Write returned false in Node's terms: the queue is over the high-water mark; on_drain will come. */
MUSTER_API bool muster_socket_needs_drain(const struct muster_socket *socket);

/* Half-close: send what is queued, then a FIN. The peer may go on sending. Errors as for write. */
MUSTER_API int muster_socket_end(struct muster_socket *socket);
MUSTER_API int muster_socket_end_with(struct muster_socket *socket, const void *bytes, size_t length);
MUSTER_API int muster_socket_end_then(struct muster_socket *socket, const void *bytes, size_t length,
				      muster_written done, void *data);

/*
 * From here on on_data gets text, in UTF-8: what the peer sends, decoded, never with a split character in it (HEX and the
 * BASE64s: never a split group). MUSTER_ENCODING_BYTES takes that back, and what was held back is lost. -EINVAL, -ENOMEM.
 */
MUSTER_API int muster_socket_set_encoding(struct muster_socket *socket, enum muster_encoding encoding);

/* Send text (UTF-8) in an encoding: HEX and the BASE64s send the bytes that the text stands for. Errors as for write. */
MUSTER_API int muster_socket_write_encoded(struct muster_socket *socket, const char *text, size_t length,
					   enum muster_encoding encoding);
MUSTER_API int muster_socket_write_encoded_then(struct muster_socket *socket, const char *text, size_t length,
						enum muster_encoding encoding, muster_written done, void *data);

/*
 * Hold back what is written, so that several writes leave in one; uncork as often as corked, or end, lets it go.
 */
MUSTER_API void muster_socket_cork(struct muster_socket *socket);
MUSTER_API void muster_socket_uncork(struct muster_socket *socket);

/*
 * Give bytes back that were read, for on_data to get them again: before anything else, once more bytes are given back
 * before these, not from inside the call. They are copied; a socket that is sent to another process takes them along:
 * readable.unshift. MUSTER_EDESTROYED (there is no connection), -ENOMEM.
 */
MUSTER_API int muster_socket_unshift(struct muster_socket *socket, const void *bytes, size_t length);

/* Stop and go on reading. What the kernel holds waits. */
MUSTER_API void muster_socket_pause(struct muster_socket *socket);
MUSTER_API void muster_socket_resume(struct muster_socket *socket);
MUSTER_API bool muster_socket_is_paused(const struct muster_socket *socket);

/*
 * Send all that `from` receives to `to`, no faster than it takes it; `from` may be `to`. The end is passed on, errors are
 * not. When `to` closes the pipe ends and `from` is paused. A second pipe replaces the first.
 */
MUSTER_API int muster_socket_pipe(struct muster_socket *from, struct muster_socket *to);
MUSTER_API void muster_socket_unpipe(struct muster_socket *from);

/* Close at once, dropping what is queued. With a negative `err` on_error comes first. Any number of times, from anywhere. */
MUSTER_API void muster_socket_destroy(struct muster_socket *socket, int err);
/* End, and destroy once all that is queued has been sent. */
MUSTER_API void muster_socket_destroy_soon(struct muster_socket *socket);

/*
 * Close with a reset: the peer's next read fails with ECONNRESET. A socket that is connecting does so once it is connected;
 * one that never was closes with MUSTER_ECLOSED in on_error. MUSTER_EHANDLETYPE for a UNIX socket, which knows no resets.
 */
MUSTER_API int muster_socket_reset(struct muster_socket *socket);

/* Call on_timeout after `ms` without traffic; 0 is never. It does not keep the loop running. -ENOMEM. */
MUSTER_API int muster_socket_set_timeout(struct muster_socket *socket, unsigned ms);
/* What it was set to; 0 is none. */
MUSTER_API unsigned muster_socket_timeout(const struct muster_socket *socket);

/* Remembered until the socket is connected. Do nothing on UNIX sockets. */
MUSTER_API int muster_socket_set_no_delay(struct muster_socket *socket, bool on);
MUSTER_API int muster_socket_set_keep_alive(struct muster_socket *socket, bool on, unsigned delay_ms);

/*
 * How keep-alive goes on after its first probe: the time between two, in whole seconds and at least one, and how many have to
 * stay without an answer before the connection is given up; 0 is Node's 1 s and 10. Remembered until the socket is connected;
 * it does not turn keep-alive on. -EINVAL above 32767 s or 127 probes, -ENOMEM.
 */
MUSTER_API int muster_socket_set_keep_alive_probes(struct muster_socket *socket, unsigned interval_ms, unsigned count);

/* The byte of IP_TOS or IPV6_TCLASS, 0 to 255. Remembered until the socket is connected. -EINVAL. */
MUSTER_API int muster_socket_set_type_of_service(struct muster_socket *socket, unsigned value);
/* What the kernel says, or what is remembered; negative: -errno. */
MUSTER_API int muster_socket_type_of_service(const struct muster_socket *socket);

/* -ENOTCONN without a connection. */
MUSTER_API int muster_socket_local_address(struct muster_socket *socket, struct muster_address *out);
MUSTER_API int muster_socket_remote_address(struct muster_socket *socket, struct muster_address *out);

/* Since the connection began: what came, and what was written, with what is queued of it. */
MUSTER_API uint64_t muster_socket_bytes_read(const struct muster_socket *socket);
MUSTER_API uint64_t muster_socket_bytes_written(const struct muster_socket *socket);
/* What is queued: writableLength; and from how much on muster_socket_needs_drain is true. */
MUSTER_API size_t muster_socket_buffered(const struct muster_socket *socket);
MUSTER_API size_t muster_socket_high_water_mark(const struct muster_socket *socket);

/* Which sides are open: readyState. */
MUSTER_API enum muster_ready_state muster_socket_ready_state(const struct muster_socket *socket);
/* On its way to a connection. */
MUSTER_API bool muster_socket_is_connecting(const struct muster_socket *socket);
/* Without a connection, on its way or not. */
MUSTER_API bool muster_socket_is_pending(const struct muster_socket *socket);
/* Closed by either side or by an error; on_close has come or will. */
MUSTER_API bool muster_socket_is_destroyed(const struct muster_socket *socket);

/* The descriptor (borrowed), or -1. */
MUSTER_API int muster_socket_fd(const struct muster_socket *socket);
/*
 * Give the descriptor to the caller; the object sees on_close and nothing else. -EBUSY while output is queued, or bytes wait
 * that were given back.
 */
MUSTER_API int muster_socket_take_fd(struct muster_socket *socket);

/*
 * For libevent's users: from here on all input and output of the socket go through this bufferevent, and the caller drives
 * it, with filters, rate limits or protocol code that exists. It is borrowed until on_close has returned, its descriptor
 * stays the socket's. on_data, on_end and pauses are over; the socket goes on counting bytes, timing out, and closing:
 * muster_socket_write, _end and _destroy work, and the caller calls the last when the bufferevent tells an end or an error.
 * Its writes may raise SIGPIPE, as all of libevent's: ignore that. NULL with errno set: ENOTCONN, ENOMEM.
 */
MUSTER_API struct bufferevent *muster_socket_bufferevent(struct muster_socket *socket);

/* Whether the socket alone keeps its loop running; it does unless unref'd. */
MUSTER_API void muster_socket_ref(struct muster_socket *socket);
MUSTER_API void muster_socket_unref(struct muster_socket *socket);

/* socket.server: the server that accepted it (borrowed). NULL for other sockets, and once it is destroyed. */
MUSTER_API struct muster_server *muster_socket_server(const struct muster_socket *socket);

/* The loop it was made on (borrowed). */
MUSTER_API struct muster_loop *muster_socket_loop(const struct muster_socket *socket);

#ifdef __cplusplus
}
#endif
#endif
