/* master/activation.h - the sockets that a service manager, or a musterd before this one, passes to a start: LISTEN_FDS. */
#ifndef MASTER_ACTIVATION_H
#define MASTER_ACTIVATION_H

struct muster__inherited;
struct muster__sd;

/*
 * Take what was passed to this process, and take the variables out of the environment. What is no socket to listen on is
 * closed with a warning. 0, or -ENOMEM.
 */
int muster__activation_take(struct muster__inherited *sockets, struct muster__sd *sd);

/* Close, with a warning, what no listener wanted; a store forgets it. */
void muster__activation_close_rest(struct muster__inherited *sockets, struct muster__sd *sd);

#endif
