/* A process that waits for the end of a pipe: the other end goes with the test. */
#include "tests/support/janitor.h"

#include "tests/support/process.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHOWN 3000

static int other_end = -1;
static pid_t janitor;

static void show(const char *path)
{
	char text[SHOWN];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t length = pread(fd, text, sizeof text, size > SHOWN ? size - SHOWN : 0);

	if (length > 0)
		fprintf(stderr, "---- %s, the end of it\n%.*s", path, (int)length, text);
	close(fd);
}

static void show_logs(const char *folder)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;
	char path[512];

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (strncmp(entry->d_name, "log-", 4) == 0)
			show(path);
	}
	if (entries != NULL)
		closedir(entries);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

static void keep_watch(int fd, const char *folder)
{
	char byte;

	if (read(fd, &byte, 1) == 0) {
		show_logs(folder);
		nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
	_exit(0);
}

void janitor_watch(const char *folder)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	janitor = fork();
	ck_assert_int_ge(janitor, 0);
	if (janitor == 0) {
		close(ends[1]);
		keep_watch(ends[0], folder);
	}
	close(ends[0]);
	other_end = ends[1];
	/* libcheck kills the process group of a test, and must not find it there. */
	ck_assert_int_eq(setpgid(janitor, janitor), 0);
}

void janitor_dismiss(void)
{
	ck_assert_int_eq(write(other_end, "", 1), 1);
	close(other_end);
	other_end = -1;
	ck_assert_int_eq(process_wait(janitor), 0);
}
