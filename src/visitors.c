/*
 * Both tables are sets of a few places, found by the key, so a lookup is one or two cache lines and memory is bounded.
 *
 * Open connections: each process has a table of its own and reads those of the others, so nothing is ever written by two, and
 * what a dead process had counted goes with its table. With all places of a set taken a connection is let in uncounted.
 *
 * Rates: one table for all. An address is known by when its next connection would be due, at an even pace; it may be early by
 * what a burst allows. An address whose time has come is no different from one never seen, so the place of the one due first
 * is the one to take: what is forgotten too early is a flooder's, among eight others of its set.
 */
#include "src/visitors.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 8
#define COUNT_SETS 128
#define RATE_SETS 1024
#define CLAIMS 4 /* how often others may be quicker */

struct count {
	_Atomic uint64_t key;
	_Atomic uint32_t open;
};

struct rate {
	_Atomic uint64_t key, due_us;
};

struct counts {
	_Alignas(64) atomic_bool used;
	_Alignas(64) struct count sets[COUNT_SETS][WAYS];
};

struct muster__visitors_area {
	uint64_t seed;    /* so that nobody outside can choose addresses of one set */
	atomic_uint high; /* processes from here on never counted */
	_Alignas(64) struct rate rates[RATE_SETS][WAYS];
	struct counts counts[];
};

size_t muster__visitors_size(unsigned processes)
{
	return sizeof(struct muster__visitors_area) + processes * sizeof(struct counts);
}

void muster__visitors_init(struct muster__visitors_area *area, unsigned processes)
{
	memset(area, 0, muster__visitors_size(processes));
	muster__visitors_seed(area);
}

void muster__visitors_seed(struct muster__visitors_area *area)
{
	/* Early in a boot there may be none; then it is as it was, and works. */
	if (getrandom(&area->seed, sizeof area->seed, GRND_NONBLOCK) < 0)
		area->seed = 0;
}

void muster__visitors_forget(struct muster__visitors_area *area, unsigned process)
{
	if (atomic_load(&area->counts[process].used))
		memset(&area->counts[process], 0, sizeof area->counts[process]);
}

/* The finish of MurmurHash3: every bit of what goes in changes half of what comes out. */
static uint64_t mix(uint64_t bits)
{
	bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccdULL;
	bits = (bits ^ bits >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return bits ^ bits >> 33;
}

uint64_t muster__visitors_key(const struct muster__visitors *visitors, const struct sockaddr *address, unsigned room)
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	uint64_t bits = 0, kind = 4, key;

	if (address->sa_family == AF_INET) {
		memcpy(&bits, &((const struct sockaddr_in *)address)->sin_addr, sizeof(struct in_addr));
	} else if (address->sa_family != AF_INET6) {
		return 0;
	} else if (IN6_IS_ADDR_V4MAPPED(in6)) {
		memcpy(&bits, in6->s6_addr + 12, sizeof(struct in_addr));
	} else {
		memcpy(&bits, in6->s6_addr, sizeof bits);
		kind = 6;
	}
	key = mix(mix(visitors->area->seed ^ bits) ^ (uint64_t)room << 8 ^ kind);
	return key != 0 ? key : 1;
}

/* ---- open connections */

static struct count *find_count(struct counts *counts, uint64_t key)
{
	struct count *set = counts->sets[key % COUNT_SETS];

	for (unsigned way = 0; way < WAYS; way++)
		if (atomic_load_explicit(&set[way].key, memory_order_relaxed) == key)
			return &set[way];
	return NULL;
}

static unsigned sum(struct muster__visitors_area *area, uint64_t key)
{
	unsigned high = atomic_load_explicit(&area->high, memory_order_relaxed), total = 0;

	for (unsigned process = 0; process < high; process++) {
		const struct count *count = find_count(&area->counts[process], key);

		if (count != NULL)
			total += atomic_load_explicit(&count->open, memory_order_relaxed);
	}
	return total;
}

/* A place in the own table: one that counts nothing is free, whoever it was. */
static struct count *take_count(struct counts *counts, uint64_t key)
{
	struct count *set = counts->sets[key % COUNT_SETS], *found = find_count(counts, key);

	for (unsigned way = 0; way < WAYS && found == NULL; way++) {
		if (atomic_load_explicit(&set[way].open, memory_order_relaxed) != 0)
			continue;
		found = &set[way];
		atomic_store_explicit(&found->key, key, memory_order_relaxed);
	}
	return found;
}

static void begin_counting(struct muster__visitors_area *area, unsigned own)
{
	unsigned high = atomic_load(&area->high);

	atomic_store(&area->counts[own].used, true);
	while (high <= own && !atomic_compare_exchange_weak(&area->high, &high, own + 1))
		;
}

bool muster__visitors_enter(const struct muster__visitors *visitors, uint64_t key, unsigned max)
{
	struct muster__visitors_area *area = visitors->area;
	struct counts *counts = &area->counts[visitors->own];
	struct count *count;

	if (sum(area, key) >= max)
		return false;
	if (!atomic_load_explicit(&counts->used, memory_order_relaxed))
		begin_counting(area, visitors->own);
	count = take_count(counts, key);
	if (count != NULL)
		atomic_fetch_add_explicit(&count->open, 1, memory_order_relaxed);
	return true;
}

/* One that was let in uncounted may find a place that was taken since then: never below nothing. */
void muster__visitors_leave(const struct muster__visitors *visitors, uint64_t key)
{
	struct count *count = find_count(&visitors->area->counts[visitors->own], key);

	if (count != NULL && atomic_load_explicit(&count->open, memory_order_relaxed) > 0)
		atomic_fetch_sub_explicit(&count->open, 1, memory_order_relaxed);
}

/* ---- rates */

/* The place of the key, or else the one to be given to it. */
static struct rate *find_rate(struct rate *set, uint64_t key)
{
	struct rate *first = &set[0];

	for (unsigned way = 0; way < WAYS; way++) {
		if (atomic_load(&set[way].key) == key)
			return &set[way];
		if (atomic_load(&set[way].due_us) < atomic_load(&first->due_us))
			first = &set[way];
	}
	return first;
}

/* True if the place is the key's now, and with a time of its own. */
static bool claim(struct rate *rate, uint64_t key, uint64_t due_us)
{
	uint64_t other = atomic_load(&rate->key);

	if (other == key || !atomic_compare_exchange_strong(&rate->key, &other, key))
		return false;
	atomic_store(&rate->due_us, due_us);
	return true;
}

static bool advance(struct rate *rate, uint64_t now_us, uint64_t interval_us, uint64_t early_us)
{
	uint64_t due_us = atomic_load(&rate->due_us), begin_us;

	do {
		begin_us = due_us > now_us ? due_us : now_us;
		if (begin_us - now_us > early_us)
			return false;
	} while (!atomic_compare_exchange_weak(&rate->due_us, &due_us, begin_us + interval_us));
	return true;
}

bool muster__visitors_may_begin(const struct muster__visitors *visitors, uint64_t key, unsigned rate, unsigned burst,
				uint64_t now_us)
{
	struct rate *set = visitors->area->rates[key % RATE_SETS];
	uint64_t interval_us = 1000000 / rate > 0 ? 1000000 / rate : 1;

	for (unsigned tries = 0; tries < CLAIMS; tries++) {
		struct rate *place = find_rate(set, key);

		if (atomic_load(&place->key) == key)
			return advance(place, now_us, interval_us, (uint64_t)(burst - 1) * interval_us);
		if (claim(place, key, now_us + interval_us))
			return true;
	}
	return true;
}
