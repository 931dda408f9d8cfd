/* Output goes to memory files, so that no pipe has to be emptied while a program runs. */
#include "tests/support/process.h"

#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLED 8 /* equal counts in a row */

static int guard = -1; /* closed by our end, whatever ends us */
static pid_t guardian;

void process_bind(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
}

static bool has_ended(pid_t child, int *status)
{
	int raw;
	pid_t found = waitpid(child, &raw, WNOHANG);

	ck_assert_msg(found >= 0, "waitpid: %s", strerror(errno));
	if (found == 0)
		return false;
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return true;
}

int process_wait(pid_t child)
{
	int status = -1;

	until(has_ended(child, &status));
	return status;
}

/* ---- running */

static int memory_file(const char *content)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	size_t length = strlen(content);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, content, length, 0), (ssize_t)length);
	return fd;
}

static void take_output(int fd, char *text, size_t size)
{
	ssize_t length = pread(fd, text, size - 1, 0);

	ck_assert_int_ge(length, 0);
	text[length] = '\0';
	close(fd);
}

void process_run(struct ended *ended, const char *input, const char *const *argv)
{
	int in = memory_file(input), out = memory_file(""), err = memory_file("");
	pid_t self = getpid(), child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		process_bind(self);
		if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
			_exit(127);
		execvp(argv[0], (char *const *)argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(in);
	ended->status = process_wait(child);
	take_output(out, ended->out, sizeof ended->out);
	take_output(err, ended->err, sizeof ended->err);
}

/* ---- /proc */

/* The fields behind the name, of which only the last ')' is the end. */
static bool read_stat(pid_t pid, char *state, unsigned long *user, unsigned long *system)
{
	char path[64], text[1024] = "", *name_end;
	FILE *stream;
	size_t length;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	stream = fopen(path, "re");
	if (stream == NULL)
		return false;
	length = fread(text, 1, sizeof text - 1, stream);
	fclose(stream);
	text[length] = '\0';
	name_end = strrchr(text, ')');
	return name_end != NULL &&
	       sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", state, user, system) == 3;
}

char process_state(pid_t pid)
{
	unsigned long user, system;
	char state;

	return read_stat(pid, &state, &user, &system) ? state : '\0';
}

bool process_lives(pid_t pid)
{
	char state = process_state(pid);

	return state != '\0' && state != 'Z' && state != 'X';
}

unsigned process_cpu_ms(pid_t pid)
{
	unsigned long user, system;
	char state;

	ck_assert(read_stat(pid, &state, &user, &system));
	return (unsigned)((user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
}

unsigned process_sleeps(pid_t pid)
{
	char path[64], line[256];
	unsigned sleeps = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	while (!found && fgets(line, sizeof line, file) != NULL)
		found = sscanf(line, "voluntary_ctxt_switches: %u", &sleeps) == 1;
	fclose(file);
	ck_assert(found);
	return sleeps;
}

unsigned process_has_open(pid_t pid, const char *target)
{
	char path[64], name[320], text[512];
	const struct dirent *entry;
	unsigned count = 0;
	ssize_t length;
	DIR *fds;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	ck_assert_msg(fds != NULL, "%s: %s", path, strerror(errno));
	while ((entry = readdir(fds)) != NULL) {
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		length = entry->d_name[0] == '.' ? -1 : readlink(name, text, sizeof text);
		count += length >= (ssize_t)strlen(target) && memcmp(text, target, strlen(target)) == 0;
	}
	closedir(fds);
	return count;
}

/* A connection to its control socket may still be closing. */
unsigned process_descriptors(pid_t pid)
{
	unsigned count = process_has_open(pid, ""), same = 0, now;

	until(((now = process_has_open(pid, "")) == count ? ++same : (same = 0, count = now, 0)) == SETTLED);
	return count;
}

void process_freeze(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	until(process_state(pid) == 'T');
}

/* ---- the guardian */

static void run_guardian(int fd, pid_t pid)
{
	char byte;

	if (read(fd, &byte, 1) == 0)
		kill(pid, SIGKILL);
	_exit(0);
}

void process_guard(pid_t pid)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	guardian = fork();
	ck_assert_int_ge(guardian, 0);
	if (guardian == 0) {
		close(ends[1]);
		run_guardian(ends[0], pid);
	}
	close(ends[0]);
	guard = ends[1];
	ck_assert_int_eq(setpgid(guardian, guardian), 0);
}

void process_unguard(void)
{
	ck_assert_int_eq(write(guard, "", 1), 1);
	close(guard);
	guard = -1;
	ck_assert_int_eq(process_wait(guardian), 0);
}
