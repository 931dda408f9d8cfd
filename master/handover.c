/*
 * From accept to answer: who can take a connection, what waits for somebody who can, what becomes of it.
 *
 * One function, muster__handover_derive, answers "should this listener be accepting?" from the state as it is now, and is
 * called after every change: nothing remembers that it was stopped, or why. While nobody can take a connection the kernel's
 * queue holds them.
 *
 * The primary keeps its copy of a connection from accept until the worker has answered; a worker that dies before that loses
 * none of those that it had not given to a server.
 */
#include "master/handover.h"

#include "ipc/hook.h"
#include "ipc/protocol.h"
#include "master/scheduler.h"
#include "src/address.h"
#include "src/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 1000
#define SWEEP_MAX 4096

bool muster__listening_is_shared(const struct muster__listening *listening)
{
	return listening->policy == MUSTER_POLICY_SHARED;
}

bool muster__listening_is_served_directly(const struct muster__listening *listening)
{
	return muster__listening_is_shared(listening) || listening->policy == MUSTER_POLICY_REUSE_PORT;
}

/* ---- who can take a connection */

static const struct muster__slot *slot_of(const struct muster__process *process)
{
	return process->is_muster ? muster__scoreboard_slot(process->cluster->board, process->slot) : NULL;
}

/* What its slot tells, and what it has not looked at yet; of a peer without a slot, what it has not answered. */
static unsigned load_of(const struct muster__process *process)
{
	const struct muster__slot *slot = slot_of(process);

	if (slot == NULL)
		return process->flight_count;
	return atomic_load_explicit(&slot->open, memory_order_relaxed) +
	       (unsigned)(process->handed - atomic_load_explicit(&slot->decided, memory_order_relaxed));
}

/* It has as many as one worker may have; or will have, with those on their way. */
static bool is_sated(const struct muster__process *process, bool on_their_way_too)
{
	unsigned max = process->cluster->options.worker_max_connections;
	const struct muster__slot *slot = slot_of(process);

	if (max == 0 || slot == NULL)
		return false;
	return (on_their_way_too ? load_of(process) : atomic_load_explicit(&slot->open, memory_order_relaxed)) >= max;
}

static bool can_take(const struct muster__process *process)
{
	return process->passage == NULL && muster__channel_is_connected(&process->peer.channel) && !process->leaving &&
	       !process->barred && !process->peer.channel.full &&
	       process->flight_count < process->cluster->options.window && !is_sated(process, true);
}

static bool member_able(const void *data, size_t index)
{
	const struct muster__listening *listening = data;

	return !listening->members[index].full && can_take(listening->members[index].process);
}

static unsigned member_load(const void *data, size_t index)
{
	return load_of(((const struct muster__listening *)data)->members[index].process);
}

/* The user's word about those who can take one: an index among the members, or their count for none. */
static size_t ask_user(const struct muster__listening *listening)
{
	struct muster_cluster *cluster = listening->cluster;
	struct muster_worker *able[MUSTER__SLOTS], *chosen;
	size_t count = 0, i;

	for (i = 0; i < listening->member_count; i++)
		if (member_able(listening, i))
			able[count++] = &listening->members[i].process->peer;
	cluster->picking = true;
	chosen = count > 0 ? cluster->pick(cluster, able, count, cluster->pick_data) : NULL;
	cluster->picking = false;
	for (i = 0; i < listening->member_count; i++)
		if (&listening->members[i].process->peer == chosen && member_able(listening, i))
			break;
	return i;
}

static struct muster__roster roster_of(const struct muster__listening *listening)
{
	return (struct muster__roster){
		.count = listening->member_count,
		.turn = listening->turn,
		.able = member_able,
		.load = member_load,
		.data = listening,
	};
}

/* Exclusive: the one who has served already, or else the lowest seat; the member count if that one cannot take more now. */
static size_t pick_holder(const struct muster__listening *listening)
{
	const struct muster__member *members = listening->members;
	size_t holder = 0, i;

	if (listening->member_count == 0)
		return 0;
	for (i = 0; i < listening->member_count; i++) {
		if (members[i].process->seat->index < members[holder].process->seat->index)
			holder = i;
		if (members[i].process == listening->holder) {
			holder = i;
			break;
		}
	}
	return member_able(listening, holder) ? holder : listening->member_count;
}

