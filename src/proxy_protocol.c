/*
 * The PROXY protocol, after HAProxy's proxy-protocol.txt. A header is checked byte for byte as it comes: whoever does not
 * speak the protocol is found out at his first wrong byte, and no byte behind the header is ever looked at.
 */
#include "src/proxy_protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define V2_FIXED 16
#define V2_CRC32C 0x03
#define UNIX_SIZE 108

static const unsigned char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool begins_as(const unsigned char *bytes, size_t length, const void *with, size_t with_length)
{
	return memcmp(bytes, with, MIN(length, with_length)) == 0;
}

static void put_ip(struct muster__sockaddr *out, int family, const void *address, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->storage;

	memset(out, 0, sizeof *out);
	out->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		in->sin_port = port;
		memcpy(&in->sin_addr, address, sizeof in->sin_addr);
		out->length = sizeof *in;
	} else {
		in6->sin6_port = port;
		memcpy(&in6->sin6_addr, address, sizeof in6->sin6_addr);
		out->length = sizeof *in6;
	}
}

/* ---- version 1: a line of text */

/* Up to a blank, or the end of the line. NULL: no word, or one too many blanks. */
static const char *next_word(char **rest)
{
	char *word = strsep(rest, " ");

	return word != NULL && *word != '\0' ? word : NULL;
}

static bool read_port(const char *text, uint16_t *port)
{
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
	unsigned long number;

	if (digits == 0 || digits > 5 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
		return false;
	number = strtoul(text, NULL, 10);
	*port = htons((uint16_t)number);
	return number <= 65535;
}

static bool read_ends(struct muster__proxy *proxy, int family, char *rest)
{
	const char *source = next_word(&rest), *destination = next_word(&rest);
	const char *source_port = next_word(&rest), *destination_port = next_word(&rest);
	unsigned char from[sizeof(struct in6_addr)], to[sizeof(struct in6_addr)];
	uint16_t from_port, to_port;

	if (source == NULL || destination == NULL || rest != NULL || !read_port(source_port, &from_port) ||
	    !read_port(destination_port, &to_port))
		return false;
	if (inet_pton(family, source, from) != 1 || inet_pton(family, destination, to) != 1)
		return false;
	put_ip(&proxy->source, family, from, from_port);
	put_ip(&proxy->destination, family, to, to_port);
	proxy->has_ends = true;
	return true;
}

/* What stands between "PROXY " and the end of the line. Behind UNKNOWN may stand anything. */
static bool read_line(struct muster__proxy *proxy, char *rest)
{
	const char *protocol = next_word(&rest);

	if (protocol == NULL)
		return false;
	if (strcmp(protocol, "TCP4") == 0)
		return read_ends(proxy, AF_INET, rest);
	if (strcmp(protocol, "TCP6") == 0)
		return read_ends(proxy, AF_INET6, rest);
	return strcmp(protocol, "UNKNOWN") == 0;
}

static int parse_v1(struct muster__proxy *proxy, const unsigned char *bytes, size_t length)
{
	static const char prefix[6] = "PROXY ";
	size_t seen = MIN(length, MUSTER__PROXY_V1_MAX), end;
	char line[MUSTER__PROXY_V1_MAX];

	if (!begins_as(bytes, length, prefix, sizeof prefix))
		return -EBADMSG;
	for (end = 0; end < seen && bytes[end] != '\r' && bytes[end] != '\n' && bytes[end] != '\0'; end++)
		;
	if (end + 1 < seen ? bytes[end] != '\r' || bytes[end + 1] != '\n' : end < seen && bytes[end] != '\r')
		return -EBADMSG;
	if (end + 1 >= seen)
		return seen < MUSTER__PROXY_V1_MAX ? -EAGAIN : -EBADMSG;
	memcpy(line, bytes, end);
	line[end] = '\0';
	proxy->length = end + 2;
	return read_line(proxy, line + sizeof prefix) ? 0 : -EBADMSG;
}

/* ---- version 2: binary */

enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNKNOWN, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };

static const unsigned char ends_size[] = { 0, 12, 36, 2 * UNIX_SIZE };

static uint32_t crc32c_add(uint32_t crc, unsigned char byte)
{
	crc ^= byte;
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (0x82f63b78 & -(crc & 1));
	return crc;
}

/* Of the whole header, with zeros in the place of the checksum itself. */
static bool crc_matches(const unsigned char *bytes, size_t length, size_t at)
{
	uint32_t crc = ~(uint32_t)0, said;

	for (size_t i = 0; i < length; i++)
		crc = crc32c_add(crc, i >= at && i < at + sizeof said ? 0 : bytes[i]);
	memcpy(&said, bytes + at, sizeof said);
	return ntohl(said) == ~crc;
}

/* Types that we do not know are none of our business; their lengths are. */
static bool check_extras(const unsigned char *bytes, size_t length, size_t at)
{
	while (at < length) {
		size_t size;

		if (length - at < 3)
			return false;
		size = (size_t)(bytes[at + 1] << 8 | bytes[at + 2]);
		if (length - at - 3 < size)
			return false;
		if (bytes[at] == V2_CRC32C && (size != sizeof(uint32_t) || !crc_matches(bytes, length, at + 3)))
			return false;
		at += 3 + size;
	}
	return true;
}

