/*
 * Which clock: each process's own CPU clock (clock_getcpuclockid). It holds the scheduler's run time of all threads,
 * also of those that have ended, in nanoseconds; utime and stime of /proc/PID/stat say the same in steps of 10 ms. A
 * descendant is found by its parent, not by its process group: daemons change groups.
 */
#include "bench/tree.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROCESSES_MAX = 65536 };

struct process {
	pid_t pid;
	pid_t parent;
};

/* The name of the program stands in brackets and may hold anything, so what follows the last bracket is read. */
static pid_t parent_of(pid_t pid)
{
	char path[64];
	char line[512];
	size_t length;
	FILE *file;
	char *after;
	int parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	length = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[length] = '\0';
	after = strrchr(line, ')');
	if (after == NULL || sscanf(after + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static int list_processes(struct process *list, int max)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	if (proc == NULL)
		return -errno;
	while (count < max && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		list[count].pid = pid;
		list[count].parent = parent_of(pid);
		count++;
	}
	closedir(proc);
	return count;
}

static bool contains(const struct tree *tree, pid_t pid)
{
	for (int i = 0; i < tree->count; i++)
		if (tree->pids[i] == pid)
			return true;
	return false;
}

/* One generation more. False when nobody was added. */
static bool add_children(struct tree *tree, const struct process *list, int count)
{
	int before = tree->count;

	for (int i = 0; i < count && tree->count < TREE_MAX; i++)
		if (contains(tree, list[i].parent) && !contains(tree, list[i].pid))
			tree->pids[tree->count++] = list[i].pid;
	return tree->count > before;
}

int tree_read(struct tree *tree, pid_t root)
{
	struct process *list = calloc(PROCESSES_MAX, sizeof(*list));
	int count;

	tree->count = 0;
	if (list == NULL)
		return -ENOMEM;
	count = list_processes(list, PROCESSES_MAX);
	for (int i = 0; i < count; i++)
		if (list[i].pid == root)
			tree->pids[tree->count++] = root;
	while (tree->count > 0 && add_children(tree, list, count))
		;
	free(list);
	if (count < 0)
		return count;
	return tree->count > 0 ? 0 : -ESRCH;
}

bool tree_is_same(const struct tree *a, const struct tree *b)
{
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
		if (!contains(b, a->pids[i]))
			return false;
	return true;
}

double tree_cpu(const struct tree *tree)
{
	double sum = 0;

	for (int i = 0; i < tree->count; i++) {
		struct timespec used;
		clockid_t clock;

		if (clock_getcpuclockid(tree->pids[i], &clock) == 0 && clock_gettime(clock, &used) == 0)
			sum += (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
	}
	return sum;
}

/* The number after `key` at the start of a line, or -1. */
static long proc_number(pid_t pid, const char *name, const char *key)
{
	char path[64];
	char line[256];
	long number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "re");
	if (file == NULL)
		return -1;
	while (number < 0 && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			number = strtol(line + strlen(key), NULL, 10);
	fclose(file);
	return number;
}

double tree_pss(const struct tree *tree)
{
	double sum = 0;

	for (int i = 0; i < tree->count; i++) {
		long kilobytes = proc_number(tree->pids[i], "smaps_rollup", "Pss:");

		if (kilobytes < 0)
			return NAN;
		sum += (double)kilobytes * 1024;
	}
	return sum;
}

int tree_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (directory == NULL)
		return -errno;
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}
