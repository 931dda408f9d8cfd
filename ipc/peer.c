/* What both sides can ask of a worker, and the messages users send each other through it. */
#include "ipc/peer.h"

#include "ipc/post.h"

int muster_worker_on_sized(struct muster_worker *worker, const struct muster_worker_handlers *handlers, size_t size,
			   void *data)
{
	int err = muster__listeners_on(worker->object.loop, &worker->on, handlers, size, sizeof *handlers, data);

	if (err == 0 && worker->ops->listeners_changed != NULL)
		worker->ops->listeners_changed(worker);
	return err;
}

int muster_worker_off_sized(struct muster_worker *worker, const struct muster_worker_handlers *handlers, size_t size,
			    void *data)
{
	int err = muster__listeners_off(worker->object.loop, &worker->on, handlers, size, sizeof *handlers, data);

	if (err == 0 && worker->ops->listeners_changed != NULL)
		worker->ops->listeners_changed(worker);
	return err;
}

unsigned muster_worker_id(const struct muster_worker *worker)
{
	return worker->id;
}

pid_t muster_worker_pid(const struct muster_worker *worker)
{
	return worker->pid;
}

struct muster_loop *muster_worker_loop(const struct muster_worker *worker)
{
	return worker->object.loop;
}

bool muster_worker_is_connected(const struct muster_worker *worker)
{
	return muster__channel_is_connected(&worker->channel);
}

bool muster_worker_is_dead(const struct muster_worker *worker)
{
	return worker->dead;
}

bool muster_worker_exited_after_disconnect(const struct muster_worker *worker)
{
	return worker->exited_after_disconnect;
}

int muster_worker_disconnect(struct muster_worker *worker)
{
	return muster_worker_is_connected(worker) ? worker->ops->disconnect(worker) : MUSTER_ECHANNEL;
}

int muster_worker_kill(struct muster_worker *worker, int signal)
{
	return worker->ops->kill(worker, signal);
}

int muster_worker_ready(struct muster_worker *worker)
{
	return muster_worker_is_connected(worker) ? worker->ops->ready(worker) : MUSTER_ECHANNEL;
}

int muster_worker_send_sized(struct muster_worker *worker, const struct muster_message *message, size_t size)
{
	return muster__post_send(&worker->channel, message, size);
}

struct muster_channel *muster_worker_channel(struct muster_worker *worker)
{
	return &worker->face;
}

struct muster_socket *muster_worker_stdio(const struct muster_worker *worker, int n)
{
	return muster__standard_at(&worker->standard, n);
}

void muster__peer_message(struct muster_worker *worker, struct muster__line *line, int *fd)
{
	struct muster__post post;

	muster__post_receive(&post, &worker->channel, line, fd);
	MUSTER__PEER_EMIT(worker, on_message, worker, &post.message);
	muster__endpoint_message(&worker->face, &post.message);
	muster__post_done(&post);
}

void muster__peer_disconnected(struct muster_worker *worker)
{
	MUSTER__PEER_EMIT(worker, on_disconnect, worker);
	muster__endpoint_disconnected(&worker->face);
}
