/*
 * The scoreboard is one memfd, mapped before the first fork and so shared by all. It is sized for the most workers there can
 * be; pages nobody touches cost nothing.
 */
#include "ipc/scoreboard.h"

#include "src/fd.h"
#include "src/visitors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
	_Alignas(64) atomic_uint max_connections;
	atomic_uint starved;
	atomic_uint high; /* slots from here on were never taken */
};

struct area {
	struct header header;
	struct muster__slot slots[MUSTER__SLOTS];
	_Alignas(64) unsigned char visitors[]; /* a struct muster__visitors_area for as many processes */
};

struct muster__scoreboard {
	unsigned holders;
	int fd;
	struct area *area;
	/* The primary's; a worker's copies are not used. */
	bool taken[MUSTER__SLOTS];
	unsigned rows[MUSTER__ROWS]; /* holders */
	struct {
		uint64_t accepted, dropped, refused;
	} retired[MUSTER__ROWS]; /* what slots had counted when they were given back, and what was dropped here */
	uint64_t accepted;       /* the same of all rows together */
	struct muster__tally tally;
	unsigned flying;
	LIST_HEAD(, muster__board_watcher) watchers;
};

static size_t area_size(void)
{
	return sizeof(struct area) + muster__visitors_size(MUSTER__SLOTS);
}

static struct muster__visitors_area *visitors_of(const struct muster__scoreboard *board)
{
	return (struct muster__visitors_area *)board->area->visitors;
}

struct muster__scoreboard *muster__scoreboard_open(int fd)
{
	struct muster__scoreboard *board = calloc(1, sizeof *board);
	struct stat status;

	if (board == NULL || fstat(fd, &status) < 0)
		goto err;
	errno = EINVAL;
	if (status.st_size != (off_t)area_size())
		goto err;
	board->area = mmap(NULL, area_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (board->area == MAP_FAILED)
		goto err;
	board->fd = fd;
	board->holders = 1;
	LIST_INIT(&board->watchers);
	return board;
err:
	muster__fd_close(&fd);
	free(board);
	return NULL;
}

struct muster__scoreboard *muster__scoreboard_new(void)
{
	int fd = memfd_create("muster-scoreboard", MFD_CLOEXEC);
	struct muster__scoreboard *board;

	if (fd >= 0)
		fd = muster__fd_above_standard(fd);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)area_size()) < 0) {
		muster__fd_close(&fd);
		return NULL;
	}
	board = muster__scoreboard_open(fd);
	if (board != NULL)
		muster__visitors_seed(visitors_of(board));
	return board;
}

int muster__scoreboard_fd(const struct muster__scoreboard *board)
{
	return board->fd;
}

struct muster__scoreboard *muster__scoreboard_share(struct muster__scoreboard *board)
{
	board->holders++;
	return board;
}

void muster__scoreboard_free(struct muster__scoreboard *board)
{
	if (board == NULL || --board->holders > 0)
		return;
	muster__scoreboard_leave(board);
	muster__fd_close(&board->fd);
	free(board);
}

void muster__scoreboard_leave(struct muster__scoreboard *board)
{
	if (board->area != NULL)
		munmap(board->area, area_size());
	board->area = NULL;
}

int muster__scoreboard_take(struct muster__scoreboard *board)
{
	int slot;

	for (slot = 0; slot < MUSTER__SLOTS && board->taken[slot]; slot++)
		;
	if (slot == MUSTER__SLOTS)
		return -1;
	board->taken[slot] = true;
	muster__scoreboard_zero(board, slot);
	if ((unsigned)slot >= atomic_load(&board->area->header.high))
		atomic_store(&board->area->header.high, (unsigned)slot + 1);
	return slot;
}

