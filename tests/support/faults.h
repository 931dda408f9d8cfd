/*
 * tests/support/faults.h - calls that fail when a test says so, at any place.
 *
 * Only programs named test_faults_*.c are linked in a way that leads their calls through here (see CMakeLists.txt).
 * That holds for all that is linked into them: libcheck's assertions allocate, and plain clients send. So a plan counts
 * calls of the thread that began it alone, and nothing is asserted while one about memory is under way.
 */
#ifndef TESTS_SUPPORT_FAULTS_H
#define TESTS_SUPPORT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* What can fail; a set of them is made with |. */
enum faults_call {
	FAULTS_SEND = 1 << 0,
	FAULTS_SENDMSG = 1 << 1,
	FAULTS_RECV = 1 << 2,
	FAULTS_ACCEPT = 1 << 3,
	FAULTS_CONNECT = 1 << 4,
	FAULTS_SOCKET = 1 << 5,
	FAULTS_MEMORY = 1 << 6,   /* malloc, calloc, realloc, reallocarray, strdup, getdelim of our own */
	FAULTS_LIBEVENT = 1 << 7, /* those of libevent */
};

#define FAULTS_FOREVER ((unsigned)-1)

struct faults_plan {
	unsigned calls; /* enum faults_call: these are counted ... */
	unsigned at;    /* ... and the at-th of them fails; 1 is the first, 0 is none */
	unsigned times; /* so many in a row; 0 is one */
	int err;        /* with this errno; 0 is ENOMEM */
	size_t limit;   /* send and sendmsg take at most so many bytes; 0 is no limit */
	int fd;         /* of the calls that have a descriptor only those on this one; 0 is any */
};

/* Before anything of libevent is used: its memory comes from here. */
void faults_init(void);

/* A plan begins, its counters at 0; another may follow it directly. Ending twice is fine. */
void faults_begin(const struct faults_plan *plan);
void faults_end(void);

/* For what the test itself does meanwhile: it neither counts nor fails. They nest. */
void faults_pause(void);
void faults_resume(void);

/* Of the plan under way, or of the last one: calls that were counted, and those of them that failed. */
unsigned faults_counted(void);
unsigned faults_failed(void);

/* Calls of send and sendmsg, since the program began, that a peer who is gone could have answered with SIGPIPE. */
unsigned faults_unsafe_sends(void);

/* Blocks of memory that we and libevent hold. */
long faults_blocks(void);

#endif
