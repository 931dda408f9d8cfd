/*
 * Whoever loses its parent in a container becomes a child of process 1, and a zombie for ever if that does not wait for it.
 * Our own children are waited for by those who watch them: whoever took the exit status of a worker here would leave it
 * without a cause of death.
 */
#include "master/strangers.h"

#include "master/generations.h"
#include "src/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_MS 1

static bool is_in_cluster(const struct muster_cluster *cluster, pid_t pid)
{
	const struct muster__seat *seat;

	TAILQ_FOREACH(seat, &cluster->seats, link)
	if (seat->process != NULL && seat->process->peer.pid == pid)
		return true;
	return false;
}

static bool is_in_service(const struct muster__service *service, pid_t pid)
{
	size_t i;

	for (i = 0; service != NULL && i < service->app_count; i++)
		if (service->apps[i].cluster != NULL && is_in_cluster(service->apps[i].cluster, pid))
			return true;
	return false;
}

/* Process 1 is not upgraded, and so it has no other children than workers. */
static bool is_ours(const struct muster__generations *all, pid_t pid)
{
	const struct muster__service *service;

	TAILQ_FOREACH(service, &all->ending, link)
	if (is_in_service(service, pid))
		return true;
	return is_in_service(all->current, pid) || is_in_service(all->next, pid);
}

/* One of ours stands in front of the others until it has been reaped, which is soon: then we look again. */
static void reap(struct muster__strangers *strangers)
{
	struct timeval delay = muster__ms(AGAIN_MS);
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		if (is_ours(strangers->all, info.si_pid)) {
			muster__event_add(strangers->all->loop, &strangers->again, &delay);
			return;
		}
		waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

static void on_ended(evutil_socket_t signal, short what, void *data)
{
	(void)signal, (void)what;
	reap(data);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct muster__strangers *strangers = data;

	(void)fd, (void)what;
	muster__event_del(strangers->all->loop, &strangers->again);
	reap(strangers);
}

int muster__strangers_start(struct muster__strangers *strangers, const struct muster__generations *all)
{
	struct event_base *base = all->loop->base;

	strangers->all = all;
	if (getpid() != 1)
		return 0;
	event_assign(&strangers->ended, base, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_ended, strangers);
	event_assign(&strangers->again, base, -1, EV_PERSIST, on_again, strangers);
	if (event_add(&strangers->ended, NULL) < 0)
		return -ENOMEM;
	strangers->watching = true;
	reap(strangers); /* who ended before we looked */
	return 0;
}

void muster__strangers_stop(struct muster__strangers *strangers)
{
	if (!strangers->watching)
		return;
	strangers->watching = false;
	event_del(&strangers->ended);
	muster__event_del(strangers->all->loop, &strangers->again);
}
