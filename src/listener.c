/* Sockets that are bound, and the paths they leave. What listens on them is decided elsewhere. */
#include "src/listener.h"

#include "src/address.h"
#include "src/fd.h"
#include "src/tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct muster_error *error, const char *call, const struct muster__sockaddr *address)
{
	error->code = -errno;
	error->call = call;
	muster__address_from(&error->address, &address->any, address->length);
	return error->code;
}

/* What has to be said before it is bound. Those of no consequence may fail. */
static int prepare(int fd, int family, const struct muster_listen_options *options)
{
	int on = 1, only = options->ipv6_only;

	if (family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
	if (options->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
		return -errno;
	return muster__tune_listener(fd, options);
}

static int bind_address(const struct muster__sockaddr *address, const struct muster_listen_options *options,
			struct muster_error *error)
{
	int family = address->any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const char *call = "bind";
	int err;

	if (fd < 0)
		return fail(error, "socket", address);
	err = prepare(fd, family, options);
	if (err < 0) {
		errno = -err;
		call = "setsockopt";
	} else if (bind(fd, &address->any, address->length) == 0) {
		return fd;
	}
	fail(error, call, address);
	muster__fd_close(&fd);
	return error->code;
}

static int bind_ip(const struct muster_listen_options *options, struct muster_error *error)
{
	struct muster__sockaddr address;
	int fd;

	if (options->host != NULL) {
		int err = muster__sockaddr_ip(&address, options->host, options->port);

		if (err < 0) {
			*error = (struct muster_error){ .code = err, .call = "bind" };
			muster__address_named(&error->address, 4, options->host, options->port);
			return err;
		}
		return bind_address(&address, options, error);
	}
	muster__sockaddr_ip(&address, "::", options->port);
	fd = bind_address(&address, options, error);
	/* A machine without IPv6 has no "::"; a busy port is busy on both. */
	if (fd >= 0 || options->ipv6_only || (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL))
		return fd;
	muster__sockaddr_ip(&address, "0.0.0.0", options->port);
	return bind_address(&address, options, error);
}

static int open_up(const char *path, const struct muster_listen_options *options)
{
	struct stat status;

	if (!options->readable_all && !options->writable_all)
		return 0;
	if (stat(path, &status) < 0)
		return -errno;
	status.st_mode |= (options->readable_all ? 0444u : 0) | (options->writable_all ? 0222u : 0);
	return chmod(path, status.st_mode & 0777) < 0 ? -errno : 0;
}

static int remember_path(struct muster__listener *listener, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return -errno;
	listener->path = strdup(path);
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	return listener->path != NULL ? 0 : -ENOMEM;
}

static int bind_path(struct muster__listener *made, const struct muster_listen_options *options,
		     struct muster_error *error)
{
	struct muster__sockaddr address;
	int err = muster__sockaddr_path(&address, options->path);

	*error = (struct muster_error){ .code = err, .call = "bind" };
	muster__address_named(&error->address, MUSTER__FAMILY_UNIX, options->path, 0);
	if (err < 0)
		return err;
	made->fd = bind_address(&address, options, error);
	if (made->fd < 0 || options->path[0] == '@')
		return made->fd;
	err = remember_path(made, options->path);
	if (err == 0)
		err = open_up(options->path, options);
	if (err < 0) {
		error->code = err;
		error->call = "chmod";
		unlink(options->path);
		muster__listener_close(made, false);
	}
	return err;
}

int muster__listener_bind(struct muster__listener *listener, const struct muster_listen_options *options,
			  struct muster_error *error)
{
	struct muster__listener made = MUSTER__LISTENER_NONE;
	int err;

	if (options->path != NULL && options->port == 0)
		err = bind_path(&made, options, error);
	else
		err = made.fd = bind_ip(options, error);
	if (err < 0)
		return err;
	*listener = made;
	return 0;
}

int muster__listener_twin(struct muster__listener *twin, const struct muster__listener *listener,
			  struct muster_error *error)
{
	struct muster_listen_options options = { .reuse_port = true };
	struct muster__sockaddr address = { .length = sizeof address.storage };
	int only = 0, fd;
	socklen_t size = sizeof only;

	*error = (struct muster_error){ .call = "getsockname" };
	if (getsockname(listener->fd, &address.any, &address.length) < 0)
		return error->code = -errno;
	if (address.any.sa_family == AF_INET6)
		getsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size);
	options.ipv6_only = only != 0;
	fd = bind_address(&address, &options, error);
	if (fd < 0)
		return fd;
	*twin = (struct muster__listener){ .fd = fd };
	return 0;
}

int muster__listener_listen(const struct muster__listener *listener, int backlog, struct muster_error *error)
{
	if (listen(listener->fd, backlog > 0 ? backlog : MUSTER__BACKLOG) == 0)
		return 0;
	error->code = -errno;
	error->call = "listen";
	if (muster__address_local(&error->address, listener->fd) < 0)
		error->address.family = 0;
	return error->code;
}

static bool has_its_path(const struct muster__listener *listener)
{
	struct stat status;

	return listener->path != NULL && lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
	       status.st_ino == listener->inode;
}

int muster__listener_open_up(const struct muster__listener *listener, const struct muster_listen_options *options)
{
	mode_t mask = umask(0), mode = 0777 & ~mask;

	umask(mask);
	mode |= (options->readable_all ? 0444u : 0) | (options->writable_all ? 0222u : 0);
	return has_its_path(listener) && chmod(listener->path, mode) < 0 ? -errno : 0;
}

void muster__listener_close(struct muster__listener *listener, bool unlink_path)
{
	muster__fd_close(&listener->fd);
	if (unlink_path && !listener->lent && has_its_path(listener))
		unlink(listener->path);
	free(listener->path);
	listener->path = NULL;
}