/* In the end the policy decides: a cluster that closes would wait for ever for a user who gives its connections to nobody. */
static size_t pick(const struct muster__listening *listening)
{
	const struct muster_cluster *cluster = listening->cluster;
	struct muster__roster roster;
	size_t index;

	if (listening->policy == MUSTER_POLICY_EXCLUSIVE)
		return pick_holder(listening);
	if (cluster->pick != NULL && !muster__listening_is_served_directly(listening)) {
		index = ask_user(listening);
		if (index < listening->member_count || (cluster->pick != NULL && !cluster->closing))
			return index;
	}
	roster = roster_of(listening);
	return muster__schedule(listening->policy, &roster);
}

static bool somebody_is_able(const struct muster__listening *listening)
{
	struct muster__roster roster = roster_of(listening);

	if (listening->policy == MUSTER_POLICY_EXCLUSIVE)
		return pick_holder(listening) < listening->member_count;
	return muster__schedule(MUSTER_POLICY_ROUND_ROBIN, &roster) < listening->member_count;
}

static bool somebody_is_sated(const struct muster__listening *listening)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (is_sated(listening->members[i].process, true))
			return true;
	return false;
}

static bool all_are_sated(const struct muster__listening *listening, bool on_their_way_too)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (!is_sated(listening->members[i].process, on_their_way_too))
			return false;
	return i > 0;
}

/*
 * A connection on its way counts twice between the worker's taking it and its answer: enough to wait for that, and not enough
 * to drop another.
 */
static bool is_reached(const struct muster__listening *listening, bool on_their_way_too)
{
	struct muster__scoreboard *board = listening->cluster->board;
	unsigned all = muster__scoreboard_max(board), own = listening->max_connections;
	unsigned flying = on_their_way_too ? muster__scoreboard_flying(board) : 0;

	if (all != 0 && muster__scoreboard_sum(board) + flying >= all)
		return true;
	flying = on_their_way_too ? listening->flying : 0;
	if (own != 0 && muster__scoreboard_row_open(board, listening->row) + flying >= own)
		return true;
	return all_are_sated(listening, on_their_way_too);
}

static bool at_limit(const struct muster__listening *listening)
{
	return is_reached(listening, true);
}

static bool must_drop(const struct muster__listening *listening)
{
	return listening->drops && is_reached(listening, false);
}

/* ---- hand over */

/* Give the connection to somebody. False: nobody can take it now, and it is still the caller's. */
static bool place(struct muster__listening *listening, int fd)
{
	size_t index;

	while ((index = pick(listening)) < listening->member_count) {
		struct muster__process *process = listening->members[index].process;
		uint64_t seq = process->peer.seq;
		int err;

		MUSTER__HOOK("before-handed-over");
		err = muster__try_newconn(&process->peer.channel, listening->key, fd, seq);
		listening->turn = (index + 1) % listening->member_count;
		if (err == 0) {
			process->peer.seq++;
			muster__flight_add(process, listening, fd, seq);
			listening->flying++;
			listening->holder = process;
			MUSTER__HOOK("handed-over");
			return true;
		}
		/* Full (its channel says so from now on) or gone (its end is about to be told). */
		if (err != -EAGAIN)
			process->peer.channel.full = true;
	}
	return false;
}

/* It found no worker: it waits here, and nothing more is accepted meanwhile. */
static void keep(struct muster__listening *listening, int fd)
{
	if (listening->returned_count == listening->returned_room) {
		size_t room = listening->returned_room ? listening->returned_room * 2 : 4;
		int *returned = realloc(listening->returned, room * sizeof *returned);

		if (returned == NULL) {
			muster__log(MUSTER_LOG_ERROR, "listener %s: out of memory, a connection is lost",
				    listening->key);
			muster__fd_close(&fd);
			return;
		}
		listening->returned = returned;
		listening->returned_room = room;
	}
	listening->returned[listening->returned_count++] = fd;
}

static void offer_again(struct muster__listening *listening)
{
	size_t placed = 0;

	while (placed < listening->returned_count && !at_limit(listening) &&
	       place(listening, listening->returned[placed]))
		placed++;
	listening->returned_count -= placed;
	if (placed > 0)
		memmove(listening->returned, listening->returned + placed,
			listening->returned_count * sizeof *listening->returned);
}

/* Handlers may close what we are in the midst of: it is there until the end of the turn. */
static void drop(struct muster__listening *listening, int fd)
{
	struct muster_cluster *cluster = listening->cluster;
	struct muster_address local, remote;

	muster__address_local(&local, fd);
	muster__address_remote(&remote, fd);
	if (local.family == MUSTER__FAMILY_UNIX)
		local.family = remote.family = 0;
	muster__fd_close(&fd);
	muster__scoreboard_drop(cluster->board, listening->row);
	cluster->picking = true;
	MUSTER__EMIT(&cluster->on, struct muster_worker_handlers, on_drop, cluster, &local, &remote);
	cluster->picking = false;
}

