/* src/handlers.h - tables of typed handlers: interned per loop, attached to objects, called in the order added. */
#ifndef SRC_HANDLERS_H
#define SRC_HANDLERS_H

#include "src/loop.h"

struct muster__pair {
	const void *table; /* interned */
	void *data;
};

/* Immutable once it is shared. */
struct muster__pairs {
	unsigned holders, count;
	struct muster__pair at[];
};

void muster__pairs_release(struct muster__pairs *pairs);

/* What an object holds. The first pair costs no allocation; `many`, if there, holds all of them. Zero-initialised. */
struct muster__listeners {
	struct muster__pair one;
	struct muster__pairs *many;
};

/* Our copy of a table of the caller's, as large as ours, equal for equal content. NULL: *err is -ENOMEM or -E2BIG. */
const void *muster__table_intern(struct muster_loop *loop, const void *table, size_t theirs, size_t ours, int *err);
void muster__tables_free(struct muster_loop *loop);

int muster__listeners_add(struct muster__listeners *listeners, const void *table, void *data);
/* Takes the last equal pair away; -ENOENT. */
int muster__listeners_remove(struct muster__listeners *listeners, const void *table, void *data);
/* The pair with this table, or NULL. */
const struct muster__pair *muster__listeners_find(const struct muster__listeners *listeners, const void *table);
/* Does any table have a handler at this offset? */
bool muster__listeners_have(const struct muster__listeners *listeners, size_t offset);
void muster__listeners_clear(struct muster__listeners *listeners);

/* Intern and add, intern and remove: the body of every muster_x_on and muster_x_off. */
int muster__listeners_on(struct muster_loop *loop, struct muster__listeners *listeners, const void *table,
			 size_t theirs, size_t ours, void *data);
int muster__listeners_off(struct muster_loop *loop, struct muster__listeners *listeners, const void *table,
			  size_t theirs, size_t ours, void *data);

/* One event on its way through the tables that were attached when it began. In the header: every byte comes through here. */
struct muster__emission {
	struct muster__pair one;
	struct muster__pairs *many;
	const struct muster__pair *next;
	unsigned left;
};

static inline void muster__emission_begin(struct muster__emission *emission, const struct muster__listeners *listeners)
{
	emission->one = listeners->one;
	emission->many = listeners->many;
	emission->next = &emission->one;
	emission->left = emission->one.table != NULL;
	if (emission->many != NULL) {
		emission->many->holders++;
		emission->next = emission->many->at;
		emission->left = emission->many->count;
	}
}

static inline const struct muster__pair *muster__emission_next(struct muster__emission *emission)
{
	if (emission->left > 0) {
		emission->left--;
		return emission->next++;
	}
	if (emission->many != NULL)
		muster__pairs_release(emission->many);
	return NULL;
}

/* MUSTER__EMIT(&socket->on, struct muster_socket_handlers, on_data, socket, bytes, length); must run to its end. */
#define MUSTER__EMIT(listeners, type, event, ...)                                                                      \
	do {                                                                                                           \
		struct muster__emission emission_;                                                                     \
		const struct muster__pair *pair_;                                                                      \
		muster__emission_begin(&emission_, listeners);                                                         \
		while ((pair_ = muster__emission_next(&emission_)) != NULL)                                            \
			if (((const type *)pair_->table)->event != NULL)                                               \
				((const type *)pair_->table)->event(__VA_ARGS__, pair_->data);                         \
	} while (0)

#define MUSTER__HAVE(listeners, type, event) muster__listeners_have(listeners, offsetof(type, event))

#endif
