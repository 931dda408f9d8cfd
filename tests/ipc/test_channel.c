/* tests/ipc/test_channel.c - one end of a channel, whose other end is a plain socket that may say anything. */
#include "ipc/channel.h"
#include "ipc/fdpass.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <muster/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACK "{\"cmd\":\"NODE_HANDLE_ACK\"}\n"
#define NACK "{\"cmd\":\"NODE_HANDLE_NACK\"}\n"
#define HANDLE(text) "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":" text "}\n"

static struct end {
	struct muster__channel channel;
	unsigned lines, answered, received, drained, closed, with_fd;
	char text[8192];      /* each line's text and a newline */
	uint64_t tickets[64]; /* as they were answered */
	int taken[64];
	bool take;
	const char *reply; /* printed for each line */
	bool endless;      /* the peer says one more for each line */
} end;
static int peer;

/* ---- What the channel tells. */

static void on_line(struct muster__channel *channel, struct muster__line *line, int *fd)
{
	size_t used = strlen(end.text);

	snprintf(end.text + used, sizeof end.text - used, "%.*s\n", (int)(line->length < 200 ? line->length : 200),
		 line->text);
	if (*fd >= 0 && end.take) {
		end.taken[end.with_fd] = *fd;
		*fd = -1;
	}
	end.with_fd += line->is_handle && (*fd >= 0 || end.take);
	if (end.reply != NULL)
		ck_assert_int_eq(muster__channel_print(channel, end.reply, strlen(end.reply)), 0);
	end.lines++;
	if (end.endless)
		client_send_text(peer, "1\n");
}

static void on_answered(struct muster__channel *channel, uint64_t ticket, bool received)
{
	(void)channel;
	ck_assert_uint_lt(end.answered, 64);
	end.tickets[end.answered++] = ticket;
	end.received += received;
}

static void on_drained(struct muster__channel *channel)
{
	(void)channel;
	end.drained++;
}

static void on_closed(struct muster__channel *channel)
{
	ck_assert(!muster__channel_is_connected(channel));
	end.closed++;
}

static const struct muster__channel_ops ops = { on_line, on_answered, on_drained, on_closed };

static void open_channel(int type)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	peer = ends[1];
	ck_assert_int_eq(muster__channel_init(&end.channel, test_loop, ends[0], &ops), 0);
}

