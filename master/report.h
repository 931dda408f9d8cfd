/*
 * master/report.h - what a service manager learns of the daemon, and when: ready, how many serve, that it is alive, that it
 * needs longer; and the sockets it keeps for the next start.
 */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct muster__sd;
struct muster__generations;
struct muster__stored;

struct muster__report {
	struct muster__sd *sd;                 /* borrowed */
	const struct muster__generations *all; /* borrowed; NULL before the start */
	struct event tick;
	bool announced; /* the end has been */
	bool silent;    /* another process is the service now */
	bool failed;    /* the start has */
	uint64_t told_ms;
	unsigned told_ready;
	int told_phase;
	char told[400];
	struct muster__stored *stored;
	unsigned stored_count;
};

void muster__report_start(struct muster__report *report, struct muster__sd *sd, const struct muster__generations *all);
/* Before the loop is freed. */
void muster__report_end(struct muster__report *report);

/* A reload begins. */
void muster__report_reloading(struct muster__report *report);
/* It is over, or the start is: ready, and the sockets that serve now are kept. A failure is in the status. */
void muster__report_settled(struct muster__report *report);
/* It could not start; the first reason that is given is told. */
void muster__report_failed(struct muster__report *report, const char *reason);
/* The phase may be another one: tell it now and not at the next tick. */
void muster__report_changed(struct muster__report *report);
/* Another process is the service from here on, its pid file written; what this one still does nobody needs to know. */
void muster__report_succeeded_by(struct muster__report *report, pid_t pid);

#endif
