/* tests/master/test_exec_workers.c - workers that are programs: a shell that speaks a few lines, and one of ours. */
#include "tests/support/client.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct worker_counts counts;
static char own_program[PATH_MAX];

/* ---- Scripts: say WORDS is a message with a JSON string; stay waits until the primary asks it to leave. */

#define PRELUDE                                                                                                        \
	"line() { printf '%s\\n' \"$1\" >&3; }\n"                                                                      \
	"say() { line \"\\\"$*\\\"\"; }\n"                                                                             \
	"[ -n \"$MUSTER_TEST_PROGRAM\" ] && exec \"$MUSTER_TEST_PROGRAM\" worker\n"                                    \
	"stay() { while read -r heard <&3; do case $heard in *'\"disconnect\"'*) exit 0;; esac; done; exit 5; }\n"     \
	"line '{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}'\n"
#define LISTEN                                                                                                         \
	"line '{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\"," \
	"\"port\":0,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}'\n"                                         \
	"read -r reply <&3\n"                                                                                          \
	"port=${reply##*\\\"port\\\":}\n"                                                                              \
	"line '{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"address\":\"127.0.0.1\",\"port\":'\"${port%%\\}*}\"'" \
	",\"addressType\":4,\"seq\":2}'\n"

static struct muster_cluster *cluster_of(const char *script, const struct muster_cluster_options *options)
{
	struct muster_cluster_options mine = options != NULL ? *options : (struct muster_cluster_options){ 0 };
	char *text;
	const char *exec[] = { "sh", "-c", NULL, "zero", "one two", "", NULL };
	struct muster_cluster *cluster;

	ck_assert_int_gt(asprintf(&text, "%s%s", PRELUDE, script), 0);
	exec[2] = text;
	mine.exec = exec;
	cluster = new_cluster(&mine, NULL, &counts);
	/* It was copied. */
	memset(text, 'x', strlen(text));
	exec[0] = "false";
	free(text);
	return cluster;
}

static struct muster_cluster *run_one(const char *script, const struct muster_cluster_options *options)
{
	struct muster_cluster *cluster = cluster_of(script, options);

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	return cluster;
}

static void expect_said(const char *script, const struct muster_cluster_options *options, const char *want)
{
	struct muster_cluster *cluster = run_one(script, options);

	run_dry(test_loop);
	ck_assert_str_eq(counts.said, want);
	ck_assert_uint_eq(counts.bad_exits, 0);
	close_cluster(cluster, &counts);
}

/* ---- A life. */

START_TEST(a_program_has_the_events_of_a_worker_and_its_exit_code)
{
	struct muster_cluster *cluster = run_one("say hello; exit 3", NULL);

	lines_record(MUSTER_LOG_ERROR);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 online1 disconnect1 exit1");
	ck_assert_str_eq(counts.said, "\"hello\" ");
	ck_assert_int_eq(counts.code, 3);
	ck_assert(!counts.willing);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_is_asked_to_leave_and_may)
{
	struct muster_cluster *cluster = run_one("stay", NULL);

	run_until_count(test_loop, counts.online, 1);
	close_cluster(cluster, &counts);
	ck_assert_str_eq(counts.order, "fork1 online1 disconnect1 exit1 close0");
	ck_assert_int_eq(counts.code, 0);
	ck_assert(counts.willing);
}
END_TEST

