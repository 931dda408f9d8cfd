/* Each daemon has its own file, log and control socket in the folder of the test. */
#include "tests/support/daemon.h"

#include "tests/support/folder.h"
#include "tests/support/janitor.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned count, configured; /* those that are there; and ever */

/* ---- its files */

static char *own_path(const char *kind)
{
	char name[64];

	snprintf(name, sizeof name, "%s-%u", kind, configured);
	return strdup(folder_path(name));
}

void daemon_rewrite(const struct daemon *daemon, const char *text)
{
	size_t length = strlen(daemon->file) + sizeof ".new";
	char next[length];
	FILE *stream;

	snprintf(next, length, "%s.new", daemon->file);
	stream = fopen(next, "we");
	ck_assert_ptr_nonnull(stream);
	fprintf(stream, "{ \"control\": { \"path\": \"%s\" },\n", daemon->control);
	for (; *text != '\0'; text++)
		putc(*text == '\'' ? '"' : *text, stream);
	fputs(" }\n", stream);
	ck_assert_int_eq(fclose(stream), 0);
	/* In one step: the daemon may be reading it. */
	ck_assert_int_eq(rename(next, daemon->file), 0);
}

static char *read_log(const struct daemon *daemon)
{
	FILE *stream = fopen(daemon->log, "re");
	char *text = NULL;
	size_t room = 0;

	if (stream == NULL)
		return strdup("");
	/* There is no NUL in it, so that this is all of it. */
	if (getdelim(&text, &room, '\0', stream) < 0 && text != NULL)
		*text = '\0';
	fclose(stream);
	return text != NULL ? text : strdup("");
}

unsigned daemon_logged(const struct daemon *daemon, const char *text)
{
	char *log = read_log(daemon), *at = log;
	unsigned found = 0;

	while ((at = strstr(at, text)) != NULL) {
		found++;
		at += strlen(text);
	}
	free(log);
	return found;
}

struct daemon *daemon_configure(const char *text)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);

	ck_assert_ptr_nonnull(daemon);
	daemon->file = own_path("muster.json");
	daemon->log = own_path("log");
	daemon->control = own_path("control");
	daemon_rewrite(daemon, text);
	configured++;
	if (count++ == 0)
		janitor_watch(folder_path(""));
	return daemon;
}

void daemon_free(struct daemon *daemon)
{
	if (--count == 0)
		janitor_dismiss();
	free(daemon->file);
	free(daemon->log);
	free(daemon->control);
	free(daemon);
}

/* ---- its life */

static void execute(const struct daemon *daemon, const struct daemon_start *how, pid_t parent)
{
	int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *const *variable = how->variables;

	process_bind(parent);
	if (log < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(127);
	for (; variable != NULL && *variable != NULL; variable++)
		putenv((char *)*variable);
	if (how->prepare != NULL)
		how->prepare();
	execl(how->program != NULL ? how->program : MUSTERD, how->program != NULL ? how->program : "musterd", "-c",
	      daemon->file, how->option, NULL);
	_exit(127);
}

void daemon_launch(struct daemon *daemon, const struct daemon_start *how)
{
	static const struct daemon_start usual;
	pid_t self = getpid();

	daemon->pid = fork();
	ck_assert_int_ge(daemon->pid, 0);
	if (daemon->pid == 0)
		execute(daemon, how != NULL ? how : &usual, self);
}

static bool is_serving(const struct daemon *daemon)
{
	json_t *status;
	const char *state;
	bool serving;

	ck_assert_msg(process_lives(daemon->pid), "musterd has ended");
	status = daemon_status(daemon);
	state = json_string_value(json_object_get(status, "state"));
	serving = state != NULL && strcmp(state, "serving") == 0;
	json_decref(status);
	return serving;
}

void daemon_await(struct daemon *daemon)
{
	until(is_serving(daemon));
}

struct daemon *daemon_start_with(const char *text, const struct daemon_start *how)
{
	struct daemon *daemon = daemon_configure(text);

	daemon_launch(daemon, how);
	daemon_await(daemon);
	return daemon;
}

struct daemon *daemon_start(const char *text)
{
	return daemon_start_with(text, NULL);
}

/* An exit status of a worker is in the log alone. */
static void check_log(const struct daemon *daemon)
{
	static const char said[] = "exited with status ";
	char *log = read_log(daemon), *at = log;

	while ((at = strstr(at, said)) != NULL) {
		at += strlen(said);
		ck_assert_msg(*at == '0', "a worker exited with status %.3s", at);
	}
	ck_assert_msg(strstr(log, "Sanitizer") == NULL && strstr(log, "runtime error") == NULL &&
			      strstr(log, "Assertion") == NULL,
		      "a checker found something");
	free(log);
}

int daemon_wait(struct daemon *daemon)
{
	int status = process_wait(daemon->pid);

	check_log(daemon);
	return status;
}

void daemon_stop(struct daemon *daemon)
{
	ck_assert_int_eq(kill(daemon->pid, SIGTERM), 0);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	daemon_free(daemon);
}

/* ---- its status */

static int connect_control(const struct daemon *daemon)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = (time_t)test_patience() };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(fd >= 0 && strlen(daemon->control) < sizeof un.sun_path);
	strcpy(un.sun_path, daemon->control);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0)
		return fd;
	close(fd);
	return -1;
}

