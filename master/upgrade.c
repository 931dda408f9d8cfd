/*
 * In steps, each with a time-out, and until the last one this daemon has lost nothing: the new program checks the
 * configuration; it is started with copies of the listeners, opens all else, says that it is ready; it is told to go, takes pid
 * file and control socket, accepts, and says so; only then this daemon stops accepting, and drains. Both accept for a moment,
 * from the same queues.
 */
#include "master/upgrade.h"

#include "master/bequest.h"
#include "master/generations.h"
#include "master/predecessor.h"
#include "src/fd.h"
#include "src/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK_MS 10000
#define HAND_MS 10000
#define GRACE_MS 2000 /* for what comes before its workers are forked */
#define CANNOT_RUN 127

const char *muster__upgrade_step_name(enum muster__upgrade_step step)
{
	static const char *const names[] = { "none", "checking", "starting", "handing over", "over" };

	return names[step];
}

static void enter(struct muster__upgrade *upgrade, enum muster__upgrade_step step)
{
	muster__log(MUSTER_LOG_INFO, "upgrade: %s", muster__upgrade_step_name(step));
	upgrade->step = step;
}

/* ---- its end */

static void close_channel(struct muster__upgrade *upgrade)
{
	if (upgrade->channel >= 0)
		event_del(&upgrade->heard);
	muster__fd_close(&upgrade->channel);
	muster__fd_close(&upgrade->theirs);
}

/* Takes the text. */
static void fail(struct muster__upgrade *upgrade, char *failure)
{
	bool may_have_taken = upgrade->step == MUSTER__UPGRADE_HANDING;

	muster__errand_kill(&upgrade->errand);
	close_channel(upgrade);
	free(upgrade->failure);
	upgrade->failure = failure != NULL ? failure : strdup("out of memory");
	upgrade->failures++;
	muster__log(MUSTER_LOG_ERROR, "upgrade: %s; this daemon goes on", upgrade->failure);
	enter(upgrade, MUSTER__UPGRADE_NONE);
	if (may_have_taken)
		upgrade->ops->fell_back(upgrade);
	muster__waiters_tell(&upgrade->waiting, upgrade->failure);
	muster__generations_pause(upgrade->all, false);
}

__attribute__((format(printf, 2, 3))) static void fail_with(struct muster__upgrade *upgrade, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	fail(upgrade, text);
}

static void succeed(struct muster__upgrade *upgrade)
{
	pid_t heir = upgrade->errand.pid;

	enter(upgrade, MUSTER__UPGRADE_OVER);
	muster__errand_let_go(&upgrade->errand);
	event_del(&upgrade->heard);
	/* The other end sees by this one that we still drain. */
	muster__waiters_tell(&upgrade->waiting, NULL);
	upgrade->ops->succeeded(upgrade, heir);
}

/* ---- the new daemon */

static void say_go(struct muster__upgrade *upgrade)
{
	char go = MUSTER__UPGRADE_GO;

	enter(upgrade, MUSTER__UPGRADE_HANDING);
	muster__errand_give(&upgrade->errand, HAND_MS);
	if (send(upgrade->channel, &go, 1, MSG_NOSIGNAL) < 0)
		fail_with(upgrade, "the new daemon cannot be told to go: %s", strerror(errno));
}

/* That it is gone is told by its exit. */
static void on_heard(evutil_socket_t fd, short what, void *data)
{
	struct muster__upgrade *upgrade = data;
	char byte = 0;
	ssize_t got = recv(fd, &byte, 1, 0);

	(void)what;
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0)
		event_del(&upgrade->heard);
	else if (byte == MUSTER__UPGRADE_READY && upgrade->step == MUSTER__UPGRADE_STARTING)
		say_go(upgrade);
	else if (byte == MUSTER__UPGRADE_DONE && upgrade->step == MUSTER__UPGRADE_HANDING)
		succeed(upgrade);
}

