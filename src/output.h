/* src/output.h - bytes that wait for a descriptor to take them, and whoever wants to know when it has. */
#ifndef SRC_OUTPUT_H
#define SRC_OUTPUT_H

#include <muster/socket.h>

struct evbuffer;
struct muster_loop;
struct muster__output;

/* Somebody waits until so many bytes, counted since the connection began, have been sent. */
struct muster__completion {
	uint64_t at;
	int err;
	muster_written done;
	void *data;
};

/* `on_writable(owner)` is called when the descriptor takes more. NULL: no memory. */
struct muster__output *muster__output_new(struct muster_loop *loop, void (*on_writable)(void *owner), void *owner);

/* Copy bytes to the queue, and watch `fd` unless it is -1. -ENOMEM: nothing has changed. */
int muster__output_queue(struct muster__output *output, int fd, const void *bytes, size_t length);

/* Bytes that are queued; whether there is a queue at all: NULL has none. */
size_t muster__output_length(const struct muster__output *output);
bool muster__output_is_pending(const struct muster__output *output);

/* The descriptor that the queue waited for is there. -ENOMEM. */
int muster__output_watch(struct muster__output *output, int fd);

/* Leave the queue alone until it is watched or sent again. */
void muster__output_unwatch(struct muster__output *output);

/* Send until the queue is empty (0), the descriptor is full (-EAGAIN), or the connection fails. */
int muster__output_send(struct muster__output *output, int fd);

/* What is queued moves to another buffer. */
void muster__output_move(struct muster__output *output, struct evbuffer *to);

/* No queue, no watch, and no on_drain for it. */
void muster__output_drop(struct muster__output *output);

/* on_drain is owed: asked and set. */
bool muster__output_owes_drain(const struct muster__output *output);
void muster__output_owe_drain(struct muster__output *output);

/* Add one who waits; take the newest back, its bytes were not taken. -ENOMEM. */
int muster__output_expect(struct muster__output *output, const struct muster__completion *completion);
void muster__output_forget_last(struct muster__output *output);

/* So many bytes have been sent: true if a completion became due. */
bool muster__output_settle(struct muster__output *output, uint64_t sent);
/* All who wait get `err`: true if a completion became due. */
bool muster__output_fail(struct muster__output *output, int err);
/* The next that is due; false if there is none. */
bool muster__output_take_due(struct muster__output *output, struct muster__completion *completion);

/* Nothing queued, nobody waiting, nobody due: it need not be kept. */
bool muster__output_is_idle(const struct muster__output *output);

/* NULL is fine. Who still waits is not told. */
void muster__output_free(struct muster__output *output);

#endif
