/* hosts(5): an address and its names on each line. A file that is not there knows nobody; a broken line is passed over. */
#include "src/hosts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\n"

static bool is_of(const struct muster__sockaddr *address, int family)
{
	return family == 0 || address->any.sa_family == (family == 4 ? AF_INET : AF_INET6);
}

/* The rest of a line: the names of its address. */
static bool names(char **rest, const char *host)
{
	const char *name;

	while ((name = strtok_r(NULL, BLANKS, rest)) != NULL)
		if (strcasecmp(name, host) == 0)
			return true;
	return false;
}

static bool line_has(char *line, const char *host, unsigned port, struct muster__sockaddr *address)
{
	char *rest, *text;

	line[strcspn(line, "#")] = '\0';
	text = strtok_r(line, BLANKS, &rest);
	return text != NULL && names(&rest, host) && muster__sockaddr_ip(address, text, port) == 0;
}

static int find_in(FILE *file, const char *host, int family, unsigned port, struct muster__sockaddr *addresses,
		   unsigned max)
{
	struct muster__sockaddr address;
	char *line = NULL;
	size_t size = 0;
	unsigned count = 0;
	int err;

	errno = 0;
	while (count < max && getdelim(&line, &size, '\n', file) >= 0)
		if (line_has(line, host, port, &address) && is_of(&address, family))
			addresses[count++] = address;
	err = count < max && errno == ENOMEM ? -ENOMEM : 0;
	free(line);
	return err < 0 ? err : (int)count;
}

/* RFC 6761: it never leaves the machine, not even one without the file. */
static int loopback(int family, unsigned port, struct muster__sockaddr *addresses, unsigned max)
{
	unsigned count = 0;

	if (family != 6 && count < max)
		muster__sockaddr_ip(&addresses[count++], "127.0.0.1", port);
	if (family != 4 && count < max)
		muster__sockaddr_ip(&addresses[count++], "::1", port);
	return (int)count;
}

static bool is_shortage(int err)
{
	return err == ENOMEM || err == EMFILE || err == ENFILE;
}

int muster__hosts_find(const char *file, const char *host, int family, unsigned port,
		       struct muster__sockaddr *addresses, unsigned max)
{
	FILE *stream = fopen(file, "re");
	int count = 0;

	if (stream == NULL && is_shortage(errno))
		return -errno;
	if (stream != NULL) {
		count = find_in(stream, host, family, port, addresses, max);
		fclose(stream);
	}
	if (count == 0 && strcasecmp(host, "localhost") == 0)
		count = loopback(family, port, addresses, max);
	return count;
}