static int open_channel(struct muster__upgrade *upgrade)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	upgrade->channel = ends[0];
	upgrade->theirs = ends[1];
	event_assign(&upgrade->heard, upgrade->all->loop->base, ends[0], EV_READ | EV_PERSIST, on_heard, upgrade);
	if (event_add(&upgrade->heard, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void start_heir(struct muster__upgrade *upgrade)
{
	unsigned ms = muster__config_ready_timeout(upgrade->all->current->config);
	int err = open_channel(upgrade);

	enter(upgrade, MUSTER__UPGRADE_STARTING);
	if (err == 0)
		err = muster__errand_run(&upgrade->errand, upgrade->argv, false,
					 ms < UINT32_MAX - GRACE_MS ? ms + GRACE_MS : ms);
	muster__fd_close(&upgrade->theirs);
	if (err < 0)
		fail_with(upgrade, "the new daemon cannot be started: %s", muster_strerror(err));
}

static void prepare(struct muster__errand *errand)
{
	struct muster__upgrade *upgrade = MUSTER__CONTAINER(errand, struct muster__upgrade, errand);
	const struct muster__service *service = upgrade->all->current;
	char *text;

	if (upgrade->step != MUSTER__UPGRADE_STARTING)
		return;
	text = muster__bequest_write(service, upgrade->theirs);
	if (text == NULL || setenv(MUSTER__BEQUEST_VARIABLE, text, 1) < 0)
		_exit(CANNOT_RUN);
	muster__bequest_open(service, upgrade->theirs);
	upgrade->ops->prepare(upgrade);
}

/* ---- how the two programs end */

/* All of it is the reason; without a newline at its end. */
static void check_failed(struct muster__upgrade *upgrade, int status, int signal)
{
	const struct muster__errand *errand = &upgrade->errand;
	size_t length = errand->length;

	while (length > 0 && errand->text[length - 1] == '\n')
		length--;
	if (signal != 0)
		fail_with(upgrade, "the new program was killed by signal %d while it checked the configuration",
			  signal);
	else if (length == 0)
		fail_with(upgrade, "the new program ended with status %d when it was to check the configuration",
			  status);
	else
		fail_with(upgrade, "%.*s", (int)length, errand->text);
}

static void on_ended(struct muster__errand *errand, int status, int signal)
{
	struct muster__upgrade *upgrade = MUSTER__CONTAINER(errand, struct muster__upgrade, errand);

	if (upgrade->step == MUSTER__UPGRADE_CHECKING && status == 0 && signal == 0)
		start_heir(upgrade);
	else if (upgrade->step == MUSTER__UPGRADE_CHECKING)
		check_failed(upgrade, status, signal);
	else if (signal != 0)
		fail_with(upgrade, "the new daemon was killed by signal %d before it served", signal);
	else
		fail_with(upgrade, "the new daemon ended with status %d before it served, the log tells why", status);
}

static void on_late(struct muster__errand *errand)
{
	struct muster__upgrade *upgrade = MUSTER__CONTAINER(errand, struct muster__upgrade, errand);

	if (upgrade->step == MUSTER__UPGRADE_CHECKING)
		fail_with(upgrade, "the new program did not check the configuration within %u ms", CHECK_MS);
	else
		fail_with(upgrade, "the new daemon was not ready in time");
}

/* ---- its beginning */

int muster__upgrade_init(struct muster__upgrade *upgrade, struct muster__generations *all, char **argv,
			 const char *file)
{
	static const struct muster__errand_ops ops = { prepare, on_ended, on_late };

	upgrade->all = all;
	upgrade->argv = argv;
	upgrade->file = file;
	upgrade->channel = upgrade->theirs = -1;
	STAILQ_INIT(&upgrade->waiting);
	muster__errand_init(&upgrade->errand, all->loop, &ops);
	return 0;
}

static const char *refusal(const struct muster__upgrade *upgrade)
{
	const struct muster__generations *all = upgrade->all;

	if (all->stopping)
		return "the daemon is about to end";
	if (upgrade->step != MUSTER__UPGRADE_NONE)
		return "an upgrade is under way";
	if (all->current == NULL)
		return "the daemon has not started yet";
	if (all->next != NULL || all->due)
		return "a reload is under way";
	if (muster__predecessor_is_there(upgrade->predecessor))
		return "the daemon before this one still drains";
	if (getpid() == 1)
		return "this is process 1, whose end is that of all: start another container instead";
	return NULL;
}

const char *muster__upgrade_begin(struct muster__upgrade *upgrade, struct muster__waiter *waiter)
{
	char *check[] = { upgrade->argv[0], "-t", "-c", (char *)upgrade->file, NULL };
	const char *why_not = refusal(upgrade);
	int err;

	if (why_not != NULL)
		return why_not;
	err = muster__errand_run(&upgrade->errand, check, true, CHECK_MS);
	if (err < 0)
		return muster_strerror(err);
	if (waiter != NULL)
		STAILQ_INSERT_TAIL(&upgrade->waiting, waiter, next);
	upgrade->count++;
	enter(upgrade, MUSTER__UPGRADE_CHECKING);
	muster__generations_pause(upgrade->all, true);
	return NULL;
}

void muster__upgrade_forget(struct muster__upgrade *upgrade, const struct muster__waiter *waiter)
{
	muster__waiters_forget(&upgrade->waiting, waiter);
}

void muster__upgrade_cancel(struct muster__upgrade *upgrade)
{
	if (upgrade->step != MUSTER__UPGRADE_NONE && upgrade->step != MUSTER__UPGRADE_OVER)
		fail_with(upgrade, "the daemon is about to end");
}

void muster__upgrade_clear(struct muster__upgrade *upgrade)
{
	muster__fd_close(&upgrade->channel);
	free(upgrade->failure);
}
