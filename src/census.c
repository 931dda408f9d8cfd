/*
 * A question is complete when everybody who is away has answered it, has left, or has taken too long; what is missing then is
 * told by its error. Answers carry no name of their question, so each process answers its questions in order, late ones
 * too.
 */
#include "src/census.h"

#include "src/log.h"

#include <errno.h>
#include <muster/error.h>
#include <stdlib.h>

#define ANSWER_MS 5000u

struct muster__question {
	STAILQ_ENTRY(muster__question) next;
	muster__counted done;
	void *data;
	uint64_t deadline_ms;
	unsigned waiting;   /* answers that are due */
	unsigned elsewhere; /* the sum of those that have come */
	int err;
};

struct muster__ask {
	STAILQ_ENTRY(muster__ask) next;
	struct muster__question *question; /* NULL: it has been answered without this */
};

struct muster__kept {
	LIST_ENTRY(muster__kept) link;
	const struct muster_socket *socket;
	struct muster__away *away;
};

STAILQ_HEAD(questions, muster__question);

/* ---- time */

static void arm(struct muster__census *census)
{
	const struct muster__question *oldest = STAILQ_FIRST(&census->questions);
	uint64_t now = muster__now_ms();
	struct timeval delay;

	muster__event_del(census->loop, &census->deadline);
	if (oldest == NULL || oldest->waiting == 0)
		return;
	delay = muster__ms(oldest->deadline_ms > now ? (unsigned)(oldest->deadline_ms - now) : 1);
	muster__event_add(census->loop, &census->deadline, &delay);
}

static void forget_question(struct muster__census *census, const struct muster__question *question)
{
	struct muster__away *away;
	struct muster__ask *ask;

	LIST_FOREACH(away, &census->aways, link)
	STAILQ_FOREACH(ask, &away->asks, next)
	if (ask->question == question)
		ask->question = NULL;
}

static void on_deadline(evutil_socket_t fd, short what, void *data)
{
	struct muster__census *census = data;
	struct muster__question *question;
	uint64_t now = muster__now_ms();

	(void)fd, (void)what;
	STAILQ_FOREACH(question, &census->questions, next)
	{
		if (question->deadline_ms > now || question->waiting == 0)
			continue;
		forget_question(census, question);
		question->waiting = 0;
		question->err = -ETIMEDOUT;
	}
	arm(census);
	census->ops->changed(census);
}

/* ---- parting */

static void drop_kept(struct muster__kept *kept)
{
	kept->away->kept--;
	LIST_REMOVE(kept, link);
	free(kept);
}

/* The oldest question has its answer from here, or never will. */
static bool settle(struct muster__away *away, unsigned count, int err)
{
	struct muster__ask *ask = STAILQ_FIRST(&away->asks);

	if (ask == NULL)
		return false;
	STAILQ_REMOVE_HEAD(&away->asks, next);
	if (ask->question != NULL) {
		ask->question->waiting--;
		ask->question->elsewhere += count;
		if (err < 0)
			ask->question->err = err;
	}
	free(ask);
	return true;
}

static void part(struct muster__away *away)
{
	struct muster__kept *kept, *next;

	while (settle(away, 0, MUSTER_ECHILDCLOSED))
		;
	for (kept = LIST_FIRST(&away->census->kept); kept != NULL; kept = next) {
		next = LIST_NEXT(kept, link);
		if (kept->away == away)
			drop_kept(kept);
	}
	LIST_REMOVE(away, link);
}

/* ---- the census */

void muster__census_init(struct muster__census *census, struct muster_loop *loop, const struct muster__census_ops *ops)
{
	*census = (struct muster__census){ .ops = ops, .loop = loop };
	STAILQ_INIT(&census->questions);
	event_assign(&census->deadline, loop->base, -1, EV_PERSIST, on_deadline, census);
}

/* Who waits for an answer keeps the loop running. */
static void drop_question(struct muster__census *census, struct muster__question *question)
{
	free(question);
	muster__loop_alive(census->loop, -1);
}

void muster__census_forget(struct muster__census *census)
{
	while (!LIST_EMPTY(&census->aways))
		muster__away_leave(LIST_FIRST(&census->aways));
}

void muster__census_clear(struct muster__census *census)
{
	struct muster__question *question;
	struct muster__away *away;

	while ((away = LIST_FIRST(&census->aways)) != NULL) {
		part(away);
		away->ops->release(away);
	}
	while ((question = STAILQ_FIRST(&census->questions)) != NULL) {
		STAILQ_REMOVE_HEAD(&census->questions, next);
		drop_question(census, question);
	}
	muster__event_del(census->loop, &census->deadline);
}

