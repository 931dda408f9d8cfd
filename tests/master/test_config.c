/* tests/master/test_config.c - what a file says arrives in the struct, and what is wrong with it in a line that tells. */
#include "master/config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* The least a file must say, around what a test is about. */
#define ECHO "\"applications\":{\"echo\":{\"builtin\":\"echo\"}}"
#define ROOT(keys) "{" keys "\"listeners\":[{\"port\":1,\"application\":\"echo\"}]," ECHO "}"
#define LISTENER(keys) "{\"listeners\":[{\"application\":\"echo\"," keys "}]," ECHO "}"
#define LISTENERS(list) "{\"listeners\":[" list "]," ECHO "}"
#define APPLICATION(keys) "{\"listeners\":[{\"port\":1,\"application\":\"a\"}],\"applications\":{\"a\":{" keys "}}}"
#define PROGRAM(keys) "{\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"node\",\"app.js\"]" keys "}}}"
#define PROGRAM_LISTENER(keys)                                                                                         \
	"{\"listeners\":[{\"port\":1,\"application\":\"a\"" keys "}],\"applications\":{\"a\":{\"exec\":[\"node\"]}}}"
/* A program that is given its sockets. */
#define TAKER(keys, listener)                                                                                          \
	"{\"listeners\":[{\"port\":1,\"application\":\"a\"" listener "}],\"applications\":{\"a\":{\"exec\":[\"x\"],"   \
	"\"protocol\":\"listen-fds\"" keys "}}}"

static char folder[] = "/tmp/muster-config-XXXXXX";
static char file[sizeof folder + 16];
static struct muster__config *config;
static struct muster__config_errors errors;

static void set_up(void)
{
	strcpy(strrchr(folder, '-') + 1, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/muster.json", folder);
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/run/user/1", 1), 0);
	config = NULL;
	errors = (struct muster__config_errors){ 0 };
}

static void tear_down(void)
{
	muster__config_errors_clear(&errors);
	muster__config_free(config);
	unlink(file);
	rmdir(folder);
}

static int load(const char *text)
{
	FILE *stream = fopen(file, "w");

	ck_assert_ptr_nonnull(stream);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), stream), strlen(text));
	ck_assert_int_eq(fclose(stream), 0);
	muster__config_errors_clear(&errors);
	muster__config_free(config);
	return muster__config_load(&config, file, &errors);
}

static const char *first_error(void)
{
	return errors.count > 0 ? errors.lines[0] : "";
}

static void load_well(const char *text)
{
	int err = load(text);

	ck_assert_msg(err == 0, "%d: %s", err, first_error());
	ck_assert_ptr_nonnull(config);
	ck_assert_uint_eq(errors.count, 0);
}

/* An error without the file's name: "14: listeners[0].port: ...". */
static const char *error_at(size_t i)
{
	ck_assert_uint_lt(i, errors.count);
	ck_assert_int_eq(strncmp(errors.lines[i], file, strlen(file)), 0);
	ck_assert_int_eq(errors.lines[i][strlen(file)], ':');
	return errors.lines[i] + strlen(file) + 1;
}

static void load_badly(const char *text, const char *error)
{
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_ptr_null(config);
	ck_assert_str_eq(error_at(0), error);
	ck_assert_msg(errors.count == 1, "a second error: %s", errors.lines[errors.count - 1]);
}

/* ---- What a file says. */

/* As another user if we are root; back at the end, for tests may share one process. */
static void with_user(uid_t user)
{
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(user), 0);
}

START_TEST(every_key_arrives_in_the_struct)
{
	const struct muster__config_listener *listener;

	load_well(
		"{\"workers\": 3, \"pid_file\": \"/run/m.pid\",\n"
		" \"control\": {\"path\": \"/run/m.sock\", \"mode\": \"0660\"},\n"
		" \"log\": {\"level\": \"debug\", \"target\": \"/var/log/m\", \"format\": \"text\"},\n"
		" \"limits\": {\"max_connections\": 1000000000},\n"
		" \"restart\": {\"backoff_ms\": 1, \"backoff_max_ms\": 2, \"drain_timeout_ms\": 3, \"ready_timeout_ms\": 4},\n"
		" \"listeners\": [\n"
		"  {\"name\": \"one\", \"host\": \"::1\", \"port\": 65535, \"policy\": \"least-connections\",\n"
		"   \"backlog\": 7, \"max_connections\": 8, \"overflow\": \"drop\", \"timeout\": 2147483647, \"allow_half_open\": true,\n"
		"   \"no_delay\": true, \"keep_alive\": true, \"ipv6_only\": true, \"application\": \"sink\"},\n"
		"  {\"path\": \"/run/s\", \"readable_all\": true, \"writable_all\": true, \"policy\": \"shared\",\n"
		"   \"application\": \"front\"},\n"
		"  {\"fd_name\": \"activated\", \"application\": \"front\"}],\n"
		" \"applications\": {\"front\": {\"builtin\": \"proxy\", \"workers\": 9, \"worker_max_connections\": 10,\n"
		"   \"upstream\": {\"host\": \"h\", \"port\": 80}}, \"sink\": {\"builtin\": \"discard\"}}}");
	ck_assert_uint_eq(config->workers, 3);
	ck_assert_str_eq(config->pid_file, "/run/m.pid");
	ck_assert_str_eq(config->control_path, "/run/m.sock");
	ck_assert_uint_eq(config->control_mode, 0660);
	ck_assert_int_eq(config->log_level, MUSTER_LOG_DEBUG);
	ck_assert_str_eq(config->log_target, "/var/log/m");
	ck_assert_int_eq(config->log_format, MUSTER__LOG_TEXT);
	ck_assert_uint_eq(config->max_connections, 1000000000);
	ck_assert_uint_eq(config->life.backoff_ms, 1);
	ck_assert_uint_eq(config->life.backoff_max_ms, 2);
	ck_assert_uint_eq(config->life.drain_timeout_ms, 3);
	ck_assert_uint_eq(config->life.ready_timeout_ms, 4);

	ck_assert_uint_eq(config->listener_count, 3);
	listener = &config->listeners[0];
	ck_assert_str_eq(listener->name, "one");
	ck_assert_str_eq(listener->host, "::1");
	ck_assert_ptr_null(listener->path);
	ck_assert_uint_eq(listener->port, 65535);
	ck_assert_int_eq(listener->policy, MUSTER_POLICY_LEAST_CONNECTIONS);
	ck_assert_int_eq(listener->backlog, 7);
	ck_assert_uint_eq(listener->max_connections, 8);
	ck_assert_int_eq(listener->overflow, MUSTER__OVERFLOW_DROP);
	ck_assert_uint_eq(listener->timeout_ms, 2147483647);
	ck_assert(listener->allow_half_open && listener->no_delay && listener->keep_alive && listener->ipv6_only);
	ck_assert(!listener->readable_all && !listener->writable_all);
	ck_assert_uint_eq(listener->application, 1);
	listener = &config->listeners[1];
	ck_assert_str_eq(listener->path, "/run/s");
	ck_assert_int_eq(listener->policy, MUSTER_POLICY_SHARED);
	ck_assert(listener->readable_all && listener->writable_all && !listener->ipv6_only);
	ck_assert_uint_eq(listener->application, 0);
	ck_assert_ptr_null(listener->fd_name);
	listener = &config->listeners[2];
	ck_assert_str_eq(listener->fd_name, "activated");
	ck_assert_ptr_null(listener->host);
	ck_assert_ptr_null(listener->path);

	ck_assert_uint_eq(config->application_count, 2);
	ck_assert_str_eq(config->applications[0].name, "front");
	ck_assert_int_eq(config->applications[0].builtin, MUSTER__BUILTIN_PROXY);
	ck_assert_str_eq(config->applications[0].upstream_host, "h");
	ck_assert_uint_eq(config->applications[0].upstream_port, 80);
	ck_assert_ptr_null(config->applications[0].upstream_path);
	ck_assert_uint_eq(config->applications[0].workers, 9);
	ck_assert_uint_eq(config->applications[0].worker_max_connections, 10);
	ck_assert_int_eq(config->applications[1].builtin, MUSTER__BUILTIN_DISCARD);
	ck_assert_uint_eq(config->applications[1].workers, 3);
}
END_TEST

