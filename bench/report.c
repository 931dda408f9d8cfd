/*
 * One table per metric, one row per server: the median with the whole range, the ratio against the limit with its
 * range, and beside our own rows the goal and whether it was reached. Rows of servers that were not measured are
 * absent; the notes after the tables say why.
 */
#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 48, MANY_WORKERS = 64 };

void report_heading(void)
{
	struct utsname system;
	char day[TEXT] = "";
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d %H:%M", &local);
	uname(&system);
	printf("# Benchmarks, %s\n\n%s %s, %s, %ld processors, over loopback. Each value is the median of its\n", day,
	       system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
	printf("rounds, with the lowest and the highest. Ratios are taken within each round.\n\n");
}

/* Three digits that matter, and no exponent. */
static void format_number(char *text, size_t size, double number)
{
	double magnitude = fabs(number);
	int decimals = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2;

	snprintf(text, size, "%.*f", decimals, number);
}

static void print_range(const struct summary *summary)
{
	char median[TEXT], min[TEXT], max[TEXT];

	if (summary->count == 0) {
		printf(" - | - |");
		return;
	}
	format_number(median, sizeof(median), summary->median);
	format_number(min, sizeof(min), summary->min);
	format_number(max, sizeof(max), summary->max);
	printf(" %s | %s..%s |", median, min, max);
}

/* Two decimals, as the goals are written. */
static void print_ratio(const struct summary *ratio)
{
	if (ratio->count == 0)
		printf(" - | - |");
	else
		printf(" %.2f | %.2f..%.2f |", ratio->median, ratio->min, ratio->max);
}

static double goal_bound(const struct goal *goal, int workers)
{
	return workers >= MANY_WORKERS && goal->bound_many > 0 ? goal->bound_many : goal->bound;
}

static bool is_reached(enum goal_kind kind, double number, double bound)
{
	/* As printed: 1.104 is 1.10. */
	double hundredths = round(number * 100);

	return kind == GOAL_RATIO_MIN ? hundredths >= round(bound * 100) : hundredths <= round(bound * 100);
}

static void print_goal(const struct metric *metric, int workers, const struct summary *value,
		       const struct summary *ratio)
{
	const struct goal *goal = &metric->goal;
	const struct summary *judged = goal->kind == GOAL_VALUE_MAX ? value : ratio;
	double bound = goal_bound(goal, workers);
	const char *sign = goal->kind == GOAL_RATIO_MIN ? ">=" : "<=";

	if (goal->kind == GOAL_NONE || judged->count == 0) {
		printf(" |\n");
		return;
	}
	printf(" %s %.*f%s: %s |\n", sign, bound >= 100 ? 0 : 2, bound, goal->kind == GOAL_VALUE_MAX ? "" : " x",
	       is_reached(goal->kind, judged->median, bound) ? "reached" : "missed");
}

/* -1 when the subject that ratios are against was not measured. */
static int find_limit(const struct metric *metric, const struct sheet *sheet)
{
	for (int i = 0; i < subject_count; i++) {
		const struct subject *subject = &subjects[i];
		bool fits;

		if (metric->limit != NULL)
			fits = strcmp(subject->name, metric->limit) == 0;
		else
			fits = subject->is_raw && (subject->policy & metric->policy) != 0;
		if (fits)
			return sheet_summary(sheet, i, metric->value).count > 0 ? i : -1;
	}
	return -1;
}

static void print_row(const struct metric *metric, const struct options *options, const struct sheet *sheet,
		      int subject)
{
	struct summary value = sheet_summary(sheet, subject, metric->value);
	struct summary ratio = stats_summary(NULL, 0);
	int limit = find_limit(metric, sheet);

	if (value.count == 0)
		return;
	if (limit >= 0)
		ratio = sheet_ratio(sheet, subject, limit, metric->value);
	printf("| %s |", subjects[subject].name);
	print_range(&value);
	print_ratio(&ratio);
	if (subjects[subject].is_ours)
		print_goal(metric, options->workers, &value, &ratio);
	else
		printf(" |\n");
}

static void print_metric(const struct metric *metric, const struct options *options, const struct sheet *sheet)
{
	int limit = find_limit(metric, sheet);

	printf("**%s**\n\n", metric->title);
	printf("| server | %s | range | x %s | range | goal |\n", metric->unit,
	       limit >= 0 ? subjects[limit].name : "limit");
	printf("|---|---|---|---|---|---|\n");
	for (int i = 0; i < subject_count; i++)
		if (subjects[i].policy & metric->policy)
			print_row(metric, options, sheet, i);
	putchar('\n');
}

/* A table without a row says nothing: the right to trace may be missing, or the servers it is about. */
static bool has_rows(const struct metric *metric, const struct sheet *sheet)
{
	for (int i = 0; i < subject_count; i++)
		if ((subjects[i].policy & metric->policy) != 0 && sheet_summary(sheet, i, metric->value).count > 0)
			return true;
	return false;
}

void report_print(const struct comparison *comparison, const struct options *options, const struct sheet *sheet)
{
	printf("## %s\n\n", comparison->name);
	comparison->conditions(options);
	for (int i = 0; i < comparison->metric_count; i++)
		if (has_rows(&comparison->metrics[i], sheet))
			print_metric(&comparison->metrics[i], options, sheet);
	fflush(stdout);
}
