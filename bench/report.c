/*
 * One table, one row for each figure of each server of ours: the median with the whole range, the ratio against the limit
 * with its range, the goal and whether it was reached, and what the others got in the same rounds. Where nothing of ours
 * was measured the others have the rows. Columns are padded, so a terminal shows what a browser would.
 */
#include "bench/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 48, LINE = 256, MANY_WORKERS = 64 };

/* What is said of the goals at the end. */
static int reached, missed;

/* One row under construction, with what it takes to compare it. */
struct row {
	const struct metric *metric;
	const struct sheet *sheet;
	int workers;
	int subject;
	int limit; /* the subject that ratios are against; -1: it was not measured */
	struct summary value;
	struct summary ratio;
};

void report_heading(void)
{
	struct utsname system;
	char day[TEXT] = "";
	time_t now = time(NULL);
	struct tm local;

	if (localtime_r(&now, &local) != NULL)
		strftime(day, sizeof(day), "%Y-%m-%d %H:%M", &local);
	uname(&system);
	printf("# Benchmarks, %s\n\n%s %s, %s, %ld processors, over loopback. Each value is the median of its rounds, with\n",
	       day, system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
	printf("the lowest and the highest. Ratios are taken within each round, against a server written by hand for this one\n");
	printf("purpose (raw). CPU is the run time of all processes of a server, and steadier than rates: trust it most.\n\n");
}

/* Three digits that matter, and no exponent. */
static void format_number(char *text, size_t size, double number)
{
	double magnitude = fabs(number);
	int decimals = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2;

	snprintf(text, size, "%.*f", decimals, number);
}

static void format_range(char *text, size_t size, const struct summary *summary)
{
	char min[TEXT], max[TEXT];

	format_number(min, sizeof(min), summary->min);
	format_number(max, sizeof(max), summary->max);
	snprintf(text, size, "%s..%s", min, max);
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

static bool is_judged_by_value(const struct row *row)
{
	return row->metric->goal.kind == GOAL_VALUE_MAX;
}

/* The goal, and whether it was reached; both empty where there is none. */
static void format_goal(const struct row *row, char *goal, const char **verdict)
{
	const struct goal *wanted = &row->metric->goal;
	const struct summary *judged = is_judged_by_value(row) ? &row->value : &row->ratio;
	double bound = goal_bound(wanted, row->workers);

	*goal = '\0';
	*verdict = "";
	if (wanted->kind == GOAL_NONE || judged->count == 0 || subjects[row->subject].role != ROLE_OURS)
		return;
	snprintf(goal, TEXT, "%s %.*f%s", wanted->kind == GOAL_RATIO_MIN ? ">=" : "<=", bound >= 100 ? 0 : 2, bound,
		 is_judged_by_value(row) ? "" : " x");
	if (is_reached(wanted->kind, judged->median, bound)) {
		reached++;
		*verdict = "reached";
	} else {
		missed++;
		*verdict = "MISSED";
	}
}

static bool is_measured(const struct metric *metric, const struct sheet *sheet, int subject)
{
	return (subjects[subject].policy & metric->policy) != 0 &&
	       sheet_summary(sheet, subject, metric->value).count > 0;
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
			fits = subject->role == ROLE_LIMIT && (subject->policy & metric->policy) != 0;
		if (fits)
			return sheet_summary(sheet, i, metric->value).count > 0 ? i : -1;
	}
	return -1;
}

/* Their ratios, or their values where values are judged. */
static void format_others(const struct row *row, char *text, size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (int i = 0; i < subject_count && length < size; i++) {
		struct summary theirs;
		char number[TEXT];

		if (i == row->limit || i == row->subject || subjects[i].role == ROLE_OURS ||
		    !is_measured(row->metric, row->sheet, i))
			continue;
		if (is_judged_by_value(row) || row->limit < 0)
			theirs = sheet_summary(row->sheet, i, row->metric->value);
		else
			theirs = sheet_ratio(row->sheet, i, row->limit, row->metric->value);
		format_number(number, sizeof(number), theirs.median);
		length += (size_t)snprintf(text + length, size - length, "%s%s %s", length > 0 ? ", " : "",
					   subjects[i].name, number);
	}
}

static void print_row(const struct row *row)
{
	char title[LINE], value[TEXT], range[LINE], limit[TEXT] = "-", ratio[TEXT] = "-", ratios[LINE] = "-";
	char goal[TEXT], others[LINE];
	const char *verdict;

	snprintf(title, sizeof(title), "%s, %s", row->metric->title, row->metric->unit);
	format_number(value, sizeof(value), row->value.median);
	format_range(range, sizeof(range), &row->value);
	if (row->limit >= 0 && row->ratio.count > 0) {
		format_number(limit, sizeof(limit), sheet_summary(row->sheet, row->limit, row->metric->value).median);
		snprintf(ratio, sizeof(ratio), "%.2f", row->ratio.median);
		snprintf(ratios, sizeof(ratios), "%.2f..%.2f", row->ratio.min, row->ratio.max);
	}
	format_goal(row, goal, &verdict);
	format_others(row, others, sizeof(others));
	printf("| %-45s | %7d | %-14s | %8s | %-16s | %8s | %7s | %-12s | %-9s | %-7s | %s |\n", title, row->workers,
	       subjects[row->subject].name, value, range, limit, ratio, ratios, goal, verdict, others);
}

static bool has_ours(const struct metric *metric, const struct sheet *sheet)
{
	for (int i = 0; i < subject_count; i++)
		if (subjects[i].role == ROLE_OURS && is_measured(metric, sheet, i))
			return true;
	return false;
}

static void print_metric(const struct metric *metric, int workers, const struct sheet *sheet)
{
	struct row row = { .metric = metric, .sheet = sheet, .workers = workers, .limit = find_limit(metric, sheet) };
	bool ours = has_ours(metric, sheet);

	for (int i = 0; i < subject_count; i++) {
		if (!is_measured(metric, sheet, i) || (ours && subjects[i].role != ROLE_OURS))
			continue;
		row.subject = i;
		row.value = sheet_summary(sheet, i, metric->value);
		row.ratio = row.limit >= 0 ? sheet_ratio(sheet, i, row.limit, metric->value) : stats_summary(NULL, 0);
		print_row(&row);
	}
}

void report_table(void)
{
	printf("\n| %-45s | workers | %-14s | %8s | %-16s | %8s | %7s | %-12s | %-9s | %-7s | others, x limit where there is one |\n",
	       "work", "server", "median", "range", "limit", "x limit", "range", "goal", "");
	printf("|---|---:|---|---:|---|---:|---:|---|---|---|---|\n");
	fflush(stdout);
}

void report_rows(const struct comparison *comparison, int workers, const struct sheet *sheet)
{
	for (int i = 0; i < comparison->metric_count; i++)
		print_metric(&comparison->metrics[i], workers, sheet);
	fflush(stdout);
}

void report_end(void)
{
	printf("\n%d goals reached, %d missed.\n\n", reached, missed);
}
