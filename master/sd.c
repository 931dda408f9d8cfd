/*
 * One datagram for each message. A manager that is busy has no room for more than ten: what does not go is kept, the newest
 * of each kind, in order, and offered again by a timer. Nobody waits for a manager, and nothing here is fatal.
 */
#include "master/sd.h"

#include "ipc/environment.h"
#include "src/address.h"
#include "src/fd.h"
#include "src/log.h"
#include "src/loop.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 50
#define PREFIX "musterd/"
#define WAITING_MAX 4096 /* descriptors for a manager that does not read */

enum kind { STATUS, READY, RELOADING, STOPPING, MAIN_PID, EXTEND, WATCHDOG, STORE };

struct message {
	STAILQ_ENTRY(message) next;
	enum kind kind;
	int fd; /* that goes with it; ours, or -1 */
	char text[];
};

struct muster__sd {
	int fd;             /* -1 until there is a loop: it must not take the place of what was passed to us */
	char *address_text; /* NULL: there is no manager */
	struct muster__sockaddr address;
	uint64_t watchdog_usec;
	unsigned store_max;
	STAILQ_HEAD(, message) waiting;
	unsigned waiting_count;
	struct muster_loop *loop;
	struct event retry;
	struct muster__log_limit limit;
};

/* ---- the environment */

static uint64_t take_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	unsigned long long number = text != NULL && isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
	bool good = end != NULL && *end == '\0';

	unsetenv(name);
	return good ? number : 0;
}

/* Without WATCHDOG_PID it is meant for whoever reads it. */
static uint64_t take_watchdog(void)
{
	bool has_pid = getenv("WATCHDOG_PID") != NULL;
	uint64_t pid = take_number("WATCHDOG_PID"), usec = take_number("WATCHDOG_USEC");

	return !has_pid || pid == (uint64_t)getpid() ? usec : 0;
}

/* A file or an abstract name. Virtual machines have others, which no service of theirs is given. */
static void set_address(struct muster__sd *sd, const char *address)
{
	if ((address[0] != '/' && address[0] != '@') || muster__sockaddr_path(&sd->address, address) < 0) {
		muster__log(MUSTER_LOG_WARN, "NOTIFY_SOCKET is \"%s\", which is no address of a manager", address);
		return;
	}
	sd->address_text = strdup(address);
}

struct muster__sd *muster__sd_new(void)
{
	struct muster__sd *sd = calloc(1, sizeof *sd);
	const char *address = getenv("NOTIFY_SOCKET");
	uint64_t store;

	if (sd == NULL)
		return NULL;
	STAILQ_INIT(&sd->waiting);
	sd->fd = -1;
	if (address != NULL)
		set_address(sd, address);
	unsetenv("NOTIFY_SOCKET");
	sd->watchdog_usec = take_watchdog();
	store = take_number("FDSTORE");
	sd->store_max = store < WAITING_MAX ? (unsigned)store : WAITING_MAX;
	return sd;
}

void muster__sd_export(const struct muster__sd *sd)
{
	char text[24];

	if (sd->address_text == NULL)
		return;
	setenv("NOTIFY_SOCKET", sd->address_text, 1);
	if (sd->store_max > 0)
		muster__environment_set_number("FDSTORE", sd->store_max);
	if (sd->watchdog_usec == 0)
		return;
	snprintf(text, sizeof text, "%" PRIu64, sd->watchdog_usec);
	setenv("WATCHDOG_USEC", text, 1);
	muster__environment_set_number("WATCHDOG_PID", (unsigned)getpid());
}

bool muster__sd_is_there(const struct muster__sd *sd)
{
	return sd->address_text != NULL;
}

unsigned muster__sd_watchdog_ms(const struct muster__sd *sd)
{
	uint64_t ms = sd->watchdog_usec / 1000;

	if (sd->address_text == NULL || sd->watchdog_usec == 0)
		return 0;
	if (ms == 0)
		return 1;
	return ms < INT_MAX ? (unsigned)ms : INT_MAX;
}

