/* src/loop.h - what the rest of the library needs of a loop: liveness, the end of a turn, one large read buffer. */
#ifndef SRC_LOOP_H
#define SRC_LOOP_H

#include <muster/loop.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/time.h>
#include <time.h>

struct event;
struct evdns_base;
struct muster__object;
struct muster__table;
struct muster__listen_ops;
struct muster__count_ops;

#define MUSTER__CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Something to do at the end of the turn, embedded in whoever wants it. Zero-initialised but for `run`. */
struct muster__task {
	struct muster__task *next;
	void (*run)(struct muster__task *task);
	bool queued;
};

LIST_HEAD(muster__objects, muster__object);
LIST_HEAD(muster__questions, muster__question);

struct muster_loop {
	struct event_base *base;
	bool owned;   /* we made the base */
	bool stopped; /* muster_loop_stop */
	bool freeing; /* muster_loop_free is at work: nothing may be opened */
	bool in_batch;
	struct event *deferred;
	struct muster__task *tasks, **tasks_end;
	struct muster__task *batch; /* what is left of the one that is running */
	unsigned alive;             /* objects that are open and referenced */
	bool running;               /* until the last of them is gone */
	unsigned own_events;        /* events in the base that are ours: our objects count, not their events */
	struct muster__objects objects;
	struct muster__table *tables;
	char *buffer;
	struct evdns_base *dns;                      /* made at the first question */
	unsigned questions;                          /* asked, not answered, and not forgotten */
	struct muster__questions asked;              /* ... and forgotten ones */
	void (*rest)(struct muster_loop *loop);      /* called before foreign events alone keep it running; or NULL */
	const char *resolv_conf, *hosts;             /* NULL: those of the machine */
	struct timespec resolv_time;                 /* when that which was read was written */
	unsigned lookup_ms;                          /* how long a lookup may take; 0 is a default */
	bool no_auto_select;                         /* connections that do not say try one address alone */
	unsigned attempt_ms;                         /* ... and others each for so long; 0 is a default */
	int epoll_fd;                                /* libevent's, once src/exclusive.c has found it; -1 before */
	const struct muster__listen_ops *listen_ops; /* NULL: bind here */
	const struct muster__count_ops *count_ops;
	void *ops_data; /* of both tables */
};

/* How much one read takes: large, since evbuffer's own 4096 make bulk three times slower. */
#define MUSTER__READ_SIZE ((size_t)256 * 1024)

/* The buffer all sockets of the loop read into; NULL when memory is exhausted. */
char *muster__loop_buffer(struct muster_loop *loop);

/* Run `task` at the end of this turn; in the next one if this turn's batch is already running. */
void muster__loop_queue(struct muster_loop *loop, struct muster__task *task);
void muster__loop_unqueue(struct muster_loop *loop, struct muster__task *task);

/* One object more, or less, keeps the loop running. */
void muster__loop_alive(struct muster_loop *loop, int by);

/* The loop is being freed: what users deferred is not called any more. */
void muster__loop_drop_calls(struct muster_loop *loop);

/*
 * event_add and event_del for events of our own: they do not keep the loop running, our objects do. An event is either
 * for a descriptor or a timer, never both, and persistent. 0 or -ENOMEM.
 */
int muster__event_add(struct muster_loop *loop, struct event *event, const struct timeval *timeout);
void muster__event_del(struct muster_loop *loop, struct event *event);

struct timeval muster__ms(unsigned ms);

#endif
