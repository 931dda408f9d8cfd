/* src/question.h - one question to DNS: the addresses of a name in one family. */
#ifndef SRC_QUESTION_H
#define SRC_QUESTION_H

#include <stddef.h>

struct muster_loop;
struct muster__question;

/* The longest name of a host, without a final dot. */
#define MUSTER__HOST_MAX 253

/*
 * Called once, never from inside muster__question_ask; the question is gone. err: 0, MUSTER_ENOTFOUND (the name has no such
 * address, or is none), or MUSTER_EAIAGAIN. `addresses` are in_addrs or in6_addrs, borrowed.
 */
typedef void (*muster__question_answered)(void *owner, int family, int err, const void *addresses, size_t count);

/*
 * family 4 or 6; resolv.conf is honoured. A final dot keeps its search list away. NULL: no memory. Without memory an answer
 * may be lost: whoever asks has to have a limit to his patience.
 */
struct muster__question *muster__question_ask(struct muster_loop *loop, const char *host, int family,
					      muster__question_answered answered, void *owner);

/* No answer is wanted any more. A loop that only such questions keep running ends. */
void muster__question_forget(struct muster__question *question);

/* The loop is being freed and all questions are forgotten: end what the resolver still holds. */
void muster__questions_shutdown(struct muster_loop *loop);

#endif
