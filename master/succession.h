/* master/succession.h - one generation takes over the listening sockets of another: whose is the path, whose are the counts. */
#ifndef MASTER_SUCCESSION_H
#define MASTER_SUCCESSION_H

struct muster__inherited;
struct muster__service;

/* Copies of the elder's sockets, for the heir to find. 0 or -errno. */
int muster__succession_offer(const struct muster__service *elder, struct muster__inherited *table);

/* The heir has opened its listeners: those on a socket of the elder's go on counting where the elder does. */
void muster__succession_join(const struct muster__service *elder, const struct muster__service *heir);

/* The heir's are the ones that count: queue and path of each shared socket are its own, and what waits there as well. */
void muster__succession_pass(const struct muster__service *elder, const struct muster__service *heir);

/* The heir ends, and leaves queue and path of each shared socket to the elder. */
void muster__succession_renounce(const struct muster__service *elder, const struct muster__service *heir);

#endif
