/*
 * Why a flag: the driver has servers running and a temporary folder, and both must be gone when it ends. So a signal
 * never ends it in the middle; every loop asks the flag, fails with -EINTR, and the ordinary way out cleans up.
 */
#include "bench/stop.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void dispose(int number, void (*handler)(int))
{
	/* No SA_RESTART: a wait that is under way must return, so that its loop sees the flag. */
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

void stop_install(void)
{
	dispose(SIGINT, on_signal);
	dispose(SIGTERM, on_signal);
	dispose(SIGPIPE, SIG_IGN);
}

void stop_restore(void)
{
	dispose(SIGINT, SIG_DFL);
	dispose(SIGTERM, SIG_DFL);
	dispose(SIGPIPE, SIG_DFL);
}

bool stop_requested(void)
{
	return stopped != 0;
}
