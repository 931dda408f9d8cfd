/* What there is, as JSON: of all generations, the current one first. */
#include "master/status.h"

#include "master/generations.h"
#include "master/listeners.h"
#include "master/log_file.h"
#include "master/passage.h"
#include "master/upgrade.h"
#include "master/vitals.h"
#include "src/address.h"

#include <jansson.h>
#include <muster/muster.h>
#include <unistd.h>

static const char *const policy_names[] = {
	[MUSTER_POLICY_DEFAULT] = "default",       [MUSTER_POLICY_ROUND_ROBIN] = "round-robin",
	[MUSTER_POLICY_SHARED] = "shared",         [MUSTER_POLICY_LEAST_CONNECTIONS] = "least-connections",
	[MUSTER_POLICY_REUSE_PORT] = "reuse-port", [MUSTER_POLICY_EXCLUSIVE] = "exclusive",
};

static const char *worker_state(const struct muster__seat *seat)
{
	const struct muster__process *process = seat->process;

	if (process == NULL)
		return seat->spent ? "errored" : "waiting";
	if (process->leaving)
		return "draining";
	if (!process->peer.online)
		return "starting";
	return process->ready ? "ready" : "online";
}

static void add_vitals(json_t *json, pid_t pid)
{
	struct muster__vitals vitals;

	if (!muster__vitals_of(pid, &vitals))
		return;
	json_object_set_new(json, "cpu_ms", json_integer((json_int_t)vitals.cpu_ms));
	json_object_set_new(json, "resident", json_integer((json_int_t)vitals.resident));
}

static json_t *worker_status(const struct muster__service_app *app, const struct muster__seat *seat)
{
	const struct muster__process *process = seat->process;
	json_t *json = json_pack("{s:s,s:i,s:s,s:i,s:i}", "application", app->plan.name, "slot", (int)seat->index,
				 "state", worker_state(seat), "restarts", (int)seat->restarts, "generation",
				 (int)app->service->generation);
	const struct muster__slot *slot;

	if (process == NULL)
		return json;
	json_object_set_new(json, "id", json_integer(process->peer.id));
	json_object_set_new(json, "pid", json_integer(process->peer.pid));
	json_object_set_new(json, "in_flight", json_integer(process->flight_count));
	add_vitals(json, process->peer.pid);
	if (muster__passage_status(process) != NULL)
		json_object_set_new(json, "status", json_string(muster__passage_status(process)));
	/* One that does not write to its slot has counts that nobody knows. */
	if (process->peer.online && !process->is_muster)
		return json;
	slot = muster__scoreboard_slot(app->service->board, process->slot);
	json_object_set_new(json, "connections", json_integer(atomic_load(&slot->open)));
	json_object_set_new(json, "accepted", json_integer((json_int_t)atomic_load(&slot->accepted)));
	return json;
}

/* Of an exclusive one: the slot of the worker that gets all. */
static void add_holder(json_t *json, const struct muster__listening *listening)
{
	if (listening->holder != NULL && listening->holder->seat != NULL)
		json_object_set_new(json, "holder", json_integer(listening->holder->seat->index));
}

static json_t *listener_status(const struct muster__service_app *app, const struct muster__listening *listening)
{
	const struct muster__scoreboard *board = app->service->board;
	struct muster_address address;
	char text[160] = "";

	if (muster__address_local(&address, listening->socket.fd) == 0)
		muster_address_format(&address, text, sizeof text);
	return json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:I,s:I,s:I,s:i,s:b}", "name",
			 listening->name != NULL ? listening->name : text, "address", text, "policy",
			 policy_names[listening->policy], "application", app->plan.name, "workers",
			 (int)listening->member_count, "connections",
			 (int)muster__scoreboard_row_open(board, listening->row), "accepted",
			 (json_int_t)muster__scoreboard_row_accepted(board, listening->row), "dropped",
			 (json_int_t)muster__scoreboard_row_dropped(board, listening->row), "refused",
			 (json_int_t)muster__scoreboard_row_refused(board, listening->row), "waiting",
			 (int)listening->returned_count, "accepting", (int)listening->acceptor.wanted);
}

/* New ones are put in front; people expect the order of the file. */
static json_t *listeners_status(const struct muster__service_app *app)
{
	json_t *array = json_array();
	const struct muster__listening *listening;

	LIST_FOREACH(listening, &app->cluster->listenings, link)
	{
		json_t *json = listener_status(app, listening);

		add_holder(json, listening);
		json_array_insert_new(array, 0, json);
	}
	return array;
}

static void add_workers(const struct muster__service *service, json_t *workers)
{
	const struct muster__seat *seat;
	size_t i;

	for (i = 0; service != NULL && i < service->app_count; i++)
		if (service->apps[i].cluster != NULL && !muster__service_app_is_own(&service->apps[i]))
			TAILQ_FOREACH(seat, &service->apps[i].cluster->seats, link)
	json_array_append_new(workers, worker_status(&service->apps[i], seat));
}

