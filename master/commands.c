/* A table: a command is a line in it. Each checks its words, does one thing, and answers. */
#include "master/commands.h"

#include "master/dump.h"
#include "master/generations.h"
#include "master/reader.h"
#include "master/renewal.h"
#include "master/status.h"
#include "master/upgrade.h"

#include <errno.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdio.h>
#include <string.h>

static struct muster__generations *all_of(const struct muster__session *session)
{
	return muster__session_control(session)->all;
}

static bool flag(const json_t *question, const char *name)
{
	return json_is_true(json_object_get(question, name));
}

/* ---- to look */

static void do_status(struct muster__session *session, const json_t *question)
{
	(void)question;
	muster__session_answer(session, muster__status(all_of(session), muster__session_control(session)->upgrade));
}

static void do_config(struct muster__session *session, const json_t *question)
{
	const struct muster__service *current = all_of(session)->current;

	(void)question;
	if (current != NULL)
		muster__session_answer(session, muster__config_dump(current->config));
	else
		muster__session_conclude(session, "no configuration is at work yet");
}

/* ---- to steer */

static void do_reload(struct muster__session *session, const json_t *question)
{
	struct muster__generations *all = all_of(session);

	if (all->stopping)
		muster__session_conclude(session, "the daemon is about to end");
	else
		muster__generations_reload(all, muster__session_wait(session, !flag(question, "wait")));
}

static void do_upgrade(struct muster__session *session, const json_t *question)
{
	struct muster__upgrade *upgrade = muster__session_control(session)->upgrade;
	bool wait = flag(question, "wait");
	const char *why_not = muster__upgrade_begin(upgrade, wait ? muster__session_wait(session, false) : NULL);

	if (why_not != NULL || !wait)
		muster__session_conclude(session, why_not);
}

static void on_renewed(const char *failure, void *data)
{
	muster__session_conclude(data, failure);
	muster__session_let_go(data);
}

static const char *renewal_refused(int err)
{
	switch (err) {
	case -ENOENT: return "no application has this name";
	case -ESRCH: return "no worker has this slot";
	case -EBUSY: return "the daemon is not serving";
	case -EALREADY: return "a restart is under way";
	default: return muster_strerror(err);
	}
}

/* A slot that is no number of one is nobody's. */
static unsigned slot_of(const json_t *question)
{
	const json_t *slot = json_object_get(question, "slot");
	json_int_t index = json_integer_value(slot);

	if (slot == NULL)
		return MUSTER__RENEW_ALL;
	return json_is_integer(slot) && index >= 0 && index < MUSTER__WORKERS_MAX ? (unsigned)index :
										    MUSTER__WORKERS_MAX;
}

/* Who does not wait learns that it has begun. */
static void do_restart(struct muster__session *session, const json_t *question)
{
	const char *name = json_string_value(json_object_get(question, "application"));
	bool waits = flag(question, "wait");
	int err = muster__renew(all_of(session)->current, name, slot_of(question), waits ? on_renewed : NULL, session);

	if (err < 0)
		muster__session_conclude(session, renewal_refused(err));
	else if (waits)
		muster__session_hold(session);
	else
		muster__session_conclude(session, NULL);
}

/* By its name; without one there has to be one alone. NULL: `why` tells. */
static struct muster__service_app *find_app(struct muster__service *service, const char *name, const char **why)
{
	struct muster__service_app *found = NULL;
	unsigned count = 0;
	size_t i;

	*why = name != NULL ? "no application has this name" : "there are several applications: name one";
	for (i = 0; i < service->app_count; i++) {
		if (muster__service_app_is_own(&service->apps[i]) ||
		    (name != NULL && strcmp(service->apps[i].plan.name, name) != 0))
			continue;
		found = &service->apps[i];
		count++;
	}
	return count == 1 ? found : NULL;
}

static void do_scale(struct muster__session *session, const json_t *question)
{
	struct muster__service *current = all_of(session)->current;
	json_int_t workers = json_integer_value(json_object_get(question, "workers"));
	const char *why = "the daemon is not serving";
	struct muster__service_app *app = NULL;
	int err;

	if (current != NULL && current->phase == MUSTER__PHASE_SERVING)
		app = find_app(current, json_string_value(json_object_get(question, "application")), &why);
	if (app == NULL || workers < 1 || workers > MUSTER__WORKERS_MAX) {
		muster__session_conclude(session, app == NULL ? why : "\"workers\" is not in 1..512");
		return;
	}
	err = muster_cluster_scale(app->cluster, (unsigned)workers);
	if (err == 0)
		app->workers = (unsigned)workers;
	muster__session_conclude(session, err < 0 ? muster_strerror(err) : NULL);
}

/* The answer goes first: nobody will be there to give it. */
static void do_drain(struct muster__session *session, const json_t *question)
{
	(void)question;
	muster__session_conclude(session, NULL);
	muster__generations_drain(all_of(session));
}

static void do_stop(struct muster__session *session, const json_t *question)
{
	(void)question;
	muster__session_conclude(session, NULL);
	muster__generations_stop(all_of(session));
}

static void do_log_level(struct muster__session *session, const json_t *question)
{
	const char *word = json_string_value(json_object_get(question, "level"));
	enum muster_log_level level;

	if (word == NULL || !muster__config_find_level(word, &level)) {
		muster__session_conclude(session, "\"level\" has to be error, warn, info or debug");
		return;
	}
	muster_log_set_level(level);
	muster__generations_tell_log(all_of(session), -1);
	muster__session_conclude(session, NULL);
}

/* ---- the table */

static const struct command {
	const char *name;
	bool steers;
	void (*run)(struct muster__session *session, const json_t *question);
} commands[] = {
	{ "status", false, do_status },  { "config", false, do_config },  { "reload", true, do_reload },
	{ "upgrade", true, do_upgrade }, { "restart", true, do_restart }, { "scale", true, do_scale },
	{ "drain", true, do_drain },     { "stop", true, do_stop },       { "log-level", true, do_log_level },
};

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void conclude_unknown(struct muster__session *session)
{
	char text[256] = "unknown command, known are";
	size_t i, length;

	for (i = 0; i < sizeof commands / sizeof *commands; i++) {
		length = strlen(text);
		snprintf(text + length, sizeof text - length, "%s %s", i > 0 ? "," : "", commands[i].name);
	}
	muster__session_conclude(session, text);
}

static void run(struct muster__session *session, const char *name, const json_t *question, bool may_steer)
{
	const struct command *command = find(name);

	if (command == NULL)
		conclude_unknown(session);
	else if (command->steers && !may_steer)
		muster__session_conclude(session, "permission denied: this is for root and the user of the daemon");
	else
		command->run(session, question);
}

static void forget(const struct muster__control *control, const struct muster__waiter *waiter)
{
	muster__generations_forget(control->all, waiter);
	muster__upgrade_forget(control->upgrade, waiter);
}

const struct muster__session_ops muster__commands = { run, forget };