START_TEST(what_is_not_said_has_its_default)
{
	const struct muster__config_listener *listener;
	char control[108];
	cpu_set_t set;

	load_well(ROOT(""));
	ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
	ck_assert_uint_eq(config->workers, (unsigned)CPU_COUNT(&set));
	ck_assert_int_eq(muster__config_default_control(control, sizeof control), 0);
	ck_assert_str_eq(config->control_path, control);
	ck_assert_uint_eq(config->control_mode, 0600);
	ck_assert_int_eq(config->log_level, MUSTER_LOG_INFO);
	ck_assert_ptr_null(config->log_target);
	ck_assert_int_eq(config->log_format, MUSTER__LOG_TEXT);
	ck_assert_uint_eq(config->max_connections, 0);
	ck_assert_uint_eq(config->life.backoff_ms, 100);
	ck_assert_uint_eq(config->life.backoff_max_ms, 10000);
	ck_assert_uint_eq(config->life.drain_timeout_ms, 30000);
	ck_assert_uint_eq(config->life.ready_timeout_ms, 30000);
	ck_assert_ptr_null(config->pid_file);

	listener = config->listeners;
	ck_assert_ptr_null(listener->host);
	ck_assert_ptr_null(listener->path);
	ck_assert_int_eq(listener->policy, MUSTER_POLICY_ROUND_ROBIN);
	ck_assert_int_eq(listener->overflow, MUSTER__OVERFLOW_WAIT);
	ck_assert_int_eq(listener->backlog, 0);
	ck_assert_uint_eq(listener->max_connections, 0);
	ck_assert_uint_eq(listener->timeout_ms, 0);
	ck_assert(!listener->allow_half_open && !listener->no_delay && !listener->keep_alive);
	ck_assert(!listener->ipv6_only && !listener->readable_all && !listener->writable_all);
	ck_assert_int_eq(config->applications[0].builtin, MUSTER__BUILTIN_ECHO);
	ck_assert_uint_eq(config->applications[0].workers, config->workers);
}
END_TEST

START_TEST(automatic_workers_are_the_processors_we_may_use)
{
	cpu_set_t all, one;
	int cpu = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	load_well("{\"workers\": 5, \"listeners\": [{\"port\": 1, \"application\": \"a\"}],"
		  " \"applications\": {\"a\": {\"builtin\": \"echo\", \"workers\": \"auto\"}}}");
	ck_assert_uint_eq(config->applications[0].workers, 1);
	load_well(ROOT("\"workers\":\"auto\","));
	ck_assert_uint_eq(config->workers, 1);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
}
END_TEST

static const struct {
	const char *keys, *name;
} names[] = {
	{ LISTENER("\"port\":80"), "*:80" },
	{ LISTENER("\"port\":0,\"host\":\"localhost\""), "localhost:0" },
	{ LISTENER("\"port\":80,\"host\":\"127.0.0.1\""), "127.0.0.1:80" },
	{ LISTENER("\"port\":80,\"host\":\"::1\""), "[::1]:80" },
	{ LISTENER("\"path\":\"/run/x.sock\""), "/run/x.sock" },
	{ LISTENER("\"path\":\"@x\""), "@x" },
	{ LISTENER("\"port\":80,\"name\":\"web\""), "web" },
	{ LISTENER("\"fd_name\":\"muster.socket\""), "muster.socket" },
	{ LISTENER("\"fd_name\":\"muster.socket\",\"name\":\"web\""), "web" },
};

START_TEST(a_listener_without_a_name_is_called_by_its_place)
{
	load_well(names[_i].keys);
	ck_assert_str_eq(config->listeners[0].name, names[_i].name);
}
END_TEST

START_TEST(relative_paths_begin_at_the_folder_of_the_file)
{
	char expected[sizeof folder + 32];

	load_well("{\"pid_file\": \"run/pid\", \"control\": {\"path\": \"../c\"}, \"log\": {\"target\": \"./stderr\"},"
		  " \"listeners\": [{\"path\": \"l\", \"application\": \"a\"}],"
		  " \"applications\": {\"a\": {\"builtin\": \"proxy\", \"upstream\": {\"path\": \"u\"}}}}");
	snprintf(expected, sizeof expected, "%s/run/pid", folder);
	ck_assert_str_eq(config->pid_file, expected);
	snprintf(expected, sizeof expected, "%s/../c", folder);
	ck_assert_str_eq(config->control_path, expected);
	snprintf(expected, sizeof expected, "%s/./stderr", folder);
	ck_assert_str_eq(config->log_target, expected);
	snprintf(expected, sizeof expected, "%s/l", folder);
	ck_assert_str_eq(config->listeners[0].path, expected);
	snprintf(expected, sizeof expected, "%s/u", folder);
	ck_assert_str_eq(config->applications[0].upstream_path, expected);
}
END_TEST

START_TEST(a_file_in_the_current_folder_leaves_paths_as_they_are)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(here, 0);
	load_well(ROOT("\"pid_file\":\"pid\","));
	ck_assert_int_eq(chdir(folder), 0);
	muster__config_free(config);
	ck_assert_int_eq(muster__config_load(&config, "muster.json", &errors), 0);
	ck_assert_str_eq(config->pid_file, "pid");
	ck_assert_int_eq(fchdir(here), 0);
	close(here);
}
END_TEST

START_TEST(an_abstract_name_is_left_alone)
{
	load_well("{\"listeners\": [{\"path\": \"@l/x\", \"application\": \"a\"}],"
		  " \"applications\": {\"a\": {\"builtin\": \"proxy\", \"upstream\": {\"path\": \"@u\"}}}}");
	ck_assert_str_eq(config->listeners[0].path, "@l/x");
	ck_assert_str_eq(config->applications[0].upstream_path, "@u");
}
END_TEST

START_TEST(the_path_of_a_socket_may_have_107_bytes)
{
	char text[512], expected[256], path[110] = "/";

	memset(path + 1, 'x', 107);
	path[107] = '\0';
	snprintf(text, sizeof text, LISTENERS("{\"path\":\"%s\",\"application\":\"echo\"}"), path);
	load_well(text);
	ck_assert_str_eq(config->listeners[0].path, path);

	path[107] = 'x';
	snprintf(text, sizeof text, LISTENERS("{\"path\":\"%s\",\"application\":\"echo\"}"), path);
	snprintf(expected, sizeof expected,
		 "1: listeners[0].path: \"%s\" is 108 bytes long, the path of a socket at most 107", path);
	load_badly(text, expected);
}
END_TEST

START_TEST(the_length_of_a_path_counts_its_folder)
{
	char text[512], path[108 - sizeof folder + 1];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	snprintf(text, sizeof text, LISTENERS("{\"path\":\"%s\",\"application\":\"echo\"}"), path);
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error_at(0), "is 108 bytes long"));
	path[sizeof path - 2] = '\0';
	snprintf(text, sizeof text, LISTENERS("{\"path\":\"%s\",\"application\":\"echo\"}"), path);
	load_well(text);
}
END_TEST

START_TEST(an_application_has_its_own_user_or_that_of_all)
{
	load_well("{\"user\":\"daemon\",\"group\":\"4242\",\"no_new_privileges\":true,"
		  "\"keep_capabilities\":[\"net_bind_service\",\"kill\"],\"listeners\":[],\"applications\":{"
		  "\"a\":{\"exec\":[\"x\"]},"
		  "\"b\":{\"exec\":[\"x\"],\"user\":\"nobody\",\"clean_env\":true},"
		  "\"c\":{\"exec\":[\"x\"],\"user\":\"4011999111\",\"group\":\"4243\"},"
		  "\"d\":{\"exec\":[\"x\"],\"group\":\"4244\"}}}");
	ck_assert_uint_eq(config->applications[0].privileges.uid, 1);
	ck_assert_uint_eq(config->applications[0].privileges.gid, 4242);
	ck_assert(config->applications[0].privileges.no_new_privileges && config->applications[0].privileges.keeps);
	ck_assert_uint_eq(config->applications[0].privileges.capabilities, 1u << 10 | 1u << 5);
	ck_assert(!config->applications[0].privileges.clean_env);
	ck_assert_uint_eq(config->applications[1].privileges.uid, 65534);
	ck_assert_uint_eq(config->applications[1].privileges.gid, 65534);
	ck_assert_str_eq(config->applications[1].privileges.name, "nobody");
	ck_assert(config->applications[1].privileges.clean_env);
	ck_assert_uint_eq(config->applications[2].privileges.uid, 4011999111u);
	ck_assert_uint_eq(config->applications[2].privileges.gid, 4243);
	ck_assert_uint_eq(config->applications[2].privileges.group_count, 0);
	ck_assert_ptr_null(config->applications[2].privileges.name);
	ck_assert_uint_eq(config->applications[3].privileges.uid, 1);
	ck_assert_uint_eq(config->applications[3].privileges.gid, 4244);
	load_well(ROOT(""));
	ck_assert(!config->applications[0].privileges.has_user && !config->applications[0].privileges.has_group);
	ck_assert(!config->applications[0].privileges.keeps);
}
END_TEST

