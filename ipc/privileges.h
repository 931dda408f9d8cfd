/* ipc/privileges.h - who a child is, and what it may do: given up once, after the fork, for good. */
#ifndef IPC_PRIVILEGES_H
#define IPC_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Everything was looked up before the fork. Zero changes nothing. */
struct muster__privileges {
	bool has_user, has_group;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* the supplementary ones, if has_user or has_group */
	size_t group_count;
	char *name, *home;  /* of the user, for programs; or NULL */
	const char *chroot; /* the root of what it sees; or NULL */
	bool keeps;         /* it has these capabilities and no other, whoever it is, as has what it executes */
	uint64_t capabilities;
	bool no_new_privileges;
	bool clean_env; /* what it executes gets PATH, and what it is given */
	pid_t parent;   /* not 0: it is terminated when that one ends */
};

/* In a child that executes something, before any variable is set for it. */
void muster__privileges_environment(const struct muster__privileges *privileges);

/* In the child: first its root, before its folder; then all else. 0, or -errno with `what` it was that failed: nothing must be run then. */
int muster__privileges_enter(const struct muster__privileges *privileges);
int muster__privileges_drop(const struct muster__privileges *privileges, const char **what);

#endif
