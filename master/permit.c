/*
 * The primary may do more than its workers: it binds for them only what they are free to have. A path is judged by where
 * it really leads, since a folder may have several names.
 */
#include "master/permit.h"

#include "ipc/protocol.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The folder in which the path would be made, as the kernel knows it; new, or NULL if there is none. */
static char *real_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder, *real;

	if (path[0] != '/')
		return NULL;
	folder = strndup(path, (size_t)MAX(slash - path, 1));
	real = folder != NULL ? realpath(folder, NULL) : NULL;
	free(folder);
	return real;
}

static bool allows_path(const struct muster__permit *permit, const char *path)
{
	char *folder = realpath(permit->folder, NULL), *parent = real_parent(path);
	bool allowed = folder != NULL && parent != NULL && is_below(parent, folder);

	free(folder);
	free(parent);
	return allowed;
}

bool muster__permit_allows(const struct muster__permit *permit, const struct muster__query *query)
{
	if (query->family == -1)
		return allows_path(permit, query->address);
	return query->port == 0 || (unsigned)query->port >= permit->min_port;
}
