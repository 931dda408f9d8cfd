/* What can be asked of a socket without changing it, and the wishes it keeps for its connection. */
#include "src/address.h"
#include "src/connect.h"
#include "src/idle.h"
#include "src/output.h"
#include "src/proxy_protocol.h"
#include "src/socket_state.h"
#include "src/tune.h"

#include <errno.h>
#include <stdlib.h>

int muster_socket_set_no_delay(struct muster_socket *socket, bool on)
{
	socket->no_delay = on;
	return socket->fd < 0 ? 0 : muster__tune_no_delay(socket->fd, on);
}

int muster_socket_set_keep_alive(struct muster_socket *socket, bool on, unsigned delay_ms)
{
	if (delay_ms != socket->rare->keep_alive.delay_ms) {
		struct muster__rare *rare = muster__socket_rare(socket);

		if (rare == NULL)
			return -ENOMEM;
		rare->keep_alive.delay_ms = delay_ms;
	}
	socket->keep_alive = on;
	return socket->fd < 0 ? 0 : muster__tune_keep_alive(socket->fd, on, &socket->rare->keep_alive);
}

int muster_socket_set_keep_alive_probes(struct muster_socket *socket, unsigned interval_ms, unsigned count)
{
	int err = muster__tune_check_probes(interval_ms, count);
	struct muster__rare *rare;

	if (err < 0)
		return err;
	rare = muster__socket_rare(socket);
	if (rare == NULL)
		return -ENOMEM;
	rare->keep_alive.interval_ms = interval_ms;
	rare->keep_alive.count = count;
	return socket->fd < 0 ? 0 : muster__tune_probes(socket->fd, &rare->keep_alive);
}

int muster_socket_set_type_of_service(struct muster_socket *socket, unsigned value)
{
	struct muster__rare *rare;

	if (value > 255)
		return -EINVAL;
	rare = muster__socket_rare(socket);
	if (rare == NULL)
		return -ENOMEM;
	rare->type_of_service = (unsigned short)(value + 1);
	return socket->fd < 0 ? 0 : muster__tune_type_of_service(socket->fd, value);
}

int muster_socket_type_of_service(const struct muster_socket *socket)
{
	if (socket->fd >= 0)
		return muster__tune_get_type_of_service(socket->fd);
	return socket->rare->type_of_service != 0 ? socket->rare->type_of_service - 1 : 0;
}

unsigned muster_socket_timeout(const struct muster_socket *socket)
{
	return muster__idle_ms(socket->rare->idle);
}

int muster_socket_local_address(struct muster_socket *socket, struct muster_address *out)
{
	if (socket->fd < 0)
		return -ENOTCONN;
	if (socket->rare->ends == NULL)
		return muster__address_local(out, socket->fd);
	*out = socket->rare->ends->local;
	return 0;
}

int muster_socket_remote_address(struct muster_socket *socket, struct muster_address *out)
{
	if (socket->fd < 0)
		return -ENOTCONN;
	if (socket->rare->ends == NULL)
		return muster__address_remote(out, socket->fd);
	*out = socket->rare->ends->remote;
	return 0;
}

int muster__socket_set_ends(struct muster_socket *socket, const struct muster__proxy *proxy)
{
	struct muster__rare *rare = muster__socket_rare(socket);

	if (rare == NULL || (rare->ends = malloc(sizeof *rare->ends)) == NULL)
		return -ENOMEM;
	muster__address_from(&rare->ends->local, &proxy->destination.any, proxy->destination.length);
	muster__address_from(&rare->ends->remote, &proxy->source.any, proxy->source.length);
	return 0;
}

size_t muster__socket_write_ends(const struct muster_socket *socket, char *out)
{
	const struct muster__ends *ends = socket->rare->ends;
	struct muster__sockaddr source, destination;

	if (ends == NULL || muster__sockaddr_of(&source, &ends->remote) < 0 ||
	    muster__sockaddr_of(&destination, &ends->local) < 0)
		return 0;
	return muster__proxy_write(out, 2, &source, &destination);
}

int muster__socket_set_visitor(struct muster_socket *socket, uint64_t visitor)
{
	struct muster__rare *rare = muster__socket_rare(socket);

	if (rare == NULL)
		return -ENOMEM;
	rare->visitor = visitor;
	return 0;
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
	return muster__socket_unsent(socket);
}

size_t muster_socket_high_water_mark(const struct muster_socket *socket)
{
	return socket->high_water_mark;
}

enum muster_ready_state muster_socket_ready_state(const struct muster_socket *socket)
{
	if (muster_socket_is_connecting(socket))
		return MUSTER_READY_OPENING;
	if (socket->fd < 0)
		return MUSTER_READY_CLOSED;
	if (socket->readable)
		return socket->ended ? MUSTER_READY_READ_ONLY : MUSTER_READY_OPEN;
	return socket->ended ? MUSTER_READY_CLOSED : MUSTER_READY_WRITE_ONLY;
}

bool muster_socket_is_connecting(const struct muster_socket *socket)
{
	return socket->connecting || socket->connected_due;
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

bool muster_socket_is_paused(const struct muster_socket *socket)
{
	return socket->paused & MUSTER__PAUSED_BY_USER;
}

struct muster_loop *muster_socket_loop(const struct muster_socket *socket)
{
	return socket->object.loop;
}

size_t muster_socket_attempts(const struct muster_socket *socket, const struct muster_error **attempts)
{
	return muster__connect_attempts(socket->rare->connect, attempts);
}
