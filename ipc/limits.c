/* Each is asked of the kernel alone, so that a refusal can be named. */
#include "ipc/limits.h"

#include "ipc/plan.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

/* The CPU at this place among those of the parent; beyond the last from the first again. */
static int pin(unsigned place)
{
	cpu_set_t usable, one;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof usable, &usable) < 0)
		return -errno;
	for (place %= (unsigned)CPU_COUNT(&usable); cpu < 0 || !CPU_ISSET(cpu, &usable) || place-- > 0;)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof one, &one) < 0 ? -errno : 0;
}

static int be_nice(int by)
{
	return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + by) < 0 ? -errno : 0;
}

/* Both of its values: a limit that can be raised again is none. */
static int limit(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit both = { value, value };

	return setrlimit(resource, &both) < 0 ? -errno : 0;
}

int muster__limits_apply(const struct muster__plan *plan, const char **what)
{
	int err = 0;

	*what = "CPU affinity";
	if (plan->pinned)
		err = pin(plan->place);
	if (err == 0 && plan->nice != 0) {
		*what = "nice";
		err = be_nice(plan->nice);
	}
	if (err == 0 && plan->limit_nofile != 0) {
		*what = "limit of descriptors";
		err = limit(RLIMIT_NOFILE, plan->limit_nofile);
	}
	if (err == 0 && (plan->limit_core != 0 || plan->no_core)) {
		*what = "limit of core files";
		err = limit(RLIMIT_CORE, plan->no_core ? 0 : plan->limit_core);
	}
	return err;
}
