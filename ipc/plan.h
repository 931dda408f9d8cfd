/* ipc/plan.h - what crosses a fork: all that a new worker knows of the primary it came from. */
#ifndef IPC_PLAN_H
#define IPC_PLAN_H

#include <muster/cluster.h>
#include <muster/server.h>
#include <muster/socket.h>

struct muster__privileges;
struct muster__scoreboard;
struct muster__sockets;

enum muster__builtin {
	MUSTER__BUILTIN_ECHO = 1,
	MUSTER__BUILTIN_DISCARD,
	MUSTER__BUILTIN_PROXY,
	MUSTER__BUILTIN_STATUS, /* musterd's own: no application may be it */
};

/* A worker's exit status: it cannot run what it was told to run, and neither can another one. As in sysexits.h. */
enum { MUSTER__EXIT_UNFIT = 78 };

/* One listener of an application: what its worker asks the primary for, and how it serves it. */
struct muster__app_listener {
	const char *name;
	struct muster_listen_options listen;
	struct muster_server_options server;
	unsigned timeout_ms, first_byte_timeout_ms;
};

/* What musterd runs in a worker instead of a function of the user's. */
struct muster__app {
	const char *name;
	enum muster__builtin builtin;
	const char *module, *config; /* instead: the path of a module, and its configuration as JSON text or NULL */
	struct muster_connect_options upstream; /* of proxy */
	unsigned upstream_proxy;                /* the version of the PROXY protocol spoken there; 0: none */
	bool is_public;                         /* of status: it may be asked under any name of a host */
	const struct muster__app_listener *listeners;
	size_t listener_count;
};

struct muster__plan {
	int channel_fd;                        /* the child's end */
	const struct muster__sockets *sockets; /* of a program that gets these, and no channel; or NULL */
	int standard[3];                       /* descriptors to be 0 to 2; 0: as the parent's */
	unsigned id;
	struct muster__scoreboard *board;
	int slot;
	muster_worker_function function; /* or app */
	void *data;
	const struct muster__app *app;
	int (*child)(struct muster_channel *self, void *data); /* of a child that is no worker */
	const char *const *exec;                    /* a program and its arguments, NULL-terminated; or NULL */
	const char *const *common_env, *const *env; /* "NAME=value", NULL-terminated; or NULL: the second wins */
	const char *cwd;                            /* or NULL */
	uid_t uid;                                  /* 0: as the parent */
	gid_t gid;
	const struct muster__privileges *privileges; /* instead of these two; or NULL */
	unsigned orphan_timeout_ms;
	unsigned heartbeat_ms; /* how often the slot is to show that the loop turns; 0: never */
	bool pinned;           /* to one CPU ... */
	unsigned place;        /* ... counted from here, of those there are */
	int nice;
	uint64_t limit_nofile, limit_core; /* 0: as the parent */
	bool no_core;
	bool own_group;
	bool joined_output; /* of a program: its standard output is its standard error */
};

#endif
