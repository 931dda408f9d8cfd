/* A sink that remembers. */
#include "tests/support/lines.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MOST 256

static char *lines[MOST];
static unsigned count;
static bool recording;

static void keep(enum muster_log_level level, const char *line, void *data)
{
	(void)level, (void)data;
	if (count < MOST)
		lines[count++] = strdup(line);
}

void lines_record(enum muster_log_level level)
{
	recording = true;
	muster_log_set_level(level);
	muster_log_set_sink(keep, NULL);
}

unsigned lines_count(void)
{
	return count;
}

const char *lines_at(unsigned index)
{
	ck_assert_uint_lt(index, count);
	return lines[index];
}

unsigned lines_with(const char *part)
{
	unsigned i, found = 0;

	for (i = 0; i < count; i++)
		found += strstr(lines[i], part) != NULL;
	return found;
}

void lines_forget(void)
{
	if (!recording)
		return;
	recording = false;
	muster_log_set_sink(NULL, NULL);
	muster_log_set_level(MUSTER_LOG_WARN);
	while (count > 0)
		free(lines[--count]);
}
