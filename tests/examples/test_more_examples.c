/* tests/examples/test_more_examples.c - the larger examples, over real sockets: what they do, and how they end. */
#include "tests/support/client.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXAMPLE(name) TEST_BUILD_DIR "/examples/" name

#define START(program, ...) program_start_at_port(program, "listening on ", (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(each_says_why_it_cannot_listen)
{
	static const char *const examples[] = { EXAMPLE("chat"), EXAMPLE("rate_limit"), EXAMPLE("forward") };
	bool forwards = _i == 2;
	int taken = client_listen(1);
	struct ended ended;
	char port[16];

	snprintf(port, sizeof port, "%u", client_port_of(taken));
	run(&ended, examples[_i], port, forwards ? "127.0.0.1" : NULL, port);
	ck_assert_int_eq(ended.status, 1);
	ck_assert_str_eq(ended.out, "");
	ck_assert_ptr_nonnull(strstr(ended.err, "EADDRINUSE"));
	close(taken);
}
END_TEST

START_TEST(those_with_arguments_tell_how_they_are_used)
{
	struct ended ended;

	run(&ended, EXAMPLE("forward"), "0");
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, "usage: forward PORT HOST PORT\n");
	run(&ended, EXAMPLE("unix_echo"));
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, "usage: unix_echo PATH\n");
}
END_TEST

/* ---- chat */

/* Connections are accepted in turn: who is there already hears what this one says. */
static int join_chat(unsigned port, const char *says)
{
	int client = client_connect_port(port);

	client_send_text(client, says);
	return client;
}

START_TEST(chat_passes_lines_on_to_all_others)
{
	struct program chat;
	unsigned port = START(&chat, EXAMPLE("chat"), "0");
	int ann = join_chat(port, ""), bob = join_chat(port, "hello\n"), cid;

	client_expect_text(ann, "2: hello\n");
	cid = join_chat(port, "I am new\r\n");
	client_expect_text(ann, "3: I am new\n");
	client_expect_text(bob, "3: I am new\n");
	client_send_text(ann, "two\nlines, and a half");
	client_expect_text(bob, "1: two\n");
	client_expect_text(cid, "1: two\n");
	client_send_text(ann, "\n");
	client_expect_text(bob, "1: lines, and a half\n");
	client_expect_text(cid, "1: lines, and a half\n");
	close(bob);
	client_send_text(cid, "bye\n");
	/* ... and she has not heard herself. */
	client_expect_text(ann, "3: bye\n");
	close(ann);
	close(cid);
	program_stop(&chat, SIGTERM, 128 + SIGTERM);
}
END_TEST

static void drain(int client)
{
	char bytes[65536];
	ssize_t length;

	while ((length = recv(client, bytes, sizeof bytes, 0)) > 0)
		;
	ck_assert_msg(length == 0, "%s", strerror(errno));
	close(client);
}

START_TEST(chat_drops_a_client_that_does_not_read)
{
	struct program chat;
	unsigned port = START(&chat, EXAMPLE("chat"), "0"), sockets, i;
	int deaf = join_chat(port, ""), loud = join_chat(port, "hello\n"), late;
	char lines[500 * 100];

	client_expect_text(deaf, "2: hello\n");
	memset(lines, 'x', sizeof lines);
	for (i = 500; i <= sizeof lines; i += 500)
		lines[i - 1] = '\n';
	sockets = process_has_open(chat.pid, "socket:");
	/* The kernel holds some megabytes first. */
	for (i = 0; process_has_open(chat.pid, "socket:") == sockets; i++) {
		ck_assert_uint_lt(i, 2000);
		client_send(loud, lines, sizeof lines);
	}
	drain(deaf);
	late = join_chat(port, "I read\n");
	client_expect_text(loud, "1: I read\n");
	close(loud);
	close(late);
	program_stop(&chat, SIGTERM, 128 + SIGTERM);
}
END_TEST

/* ---- forward */

/* A client of the forwarder, and the connection that this brings to the service. */
struct forwarding {
	struct program program;
	int listener, client, service;
};

static void forward_to(struct forwarding *forwarding, unsigned service)
{
	char target[16];
	unsigned port;

	snprintf(target, sizeof target, "%u", service);
	port = START(&forwarding->program, EXAMPLE("forward"), "0", "127.0.0.1", target);
	forwarding->client = client_connect_port(port);
}

