/*
 * Birth: plan, fork, record. Death: what the channel still holds is read, hand-overs are recovered, and only then is the slot
 * cleared; on_disconnect comes before on_exit, each from the end of a turn.
 *
 * This file is the one bridge to worker/: after the fork the primary's code becomes the worker's.
 */
#include "master/spawn.h"

#include "ipc/child.h"
#include "master/bounds.h"
#include "master/listeners.h"
#include "master/output.h"
#include "master/passage.h"
#include "master/ready.h"
#include "src/fd.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct muster__process *process_of_channel(struct muster__channel *channel)
{
	return muster__process_of(MUSTER__CONTAINER(channel, struct muster_worker, channel));
}

/* ---- what it says */

/* Due at the end of a turn, but a worker may be quicker with its first words. */
static void tell_fork(struct muster__process *process)
{
	if (!process->fork_due)
		return;
	process->fork_due = false;
	MUSTER__PEER_EMIT(&process->peer, on_fork, &process->peer);
	if (process->passage == NULL)
		return;
	/* It cannot say so. */
	process->peer.online = true;
	MUSTER__PEER_EMIT(&process->peer, on_online, &process->peer);
}

static void on_online(struct muster__process *process, const struct muster__line *line)
{
	if (process->peer.online)
		return;
	process->peer.online = true;
	process->is_muster = process->peer.channel.is_muster = muster__online_is_muster(line->json);
	MUSTER__PEER_EMIT(&process->peer, on_online, &process->peer);
	muster__ready_look(process);
}

static void on_listening(struct muster__process *process, const struct muster__line *line)
{
	struct muster_address address;

	muster__listening_address(&address, line->json);
	process->listened++;
	MUSTER__PEER_EMIT(&process->peer, on_listening, &process->peer, &address);
	muster__ready_look(process);
}

/* It wants to leave, and waits for our word. */
static void on_farewell(struct muster__process *process, const struct muster__line *line)
{
	process->peer.exited_after_disconnect = true;
	process->leaving = true;
	muster__send_plain_reply(&process->peer.channel, line->seq, process->peer.seq++);
	muster__listeners_leave(process, false);
}

static void on_said_ready(struct muster__process *process)
{
	process->said_ready = true;
	muster__ready_look(process);
}

/* What programs say by process.send("ready"): a convention of theirs, heard where it was asked for. */
static bool says_ready(const struct muster__process *process, const struct muster__line *line)
{
	static const char word[] = "\"ready\"";

	return process->cluster->options.ready == MUSTER_READY_SAID && line->length == sizeof word - 1 &&
	       memcmp(line->text, word, line->length) == 0;
}

static void on_cluster_line(struct muster__process *process, struct muster__line *line)
{
	switch (line->act) {
	case MUSTER__ACT_ONLINE: on_online(process, line); break;
	case MUSTER__ACT_QUERY: muster__listeners_query(process, line); break;
	case MUSTER__ACT_LISTENING: on_listening(process, line); break;
	case MUSTER__ACT_CLOSE: muster__listeners_close(process, line->key, line->key_length); break;
	case MUSTER__ACT_EXITED_AFTER_DISCONNECT: on_farewell(process, line); break;
	case MUSTER__ACT_ROOM: muster__handover_room(process); break;
	case MUSTER__ACT_READY: on_said_ready(process); break;
	case MUSTER__ACT_NONE:
		if (line->has_ack && line->has_accepted)
			muster__handover_answered(process, line->ack, line->accepted);
		break;
	default: break;
	}
}

static void on_line(struct muster__channel *channel, struct muster__line *line, int *fd)
{
	struct muster__process *process = process_of_channel(channel);

	tell_fork(process);
	if (line->kind == MUSTER__LINE_CLUSTER) {
		on_cluster_line(process, line);
		return;
	}
	if (says_ready(process, line))
		on_said_ready(process);
	muster__peer_message(&process->peer, line, fd);
}

/* A descriptor that did not arrive was not taken; a newconn without it is as good as refused. */
static void on_answered(struct muster__channel *channel, uint64_t ticket, bool received)
{
	if (!received)
		muster__handover_answered(process_of_channel(channel), ticket, false);
}

/* While the loop is freed other workers may be gone already. */
static void on_drained(struct muster__channel *channel)
{
	if (channel->loop->freeing)
		return;
	muster__handover_derive_all(process_of_channel(channel)->cluster);
	muster__endpoint_drained(&process_of_channel(channel)->peer.face);
}

static void on_closed(struct muster__channel *channel)
{
	struct muster__process *process = process_of_channel(channel);

	muster__handover_recover(process);
	muster__listeners_leave(process, !process->leaving);
	/* What came back may belong to listeners that it had left before. */
	muster__handover_derive_all(process->cluster);
	process->disconnect_due = true;
	/* It cannot be asked any more, and has to go nevertheless. */
	muster__bound_leave(process);
	muster__object_wake(&process->peer.object);
}

static const struct muster__channel_ops channel_ops = { on_line, on_answered, on_drained, on_closed };

/* ---- its end */

