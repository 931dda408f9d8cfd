/* master/control.h - the control socket: one line of JSON asks, one line of JSON answers. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

struct muster__config;
struct muster__generations;
struct muster__listener;
struct muster_server;

/* Bind the configured path with the configured mode; a missing folder is made, a dead socket replaced. 0 or negative. */
int muster__control_bind(const struct muster__config *config, struct muster__listener *listener);

/* Answer there. `listener` is taken in every case. 0 or negative. */
int muster__control_listen(struct muster__generations *all, struct muster__listener *listener,
			   struct muster_server **out);

#endif
