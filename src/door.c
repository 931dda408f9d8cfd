/*
 * The door: limits, lists, counting, options and on_connection are here, whoever accepted the connection. What costs least
 * comes first; who is behind a proxy is known, and looked at, when the proxy has named him.
 */
#include "src/door.h"

#include "src/address.h"
#include "src/block_list.h"
#include "src/fd.h"
#include "src/server_state.h"
#include "src/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PROXY_TIMEOUT_MS 3000
#define WELCOME (-1)

/* ---- room */

static bool has_room(const struct muster_server *server)
{
	return server->options.max_connections == 0 || server->connections < server->options.max_connections;
}

bool muster__door_takes(const struct muster__sink *sink)
{
	const struct muster_server *server = muster__server_of_sink(sink);

	return has_room(server) || server->options.drop_max_connection;
}

/* A limit beyond the server's own is reached, and nobody is to wait. */
static bool must_drop(const struct muster__sink *sink)
{
	const struct muster__count_ops *count = sink->loop->count_ops;

	return count != NULL && count->must_drop(sink->row, sink->loop->ops_data);
}

bool muster__door_may_accept(const struct muster__sink *sink)
{
	const struct muster__count_ops *count = sink->loop->count_ops;

	return count == NULL || count->has_room(sink->row, sink->loop->ops_data) || must_drop(sink);
}

static void drop(struct muster_server *server, int fd)
{
	const struct muster__count_ops *count = server->sink.loop->count_ops;
	struct muster_address local = { 0 }, remote = { 0 };

	if (count != NULL)
		count->dropped(server->sink.row, server->sink.loop->ops_data);
	if (MUSTER__HAVE(&server->on, struct muster_server_handlers, on_drop)) {
		muster__address_local(&local, fd);
		muster__address_remote(&remote, fd);
		/* The end of a client that connects to a path has no name. */
		if (local.family == MUSTER__FAMILY_UNIX)
			local.family = remote.family = 0;
	}
	muster__fd_close(&fd);
	MUSTER__SERVER_EMIT(server, on_drop, server, &local, &remote);
}

/* ---- counting */

static void count_in(struct muster_server *server, unsigned row)
{
	const struct muster_loop *loop = server->object.loop;

	server->connections++;
	if (loop->count_ops != NULL)
		loop->count_ops->opened(row, loop->ops_data);
}

static void count_out(struct muster_server *server, unsigned row)
{
	const struct muster_loop *loop = server->object.loop;

	server->connections--;
	if (loop->count_ops != NULL)
		loop->count_ops->closed(row, loop->ops_data);
	if (server->source != NULL && server->source->ops->room != NULL)
		server->source->ops->room(server->source);
	if (server->object.life == MUSTER__CLOSING && server->connections == 0)
		muster__object_wake(&server->object);
}

/* Closed before anybody is told of it. */
static void refuse(struct muster_server *server, enum muster_refusal why, unsigned row, int fd)
{
	const struct muster_loop *loop = server->object.loop;

	server->refusals[why]++;
	if (loop->count_ops != NULL && loop->count_ops->refused != NULL)
		loop->count_ops->refused(row, loop->ops_data);
	muster__fd_close(&fd);
}

static void no_memory(struct muster_server *server)
{
	if (muster__log_allowed(&server->refused))
		server->sink.ops->accept_failed(&server->sink, -ENOMEM);
}

/* ---- who is welcome */

static bool has_limits(const struct muster_server_options *options)
{
	return options->max_per_address != 0 || options->rate_per_address != 0;
}

static bool looks_at_clients(const struct muster_server_options *options)
{
	return options->block_list != NULL || options->allow_list != NULL || has_limits(options);
}

