/*
 * master/sd.h - what a service manager is told, and asks: sd_notify(3), as datagrams that never block and never fail.
 * Without a manager all of it does nothing.
 */
#ifndef MASTER_SD_H
#define MASTER_SD_H

#include <stdbool.h>
#include <sys/types.h>

struct muster__sd;
struct muster_loop;

/*
 * From the environment, which loses what it says of managers: programs that workers run are not the service. NULL without
 * memory.
 */
struct muster__sd *muster__sd_new(void);
/* What was said before waits for this. */
void muster__sd_attach(struct muster__sd *sd, struct muster_loop *loop);
/* Before the loop is freed; what still waits is offered once more. */
void muster__sd_free(struct muster__sd *sd);

bool muster__sd_is_there(const struct muster__sd *sd);

/* How often it wants to hear from us at least; 0: not at all. Half of it is a good habit. */
unsigned muster__sd_watchdog_ms(const struct muster__sd *sd);

/* It keeps descriptors for us. */
bool muster__sd_stores(const struct muster__sd *sd);

/* The start, or a reload, is over, well or not: the status tells which. */
void muster__sd_ready(struct muster__sd *sd);
/* A reload begins, whoever asked for it. With its time, since an older answer could be meant for an older question. */
void muster__sd_reloading(struct muster__sd *sd);
/* The end begins, and nothing can stop it. */
void muster__sd_stopping(struct muster__sd *sd);
/* One line, for people. */
__attribute__((format(printf, 2, 3))) void muster__sd_status(struct muster__sd *sd, const char *format, ...);
/* Another process is the service from here on; its pid file has been written. */
void muster__sd_main_pid(struct muster__sd *sd, pid_t pid);
/* What is under way may take so much longer, counted from now. */
void muster__sd_extend(struct muster__sd *sd, unsigned ms);
void muster__sd_watchdog(struct muster__sd *sd);

/*
 * Keep a duplicate of the socket of a listener, which muster__activation_take finds again under that name after the next
 * start; `fd` is borrowed. Names that are too long, and descriptors a manager has no room for, are not kept.
 */
void muster__sd_store(struct muster__sd *sd, int fd, const char *listener);
void muster__sd_unstore(struct muster__sd *sd, const char *listener);
/* The same by the manager's own name. */
void muster__sd_unstore_name(struct muster__sd *sd, const char *name);

/* The names of both in each other's world: a prefix, and what a manager does not allow as %XX. False: it has no such name. */
#define MUSTER__SD_NAME_MAX 255
bool muster__sd_name_of(char name[MUSTER__SD_NAME_MAX + 1], const char *listener);
bool muster__sd_listener_of(char listener[MUSTER__SD_NAME_MAX + 1], const char *name);

/* In a process that is to become the service, before its exec: give its environment what ours has lost. */
void muster__sd_export(const struct muster__sd *sd);

#endif
