/* muster/loop.h - the event loop: a libevent base, and the count of what keeps it running. */
#ifndef MUSTER_LOOP_H
#define MUSTER_LOOP_H

#include <muster/export.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct event_base;
struct muster_loop;

/* A loop of one's own, for one thread. NULL with errno set when memory or descriptors are exhausted. */
MUSTER_API struct muster_loop *muster_loop_new(void);

/*
 * A loop on a base that the caller made, drives if he likes, and frees after the loop. `base` is borrowed.
 * If the caller runs the base himself, unref has no effect: the base runs as long as he runs it.
 */
MUSTER_API struct muster_loop *muster_loop_wrap(struct event_base *base);

/* The libevent base (borrowed), for events of the caller's own: each one added counts as referenced. */
MUSTER_API struct event_base *muster_loop_base(struct muster_loop *loop);

/*
 * Run until nothing that is referenced is alive (0) or muster_loop_stop was called (0). Negative: the base failed.
 * As in Node: listening servers, open sockets, living children and pending calls keep it running; idle time-outs do not.
 */
MUSTER_API int muster_loop_run(struct muster_loop *loop);

/* Make muster_loop_run return after the current turn. It may be run again. */
MUSTER_API void muster_loop_stop(struct muster_loop *loop);

/*
 * Call fn(data) at the end of this turn: process.nextTick. Calls made meanwhile come in the next turn.
 * -ENOMEM, or MUSTER_ECLOSED while the loop is being freed.
 */
MUSTER_API int muster_loop_defer(struct muster_loop *loop, void (*fn)(void *data), void *data);

/*
 * net.setDefaultAutoSelectFamily: whether the addresses of a name are tried one after the other by connections that do not
 * say; at first they are. And net.setDefaultAutoSelectFamilyAttemptTimeout: how long each but the last is tried, at least
 * 10 ms; 0 is Node's 250. Both count for connections that begin afterwards on this loop.
 */
MUSTER_API void muster_loop_set_auto_select(struct muster_loop *loop, bool on);
MUSTER_API void muster_loop_set_attempt_timeout(struct muster_loop *loop, unsigned ms);
/* net.getDefaultAutoSelectFamily, net.getDefaultAutoSelectFamilyAttemptTimeout: what they are. */
MUSTER_API bool muster_loop_auto_select(const struct muster_loop *loop);
MUSTER_API unsigned muster_loop_attempt_timeout(const struct muster_loop *loop);

/*
 * Close what is left on the loop (delivering on_disconnect and on_close from inside this call), free it all, and the base
 * unless it was wrapped. Never blocks and kills nothing: children see their channel close and drain. NULL is fine.
 */
MUSTER_API void muster_loop_free(struct muster_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
