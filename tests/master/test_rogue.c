/*
 * tests/master/test_rogue.c - a worker that speaks the channel by hand, and not as it should. Whatever it asks, forges or
 * hoards: the primary has few descriptors and keeps some, its log stays short, and the other worker serves on.
 */
#include "ipc/peer.h"
#include "master/cluster.h"
#include "master/permit.h"
#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <muster/muster.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 400 /* of the primary */
#define SOME 100        /* that a rogue may make it spend */
#define QUERY                                                                                                          \
	"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":%u,\"data\":null,\"address\":\"127.0.0.1\","      \
	"\"port\":0,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}\n"
#define CLOSE "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"127.0.0.1:0:4:undefined:%u\",\"seq\":1}\n"

static struct worker_counts counts;
static struct service service = { .quiet = true };
static void (*misbehave)(int fd);
static int case_number;

/* ---- the rogue */

static void send_fds(int fd, const char *text, unsigned count)
{
	struct iovec piece = { .iov_base = (void *)text, .iov_len = strlen(text) };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	unsigned i;

	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &(int){ STDIN_FILENO }, sizeof(int));
	if (count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	if (poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1) == 1)
		sendmsg(fd, &message, MSG_NOSIGNAL);
}

static int rogue(struct muster_worker *self, void *data)
{
	int fd = self->channel.fd;

	if (muster_worker_id(self) != 1)
		return serve(self, data);
	muster__channel_flush(&self->channel);
	misbehave(fd);
	send_fds(fd, "\"done\"\n", 0);
	pause();
	return 0;
}

/* ---- what must hold */

static struct muster_cluster *surrounded(void (*how)(int fd), enum muster_policy policy)
{
	struct muster_cluster_options options = { .worker = rogue, .policy = policy };
	struct muster_cluster *cluster;

	misbehave = how;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ DESCRIPTORS, DESCRIPTORS }), 0);
	lines_record(MUSTER_LOG_WARN);
	cluster = new_cluster(&options, &service, &counts);
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	return cluster;
}

static bool is_over(void *data)
{
	const struct muster_worker *worker = worker_by_id(data, 1);

	return strstr(counts.said, "\"done\"") != NULL || worker == NULL || !muster_worker_is_connected(worker);
}

static unsigned port_of_honest;

static void note_port(struct muster_worker *worker, const struct muster_address *address, void *data)
{
	(void)data;
	if (muster_worker_id(worker) == 2)
		port_of_honest = address->port;
}

/* All that it has said is read; then who serves the next ones? */
static void expect_order(struct muster_cluster *cluster)
{
	static const struct muster_worker_handlers on = { .on_listening = note_port };
	unsigned i, before;
	int client;

	ck_assert_int_eq(muster_cluster_on(cluster, &on, NULL), 0);
	before = descriptors_open();
	run_until(test_loop, is_over, cluster);
	run_until_count(test_loop, port_of_honest, 1);
	ck_assert_uint_le(descriptors_open(), before + SOME);
	ck_assert_uint_le(lines_count(), 20);
	for (i = 0; i < 10; i++) {
		client = client_connect_port(port_of_honest);
		ck_assert_uint_eq(greeted_by(client), 2);
		close(client);
	}
	if (worker_by_id(cluster, 1) != NULL)
		muster_worker_kill(worker_by_id(cluster, 1), SIGKILL);
	run_until_count(test_loop, counts.exit, 1);
	close_cluster(cluster, &counts);
}

/* ---- how */

/* A line that never ends could claim them all. */
static void hoard_in_an_unfinished_line(int fd)
{
	unsigned i;

	for (i = 0; i < 30; i++)
		send_fds(fd, "1", 60);
	send_fds(fd, "\n", 0);
	for (i = 0; i < 30; i++)
		send_fds(fd, "1", 60);
	/* Nothing ends it: the rogue is done when that is seen. */
	shutdown(fd, SHUT_WR);
}

START_TEST(descriptors_in_a_line_without_an_end_are_not_hoarded)
{
	struct muster_cluster *cluster = surrounded(hoard_in_an_unfinished_line, MUSTER_POLICY_ROUND_ROBIN);

	expect_order(cluster);
}
END_TEST

static void ask_for_many(int fd)
{
	char text[512];
	unsigned i;

	for (i = 1; i <= 2000; i++) {
		snprintf(text, sizeof text, QUERY, i);
		send_fds(fd, text, 0);
	}
}

START_TEST(a_worker_that_asks_for_ever_more_ports_is_refused_in_the_end)
{
	struct muster_cluster *cluster = surrounded(ask_for_many, (enum muster_policy)_i);

	expect_order(cluster);
}
END_TEST

/* The answers carry the listener, and it does not read them. */
static void ask_and_close(int fd)
{
	char text[1024];
	unsigned i;

	for (i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, QUERY CLOSE, 0, 0);
		send_fds(fd, text, 0);
	}
}

START_TEST(a_worker_that_does_not_read_its_answers_gets_no_more)
{
	struct muster_cluster *cluster = surrounded(ask_and_close, (enum muster_policy)_i);

	expect_order(cluster);
}
END_TEST

