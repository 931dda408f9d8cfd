/* ipc/inbox.h - what has come over a channel and is not a line yet: bytes without their newline, descriptors unclaimed. */
#ifndef IPC_INBOX_H
#define IPC_INBOX_H

#include <stdbool.h>
#include <stddef.h>

struct muster__fds;

#define MUSTER__LINE_MAX ((size_t)16 * 1024 * 1024)

/* Zero-initialised. */
struct muster__inbox {
	char *partial; /* the beginning of a line */
	size_t partial_length, partial_room;
	int *fds; /* arrived and not yet claimed by a line; -1 for one that was lost on the way */
	unsigned fds_count, fds_room;
};

/* Gets each line without its newline, borrowed; false: no more. */
typedef bool (*muster__line_taker)(void *owner, const char *text, size_t length);

/* Descriptors came with the bytes that follow: they are the inbox's. */
void muster__inbox_keep(struct muster__inbox *inbox, const struct muster__fds *fds);

/* All lines that these bytes complete. -EMSGSIZE: one that is longer than MUSTER__LINE_MAX; -ENOMEM. */
int muster__inbox_feed(struct muster__inbox *inbox, const char *bytes, size_t length, muster__line_taker take,
		       void *owner);

/* The oldest descriptor, now the caller's; -1 if there is none, or it was lost. */
int muster__inbox_claim(struct muster__inbox *inbox);

/* Where no line is unfinished, nothing will claim what is left: it is closed. True if there was any. */
bool muster__inbox_drop_unclaimed(struct muster__inbox *inbox);

void muster__inbox_clear(struct muster__inbox *inbox);

#endif
