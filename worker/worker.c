/*
 * A worker's life: online, the user's function, its loop; then one of four ends. The primary asks it to leave (servers close,
 * connections end, the channel closes), asks it to stop (what is queued is flushed, for a second), is gone (as leaving, within
 * a bound), or the worker leaves by itself. In each of them the loop runs dry and the process exits 0.
 */
#include "worker/worker.h"

#include "ipc/environment.h"
#include "ipc/plan.h"
#include "ipc/protocol.h"
#include "src/fd.h"
#include "src/server.h"
#include "src/socket.h"
#include "worker/app.h"
#include "worker/listen.h"
#include "worker/self.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 1000
#define ORPHAN_MS 30000

/* ---- leaving */

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	struct muster__self *self = data;

	(void)fd, (void)what;
	muster__log(MUSTER_LOG_INFO, "time is up, connections are cut");
	muster__event_del(self->peer.object.loop, &self->deadline);
	muster_loop_stop(self->peer.object.loop);
}

static void set_deadline(struct muster__self *self, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	muster__event_add(self->peer.object.loop, &self->deadline, &delay);
}

/* The servers have closed. A worker that leaves of its own accord says so first, and waits for the answer. */
static void all_closed(struct muster__self *self)
{
	if (!muster_worker_is_connected(&self->peer))
		return;
	if (self->asked_to_leave) {
		muster__channel_disconnect(&self->peer.channel);
		return;
	}
	self->farewell = self->peer.seq++;
	self->farewell_due = true;
	self->peer.exited_after_disconnect = true;
	muster__send_act(&self->peer.channel, "exitedAfterDisconnect", self->farewell);
}

static void on_server_close(struct muster_server *server, void *data)
{
	struct muster__self *self = data;

	(void)server;
	if (self->closing > 0 && --self->closing == 0)
		all_closed(self);
}

static void close_server(struct muster_server *server, void *data)
{
	static const struct muster_server_handlers on = { .on_close = on_server_close };
	struct muster__self *self = data;

	if (muster_server_on(server, &on, self) == 0)
		self->closing++;
	muster__server_drain(server);
	muster_server_close(server);
}

static void tell_left(struct muster__task *task)
{
	struct muster__self *self = MUSTER__CONTAINER(task, struct muster__self, telling);

	self->left(&self->peer);
}

static void leave(struct muster__self *self)
{
	if (self->leaving)
		return;
	self->leaving = true;
	if (self->left != NULL)
		muster__loop_queue(self->peer.object.loop, &self->telling);
	muster__servers_each(self->peer.object.loop, close_server, self);
	if (self->closing == 0)
		all_closed(self);
}

static void stop(struct muster__self *self)
{
	leave(self);
	muster__sockets_finish(self->peer.object.loop);
	set_deadline(self, STOP_MS);
}

/* ---- the heartbeat */

static void on_heart(evutil_socket_t fd, short what, void *data)
{
	struct muster__self *self = data;

	(void)fd, (void)what;
	muster__slot_beat(self->slot);
}

/* The first time here: from now on somebody counts the time, also that of the user's function. */
static void start_heart(struct muster__self *self, unsigned ms)
{
	struct timeval interval = muster__ms(ms);

	if (self->slot == NULL || ms == 0)
		return;
	muster__slot_beat(self->slot);
	muster__event_add(self->peer.object.loop, &self->heart, &interval);
}

/* ---- the channel */

static void on_cluster_line(struct muster__self *self, struct muster__line *line, int *fd)
{
	switch (line->act) {
	case MUSTER__ACT_NEWCONN: muster__far_newconn(self, line, fd); break;
	case MUSTER__ACT_LOG:
		muster__log_apply(line->json);
		if (*fd >= 0 && dup2(*fd, STDERR_FILENO) >= 0)
			muster__log(MUSTER_LOG_DEBUG, "the log is another file now");
		break;
	case MUSTER__ACT_DISCONNECT:
		self->asked_to_leave = true;
		self->peer.exited_after_disconnect = true;
		leave(self);
		break;
	case MUSTER__ACT_STOP:
		self->asked_to_leave = true;
		self->peer.exited_after_disconnect = true;
		stop(self);
		break;
	case MUSTER__ACT_NONE:
		if (line->has_ack && self->farewell_due && line->ack == self->farewell)
			muster__channel_disconnect(&self->peer.channel);
		else if (line->has_ack)
			muster__far_reply(self, line, fd);
		break;
	default: break;
	}
}

