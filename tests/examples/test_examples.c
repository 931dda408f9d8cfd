/* tests/examples/test_examples.c - the programs people copy do what they say they do. */
#include "tests/support/client.h"
#include "tests/support/process.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ECHO TEST_BUILD_DIR "/examples/echo"
#define ECHO_CLUSTER TEST_BUILD_DIR "/examples/echo_cluster"
#define CLIENT TEST_BUILD_DIR "/examples/client"

#define START(program, begins, ...) program_start_at_port(program, begins, (const char *const[]){ __VA_ARGS__, NULL })

static void expect_echo(unsigned port, const char *text)
{
	struct ended ended;
	char number[16];

	snprintf(number, sizeof number, "%u", port);
	run(&ended, CLIENT, "127.0.0.1", number, text);
	ck_assert_str_eq(ended.err, "");
	ck_assert_str_eq(ended.out, text);
	ck_assert_int_eq(ended.status, 0);
}

START_TEST(echo_sends_back_what_the_client_says)
{
	struct program echo;
	unsigned port;

	port = START(&echo, "listening on ", ECHO, "0");
	expect_echo(port, "hello");
	expect_echo(port, "hello again");
	program_stop(&echo, SIGTERM, 128 + SIGTERM);
}
END_TEST

START_TEST(echo_says_why_it_cannot_listen)
{
	struct ended ended;
	char port[16];
	int taken = client_listen(1);

	snprintf(port, sizeof port, "%u", client_port_of(taken));
	run(&ended, ECHO, port);
	ck_assert_int_eq(ended.status, 1);
	ck_assert_ptr_nonnull(strstr(ended.err, "EADDRINUSE"));
	ck_assert_ptr_nonnull(strstr(ended.err, port));
	close(taken);
}
END_TEST

static void kill_one_child(pid_t parent)
{
	char path[64];
	FILE *children;
	int child = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	children = fopen(path, "r");
	ck_assert_ptr_nonnull(children);
	ck_assert_int_eq(fscanf(children, "%d", &child), 1);
	fclose(children);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
}

START_TEST(echo_cluster_serves_and_survives_the_death_of_a_worker)
{
	struct program cluster;
	unsigned port, i;

	port = START(&cluster, "worker ", ECHO_CLUSTER, "2", "0");
	ck_assert_uint_eq(program_read_port(&cluster, "worker "), port);
	for (i = 0; i < 4; i++)
		expect_echo(port, "hello");
	kill_one_child(cluster.pid);
	ck_assert_uint_eq(program_read_port(&cluster, "worker 3 "), port);
	for (i = 0; i < 4; i++)
		expect_echo(port, "hello again");
	/* Its workers see it go, and leave. */
	program_stop(&cluster, SIGKILL, 128 + SIGKILL);
}
END_TEST

START_TEST(client_says_why_it_cannot_connect)
{
	struct ended ended;
	char port[16];

	snprintf(port, sizeof port, "%u", client_free_port());
	run(&ended, CLIENT, "127.0.0.1", port, "hello");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_str_eq(ended.out, "");
	ck_assert_ptr_nonnull(strstr(ended.err, "client: connect ECONNREFUSED 127.0.0.1:"));
}
END_TEST

START_TEST(client_tells_how_it_is_used)
{
	struct ended ended;

	run(&ended, CLIENT);
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, "usage: client HOST PORT TEXT\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tcase = add_case(suite, "examples");

	tcase_add_test(tcase, echo_sends_back_what_the_client_says);
	tcase_add_test(tcase, echo_says_why_it_cannot_listen);
	tcase_add_test(tcase, echo_cluster_serves_and_survives_the_death_of_a_worker);
	tcase_add_test(tcase, client_says_why_it_cannot_connect);
	tcase_add_test(tcase, client_tells_how_it_is_used);
	return run_suite(suite);
}