static const struct {
	const char *keys;
	bool is_refused;
} identities[] = {
	{ ROOT("\"user\":\"daemon\","), true },
	{ ROOT("\"chroot\":\"/\","), true },
	{ ROOT("\"user\":\"nobody\",\"group\":\"0\","), false },
	{ ROOT("\"no_new_privileges\":true,"), false },
};

START_TEST(only_root_gives_workers_another_user_or_root)
{
	if (getuid() != 0)
		return;
	load_well(identities[_i].keys);
	ck_assert_ptr_null(muster__identity_refusal(&config->applications[0].privileges));
	with_user(65534);
	ck_assert_int_eq(muster__identity_refusal(&config->applications[0].privileges) != NULL,
			 identities[_i].is_refused);
	with_user(0);
}
END_TEST

START_TEST(what_a_program_is_told_arrives)
{
	const struct muster__config_application *application;

	load_well(PROGRAM(",\"protocol\":\"node\",\"directory\":\"/srv\",\"workers\":2,"
			  "\"env\":{\"NAME\":\"a=b\",\"EMPTY\":\"\",\"LINES\":\"1\\n2\"}"));
	ck_assert_uint_eq(config->listener_count, 0);
	application = &config->applications[0];
	ck_assert_int_eq(application->builtin, 0);
	ck_assert_int_eq(application->protocol, MUSTER__PROGRAM_NODE);
	ck_assert_str_eq(application->exec[0], "node");
	ck_assert_str_eq(application->exec[1], "app.js");
	ck_assert_ptr_null(application->exec[2]);
	ck_assert_str_eq(application->env[0], "NAME=a=b");
	ck_assert_str_eq(application->env[1], "EMPTY=");
	ck_assert_str_eq(application->env[2], "LINES=1\n2");
	ck_assert_ptr_null(application->env[3]);
	ck_assert_str_eq(application->directory, "/srv");
	ck_assert_uint_eq(application->workers, 2);
}
END_TEST

START_TEST(a_program_is_told_no_more_than_it_has_to_be)
{
	const struct muster__config_application *application;
	char expected[sizeof folder + 1];

	load_well(PROGRAM(""));
	application = &config->applications[0];
	ck_assert_int_eq(application->protocol, MUSTER__PROGRAM_NODE);
	ck_assert_ptr_null(application->env);
	snprintf(expected, sizeof expected, "%s/", folder);
	ck_assert_str_eq(application->directory, expected);
	ck_assert_uint_eq(application->workers, config->workers);
	load_well(ROOT(""));
	ck_assert_ptr_null(config->applications[0].exec);
	ck_assert_ptr_null(config->applications[0].directory);
}
END_TEST

/* What follows the program is not ours to understand. */
static const struct {
	const char *program, *word;
	bool from_folder;
} programs[] = {
	{ "node", "bin/app.js", false }, { "/usr/bin/env", "./app.js", false },  { "bin/serve", "bin/app.js", true },
	{ "./serve", "a\\nb\\t", true }, { "../other/serve", "../other", true }, { "serve/", "/", true },
};

START_TEST(only_a_program_with_a_slash_is_a_path_and_is_so_from_the_folder_of_the_file)
{
	char text[256], expected[128];

	snprintf(text, sizeof text, "{\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"%s\",\"%s\"]}}}",
		 programs[_i].program, programs[_i].word);
	load_well(text);
	snprintf(expected, sizeof expected, "%s%s%s", programs[_i].from_folder ? folder : "",
		 programs[_i].from_folder ? "/" : "", programs[_i].program);
	ck_assert_str_eq(config->applications[0].exec[0], expected);
	ck_assert_str_eq(config->applications[0].exec[1], _i == 3 ? "a\nb\t" : programs[_i].word);
}
END_TEST

/* It is executed from another folder than the daemon is started from. */
START_TEST(the_path_of_a_program_is_absolute_even_if_that_of_the_file_is_not)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char expected[sizeof folder + 16];

	ck_assert_int_ge(here, 0);
	load_well("{\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"bin/x\"]},"
		  "\"b\":{\"exec\":[\"y\"],\"directory\":\"sub\"}}}");
	ck_assert_int_eq(chdir(folder), 0);
	muster__config_free(config);
	ck_assert_int_eq(muster__config_load(&config, "muster.json", &errors), 0);
	snprintf(expected, sizeof expected, "%s/bin/x", folder);
	ck_assert_str_eq(config->applications[0].exec[0], expected);
	snprintf(expected, sizeof expected, "%s/", folder);
	ck_assert_str_eq(config->applications[0].directory, expected);
	ck_assert_str_eq(config->applications[1].directory, "sub");
	ck_assert_int_eq(fchdir(here), 0);
	close(here);
}
END_TEST

START_TEST(an_application_has_what_the_top_level_says_and_what_it_says_itself)
{
	const struct muster__config_life *all, *own;

	/* The order in the file does not matter. */
	load_well("{\"applications\": {\"a\": {\"exec\": [\"x\"], \"ready\": \"message\", \"nice\": -5,\n"
		  "   \"restart\": {\"budget\": 7, \"max_memory\": \"3G\"}, \"limits\": {\"core\": 0}},\n"
		  "  \"b\": {\"exec\": [\"x\"], \"cpu_affinity\": false}},\n"
		  " \"restart\": {\"budget\": 6, \"kill_timeout_ms\": 1, \"heartbeat_ms\": 2, \"max_requests\": 3,\n"
		  "  \"max_lifetime_ms\": 4, \"max_memory\": \"64M\", \"jitter\": 0},\n"
		  " \"limits\": {\"nofile\": 100, \"core\": \"unlimited\"}, \"nice\": 19, \"cpu_affinity\": true,\n"
		  " \"listeners\": []}");
	all = &config->applications[1].life;
	ck_assert_uint_eq(all->budget, 6);
	ck_assert_uint_eq(all->kill_timeout_ms, 1);
	ck_assert_uint_eq(all->heartbeat_ms, 2);
	ck_assert_uint_eq(all->max_requests, 3);
	ck_assert_uint_eq(all->max_lifetime_ms, 4);
	ck_assert_uint_eq(all->max_memory.bytes, 64 << 20);
	ck_assert_uint_eq(all->jitter, 0);
	ck_assert_uint_eq(all->nofile, 100);
	ck_assert_uint_eq(all->core.bytes, UINT64_MAX);
	ck_assert_int_eq(all->nice, 19);
	ck_assert(!all->cpu_affinity);
	ck_assert_int_eq(config->applications[1].ready, MUSTER_READY_DEFAULT);
	own = &config->applications[0].life;
	ck_assert_uint_eq(own->budget, 7);
	ck_assert_uint_eq(own->heartbeat_ms, 2);
	ck_assert_uint_eq(own->max_memory.bytes, (uint64_t)3 << 30);
	ck_assert_uint_eq(own->nofile, 100);
	ck_assert(own->core.given && own->core.bytes == 0);
	ck_assert_int_eq(own->nice, -5);
	ck_assert(own->cpu_affinity);
	ck_assert_int_eq(config->applications[0].ready, MUSTER_READY_SAID);
}
END_TEST

