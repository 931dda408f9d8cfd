/* Short names under /tmp: UNIX paths have 107 bytes at most. */
#include "tests/support/folder.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/muster-XXXXXX";
static pid_t owner; /* a forked worker does not remove the folder of its parent */
static char *paths[32];
static unsigned count;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status, (void)kind, (void)where;
	return remove(path);
}

void folder_remove(void)
{
	if (owner != getpid())
		return;
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	owner = 0;
	while (count > 0)
		free(paths[--count]);
}

static void make_folder(void)
{
	strcpy(root, "/tmp/muster-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	/* Tests that give up root go on using it. */
	ck_assert_int_eq(chmod(root, 0755), 0);
	if (owner == 0)
		atexit(folder_remove);
	owner = getpid();
}

const char *folder_path(const char *name)
{
	unsigned i;

	if (owner != getpid() && count == 0)
		make_folder();
	for (i = 0; i < count; i++)
		if (strcmp(strrchr(paths[i], '/') + 1, name) == 0)
			return paths[i];
	ck_assert_uint_lt(count, sizeof paths / sizeof paths[0]);
	ck_assert_int_gt(asprintf(&paths[count], "%s/%s", root, name), 0);
	return paths[count++];
}
