/* master/places.h - from what a file says of a listener to a socket that listens there. */
#ifndef MASTER_PLACES_H
#define MASTER_PLACES_H

#include "ipc/plan.h"
#include "src/listener.h"

struct muster__config_errors;
struct muster__config_listener;
struct muster__inherited;

/*
 * Fill in what workers are told, and have the socket: one of `inherited` (or NULL) if one fits, else a new one, bound and not
 * listening. Negative, with a line in `errors`. Host and path of the plan are new in either case.
 */
int muster__place_open(struct muster__inherited *inherited, const struct muster__config_listener *listener,
		       struct muster__app_listener *plan, struct muster__listener *socket,
		       struct muster__config_errors *errors);

/* A line of what failed for this listener. Returns the code of the error. */
int muster__place_complain(struct muster__config_errors *errors, const struct muster__config_listener *listener,
			   const struct muster_error *error);

#endif