static const char *const accepted[] = {
	ROOT("\"restart\":{\"max_memory\":9223372036854775807},"),
	ROOT("\"restart\":{\"max_memory\":\"8589934591G\"},"),
	ROOT("\"limits\":{\"core\":\"12K\"},"),
	ROOT("\"nice\":-20,\"cpu_affinity\":false,"),
	PROGRAM(",\"ready\":\"listeners\",\"restart\":{},\"limits\":{\"nofile\":16}"),
	ROOT("\"workers\":1,"),
	ROOT("\"workers\":512,"),
	ROOT("\"control\":{},\"log\":{},\"limits\":{},\"restart\":{},"),
	ROOT("\"control\":{\"mode\":\"777\"},"),
	ROOT("\"limits\":{\"max_connections\":0},"),
	ROOT("\"log\":{\"level\":\"error\"},"),
	ROOT("\"log\":{\"level\":\"warn\",\"target\":\"stderr\"},"),
	ROOT("\"restart\":{\"drain_timeout_ms\":0},"),
	ROOT("\"restart\":{\"backoff_ms\":10000},"),
	ROOT("\"restart\":{\"backoff_ms\":3600000,\"backoff_max_ms\":3600000},"),
	ROOT("\"w\\u006frkers\":2,"),
	ROOT("\"status\":{\"port\":9145},"),
	ROOT("\"status\":{\"port\":9145,\"host\":\"::1\"},"),
	ROOT("\"status\":{\"port\":9145,\"host\":\"127.9.9.9\"},"),
	ROOT("\"status\":{\"port\":9145,\"host\":\"localhost\"},"),
	ROOT("\"status\":{\"port\":9145,\"host\":\"0.0.0.0\",\"public\":true},"),
	ROOT("\"status\":{\"path\":\"/x\",\"writable_all\":true},"),
	LISTENER("\"port\":0"),
	LISTENER("\"port\":1,\"backlog\":65535,\"max_connections\":1000000000"),
	LISTENER("\"port\":1,\"no_delay\":false"),
	LISTENERS("{\"port\":1,\"application\":\"echo\"},{\"port\":2,\"application\":\"echo\"}"),
	LISTENERS("{\"port\":1,\"host\":\"::1\",\"application\":\"echo\"},"
		  "{\"port\":1,\"host\":\"127.0.0.1\",\"application\":\"echo\"}"),
	LISTENERS("{\"port\":0,\"name\":\"a\",\"application\":\"echo\"},{\"port\":0,\"application\":\"echo\"}"),
	APPLICATION("\"builtin\":\"proxy\",\"upstream\":{\"path\":\"/x\"}"),
	APPLICATION("\"builtin\":\"discard\",\"workers\":512"),
	APPLICATION("\"exec\":[\"x\"]"),
	PROGRAM(",\"protocol\":\"node\",\"env\":{},\"directory\":\"/\",\"workers\":512"),
	PROGRAM_LISTENER(",\"policy\":\"shared\",\"backlog\":1,\"max_connections\":1,\"ipv6_only\":true"),
};

START_TEST(the_ends_of_each_range_are_accepted)
{
	load_well(accepted[_i]);
}
END_TEST

/* ---- What is wrong with it. One mistake, one message. */

#define REST_STATUS(listener)                                                                                          \
	"\"listeners\":[{" listener ",\"application\":\"a\"}],\"applications\":{\"a\":{\"builtin\":\"echo\"}}}"