void muster__scoreboard_give(struct muster__scoreboard *board, int slot)
{
	unsigned row;

	if (slot < 0)
		return;
	for (row = 0; row < MUSTER__ROWS; row++) {
		board->retired[row].accepted += atomic_load(&board->area->slots[slot].rows[row].accepted);
		board->retired[row].dropped += atomic_load(&board->area->slots[slot].rows[row].dropped);
		board->retired[row].refused += atomic_load(&board->area->slots[slot].rows[row].refused);
	}
	board->accepted += atomic_load(&board->area->slots[slot].accepted);
	muster__scoreboard_zero(board, slot);
	board->taken[slot] = false;
}

void muster__scoreboard_zero(struct muster__scoreboard *board, int slot)
{
	memset(&board->area->slots[slot], 0, sizeof board->area->slots[slot]);
	muster__visitors_forget(visitors_of(board), (unsigned)slot);
}

struct muster__slot *muster__scoreboard_slot(struct muster__scoreboard *board, int slot)
{
	return slot < 0 ? NULL : &board->area->slots[slot];
}

/* A slot that is not taken is zero. */
#define ADD_ALL(sum, board, member)                                                                                    \
	for (unsigned slot_ = 0, high_ = atomic_load_explicit(&(board)->area->header.high, memory_order_relaxed);      \
	     slot_ < high_; slot_++)                                                                                   \
	(sum) += atomic_load_explicit(&(board)->area->slots[slot_].member, memory_order_relaxed)

unsigned muster__scoreboard_sum(const struct muster__scoreboard *board)
{
	unsigned sum = 0;

	ADD_ALL(sum, board, open);
	return sum;
}

unsigned muster__scoreboard_row_open(const struct muster__scoreboard *board, unsigned row)
{
	unsigned sum = 0;

	ADD_ALL(sum, board, rows[row].open);
	return sum;
}

uint64_t muster__scoreboard_row_accepted(const struct muster__scoreboard *board, unsigned row)
{
	uint64_t sum = board->retired[row].accepted;

	ADD_ALL(sum, board, rows[row].accepted);
	return sum;
}

uint64_t muster__scoreboard_row_dropped(const struct muster__scoreboard *board, unsigned row)
{
	uint64_t sum = board->retired[row].dropped;

	ADD_ALL(sum, board, rows[row].dropped);
	return sum;
}

uint64_t muster__scoreboard_accepted(const struct muster__scoreboard *board)
{
	uint64_t sum = board->accepted;

	ADD_ALL(sum, board, accepted);
	return sum;
}

struct muster__tally *muster__scoreboard_tally(struct muster__scoreboard *board)
{
	return &board->tally;
}

void muster__scoreboard_drop(struct muster__scoreboard *board, unsigned row)
{
	board->retired[row].dropped++;
}

uint64_t muster__scoreboard_row_refused(const struct muster__scoreboard *board, unsigned row)
{
	uint64_t sum = board->retired[row].refused;

	ADD_ALL(sum, board, rows[row].refused);
	return sum;
}

void muster__scoreboard_visitors(struct muster__scoreboard *board, const struct muster__slot *slot,
				 struct muster__visitors *visitors)
{
	visitors->area = visitors_of(board);
	visitors->own = (unsigned)(slot - board->area->slots);
}

unsigned muster__scoreboard_take_row(struct muster__scoreboard *board)
{
	unsigned row;

	/* Those who left a listener may still have its connections. */
	for (row = 1; row < MUSTER__ROWS && (board->rows[row] > 0 || muster__scoreboard_row_open(board, row) != 0);
	     row++)
		;
	if (row == MUSTER__ROWS)
		return 0;
	board->rows[row] = 1;
	/* Workers that live have counted in it for somebody else. */
	board->retired[row].accepted = board->retired[row].dropped = board->retired[row].refused = 0;
	board->retired[row].accepted = 0 - muster__scoreboard_row_accepted(board, row);
	board->retired[row].dropped = 0 - muster__scoreboard_row_dropped(board, row);
	board->retired[row].refused = 0 - muster__scoreboard_row_refused(board, row);
	return row;
}

unsigned muster__scoreboard_share_row(struct muster__scoreboard *board, unsigned row)
{
	board->rows[row] += row != 0;
	return row;
}

