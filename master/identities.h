/* master/identities.h - whom each application's workers are to be, from what the file says for all and for each. */
#ifndef MASTER_IDENTITIES_H
#define MASTER_IDENTITIES_H

struct muster__reader;

/* Fill in the privileges of all applications, and complain. Each value alone has been read. */
void muster__identities_check(struct muster__reader *reader);

#endif
