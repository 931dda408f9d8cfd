/* src/error.h - how constructors fail. */
#ifndef SRC_ERROR_H
#define SRC_ERROR_H

#include <muster/error.h>

/* Remember `code` for muster_last_error, set errno, and return NULL for the constructor to return. */
void *muster__no_object(int code);

#endif
