/* It may die at any time: then nobody says go, and whoever could serve has to. */
#include "master/predecessor.h"

#include "master/bequest.h"
#include "src/fd.h"
#include "src/log.h"
#include "src/loop.h"

#include <errno.h>
#include <muster/error.h>
#include <stdlib.h>
#include <sys/socket.h>

int muster__predecessor_find(struct muster__predecessor *predecessor, struct muster__inherited *table)
{
	const char *text = getenv(MUSTER__BEQUEST_VARIABLE);
	int err;

	predecessor->channel = -1;
	if (text == NULL)
		return 0;
	err = muster__bequest_read(text, table, &predecessor->channel);
	unsetenv(MUSTER__BEQUEST_VARIABLE);
	return err;
}

bool muster__predecessor_is_there(const struct muster__predecessor *predecessor)
{
	return predecessor->channel >= 0;
}

static void say(struct muster__predecessor *predecessor, enum muster__upgrade_word word)
{
	char byte = (char)word;

	if (predecessor->channel >= 0 && send(predecessor->channel, &byte, 1, MSG_NOSIGNAL) < 0)
		muster__log(MUSTER_LOG_WARN, "the daemon before this one cannot be told: %s", muster_strerror(-errno));
}

static void on_heard(evutil_socket_t fd, short what, void *data)
{
	struct muster__predecessor *predecessor = data;
	char byte;
	ssize_t got = recv(fd, &byte, 1, 0);
	bool goes = predecessor->told && !predecessor->went;

	(void)what;
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		muster__log(MUSTER_LOG_INFO, "the daemon before this one is gone");
		muster__predecessor_close(predecessor);
	} else if (byte != MUSTER__UPGRADE_GO) {
		return;
	}
	if (goes) {
		predecessor->went = true;
		predecessor->go(predecessor);
	}
}

int muster__predecessor_tell_ready(struct muster__predecessor *predecessor, struct muster_loop *loop)
{
	event_assign(&predecessor->heard, loop->base, predecessor->channel, EV_READ | EV_PERSIST, on_heard,
		     predecessor);
	if (event_add(&predecessor->heard, NULL) < 0)
		return -ENOMEM;
	predecessor->told = true;
	say(predecessor, MUSTER__UPGRADE_READY);
	return 0;
}

void muster__predecessor_tell_done(struct muster__predecessor *predecessor)
{
	say(predecessor, MUSTER__UPGRADE_DONE);
}

void muster__predecessor_close(struct muster__predecessor *predecessor)
{
	if (predecessor->channel >= 0 && predecessor->told)
		event_del(&predecessor->heard);
	muster__fd_close(&predecessor->channel);
}
