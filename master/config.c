/*
 * What a configuration file may say. A table of keys for each object is the whole grammar: a new key is a line there. The
 * rules that join several keys stand apart. What is made is freed on every path.
 */
#include "master/config.h"

#include "master/identities.h"
#include "master/reader.h"
#include "master/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CONNECTIONS_MAX = 1000000000,
	FILES_MAX = 1 << 30,
	BACKOFF_MAX = 3600000,
	FD_NAME_MAX = 255, /* systemd's */
	RATE_MAX = 1000000,
	KEEP_ALIVE_MAX = 32767000, /* the kernel's bound */
	DEFER_MAX = 120000,
};

static void check_restart(struct muster__reader *reader, const struct muster__node *node);
static void check_listener(struct muster__reader *reader, const struct muster__node *node);
static void check_upstream(struct muster__reader *reader, const struct muster__node *node);
static void check_application(struct muster__reader *reader, const struct muster__node *node);
static void check_status(struct muster__reader *reader, const struct muster__node *node);
static void check_root(struct muster__reader *reader, const struct muster__node *node);

static const struct muster__choice levels[] = {
	{ "error", MUSTER_LOG_ERROR },
	{ "warn", MUSTER_LOG_WARN },
	{ "info", MUSTER_LOG_INFO },
	{ "debug", MUSTER_LOG_DEBUG },
	{ NULL, 0 },
};

static const struct muster__choice formats[] = {
	{ "text", MUSTER__LOG_TEXT },
	{ "json", MUSTER__LOG_JSON },
	{ NULL, 0 },
};

static const struct muster__choice policies[] = {
	{ "round-robin", MUSTER_POLICY_ROUND_ROBIN }, { "least-connections", MUSTER_POLICY_LEAST_CONNECTIONS },
	{ "shared", MUSTER_POLICY_SHARED },           { "reuse-port", MUSTER_POLICY_REUSE_PORT },
	{ "exclusive", MUSTER_POLICY_EXCLUSIVE },     { NULL, 0 },
};

static const struct muster__choice overflows[] = {
	{ "wait", MUSTER__OVERFLOW_WAIT },
	{ "drop", MUSTER__OVERFLOW_DROP },
	{ NULL, 0 },
};

static const struct muster__choice protocols[] = {
	{ "node", MUSTER__PROGRAM_NODE },
	{ "listen-fds", MUSTER__PROGRAM_LISTEN_FDS },
	{ NULL, 0 },
};

static const struct muster__choice outputs[] = {
	{ "log", MUSTER__OUTPUT_LOG },
	{ "inherit", MUSTER__OUTPUT_INHERIT },
	{ "null", MUSTER__OUTPUT_NULL },
	{ NULL, 0 },
};

static const struct muster__choice readinesses[] = {
	{ "listeners", MUSTER_READY_DEFAULT },
	{ "online", MUSTER_READY_ONLINE },
	{ "listening", MUSTER_READY_LISTENING },
	{ "message", MUSTER_READY_SAID },
	{ NULL, 0 },
};

static const struct muster__choice proxies[] = {
	{ "v1", 1 },
	{ "v2", 2 },
	{ NULL, 0 },
};

static const struct muster__choice builtins[] = {
	{ "echo", MUSTER__BUILTIN_ECHO },
	{ "discard", MUSTER__BUILTIN_DISCARD },
	{ "proxy", MUSTER__BUILTIN_PROXY },
	{ NULL, 0 },
};

static bool listener_has_port(const void *base)
{
	const struct muster__config_listener *listener = base;

	return !listener->path && !listener->fd_name;
}

static bool is_program(const void *base)
{
	return ((const struct muster__config_application *)base)->exec;
}

static bool takes_sockets(const void *base)
{
	const struct muster__config_application *application = base;

	return application->exec && application->protocol == MUSTER__PROGRAM_LISTEN_FDS;
}

static bool is_no_builtin(const void *base)
{
	return !((const struct muster__config_application *)base)->builtin;
}

