/* ipc/message.h - a line of the channel to a struct: what it is, checked, before anyone acts on it. */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <muster/channel.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

enum muster__line_kind {
	MUSTER__LINE_USER = 0, /* for on_message; json may be NULL: legal on the wire, but more than jansson can hold */
	MUSTER__LINE_ACK,
	MUSTER__LINE_NACK,
	MUSTER__LINE_CLUSTER, /* NODE_CLUSTER, and NODE_MUSTER between two of us */
	MUSTER__LINE_SOCKETS, /* NODE_SOCKET_*: about connections that went over this channel */
	MUSTER__LINE_UNKNOWN, /* another NODE_ command: ignored */
};

/* The acts of NODE_CLUSTER; a reply has none. */
enum muster__act {
	MUSTER__ACT_NONE = 0,
	MUSTER__ACT_ONLINE,
	MUSTER__ACT_QUERY,
	MUSTER__ACT_LISTENING,
	MUSTER__ACT_NEWCONN,
	MUSTER__ACT_CLOSE,
	MUSTER__ACT_DISCONNECT,
	MUSTER__ACT_EXITED_AFTER_DISCONNECT,
	MUSTER__ACT_ROOM,      /* NODE_MUSTER: a worker that had refused, or the primary waits for, has room again */
	MUSTER__ACT_STOP,      /* NODE_MUSTER: flush what is queued and end */
	MUSTER__ACT_LOG,       /* NODE_MUSTER: how to log; with a descriptor: it is standard error from now on */
	MUSTER__ACT_HELLO,     /* NODE_MUSTER: a child that was told that its parent is one of us is so as well */
	MUSTER__ACT_READY,     /* NODE_MUSTER: the worker says that it is */
	MUSTER__ACT_GET_COUNT, /* NODE_SOCKET_*: how many of these have you open? So many. Tell me when none is. None is. */
	MUSTER__ACT_COUNT,
	MUSTER__ACT_NOTIFY_CLOSE,
	MUSTER__ACT_ALL_CLOSED,
};

struct muster__line {
	enum muster__line_kind kind;
	bool is_handle; /* it came in a NODE_HANDLE: a descriptor belongs to it, and an ACK or NACK is due */
	enum muster_handle_type handle_type; /* what the sender calls it */
	enum muster__act act;
	bool has_ack, has_accepted, accepted;
	uint64_t ack, seq;
	unsigned count;  /* of ACT_COUNT */
	const char *key; /* not terminated; borrowed from the text or the json. Of a user's: its socket's, or NULL */
	size_t key_length;
	const char *unread; /* of a user's: bytes of its socket that were read before it was sent, in base64; or NULL */
	size_t unread_length;
	const char *ends; /* of a user's: the addresses of its socket, as a PROXY header in base64; or NULL */
	size_t ends_length;
	const char *text; /* the line, borrowed */
	size_t length;
	struct json_t *json; /* the message itself, out of its wrapping; NULL for the few lines known by their shape */
	struct json_t *root; /* owns `json` */
};

/* Decode one line without its newline. Never fails: what is no JSON at all is told by the return value -EBADMSG. */
int muster__line_decode(struct muster__line *line, const char *text, size_t length);
void muster__line_clear(struct muster__line *line);

#endif
