/* /proc/self/fd, read into a set. */
#include "tests/support/descriptors.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 4096

struct set {
	bool has[MOST];
	unsigned count;
};

static struct set before;
static int hoard[MOST];
static unsigned hoarded;
static struct rlimit limit_before;

static void read_set(struct set *set)
{
	DIR *fds = opendir("/proc/self/fd");
	const struct dirent *entry;

	ck_assert_ptr_nonnull(fds);
	memset(set, 0, sizeof *set);
	while ((entry = readdir(fds)) != NULL) {
		int fd = entry->d_name[0] == '.' ? -1 : atoi(entry->d_name);

		if (fd < 0 || fd >= MOST || fd == dirfd(fds))
			continue;
		set->has[fd] = true;
		set->count++;
	}
	closedir(fds);
}

unsigned descriptors_open(void)
{
	struct set now;

	read_set(&now);
	return now.count;
}

void descriptors_remember(void)
{
	read_set(&before);
}

static void what_is(int fd, char *text, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, text, size - 1);
	text[length < 0 ? 0 : length] = '\0';
}

void descriptors_compare(void)
{
	struct set now;
	char what[256];
	int fd;

	read_set(&now);
	for (fd = 0; fd < MOST; fd++) {
		if (now.has[fd] == before.has[fd])
			continue;
		what_is(fd, what, sizeof what);
		ck_abort_msg("descriptor %d %s", fd, now.has[fd] ? what : "was closed by the test");
	}
}

/* Lines of an epoll descriptor's fdinfo: "tfd:        5 events:       19 data:..." */
static unsigned count_watches(int epoll_fd, int fd, unsigned *events)
{
	char path[64], line[256];
	unsigned found = 0, mask;
	FILE *file;
	int watched;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_fd);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "tfd: %d events: %x", &watched, &mask) != 2 || watched != fd)
			continue;
		found++;
		if (events != NULL)
			*events = mask;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

unsigned descriptors_watching(int fd, unsigned *events)
{
	struct set now;
	unsigned found = 0;
	int epoll_fd;

	read_set(&now);
	for (epoll_fd = 0; epoll_fd < MOST; epoll_fd++)
		if (now.has[epoll_fd])
			found += count_watches(epoll_fd, fd, events);
	return found;
}

void descriptors_exhaust(unsigned left)
{
	struct rlimit few;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit_before), 0);
	few = limit_before;
	few.rlim_cur = descriptors_open() + 16;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((hoard[hoarded] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		hoarded++;
	ck_assert_int_eq(errno, EMFILE);
	while (left-- > 0)
		close(hoard[--hoarded]);
}

void descriptors_release(void)
{
	while (hoarded > 0)
		close(hoard[--hoarded]);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit_before), 0);
}
