/*
 * A child process with a channel. Birth in steps: the pair, the pipes, the fork, the watch; whatever fails takes back what was
 * done before. Death is told in Node's order, on_disconnect and then on_exit, each from the end of a turn.
 */
#include "ipc/child.h"
#include "ipc/endpoint.h"
#include "ipc/open_channel.h"
#include "ipc/plan.h"
#include "ipc/post.h"
#include "ipc/standard.h"
#include "src/error.h"
#include "src/fd.h"
#include "src/sized.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/child.h>
#include <muster/loop.h>
#include <muster/socket.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct muster_child {
	struct muster__object object;
	struct muster__listeners on;
	struct muster__channel wire;
	struct muster_channel face;
	struct event exited;
	struct muster__standard standard;
	pid_t pid;
	int pidfd;
	int code, signal;
	bool disconnect_due, exit_due;
	bool disconnected, dead; /* ... and told */
};

static struct muster_child *child_of(struct muster__object *object)
{
	return MUSTER__CONTAINER(object, struct muster_child, object);
}

#define EMIT(child, event, ...) MUSTER__EMIT(&(child)->on, struct muster_child_handlers, event, __VA_ARGS__)

/* ---- the channel */

static struct muster_child *child_of_wire(struct muster__channel *wire)
{
	return MUSTER__CONTAINER(wire, struct muster_child, wire);
}

static void on_line(struct muster__channel *wire, struct muster__line *line, int *fd)
{
	struct muster_child *child = child_of_wire(wire);
	struct muster__post post;

	if (line->kind != MUSTER__LINE_USER)
		return;
	muster__post_receive(&post, wire, line, fd);
	EMIT(child, on_message, child, &post.message);
	muster__endpoint_message(&child->face, &post.message);
	muster__post_done(&post);
}

static void on_drained(struct muster__channel *wire)
{
	muster__endpoint_drained(&child_of_wire(wire)->face);
}

static void on_closed(struct muster__channel *wire)
{
	struct muster_child *child = child_of_wire(wire);

	child->disconnect_due = true;
	muster__object_wake(&child->object);
}

static const struct muster__channel_ops wire_ops = { on_line, NULL, on_drained, on_closed };

/* ---- its end */

static void on_exited(evutil_socket_t fd, short what, void *data)
{
	struct muster_child *child = data;

	(void)what;
	if (!muster__child_reap(fd, &child->code, &child->signal))
		return;
	muster__event_del(child->object.loop, &child->exited);
	muster__fd_close(&child->pidfd);
	child->exit_due = true;
	muster__channel_finish(&child->wire);
	muster__object_wake(&child->object);
}

static void tell_disconnect(struct muster_child *child)
{
	child->disconnect_due = false;
	child->disconnected = true;
	EMIT(child, on_disconnect, child);
	muster__endpoint_disconnected(&child->face);
}

static void child_turn(struct muster__object *object)
{
	struct muster_child *child = child_of(object);

	if (child->disconnect_due)
		tell_disconnect(child);
	/* The end of the channel is told first: it is already on its way. */
	if (child->exit_due && child->disconnected) {
		child->exit_due = false;
		child->dead = true;
		muster__standard_end_input(&child->standard);
		EMIT(child, on_exit, child, child->code, child->signal);
	}
	if (child->dead && child->disconnected) {
		muster__object_close(object);
		muster__object_ended(object);
	}
}

/* The loop goes: the channel closes. The child is not killed, and no longer ours to reap. */
static void child_abandon(struct muster__object *object)
{
	struct muster_child *child = child_of(object);

	muster__event_del(object->loop, &child->exited);
	muster__fd_close(&child->pidfd);
	muster__channel_flush(&child->wire);
	muster__channel_free(&child->wire);
	if (!child->disconnected)
		tell_disconnect(child);
}

static void child_free(struct muster__object *object)
{
	struct muster_child *child = child_of(object);

	muster__standard_leave(&child->standard);
	muster__channel_free(&child->wire);
	muster__listeners_clear(&child->on);
	muster__listeners_clear(&child->face.on);
	free(child);
}

static const struct muster__class child_class = { "child", child_turn, child_abandon, child_free };

/* ---- in the child */

static int child_main(const struct muster__plan *plan)
{
	struct muster_loop *loop = muster_loop_new();
	struct muster_channel *parent = loop != NULL ? muster__channel_to_parent(loop, plan->channel_fd, true) : NULL;
	int err = parent != NULL ? plan->child(parent, plan->data) : -ENOMEM;

	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "child: could not start: %s", muster_strerror(err));
	else
		err = muster_loop_run(loop);
	muster_loop_free(loop);
	return err < 0;
}

