/* How each message is spelled. Node's spelling, member for member; what is ours stands in a member called "muster". */
#include "ipc/protocol.h"

#include "ipc/channel.h"
#include "src/address.h"
#include "src/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading */

static int integer_or(const json_t *json, const char *name, int otherwise)
{
	const json_t *value = json_object_get(json, name);
	json_int_t integer = json_integer_value(value);

	return json_is_integer(value) && integer >= INT_MIN && integer <= INT_MAX ? (int)integer : otherwise;
}

static unsigned ours(const json_t *json, const char *name)
{
	int value = integer_or(json_object_get(json, "muster"), name, 0);

	return value > 0 ? (unsigned)value : 0;
}

/* It can be written between quotes as it is. */
static bool is_plain(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			return false;
	return true;
}

int muster__query_decode(struct muster__query *query, const json_t *json)
{
	*query = (struct muster__query){
		.address = json_string_value(json_object_get(json, "address")),
		.port = integer_or(json, "port", 0),
		.family = integer_or(json, "addressType", 0),
		.fd = integer_or(json, "fd", -1),
		.backlog = integer_or(json, "backlog", 0),
		.ipv6_only = integer_or(json, "flags", 0) & 1,
		.readable_all = json_is_true(json_object_get(json, "readableAll")),
		.writable_all = json_is_true(json_object_get(json, "writableAll")),
		.policy = (enum muster_policy)ours(json, "policy"),
		.no_accept = ours(json, "noAccept") != 0,
		.no_delay = ours(json, "noDelay") != 0,
		.keep_alive = ours(json, "keepAlive") != 0,
		.keep_alive_delay_ms = ours(json, "keepAliveDelay"),
		.defer_accept_ms = ours(json, "deferAccept"),
		.fast_open = ours(json, "fastOpen"),
		.data = json_object_get(json, "data"),
	};
	if (integer_or(json, "index", 0) > 0)
		query->index = (unsigned)integer_or(json, "index", 0);
	if (query->policy > MUSTER_POLICY_EXCLUSIVE)
		query->policy = MUSTER_POLICY_DEFAULT;
	if (query->port > 65535 || query->backlog < 0 || !is_plain(query->address) ||
	    (query->address != NULL && strlen(query->address) > 120))
		return -EINVAL;
	if (query->family == -1)
		return query->address != NULL && query->port == -1 ? 0 : -EINVAL;
	return query->port >= 0 && (query->family == 4 || query->family == 6 || query->fd >= 0) ? 0 : -EINVAL;
}

static void read_sockname(struct muster__reply *reply, const json_t *sockname)
{
	const char *address = json_string_value(json_object_get(sockname, "address"));
	int port = integer_or(sockname, "port", 0);

	reply->has_sockname = address != NULL && port >= 0 && port <= 65535;
	if (reply->has_sockname)
		muster__address_named(&reply->sockname, muster_is_ip(address), address, (unsigned)port);
}

int muster__reply_decode(struct muster__reply *reply, const json_t *json)
{
	*reply = (struct muster__reply){
		.err = integer_or(json, "errno", 0),
		.key = json_string_value(json_object_get(json, "key")),
		.row = ours(json, "row"),
		.rotate_every = ours(json, "rotate"),
		.max_connections = ours(json, "max"),
		.worker_max = ours(json, "most"),
		.alone = ours(json, "alone") != 0,
		.drops = ours(json, "drop") != 0,
	};
	if (reply->row >= 1u << 16 || reply->err > 0 || !is_plain(reply->key))
		return -EBADMSG;
	read_sockname(reply, json_object_get(json, "sockname"));
	return reply->err == 0 && reply->key == NULL ? -EBADMSG : 0;
}

void muster__listening_address(struct muster_address *address, const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "address"));
	int family = integer_or(json, "addressType", 0), port = integer_or(json, "port", 0);

	if (family == -1 && text != NULL)
		muster__address_named(address, MUSTER__FAMILY_UNIX, text, 0);
	else
		muster__address_named(address, family == 6 ? 6 : 4, text != NULL ? text : "",
				      port > 0 && port <= 65535 ? (unsigned)port : 0);
}

/* Node appended the index to every key; that gave a false EADDRINUSE after a re-listen, so now only port 0 has it. */
void muster__query_key(const struct muster__query *query, char key[MUSTER__KEY_MAX])
{
	const char *address = query->address != NULL ? query->address : "null";
	int used;

	if (query->fd >= 0)
		used = snprintf(key, MUSTER__KEY_MAX, "null:null:null:%d", query->fd);
	else
		used = snprintf(key, MUSTER__KEY_MAX, "%s:%d:%d:undefined", address, query->port, query->family);
	if (query->ipv6_only)
		used += snprintf(key + used, MUSTER__KEY_MAX - (size_t)used, ":6only");
	if (query->port == 0 && query->fd < 0)
		snprintf(key + used, MUSTER__KEY_MAX - (size_t)used, ":%u", query->index);
}