static const struct {
	const char *text, *error;
} mistakes[] = {
	/* Kinds and ranges. */
	{ "[]", "1: expected an object, found an empty array" },
	{ ROOT("\"workers\":0,"), "1: workers: 0 is not in 1..512" },
	{ ROOT("\"workers\":513,"), "1: workers: 513 is not in 1..512" },
	{ ROOT("\"workers\":\"all\","), "1: workers: expected \"auto\" or an integer in 1..512, found \"all\"" },
	{ ROOT("\"workers\":1.5,"), "1: workers: expected \"auto\" or an integer in 1..512, found 1.5" },
	{ ROOT("\"workers\":null,"), "1: workers: expected \"auto\" or an integer in 1..512, found null" },
	{ ROOT("\"control\":\"/x\","), "1: control: expected an object, found \"/x\"" },
	{ ROOT("\"control\":{\"mode\":\"0800\"},"),
	  "1: control.mode: expected an octal mode as \"0600\", found \"0800\"" },
	{ ROOT("\"control\":{\"mode\":\"1777\"},"),
	  "1: control.mode: expected an octal mode as \"0600\", found \"1777\"" },
	{ ROOT("\"control\":{\"mode\":384},"), "1: control.mode: expected an octal mode as \"0600\", found 384" },
	{ ROOT("\"control\":{\"path\":\"@x\"},"), "1: control.path: no mode guards an abstract name: name a file" },
	{ ROOT("\"status\":{},"), "1: status: \"port\" or \"path\" is missing" },
	{ ROOT("\"status\":{\"port\":0},"), "1: status.port: 0 is not in 1..65535" },
	{ ROOT("\"status\":{\"port\":1,\"path\":\"/x\"},"), "1: status.port: cannot stand beside \"path\"" },
	{ ROOT("\"status\":{\"port\":1,\"host\":\"192.0.2.1\"},"),
	  "1: status.host: is not the loopback: whoever reaches it reads the status; say so with \"public\": true" },
	{ ROOT("\"status\":{\"port\":2,\"host\":\"::\"},"),
	  "1: status.host: is not the loopback: whoever reaches it reads the status; say so with \"public\": true" },
	{ ROOT("\"status\":{\"port\":1,\"host\":\"localhost.example\"},"),
	  "1: status.host: is not the loopback: whoever reaches it reads the status; say so with \"public\": true" },
	{ ROOT("\"status\":{\"path\":\"/x\",\"public\":true},"), "1: status.public: cannot stand beside \"path\"" },
	{ ROOT("\"status\":{\"port\":1,\"writable_all\":true},"),
	  "1: status.writable_all: has no meaning without \"path\"" },
	{ "{\"status\":{\"path\":\"/x\"}," REST_STATUS("\"name\":\"status\",\"port\":1"),
	  "1: listeners[0].name: \"status\" is the name of the listener of the status" },
	{ "{\"status\":{\"path\":\"/x\"}," REST_STATUS("\"path\":\"/x\""),
	  "1: listeners[0].path: the status is served there already" },
	{ "{\"status\":{\"port\":1}," REST_STATUS("\"port\":1,\"host\":\"127.0.0.1\""),
	  "1: listeners[0].port: the status is served there already" },
	{ ROOT("\"log\":{\"level\":\"loud\"},"),
	  "1: log.level: expected \"error\" or \"warn\" or \"info\" or \"debug\", found \"loud\"" },
	{ ROOT("\"log\":{\"format\":\"xml\"},"), "1: log.format: expected \"text\" or \"json\", found \"xml\"" },
	{ ROOT("\"log\":{\"target\":[]},"),
	  "1: log.target: expected a string that is not empty, found an empty array" },
	{ ROOT("\"pid_file\":\"\","), "1: pid_file: expected a string that is not empty, found \"\"" },
	{ ROOT("\"pid_file\":\"a\\nb\","),
	  "1: pid_file: expected a string without control characters, found \"a\\nb\"" },
	{ ROOT("\"limits\":{\"max_connections\":1000000001},"),
	  "1: limits.max_connections: 1000000001 is not in 0..1000000000" },
	{ ROOT("\"restart\":{\"drain_timeout_ms\":-1},"), "1: restart.drain_timeout_ms: -1 is not in 0..2147483647" },
	{ ROOT("\"restart\":{\"ready_timeout_ms\":0},"), "1: restart.ready_timeout_ms: 0 is not in 1..2147483647" },
	{ ROOT("\"restart\":{\"jitter\":101},"), "1: restart.jitter: 101 is not in 0..100" },
	{ ROOT("\"restart\":{\"max_memory\":-1},"),
	  "1: restart.max_memory: expected a number of bytes, as 4096 or \"64M\", found -1" },
	{ ROOT("\"restart\":{\"max_memory\":\"8589934592G\"},"),
	  "1: restart.max_memory: expected a number of bytes, as 4096 or \"64M\", found \"8589934592G\"" },
	{ ROOT("\"restart\":{\"max_memory\":\"64MB\"},"),
	  "1: restart.max_memory: expected a number of bytes, as 4096 or \"64M\", found \"64MB\"" },
	{ ROOT("\"restart\":{\"max_memory\":\"-1\"},"),
	  "1: restart.max_memory: expected a number of bytes, as 4096 or \"64M\", found \"-1\"" },
	{ ROOT("\"restart\":{\"max_memory\":\"unlimited\"},"),
	  "1: restart.max_memory: expected a number of bytes, as 4096 or \"64M\", found \"unlimited\"" },
	{ ROOT("\"limits\":{\"core\":\"\"},"),
	  "1: limits.core: expected a number of bytes, as 4096 or \"64M\", or \"unlimited\", found \"\"" },
	{ ROOT("\"nice\":20,"), "1: nice: 20 is not in -20..19" },
	{ ROOT("\"nice\":-21,"), "1: nice: -21 is not in -20..19" },
	{ ROOT("\"nice\":true,"), "1: nice: expected an integer in -20..19, found true" },
	{ ROOT("\"cpu_afinity\":true,"),
	  "1: cpu_afinity: unknown key \"cpu_afinity\", did you mean \"cpu_affinity\"?" },
	{ APPLICATION("\"builtin\":\"echo\",\"ready\":\"online\""),
	  "1: applications.a.ready: only a module or a program, \"exec\", has one" },
	{ PROGRAM(",\"ready\":\"now\""),
	  "1: applications.a.ready: expected \"listeners\" or \"online\" or \"listening\" or \"message\", found \"now\"" },
	{ PROGRAM(",\"limits\":{\"max_connections\":1}"),
	  "1: applications.a.limits.max_connections: unknown key \"max_connections\", known are \"nofile\", \"core\"" },
	{ PROGRAM(",\"restart\":{\"backoff_ms\":10001}"),
	  "1: applications.a.restart: backoff_ms, 10001, is more than backoff_max_ms, 10000" },
	{ PROGRAM(",\"nice\":99"), "1: applications.a.nice: 99 is not in -20..19" },
	{ ROOT("\"restart\":{\"backoff_ms\":10001},"),
	  "1: restart: backoff_ms, 10001, is more than backoff_max_ms, 10000" },
	{ LISTENER("\"port\":65536"), "1: listeners[0].port: 65536 is not in 0..65535" },
	{ LISTENER("\"port\":-1"), "1: listeners[0].port: -1 is not in 0..65535" },
	{ LISTENER("\"port\":9223372036854775807"), "1: listeners[0].port: 9223372036854775807 is not in 0..65535" },
	{ LISTENER("\"port\":\"80\""), "1: listeners[0].port: expected an integer in 0..65535, found \"80\"" },
	{ LISTENER("\"port\":{\"a\":1}"), "1: listeners[0].port: expected an integer in 0..65535, found an object" },
	{ LISTENER("\"port\":1,\"host\":4"), "1: listeners[0].host: expected a string that is not empty, found 4" },
	{ LISTENER("\"port\":1,\"name\":true"),
	  "1: listeners[0].name: expected a string that is not empty, found true" },
	{ LISTENER("\"port\":1,\"policy\":\"fair\""), "1: listeners[0].policy: expected \"round-robin\" or "
						      "\"least-connections\" or \"shared\" or \"reuse-port\" or "
						      "\"exclusive\", found \"fair\"" },
	{ LISTENER("\"port\":1,\"overflow\":\"spill\""),
	  "1: listeners[0].overflow: expected \"wait\" or \"drop\", found \"spill\"" },
	{ LISTENER("\"path\":\"/s\",\"policy\":\"reuse-port\""),
	  "1: listeners[0].policy: \"reuse-port\" needs a port, a path cannot have it" },
	{ LISTENER("\"port\":1,\"backlog\":0"), "1: listeners[0].backlog: 0 is not in 1..65535" },
	{ LISTENER("\"port\":1,\"timeout\":2147483648"),
	  "1: listeners[0].timeout: 2147483648 is not in 0..2147483647" },
	{ LISTENER("\"port\":1,\"no_delay\":1"), "1: listeners[0].no_delay: expected true or false, found 1" },
	{ LISTENERS("7"), "1: listeners[0]: expected an object, found 7" },
	{ LISTENERS(""), "1: applications.echo: no listener names this application: it would have nothing to do" },
	{ "{\"listeners\":{},\"applications\":{\"a\":{\"builtin\":\"echo\"}}}",
	  "1: listeners: expected an array of objects, found an empty object" },
	{ "{\"listeners\":[{\"port\":1,\"application\":\"a\"}],\"applications\":{}}",
	  "1: applications: expected an object of at least one object by name, found an empty object" },
	{ "{\"listeners\":[{\"port\":1,\"application\":\"\"}],\"applications\":{\"\":{\"builtin\":\"echo\"}}}",
	  "1: applications[\"\"]: expected a string that is not empty as the name" },
	{ APPLICATION("\"builtin\":\"ekko\""),
	  "1: applications.a.builtin: expected \"echo\" or \"discard\" or \"proxy\", found \"ekko\"" },
	{ APPLICATION("\"builtin\":\"echo\",\"workers\":0"), "1: applications.a.workers: 0 is not in 1..512" },
	{ APPLICATION("\"exec\":[]"),
	  "1: applications.a.exec: expected an array of at least one string, found an empty array" },
	{ APPLICATION("\"exec\":\"node\""),
	  "1: applications.a.exec: expected an array of at least one string, found \"node\"" },
	{ APPLICATION("\"exec\":{\"a\":\"b\"}"),
	  "1: applications.a.exec: expected an array of at least one string, found an object" },
	{ APPLICATION("\"exec\":[\"\"]"),
	  "1: applications.a.exec[0]: expected a string that is not empty, found \"\"" },
	{ APPLICATION("\"exec\":[\"a\\nb\"]"),
	  "1: applications.a.exec[0]: expected a string without control characters, found \"a\\nb\"" },
	{ APPLICATION("\"exec\":[\"node\",1,\"x\"]"),
	  "1: applications.a.exec[1]: expected a string that is not empty, found 1" },
	{ APPLICATION("\"exec\":[\"node\",\"x\",\"\"]"),
	  "1: applications.a.exec[2]: expected a string that is not empty, found \"\"" },
	{ PROGRAM(",\"protocol\":\"listen\""),
	  "1: applications.a.protocol: expected \"node\" or \"listen-fds\", found \"listen\"" },
	{ PROGRAM(",\"ready_after\":5"),
	  "1: applications.a.ready_after: only a program with the protocol \"listen-fds\" has one" },
	{ PROGRAM(",\"non_blocking\":true"),
	  "1: applications.a.non_blocking: only a program with the protocol \"listen-fds\" has one" },
	{ TAKER(",\"ready\":\"message\",\"ready_after\":5", ""),
	  "1: applications.a.ready_after: has no meaning beside this \"ready\"" },
	{ TAKER(",\"ready\":\"listening\"", ""),
	  "1: applications.a.ready: a program that is given sockets does not say that it listens" },
	{ TAKER(",\"worker_max_connections\":1", ""),
	  "1: applications.a.worker_max_connections: a program that is given sockets does not tell it" },
	{ TAKER("", ",\"max_connections\":1"),
	  "1: listeners[0].max_connections: a program that is given sockets does not tell what it accepts" },
	{ TAKER("", ",\"policy\":\"round-robin\""),
	  "1: listeners[0].policy: a program that is given sockets shares them with all its workers" },
	{ PROGRAM(",\"env\":[\"A=b\"]"), "1: applications.a.env: expected an object of strings, found an array" },
	{ PROGRAM(",\"env\":{\"A\":\"b\",\"PORT\":80}"), "1: applications.a.env.PORT: expected a string, found 80" },
	{ PROGRAM(",\"env\":{\"\":\"b\"}"),
	  "1: applications.a.env[\"\"]: expected a string that is not empty as the name" },
	{ PROGRAM(",\"env\":{\"A=B\":\"b\"}"),
	  "1: applications.a.env[\"A=B\"]: expected a string without \"=\" as the name" },
	{ PROGRAM(",\"env\":{\"A\\n\":\"b\"}"),
	  "1: applications.a.env[\"A\\n\"]: expected a string without control characters as the name" },
	{ PROGRAM(",\"directory\":\"\""),
	  "1: applications.a.directory: expected a string that is not empty, found \"\"" },
	{ PROGRAM(",\"directory\":false"),
	  "1: applications.a.directory: expected a string that is not empty, found false" },

	/* Keys. */
	{ ROOT("\"worker\":1,"), "1: worker: unknown key \"worker\", did you mean \"workers\"?" },
	{ ROOT("\"Log\":{},"), "1: Log: unknown key \"Log\", did you mean \"log\"?" },
	{ ROOT("\"log\":{\"tagret\":\"x\"},"), "1: log.tagret: unknown key \"tagret\", did you mean \"target\"?" },
	{ ROOT("\"control\":{\"socket\":\"x\"},"),
	  "1: control.socket: unknown key \"socket\", known are \"path\", \"mode\", \"group\"" },
	{ ROOT("\"log\":{\"a\\nb\":\"x\"},"),
	  "1: log[\"a\\nb\"]: unknown key \"a\\nb\", known are \"level\", \"target\", "
	  "\"format\"" },
	{ ROOT("\"limits\":{\"memory\":1},"),
	  "1: limits.memory: unknown key \"memory\", known are \"max_connections\", \"nofile\", \"core\"" },
	{ LISTENER("\"port\":1,\"polcy\":\"shared\""),
	  "1: listeners[0].polcy: unknown key \"polcy\", did you mean \"policy\"?" },
	{ LISTENER("\"port\":1,\"maxConnections\":1"),
	  "1: listeners[0].maxConnections: unknown key \"maxConnections\", did you mean \"max_connections\"?" },
	{ APPLICATION("\"builtin\":\"echo\",\"wisdom\":\"x\""),
	  "1: applications.a.wisdom: unknown key \"wisdom\", known are \"builtin\", \"upstream\", \"module\", "
	  "\"config\", \"exec\", "
	  "\"protocol\", \"output\", \"ready_after\", \"non_blocking\", \"env\", \"clean_env\", \"directory\", \"user\", \"group\", \"workers\", "
	  "\"worker_max_connections\", \"ready\", \"limits\", \"restart\", \"nice\", \"cpu_affinity\"" },
	{ "{\"listeners\":[{\"port\":1,\"application\":\"a\"}]}", "1: \"applications\" is missing" },
	{ "{" ECHO "}", "1: \"listeners\" is missing" },
	{ LISTENERS("{\"port\":1}"), "1: listeners[0]: \"application\" is missing" },
	{ APPLICATION("\"workers\":1"), "1: applications.a: \"builtin\", \"module\" or \"exec\" is missing" },

	/* Rules that join several. */
	{ LISTENER("\"name\":\"x\""), "1: listeners[0]: \"port\", \"path\" or \"fd_name\" is missing" },
	{ LISTENER("\"host\":\"::\""), "1: listeners[0]: \"port\", \"path\" or \"fd_name\" is missing" },
	{ LISTENER("\"port\":0,\"path\":\"/x\""), "1: listeners[0].port: cannot stand beside \"path\"" },
	{ LISTENER("\"host\":\"::\",\"path\":\"/x\""), "1: listeners[0].host: cannot stand beside \"path\"" },
	{ LISTENER("\"ipv6_only\":true,\"path\":\"/x\""), "1: listeners[0].ipv6_only: cannot stand beside \"path\"" },
	{ LISTENER("\"port\":1,\"readable_all\":true"),
	  "1: listeners[0].readable_all: has no meaning without \"path\"" },
	{ LISTENER("\"port\":1,\"writable_all\":true"),
	  "1: listeners[0].writable_all: has no meaning without \"path\"" },
	{ LISTENER("\"fd_name\":\"a\",\"port\":1"), "1: listeners[0].port: cannot stand beside \"fd_name\"" },
	{ LISTENER("\"fd_name\":\"a\",\"path\":\"/x\""), "1: listeners[0].path: cannot stand beside \"fd_name\"" },
	{ LISTENER("\"fd_name\":\"a\",\"writable_all\":true"),
	  "1: listeners[0].writable_all: cannot stand beside \"fd_name\"" },
	{ ROOT("\"user\":\"no-such-user\","), "1: user: no user is named \"no-such-user\"" },
	{ ROOT("\"group\":\"no-such-group\","), "1: group: no group is named \"no-such-group\"" },
	{ ROOT("\"user\":\"4011999111\","), "1: user: a number that no user has needs a \"group\" beside it" },
	{ ROOT("\"user\":\"-1\","), "1: user: no user is named \"-1\"" },
	{ ROOT("\"keep_capabilities\":[\"fly\"],"),
	  "1: keep_capabilities[0]: no capability is named \"fly\", one is \"net_bind_service\"" },
	{ "{\"chroot\":\"/x\",\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"node\"]}}}",
	  "1: applications.a.exec: a program cannot stand beside \"chroot\"" },
	{ APPLICATION("\"builtin\":\"echo\",\"user\":\"no-such-user\""),
	  "1: applications.a.user: no user is named \"no-such-user\"" },
	{ APPLICATION("\"builtin\":\"echo\",\"clean_env\":true"),
	  "1: applications.a.clean_env: only a program, \"exec\", has one" },
	{ LISTENER("\"fd_name\":\"a:b\""),
	  "1: listeners[0].fd_name: is no name that systemd can give: it has a colon, or is too long" },
	{ LISTENERS("{\"fd_name\":\"a\",\"application\":\"echo\"},{\"fd_name\":\"a\",\"application\":\"echo\"}"),
	  "1: listeners[1]: its default name, \"a\", is the name of listeners[0]: give it a \"name\"" },
	{ LISTENERS("{\"port\":1,\"application\":\"ehco\"}"),
	  "1: listeners[0].application: no application is named \"ehco\", did you mean \"echo\"?" },
	{ LISTENERS("{\"port\":1,\"application\":\"web\"}"),
	  "1: listeners[0].application: no application is named \"web\"" },
	{ LISTENERS("{\"port\":1,\"application\":1}"),
	  "1: listeners[0].application: expected the name of an application, found 1" },
	{ LISTENERS("{\"port\":1,\"application\":\"echo\"},{\"port\":1,\"application\":\"echo\"}"),
	  "1: listeners[1].port: listeners[0] listens there already" },
	{ LISTENERS("{\"port\":1,\"application\":\"echo\"},{\"port\":1,\"host\":\"::\",\"application\":\"echo\"}"),
	  "1: listeners[1].port: listeners[0] listens there already" },
	{ LISTENERS(
		  "{\"path\":\"@x\",\"application\":\"echo\"},{\"path\":\"@x\",\"name\":\"b\",\"application\":\"echo\"}"),
	  "1: listeners[1].path: listeners[0] listens there already" },
	{ LISTENERS("{\"port\":1,\"name\":\"a\",\"application\":\"echo\"},"
		    "{\"port\":2,\"name\":\"a\",\"application\":\"echo\"}"),
	  "1: listeners[1].name: listeners[0] has this name already" },
	{ LISTENERS("{\"port\":0,\"application\":\"echo\"},{\"port\":0,\"application\":\"echo\"}"),
	  "1: listeners[1]: its default name, \"*:0\", is the name of listeners[0]: give it a \"name\"" },
	{ LISTENERS("{\"port\":7,\"host\":1,\"application\":\"echo\"},{\"port\":7,\"application\":\"echo\"}"),
	  "1: listeners[0].host: expected a string that is not empty, found 1" },
	{ "{\"listeners\":[{\"port\":1,\"application\":\"a.b\"}],"
	  "\"applications\":{\"a.b\":{\"builtin\":\"echo\"},\"c.d\":{\"builtin\":\"echo\"}}}",
	  "1: applications[\"c.d\"]: no listener names this application: it would have nothing to do" },
	{ APPLICATION("\"builtin\":\"proxy\""), "1: applications.a: \"upstream\" is missing, a proxy needs one" },
	{ APPLICATION("\"builtin\":\"echo\",\"upstream\":{\"path\":\"/x\"}"),
	  "1: applications.a.upstream: only a proxy has one" },
	{ APPLICATION("\"builtin\":\"echo\",\"exec\":[\"node\"]"),
	  "1: applications.a.builtin: cannot stand beside \"exec\"" },
	{ APPLICATION("\"builtin\":\"echo\",\"protocol\":\"node\""),
	  "1: applications.a.protocol: only a program, \"exec\", has one" },
	{ APPLICATION("\"builtin\":\"echo\",\"config\":{}"), "1: applications.a.config: only a module has one" },
	{ APPLICATION("\"module\":\"" TEST_SOURCE_DIR "/README.md\",\"config\":[]"),
	  "1: applications.a.config: expected an object, found an empty array" },
	{ APPLICATION("\"module\":\"x\",\"builtin\":\"echo\""),
	  "1: applications.a.builtin: cannot stand beside \"module\"" },
	{ APPLICATION("\"module\":\"x\",\"exec\":[\"x\"]"), "1: applications.a.module: cannot stand beside \"exec\"" },
	{ APPLICATION("\"builtin\":\"echo\",\"env\":{}"),
	  "1: applications.a.env: only a module or a program, \"exec\", has one" },
	{ APPLICATION("\"builtin\":\"echo\",\"directory\":\"/\""),
	  "1: applications.a.directory: only a module or a program, \"exec\", has one" },
	{ PROGRAM(",\"upstream\":{\"path\":\"/x\"}"), "1: applications.a.upstream: only a proxy has one" },
	{ PROGRAM_LISTENER(",\"timeout\":0"),
	  "1: listeners[0].timeout: the application is a program, which decides this itself" },
	{ PROGRAM_LISTENER(",\"first_byte_timeout\":1"),
	  "1: listeners[0].first_byte_timeout: the application is a program, which decides this itself" },
	{ PROGRAM_LISTENER(",\"allow\":[\"::1\"]"),
	  "1: listeners[0].allow: the application is a program, which decides this itself" },
	{ PROGRAM_LISTENER(",\"max_per_address\":1"),
	  "1: listeners[0].max_per_address: the application is a program, which decides this itself" },
	{ PROGRAM_LISTENER(",\"proxy_protocol\":true"),
	  "1: listeners[0].proxy_protocol: the application is a program, which decides this itself" },
	{ LISTENER("\"port\":1,\"allow\":[]"),
	  "1: listeners[0].allow: expected an array of at least one address or network, found an empty array" },
	{ LISTENER("\"port\":1,\"deny\":\"::1\""),
	  "1: listeners[0].deny: expected an array of at least one address or network, found \"::1\"" },
	{ LISTENER("\"port\":1,\"deny\":[\"10.0.0.0/8\",\"localhost\"]"),
	  "1: listeners[0].deny[1]: expected an IP address, or a network as \"10.0.0.0/8\", found \"localhost\"" },
	{ LISTENER("\"port\":1,\"deny\":[7]"),
	  "1: listeners[0].deny[0]: expected an IP address, or a network as \"10.0.0.0/8\", found 7" },
	{ LISTENER("\"port\":1,\"allow\":[\"10.0.0.0/33\"]"),
	  "1: listeners[0].allow[0]: \"10.0.0.0/33\" has a longer prefix than addresses have bits" },
	{ LISTENER("\"port\":1,\"rate_burst\":1"),
	  "1: listeners[0].rate_burst: has no meaning without \"rate_per_address\"" },
	{ LISTENER("\"port\":1,\"proxy_timeout\":1"),
	  "1: listeners[0].proxy_timeout: has no meaning without \"proxy_protocol\"" },
	{ LISTENER("\"port\":1,\"proxy_protocol\":false,\"proxy_trusted\":[\"::1\"]"),
	  "1: listeners[0].proxy_trusted: has no meaning without \"proxy_protocol\"" },
	{ LISTENER("\"port\":1,\"keep_alive_delay\":1"),
	  "1: listeners[0].keep_alive_delay: has no meaning without \"keep_alive\"" },
	{ LISTENER("\"path\":\"/x\",\"defer_accept\":1"),
	  "1: listeners[0].defer_accept: cannot stand beside \"path\"" },
	{ LISTENER("\"path\":\"/x\",\"fast_open\":1"), "1: listeners[0].fast_open: cannot stand beside \"path\"" },
	{ LISTENER("\"path\":\"/x\",\"allow\":[\"::1\"]"),
	  "1: listeners[0].allow: has no meaning at a \"path\" without \"proxy_protocol\"" },
	{ APPLICATION("\"builtin\":\"proxy\",\"upstream\":{\"path\":\"/x\",\"proxy_protocol\":\"v3\"}"),
	  "1: applications.a.upstream.proxy_protocol: expected \"v1\" or \"v2\", found \"v3\"" },
	{ PROGRAM_LISTENER(",\"allow_half_open\":true"),
	  "1: listeners[0].allow_half_open: the application is a program, which decides this itself" },
	{ "{\"listeners\":[],\"applications\":{\"a\":{\"exec\":[\"node\"]},\"b\":{\"builtin\":\"echo\"}}}",
	  "1: applications.b: no listener names this application: it would have nothing to do" },
	{ APPLICATION("\"builtin\":\"proxy\",\"upstream\":{}"),
	  "1: applications.a.upstream: \"port\" or \"path\" is missing" },
	{ APPLICATION("\"builtin\":\"proxy\",\"upstream\":{\"port\":1}"),
	  "1: applications.a.upstream: \"host\" is missing" },
	{ APPLICATION("\"builtin\":\"proxy\",\"upstream\":{\"host\":\"h\",\"port\":0}"),
	  "1: applications.a.upstream.port: 0 is not in 1..65535" },
	{ APPLICATION("\"builtin\":\"proxy\",\"upstream\":{\"host\":\"h\",\"path\":\"/x\"}"),
	  "1: applications.a.upstream.host: cannot stand beside \"path\"" },

	/* No JSON at all; the words are the parser's. */
	{ "", "1:1: '[' or '{' expected near end of file" },
	{ "{\n  \"workers\" 4\n}", "2:13: ':' expected near '4'" },
	{ "{\"a\": 1,\n \"a\": 2}", "2:4: duplicate object key near '\"a\"'" },
};