static void forward(struct forwarding *forwarding)
{
	struct pollfd readable;

	forwarding->listener = client_listen(8);
	forward_to(forwarding, client_port_of(forwarding->listener));
	readable = (struct pollfd){ .fd = forwarding->listener, .events = POLLIN };
	ck_assert_int_eq(poll(&readable, 1, (int)test_patience() * 1000), 1);
	forwarding->service = accept(forwarding->listener, NULL, NULL);
	ck_assert_int_ge(forwarding->service, 0);
}

static void end_forwarding(struct forwarding *forwarding)
{
	/* The listener, and no connection. */
	until(process_has_open(forwarding->program.pid, "socket:") == 1);
	program_stop(&forwarding->program, SIGTERM, 128 + SIGTERM);
	close(forwarding->listener);
}

static void expect_reset(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
}

START_TEST(forward_passes_half_closes_on)
{
	struct forwarding f;

	forward(&f);
	client_send_text(f.client, "question");
	shutdown(f.client, SHUT_WR);
	client_expect_text(f.service, "question");
	client_expect_end(f.service);
	client_send_text(f.service, "answer");
	client_expect_text(f.client, "answer");
	client_send_text(f.service, ", and more");
	close(f.service);
	client_expect_text(f.client, ", and more");
	client_expect_end(f.client);
	close(f.client);
	end_forwarding(&f);
}
END_TEST

#define MUCH ((uint64_t)64 * 1024 * 1024)

/* Send until nothing more is taken, and the forwarder has nothing to do. */
static bool is_full(const struct forwarding *forwarding, uint64_t *sent, unsigned *calm)
{
	char bytes[16384];
	ssize_t length;

	pattern_fill(bytes, *sent, sizeof bytes);
	length = send(forwarding->client, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (length > 0) {
		*sent += (uint64_t)length;
		*calm = 0;
	} else {
		*calm += process_state(forwarding->program.pid) == 'S';
	}
	return *sent >= MUCH || *calm >= 20;
}

static void expect_pattern(int fd, uint64_t length)
{
	char bytes[65536];
	uint64_t at = 0;
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
		ck_assert(pattern_matches(bytes, at, (size_t)got));
		at += (uint64_t)got;
	}
	ck_assert_int_eq(got, 0);
	ck_assert_uint_eq(at, length);
}

START_TEST(forward_reads_no_more_than_is_taken)
{
	struct forwarding f;
	uint64_t sent = 0;
	unsigned calm = 0;

	forward(&f);
	until(is_full(&f, &sent, &calm));
	ck_assert_uint_lt(sent, MUCH);
	shutdown(f.client, SHUT_WR);
	expect_pattern(f.service, sent);
	close(f.service);
	client_expect_end(f.client);
	close(f.client);
	end_forwarding(&f);
}
END_TEST

START_TEST(forward_passes_resets_on)
{
	struct forwarding f;

	forward(&f);
	client_send_text(f.client, "hello");
	client_expect_text(f.service, "hello");
	if (_i == 0) {
		client_reset(f.service);
		expect_reset(f.client);
	} else {
		client_reset(f.client);
		expect_reset(f.service);
	}
	end_forwarding(&f);
}
END_TEST

START_TEST(forward_resets_whom_it_cannot_connect)
{
	struct forwarding f = { .listener = -1 };

	forward_to(&f, client_free_port());
	expect_reset(f.client);
	end_forwarding(&f);
}
END_TEST

/* ---- unix_echo */

static int echo_at(const char *path, const char *text)
{
	int client = client_connect_path(path);

	client_send_text(client, text);
	client_expect_text(client, text);
	return client;
}

static const char *start_unix_echo(struct program *echo)
{
	const char *path = folder_path("echo");

	program_start(echo, (const char *const[]){ EXAMPLE("unix_echo"), path, NULL });
	program_read(echo);
	ck_assert_str_eq(echo->line + strlen("listening on "), path);
	return path;
}

