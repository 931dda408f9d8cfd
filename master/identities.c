/* Names become numbers while the file is read, so that a wrong one is told with its line, and so that a test of the file finds it. */
#include "master/identities.h"

#include "master/config.h"
#include "master/reader.h"

#include <errno.h>
#include <unistd.h>

#define NOBODY 65534 /* to whom no file belongs */

/* What a program or a module is and asks for would be seen from inside, what is bound for it from outside. */
static void check_chroot(struct muster__reader *reader)
{
	struct muster__json_path map = { .key = "applications" }, step = { .parent = &map };
	const struct muster__config *config = reader->config;

	for (size_t i = 0; config->chroot && i < config->application_count; i++) {
		step.key = config->applications[i].name;
		if (config->applications[i].exec)
			muster__complain(reader, &(struct muster__json_path){ .parent = &step, .key = "exec" },
					 "a program cannot stand beside \"chroot\"");
		else if (config->applications[i].module)
			muster__complain(reader, &(struct muster__json_path){ .parent = &step, .key = "module" },
					 "a module cannot stand beside \"chroot\"");
	}
}

static uint64_t read_capabilities(struct muster__reader *reader)
{
	struct muster__json_path list = { .key = "keep_capabilities" }, step = { .parent = &list };
	char **names = reader->config->keep_capabilities, text[MUSTER__SHOWN_MAX];
	uint64_t set = 0;

	for (; names && names[step.index]; step.index++)
		if (!muster__identity_capability(names[step.index], &set))
			muster__complain(reader, &step, "no capability is named %s, one is \"net_bind_service\"",
					 muster__quote(names[step.index], text));
	return set;
}

/* False: there is a mistake, and it has been told. */
static bool find_identity(struct muster__reader *reader, const struct muster__json_path *at, const char *user,
			  const char *group, struct muster__privileges *privileges)
{
	char text[MUSTER__SHOWN_MAX];
	int err;

	if (user && muster__identity_user(privileges, user) < 0) {
		muster__complain(reader, &(struct muster__json_path){ .parent = at, .key = "user" },
				 "no user is named %s", muster__quote(user, text));
		return false;
	}
	if (group && muster__identity_group(privileges, group) < 0) {
		muster__complain(reader, &(struct muster__json_path){ .parent = at, .key = "group" },
				 "no group is named %s", muster__quote(group, text));
		return false;
	}
	err = muster__identity_complete(privileges);
	if (err == -ENOMEM)
		reader->err = err;
	else if (err < 0)
		muster__complain(reader, &(struct muster__json_path){ .parent = at, .key = "user" },
				 "a number that no user has needs a \"group\" beside it");
	return err == 0;
}

/* It reads what strangers send: whoever it is, he may do nothing here. */
static void identify_status(struct muster__reader *reader, struct muster__privileges *privileges)
{
	const struct muster__config *config = reader->config;

	find_identity(reader, NULL, config->user, config->group, privileges);
	if ((privileges->has_user ? privileges->uid : geteuid()) == 0) {
		muster__identity_clear(privileges);
		privileges->has_user = privileges->has_group = true;
		privileges->uid = NOBODY;
		privileges->gid = NOBODY;
	}
	privileges->chroot = config->chroot;
	privileges->no_new_privileges = privileges->keeps = true;
}

void muster__identities_check(struct muster__reader *reader)
{
	struct muster__json_path map = { .key = "applications" }, step = { .parent = &map };
	struct muster__config *config = reader->config;
	struct muster__privileges common = { 0 };
	bool is_found = find_identity(reader, NULL, config->user, config->group, &common);
	uint64_t capabilities = read_capabilities(reader);

	check_chroot(reader);
	if (is_found && config->status_application.builtin)
		identify_status(reader, &config->status_application.privileges);
	for (size_t i = 0; i < config->application_count; i++) {
		struct muster__config_application *own = &config->applications[i];

		own->privileges = (struct muster__privileges){
			.chroot = config->chroot,
			.no_new_privileges = config->no_new_privileges,
			.keeps = config->keep_capabilities != NULL,
			.capabilities = capabilities,
			.clean_env = own->clean_env,
		};
		step.key = own->name;
		/* Another user has groups of his own. */
		if (own->user || own->group)
			find_identity(reader, &step, own->user ? own->user : config->user, own->group,
				      &own->privileges);
		else if (is_found)
			find_identity(reader, NULL, config->user, config->group, &own->privileges);
	}
	muster__identity_clear(&common);
}