#define LISTENER(field) .offset = offsetof(struct muster__config_listener, field)
static const struct muster__key listener_keys[] = {
	{ "name", MUSTER__KIND_TEXT, LISTENER(name) },
	{ "host", MUSTER__KIND_TEXT, LISTENER(host) },
	{ "port", MUSTER__KIND_NUMBER, LISTENER(port), .max = 65535, .shown = true, .has_meaning = listener_has_port },
	{ "path", MUSTER__KIND_SOCKET, LISTENER(path) },
	{ "fd_name", MUSTER__KIND_TEXT, LISTENER(fd_name) },
	{ "policy", MUSTER__KIND_CHOICE, LISTENER(policy), .choices = policies, .fallback = MUSTER_POLICY_ROUND_ROBIN },
	{ "backlog", MUSTER__KIND_NUMBER, LISTENER(backlog), .min = 1, .max = 65535 },
	{ "max_connections", MUSTER__KIND_NUMBER, LISTENER(max_connections), .max = CONNECTIONS_MAX },
	{ "overflow", MUSTER__KIND_CHOICE, LISTENER(overflow), .choices = overflows,
	  .fallback = MUSTER__OVERFLOW_WAIT },
	{ "timeout", MUSTER__KIND_NUMBER, LISTENER(timeout_ms), .max = MUSTER__MILLISECONDS_MAX },
	{ "first_byte_timeout", MUSTER__KIND_NUMBER, LISTENER(first_byte_timeout_ms), .max = MUSTER__MILLISECONDS_MAX },
	{ "allow", MUSTER__KIND_NETWORKS, LISTENER(allow) },
	{ "deny", MUSTER__KIND_NETWORKS, LISTENER(deny) },
	{ "max_per_address", MUSTER__KIND_NUMBER, LISTENER(max_per_address), .max = CONNECTIONS_MAX },
	{ "rate_per_address", MUSTER__KIND_NUMBER, LISTENER(rate_per_address), .max = RATE_MAX },
	{ "rate_burst", MUSTER__KIND_NUMBER, LISTENER(rate_burst), .min = 1, .max = RATE_MAX },
	{ "proxy_protocol", MUSTER__KIND_BOOL, LISTENER(proxy_protocol) },
	{ "proxy_timeout", MUSTER__KIND_NUMBER, LISTENER(proxy_timeout_ms), .min = 1, .max = MUSTER__MILLISECONDS_MAX },
	{ "proxy_trusted", MUSTER__KIND_NETWORKS, LISTENER(proxy_trusted) },
	{ "allow_half_open", MUSTER__KIND_BOOL, LISTENER(allow_half_open) },
	{ "no_delay", MUSTER__KIND_BOOL, LISTENER(no_delay) },
	{ "keep_alive", MUSTER__KIND_BOOL, LISTENER(keep_alive) },
	{ "keep_alive_delay", MUSTER__KIND_NUMBER, LISTENER(keep_alive_delay_ms), .min = 1, .max = KEEP_ALIVE_MAX },
	{ "defer_accept", MUSTER__KIND_NUMBER, LISTENER(defer_accept_ms), .max = DEFER_MAX },
	{ "fast_open", MUSTER__KIND_NUMBER, LISTENER(fast_open), .max = 65535 },
	{ "ipv6_only", MUSTER__KIND_BOOL, LISTENER(ipv6_only) },
	{ "readable_all", MUSTER__KIND_BOOL, LISTENER(readable_all) },
	{ "writable_all", MUSTER__KIND_BOOL, LISTENER(writable_all) },
	{ "application", MUSTER__KIND_APPLICATION, .required = true },
};
static const struct muster__grammar listener_object = { listener_keys, MUSTER__COUNT_OF(listener_keys),
							check_listener };

/* An object of its own, wherever it is embedded. */
#define LIFE(field) .offset = offsetof(struct muster__config_life, field)
static const struct muster__key restart_keys[] = {
	{ "backoff_ms", MUSTER__KIND_NUMBER, LIFE(backoff_ms), .min = 1, .max = BACKOFF_MAX, .fallback = 100 },
	{ "backoff_max_ms", MUSTER__KIND_NUMBER, LIFE(backoff_max_ms), .min = 1, .max = BACKOFF_MAX,
	  .fallback = 10000 },
	{ "budget", MUSTER__KIND_NUMBER, LIFE(budget), .shown = true, .max = INT_MAX },
	{ "drain_timeout_ms", MUSTER__KIND_NUMBER, LIFE(drain_timeout_ms), .max = MUSTER__MILLISECONDS_MAX,
	  .fallback = 30000 },
	{ "ready_timeout_ms", MUSTER__KIND_NUMBER, LIFE(ready_timeout_ms), .min = 1, .max = MUSTER__MILLISECONDS_MAX,
	  .fallback = 30000 },
	{ "kill_timeout_ms", MUSTER__KIND_NUMBER, LIFE(kill_timeout_ms), .min = 1, .max = MUSTER__MILLISECONDS_MAX,
	  .fallback = 2000 },
	{ "heartbeat_ms", MUSTER__KIND_NUMBER, LIFE(heartbeat_ms), .shown = true, .max = MUSTER__MILLISECONDS_MAX },
	{ "max_requests", MUSTER__KIND_NUMBER, LIFE(max_requests), .shown = true, .max = INT_MAX },
	{ "max_lifetime_ms", MUSTER__KIND_NUMBER, LIFE(max_lifetime_ms), .shown = true,
	  .max = MUSTER__MILLISECONDS_MAX },
	{ "max_memory", MUSTER__KIND_SIZE, LIFE(max_memory) },
	{ "jitter", MUSTER__KIND_NUMBER, LIFE(jitter), .shown = true, .max = 100, .fallback = 10 },
};
static const struct muster__grammar restart_object = { restart_keys, MUSTER__COUNT_OF(restart_keys), check_restart };

static const struct muster__choice no_limit[] = {
	{ "unlimited", 0 },
	{ NULL, 0 },
};

#define APPLICATION(field) .offset = offsetof(struct muster__config_application, field)
static const struct muster__key upstream_keys[] = {
	{ "host", MUSTER__KIND_TEXT, APPLICATION(upstream_host) },
	{ "port", MUSTER__KIND_NUMBER, APPLICATION(upstream_port), .min = 1, .max = 65535 },
	{ "path", MUSTER__KIND_SOCKET, APPLICATION(upstream_path) },
	{ "proxy_protocol", MUSTER__KIND_CHOICE, APPLICATION(upstream_proxy), .choices = proxies },
};
static const struct muster__grammar upstream_object = { upstream_keys, MUSTER__COUNT_OF(upstream_keys),
							check_upstream };

