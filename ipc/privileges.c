/*
 * The order matters. The root goes first, and the bounding set, for both need what is given up; then groups before the user,
 * who may not change them; then capabilities, which the change of user takes away but for those that are kept; and last what
 * the change of user resets.
 */
#include "ipc/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void clean(void)
{
	const char *path = getenv("PATH");
	char *kept = path != NULL ? strdup(path) : NULL;

	clearenv();
	if (kept != NULL)
		setenv("PATH", kept, 1);
	free(kept);
}

void muster__privileges_environment(const struct muster__privileges *privileges)
{
	if (privileges->clean_env)
		clean();
	if (privileges->name == NULL || privileges->home == NULL)
		return;
	setenv("USER", privileges->name, 1);
	setenv("LOGNAME", privileges->name, 1);
	setenv("HOME", privileges->home, 1);
}

int muster__privileges_enter(const struct muster__privileges *privileges)
{
	if (privileges->chroot == NULL)
		return 0;
	return chroot(privileges->chroot) < 0 || chdir("/") < 0 ? -errno : 0;
}

/* What is not in there a program can never have again. Without the right to, the bounding set stays. */
static int bound(const struct muster__privileges *privileges)
{
	unsigned long number;

	for (number = 0; privileges->keeps && prctl(PR_CAPBSET_READ, number) >= 0; number++)
		if (!(privileges->capabilities >> number & 1) && prctl(PR_CAPBSET_DROP, number) < 0 && errno != EPERM)
			return -errno;
	return privileges->keeps && prctl(PR_SET_KEEPCAPS, 1) < 0 ? -errno : 0;
}

static int change_user(const struct muster__privileges *privileges)
{
	if ((privileges->has_user || privileges->has_group) &&
	    setgroups(privileges->group_count, privileges->groups) < 0)
		return -errno;
	if (privileges->has_group && setresgid(privileges->gid, privileges->gid, privileges->gid) < 0)
		return -errno;
	if (privileges->has_user && setresuid(privileges->uid, privileges->uid, privileges->uid) < 0)
		return -errno;
	return 0;
}

/* In all four sets: the ambient one is what survives an exec. */
static int set_capabilities(const struct muster__privileges *privileges)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint64_t set = privileges->capabilities;
	unsigned long number;
	int i;

	if (!privileges->keeps)
		return 0;
	for (i = 0; i < 2; i++, set >>= 32)
		data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t)set;
	if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	for (number = 0; number < 64; number++)
		if ((privileges->capabilities >> number & 1) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
			return -errno;
	return 0;
}

/* The parent may have ended before this was asked for; then there is another one by now. */
static int follow_parent(const struct muster__privileges *privileges)
{
	if (privileges->parent == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return -errno;
	return getppid() == privileges->parent ? 0 : -ESRCH;
}

static int refuse_new(const struct muster__privileges *privileges)
{
	return privileges->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int muster__privileges_drop(const struct muster__privileges *privileges, const char **what)
{
	static const struct {
		const char *what;
		int (*take)(const struct muster__privileges *privileges);
	} steps[] = {
		{ "bounding set", bound },
		{ "user or group", change_user },
		{ "capabilities", set_capabilities },
		{ "no_new_privileges", refuse_new },
		{ "parent", follow_parent },
	};
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof steps / sizeof steps[0] && err == 0; i++) {
		*what = steps[i].what;
		err = steps[i].take(privileges);
	}
	return err;
}
