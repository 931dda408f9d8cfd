/* master/predecessor.h - the daemon before this one, which serves until this one is ready, as this one sees it. */
#ifndef MASTER_PREDECESSOR_H
#define MASTER_PREDECESSOR_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

struct muster_loop;
struct muster__inherited;

/* What the two say to each other, a byte each. */
enum muster__upgrade_word {
	MUSTER__UPGRADE_READY = 'r', /* the new one: I could serve */
	MUSTER__UPGRADE_GO = 'g',    /* the old one: do, then */
	MUSTER__UPGRADE_DONE = 'd',  /* the new one: I do; pid file and control socket are mine */
};

struct muster__predecessor {
	int channel; /* -1: there is none, or it is gone */
	struct event heard;
	void (*go)(struct muster__predecessor *predecessor); /* or it is gone before it has said so */
	bool told, went;
};

/*
 * From the environment, which loses it. True: there is one, and its sockets are in the table. A bequest that cannot be read
 * is a negative code.
 */
int muster__predecessor_find(struct muster__predecessor *predecessor, struct muster__inherited *table);

bool muster__predecessor_is_there(const struct muster__predecessor *predecessor);

/* This daemon could serve. `go` follows, once. Negative: -ENOMEM. */
int muster__predecessor_tell_ready(struct muster__predecessor *predecessor, struct muster_loop *loop);
/* This daemon serves. */
void muster__predecessor_tell_done(struct muster__predecessor *predecessor);

/* Before the loop is freed. */
void muster__predecessor_close(struct muster__predecessor *predecessor);

#endif
