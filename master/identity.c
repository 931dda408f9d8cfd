/* Everything is looked up here, in the primary and before any fork: what a name service does is nothing for a fresh child. */
#include "master/identity.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 65536

/* ---- users and groups */

static bool read_id(const char *text, unsigned *id)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*id = (unsigned)number;
	return isdigit((unsigned char)*text) && *end == '\0' && number < UINT_MAX;
}

int muster__identity_user(struct muster__privileges *privileges, const char *text)
{
	const struct passwd *user = getpwnam(text);

	if (user != NULL)
		privileges->uid = user->pw_uid;
	else if (!read_id(text, &privileges->uid))
		return -ENOENT;
	privileges->has_user = true;
	return 0;
}

int muster__identity_group(struct muster__privileges *privileges, const char *text)
{
	const struct group *group = getgrnam(text);

	if (group != NULL)
		privileges->gid = group->gr_gid;
	else if (!read_id(text, &privileges->gid))
		return -ENOENT;
	privileges->has_group = true;
	return 0;
}

/* A number that nobody has a name for is in no group but the one given. */
static int find_groups(struct muster__privileges *privileges, const struct passwd *user)
{
	int room = 64, count = room;

	privileges->groups = calloc((size_t)room, sizeof *privileges->groups);
	while (privileges->groups != NULL && user != NULL &&
	       getgrouplist(user->pw_name, privileges->gid, privileges->groups, &count) < 0 && room < GROUPS_MAX) {
		free(privileges->groups);
		count = room *= 4;
		privileges->groups = calloc((size_t)room, sizeof *privileges->groups);
	}
	if (privileges->groups == NULL)
		return -ENOMEM;
	privileges->group_count = user != NULL ? (size_t)count : 0;
	return 0;
}

int muster__identity_complete(struct muster__privileges *privileges)
{
	const struct passwd *user = privileges->has_user ? getpwuid(privileges->uid) : NULL;

	if (user != NULL) {
		privileges->name = strdup(user->pw_name);
		privileges->home = strdup(user->pw_dir);
		if (privileges->name == NULL || privileges->home == NULL)
			return -ENOMEM;
	}
	if (privileges->has_user && !privileges->has_group) {
		if (user == NULL)
			return -ENOENT;
		privileges->gid = user->pw_gid;
		privileges->has_group = true;
	}
	return privileges->has_group ? find_groups(privileges, user) : 0;
}

const char *muster__identity_refusal(const struct muster__privileges *privileges)
{
	bool is_other = (privileges->has_user && privileges->uid != geteuid()) ||
			(privileges->has_group && privileges->gid != getegid());

	if (geteuid() == 0)
		return NULL;
	if (is_other)
		return "only root can give workers another user or group";
	return privileges->chroot != NULL ? "only root can give workers another root" : NULL;
}

void muster__identity_clear(struct muster__privileges *privileges)
{
	free(privileges->groups);
	free(privileges->name);
	free(privileges->home);
	*privileges = (struct muster__privileges){ 0 };
}

/* ---- capabilities */

#define NAMED(name, capital)                                                                                           \
	{                                                                                                              \
		name, CAP_##capital                                                                                    \
	}

static const struct {
	const char *name;
	unsigned number;
} capabilities[] = {
	NAMED("chown", CHOWN),
	NAMED("dac_override", DAC_OVERRIDE),
	NAMED("dac_read_search", DAC_READ_SEARCH),
	NAMED("fowner", FOWNER),
	NAMED("fsetid", FSETID),
	NAMED("kill", KILL),
	NAMED("setgid", SETGID),
	NAMED("setuid", SETUID),
	NAMED("setpcap", SETPCAP),
	NAMED("linux_immutable", LINUX_IMMUTABLE),
	NAMED("net_bind_service", NET_BIND_SERVICE),
	NAMED("net_broadcast", NET_BROADCAST),
	NAMED("net_admin", NET_ADMIN),
	NAMED("net_raw", NET_RAW),
	NAMED("ipc_lock", IPC_LOCK),
	NAMED("ipc_owner", IPC_OWNER),
	NAMED("sys_module", SYS_MODULE),
	NAMED("sys_rawio", SYS_RAWIO),
	NAMED("sys_chroot", SYS_CHROOT),
	NAMED("sys_ptrace", SYS_PTRACE),
	NAMED("sys_pacct", SYS_PACCT),
	NAMED("sys_admin", SYS_ADMIN),
	NAMED("sys_boot", SYS_BOOT),
	NAMED("sys_nice", SYS_NICE),
	NAMED("sys_resource", SYS_RESOURCE),
	NAMED("sys_time", SYS_TIME),
	NAMED("sys_tty_config", SYS_TTY_CONFIG),
	NAMED("mknod", MKNOD),
	NAMED("lease", LEASE),
	NAMED("audit_write", AUDIT_WRITE),
	NAMED("audit_control", AUDIT_CONTROL),
	NAMED("setfcap", SETFCAP),
	NAMED("mac_override", MAC_OVERRIDE),
	NAMED("mac_admin", MAC_ADMIN),
	NAMED("syslog", SYSLOG),
	NAMED("wake_alarm", WAKE_ALARM),
	NAMED("block_suspend", BLOCK_SUSPEND),
	NAMED("audit_read", AUDIT_READ),
	NAMED("perfmon", PERFMON),
	NAMED("bpf", BPF),
	NAMED("checkpoint_restore", CHECKPOINT_RESTORE),
};

bool muster__identity_capability(const char *name, uint64_t *set)
{
	size_t i;

	for (i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
		if (strcmp(capabilities[i].name, name) == 0) {
			*set |= (uint64_t)1 << capabilities[i].number;
			return true;
		}
	return false;
}
