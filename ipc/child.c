/*
 * Birth and death of a process. Signals stay blocked from before the fork until the child has reset every disposition: a
 * signal sent to a fresh child that still has the parent's handlers would fire in the parent, through the socket pair that
 * libevent's signal handling shares with it.
 */
#include "ipc/child.h"

#include "ipc/plan.h"
#include "src/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(MUSTER_TEST_HOOKS) && defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define CHECK_LEAKS() __lsan_do_leak_check()
#else
#define CHECK_LEAKS() ((void)0)
#endif

static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	int signal;

	for (signal = 1; signal < NSIG; signal++)
		sigaction(signal, &action, NULL);
}

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_between(unsigned first, unsigned last)
{
	unsigned limit = (unsigned)sysconf(_SC_OPEN_MAX), fd;

	if (first > last || close_range(first, last, 0) == 0)
		return;
	/* Kernels before 5.9, and checkers that do not know the call. */
	for (fd = first; fd <= last && fd < limit; fd++)
		close((int)fd);
}

/* Only the standard descriptors and the channel stay: a descriptor too many keeps someone else's connection open. */
static void plumb(const struct muster__plan *plan)
{
	unsigned keep = plan->channel_fd > STDERR_FILENO ? (unsigned)plan->channel_fd : STDERR_FILENO;

	close_between(STDERR_FILENO + 1, keep - 1);
	close_between(keep + 1, ~0u);
	if (plan->own_group)
		setpgid(0, 0);
}

static void set_environment(const char *const *env)
{
	char *copy;

	for (; env != NULL && *env != NULL; env++)
		if ((copy = strdup(*env)) != NULL)
			putenv(copy); /* keeps the string */
}

static void run(const struct muster__plan *plan, int (*main)(const struct muster__plan *plan))
{
	int status;

	reset_signals();
	plumb(plan);
	set_environment(plan->env);
	unblock_signals();
	status = main(plan);
	fflush(NULL);
	CHECK_LEAKS();
	_exit(status);
}

/* The pidfd of a child that is not reaped can only be its own. */
static int record(pid_t child, int *pidfd)
{
	*pidfd = pidfd_open(child, 0);
	if (*pidfd >= 0)
		return 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return -errno;
}

int muster__child_fork(const struct muster__plan *plan, int (*main)(const struct muster__plan *plan), pid_t *pid,
		       int *pidfd)
{
	sigset_t all, before;
	pid_t child;
	int err = 0;

	fflush(NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	child = fork();
	if (child == 0)
		run(plan, main);
	if (child < 0)
		err = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err == 0)
		err = record(child, pidfd);
	*pid = child;
	return err;
}

bool muster__child_reap(int pidfd, int *code, int *signal)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) {
		/* Someone else reaped it, by a wait for any child: how it ended is lost, that it ended is not. */
		*code = *signal = 0;
		return errno == ECHILD;
	}
	if (info.si_pid == 0)
		return false;
	*code = info.si_code == CLD_EXITED ? info.si_status : 0;
	*signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
	return true;
}

int muster__child_signal(int pidfd, int signal)
{
	return pidfd_send_signal(pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}