static void on_exited(evutil_socket_t fd, short what, void *data)
{
	struct muster__process *process = data;

	(void)what;
	if (!muster__child_reap(fd, &process->code, &process->signal))
		return;
	muster__event_del(process->peer.object.loop, &process->exited);
	muster__bound_end(process);
	muster__fd_close(&process->pidfd);
	process->peer.dead = true;
	process->exit_due = true;
	muster__output_end(process);
	muster__passage_end(process);
	muster__channel_finish(&process->peer.channel);
	muster__object_wake(&process->peer.object);
}

static void log_exit(const struct muster__process *process)
{
	enum muster_log_level level = process->leaving && process->signal == 0 ? MUSTER_LOG_INFO : MUSTER_LOG_WARN;

	if (process->signal != 0)
		muster__log(level, "worker %u (pid %d) was killed by signal %d", process->peer.id,
			    (int)process->peer.pid, process->signal);
	else
		muster__log(level, "worker %u (pid %d) exited with status %d", process->peer.id, (int)process->peer.pid,
			    process->code);
}

static void vacate(struct muster__process *process)
{
	struct muster__seat *seat = process->seat;
	const struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);

	process->served = process->handed > 0 || atomic_load(&slot->accepted) > 0;
	process->seat = NULL;
	muster__scoreboard_give(process->cluster->board, process->slot);
	seat->process = NULL;
	seat->cluster->vacated(seat, process);
}

static void process_turn(struct muster__object *object)
{
	struct muster__process *process = muster__process_of(MUSTER__CONTAINER(object, struct muster_worker, object));
	struct muster_worker *worker = &process->peer;

	tell_fork(process);
	muster__ready_tell(process);
	if (process->disconnect_due) {
		process->disconnect_due = false;
		muster__peer_disconnected(worker);
	}
	/* The end of the channel is told first: it is already on its way. */
	if (process->exit_due && process->peer.channel.state == MUSTER__CHANNEL_CLOSED) {
		process->exit_due = false;
		log_exit(process);
		muster__standard_end_input(&worker->standard);
		MUSTER__PEER_EMIT(worker, on_exit, worker, process->code, process->signal);
		muster__object_close(object);
		return;
	}
	if (object->life == MUSTER__CLOSING) {
		vacate(process);
		muster__object_ended(object);
	}
}

/* The loop goes: the channel closes and the worker drains. It is not killed, and no longer ours to reap. */
static void process_abandon(struct muster__object *object)
{
	struct muster__process *process = muster__process_of(MUSTER__CONTAINER(object, struct muster_worker, object));
	bool told = process->peer.channel.state == MUSTER__CHANNEL_CLOSED && !process->disconnect_due;
	struct muster__flight flight;

	muster__event_del(object->loop, &process->exited);
	muster__bound_end(process);
	muster__output_end(process);
	muster__passage_free(process);
	muster__fd_close(&process->pidfd);
	while (muster__flight_take_oldest(process, &flight))
		muster__fd_close(&flight.fd);
	muster__channel_flush(&process->peer.channel);
	muster__channel_free(&process->peer.channel);
	if (process->seat != NULL)
		process->seat->process = NULL;
	if (!told)
		muster__peer_disconnected(&process->peer);
}

static void process_free(struct muster__object *object)
{
	struct muster__process *process = muster__process_of(MUSTER__CONTAINER(object, struct muster_worker, object));

	muster__standard_leave(&process->peer.standard);
	muster__output_end(process);
	muster__passage_free(process);
	muster__channel_free(&process->peer.channel);
	muster__listeners_clear(&process->peer.on);
	muster__listeners_clear(&process->peer.face.on);
	free(process);
}

static const struct muster__class process_class = { "worker", process_turn, process_abandon, process_free };

/* ---- what users ask of it */

static int process_kill(struct muster_worker *worker, int signal)
{
	struct muster__process *process = muster__process_of(worker);

	if (process->pidfd < 0)
		return -ESRCH;
	return muster__child_signal(process->pidfd, signal != 0 ? signal : SIGTERM);
}

static int process_disconnect(struct muster_worker *worker)
{
	struct muster__process *process = muster__process_of(worker);
	int err;

	if (process->leaving)
		return 0;
	err = process->passage != NULL ? process_kill(worker, SIGTERM) :
					 muster__send_act(&worker->channel, "disconnect", worker->seq);
	if (err < 0)
		return err;
	worker->seq++;
	worker->exited_after_disconnect = true;
	process->leaving = true;
	muster__listeners_leave(process, false);
	muster__bound_leave(process);
	return 0;
}

static int process_ready(struct muster_worker *worker)
{
	on_said_ready(muster__process_of(worker));
	return 0;
}

static struct muster__listeners *process_others(struct muster_worker *worker)
{
	return &muster__process_of(worker)->cluster->on;
}

static const struct muster__peer_ops peer_ops = {
	.disconnect = process_disconnect,
	.kill = process_kill,
	.ready = process_ready,
	.others = process_others,
};

/* ---- birth */

static struct muster__process *process_new(struct muster__seat *seat)
{
	struct muster__process *process = calloc(1, sizeof *process);
	struct muster_cluster *cluster = seat->cluster;

