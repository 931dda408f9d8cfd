/* master/control.h - the control socket: one line of JSON asks, one line of JSON answers. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

struct muster__service;
struct muster_server;

/*
 * Listen on the configured path, with the configured mode; a missing folder is made, a dead socket replaced. The answer to
 * {"command":"status"} is the status. 0 or negative, with a reason in the log.
 */
int muster__control_open(struct muster__service *service, struct muster_server **out);

#endif
