/* Fresh → open → closing → freed. The only place that counts what keeps a loop running, and the only one that frees. */
#include "src/lifecycle.h"

#include <assert.h>

static bool counts(const struct muster__object *object)
{
	return object->life == MUSTER__OPEN && object->referenced;
}

static void enter(struct muster__object *object, enum muster__life life, bool referenced)
{
	bool before = counts(object);

	object->life = (unsigned char)life;
	object->referenced = referenced;
	if (counts(object) != before)
		muster__loop_alive(object->loop, before ? -1 : 1);
}

static void run_turn(struct muster__task *task)
{
	struct muster__object *object = MUSTER__CONTAINER(task, struct muster__object, task);

	object->class->turn(object);
}

void muster__object_init(struct muster__object *object, struct muster_loop *loop, const struct muster__class *class)
{
	object->task = (struct muster__task){ .run = run_turn };
	object->loop = loop;
	object->class = class;
	object->life = MUSTER__FRESH;
	object->referenced = true;
	LIST_INSERT_HEAD(&loop->objects, object, link);
}

void muster__object_open(struct muster__object *object)
{
	object->reopened = object->ending;
	enter(object, MUSTER__OPEN, object->referenced);
}

void muster__object_rest(struct muster__object *object)
{
	enter(object, MUSTER__FRESH, object->referenced);
}

void muster__object_close(struct muster__object *object)
{
	enter(object, MUSTER__CLOSING, object->referenced);
	muster__object_wake(object);
}

void muster__object_wake(struct muster__object *object)
{
	if (!object->loop->freeing)
		muster__loop_queue(object->loop, &object->task);
}

void muster__object_ref(struct muster__object *object)
{
	enter(object, object->life, true);
}

void muster__object_unref(struct muster__object *object)
{
	enter(object, object->life, false);
}

void muster__object_ending(struct muster__object *object)
{
	object->ending = true;
	object->reopened = false;
}

void muster__object_ended(struct muster__object *object)
{
	bool reopened = object->ending && object->reopened;

	object->ending = false;
	/* While the loop is freed, its own sweep discards the object. */
	if (object->life == MUSTER__CLOSING && !reopened && !object->loop->freeing)
		muster__object_discard(object);
}

void muster__object_discard(struct muster__object *object)
{
	enter(object, MUSTER__FRESH, false);
	muster__loop_unqueue(object->loop, &object->task);
	LIST_REMOVE(object, link);
	object->class->free(object);
}