static struct muster__self *self_of_channel(struct muster__channel *channel)
{
	return muster__self_of(MUSTER__CONTAINER(channel, struct muster_worker, channel));
}

static void on_line(struct muster__channel *channel, struct muster__line *line, int *fd)
{
	struct muster__self *self = self_of_channel(channel);

	if (line->kind == MUSTER__LINE_CLUSTER)
		on_cluster_line(self, line, fd);
	else
		muster__peer_message(&self->peer, line, fd);
}

static void on_drained(struct muster__channel *channel)
{
	muster__endpoint_drained(&self_of_channel(channel)->peer.face);
}

static void on_closed(struct muster__channel *channel)
{
	struct muster__self *self = self_of_channel(channel);

	if (!self->leaving || !self->peer.exited_after_disconnect) {
		muster__log(MUSTER_LOG_WARN, "the primary is gone, draining for at most %u ms",
			    self->orphan_timeout_ms);
		set_deadline(self, self->orphan_timeout_ms);
	}
	leave(self);
	muster__peer_disconnected(&self->peer);
	muster__object_rest(&self->peer.object);
}

static const struct muster__channel_ops channel_ops = { on_line, NULL, on_drained, on_closed };

/* ---- the peer */

/* From the end of the turn: what is queued for its servers is taken in, and that calls back. */
static int self_disconnect(struct muster_worker *worker)
{
	muster__self_of(worker)->leave_due = true;
	muster__object_wake(&worker->object);
	return 0;
}

static int self_kill(struct muster_worker *worker, int signal)
{
	(void)signal;
	muster__self_of(worker)->stop_due = true;
	muster__object_wake(&worker->object);
	return 0;
}

/* A primary without a board is Node's, or anybody's: it has not asked for this. */
static int self_ready(struct muster_worker *worker)
{
	return muster__self_of(worker)->slot != NULL ? muster__send_ready(&worker->channel) : 0;
}

static struct muster__listeners *self_others(struct muster_worker *worker)
{
	(void)worker;
	return NULL;
}

/* As in Node: the channel keeps the worker running only while someone listens to it. */
static void self_listeners_changed(struct muster_worker *worker)
{
	if (MUSTER__HAVE(&worker->on, struct muster_worker_handlers, on_message) ||
	    MUSTER__HAVE(&worker->on, struct muster_worker_handlers, on_disconnect) ||
	    muster__endpoint_is_heard(&worker->face))
		muster__object_ref(&worker->object);
	else
		muster__object_unref(&worker->object);
}

static void face_heard(struct muster_channel *face)
{
	self_listeners_changed(MUSTER__CONTAINER(face, struct muster_worker, face));
}

static const struct muster__peer_ops peer_ops = {
	.disconnect = self_disconnect,
	.kill = self_kill,
	.ready = self_ready,
	.others = self_others,
	.listeners_changed = self_listeners_changed,
};

/* ---- the object */

static void self_turn(struct muster__object *object)
{
	struct muster__self *self = muster__self_of(MUSTER__CONTAINER(object, struct muster_worker, object));

	if (self->stop_due)
		stop(self);
	else if (self->leave_due)
		leave(self);
	self->stop_due = self->leave_due = false;
}

static void self_abandon(struct muster__object *object)
{
	struct muster__self *self = muster__self_of(MUSTER__CONTAINER(object, struct muster_worker, object));
	bool connected = muster_worker_is_connected(&self->peer);

	muster__event_del(object->loop, &self->deadline);
	muster__event_del(object->loop, &self->heart);
	muster__loop_unqueue(object->loop, &self->telling);
	muster__channel_flush(&self->peer.channel);
	muster__channel_free(&self->peer.channel);
	if (connected)
		muster__peer_disconnected(&self->peer);
}

static void self_free(struct muster__object *object)
{
	struct muster__self *self = muster__self_of(MUSTER__CONTAINER(object, struct muster_worker, object));

	muster__listeners_clear(&self->peer.on);
	muster__listeners_clear(&self->peer.face.on);
}

static const struct muster__class self_class = { "worker", self_turn, self_abandon, self_free };

