/* musterd: options, configuration, service, loop. Exit status: 0 fine, 1 failed to start or run, 2 bad words or file. */
#include "master/config.h"
#include "master/control.h"
#include "master/daemon.h"
#include "master/service.h"
#include "src/log.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <limits.h>
#include <muster/muster.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/muster/muster.json"

enum { FINE = 0, FAILED = 1, MISUSED = 2 };

struct options {
	const char *file;
	bool test, detach;
};

struct daemon {
	struct options options;
	struct muster__config *config;
	struct muster__config_errors errors;
	struct muster_loop *loop;
	struct muster__service service;
	struct muster_server *control;
	struct event *signals[4];
	bool pid_written;
	int tell; /* the descriptor by which a detached daemon says that it is ready; -1 */
};

/* libevent's own lines, about name servers mostly. */
static void on_libevent_line(int severity, const char *line)
{
	muster__log(severity >= EVENT_LOG_WARN ? MUSTER_LOG_WARN : MUSTER_LOG_INFO, "libevent: %s", line);
}

/* ---- the command line */

static void print_help(FILE *out)
{
	fprintf(out,
		"usage: musterd [-c FILE] [-t] [--daemon]\n\n"
		"  -c, --config FILE  the configuration, default %s\n"
		"  -t, --test         test the configuration and exit\n"
		"      --daemon       detach; return when ready, or failed\n"
		"  -h, --help         print this\n"
		"      --version      print the version\n\n"
		"SIGTERM and SIGINT stop, SIGQUIT lets connections end first; a second signal is less patient.\n"
		"Exit status: 0 fine, 1 failed to start or run, 2 bad command line or configuration.\n",
		DEFAULT_FILE);
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' }, { "test", no_argument, NULL, 't' },
		{ "daemon", no_argument, NULL, 'd' },       { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },      { 0 },
	};
	int option;

	options->file = DEFAULT_FILE;
	while ((option = getopt_long(argc, argv, "c:th", known, NULL)) != -1)
		switch (option) {
		case 'c': options->file = optarg; break;
		case 't': options->test = true; break;
		case 'd': options->detach = true; break;
		case 'h': print_help(stdout); return FINE;
		case 'v': printf("musterd %s\n", MUSTER_VERSION); return FINE;
		default: print_help(stderr); return MISUSED;
		}
	if (optind == argc)
		return -1;
	fprintf(stderr, "musterd: unexpected argument \"%s\"\n", argv[optind]);
	return MISUSED;
}

/* ---- the configuration */

static void print_errors(struct muster__config_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->count; i++)
		fprintf(stderr, "%s\n", errors->lines[i]);
	muster__config_errors_clear(errors);
}

static int load(struct daemon *daemon)
{
	int err = muster__config_load(&daemon->config, daemon->options.file, &daemon->errors);

	if (err == 0)
		return FINE;
	if (daemon->errors.count == 0)
		fprintf(stderr, "%s: %s\n", daemon->options.file, muster_strerror(err));
	print_errors(&daemon->errors);
	return MISUSED;
}

/* ---- running */

static void on_ready(struct muster__service *service, void *data)
{
	struct daemon *daemon = data;
	int err = 0;

	(void)service;
	if (daemon->config->pid_file != NULL)
		err = muster__daemon_write_pid(daemon->config->pid_file);
	daemon->pid_written = daemon->config->pid_file != NULL && err == 0;
	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "pid file %s: %s", daemon->config->pid_file, muster_strerror(err));
	muster__daemon_tell(daemon->tell, FINE);
	daemon->tell = -1;
}

static void on_ended(struct muster__service *service, void *data)
{
	struct daemon *daemon = data;
	size_t i;

	(void)service;
	for (i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		event_del(daemon->signals[i]);
	if (daemon->control != NULL)
		muster_server_destroy(daemon->control);
	daemon->control = NULL;
}

static void on_signal(evutil_socket_t signal, short what, void *data)
{
	struct daemon *daemon = data;

	(void)what;
	muster__log(MUSTER_LOG_INFO, "got %s", strsignal((int)signal));
	if (signal == SIGHUP)
		muster__log(MUSTER_LOG_WARN, "SIGHUP is ignored: restart the daemon to apply a changed configuration");
	else if (daemon->service.phase >= MUSTER__PHASE_DRAINING)
		muster__service_press(&daemon->service);
	else if (signal == SIGQUIT)
		muster__service_drain(&daemon->service);
	else
		muster__service_stop(&daemon->service);
}

static int watch_signals(struct daemon *daemon)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	size_t i;

	for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		daemon->signals[i] = evsignal_new(muster_loop_base(daemon->loop), signals[i], on_signal, daemon);
		if (daemon->signals[i] == NULL || event_add(daemon->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Last of all: until here whoever started us reads what went wrong where he is. */
static int open_log(const struct muster__config *config)
{
	int err = config->log_target != NULL ? muster__daemon_log_to(config->log_target) : 0;

	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "log.target %s: %s", config->log_target, muster_strerror(err));
	return err;
}

/* Everything that can fail before the first worker is forked. */
static int open_all(struct daemon *daemon)
{
	int err = muster__daemon_log_to(NULL);

	if (err < 0)
		return err;
	muster_log_set_level(daemon->config->log_level);
	event_set_log_callback(on_libevent_line);
	muster__log_set_role("primary");
	daemon->loop = muster_loop_new();
	if (daemon->loop == NULL)
		return -ENOMEM;
	daemon->service.on_ready = on_ready;
	daemon->service.on_ended = on_ended;
	daemon->service.data = daemon;
	err = watch_signals(daemon);
	if (err == 0)
		err = muster__service_open(&daemon->service, daemon->loop, daemon->config, &daemon->errors);
	print_errors(&daemon->errors);
	if (err == 0)
		err = muster__control_open(&daemon->service, &daemon->control);
	return err == 0 ? open_log(daemon->config) : err;
}

static int run(struct daemon *daemon)
{
	int err = open_all(daemon);

	if (err == 0)
		err = muster__service_start(&daemon->service);
	if (err < 0) {
		muster__log(MUSTER_LOG_ERROR, "could not start: %s", muster_strerror(err));
		return FAILED;
	}
	err = muster_loop_run(daemon->loop);
	if (daemon->pid_written)
		unlink(daemon->config->pid_file);
	return err < 0 || daemon->service.failed ? FAILED : FINE;
}

static void clean_up(struct daemon *daemon)
{
	size_t i;

	for (i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		if (daemon->signals[i] != NULL)
			event_free(daemon->signals[i]);
	muster_loop_free(daemon->loop);
	muster__service_free(&daemon->service);
	muster__config_free(daemon->config);
}

/* Detached or not, relative paths of the file mean the same: they were made from an absolute one. */
static int serve(struct daemon *daemon)
{
	int status;

	if (daemon->options.detach) {
		daemon->tell = muster__daemon_detach();
		if (daemon->tell < 0) {
			fprintf(stderr, "musterd: could not detach: %s\n", muster_strerror(daemon->tell));
			return FAILED;
		}
	}
	status = run(daemon);
	muster__daemon_tell(daemon->tell, status);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon daemon = { .tell = -1 };
	int status = read_options(argc, argv, &daemon.options);

	if (status >= 0)
		return status;
	muster__daemon_normalise();
	status = load(&daemon);
	if (status == FINE && daemon.options.test)
		printf("%s: ok\n", daemon.options.file);
	else if (status == FINE)
		status = serve(&daemon);
	clean_up(&daemon);
	return status;
}
