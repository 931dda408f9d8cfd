/* Any cut of the stream is legal: a line may come byte by byte, and its descriptor with the first of them. */
#include "ipc/inbox.h"

#include "ipc/fdpass.h"
#include "src/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FDS_MAX MUSTER__FDPASS_MAX /* unclaimed: one line at most is unfinished, and a read brings no more */

/* ---- descriptors */

static void close_fds(struct muster__inbox *inbox)
{
	unsigned i;

	for (i = 0; i < inbox->fds_count; i++)
		muster__fd_close(&inbox->fds[i]);
	inbox->fds_count = 0;
}

static void keep_fd(struct muster__inbox *inbox, int fd)
{
	if (inbox->fds_count == inbox->fds_room) {
		unsigned room = inbox->fds_room ? inbox->fds_room * 2 : 8;
		int *fds = room > FDS_MAX ? NULL : realloc(inbox->fds, room * sizeof *fds);

		if (fds == NULL) {
			muster__fd_close(&fd);
			return;
		}
		inbox->fds = fds;
		inbox->fds_room = room;
	}
	inbox->fds[inbox->fds_count++] = fd;
}

/* A descriptor lost on the way keeps its place, or the next line would claim a later one. */
void muster__inbox_keep(struct muster__inbox *inbox, const struct muster__fds *fds)
{
	unsigned i;

	for (i = 0; i < fds->count; i++)
		keep_fd(inbox, fds->fd[i]);
	if (fds->lost)
		keep_fd(inbox, -1);
}

int muster__inbox_claim(struct muster__inbox *inbox)
{
	int fd;

	if (inbox->fds_count == 0)
		return -1;
	fd = inbox->fds[0];
	memmove(inbox->fds, inbox->fds + 1, --inbox->fds_count * sizeof *inbox->fds);
	return fd;
}

bool muster__inbox_drop_unclaimed(struct muster__inbox *inbox)
{
	if (inbox->partial_length > 0 || inbox->fds_count == 0)
		return false;
	close_fds(inbox);
	return true;
}

/* ---- lines */

/* All whole lines in `text`; returns how much of it they were. */
static size_t take_lines(const char *text, size_t length, muster__line_taker take, void *owner)
{
	const char *at = text, *end = text + length, *newline;
	bool more = true;

	while (more && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		more = take(owner, at, (size_t)(newline - at));
		at = newline + 1;
	}
	return (size_t)(at - text);
}

static int keep_partial(struct muster__inbox *inbox, const char *text, size_t length)
{
	size_t need = inbox->partial_length + length;

	if (need > MUSTER__LINE_MAX)
		return -EMSGSIZE;
	if (need > inbox->partial_room) {
		size_t room = need < 4096 ? 4096 : need * 2;
		char *partial = realloc(inbox->partial, room);

		if (partial == NULL)
			return -ENOMEM;
		inbox->partial = partial;
		inbox->partial_room = room;
	}
	memcpy(inbox->partial + inbox->partial_length, text, length);
	inbox->partial_length = need;
	return 0;
}

static void drop_partial(struct muster__inbox *inbox, size_t done)
{
	memmove(inbox->partial, inbox->partial + done, inbox->partial_length - done);
	inbox->partial_length -= done;
	if (inbox->partial_length > 0)
		return;
	free(inbox->partial);
	inbox->partial = NULL;
	inbox->partial_room = 0;
}

int muster__inbox_feed(struct muster__inbox *inbox, const char *bytes, size_t length, muster__line_taker take,
		       void *owner)
{
	size_t done;
	int err;

	if (inbox->partial_length == 0) {
		done = take_lines(bytes, length, take, owner);
		return done < length ? keep_partial(inbox, bytes + done, length - done) : 0;
	}
	err = keep_partial(inbox, bytes, length);
	/* Only the new bytes can end a line. */
	if (err == 0 && memchr(bytes, '\n', length) != NULL)
		drop_partial(inbox, take_lines(inbox->partial, inbox->partial_length, take, owner));
	return err;
}

void muster__inbox_clear(struct muster__inbox *inbox)
{
	close_fds(inbox);
	free(inbox->fds);
	free(inbox->partial);
	*inbox = (struct muster__inbox){ 0 };
}
