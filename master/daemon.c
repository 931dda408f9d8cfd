/*
 * Detaching tells the truth: the command returns when the daemon is ready, or has failed.
 */
#include "master/daemon.h"

#include "src/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's word, or, if it died without one, how. */
static int await_child(int fd, pid_t child)
{
	unsigned char status;
	int ended;

	if (read(fd, &status, 1) == 1)
		return status;
	waitpid(child, &ended, 0);
	fprintf(stderr, "musterd: ended before it was ready\n");
	return WIFEXITED(ended) && WEXITSTATUS(ended) != 0 ? WEXITSTATUS(ended) : 1;
}

int muster__daemon_detach(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(ends[1]);
		_exit(await_child(ends[0], child));
	}
	close(ends[0]);
	setsid();
	return ends[1];
}

/* A log that goes to a terminal ends with it; one in a file stays. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (isatty(STDERR_FILENO))
		dup2(null, STDERR_FILENO);
	close(null);
}

void muster__daemon_tell(int fd, int status)
{
	unsigned char byte = (unsigned char)status;

	if (fd < 0)
		return;
	if (status == 0)
		leave_terminal();
	if (write(fd, &byte, 1) < 0)
		return;
	close(fd);
}

void muster__daemon_normalise(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, usual = { .sa_handler = SIG_DFL };
	sigset_t none;
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGCHLD, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t muster__daemon_read_pid(const char *path)
{
	FILE *stream = fopen(path, "re");
	char line[32] = "";
	long pid;

	if (stream == NULL)
		return -1;
	pid = fgets(line, sizeof line, stream) != NULL ? strtol(line, NULL, 10) : 0;
	fclose(stream);
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}

/* A full disk must leave the old file or none, never an empty one. */
int muster__daemon_write_pid(const char *path)
{
	char *temporary;
	int fd, err = 0;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return -ENOMEM;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		err = -errno;
	if (err == 0 && (dprintf(fd, "%d\n", (int)getpid()) < 0 || fsync(fd) < 0))
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err == 0 && rename(temporary, path) < 0)
		err = -errno;
	if (err < 0)
		unlink(temporary);
	free(temporary);
	return err;
}
