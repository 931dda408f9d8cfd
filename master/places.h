/* master/places.h - from what a file says of a listener to a socket that listens there. */
#ifndef MASTER_PLACES_H
#define MASTER_PLACES_H

#include "ipc/plan.h"
#include "src/listener.h"

struct muster__config_errors;
struct muster__config_listener;
struct muster__inherited;

/*
 * Fill in what workers are told, and open the socket: one of `inherited` (or NULL) if one fits, else a new one. Negative, with
 * a line in `errors`. Host and path of the plan are new in either case.
 */
int muster__place_open(struct muster__inherited *inherited, const struct muster__config_listener *listener,
		       struct muster__app_listener *plan, struct muster__listener *socket,
		       struct muster__config_errors *errors);

#endif
