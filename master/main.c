/*
 * musterd: options, configuration, service, loop. Exit status: 0 fine, 1 failed to start or run, 2 bad words or file, 3 it
 * ended, but only by killing workers.
 */
#include "master/activation.h"
#include "master/bequest.h"
#include "master/config.h"
#include "master/daemon.h"
#include "master/dump.h"
#include "master/generations.h"
#include "master/log_file.h"
#include "master/outfit.h"
#include "master/predecessor.h"
#include "master/report.h"
#include "master/sd.h"
#include "master/status.h"
#include "master/strangers.h"
#include "master/succession.h"
#include "master/upgrade.h"
#include "src/log.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <muster/muster.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/muster/muster.json"

enum { FINE = 0, FAILED = 1, MISUSED = 2, FORCED = 3 };

struct options {
	const char *file;
	bool test, dump, detach;
};

struct daemon {
	struct options options;
	struct muster__config *config;
	struct muster__config_errors errors;
	struct muster_loop *loop;
	struct muster__sd *sd;
	struct muster__inherited passed; /* to our start */
	struct muster__report report;
	struct muster__generations all;
	struct muster__outfit outfit;
	struct muster__upgrade upgrade;
	struct muster__predecessor predecessor;
	struct muster__strangers strangers;
	struct event *signals[6];
	char **argv;
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
		"usage: musterd [-c FILE] [-t | --dump | --daemon]\n\n"
		"  -c, --config FILE  the configuration, default %s\n"
		"  -t, --test         test the configuration and exit\n"
		"      --dump         print the configuration with all its defaults, as JSON, and exit\n"
		"      --daemon       detach; return when ready, or failed\n"
		"  -h, --help         print this\n"
		"      --version      print the version\n\n"
		"SIGHUP reads the configuration again, SIGUSR1 opens the log again, SIGUSR2 starts a new musterd in\n"
		"the place of this one. SIGTERM and SIGINT stop, SIGQUIT lets connections end first; a second signal\n"
		"is less patient.\n"
		"Exit status: 0 fine, 1 failed to start or run, 2 bad command line or configuration, 3 at the end\n"
		"workers had to be killed.\n",
		DEFAULT_FILE);
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "daemon", no_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ "dump", no_argument, NULL, 'D' },
		{ 0 },
	};
	int option;

	options->file = DEFAULT_FILE;
	while ((option = getopt_long(argc, argv, "c:th", known, NULL)) != -1)
		switch (option) {
		case 'c': options->file = optarg; break;
		case 't': options->test = true; break;
		case 'd': options->detach = true; break;
		case 'D': options->dump = true; break;
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

static struct daemon *daemon_of(const struct muster__generations *all)
{
	return all->data;
}

static int on_prepare(struct muster__generations *all, struct muster__service *next)
{
	return muster__outfit_prepare(&daemon_of(all)->outfit, next);
}

static void on_opened(struct muster__generations *all, struct muster__service *next)
{
	muster__outfit_open(&daemon_of(all)->outfit, next);
}

/* While another daemon serves, it has to let go first. */
static bool on_ready(struct muster__generations *all)
{
	struct daemon *daemon = daemon_of(all);

	return !muster__predecessor_is_there(&daemon->predecessor) ||
	       muster__predecessor_tell_ready(&daemon->predecessor, daemon->loop) < 0;
}

static void on_go(struct muster__predecessor *predecessor)
{
	struct daemon *daemon = MUSTER__CONTAINER(predecessor, struct daemon, predecessor);

	if (daemon->all.next != NULL && daemon->all.current == NULL)
		muster__generations_commit(&daemon->all);
	muster__predecessor_tell_done(predecessor);
}

static void on_committed(struct muster__generations *all)
{
	struct daemon *daemon = daemon_of(all);

	muster__outfit_commit(&daemon->outfit, all->current);
	if (all->current->generation == 1)
		muster__activation_close_rest(&all->inherited, daemon->sd);
	muster__daemon_tell(daemon->tell, FINE);
	daemon->tell = -1;
}

static void on_given_up(struct muster__generations *all)
{
	muster__outfit_give_up(&daemon_of(all)->outfit);
}

static void on_reloading(struct muster__generations *all)
{
	muster__report_reloading(&daemon_of(all)->report);
	muster__log(MUSTER_LOG_INFO, "reading the configuration again");
}

static void on_settled(struct muster__generations *all)
{
	if (all->failure == NULL)
		muster__log(MUSTER_LOG_INFO, "generation %u serves", all->current->generation);
	muster__report_settled(&daemon_of(all)->report);
}

static void on_asked(struct muster__generations *all, struct muster_worker *worker)
{
	muster__status_tell(worker, all, &daemon_of(all)->upgrade);
}

static void log_counts(struct muster__scoreboard *board)
{
	const struct muster__tally *tally = muster__scoreboard_tally(board);

	muster__log(MUSTER_LOG_INFO,
		    "in all: %" PRIu64 " connections accepted, %" PRIu64 " handed over (%" PRIu64 " refused, %" PRIu64
		    " recovered), %" PRIu64 " workers replaced",
		    muster__scoreboard_accepted(board), tally->handed_over, tally->refused, tally->recovered,
		    tally->restarts);
}

static void on_ended(struct muster__generations *all)
{
	struct daemon *daemon = daemon_of(all);
	size_t i;

	log_counts(all->board);
	for (i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		event_del(daemon->signals[i]);
	muster__strangers_stop(&daemon->strangers);
	muster__predecessor_close(&daemon->predecessor);
	muster__outfit_close(&daemon->outfit);
}

/* ---- the upgrade */

static struct daemon *daemon_of_upgrade(const struct muster__upgrade *upgrade)
{
	return upgrade->data;
}

static void on_prepare_heir(struct muster__upgrade *upgrade)
{
	muster__sd_export(daemon_of_upgrade(upgrade)->sd);
}

/* Its queue and its paths are the heir's; connections that are here end here. */
static void on_succeeded(struct muster__upgrade *upgrade, pid_t heir)
{
	struct daemon *daemon = daemon_of_upgrade(upgrade);

	muster__log(MUSTER_LOG_INFO, "the daemon is pid %d from here on", (int)heir);
	muster__outfit_forget(&daemon->outfit);
	muster__succession_leave(daemon->all.current);
	muster__report_succeeded_by(&daemon->report, heir);
	if (daemon->all.due)
		kill(heir, SIGHUP);
	muster__generations_drain(&daemon->all);
}

static void on_fell_back(struct muster__upgrade *upgrade)
{
	muster__outfit_restore(&daemon_of_upgrade(upgrade)->outfit);
}

static void begin_upgrade(struct daemon *daemon)
{
	const char *why_not = muster__upgrade_begin(&daemon->upgrade, NULL);

	if (why_not != NULL)
		muster__log(MUSTER_LOG_ERROR, "no upgrade: %s", why_not);
}

static void on_ending(struct muster__generations *all)
{
	muster__upgrade_cancel(&daemon_of(all)->upgrade);
}

static void init_upgrade(struct daemon *daemon)
{
	static const struct muster__upgrade_ops ops = { on_prepare_heir, on_succeeded, on_fell_back };

	muster__upgrade_init(&daemon->upgrade, &daemon->all, daemon->argv, daemon->options.file);
	daemon->upgrade.predecessor = &daemon->predecessor;
	daemon->upgrade.ops = &ops;
	daemon->upgrade.data = daemon;
	daemon->outfit.control.upgrade = &daemon->upgrade;
	daemon->predecessor.go = on_go;
}

/* ---- signals */

static void on_signal(evutil_socket_t signal, short what, void *data)
{
	struct daemon *daemon = data;

	(void)what;
	muster__log(MUSTER_LOG_INFO, "got %s", strsignal((int)signal));
	if (signal == SIGHUP)
		muster__generations_reload(&daemon->all, NULL);
	else if (signal == SIGUSR1)
		muster__outfit_reopen_log(&daemon->outfit);
	else if (signal == SIGUSR2)
		begin_upgrade(daemon);
	else if (daemon->all.stopping)
		muster__generations_press(&daemon->all);
	else if (signal == SIGQUIT)
		muster__generations_drain(&daemon->all);
	else
		muster__generations_stop(&daemon->all);
	muster__report_changed(&daemon->report);
}

static int watch_signals(struct daemon *daemon)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2 };
	size_t i;

	for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		daemon->signals[i] = evsignal_new(muster_loop_base(daemon->loop), signals[i], on_signal, daemon);
		if (daemon->signals[i] == NULL || event_add(daemon->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int start(struct daemon *daemon)
{
	static const struct muster__generations_ops ops = {
		.prepare = on_prepare,
		.opened = on_opened,
		.ready = on_ready,
		.committed = on_committed,
		.given_up = on_given_up,
		.reloading = on_reloading,
		.settled = on_settled,
		.asked = on_asked,
		.ending = on_ending,
		.ended = on_ended,
	};
	struct muster__config *config = daemon->config;
	int err;

	daemon->loop = muster_loop_new();
	if (daemon->loop == NULL)
		return -ENOMEM;
	muster__sd_attach(daemon->sd, daemon->loop);
	err = watch_signals(daemon);
	if (err == 0)
		err = muster__generations_init(&daemon->all, daemon->loop, daemon->options.file, &ops, daemon);
	if (err == 0)
		err = muster__strangers_start(&daemon->strangers, daemon->loop);
	muster__outfit_init(&daemon->outfit, &daemon->all);
	muster__report_start(&daemon->report, daemon->sd, &daemon->all);
	if (err < 0)
		return err;
	muster__inherited_move(&daemon->all.inherited, &daemon->passed);
	init_upgrade(daemon);
	err = muster__predecessor_find(&daemon->predecessor, &daemon->all.inherited);
	if (err < 0)
		return err;
	daemon->all.successor = muster__predecessor_is_there(&daemon->predecessor);
	daemon->config = NULL;
	err = muster__generations_start(&daemon->all, config, &daemon->errors);
	if (daemon->errors.count > 0)
		muster__report_failed(&daemon->report, daemon->errors.lines[0]);
	print_errors(&daemon->errors);
	return err;
}

static int run(struct daemon *daemon)
{
	int err;

	muster__log_file_start();
	muster__log_set_format(daemon->config->log_format);
	muster_log_set_level(daemon->config->log_level);
	event_set_log_callback(on_libevent_line);
	muster__log_set_role("primary");
	err = start(daemon);
	if (err < 0) {
		muster__log(MUSTER_LOG_ERROR, "could not start: %s", muster_strerror(err));
		muster__report_failed(&daemon->report, muster_strerror(err));
		return FAILED;
	}
	err = muster_loop_run(daemon->loop);
	if (daemon->all.failed)
		muster__report_failed(&daemon->report, daemon->all.failure);
	if (err < 0 || daemon->all.failed)
		return FAILED;
	return daemon->all.forced ? FORCED : FINE;
}

static void clean_up(struct daemon *daemon)
{
	size_t i;

	for (i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
		if (daemon->signals[i] != NULL)
			event_free(daemon->signals[i]);
	muster__report_end(&daemon->report);
	muster__sd_free(daemon->sd);
	muster__inherited_close(&daemon->passed, NULL, NULL);
	muster__predecessor_close(&daemon->predecessor);
	muster_loop_free(daemon->loop);
	if (daemon->all.board != NULL) {
		muster__upgrade_clear(&daemon->upgrade);
		muster__outfit_clear(&daemon->outfit);
		muster__generations_clear(&daemon->all);
	}
	muster__config_free(daemon->config);
}

/* Before anything is opened, and while we still have the pid that they are for. */
static int take_passed(struct daemon *daemon)
{
	daemon->sd = muster__sd_new();
	return daemon->sd != NULL ? muster__activation_take(&daemon->passed, daemon->sd) : -ENOMEM;
}

/* Detached or not, relative paths of the file mean the same: they were made from an absolute one. */
static int serve(struct daemon *daemon)
{
	int status;

	if (take_passed(daemon) < 0) {
		fprintf(stderr, "musterd: %s\n", muster_strerror(-ENOMEM));
		return FAILED;
	}
	/* The one before this is detached already. */
	if (daemon->options.detach && getenv(MUSTER__BEQUEST_VARIABLE) == NULL) {
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
	struct daemon daemon = { .tell = -1, .argv = argv, .predecessor = { .channel = -1 } };
	int status = read_options(argc, argv, &daemon.options);

	if (status >= 0)
		return status;
	muster__inherited_init(&daemon.passed);
	muster__daemon_normalise();
	status = load(&daemon);
	if (status == FINE && daemon.options.test)
		printf("%s: ok\n", daemon.options.file);
	else if (status == FINE && daemon.options.dump)
		status = muster__config_print(daemon.config, stdout) < 0 ? FAILED : FINE;
	else if (status == FINE)
		status = serve(&daemon);
	clean_up(&daemon);
	return status;
}
