/* Just enough of RFC 9112 to see what was answered. */
#include "tests/support/http.h"

#include "tests/support/client.h"
#include "tests/support/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

void http_ask(struct answer *answer, int fd, const char *request)
{
	size_t length;
	char *end;

	client_send_text(fd, request);
	length = client_receive_all(fd, answer->text, sizeof answer->text - 1);
	close(fd);
	answer->text[length] = '\0';
	end = strstr(answer->text, "\r\n\r\n");
	ck_assert_msg(end != NULL && strncmp(answer->text, "HTTP/1.", 7) == 0, "no answer: %s", answer->text);
	answer->status = atoi(answer->text + 9);
	answer->body = end + 4;
}

void http_get(struct answer *answer, int fd, const char *path)
{
	char request[256];

	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
	http_ask(answer, fd, request);
}

const char *http_header(const struct answer *answer, const char *name)
{
	static char value[1024];
	const char *line = answer->text;
	size_t length = strlen(name);

	while ((line = strstr(line, "\r\n")) != NULL && line + 2 < answer->body - 2) {
		line += 2;
		if (strncasecmp(line, name, length) != 0 || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " ");
		snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
		return value;
	}
	return "";
}