static void ask_one(struct muster__question *question, struct muster__away *away)
{
	struct muster__ask *ask = malloc(sizeof *ask);

	if (ask == NULL) {
		question->err = -ENOMEM;
		return;
	}
	ask->question = question;
	question->waiting++;
	STAILQ_INSERT_TAIL(&away->asks, ask, next);
	away->ops->ask(away);
}

int muster__census_ask(struct muster__census *census, muster__counted done, void *data)
{
	struct muster__question *question = calloc(1, sizeof *question);
	struct muster__away *away;

	if (question == NULL)
		return -ENOMEM;
	question->done = done;
	question->data = data;
	question->deadline_ms = muster__now_ms() + ANSWER_MS;
	LIST_FOREACH(away, &census->aways, link)
	ask_one(question, away);
	STAILQ_INSERT_TAIL(&census->questions, question, next);
	muster__loop_alive(census->loop, 1);
	arm(census);
	census->ops->changed(census);
	return 0;
}

/* A snapshot, as of deferred calls: asking again in each answer must not starve the loop. */
static void take_complete(struct muster__census *census, struct questions *complete)
{
	struct muster__question *question, *next;

	for (question = STAILQ_FIRST(&census->questions); question != NULL; question = next) {
		next = STAILQ_NEXT(question, next);
		if (question->waiting > 0)
			continue;
		STAILQ_REMOVE(&census->questions, question, muster__question, next);
		STAILQ_INSERT_TAIL(complete, question, next);
	}
	arm(census);
}

void muster__census_answer(struct muster__census *census, struct muster_server *server, unsigned here)
{
	struct questions complete = STAILQ_HEAD_INITIALIZER(complete);
	struct muster__question *question;

	take_complete(census, &complete);
	while ((question = STAILQ_FIRST(&complete)) != NULL) {
		STAILQ_REMOVE_HEAD(&complete, next);
		if (!census->loop->freeing)
			question->done(server, question->err, here + question->elsewhere, question->data);
		drop_question(census, question);
	}
}

static void notify(struct muster__away *away)
{
	away->notices++;
	away->ops->notify(away);
}

void muster__census_close(struct muster__census *census, bool closing)
{
	struct muster__away *away;

	if (closing == census->closing)
		return;
	census->closing = closing;
	if (!closing)
		return;
	LIST_FOREACH(away, &census->aways, link)
	notify(away);
}

bool muster__census_is_over(const struct muster__census *census)
{
	return STAILQ_EMPTY(&census->questions) && LIST_EMPTY(&census->aways);
}

void muster__census_socket_gone(struct muster__census *census, const struct muster_socket *socket)
{
	struct muster__kept *kept, *next;

	for (kept = LIST_FIRST(&census->kept); kept != NULL; kept = next) {
		next = LIST_NEXT(kept, link);
		if (kept->socket == socket)
			drop_kept(kept);
	}
}

/* ---- those who are away */

void muster__away_join(struct muster__away *away, struct muster__census *census, const struct muster__away_ops *ops)
{
	away->ops = ops;
	away->census = census;
	STAILQ_INIT(&away->asks);
	LIST_INSERT_HEAD(&census->aways, away, link);
}

void muster__away_sent(struct muster__away *away, const struct muster_socket *socket)
{
	struct muster__kept *kept = socket != NULL ? malloc(sizeof *kept) : NULL;

	away->census->sent_away = true;
	if (kept != NULL) {
		*kept = (struct muster__kept){ .socket = socket, .away = away };
		LIST_INSERT_HEAD(&away->census->kept, kept, link);
		away->kept++;
	}
	/* It may have had none left, and have said so, while this one was on its way. */
	if (away->census->closing)
		notify(away);
}

void muster__away_counted(struct muster__away *away, unsigned count)
{
	if (!settle(away, count > away->kept ? count - away->kept : 0, 0))
		return;
	arm(away->census);
	away->census->ops->changed(away->census);
}

void muster__away_emptied(struct muster__away *away)
{
	if (away->notices > 0)
		away->notices--;
	/* A question that it has not answered yet is no question any more: it has none. */
	if (away->notices > 0 || !away->census->closing)
		return;
	while (settle(away, 0, 0))
		;
	muster__away_leave(away);
}

void muster__away_leave(struct muster__away *away)
{
	struct muster__census *census = away->census;

	part(away);
	arm(census);
	census->ops->changed(census);
	away->ops->release(away);
}
