/* tests/support/manager.h - a service manager as far as a service sees it: who reads what sd_notify sends. */
#ifndef TESTS_SUPPORT_MANAGER_H
#define TESTS_SUPPORT_MANAGER_H

#include <stdbool.h>
#include <stddef.h>

struct heard {
	char text[1024]; /* one datagram; "" if there is none */
	int fd;          /* that came with it, the test's to close; or -1 */
};

/* Listen at a path, or an abstract name with a leading '@'. */
int manager_open(const char *address);

/* "NOTIFY_SOCKET=..." for a daemon's environment. */
const char *manager_variable(const char *address);

/* The next datagram, waiting for it; and without waiting. */
void manager_hear(int manager, struct heard *heard);
bool manager_has_heard(int manager, struct heard *heard);

/* Hear and forget, until one begins with `text`, which is left in `heard`; and how many were forgotten. */
unsigned manager_await(int manager, const char *text, struct heard *heard);

#endif