static void set_up(void)
{
	open_channel(SOCK_STREAM);
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void tear_down(void)
{
	muster__channel_free(&end.channel);
	close_peer();
}

/* ---- What the peer does. */

static void say(const char *text)
{
	client_send_text(peer, text);
	run_until_idle(test_loop);
}

static void say_with(const char *text, int fd)
{
	ck_assert_int_eq(muster__fdpass_send(peer, text, strlen(text), fd), (ssize_t)strlen(text));
}

static void hear(const char *text)
{
	run_until_idle(test_loop);
	client_expect_text(peer, text);
}

static void hear_nothing_more(void)
{
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
}

/* Read and forget whatever there is; returns how much. */
static size_t swallow(void)
{
	static char bytes[65536];
	struct muster__fds fds;
	size_t sum = 0;
	ssize_t got;
	unsigned i;

	while ((got = muster__fdpass_receive(peer, bytes, sizeof bytes, &fds)) > 0) {
		for (i = 0; i < fds.count; i++)
			close(fds.fd[i]);
		sum += (size_t)got;
	}
	return sum;
}

static int new_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static ino_t inode(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

static int print(const char *text)
{
	return muster__channel_print(&end.channel, text, strlen(text));
}

static int try(const char *text, uint64_t ticket)
{
	return muster__channel_try(&end.channel, text, strlen(text), STDIN_FILENO, ticket);
}

static int give_surely(const char *text, size_t length)
{
	return muster__channel_give_surely(&end.channel, text, length, new_file(), &(struct muster__sent){ 0 });
}

static void print_much(size_t length)
{
	char *text = malloc(length);

	memset(text, 'x', length);
	text[0] = text[length - 2] = '"';
	text[length - 1] = '\n';
	ck_assert_int_eq(muster__channel_print(&end.channel, text, length), 0);
	free(text);
}

/* ---- Lines in. */

START_TEST(lines_come_one_by_one)
{
	say("1\n{\"a\":1}\n\"x\"\n");
	ck_assert_str_eq(end.text, "1\n{\"a\":1}\n\"x\"\n");
	hear_nothing_more();
}
END_TEST

START_TEST(a_line_may_come_byte_by_byte)
{
	static const char text[] = "1\n{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}\n" HANDLE("2") "[3]\r\n";
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		bool first = i > 0 && text[i - 1] == '\n' && strncmp(text + i, "{\"cmd", 5) == 0;

		ck_assert_int_eq(muster__fdpass_send(peer, text + i, 1, first ? peer : -1), 1);
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(end.lines, 4);
	ck_assert_uint_eq(end.with_fd, 1);
	hear(ACK);
	hear_nothing_more();
	ck_assert_uint_eq(end.channel.malformed, 0);
}
END_TEST

START_TEST(any_two_pieces_make_the_same_lines)
{
	static const char text[] = "[1]\n" HANDLE("2") "{\"three\":3}\n";
	size_t length = sizeof text - 1, at;

	for (at = 1; at < length; at++) {
		end.lines = end.with_fd = 0;
		/* The descriptor comes with the first byte of its own line. */
		ck_assert_int_eq(muster__fdpass_send(peer, text, at < 4 ? at : 4, -1), (ssize_t)(at < 4 ? at : 4));
		if (at < 4)
			ck_assert_int_eq(muster__fdpass_send(peer, text + at, 4 - at, -1), (ssize_t)(4 - at));
		else if (at > 4)
			ck_assert_int_eq(muster__fdpass_send(peer, text + 4, at - 4, peer), (ssize_t)(at - 4));
		run_until_idle(test_loop);
		at = at < 4 ? 4 : at;
		ck_assert_int_eq(muster__fdpass_send(peer, text + at, length - at, at == 4 ? peer : -1),
				 (ssize_t)(length - at));
		run_until_idle(test_loop);
		ck_assert_uint_eq(end.lines, 3);
		ck_assert_uint_eq(end.with_fd, 1);
		ck_assert_uint_eq(swallow(), strlen(ACK));
	}
	ck_assert_uint_eq(end.channel.malformed, 0);
}
END_TEST

START_TEST(a_line_longer_than_one_read_arrives_whole)
{
	size_t length = 300000, sent = 0;
	char *text = malloc(length);

	memset(text, 'y', length);
	text[0] = text[length - 2] = '"';
	text[length - 1] = '\n';
	while (sent < length) {
		ssize_t some = muster__fdpass_send(peer, text + sent, length - sent, -1);

		sent += some > 0 ? (size_t)some : 0;
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(end.lines, 1);
	ck_assert_ptr_null(end.channel.inbox.partial);
	free(text);
}
END_TEST

START_TEST(internal_lines_nobody_knows_are_ignored)
{
	say("{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":1}\n{\"cmd\":\"NODE_WHATEVER\"}\n");
	ck_assert_uint_eq(end.lines, 0);
	ck_assert_uint_eq(end.channel.malformed, 0);
}
END_TEST

/* Its server waits for that when it closes. */
START_TEST(node_is_told_that_connections_it_sent_are_no_longer_its_own)
{
	say("{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"4:\\\"\\u0000:0\"}\n");
	hear("{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"4:\\\"\\u0000:0\",\"count\":0}\n");
	say("{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"4:127.0.0.1:0\"}\n");
	hear("{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"4:127.0.0.1:0\"}\n");
	ck_assert_uint_eq(end.lines, 0);
}
END_TEST

/* ---- Descriptors in. */

START_TEST(a_handle_line_claims_its_descriptor_and_is_acknowledged_once)
{
	int file = new_file();

	end.take = true;
	say_with(HANDLE("\"f\""), file);
	hear(ACK);
	ck_assert_uint_eq(end.with_fd, 1);
	ck_assert(inode(end.taken[0]) == inode(file));
	close(end.taken[0]);
	close(file);
	hear_nothing_more();
}
END_TEST

START_TEST(a_descriptor_that_is_not_taken_is_closed)
{
	unsigned before = descriptors_open();

	say_with(HANDLE("1"), peer);
	hear(ACK);
	ck_assert_uint_eq(end.with_fd, 1);
	ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

START_TEST(a_handle_line_without_a_descriptor_is_told_so_once_and_not_heard)
{
	say(HANDLE("1"));
	ck_assert_uint_eq(end.lines, 0);
	hear(NACK);
	hear_nothing_more();
}
END_TEST

START_TEST(a_handle_in_a_handle_is_acknowledged_once)
{
	say_with("{\"cmd\":\"NODE_HANDLE\",\"msg\":"
		 "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":1}}\n",
		 peer);
	hear(ACK);
	hear_nothing_more();
	ck_assert_uint_eq(end.lines, 1);
}
END_TEST

START_TEST(even_a_handle_of_an_unknown_command_is_acknowledged)
{
	say_with(HANDLE("{\"cmd\":\"NODE_NEW\"}"), peer);
	hear(ACK);
	hear_nothing_more();
	ck_assert_uint_eq(end.lines, 0);
}
END_TEST

START_TEST(each_line_gets_its_own_of_many_descriptors)
{
	int files[8], i;

	end.take = true;
	for (i = 0; i < 8; i++) {
		say_with("[\"between\"]\n", -1);
		say_with(HANDLE("\"file\""), files[i] = new_file());
	}
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.with_fd, 8);
	ck_assert_uint_eq(swallow(), 8 * strlen(ACK));
	for (i = 0; i < 8; i++) {
		ck_assert(inode(end.taken[i]) == inode(files[i]));
		close(end.taken[i]);
		close(files[i]);
	}
}
END_TEST

/* The buffer of a read may end inside a handle line, and the tail come with the next line and its descriptor. */
START_TEST(the_tail_of_a_line_may_come_with_the_next_descriptor)
{
	static const char first[] = HANDLE("1");
	int a = new_file(), b = new_file();

	end.take = true;
	ck_assert_int_eq(muster__fdpass_send(peer, first, 10, a), 10);
	run_until_idle(test_loop);
	say_with(first + 10, -1);
	say_with(HANDLE("2"), b);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.with_fd, 2);
	ck_assert(inode(end.taken[0]) == inode(a));
	ck_assert(inode(end.taken[1]) == inode(b));
	close(end.taken[0]), close(end.taken[1]), close(a), close(b);
}
END_TEST

