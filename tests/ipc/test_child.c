/* tests/ipc/test_child.c - the birth and the death of a process. */
#include "ipc/child.h"
#include "ipc/plan.h"

#include "tests/support/descriptors.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int ends[2];
static struct muster__plan plan;
static pid_t pid;
static int pidfd;

static void set_up(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	plan.channel_fd = ends[1];
	pidfd = -1;
}

static void tear_down(void)
{
	close(ends[0]);
	close(ends[1]);
	if (pidfd >= 0)
		close(pidfd);
}

static void start(int (*main)(const struct muster__plan *plan))
{
	ck_assert_int_eq(muster__child_fork(&plan, main, &pid, &pidfd), 0);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_ge(fcntl(ends[1], F_GETFD), 0);
}

/* Its end is seen on the pidfd. */
static void await_end(int *code, int *signal)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	ck_assert_int_eq(poll(&poll_fd, 1, (int)test_patience() * 1000), 1);
	ck_assert(muster__child_reap(pidfd, code, signal));
}

static void report(const struct muster__plan *its, const char *text)
{
	if (write(its->channel_fd, text, strlen(text)) < 0)
		_exit(99);
}

static void expect_report(const char *want)
{
	char got[128];
	ssize_t length = read(ends[0], got, sizeof got - 1);

	ck_assert_int_ge(length, 0);
	got[length] = '\0';
	ck_assert_str_eq(got, want);
}

static int return_42(const struct muster__plan *its)
{
	(void)its;
	return 42;
}

static int wait_for_ever(const struct muster__plan *its)
{
	(void)its;
	while (pause() < 0)
		;
	return 0;
}

