/* src/sized.h - structs that travel with their size, so that fields can be added without breaking anyone. */
#ifndef SRC_SIZED_H
#define SRC_SIZED_H

#include <stddef.h>

/*
 * Copy the caller's struct of `theirs` bytes over a zeroed one of `ours`. NULL means all defaults. -E2BIG if the caller
 * knows fields that we do not, and uses them.
 */
int muster__sized_copy(void *to, size_t ours, const void *from, size_t theirs);

#endif
