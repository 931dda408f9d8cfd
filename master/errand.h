/* master/errand.h - a program that the daemon runs beside its workers: what it says, how it ends, and no longer than so. */
#ifndef MASTER_ERRAND_H
#define MASTER_ERRAND_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/types.h>

#define MUSTER__ERRAND_TEXT 4096

struct muster_loop;
struct muster__errand;

struct muster__errand_ops {
	/* In the child, before exec. May be NULL. */
	void (*prepare)(struct muster__errand *errand);
	/* It has ended, by an exit status or a signal (the other is 0); and what it said is in `text`, if it was listened to. */
	void (*ended)(struct muster__errand *errand, int status, int signal);
	/* Its time is up, and it has been killed: `ended` does not come. */
	void (*late)(struct muster__errand *errand);
};

struct muster__errand {
	struct muster_loop *loop;
	const struct muster__errand_ops *ops;
	pid_t pid;
	int pidfd;  /* -1: it does not run */
	int output; /* the end of a pipe; -1 */
	struct event exited, said, timer;
	size_t length;
	char text[MUSTER__ERRAND_TEXT];
};

void muster__errand_init(struct muster__errand *errand, struct muster_loop *loop, const struct muster__errand_ops *ops);

/*
 * Run argv[0], looked up in PATH if it has no slash, for at most so long. `listen`: take what it writes to standard output and
 * error; else these are ours. 0 or -errno.
 */
int muster__errand_run(struct muster__errand *errand, char *const *argv, bool listen, unsigned timeout_ms);

/* So long from now on; 0: as long as it wants. */
void muster__errand_give(struct muster__errand *errand, unsigned timeout_ms);

/* Kill it, and forget it; `let_go`: let it live on its own. Nothing is called any more. */
void muster__errand_kill(struct muster__errand *errand);
void muster__errand_let_go(struct muster__errand *errand);

#endif
