/*
 * net.Socket: its life and its incoming side. Input is read into the loop's buffer and handed on, so an idle socket holds no
 * buffer at all. What is watched is derived anew from the state after each change, by one function.
 *
 * Promises: on_error at most once, on_close once and last, neither from inside a call; the descriptor leaves epoll before
 * it is closed, since a primary's copy of it may keep the registration alive.
 */
#include "src/socket.h"

#include "src/address.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/log.h"
#include "src/server.h"
#include "src/sized.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct muster_socket *socket_of(struct muster__object *object)
{
	return MUSTER__CONTAINER(object, struct muster_socket, object);
}

static void leave_server(struct muster_socket *socket)
{
	struct muster_server *server = socket->server;

	socket->server = NULL;
	if (server != NULL)
		muster__server_connection_gone(server, socket->row);
}

/* Close the descriptor and all that hangs on it. What is still to be told is told by the turn. */
static void let_go(struct muster_socket *socket)
{
	socket->connected_due = socket->finish_due = false;
	muster__connect_cancel(socket);
	muster__output_stop(socket, MUSTER_EDESTROYED);
	muster__event_del(socket->object.loop, &socket->read);
	socket->watch = MUSTER__WATCH_NOTHING;
	muster__fd_close(&socket->fd);
	muster__idle_free(socket);
	leave_server(socket);
}

static void emit_error(struct muster_socket *socket)
{
	struct muster_error *error = socket->error;
	char text[256];

	socket->error = NULL;
	if (MUSTER__HAVE(&socket->on, struct muster_socket_handlers, on_error)) {
		MUSTER__SOCKET_EMIT(socket, on_error, socket, error);
	} else {
		muster_error_format(error, text, sizeof text);
		muster__log(MUSTER_LOG_WARN, "socket: %s", text);
	}
	free(error);
}

static void emit_close(struct muster_socket *socket)
{
	bool had_error = socket->had_error;

	socket->had_error = false;
	MUSTER__SOCKET_EMIT(socket, on_close, socket, had_error);
}

static void emit_connected(struct muster_socket *socket)
{
	socket->connected_due = false;
	MUSTER__SOCKET_EMIT(socket, on_connect, socket);
	if (!socket->destroyed)
		MUSTER__SOCKET_EMIT(socket, on_ready, socket);
	if (!socket->destroyed)
		muster__output_start(socket);
	muster__socket_watch(socket);
}

static void emit_finish(struct muster_socket *socket)
{
	socket->finish_due = false;
	MUSTER__SOCKET_EMIT(socket, on_finish, socket);
	if (!socket->destroyed && (!socket->readable || socket->destroy_soon))
		muster_socket_destroy(socket, 0);
}

static void settle_watch(struct muster_socket *socket);

static void socket_turn(struct muster__object *object)
{
	struct muster_socket *socket = socket_of(object);

	if (socket->connected_due)
		emit_connected(socket);
	muster__output_complete(socket);
	if (socket->finish_due)
		emit_finish(socket);
	settle_watch(socket);
	if (object->life == MUSTER__CLOSING && socket->error != NULL)
		emit_error(socket);
	if (object->life != MUSTER__CLOSING)
		return;
	muster__object_ending(object);
	emit_close(socket);
	muster__object_ended(object);
}

static void socket_abandon(struct muster__object *object)
{
	struct muster_socket *socket = socket_of(object);
	bool opened = object->life != MUSTER__FRESH;

	socket->destroyed = true;
	let_go(socket);
	muster__output_complete(socket);
	if (opened)
		emit_close(socket);
}

static void socket_free(struct muster__object *object)
{
	struct muster_socket *socket = socket_of(object);

	muster__output_free(socket);
	muster__idle_free(socket);
	free(socket->error);
	muster__listeners_clear(&socket->on);
	free(socket);
}

static const struct muster__class socket_class = { "socket", socket_turn, socket_abandon, socket_free };

static struct muster_socket *socket_new(struct muster_loop *loop)
{
	struct muster_socket *socket;

