/*
 * Three ways to an address, told in one way: at the end of a turn. A lookup function of the user's may answer from inside its
 * call, later, or long after nobody wants to know any more; its reply outlives the question until it is answered.
 */
#include "src/resolve.h"

#include "src/lookup.h"
#include "src/loop.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct muster__resolve {
	struct muster_loop *loop;
	muster__resolved done;
	void *owner;
	struct muster__lookup *lookup; /* ours, or the short wait of a literal; or ... */
	struct muster_lookup *reply;   /* ... what the user's function owes */
	char *host;                    /* NULL: a literal or a path */
	unsigned port;
	struct muster__sockaddr literal;
};

struct muster_lookup {
	struct muster__task task;
	struct muster__resolve *resolve; /* NULL: cancelled */
	struct muster_loop *loop;
	int err;
	size_t count;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
};

void muster__resolve_cancel(struct muster__resolve *resolve)
{
	if (resolve == NULL)
		return;
	muster__lookup_cancel(resolve->lookup);
	if (resolve->reply != NULL)
		resolve->reply->resolve = NULL;
	free(resolve->host);
	free(resolve);
}

static void tell(struct muster__resolve *resolve, int err, const struct muster__sockaddr *addresses, size_t count)
{
	muster__resolved done = resolve->done;
	void *owner = resolve->owner;
	char *host = resolve->host;

	resolve->host = NULL;
	resolve->lookup = NULL;
	muster__resolve_cancel(resolve);
	done(owner, err, addresses, count, host);
	free(host);
}

static void on_looked_up(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	tell(data, err, addresses, count);
}

static void on_literal(int err, const struct muster__sockaddr *addresses, size_t count, void *data)
{
	struct muster__resolve *resolve = data;
	struct muster__sockaddr literal = resolve->literal;

	(void)addresses, (void)count;
	tell(resolve, err, &literal, 1);
}

/* ---- the user's function */

static void deliver(struct muster__task *task)
{
	struct muster_lookup *reply = MUSTER__CONTAINER(task, struct muster_lookup, task);

	if (reply->resolve != NULL) {
		reply->resolve->reply = NULL;
		tell(reply->resolve, reply->err, reply->addresses, reply->count);
	}
	free(reply);
}

void muster_lookup_answer(struct muster_lookup *reply, int err, const struct muster_address *addresses, size_t count)
{
	size_t i;

	if (reply->resolve == NULL) {
		free(reply);
		return;
	}
	for (i = 0; i < count && i < MUSTER__LOOKUP_MAX && err == 0; i++)
		if (muster__sockaddr_ip(&reply->addresses[i], addresses[i].text, reply->resolve->port) < 0)
			err = MUSTER_EADDRESS;
	reply->err = err == 0 && count == 0 ? MUSTER_ENOTFOUND : err;
	reply->count = i;
	muster__loop_queue(reply->loop, &reply->task);
}

static int ask_user(struct muster__resolve *resolve, const struct muster_connect_options *options)
{
	struct muster_lookup *reply = calloc(1, sizeof *reply);
	int err;

	if (reply == NULL)
		return -ENOMEM;
	reply->task.run = deliver;
	reply->loop = resolve->loop;
	reply->resolve = resolve;
	resolve->reply = reply;
	err = options->lookup(resolve->host, options->family, options->hints, reply, options->lookup_data);
	if (err < 0) {
		resolve->reply = NULL;
		free(reply);
	}
	return err;
}

/* ---- the question */

/* With a path all that is meant for TCP is ignored: the manual of Node says so of connect, and the opposite of listen. */
static int check(const struct muster_connect_options *options)
{
	if (options->path != NULL)
		return 0;
	if (options->port > 65535 || options->local_port > 65535 || options->port == 0)
		return -EINVAL;
	if (options->family != 0 && options->family != 4 && options->family != 6)
		return -EINVAL;
	if (options->hints & ~(AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL))
		return -EINVAL;
	return options->local_address != NULL && !muster_is_ip(options->local_address) ? -EINVAL : 0;
}

static int fill_target(struct muster__resolve *resolve, const struct muster_connect_options *options)
{
	const char *host = options->host != NULL ? options->host : "localhost";

	resolve->port = options->port;
	if (options->path != NULL)
		return muster__sockaddr_path(&resolve->literal, options->path);
	if (muster_is_ip(host))
		return muster__sockaddr_ip(&resolve->literal, host, options->port);
	resolve->host = strdup(host);
	return resolve->host != NULL ? 0 : -ENOMEM;
}

static int ask(struct muster__resolve *resolve, const struct muster_connect_options *options)
{
	if (resolve->host == NULL)
		return muster__lookup_nothing(resolve->loop, on_literal, resolve, &resolve->lookup);
	if (options->lookup != NULL)
		return ask_user(resolve, options);
	return muster__lookup_start(resolve->loop, resolve->host, options->port, options->family, options->hints,
				    on_looked_up, resolve, &resolve->lookup);
}

int muster__resolve_start(struct muster_loop *loop, const struct muster_connect_options *options, muster__resolved done,
			  void *owner, struct muster__resolve **out)
{
	struct muster__resolve *resolve;
	int err = check(options);

	if (err < 0)
		return err;
	resolve = calloc(1, sizeof *resolve);
	if (resolve == NULL)
		return -ENOMEM;
	resolve->loop = loop;
	resolve->done = done;
	resolve->owner = owner;
	err = fill_target(resolve, options);
	if (err == 0)
		err = ask(resolve, options);
	if (err < 0)
		muster__resolve_cancel(resolve);
	else
		*out = resolve;
	return err;
}