/* Not where a user's call may have led to: on_drop never comes from inside one. */
static void drop_excess(struct muster__listening *listening)
{
	int fd;

	while (listening->returned_count > 0 && must_drop(listening)) {
		fd = listening->returned[--listening->returned_count];
		drop(listening, fd);
	}
}

void muster__handover_offer(struct muster__listening *listening, int fd)
{
	MUSTER__HOOK("accepted");
	/* A limit over all listeners may have been reached by another one. */
	if (at_limit(listening) || !place(listening, fd))
		keep(listening, fd);
	drop_excess(listening);
	muster__handover_derive(listening);
}

void muster__handover_failed(struct muster__listening *listening, int err)
{
	struct muster_error error = { .code = err, .call = "accept" };

	muster__address_local(&error.address, listening->socket.fd);
	listening->cluster->picking = true;
	muster__cluster_error(listening->cluster, &error);
	listening->cluster->picking = false;
}

static void on_accepted(struct muster__acceptor *acceptor, int fd)
{
	muster__handover_offer(MUSTER__CONTAINER(acceptor, struct muster__listening, acceptor), fd);
}

static void on_failed(struct muster__acceptor *acceptor, int err)
{
	muster__handover_failed(MUSTER__CONTAINER(acceptor, struct muster__listening, acceptor), err);
}

static const struct muster__acceptor_ops acceptor_ops = { on_accepted, on_failed };

/* ---- should it be accepting? */

static bool somebody_is_full(const struct muster__listening *listening)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (listening->members[i].full)
			return true;
	return false;
}

static void arm_retry(struct muster__listening *listening, bool wanted)
{
	struct muster_loop *loop = listening->cluster->object.loop;
	struct timeval delay;

	if (!wanted) {
		muster__event_del(loop, &listening->retry);
		listening->retry_ms = RETRY_FIRST_MS;
	} else if (!event_pending(&listening->retry, EV_TIMEOUT, NULL)) {
		delay = muster__ms(listening->retry_ms);
		muster__event_add(loop, &listening->retry, &delay);
	}
}

/* What a scheduler changes while it is asked is looked at when its answer has been. */
bool muster__handover_settle_later(struct muster_cluster *cluster)
{
	if (!cluster->picking)
		return false;
	cluster->unsettled = true;
	muster__object_wake(&cluster->object);
	return true;
}

void muster__handover_derive(struct muster__listening *listening)
{
	bool limited = at_limit(listening), able, starved, accepting;

	if (muster__handover_settle_later(listening->cluster))
		return;
	if (!limited && listening->returned_count > 0)
		offer_again(listening);
	able = somebody_is_able(listening);
	/* Somebody may be able as soon as one of his connections closes. */
	starved = limited || (!able && somebody_is_sated(listening));
	if (starved)
		muster__scoreboard_set_starved(listening->cluster->board, true);
	arm_retry(listening, starved || listening->returned_count > 0 || somebody_is_full(listening));
	if (listening->socket.fd < 0) {
		muster__object_wake(&listening->cluster->object);
		return;
	}
	accepting = limited ? must_drop(listening) : able && listening->returned_count == 0;
	accepting = accepting && !listening->cluster->held;
	if (listening->watch_lanes != NULL)
		listening->watch_lanes(listening, accepting);
	if (accepting && !muster__listening_is_served_directly(listening))
		muster__acceptor_start(&listening->acceptor);
	else
		muster__acceptor_stop(&listening->acceptor);
}

void muster__handover_derive_all(struct muster_cluster *cluster)
{
	struct muster__listening *listening;

	LIST_FOREACH(listening, &cluster->listenings, link)
	muster__handover_derive(listening);
}

/* Those that refused are asked again: not every peer says when it has room. */
static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct muster__listening *listening = data;
	size_t i;

	(void)fd, (void)what;
	muster__event_del(listening->cluster->object.loop, &listening->retry);
	if (listening->retry_ms < RETRY_MAX_MS)
		listening->retry_ms *= 2;
	for (i = 0; i < listening->member_count; i++)
		listening->members[i].full = false;
	drop_excess(listening);
	muster__handover_derive(listening);
}

/*
 * A worker that dies may take the kernel's wake-up for a queued connection with it, and the others sleep on: whatever is
 * queued on a shared listener is accepted here and handed to one of them.
 */
