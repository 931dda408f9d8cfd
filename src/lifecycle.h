/* src/lifecycle.h - the life every object has: fresh, open, closing, freed; once, and the same for all. */
#ifndef SRC_LIFECYCLE_H
#define SRC_LIFECYCLE_H

#include "src/loop.h"

struct muster__object;

/* What differs from kind to kind. */
struct muster__class {
	const char *name;
	/* The end of a turn in which the object was woken: deliver what is due; on_close comes from muster__object_ended. */
	void (*turn)(struct muster__object *object);
	/* The loop is being freed: let go of everything and deliver on_close now. Must not open anything. */
	void (*abandon)(struct muster__object *object);
	/* Free the memory; the object is off the loop already. */
	void (*free)(struct muster__object *object);
};

enum muster__life { MUSTER__FRESH = 0, MUSTER__OPEN, MUSTER__CLOSING };

struct muster__object {
	struct muster__task task;
	struct muster_loop *loop;
	const struct muster__class *class;
	LIST_ENTRY(muster__object) link;
	unsigned char life; /* enum muster__life */
	bool referenced;
	bool ending;   /* on_close is being delivered ... */
	bool reopened; /* ... and has opened the object again */
};

void muster__object_init(struct muster__object *object, struct muster_loop *loop, const struct muster__class *class);

/* It works now, and keeps the loop running if referenced. Opening again while on_close is due takes that back. */
void muster__object_open(struct muster__object *object);

/* Back to fresh without an on_close: a listen that failed. */
void muster__object_rest(struct muster__object *object);

/* The end has come: `turn` will see life CLOSING. */
void muster__object_close(struct muster__object *object);

/* Call class->turn at the end of this turn. */
void muster__object_wake(struct muster__object *object);

void muster__object_ref(struct muster__object *object);
void muster__object_unref(struct muster__object *object);

/*
 * Around the delivery of on_close: afterwards the object is freed, unless on_close opened it again. Closed again at once
 * it has one more on_close to come.
 */
void muster__object_ending(struct muster__object *object);
void muster__object_ended(struct muster__object *object);

/* A constructor failed half way: off the loop, nothing is delivered, memory is freed. */
void muster__object_discard(struct muster__object *object);

#endif
