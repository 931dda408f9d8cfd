/* src/preface.h - connections that have to begin with a header of the PROXY protocol, while it has not come. */
#ifndef SRC_PREFACE_H
#define SRC_PREFACE_H

#include "src/proxy_protocol.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

struct muster_loop;
struct muster__preface;

LIST_HEAD(muster__prefaces, muster__preface);

/*
 * The header has come and is no longer in front of the payload: `err` is 0. Or the connection came to nothing: -EBADMSG,
 * -ETIMEDOUT, -ENODATA (it ended without a byte), -ECONNRESET. `fd` is the callee's in every case.
 */
typedef void (*muster__preface_done)(struct muster__preface *preface, int fd, int err,
				     const struct muster__proxy *proxy);

/* Freed when `done` has returned. */
struct muster__preface {
	LIST_ENTRY(muster__preface) link;
	struct muster_loop *loop;
	struct event ready, deadline;
	int fd;
	unsigned row; /* the caller's, as is `data` */
	void *data;
	muster__preface_done done;
};

/* Wait for the header; what has come already is looked at in this call. -ENOMEM; `fd` is then still the caller's. */
int muster__preface_start(struct muster__prefaces *list, struct muster_loop *loop, int fd, unsigned timeout_ms,
			  unsigned row, muster__preface_done done, void *data);

/* Close it; nothing is told. */
void muster__preface_drop(struct muster__preface *preface);

#endif
