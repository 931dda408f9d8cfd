/*
 * Traffic only writes down the time; the timer looks at it when it fires and sleeps for the rest. After it has told once it
 * stays quiet until the next traffic, as in Node, and it never keeps the loop running.
 */
#include "src/idle.h"

#include "src/log.h"
#include "src/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#define TICK_MS 4 /* by so much the coarse clock may lag */

struct muster__idle {
	struct muster_loop *loop;
	struct event timer;
	uint64_t last_ms;
	unsigned ms;
	bool told;
	void (*fn)(void *data);
	void *data;
};

static int arm(struct muster__idle *idle, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	return muster__event_add(idle->loop, &idle->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__idle *idle = data;
	uint64_t idle_ms = muster__now_ms() - idle->last_ms;

	(void)fd, (void)what;
	muster__event_del(idle->loop, &idle->timer);
	if (idle_ms + TICK_MS < idle->ms) {
		arm(idle, idle->ms - (unsigned)idle_ms);
		return;
	}
	idle->told = true;
	idle->fn(idle->data);
}

struct muster__idle *muster__idle_new(struct muster_loop *loop, unsigned ms, void (*fn)(void *data), void *data)
{
	struct muster__idle *idle = calloc(1, sizeof *idle);

	if (idle == NULL)
		return NULL;
	*idle = (struct muster__idle){ .loop = loop, .last_ms = muster__now_ms(), .ms = ms, .fn = fn, .data = data };
	event_assign(&idle->timer, loop->base, -1, EV_PERSIST, on_timer, idle);
	if (arm(idle, ms) < 0) {
		free(idle);
		return NULL;
	}
	return idle;
}

unsigned muster__idle_ms(const struct muster__idle *idle)
{
	return idle != NULL ? idle->ms : 0;
}

void muster__idle_touch(struct muster__idle *idle)
{
	if (idle == NULL)
		return;
	idle->last_ms = muster__now_ms();
	/* Without memory the next traffic tries again. */
	if (idle->told)
		idle->told = arm(idle, idle->ms) < 0;
}

void muster__idle_free(struct muster__idle *idle)
{
	if (idle == NULL)
		return;
	muster__event_del(idle->loop, &idle->timer);
	free(idle);
}
