/*
 * Text to sockaddr and back. The grammar of isIP is Node's: no leading zeros, no netmask, a zone id only after an
 * address that is not itself a zone ("fe80::1%eth0"; "::1%" is none).
 */
#include "src/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool muster_is_ipv4(const char *text)
{
	struct in_addr ignored;

	return text != NULL && inet_pton(AF_INET, text, &ignored) == 1;
}

/* Splits "address%zone"; false if the zone is empty or has characters no interface name in an address may have. */
static bool split_zone(const char *text, char address[INET6_ADDRSTRLEN], const char **zone)
{
	const char *percent = strchr(text, '%');
	size_t length = percent ? (size_t)(percent - text) : strlen(text);

	if (length >= INET6_ADDRSTRLEN)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	*zone = percent ? percent + 1 : NULL;
	if (percent == NULL)
		return true;
	length = strlen(*zone);
	return length > 0 &&
	       strspn(*zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:") == length;
}

bool muster_is_ipv6(const char *text)
{
	struct in6_addr ignored;
	char address[INET6_ADDRSTRLEN];
	const char *zone;

	return text != NULL && split_zone(text, address, &zone) && inet_pton(AF_INET6, address, &ignored) == 1;
}

int muster_is_ip(const char *text)
{
	return muster_is_ipv4(text) ? 4 : muster_is_ipv6(text) ? 6 : 0;
}

static int fill_ipv6(struct sockaddr_in6 *in6, const char *text)
{
	char address[INET6_ADDRSTRLEN];
	const char *zone;

	if (!split_zone(text, address, &zone) || inet_pton(AF_INET6, address, &in6->sin6_addr) != 1)
		return -EINVAL;
	if (zone == NULL)
		return 0;
	in6->sin6_scope_id = if_nametoindex(zone);
	if (in6->sin6_scope_id == 0)
		in6->sin6_scope_id = (uint32_t)strtoul(zone, NULL, 10);
	return in6->sin6_scope_id != 0 ? 0 : -EINVAL;
}

int muster__sockaddr_ip(struct muster__sockaddr *out, const char *text, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->storage;

	memset(out, 0, sizeof *out);
	if (port > 65535)
		return -EINVAL;
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		out->length = sizeof *in;
		return 0;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	out->length = sizeof *in6;
	return fill_ipv6(in6, text);
}

int muster__sockaddr_path(struct muster__sockaddr *out, const char *path)
{
	bool abstract = path[0] == '@';
	size_t length = strlen(path);

	memset(out, 0, sizeof *out);
	if (length == 0)
		return -EINVAL;
	/* A path needs its NUL, an abstract name has its first byte for it. Node cuts silently; we refuse. */
	if (length + (abstract ? 0 : 1) > sizeof out->un.sun_path)
		return -ENAMETOOLONG;
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, path, length);
	if (abstract)
		out->un.sun_path[0] = '\0';
	out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1));
	return 0;
}

int muster__sockaddr_of(struct muster__sockaddr *out, const struct muster_address *address)
{
	if (address->family != MUSTER__FAMILY_UNIX)
		return muster__sockaddr_ip(out, address->text, address->port);
	memset(out, 0, sizeof *out);
	if (address->length > sizeof out->un.sun_path)
		return -ENAMETOOLONG;
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, address->text, address->length);
	out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address->length);
	return 0;
}

static void from_ip(struct muster_address *out, const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	char zone[IF_NAMESIZE];

	if (address->sa_family == AF_INET) {
		out->family = 4;
		out->port = ntohs(in->sin_port);
		inet_ntop(AF_INET, &in->sin_addr, out->text, sizeof out->text);
	} else {
		out->family = 6;
		out->port = ntohs(in6->sin6_port);
		inet_ntop(AF_INET6, &in6->sin6_addr, out->text, sizeof out->text);
		if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, zone) != NULL) {
			size_t used = strlen(out->text);

			snprintf(out->text + used, sizeof out->text - used, "%%%s", zone);
		}
	}
	out->length = strlen(out->text);
}

