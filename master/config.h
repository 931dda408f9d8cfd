/* master/config.h - musterd's configuration: a JSON file as a struct, or every mistake in it as a line of text. */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

#include "ipc/plan.h"
#include "master/identity.h"
#include "src/log.h"

#include <muster/log.h>
#include <muster/policy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes of a connection beyond a limit. */
enum muster__overflow {
	MUSTER__OVERFLOW_WAIT = 1, /* in the kernel's queue */
	MUSTER__OVERFLOW_DROP,
};

/* Where what a program writes to its standard output and error goes. */
enum muster__program_output {
	MUSTER__OUTPUT_LOG = 1, /* line by line, with its name, to the log */
	MUSTER__OUTPUT_INHERIT, /* as it is, to where the log goes */
	MUSTER__OUTPUT_NULL,
};

/* How a program learns that it is a worker, and what it may ask for. */
enum muster__program_protocol {
	MUSTER__PROGRAM_NODE = 1,   /* over the channel, as a worker of Node's cluster does */
	MUSTER__PROGRAM_LISTEN_FDS, /* it is given its sockets, as systemd passes them */
};

/* A number of bytes, if one is given. */
struct muster__config_size {
	uint64_t bytes;
	bool given;
};

/* How workers live: what the file says for all applications, and what one of them says of its own beside that. */
struct muster__config_life {
	unsigned backoff_ms;
	unsigned backoff_max_ms; /* never less than backoff_ms */
	unsigned budget;         /* 0: it is tried for ever */
	unsigned ready_timeout_ms;
	unsigned drain_timeout_ms;
	unsigned kill_timeout_ms;
	unsigned heartbeat_ms; /* 0: none; so are the next three */
	unsigned max_requests;
	unsigned max_lifetime_ms;
	struct muster__config_size max_memory;
	unsigned jitter; /* per cent */
	unsigned nofile; /* 0: as musterd itself */
	struct muster__config_size core;
	int nice;
	bool cpu_affinity;
};

/* Both NULL if not given. The texts come first: they are dumped as a list of words. */
struct muster__networks {
	char **texts; /* as they were written, ended by a NULL */
	struct muster_block_list *list;
};

struct muster__config_application {
	char *name;
	enum muster__builtin builtin; /* 0: a module or a program */
	char *module;                 /* the path of its file; or NULL */
	char *module_config;          /* an object of JSON, as text; or NULL */
	char **exec; /* its words, ended by a NULL, the first absolute or to be found in PATH; or NULL */
	enum muster__program_protocol protocol;
	enum muster__program_output output;
	unsigned ready_after_ms; /* of a program that is given sockets */
	bool non_blocking;       /* ... and they are so */
	char **env;              /* "NAME=value" for its workers, ended by a NULL; or NULL */
	char *directory;         /* where its workers run; NULL of a builtin */
	char *upstream_host;     /* a proxy has host and port, ... */
	unsigned upstream_port;
	char *upstream_path;     /* ... or a path; without it this is NULL */
	unsigned upstream_proxy; /* the version of the PROXY protocol to speak there; 0: none */
	char *user, *group;      /* as given */
	bool clean_env;
	struct muster__privileges privileges; /* what follows from this and the top level */
	unsigned workers;
	unsigned worker_max_connections; /* 0: no limit */
	enum muster_ready ready;
	struct muster__config_life life;
};

/* It listens on a port if neither `path` nor `fd_name` is given. */
struct muster__config_listener {
	char *name;    /* given, or "127.0.0.1:80", "[::1]:80", "*:80", or the path, or fd_name */
	char *host;    /* NULL: every address */
	char *path;    /* at most MUSTER__CONFIG_PATH_MAX bytes; a leading '@' marks an abstract name */
	char *fd_name; /* of a socket that whoever starts us has bound */
	unsigned port;
	enum muster_policy policy; /* never MUSTER_POLICY_DEFAULT */
	int backlog;               /* 0 is the library's default */
	unsigned max_connections;  /* over all workers; 0: no limit */
	unsigned timeout_ms;       /* 0: none */
	enum muster__overflow overflow;
	unsigned first_byte_timeout_ms;
	bool proxy_protocol;
	unsigned proxy_timeout_ms; /* 0 is the library's default */
	struct muster__networks proxy_trusted, allow, deny;
	unsigned max_per_address, rate_per_address, rate_burst;
	unsigned keep_alive_delay_ms, defer_accept_ms, fast_open;
	bool allow_half_open;
	bool no_delay;
	bool keep_alive;
	bool ipv6_only;
	bool readable_all;
	bool writable_all;
	size_t application; /* an index into the applications */
};

struct muster__config {
	unsigned workers;
	char *control_path; /* never NULL */
	unsigned control_mode;
	char *control_group; /* whose members may ask for the status; or NULL */
	enum muster_log_level log_level;
	char *log_target; /* a file; NULL: standard error */
	enum muster__log_format log_format;
	unsigned max_connections; /* over all listeners; 0: no limit */
	struct muster__config_life life;
	char *status_host, *status_path; /* where the status is served over HTTP: a port, a path, or neither */
	unsigned status_port;
	bool status_public;       /* also to other hosts */
	bool status_writable_all; /* everybody may connect to the path */
	char *pid_file;           /* NULL: none */
	char *user, *group;       /* as given, for all applications without their own */
	char *chroot;
	char **keep_capabilities; /* their names, ended by a NULL; or NULL */
	bool no_new_privileges;
	struct muster__config_listener *listeners;
	size_t listener_count;
	struct muster__config_application *applications;
	size_t application_count;
	/* What follows for serving the status; builtin is 0 if it is not. Their texts are borrowed from the above. */
	struct muster__config_application status_application;
	struct muster__config_listener status_listener;
};

/* Every mistake of a file, each one line without a newline: `conf/muster.json:14: listeners[0].port: ...`. */
struct muster__config_errors {
	char **lines;
	size_t count;
};

#define MUSTER__CONFIG_PATH_MAX 107 /* what sockaddr_un.sun_path holds beside its final NUL */

/*
 * Read `file`. Relative paths in it are taken from its folder, so they are absolute if `file` is. On success `*config`
 * is new and `errors` is empty; otherwise `*config` is NULL and `errors` tells all that is wrong (with -ENOMEM it may
 * be short or empty). `errors` is overwritten; clear it in every case.
 * -EINVAL (what is in the file), a negative errno (the file cannot be read), -ENOMEM.
 */
int muster__config_load(struct muster__config **config, const char *file, struct muster__config_errors *errors);
void muster__config_free(struct muster__config *config);

/* The applications have each their own patience; these are those of the most patient. */
unsigned muster__config_drain_timeout(const struct muster__config *config);
unsigned muster__config_ready_timeout(const struct muster__config *config);

/* The word for a level: false if it is none. */
bool muster__config_find_level(const char *word, enum muster_log_level *level);

/* One more line. */
__attribute__((format(printf, 2, 3))) void muster__config_complain(struct muster__config_errors *errors,
								   const char *format, ...);
void muster__config_errors_clear(struct muster__config_errors *errors);

/*
 * The control socket of a daemon whose file names none: control.sock in $RUNTIME_DIRECTORY, which a service manager sets; else
 * /run/muster/control.sock for root, and muster.sock in $XDG_RUNTIME_DIR for others. -ENOENT (it is not set to an absolute path), -ENAMETOOLONG; `path` is the empty string then.
 */
int muster__config_default_control(char *path, size_t size);

#endif
