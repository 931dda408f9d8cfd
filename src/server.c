/*
 * net.Server. It knows a source that feeds it connections, and counts them; where the source gets them is not its business.
 * Promises: one on_listening or on_error per listen, one on_close per close and only after the last connection, nothing
 * from inside a call.
 */
#include "src/server.h"

#include "src/address.h"
#include "src/block_list.h"
#include "src/direct.h"
#include "src/door.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/server_state.h"
#include "src/sized.h"
#include "src/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMIT MUSTER__SERVER_EMIT

static struct muster_server *server_of(struct muster__object *object)
{
	return MUSTER__CONTAINER(object, struct muster_server, object);
}

/* Rule 8 of the API: an error nobody listens for is logged. */
static void emit_error(struct muster_server *server, const struct muster_error *error)
{
	char text[256];

	if (MUSTER__HAVE(&server->on, struct muster_server_handlers, on_error)) {
		EMIT(server, on_error, server, error);
		return;
	}
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_WARN, "server: %s", text);
}

static void server_turn(struct muster__object *object)
{
	struct muster_server *server = server_of(object);
	struct muster_error error = server->error;

	/* With both due, the error is that of an earlier listen. */
	if (server->error_due) {
		server->error_due = false;
		emit_error(server, &error);
	}
	if (server->listening_due) {
		server->listening_due = false;
		EMIT(server, on_listening, server);
	}
	muster__census_answer(&server->census, server, server->connections);
	/* Whoever asked inside an answer is answered first, in a later turn. */
	if (object->life == MUSTER__CLOSING && server->connections == 0 && muster__census_is_over(&server->census)) {
		muster__object_ending(object);
		EMIT(server, on_close, server);
		muster__object_ended(object);
	}
}

static void drop_source(struct muster_server *server)
{
	struct muster__source *source = server->source;

	server->source = NULL;
	server->ready = server->listening_due = false;
	if (source != NULL)
		source->ops->close(source);
}

static void server_abandon(struct muster__object *object)
{
	struct muster_server *server = server_of(object);
	bool opened = object->life != MUSTER__FRESH;

	drop_source(server);
	muster__door_drop_waiting(server);
	muster__sockets_leave(object->loop, &server->owner);
	if (opened)
		EMIT(server, on_close, server);
}

static void server_free(struct muster__object *object)
{
	struct muster_server *server = server_of(object);

	muster_block_list_free(server->options.block_list);
	muster_block_list_free(server->options.allow_list);
	muster_block_list_free(server->options.proxy_trusted);
	muster__census_clear(&server->census);
	muster__listeners_clear(&server->on);
	free(server->visitors);
	free(server);
}

static const struct muster__class server_class = { "server", server_turn, server_abandon, server_free };

/* ---- the sink: what its source tells */

static void server_ready(struct muster__sink *sink)
{
	struct muster_server *server = muster__server_of_sink(sink);

	server->ready = true;
	server->listening_due = true;
	muster__object_wake(&server->object);
}

static void server_failed(struct muster__sink *sink, const struct muster_error *error)
{
	struct muster_server *server = muster__server_of_sink(sink);

	drop_source(server);
	server->error = *error;
	server->error_due = true;
	muster__object_rest(&server->object);
	muster__object_wake(&server->object);
}

static void server_accept_failed(struct muster__sink *sink, int err)
{
	struct muster_server *server = muster__server_of_sink(sink);
	struct muster_error error = { .code = err, .call = "accept" };

	muster_server_address(server, &error.address);
	emit_error(server, &error);
}

static const struct muster__sink_ops sink_ops = {
	server_ready,       server_failed,      server_accept_failed,
	muster__door_adopt, muster__door_takes, muster__door_may_accept,
};

static struct muster_server *server_of_census(struct muster__census *census)
{
	return MUSTER__CONTAINER(census, struct muster_server, census);
}

static void census_changed(struct muster__census *census)
{
	muster__object_wake(&server_of_census(census)->object);
}

static void census_name(struct muster__census *census, char *name, size_t size)
{
	struct muster_address address = { 0 };

	muster_server_address(server_of_census(census), &address);
	snprintf(name, size, "%d:%s:%u", address.family, address.text, address.port);
}

