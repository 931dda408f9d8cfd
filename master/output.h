/* master/output.h - what a program writes to its standard output and error, on its way to the log. */
#ifndef MASTER_OUTPUT_H
#define MASTER_OUTPUT_H

struct muster__process;

/* Before the fork: *fd is to be its standard output and error, and is the caller's to close. 0 or -errno. */
int muster__output_open(struct muster__process *process, int *fd);

/* It has ended: all that it still said is logged, the last line too if it is none. */
void muster__output_end(struct muster__process *process);

#endif