	if (loop->freeing)
		return muster__no_object(MUSTER_ECLOSED);
	socket = calloc(1, sizeof *socket);
	if (socket == NULL)
		return muster__no_object(-ENOMEM);
	socket->fd = -1;
	socket->high_water_mark = MUSTER__HIGH_WATER_MARK;
	muster__object_init(&socket->object, loop, &socket_class);
	return socket;
}

static struct muster_socket *socket_with(struct muster_loop *loop, const struct muster_socket_options *options,
					 size_t size)
{
	struct muster_socket_options mine;
	struct muster_socket *socket;

	if (muster__sized_copy(&mine, sizeof mine, options, size) < 0)
		return muster__no_object(-E2BIG);
	socket = socket_new(loop);
	if (socket == NULL)
		return NULL;
	socket->allow_half_open = mine.allow_half_open;
	socket->no_read = mine.no_read;
	socket->no_write = mine.no_write;
	if (mine.high_water_mark != 0)
		socket->high_water_mark = mine.high_water_mark;
	return socket;
}

struct muster_socket *muster_socket_new_sized(struct muster_loop *loop, const struct muster_socket_options *options,
					      size_t size)
{
	struct muster_socket *socket = socket_with(loop, options, size);

	if (socket != NULL)
		socket->no_read = socket->no_write = false;
	return socket;
}

static void on_input(evutil_socket_t fd, short what, void *data);
static void on_hangup(evutil_socket_t fd, short what, void *data);

/* A new life: both sides are there, unless the user said otherwise, and nothing of an earlier connection is left. */
void muster__socket_begin(struct muster_socket *socket)
{
	socket->bytes_read = socket->bytes_written = 0;
	socket->readable = !socket->no_read;
	socket->ended = socket->finished = socket->no_write;
	socket->finish_due = socket->connected_due = false;
	socket->destroyed = socket->destroy_soon = socket->had_error = false;
	free(socket->error);
	socket->error = NULL;
	muster__object_open(&socket->object);
}

struct muster_socket *muster_socket_open_sized(struct muster_loop *loop, int fd,
					       const struct muster_socket_options *options, size_t size)
{
	struct muster_socket *socket;
	int err = muster__fd_check_stream(fd);

	if (err == 0)
		err = muster__fd_prepare(fd);
	if (err < 0) {
		muster__fd_close(&fd);
		return muster__no_object(err);
	}
	socket = socket_with(loop, options, size);
	if (socket == NULL) {
		muster__fd_close(&fd);
		return NULL;
	}
	socket->fd = fd;
	muster__socket_begin(socket);
	muster__object_wake(&socket->object);
	return socket;
}

static void apply_wishes(struct muster_socket *socket)
{
	if (socket->no_delay)
		muster_socket_set_no_delay(socket, true);
	if (socket->keep_alive)
		muster_socket_set_keep_alive(socket, true, socket->keep_alive_delay_ms);
}

struct muster_socket *muster__socket_accepted(struct muster_server *server, int fd,
					      const struct muster_server_options *options, unsigned row)
{
	struct muster_socket *socket = socket_new(muster_server_loop(server));

	if (socket == NULL) {
		muster__fd_close(&fd);
		return NULL;
	}
	socket->server = server;
	socket->row = row;
	socket->allow_half_open = options->allow_half_open;
	socket->paused = options->pause_on_connect ? MUSTER__PAUSED_BY_USER : 0;
	socket->no_delay = options->no_delay;
	socket->keep_alive = options->keep_alive;
	socket->keep_alive_delay_ms = options->keep_alive_delay_ms;
	if (options->high_water_mark != 0)
		socket->high_water_mark = options->high_water_mark;
	socket->fd = fd;
	muster__socket_begin(socket);
	apply_wishes(socket);
	/* The watch begins with the handlers: at the latest when this turn ends. */
	muster__object_wake(&socket->object);
	return socket;
}

/* `server` NULL: every socket of the loop. */
static void each_socket(struct muster_loop *loop, const struct muster_server *server,
			void (*fn)(struct muster_socket *socket))
{
	struct muster__object *object, *next;

	for (object = LIST_FIRST(&loop->objects); object != NULL; object = next) {
		next = LIST_NEXT(object, link);
		if (object->class == &socket_class && (server == NULL || socket_of(object)->server == server))
			fn(socket_of(object));
	}
}