START_TEST(a_mistake_has_one_message)
{
	load_badly(mistakes[_i].text, mistakes[_i].error);
}
END_TEST

START_TEST(all_mistakes_are_told_each_with_its_line)
{
	static const char *const told[] = {
		"2: workers: expected \"auto\" or an integer in 1..512, found \"many\"",
		"5: log.levle: unknown key \"levle\", did you mean \"level\"?",
		"10: listeners[0].port: 70000 is not in 0..65535",
		"14: listeners[1]: \"port\", \"path\" or \"fd_name\" is missing",
		"17: applications[\"a.b\"].upstream: only a proxy has one",
	};

	ck_assert_int_eq(
		load("{\n"                                                                               /*  1 */
		     "  \"workers\": \"many\",\n"                                                        /*  2 */
		     "  \"log\":\n"                                                                      /*  3 */
		     "  {\n"                                                                             /*  4 */
		     "    \"levle\": \"info\" },\n"                                                      /*  5 */
		     "  \"listeners\": [\n"                                                              /*  6 */
		     "    {\n"                                                                           /*  7 */
		     "      \"name\": \"},\\\"\",\n"                                                     /*  8 */
		     "      \"host\": \"::1\",\n"                                                        /*  9 */
		     "      \"port\":\n"                                                                 /* 10 */
		     "        70000,\n"                                                                  /* 11 */
		     "      \"application\": \"a.b\"\n"                                                  /* 12 */
		     "    },\n"                                                                          /* 13 */
		     "    { \"application\": \"a.b\" }\n"                                                /* 14 */
		     "  ],\n"                                                                            /* 15 */
		     "  \"applications\": {\n"                                                           /* 16 */
		     "    \"a\\u002eb\": { \"builtin\": \"echo\", \"upstream\": { \"path\": \"x\" } }\n" /* 17 */
		     "  }\n"
		     "}\n"),
		-EINVAL);
	ck_assert_ptr_null(config);
	ck_assert_uint_eq(errors.count, COUNT_OF(told));
	for (size_t i = 0; i < errors.count; i++)
		ck_assert_str_eq(error_at(i), told[i]);
}
END_TEST

