/*
 * ipc/protocol.h - everything the primary and its workers say to each other, on one page.
 *
 *   message                 direction  answer
 *   online                  W -> P     -
 *   queryServer             W -> P     reply: errno, key, sockname; with a descriptor to accept on
 *   listening               W -> P     -
 *   newconn + descriptor    P -> W     ACK, then accepted: true or false
 *   close                   W -> P     -
 *   disconnect              P -> W     - (the worker leaves and closes the channel)
 *   exitedAfterDisconnect   W -> P     reply without members
 *   room                    W -> P     -        } NODE_MUSTER: only to a peer whose online message
 *   ready                   W -> P     -        } carried "muster"
 *   stop                    P -> W     -        }
 *   log                     P -> W     -        } (level and format; with a descriptor: its standard error from now on)
 */
#ifndef IPC_PROTOCOL_H
#define IPC_PROTOCOL_H

#include <muster/address.h>
#include <muster/server.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;
struct muster__channel;

#define MUSTER__PROTOCOL_VERSION 1
#define MUSTER__KEY_MAX 200

/* What a worker asks to listen on. Strings are borrowed. */
struct muster__query {
	const char *address; /* NULL is every address; or the path */
	int port;            /* -1 with a path */
	int family;          /* 4 or 6 as said, -1 a path, 0 a descriptor of the primary's */
	int fd;              /* -1 unless a descriptor is asked for */
	unsigned index;      /* how many servers of this worker asked for the same address before */
	int backlog;
	bool ipv6_only, readable_all, writable_all;
	enum muster_policy policy;
	bool no_accept; /* others accept on the socket: it is shared, and nobody is handed what is queued there */
	bool no_delay, keep_alive;
	unsigned keep_alive_delay_ms, defer_accept_ms, fast_open;
	const struct json_t *data; /* echoed to all who ask for the same */
};

/* What the primary answers. */
struct muster__reply {
	int err; /* 0 or negative */
	const char *key;
	bool has_sockname;
	struct muster_address sockname;
	unsigned row;             /* of the scoreboard */
	unsigned rotate_every;    /* shared: see src/acceptor.h */
	unsigned max_connections; /* shared: of this listener, over all workers */
	unsigned worker_max;      /* of this worker's connections, all listeners */
	bool alone;               /* the socket is this worker's own: no rotation */
	bool drops;               /* what is over a limit, instead of letting it wait */
};

/* The key by which everybody names a listener: the same question of another worker gives the same key. */
void muster__query_key(const struct muster__query *query, char key[MUSTER__KEY_MAX]);

/* -EINVAL if it is not the question of any worker. */
int muster__query_decode(struct muster__query *query, const struct json_t *json);
int muster__reply_decode(struct muster__reply *reply, const struct json_t *json);
/* The address a `listening` message names. */
void muster__listening_address(struct muster_address *address, const struct json_t *json);

/* The first query's data outlives it: one holder more, one less. NULL is fine. */
struct json_t *muster__data_keep(const struct json_t *data);
void muster__data_drop(struct json_t *data);
/* As it is sent: bytes. */
size_t muster__data_size(const struct json_t *data);

/* Does this online message come from one of us? */
bool muster__online_is_muster(const struct json_t *json);

/* Each sends one line; negative as muster__channel_print. */
int muster__send_online(struct muster__channel *channel, uint64_t seq);
int muster__send_query(struct muster__channel *channel, const struct muster__query *query, uint64_t seq);
int muster__send_listening(struct muster__channel *channel, const struct muster__query *query, unsigned port,
			   uint64_t seq);
/* `fd` not -1: to accept on; it is duplicated. */
int muster__send_reply(struct muster__channel *channel, const struct muster__reply *reply, const struct json_t *data,
		       int fd, bool to_muster, uint64_t ack, uint64_t seq);
int muster__send_act(struct muster__channel *channel, const char *act, uint64_t seq);
int muster__send_room(struct muster__channel *channel);
int muster__send_ready(struct muster__channel *channel);
int muster__send_stop(struct muster__channel *channel);
/* That it is to log as we do; `fd` not -1: there, it is duplicated. */
int muster__send_log(struct muster__channel *channel, int fd);
/* At the other end. What it does not say, or is no value, stays as it is. */
void muster__log_apply(const struct json_t *json);
int muster__send_close(struct muster__channel *channel, const char *key, uint64_t seq);
int muster__send_plain_reply(struct muster__channel *channel, uint64_t ack, uint64_t seq);
int muster__send_accepted(struct muster__channel *channel, uint64_t ack, bool accepted, uint64_t seq);

/* Hand a connection over, now or not at all: see muster__channel_try. */
int muster__try_newconn(struct muster__channel *channel, const char *key, int fd, uint64_t seq);

#endif