START_TEST(a_lost_descriptor_keeps_its_place)
{
	static const char first[] = HANDLE("1");
	int file = new_file();

	end.take = true;
	ck_assert_int_eq(muster__fdpass_send(peer, first, 5, peer), 5);
	descriptors_exhaust(0);
	run_until_idle(test_loop);
	descriptors_release();
	say_with(first + 5, -1);
	say_with(HANDLE("2"), file);
	hear(NACK ACK);
	ck_assert_uint_eq(end.lines, 1);
	ck_assert(inode(end.taken[0]) == inode(file));
	close(end.taken[0]);
	close(file);
}
END_TEST

START_TEST(a_descriptor_on_a_plain_line_is_closed)
{
	unsigned before = descriptors_open();
	int file = new_file();

	lines_record(MUSTER_LOG_WARN);
	say_with("\"plain\"\n", file);
	run_until_idle(test_loop);
	close(file);
	ck_assert_uint_eq(end.lines, 1);
	ck_assert_uint_eq(descriptors_open(), before);
	ck_assert_uint_eq(lines_with("belong to no message"), 1);
	hear_nothing_more();
	/* ... and not given to the next line that claims one. */
	say(HANDLE("1"));
	hear(NACK);
}
END_TEST

START_TEST(surplus_descriptors_of_one_line_are_closed)
{
	static const char text[] = HANDLE("1");
	unsigned before = descriptors_open();
	int i, file = new_file();

	lines_record(MUSTER_LOG_WARN);
	end.take = true;
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(muster__fdpass_send(peer, text + i, 1, i == 0 ? file : peer), 1);
	say_with(text + 20, -1);
	hear(ACK);
	ck_assert(inode(end.taken[0]) == inode(file));
	close(end.taken[0]);
	close(file);
	ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

START_TEST(more_descriptors_than_lines_could_claim_are_not_hoarded)
{
	unsigned before = descriptors_open();
	int i;

	lines_record(MUSTER_LOG_WARN);
	for (i = 0; i < 1500; i++) {
		ck_assert_int_eq(muster__fdpass_send(peer, "1", 1, STDIN_FILENO), 1);
		if (i % 20 == 0)
			run_until_idle(test_loop);
	}
	run_until_idle(test_loop);
	ck_assert_uint_le(descriptors_open(), before + 64);
	close_peer();
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_eq(descriptors_open(), before - 2);
}
END_TEST

/* ---- Out: one write per turn. */

static void set_up_packets(void)
{
	/* Here each write of the channel is a packet of its own. */
	open_channel(SOCK_SEQPACKET);
}

static void expect_packet(const char *text)
{
	char bytes[4096];
	ssize_t got;

	run_until_idle(test_loop);
	got = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);
	ck_assert_int_eq(got, (ssize_t)strlen(text));
	ck_assert_mem_eq(bytes, text, strlen(text));
}