START_TEST(a_mistake_hides_no_other_in_the_same_object)
{
	ck_assert_int_eq(load(LISTENER("\"port\":70000,\"path\":3,\"host\":\"\",\"x\":1")), -EINVAL);
	ck_assert_uint_eq(errors.count, 6);
	ck_assert_str_eq(error_at(0), "1: listeners[0].port: 70000 is not in 0..65535");
	ck_assert_str_eq(error_at(1), "1: listeners[0].path: expected a string that is not empty, found 3");
	ck_assert_str_eq(error_at(2), "1: listeners[0].host: expected a string that is not empty, found \"\"");
	ck_assert_ptr_nonnull(strstr(error_at(3), "unknown key \"x\""));
	ck_assert_str_eq(error_at(4), "1: listeners[0].port: cannot stand beside \"path\"");
	ck_assert_str_eq(error_at(5), "1: listeners[0].host: cannot stand beside \"path\"");
}
END_TEST

START_TEST(of_three_listeners_in_one_place_each_names_those_before)
{
	ck_assert_int_eq(load(LISTENERS("{\"port\":1,\"application\":\"echo\"},{\"port\":1,\"application\":\"echo\"},"
					"{\"port\":1,\"application\":\"echo\"}")),
			 -EINVAL);
	ck_assert_uint_eq(errors.count, 3);
	ck_assert_str_eq(error_at(0), "1: listeners[1].port: listeners[0] listens there already");
	ck_assert_str_eq(error_at(1), "1: listeners[2].port: listeners[0] listens there already");
	ck_assert_str_eq(error_at(2), "1: listeners[2].port: listeners[1] listens there already");
}
END_TEST

START_TEST(a_message_is_one_line_of_bounded_length)
{
	char text[4096], word[1024];

	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	snprintf(text, sizeof text, "{\"%s\": 1, \"workers\": \"%s\", \"listeners\": 0, \"applications\": 0}", word,
		 word);
	ck_assert_int_eq(load(text), -EINVAL);
	ck_assert_uint_eq(errors.count, 4);
	for (size_t i = 0; i < errors.count; i++) {
		ck_assert_ptr_null(strchr(errors.lines[i], '\n'));
		ck_assert_uint_lt(strlen(errors.lines[i]), 400);
	}
	ck_assert_str_eq(error_at(1), "1: workers: expected \"auto\" or an integer in 1..512, found a long string");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named_with_the_reason)
{
	char expected[sizeof file + 64];

	ck_assert_int_eq(muster__config_load(&config, file, &errors), -ENOENT);
	ck_assert_ptr_null(config);
	ck_assert_uint_eq(errors.count, 1);
	snprintf(expected, sizeof expected, "%s: No such file or directory", file);
	ck_assert_str_eq(errors.lines[0], expected);

	muster__config_errors_clear(&errors);
	ck_assert_uint_eq(errors.count, 0);
	ck_assert_int_eq(muster__config_load(&config, folder, &errors), -EISDIR);
	snprintf(expected, sizeof expected, "%s: Is a directory", folder);
	ck_assert_str_eq(first_error(), expected);

	muster__config_errors_clear(&errors);
	ck_assert_int_eq(muster__config_load(&config, "/dev/zero", &errors), -EFBIG);
	ck_assert_str_eq(first_error(), "/dev/zero: File too large");
}
END_TEST

