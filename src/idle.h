/* src/idle.h - an idle time-out: told once after so much time without traffic. */
#ifndef SRC_IDLE_H
#define SRC_IDLE_H

struct muster_loop;
struct muster__idle;

/* fn(data) after `ms` without a touch, and again after the next touch and as long. NULL: no memory. */
struct muster__idle *muster__idle_new(struct muster_loop *loop, unsigned ms, void (*fn)(void *data), void *data);

/* What it was made with; NULL: 0. */
unsigned muster__idle_ms(const struct muster__idle *idle);

/* Traffic. NULL is fine for both. */
void muster__idle_touch(struct muster__idle *idle);
void muster__idle_free(struct muster__idle *idle);

#endif