json_t *daemon_status(const struct daemon *daemon)
{
	static const char question[] = "{\"command\":\"status\"}\n";
	static char answer[256 * 1024];
	int fd = connect_control(daemon);
	size_t length = 0;
	ssize_t got = 0;
	json_error_t error;
	json_t *status;

	if (fd < 0)
		return NULL;
	if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) == (ssize_t)sizeof question - 1)
		while ((got = recv(fd, answer + length, sizeof answer - length, 0)) > 0)
			length += (size_t)got;
	close(fd);
	if (length == 0)
		return NULL;
	status = json_loadb(answer, length, 0, &error);
	ck_assert_msg(status != NULL, "status: %s", error.text);
	return status;
}

static long number_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? (long)json_integer_value(value) : -1;
}

long daemon_number(const struct daemon *daemon, const char *key)
{
	json_t *status = daemon_status(daemon);
	long number = number_of(status, key);

	json_decref(status);
	return number;
}

long daemon_worker(const struct daemon *daemon, unsigned slot, const char *key)
{
	json_t *status = daemon_status(daemon);
	long number = number_of(json_array_get(json_object_get(status, "workers"), slot), key);

	json_decref(status);
	return number;
}

static const json_t *find_listener(const json_t *status, const char *name)
{
	const json_t *listener;
	size_t i;

	json_array_foreach(json_object_get(status, "listeners"), i,
			   listener) if (strcmp(json_string_value(json_object_get(listener, "name")), name) ==
					 0) return listener;
	return NULL;
}

long daemon_listener(const struct daemon *daemon, const char *name, const char *key)
{
	json_t *status = daemon_status(daemon);
	long number = number_of(find_listener(status, name), key);

	json_decref(status);
	return number;
}

unsigned daemon_port(const struct daemon *daemon, const char *listener)
{
	json_t *status = daemon_status(daemon);
	const char *address = json_string_value(json_object_get(find_listener(status, listener), "address"));
	unsigned port = 0;

	ck_assert_ptr_nonnull(address);
	ck_assert_int_eq(sscanf(strrchr(address, ':') + 1, "%u", &port), 1);
	json_decref(status);
	return port;
}

unsigned daemon_ready(const struct daemon *daemon)
{
	json_t *status = daemon_status(daemon);
	const json_t *worker;
	unsigned ready = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "workers"), i, worker) ready +=
		strcmp(json_string_value(json_object_get(worker, "state")), "ready") == 0;
	json_decref(status);
	return ready;
}

bool daemon_is_idle(const struct daemon *daemon)
{
	json_t *status = daemon_status(daemon);
	const json_t *worker;
	bool idle = number_of(status, "connections") == 0;
	size_t i;

	json_array_foreach(json_object_get(status, "workers"), i, worker) idle =
		idle && number_of(worker, "in_flight") <= 0;
	json_decref(status);
	return idle;
}
