/* master/outfit.h - what a configuration asks for beside its clusters: the log, the control socket, the pid file. */
#ifndef MASTER_OUTFIT_H
#define MASTER_OUTFIT_H

#include "master/session.h"
#include "src/listener.h"

struct muster__config;
struct muster__config_errors;
struct muster__generations;
struct muster__service;

struct muster__outfit {
	struct muster__generations *all;
	struct muster__control control;       /* what is asked and steered there */
	struct muster_server *server;         /* the one that listens; NULL before the first */
	struct muster__listener next_control; /* bound, for a configuration that does not count yet */
	gid_t next_group;
	int next_log;        /* -1: it stays as it is */
	char *pid_file;      /* ours to unlink; or NULL */
	char *next_pid_file; /* written already; or NULL */
};

void muster__outfit_init(struct muster__outfit *outfit, struct muster__generations *all);

/*
 * All that can fail, for a configuration that may come to count. Only the first control socket listens at once. Negative, with
 * a line in the service's `why`.
 */
int muster__outfit_prepare(struct muster__outfit *outfit, struct muster__service *next);

/* Its workers are about to be forked: the log is theirs. */
void muster__outfit_open(struct muster__outfit *outfit, struct muster__service *next);

/* It counts; or it never will. */
void muster__outfit_commit(struct muster__outfit *outfit, struct muster__service *current);
void muster__outfit_give_up(struct muster__outfit *outfit);

/* The file of the log has been moved away: open it anew, here and in the workers. */
void muster__outfit_reopen_log(struct muster__outfit *outfit);

/* The end: the control socket closes; after the loop the pid file goes. */
void muster__outfit_close(struct muster__outfit *outfit);
void muster__outfit_clear(struct muster__outfit *outfit);

/* Another daemon has taken pid file and control socket: what it did not replace goes. */
void muster__outfit_forget(struct muster__outfit *outfit);
/* It may have taken them, and is gone: they are ours again. */
void muster__outfit_restore(struct muster__outfit *outfit);

#endif
