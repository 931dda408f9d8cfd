/* tests/master/test_strangers.c - process 1 waits for orphans, and for nobody whom somebody else waits for. */
#include "master/strangers.h"

#include "ipc/child.h"
#include "src/fd.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <event2/event.h>
#include <muster/loop.h>
#include <sched.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_STATUS 7

/* Has ended, and was not waited for. */
static pid_t dead_child(void)
{
	siginfo_t info;
	pid_t child = fork();

	if (child == 0)
		_exit(OWN_STATUS);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	return child;
}

static bool is_there(pid_t child)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* As process 1; what it returns is an exit status. A child without a pidfd is as good as an orphan. */
static int be_first(void)
{
	struct muster__strangers strangers = { 0 };
	struct muster_loop *loop = muster_loop_new();
	pid_t before = dead_child(), own = dead_child(), after = dead_child();
	int pidfd = pidfd_open(own, 0), code, signal;

	if (getpid() != 1 || pidfd < 0 || muster__strangers_start(&strangers, loop) < 0)
		return 1;
	/* It stands in front of the one that came later. */
	if (is_there(before) || !is_there(own))
		return 2;
	if (!muster__child_reap(pidfd, &code, &signal) || code != OWN_STATUS)
		return 3;
	muster__fd_close(&pidfd);
	while (is_there(after))
		event_base_loop(muster_loop_base(loop), EVLOOP_ONCE);
	muster__strangers_stop(&strangers);
	muster_loop_free(loop);
	return 0;
}

/* The next one that is forked is process 1 of its own namespace. */
static int run_first(void)
{
	int status;
	pid_t first = unshare(CLONE_NEWPID) == 0 ? fork() : -1;

	if (first == 0)
		_exit(be_first());
	return first > 0 && waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

START_TEST(orphans_are_reaped_and_who_is_watched_is_not)
{
	pid_t outside = fork();

	ck_assert_int_ge(outside, 0);
	if (outside == 0)
		_exit(run_first());
	ck_assert_int_eq(process_wait(outside), 0);
}
END_TEST

START_TEST(nobody_else_than_process_1_reaps_anybody)
{
	struct muster__strangers strangers = { 0 };
	struct muster_loop *loop = muster_loop_new();
	pid_t child = dead_child();

	ck_assert_int_eq(muster__strangers_start(&strangers, loop), 0);
	ck_assert_int_eq(muster_loop_run(loop), 0);
	ck_assert(is_there(child));
	muster__strangers_stop(&strangers);
	muster_loop_free(loop);
	ck_assert_int_eq(process_wait(child), OWN_STATUS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("strangers");
	TCase *tcase = add_case(suite, "strangers");

	if (getuid() == 0)
		tcase_add_test(tcase, orphans_are_reaped_and_who_is_watched_is_not);
	else
		printf("not root: nobody is process 1\n");
	tcase_add_test(tcase, nobody_else_than_process_1_reaps_anybody);
	return run_suite(suite);
}
