/* master/vitals.h - what the kernel knows of processes and of this host, for those who watch us. */
#ifndef MASTER_VITALS_H
#define MASTER_VITALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct muster__vitals {
	uint64_t cpu_ms;   /* on a processor, since it began */
	uint64_t resident; /* bytes of memory */
};

/* False: it is gone, or /proc does not tell. */
bool muster__vitals_of(pid_t pid, struct muster__vitals *vitals);

/* Descriptors that this process has open, and how many it may have; -1: unknown, or no limit. */
int64_t muster__vitals_descriptors(void);
int64_t muster__vitals_max_descriptors(void);

/* Connections that found a queue full, and all that were lost at listeners, on the whole host since it began. */
struct muster__overflows {
	uint64_t overflows, drops;
};
bool muster__vitals_overflows(struct muster__overflows *overflows);

#endif
