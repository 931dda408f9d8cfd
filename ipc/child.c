/*
 * Birth and death of a process. Signals stay blocked from before the fork until the child has reset every disposition: a
 * signal sent to a fresh child that still has the parent's handlers would fire in the parent, through the socket pair that
 * libevent's signal handling shares with it.
 */
#include "ipc/child.h"

#include "ipc/environment.h"
#include "ipc/limits.h"
#include "ipc/plan.h"
#include "ipc/privileges.h"
#include "ipc/scoreboard.h"
#include "ipc/sockets.h"
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_CANNOT_RUN 127 /* as a shell says it */

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

/* Where an executed program finds what it inherits; Node's own number for the channel of a fork. */
enum { CHANNEL_FD = 3, BOARD_FD = 4 };

/* Only the standard descriptors and the channel stay: a descriptor too many keeps someone else's connection open. */
static void plumb(const struct muster__plan *plan)
{
	unsigned keep = plan->channel_fd > STDERR_FILENO ? (unsigned)plan->channel_fd : STDERR_FILENO;

	close_between(STDERR_FILENO + 1, keep - 1);
	close_between(keep + 1, ~0u);
	if (plan->own_group)
		setpgid(0, 0);
}

/* A program expects what it writes to block; the flag belongs to the opening, and that is shared with us. */
static void let_stderr_block(void)
{
	int flags = fcntl(STDERR_FILENO, F_GETFL), fd;
	struct stat status;

	if (flags < 0 || !(flags & O_NONBLOCK) || fstat(STDERR_FILENO, &status) < 0 || S_ISSOCK(status.st_mode))
		return;
	fd = open("/proc/self/fd/2", (flags & ~O_NONBLOCK) | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Out of the way first, so that neither is overwritten by the other; the new numbers are inherited. */
static int plumb_channel(const struct muster__plan *plan)
{
	int channel = fcntl(plan->channel_fd, F_DUPFD, BOARD_FD + 1), flags, board = -1;

	if (plan->board != NULL)
		board = fcntl(muster__scoreboard_fd(plan->board), F_DUPFD, BOARD_FD + 1);
	if (channel < 0 || dup2(channel, CHANNEL_FD) < 0)
		return -errno;
	if (plan->board != NULL && (board < 0 || dup2(board, BOARD_FD) < 0))
		return -errno;
	/* A child expects its end to block, as Node's does. */
	flags = fcntl(CHANNEL_FD, F_GETFL);
	fcntl(CHANNEL_FD, F_SETFL, flags & ~O_NONBLOCK);
	close_between(plan->board != NULL ? BOARD_FD + 1 : CHANNEL_FD + 1, ~0u);
	return 0;
}

static int plumb_sockets(const struct muster__sockets *sockets)
{
	int err = muster__sockets_plumb(sockets);

	if (err == 0)
		close_between(STDERR_FILENO + 1 + (unsigned)sockets->count, ~0u);
	return err;
}

static int plumb_for_exec(const struct muster__plan *plan)
{
	int err;

	let_stderr_block();
	if (plan->joined_output && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	err = plan->sockets != NULL ? plumb_sockets(plan->sockets) : plumb_channel(plan);
	if (err < 0)
		return err;
	if (plan->own_group)
		setpgid(0, 0);
	return 0;
}

/* A name without a value is taken away. */
static void set_variable(char *variable)
{
	char *value = strchr(variable, '=');

	if (value == NULL) {
		unsetenv(variable);
		return;
	}
	*value = '\0';
	setenv(variable, value + 1, 1);
}

static void set_environment(const char *const *env)
{
	char *copy;

	for (; env != NULL && *env != NULL; env++)
		if ((copy = strdup(*env)) != NULL) {
			set_variable(copy);
			free(copy);
		}
}

/* By which a program knows whose child it is, and which. */
static void set_role(const struct muster__plan *plan)
{
	muster__environment_set_number("NODE_CHANNEL_FD", CHANNEL_FD);
	setenv("NODE_CHANNEL_SERIALIZATION_MODE", "json", 1);
	/* Whoever is one of us may say so; the number is for those whose parent is somebody else. */
	muster__environment_set_number("MUSTER_PARENT", (unsigned)getppid());
	/* A child that is no worker has neither id nor slot. */
	if (plan->id != 0)
		muster__environment_set_number("NODE_UNIQUE_ID", plan->id);
	if (plan->board == NULL)
		return;
	muster__environment_set_number("MUSTER_SCOREBOARD_FD", BOARD_FD);
	muster__environment_set_number("MUSTER_SCOREBOARD_SLOT", (unsigned)plan->slot);
	muster__environment_set_number("MUSTER_HEARTBEAT_MS", plan->heartbeat_ms);
}

/* Groups first: who has given up his user may not change them. */
static int drop(const struct muster__plan *plan, const char **what)
{
	*what = "chroot";
	if (plan->privileges != NULL && muster__privileges_enter(plan->privileges) < 0)
		return -errno;
	*what = "user, group or directory";
	if (plan->cwd != NULL && chdir(plan->cwd) < 0)
		return -errno;
	if ((plan->uid != 0 || plan->gid != 0) && setgroups(0, NULL) < 0)
		return -errno;
	if (plan->gid != 0 && setgid(plan->gid) < 0)
		return -errno;
	if (plan->uid != 0 && setuid(plan->uid) < 0)
		return -errno;
	return plan->privileges != NULL ? muster__privileges_drop(plan->privileges, what) : 0;
}

static int fail(const struct muster__plan *plan, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", plan->id != 0 ? "worker" : "child", what, strerror(-err));
	return EXIT_CANNOT_RUN;
}

/* Limits first: to raise them may need the user who is given up. 0, or the exit status. */
static int confine(const struct muster__plan *plan)
{
	const char *what;
	int err = muster__limits_apply(plan, &what);

	if (err < 0)
		return fail(plan, what, err);
	err = drop(plan, &what);
	return err < 0 ? fail(plan, what, err) : 0;
}

static int execute(const struct muster__plan *plan)
{
	int err = plumb_for_exec(plan), status;

	if (err < 0)
		return fail(plan, "descriptors", err);
	if (plan->sockets != NULL)
		muster__sockets_tell(plan->sockets);
	else
		set_role(plan);
	status = confine(plan);
	if (status != 0)
		return status;
	unblock_signals();
	execvp(plan->exec[0], (char *const *)plan->exec);
	return fail(plan, plan->exec[0], -errno);
}

static int call(const struct muster__plan *plan, int (*main)(const struct muster__plan *plan))
{
	int status;

	plumb(plan);
	status = confine(plan);
	if (status != 0)
		return status;
	unblock_signals();
	return main(plan);
}

/*
 * What is closed of 0 to 2 would be the next thing opened, and written to as if it were a terminal. In a parent that began so
 * it has been: what closes on exec is none of the three.
 */
static void fill_standard(void)
{
	int fd, flags;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (flags >= 0 && (flags & FD_CLOEXEC))
			close(fd);
	}
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Pipes to the parent in the place of what it has itself. */
static void plumb_standard(const struct muster__plan *plan)
{
	int i;

	for (i = 0; i < 3; i++)
		if (plan->standard[i] > STDERR_FILENO)
			dup2(plan->standard[i], i);
}

static void run(const struct muster__plan *plan, int (*main)(const struct muster__plan *plan))
{
	int status;

	reset_signals();
	fill_standard();
	plumb_standard(plan);
	if (plan->exec != NULL && plan->privileges != NULL)
		muster__privileges_environment(plan->privileges);
	set_environment(plan->common_env);
	set_environment(plan->env);
	status = plan->exec != NULL ? execute(plan) : call(plan, main);
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
