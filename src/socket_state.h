/* src/socket_state.h - what a socket is at this moment: its descriptor, what it watches, how it comes to its end. */
#ifndef SRC_SOCKET_STATE_H
#define SRC_SOCKET_STATE_H

#include "src/handlers.h"
#include "src/lifecycle.h"
#include "src/tune.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <muster/socket.h>

struct bufferevent;
struct evbuffer;
struct muster__census;
struct muster__connect;
struct muster__decoder;
struct muster__idle;
struct muster__output;
struct muster__proxy;

/* Whoever counts a socket: told once, when it is destroyed. */
struct muster__owner {
	void (*gone)(struct muster__owner *owner, const struct muster_socket *socket);
	struct muster__census *census; /* where those that are sent to other processes are counted; or NULL */
};

/* Why reading stands still. */
enum { MUSTER__PAUSED_BY_USER = 1, MUSTER__PAUSED_BY_PIPE = 2 };

/* What a socket watches its descriptor for. */
enum muster__watch { MUSTER__WATCH_NOTHING = 0, MUSTER__WATCH_INPUT, MUSTER__WATCH_HANGUP };

/* The class of sockets, and what is called when there is input. */
struct muster__socket_class {
	struct muster__class object;
	event_callback_fn on_input;
};

/* The addresses of a connection that a proxy speaks for. */
struct muster__ends {
	struct muster_address local, remote;
};

/* What few sockets have at a time: an idle connection does not pay for it. */
struct muster__rare {
	struct muster__connect *connect;      /* while connecting, and as long as what was tried may be asked for */
	struct muster__idle *idle;            /* once a time-out was set */
	struct muster__decoder *decoder;      /* once an encoding was set */
	struct muster__decoder *spent;        /* one that was replaced, maybe by the handler of its own text */
	struct bufferevent *bufferevent;      /* the user's, who does all input and output */
	struct muster_error *error;           /* on_error is due with it */
	struct evbuffer *unread;              /* bytes that were given back; never empty */
	struct muster__ends *ends;            /* what a proxy said about the connection */
	uint64_t visitor;                     /* what its address is counted as; 0: it is not */
	struct muster__keep_alive keep_alive; /* wishes for the connection to come */
	unsigned short type_of_service;       /* plus one; 0: none */
};

struct muster_socket {
	struct muster__object object;
	struct muster__listeners on;
	struct event read;
	struct muster__owner *owner;   /* until it is destroyed */
	struct muster__output *output; /* while something is queued or a completion is due */
	struct muster__rare *rare;     /* never NULL; read it freely, write through muster__socket_rare */
	uint64_t bytes_read, bytes_written;
	size_t high_water_mark;
	int fd; /* -1 before and after the connection */
	unsigned row;
	unsigned short corked; /* so many times */
	unsigned char paused;  /* reason bits */
	unsigned char watch;   /* enum muster__watch */
	bool allow_half_open : 1;
	bool no_read : 1;    /* the incoming side was never there */
	bool no_write : 1;   /* the outgoing side was never there */
	bool readable : 1;   /* the peer has not ended */
	bool ended : 1;      /* end was called */
	bool finished : 1;   /* ... and all is sent */
	bool finish_due : 1; /* on_finish has not been delivered */
	bool connecting : 1;
	bool connected_due : 1;
	bool destroyed : 1;
	bool destroy_soon : 1;
	bool by_path : 1;   /* it is, or was, on its way to a path */
	bool reset_due : 1; /* once it is connected */
	bool had_error : 1;
	bool no_delay : 1; /* wishes for the connection to come */
	bool keep_alive : 1;
};

#define MUSTER__SOCKET_EMIT(socket, event, ...)                                                                        \
	MUSTER__EMIT(&(socket)->on, struct muster_socket_handlers, event, __VA_ARGS__)

/* What every socket has until it needs more: nothing. */
extern const struct muster__rare muster__nothing_rare;

/* To write to; NULL: no memory. */
struct muster__rare *muster__socket_rare(struct muster_socket *socket);

/* A connection, or the way to one, begins: the state of an earlier one is gone, the socket is open. */
void muster__socket_begin(struct muster_socket *socket);

/* Bytes that have been written and not sent, wherever they wait. */
size_t muster__socket_unsent(const struct muster_socket *socket);

/* Somebody takes input now. */
bool muster__socket_wants_input(const struct muster_socket *socket);

/* Watch for what the state asks for: input, a hang-up, nothing. The second is for the end of a turn. */
void muster__socket_watch(struct muster_socket *socket);
void muster__socket_settle_watch(struct muster_socket *socket);
/* Before output is queued: the watch for a hang-up must be gone. */
void muster__socket_ignore_hangup(struct muster_socket *socket);
void muster__socket_hold(struct muster_socket *socket, unsigned reason);
void muster__socket_release(struct muster_socket *socket, unsigned reason);

/* The connection failed: on_error, on_close. Without an address: in this call. */
void muster__socket_fail_with(struct muster_socket *socket, const struct muster_error *error);
void muster__socket_fail(struct muster_socket *socket, int err, const char *call);

/* All that was written is sent, and end was called: FIN, on_finish, and the end if the peer has ended too. */
void muster__socket_finish(struct muster_socket *socket);

/* Its addresses are those that the proxy told. -ENOMEM. */
int muster__socket_set_ends(struct muster_socket *socket, const struct muster__proxy *proxy);
/* These, as a header again, of at most MUSTER__PROXY_WRITTEN_MAX bytes. Returns its length; 0: no proxy told any. */
size_t muster__socket_write_ends(const struct muster_socket *socket, char *out);
/* Its address is counted: its owner is told when it is gone. -ENOMEM. */
int muster__socket_set_visitor(struct muster_socket *socket, uint64_t visitor);

/* No idle time-out. */
void muster__socket_stop_idle(struct muster_socket *socket);

/* on_close has returned, or another connection begins. */
void muster__socket_free_bufferevent(struct muster_socket *socket);

/* Close the descriptor and all that hangs on it. What is still to be told is told by the turn. */
void muster__socket_let_go(struct muster_socket *socket);

#endif
