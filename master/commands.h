/* master/commands.h - what the control socket understands. */
#ifndef MASTER_COMMANDS_H
#define MASTER_COMMANDS_H

#include <stdbool.h>

struct json_t;
struct muster__control;
struct muster__session;
struct muster__waiter;

/* Do it, and answer, now or later. `may_steer`: else it may only look. */
void muster__command_run(struct muster__session *session, const char *command, const struct json_t *question,
			 bool may_steer);

/* Nobody is there to be told any more. It may not be waiting at all. */
void muster__command_forget(const struct muster__control *control, const struct muster__waiter *waiter);

#endif
