/*
 * A name is looked up, a socket taken from those that are there already, or bound. What fails is told with the listener's name.
 */
#include "master/places.h"

#include "master/config.h"
#include "master/inherited.h"
#include "master/stale.h"
#include "src/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

int muster__place_complain(struct muster__config_errors *errors, const struct muster__config_listener *listener,
			   const struct muster_error *error)
{
	bool is_missing = listener->fd_name != NULL && error->code == -ENOENT;
	char text[256];

	muster_error_format(error, text, sizeof text);
	if (is_missing)
		muster__config_complain(errors,
					"listener %s: no socket named %s was passed to musterd: is there a .socket "
					"unit with FileDescriptorName=%s?",
					listener->name, listener->fd_name, listener->fd_name);
	else
		muster__config_complain(errors, "listener %s: %s: %s", listener->name, text,
					muster_strerror(error->code));
	return error->code;
}

/* Before there is a loop to serve, a name may be looked up the simple way. */
static int resolve(const char *host, char **literal)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	struct muster_address address;

	if (muster_is_ip(host)) {
		*literal = strdup(host);
	} else {
		if (getaddrinfo(host, NULL, &hints, &found) != 0)
			return MUSTER_ENOTFOUND;
		muster__address_from(&address, found->ai_addr, found->ai_addrlen);
		freeaddrinfo(found);
		*literal = strdup(address.text);
	}
	return *literal != NULL ? 0 : -ENOMEM;
}

static int plan_listener(struct muster__app_listener *plan, const struct muster__config_listener *listener)
{
	*plan = (struct muster__app_listener){
		.name = listener->name,
		.listen = {
			.port = listener->port,
			.backlog = listener->backlog,
			.ipv6_only = listener->ipv6_only,
			.readable_all = listener->readable_all,
			.writable_all = listener->writable_all,
			.policy = listener->policy,
			.no_delay = listener->no_delay,
			.keep_alive = listener->keep_alive,
			.keep_alive_delay_ms = listener->keep_alive_delay_ms,
			.defer_accept_ms = listener->defer_accept_ms,
			.fast_open = listener->fast_open,
		},
		.server = {
			.allow_half_open = listener->allow_half_open,
			.block_list = listener->deny.list,
			.allow_list = listener->allow.list,
			.max_per_address = listener->max_per_address,
			.rate_per_address = listener->rate_per_address,
			.rate_burst = listener->rate_burst,
			.proxy_protocol = listener->proxy_protocol,
			.proxy_timeout_ms = listener->proxy_timeout_ms,
			.proxy_trusted = listener->proxy_trusted.list,
		},
		.timeout_ms = listener->timeout_ms,
		.first_byte_timeout_ms = listener->first_byte_timeout_ms,
	};
	if (listener->path != NULL && (plan->listen.path = strdup(listener->path)) == NULL)
		return -ENOMEM;
	return listener->host != NULL ? resolve(listener->host, (char **)&plan->listen.host) : 0;
}

/* What a worker asks for is where it is bound. */
static int plan_place(struct muster_listen_options *options, const struct muster__listener *socket)
{
	struct muster_address bound;
	char text[sizeof bound.text];
	int err = muster__address_local(&bound, socket->fd);

	if (err < 0)
		return err;
	if (bound.family != MUSTER__FAMILY_UNIX) {
		options->port = bound.port;
		options->host = strdup(bound.text);
		return options->host != NULL ? 0 : -ENOMEM;
	}
	bound.port = 0;
	muster_address_format(&bound, text, sizeof text);
	options->path = strdup(text);
	return options->path != NULL ? 0 : -ENOMEM;
}

/* 0, -ENOENT: there is none, it is to be bound; or another error. */
static int inherit(struct muster__inherited *inherited, const struct muster__config_listener *listener,
		   struct muster__app_listener *plan, struct muster__listener *socket)
{
	struct muster__inherited_wish wish = { listener->fd_name, listener->name, &plan->listen };
	int err = inherited != NULL ? muster__inherited_take(inherited, &wish, socket) : -ENOENT;

	if (err < 0 || listener->fd_name == NULL)
		return err;
	err = plan_place(&plan->listen, socket);
	if (err < 0)
		muster__listener_close(socket, false);
	return err;
}

static int bind_listener(struct muster__listener *socket, const struct muster_listen_options *options,
			 struct muster_error *error)
{
	int err = options->path != NULL ? muster__stale_remove(options->path) : 0;

	if (err < 0) {
		*error = (struct muster_error){ .code = err, .call = "bind" };
		muster__address_named(&error->address, MUSTER__FAMILY_UNIX, options->path, 0);
		return err;
	}
	return muster__listener_bind(socket, options, error);
}

static int open_socket(struct muster__inherited *inherited, const struct muster__config_listener *listener,
		       struct muster__app_listener *plan, struct muster__listener *socket, struct muster_error *error)
{
	int err = inherit(inherited, listener, plan, socket);

	*error = (struct muster_error){ .code = err, .call = "getsockname" };
	if (err == -ENOENT && listener->fd_name == NULL)
		err = bind_listener(socket, &plan->listen, error);
	return err;
}

int muster__place_open(struct muster__inherited *inherited, const struct muster__config_listener *listener,
		       struct muster__app_listener *plan, struct muster__listener *socket,
		       struct muster__config_errors *errors)
{
	struct muster_error error = { .call = "getaddrinfo" };
	int err = error.code = plan_listener(plan, listener);

	if (err == 0)
		err = open_socket(inherited, listener, plan, socket, &error);
	return err < 0 ? muster__place_complain(errors, listener, &error) : 0;
}