START_TEST(what_is_said_in_one_turn_leaves_in_one_write)
{
	ck_assert_int_eq(print("1\n"), 0);
	ck_assert_int_eq(print("2\n"), 0);
	ck_assert_int_eq(print("3\n"), 0);
	ck_assert_uint_eq(client_waiting(peer), 0);
	expect_packet("1\n2\n3\n");
}
END_TEST

START_TEST(the_answers_to_all_lines_of_a_turn_leave_in_one_write)
{
	end.reply = "\"answer\"\n";
	/* Behind a descriptor there may be more in a stream too; a short read without any would be the last of the turn. */
	say_with(HANDLE("1"), peer);
	ck_assert_int_eq(muster__fdpass_send(peer, "2\n3\n", 4, -1), 4);
	expect_packet(ACK "\"answer\"\n\"answer\"\n\"answer\"\n");
}
END_TEST

START_TEST(a_handle_is_a_write_of_its_own_and_keeps_its_turn)
{
	struct muster__fds fds;
	char bytes[64];

	ck_assert_int_eq(print("1\n"), 0);
	ck_assert_int_eq(muster__channel_give(&end.channel, "h\n", 2, new_file(), 7), 0);
	ck_assert_int_eq(print("2\n"), 0);
	ck_assert_int_eq(print("3\n"), 0);
	expect_packet("1\n");
	ck_assert_int_eq(muster__fdpass_receive(peer, bytes, sizeof bytes, &fds), 2);
	ck_assert_uint_eq(fds.count, 1);
	close(fds.fd[0]);
	expect_packet("2\n3\n");
}
END_TEST

START_TEST(a_handle_that_is_tried_goes_behind_what_was_said_before)
{
	ck_assert_int_eq(print("1\n"), 0);
	ck_assert_int_eq(try("h\n", 1), 0);
	expect_packet("1\n");
	expect_packet("h\n");
	ck_assert_uint_eq(end.drained, 0);
}
END_TEST

START_TEST(flush_writes_at_once)
{
	ck_assert_int_eq(print("1\n"), 0);
	muster__channel_flush(&end.channel);
	client_expect_text(peer, "1\n");
}
END_TEST

/* ---- Answers. */

START_TEST(answers_come_in_the_order_of_the_handles)
{
	ck_assert_int_eq(try(HANDLE("1"), 11), 0);
	ck_assert_int_eq(muster__channel_give(&end.channel, HANDLE("2"), strlen(HANDLE("2")), new_file(), 22), 0);
	run_until_idle(test_loop);
	ck_assert_int_eq(try(HANDLE("3"), 33), 0);
	say(ACK NACK ACK);
	ck_assert_uint_eq(end.answered, 3);
	ck_assert_uint_eq(end.received, 2);
	ck_assert_uint_eq(end.tickets[0], 11);
	ck_assert_uint_eq(end.tickets[1], 22);
	ck_assert_uint_eq(end.tickets[2], 33);
}
END_TEST

START_TEST(more_handles_than_fit_at_first_are_remembered)
{
	uint64_t i;

	for (i = 0; i < 50; i++)
		ck_assert_int_eq(try("h\n", i), 0);
	for (i = 0; i < 50; i++)
		client_send_text(peer, ACK);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.answered, 50);
	for (i = 0; i < 50; i++)
		ck_assert_uint_eq(end.tickets[i], i);
}
END_TEST

START_TEST(an_answer_to_nothing_is_logged_and_ignored)
{
	lines_record(MUSTER_LOG_WARN);
	say(ACK NACK "1\n");
	ck_assert_uint_eq(end.answered, 0);
	ck_assert_uint_eq(end.lines, 1);
	ck_assert_uint_eq(end.channel.malformed, 2);
	ck_assert_uint_eq(lines_with("acknowledgement of nothing"), 1);
}
END_TEST

/* ---- A peer that does not read. */

static unsigned try_until_full(void)
{
	unsigned count = 0;
	int err;

	while ((err = try(HANDLE("1"), count)) == 0)
		count++;
	ck_assert_int_eq(err, -EAGAIN);
	return count;
}

