/* Just enough of RFC 1035: one question, and all the answers of its type. */
#include "tests/support/nameserver.h"

#include "src/loop.h"
#include "tests/support/faults.h"
#include "tests/support/folder.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER 12
#define TYPE_A 1
#define TYPE_AAAA 28
#define SERVFAIL 2
#define NXDOMAIN 3
#define TRUNCATED 0x02 /* in the first byte of the flags */

static struct muster_loop *served;
static const struct nameserver_record *known;
static struct event readable;
static unsigned questions;

struct packet {
	unsigned char bytes[4096];
	size_t length;
};

static void put16(struct packet *packet, unsigned value)
{
	packet->bytes[packet->length++] = (unsigned char)(value >> 8);
	packet->bytes[packet->length++] = (unsigned char)value;
}

/* The name as text; `at` moves behind it. */
static void read_name(const struct packet *packet, size_t *at, char *name, size_t size)
{
	size_t used = 0;

	while (*at < packet->length && packet->bytes[*at] != 0) {
		size_t label = packet->bytes[*at];

		ck_assert_uint_lt(used + label + 1, size);
		ck_assert_uint_le(*at + 1 + label, packet->length);
		memcpy(name + used, &packet->bytes[*at + 1], label);
		used += label;
		name[used++] = '.';
		*at += label + 1;
	}
	name[used > 0 ? used - 1 : 0] = '\0';
	++*at;
}

/* 1 if the record is of this type and was added. */
static unsigned add_answer(struct packet *packet, const char *address, unsigned type)
{
	unsigned char bytes[16];
	size_t length = type == TYPE_A ? 4 : 16;

	if (inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, bytes) != 1)
		return 0;
	put16(packet, 0xc000 | HEADER); /* the name is that of the question */
	put16(packet, type);
	put16(packet, 1);
	put16(packet, 0);
	put16(packet, 60);
	put16(packet, (unsigned)length);
	memcpy(&packet->bytes[packet->length], bytes, length);
	packet->length += length;
	return 1;
}

static bool is_special(const struct nameserver_record *record, const char *what, unsigned type)
{
	size_t length = strlen(what);

	if (strncmp(record->address, what, length) != 0)
		return false;
	return record->address[length] == '\0' || type == TYPE_AAAA;
}

/* Turns the question into its answer. False: there is none. */
static bool answer(struct packet *packet)
{
	const struct nameserver_record *record;
	unsigned type, code = NXDOMAIN, count = 0, cut = 0;
	size_t at = HEADER;
	char name[256];

	read_name(packet, &at, name, sizeof name);
	type = (unsigned)packet->bytes[at] << 8 | packet->bytes[at + 1];
	packet->length = at + 4;
	for (record = known; record->name != NULL; record++) {
		if (strcasecmp(record->name, name) != 0)
			continue;
		if (is_special(record, NAMESERVER_SILENT, type))
			return false;
		code = is_special(record, NAMESERVER_BROKEN, type) ? SERVFAIL : 0;
		cut = is_special(record, NAMESERVER_CUT, type) ? TRUNCATED : 0;
		count += add_answer(packet, record->address, type);
	}
	packet->bytes[2] = (unsigned char)(0x81 | cut);
	packet->bytes[3] = (unsigned char)(0x80 | code);
	packet->bytes[6] = 0;
	packet->bytes[7] = (unsigned char)count;
	memset(&packet->bytes[8], 0, 4);
	return true;
}

static void on_question(evutil_socket_t fd, short what, void *data)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof from;
	struct packet packet;
	ssize_t got = recvfrom(fd, packet.bytes, 512, 0, (struct sockaddr *)&from, &length);

	(void)what, (void)data;
	faults_pause();
	ck_assert_int_gt(got, HEADER);
	packet.length = (size_t)got;
	questions++;
	if (answer(&packet))
		sendto(fd, packet.bytes, packet.length, 0, (struct sockaddr *)&from, length);
	faults_resume();
}

static const char *write_resolv_conf(unsigned port, const char *lines)
{
	static struct timespec written[2];
	const char *path = folder_path("resolv.conf");
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "nameserver 127.0.0.1:%u\n%s", port, lines);
	ck_assert_int_eq(fclose(file), 0);
	/* Two files written in one tick of the clock are told apart by their times all the same. */
	written[1].tv_sec++;
	ck_assert_int_eq(utimensat(AT_FDCWD, path, written, 0), 0);
	return path;
}

void nameserver_start(struct muster_loop *loop, const struct nameserver_record *records)
{
	nameserver_start_with(loop, records, "options timeout:0.1 attempts:1\n");
}

void nameserver_start_with(struct muster_loop *loop, const struct nameserver_record *records, const char *lines)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof in;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	loop->resolv_conf = write_resolv_conf(ntohs(in.sin_port), lines);

	served = loop;
	known = records;
	questions = 0;
	event_assign(&readable, loop->base, fd, EV_READ | EV_PERSIST, on_question, NULL);
	ck_assert_int_eq(muster__event_add(loop, &readable, NULL), 0);
}

void nameserver_stop(void)
{
	if (served == NULL)
		return;
	muster__event_del(served, &readable);
	close(event_get_fd(&readable));
	served = NULL;
}

unsigned nameserver_questions(void)
{
	return questions;
}
