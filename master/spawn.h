/* master/spawn.h - birth and death of a worker. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

struct muster__process;
struct muster__seat;

/* Fork the worker of a seat that has none. on_fork follows. 0 or -errno. */
int muster__spawn(struct muster__seat *seat, struct muster__process **out);

#endif
