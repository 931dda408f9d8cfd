/* ipc/scoreboard.h - counts in shared memory: one slot per muster worker, written by that worker alone. */
#ifndef IPC_SCOREBOARD_H
#define IPC_SCOREBOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define MUSTER__SLOTS 1024
#define MUSTER__ROWS 56       /* listeners that are counted one by one; row 0 counts those beyond */
#define MUSTER__FLIGHT_MAX 64 /* hand-overs unanswered by one worker: as many as `refused` has bits */

struct muster__row {
	atomic_uint open;
	atomic_uint dropped; /* beyond a limit */
	atomic_uint refused; /* at the door of a server */
	_Atomic uint64_t accepted;
};

/*
 * `decided` is the number of the last hand-over this worker gave to a server or refused, in the order it received them; bit
 * n % 64 of `refused` tells which of the two number n was. Both are stored, with release order, immediately before the
 * connection is given to the server. So when the worker dies, each unanswered hand-over is known to have been given, refused
 * or never looked at.
 */
struct muster__slot {
	_Alignas(64) _Atomic uint64_t decided;
	_Atomic uint64_t refused;
	atomic_uint open;          /* connections, all listeners */
	_Atomic uint64_t accepted; /* since the worker began */
	_Atomic uint64_t beat;     /* grows while its loop turns; 0: it does not say */
	_Alignas(64) struct muster__row rows[MUSTER__ROWS];
};

/* What the primary alone has counted, since it began. */
struct muster__tally {
	uint64_t handed_over; /* connections given to a worker's channel, */
	uint64_t refused;     /* which came back, */
	uint64_t recovered;   /* or had not been looked at when that one died */
	uint64_t restarts;    /* workers that were replaced */
};

struct muster__scoreboard;
struct muster__visitors;

/* NULL with errno set. Counted: new gives one holder, share one more, free takes one. */
struct muster__scoreboard *muster__scoreboard_new(void);
struct muster__scoreboard *muster__scoreboard_share(struct muster__scoreboard *board);
void muster__scoreboard_free(struct muster__scoreboard *board);

/* In a program that was executed: the board behind an inherited descriptor, taken. NULL with errno set. */
struct muster__scoreboard *muster__scoreboard_open(int fd);
/* The descriptor to hand to such a program (borrowed). */
int muster__scoreboard_fd(const struct muster__scoreboard *board);

/* A zeroed slot nobody else has; -1 when all are taken. */
int muster__scoreboard_take(struct muster__scoreboard *board);
/* Give it back, its worker reaped. */
void muster__scoreboard_give(struct muster__scoreboard *board, int slot);
void muster__scoreboard_zero(struct muster__scoreboard *board, int slot);
struct muster__slot *muster__scoreboard_slot(struct muster__scoreboard *board, int slot);

/* All slots that are taken, summed: open connections, everywhere and in one row. */
unsigned muster__scoreboard_sum(const struct muster__scoreboard *board);
unsigned muster__scoreboard_row_open(const struct muster__scoreboard *board, unsigned row);

/* Connections one row has counted, those of workers that are gone included. */
uint64_t muster__scoreboard_row_accepted(const struct muster__scoreboard *board, unsigned row);
/* Those it has dropped, in the workers and here: count one that was dropped here. */
uint64_t muster__scoreboard_row_dropped(const struct muster__scoreboard *board, unsigned row);
void muster__scoreboard_drop(struct muster__scoreboard *board, unsigned row);

/* The same, of those that were refused. */
uint64_t muster__scoreboard_row_refused(const struct muster__scoreboard *board, unsigned row);

/* What all workers know of addresses, as the one of this slot sees it. */
void muster__scoreboard_visitors(struct muster__scoreboard *board, const struct muster__slot *slot,
				 struct muster__visitors *visitors);

/* A row of their own for the connections of one listener; 0, which is nobody's own, when all are taken. */
unsigned muster__scoreboard_take_row(struct muster__scoreboard *board);
/* One more holder of a row: each gives it back. */
unsigned muster__scoreboard_share_row(struct muster__scoreboard *board, unsigned row);
void muster__scoreboard_give_row(struct muster__scoreboard *board, unsigned row);

struct muster__tally *muster__scoreboard_tally(struct muster__scoreboard *board);

/* Connections of all listeners, those of workers that are gone included. */
uint64_t muster__scoreboard_accepted(const struct muster__scoreboard *board);

/* In a worker that has no business there: the area is gone from this process. */
void muster__scoreboard_leave(struct muster__scoreboard *board);

/* The primary's own count of hand-overs that are on their way: add, and read. */
void muster__scoreboard_fly(struct muster__scoreboard *board, int by);
unsigned muster__scoreboard_flying(const struct muster__scoreboard *board);

/* One limit over all workers that share the board; 0 is none. */
void muster__scoreboard_set_max(struct muster__scoreboard *board, unsigned max);
unsigned muster__scoreboard_max(const struct muster__scoreboard *board);

/* The primary waits for connections to close: the next worker that closes one says so. */
void muster__scoreboard_set_starved(struct muster__scoreboard *board, bool starved);
/* True once for each time it was set. */
bool muster__scoreboard_take_starved(struct muster__scoreboard *board);

/* Whoever in the primary waits for connections to close: each is called when a worker has said that one has. */
struct muster__board_watcher {
	LIST_ENTRY(muster__board_watcher) link;
	void (*room)(struct muster__board_watcher *watcher);
};
void muster__scoreboard_watch(struct muster__scoreboard *board, struct muster__board_watcher *watcher);
void muster__scoreboard_unwatch(struct muster__board_watcher *watcher);
void muster__scoreboard_tell_room(struct muster__scoreboard *board);

/* The worker's own side. */
void muster__slot_opened(struct muster__slot *slot, unsigned row);
void muster__slot_closed(struct muster__slot *slot, unsigned row);
void muster__slot_dropped(struct muster__slot *slot, unsigned row);
void muster__slot_beat(struct muster__slot *slot);
void muster__slot_refused(struct muster__slot *slot, unsigned row);
void muster__slot_decide(struct muster__slot *slot, uint64_t number, bool adopted);

/* The primary's: was hand-over `number` given to a server? */
bool muster__slot_adopted(const struct muster__slot *slot, uint64_t number);

#endif