START_TEST(a_child_exits_with_what_its_main_returned)
{
	int code, signal;

	start(return_42);
	await_end(&code, &signal);
	ck_assert_int_eq(code, 42);
	ck_assert_int_eq(signal, 0);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(a_child_that_lives_is_not_reaped_and_can_be_signalled)
{
	int code, signal;

	start(wait_for_ever);
	ck_assert(!muster__child_reap(pidfd, &code, &signal));
	ck_assert_int_eq(muster__child_signal(pidfd, 0), 0);
	ck_assert_int_eq(muster__child_signal(pidfd, SIGKILL), 0);
	await_end(&code, &signal);
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(signal, SIGKILL);
	ck_assert_int_eq(muster__child_signal(pidfd, SIGKILL), -ESRCH);
}
END_TEST

START_TEST(a_child_that_somebody_else_has_reaped_has_ended)
{
	int code = 7, signal = 7;

	start(return_42);
	ck_assert_int_eq(waitpid(-1, NULL, 0), pid);
	ck_assert(muster__child_reap(pidfd, &code, &signal));
	ck_assert_int_eq(code, 0);
	ck_assert_int_eq(signal, 0);
}
END_TEST

START_TEST(a_stopped_child_has_not_ended)
{
	int code, signal;
	siginfo_t info;

	start(wait_for_ever);
	ck_assert_int_eq(muster__child_signal(pidfd, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
	ck_assert(!muster__child_reap(pidfd, &code, &signal));
	ck_assert_int_eq(muster__child_signal(pidfd, SIGKILL), 0);
	await_end(&code, &signal);
	ck_assert_int_eq(signal, SIGKILL);
}
END_TEST

static int tell_descriptors(const struct muster__plan *its)
{
	char text[64];

	/* 0, 1, 2, and the channel. */
	snprintf(text, sizeof text, "%u open, channel %s", descriptors_open(),
		 fcntl(its->channel_fd, F_GETFD) >= 0 ? "open" : "closed");
	report(its, text);
	return 0;
}

START_TEST(a_child_has_the_standard_descriptors_and_its_channel)
{
	int code, signal, low = dup(STDIN_FILENO), high = fcntl(STDIN_FILENO, F_DUPFD, 900);

	start(tell_descriptors);
	expect_report("4 open, channel open");
	await_end(&code, &signal);
	ck_assert_int_eq(code, 0);
	close(low);
	close(high);
}
END_TEST

START_TEST(a_channel_with_the_lowest_number_is_kept_too)
{
	int code, signal, taken = ends[1];

	close(STDIN_FILENO);
	ck_assert_int_eq(dup(taken), STDIN_FILENO);
	plan.channel_fd = STDIN_FILENO;
	ck_assert_int_eq(muster__child_fork(&plan, tell_descriptors, &pid, &pidfd), 0);
	expect_report("3 open, channel open");
	await_end(&code, &signal);
	close(STDIN_FILENO);
	ck_assert_int_eq(open("/dev/null", O_RDONLY), STDIN_FILENO);
}
END_TEST

static int tell_signals(const struct muster__plan *its)
{
	struct sigaction action;
	sigset_t blocked;
	char text[64];

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigaction(SIGPIPE, NULL, &action);
	snprintf(text, sizeof text, "blocked %d, default %d", sigismember(&blocked, SIGTERM),
		 action.sa_handler == SIG_DFL);
	report(its, text);
	return 0;
}

START_TEST(a_child_has_default_signals_and_the_parent_keeps_its_own)
{
	int code, signal_;
	sigset_t term, now;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	start(tell_signals);
	expect_report("blocked 0, default 1");
	sigprocmask(SIG_SETMASK, NULL, &now);
	ck_assert_int_eq(sigismember(&now, SIGTERM), 1);
	ck_assert_int_eq(sigismember(&now, SIGINT), 0);
	await_end(&code, &signal_);
}
END_TEST

static int tell_environment(const struct muster__plan *its)
{
	char text[64];

	snprintf(text, sizeof text, "%s %s", getenv("MUSTER_TEST_A"), getenv("MUSTER_TEST_B"));
	report(its, text);
	return 0;
}

START_TEST(a_child_has_the_environment_of_its_plan)
{
	static const char *const env[] = { "MUSTER_TEST_A=a=b", "MUSTER_TEST_B=new", NULL };
	int code, signal;

	setenv("MUSTER_TEST_B", "old", 1);
	plan.env = env;
	start(tell_environment);
	expect_report("a=b new");
	ck_assert_str_eq(getenv("MUSTER_TEST_B"), "old");
	await_end(&code, &signal);
	ck_assert_int_eq(code, 0);
}
END_TEST

static int tell_group(const struct muster__plan *its)
{
	report(its, getpgrp() == getpid() ? "own" : "shared");
	return 0;
}

START_TEST(a_process_group_of_its_own_is_part_of_the_plan)
{
	int code, signal;

	plan.own_group = _i == 1;
	start(tell_group);
	expect_report(_i == 1 ? "own" : "shared");
	await_end(&code, &signal);
}
END_TEST

static int print_something(const struct muster__plan *its)
{
	(void)its;
	printf("child");
	return 0;
}

START_TEST(what_stdio_holds_is_written_once_by_whom_it_belongs_to)
{
	int out[2], saved = dup(STDOUT_FILENO), code, signal;
	char got[64];

	ck_assert_int_eq(pipe(out), 0);
	fflush(NULL);
	ck_assert_int_eq(dup2(out[1], STDOUT_FILENO), STDOUT_FILENO);
	close(out[1]);
	printf("parent ");
	start(print_something);
	await_end(&code, &signal);
	fflush(NULL);
	ck_assert_int_eq(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	close(saved);
	got[read(out[0], got, sizeof got - 1)] = '\0';
	ck_assert_str_eq(got, "parent child");
	close(out[0]);
}
END_TEST

START_TEST(without_a_descriptor_for_the_pidfd_no_child_is_left)
{
	descriptors_exhaust(0);
	ck_assert_int_eq(muster__child_fork(&plan, wait_for_ever, &pid, &pidfd), -EMFILE);
	descriptors_release();
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	pidfd = -1;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("child");
	TCase *tcase = add_case(suite, "child");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_child_exits_with_what_its_main_returned);
	tcase_add_test(tcase, a_child_that_lives_is_not_reaped_and_can_be_signalled);
	tcase_add_test(tcase, a_child_that_somebody_else_has_reaped_has_ended);
	tcase_add_test(tcase, a_stopped_child_has_not_ended);
	tcase_add_test(tcase, a_child_has_the_standard_descriptors_and_its_channel);
	tcase_add_test(tcase, a_channel_with_the_lowest_number_is_kept_too);
	tcase_add_test(tcase, a_child_has_default_signals_and_the_parent_keeps_its_own);
	tcase_add_test(tcase, a_child_has_the_environment_of_its_plan);
	tcase_add_loop_test(tcase, a_process_group_of_its_own_is_part_of_the_plan, 0, 2);
	tcase_add_test(tcase, what_stdio_holds_is_written_once_by_whom_it_belongs_to);
	tcase_add_test(tcase, without_a_descriptor_for_the_pidfd_no_child_is_left);
	return run_suite(suite);
}