static void destroy_quietly(struct muster_socket *socket)
{
	muster_socket_destroy(socket, 0);
}

void muster__sockets_destroy(struct muster_server *server)
{
	each_socket(muster_server_loop(server), server, destroy_quietly);
}

void muster__sockets_leave(struct muster_server *server)
{
	each_socket(muster_server_loop(server), server, leave_server);
}

void muster__sockets_finish(struct muster_loop *loop)
{
	each_socket(loop, NULL, muster_socket_destroy_soon);
}

int muster_socket_on_sized(struct muster_socket *socket, const struct muster_socket_handlers *handlers, size_t size,
			   void *data)
{
	int err = muster__listeners_on(socket->object.loop, &socket->on, handlers, size, sizeof *handlers, data);

	if (err == 0)
		muster__socket_watch(socket);
	return err;
}

int muster_socket_off_sized(struct muster_socket *socket, const struct muster_socket_handlers *handlers, size_t size,
			    void *data)
{
	int err = muster__listeners_off(socket->object.loop, &socket->on, handlers, size, sizeof *handlers, data);

	if (err == 0)
		muster__socket_watch(socket);
	return err;
}

void muster__socket_connected(struct muster_socket *socket, int fd)
{
	socket->fd = fd;
	apply_wishes(socket);
	muster__socket_touch(socket);
	socket->connected_due = true;
	muster__object_wake(&socket->object);
}

static bool wants_input(const struct muster_socket *socket)
{
	return socket->fd >= 0 && !socket->destroyed && !socket->connected_due && socket->readable &&
	       socket->paused == 0 && MUSTER__HAVE(&socket->on, struct muster_socket_handlers, on_data);
}

/* Nothing is read. Queued output is watched by its own event, and a failure will show there. */
static bool wants_hangup(const struct muster_socket *socket)
{
	return socket->fd >= 0 && !socket->destroyed && !socket->connected_due && !muster__output_is_pending(socket);
}

static void set_watch(struct muster_socket *socket, enum muster__watch wanted)
{
	struct muster_loop *loop = socket->object.loop;

	if (wanted == socket->watch)
		return;
	muster__event_del(loop, &socket->read);
	socket->watch = (unsigned char)wanted;
	if (wanted == MUSTER__WATCH_NOTHING)
		return;
	/* A hang-up is seen as an edge on the outgoing side: a level would spin, for nothing is read that could clear it. */
	if (wanted == MUSTER__WATCH_INPUT)
		event_assign(&socket->read, loop->base, socket->fd, EV_READ | EV_PERSIST, on_input, socket);
	else
		event_assign(&socket->read, loop->base, socket->fd, EV_WRITE | EV_ET | EV_PERSIST, on_hangup, socket);
	if (muster__event_add(loop, &socket->read, NULL) < 0) {
		socket->watch = MUSTER__WATCH_NOTHING;
		muster__socket_fail(socket, -ENOMEM, "epoll_ctl");
	}
}

/*
 * Input is turned on and off at once. The watch for a hang-up waits for the end of the turn: most sockets that stop reading
 * are about to close, and each change is a system call.
 */
void muster__socket_watch(struct muster_socket *socket)
{
	if (wants_input(socket)) {
		set_watch(socket, MUSTER__WATCH_INPUT);
		return;
	}
	if (socket->watch == MUSTER__WATCH_INPUT || muster__output_is_pending(socket))
		set_watch(socket, MUSTER__WATCH_NOTHING);
	if (socket->watch == MUSTER__WATCH_NOTHING && wants_hangup(socket))
		muster__object_wake(&socket->object);
}

static void settle_watch(struct muster_socket *socket)
{
	if (!wants_input(socket) && wants_hangup(socket))
		set_watch(socket, MUSTER__WATCH_HANGUP);
	else
		muster__socket_watch(socket);
}

