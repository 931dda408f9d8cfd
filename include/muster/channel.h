/* muster/channel.h - messages between a primary and its workers: JSON, and descriptors beside it. */
#ifndef MUSTER_CHANNEL_H
#define MUSTER_CHANNEL_H

#include <muster/export.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_t;
struct muster__post;
struct muster_loop;
struct muster_server;
struct muster_socket;

/* What travels with a message. */
enum muster_handle_type {
	MUSTER_HANDLE_NONE = 0,
	MUSTER_HANDLE_SOCKET, /* a connected muster_socket: Node's net.Socket; with it goes what was given back to it */
	MUSTER_HANDLE_FD,     /* a bare TCP, UNIX stream or pipe descriptor: Node's net.Native */
	MUSTER_HANDLE_SERVER, /* a listening muster_server: Node's net.Server; both sides accept from then on */
};

/*
 * A message, sent or received. Received, everything in it is borrowed until the handler returns, and a handle is closed then
 * unless it was taken; `handle_type` is what the sender calls it, and each of the take functions serves. A message that is
 * legal JSON but more than jansson can hold has `text` and no `json`; with a handle `text` is the whole line on the wire.
 */
struct muster_message {
	struct json_t *json; /* the value; to send, borrowed; NULL: send `text`, ready-made JSON on one line */
	const char *text;
	size_t length;
	enum muster_handle_type handle_type;
	union {
		struct muster_socket *socket; /* to send; given away if sending succeeds, else still the caller's */
		struct muster_server *server; /* to send; it stays the caller's and goes on listening */
		int fd;                       /* to send, taken in every case; received: for the functions below */
	} handle;
	bool keep_open; /* to send: a duplicate of the socket goes, and it stays the caller's */
	/* To send: called once with 0 when all of it is with the kernel, or why it never will be; not from inside the call. */
	void (*on_sent)(int err, void *data);
	void *data;                /* for on_sent */
	struct muster__post *post; /* received: the library's own, for the functions below */
};

/*
 * The received descriptor, now the caller's; -ENOENT if none came or it was taken. Bytes that were read from it before it
 * was sent come only to a socket: see muster_message_take_socket.
 */
MUSTER_API int muster_message_take_fd(struct muster_message *message);

/*
 * The same as an open socket on `loop`; its first on_data has what its sender had read and given back
 * (muster_socket_unshift), and its addresses are those that a PROXY header had told its sender. Both go to processes of
 * muster's alone: to Node the addresses are lost. On the loop of the channel it is counted for the server it came from,
 * which may be in another process: see muster_server_get_connections. NULL with errno set; the descriptor is closed then.
 */
MUSTER_API struct muster_socket *muster_message_take_socket(struct muster_message *message, struct muster_loop *loop);

/* The same as a server on `loop` that is about to listen: add handlers at once. NULL with errno set; it is closed then. */
MUSTER_API struct muster_server *muster_message_take_server(struct muster_message *message, struct muster_loop *loop);

struct muster_channel;

struct muster_channel_handlers {
	void (*on_message)(struct muster_channel *channel, struct muster_message *message, void *data);
	/* The end, whoever wanted it. A channel of one's own is freed when this returns. */
	void (*on_disconnect)(struct muster_channel *channel, void *data);
	/* It had been full, and takes more now. */
	void (*on_drain)(struct muster_channel *channel, void *data);
};

/*
 * Speak Node's channel on a connected UNIX stream socket, taken in every case: one's own end of a socket pair, the other
 * with a child. It keeps the loop running. NULL with errno set: EINVAL (no such socket), ENOMEM.
 */
MUSTER_API struct muster_channel *muster_channel_open(struct muster_loop *loop, int fd);

/*
 * The channel to the parent that started this process with one (NODE_CHANNEL_FD, which is taken out of the environment), be
 * it muster's or Node's: process.channel. It keeps the loop running while someone listens to on_message or on_disconnect.
 * NULL with errno set: ENOENT (there is none), ENOTSUP (it does not speak JSON), ENOMEM.
 */
MUSTER_API struct muster_channel *muster_channel_from_env(struct muster_loop *loop);

/* Add a table of handlers; -ENOMEM, -E2BIG. Take the last equal pair away; -ENOENT. */
MUSTER_API int muster_channel_on_sized(struct muster_channel *channel, const struct muster_channel_handlers *handlers,
				       size_t size, void *data);
MUSTER_API int muster_channel_off_sized(struct muster_channel *channel, const struct muster_channel_handlers *handlers,
					size_t size, void *data);

static inline int muster_channel_on(struct muster_channel *channel, const struct muster_channel_handlers *handlers,
				    void *data)
{
	return muster_channel_on_sized(channel, handlers, sizeof *handlers, data);
}

static inline int muster_channel_off(struct muster_channel *channel, const struct muster_channel_handlers *handlers,
				     void *data)
{
	return muster_channel_off_sized(channel, handlers, sizeof *handlers, data);
}

/*
 * process.send, subprocess.send. 0: it is queued, and a handle in it is given away. MUSTER_ECHANNEL, -ENOBUFS (the peer does
 * not read), -EINVAL (no message, text with a newline), -EBUSY (the socket has output queued), MUSTER_EHANDLETYPE,
 * -ENOTSUP (the socket has bytes that were given back to it, and the other side is not one of muster's: they would be lost),
 * -EMSGSIZE (more than 4 MiB of them), -ENOMEM.
 */
MUSTER_API int muster_channel_send_sized(struct muster_channel *channel, const struct muster_message *message,
					 size_t size);

static inline int muster_channel_send(struct muster_channel *channel, const struct muster_message *message)
{
	return muster_channel_send_sized(channel, message, sizeof *message);
}

/* Send what is queued, then close; on_disconnect follows. MUSTER_ECHANNEL if it is closed. */
MUSTER_API int muster_channel_disconnect(struct muster_channel *channel);
MUSTER_API bool muster_channel_is_connected(const struct muster_channel *channel);

/* More than 128 KiB are queued; on_drain will come. */
MUSTER_API bool muster_channel_needs_drain(const struct muster_channel *channel);

/* No message is sent while more than so many bytes would be queued: -ENOBUFS. 0 and at most is 64 MiB. */
MUSTER_API void muster_channel_set_max_queued(struct muster_channel *channel, size_t bytes);

/* Whether the channel alone keeps its loop running. */
MUSTER_API void muster_channel_ref(struct muster_channel *channel);
MUSTER_API void muster_channel_unref(struct muster_channel *channel);

/* The loop it was made on (borrowed). */
MUSTER_API struct muster_loop *muster_channel_loop(const struct muster_channel *channel);

#ifdef __cplusplus
}
#endif
#endif