static const struct muster__census_ops census_ops = { census_changed, census_name };

/* Its owner may be another: the list of those that came over a channel. */
struct muster_server *muster_socket_server(const struct muster_socket *socket)
{
	struct muster__owner *owner = socket->owner;

	return owner != NULL && owner->gone == muster__door_gone ?
		       MUSTER__CONTAINER(owner, struct muster_server, owner) :
		       NULL;
}

struct muster_server *muster_server_new_sized(struct muster_loop *loop, const struct muster_server_options *options,
					      size_t size)
{
	struct muster_server *server;
	int err;

	if (loop->freeing)
		return muster__no_object(MUSTER_ECLOSED);
	server = calloc(1, sizeof *server);
	if (server == NULL)
		return muster__no_object(-ENOMEM);
	err = muster__sized_copy(&server->options, sizeof server->options, options, size);
	if (err == 0)
		err = muster__tune_check_probes(server->options.keep_alive_interval_ms,
						server->options.keep_alive_count);
	if (err < 0) {
		free(server);
		return muster__no_object(err);
	}
	server->sink = (struct muster__sink){ .ops = &sink_ops, .loop = loop };
	server->owner = (struct muster__owner){ muster__door_gone, &server->census };
	muster__block_list_share(server->options.block_list);
	muster__block_list_share(server->options.allow_list);
	muster__block_list_share(server->options.proxy_trusted);
	LIST_INIT(&server->prefaces);
	muster__census_init(&server->census, loop, &census_ops);
	muster__object_init(&server->object, loop, &server_class);
	return server;
}

int muster_server_on_sized(struct muster_server *server, const struct muster_server_handlers *handlers, size_t size,
			   void *data)
{
	return muster__listeners_on(server->object.loop, &server->on, handlers, size, sizeof *handlers, data);
}

int muster_server_off_sized(struct muster_server *server, const struct muster_server_handlers *handlers, size_t size,
			    void *data)
{
	return muster__listeners_off(server->object.loop, &server->on, handlers, size, sizeof *handlers, data);
}

static int may_listen(const struct muster_server *server)
{
	if (server->object.loop->freeing)
		return MUSTER_ECLOSED;
	return server->source != NULL ? MUSTER_EALREADYLISTENING : 0;
}

static int check_options(const struct muster_listen_options *options)
{
	bool by_path = options->path != NULL && options->port == 0;
	struct muster__sockaddr ignored;

	if (options->port > 65535 || options->backlog < 0 || options->fast_open > INT_MAX)
		return -EINVAL;
	if (!by_path)
		return 0;
	if (options->path[0] == '@' && (options->readable_all || options->writable_all))
		return -EINVAL;
	return muster__sockaddr_path(&ignored, options->path);
}

static void close_object(struct muster_server *server)
{
	muster__census_close(&server->census, true);
	muster__object_close(&server->object);
}

/* What it was before a listen. */
struct before {
	unsigned char life;
	bool reopened;
};

/* From here on the server is open, and its source tells the outcome. */
static struct before begin(struct muster_server *server)
{
	struct before before = { server->object.life, server->object.reopened };

	server->sink.row = 0;
	muster__object_open(&server->object);
	muster__census_close(&server->census, false);
	return before;
}

/* ... unless there was no memory for a source: then nothing has changed, and an on_close that was due still is. */
static int begun(struct muster_server *server, struct before before, int err)
{
	if (err < 0 && before.life == MUSTER__CLOSING) {
		close_object(server);
		server->object.reopened = before.reopened;
	} else if (err < 0) {
		muster__object_rest(&server->object);
	}
	return err;
}

int muster_server_listen_sized(struct muster_server *server, const struct muster_listen_options *options, size_t size)
{
	struct muster_loop *loop = server->object.loop;
	struct muster_listen_options mine;
	const struct muster__listen_ops *ops;
	struct before before;
	int err = muster__sized_copy(&mine, sizeof mine, options, size);

	if (err == 0)
		err = may_listen(server);
	if (err == 0)
		err = check_options(&mine);
	if (err < 0)
		return err;
	ops = mine.exclusive || mine.reuse_port || loop->listen_ops == NULL ? &muster__listen_direct : loop->listen_ops;
	before = begin(server);
	return begun(server, before, ops->listen(&server->sink, &mine, &server->source, loop->ops_data));
}

