/*
 * takes_sockets.c - a program that is given its sockets by systemd's rules, written from their manual pages alone. It answers
 * one word per connection. Its arguments: what it tells its manager when it starts; "deaf" does not end at SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST 3

static volatile sig_atomic_t ended;

static void on_term(int signal)
{
	(void)signal;
	ended = 1;
}

static void notify(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) < 0)
		perror("notify");
	close(fd);
}

/* Said by somebody who is none of its process group. */
static void notify_as_a_stranger(const char *text)
{
	if (fork() == 0) {
		setsid();
		notify(text);
		_exit(0);
	}
}

static void answer(int fd, int count)
{
	char word[128] = "", text[256] = "";

	if (read(fd, word, sizeof word - 1) <= 0)
		return;
	if (strcmp(word, "pid") == 0)
		snprintf(text, sizeof text, "%d", (int)getpid());
	else if (strcmp(word, "names") == 0)
		snprintf(text, sizeof text, "%s", getenv("LISTEN_FDNAMES"));
	else if (strcmp(word, "blocks") == 0)
		snprintf(text, sizeof text, "%s", fcntl(FIRST, F_GETFL) & O_NONBLOCK ? "no" : "yes");
	else if (strcmp(word, "channel") == 0)
		snprintf(text, sizeof text, "%s", getenv("NODE_CHANNEL_FD") != NULL ? "yes" : "no");
	else if (strcmp(word, "next") == 0) /* the lowest that was free */
		snprintf(text, sizeof text, "%d", fd - count - FIRST);
	else if (strcmp(word, "exit") == 0)
		_exit(3);
	else if (strncmp(word, "strange ", 8) == 0)
		notify_as_a_stranger(word + 8);
	else
		notify(word);
	if (write(fd, text, strlen(text)) < 0)
		perror("write");
}

static void serve(struct pollfd *sockets, int count)
{
	int i, fd;

	if (poll(sockets, (nfds_t)count, -1) < 0)
		return;
	for (i = 0; i < count; i++) {
		if (!(sockets[i].revents & POLLIN))
			continue;
		fd = accept(sockets[i].fd, NULL, NULL);
		if (fd < 0)
			continue;
		answer(fd, count);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	struct sigaction action = { .sa_handler = on_term };
	struct pollfd sockets[8];
	int count = fds != NULL ? atoi(fds) : 0, i;

	if (pid == NULL || atoi(pid) != (int)getpid() || count > 8)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	for (i = 0; i < count; i++)
		sockets[i] = (struct pollfd){ .fd = FIRST + i, .events = POLLIN };
	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "deaf") != 0)
			notify(argv[i]);
		else
			signal(SIGTERM, SIG_IGN);
	while (!ended)
		serve(sockets, count);
	return 0;
}
