/* src/server_state.h - what a server is at this moment: its source, its connections, who wants to know of them. */
#ifndef SRC_SERVER_STATE_H
#define SRC_SERVER_STATE_H

#include "src/census.h"
#include "src/handlers.h"
#include "src/lifecycle.h"
#include "src/listener.h"
#include "src/log.h"
#include "src/preface.h"
#include "src/socket_state.h"
#include "src/visitors.h"

#include <muster/server.h>

#define MUSTER__REFUSALS (MUSTER_REFUSAL_PER_ADDRESS + 1)

struct muster_server {
	struct muster__object object;
	struct muster__listeners on;
	struct muster__sink sink;   /* for what feeds it */
	struct muster__owner owner; /* for its sockets */
	struct muster_server_options options;
	struct muster__source *source; /* not NULL from listen to close */
	unsigned connections;
	struct muster__census census; /* with those that were sent to other processes */
	bool ready;                   /* the source is bound */
	bool listening_due;           /* on_listening has not been delivered yet */
	bool error_due;
	struct muster__log_limit refused; /* connections for want of memory: how often that is told */
	struct muster__log_limit headers; /* the same, of headers that are none */
	struct muster__prefaces prefaces; /* connections whose header has not come */
	struct muster__log_limit crowds;  /* the same, of addresses that are at a limit of theirs */
	uint64_t refusals[MUSTER__REFUSALS];
	struct muster__visitors_area
		*visitors; /* of our own, once it is needed and no other process is there to share one */
	struct muster_error error;
};

#define MUSTER__SERVER_EMIT(server, event, ...)                                                                        \
	MUSTER__EMIT(&(server)->on, struct muster_server_handlers, event, __VA_ARGS__)

static inline struct muster_server *muster__server_of_sink(const struct muster__sink *sink)
{
	return MUSTER__CONTAINER(sink, struct muster_server, sink);
}

#endif
