/*
 * Listening in this process: the direct form of the listen operations, and the source that accepts on a socket here,
 * whoever bound it. A host name is looked up first; closing meanwhile cancels.
 */
#include "src/direct.h"

#include "src/acceptor.h"
#include "src/address.h"
#include "src/loop.h"
#include "src/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How long to wait for others when a limit over several processes is reached. */
#define ROOM_MS 50

struct here {
	struct muster__source source;
	struct muster__sink *sink;
	struct muster__listener listener;
	struct muster__acceptor acceptor;
	struct event wait; /* no room: when to look again */
	bool no_accept;    /* somebody else accepts on the socket */
	struct muster__lookup *lookup;
	struct muster_listen_options options; /* of a listen that waits for its lookup; strings are not kept */
	struct muster__task reap;
};

/* Accept, or wait for room. -ENOMEM. */
static int look_for_room(struct here *here)
{
	struct muster_loop *loop = here->sink->loop;
	struct timeval delay = muster__ms(ROOM_MS);
	int err;

	if (here->no_accept)
		return 0;
	if (here->sink->ops->may_accept(here->sink)) {
		muster__event_del(loop, &here->wait);
		return muster__acceptor_start(&here->acceptor);
	}
	err = muster__event_add(loop, &here->wait, &delay);
	if (err == 0)
		muster__acceptor_stop(&here->acceptor);
	return err;
}

static void on_wait(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	look_for_room(data);
}

static void on_accepted(struct muster__acceptor *acceptor, int fd)
{
	struct here *here = MUSTER__CONTAINER(acceptor, struct here, acceptor);

	here->sink->ops->adopt(here->sink, fd);
	/* The handler may have closed the server, and this source with it. */
	if (here->listener.fd >= 0 && !here->sink->ops->may_accept(here->sink))
		look_for_room(here);
}

static void on_failed(struct muster__acceptor *acceptor, int err)
{
	struct muster__sink *sink = MUSTER__CONTAINER(acceptor, struct here, acceptor)->sink;

	sink->ops->accept_failed(sink, err);
}

static const struct muster__acceptor_ops acceptor_ops = { on_accepted, on_failed };

static void free_here(struct muster__task *task)
{
	free(MUSTER__CONTAINER(task, struct here, reap));
}

/* Closed from inside its own accept loop, more often than not: the memory goes at the end of the turn. */
static void here_close(struct muster__source *source)
{
	struct here *here = MUSTER__CONTAINER(source, struct here, source);
	struct muster_loop *loop = here->sink->loop;

	muster__lookup_cancel(here->lookup);
	if (here->listener.fd >= 0) {
		muster__acceptor_stop(&here->acceptor);
		muster__event_del(loop, &here->wait);
		here->acceptor.fd = -1;
	}
	muster__listener_close(&here->listener, true);
	here->reap.run = free_here;
	if (loop->freeing)
		free(here);
	else
		muster__loop_queue(loop, &here->reap);
}

static int here_address(struct muster__source *source, struct muster_address *out)
{
	const struct here *here = MUSTER__CONTAINER(source, struct here, source);

	return here->listener.fd < 0 ? MUSTER_ENOTRUNNING : muster__address_local(out, here->listener.fd);
}

static int here_fd(const struct muster__source *source)
{
	return MUSTER__CONTAINER(source, const struct here, source)->listener.fd;
}

static void here_room(struct muster__source *source)
{
	struct here *here = MUSTER__CONTAINER(source, struct here, source);

	if (here->listener.fd >= 0 && !here->acceptor.wanted)
		look_for_room(here);
}

static void here_drain(struct muster__source *source)
{
	struct here *here = MUSTER__CONTAINER(source, struct here, source);

	if (here->listener.fd >= 0 && !here->no_accept)
		muster__acceptor_drain(&here->acceptor);
}

static const struct muster__source_ops here_ops = { here_close, here_address, here_fd, here_room, here_drain };

static struct here *here_new(struct muster__sink *sink)
{
	struct here *here = calloc(1, sizeof *here);

	if (here == NULL)
		return NULL;
	here->source.ops = &here_ops;
	here->sink = sink;
	here->listener.fd = -1;
	return here;
}

/* Listen on what is bound, and accept. */
static int start(struct here *here, const struct muster__accepting *how, struct muster_error *error)
{
	struct muster_loop *loop = here->sink->loop;
	int err = muster__listener_listen(&here->listener, how->backlog, error);

	here->no_accept = how->none;
	muster__acceptor_init(&here->acceptor, loop, here->listener.fd, &acceptor_ops, how->rotate_every);
	event_assign(&here->wait, loop->base, -1, EV_PERSIST, on_wait, here);
	if (err == 0 && (err = look_for_room(here)) < 0)
		*error = (struct muster_error){ .code = err, .call = "listen" };
	return err;
}

static void bind_and_start(struct here *here, const struct muster_listen_options *options)
{
	struct muster__accepting how = { .backlog = options->backlog, .none = options->no_accept };
	struct muster_error error = { 0 };
	int err = muster__listener_bind(&here->listener, options, &error);

	if (err == 0)
		err = start(here, &how, &error);
	if (err < 0)
		here->sink->ops->failed(here->sink, &error);
	else
		here->sink->ops->ready(here->sink);
}

static void on_looked_up(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct here *here = data;
	struct muster_error error = { .code = err, .call = "getaddrinfo" };
	struct muster_listen_options options = here->options;
	struct muster_address address;

	(void)count;
	here->lookup = NULL;
	if (err < 0) {
		here->sink->ops->failed(here->sink, &error);
		return;
	}
	muster__address_from(&address, &addresses[0].any, addresses[0].length);
	options.host = address.text;
	bind_and_start(here, &options);
}

static int look_up_first(struct here *here, const struct muster_listen_options *options)
{
	here->options = *options;
	here->options.host = here->options.path = NULL;
	return muster__lookup_start(here->sink->loop, options->host, options->port, 0, 0, on_looked_up, here,
				    &here->lookup);
}

static int direct_listen(struct muster__sink *sink, const struct muster_listen_options *options,
			 struct muster__source **source, void *data)
{
	struct here *here = here_new(sink);
	int err;

	(void)data;
	if (here == NULL)
		return -ENOMEM;
	if (options->host != NULL && !muster_is_ip(options->host)) {
		err = look_up_first(here, options);
		if (err < 0)
			free(here);
		else
			*source = &here->source;
		return err;
	}
	*source = &here->source;
	bind_and_start(here, options);
	return 0;
}

const struct muster__listen_ops muster__listen_direct = { direct_listen };

int muster__source_here(struct muster__sink *sink, struct muster__listener *listener,
			const struct muster__accepting *how, struct muster__source **source)
{
	struct here *here = here_new(sink);
	struct muster_error error = { 0 };
	int err;

	if (here == NULL) {
		muster__listener_close(listener, true);
		return -ENOMEM;
	}
	here->listener = *listener;
	*listener = MUSTER__LISTENER_NONE;
	*source = &here->source;
	err = start(here, how, &error);
	if (err < 0)
		sink->ops->failed(sink, &error);
	else
		sink->ops->ready(sink);
	return 0;
}
