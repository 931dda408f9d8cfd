/* tests/support/nameserver.h - a name server for the loop under test: no question leaves the machine. */
#ifndef TESTS_SUPPORT_NAMESERVER_H
#define TESTS_SUPPORT_NAMESERVER_H

struct muster_loop;

struct nameserver_record {
	const char *name;
	const char *address; /* an address, or one of the two below */
};

#define NAMESERVER_SILENT ""       /* no answer comes */
#define NAMESERVER_BROKEN "broken" /* SERVFAIL */

/*
 * Answer the questions of this loop, which asks nobody else from here on and gives up after 100 ms. `records` ends with
 * a name NULL and stays the caller's; a name may have several. Other names do not exist. The loop takes the server's
 * event for one of its own, so it may run dry.
 */
void nameserver_start(struct muster_loop *loop, const struct nameserver_record *records);
void nameserver_stop(void);

/* How many questions were asked since the start. */
unsigned nameserver_questions(void);

#endif
