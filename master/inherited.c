/*
 * The kernel is asked what a socket is and where it is bound: names and order are no proof of either. One whose path has gone
 * is not taken for that path, since nobody could connect to it any more.
 */
#include "master/inherited.h"

#include "src/address.h"
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

void muster__inherited_init(struct muster__inherited *table)
{
	STAILQ_INIT(&table->sockets);
}

/* ---- adding */

static bool is_bound(int fd)
{
	struct muster_address local;

	if (muster__address_local(&local, fd) < 0)
		return false;
	return local.family == MUSTER__FAMILY_UNIX ? local.length > 0 : local.port > 0;
}

static int check(int fd)
{
	struct muster_address peer;
	struct stat status;
	int err;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode))
		return -ENOTSOCK;
	err = muster__fd_check_stream(fd);
	if (err < 0)
		return err;
	if (!is_bound(fd) || muster__address_remote(&peer, fd) == 0)
		return -EINVAL;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static void socket_free(struct muster__inherited_socket *socket)
{
	muster__fd_close(&socket->fd);
	free(socket->name);
	free(socket);
}

int muster__inherited_add(struct muster__inherited *table, int fd, const char *name, bool ours)
{
	struct muster__inherited_socket *socket = calloc(1, sizeof *socket);
	int err = check(fd);

	if (socket == NULL) {
		muster__fd_close(&fd);
		return -ENOMEM;
	}
	socket->fd = fd;
	socket->ours = ours;
	if (err == 0 && name != NULL && (socket->name = strdup(name)) == NULL)
		err = -ENOMEM;
	if (err < 0)
		socket_free(socket);
	else
		STAILQ_INSERT_TAIL(&table->sockets, socket, next);
	return err;
}

void muster__inherited_move(struct muster__inherited *to, struct muster__inherited *from)
{
	STAILQ_CONCAT(&to->sockets, &from->sockets);
}

/* ---- fitting */

static bool is_named(const struct muster__inherited_socket *socket, const char *name)
{
	return name != NULL && socket->name != NULL && strcmp(socket->name, name) == 0;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && S_ISSOCK(one.st_mode) && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static bool is_at_path(const struct muster_address *bound, const char *path)
{
	struct muster__sockaddr wanted;
	struct muster_address address;

	if (bound->family != MUSTER__FAMILY_UNIX || muster__sockaddr_path(&wanted, path) < 0)
		return false;
	muster__address_from(&address, &wanted.any, wanted.length);
	if (path[0] == '@')
		return bound->length == address.length && memcmp(bound->text, address.text, bound->length) == 0;
	return bound->text[0] != '\0' && is_same_file(bound->text, path);
}

static bool takes_ipv6_alone(int fd)
{
	int only = 0;
	socklen_t length = sizeof only;

	return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) == 0 && only;
}

/* Without a host it is what binding would have made: "::", or where there is no IPv6 "0.0.0.0". */
static bool is_at_host(int fd, const struct muster_address *bound, const struct muster_listen_options *place)
{
	const char *host = place->host;
	struct muster__sockaddr wanted;
	struct muster_address address;

	if (host == NULL)
		host = bound->family == 6 || place->ipv6_only ? "::" : "0.0.0.0";
	if (muster__sockaddr_ip(&wanted, host, 0) < 0)
		return false;
	muster__address_from(&address, &wanted.any, wanted.length);
	if (bound->family != address.family || strcmp(bound->text, address.text) != 0)
		return false;
	return strcmp(host, "::") != 0 || takes_ipv6_alone(fd) == place->ipv6_only;
}

static bool fits(const struct muster__inherited_socket *socket, const struct muster__inherited_wish *wish)
{
	const struct muster_listen_options *place = wish->place;
	struct muster_address bound;

	if (wish->fd_name != NULL)
		return !socket->ours && is_named(socket, wish->fd_name);
	if (muster__address_local(&bound, socket->fd) < 0)
		return false;
	if (place->path != NULL && place->port == 0)
		return is_at_path(&bound, place->path);
	if (bound.family == MUSTER__FAMILY_UNIX || !is_at_host(socket->fd, &bound, place))
		return false;
	/* Any port will do, but the one it had is known to others by now. */
	return place->port != 0 ? bound.port == place->port : socket->ours && is_named(socket, wish->name);
}

/* ---- taking */

/* The file behind the socket, which a worker may know by another name; it is unlinked only if it is ours. */
static int find_file(struct muster__listener *listener)
{
	struct muster_address bound;
	struct stat status;
	int err = muster__address_local(&bound, listener->fd);

	if (err < 0 || bound.family != MUSTER__FAMILY_UNIX || bound.text[0] == '\0')
		return err;
	if (stat(bound.text, &status) < 0)
		return listener->foreign ? 0 : -errno;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	if (listener->foreign)
		return 0;
	listener->path = strdup(bound.text);
	return listener->path != NULL ? 0 : -ENOMEM;
}

int muster__inherited_take(struct muster__inherited *table, const struct muster__inherited_wish *wish,
			   struct muster__listener *listener)
{
	struct muster__listener found = MUSTER__LISTENER_NONE;
	struct muster__inherited_socket *socket;
	int err;

	STAILQ_FOREACH(socket, &table->sockets, next)
	if (fits(socket, wish))
		break;
	if (socket == NULL)
		return -ENOENT;
	found.fd = socket->fd;
	found.foreign = !socket->ours;
	found.inherited = true;
	found.lent = true;
	err = find_file(&found);
	if (err < 0)
		return err;
	socket->fd = -1;
	STAILQ_REMOVE(&table->sockets, socket, muster__inherited_socket, next);
	socket_free(socket);
	*listener = found;
	return 0;
}

void muster__inherited_close(struct muster__inherited *table,
			     void (*tell)(const struct muster__inherited_socket *socket, void *data), void *data)
{
	struct muster__inherited_socket *socket;

	while ((socket = STAILQ_FIRST(&table->sockets)) != NULL) {
		if (tell != NULL)
			tell(socket, data);
		STAILQ_REMOVE_HEAD(&table->sockets, next);
		socket_free(socket);
	}
}