/* At the top level they stand beside others. */
#define WORKER_LIMITS(PLACE)                                                                                           \
	{ "nofile", MUSTER__KIND_NUMBER, PLACE(life.nofile), .min = 16, .max = FILES_MAX },                            \
	{                                                                                                              \
		"core", MUSTER__KIND_SIZE, PLACE(life.core), .choices = no_limit                                       \
	}

static const struct muster__key own_limits_keys[] = { WORKER_LIMITS(APPLICATION) };
static const struct muster__grammar own_limits_object = { own_limits_keys, MUSTER__COUNT_OF(own_limits_keys), NULL };

static const struct muster__key application_keys[] = {
	{ "builtin", MUSTER__KIND_CHOICE, APPLICATION(builtin), .choices = builtins },
	{ "upstream", MUSTER__KIND_OBJECT, .object = &upstream_object },
	{ "module", MUSTER__KIND_FILE, APPLICATION(module) },
	{ "config", MUSTER__KIND_JSON, APPLICATION(module_config) },
	{ "exec", MUSTER__KIND_PROGRAM, APPLICATION(exec) },
	{ "protocol", MUSTER__KIND_CHOICE, APPLICATION(protocol), .choices = protocols,
	  .fallback = MUSTER__PROGRAM_NODE, .has_meaning = is_program },
	{ "output", MUSTER__KIND_CHOICE, APPLICATION(output), .choices = outputs, .fallback = MUSTER__OUTPUT_LOG,
	  .has_meaning = is_program },
	{ "ready_after", MUSTER__KIND_NUMBER, APPLICATION(ready_after_ms), .min = 1, .max = MUSTER__MILLISECONDS_MAX,
	  .fallback = 1000, .has_meaning = takes_sockets },
	{ "non_blocking", MUSTER__KIND_BOOL, APPLICATION(non_blocking) },
	{ "env", MUSTER__KIND_VARIABLES, APPLICATION(env) },
	{ "clean_env", MUSTER__KIND_BOOL, APPLICATION(clean_env) },
	{ "directory", MUSTER__KIND_FILE, APPLICATION(directory) },
	{ "user", MUSTER__KIND_TEXT, APPLICATION(user) },
	{ "group", MUSTER__KIND_TEXT, APPLICATION(group) },
	{ "workers", MUSTER__KIND_WORKERS, APPLICATION(workers), .min = 1, .max = MUSTER__WORKERS_MAX },
	{ "worker_max_connections", MUSTER__KIND_NUMBER, APPLICATION(worker_max_connections), .max = CONNECTIONS_MAX },
	{ "ready", MUSTER__KIND_CHOICE, APPLICATION(ready), .choices = readinesses, .has_meaning = is_no_builtin },
	{ "limits", MUSTER__KIND_OBJECT, .object = &own_limits_object, .inherits = true },
	{ "restart", MUSTER__KIND_OBJECT, APPLICATION(life), .object = &restart_object, .inherits = true },
	{ "nice", MUSTER__KIND_NUMBER, APPLICATION(life.nice), .min = -20, .max = 19, .inherits = true, .shown = true },
	{ "cpu_affinity", MUSTER__KIND_BOOL, APPLICATION(life.cpu_affinity), .inherits = true, .shown = true },
};
static const struct muster__grammar application_object = { application_keys, MUSTER__COUNT_OF(application_keys),
							   check_application };

#define ROOT(field) .offset = offsetof(struct muster__config, field)
static const struct muster__key control_keys[] = {
	{ "path", MUSTER__KIND_SOCKET, ROOT(control_path) },
	{ "mode", MUSTER__KIND_MODE, ROOT(control_mode), .fallback = 0600 },
	{ "group", MUSTER__KIND_TEXT, ROOT(control_group) },
};
static const struct muster__grammar control_object = { control_keys, MUSTER__COUNT_OF(control_keys), NULL };

static const struct muster__key status_keys[] = {
	{ "host", MUSTER__KIND_TEXT, ROOT(status_host) },
	{ "port", MUSTER__KIND_NUMBER, ROOT(status_port), .min = 1, .max = 65535 },
	{ "path", MUSTER__KIND_SOCKET, ROOT(status_path) },
	{ "public", MUSTER__KIND_BOOL, ROOT(status_public) },
	{ "writable_all", MUSTER__KIND_BOOL, ROOT(status_writable_all) },
};
static const struct muster__grammar status_object = { status_keys, MUSTER__COUNT_OF(status_keys), check_status };

static const struct muster__key log_keys[] = {
	{ "level", MUSTER__KIND_CHOICE, ROOT(log_level), .choices = levels, .fallback = MUSTER_LOG_INFO },
	{ "target", MUSTER__KIND_TARGET, ROOT(log_target) },
	{ "format", MUSTER__KIND_CHOICE, ROOT(log_format), .choices = formats, .fallback = MUSTER__LOG_TEXT },
};
static const struct muster__grammar log_object = { log_keys, MUSTER__COUNT_OF(log_keys), NULL };