static json_t *workers_status(const struct muster__generations *all)
{
	const struct muster__service *service;
	json_t *workers = json_array();

	add_workers(all->current, workers);
	add_workers(all->next, workers);
	TAILQ_FOREACH(service, &all->ending, link)
	add_workers(service, workers);
	return workers;
}

/* Those of the generation that counts; they are the same sockets in the others. */
static json_t *all_listeners_status(const struct muster__service *service)
{
	json_t *listeners = json_array(), *own;
	size_t i;

	for (i = 0; service != NULL && i < service->app_count; i++) {
		if (service->apps[i].cluster == NULL || muster__service_app_is_own(&service->apps[i]))
			continue;
		own = listeners_status(&service->apps[i]);
		json_array_extend(listeners, own);
		json_decref(own);
	}
	return listeners;
}

static void add_generation(const struct muster__service *service, json_t *generations)
{
	if (service != NULL)
		json_array_append_new(generations, json_pack("{s:i,s:s,s:i}", "generation", (int)service->generation,
							     "state", muster__phase_name(service->phase), "connections",
							     (int)muster__service_connections(service)));
}

static json_t *generations_status(const struct muster__generations *all)
{
	const struct muster__service *service;
	json_t *generations = json_array();

	add_generation(all->current, generations);
	add_generation(all->next, generations);
	TAILQ_FOREACH(service, &all->ending, link)
	add_generation(service, generations);
	return generations;
}

static json_t *reload_status(const struct muster__generations *all)
{
	const char *state = all->reloads == 0 ? "none" : all->failure != NULL ? "failed" : "ok";

	if (all->current != NULL && all->next != NULL)
		state = "starting";
	else if (all->due)
		state = "pending";
	return json_pack("{s:s,s:i,s:i,s:s?}", "state", state, "count", (int)all->reloads, "failed", (int)all->failures,
			 "failure", all->failure);
}

static json_t *upgrade_status(const struct muster__upgrade *upgrade)
{
	const char *state = upgrade->count == 0 ? "none" : upgrade->failure != NULL ? "failed" : "ok";

	if (upgrade->step != MUSTER__UPGRADE_NONE)
		state = muster__upgrade_step_name(upgrade->step);
	return json_pack("{s:s,s:i,s:i,s:s?}", "state", state, "count", (int)upgrade->count, "failed",
			 (int)upgrade->failures, "failure", upgrade->failure);
}

static json_t *primary_status(void)
{
	json_t *json = json_pack("{s:I,s:I,s:I}", "descriptors", (json_int_t)muster__vitals_descriptors(),
				 "max_descriptors", (json_int_t)muster__vitals_max_descriptors(), "log_lost",
				 (json_int_t)muster__log_file_lost());

	add_vitals(json, getpid());
	return json;
}

static json_t *handovers_status(struct muster__scoreboard *board)
{
	const struct muster__tally *tally = muster__scoreboard_tally(board);

	return json_pack("{s:I,s:I,s:I,s:i}", "count", (json_int_t)tally->handed_over, "refused",
			 (json_int_t)tally->refused, "recovered", (json_int_t)tally->recovered, "in_flight",
			 (int)muster__scoreboard_flying(board));
}

/* NULL: this kernel does not tell. */
static json_t *host_status(void)
{
	struct muster__overflows host;

	if (!muster__vitals_overflows(&host))
		return NULL;
	return json_pack("{s:I,s:I}", "listen_overflows", (json_int_t)host.overflows, "listen_drops",
			 (json_int_t)host.drops);
}

json_t *muster__status(const struct muster__generations *all, const struct muster__upgrade *upgrade)
{
	const struct muster__service *service = all->current != NULL ? all->current : all->next;

	return json_pack(
		"{s:s,s:i,s:s,s:i,s:I,s:i,s:i,s:I,s:I,s:o,s:o,s:o,s:o,s:o*,s:o,s:o,s:o}", "version", MUSTER_VERSION,
		"pid", (int)getpid(), "state", muster__phase_name(muster__generations_phase(all)), "generation",
		service != NULL ? (int)service->generation : 0, "uptime_ms",
		(json_int_t)(muster__now_ms() - all->started_ms), "connections",
		(int)muster__scoreboard_sum(all->board), "max_connections", (int)muster__scoreboard_max(all->board),
		"accepted", (json_int_t)muster__scoreboard_accepted(all->board), "restarts",
		(json_int_t)muster__scoreboard_tally(all->board)->restarts, "handovers", handovers_status(all->board),
		"reload", reload_status(all), "upgrade", upgrade_status(upgrade), "primary", primary_status(), "host",
		host_status(), "generations", generations_status(all), "workers", workers_status(all), "listeners",
		all_listeners_status(service));
}

void muster__status_tell(struct muster_worker *worker, const struct muster__generations *all,
			 const struct muster__upgrade *upgrade)
{
	json_t *json = muster__status(all, upgrade);

	muster_worker_send(worker, &(struct muster_message){ .json = json });
	json_decref(json);
}