	if (process == NULL)
		return NULL;
	process->cluster = cluster;
	process->seat = seat;
	process->pidfd = -1;
	process->slot = muster__scoreboard_take(cluster->board);
	process->started_ms = process->beat_ms = muster__now_ms();
	evutil_secure_rng_get_bytes(&process->luck, sizeof process->luck);
	process->peer.id = ++cluster->next_id;
	process->peer.ops = &peer_ops;
	muster__endpoint_init(&process->peer.face, &process->peer.object, &process->peer.channel);
	muster__object_init(&process->peer.object, cluster->object.loop, &process_class);
	muster__bound_init(process);
	return process;
}

static void discard(struct muster__process *process)
{
	muster__listeners_leave(process, false);
	muster__scoreboard_give(process->cluster->board, process->slot);
	muster__standard_destroy(&process->peer.standard);
	muster__object_discard(&process->peer.object);
}

static int open_standard(struct muster__process *process, int theirs[3])
{
	const struct muster_cluster *cluster = process->cluster;
	int wanted[3] = { cluster->options.stdio[0], cluster->options.stdio[1], cluster->options.stdio[2] };
	int output = -1, err = 0;

	if (cluster->speaks_as != NULL)
		err = muster__output_open(process, &output);
	if (output >= 0)
		wanted[STDOUT_FILENO] = wanted[STDERR_FILENO] = output;
	if (err == 0)
		err = muster__standard_open(&process->peer.standard, process->peer.object.loop, wanted,
					    cluster->options.silent, theirs);
	muster__fd_close(&output);
	return err;
}

static int plan_and_fork(struct muster__process *process, int theirs)
{
	const struct muster_cluster *cluster = process->cluster;
	struct muster__plan plan = {
		.channel_fd = theirs,
		.sockets = process->passage != NULL ? muster__passage_sockets(process) : NULL,
		.id = process->peer.id,
		.board = cluster->board,
		.slot = process->slot,
		.function = cluster->options.worker,
		.data = cluster->options.data,
		.app = cluster->app,
		.exec = cluster->options.exec,
		.common_env = cluster->options.env,
		.env = process->seat->env,
		.cwd = cluster->options.cwd,
		.uid = cluster->options.uid,
		.gid = cluster->options.gid,
		.privileges = cluster->privileges,
		.orphan_timeout_ms = cluster->options.orphan_timeout_ms,
		.heartbeat_ms = cluster->rounds.beat_ms,
		.pinned = cluster->options.cpu_affinity,
		.place = process->seat->index,
		.nice = cluster->options.nice,
		.limit_nofile = cluster->options.limit_nofile,
		.limit_core = cluster->options.limit_core,
		.no_core = cluster->options.no_core,
		.own_group = cluster->options.own_group,
		.joined_output = cluster->permit != NULL,
	};

	int err = open_standard(process, plan.standard);

	if (err == 0)
		err = muster__child_fork(&plan, muster__worker_main, &process->peer.pid, &process->pidfd);
	muster__standard_close(plan.standard);
	return err;
}

/* In the parent: the table, the channel, the watch for its death. */
static int record(struct muster__process *process, int *ours)
{
	struct muster_loop *loop = process->peer.object.loop;
	int fd = *ours;

	*ours = -1;
	event_assign(&process->exited, loop->base, process->pidfd, EV_READ | EV_PERSIST, on_exited, process);
	if (muster__channel_init(&process->peer.channel, loop, fd, &channel_ops) < 0 ||
	    muster__event_add(loop, &process->exited, NULL) < 0)
		return -ENOMEM;
	process->seat->process = process;
	process->fork_due = true;
	muster__object_open(&process->peer.object);
	muster__object_wake(&process->peer.object);
	return 0;
}

/* A child we cannot watch must not run. */
static void undo_fork(struct muster__process *process)
{
	muster__event_del(process->peer.object.loop, &process->exited);
	if (process->pidfd >= 0)
		muster__child_signal(process->pidfd, SIGKILL);
	muster__fd_close(&process->pidfd);
}

static int spawn_pair(struct muster__process *process)
{
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	pair[1] = muster__fd_above_standard(pair[1]);
	err = pair[1] < 0 ? pair[1] : plan_and_fork(process, pair[1]);
	if (err == 0 && (err = record(process, &pair[0])) < 0)
		undo_fork(process);
	else if (err == 0 && process->passage != NULL)
		muster__passage_begin(process, &pair[1]);
	muster__fd_close(&pair[0]);
	muster__fd_close(&pair[1]);
	return err;
}

int muster__spawn(struct muster__seat *seat, struct muster__process **out)
{
	struct muster__process *process = process_new(seat);
	int err;

	if (process == NULL)
		return -ENOMEM;
	err = process->slot < 0 ? -EAGAIN : 0;
	if (err == 0 && seat->cluster->passing != NULL)
		err = muster__passage_new(process);
	if (err == 0)
		err = spawn_pair(process);
	if (err < 0) {
		discard(process);
		return err;
	}
	muster__log(MUSTER_LOG_INFO, "worker %u (pid %d) started", process->peer.id, (int)process->peer.pid);
	*out = process;
	return 0;
}