static const struct muster__key limits_keys[] = {
	{ "max_connections", MUSTER__KIND_NUMBER, ROOT(max_connections), .max = CONNECTIONS_MAX },
	WORKER_LIMITS(ROOT),
};
static const struct muster__grammar limits_object = { limits_keys, MUSTER__COUNT_OF(limits_keys), NULL };

static const struct muster__key root_keys[] = {
	{ "workers", MUSTER__KIND_WORKERS, ROOT(workers), .min = 1, .max = MUSTER__WORKERS_MAX },
	{ "control", MUSTER__KIND_OBJECT, .object = &control_object },
	{ "status", MUSTER__KIND_OBJECT, .object = &status_object },
	{ "log", MUSTER__KIND_OBJECT, .object = &log_object },
	{ "limits", MUSTER__KIND_OBJECT, .object = &limits_object },
	{ "restart", MUSTER__KIND_OBJECT, ROOT(life), .object = &restart_object },
	{ "nice", MUSTER__KIND_NUMBER, ROOT(life.nice), .min = -20, .max = 19 },
	{ "cpu_affinity", MUSTER__KIND_BOOL, ROOT(life.cpu_affinity) },
	{ "listeners", MUSTER__KIND_LIST, ROOT(listeners), .count = offsetof(struct muster__config, listener_count),
	  .size = sizeof(struct muster__config_listener), .object = &listener_object, .required = true },
	{ "applications", MUSTER__KIND_MAP, ROOT(applications),
	  .count = offsetof(struct muster__config, application_count),
	  .size = sizeof(struct muster__config_application), .object = &application_object, .required = true },
	{ "include", MUSTER__KIND_PATTERNS, .required = false },
	{ "pid_file", MUSTER__KIND_FILE, ROOT(pid_file) },
	{ "user", MUSTER__KIND_TEXT, ROOT(user) },
	{ "group", MUSTER__KIND_TEXT, ROOT(group) },
	{ "chroot", MUSTER__KIND_FILE, ROOT(chroot) },
	{ "no_new_privileges", MUSTER__KIND_BOOL, ROOT(no_new_privileges) },
	{ "keep_capabilities", MUSTER__KIND_PROGRAM, ROOT(keep_capabilities) },
};
static const struct muster__grammar root_object = { root_keys, MUSTER__COUNT_OF(root_keys), check_root };

_Static_assert(offsetof(struct muster__config_application, name) == 0, "a struct of a map begins with its name");

static bool has(const json_t *object, const char *key)
{
	return json_object_get(object, key) != NULL;
}

/* A complaint about the value of a key. */
static void complain_key(struct muster__reader *reader, const struct muster__json_path *at, const char *key,
			 const char *text)
{
	muster__complain(reader, &(struct muster__json_path){ .parent = at, .key = key }, "%s", text);
}

/* `without`: what is wrong if there is none. */
static void check_place(struct muster__reader *reader, const struct muster__node *node, const char *without)
{
	if (!has(node->value, "path")) {
		if (!has(node->value, "port"))
			muster__complain(reader, node->at, "%s", without);
		return;
	}
	if (has(node->value, "port"))
		complain_key(reader, node->at, "port", "cannot stand beside \"path\"");
	if (has(node->value, "host"))
		complain_key(reader, node->at, "host", "cannot stand beside \"path\"");
}

static void check_restart(struct muster__reader *reader, const struct muster__node *node)
{
	const struct muster__config_life *life = node->base;

	if (life->backoff_ms > life->backoff_max_ms)
		muster__complain(reader, node->at, "backoff_ms, %u, is more than backoff_max_ms, %u", life->backoff_ms,
				 life->backoff_max_ms);
}

/* Without a place it gets no name, so that one mistake does not look like two. */
static void name_listener(struct muster__reader *reader, struct muster__config_listener *listener, const json_t *value)
{
	const char *host = listener->host ? listener->host : "*";

	if (has(value, "name"))
		return;
	if (listener->path || listener->fd_name)
		muster__put_text(reader, &listener->name, strdup(listener->path ? listener->path : listener->fd_name));
	else if (has(value, "port") && json_integer_value(json_object_get(value, "port")) == listener->port)
		muster__put_text(reader, &listener->name,
				 muster__new_text(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, listener->port));
}

/* What each of these keys is refused for, where it is there. */
static void refuse_keys(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value,
			const char *const *keys, const char *text)
{
	for (; *keys; keys++)
		if (has(value, *keys))
			complain_key(reader, at, *keys, text);
}

/* The place of a socket that was bound by another is his choice, and so is who may connect to it. */
static void check_fd_name(struct muster__reader *reader, const struct muster__node *node)
{
	static const char *const others[] = {
		"port", "host", "path", "ipv6_only", "readable_all", "writable_all", NULL
	};
	const char *name = ((const struct muster__config_listener *)node->base)->fd_name;

	refuse_keys(reader, node->at, node->value, others, "cannot stand beside \"fd_name\"");
	if (name && (strchr(name, ':') || strlen(name) > FD_NAME_MAX))
		complain_key(reader, node->at, "fd_name",
			     "is no name that systemd can give: it has a colon, or is too long");
}

