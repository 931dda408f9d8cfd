/*
 * Test builds only. MUSTER_TEST_KILL names the point at which a process kills itself; MUSTER_TEST_KILL_ONCE a file whose
 * making decides which process it is, so that the one that replaces it lives.
 */
#include "ipc/hook.h"

#ifdef MUSTER_TEST_HOOKS

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void (*muster__hook)(const char *point) = NULL;

static const char *fatal_point;

static void kill_here(const char *point)
{
	const char *once = getenv("MUSTER_TEST_KILL_ONCE");
	int fd;

	if (strcmp(point, fatal_point) != 0)
		return;
	fd = once != NULL ? open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600) : -1;
	if (once == NULL || fd >= 0)
		kill(getpid(), SIGKILL);
}

__attribute__((constructor)) static void hook_from_env(void)
{
	fatal_point = getenv("MUSTER_TEST_KILL");
	if (fatal_point != NULL)
		muster__hook = kill_here;
}

#endif