int muster__server_listen_on(struct muster_server *server, struct muster__listener *listener, int backlog)
{
	struct muster__accepting how = { .backlog = backlog };
	struct before before;
	int err = may_listen(server);

	if (err < 0) {
		muster__listener_close(listener, true);
		return err;
	}
	before = begin(server);
	return begun(server, before, muster__source_here(&server->sink, listener, &how, &server->source));
}

int muster_server_listen_fd(struct muster_server *server, int fd, int backlog)
{
	struct muster__listener listener = { .fd = fd };
	struct muster_error error = { .code = -EINVAL, .call = "listen" };
	int err = may_listen(server);

	if (err < 0 || (muster__fd_check_stream(fd) == 0 && muster__fd_prepare(fd) == 0))
		return muster__server_listen_on(server, &listener, backlog);
	muster__listener_close(&listener, false);
	begin(server);
	server_failed(&server->sink, &error);
	return 0;
}

int muster_server_listen_server(struct muster_server *server, const struct muster_server *other, int backlog)
{
	int fd = muster_server_fd(other), err = may_listen(server), copy;

	if (err < 0 || fd < 0)
		return err < 0 ? err : MUSTER_ENOTRUNNING;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? -errno : muster_server_listen_fd(server, copy, backlog);
}

int muster_server_close(struct muster_server *server)
{
	if (server->source == NULL)
		return MUSTER_ENOTRUNNING;
	drop_source(server);
	close_object(server);
	return 0;
}

void muster_server_destroy(struct muster_server *server)
{
	drop_source(server);
	server->error_due = false;
	muster__door_drop_waiting(server);
	muster__sockets_destroy(server->object.loop, &server->owner);
	/* Those that were sent away are not ours to end, and it does not wait for them. */
	muster__census_forget(&server->census);
	close_object(server);
}

void muster__server_drain(struct muster_server *server)
{
	if (server->source != NULL && server->source->ops->drain != NULL)
		server->source->ops->drain(server->source);
}

void muster__servers_each(struct muster_loop *loop, void (*fn)(struct muster_server *server, void *data), void *data)
{
	struct muster__object *object, *next;

	for (object = LIST_FIRST(&loop->objects); object != NULL; object = next) {
		next = LIST_NEXT(object, link);
		if (object->class == &server_class && server_of(object)->source != NULL)
			fn(server_of(object), data);
	}
}

int muster_server_address(struct muster_server *server, struct muster_address *out)
{
	if (!server->ready)
		return MUSTER_ENOTRUNNING;
	return server->source->ops->address(server->source, out);
}

bool muster_server_is_listening(const struct muster_server *server)
{
	return server->ready;
}

int muster_server_fd(const struct muster_server *server)
{
	return server->source != NULL ? server->source->ops->fd(server->source) : -1;
}

int muster_server_connections(const struct muster_server *server)
{
	return server->census.sent_away ? -1 : (int)server->connections;
}

int muster_server_get_connections(struct muster_server *server,
				  void (*done)(struct muster_server *server, int err, unsigned count, void *data),
				  void *data)
{
	/* on_close is the last event: nothing can follow it, unless it has opened the server again. */
	if (server->object.loop->freeing || (server->object.ending && !server->object.reopened))
		return MUSTER_ECLOSED;
	return muster__census_ask(&server->census, done, data);
}

uint64_t muster_server_refused(const struct muster_server *server, enum muster_refusal why)
{
	return why < MUSTER__REFUSALS ? server->refusals[why] : 0;
}

void muster_server_set_max_connections(struct muster_server *server, unsigned max)
{
	server->options.max_connections = max;
}

void muster_server_ref(struct muster_server *server)
{
	muster__object_ref(&server->object);
}

void muster_server_unref(struct muster_server *server)
{
	muster__object_unref(&server->object);
}

struct muster_loop *muster_server_loop(const struct muster_server *server)
{
	return server->object.loop;
}
