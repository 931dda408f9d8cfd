/*
 * No handler of the daemon may run in the child, through which it would speak in the daemon's name: signals stay blocked until
 * all dispositions are the usual ones.
 */
#include "master/errand.h"

#include "ipc/child.h"
#include "src/fd.h"
#include "src/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_RUN 127

static void forget(struct muster__errand *errand)
{
	if (errand->pidfd >= 0)
		event_del(&errand->exited);
	if (errand->output >= 0)
		event_del(&errand->said);
	muster__event_del(errand->loop, &errand->timer);
	muster__fd_close(&errand->pidfd);
	muster__fd_close(&errand->output);
}

/* ---- what it says */

/* What is too much is read and forgotten: it must not wait for us. */
static bool take_output(struct muster__errand *errand)
{
	char surplus[512];
	size_t room = sizeof errand->text - 1 - errand->length;
	ssize_t got = read(errand->output, room > 0 ? errand->text + errand->length : surplus,
			   room > 0 ? room : sizeof surplus);

	if (got > 0 && room > 0)
		errand->length += (size_t)got;
	errand->text[errand->length] = '\0';
	return got > 0;
}

static void on_said(evutil_socket_t fd, short what, void *data)
{
	struct muster__errand *errand = data;

	(void)fd, (void)what;
	if (!take_output(errand) && errno != EAGAIN) {
		event_del(&errand->said);
		muster__fd_close(&errand->output);
	}
}

/* ---- how it ends */

static void on_exited(evutil_socket_t fd, short what, void *data)
{
	struct muster__errand *errand = data;
	int status, signal;

	(void)what;
	if (!muster__child_reap(fd, &status, &signal))
		return;
	while (errand->output >= 0 && take_output(errand))
		;
	forget(errand);
	errand->ops->ended(errand, status, signal);
}

static void kill_and_reap(struct muster__errand *errand)
{
	if (errand->pidfd < 0)
		return;
	muster__child_signal(errand->pidfd, SIGKILL);
	waitpid(errand->pid, NULL, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct muster__errand *errand = data;

	(void)fd, (void)what;
	muster__errand_kill(errand);
	errand->ops->late(errand);
}

/* ---- its birth */

static void run_child(struct muster__errand *errand, char *const *argv, int output)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;
	int signal;

	for (signal = 1; signal < NSIG; signal++)
		sigaction(signal, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (output >= 0 && (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0))
		_exit(CANNOT_RUN);
	if (errand->ops->prepare != NULL)
		errand->ops->prepare(errand);
	/* With a path nothing is tried but the file itself: execvp would give what is no program to a shell. */
	if (strchr(argv[0], '/') != NULL)
		execv(argv[0], argv);
	else
		execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(CANNOT_RUN);
}

static int fork_it(struct muster__errand *errand, char *const *argv, int output)
{
	sigset_t blocked, before;
	int err = 0;

	fflush(NULL);
	sigfillset(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	errand->pid = fork();
	if (errand->pid == 0)
		run_child(errand, argv, output);
	if (errand->pid < 0)
		err = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (err < 0)
		return err;
	errand->pidfd = pidfd_open(errand->pid, 0);
	if (errand->pidfd >= 0)
		return 0;
	err = -errno;
	kill(errand->pid, SIGKILL);
	waitpid(errand->pid, NULL, 0);
	return err;
}

void muster__errand_init(struct muster__errand *errand, struct muster_loop *loop, const struct muster__errand_ops *ops)
{
	errand->loop = loop;
	errand->ops = ops;
	errand->pidfd = errand->output = -1;
	event_assign(&errand->timer, loop->base, -1, EV_PERSIST, on_timer, errand);
}

static int watch(struct muster__errand *errand)
{
	struct event_base *base = errand->loop->base;

	event_assign(&errand->exited, base, errand->pidfd, EV_READ | EV_PERSIST, on_exited, errand);
	event_assign(&errand->said, base, errand->output, EV_READ | EV_PERSIST, on_said, errand);
	if (event_add(&errand->exited, NULL) < 0 || (errand->output >= 0 && event_add(&errand->said, NULL) < 0)) {
		muster__errand_kill(errand);
		return -ENOMEM;
	}
	return 0;
}

int muster__errand_run(struct muster__errand *errand, char *const *argv, bool listen, unsigned timeout_ms)
{
	int ends[2] = { -1, -1 }, err;

	errand->length = 0;
	errand->text[0] = '\0';
	if (listen && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	err = fork_it(errand, argv, ends[1]);
	muster__fd_close(&ends[1]);
	errand->output = ends[0];
	if (err < 0) {
		muster__fd_close(&errand->output);
		return err;
	}
	muster__errand_give(errand, timeout_ms);
	return watch(errand);
}

void muster__errand_give(struct muster__errand *errand, unsigned timeout_ms)
{
	struct timeval delay = muster__ms(timeout_ms);

	muster__event_del(errand->loop, &errand->timer);
	if (timeout_ms > 0)
		muster__event_add(errand->loop, &errand->timer, &delay);
}

void muster__errand_kill(struct muster__errand *errand)
{
	kill_and_reap(errand);
	forget(errand);
}

void muster__errand_let_go(struct muster__errand *errand)
{
	forget(errand);
}
