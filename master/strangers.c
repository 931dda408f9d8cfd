/*
 * Whoever loses its parent in a container becomes a child of process 1, and a zombie for ever if that does not wait for it.
 * Our own children are waited for by those who watch them: whoever took the exit status of a worker here would leave it
 * without a cause of death.
 */
#include "master/strangers.h"

#include "src/loop.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AGAIN_MS 10

/* Of the namespaces it is in the innermost is ours. What cannot be seen may be. */
static bool is_pidfd_of(const char *descriptor, pid_t pid)
{
	char path[64], line[256], *number;
	bool found = false;
	FILE *info;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%.16s", descriptor);
	info = fopen(path, "re");
	if (info == NULL)
		return true;
	while (fgets(line, sizeof line, info) != NULL)
		if (strncmp(line, "NSpid:", 6) == 0 && (number = strrchr(line, '\t')) != NULL)
			found = strtol(number, NULL, 10) == pid;
	fclose(info);
	return found;
}

/* Whoever watches a child of ours does so by a pidfd. Where that cannot be seen it is better to leave a zombie. */
static bool is_ours(pid_t pid)
{
	DIR *descriptors = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool ours = descriptors == NULL;

	while (!ours && (entry = readdir(descriptors)) != NULL)
		ours = entry->d_name[0] != '.' && is_pidfd_of(entry->d_name, pid);
	if (descriptors != NULL)
		closedir(descriptors);
	return ours;
}

/* One of ours stands in front of the others until it has been reaped, which is soon: then we look again. */
static void reap(struct muster__strangers *strangers)
{
	struct timeval delay = muster__ms(AGAIN_MS);
	siginfo_t info = { .si_pid = 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		if (is_ours(info.si_pid)) {
			muster__event_add(strangers->loop, &strangers->again, &delay);
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
	muster__event_del(strangers->loop, &strangers->again);
	reap(strangers);
}

int muster__strangers_start(struct muster__strangers *strangers, struct muster_loop *loop)
{
	struct event_base *base = loop->base;

	strangers->loop = loop;
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
	muster__event_del(strangers->loop, &strangers->again);
}