struct json_t *muster__data_keep(const json_t *data)
{
	return json_incref((json_t *)data);
}

void muster__data_drop(json_t *data)
{
	json_decref(data);
}

size_t muster__data_size(const json_t *data)
{
	return json_dumpb(data, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
}

bool muster__online_is_muster(const json_t *json)
{
	return ours(json, "version") >= 1;
}

/* ---- writing */

/* `json` is consumed. `fd` is taken in every case, or -1. */
static int send_json(struct muster__channel *channel, json_t *json, int fd)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	size_t length = text != NULL ? strlen(text) : 0;
	int err = -ENOMEM;

	json_decref(json);
	if (text != NULL) {
		text[length] = '\n'; /* in the place of its NUL */
		err = fd < 0 ? muster__channel_print(channel, text, length + 1) :
			       muster__channel_give(channel, text, length + 1, fd, 0);
	} else if (fd >= 0) {
		close(fd);
	}
	free(text);
	return err;
}

static json_t *envelope(const char *act)
{
	return act != NULL ? json_pack("{s:s,s:s}", "cmd", "NODE_CLUSTER", "act", act) :
			     json_pack("{s:s}", "cmd", "NODE_CLUSTER");
}

static int send_envelope(struct muster__channel *channel, json_t *json, uint64_t seq)
{
	json_object_set_new(json, "seq", json_integer((json_int_t)seq));
	return send_json(channel, json, -1);
}

int muster__send_act(struct muster__channel *channel, const char *act, uint64_t seq)
{
	return send_envelope(channel, envelope(act), seq);
}

int muster__send_online(struct muster__channel *channel, uint64_t seq)
{
	json_t *json = envelope("online");

	json_object_set_new(json, "muster", json_pack("{s:i}", "version", MUSTER__PROTOCOL_VERSION));
	return send_envelope(channel, json, seq);
}

/* What has its default is not said. */
static void set_ours(json_t *json, const char *name, unsigned value)
{
	if (value == 0)
		return;
	if (json_object_get(json, "muster") == NULL)
		json_object_set_new(json, "muster", json_object());
	json_object_set_new(json_object_get(json, "muster"), name, json_integer(value));
}

static json_t *query_json(const struct muster__query *query, const char *act, int port)
{
	json_t *json = envelope(act);

	json_object_set_new(json, "index", json_integer(query->index));
	json_object_set_new(json, "data", json_null());
	json_object_set_new(json, "address", query->address != NULL ? json_string(query->address) : json_null());
	json_object_set_new(json, "port", json_integer(port));
	json_object_set_new(json, "addressType", json_integer(query->family));
	if (query->family != -1)
		json_object_set_new(json, "flags", json_integer(query->ipv6_only));
	json_object_set_new(json, "backlog", json_integer(query->backlog));
	if (query->readable_all)
		json_object_set_new(json, "readableAll", json_true());
	if (query->writable_all)
		json_object_set_new(json, "writableAll", json_true());
	set_ours(json, "policy", query->policy);
	set_ours(json, "noAccept", query->no_accept);
	set_ours(json, "noDelay", query->no_delay);
	set_ours(json, "keepAlive", query->keep_alive);
	set_ours(json, "keepAliveDelay", query->keep_alive_delay_ms);
	set_ours(json, "deferAccept", query->defer_accept_ms);
	set_ours(json, "fastOpen", query->fast_open);
	return json;
}

int muster__send_query(struct muster__channel *channel, const struct muster__query *query, uint64_t seq)
{
	return send_envelope(channel, query_json(query, "queryServer", query->port), seq);
}

int muster__send_listening(struct muster__channel *channel, const struct muster__query *query, unsigned port,
			   uint64_t seq)
{
	int real = query->family == -1 ? -1 : (int)port;

	return send_envelope(channel, query_json(query, "listening", real), seq);
}

static json_t *sockname_json(const struct muster_address *address)
{
	return json_pack("{s:s,s:s,s:i}", "address", address->text, "family", address->family == 6 ? "IPv6" : "IPv4",
			 "port", (int)address->port);
}

/* Beyond the row, only what is not the default. */
static json_t *reply_ours(const struct muster__reply *reply)
{
	json_t *json = json_pack("{s:i,s:i,s:i}", "row", (int)reply->row, "rotate", (int)reply->rotate_every, "max",
				 (int)reply->max_connections);

	if (reply->worker_max != 0)
		json_object_set_new(json, "most", json_integer(reply->worker_max));
	if (reply->alone)
		json_object_set_new(json, "alone", json_integer(1));
	if (reply->drops)
		json_object_set_new(json, "drop", json_integer(1));
	return json;
}

