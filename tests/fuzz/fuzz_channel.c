/*
 * A peer that sends anything, in any pieces, with descriptors wherever it likes. The first byte of each piece says how long it
 * is and whether a descriptor goes with it. Whatever comes, no descriptor is left over when the channel is gone.
 */
#include "ipc/channel.h"
#include "ipc/fdpass.h"
#include "src/fd.h"

#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <muster/log.h>
#include <muster/loop.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void on_line(struct muster__channel *channel, struct muster__line *line, int *fd)
{
	(void)channel, (void)line, (void)fd;
}

static void on_answered(struct muster__channel *channel, uint64_t ticket, bool received)
{
	(void)channel, (void)ticket, (void)received;
}

static void on_event(struct muster__channel *channel)
{
	(void)channel;
}

static const struct muster__channel_ops ops = { on_line, on_answered, on_event, on_event };

/* The next descriptor to be given tells whether one has been forgotten. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void ignore(enum muster_log_level level, const char *line, void *data)
{
	(void)level, (void)line, (void)data;
}

static void turn(struct muster_loop *loop)
{
	event_base_loop(muster_loop_base(loop), EVLOOP_NONBLOCK);
}

/* Handles that wait for their answers: one that goes at once, and one whose line is too long for that. */
static void give_handles(struct muster__channel *channel)
{
	static char line[512 * 1024];
	static const size_t lengths[] = { 8, sizeof line };
	size_t i;

	for (i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
		muster__channel_give_surely(channel, line, lengths[i], open("/dev/null", O_RDONLY | O_CLOEXEC),
					    &(struct muster__sent){ 0 });
}

static void send_all(struct muster_loop *loop, int to, const uint8_t *bytes, size_t length)
{
	static char answers[65536];

	while (length > 0) {
		size_t piece = 1 + (size_t)(*bytes & 127);
		int fd = *bytes & 128 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

		bytes++, length--;
		if (piece > length)
			piece = length;
		if (piece > 0)
			muster__fdpass_send(to, bytes, piece, fd);
		muster__fd_close(&fd);
		bytes += piece;
		length -= piece;
		turn(loop);
		while (recv(to, answers, sizeof answers, MSG_DONTWAIT) > 0)
			;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct muster__channel channel;
	int pair[2], before = next_fd();
	struct muster_loop *loop = muster_loop_new();

	muster_log_set_sink(ignore, NULL);
	assert(loop != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	assert(muster__channel_init(&channel, loop, pair[0], &ops) == 0);
	give_handles(&channel);
	send_all(loop, pair[1], bytes, length);
	close(pair[1]);
	muster__channel_free(&channel);
	muster_loop_free(loop);
	assert(next_fd() == before);
	return 0;
}