/* Keys that would do nothing. */
static void check_idle_keys(struct muster__reader *reader, const struct muster__node *node)
{
	static const char *const of_proxies[] = { "proxy_timeout", "proxy_trusted", NULL };
	static const char *const of_addresses[] = { "allow", "deny", "max_per_address", "rate_per_address", NULL };
	static const char *const of_tcp[] = { "ipv6_only", "keep_alive_delay", "defer_accept",
					      "fast_open", "proxy_trusted",    NULL };
	static const char *const of_rates[] = { "rate_burst", NULL }, *const of_probes[] = { "keep_alive_delay", NULL };
	const struct muster__config_listener *listener = node->base;
	bool is_path = has(node->value, "path");

	if (!listener->proxy_protocol)
		refuse_keys(reader, node->at, node->value, of_proxies, "has no meaning without \"proxy_protocol\"");
	if (!has(node->value, "rate_per_address"))
		refuse_keys(reader, node->at, node->value, of_rates, "has no meaning without \"rate_per_address\"");
	if (is_path)
		refuse_keys(reader, node->at, node->value, of_tcp, "cannot stand beside \"path\"");
	else if (!listener->keep_alive)
		refuse_keys(reader, node->at, node->value, of_probes, "has no meaning without \"keep_alive\"");
	if (is_path && !listener->proxy_protocol)
		refuse_keys(reader, node->at, node->value, of_addresses,
			    "has no meaning at a \"path\" without \"proxy_protocol\"");
}

static void check_listener(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__config_listener *listener = node->base;
	bool is_path = has(node->value, "path");

	if (has(node->value, "fd_name")) {
		check_fd_name(reader, node);
		check_idle_keys(reader, node);
		name_listener(reader, listener, node->value);
		return;
	}
	check_place(reader, node, "\"port\", \"path\" or \"fd_name\" is missing");
	if (is_path && listener->policy == MUSTER_POLICY_REUSE_PORT)
		complain_key(reader, node->at, "policy", "\"reuse-port\" needs a port, a path cannot have it");
	check_idle_keys(reader, node);
	if (!is_path && has(node->value, "readable_all"))
		complain_key(reader, node->at, "readable_all", "has no meaning without \"path\"");
	if (!is_path && has(node->value, "writable_all"))
		complain_key(reader, node->at, "writable_all", "has no meaning without \"path\"");
	if (has(node->value, "host") && !listener->host)
		listener->port = 0; /* its place is unknown: it is not compared with others' */
	name_listener(reader, listener, node->value);
}

static void check_upstream(struct muster__reader *reader, const struct muster__node *node)
{
	check_place(reader, node, "\"port\" or \"path\" is missing");
	if (has(node->value, "port") && !has(node->value, "host") && !has(node->value, "path"))
		muster__complain(reader, node->at, "\"host\" is missing");
}

/* A name may mean another address tomorrow; this one may not. */
static bool is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six);
	return strcmp(host, "localhost") == 0;
}

static void check_status(struct muster__reader *reader, const struct muster__node *node)
{
	const struct muster__config *config = node->base;

	check_place(reader, node, "\"port\" or \"path\" is missing");
	if (config->status_host && !config->status_public && !is_loopback(config->status_host))
		complain_key(reader, node->at, "host",
			     "is not the loopback: whoever reaches it reads the status; say so with \"public\": true");
	if (config->status_path && has(node->value, "public"))
		complain_key(reader, node->at, "public", "cannot stand beside \"path\"");
	if (!config->status_path && has(node->value, "writable_all"))
		complain_key(reader, node->at, "writable_all", "has no meaning without \"path\"");
}

#define ONLY_PROGRAMS "only a program, \"exec\", has one"
#define ONLY_MODULES "only a module has one"
static const char *const proxy_keys[] = { "upstream", NULL };
static const char *const program_keys[] = { "protocol", "output", "clean_env", "ready_after", "non_blocking", NULL };
static const char *const module_keys[] = { "config", NULL };

static void check_builtin(struct muster__reader *reader, const struct muster__node *node)
{
	static const char *const others[] = { "env", "directory", "ready", NULL };
	const struct muster__config_application *application = node->base;
	bool is_proxy = application->builtin == MUSTER__BUILTIN_PROXY;

	if (is_proxy && !has(node->value, "upstream"))
		muster__complain(reader, node->at, "\"upstream\" is missing, a proxy needs one");
	if (application->builtin && !is_proxy && has(node->value, "upstream"))
		complain_key(reader, node->at, "upstream", "only a proxy has one");
	refuse_keys(reader, node->at, node->value, program_keys, ONLY_PROGRAMS);
	refuse_keys(reader, node->at, node->value, others, "only a module or a program, \"exec\", has one");
	refuse_keys(reader, node->at, node->value, module_keys, ONLY_MODULES);
}

/* The folder of the file, if it names none. */
static void put_directory(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__config_application *application = node->base;

	if (!has(node->value, "directory"))
		muster__put_text(reader, &application->directory, muster__absolute_path(reader, ""));
}

