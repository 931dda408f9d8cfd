/*
 * A pipe for each program. A line of it becomes one of the log, a longer one several. Who writes more than the log should have
 * to take is not made to wait: what is too much is dropped and counted; but the end of it is kept for a while, since the last
 * words of a program are those that somebody will look for.
 */
#include "master/output.h"

#include "master/table.h"
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_SIZE = 896, /* with the name of the application it fits into a line of the log */
	LINES_A_SECOND = 1000,
	TURN_SIZE = 64 << 10, /* read in one turn of the loop */
	END_SIZE = 2 << 20,   /* read when it has ended: twice what a pipe can hold */
	KEPT = 16,            /* last lines of those that were dropped */
};

struct muster__output {
	struct muster_loop *loop;
	int fd;
	struct event readable;
	char role[96];
	char line[LINE_SIZE + 1];
	size_t length;
	uint64_t second; /* of which `lines` were logged */
	unsigned lines, dropped;
	char *kept[KEPT]; /* a ring of `dropped` lines */
	bool at_end;      /* nothing is dropped any more */
};

/* ---- lines */

static void forget_kept(struct muster__output *output)
{
	size_t i;

	for (i = 0; i < KEPT; i++) {
		free(output->kept[i]);
		output->kept[i] = NULL;
	}
}

static void tell_dropped(struct muster__output *output)
{
	char text[96];

	if (output->dropped == 0)
		return;
	snprintf(text, sizeof text, "%u lines were dropped: it wrote more than %d in a second", output->dropped,
		 LINES_A_SECOND);
	muster__log_for(output->role, MUSTER_LOG_WARN, text);
}

static void drop(struct muster__output *output)
{
	char **place = &output->kept[output->dropped++ % KEPT];

	free(*place);
	*place = strdup(output->line);
}

static bool may_log(struct muster__output *output)
{
	uint64_t second = muster__now_ms() / 1000;

	if (second != output->second) {
		tell_dropped(output);
		forget_kept(output);
		output->second = second;
		output->lines = output->dropped = 0;
	}
	return output->at_end || output->lines < LINES_A_SECOND;
}

static void end_line(struct muster__output *output)
{
	if (output->length > 0 && output->line[output->length - 1] == '\r')
		output->length--;
	output->line[output->length] = '\0';
	output->length = 0;
	if (may_log(output)) {
		output->lines++;
		muster__log_for(output->role, MUSTER_LOG_INFO, output->line);
	} else {
		drop(output);
	}
}

static void take(struct muster__output *output, const char *bytes, size_t length)
{
	for (; length > 0; bytes++, length--) {
		if (*bytes == '\n') {
			end_line(output);
			continue;
		}
		if (output->length == LINE_SIZE)
			end_line(output);
		output->line[output->length++] = *bytes != '\0' ? *bytes : '?';
	}
}

/* ---- reading */

/* False: there is nothing more, now or ever. */
static bool read_some(struct muster__output *output)
{
	char bytes[8192];
	ssize_t length;

	do
		length = read(output->fd, bytes, sizeof bytes);
	while (length < 0 && errno == EINTR);
	if (length > 0) {
		take(output, bytes, (size_t)length);
		return true;
	}
	if (length == 0 || errno != EAGAIN) {
		muster__event_del(output->loop, &output->readable);
		muster__fd_close(&output->fd);
	}
	return false;
}

static void read_up_to(struct muster__output *output, size_t size)
{
	size_t got;

	for (got = 0; got < size && output->fd >= 0 && read_some(output); got += 8192)
		;
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	read_up_to(data, TURN_SIZE);
}

/* ---- life */

int muster__output_open(struct muster__process *process, int *fd)
{
	struct muster__output *output = calloc(1, sizeof *output);
	int ends[2];

	if (output == NULL)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		free(output);
		return -errno;
	}
	process->output = output;
	output->loop = process->peer.object.loop;
	output->fd = ends[0];
	fcntl(output->fd, F_SETFL, O_NONBLOCK); /* of our end alone: a program expects that it can write */
	snprintf(output->role, sizeof output->role, "%.80s/%u", process->cluster->speaks_as, process->seat->index);
	event_assign(&output->readable, output->loop->base, output->fd, EV_READ | EV_PERSIST, on_readable, output);
	*fd = muster__fd_above_standard(ends[1]);
	return *fd < 0 ? *fd : muster__event_add(output->loop, &output->readable, NULL);
}

/* Those that were dropped last are told after all. */
static void tell_kept(struct muster__output *output)
{
	unsigned count = output->dropped < KEPT ? output->dropped : KEPT, i;

	output->dropped -= count;
	tell_dropped(output);
	for (i = output->dropped; i < output->dropped + count; i++)
		if (output->kept[i % KEPT] != NULL)
			muster__log_for(output->role, MUSTER_LOG_INFO, output->kept[i % KEPT]);
	output->dropped = 0;
	forget_kept(output);
}

void muster__output_end(struct muster__process *process)
{
	struct muster__output *output = process->output;

	if (output == NULL)
		return;
	process->output = NULL;
	tell_kept(output);
	output->at_end = true;
	read_up_to(output, END_SIZE);
	if (output->length > 0)
		end_line(output);
	muster__event_del(output->loop, &output->readable);
	muster__fd_close(&output->fd);
	free(output);
}
