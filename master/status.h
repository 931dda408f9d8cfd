/* master/status.h - what musterctl shows. */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

struct json_t;
struct muster__generations;
struct muster__upgrade;

/* New. */
struct json_t *muster__status(const struct muster__generations *all, const struct muster__upgrade *upgrade);

#endif
