/* All of it is text in /proc, read anew each time it is asked for. */
#include "master/vitals.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many bytes there were; as text, cut where it does not fit. */
static size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? read(fd, text, size - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[length > 0 ? length : 0] = '\0';
	return length > 0 ? (size_t)length : 0;
}

/* The number of a field of proc_pid_stat(5), counted from the third: the second is a name, which may have blanks. */
static uint64_t field(const char *third, int number)
{
	for (; number > 3 && third != NULL; number--)
		if ((third = strchr(third, ' ')) != NULL)
			third++;
	return third != NULL ? strtoull(third, NULL, 10) : 0;
}

bool muster__vitals_of(pid_t pid, struct muster__vitals *vitals)
{
	char path[40], text[1024], *name_end;

	*vitals = (struct muster__vitals){ 0 };
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_text(path, text, sizeof text) == 0 || (name_end = strrchr(text, ')')) == NULL || name_end[1] == '\0')
		return false;
	vitals->cpu_ms = (field(name_end + 2, 14) + field(name_end + 2, 15)) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	vitals->resident = field(name_end + 2, 24) * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

/* A kernel from 6.2 on tells it as the size of the folder; with older ones they have to be counted. */
int64_t muster__vitals_descriptors(void)
{
	struct stat status;
	int64_t count = 0;
	DIR *folder;

	if (stat("/proc/self/fd", &status) < 0)
		return -1;
	if (status.st_size > 0)
		return status.st_size;
	folder = opendir("/proc/self/fd");
	while (folder != NULL && readdir(folder) != NULL)
		count++;
	if (folder != NULL)
		closedir(folder);
	/* Not ".", "..", nor the folder itself. */
	return count - 3;
}

int64_t muster__vitals_max_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)limit.rlim_cur;
}

/* A line of names, and a line of numbers below it: the number under `name`. */
static bool find_number(char *names, char *numbers, const char *name, uint64_t *number)
{
	char *next_name, *next_number, *word = strtok_r(names, " ", &next_name);
	char *value = strtok_r(numbers, " ", &next_number);

	while (word != NULL && value != NULL) {
		if (strcmp(word, name) == 0) {
			*number = strtoull(value, NULL, 10);
			return true;
		}
		word = strtok_r(NULL, " ", &next_name);
		value = strtok_r(NULL, " ", &next_number);
	}
	return false;
}

static bool find_in(const char *text, const char *name, uint64_t *number)
{
	const char *names = strstr(text, "TcpExt: "), *numbers = names != NULL ? strstr(names + 1, "\nTcpExt: ") : NULL;
	char *copy = numbers != NULL ? strdup(names) : NULL, *second;
	bool found = false;

	if (copy != NULL) {
		second = copy + (numbers - names);
		*second++ = '\0';
		second[strcspn(second, "\n")] = '\0';
		found = find_number(copy, second, name, number);
	}
	free(copy);
	return found;
}

bool muster__vitals_overflows(struct muster__overflows *overflows)
{
	char text[16384];

	*overflows = (struct muster__overflows){ 0 };
	return read_text("/proc/net/netstat", text, sizeof text) > 0 &&
	       find_in(text, "ListenOverflows", &overflows->overflows) &&
	       find_in(text, "ListenDrops", &overflows->drops);
}