START_TEST(a_full_channel_refuses_to_try_and_says_when_it_has_drained)
{
	unsigned count = try_until_full();

	ck_assert_uint_gt(count, 16);
	ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.drained, 0);
	ck_assert_uint_eq(swallow(), count * strlen(HANDLE("1")));
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.drained, 1);
	ck_assert_int_eq(try(HANDLE("1"), 99), 0);
}
END_TEST

START_TEST(a_full_channel_queues_what_is_printed_and_given)
{
	unsigned count = try_until_full();
	size_t line = strlen(HANDLE("1"));

	ck_assert_int_eq(print("\"text\"\n"), 0);
	ck_assert_int_eq(muster__channel_give(&end.channel, HANDLE("1"), line, new_file(), 9), 0);
	run_until_idle(test_loop);
	ck_assert_int_eq(try(HANDLE("1"), 9), -EAGAIN);
	ck_assert_uint_eq(swallow(), count * line);
	run_until_idle(test_loop);
	ck_assert_uint_eq(swallow(), line + 7);
	ck_assert_uint_eq(end.drained, 1);
}
END_TEST

START_TEST(a_megabyte_arrives_as_the_peer_reads)
{
	size_t got = 0;

	print_much(1024 * 1024);
	ck_assert(muster__channel_needs_drain(&end.channel));
	while (got < 1024 * 1024) {
		run_until_idle(test_loop);
		got += swallow();
	}
	run_until_idle(test_loop);
	ck_assert(!muster__channel_needs_drain(&end.channel));
	ck_assert_uint_eq(end.drained, 1);
}
END_TEST

START_TEST(a_queue_of_64_mebibytes_takes_no_more)
{
	unsigned before;
	int i, file;

	for (i = 0; i < 64; i++)
		print_much(1024 * 1024 - 16);
	ck_assert_int_eq(print("1\n"), 0);
	while (print("\"filling the rest\"\n") == 0)
		;
	before = descriptors_open();
	file = new_file();
	ck_assert_int_eq(print("\"filling the rest\"\n"), -ENOBUFS);
	ck_assert_int_eq(muster__channel_give(&end.channel, HANDLE("1"), strlen(HANDLE("1")), file, 1), -ENOBUFS);
	ck_assert_uint_eq(descriptors_open(), before);
	ck_assert(muster__channel_is_connected(&end.channel));
}
END_TEST

/* ---- The 64 KiB rule. */

START_TEST(behind_64_KiB_of_text_a_handle_goes_alone)
{
	print_much(70000);
	run_until_idle(test_loop);
	ck_assert_int_eq(try(HANDLE("1"), 1), 0);
	ck_assert_int_eq(try(HANDLE("2"), 2), -EAGAIN);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.drained, 0);
	ck_assert_uint_eq(swallow(), 70000 + strlen(HANDLE("1")));
	run_until_idle(test_loop);
	ck_assert_int_eq(try(HANDLE("2"), 2), -EAGAIN);
	say(ACK);
	ck_assert_uint_eq(end.answered, 1);
	ck_assert_uint_eq(end.drained, 1);
	ck_assert_int_eq(try(HANDLE("2"), 2), 0);
	ck_assert_int_eq(try(HANDLE("3"), 3), 0);
}
END_TEST

START_TEST(behind_64_KiB_of_text_a_handle_waits_for_those_before_it)
{
	ck_assert_int_eq(try(HANDLE("1"), 1), 0);
	ck_assert_int_eq(try(HANDLE("2"), 2), 0);
	print_much(70000);
	run_until_idle(test_loop);
	swallow();
	ck_assert_int_eq(try(HANDLE("3"), 3), -EAGAIN);
	say(ACK);
	ck_assert_int_eq(try(HANDLE("3"), 3), -EAGAIN);
	say(ACK);
	ck_assert_int_eq(try(HANDLE("3"), 3), 0);
	ck_assert_int_eq(try(HANDLE("4"), 4), -EAGAIN);
}
END_TEST

