/*
 * master/passage.h - a program that takes sockets as systemd passes them: what it is given, and what it says of itself by
 * sd_notify(3). It has no channel; the primary holds both ends of one, so that to others it is a worker that never speaks.
 */
#ifndef MASTER_PASSAGE_H
#define MASTER_PASSAGE_H

struct muster__process;
struct muster__sockets;

/* Before the fork: the sockets of its cluster, of which it is a member from here on, and one to be told by. 0 or -errno. */
int muster__passage_new(struct muster__process *process);
const struct muster__sockets *muster__passage_sockets(const struct muster__process *process);

/* It has been forked: from here on it is listened to. *end, the other end of its channel, is taken. */
void muster__passage_begin(struct muster__process *process, int *end);

/* It has ended: what it still said is read, and its channel ends. */
void muster__passage_end(struct muster__process *process);
void muster__passage_free(struct muster__process *process);

/* What it said last of its status: a line, or NULL. */
const char *muster__passage_status(const struct muster__process *process);

#endif
