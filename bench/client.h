/* bench/client.h - one client connection over loopback, and the 64 bytes that go to and fro on it. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_MESSAGE = 64 };

/* The message. Twice in a row, so that a stream of messages can be compared from any offset on. */
extern const char client_pattern[2 * CLIENT_MESSAGE + 1];

/* A TCP port on 127.0.0.1 that nobody listens on at the moment, or a negative error. */
int client_free_port(void);

/* A connection to 127.0.0.1, non-blocking and perhaps still connecting. A descriptor, or a negative error. */
int client_open(uint16_t port);

/* Send one message; read one and compare it. Both wait, at most `timeout_ms`. 0 or a negative error. */
int client_send(int fd, int timeout_ms);
int client_receive(int fd, int timeout_ms);

/* Close in order (FIN), or at once (RST), which leaves nothing behind in the kernel. */
void client_close(int fd, bool reset);

#endif
