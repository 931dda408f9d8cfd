/*
 * master/bequest.h - what a daemon tells the one that is to follow it: a text in its environment, which names descriptors that
 * it inherits. Either may be the older program.
 */
#ifndef MASTER_BEQUEST_H
#define MASTER_BEQUEST_H

struct json_t;
struct muster__inherited;
struct muster__service;

#define MUSTER__BEQUEST_VARIABLE "MUSTER_UPGRADE"

/* New; NULL without memory. `channel` is the descriptor by which the two speak. */
char *muster__bequest_write(const struct muster__service *service, int channel);

/* Let these descriptors be inherited: in the process that is about to become the heir. */
void muster__bequest_open(const struct muster__service *service, int channel);

/*
 * Take the sockets into the table; the channel is the caller's, or -1. What is not known is passed over, what is missing has
 * its default. -EINVAL (no such text), -ENOTSUP (its writer says that we are too old), -ENOMEM.
 */
int muster__bequest_read(const char *text, struct muster__inherited *table, int *channel);

#endif
