/* One connection for one question; the daemon closes behind its answer. */
#include "master/ctl_ask.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

static int connect_to(const char *path, unsigned seconds)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = (time_t)seconds };
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

/* Up to the end; the daemon closes behind its answer. */
static int read_answer(int fd, char **answer, size_t *length)
{
	size_t room = 0;
	ssize_t got = 1;

	*answer = NULL;
	*length = 0;
	while (got > 0 && *length < ANSWER_MAX) {
		if (*length == room) {
			char *larger = realloc(*answer, room = room ? room * 2 : 65536);

			if (larger == NULL)
				return -ENOMEM;
			*answer = larger;
		}
		got = recv(fd, *answer + *length, room - *length, 0);
		*length += got > 0 ? (size_t)got : 0;
	}
	return got < 0 ? -errno : 0;
}

static int send_question(int fd, const json_t *question)
{
	char *text = json_dumps(question, JSON_COMPACT);
	size_t length = text != NULL ? strlen(text) : 0;
	int err = text != NULL ? 0 : -ENOMEM;

	if (text != NULL) {
		text[length] = '\n'; /* in the place of its NUL */
		if (send(fd, text, length + 1, MSG_NOSIGNAL) != (ssize_t)length + 1)
			err = -errno;
	}
	free(text);
	return err;
}

int muster__ctl_ask(const char *path, const json_t *question, unsigned seconds, json_t **answer)
{
	char *text = NULL;
	size_t length = 0;
	int fd = connect_to(path, seconds), err = fd < 0 ? fd : send_question(fd, question);

	if (err == 0)
		err = read_answer(fd, &text, &length);
	if (fd >= 0)
		close(fd);
	*answer = err == 0 ? json_loadb(text, length, 0, NULL) : NULL;
	free(text);
	return err == 0 && !json_is_object(*answer) ? (json_decref(*answer), -EBADMSG) : err;
}
