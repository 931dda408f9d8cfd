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
struct muster_loop;
struct muster_server;
struct muster_socket;

/* What travels with a message. */
enum muster_handle_type {
	MUSTER_HANDLE_NONE = 0,
	MUSTER_HANDLE_SOCKET, /* a connected muster_socket: Node's net.Socket */
	MUSTER_HANDLE_FD,     /* a bare TCP, UNIX stream or pipe descriptor: Node's net.Native */
	MUSTER_HANDLE_SERVER, /* a listening muster_server: Node's net.Server; both sides accept from then on */
};

/*
 * A message, sent or received. Received, everything in it is borrowed until the handler returns, and a handle is closed then
 * unless it was taken; `handle_type` is what the sender calls it, and each of the take functions serves. A message that is
 * legal JSON but more than jansson can hold has `text` and no `json`.
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
	void *data; /* for on_sent */
};

/* The received descriptor, now the caller's; -ENOENT if none came or it was taken. */
MUSTER_API int muster_message_take_fd(struct muster_message *message);

/* The same as an open socket on `loop`. NULL with errno set; the descriptor is closed then. */
MUSTER_API struct muster_socket *muster_message_take_socket(struct muster_message *message, struct muster_loop *loop);

/* The same as a server on `loop` that is about to listen: add handlers at once. NULL with errno set; it is closed then. */
MUSTER_API struct muster_server *muster_message_take_server(struct muster_message *message, struct muster_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