static json_t *reply_json(const struct muster__reply *reply, const json_t *data, bool shared, bool to_muster,
			  uint64_t ack)
{
	json_t *json = envelope(NULL);

	/* Node writes null for round robin and 0 for shared; both mean "no error". */
	json_object_set_new(json, "errno", reply->err == 0 && !shared ? json_null() : json_integer(reply->err));
	json_object_set_new(json, "key", json_string(reply->key));
	json_object_set_new(json, "ack", json_integer((json_int_t)ack));
	json_object_set_new(json, "data", data != NULL ? json_incref((json_t *)data) : json_null());
	if (reply->has_sockname && !shared)
		json_object_set_new(json, "sockname", sockname_json(&reply->sockname));
	if (to_muster)
		json_object_set_new(json, "muster", reply_ours(reply));
	return json;
}

int muster__send_reply(struct muster__channel *channel, const struct muster__reply *reply, const json_t *data, int fd,
		       bool to_muster, uint64_t ack, uint64_t seq)
{
	json_t *json = reply_json(reply, data, fd >= 0, to_muster, ack);
	int copy;

	if (fd < 0)
		return send_envelope(channel, json, seq);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		int err = -errno;

		json_decref(json);
		return err;
	}
	json_object_set_new(json, "seq", json_integer((json_int_t)seq));
	return send_json(channel, json_pack("{s:s,s:s,s:o}", "cmd", "NODE_HANDLE", "type", "net.Native", "msg", json),
			 copy);
}

static int send_ours(struct muster__channel *channel, const char *act)
{
	return send_json(channel, json_pack("{s:s,s:s}", "cmd", "NODE_MUSTER", "act", act), -1);
}

int muster__send_room(struct muster__channel *channel)
{
	return send_ours(channel, "room");
}

int muster__send_log(struct muster__channel *channel, int fd)
{
	json_t *json = json_pack("{s:s,s:s,s:i,s:i}", "cmd", "NODE_MUSTER", "act", "log", "level",
				 (int)muster_log_level(), "format", (int)muster__log_format());
	int copy;

	if (fd < 0)
		return send_json(channel, json, -1);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0) {
		int err = -errno;

		json_decref(json);
		return err;
	}
	return send_json(channel, json_pack("{s:s,s:s,s:o}", "cmd", "NODE_HANDLE", "type", "net.Native", "msg", json),
			 copy);
}

void muster__log_apply(const json_t *json)
{
	int level = integer_or(json, "level", 0), format = integer_or(json, "format", 0);

	if (level >= MUSTER_LOG_ERROR && level <= MUSTER_LOG_DEBUG)
		muster_log_set_level((enum muster_log_level)level);
	if (format >= MUSTER__LOG_TEXT && format <= MUSTER__LOG_JSON)
		muster__log_set_format((enum muster__log_format)format);
}

int muster__send_ready(struct muster__channel *channel)
{
	return send_ours(channel, "ready");
}

int muster__send_stop(struct muster__channel *channel)
{
	return send_ours(channel, "stop");
}

int muster__send_close(struct muster__channel *channel, const char *key, uint64_t seq)
{
	json_t *json = envelope("close");

	json_object_set_new(json, "key", json_string(key));
	return send_envelope(channel, json, seq);
}

int muster__send_plain_reply(struct muster__channel *channel, uint64_t ack, uint64_t seq)
{
	json_t *json = envelope(NULL);

	json_object_set_new(json, "ack", json_integer((json_int_t)ack));
	return send_envelope(channel, json, seq);
}

/* ---- the hot path: printf would be the dearest thing that user space does for a connection */

static char *put_number(char *at, uint64_t number)
{
	char digits[20];
	size_t first = sizeof digits;

	do
		digits[--first] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return mempcpy(at, digits + first, sizeof digits - first);
}

int muster__send_accepted(struct muster__channel *channel, uint64_t ack, bool accepted, uint64_t seq)
{
	char line[128], *end;

	end = stpcpy(line, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":");
	end = put_number(end, ack);
	end = stpcpy(end, accepted ? ",\"accepted\":true,\"seq\":" : ",\"accepted\":false,\"seq\":");
	end = put_number(end, seq);
	end = stpcpy(end, "}\n");
	return muster__channel_print(channel, line, (size_t)(end - line));
}

int muster__try_newconn(struct muster__channel *channel, const char *key, int fd, uint64_t seq)
{
	char line[MUSTER__KEY_MAX + 160], *end;

	end = stpcpy(line, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
			   "\"act\":\"newconn\",\"key\":\"");
	end = stpcpy(end, key); /* shorter than MUSTER__KEY_MAX */
	end = stpcpy(end, "\",\"seq\":");
	end = put_number(end, seq);
	end = stpcpy(end, "}}\n");
	return muster__channel_try(channel, line, (size_t)(end - line), fd, seq);
}