static void peer_ended(struct muster_socket *socket)
{
	socket->readable = false;
	muster__socket_watch(socket);
	MUSTER__SOCKET_EMIT(socket, on_end, socket);
	if (socket->destroyed)
		return;
	if (!socket->allow_half_open && !socket->ended)
		muster_socket_end(socket);
	else if (socket->finished && !socket->finish_due)
		muster_socket_destroy(socket, 0);
}

static void on_input(evutil_socket_t fd, short what, void *data)
{
	struct muster_socket *socket = data;
	char *buffer = muster__loop_buffer(socket->object.loop);
	ssize_t length;

	(void)what;
	if (buffer == NULL) {
		muster__socket_fail(socket, -ENOMEM, "read");
		return;
	}
	length = recv(fd, buffer, MUSTER__READ_SIZE, 0);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	muster__socket_touch(socket);
	if (length < 0) {
		muster__socket_fail(socket, -errno, "read");
	} else if (length == 0) {
		peer_ended(socket);
	} else {
		socket->bytes_read += (uint64_t)length;
		MUSTER__SOCKET_EMIT(socket, on_data, socket, buffer, (size_t)length);
	}
}

/*
 * Nothing is being read. A reset ends the socket at once; a plain hang-up (both sides have ended) only when nobody would
 * ever read what may still be waiting.
 */
static void on_hangup(evutil_socket_t fd, short what, void *data)
{
	struct muster_socket *socket = data;
	struct pollfd look = { .fd = fd };
	int err = 0;
	socklen_t length = sizeof err;

	(void)what;
	if (poll(&look, 1, 0) <= 0 || !(look.revents & (POLLERR | POLLHUP)))
		return;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length);
	if (err != 0)
		muster__socket_fail(socket, -err, "read");
	else if (!MUSTER__HAVE(&socket->on, struct muster_socket_handlers, on_data))
		muster_socket_destroy(socket, 0);
}

/* Without memory for the error the socket still closes, and says that it had one. */
void muster__socket_fail_at(struct muster_socket *socket, int err, const char *call,
			    const struct muster_address *address)
{
	if (socket->destroyed)
		return;
	socket->error = calloc(1, sizeof *socket->error);
	if (socket->error != NULL) {
		socket->error->code = err;
		socket->error->call = call;
		if (address != NULL)
			socket->error->address = *address;
	}
	muster_socket_destroy(socket, 0);
	socket->had_error = true;
}

void muster__socket_fail(struct muster_socket *socket, int err, const char *call)
{
	muster__socket_fail_at(socket, err, call, NULL);
}

void muster_socket_destroy(struct muster_socket *socket, int err)
{
	if (socket->destroyed)
		return;
	if (err < 0) {
		muster__socket_fail(socket, err, NULL);
		return;
	}
	socket->destroyed = true;
	let_go(socket);
	muster__object_close(&socket->object);
}

void muster_socket_destroy_soon(struct muster_socket *socket)
{
	socket->destroy_soon = true;
	if (!socket->ended)
		muster_socket_end(socket);
	if (socket->fd >= 0 && socket->finished && !socket->finish_due)
		muster_socket_destroy(socket, 0);
	else if (socket->object.life == MUSTER__FRESH)
		muster_socket_destroy(socket, 0);
}

