/* src/census.h - how many connections a server has: here, and in the processes that some of them were sent to. */
#ifndef SRC_CENSUS_H
#define SRC_CENSUS_H

#include "src/loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <sys/queue.h>

struct muster__away;
struct muster__census;
struct muster__kept;
struct muster__question;
struct muster_server;
struct muster_socket;

typedef void (*muster__counted)(struct muster_server *server, int err, unsigned count, void *data);

struct muster__census_ops {
	/* An answer is due, or one of those who were away has left: look at the census at the end of the turn. */
	void (*changed)(struct muster__census *census);
	/* What people call the server, for a key on the wire: "4:127.0.0.1:80". */
	void (*name)(struct muster__census *census, char *name, size_t size);
};

struct muster__census {
	const struct muster__census_ops *ops;
	struct muster_loop *loop;
	LIST_HEAD(, muster__away) aways;
	LIST_HEAD(, muster__kept) kept;            /* sockets that were sent and are open here as well */
	STAILQ_HEAD(, muster__question) questions; /* oldest first */
	struct event deadline;                     /* of the oldest */
	bool sent_away;                            /* ever: what is open here is not all */
	bool closing;                              /* those who are away are asked to tell when nothing is left */
};

void muster__census_init(struct muster__census *census, struct muster_loop *loop, const struct muster__census_ops *ops);

/* Nobody is away any more; and, at the end, whoever still waits is not told. */
void muster__census_forget(struct muster__census *census);
void muster__census_clear(struct muster__census *census);

/* Somebody wants to know; -ENOMEM. */
int muster__census_ask(struct muster__census *census, muster__counted done, void *data);

/* Answer all whose answer is complete: MUSTER_ECHILDCLOSED or -ETIMEDOUT if somebody's part is missing. */
void muster__census_answer(struct muster__census *census, struct muster_server *server, unsigned here);

/* The server has closed, or is open again. */
void muster__census_close(struct muster__census *census, bool closing);

/* Nobody waits, and nobody is away. */
bool muster__census_is_over(const struct muster__census *census);

/* A connection of the server has closed here. */
void muster__census_socket_gone(struct muster__census *census, const struct muster_socket *socket);

/* ---- A process that has some of the connections, as whoever speaks to it sees it. */

struct muster__away_ops {
	/* Ask it how many: muster__away_counted follows in the order of the questions, or muster__away_leave. */
	void (*ask)(struct muster__away *away);
	/* Ask it to tell when it has none: muster__away_emptied follows, or muster__away_leave. */
	void (*notify)(struct muster__away *away);
	/* It is no longer in the census: free it. */
	void (*release)(struct muster__away *away);
};

struct muster__away {
	LIST_ENTRY(muster__away) link;
	const struct muster__away_ops *ops;
	struct muster__census *census;
	STAILQ_HEAD(, muster__ask) asks; /* not answered, oldest first */
	unsigned notices;                /* asked to tell, and has not */
	unsigned kept;                   /* what it has that is open here as well */
};

void muster__away_join(struct muster__away *away, struct muster__census *census, const struct muster__away_ops *ops);

/* One more is on its way to it. `kept` if that stays open here; without memory for it, it is counted twice. */
void muster__away_sent(struct muster__away *away, const struct muster_socket *kept);

/* Its answers. The second may release it. */
void muster__away_counted(struct muster__away *away, unsigned count);
void muster__away_emptied(struct muster__away *away);

/* It is out of reach: its connections are gone with it. It is released. */
void muster__away_leave(struct muster__away *away);

#endif
