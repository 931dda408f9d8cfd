/*
 * Why not strace: it stops a process twice at each call. A server so slowed finds more work each time it wakes, and
 * makes fewer calls per connection than it does in earnest. The trace point costs a fraction of a microsecond.
 */
#include "bench/syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The older mount is still the only one on some systems. */
static const char *const id_files[] = {
	"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
	"/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
};

/* The number that the kernel gave the trace point, or a negative error. */
static int trace_point(void)
{
	int error = -ENOENT;

	for (size_t i = 0; i < sizeof(id_files) / sizeof(id_files[0]); i++) {
		FILE *file = fopen(id_files[i], "re");
		int id = -1;

		if (file == NULL) {
			error = -errno;
			continue;
		}
		if (fscanf(file, "%d", &id) != 1)
			id = -ENODATA;
		fclose(file);
		return id;
	}
	return error;
}

static int open_counter(int id, pid_t thread)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = (uint64_t)id,
		.inherit = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static int count_thread(struct syscalls *syscalls, int id, pid_t thread)
{
	int fd;

	if (syscalls->count == TREE_MAX)
		return -E2BIG;
	fd = open_counter(id, thread);
	if (fd < 0)
		return fd;
	syscalls->counters[syscalls->count++] = fd;
	return 0;
}

static int count_process(struct syscalls *syscalls, int id, pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *threads;
	int error = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	threads = opendir(path);
	if (threads == NULL)
		return -errno;
	while (error == 0 && (entry = readdir(threads)) != NULL) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

		if (thread > 0)
			error = count_thread(syscalls, id, thread);
	}
	closedir(threads);
	return error;
}

int syscalls_start(struct syscalls *syscalls, const struct tree *tree)
{
	int id = trace_point();
	int error = id < 0 ? id : 0;

	syscalls->count = 0;
	for (int i = 0; error == 0 && i < tree->count; i++)
		error = count_process(syscalls, id, tree->pids[i]);
	if (error != 0)
		syscalls_stop(syscalls);
	return error;
}

long syscalls_stop(struct syscalls *syscalls)
{
	long sum = 0;

	for (int i = 0; i < syscalls->count; i++) {
		uint64_t calls;

		if (read(syscalls->counters[i], &calls, sizeof(calls)) != sizeof(calls))
			sum = -EIO;
		else if (sum >= 0)
			sum += (long)calls;
		close(syscalls->counters[i]);
	}
	syscalls->count = 0;
	return sum;
}
