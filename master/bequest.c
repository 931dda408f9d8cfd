/*
 * {"version": 1, "needs": 1, "channel": 9, "sockets": [{"fd": 7, "name": "echo", "ours": true}]}
 *
 * A later writer may add members; only if a reader must not pass over one does it raise "needs".
 */
#include "master/bequest.h"

#include "master/inherited.h"
#include "master/listeners.h"
#include "master/service.h"
#include "master/succession.h"
#include "src/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <muster/log.h>
#include <unistd.h>

#define VERSION 1

/* ---- writing */

static void add(const struct muster__service *service, struct muster__listening *listening, void *data)
{
	const char *name = muster__succession_name(service, listening);

	json_array_append_new(data, json_pack("{s:i,s:s?,s:b}", "fd", listening->socket.fd, "name", name, "ours",
					      !listening->socket.foreign));
}

char *muster__bequest_write(const struct muster__service *service, int channel)
{
	json_t *sockets = json_array(), *json;
	char *text;

	muster__succession_each(service, add, sockets);
	json = json_pack("{s:i,s:i,s:i,s:o}", "version", VERSION, "needs", 1, "channel", channel, "sockets", sockets);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

static void open_one(const struct muster__service *service, struct muster__listening *listening, void *data)
{
	(void)service, (void)data;
	fcntl(listening->socket.fd, F_SETFD, 0);
}

void muster__bequest_open(const struct muster__service *service, int channel)
{
	muster__succession_each(service, open_one, NULL);
	fcntl(channel, F_SETFD, 0);
}

/* ---- reading */

static int number(const json_t *object, const char *name, int missing)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? (int)json_integer_value(value) : missing;
}

static int take(const json_t *socket, struct muster__inherited *table)
{
	const json_t *ours = json_object_get(socket, "ours");
	const char *name = json_string_value(json_object_get(socket, "name"));
	int fd = number(socket, "fd", -1), err;

	if (fd <= STDERR_FILENO)
		return 0;
	err = muster__inherited_add(table, fd, name, ours == NULL || json_is_true(ours));
	if (err < 0 && err != -ENOMEM)
		muster__log(MUSTER_LOG_WARN, "socket %s of the daemon before this one cannot be used: %s",
			    name != NULL ? name : "without a name", muster_strerror(err));
	return err == -ENOMEM ? err : 0;
}

static int read_json(const json_t *json, struct muster__inherited *table, int *channel)
{
	const json_t *sockets = json_object_get(json, "sockets"), *socket;
	int err = 0;
	size_t i;

	if (!json_is_object(json))
		return -EINVAL;
	if (number(json, "needs", 0) > VERSION)
		return -ENOTSUP;
	json_array_foreach(sockets, i, socket) if (err == 0) err = take(socket, table);
	*channel = number(json, "channel", -1);
	if (*channel < 0 || muster__fd_prepare(*channel) < 0)
		*channel = -1;
	return err;
}

int muster__bequest_read(const char *text, struct muster__inherited *table, int *channel)
{
	json_t *json = json_loads(text, 0, NULL);
	int err;

	*channel = -1;
	err = read_json(json, table, channel);
	json_decref(json);
	return err;
}
