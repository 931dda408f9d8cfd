/* What one worker asks for is bound by all that the others need: descriptors, memory, and what the operator has in mind. */
#include "master/demand.h"

#include "master/handover.h"
#include "master/permit.h"

#include <errno.h>
#include <sys/resource.h>

#define DATA_MAX ((size_t)64 * 1024) /* of what is kept for all who ask for the same listener */

/* For the eyes of whoever can mend it. */
static void note_refusal(struct muster__process *process, const struct muster__query *query)
{
	const char *place = query->address != NULL ? query->address : "*";

	if (!muster__log_allowed(&process->peer.channel.log_limit))
		return;
	if (query->family == -1)
		muster__log(MUSTER_LOG_WARN,
			    "worker %u (pid %d) may listen on %s only if a listener is configured there",
			    process->peer.id, (int)process->peer.pid, place);
	else
		muster__log(MUSTER_LOG_WARN,
			    "worker %u (pid %d) may listen on %s port %d only if a listener is configured there",
			    process->peer.id, (int)process->peer.pid, place, query->port);
}

static unsigned demanded_by(const struct muster__process *process)
{
	struct muster__listening *listening;
	unsigned count = 0;

	LIST_FOREACH(listening, &process->cluster->listenings, link)
	count += listening->name == NULL && muster__handover_member(listening, process) != NULL;
	return count;
}

/* One worker cannot spend the descriptors that all live on. */
static bool has_its_share(const struct muster__process *process)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && demanded_by(process) >= limit.rlim_cur / 8;
}

/* It stays with the listener, and goes out with each answer. */
static bool asks_to_keep_too_much(struct muster__process *process, const struct muster__query *query)
{
	size_t length = muster__data_size(query->data);

	if (length <= DATA_MAX)
		return false;
	if (muster__log_allowed(&process->peer.channel.log_limit))
		muster__log(MUSTER_LOG_WARN,
			    "worker %u (pid %d) gets no listener: the data for it has %zu bytes, and more than %zu are "
			    "not kept",
			    process->peer.id, (int)process->peer.pid, length, DATA_MAX);
	return true;
}

int muster__demand_check(struct muster__process *process, const struct muster__query *query)
{
	const struct muster_cluster *cluster = process->cluster;

	if (query->fd >= 0)
		return -EBADF;
	if (asks_to_keep_too_much(process, query))
		return -E2BIG;
	if (has_its_share(process)) {
		if (muster__log_allowed(&process->peer.channel.log_limit))
			muster__log(MUSTER_LOG_WARN, "worker %u (pid %d) has %u listeners of its own and gets no more",
				    process->peer.id, (int)process->peer.pid, demanded_by(process));
		return -EMFILE;
	}
	if (cluster->permit != NULL ? muster__permit_allows(cluster->permit, query) : cluster->app == NULL)
		return 0;
	note_refusal(process, query);
	return -EACCES;
}