/* Those of the whole cluster, or of this server alone. False: there is no memory for them. */
static bool find_visitors(struct muster_server *server, struct muster__visitors *visitors)
{
	const struct muster_loop *loop = server->object.loop;

	if (loop->count_ops != NULL && loop->count_ops->visitors != NULL &&
	    loop->count_ops->visitors(visitors, loop->ops_data))
		return true;
	if (server->visitors == NULL) {
		server->visitors = aligned_alloc(64, muster__visitors_size(1));
		if (server->visitors == NULL)
			return false;
		muster__visitors_init(server->visitors, 1);
	}
	*visitors = (struct muster__visitors){ .area = server->visitors };
	return true;
}

/* An address at one of its limits, or WELCOME; `visitor` is set if it is counted. Without memory nobody is limited. */
static int check_limits(struct muster_server *server, const struct sockaddr *client, unsigned row, uint64_t *visitor)
{
	const struct muster_server_options *options = &server->options;
	unsigned burst = options->rate_burst != 0 ? options->rate_burst : options->rate_per_address;
	struct muster__visitors visitors;
	uint64_t key;

	if (!find_visitors(server, &visitors) || (key = muster__visitors_key(&visitors, client, row)) == 0)
		return WELCOME;
	if (options->rate_per_address != 0 &&
	    !muster__visitors_may_begin(&visitors, key, options->rate_per_address, burst, muster__now_ms() * 1000))
		return MUSTER_REFUSAL_RATE;
	if (options->max_per_address == 0)
		return WELCOME;
	if (!muster__visitors_enter(&visitors, key, options->max_per_address))
		return MUSTER_REFUSAL_PER_ADDRESS;
	*visitor = key;
	return WELCOME;
}

static void forget_visitor(struct muster_server *server, uint64_t visitor)
{
	struct muster__visitors visitors;

	if (visitor != 0 && find_visitors(server, &visitors))
		muster__visitors_leave(&visitors, visitor);
}

static void note_crowd(struct muster_server *server, const struct sockaddr *client, socklen_t length)
{
	struct muster_address address;

	if (!muster__log_allowed(&server->crowds))
		return;
	muster__address_from(&address, client, length);
	muster__log(MUSTER_LOG_WARN, "server: %s is at its limit: its connections are closed as they come",
		    address.text);
}

/* A reason to refuse, or WELCOME. A client at a path has no address: he is on no list. */
static int examine(struct muster_server *server, const struct muster__sockaddr *client, unsigned row, uint64_t *visitor)
{
	const struct muster_server_options *options = &server->options;
	bool has_address = client->any.sa_family == AF_INET || client->any.sa_family == AF_INET6;
	int why = WELCOME;

	if (!has_address)
		return WELCOME;
	if (muster__block_list_blocks(options->block_list, &client->any) ||
	    (options->allow_list != NULL && !muster__block_list_blocks(options->allow_list, &client->any)))
		return MUSTER_REFUSAL_BLOCKED;
	if (has_limits(options))
		why = check_limits(server, &client->any, row, visitor);
	if (why != WELCOME)
		note_crowd(server, &client->any, client->length);
	return why;
}

/* The peer itself. One that has reset already has no address any more: it will be seen to when it is read. */
static int examine_peer(struct muster_server *server, int fd, unsigned row, uint64_t *visitor)
{
	struct muster__sockaddr peer = { .length = sizeof peer.storage };

	if (!looks_at_clients(&server->options) || getpeername(fd, &peer.any, &peer.length) < 0)
		return WELCOME;
	return examine(server, &peer, row, visitor);
}

/* ---- admission */

/* It is counted already. `proxy` NULL: it speaks for itself. */
static void admit(struct muster_server *server, int fd, unsigned row, uint64_t visitor,
		  const struct muster__proxy *proxy)
{
	struct muster_socket *socket =
		muster__socket_accepted(server->object.loop, fd, &server->options, &server->owner, row);

	if (socket == NULL) {
		forget_visitor(server, visitor);
		count_out(server, row);
		no_memory(server);
	} else if ((proxy != NULL && muster__socket_set_ends(socket, proxy) < 0) ||
		   (visitor != 0 && muster__socket_set_visitor(socket, visitor) < 0)) {
		forget_visitor(server, visitor);
		muster_socket_destroy(socket, 0);
		no_memory(server);
	} else {
		MUSTER__SERVER_EMIT(server, on_connection, server, socket);
	}
}

