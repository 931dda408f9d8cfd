/* master/status.h - what musterctl shows. */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

struct json_t;
struct muster__generations;
struct muster__upgrade;
struct muster_worker;

/* New. */
struct json_t *muster__status(const struct muster__generations *all, const struct muster__upgrade *upgrade);

/* The same as a message to the process that serves it to others. */
void muster__status_tell(struct muster_worker *worker, const struct muster__generations *all,
			 const struct muster__upgrade *upgrade);

#endif
