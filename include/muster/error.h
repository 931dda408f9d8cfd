/* muster/error.h - error codes: 0 or a negative number, everywhere. */
#ifndef MUSTER_ERROR_H
#define MUSTER_ERROR_H

#include <muster/address.h>
#include <muster/export.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Our own codes, beside the system's negated errno values. They lie below -4096, where no errno can be.
 * XX(name without MUSTER_E, number, text)
 */
#define MUSTER_ERROR_MAP(XX)                                                                                           \
	XX(ALREADYLISTENING, -4097, "the server is listening already")                                                 \
	XX(NOTRUNNING, -4098, "the server is not listening")                                                           \
	XX(CLOSED, -4099, "the socket or its loop is closed")                                                          \
	XX(ENDED, -4100, "write after end")                                                                            \
	XX(DESTROYED, -4101, "the socket has been destroyed")                                                          \
	XX(CHANNEL, -4102, "the channel is closed")                                                                    \
	XX(HANDLETYPE, -4103, "a handle of this type cannot be passed")                                                \
	XX(NOTFOUND, -4104, "host name not found")                                                                     \
	XX(AIAGAIN, -4105, "the name server did not answer, try again later")                                          \
	XX(BLOCKED, -4106, "the address is blocked")                                                                   \
	XX(ADDRESS, -4107, "a lookup answered with what is no IP address")                                             \
	XX(CHILDCLOSED, -4108, "a process that was asked has gone before it answered")

enum muster_error_code {
#define XX(name, number, text) MUSTER_E##name = (number),
	MUSTER_ERROR_MAP(XX)
#undef XX
};

/* An asynchronous error, as Node's carry it: what failed, in which call, at which address. */
struct muster_error {
	int code;                      /* negative */
	const char *call;              /* the system call, a static string: "bind", "connect", "accept" ... */
	struct muster_address address; /* family 0 if there is none */
};

/* The name of a code as Node's err.code has it ("EADDRINUSE", "ERR_SERVER_ALREADY_LISTEN"); a static string. */
MUSTER_API const char *muster_error_name(int code);

/* The text of a code, for people; a static string. Accepts the system's codes and ours. */
MUSTER_API const char *muster_strerror(int code);

/*
 * One line for a log, as Node's err.message: "bind EADDRINUSE 127.0.0.1:80". Writes at most `size` bytes with the
 * terminating NUL and returns the length the whole line has, as snprintf does.
 */
MUSTER_API size_t muster_error_format(const struct muster_error *error, char *text, size_t size);

/* The code behind the last constructor that returned NULL in this thread: own codes do not fit errno. */
MUSTER_API int muster_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