START_TEST(messages_go_to_a_program_and_back)
{
	struct muster_cluster *cluster = run_one("read -r heard <&3; line \"$heard\"; stay", NULL);
	const char *text = "{\"a\":[1,true,\"two\"]}";

	ck_assert_int_eq(muster_worker_send(worker_by_id(cluster, 1),
					    &(struct muster_message){ .text = text, .length = strlen(text) }),
			 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_str_eq(counts.said, "{\"a\":[1,true,\"two\"]} ");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_is_none_exits_with_127)
{
	static const char *const none[] = { "/no/such/program", "no-such-program-in-PATH", "/", "" };
	const char *exec[] = { none[_i], NULL };
	struct muster_cluster *cluster = new_cluster(&(struct muster_cluster_options){ .exec = exec }, NULL, &counts);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "fork1 disconnect1 exit1");
	ck_assert_int_eq(counts.code, 127);
	ck_assert_int_eq(counts.signal, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_that_dies_is_replaced_by_one_with_the_same_environment)
{
	static const char *const env[] = { "MUSTER_TEST_A=kept", NULL };
	struct muster_cluster_options options = { .respawn = true, .backoff_ms = 1 };
	struct muster_cluster *cluster = cluster_of(
		"say \"$NODE_UNIQUE_ID $MUSTER_TEST_A\"; [ $NODE_UNIQUE_ID = 1 ] && kill -9 $$; stay", &options);

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_fork(cluster, env, NULL), 0);
	run_until_said(&counts, "\"2 kept\"");
	ck_assert_str_eq(counts.said, "\"1 kept\" \"2 kept\" ");
	ck_assert_int_eq(counts.signal, SIGKILL);
	close_cluster(cluster, &counts);
}
END_TEST

static int never(struct muster_worker *self, void *data)
{
	(void)data;
	tell(self, "the function");
	return 0;
}

START_TEST(a_program_comes_before_a_function)
{
	expect_said("say program", &(struct muster_cluster_options){ .worker = never }, "\"program\" ");
}
END_TEST

/* ---- What it begins with. */

START_TEST(a_program_gets_its_arguments)
{
	expect_said("say \"$0|$1|$2|$#\"", NULL, "\"zero|one two||2\" ");
}
END_TEST

START_TEST(a_program_knows_that_it_is_a_worker_and_which)
{
	expect_said("say \"$NODE_CHANNEL_FD $NODE_CHANNEL_SERIALIZATION_MODE $NODE_UNIQUE_ID\"", NULL, "\"3 json 1\" ");
}
END_TEST

START_TEST(of_two_environments_of_a_program_that_of_the_fork_wins)
{
	static const char *const all[] = { "MUSTER_TEST_A=all", "MUSTER_TEST_B=all", NULL };
	static const char *const one[] = { "MUSTER_TEST_B=one", "MUSTER_TEST_C=a=b c", NULL };
	struct muster_cluster *cluster = cluster_of("say \"$MUSTER_TEST_A|$MUSTER_TEST_B|$MUSTER_TEST_C\"",
						    &(struct muster_cluster_options){ .env = all });

	setenv("MUSTER_TEST_A", "primary", 1);
	setenv("MUSTER_TEST_C", "primary", 1);
	ck_assert_int_eq(muster_cluster_fork(cluster, one, NULL), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"all|one|a=b c\" \"all|all|primary\" ");
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(the_environment_cannot_change_whose_worker_a_program_is)
{
	static const char *const all[] = { "NODE_CHANNEL_FD=77", "NODE_UNIQUE_ID=77", NULL };

	expect_said("say \"$NODE_CHANNEL_FD $NODE_UNIQUE_ID\"", &(struct muster_cluster_options){ .env = all },
		    "\"3 1\" ");
}
END_TEST

#define TELL_DESCRIPTORS                                                                                               \
	"open=; for fd in /proc/$$/fd/*; do [ -e $fd ] && open=\"$open ${fd##*/}\"; done; say \"open$open\""

START_TEST(a_program_inherits_the_standard_descriptors_and_two_more)
{
	int extra[2];

	/* Inheritable, and in the way of what is put there. */
	ck_assert_int_eq(pipe2(extra, 0), 0);
	expect_said(TELL_DESCRIPTORS, NULL, "\"open 0 1 2 3 4\" ");
	close(extra[0]);
	close(extra[1]);
}
END_TEST

START_TEST(what_is_closed_of_0_to_2_in_the_primary_is_dev_null_in_a_program)
{
	int saved[3], fd;
	struct muster_cluster *cluster;

	for (fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	cluster = run_one("say $(for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done)", NULL);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"/dev/null /dev/null /dev/null\" ");
	close_cluster(cluster, &counts);
	for (fd = 0; fd < 3; fd++) {
		dup2(saved[fd], fd);
		close(saved[fd]);
	}
}
END_TEST

START_TEST(a_program_begins_with_default_signals)
{
	struct muster_cluster *cluster;
	sigset_t usr2;

	lines_record(MUSTER_LOG_ERROR);
	/* A shell could not undo either. */
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	cluster = run_one("kill -USR2 $$; exit 0", NULL);
	run_dry(test_loop);
	ck_assert_int_eq(counts.signal, SIGUSR2);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_may_have_a_process_group_of_its_own)
{
	static const char *const want[] = { "\"shared\" ", "\"own\" " };

	expect_said("read -r pid name state parent group rest </proc/$$/stat\n"
		    "[ $group = $$ ] && say own || say shared",
		    &(struct muster_cluster_options){ .own_group = _i == 1 }, want[_i]);
}
END_TEST

START_TEST(a_program_has_the_folder_it_is_given)
{
	expect_said("say $(pwd)", &(struct muster_cluster_options){ .cwd = "/proc" }, "\"/proc\" ");
}
END_TEST

START_TEST(a_program_without_its_folder_exits_with_127)
{
	struct muster_cluster *cluster =
		run_one("say here", &(struct muster_cluster_options){ .cwd = "/no/such/folder" });

	lines_record(MUSTER_LOG_ERROR);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 127);
	ck_assert_str_eq(counts.said, "");
	close_cluster(cluster, &counts);
}
END_TEST

