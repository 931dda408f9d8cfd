/* src/socket.h - net.Socket from the inside: shared by socket.c (life, reading), output.c (writing) and connect.c. */
#ifndef SRC_SOCKET_H
#define SRC_SOCKET_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <muster/server.h>
#include <muster/socket.h>

#include "src/handlers.h"
#include "src/lifecycle.h"

struct muster__connect;
struct muster__idle;
struct muster__output;

/* Why reading stands still. */
enum { MUSTER__PAUSED_BY_USER = 1, MUSTER__PAUSED_BY_PIPE = 2 };

/* What a socket watches its descriptor for. */
enum muster__watch { MUSTER__WATCH_NOTHING = 0, MUSTER__WATCH_INPUT, MUSTER__WATCH_HANGUP };

struct muster_socket {
	struct muster__object object;
	struct muster__listeners on;
	struct event read;
	struct muster_server *server;     /* whose connection it is, until it is destroyed */
	struct muster__output *output;    /* while something is queued or a completion is due */
	struct muster__connect *connect;  /* while connecting */
	struct muster__idle *idle;        /* once a time-out was set */
	uint64_t bytes_read, bytes_written;
	size_t high_water_mark;
	unsigned row;         /* where the counting operations counted it */
	int fd;               /* -1 before and after the connection */
	struct muster_error *error; /* on_error is due with it */
	unsigned char paused; /* reason bits */
	unsigned char watch;  /* enum muster__watch */
	bool allow_half_open : 1;
	bool no_read : 1;      /* the incoming side was never there */
	bool no_write : 1;     /* the outgoing side was never there */
	bool readable : 1;     /* the peer has not ended */
	bool ended : 1;        /* end was called */
	bool finished : 1;     /* ... and all is sent */
	bool finish_due : 1;   /* on_finish has not been delivered */
	bool connected_due : 1;
	bool destroyed : 1;
	bool destroy_soon : 1;
	bool had_error : 1;
	bool no_delay : 1;     /* wishes for the connection to come */
	bool keep_alive : 1;
	unsigned keep_alive_delay_ms;
};

#define MUSTER__SOCKET_EMIT(socket, event, ...)                                                                        \
	MUSTER__EMIT(&(socket)->on, struct muster_socket_handlers, event, __VA_ARGS__)

#define MUSTER__HIGH_WATER_MARK ((size_t)64 * 1024)

/* socket.c */

/* A connection for `server`; `fd` is taken in every case. NULL: no memory. */
struct muster_socket *muster__socket_accepted(struct muster_server *server, int fd,
					      const struct muster_server_options *options, unsigned row);
/* Destroy all sockets of the server; or, when the loop is freed, only part with it. */
void muster__sockets_destroy(struct muster_server *server);
void muster__sockets_leave(struct muster_server *server);
/* muster_socket_destroy_soon for every socket of the loop. */
void muster__sockets_finish(struct muster_loop *loop);
/* A connection, or the way to one, begins: the state of an earlier one is gone, the socket is open. */
void muster__socket_begin(struct muster_socket *socket);
/* The connection is made: `fd` is taken. */
void muster__socket_connected(struct muster_socket *socket, int fd);
/* The connection failed in `call`, on the way to `address` if that is not NULL: on_error, on_close. */
void muster__socket_fail(struct muster_socket *socket, int err, const char *call);
void muster__socket_fail_at(struct muster_socket *socket, int err, const char *call,
			    const struct muster_address *address);
/* Watch for what the state asks for: input, a hang-up, nothing. */
void muster__socket_watch(struct muster_socket *socket);
void muster__socket_hold(struct muster_socket *socket, unsigned reason);
void muster__socket_release(struct muster_socket *socket, unsigned reason);
/* All that was written is sent, and end was called: FIN, on_finish, and the end if the peer has ended too. */
void muster__socket_finish(struct muster_socket *socket);
/* Traffic: the idle time starts anew. */
void muster__socket_touch(struct muster_socket *socket);

/* output.c */
bool muster__output_is_pending(const struct muster_socket *socket);
size_t muster__output_length(const struct muster_socket *socket);
/* The connection is made: send what was queued before. */
void muster__output_start(struct muster_socket *socket);
/* Deliver the completions that are due. */
void muster__output_complete(struct muster_socket *socket);
/* Drop what is queued; its completions are due with `err`. */
void muster__output_stop(struct muster_socket *socket, int err);
void muster__output_free(struct muster_socket *socket);

/* connect.c */
void muster__connect_cancel(struct muster_socket *socket);

/* idle.c */
void muster__idle_free(struct muster_socket *socket);

#endif
