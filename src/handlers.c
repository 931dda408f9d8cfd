/*
 * Node's EventEmitter in C. The list of pairs is immutable and counted: adding or removing makes a new one, and an event
 * under way keeps the one it began with. So handlers may add and remove anything, and nothing is allocated to emit.
 */
#include "src/handlers.h"

#include "src/sized.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_TABLE 256

struct muster__table {
	struct muster__table *next;
	size_t size;
	max_align_t bytes[];
};

static struct muster__table *table_new(struct muster_loop *loop, const void *bytes, size_t size)
{
	struct muster__table *table = malloc(sizeof *table + size);

	if (table == NULL)
		return NULL;
	memcpy(table->bytes, bytes, size);
	table->size = size;
	table->next = loop->tables;
	loop->tables = table;
	return table;
}

const void *muster__table_intern(struct muster_loop *loop, const void *table, size_t theirs, size_t ours, int *err)
{
	max_align_t copy[LARGEST_TABLE / sizeof(max_align_t)];
	struct muster__table *known;

	assert(ours <= sizeof copy);
	*err = muster__sized_copy(copy, ours, table, theirs);
	if (*err < 0)
		return NULL;
	for (known = loop->tables; known != NULL; known = known->next)
		if (known->size == ours && memcmp(known->bytes, copy, ours) == 0)
			return known->bytes;
	known = table_new(loop, copy, ours);
	*err = known == NULL ? -ENOMEM : 0;
	return known == NULL ? NULL : known->bytes;
}

void muster__tables_free(struct muster_loop *loop)
{
	while (loop->tables != NULL) {
		struct muster__table *table = loop->tables;

		loop->tables = table->next;
		free(table);
	}
}

/* A table without handlers, for the one place that cannot shrink its list. */
static const char silent[LARGEST_TABLE];

void muster__pairs_release(struct muster__pairs *pairs)
{
	if (pairs != NULL && --pairs->holders == 0)
		free(pairs);
}

static unsigned count_of(const struct muster__listeners *listeners)
{
	if (listeners->many != NULL)
		return listeners->many->count;
	return listeners->one.table != NULL;
}

static const struct muster__pair *pair_at(const struct muster__listeners *listeners, unsigned index)
{
	return listeners->many != NULL ? &listeners->many->at[index] : &listeners->one;
}

/* A new list of the old pairs less the one at `skip`, with room for `extra` more. */
static struct muster__pairs *copy_pairs(const struct muster__listeners *listeners, unsigned skip, unsigned extra)
{
	unsigned count = count_of(listeners), i;
	struct muster__pairs *copy = malloc(sizeof *copy + (count + extra) * sizeof copy->at[0]);

	if (copy == NULL)
		return NULL;
	copy->holders = 1;
	copy->count = 0;
	for (i = 0; i < count; i++)
		if (i != skip)
			copy->at[copy->count++] = *pair_at(listeners, i);
	return copy;
}

int muster__listeners_add(struct muster__listeners *listeners, const void *table, void *data)
{
	struct muster__pairs *pairs;

	if (count_of(listeners) == 0) {
		listeners->one = (struct muster__pair){ table, data };
		return 0;
	}
	pairs = copy_pairs(listeners, (unsigned)-1, 1);
	if (pairs == NULL)
		return -ENOMEM;
	pairs->at[pairs->count++] = (struct muster__pair){ table, data };
	muster__pairs_release(listeners->many);
	listeners->many = pairs;
	return 0;
}

static void remove_at(struct muster__listeners *listeners, unsigned index)
{
	unsigned count = count_of(listeners);
	struct muster__pairs *pairs = NULL;

	if (count > 2 && (pairs = copy_pairs(listeners, index, 0)) == NULL) {
		/* Without memory for a new list the old one shrinks: an event under way may miss a handler, none comes twice. */
		memmove(&listeners->many->at[index], &listeners->many->at[index + 1],
			(count - index - 1) * sizeof listeners->many->at[0]);
		listeners->many->at[--listeners->many->count] = (struct muster__pair){ &silent, NULL };
		return;
	}
	if (count <= 2)
		listeners->one = count == 2 ? *pair_at(listeners, 1 - index) : (struct muster__pair){ 0 };
	muster__pairs_release(listeners->many);
	listeners->many = pairs;
}

int muster__listeners_remove(struct muster__listeners *listeners, const void *table, void *data)
{
	unsigned i;

	for (i = count_of(listeners); i-- > 0;)
		if (pair_at(listeners, i)->table == table && pair_at(listeners, i)->data == data) {
			remove_at(listeners, i);
			return 0;
		}
	return -ENOENT;
}

const struct muster__pair *muster__listeners_find(const struct muster__listeners *listeners, const void *table)
{
	unsigned i;

	for (i = 0; i < count_of(listeners); i++)
		if (pair_at(listeners, i)->table == table)
			return pair_at(listeners, i);
	return NULL;
}

bool muster__listeners_have(const struct muster__listeners *listeners, size_t offset)
{
	unsigned i;

	for (i = 0; i < count_of(listeners); i++) {
		void (*handler)(void);

		memcpy(&handler, (const char *)pair_at(listeners, i)->table + offset, sizeof handler);
		if (handler != NULL)
			return true;
	}
	return false;
}

void muster__listeners_clear(struct muster__listeners *listeners)
{
	muster__pairs_release(listeners->many);
	*listeners = (struct muster__listeners){ 0 };
}

int muster__listeners_on(struct muster_loop *loop, struct muster__listeners *listeners, const void *table,
			 size_t theirs, size_t ours, void *data)
{
	int err;
	const void *interned = muster__table_intern(loop, table, theirs, ours, &err);

	return interned == NULL ? err : muster__listeners_add(listeners, interned, data);
}

int muster__listeners_off(struct muster_loop *loop, struct muster__listeners *listeners, const void *table,
			  size_t theirs, size_t ours, void *data)
{
	int err;
	const void *interned = muster__table_intern(loop, table, theirs, ours, &err);

	return interned == NULL ? err : muster__listeners_remove(listeners, interned, data);
}
