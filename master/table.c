/* What is on its way to a worker: a ring of copies, oldest first, at most a window of them. */
#include "master/table.h"

void muster__flight_add(struct muster__process *process, struct muster__listening *listening, int fd, uint64_t seq)
{
	unsigned at = (process->first_flight + process->flight_count++) % MUSTER__FLIGHT_MAX;

	process->flights[at] = (struct muster__flight){
		.seq = seq,
		.number = ++process->handed,
		.fd = fd,
		.listening = listening,
	};
	muster__scoreboard_fly(process->cluster->board, 1);
	muster__scoreboard_tally(process->cluster->board)->handed_over++;
}

/* Answers come in order, so that there is next to nothing to move. */
static struct muster__flight remove_flight(struct muster__process *process, unsigned offset)
{
	unsigned first = process->first_flight;
	struct muster__flight flight = process->flights[(first + offset) % MUSTER__FLIGHT_MAX];

	for (; offset > 0; offset--)
		process->flights[(first + offset) % MUSTER__FLIGHT_MAX] =
			process->flights[(first + offset - 1) % MUSTER__FLIGHT_MAX];
	process->first_flight = (first + 1) % MUSTER__FLIGHT_MAX;
	process->flight_count--;
	muster__scoreboard_fly(process->cluster->board, -1);
	return flight;
}

bool muster__flight_take(struct muster__process *process, uint64_t seq, struct muster__flight *flight)
{
	unsigned i;

	for (i = 0; i < process->flight_count; i++)
		if (process->flights[(process->first_flight + i) % MUSTER__FLIGHT_MAX].seq == seq) {
			*flight = remove_flight(process, i);
			return true;
		}
	return false;
}

bool muster__flight_take_oldest(struct muster__process *process, struct muster__flight *flight)
{
	if (process->flight_count == 0)
		return false;
	*flight = remove_flight(process, 0);
	return true;
}

void muster__flights_forget(struct muster_cluster *cluster, const struct muster__listening *listening)
{
	struct muster__seat *seat;
	unsigned i;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	for (i = 0; seat->process != NULL && i < MUSTER__FLIGHT_MAX; i++)
		if (seat->process->flights[i].listening == listening)
			seat->process->flights[i].listening = NULL;
}

void muster__cluster_error(struct muster_cluster *cluster, const struct muster_error *error)
{
	char text[256];

	if (MUSTER__HAVE(&cluster->on, struct muster_worker_handlers, on_error)) {
		MUSTER__EMIT(&cluster->on, struct muster_worker_handlers, on_error, NULL, error);
		return;
	}
	muster_error_format(error, text, sizeof text);
	muster__log(MUSTER_LOG_ERROR, "cluster: %s", text);
}
