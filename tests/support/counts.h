/* tests/support/counts.h - handler tables that count and keep what came, for servers and sockets. */
#ifndef TESTS_SUPPORT_COUNTS_H
#define TESTS_SUPPORT_COUNTS_H

#include <muster/server.h>
#include <muster/socket.h>

/* `data` of the tables below. Zero-initialised. */
struct socket_counts {
	unsigned lookup, connect, ready, data, end, drain, finish, timeout, error, close;
	unsigned bad_close; /* on_close with had_error */
	size_t length;      /* bytes received */
	char bytes[256];    /* the first of them, NUL-terminated */
	char order[256];    /* "connect ready data end close": events as they came, runs of one kind as one */
	struct muster_error last_error;
};

struct server_counts {
	unsigned listening, connection, drop, error, close;
	char order[256];
	struct muster_error last_error;
	struct muster_address drop_local, drop_remote;
	struct muster_socket *last;    /* the last connection; the test knows whether it still lives */
	struct socket_counts *sockets; /* what connections count in; NULL: they have no handlers and are not read */
};

extern const struct muster_socket_handlers counting_socket;
/* The same without on_data: nothing is read. */
extern const struct muster_socket_handlers deaf_socket;
extern const struct muster_server_handlers counting_server;

/* Completions: count, and remember the order and the last code. */
struct write_counts {
	unsigned done, failed;
	int last;
	char order[64]; /* the `letter` of each write_mark, as it completed */
};

struct write_mark {
	struct write_counts *counts;
	char letter;
};

/* A muster_written whose data is a struct write_mark. */
void count_written(struct muster_socket *socket, int err, void *data);

/* Add a word to an order, unless it is the last already. */
void order_add(char *order, size_t size, const char *word);

#endif