static void from_un(struct muster_address *out, const struct sockaddr_un *un, socklen_t length)
{
	size_t size = length > offsetof(struct sockaddr_un, sun_path) ?
			      (size_t)length - offsetof(struct sockaddr_un, sun_path) :
			      0;

	if (size > sizeof un->sun_path)
		size = sizeof un->sun_path;
	out->family = MUSTER__FAMILY_UNIX;
	out->length = size > 0 && un->sun_path[0] == '\0' ? size : strnlen(un->sun_path, size);
	memcpy(out->text, un->sun_path, out->length);
}

void muster__address_from(struct muster_address *out, const struct sockaddr *address, socklen_t length)
{
	memset(out, 0, sizeof *out);
	if (length < sizeof address->sa_family)
		return;
	if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
		from_ip(out, address);
	else if (address->sa_family == AF_UNIX)
		from_un(out, (const struct sockaddr_un *)address, length);
}

int muster__address_local(struct muster_address *out, int fd)
{
	struct muster__sockaddr address = { .length = sizeof address.storage };

	if (getsockname(fd, &address.any, &address.length) < 0)
		return -errno;
	muster__address_from(out, &address.any, address.length);
	return 0;
}

int muster__address_remote(struct muster_address *out, int fd)
{
	struct muster__sockaddr address = { .length = sizeof address.storage };

	if (getpeername(fd, &address.any, &address.length) < 0)
		return -errno;
	muster__address_from(out, &address.any, address.length);
	return 0;
}

void muster__address_named(struct muster_address *out, int family, const char *text, unsigned port)
{
	memset(out, 0, sizeof *out);
	out->family = family;
	out->port = port;
	snprintf(out->text, sizeof out->text, "%s", text);
	out->length = strlen(out->text);
	if (family == MUSTER__FAMILY_UNIX && out->text[0] == '@')
		out->text[0] = '\0';
}

static int parse_port(const char *text, unsigned *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > 65535)
		return -EINVAL;
	*port = (unsigned)value;
	return 0;
}

/* Cuts "[::1]:80" or "1.2.3.4:80" into host and port text; a bare IPv6 address has no port. */
static int split_port(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	const char *close = strchr(text, ']');
	size_t length;

	*port = NULL;
	if (text[0] == '[') {
		if (close == NULL || (close[1] != '\0' && close[1] != ':'))
			return -EINVAL;
		*port = close[1] == ':' ? close + 2 : NULL;
		length = (size_t)(close - ++text);
	} else if (colon != NULL && strchr(text, ':') == colon) {
		*port = colon + 1;
		length = (size_t)(colon - text);
	} else {
		length = strlen(text);
	}
	if (length >= size)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	return 0;
}

int muster_address_parse(struct muster_address *out, const char *text)
{
	struct muster__sockaddr address;
	char host[112];
	const char *port_text;
	unsigned port = 0;
	int err = split_port(text, host, sizeof host, &port_text);

	if (err == 0 && port_text != NULL)
		err = parse_port(port_text, &port);
	/* Brackets are for what has colons of its own. */
	if (err == 0 && text[0] == '[' && !muster_is_ipv6(host))
		err = -EINVAL;
	if (err == 0)
		err = muster__sockaddr_ip(&address, host, port);
	if (err == 0)
		muster__address_from(out, &address.any, address.length);
	return err;
}

size_t muster_address_format(const struct muster_address *address, char *text, size_t size)
{
	const char *format = address->family == 6 ? "[%s]:%u" : "%s:%u";
	int length;

	if (address->family != MUSTER__FAMILY_UNIX)
		length = snprintf(text, size, format, address->text, address->port);
	else if (address->length > 0 && address->text[0] == '\0')
		length = snprintf(text, size, "@%.*s", (int)address->length - 1, address->text + 1);
	else
		length = snprintf(text, size, "%.*s", (int)address->length, address->text);
	return length < 0 ? 0 : (size_t)length;
}
