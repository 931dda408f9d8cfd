/* Tables: a metric is a line in one of them, and says where in the status its value is. Samples of one name stand together. */
#include "worker/status_metrics.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum kind { GAUGE, COUNTER };

/* What one unit of the value is: metrics are in seconds and bytes. */
enum unit { ONE, MILLISECONDS };

struct metric {
	const char *name, *help;
	enum kind kind;
	enum unit unit;
	const char *object, *key; /* of the value in the status; the object may be NULL */
};

static const struct metric totals[] = {
	{ "muster_uptime_seconds", "Time since the daemon began.", GAUGE, MILLISECONDS, NULL, "uptime_ms" },
	{ "muster_generation", "Number of the configuration that serves.", GAUGE, ONE, NULL, "generation" },
	{ "muster_reloads_total", "Reloads of the configuration, with those that failed.", COUNTER, ONE, "reload",
	  "count" },
	{ "muster_reloads_failed_total", "Reloads that failed.", COUNTER, ONE, "reload", "failed" },
	{ "muster_upgrades_failed_total", "Upgrades of the program that failed.", COUNTER, ONE, "upgrade", "failed" },
	{ "muster_connections", "Open connections.", GAUGE, ONE, NULL, "connections" },
	{ "muster_connections_max", "Most connections there may be; 0 is no limit.", GAUGE, ONE, NULL,
	  "max_connections" },
	{ "muster_connections_accepted_total", "Connections accepted by all workers.", COUNTER, ONE, NULL, "accepted" },
	{ "muster_worker_restarts_total", "Workers that ended and were replaced.", COUNTER, ONE, NULL, "restarts" },
	{ "muster_handovers_total", "Connections handed to a worker.", COUNTER, ONE, "handovers", "count" },
	{ "muster_handovers_refused_total", "Connections a worker handed back.", COUNTER, ONE, "handovers", "refused" },
	{ "muster_handovers_recovered_total", "Connections taken back from a worker that died.", COUNTER, ONE,
	  "handovers", "recovered" },
	{ "muster_handovers_in_flight", "Connections handed to a worker that has not answered yet.", GAUGE, ONE,
	  "handovers", "in_flight" },
	{ "muster_primary_cpu_seconds_total", "Processor time of the primary process.", COUNTER, MILLISECONDS,
	  "primary", "cpu_ms" },
	{ "muster_primary_resident_memory_bytes", "Memory of the primary process.", GAUGE, ONE, "primary", "resident" },
	{ "muster_primary_open_fds", "Descriptors of the primary process.", GAUGE, ONE, "primary", "descriptors" },
	{ "muster_primary_max_fds", "Most descriptors it may have; -1 is no limit.", GAUGE, ONE, "primary",
	  "max_descriptors" },
	{ "muster_log_lines_dropped_total", "Lines of the primary that could not be written.", COUNTER, ONE, "primary",
	  "log_lost" },
	{ "muster_host_listen_overflows_total", "Connections to any listener of this host that found its queue full.",
	  COUNTER, ONE, "host", "listen_overflows" },
	{ "muster_host_listen_drops_total", "Connections lost at any listener of this host.", COUNTER, ONE, "host",
	  "listen_drops" },
};

static const struct metric of_listeners[] = {
	{ "muster_listener_connections", "Open connections of a listener.", GAUGE, ONE, NULL, "connections" },
	{ "muster_listener_accepted_total", "Connections accepted at a listener.", COUNTER, ONE, NULL, "accepted" },
	{ "muster_listener_dropped_total", "Connections dropped at a listener, beyond a limit.", COUNTER, ONE, NULL,
	  "dropped" },
	{ "muster_listener_refused_total", "Connections refused at the door, by lists and limits of addresses.",
	  COUNTER, ONE, NULL, "refused" },
	{ "muster_listener_waiting", "Connections accepted for which no worker has room.", GAUGE, ONE, NULL,
	  "waiting" },
	{ "muster_listener_workers", "Workers that serve a listener.", GAUGE, ONE, NULL, "workers" },
	{ "muster_listener_accepting", "Whether the primary accepts at a listener.", GAUGE, ONE, NULL, "accepting" },
};

static const struct metric of_workers[] = {
	{ "muster_worker_connections", "Open connections of a worker.", GAUGE, ONE, NULL, "connections" },
	{ "muster_worker_accepted_total", "Connections a worker has had.", COUNTER, ONE, NULL, "accepted" },
	{ "muster_worker_in_flight", "Connections handed to a worker that it has not answered yet.", GAUGE, ONE, NULL,
	  "in_flight" },
	{ "muster_worker_cpu_seconds_total", "Processor time of a worker.", COUNTER, MILLISECONDS, NULL, "cpu_ms" },
	{ "muster_worker_resident_memory_bytes", "Memory of a worker.", GAUGE, ONE, NULL, "resident" },
};

static const char *const states[] = { "waiting", "starting", "online", "ready", "draining", "errored" };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* A label of a sample, and where its value is in the object that the sample is about. */
struct label {
	const char *name, *key;
};

static const struct label listener_labels[] = { { "listener", "name" },
						{ "address", "address" },
						{ "application", "application" } };
