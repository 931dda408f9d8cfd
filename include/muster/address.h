/* muster/address.h - a TCP or UNIX address as text. */
#ifndef MUSTER_ADDRESS_H
#define MUSTER_ADDRESS_H

#include <muster/export.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The layout is frozen: users embed it. `family` is 4, 6, or 1 for a UNIX path; 0 means no address.
 * `text` is NUL-terminated: the address with its zone ("fe80::1%eth0"), or the path; `length` counts its bytes, since an
 * abstract UNIX name begins with a NUL and may hold others.
 */
struct muster_address {
	int family;
	unsigned port;
	size_t length;
	char text[112];
};

/* 4, 6 or 0 for text that is not an IP address: net.isIP. Zone ids are allowed, netmasks and leading zeros are not. */
MUSTER_API int muster_is_ip(const char *text);
MUSTER_API bool muster_is_ipv4(const char *text);
MUSTER_API bool muster_is_ipv6(const char *text);

/*
 * Read "1.2.3.4:80", "[::1]:80", "1.2.3.4", "::1": SocketAddress.parse. A missing port is 0.
 * -EINVAL if it is none of these; `out` is untouched then.
 */
MUSTER_API int muster_address_parse(struct muster_address *out, const char *text);

/* "1.2.3.4:80", "[::1]:80" or the path ('@' stands for a leading NUL). Returns the length, as snprintf does. */
MUSTER_API size_t muster_address_format(const struct muster_address *address, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
