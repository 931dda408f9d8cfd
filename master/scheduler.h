/* master/scheduler.h - who is next: pure functions of a roster of workers. */
#ifndef MASTER_SCHEDULER_H
#define MASTER_SCHEDULER_H

#include <muster/policy.h>
#include <stdbool.h>
#include <stddef.h>

/* The workers of one listener, asked about by index. */
struct muster__roster {
	size_t count;
	size_t turn; /* whose turn it is, wherever the count has gone meanwhile */
	bool (*able)(const void *data, size_t index);
	unsigned (*load)(const void *data, size_t index); /* open connections and those on their way */
	const void *data;
};

/* The index of the next worker, or `count` if none is able. Round robin skips who is not able; ties go in turn. */
size_t muster__schedule(enum muster_policy policy, const struct muster__roster *roster);

#endif
