/* Tables for people. What is not known is a dash. */
#include "master/ctl_print.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text != NULL ? text : "-";
}

/* A number, or "-" for what is not known. */
static const char *number_of(const json_t *json, const char *name, char text[24])
{
	const json_t *value = json_object_get(json, name);

	snprintf(text, 24, "-");
	if (json_is_integer(value))
		snprintf(text, 24, "%lld", (long long)json_integer_value(value));
	return text;
}

void muster__ctl_print_workers(const json_t *workers)
{
	char slot[24], pid[24], connections[24], accepted[24], restarts[24];
	const json_t *worker;
	size_t i;

	printf("%-12s %4s %8s  %-9s %11s %10s %8s\n", "application", "slot", "pid", "state", "connections", "accepted",
	       "restarts");
	json_array_foreach(workers, i, worker) printf(
		"%-12s %4s %8s  %-9s %11s %10s %8s\n", text_of(worker, "application"), number_of(worker, "slot", slot),
		number_of(worker, "pid", pid), text_of(worker, "state"), number_of(worker, "connections", connections),
		number_of(worker, "accepted", accepted), number_of(worker, "restarts", restarts));
}

void muster__ctl_print_listeners(const json_t *listeners)
{
	char holder[24], connections[24], accepted[24], dropped[24], refused[24];
	const json_t *listener;
	size_t i;

	printf("%-12s %-24s %-18s %-12s %6s %11s %10s %8s %8s\n", "listener", "address", "policy", "application",
	       "holder", "connections", "accepted", "dropped", "refused");
	json_array_foreach(listeners, i, listener)
		printf("%-12s %-24s %-18s %-12s %6s %11s %10s %8s %8s\n", text_of(listener, "name"),
		       text_of(listener, "address"), text_of(listener, "policy"), text_of(listener, "application"),
		       number_of(listener, "holder", holder), number_of(listener, "connections", connections),
		       number_of(listener, "accepted", accepted), number_of(listener, "dropped", dropped),
		       number_of(listener, "refused", refused));
}

/* Where there is more than one, or something to tell of the last reload. */
static void print_generations(const json_t *status)
{
	const json_t *reload = json_object_get(status, "reload"), *generations = json_object_get(status, "generations");
	const char *failure = json_string_value(json_object_get(reload, "failure"));
	char number[24], connections[24];
	const json_t *generation;
	size_t i;

	if (json_array_size(generations) > 1)
		json_array_foreach(generations, i, generation)
			printf("generation %s: %s, %s connections\n", number_of(generation, "generation", number),
			       text_of(generation, "state"), number_of(generation, "connections", connections));
	if (failure != NULL)
		printf("the last reload failed: %s\n", failure);
}

static void print_head(const json_t *status)
{
	char pid[24], connections[24], generation[24];
	long long seconds = (long long)json_integer_value(json_object_get(status, "uptime_ms")) / 1000;

	printf("musterd %s, pid %s, %s, up %lld s, generation %s, %s connections\n", text_of(status, "version"),
	       number_of(status, "pid", pid), text_of(status, "state"), seconds,
	       number_of(status, "generation", generation), number_of(status, "connections", connections));
	print_generations(status);
}

void muster__ctl_print_status(const json_t *status)
{
	print_head(status);
	printf("\n");
	muster__ctl_print_workers(json_object_get(status, "workers"));
	printf("\n");
	muster__ctl_print_listeners(json_object_get(status, "listeners"));
}
