/*
 * The order of a run: rounds outside, servers inside, so a slow minute of the machine falls on all of them alike. Each
 * server is started afresh in each round, and runs alone. Nothing here is a test: a goal missed is printed and ends
 * nothing.
 */
#include "bench/compare.h"

#include "bench/clock.h"
#include "bench/notes.h"
#include "bench/report.h"
#include "bench/stop.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, ",");

		if (word == length && strncmp(list, name, length) == 0)
			return true;
		list += word + (list[word] == ',');
	}
	return false;
}

static bool takes_part(const struct comparison *comparison, const struct options *options, const struct launch *launch,
		       const struct subject *subject)
{
	char program[PATH_MAX + 32];

	if (comparison->lasting && !subject->lasts)
		return false;
	if (options->only != NULL && !is_listed(options->only, subject->name))
		return false;
	if (subject_find(subject, launch, program, sizeof(program)) == 0)
		return true;
	note_skip("%s: skipped, there is no program %s", subject->name, program);
	return false;
}

static int measure_one(const struct comparison *comparison, const struct trial *trial, const struct subject *subject,
		       double *values)
{
	struct server server;
	struct trial running = *trial;
	int error = server_start(&server, subject, trial->launch);

	if (error != 0)
		return error;
	running.server = &server;
	error = comparison->measure(&running, values);
	server_stop(&server);
	return error;
}

static void record(struct sheet *sheet, int subject, int round, const double *values)
{
	for (int i = 0; i < sheet->values; i++)
		sheet_set(sheet, subject, i, round, values[i]);
}

static const char *reason(int error)
{
	if (error == -ECHILD)
		return "it or one of its workers ended";
	return strerror(-error);
}

static void run_trial(const struct comparison *comparison, const struct trial *trial, int index, struct sheet *sheet)
{
	const struct subject *subject = &subjects[index];
	uint64_t begin = clock_now();
	double values[VALUES_MAX];
	int error;

	for (int i = 0; i < VALUES_MAX; i++)
		values[i] = NAN;
	error = measure_one(comparison, trial, subject, values);
	if (error == 0)
		record(sheet, index, trial->round, values);
	else if (error != -EINTR)
		note_fault("%s: %s: round %d with %d workers is left out: %s", comparison->name, subject->name,
			   trial->round + 1, trial->launch->workers, reason(error));
	note_progress("%s, %d workers, round %d of %d: %s, %.1f s\n", comparison->name, trial->launch->workers,
		      trial->round + 1, trial->rounds, subject->name, clock_seconds_since(begin));
}

static int run_rounds(const struct comparison *comparison, struct trial *trial, struct sheet *sheet)
{
	for (trial->round = 0; trial->round < trial->rounds; trial->round++)
		for (int i = 0; i < subject_count; i++) {
			if (stop_requested())
				return -EINTR;
			if (takes_part(comparison, trial->options, trial->launch, &subjects[i]))
				run_trial(comparison, trial, i, sheet);
		}
	return 0;
}

static int run_with(const struct comparison *comparison, const struct options *options, const struct launch *launch)
{
	struct trial trial = { .options = options, .launch = launch, .rounds = options->rounds };
	struct sheet sheet;
	int error;

	if (comparison->is_short)
		trial.rounds = (trial.rounds + 1) / 2;
	error = sheet_init(&sheet, subject_count, comparison->value_count, trial.rounds);
	if (error != 0)
		return error;
	error = run_rounds(comparison, &trial, &sheet);
	report_rows(comparison, launch->workers, &sheet);
	sheet_clear(&sheet);
	return error;
}

const int compare_with_two[] = { 2, 0 };

int compare_run(const struct comparison *comparison, const struct options *options, struct launch *launch)
{
	int error = 0;

	for (int i = 0; error == 0 && i < options->worker_counts; i++) {
		launch->workers = options->workers[i];
		error = run_with(comparison, options, launch);
	}
	for (int i = 0; error == 0 && options->worker_counts == 0 && comparison->workers[i] != 0; i++) {
		launch->workers = comparison->workers[i];
		error = run_with(comparison, options, launch);
	}
	return error;
}