bool muster__sd_stores(const struct muster__sd *sd)
{
	return sd->address_text != NULL && sd->store_max > 0;
}

/* ---- sending */

static void message_free(struct muster__sd *sd, struct message *message)
{
	STAILQ_REMOVE(&sd->waiting, message, message, next);
	sd->waiting_count--;
	muster__fd_close(&message->fd);
	free(message);
}

static int send_message(struct muster__sd *sd, const struct message *message)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .header = {
			      .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec text = { (char *)message->text, strlen(message->text) };
	struct msghdr header = {
		.msg_name = &sd->address.any, .msg_namelen = sd->address.length, .msg_iov = &text, .msg_iovlen = 1
	};

	if (message->fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &message->fd, sizeof message->fd);
		header.msg_control = &control;
		header.msg_controllen = control.header.cmsg_len;
	}
	return sendmsg(sd->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool is_busy(int err)
{
	return err == -EAGAIN || err == -ENOBUFS || err == -ETOOMANYREFS || err == -EINTR;
}

static void note_failure(struct muster__sd *sd, int err)
{
	if (muster__log_allowed(&sd->limit))
		muster__log(MUSTER_LOG_WARN, "the service manager at %s cannot be told: %s", sd->address_text,
			    strerror(-err));
}

static void flush(struct muster__sd *sd)
{
	struct timeval delay = muster__ms(RETRY_MS);
	struct message *message;
	int err;

	if (sd->fd < 0)
		return;
	while ((message = STAILQ_FIRST(&sd->waiting)) != NULL) {
		err = send_message(sd, message);
		if (is_busy(err)) {
			muster__event_add(sd->loop, &sd->retry, &delay);
			return;
		}
		if (err < 0)
			note_failure(sd, err);
		message_free(sd, message);
	}
	muster__event_del(sd->loop, &sd->retry);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	flush(data);
}

/*
 * Is the older message worth nothing beside the newer one? Of two reloads the manager waits for the end of the second, and an
 * end told before that begins would be the wrong one; what it was told of the start stays.
 */
static bool is_outdated(enum kind older, enum kind newer, bool after_reloading)
{
	if (older == STORE)
		return false;
	return older == newer ? newer != READY || after_reloading :
				newer == RELOADING && older == READY && after_reloading;
}

static void drop_outdated(struct muster__sd *sd, enum kind newer)
{
	struct message *message, *next;
	bool after_reloading = false;

	for (message = STAILQ_FIRST(&sd->waiting); message != NULL; message = next) {
		next = STAILQ_NEXT(message, next);
		after_reloading = after_reloading || message->kind == RELOADING;
		if (is_outdated(message->kind, newer, after_reloading))
			message_free(sd, message);
	}
}

/* Takes `fd`. Without memory it is as if the manager had not listened. */
static void post(struct muster__sd *sd, enum kind kind, int fd, const char *text)
{
	struct message *message = NULL;

	if (sd->address_text != NULL && sd->waiting_count < WAITING_MAX)
		message = malloc(sizeof *message + strlen(text) + 1);
	if (message == NULL) {
		muster__fd_close(&fd);
		return;
	}
	drop_outdated(sd, kind);
	message->kind = kind;
	message->fd = fd;
	memcpy(message->text, text, strlen(text) + 1);
	STAILQ_INSERT_TAIL(&sd->waiting, message, next);
	sd->waiting_count++;
	flush(sd);
}

__attribute__((format(printf, 3, 4))) static void say(struct muster__sd *sd, enum kind kind, const char *format, ...)
{
	va_list arguments;
	char text[512];

	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it has just been started */
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	post(sd, kind, -1, text);
}

void muster__sd_attach(struct muster__sd *sd, struct muster_loop *loop)
{
	sd->loop = loop;
	event_assign(&sd->retry, loop->base, -1, EV_PERSIST, on_retry, sd);
	if (sd->address_text == NULL)
		return;
	sd->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sd->fd < 0)
		note_failure(sd, -errno);
	flush(sd);
}

