/*
 * A line is one write to descriptor 2, which forked workers share, so that lines of several processes do not mix. The buffer
 * between us and a reader who is slow is that of his pipe or socket: when it is full, lines are dropped and counted. So they
 * are when a disk is full, until it no longer is.
 */
#include "master/log_file.h"

#include "src/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A role, a line of 1024 bytes, and each byte of it escaped. */
#define TEXT_MAX 8192

enum reader { FILE_READER, PIPE_READER, SOCKET_READER };

/* The sink belongs to the process, and so does this. */
static struct {
	enum reader reader;
	bool to_journal;
	bool broken; /* the last line was written in part */
	unsigned dropped;
	uint64_t lost; /* dropped since the beginning */
} out;

/* ---- layout */

static const char *const names[] = { "", "error", "warn", "info", "debug" };

/* syslog's numbers, which the journal reads in front of a line. */
static const int priorities[] = { 0, 3, 4, 6, 7 };

static size_t put_time(char *text, size_t size)
{
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &utc);
	return used + (size_t)snprintf(text + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

/* The journal has time and level already. */
static size_t put_text(char *text, enum muster_log_level level, const char *line)
{
	char time[40];

	if (out.to_journal)
		return (size_t)snprintf(text, TEXT_MAX, "%s\n", line);
	put_time(time, sizeof time);
	return (size_t)snprintf(text, TEXT_MAX, "%s %-5s %s\n", time, names[level], line);
}

/* Bytes of the UTF-8 character at `at`; 0 if it is none. */
static size_t character(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;
	size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4, i;

	if (byte[0] > 0xf4 || (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
	    (byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
		return 0;
	for (i = 1; i < length; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* What others sent may be in a line, and must not break it. */
static size_t put_string(char *text, const char *from, size_t length)
{
	const char *end = from + length;
	size_t used = 0, bytes;

	for (; from<end; from += bytes> 0 ? bytes : 1) {
		bytes = character(from);
		if (bytes == 0)
			used += (size_t)sprintf(text + used, "\\ufffd");
		else if (*from == '"' || *from == '\\')
			used += (size_t)sprintf(text + used, "\\%c", *from);
		else if (bytes == 1 && (unsigned char)*from < ' ')
			used += (size_t)sprintf(text + used, "\\u%04x", (unsigned char)*from);
		else
			used += (size_t)sprintf(text + used, "%.*s", (int)bytes, from);
	}
	return used;
}

/* `line` begins with who speaks. */
static size_t put_json(char *text, enum muster_log_level level, const char *line)
{
	const char *colon = strstr(line, ": ");
	size_t used = (size_t)sprintf(text, "{\"time\":\"");

	used += put_time(text + used, 40);
	used += (size_t)sprintf(text + used, "\",\"level\":\"%s\",", names[level]);
	if (muster__log_has_role() && colon != NULL) {
		used += (size_t)sprintf(text + used, "\"process\":\"");
		used += put_string(text + used, line, (size_t)(colon - line));
		used += (size_t)sprintf(text + used, "\",");
		line = colon + 2;
	}
	used += (size_t)sprintf(text + used, "\"message\":\"");
	used += put_string(text + used, line, strlen(line));
	return used + (size_t)sprintf(text + used, "\"}\n");
}

/* ---- who reads */

static bool is_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char *colon;

	return stream != NULL && strtoull(stream, &colon, 10) == status->st_dev && *colon == ':' &&
	       strtoull(colon + 1, NULL, 10) == status->st_ino;
}

/* Before each line: in a worker it may have become another one, and those who make it so do not know us. */
static void look_at_reader(void)
{
	struct stat status;

	out.reader = FILE_READER;
	out.to_journal = false;
	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	out.to_journal = is_journal(&status);
	if (S_ISSOCK(status.st_mode))
		out.reader = SOCKET_READER;
	else if (S_ISFIFO(status.st_mode))
		out.reader = PIPE_READER;
}

/* ---- writing */

/* All of it, or as much as there is room for now. */
static ssize_t write_now(const char *text, size_t length)
{
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (out.reader == SOCKET_READER)
		return send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* Where it could not be made non-blocking there is room for a page at least, if somebody says so. */
	if (out.reader == PIPE_READER && poll(&room, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(STDERR_FILENO, text, length);
}

static bool write_all(const char *text, size_t length)
{
	ssize_t wrote;

	do
		wrote = write_now(text, length);
	while (wrote < 0 && errno == EINTR);
	if (wrote == (ssize_t)length)
		return true;
	out.broken = out.broken || wrote > 0;
	return false;
}

static void write_line(enum muster_log_level level, const char *line)
{
	char text[TEXT_MAX];
	size_t used = out.to_journal ? (size_t)sprintf(text, "<%d>", priorities[level]) : 0;

	/* A line is at most a sixth of this, so that it fits whatever is in it. */
	used += muster__log_format() == MUSTER__LOG_JSON ? put_json(text + used, level, line) :
							   put_text(text + used, level, line);
	if (write_all(text, used))
		return;
	out.dropped++;
	out.lost++;
}

static void on_line(enum muster_log_level level, const char *line, void *data)
{
	unsigned dropped = out.dropped;
	char text[80];

	(void)data;
	look_at_reader();
	if (out.broken && write_all("\n", 1))
		out.broken = false;
	if (dropped > 0 && !out.broken) {
		out.dropped = 0;
		snprintf(text, sizeof text, "log: %u lines were dropped: nobody reads them, or the disk is full",
			 dropped);
		write_line(MUSTER_LOG_WARN, text);
		/* If that did not go either it is no line that was lost. */
		if (out.dropped > 0) {
			out.dropped = dropped;
			out.lost--;
		}
	}
	write_line(level, line);
}

/* ---- where to */

/*
 * A pipe that others write to as well must not become non-blocking under their hands: this makes an opening of our own. Where
 * that cannot be done, poll(2) tells whether there is room.
 */
static void open_pipe_anew(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

void muster__log_file_start(void)
{
	look_at_reader();
	if (out.reader == PIPE_READER)
		open_pipe_anew();
	muster_log_set_sink(on_line, NULL);
}

uint64_t muster__log_file_lost(void)
{
	return out.lost;
}

int muster__log_file_open(const char *target)
{
	int fd = open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

void muster__log_file_use(int fd)
{
	dup2(fd, STDERR_FILENO);
	close(fd);
}