void muster__door_gone(struct muster__owner *owner, const struct muster_socket *socket)
{
	struct muster_server *server = MUSTER__CONTAINER(owner, struct muster_server, owner);

	forget_visitor(server, socket->rare->visitor);
	muster__census_socket_gone(&server->census, socket);
	count_out(server, socket->row);
}

/* ---- proxies */

/* At a path everybody is trusted. */
static bool is_trusted(const struct muster_server *server, int fd)
{
	const struct muster_block_list *trusted = server->options.proxy_trusted;
	struct muster__sockaddr peer = { .length = sizeof peer.storage };

	if (trusted == NULL)
		return true;
	if (getpeername(fd, &peer.any, &peer.length) < 0)
		return false;
	return peer.any.sa_family == AF_UNIX || muster__block_list_blocks(trusted, &peer.any);
}

/* Whoever connects only to see whether we are there is no news. */
static void note_header(struct muster_server *server, int fd, int err)
{
	struct muster_address address;
	char text[160] = "somebody";

	if (err == -ENODATA || err == -ECONNRESET || !muster__log_allowed(&server->headers))
		return;
	if (muster__address_remote(&address, fd) == 0)
		muster_address_format(&address, text, sizeof text);
	muster__log(MUSTER_LOG_WARN, "server: %s: %s header of the PROXY protocol: is it a proxy that speaks it?", text,
		    err == -ETIMEDOUT ? "no" : "no valid");
}

static void on_header(struct muster__preface *preface, int fd, int err, const struct muster__proxy *proxy)
{
	struct muster_server *server = preface->data;
	unsigned row = preface->row;
	uint64_t visitor = 0;
	int why = MUSTER_REFUSAL_NO_HEADER;

	if (err < 0)
		note_header(server, fd, err);
	else if (proxy->has_ends)
		why = examine(server, &proxy->source, row, &visitor);
	else
		why = examine_peer(server, fd, row, &visitor);
	if (why == WELCOME) {
		admit(server, fd, row, visitor, proxy->has_ends ? proxy : NULL);
		return;
	}
	refuse(server, (enum muster_refusal)why, row, fd);
	count_out(server, row);
}

static void await_header(struct muster_server *server, int fd, unsigned row)
{
	unsigned timeout_ms = server->options.proxy_timeout_ms;

	if (muster__preface_start(&server->prefaces, server->object.loop, fd,
				  timeout_ms != 0 ? timeout_ms : PROXY_TIMEOUT_MS, row, on_header, server) == 0)
		return;
	muster__fd_close(&fd);
	count_out(server, row);
	no_memory(server);
}

void muster__door_drop_waiting(struct muster_server *server)
{
	struct muster__preface *preface;

	while ((preface = LIST_FIRST(&server->prefaces)) != NULL) {
		unsigned row = preface->row;

		muster__preface_drop(preface);
		count_out(server, row);
	}
}

/* ---- in */

/* Somebody who is not welcome is not told of as dropped for want of room, and takes none of it from his own address. */
void muster__door_adopt(struct muster__sink *sink, int fd)
{
	struct muster_server *server = muster__server_of_sink(sink);
	bool by_proxy = server->options.proxy_protocol;
	uint64_t visitor = 0;
	int why = by_proxy ? WELCOME : examine_peer(server, fd, sink->row, &visitor);

	if (by_proxy && !is_trusted(server, fd))
		why = MUSTER_REFUSAL_BLOCKED;
	if (why != WELCOME) {
		refuse(server, (enum muster_refusal)why, sink->row, fd);
		return;
	}
	if (!has_room(server) || must_drop(sink)) {
		forget_visitor(server, visitor);
		drop(server, fd);
		return;
	}
	count_in(server, sink->row);
	if (by_proxy)
		await_header(server, fd, sink->row);
	else
		admit(server, fd, sink->row, visitor, NULL);
}