/* ---- birth */

static int make_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		pair[0] = pair[1] = -1;
		return -errno;
	}
	pair[1] = muster__fd_above_standard(pair[1]);
	return pair[1] < 0 ? pair[1] : 0;
}

static int watch(struct muster_child *child)
{
	struct muster_loop *loop = child->object.loop;

	event_assign(&child->exited, loop->base, child->pidfd, EV_READ | EV_PERSIST, on_exited, child);
	return muster__event_add(loop, &child->exited, NULL);
}

static void end_unwatched(const struct muster_child *child)
{
	muster__child_signal(child->pidfd, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

static int give_birth(struct muster_child *child, struct muster__plan *plan, const struct muster_child_options *options)
{
	int pair[2], err = make_pair(pair);

	plan->channel_fd = pair[1];
	if (err == 0)
		err = muster__standard_open(&child->standard, child->object.loop, options->stdio, options->silent,
					    plan->standard);
	if (err == 0)
		err = muster__channel_init(&child->wire, child->object.loop, pair[0], &wire_ops);
	else
		muster__fd_close(&pair[0]);
	child->wire.is_muster = plan->exec == NULL;
	if (err == 0)
		err = muster__child_fork(plan, child_main, &child->pid, &child->pidfd);
	if (err == 0 && (err = watch(child)) < 0)
		end_unwatched(child);
	muster__fd_close(&pair[1]);
	muster__standard_close(plan->standard);
	return err;
}

static void discard(struct muster_child *child)
{
	muster__standard_destroy(&child->standard);
	muster__event_del(child->object.loop, &child->exited);
	muster__fd_close(&child->pidfd);
	muster__object_discard(&child->object);
}

static struct muster_child *child_new(struct muster_loop *loop)
{
	struct muster_child *child = calloc(1, sizeof *child);

	if (child == NULL)
		return NULL;
	child->pidfd = -1;
	muster__object_init(&child->object, loop, &child_class);
	muster__endpoint_init(&child->face, &child->object, &child->wire);
	event_assign(&child->exited, loop->base, -1, EV_PERSIST, on_exited, child);
	return child;
}

struct muster_child *muster_child_spawn_sized(struct muster_loop *loop, const struct muster_child_options *options,
					      size_t size)
{
	struct muster_child_options mine;
	struct muster__plan plan = { 0 };
	struct muster_child *child;
	int err = loop->freeing ? MUSTER_ECLOSED : muster__sized_copy(&mine, sizeof mine, options, size);

	if (err == 0 && (mine.function == NULL) == (mine.exec == NULL))
		err = -EINVAL;
	if (err < 0)
		return muster__no_object(err);
	child = child_new(loop);
	if (child == NULL)
		return muster__no_object(-ENOMEM);
	plan.child = mine.function;
	plan.data = mine.data;
	plan.exec = mine.exec;
	plan.env = mine.env;
	plan.cwd = mine.cwd;
	plan.uid = mine.uid;
	plan.gid = mine.gid;
	err = give_birth(child, &plan, &mine);
	if (err < 0) {
		discard(child);
		return muster__no_object(err);
	}
	muster__object_open(&child->object);
	return child;
}

/* ---- what users ask of it */

int muster_child_on_sized(struct muster_child *child, const struct muster_child_handlers *handlers, size_t size,
			  void *data)
{
	return muster__listeners_on(child->object.loop, &child->on, handlers, size, sizeof *handlers, data);
}

int muster_child_off_sized(struct muster_child *child, const struct muster_child_handlers *handlers, size_t size,
			   void *data)
{
	return muster__listeners_off(child->object.loop, &child->on, handlers, size, sizeof *handlers, data);
}

struct muster_channel *muster_child_channel(struct muster_child *child)
{
	return &child->face;
}

pid_t muster_child_pid(const struct muster_child *child)
{
	return child->pid;
}

int muster_child_kill(struct muster_child *child, int signal)
{
	return child->pidfd < 0 ? -ESRCH : muster__child_signal(child->pidfd, signal != 0 ? signal : SIGTERM);
}

struct muster_socket *muster_child_stdio(struct muster_child *child, int n)
{
	return muster__standard_at(&child->standard, n);
}

void muster_child_ref(struct muster_child *child)
{
	muster__object_ref(&child->object);
}

void muster_child_unref(struct muster_child *child)
{
	muster__object_unref(&child->object);
}
