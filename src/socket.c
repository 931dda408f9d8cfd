/*
 * net.Socket: its constructors, its events and their order, its incoming side. Input is read into the loop's buffer and handed
 * on, so an idle socket holds no buffer at all.
 *
 * Promises: on_error at most once, on_close once and last, neither from inside a call.
 */
#include "src/socket.h"

#include "src/connect.h"
#include "src/encoding.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/idle.h"
#include "src/log.h"
#include "src/output.h"
#include "src/sized.h"
#include "src/socket_write.h"
#include "src/tune.h"
#include "src/unread.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HIGH_WATER_MARK ((size_t)64 * 1024)

static struct muster_socket *socket_of(struct muster__object *object)
{
	return MUSTER__CONTAINER(object, struct muster_socket, object);
}

/* ---- events */

static void emit_error(struct muster_socket *socket)
{
	struct muster_error *error = socket->rare->error;
	char text[256];

	socket->rare->error = NULL;
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

static void reset_now(struct muster_socket *socket);
static void read_again(struct muster_socket *socket);

static void emit_connected(struct muster_socket *socket)
{
	socket->connected_due = false;
	if (socket->reset_due) {
		reset_now(socket);
		return;
	}
	MUSTER__SOCKET_EMIT(socket, on_connect, socket);
	/* Destroyed by a handler it has no descriptor, even if it was sent on its way again. */
	if (socket->fd >= 0)
		MUSTER__SOCKET_EMIT(socket, on_ready, socket);
	if (socket->fd >= 0)
		muster__socket_start_writing(socket);
	muster__socket_watch(socket);
}

static void emit_finish(struct muster_socket *socket)
{
	socket->finish_due = false;
	MUSTER__SOCKET_EMIT(socket, on_finish, socket);
	if (!socket->destroyed && (!socket->readable || socket->destroy_soon))
		muster_socket_destroy(socket, 0);
}

static void free_spent(struct muster_socket *socket)
{
	if (socket->rare->spent == NULL)
		return;
	muster__decoder_free(socket->rare->spent);
	socket->rare->spent = NULL;
}

static void socket_turn(struct muster__object *object)
{
	struct muster_socket *socket = socket_of(object);

	free_spent(socket);
	if (socket->connected_due)
		emit_connected(socket);
	if (socket->rare->unread != NULL && muster__socket_wants_input(socket))
		read_again(socket);
	muster__socket_complete(socket);
	if (socket->finish_due)
		emit_finish(socket);
	muster__socket_settle_watch(socket);
	if (object->life == MUSTER__CLOSING && socket->rare->error != NULL)
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
	muster__socket_let_go(socket);
	muster__socket_complete(socket);
	if (opened)
		emit_close(socket);
}

static void socket_free(struct muster__object *object)
{
	struct muster_socket *socket = socket_of(object);

	muster__socket_free_bufferevent(socket);
	muster__output_free(socket->output);
	muster__connect_free(socket->rare->connect);
	muster__idle_free(socket->rare->idle);
	muster__decoder_free(socket->rare->decoder);
	muster__decoder_free(socket->rare->spent);
	free(socket->rare->error);
	free(socket->rare->ends);
	if (socket->rare != &muster__nothing_rare)
		free(socket->rare);
	muster__listeners_clear(&socket->on);
	free(socket);
}

static void on_input(evutil_socket_t fd, short what, void *data);

static const struct muster__socket_class socket_class = {
	.object = { "socket", socket_turn, socket_abandon, socket_free },
	.on_input = on_input,
};

/* ---- input */

/* Through the decoder, if there is one; it may hold everything back. */
static void emit_data(struct muster_socket *socket, const char *bytes, size_t length)
{
	char *text;

	if (socket->rare->decoder == NULL) {
		MUSTER__SOCKET_EMIT(socket, on_data, socket, bytes, length);
		return;
	}
	if (muster__decode(socket->rare->decoder, bytes, length, &text, &length) < 0)
		muster__socket_fail(socket, -ENOMEM, "read");
	else if (length > 0)
		MUSTER__SOCKET_EMIT(socket, on_data, socket, text, length);
}

/* What the decoder held back comes before the end. */
static void emit_rest(struct muster_socket *socket)
{
	char *text;
	size_t length;

	if (socket->rare->decoder != NULL && muster__decode_end(socket->rare->decoder, &text, &length) == 0 &&
	    length > 0)
		MUSTER__SOCKET_EMIT(socket, on_data, socket, text, length);
}

static void peer_ended(struct muster_socket *socket)
{
	socket->readable = false;
	muster__socket_watch(socket);
	emit_rest(socket);
	if (socket->fd < 0)
		return;
	MUSTER__SOCKET_EMIT(socket, on_end, socket);
	/* Destroyed, or on its way to another connection, by the handler. */
	if (socket->fd < 0)
		return;
	if (!socket->allow_half_open && !socket->ended)
		muster_socket_end(socket);
	else if (socket->finished && !socket->finish_due)
		muster_socket_destroy(socket, 0);
}

/* What was given back, as if it had just been read. */
static void read_again(struct muster_socket *socket)
{
	struct evbuffer *unread;
	const char *bytes;
	size_t length;

	if (muster__unread_peek(socket, &bytes, &length) < 0) {
		muster__socket_fail(socket, -ENOMEM, "read");
		return;
	}
	unread = muster__unread_take(socket);
	emit_data(socket, bytes, length);
	evbuffer_free(unread);
}

static void on_input(evutil_socket_t fd, short what, void *data)
{
	struct muster_socket *socket = data;
	char *buffer = muster__loop_buffer(socket->object.loop);
	ssize_t length;

	(void)what;
	if (socket->rare->unread != NULL) {
		read_again(socket);
		return;
	}
	if (buffer == NULL) {
		muster__socket_fail(socket, -ENOMEM, "read");
		return;
	}
	length = recv(fd, buffer, MUSTER__READ_SIZE, 0);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	muster__idle_touch(socket->rare->idle);
	if (length < 0) {
		muster__socket_fail(socket, -errno, "read");
	} else if (length == 0) {
		peer_ended(socket);
	} else {
		socket->bytes_read += (uint64_t)length;
		emit_data(socket, buffer, (size_t)length);
	}
}

/* ---- beginnings */

static struct muster_socket *socket_new(struct muster_loop *loop)
{
	struct muster_socket *socket;

	if (loop->freeing)
		return muster__no_object(MUSTER_ECLOSED);
	socket = calloc(1, sizeof *socket);
	if (socket == NULL)
		return muster__no_object(-ENOMEM);
	socket->fd = -1;
	socket->high_water_mark = HIGH_WATER_MARK;
	socket->rare = (struct muster__rare *)&muster__nothing_rare;
	muster__object_init(&socket->object, loop, &socket_class.object);
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

static void apply_wishes(const struct muster_socket *socket)
{
	if (socket->no_delay)
		muster__tune_no_delay(socket->fd, true);
	if (socket->keep_alive)
		muster__tune_keep_alive(socket->fd, true, &socket->rare->keep_alive);
	if (socket->rare->type_of_service != 0)
		muster__tune_type_of_service(socket->fd, socket->rare->type_of_service - 1u);
}

struct muster_socket *muster__socket_accepted(struct muster_loop *loop, int fd,
					      const struct muster_server_options *options, struct muster__owner *owner,
					      unsigned row)
{
	struct muster__keep_alive keep_alive = { options->keep_alive_delay_ms, options->keep_alive_interval_ms,
						 options->keep_alive_count };
	struct muster_socket *socket = socket_new(loop);

	if (socket == NULL) {
		muster__fd_close(&fd);
		return NULL;
	}
	socket->owner = owner;
	socket->row = row;
	socket->allow_half_open = options->allow_half_open;
	socket->paused = options->pause_on_connect ? MUSTER__PAUSED_BY_USER : 0;
	if (options->high_water_mark != 0)
		socket->high_water_mark = options->high_water_mark;
	socket->fd = fd;
	muster__socket_begin(socket);
	if (options->no_delay)
		muster__tune_no_delay(fd, true);
	if (options->keep_alive)
		muster__tune_keep_alive(fd, true, &keep_alive);
	/* The watch begins with the handlers: at the latest when this turn ends. */
	muster__object_wake(&socket->object);
	return socket;
}

/* ---- connecting */

static void on_lookup(void *owner, int err, const struct muster_address *address, const char *host)
{
	struct muster_socket *socket = owner;

	muster__idle_touch(socket->rare->idle);
	MUSTER__SOCKET_EMIT(socket, on_lookup, socket, err, address, host);
}

static void on_attempt(void *owner, enum muster__attempt what, const struct muster_address *address, int err)
{
	struct muster_socket *socket = owner;

	if (what == MUSTER__ATTEMPT_BEGINS)
		MUSTER__SOCKET_EMIT(socket, on_attempt, socket, address);
	else if (what == MUSTER__ATTEMPT_FAILED)
		MUSTER__SOCKET_EMIT(socket, on_attempt_failed, socket, address, err);
	else
		MUSTER__SOCKET_EMIT(socket, on_attempt_timeout, socket, address);
}

/* Where only one address was tried there is nothing to remember. */
static void forget_way(struct muster_socket *socket)
{
	const struct muster_error *attempts;

	if (muster__connect_attempts(socket->rare->connect, &attempts) > 0)
		return;
	muster__connect_free(socket->rare->connect);
	socket->rare->connect = NULL;
}

/* Half a character of an earlier connection. Not sooner: a handler up the stack might be reading it. */
static void forget_rest(struct muster_socket *socket)
{
	char *text;
	size_t length;

	if (socket->rare->decoder != NULL)
		muster__decode_end(socket->rare->decoder, &text, &length);
}

static void on_made(void *owner, int fd)
{
	struct muster_socket *socket = owner;

	forget_way(socket);
	forget_rest(socket);
	socket->connecting = false;
	socket->fd = fd;
	apply_wishes(socket);
	muster__idle_touch(socket->rare->idle);
	socket->connected_due = true;
	muster__object_wake(&socket->object);
}

static void on_failed(void *owner, const struct muster_error *error)
{
	struct muster_socket *socket = owner;

	forget_way(socket);
	muster__socket_fail_with(socket, error);
}

static const struct muster__connect_ops connect_ops = { on_lookup, on_attempt, on_made, on_failed };

static int may_connect(const struct muster_socket *socket)
{
	if (socket->object.loop->freeing)
		return MUSTER_ECLOSED;
	if (socket->connecting)
		return -EALREADY;
	return socket->object.life == MUSTER__OPEN ? -EISCONN : 0;
}

static void on_idle(void *data);

/* All that may want memory comes first: a connect that is refused has begun nothing. */
int muster_socket_connect_sized(struct muster_socket *socket, const struct muster_connect_options *options, size_t size)
{
	struct muster_loop *loop = socket->object.loop;
	struct muster_connect_options mine;
	struct muster__connect *way = NULL;
	struct muster__idle *idle = NULL;
	int err = muster__sized_copy(&mine, sizeof mine, options, size);

	if (err == 0)
		err = may_connect(socket);
	if (err == 0 && muster__socket_rare(socket) == NULL)
		err = -ENOMEM;
	if (err == 0 && mine.timeout_ms != 0 &&
	    (idle = muster__idle_new(loop, mine.timeout_ms, on_idle, socket)) == NULL)
		err = -ENOMEM;
	if (err == 0)
		err = muster__connect_start(loop, &mine, &connect_ops, socket, &way);
	if (err < 0) {
		muster__idle_free(idle);
		return err;
	}
	muster__connect_free(socket->rare->connect);
	socket->rare->connect = way;
	muster__socket_begin(socket);
	socket->connecting = true;
	socket->by_path = mine.path != NULL;
	if (idle != NULL) {
		muster__socket_stop_idle(socket);
		socket->rare->idle = idle;
	}
	return 0;
}

struct muster_socket *muster_connect_sized(struct muster_loop *loop, const struct muster_connect_options *options,
					   size_t size, const struct muster_socket_handlers *handlers,
					   size_t handlers_size, void *data)
{
	struct muster_socket *socket = muster_socket_new(loop, NULL);
	int err;

	if (socket == NULL)
		return NULL;
	err = handlers != NULL ? muster_socket_on_sized(socket, handlers, handlers_size, data) : 0;
	if (err == 0)
		err = muster_socket_connect_sized(socket, options, size);
	if (err == 0)
		return socket;
	muster__object_discard(&socket->object);
	return muster__no_object(err);
}

/* ---- handlers, pauses, time-out */

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

/* The old decoder owns the text that a handler up the stack may be reading: it goes at the end of the turn. */
int muster_socket_set_encoding(struct muster_socket *socket, enum muster_encoding encoding)
{
	struct muster__decoder *decoder = NULL;
	struct muster__rare *rare;

	if (encoding != MUSTER_ENCODING_BYTES && (decoder = muster__decoder_new(encoding)) == NULL)
		return -errno;
	rare = muster__socket_rare(socket);
	if (rare == NULL) {
		muster__decoder_free(decoder);
		return -ENOMEM;
	}
	if (rare->spent == NULL)
		rare->spent = rare->decoder;
	else
		muster__decoder_free(rare->decoder);
	rare->decoder = decoder;
	muster__object_wake(&socket->object);
	return 0;
}

void muster_socket_pause(struct muster_socket *socket)
{
	muster__socket_hold(socket, MUSTER__PAUSED_BY_USER);
}

void muster_socket_resume(struct muster_socket *socket)
{
	muster__socket_release(socket, MUSTER__PAUSED_BY_USER);
}

static void on_idle(void *data)
{
	struct muster_socket *socket = data;

	MUSTER__SOCKET_EMIT(socket, on_timeout, socket);
}

int muster_socket_set_timeout(struct muster_socket *socket, unsigned ms)
{
	struct muster__rare *rare;

	muster__socket_stop_idle(socket);
	if (ms == 0 || socket->destroyed)
		return 0;
	rare = muster__socket_rare(socket);
	if (rare == NULL)
		return -ENOMEM;
	rare->idle = muster__idle_new(socket->object.loop, ms, on_idle, socket);
	return rare->idle != NULL ? 0 : -ENOMEM;
}

/* ---- ends */

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

static void reset_now(struct muster_socket *socket)
{
	muster__tune_reset_on_close(socket->fd);
	muster_socket_destroy(socket, 0);
}

int muster_socket_reset(struct muster_socket *socket)
{
	if (socket->destroyed)
		return 0;
	if (socket->fd >= 0 ? !muster__tune_is_tcp(socket->fd) : socket->connecting && socket->by_path)
		return MUSTER_EHANDLETYPE;
	if (socket->connecting)
		socket->reset_due = true;
	else if (socket->fd < 0)
		muster_socket_destroy(socket, MUSTER_ECLOSED);
	else
		reset_now(socket);
	return 0;
}

int muster_socket_take_fd(struct muster_socket *socket)
{
	int fd = socket->fd;

	if (fd < 0 || socket->destroyed)
		return -ENOTCONN;
	if (muster__output_is_pending(socket->output) || muster__socket_unsent(socket) > 0 ||
	    socket->rare->unread != NULL)
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

/* `owner` NULL: every socket of the loop. */
static void each_socket(struct muster_loop *loop, const struct muster__owner *owner,
			void (*fn)(struct muster_socket *socket))
{
	struct muster__object *object, *next;

	for (object = LIST_FIRST(&loop->objects); object != NULL; object = next) {
		next = LIST_NEXT(object, link);
		if (object->class == &socket_class.object && (owner == NULL || socket_of(object)->owner == owner))
			fn(socket_of(object));
	}
}

static void destroy_quietly(struct muster_socket *socket)
{
	muster_socket_destroy(socket, 0);
}

static void leave_owner(struct muster_socket *socket)
{
	struct muster__owner *owner = socket->owner;

	socket->owner = NULL;
	owner->gone(owner, socket);
}

void muster__sockets_destroy(struct muster_loop *loop, struct muster__owner *owner)
{
	each_socket(loop, owner, destroy_quietly);
}

void muster__sockets_leave(struct muster_loop *loop, struct muster__owner *owner)
{
	each_socket(loop, owner, leave_owner);
}

void muster__sockets_finish(struct muster_loop *loop)
{
	each_socket(loop, NULL, muster_socket_destroy_soon);
}
