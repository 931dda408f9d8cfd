/* tests/support/client.h - the other end of a connection: plain blocking sockets, which know nothing of the library. */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each fails the test when it fails, or takes too long. */
int client_connect_port(unsigned port); /* 127.0.0.1 */
int client_connect_to(const char *host, unsigned port);
int client_connect_path(const char *path); /* a leading '@' for an abstract name */
void client_send(int fd, const void *bytes, size_t length);
void client_send_text(int fd, const char *text);
void client_receive(int fd, void *bytes, size_t length);     /* exactly so many */
size_t client_receive_all(int fd, void *bytes, size_t size); /* until the end; it must fit */
void client_expect_text(int fd, const char *text);
void client_expect_end(int fd);
void client_reset(int fd);       /* close with a reset instead of a FIN */
unsigned client_waiting(int fd); /* bytes that could be received now */

/* Say something to an echo server and hear it again; and so with a new connection, which is open then. */
void client_talk(int fd, const char *text);
int client_connected(unsigned port);

/* Connected to 127.0.0.1, or -errno. */
int client_knock_port(unsigned port);

/* -errno of connecting there, 0 if it worked (and the connection is closed again). */
int client_try_port(unsigned port);
int client_try_path(const char *path);

/* Two ends of one TCP connection over the loopback, and of one UNIX connection; blocking. */
void client_pair(int ends[2]);
void client_pair_local(int ends[2]);

/* Does this machine have IPv6 on its loopback? May be asked outside a test. */
bool client_has_ipv6(void);

/* A listening socket that nobody accepts on, at 127.0.0.1 and any port. */
int client_listen(int backlog);
unsigned client_port_of(int fd);
/* A port at which nobody listens. */
unsigned client_free_port(void);

/* Bytes of which each tells its place, so that nothing can be lost, doubled or swapped unnoticed. */
void pattern_fill(void *bytes, uint64_t at, size_t length);
bool pattern_matches(const void *bytes, uint64_t at, size_t length);

/*
 * A thread that sends `length` bytes of the pattern and then its end, and takes in what comes until the other end. `fd`
 * is taken. exchange_finish waits for it and returns how many bytes of the pattern came back; 0 if any was wrong.
 */
struct exchange;
struct exchange *exchange_start(int fd, uint64_t length);
uint64_t exchange_finish(struct exchange *exchange);

#endif
