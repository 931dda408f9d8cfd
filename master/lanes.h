/* master/lanes.h - reuse-port: the sockets of one listener, a lane for each seat, whoever sits there. */
#ifndef MASTER_LANES_H
#define MASTER_LANES_H

#include "master/handover.h"

/* A lane that is nobody's yet, and that the next seat to come takes. Negative: `error` says what failed. */
int muster__lane_open(struct muster__listening *listening, struct muster_error *error);

/* The socket of this seat (borrowed): the one it had, or nobody's, or a new one. Negative: `error` says what failed. */
int muster__lane_take(struct muster__listening *listening, unsigned seat, struct muster_error *error);

/* While `accepting`, accept on the lanes whose seats have no worker that does. */
void muster__lanes_watch(struct muster__listening *listening, bool accepting);

/* A seat is gone for good: what is queued on its lane is kept, and the lane closed unless it is the last. False: it had none. */
bool muster__lanes_vacate(struct muster__listening *listening, unsigned seat);

/* Another listener of the same address uses these lanes as well, each for the same seat. 0, -errno, -ENOMEM. */
int muster__lanes_share(const struct muster__listening *from, struct muster__listening *to);
/* Give those up that are not of a seat the cluster has: what is queued on them waits for the others. */
void muster__lanes_trim(struct muster__listening *listening);
/* Those that `keeper` has as well are its from now on, their queues with them. */
void muster__lanes_hand_on(struct muster__listening *listening, const struct muster__listening *keeper);

/* Accept all that is queued, whoever can take it; not on those that were handed on. */
void muster__lanes_take_queues(struct muster__listening *listening);

void muster__lanes_close(struct muster__listening *listening);

#endif