static void check_program(struct muster__reader *reader, const struct muster__node *node)
{
	static const char *const passing_keys[] = { "ready_after", "non_blocking", NULL };
	static const char *const ready_after_keys[] = { "ready_after", NULL };
	static const char *const counted[] = { "worker_max_connections", NULL };
	const struct muster__config_application *application = node->base;

	refuse_keys(reader, node->at, node->value, proxy_keys, "only a proxy has one");
	refuse_keys(reader, node->at, node->value, module_keys, ONLY_MODULES);
	put_directory(reader, node);
	if (!takes_sockets(application)) {
		refuse_keys(reader, node->at, node->value, passing_keys,
			    "only a program with the protocol \"listen-fds\" has one");
		return;
	}
	refuse_keys(reader, node->at, node->value, counted, "a program that is given sockets does not tell it");
	if (application->ready == MUSTER_READY_LISTENING)
		complain_key(reader, node->at, "ready", "a program that is given sockets does not say that it listens");
	else if (application->ready != MUSTER_READY_DEFAULT)
		refuse_keys(reader, node->at, node->value, ready_after_keys, "has no meaning beside this \"ready\"");
}

/* It is loaded where it can do no harm: by a worker. Here it only has to be there. */
static void check_module(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__config_application *application = node->base;
	struct stat status;
	const char *module;

	refuse_keys(reader, node->at, node->value, proxy_keys, "only a proxy has one");
	refuse_keys(reader, node->at, node->value, program_keys, ONLY_PROGRAMS);
	put_directory(reader, node);
	if (!application->module)
		return;
	/* The worker is in another folder when it loads it; and a name alone would be looked for among the libraries. */
	free(application->module);
	muster__put_text(reader, &application->module,
			 muster__absolute_path(reader, json_string_value(json_object_get(node->value, "module"))));
	module = application->module;
	if (!module)
		return;
	if (stat(module, &status) < 0 || access(module, R_OK) < 0)
		muster__complain(reader, &(struct muster__json_path){ .parent = node->at, .key = "module" }, "%s: %s",
				 module, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		complain_key(reader, node->at, "module", "is no file");
}

static void check_application(struct muster__reader *reader, const struct muster__node *node)
{
	static const struct {
		const char *key, *refusal;
		void (*check)(struct muster__reader *reader, const struct muster__node *node);
	} kinds[] = {
		{ "exec", "cannot stand beside \"exec\"", check_program },
		{ "module", "cannot stand beside \"module\"", check_module },
		{ "builtin", NULL, check_builtin },
	};
	size_t kind = 0, other;

	while (kind < MUSTER__COUNT_OF(kinds) && !has(node->value, kinds[kind].key))
		kind++;
	if (kind == MUSTER__COUNT_OF(kinds)) {
		muster__complain(reader, node->at, "\"builtin\", \"module\" or \"exec\" is missing");
		return;
	}
	for (other = kind + 1; other < MUSTER__COUNT_OF(kinds); other++)
		if (has(node->value, kinds[other].key)) {
			complain_key(reader, node->at, kinds[other].key, kinds[kind].refusal);
			return;
		}
	kinds[kind].check(reader, node);
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_same_place(const struct muster__config_listener *a, const struct muster__config_listener *b)
{
	if (a->path || b->path)
		return is_same(a->path, b->path);
	return a->port && a->port == b->port && is_same(a->host ? a->host : "::", b->host ? b->host : "::");
}

/* New: how a message about one listener calls another. */
static char *place_of(struct muster__reader *reader, const struct muster__json_path *at, size_t index)
{
	struct muster__json_path other = { .parent = at->parent, .index = index };
	const struct muster__origin *source = muster__origin_of(reader, &other);
	char *text;

	if (source == muster__origin_of(reader, at))
		text = muster__new_text("listeners[%zu]", index - (source ? source->first_listener : 0));
	else
		text = muster__new_text("listeners[%zu] of %s", index - (source ? source->first_listener : 0),
					source ? source->file : reader->file);
	if (!text)
		reader->err = -ENOMEM;
	return text;
}

static void check_twins(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value,
			size_t first)
{
	const struct muster__config_listener *a = &reader->config->listeners[first];
	const struct muster__config_listener *b = &reader->config->listeners[at->index];
	struct muster__json_path step = { .parent = at, .key = b->path ? "path" : "port" };
	char text[MUSTER__SHOWN_MAX], *other = place_of(reader, at, first);
	bool same_place = is_same_place(a, b);

	if (same_place)
		muster__complain(reader, &step, "%s listens there already", other);
	step.key = "name";
	if (is_same(a->name, b->name) && has(value, "name"))
		muster__complain(reader, &step, "%s has this name already", other);
	else if (is_same(a->name, b->name) && !same_place)
		muster__complain(reader, at, "its default name, %s, is the name of %s: give it a \"name\"",
				 muster__quote(b->name, text), other);
	free(other);
}

/* Whether the listener's application is known, and now linked. */
static bool link_listener(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value)
{
	struct muster__config *config = reader->config;
	const char *name = json_string_value(json_object_get(value, "application"));
	struct muster__json_path step = { .parent = at, .key = "application" };
	struct muster__guess guess = { .word = name };
	char text[MUSTER__SHOWN_MAX];

	if (!name || config->application_count == 0)
		return false;
	for (size_t i = 0; i < config->application_count; i++) {
		if (strcmp(config->applications[i].name, name) == 0) {
			config->listeners[at->index].application = i;
			return true;
		}
		muster__consider(&guess, config->applications[i].name);
	}
	if (guess.nearest)
		muster__complain(reader, &step, "no application is named %s, did you mean \"%s\"?",
				 muster__quote(name, text), guess.nearest);
	else
		muster__complain(reader, &step, "no application is named %s", muster__quote(name, text));
	return false;
}

/* A server that is not ours sees to its connections itself; a key that did nothing would be a trap. */
static void check_linked(struct muster__reader *reader, const struct muster__json_path *at, const json_t *value)
{
	static const char *const keys[] = { "timeout",        "first_byte_timeout", "allow_half_open",  "allow",
					    "deny",           "max_per_address",    "rate_per_address", "rate_burst",
					    "proxy_protocol", "proxy_timeout",      "proxy_trusted",    NULL };
	static const char *const counted[] = { "max_connections", "overflow", NULL };
	struct muster__config_listener *listener = &reader->config->listeners[at->index];
	const struct muster__config_application *application = &reader->config->applications[listener->application];

	if (application->exec)
		refuse_keys(reader, at, value, keys, "the application is a program, which decides this itself");
	if (!takes_sockets(application))
		return;
	refuse_keys(reader, at, value, counted, "a program that is given sockets does not tell what it accepts");
	if (has(value, "policy") && listener->policy != MUSTER_POLICY_SHARED)
		complain_key(reader, at, "policy", "a program that is given sockets shares them with all its workers");
	listener->policy = MUSTER_POLICY_SHARED;
}

/* A module or a program decides itself what to listen on. */
static bool needs_listener(const struct muster__config *config, size_t application)
{
	if (!config->applications[application].builtin)
		return false;
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].application == application)
			return false;
	return true;
}