void muster__scoreboard_give_row(struct muster__scoreboard *board, unsigned row)
{
	board->rows[row] -= row != 0;
}

void muster__scoreboard_fly(struct muster__scoreboard *board, int by)
{
	board->flying += (unsigned)by;
}

unsigned muster__scoreboard_flying(const struct muster__scoreboard *board)
{
	return board->flying;
}

void muster__scoreboard_set_max(struct muster__scoreboard *board, unsigned max)
{
	atomic_store_explicit(&board->area->header.max_connections, max, memory_order_relaxed);
}

unsigned muster__scoreboard_max(const struct muster__scoreboard *board)
{
	return atomic_load_explicit(&board->area->header.max_connections, memory_order_relaxed);
}

void muster__scoreboard_set_starved(struct muster__scoreboard *board, bool starved)
{
	if (atomic_load_explicit(&board->area->header.starved, memory_order_relaxed) != (unsigned)starved)
		atomic_store_explicit(&board->area->header.starved, starved, memory_order_seq_cst);
}

bool muster__scoreboard_take_starved(struct muster__scoreboard *board)
{
	if (atomic_load_explicit(&board->area->header.starved, memory_order_relaxed) == 0)
		return false;
	return atomic_exchange_explicit(&board->area->header.starved, 0, memory_order_seq_cst) != 0;
}

void muster__scoreboard_watch(struct muster__scoreboard *board, struct muster__board_watcher *watcher)
{
	LIST_INSERT_HEAD(&board->watchers, watcher, link);
}

void muster__scoreboard_unwatch(struct muster__board_watcher *watcher)
{
	LIST_REMOVE(watcher, link);
}

void muster__scoreboard_tell_room(struct muster__scoreboard *board)
{
	struct muster__board_watcher *watcher;

	LIST_FOREACH(watcher, &board->watchers, link)
	watcher->room(watcher);
}

/* One writer per slot: plain additions, stored so that readers never see half a number. */
static void add(atomic_uint *count, unsigned by)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by, memory_order_relaxed);
}

static void add_one(_Atomic uint64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
}

void muster__slot_opened(struct muster__slot *slot, unsigned row)
{
	add_one(&slot->accepted);
	add(&slot->open, 1);
	add(&slot->rows[row].open, 1);
	add_one(&slot->rows[row].accepted);
}

void muster__slot_closed(struct muster__slot *slot, unsigned row)
{
	add(&slot->open, (unsigned)-1);
	add(&slot->rows[row].open, (unsigned)-1);
}

void muster__slot_dropped(struct muster__slot *slot, unsigned row)
{
	add(&slot->rows[row].dropped, 1);
}

void muster__slot_beat(struct muster__slot *slot)
{
	uint64_t beat = atomic_load_explicit(&slot->beat, memory_order_relaxed);

	atomic_store_explicit(&slot->beat, beat + 1, memory_order_relaxed);
}

void muster__slot_refused(struct muster__slot *slot, unsigned row)
{
	add(&slot->rows[row].refused, 1);
}

void muster__slot_decide(struct muster__slot *slot, uint64_t number, bool adopted)
{
	uint64_t bit = (uint64_t)1 << (number % MUSTER__FLIGHT_MAX);
	uint64_t refused = atomic_load_explicit(&slot->refused, memory_order_relaxed);

	atomic_store_explicit(&slot->refused, adopted ? refused & ~bit : refused | bit, memory_order_relaxed);
	atomic_store_explicit(&slot->decided, number, memory_order_release);
}

bool muster__slot_adopted(const struct muster__slot *slot, uint64_t number)
{
	uint64_t bit = (uint64_t)1 << (number % MUSTER__FLIGHT_MAX);

	if (atomic_load_explicit(&slot->decided, memory_order_acquire) < number)
		return false;
	return !(atomic_load_explicit(&slot->refused, memory_order_relaxed) & bit);
}
