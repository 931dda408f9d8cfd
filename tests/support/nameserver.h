/* tests/support/nameserver.h - a name server for the loop under test: no question leaves the machine. */
#ifndef TESTS_SUPPORT_NAMESERVER_H
#define TESTS_SUPPORT_NAMESERVER_H

struct muster_loop;

struct nameserver_record {
	const char *name;
	const char *address; /* an address, or one of those below */
};

/* What becomes of the questions for a name; with IN_IPV6 behind it only of those for IPv6. */
#define NAMESERVER_SILENT "silent" /* no answer comes */
#define NAMESERVER_BROKEN "broken" /* SERVFAIL */
#define NAMESERVER_CUT "cut"       /* an answer that did not fit, without addresses */
#define NAMESERVER_EMPTY "empty"   /* there is such a name, and no address */
#define IN_IPV6 " 6"

/*
 * Answer the questions of this loop, which asks nobody else from here on and gives up after 100 ms. `records` ends with
 * a name NULL and stays the caller's; a name may have several. Other names do not exist. The loop takes the server's
 * event for one of its own, so it may run dry.
 */
void nameserver_start(struct muster_loop *loop, const struct nameserver_record *records);
/* The same, with these lines of resolv.conf instead of a short patience. */
void nameserver_start_with(struct muster_loop *loop, const struct nameserver_record *records, const char *lines);
void nameserver_stop(void);

/* How many questions were asked since the start. */
unsigned nameserver_questions(void);

#endif