/* ---- The control socket that no file names. */

START_TEST(a_user_controls_through_his_runtime_folder)
{
	char path[108];

	with_user(65534);
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), 0);
	ck_assert_str_eq(path, "/run/user/1/muster.sock");
	ck_assert_int_eq(muster__config_default_control(path, sizeof "/run/user/1/muster.sock"), 0);
	ck_assert_int_eq(muster__config_default_control(path, sizeof "/run/user/1/muster.sock" - 1), -ENAMETOOLONG);
	ck_assert_str_eq(path, "");
	with_user(0);
}
END_TEST

START_TEST(root_controls_through_run_muster)
{
	char path[108];

	if (getuid() != 0)
		return;
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), 0);
	ck_assert_str_eq(path, "/run/muster/control.sock");
}
END_TEST

START_TEST(a_service_is_controlled_through_its_own_runtime_folder)
{
	char path[108];

	ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "/run/muster/web:/run/other", 1), 0);
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), 0);
	ck_assert_str_eq(path, "/run/muster/web/control.sock");
	with_user(65534);
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), 0);
	ck_assert_str_eq(path, "/run/muster/web/control.sock");
	ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "relative", 1), 0);
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), 0);
	ck_assert_str_eq(path, "/run/user/1/muster.sock");
	with_user(0);
	unsetenv("RUNTIME_DIRECTORY");
}
END_TEST

static const char *const unusable_runtime[] = { NULL, "", "relative" };

START_TEST(without_a_runtime_folder_there_is_no_default)
{
	char path[108];

	if (unusable_runtime[_i])
		ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", unusable_runtime[_i], 1), 0);
	else
		unsetenv("XDG_RUNTIME_DIR");
	with_user(65534);
	ck_assert_int_eq(muster__config_default_control(path, sizeof path), -ENOENT);
	ck_assert_str_eq(path, "");
	with_user(0);
}
END_TEST

START_TEST(a_file_without_control_path_then_says_to_set_it)
{
	static const char text[] = "set control.path: without a usable XDG_RUNTIME_DIR it has no default";
	char expected[128];
	int first, second;

	unsetenv("XDG_RUNTIME_DIR");
	load(ROOT("\"control\":{\"path\":\"/x\"},")); /* makes the file, and the folder readable */
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(chmod(file, 0644), 0);
	with_user(65534);
	muster__config_free(config);
	first = muster__config_load(&config, file, &errors);
	with_user(0);
	ck_assert_int_eq(first, 0);

	load(ROOT("\n\"control\":{\"mode\":\"0600\"},"));
	with_user(65534);
	muster__config_free(config);
	muster__config_errors_clear(&errors);
	second = muster__config_load(&config, file, &errors);
	with_user(0);
	ck_assert_int_eq(second, -EINVAL);
	snprintf(expected, sizeof expected, "2: control: %s", text);
	ck_assert_str_eq(error_at(0), expected);

	load(ROOT(""));
	with_user(65534);
	muster__config_free(config);
	muster__config_errors_clear(&errors);
	second = muster__config_load(&config, file, &errors);
	with_user(0);
	ck_assert_int_eq(second, -EINVAL);
	snprintf(expected, sizeof expected, "1: %s", text);
	ck_assert_str_eq(error_at(0), expected);
}
END_TEST

/* ---- The file that is shipped. */

START_TEST(the_shipped_file_is_an_echo_on_port_7000)
{
	char path[4096], control[108];
	char *slash;

	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	snprintf(path, sizeof path, "%s", __FILE__);
	slash = strrchr(path, '/');
	ck_assert_ptr_nonnull(slash);
	snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "../../conf/muster.json");
	ck_assert_int_eq(muster__config_load(&config, path, &errors), 0);
	ck_assert_uint_eq(config->workers, 4);
	ck_assert_uint_eq(config->listener_count, 1);
	ck_assert_str_eq(config->listeners[0].name, "echo");
	ck_assert_ptr_null(config->listeners[0].host);
	ck_assert_uint_eq(config->listeners[0].port, 7000);
	ck_assert_int_eq(config->applications[config->listeners[0].application].builtin, MUSTER__BUILTIN_ECHO);
	ck_assert_int_eq(muster__config_default_control(control, sizeof control), 0);
	ck_assert_str_eq(config->control_path, control);
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
	muster__config_free(NULL);
	muster__config_errors_clear(&errors);
}
END_TEST

static void add_values(Suite *suite)
{
	TCase *values = tcase_create("values");

	suite_add_tcase(suite, values);
	tcase_add_checked_fixture(values, set_up, tear_down);
	tcase_add_test(values, every_key_arrives_in_the_struct);
	tcase_add_test(values, an_application_has_what_the_top_level_says_and_what_it_says_itself);
	tcase_add_test(values, what_is_not_said_has_its_default);
	tcase_add_test(values, automatic_workers_are_the_processors_we_may_use);
	tcase_add_loop_test(values, a_listener_without_a_name_is_called_by_its_place, 0, COUNT_OF(names));
	tcase_add_test(values, relative_paths_begin_at_the_folder_of_the_file);
	tcase_add_test(values, a_file_in_the_current_folder_leaves_paths_as_they_are);
	tcase_add_test(values, an_abstract_name_is_left_alone);
	tcase_add_test(values, the_path_of_a_socket_may_have_107_bytes);
	tcase_add_test(values, the_length_of_a_path_counts_its_folder);
	tcase_add_loop_test(values, the_ends_of_each_range_are_accepted, 0, COUNT_OF(accepted));
	tcase_add_test(values, what_a_program_is_told_arrives);
	tcase_add_test(values, an_application_has_its_own_user_or_that_of_all);
	tcase_add_loop_test(values, only_root_gives_workers_another_user_or_root, 0, COUNT_OF(identities));
	tcase_add_test(values, a_program_is_told_no_more_than_it_has_to_be);
	tcase_add_loop_test(values, only_a_program_with_a_slash_is_a_path_and_is_so_from_the_folder_of_the_file, 0,
			    COUNT_OF(programs));
	tcase_add_test(values, the_path_of_a_program_is_absolute_even_if_that_of_the_file_is_not);
	tcase_add_test(values, the_shipped_file_is_an_echo_on_port_7000);
	tcase_add_test(values, freeing_nothing_is_fine);
}

static void add_errors(Suite *suite)
{
	TCase *wrong = tcase_create("errors");

	suite_add_tcase(suite, wrong);
	tcase_add_checked_fixture(wrong, set_up, tear_down);
	tcase_add_loop_test(wrong, a_mistake_has_one_message, 0, COUNT_OF(mistakes));
	tcase_add_test(wrong, all_mistakes_are_told_each_with_its_line);
	tcase_add_test(wrong, a_mistake_hides_no_other_in_the_same_object);
	tcase_add_test(wrong, of_three_listeners_in_one_place_each_names_those_before);
	tcase_add_test(wrong, a_message_is_one_line_of_bounded_length);
	tcase_add_test(wrong, a_file_that_cannot_be_read_is_named_with_the_reason);
}

static void add_control(Suite *suite)
{
	TCase *control = tcase_create("control");

	suite_add_tcase(suite, control);
	tcase_add_checked_fixture(control, set_up, tear_down);
	tcase_add_test(control, a_user_controls_through_his_runtime_folder);
	tcase_add_test(control, root_controls_through_run_muster);
	tcase_add_test(control, a_service_is_controlled_through_its_own_runtime_folder);
	tcase_add_loop_test(control, without_a_runtime_folder_there_is_no_default, 0, COUNT_OF(unusable_runtime));
	tcase_add_test(control, a_file_without_control_path_then_says_to_set_it);
}

int main(void)
{
	Suite *suite = suite_create("config");
	SRunner *runner;
	int failed;

	add_values(suite);
	add_errors(suite);
	add_control(suite);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