void muster__sd_free(struct muster__sd *sd)
{
	struct message *message;

	if (sd == NULL)
		return;
	if (sd->loop != NULL) {
		flush(sd);
		muster__event_del(sd->loop, &sd->retry);
	}
	while ((message = STAILQ_FIRST(&sd->waiting)) != NULL)
		message_free(sd, message);
	muster__fd_close(&sd->fd);
	free(sd->address_text);
	free(sd);
}

/* ---- what is said */

void muster__sd_ready(struct muster__sd *sd)
{
	say(sd, READY, "READY=1");
}

void muster__sd_reloading(struct muster__sd *sd)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	say(sd, RELOADING, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void muster__sd_stopping(struct muster__sd *sd)
{
	say(sd, STOPPING, "STOPPING=1");
}

void muster__sd_status(struct muster__sd *sd, const char *format, ...)
{
	va_list arguments;
	char text[400];

	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it has just been started */
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	text[strcspn(text, "\n")] = '\0';
	say(sd, STATUS, "STATUS=%s", text);
}

void muster__sd_main_pid(struct muster__sd *sd, pid_t pid)
{
	say(sd, MAIN_PID, "MAINPID=%d", (int)pid);
}

void muster__sd_extend(struct muster__sd *sd, unsigned ms)
{
	say(sd, EXTEND, "EXTEND_TIMEOUT_USEC=%u000", ms);
}

void muster__sd_watchdog(struct muster__sd *sd)
{
	say(sd, WATCHDOG, "WATCHDOG=1");
}

/* ---- the store */

static bool is_plain(char byte)
{
	return byte > ' ' && byte < 127 && byte != ':' && byte != '%';
}

bool muster__sd_name_of(char name[MUSTER__SD_NAME_MAX + 1], const char *listener)
{
	size_t used = (size_t)snprintf(name, MUSTER__SD_NAME_MAX + 1, "%s", PREFIX);

	for (; *listener != '\0'; listener++) {
		if (used + 3 > MUSTER__SD_NAME_MAX)
			return false;
		if (is_plain(*listener))
			name[used++] = *listener;
		else
			used += (size_t)snprintf(name + used, 4, "%%%02X", (unsigned char)*listener);
	}
	name[used] = '\0';
	return true;
}

/* "%XX"; 0 if it is something else. */
static char escaped(const char *text)
{
	char digits[3] = "";

	if (text[0] != '%' || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
		return 0;
	memcpy(digits, text + 1, 2);
	return (char)strtoul(digits, NULL, 16);
}

bool muster__sd_listener_of(char listener[MUSTER__SD_NAME_MAX + 1], const char *name)
{
	char byte;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strlen(name) > MUSTER__SD_NAME_MAX)
		return false;
	for (name += strlen(PREFIX); *name != '\0'; name++) {
		byte = escaped(name);
		*listener++ = byte != 0 ? byte : *name;
		name += byte != 0 ? 2 : 0;
	}
	*listener = '\0';
	return true;
}

/* One name for each message. A listening socket never hangs up, but a manager need not look. */
void muster__sd_store(struct muster__sd *sd, int fd, const char *listener)
{
	char name[MUSTER__SD_NAME_MAX + 1], text[MUSTER__SD_NAME_MAX + 64];
	int copy;

	if (!muster__sd_stores(sd) || !muster__sd_name_of(name, listener))
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0) {
		note_failure(sd, -errno);
		return;
	}
	snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	post(sd, STORE, copy, text);
}

void muster__sd_unstore_name(struct muster__sd *sd, const char *name)
{
	char text[MUSTER__SD_NAME_MAX + 64];

	if (!muster__sd_stores(sd) || strlen(name) > MUSTER__SD_NAME_MAX)
		return;
	snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
	post(sd, STORE, -1, text);
}

void muster__sd_unstore(struct muster__sd *sd, const char *listener)
{
	char name[MUSTER__SD_NAME_MAX + 1];

	if (muster__sd_name_of(name, listener))
		muster__sd_unstore_name(sd, name);
}
