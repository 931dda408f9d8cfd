/* master/succession.h - one generation takes over the listening sockets of another: whose is the path, whose are the counts. */
#ifndef MASTER_SUCCESSION_H
#define MASTER_SUCCESSION_H

struct muster__inherited;
struct muster__listening;
struct muster__service;

typedef void (*muster__listening_visitor)(const struct muster__service *service, struct muster__listening *listening,
					  void *data);

/* Each listener of all applications, in the order in which they were opened. */
void muster__succession_each(const struct muster__service *service, muster__listening_visitor fn, void *data);

/* By which an heir finds its socket: the listener's name, or the one that whoever passed it to us has given it; or NULL. */
const char *muster__succession_name(const struct muster__service *service, const struct muster__listening *listening);

/* Copies of the elder's sockets, for the heir to find. 0 or -errno. */
int muster__succession_offer(const struct muster__service *elder, struct muster__inherited *table);

/* The heir has opened its listeners: those on a socket of the elder's go on counting where the elder does. */
void muster__succession_join(const struct muster__service *elder, const struct muster__service *heir);

/* The heir counts: what was lent to it is its own. */
void muster__succession_own(const struct muster__service *heir);

/* Queue and path of each socket that both have are the heir's, and what waits there as well. */
void muster__succession_pass(const struct muster__service *elder, const struct muster__service *heir);

/* The heir ends: what waits at the sockets that both have is the elder's. */
void muster__succession_renounce(const struct muster__service *elder, const struct muster__service *heir);

/* Another process has all of the elder's sockets. */
void muster__succession_leave(const struct muster__service *elder);

#endif
