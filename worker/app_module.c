/*
 * module: what a user has written, loaded here and never in the primary. It is not unloaded: what it registered may be called
 * until the last object of the loop is gone.
 */
#include "ipc/plan.h"
#include "src/log.h"
#include "worker/app.h"
#include "worker/self.h"

#include <dlfcn.h>
#include <errno.h>
#include <muster/error.h>
#include <muster/module.h>
#include <stdlib.h>

static void complain(const struct muster__app *app, const char *why)
{
	muster__log(MUSTER_LOG_ERROR, "application %s: module %s: %s", app->name, app->module, why);
}

/* NULL: it has been told why not. */
static const struct muster_module *load(const struct muster__app *app)
{
	void *handle = dlopen(app->module, RTLD_NOW | RTLD_LOCAL);
	const struct muster_module *module = handle != NULL ? dlsym(handle, "muster_module") : NULL;

	if (handle == NULL)
		complain(app, dlerror());
	else if (module == NULL)
		complain(app, "it exports no muster_module: see muster/module.h");
	return module;
}

static bool is_usable(const struct muster__app *app, const struct muster_module *module)
{
	if (module->version == 0 || module->version > MUSTER_MODULE_VERSION) {
		muster__log(
			MUSTER_LOG_ERROR,
			"application %s: module %s: it is of version %u, this musterd loads up to %d: build it with "
			"the headers of this one",
			app->name, app->module, module->version, MUSTER_MODULE_VERSION);
		return false;
	}
	if (module->start == NULL)
		complain(app, "it has no start");
	return module->start != NULL;
}

/* New, one piece of memory with all that belongs to it. */
static struct muster_module_context *context_of(const struct muster__app *app)
{
	size_t count = app->listener_count, i;
	struct muster_module_context *context =
		calloc(1, sizeof *context + count * (sizeof(struct muster_module_listener) + sizeof(void *)));
	struct muster_module_listener *listeners = (void *)(context + 1);
	const struct muster_module_listener **list = (void *)(listeners + count);

	if (context == NULL)
		return NULL;
	for (i = 0; i < count; i++) {
		listeners[i] = (struct muster_module_listener){
			.name = app->listeners[i].name,
			.server = app->listeners[i].server,
			.listen = app->listeners[i].listen,
			.timeout_ms = app->listeners[i].timeout_ms,
		};
		list[i] = &listeners[i];
	}
	*context = (struct muster_module_context){
		.application = app->name,
		.config = app->config != NULL ? app->config : "{}",
		.listeners = list,
		.listener_count = count,
	};
	return context;
}

static int start(struct muster_worker *worker, const struct muster__app *app, const struct muster_module *module)
{
	struct muster__self *self = muster__self_of(worker);
	int err;

	self->told = context_of(app);
	if (self->told == NULL)
		return -ENOMEM;
	self->left = module->leave;
	err = module->start(worker, self->told);
	if (err < 0)
		muster__log(MUSTER_LOG_ERROR, "application %s: module %s: its start failed: %s", app->name,
			    module->name != NULL ? module->name : app->module, muster_strerror(err));
	return err;
}

int muster__module_run(struct muster_worker *self, const struct muster__app *app)
{
	const struct muster_module *module = load(app);
	int err = module != NULL && is_usable(app, module) ? start(self, app, module) : -ENOEXEC;

	if (err < 0)
		muster__self_of(self)->status = MUSTER__EXIT_UNFIT;
	return err;
}
