/* The variables, and only here. */
#include "ipc/environment.h"

#include "src/fd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool muster__environment_take_number(const char *name, int *number)
{
	const char *text = getenv(name);
	char *end = NULL;
	long value = text != NULL ? strtol(text, &end, 10) : -1;
	bool good = text != NULL && *text != '\0' && *end == '\0' && value >= 0 && value <= INT_MAX;

	*number = good ? (int)value : -1;
	unsetenv(name);
	return good;
}

void muster__environment_set_number(const char *name, unsigned number)
{
	char text[16];

	snprintf(text, sizeof text, "%u", number);
	setenv(name, text, 1);
}

int muster__environment_take_channel(int *fd)
{
	const char *mode = getenv("NODE_CHANNEL_SERIALIZATION_MODE");
	bool is_json = mode == NULL || strcmp(mode, "json") == 0;
	bool has_channel = muster__environment_take_number("NODE_CHANNEL_FD", fd);

	unsetenv("NODE_CHANNEL_SERIALIZATION_MODE");
	if (!has_channel || !is_json)
		return has_channel ? -ENOTSUP : -ENOENT;
	/* As a standard descriptor it would be inherited by whatever is started next. */
	*fd = muster__fd_vacate_standard(*fd);
	return *fd < 0 ? -EINVAL : 0;
}
