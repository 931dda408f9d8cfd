/* tests/support/http.h - a client of HTTP that asks one thing and takes in the whole answer. */
#ifndef TESTS_SUPPORT_HTTP_H
#define TESTS_SUPPORT_HTTP_H

struct answer {
	int status;
	char *body; /* in `text`, behind the headers */
	char text[65536];
};

/* On a connection, which is taken: send `request` as it is. The server has to close behind its answer. */
void http_ask(struct answer *answer, int fd, const char *request);

/* GET, with a host that is an address. */
void http_get(struct answer *answer, int fd, const char *path);

/* The value of a header, without blanks around it; "" if it is not there. Lasts until the next call. */
const char *http_header(const struct answer *answer, const char *name);

#endif