START_TEST(a_handle_that_was_given_waits_alike_without_a_spinning_loop)
{
	size_t line = strlen(HANDLE("1"));

	print_much(70000);
	ck_assert_int_eq(muster__channel_give(&end.channel, HANDLE("1"), line, new_file(), 1), 0);
	ck_assert_int_eq(muster__channel_give(&end.channel, HANDLE("2"), line, new_file(), 2), 0);
	ck_assert_int_eq(print("\"after\"\n"), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(swallow(), 70000 + line);
	run_until_idle(test_loop);
	ck_assert(!event_pending(&end.channel.writable, EV_WRITE, NULL));
	say(ACK);
	ck_assert_uint_eq(swallow(), line + 8);
	say(ACK);
	ck_assert_uint_eq(end.answered, 2);
	ck_assert_uint_eq(end.tickets[1], 2);
}
END_TEST

START_TEST(below_64_KiB_handles_are_not_held_up)
{
	print_much(65536 - strlen(HANDLE("1")));
	run_until_idle(test_loop);
	ck_assert_int_eq(try(HANDLE("1"), 1), 0);
	ck_assert_int_eq(try(HANDLE("2"), 2), 0);
}
END_TEST

/* ---- The end. */

START_TEST(the_end_is_told_once_and_not_from_inside_a_call)
{
	close_peer();
	muster__channel_finish(&end.channel);
	ck_assert_uint_eq(end.closed, 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
	muster__channel_finish(&end.channel);
	muster__channel_disconnect(&end.channel);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(after_the_end_nothing_is_sent_and_what_is_given_is_closed)
{
	unsigned before;

	close_peer();
	run_until_idle(test_loop);
	before = descriptors_open();
	ck_assert_int_eq(print("1\n"), MUSTER_ECHANNEL);
	ck_assert_int_eq(try("1\n", 1), MUSTER_ECHANNEL);
	ck_assert_int_eq(muster__channel_give(&end.channel, "1\n", 2, new_file(), 1), MUSTER_ECHANNEL);
	ck_assert_uint_eq(descriptors_open(), before);
	muster__channel_flush(&end.channel);
}
END_TEST

/* With a descriptor under way, and the line cut at any byte. */
START_TEST(a_peer_may_die_at_any_byte)
{
	static const char text[] = "[1]\n" HANDLE("2") ACK "{\"three\":3}\n";
	size_t at = (size_t)_i;

	lines_record(MUSTER_LOG_WARN);
	ck_assert_int_eq(try(HANDLE("0"), 1), 0);
	if (at > 0)
		client_send(peer, text, at < 4 ? at : 4);
	if (at > 4)
		ck_assert_int_eq(muster__fdpass_send(peer, text + 4, at - 4, STDIN_FILENO), (ssize_t)(at - 4));
	ck_assert_int_eq(print("\"to nobody\"\n"), 0);
	close_peer();
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_le(end.lines, 3);
}
END_TEST

START_TEST(what_a_dead_peer_still_said_is_heard)
{
	say_with("1\n", -1);
	say_with(HANDLE("2"), peer);
	close_peer();
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.lines, 2);
	ck_assert_uint_eq(end.with_fd, 1);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(finish_hears_the_rest_though_somebody_else_holds_the_peers_end)
{
	client_send_text(peer, "1\n2\n");
	muster__channel_finish(&end.channel);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.lines, 2);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(disconnect_sends_what_is_queued_first)
{
	size_t got = 0;

	print_much(1024 * 1024);
	muster__channel_disconnect(&end.channel);
	ck_assert(!muster__channel_is_connected(&end.channel));
	ck_assert_int_eq(print("1\n"), MUSTER_ECHANNEL);
	while (end.closed == 0) {
		run_until_idle(test_loop);
		got += swallow();
	}
	got += swallow();
	ck_assert_uint_eq(got, 1024 * 1024);
	client_expect_end(peer);
}
END_TEST

START_TEST(disconnect_ends_too_when_the_peer_dies_first)
{
	print_much(1024 * 1024);
	muster__channel_disconnect(&end.channel);
	run_until_idle(test_loop);
	close_peer();
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

/* It has died before it read all, but after it answered. */
START_TEST(what_was_dropped_may_still_be_answered)
{
	ck_assert_int_eq(give_surely(HANDLE("1"), strlen(HANDLE("1"))), 0);
	run_until_idle(test_loop);
	client_send_text(peer, ACK);
	shutdown(peer, SHUT_RD);
	ck_assert_int_eq(print("2\n"), 0);
	muster__channel_flush(&end.channel);
	run_until_idle(test_loop);
	ck_assert_int_eq(print("3\n"), MUSTER_ECHANNEL);
	ck_assert_uint_eq(end.closed, 0);
	close_peer();
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

/* Each waits until its own handle has been received. */
START_TEST(who_disconnects_still_answers_handles)
{
	ck_assert_int_eq(give_surely(HANDLE("1"), strlen(HANDLE("1"))), 0);
	muster__channel_disconnect(&end.channel);
	hear(HANDLE("1"));
	say_with(HANDLE("2"), STDIN_FILENO);
	hear(ACK);
	ck_assert_uint_eq(end.closed, 0);
	say(ACK);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(finish_ends_though_somebody_else_goes_on_for_ever)
{
	end.endless = true;
	client_send_text(peer, "1\n");
	muster__channel_finish(&end.channel);
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(free_closes_what_is_queued_and_what_is_unclaimed)
{
	print_much(1024 * 1024);
	ck_assert_int_eq(muster__channel_give(&end.channel, "h\n", 2, new_file(), 1), 0);
	ck_assert_int_eq(muster__fdpass_send(peer, "{\"cmd\":\"NODE_HANDLE\"", 20, peer), 20);
	run_until_idle(test_loop);
	muster__channel_free(&end.channel);
	ck_assert_uint_eq(end.closed, 0);
	muster__channel_free(&end.channel);
	swallow();
	client_expect_end(peer);
}
END_TEST

/* ---- A rogue peer. */

START_TEST(a_few_bad_lines_are_ignored)
{
	int i;

	lines_record(MUSTER_LOG_WARN);
	for (i = 0; i < 15; i++)
		say("no json\n");
	say("1\n");
	ck_assert_uint_eq(end.lines, 1);
	ck_assert_uint_eq(end.closed, 0);
}
END_TEST

START_TEST(a_peer_that_goes_on_with_bad_lines_loses_its_channel)
{
	static const char *const bad[] = { "no json\n", "\n", ACK, "{\"cmd\":\"NODE_HANDLE\"\n" };
	int i;

	lines_record(MUSTER_LOG_WARN);
	for (i = 0; i < 16; i++)
		client_send_text(peer, bad[_i]);
	client_send_text(peer, "\"more\"\n");
	run_until_idle(test_loop);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_eq(end.lines, 0);
	ck_assert_uint_eq(lines_with("does not speak the protocol"), 1);
}
END_TEST

START_TEST(a_peer_that_sends_surplus_descriptors_loses_its_channel)
{
	int i;

	lines_record(MUSTER_LOG_WARN);
	for (i = 0; i < 16; i++) {
		ck_assert_int_eq(muster__fdpass_send(peer, "1\n", 2, peer), 2);
		run_until_idle(test_loop);
	}
	ck_assert_uint_eq(end.closed, 1);
}
END_TEST

START_TEST(a_peer_that_answers_before_it_has_all_loses_its_channel)
{
	size_t length = 1024 * 1024;
	char *line = malloc(length);

	lines_record(MUSTER_LOG_WARN);
	memset(line, 'x', length);
	ck_assert_int_eq(give_surely(line, length), 0);
	free(line);
	run_until_idle(test_loop);
	say(ACK);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_eq(lines_with("does not speak the protocol"), 1);
}
END_TEST

START_TEST(a_line_without_an_end_loses_the_channel)
{
	static char bytes[65536];
	size_t sent = 0;

	lines_record(MUSTER_LOG_WARN);
	memset(bytes, '[', sizeof bytes);
	while (end.closed == 0 && sent < 32 * 1024 * 1024) {
		ssize_t some = muster__fdpass_send(peer, bytes, sizeof bytes, -1);

		sent += some > 0 ? (size_t)some : 0;
		event_base_loop(muster_loop_base(test_loop), EVLOOP_NONBLOCK);
	}
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_le(sent, 17 * 1024 * 1024);
	ck_assert_uint_eq(lines_with("a line longer than"), 1);
}
END_TEST

static TCase *channel_case(Suite *suite, const char *name)
{
	TCase *tcase = add_loop_case(suite, name);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	return tcase;
}

static void add_incoming(Suite *suite)
{
	TCase *lines = channel_case(suite, "lines"), *descriptors = channel_case(suite, "descriptors");

	tcase_add_test(lines, lines_come_one_by_one);
	tcase_add_test(lines, a_line_may_come_byte_by_byte);
	tcase_add_test(lines, any_two_pieces_make_the_same_lines);
	tcase_add_test(lines, a_line_longer_than_one_read_arrives_whole);
	tcase_add_test(lines, internal_lines_nobody_knows_are_ignored);
	tcase_add_test(lines, node_is_told_that_connections_it_sent_are_no_longer_its_own);
	tcase_add_test(descriptors, a_handle_line_claims_its_descriptor_and_is_acknowledged_once);
	tcase_add_test(descriptors, a_descriptor_that_is_not_taken_is_closed);
	tcase_add_test(descriptors, a_handle_line_without_a_descriptor_is_told_so_once_and_not_heard);
	tcase_add_test(descriptors, a_handle_in_a_handle_is_acknowledged_once);
	tcase_add_test(descriptors, even_a_handle_of_an_unknown_command_is_acknowledged);
	tcase_add_test(descriptors, each_line_gets_its_own_of_many_descriptors);
	tcase_add_test(descriptors, the_tail_of_a_line_may_come_with_the_next_descriptor);
	tcase_add_test(descriptors, a_lost_descriptor_keeps_its_place);
	tcase_add_test(descriptors, a_descriptor_on_a_plain_line_is_closed);
	tcase_add_test(descriptors, surplus_descriptors_of_one_line_are_closed);
	tcase_add_test(descriptors, more_descriptors_than_lines_could_claim_are_not_hoarded);
}

static void add_outgoing(Suite *suite)
{
	TCase *writes = add_loop_case(suite, "writes"), *answers = channel_case(suite, "answers");
	TCase *full = channel_case(suite, "full"), *alone = channel_case(suite, "64 KiB");

	tcase_add_checked_fixture(writes, set_up_packets, tear_down);
	tcase_add_test(writes, what_is_said_in_one_turn_leaves_in_one_write);
	tcase_add_test(writes, the_answers_to_all_lines_of_a_turn_leave_in_one_write);
	tcase_add_test(writes, a_handle_is_a_write_of_its_own_and_keeps_its_turn);
	tcase_add_test(writes, a_handle_that_is_tried_goes_behind_what_was_said_before);
	tcase_add_test(writes, flush_writes_at_once);
	tcase_add_test(answers, answers_come_in_the_order_of_the_handles);
	tcase_add_test(answers, more_handles_than_fit_at_first_are_remembered);
	tcase_add_test(answers, an_answer_to_nothing_is_logged_and_ignored);
	tcase_add_test(full, a_full_channel_refuses_to_try_and_says_when_it_has_drained);
	tcase_add_test(full, a_full_channel_queues_what_is_printed_and_given);
	tcase_add_test(full, a_megabyte_arrives_as_the_peer_reads);
	tcase_add_test(full, a_queue_of_64_mebibytes_takes_no_more);
	tcase_add_test(alone, behind_64_KiB_of_text_a_handle_goes_alone);
	tcase_add_test(alone, behind_64_KiB_of_text_a_handle_waits_for_those_before_it);
	tcase_add_test(alone, a_handle_that_was_given_waits_alike_without_a_spinning_loop);
	tcase_add_test(alone, below_64_KiB_handles_are_not_held_up);
}

static void add_ends(Suite *suite)
{
	TCase *ends = channel_case(suite, "end"), *rogue = channel_case(suite, "rogue");

	tcase_add_test(ends, the_end_is_told_once_and_not_from_inside_a_call);
	tcase_add_test(ends, after_the_end_nothing_is_sent_and_what_is_given_is_closed);
	tcase_add_loop_test(ends, a_peer_may_die_at_any_byte, 0, 90);
	tcase_add_test(ends, what_a_dead_peer_still_said_is_heard);
	tcase_add_test(ends, finish_hears_the_rest_though_somebody_else_holds_the_peers_end);
	tcase_add_test(ends, finish_ends_though_somebody_else_goes_on_for_ever);
	tcase_add_test(ends, what_was_dropped_may_still_be_answered);
	tcase_add_test(ends, who_disconnects_still_answers_handles);
	tcase_add_test(ends, disconnect_sends_what_is_queued_first);
	tcase_add_test(ends, disconnect_ends_too_when_the_peer_dies_first);
	tcase_add_test(ends, free_closes_what_is_queued_and_what_is_unclaimed);
	tcase_add_test(rogue, a_few_bad_lines_are_ignored);
	tcase_add_loop_test(rogue, a_peer_that_goes_on_with_bad_lines_loses_its_channel, 0, 4);
	tcase_add_test(rogue, a_peer_that_sends_surplus_descriptors_loses_its_channel);
	tcase_add_test(rogue, a_peer_that_answers_before_it_has_all_loses_its_channel);
	tcase_add_test(rogue, a_line_without_an_end_loses_the_channel);
}

int main(void)
{
	Suite *suite = suite_create("channel");

	add_incoming(suite);
	add_outgoing(suite);
	add_ends(suite);
	return run_suite(suite);
}
