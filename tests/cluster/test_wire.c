/* tests/cluster/test_wire.c - our worker as a program, started and spoken to by hand as a primary of Node's does it. */
#include "ipc/fdpass.h"

#include "tests/support/client.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONLINE "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n"
#define ACK "{\"cmd\":\"NODE_HANDLE_ACK\"}\n"
#define LEAVE "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":0}\n"

static int channel; /* the primary's end */
static pid_t worker;

static void execute(int theirs, int number, const char *mode, pid_t parent)
{
	char text[16];

	process_bind(parent);
	snprintf(text, sizeof text, "%d", number);
	if (dup2(theirs, number) < 0)
		_exit(127);
	setenv("NODE_CHANNEL_FD", text, 1);
	setenv("NODE_UNIQUE_ID", "5", 1);
	if (mode != NULL)
		setenv("NODE_CHANNEL_SERIALIZATION_MODE", mode, 1);
	execl(MUSTER_WORKER, "worker", "{}", NULL);
	_exit(127);
}

/* Its end of the channel blocks, and has this number. */
static void start(int number, const char *mode)
{
	pid_t self = getpid();
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	worker = fork();
	ck_assert_int_ge(worker, 0);
	if (worker == 0)
		execute(ends[1], number, mode, self);
	close(ends[1]);
	channel = ends[0];
}

static void end(int status)
{
	client_expect_end(channel);
	close(channel);
	ck_assert_int_eq(process_wait(worker), status);
}

static void say_with(const char *text, int fd)
{
	ck_assert_int_eq(muster__fdpass_send(channel, text, strlen(text), fd), (ssize_t)strlen(text));
}

START_TEST(the_channel_may_have_any_number)
{
	static const int numbers[] = { 0, 3, 4, 7, 200 };

	start(numbers[_i], "json");
	client_expect_text(channel, ONLINE);
	client_send_text(channel, "{\"echo\":[\"there\"]}\n");
	client_expect_text(channel, "[\"there\"]\n");
	client_send_text(channel, LEAVE);
	end(0);
}
END_TEST

START_TEST(without_a_mode_the_channel_speaks_json)
{
	start(3, NULL);
	client_expect_text(channel, ONLINE);
	client_send_text(channel, LEAVE);
	end(0);
}
END_TEST

START_TEST(a_channel_that_does_not_speak_json_is_refused)
{
	start(3, "advanced");
	end(1);
}
END_TEST

START_TEST(a_program_that_no_primary_started_is_told_so)
{
	struct ended ended;

	run(&ended, MUSTER_WORKER, "{}");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_ptr_nonnull(strstr(ended.err, "worker: "));
}
END_TEST

START_TEST(a_retransmitted_connection_is_unwrapped_and_acknowledged_once)
{
	static const char twice[] =
		"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\","
		"\"msg\":\"hello\",\"key\":\"4:127.0.0.1:0\"}}\n";
	int ends[2];

	start(3, "json");
	client_expect_text(channel, ONLINE);
	client_pair(ends);
	say_with(twice, ends[1]);
	close(ends[1]);
	client_expect_text(ends[0], "\"hello\"\n");
	client_expect_end(ends[0]);
	close(ends[0]);
	client_send_text(channel, "{\"echo\":1}\n");
	client_expect_text(channel, ACK "1\n");
	client_send_text(channel, LEAVE);
	end(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wire");
	TCase *wire = add_case(suite, "wire");

	tcase_add_loop_test(wire, the_channel_may_have_any_number, 0, 5);
	tcase_add_test(wire, without_a_mode_the_channel_speaks_json);
	tcase_add_test(wire, a_channel_that_does_not_speak_json_is_refused);
	tcase_add_test(wire, a_program_that_no_primary_started_is_told_so);
	tcase_add_test(wire, a_retransmitted_connection_is_unwrapped_and_acknowledged_once);
	return run_suite(suite);
}
