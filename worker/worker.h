/* worker/worker.h - what a primary's process becomes after the fork. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

struct muster__plan;

/* Be the worker that the plan describes; returns its exit status. Called in a fresh child, which exits with it. */
int muster__worker_main(const struct muster__plan *plan);

#endif
