/* bench-run: reads the options, prepares the machine's side, runs the comparisons asked for one after another. */
#include "bench/compare.h"
#include "bench/notes.h"
#include "bench/report.h"
#include "bench/stop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { STATUS_FAULT = 1, STATUS_USAGE = 2, STATUS_STOPPED = 130, DESCRIPTORS_SPARE = 200 };

/* Another comparison is another row. */
static const struct comparison *const comparisons[] = { &compare_hand_over, &compare_workers, &compare_echo,
							&compare_idle };
enum { COMPARISONS = sizeof(comparisons) / sizeof(comparisons[0]) };

static bool is_asked(const struct options *options, const struct comparison *comparison)
{
	return strcmp(options->comparison, "all") == 0 || strcmp(options->comparison, comparison->name) == 0;
}

static bool is_known(const struct options *options)
{
	for (int i = 0; i < COMPARISONS; i++)
		if (is_asked(options, comparisons[i]))
			return true;
	fprintf(stderr, "bench-run: there is no comparison %s; see --help\n", options->comparison);
	return false;
}

static bool is_subject(const char *name, size_t length)
{
	for (int i = 0; i < subject_count; i++)
		if (strlen(subjects[i].name) == length && strncmp(subjects[i].name, name, length) == 0)
			return true;
	return false;
}

/* A name misspelt would otherwise be a server that is silently left out. */
static bool are_subjects(const char *list)
{
	while (list != NULL && *list != '\0') {
		size_t length = strcspn(list, ",");

		if (!is_subject(list, length)) {
			fprintf(stderr, "bench-run: there is no server %.*s; there are", (int)length, list);
			for (int i = 0; i < subject_count; i++)
				fprintf(stderr, " %s", subjects[i].name);
			fputc('\n', stderr);
			return false;
		}
		list += length + (list[length] == ',');
	}
	return true;
}

static void clamp(int *connections, const char *name, int max)
{
	if (*connections <= max)
		return;
	note_skip("%s: %d instead of %d connections, because of the limit on descriptors", name, max, *connections);
	*connections = max;
}

/* Servers inherit the limit; one worker may come to hold every connection. */
static void raise_descriptors(struct options *options)
{
	struct rlimit limit;
	int max;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > 1000000)
		return;
	max = (int)limit.rlim_cur - DESCRIPTORS_SPARE;
	clamp(&options->idle, "idle", max);
	clamp(&options->active, "echo", max);
	clamp(&options->in_flight, "hand-over", max);
}

static void print_conditions(const struct options *options)
{
	for (int i = 0; i < COMPARISONS; i++)
		if (is_asked(options, comparisons[i])) {
			printf("- %s: ", comparisons[i]->name);
			comparisons[i]->conditions(options);
		}
}

static int run_all(const struct options *options)
{
	struct launch launch;
	int error = launch_init(&launch, options->musterd);

	if (error != 0) {
		fprintf(stderr, "bench-run: cannot begin: %s\n", strerror(-error));
		return error;
	}
	report_heading();
	print_conditions(options);
	report_table();
	for (int i = 0; error == 0 && i < COMPARISONS; i++)
		if (is_asked(options, comparisons[i]))
			error = compare_run(comparisons[i], options, &launch);
	report_end();
	notes_print();
	launch_clear(&launch);
	return error;
}

int main(int argc, char **argv)
{
	struct options options;
	int error = options_parse(&options, argc, argv);

	if (error != 0)
		return error > 0 ? 0 : STATUS_USAGE;
	if (!is_known(&options) || !are_subjects(options.only))
		return STATUS_USAGE;
	stop_install();
	raise_descriptors(&options);
	error = run_all(&options);
	if (error == -EINTR)
		return STATUS_STOPPED;
	return error != 0 || notes_had_fault() ? STATUS_FAULT : 0;
}
