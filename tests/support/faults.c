/*
 * The linker's --wrap makes each call of send a call of __wrap_send, and __real_send the way to libc. It does so for
 * what is linked into the program; a shared library, as libevent is, has its own way, so its memory is asked for.
 *
 * The real ones are weak: most test programs hold this file and are linked without wrapping.
 */
#include "tests/support/faults.h"

#include <errno.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define REAL __attribute__((weak))
#define PIECES 64

REAL ssize_t __real_send(int fd, const void *bytes, size_t length, int flags);
REAL ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
REAL ssize_t __real_recv(int fd, void *bytes, size_t length, int flags);
REAL int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
REAL int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
REAL int __real_socket(int domain, int type, int protocol);
REAL void *__real_malloc(size_t size);
REAL void *__real_calloc(size_t count, size_t size);
REAL void *__real_realloc(void *block, size_t size);
REAL char *__real_strdup(const char *text);
REAL ssize_t __real_getdelim(char **line, size_t *size, int end, FILE *file);
REAL void __real_free(void *block);

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_socket(int domain, int type, int protocol);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_reallocarray(void *block, size_t count, size_t size);
char *__wrap_strdup(const char *text);
ssize_t __wrap_getdelim(char **line, size_t *size, int end, FILE *file);
void __wrap_free(void *block);

static struct faults_plan plan;
static unsigned counted, failed, unsafe_sends;
static atomic_long blocks;
static _Thread_local bool active;     /* in the thread that began the plan ... */
static _Thread_local unsigned paused; /* ... unless it was paused more often than resumed */

void faults_begin(const struct faults_plan *next)
{
	plan = *next;
	if (plan.times == 0)
		plan.times = 1;
	if (plan.err == 0)
		plan.err = ENOMEM;
	counted = failed = 0;
	active = true;
	paused = 0;
}

static bool at_work(void)
{
	return active && paused == 0;
}

void faults_end(void)
{
	active = false;
	paused = 0;
}

void faults_pause(void)
{
	paused++;
}

void faults_resume(void)
{
	if (paused > 0)
		paused--;
}

unsigned faults_counted(void)
{
	return counted;
}

unsigned faults_failed(void)
{
	return failed;
}

unsigned faults_unsafe_sends(void)
{
	return unsafe_sends;
}

long faults_blocks(void)
{
	return atomic_load(&blocks);
}

/* Does this call fail? `fd` 0: it has none. Then errno is set. */
static bool fails(enum faults_call call, int fd)
{
	if (!at_work() || !(plan.calls & call) || (fd != 0 && plan.fd != 0 && plan.fd != fd))
		return false;
	counted++;
	if (plan.at == 0 || counted < plan.at || counted - plan.at >= plan.times)
		return false;
	failed++;
	errno = plan.err;
	return true;
}

/* ---- input and output */

static size_t limited(int fd, size_t length)
{
	bool limits = at_work() && plan.limit != 0 && (plan.fd == 0 || plan.fd == fd);

	return limits && length > plan.limit ? plan.limit : length;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
	unsafe_sends += at_work() && !(flags & MSG_NOSIGNAL);
	return fails(FAULTS_SEND, fd) ? -1 : __real_send(fd, bytes, limited(fd, length), flags);
}

/* The same message, cut to what is taken. */
static ssize_t send_start(int fd, const struct msghdr *message, int flags)
{
	struct iovec pieces[PIECES];
	struct msghdr start = *message;
	size_t left = limited(fd, (size_t)-1), i;

	for (i = 0; i < message->msg_iovlen && i < PIECES && left > 0; i++) {
		pieces[i] = message->msg_iov[i];
		if (pieces[i].iov_len > left)
			pieces[i].iov_len = left;
		left -= pieces[i].iov_len;
	}
	start.msg_iov = pieces;
	start.msg_iovlen = i;
	return __real_sendmsg(fd, &start, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	unsafe_sends += at_work() && !(flags & MSG_NOSIGNAL);
	return fails(FAULTS_SENDMSG, fd) ? -1 : send_start(fd, message, flags);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags)
{
	return fails(FAULTS_RECV, fd) ? -1 : __real_recv(fd, bytes, length, flags);
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return fails(FAULTS_ACCEPT, fd) ? -1 : __real_accept4(fd, address, length, flags);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return fails(FAULTS_CONNECT, fd) ? -1 : __real_connect(fd, address, length);
}

int __wrap_socket(int domain, int type, int protocol)
{
	return fails(FAULTS_SOCKET, 0) ? -1 : __real_socket(domain, type, protocol);
}

/* ---- memory */

static void *held(void *block)
{
	if (block != NULL)
		atomic_fetch_add(&blocks, 1);
	return block;
}

static void *resized(void *before, size_t size)
{
	void *after = __real_realloc(before, size);

	return before == NULL ? held(after) : after;
}

void *__wrap_malloc(size_t size)
{
	return fails(FAULTS_MEMORY, 0) ? NULL : held(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(FAULTS_MEMORY, 0) ? NULL : held(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
	return fails(FAULTS_MEMORY, 0) ? NULL : resized(block, size);
}

void *__wrap_reallocarray(void *block, size_t count, size_t size)
{
	return fails(FAULTS_MEMORY, 0) ? NULL : resized(block, count * size);
}

char *__wrap_strdup(const char *text)
{
	return fails(FAULTS_MEMORY, 0) ? NULL : held(__real_strdup(text));
}

/* Only what it allocates for the first line: others rarely want more. */
ssize_t __wrap_getdelim(char **line, size_t *size, int end, FILE *file)
{
	bool fresh = *line == NULL;
	ssize_t length = fresh && fails(FAULTS_MEMORY, 0) ? -1 : __real_getdelim(line, size, end, file);

	if (fresh)
		held(*line);
	return length;
}

void __wrap_free(void *block)
{
	if (block != NULL)
		atomic_fetch_sub(&blocks, 1);
	__real_free(block);
}

static void *libevent_malloc(size_t size)
{
	return fails(FAULTS_LIBEVENT, 0) ? NULL : held(__real_malloc(size));
}

static void *libevent_realloc(void *block, size_t size)
{
	return fails(FAULTS_LIBEVENT, 0) ? NULL : resized(block, size);
}

void faults_init(void)
{
	event_set_mem_functions(libevent_malloc, libevent_realloc, __wrap_free);
}