/* Ids begin anew with each generation. */
static const struct label worker_labels[] = { { "application", "application" },
					      { "generation", "generation" },
					      { "worker", "id" } };

/* ---- the format */

static void put_head(struct evbuffer *out, const char *name, const char *help, enum kind kind)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
			    kind == COUNTER ? "counter" : "gauge");
}

static void put_label(struct evbuffer *out, const char *name, const char *value, bool first)
{
	evbuffer_add_printf(out, "%s%s=\"", first ? "{" : ",", name);
	for (; *value != '\0'; value++)
		if (*value == '\n')
			evbuffer_add(out, "\\n", 2);
		else
			evbuffer_add_printf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
	evbuffer_add(out, "\"", 1);
}

static void put_labels(struct evbuffer *out, const json_t *object, const struct label *labels, size_t count)
{
	char number[24];
	size_t i;

	for (i = 0; i < count; i++) {
		const json_t *value = json_object_get(object, labels[i].key);

		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		put_label(out, labels[i].name, json_is_string(value) ? json_string_value(value) : number, i == 0);
	}
	evbuffer_add(out, "}", 1);
}

static void put_value(struct evbuffer *out, const json_t *value, enum unit unit)
{
	if (json_is_boolean(value))
		evbuffer_add_printf(out, " %d\n", json_is_true(value));
	else if (unit == MILLISECONDS)
		evbuffer_add_printf(out, " %.3f\n", (double)json_integer_value(value) / 1000);
	else
		evbuffer_add_printf(out, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
}

/* ---- what there is */

static void put_total(struct evbuffer *out, const json_t *status, const struct metric *metric)
{
	const json_t *object = metric->object != NULL ? json_object_get(status, metric->object) : status;
	const json_t *value = json_object_get(object, metric->key);

	if (value == NULL)
		return;
	put_head(out, metric->name, metric->help, metric->kind);
	evbuffer_add_printf(out, "%s", metric->name);
	put_value(out, value, metric->unit);
}

static void put_each(struct evbuffer *out, const json_t *array, const struct metric *metric, const struct label *labels,
		     size_t label_count)
{
	const json_t *object, *value;
	size_t i;

	put_head(out, metric->name, metric->help, metric->kind);
	json_array_foreach(array, i, object)
	{
		value = json_object_get(object, metric->key);
		if (value == NULL)
			continue;
		evbuffer_add_printf(out, "%s", metric->name);
		put_labels(out, object, labels, label_count);
		put_value(out, value, metric->unit);
	}
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* The workers of one application in one state: those from `first` on, which is the first of them all. */
static unsigned count_state(const json_t *workers, size_t first, const char *state)
{
	const char *application = text_of(json_array_get(workers, first), "application");
	unsigned count = 0;

	for (; first < json_array_size(workers); first++) {
		const json_t *worker = json_array_get(workers, first);

		count += strcmp(text_of(worker, "application"), application) == 0 &&
			 strcmp(text_of(worker, "state"), state) == 0;
	}
	return count;
}

static bool is_first(const json_t *workers, size_t index)
{
	const char *application = text_of(json_array_get(workers, index), "application");
	size_t i;

	for (i = 0; i < index; i++)
		if (strcmp(text_of(json_array_get(workers, i), "application"), application) == 0)
			return false;
	return true;
}

/* Every state is told, so that none has to be missed. */
static void put_states(struct evbuffer *out, const json_t *workers)
{
	const json_t *worker;
	size_t i, k;

	put_head(out, "muster_workers", "Workers by their state.", GAUGE);
	json_array_foreach(workers, i, worker)
	{
		for (k = 0; k < COUNT_OF(states) && is_first(workers, i); k++) {
			evbuffer_add_printf(out, "muster_workers");
			put_label(out, "application", text_of(worker, "application"), true);
			put_label(out, "state", states[k], false);
			evbuffer_add_printf(out, "} %u\n", count_state(workers, i, states[k]));
		}
	}
}

static void put_daemon(struct evbuffer *out, const json_t *status)
{
	put_head(out, "muster_up", "Whether the daemon serves.", GAUGE);
	evbuffer_add_printf(out, "muster_up %d\n", strcmp(text_of(status, "state"), "serving") == 0);
	put_head(out, "muster_build_info", "The version of the daemon.", GAUGE);
	evbuffer_add_printf(out, "muster_build_info");
	put_label(out, "version", text_of(status, "version"), true);
	evbuffer_add_printf(out, "} 1\n");
}

void muster__status_metrics(struct evbuffer *out, const json_t *status)
{
	const json_t *listeners = json_object_get(status, "listeners"), *workers = json_object_get(status, "workers");
	size_t i;

	put_daemon(out, status);
	for (i = 0; i < COUNT_OF(totals); i++)
		put_total(out, status, &totals[i]);
	for (i = 0; i < COUNT_OF(of_listeners); i++)
		put_each(out, listeners, &of_listeners[i], listener_labels, COUNT_OF(listener_labels));
	put_states(out, workers);
	for (i = 0; i < COUNT_OF(of_workers); i++)
		put_each(out, workers, &of_workers[i], worker_labels, COUNT_OF(worker_labels));
}
