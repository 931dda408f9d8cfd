/* master/upgrade.h - another program takes over from this one, with its listeners, and without anybody noticing. */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include "master/errand.h"
#include "master/waiters.h"

struct muster__generations;
struct muster__predecessor;
struct muster__upgrade;

struct muster__upgrade_ops {
	/* In the child that is to become the new daemon. */
	void (*prepare)(struct muster__upgrade *upgrade);
	/* The new one serves, and has pid file and control socket. */
	void (*succeeded)(struct muster__upgrade *upgrade, pid_t heir);
	/* It had them already, perhaps, and has died: take them back. */
	void (*fell_back)(struct muster__upgrade *upgrade);
};

enum muster__upgrade_step {
	MUSTER__UPGRADE_NONE = 0,
	MUSTER__UPGRADE_CHECKING, /* the new program looks at the configuration */
	MUSTER__UPGRADE_STARTING, /* it is to become ready */
	MUSTER__UPGRADE_HANDING,  /* it was told to go */
	MUSTER__UPGRADE_OVER,     /* it serves, and this daemon ends */
};

struct muster__upgrade {
	struct muster__generations *all;
	const struct muster__predecessor *predecessor;
	const struct muster__upgrade_ops *ops;
	void *data;
	char **argv; /* as this daemon was started, with a program that is found again */
	const char *file;
	enum muster__upgrade_step step;
	struct muster__errand errand; /* the check, and then the new daemon */
	int channel, theirs;          /* -1 */
	struct event heard;
	struct muster__waiters waiting;
	char *failure; /* of the last one; or NULL */
	unsigned count, failures;
};

/* `argv` and `file` are borrowed. 0 or -ENOMEM. */
int muster__upgrade_init(struct muster__upgrade *upgrade, struct muster__generations *all, char **argv,
			 const char *file);

/*
 * Begin. NULL, and the outcome is told to the log and to `waiter` (or NULL); else why it cannot be, and nobody is told. A
 * configuration that is asked for meanwhile waits.
 */
const char *muster__upgrade_begin(struct muster__upgrade *upgrade, struct muster__waiter *waiter);
void muster__upgrade_forget(struct muster__upgrade *upgrade, const struct muster__waiter *waiter);

const char *muster__upgrade_step_name(enum muster__upgrade_step step);

/* The daemon ends: so does the one that was to follow it. */
void muster__upgrade_cancel(struct muster__upgrade *upgrade);
void muster__upgrade_clear(struct muster__upgrade *upgrade);

#endif