static void check_idle(struct muster__reader *reader)
{
	struct muster__json_path map = { .key = "applications" }, step = { .parent = &map };
	const struct muster__config *config = reader->config;

	for (size_t i = 0; i < config->application_count; i++) {
		step.key = config->applications[i].name;
		if (needs_listener(config, i))
			muster__complain(reader, &step,
					 "no listener names this application: it would have nothing to do");
	}
}

static void check_listeners(struct muster__reader *reader, const json_t *listeners)
{
	struct muster__json_path list = { .key = "listeners" }, at = { .parent = &list };
	bool linked = json_is_array(listeners);

	for (; at.index < reader->config->listener_count; at.index++) {
		const json_t *value = json_array_get(listeners, at.index);

		for (size_t i = 0; i < at.index; i++)
			check_twins(reader, &at, value, i);
		if (link_listener(reader, &at, value))
			check_linked(reader, &at, value);
		else
			linked = false;
	}
	if (linked)
		check_idle(reader);
}

static void check_control(struct muster__reader *reader, const json_t *root)
{
	struct muster__json_path control = { .key = "control" };
	char text[MUSTER__CONFIG_PATH_MAX + 1];
	struct muster__config *config = reader->config;

	if (config->control_path && *config->control_path == '@')
		complain_key(reader, &control, "path", "no mode guards an abstract name: name a file");
	if (has(json_object_get(root, "control"), "path"))
		return;
	if (muster__config_default_control(text, sizeof text) == 0)
		muster__put_text(reader, &config->control_path, strdup(text));
	else
		muster__complain(reader, has(root, "control") ? &control : NULL,
				 "set control.path: without a usable XDG_RUNTIME_DIR it has no default");
}

/* Each application begins with what the top level says, whichever of the two the file says first. */
static void inherit(struct muster__reader *reader, const json_t *applications)
{
	struct muster__json_path map = { .key = "applications" }, at = { .parent = &map };
	struct muster__config *config = reader->config;

	for (size_t i = 0; i < config->application_count; i++) {
		struct muster__config_application *application = &config->applications[i];

		at.key = application->name;
		application->life = config->life;
		muster__read_inherited(reader, &application_object,
				       &(struct muster__node){ .at = &at,
							       .value = json_object_get(applications, at.key),
							       .base = application });
	}
}

/* One process, which accepts for itself: it is no matter of the primary's how fast its clients are. */
static void plan_status(struct muster__config *config)
{
	static char name[] = "status", host[] = "127.0.0.1";

	config->status_application = (struct muster__config_application){
		.name = name,
		.builtin = MUSTER__BUILTIN_STATUS,
		.workers = 1,
		.ready = MUSTER_READY_LISTENING,
		.life = {
			.backoff_ms = config->life.backoff_ms,
			.backoff_max_ms = config->life.backoff_max_ms,
			.ready_timeout_ms = config->life.ready_timeout_ms,
			.drain_timeout_ms = config->life.drain_timeout_ms,
			.kill_timeout_ms = config->life.kill_timeout_ms,
		},
	};
	config->status_listener = (struct muster__config_listener){
		.name = name,
		.host = config->status_port && !config->status_host ? host : config->status_host,
		.port = config->status_port,
		.path = config->status_path,
		.policy = MUSTER_POLICY_SHARED,
		.writable_all = config->status_writable_all,
	};
}

