/* The end of a loop, and of everything on it. The one place that knows all that may hang on a loop. */
#include "src/handlers.h"
#include "src/lifecycle.h"
#include "src/question.h"

#include <event2/event.h>
#include <stdlib.h>

/* The newest first: what depends on something was made after it. */
static void abandon_objects(struct muster_loop *loop)
{
	struct muster__object *object;

	while ((object = LIST_FIRST(&loop->objects)) != NULL) {
		object->class->abandon(object);
		muster__object_discard(object);
	}
}

void muster_loop_free(struct muster_loop *loop)
{
	if (loop == NULL)
		return;
	loop->freeing = true;
	abandon_objects(loop);
	/* Before the resolver ends: it turns the base once more. */
	muster__loop_drop_calls(loop);
	muster__questions_shutdown(loop);
	event_free(loop->deferred);
	muster__tables_free(loop);
	free(loop->buffer);
	if (loop->owned)
		event_base_free(loop->base);
	free(loop);
}