static bool am_root(void)
{
	if (geteuid() == 0)
		return true;
	puts("not root: that programs give up user and group is not tested");
	return false;
}

START_TEST(a_program_gives_up_user_and_groups)
{
	static const gid_t groups[] = { 1, 2, 3 };

	ck_assert_int_eq(setgroups(3, groups), 0);
	expect_said("say $(id -u) $(id -g) $(id -G)",
		    &(struct muster_cluster_options){ .uid = 65534, .gid = 65533, .cwd = "/" },
		    "\"65534 65533 65533\" ");
}
END_TEST

START_TEST(a_program_that_may_not_change_its_user_exits_with_127)
{
	struct muster_cluster *cluster =
		cluster_of("say here", &(struct muster_cluster_options){ .uid = 65532, .cwd = "/" });

	lines_record(MUSTER_LOG_ERROR);
	ck_assert(setgid(65533) == 0 && setuid(65534) == 0);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 127);
	ck_assert_str_eq(counts.said, "");
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- Connections and a program that knows nothing of slots. */

struct answer {
	unsigned times, open, accepted;
	size_t count;
	bool known;
	struct muster_address listener;
};

static void note_answer(struct muster_cluster *cluster, int err, const struct muster_count *rows, size_t count,
			void *data)
{
	struct answer *answer = data;

	(void)cluster;
	ck_assert_int_eq(err, 0);
	answer->times++;
	answer->count = count;
	if (count == 0)
		return;
	answer->open = rows[0].open;
	answer->accepted = rows[0].accepted;
	answer->known = rows[0].known;
	answer->listener = rows[0].listener;
}

static void count_now(struct muster_cluster *cluster, struct answer *answer)
{
	answer->times = 0;
	ck_assert_int_eq(muster_cluster_get_connections(cluster, note_answer, answer), 0);
	run_until_count(test_loop, answer->times, 1);
}

