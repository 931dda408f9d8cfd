/* Levels and the sink. Lines are made only when someone wants them; the sink is the one thing loops in threads share. */
#include "src/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static atomic_int level_now = MUSTER_LOG_WARN;
static atomic_int format_now = MUSTER__LOG_TEXT;
static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
static muster_log_sink sink_now;
static void *sink_data;
static char role_now[48];

/* One write per line, so that lines of several processes do not mix. */
static void to_stderr(const char *line)
{
	char out[1100];
	int length = snprintf(out, sizeof out, "%s\n", line);

	if (length > 0 && write(STDERR_FILENO, out, (size_t)length < sizeof out ? (size_t)length : sizeof out - 1) < 0)
		return;
}

void muster_log_set_sink(muster_log_sink sink, void *data)
{
	pthread_mutex_lock(&sink_lock);
	sink_now = sink;
	sink_data = data;
	pthread_mutex_unlock(&sink_lock);
}

void muster_log_set_level(enum muster_log_level level)
{
	atomic_store_explicit(&level_now, (int)level, memory_order_relaxed);
}

enum muster_log_level muster_log_level(void)
{
	return (enum muster_log_level)atomic_load_explicit(&level_now, memory_order_relaxed);
}

void muster__log_set_format(enum muster__log_format format)
{
	atomic_store_explicit(&format_now, (int)format, memory_order_relaxed);
}

enum muster__log_format muster__log_format(void)
{
	return (enum muster__log_format)atomic_load_explicit(&format_now, memory_order_relaxed);
}

void muster__log_set_role(const char *role)
{
	snprintf(role_now, sizeof role_now, "%s: ", role);
}

bool muster__log_has_role(void)
{
	return role_now[0] != '\0';
}

static void give_to_sink(enum muster_log_level level, const char *line)
{
	pthread_mutex_lock(&sink_lock);
	if (sink_now != NULL)
		sink_now(level, line, sink_data);
	else
		to_stderr(line);
	pthread_mutex_unlock(&sink_lock);
}

void muster__log_for(const char *role, enum muster_log_level level, const char *text)
{
	char line[1024];

	if (level > muster_log_level())
		return;
	snprintf(line, sizeof line, "%s: %s", role, text);
	give_to_sink(level, line);
}

void muster__log(enum muster_log_level level, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int used;

	if (level > muster_log_level())
		return;
	used = snprintf(line, sizeof line, "%s", role_now);
	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it has just been started */
	vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
	va_end(arguments);
	give_to_sink(level, line);
}

uint64_t muster__now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool muster__log_allowed(struct muster__log_limit *limit)
{
	uint64_t now = muster__now_ms();

	if (now < limit->next_ms) {
		limit->skipped++;
		return false;
	}
	limit->next_ms = now + 1000;
	return true;
}