/* `self` is the process: it outlives its loop, whose last objects still count in its slot. */
static int begin(struct muster__self *self, const struct muster__plan *plan, struct muster_loop *loop)
{
	self->peer.ops = &peer_ops;
	muster__endpoint_init(&self->peer.face, &self->peer.object, &self->peer.channel);
	self->peer.face.heard_changed = face_heard;
	self->peer.id = plan->id;
	self->peer.pid = getpid();
	self->peer.online = true;
	self->telling.run = tell_left;
	self->board = plan->board;
	self->slot = plan->board != NULL ? muster__scoreboard_slot(plan->board, plan->slot) : NULL;
	self->orphan_timeout_ms = plan->orphan_timeout_ms != 0 ? plan->orphan_timeout_ms : ORPHAN_MS;
	LIST_INIT(&self->fars);
	loop->listen_ops = &muster__listen_far;
	loop->count_ops = &muster__count_in_slot;
	loop->ops_data = self;
	muster__object_init(&self->peer.object, loop, &self_class);
	muster__object_unref(&self->peer.object);
	muster__object_open(&self->peer.object);
	event_assign(&self->deadline, loop->base, -1, EV_PERSIST, on_deadline, self);
	event_assign(&self->heart, loop->base, -1, EV_PERSIST, on_heart, self);
	start_heart(self, plan->heartbeat_ms);
	muster__self_set(self);
	if (muster__channel_init(&self->peer.channel, loop, plan->channel_fd, &channel_ops) < 0)
		return -ENOMEM;
	/* Without a slot there is nothing that a primary of ours could rely on: to it we are as any other peer. */
	if (self->slot == NULL)
		return muster__send_act(&self->peer.channel, "online", self->peer.seq++);
	self->peer.channel.is_muster = true;
	return muster__send_online(&self->peer.channel, self->peer.seq++);
}

static int set_up(struct muster__self *self, const struct muster__plan *plan)
{
	int err = plan->app != NULL ? muster__app_run(&self->peer, plan->app) : plan->function(&self->peer, plan->data);

	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "could not start: %s", muster_strerror(err));
	return err;
}

int muster__worker_main(const struct muster__plan *plan)
{
	struct muster_loop *loop = muster_loop_new();
	struct muster__self self = { 0 };
	char role[32];
	int err = loop != NULL ? 0 : -ENOMEM;

	snprintf(role, sizeof role, "worker %u", plan->id);
	muster__log_set_role(role);
	if (err == 0)
		err = begin(&self, plan, loop);
	if (err == 0)
		err = set_up(&self, plan);
	if (err == 0)
		err = muster_loop_run(loop);
	muster_loop_free(loop);
	if (loop != NULL)
		muster__far_free(&self);
	free(self.told);
	return err < 0 && self.status == 0 ? 1 : self.status;
}

/* ---- a program that was executed */

/*
 * Under a foreign primary there is no board. If that one is a worker of ours itself, its variables may have come down to us,
 * but not its descriptor: what has that number here is left alone.
 */
static void take_board(struct muster__plan *plan)
{
	int fd, slot, copy, heartbeat_ms;
	bool has_fd = muster__environment_take_number("MUSTER_SCOREBOARD_FD", &fd);
	bool has_slot = muster__environment_take_number("MUSTER_SCOREBOARD_SLOT", &slot);
	bool beats = muster__environment_take_number("MUSTER_HEARTBEAT_MS", &heartbeat_ms);

	if (!has_fd || !has_slot || slot >= MUSTER__SLOTS || (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return;
	plan->board = muster__scoreboard_open(copy);
	plan->slot = slot;
	plan->heartbeat_ms = beats ? (unsigned)heartbeat_ms : 0;
	if (plan->board != NULL)
		muster__fd_close(&fd);
}

int muster_worker_run_from_env(muster_worker_function worker, void *data)
{
	struct muster__plan plan = { .function = worker, .data = data };
	int id, status, err;
	bool has_id = muster__environment_take_number("NODE_UNIQUE_ID", &id);

	err = muster__environment_take_channel(&plan.channel_fd);
	if (err == 0 && !has_id)
		err = -ENOENT;
	if (err < 0)
		return err;
	plan.id = (unsigned)id;
	take_board(&plan);
	muster__fd_prepare(plan.channel_fd);
	status = muster__worker_main(&plan);
	muster__scoreboard_free(plan.board);
	return status;
}
