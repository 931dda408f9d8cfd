/* master/session.h - one question at the control socket, from its line to its answer, which may take a while. */
#ifndef MASTER_SESSION_H
#define MASTER_SESSION_H

#include "master/waiters.h"

#include <sys/types.h>

struct json_t;
struct muster_socket;
struct muster__generations;
struct muster__session;
struct muster__upgrade;
struct muster__control;

/* What a session understands. */
struct muster__session_ops {
	/* Do it, and answer, now or later. `may_steer`: else it may only look. */
	void (*run)(struct muster__session *session, const char *command, const struct json_t *question,
		    bool may_steer);
	/* Nobody is there to be told any more. It may not be waiting at all. */
	void (*forget)(const struct muster__control *control, const struct muster__waiter *waiter);
};

/* What there is to be asked and steered. */
struct muster__control {
	const struct muster__session_ops *ops;
	struct muster__generations *all;
	struct muster__upgrade *upgrade;
	gid_t group; /* whose members may ask for the status; -1: nobody's */
	int spare;   /* a descriptor for whoever asks when there is no other; -1 while he has it */
};

/* The other side of a new connection: it frees itself. `control` is borrowed and outlives it. */
void muster__session_begin(struct muster_socket *socket, const struct muster__control *control);

const struct muster__control *muster__session_control(const struct muster__session *session);

/* The answer, taken; nothing happens if there was one, or if nobody listens any more. */
void muster__session_answer(struct muster__session *session, struct json_t *json);
/* {"ok": true}, or for a failure {"error": ...}. */
void muster__session_conclude(struct muster__session *session, const char *failure);

/* It waits, however long that takes, for what this waiter is told, which is its answer. */
struct muster__waiter *muster__session_wait(struct muster__session *session, bool until_started);

/* Somebody has it as the data of a callback to come: it outlives its connection until that has let go. */
void muster__session_hold(struct muster__session *session);
void muster__session_let_go(struct muster__session *session);

#endif