/* It is bound with the others, and told from them by its name. */
static void check_status_place(struct muster__reader *reader)
{
	struct muster__json_path list = { .key = "listeners" }, at = { .parent = &list };
	struct muster__json_path step = { .parent = &at, .key = "name" };
	const struct muster__config *config = reader->config;

	for (; config->status_application.builtin && at.index < config->listener_count; at.index++) {
		const struct muster__config_listener *listener = &config->listeners[at.index];

		if (is_same(listener->name, config->status_listener.name))
			muster__complain(reader, &step, "\"status\" is the name of the listener of the status");
		if (!is_same_place(listener, &config->status_listener))
			continue;
		step.key = listener->path ? "path" : "port";
		muster__complain(reader, &step, "the status is served there already");
	}
}

static void check_root(struct muster__reader *reader, const struct muster__node *node)
{
	struct muster__config *config = node->base;

	if (reader->err)
		return; /* a name may be missing */
	if (config->workers == 0)
		config->workers = muster__processors();
	for (size_t i = 0; i < config->application_count; i++)
		if (config->applications[i].workers == 0)
			config->applications[i].workers = config->workers;
	inherit(reader, json_object_get(node->value, "applications"));
	if (config->status_port || config->status_path)
		plan_status(config);
	check_control(reader, node->value);
	muster__identities_check(reader);
	check_listeners(reader, json_object_get(node->value, "listeners"));
	check_status_place(reader);
}

/* The file. */

static int read_file(struct muster__reader *reader)
{
	int err;
	json_t *root = muster__source_load(reader, &err);

	if (!root)
		return err;
	muster__source_include(reader, root);
	muster__put_fallbacks(&root_object, reader->config);
	muster__read_keys(reader, &root_object, &(struct muster__node){ .value = root, .base = reader->config });
	json_decref(root);
	if (reader->err)
		return reader->err;
	return reader->errors->count > 0 ? -EINVAL : 0;
}

int muster__config_load(struct muster__config **config, const char *file, struct muster__config_errors *errors)
{
	struct muster__reader reader = { .file = file, .errors = errors };
	int err;

	*config = NULL;
	*errors = (struct muster__config_errors){ 0 };
	reader.config = calloc(1, sizeof *reader.config);
	if (!reader.config)
		return -ENOMEM;
	err = read_file(&reader);
	free(reader.text);
	muster__sources_free(&reader);
	if (err) {
		muster__config_free(reader.config);
		return err;
	}
	*config = reader.config;
	return 0;
}

static unsigned longest(const struct muster__config *config, size_t offset)
{
	unsigned most = 0, ms;

	for (size_t i = 0; i < config->application_count; i++) {
		memcpy(&ms, (const char *)&config->applications[i].life + offset, sizeof ms);
		most = MAX(most, ms);
	}
	return most;
}

unsigned muster__config_drain_timeout(const struct muster__config *config)
{
	return longest(config, offsetof(struct muster__config_life, drain_timeout_ms));
}

unsigned muster__config_ready_timeout(const struct muster__config *config)
{
	return longest(config, offsetof(struct muster__config_life, ready_timeout_ms));
}

void muster__config_free(struct muster__config *config)
{
	for (size_t i = 0; config && i < config->application_count; i++)
		muster__identity_clear(&config->applications[i].privileges);
	if (config)
		muster__identity_clear(&config->status_application.privileges);
	if (config)
		muster__free_values(&root_object, config);
	free(config);
}

bool muster__config_find_level(const char *word, enum muster_log_level *level)
{
	for (const struct muster__choice *choice = levels; choice->word; choice++)
		if (strcmp(choice->word, word) == 0) {
			*level = (enum muster_log_level)choice->value;
			return true;
		}
	return false;
}

const struct muster__grammar *muster__config_grammar(void)
{
	return &root_object;
}

void muster__config_complain(struct muster__config_errors *errors, const char *format, ...)
{
	char **lines = realloc(errors->lines, (errors->count + 1) * sizeof *lines), *line;
	va_list arguments;

	if (!lines)
		return;
	errors->lines = lines;
	va_start(arguments, format);
	if (vasprintf(&line, format, arguments) > 0)
		lines[errors->count++] = line;
	va_end(arguments);
}

void muster__config_errors_clear(struct muster__config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct muster__config_errors){ 0 };
}

int muster__config_default_control(char *path, size_t size)
{
	const char *folder = getenv("XDG_RUNTIME_DIR"), *service = getenv("RUNTIME_DIRECTORY");
	int length;

	/* A service's own, the first of them; systemd made it. */
	if (service && *service == '/')
		length = snprintf(path, size, "%.*s/control.sock", (int)strcspn(service, ":"), service);
	else if (geteuid() == 0)
		length = snprintf(path, size, "/run/muster/control.sock");
	else if (folder && *folder == '/')
		length = snprintf(path, size, "%s/muster.sock", folder);
	else
		length = -ENOENT;
	if (length >= 0 && (size_t)length < size)
		return 0;
	*path = '\0';
	return length < 0 ? -ENOENT : -ENAMETOOLONG;
}
