/* src/proxy_protocol.h - the PROXY protocol: what a proxy says first about the client it speaks for. Bytes in, header out. */
#ifndef SRC_PROXY_PROTOCOL_H
#define SRC_PROXY_PROTOCOL_H

#include "src/address.h"

#include <stdbool.h>
#include <stddef.h>

#define MUSTER__PROXY_V1_MAX 107             /* a line with its end */
#define MUSTER__PROXY_MAX (16 + 65535)       /* any header */
#define MUSTER__PROXY_WRITTEN_MAX (16 + 216) /* one of ours */

struct muster__proxy {
	size_t length; /* of the header: the payload begins behind it */
	bool has_ends; /* false: the connection speaks for itself, or for nobody we know */
	struct muster__sockaddr source, destination; /* the client, and where it connected */
};

/*
 * The header at the beginning of `bytes`, of version 1 or 2. 0, or -EAGAIN: so far it is one, and all bytes belong to it;
 * or -EBADMSG: it never will be.
 */
int muster__proxy_parse(struct muster__proxy *proxy, const void *bytes, size_t length);

/*
 * A header for a connection from `source` to `destination`; either may be NULL, and what the version has no words for is
 * said to be unknown. IPv4 in IPv6 is written as IPv4. Returns its length.
 */
size_t muster__proxy_write(char out[MUSTER__PROXY_WRITTEN_MAX], unsigned version, const struct muster__sockaddr *source,
			   const struct muster__sockaddr *destination);

#endif