START_TEST(unix_echo_removes_its_path_at_the_end)
{
	static const int signals[] = { SIGINT, SIGTERM };
	struct program echo;
	const char *path = start_unix_echo(&echo);

	close(echo_at(path, "hello"));
	ck_assert_int_eq(access(path, F_OK), 0);
	program_stop(&echo, signals[_i], 0);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(unix_echo_lets_connections_end)
{
	struct program echo;
	const char *path = start_unix_echo(&echo);
	int client = echo_at(path, "hello");

	kill(echo.pid, SIGTERM);
	until(access(path, F_OK) != 0);
	client_send_text(client, "still there?");
	client_expect_text(client, "still there?");
	close(client);
	ck_assert_int_eq(process_wait(echo.pid), 0);
	close(echo.out);
}
END_TEST

START_TEST(unix_echo_ends_at_once_by_a_second_signal)
{
	struct program echo;
	const char *path = start_unix_echo(&echo);
	int client = echo_at(path, "hello");

	kill(echo.pid, SIGTERM);
	until(access(path, F_OK) != 0);
	program_stop(&echo, SIGINT, 128 + SIGINT);
	client_expect_end(client);
	close(client);
}
END_TEST

START_TEST(unix_echo_leaves_the_path_of_another_alone)
{
	struct program echo;
	struct ended ended;
	const char *path = start_unix_echo(&echo);

	run(&ended, EXAMPLE("unix_echo"), path);
	ck_assert_int_eq(ended.status, 1);
	ck_assert_ptr_nonnull(strstr(ended.err, "EADDRINUSE"));
	close(echo_at(path, "hello"));
	program_stop(&echo, SIGTERM, 0);
}
END_TEST

/* ---- rate_limit */

#define SAID ((size_t)1024 * 1024)

/* A process that sends small letters and the end, while this one receives. */
static pid_t start_sending(int client)
{
	static char bytes[SAID];
	pid_t self = getpid(), sender = fork();

	ck_assert_int_ge(sender, 0);
	if (sender > 0)
		return sender;
	process_bind(self);
	for (size_t i = 0; i < SAID; i++)
		bytes[i] = (char)('a' + i % 26);
	for (size_t at = 0; at < SAID;) {
		ssize_t length = send(client, bytes + at, SAID - at, MSG_NOSIGNAL);

		if (length <= 0)
			_exit(1);
		at += (size_t)length;
	}
	_exit(shutdown(client, SHUT_WR) < 0);
}

START_TEST(rate_limit_answers_in_capitals_and_takes_its_time)
{
	static char bytes[SAID];
	struct program program;
	unsigned port = START(&program, EXAMPLE("rate_limit"), "0");
	int client = client_connect_port(port);
	uint64_t begin = clock_ms();
	pid_t sender = start_sending(client);

	ck_assert_uint_eq(client_receive_all(client, bytes, SAID), SAID);
	ck_assert_uint_ge(clock_ms() - begin, 500);
	for (size_t i = 0; i < SAID; i++)
		ck_assert_msg(bytes[i] == (char)('A' + i % 26), "%zu: %d", i, bytes[i]);
	ck_assert_int_eq(process_wait(sender), 0);
	close(client);
	program_stop(&program, SIGTERM, 128 + SIGTERM);
}
END_TEST

START_TEST(rate_limit_survives_clients_that_are_cut_off)
{
	struct program program;
	unsigned port = START(&program, EXAMPLE("rate_limit"), "0"), i;
	int client;

	for (i = 0; i < 5; i++) {
		client = client_connect_port(port);
		client_send_text(client, "hello");
		if (i % 2 == 0)
			client_expect_text(client, "HELLO");
		client_reset(client);
	}
	client = client_connect_port(port);
	client_send_text(client, "hello");
	client_expect_text(client, "HELLO");
	close(client);
	until(process_has_open(program.pid, "socket:") == 1);
	program_stop(&program, SIGTERM, 128 + SIGTERM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("more_examples");
	TCase *tcase = add_case(suite, "all");

	tcase_add_loop_test(tcase, each_says_why_it_cannot_listen, 0, 3);
	tcase_add_test(tcase, those_with_arguments_tell_how_they_are_used);

	tcase = add_case(suite, "chat");
	tcase_add_test(tcase, chat_passes_lines_on_to_all_others);
	tcase_add_test(tcase, chat_drops_a_client_that_does_not_read);

	tcase = add_case(suite, "forward");
	tcase_add_test(tcase, forward_passes_half_closes_on);
	tcase_add_test(tcase, forward_reads_no_more_than_is_taken);
	tcase_add_loop_test(tcase, forward_passes_resets_on, 0, 2);
	tcase_add_test(tcase, forward_resets_whom_it_cannot_connect);

	tcase = add_case(suite, "unix_echo");
	tcase_add_loop_test(tcase, unix_echo_removes_its_path_at_the_end, 0, 2);
	tcase_add_test(tcase, unix_echo_lets_connections_end);
	tcase_add_test(tcase, unix_echo_ends_at_once_by_a_second_signal);
	tcase_add_test(tcase, unix_echo_leaves_the_path_of_another_alone);

	tcase = add_case(suite, "rate_limit");
	tcase_add_test(tcase, rate_limit_answers_in_capitals_and_takes_its_time);
	tcase_add_test(tcase, rate_limit_survives_clients_that_are_cut_off);
	return run_suite(suite);
}