static const char *const lines[] = {
	"\"plain\"\n",
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":1}\n",
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{\"cmd\":\"NODE_HANDLE\",\"msg\":1}}\n",
	"{\"cmd\":\"NODE_HANDLE_ACK\"}\n",
	"not JSON\n",
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":",
	"{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"k\",\"seq\":9}}\n",
	"{\"cmd\":\"NODE_CLUSTER\",\"ack\":0,\"accepted\":true,\"seq\":1}\n",
};
static const unsigned surplus[] = { 0, 1, 2, 63, 64, 65, 128, 253 };

static void send_surplus(int fd)
{
	unsigned i;

	for (i = 0; i < 40; i++)
		send_fds(fd, lines[case_number], surplus[i % (sizeof surplus / sizeof *surplus)]);
	send_fds(fd, "\n", 0);
}

/* The end of the test compares: none of them stays. */
START_TEST(any_number_of_descriptors_may_come_with_any_line)
{
	case_number = _i;
	expect_order(surrounded(send_surplus, MUSTER_POLICY_ROUND_ROBIN));
}
END_TEST

/* Its forgeries concern connections that are on their way to the other one, and its own. */
static void forge(int fd)
{
	char text[1024];
	unsigned i;

	snprintf(text, sizeof text, QUERY, 0);
	send_fds(fd, text, 0);
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof text, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":%u,\"accepted\":%s,\"seq\":%u}\n",
			 i % 64, i % 3 == 0 ? "false" : "true", i);
		send_fds(fd, text, 0);
		send_fds(fd,
			 i % 2 == 0 ?
				 "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"address\":\"127.0.0.1\",\"port\":1,"
				 "\"addressType\":4,\"seq\":3}\n" :
				 "{\"cmd\":\"NODE_MUSTER\",\"act\":\"room\"}\n",
			 0);
	}
	snprintf(text, sizeof text, CLOSE, 0);
	send_fds(fd, text, 0);
}

START_TEST(forged_answers_concern_nobody_but_their_sender)
{
	expect_order(surrounded(forge, MUSTER_POLICY_ROUND_ROBIN));
}
END_TEST

static void babble(int fd)
{
	static const char *const wishes[] = { "\"port\":1,\"addressType\":4", "\"port\":70000,\"addressType\":4",
					      "\"port\":0,\"addressType\":7",
					      "\"fd\":5,\"port\":null,\"addressType\":null" };
	char text[512];
	unsigned i;

	for (i = 0; i < 3000; i++) {
		snprintf(
			text, sizeof text,
			"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"address\":null,%s,\"seq\":%u}\n",
			wishes[i % 4], i);
		send_fds(fd, text, 0);
	}
}

/* What it may not have is refused each time, and told from time to time. */
START_TEST(questions_for_what_cannot_be_had_do_not_fill_the_log)
{
	static const struct muster__permit permit = { .min_port = 1024, .folder = "/" };
	struct muster_cluster *cluster = surrounded(babble, MUSTER_POLICY_ROUND_ROBIN);

	muster__cluster_set_permit(cluster, &permit);
	expect_order(cluster);
}
END_TEST

/* As much as may be kept, and a byte more. */
static void ask_to_keep(int fd)
{
	static char text[66 * 1024];
	unsigned i;

	for (i = 0; i < 2; i++) {
		snprintf(
			text, sizeof text,
			"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":%u,\"data\":\"%0*d\","
			"\"address\":\"127.0.0.1\",\"port\":0,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}\n",
			i + 1, (int)(64 * 1024 - 2 + i), 0);
		send_fds(fd, text, 0);
	}
}

START_TEST(data_of_a_listener_is_kept_up_to_a_size)
{
	struct muster_cluster *cluster = surrounded(ask_to_keep, MUSTER_POLICY_ROUND_ROBIN);

	expect_order(cluster);
	ck_assert_uint_eq(lines_with("the data for it has 65537 bytes"), 1);
	ck_assert_uint_eq(lines_with("the data for it has"), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rogue");
	TCase *hoards = add_loop_case(suite, "hoards"), *lies = add_loop_case(suite, "lies");

	tcase_add_test(hoards, descriptors_in_a_line_without_an_end_are_not_hoarded);
	tcase_add_loop_test(hoards, a_worker_that_asks_for_ever_more_ports_is_refused_in_the_end,
			    MUSTER_POLICY_ROUND_ROBIN, MUSTER_POLICY_SHARED + 1);
	tcase_add_loop_test(hoards, a_worker_that_does_not_read_its_answers_gets_no_more, MUSTER_POLICY_ROUND_ROBIN,
			    MUSTER_POLICY_SHARED + 1);
	tcase_add_loop_test(hoards, any_number_of_descriptors_may_come_with_any_line, 0, sizeof lines / sizeof *lines);
	tcase_add_test(hoards, data_of_a_listener_is_kept_up_to_a_size);
	tcase_add_test(lies, forged_answers_concern_nobody_but_their_sender);
	tcase_add_test(lies, questions_for_what_cannot_be_had_do_not_fill_the_log);
	return run_suite(suite);
}