START_TEST(a_peer_that_is_none_of_ours_has_a_row_and_no_numbers)
{
	static struct answer answer;
	struct muster_cluster *cluster = run_one(LISTEN "stay", NULL);
	int client;

	run_until_count(test_loop, counts.listening, 1);
	client = client_connect_port(counts.address.port);
	run_until_idle(test_loop);
	count_now(cluster, &answer);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert(!answer.known);
	ck_assert_uint_eq(answer.open, 0);
	ck_assert_uint_eq(answer.accepted, 0);
	ck_assert_uint_eq(answer.listener.port, counts.address.port);
	close(client);
	close_cluster(cluster, &counts);
}
END_TEST

/* One that says nothing to a hand-over, and one of ours beside it. */
START_TEST(a_connection_that_a_program_never_answered_goes_to_another)
{
	struct muster_cluster *cluster = cluster_of(LISTEN "stay", NULL);
	const char *env[] = { NULL, NULL };
	char variable[PATH_MAX + 32];
	int clients[2];

	lines_record(MUSTER_LOG_ERROR);
	snprintf(variable, sizeof variable, "MUSTER_TEST_PROGRAM=%s", own_program);
	env[0] = variable;
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_int_eq(muster_cluster_fork(cluster, env, NULL), 0);
	run_until_count(test_loop, counts.listening, 2);
	clients[0] = client_connect_port(counts.address.port);
	clients[1] = client_connect_port(counts.address.port);
	ck_assert_uint_eq(greeted_by(clients[1]), 2);
	ck_assert_uint_eq(client_waiting(clients[0]), 0);
	ck_assert_int_eq(muster_worker_kill(worker_by_id(cluster, 1), SIGKILL), 0);
	ck_assert_uint_eq(greeted_by(clients[0]), 2);
	run_until_count(test_loop, counts.exit, 1);
	close(clients[0]);
	close(clients[1]);
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- A program of ours: this one, called with "worker". */

static struct service service;

static int tell_self(struct muster_worker *self, void *data)
{
	tell(self, "%u %d %d %s %s %s %s", muster_worker_id(self), muster_worker_self() == self, muster_is_primary(),
	     getenv("NODE_CHANNEL_FD"), getenv("NODE_UNIQUE_ID"), getenv("MUSTER_SCOREBOARD_FD"), (char *)data);
	return 0;
}

static int refuse(struct muster_worker *self, void *data)
{
	(void)self, (void)data;
	return -EIO;
}

/* What main does instead of testing. */
static int be_worker(const char *what)
{
	if (strcmp(what, "tell") == 0)
		return muster_worker_run_from_env(tell_self, "data");
	if (strcmp(what, "refuse") == 0)
		return muster_worker_run_from_env(refuse, NULL);
	if (strcmp(what, "shared") == 0)
		service.listen.policy = MUSTER_POLICY_SHARED;
	return muster_worker_run_from_env(serve, &service);
}

static struct muster_cluster *own_cluster(const char *what)
{
	const char *exec[] = { own_program, what, NULL };

	return new_cluster(&(struct muster_cluster_options){ .exec = exec }, NULL, &counts);
}

START_TEST(a_program_of_ours_is_a_worker_by_its_environment_which_it_leaves_to_no_one)
{
	struct muster_cluster *cluster = own_cluster("tell");

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.said, "\"1 1 0 (null) (null) (null) data\" ");
	ck_assert_str_eq(counts.order, "fork1 online1 disconnect1 exit1");
	ck_assert_uint_eq(counts.bad_exits, 0);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_program_of_ours_that_cannot_start_exits_with_1)
{
	struct muster_cluster *cluster = own_cluster("refuse");

	lines_record(MUSTER_LOG_ERROR);
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_dry(test_loop);
	ck_assert_int_eq(counts.code, 1);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(programs_of_ours_serve_and_are_counted)
{
	static const char *const how[] = { "worker", "shared" };
	static struct answer answer;
	struct muster_cluster *cluster = own_cluster(how[_i]);
	int clients[4], i;

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_count(test_loop, counts.listening, 1);
	for (i = 0; i < 4; i++) {
		clients[i] = client_connect_port(counts.address.port);
		ck_assert_uint_eq(greeted_by(clients[i]), 1);
	}
	count_now(cluster, &answer);
	ck_assert_uint_eq(answer.count, 1);
	ck_assert(answer.known);
	ck_assert_uint_eq(answer.open, 4);
	ck_assert_uint_eq(answer.accepted, 4);
	for (i = 0; i < 4; i++)
		close(clients[i]);
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(who_was_started_by_no_primary_is_no_worker)
{
	ck_assert_int_eq(muster_worker_run_from_env(tell_self, NULL), -ENOENT);
	ck_assert(muster_is_primary());
	ck_assert_ptr_null(muster_worker_self());
}
END_TEST

START_TEST(a_channel_that_does_not_speak_json_is_ENOTSUP)
{
	setenv("NODE_CHANNEL_FD", "3", 1);
	setenv("NODE_UNIQUE_ID", "1", 1);
	setenv("NODE_CHANNEL_SERIALIZATION_MODE", "advanced", 1);
	ck_assert_int_eq(muster_worker_run_from_env(tell_self, NULL), -ENOTSUP);
	ck_assert(muster_is_primary());
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *life, *begin, *user, *connections, *own, *nobody;

	if (argc > 1)
		return be_worker(argv[1]);
	if (readlink("/proc/self/exe", own_program, sizeof own_program - 1) < 0)
		return 1;
	suite = suite_create("exec_workers");
	life = add_loop_case(suite, "life");
	begin = add_loop_case(suite, "begin");
	user = add_loop_case(suite, "user");
	connections = add_loop_case(suite, "connections");
	own = add_loop_case(suite, "own");
	nobody = add_case(suite, "nobody");

	tcase_add_test(life, a_program_has_the_events_of_a_worker_and_its_exit_code);
	tcase_add_test(life, a_program_is_asked_to_leave_and_may);
	tcase_add_test(life, messages_go_to_a_program_and_back);
	tcase_add_loop_test(life, a_program_that_is_none_exits_with_127, 0, 4);
	tcase_add_test(life, a_program_that_dies_is_replaced_by_one_with_the_same_environment);
	tcase_add_test(life, a_program_comes_before_a_function);
	tcase_add_test(begin, a_program_gets_its_arguments);
	tcase_add_test(begin, a_program_knows_that_it_is_a_worker_and_which);
	tcase_add_test(begin, of_two_environments_of_a_program_that_of_the_fork_wins);
	tcase_add_test(begin, the_environment_cannot_change_whose_worker_a_program_is);
	tcase_add_test(begin, a_program_inherits_the_standard_descriptors_and_two_more);
	tcase_add_test(begin, what_is_closed_of_0_to_2_in_the_primary_is_dev_null_in_a_program);
	tcase_add_test(begin, a_program_begins_with_default_signals);
	tcase_add_loop_test(begin, a_program_may_have_a_process_group_of_its_own, 0, 2);
	tcase_add_test(begin, a_program_has_the_folder_it_is_given);
	tcase_add_test(begin, a_program_without_its_folder_exits_with_127);
	if (am_root()) {
		tcase_add_test(user, a_program_gives_up_user_and_groups);
		tcase_add_test(user, a_program_that_may_not_change_its_user_exits_with_127);
	}
	tcase_add_test(connections, a_peer_that_is_none_of_ours_has_a_row_and_no_numbers);
	tcase_add_test(connections, a_connection_that_a_program_never_answered_goes_to_another);
	tcase_add_test(own, a_program_of_ours_is_a_worker_by_its_environment_which_it_leaves_to_no_one);
	tcase_add_test(own, a_program_of_ours_that_cannot_start_exits_with_1);
	tcase_add_loop_test(own, programs_of_ours_serve_and_are_counted, 0, 2);
	tcase_add_test(nobody, who_was_started_by_no_primary_is_no_worker);
	tcase_add_test(nobody, a_channel_that_does_not_speak_json_is_ENOTSUP);
	return run_suite(suite);
}
