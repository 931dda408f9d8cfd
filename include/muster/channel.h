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
struct muster_socket;

/* What travels with a message. */
enum muster_handle_type {
	MUSTER_HANDLE_NONE = 0,
	MUSTER_HANDLE_SOCKET, /* a connected muster_socket: Node's net.Socket */
	MUSTER_HANDLE_FD,     /* a bare TCP, UNIX stream or pipe descriptor: Node's net.Native */
};

/*
 * A message, sent or received. Received, everything in it is borrowed until the handler returns, and a handle is closed then
 * unless it was taken. A message that is legal JSON but more than jansson can hold has `text` and no `json`.
 */
struct muster_message {
	struct json_t *json; /* the value; to send, borrowed; NULL: send `text`, ready-made JSON on one line */
	const char *text;
	size_t length;
	enum muster_handle_type handle_type;
	union {
		struct muster_socket *socket; /* to send; given away if sending succeeds, else still the caller's */
		int fd;                       /* to send, taken in every case; received: for the two functions below */
	} handle;
};

/* The received descriptor, now the caller's; -ENOENT if none came or it was taken. */
MUSTER_API int muster_message_take_fd(struct muster_message *message);

/* The same as an open socket on `loop`. NULL with errno set; the descriptor is closed then. */
MUSTER_API struct muster_socket *muster_message_take_socket(struct muster_message *message, struct muster_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