void muster__handover_sweep(struct muster__listening *listening)
{
	int left = listening->cluster->held ? 0 : SWEEP_MAX, fd;

	while (left-- > 0 && !at_limit(listening) && somebody_is_able(listening) &&
	       (fd = accept4(listening->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		if (!place(listening, fd))
			keep(listening, fd);
}

/*
 * A client that is in the kernel's queue has a connection, as far as it knows; closing the socket would reset it. So the
 * queue comes in whole, whoever can take it, and what is left over waits here for answers.
 */
void muster__handover_take_queue(struct muster__listening *listening, int fd)
{
	int left = listening->cluster->passing == NULL ? SWEEP_MAX : 0, taken;

	while (left-- > 0 && (taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		keep(listening, taken);
}

void muster__handover_move_waiting(struct muster__listening *from, struct muster__listening *to)
{
	size_t i;

	for (i = 0; i < from->returned_count; i++)
		keep(to, from->returned[i]);
	from->returned_count = 0;
	muster__handover_derive(to);
}

/* ---- answers */

struct muster__member *muster__handover_member(struct muster__listening *listening,
					       const struct muster__process *process)
{
	size_t i;

	for (i = 0; i < listening->member_count; i++)
		if (listening->members[i].process == process)
			return &listening->members[i];
	return NULL;
}

static void landed(const struct muster__flight *flight)
{
	if (flight->listening != NULL)
		flight->listening->flying--;
}

static void give_back(struct muster__listening *listening, int fd)
{
	if (listening != NULL)
		keep(listening, fd);
	else
		muster__fd_close(&fd);
}

static void refused(const struct muster__process *process, const struct muster__flight *flight)
{
	muster__scoreboard_tally(process->cluster->board)->refused++;
	give_back(flight->listening, flight->fd);
}

void muster__handover_answered(struct muster__process *process, uint64_t seq, bool accepted)
{
	struct muster__flight flight;
	struct muster__member *member;

	if (!muster__flight_take(process, seq, &flight))
		return;
	MUSTER__HOOK("answer-received");
	landed(&flight);
	member = flight.listening != NULL ? muster__handover_member(flight.listening, process) : NULL;
	if (member != NULL)
		member->full = !accepted;
	if (accepted)
		muster__fd_close(&flight.fd);
	else
		refused(process, &flight);
	MUSTER__HOOK("answer-settled");
	if (flight.listening == NULL)
		return;
	drop_excess(flight.listening);
	muster__handover_derive(flight.listening);
}

/*
 * "Exactly once": those the worker gave to a server are over, and closing our copy tells their clients; those that it refused
 * or never looked at go to somebody else. Without a slot, unanswered means undelivered.
 */
void muster__handover_recover(struct muster__process *process)
{
	struct muster__slot *slot = muster__scoreboard_slot(process->cluster->board, process->slot);
	struct muster__flight flight;
	unsigned saved = 0, lost = 0;

	while (muster__flight_take_oldest(process, &flight)) {
		landed(&flight);
		if (process->is_muster && slot != NULL && muster__slot_adopted(slot, flight.number)) {
			muster__fd_close(&flight.fd);
			lost++;
		} else {
			give_back(flight.listening, flight.fd);
			saved++;
		}
	}
	muster__scoreboard_tally(process->cluster->board)->recovered += saved;
	if (saved + lost > 0)
		muster__log(MUSTER_LOG_INFO, "worker %u: of %u connections on their way to it %u are handed to others",
			    process->peer.id, saved + lost, saved);
}

void muster__handover_room(struct muster__process *process)
{
	struct muster__listening *listening;
	struct muster__member *member;

	LIST_FOREACH(listening, &process->cluster->listenings, link)
	{
		member = muster__handover_member(listening, process);
		if (member != NULL)
			member->full = false;
	}
	/* The limit may be one over several clusters. */
	muster__scoreboard_tell_room(process->cluster->board);
}

/* ---- life */

void muster__handover_begin(struct muster__listening *listening)
{
	struct muster_loop *loop = listening->cluster->object.loop;

	listening->retry_ms = RETRY_FIRST_MS;
	muster__acceptor_init(&listening->acceptor, loop, listening->socket.fd, &acceptor_ops, 0);
	event_assign(&listening->retry, loop->base, -1, EV_PERSIST, on_retry, listening);
}

void muster__handover_end(struct muster__listening *listening)
{
	muster__acceptor_stop(&listening->acceptor);
	muster__event_del(listening->cluster->object.loop, &listening->retry);
	/* Hand-overs that are still on their way outlive the listener: their copies are only closed. */
	muster__flights_forget(listening->cluster, listening);
	while (listening->returned_count > 0)
		muster__fd_close(&listening->returned[--listening->returned_count]);
	free(listening->returned);
}