void muster__socket_finish(struct muster_socket *socket)
{
	socket->finished = socket->finish_due = true;
	/* Closing sends the FIN as well, and it comes next when the peer has ended already. */
	if (socket->readable && !socket->destroy_soon && shutdown(socket->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
		muster__socket_fail(socket, -errno, "shutdown");
		return;
	}
	muster__object_wake(&socket->object);
}

void muster__socket_hold(struct muster_socket *socket, unsigned reason)
{
	socket->paused |= (unsigned char)reason;
	muster__socket_watch(socket);
}

void muster__socket_release(struct muster_socket *socket, unsigned reason)
{
	socket->paused &= (unsigned char)~reason;
	muster__socket_watch(socket);
}

void muster_socket_pause(struct muster_socket *socket)
{
	muster__socket_hold(socket, MUSTER__PAUSED_BY_USER);
}

void muster_socket_resume(struct muster_socket *socket)
{
	muster__socket_release(socket, MUSTER__PAUSED_BY_USER);
}

bool muster_socket_is_paused(const struct muster_socket *socket)
{
	return socket->paused & MUSTER__PAUSED_BY_USER;
}

static bool is_tcp(const struct muster_socket *socket)
{
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;

	getsockopt(socket->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	return domain == AF_INET || domain == AF_INET6;
}

static int set_option(const struct muster_socket *socket, int level, int name, int value)
{
	return setsockopt(socket->fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int muster_socket_set_no_delay(struct muster_socket *socket, bool on)
{
	socket->no_delay = on;
	if (socket->fd < 0 || !is_tcp(socket))
		return 0;
	return set_option(socket, IPPROTO_TCP, TCP_NODELAY, on);
}

/* Interval and count are Node's. A delay under a second would be refused by the kernel; it becomes one. */
int muster_socket_set_keep_alive(struct muster_socket *socket, bool on, unsigned delay_ms)
{
	int err, seconds = delay_ms >= 1000 ? (int)(delay_ms / 1000) : 1;

	socket->keep_alive = on;
	socket->keep_alive_delay_ms = delay_ms;
	if (socket->fd < 0 || !is_tcp(socket))
		return 0;
	err = set_option(socket, SOL_SOCKET, SO_KEEPALIVE, on);
	if (err < 0 || !on)
		return err;
	if (delay_ms != 0)
		err = set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
	if (err == 0)
		err = set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	return err < 0 ? err : set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 10);
}

int muster_socket_local_address(struct muster_socket *socket, struct muster_address *out)
{
	return socket->fd < 0 ? -ENOTCONN : muster__address_local(out, socket->fd);
}

int muster_socket_remote_address(struct muster_socket *socket, struct muster_address *out)
{
	return socket->fd < 0 ? -ENOTCONN : muster__address_remote(out, socket->fd);
}

uint64_t muster_socket_bytes_read(const struct muster_socket *socket)
{
	return socket->bytes_read;
}

uint64_t muster_socket_bytes_written(const struct muster_socket *socket)
{
	return socket->bytes_written;
}

size_t muster_socket_buffered(const struct muster_socket *socket)
{
	return muster__output_length(socket);
}

size_t muster_socket_high_water_mark(const struct muster_socket *socket)
{
	return socket->high_water_mark;
}

enum muster_ready_state muster_socket_ready_state(const struct muster_socket *socket)
{
	if (socket->connect != NULL)
		return MUSTER_READY_OPENING;
	if (socket->fd < 0)
		return MUSTER_READY_CLOSED;
	if (socket->readable)
		return socket->ended ? MUSTER_READY_READ_ONLY : MUSTER_READY_OPEN;
	return socket->ended ? MUSTER_READY_CLOSED : MUSTER_READY_WRITE_ONLY;
}

bool muster_socket_is_connecting(const struct muster_socket *socket)
{
	return socket->connect != NULL || socket->connected_due;
}

bool muster_socket_is_pending(const struct muster_socket *socket)
{
	return socket->fd < 0 || socket->connected_due;
}

bool muster_socket_is_destroyed(const struct muster_socket *socket)
{
	return socket->destroyed;
}

int muster_socket_fd(const struct muster_socket *socket)
{
	return socket->fd;
}

int muster_socket_take_fd(struct muster_socket *socket)
{
	int fd = socket->fd;

	if (fd < 0 || socket->destroyed)
		return -ENOTCONN;
	if (muster__output_is_pending(socket))
		return -EBUSY;
	/* Out of epoll first: the descriptor lives on elsewhere, and so would the registration. */
	muster__event_del(socket->object.loop, &socket->read);
	socket->fd = -1;
	muster_socket_destroy(socket, 0);
	return fd;
}

void muster_socket_ref(struct muster_socket *socket)
{
	muster__object_ref(&socket->object);
}

void muster_socket_unref(struct muster_socket *socket)
{
	muster__object_unref(&socket->object);
}

struct muster_loop *muster_socket_loop(const struct muster_socket *socket)
{
	return socket->object.loop;
}
