/* Policy, apart from mechanism: nothing here knows what a worker is. */
#include "master/scheduler.h"

static size_t round_robin(const struct muster__roster *roster)
{
	size_t i, index;

	for (i = 0; i < roster->count; i++) {
		index = (roster->turn + i) % roster->count;
		if (roster->able(roster->data, index))
			return index;
	}
	return roster->count;
}

static size_t least_connections(const struct muster__roster *roster)
{
	size_t best = roster->count, i, index;
	unsigned least = 0, load;

	for (i = 0; i < roster->count; i++) {
		index = (roster->turn + i) % roster->count;
		if (!roster->able(roster->data, index))
			continue;
		load = roster->load(roster->data, index);
		if (best == roster->count || load < least) {
			best = index;
			least = load;
		}
	}
	return best;
}

size_t muster__schedule(enum muster_policy policy, const struct muster__roster *roster)
{
	return policy == MUSTER_POLICY_LEAST_CONNECTIONS ? least_connections(roster) : round_robin(roster);
}
