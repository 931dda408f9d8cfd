/* tests/ipc/test_limits.c - what the kernel gives a worker, as the worker sees it. */
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct worker_counts counts;

static unsigned long long hard_limit(int resource)
{
	struct rlimit both;

	getrlimit((__rlimit_resource_t)resource, &both);
	return both.rlim_cur == both.rlim_max ? both.rlim_max : 12345;
}

/* The only CPU it may use, or -1. */
static int only_cpu(void)
{
	cpu_set_t set;
	int cpu = 0;

	sched_getaffinity(0, sizeof set, &set);
	if (CPU_COUNT(&set) != 1)
		return -1;
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

static int report(struct muster_worker *self, void *data)
{
	tell(self, "cpu%u=%d", muster_worker_id(self), only_cpu());
	tell(self, "nice=%d", getpriority(PRIO_PROCESS, 0));
	tell(self, "nofile=%llu", hard_limit(RLIMIT_NOFILE));
	tell(self, "core=%llu", hard_limit(RLIMIT_CORE));
	return idle(self, data);
}

static struct muster_cluster *reporting_cluster(struct muster_cluster_options options, unsigned workers)
{
	struct muster_cluster *cluster;

	options.worker = report;
	cluster = new_cluster(&options, NULL, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, workers), 0);
	run_until_count(test_loop, counts.message, 4 * workers);
	return cluster;
}

#define said(...) assert_said((snprintf(line, sizeof line, __VA_ARGS__), line))

static char line[64];

static void assert_said(const char *what)
{
	char quoted[80];

	snprintf(quoted, sizeof quoted, "\"%s\" ", what);
	ck_assert_msg(strstr(counts.said, quoted) != NULL, "%s is not in %s", quoted, counts.said);
}

START_TEST(without_options_a_worker_has_what_the_primary_has)
{
	struct rlimit files;
	struct muster_cluster *cluster;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_max = files.rlim_cur;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	cluster = reporting_cluster((struct muster_cluster_options){ 0 }, 1);
	said("cpu1=%d", only_cpu());
	said("nice=%d", getpriority(PRIO_PROCESS, 0));
	said("nofile=%llu", (unsigned long long)files.rlim_cur);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(workers_are_pinned_to_one_cpu_each_in_turn)
{
	unsigned count, first = 0, second;
	cpu_set_t usable;
	struct muster_cluster *cluster;

	ck_assert_int_eq(sched_getaffinity(0, sizeof usable, &usable), 0);
	count = (unsigned)CPU_COUNT(&usable);
	while (!CPU_ISSET(first, &usable))
		first++;
	second = count > 1 ? first + 1 : first;
	while (!CPU_ISSET(second, &usable))
		second++;
	cluster = reporting_cluster((struct muster_cluster_options){ .cpu_affinity = true }, count + 2);
	said("cpu1=%u", first);
	said("cpu2=%u", second);
	said("cpu%u=%u", count + 1, first);
	said("cpu%u=%u", count + 2, second);
	ck_assert_int_eq(CPU_COUNT(&usable), count);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(nice_is_added_to_the_primarys)
{
	struct muster_cluster *cluster = reporting_cluster((struct muster_cluster_options){ .nice = 3 }, 1);

	said("nice=%d", getpriority(PRIO_PROCESS, 0) + 3);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(limits_are_set_hard_and_soft)
{
	struct muster_cluster *cluster =
		reporting_cluster((struct muster_cluster_options){ .limit_nofile = 123, .limit_core = 4096 }, 1);

	said("nofile=123");
	said("core=4096");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(no_core_is_none)
{
	struct muster_cluster *cluster =
		reporting_cluster((struct muster_cluster_options){ .limit_core = 4096, .no_core = true }, 1);

	said("core=0");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_has_its_limits_too)
{
	static const char *const words[] = { "sh", "-c", "test $(ulimit -n) = 99 && test $(ulimit -c) = 0", NULL };
	struct muster_cluster_options options = { .exec = words, .limit_nofile = 99, .no_core = true };
	struct muster_cluster *cluster = muster_cluster_new(test_loop, &options);

	ck_assert_ptr_nonnull(cluster);
	ck_assert_int_eq(muster_cluster_on(cluster, &counting_workers, &counts), 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
	ck_assert_uint_eq(counts.bad_exits, 0);
}
END_TEST

START_TEST(what_a_worker_may_not_have_ends_it_with_127)
{
	/* More descriptors than the kernel knows of: not even root may have them. */
	struct muster_cluster_options options = { .worker = idle, .limit_nofile = UINT64_MAX };
	struct muster_cluster *cluster = new_cluster(&options, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(counts.code, 127);
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = add_loop_case(suite, "limits");

	tcase_add_test(tcase, without_options_a_worker_has_what_the_primary_has);
	tcase_add_test(tcase, workers_are_pinned_to_one_cpu_each_in_turn);
	tcase_add_test(tcase, nice_is_added_to_the_primarys);
	tcase_add_test(tcase, limits_are_set_hard_and_soft);
	tcase_add_test(tcase, no_core_is_none);
	tcase_add_test(tcase, a_program_has_its_limits_too);
	tcase_add_test(tcase, what_a_worker_may_not_have_ends_it_with_127);
	return run_suite(suite);
}