/* A path ends at its first NUL; an abstract name, which begins with one, before the NULs that fill its place. */
static void put_unix(struct muster__sockaddr *out, const unsigned char *path)
{
	size_t length = strnlen((const char *)path, UNIX_SIZE);

	memset(out, 0, sizeof *out);
	out->un.sun_family = AF_UNIX;
	memcpy(out->un.sun_path, path, UNIX_SIZE);
	if (length == 0)
		for (length = UNIX_SIZE; length > 0 && path[length - 1] == '\0'; length--)
			;
	out->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static void put_ends(struct muster__proxy *proxy, unsigned family, const unsigned char *at)
{
	size_t size = family == FAMILY_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	uint16_t ports[2];

	proxy->has_ends = true;
	if (family == FAMILY_UNIX) {
		put_unix(&proxy->source, at);
		put_unix(&proxy->destination, at + UNIX_SIZE);
		return;
	}
	memcpy(ports, at + 2 * size, sizeof ports);
	put_ip(&proxy->source, family == FAMILY_INET ? AF_INET : AF_INET6, at, ports[0]);
	put_ip(&proxy->destination, family == FAMILY_INET ? AF_INET : AF_INET6, at + size, ports[1]);
}

static int parse_v2(struct muster__proxy *proxy, const unsigned char *bytes, size_t length)
{
	unsigned command, family, transport;

	if (!begins_as(bytes, length, v2_signature, sizeof v2_signature))
		return -EBADMSG;
	if ((length > 12 && (bytes[12] & 0xfe) != 0x20) ||
	    (length > 13 && (bytes[13] >> 4 > FAMILY_UNIX || (bytes[13] & 0xf) > 2)))
		return -EBADMSG;
	if (length < V2_FIXED)
		return -EAGAIN;
	command = bytes[12] & 0xf;
	family = bytes[13] >> 4;
	transport = bytes[13] & 0xf;
	proxy->length = V2_FIXED + (size_t)(bytes[14] << 8 | bytes[15]);
	if (length < proxy->length)
		return -EAGAIN;
	/* The rest of such a header has no meaning. */
	if (command == COMMAND_LOCAL || family == FAMILY_UNKNOWN || transport == 0)
		return 0;
	if (proxy->length < V2_FIXED + (size_t)ends_size[family] ||
	    !check_extras(bytes, proxy->length, V2_FIXED + (size_t)ends_size[family]))
		return -EBADMSG;
	put_ends(proxy, family, bytes + V2_FIXED);
	return 0;
}

int muster__proxy_parse(struct muster__proxy *proxy, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	proxy->length = 0;
	proxy->has_ends = false;
	if (length == 0)
		return -EAGAIN;
	return at[0] == v2_signature[0] ? parse_v2(proxy, at, length) : parse_v1(proxy, at, length);
}

/* ---- writing */

/* One end, as the protocol has it: a family of its own, and where the bytes of the address are. */
struct end {
	unsigned family;
	const void *address;
	size_t size;
	uint16_t port;
};

/* IPv4 in IPv6 is IPv4, if its other end is so as well. */
static struct end end_of(const struct muster__sockaddr *sockaddr, bool unmap)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&sockaddr->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&sockaddr->storage;

	if (sockaddr->any.sa_family == AF_INET)
		return (struct end){ FAMILY_INET, &in->sin_addr, sizeof in->sin_addr, in->sin_port };
	if (sockaddr->any.sa_family == AF_UNIX)
		return (struct end){ FAMILY_UNIX, sockaddr->un.sun_path, UNIX_SIZE, 0 };
	if (sockaddr->any.sa_family != AF_INET6)
		return (struct end){ .family = FAMILY_UNKNOWN };
	if (unmap && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return (struct end){ FAMILY_INET, in6->sin6_addr.s6_addr + 12, sizeof in->sin_addr, in6->sin6_port };
	return (struct end){ FAMILY_INET6, &in6->sin6_addr, sizeof in6->sin6_addr, in6->sin6_port };
}

static size_t write_v1(char *out, const struct end *from, const struct end *to)
{
	int family = from->family == FAMILY_INET ? AF_INET : AF_INET6;
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];

	if (from->family != FAMILY_INET && from->family != FAMILY_INET6)
		return (size_t)snprintf(out, MUSTER__PROXY_WRITTEN_MAX, "PROXY UNKNOWN\r\n");
	inet_ntop(family, from->address, source, sizeof source);
	inet_ntop(family, to->address, destination, sizeof destination);
	return (size_t)snprintf(out, MUSTER__PROXY_WRITTEN_MAX, "PROXY TCP%d %s %s %u %u\r\n",
				family == AF_INET ? 4 : 6, source, destination, ntohs(from->port), ntohs(to->port));
}

static size_t write_v2(char *out, const struct end *from, const struct end *to)
{
	size_t size = ends_size[from->family], used = V2_FIXED;

	memcpy(out, v2_signature, sizeof v2_signature);
	out[12] = 0x20 | COMMAND_PROXY;
	out[13] = (char)(from->family != FAMILY_UNKNOWN ? from->family << 4 | 1 : 0);
	out[14] = 0;
	out[15] = (char)size;
	if (from->family == FAMILY_UNKNOWN)
		return used;
	memcpy(out + used, from->address, from->size);
	memcpy(out + used + from->size, to->address, to->size);
	used += from->size + to->size;
	if (from->family == FAMILY_UNIX)
		return used;
	memcpy(out + used, &from->port, sizeof from->port);
	memcpy(out + used + sizeof from->port, &to->port, sizeof to->port);
	return used + 2 * sizeof from->port;
}

size_t muster__proxy_write(char out[MUSTER__PROXY_WRITTEN_MAX], unsigned version, const struct muster__sockaddr *source,
			   const struct muster__sockaddr *destination)
{
	struct end from = { .family = FAMILY_UNKNOWN }, to = from;

	if (source != NULL && destination != NULL) {
		from = end_of(source, true);
		to = end_of(destination, true);
	}
	if (from.family != to.family) {
		from = end_of(source, false);
		to = end_of(destination, false);
	}
	if (from.family != to.family)
		from.family = FAMILY_UNKNOWN;
	return version == 1 ? write_v1(out, &from, &to) : write_v2(out, &from, &to);
}
