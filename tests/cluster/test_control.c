/* tests/cluster/test_control.c - who asks a daemon how it is gets an answer, and who asks badly harms no one. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define QUESTION "{\"command\":\"status\"}\n"

/* ---- musterctl */

START_TEST(status_tells_of_workers_and_listeners_in_lines)
{
	struct daemon *daemon = daemon_start(ECHO("2", ", 'policy': 'least-connections'"));
	struct ended ended;
	char text[64];

	run(&ended, MUSTERCTL, "-s", daemon->control, "status");
	ck_assert_int_eq(ended.status, 0);
	ck_assert_str_eq(ended.err, "");
	snprintf(text, sizeof text, "pid %d, serving, up ", (int)daemon->pid);
	expect_part(ended.out, text);
	snprintf(text, sizeof text, "echo            1 %8ld  ready", daemon_worker(daemon, 1, "pid"));
	expect_part(ended.out, text);
	snprintf(text, sizeof text, "tcp          127.0.0.1:%-5u", daemon_port(daemon, "tcp"));
	expect_part(ended.out, text);
	expect_part(ended.out, "least-connections");
	daemon_stop(daemon);
}
END_TEST

/* Time, memory, and what other processes do on this host. */
static void forget_what_moves(json_t *status)
{
	json_t *worker;
	size_t i;

	json_object_del(status, "uptime_ms");
	json_object_del(status, "primary");
	json_object_del(status, "host");
	json_array_foreach(json_object_get(status, "workers"), i, worker)
	{
		ck_assert(json_is_integer(json_object_get(worker, "resident")));
		json_object_del(worker, "resident");
		json_object_del(worker, "cpu_ms");
	}
}

START_TEST(status_as_json_is_what_the_daemon_said)
{
	struct daemon *daemon = daemon_start(ECHO("2", ""));
	json_t *direct, *printed;
	struct ended ended;

	run(&ended, MUSTERCTL, "--json", "-s", daemon->control, "status");
	ck_assert_int_eq(ended.status, 0);
	printed = json_loads(ended.out, 0, NULL);
	direct = daemon_status(daemon);
	ck_assert(json_is_integer(json_object_get(printed, "uptime_ms")));
	forget_what_moves(printed);
	forget_what_moves(direct);
	ck_assert(json_equal(printed, direct));
	json_decref(printed);
	json_decref(direct);
	daemon_stop(daemon);
}
END_TEST

START_TEST(musterctl_finds_the_daemon_by_its_configuration)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	struct ended ended;

	run(&ended, MUSTERCTL, "-c", daemon->file, "status");
	ck_assert_msg(ended.status == 0, "%s", ended.err);
	expect_part(ended.out, "serving");
	daemon_stop(daemon);
}
END_TEST

START_TEST(without_a_daemon_musterctl_names_the_socket_and_a_remedy)
{
	struct ended ended;

	run(&ended, MUSTERCTL, "-s", folder_path("nobody"), "status");
	ck_assert_int_eq(ended.status, 3);
	ck_assert_str_eq(ended.out, "");
	expect_part(ended.err, folder_path("nobody"));
	expect_part(ended.err, "is musterd running?");
}
END_TEST

/* It has ended, and its socket is still there. */
START_TEST(with_a_dead_daemon_musterctl_names_the_same_remedy)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	struct ended ended;

	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(daemon), 128 + SIGKILL);
	run(&ended, MUSTERCTL, "-s", daemon->control, "status");
	ck_assert_int_eq(ended.status, 3);
	expect_part(ended.err, daemon->control);
	expect_part(ended.err, "is musterd running?");
	daemon_free(daemon);
}
END_TEST

static const struct {
	const char *words[4];
	const char *said;
} bad_words[] = {
	{ { NULL }, "a command is missing" },
	{ { "stauts" }, "unknown command stauts" },
	{ { "status", "again" }, "too many words after status" },
	{ { "--nonsense", "status" }, "--nonsense" },
	{ { "status", "-s" }, "-s" },
	{ { "-c", "/nonexistent/muster.json", "status" }, "/nonexistent/muster.json: No such file or directory" },
};

START_TEST(musterctl_says_what_is_wrong_with_its_words)
{
	const char *const *words = bad_words[_i].words;
	struct ended ended;

	run(&ended, MUSTERCTL, words[0], words[1], words[2], words[3]);
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.out, "");
	expect_part(ended.err, bad_words[_i].said);
}
END_TEST

START_TEST(musterctl_explains_itself)
{
	struct ended ended;

	run(&ended, MUSTERCTL, "--help");
	ck_assert_int_eq(ended.status, 0);
	expect_part(ended.out, "usage: musterctl");
	run(&ended, MUSTERCTL, "--version");
	ck_assert_int_eq(ended.status, 0);
	expect_part(ended.out, "musterctl ");
}
END_TEST

/* Whoever listens there, it is not musterd. */
static pid_t answer_once(const char *path, const char *answer)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	pid_t self = getpid(), child;
	char byte;

	strcpy(un.sun_path, path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	child = fork();
	if (child == 0) {
		process_bind(self);
		fd = accept(listener, NULL, NULL);
		if (read(fd, &byte, 1) == 1 && write(fd, answer, strlen(answer)) >= 0)
			_exit(0);
		_exit(1);
	}
	close(listener);
	return child;
}

static const char *const no_answers[] = { "", "garbage\n", "{\"pid\":", "[1, 2]\n" };

START_TEST(an_answer_that_is_none_is_a_failure)
{
	pid_t child = answer_once(folder_path("other"), no_answers[_i]);
	struct ended ended;

	run(&ended, MUSTERCTL, "-s", folder_path("other"), "status");
	ck_assert_msg(ended.status == 3, "%d: %s%s", ended.status, ended.out, ended.err);
	expect_part(ended.err, folder_path("other"));
	ck_assert_int_eq(process_wait(child), 0);
}
END_TEST

/* ---- the socket */

static unsigned mode_of(const char *path)
{
	struct stat status;

	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert(S_ISSOCK(status.st_mode));
	return status.st_mode & 07777;
}

static void clear_umask(void)
{
	umask(0);
}

START_TEST(the_control_socket_is_its_owners_alone_and_goes_with_the_daemon)
{
	struct daemon *daemon = daemon_start_with(ECHO("1", ""), &(struct daemon_start){ .prepare = clear_umask });
	const char *path = strdup(daemon->control);

	ck_assert_uint_eq(mode_of(path), 0600);
	daemon_stop(daemon);
	ck_assert_int_eq(access(path, F_OK), -1);
	free((char *)path);
}
END_TEST

START_TEST(a_dead_control_socket_is_replaced)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	kill(daemon->pid, SIGKILL);
	ck_assert_int_eq(daemon_wait(daemon), 128 + SIGKILL);
	ck_assert_int_eq(access(daemon->control, F_OK), 0);
	daemon_launch(daemon, NULL);
	daemon_await(daemon);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_second_daemon_at_the_same_control_socket_fails_and_names_it)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	struct ended ended;

	run(&ended, MUSTERD, "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, daemon->control);
	expect_part(ended.err, "Address already in use");
	ck_assert_int_eq(daemon_number(daemon, "pid"), daemon->pid);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_file_in_the_place_of_the_control_socket_is_left_alone)
{
	struct daemon *daemon = daemon_configure(ECHO("1", ""));
	FILE *stream = fopen(daemon->control, "we");
	struct ended ended;
	struct stat status;

	fputs("mine", stream);
	fclose(stream);
	run(&ended, MUSTERD, "-c", daemon->file);
	ck_assert_int_eq(ended.status, 1);
	expect_part(ended.err, daemon->control);
	ck_assert_int_eq(lstat(daemon->control, &status), 0);
	ck_assert(S_ISREG(status.st_mode) && status.st_size == 4);
	daemon_free(daemon);
}
END_TEST

static pid_t ask_as_somebody(const char *path)
{
	pid_t self = getpid(), child = fork();
	char answer[256] = "";
	int fd;

	if (child != 0)
		return child;
	process_bind(self);
	/* The folder is for all to enter; the socket is not. */
	if (setgid(1) < 0 || setuid(1) < 0)
		_exit(2);
	fd = client_connect_path(path);
	send(fd, QUESTION, strlen(QUESTION), MSG_NOSIGNAL);
	if (recv(fd, answer, sizeof answer - 1, 0) < 0)
		_exit(3);
	_exit(strstr(answer, "permission denied") == NULL);
}

START_TEST(another_user_is_refused_whatever_the_mode)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	ck_assert_int_eq(chmod(daemon->control, 0666), 0);
	ck_assert_int_eq(process_wait(ask_as_somebody(daemon->control)), 0);
	daemon_stop(daemon);
}
END_TEST

/* ---- questions */

static const struct {
	const char *question, *answer;
} bad_questions[] = {
	{ "\n", "no JSON object" },
	{ "hello\n", "no JSON object" },
	{ "{\"command\":\n", "no JSON object" },
	{ "\xff\xfe\xfd\n", "no JSON object" },
	{ "[]\n", "\\\"command\\\" is missing" },
	{ "{}\n", "\\\"command\\\" is missing" },
	{ "{\"command\":1}\n", "\\\"command\\\" is missing" },
	{ "{\"command\":\"dance\"}\n", "unknown command" },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", "no JSON object" },
};

START_TEST(a_bad_question_is_answered_with_what_is_wrong)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	int fd = client_connect_path(daemon->control);
	char answer[256] = "";

	client_send_text(fd, bad_questions[_i].question);
	client_receive_all(fd, answer, sizeof answer - 1);
	expect_part(answer, bad_questions[_i].answer);
	close(fd);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_question_that_is_too_long_is_cut_off)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned before = process_descriptors(daemon->pid);
	int fd = client_connect_path(daemon->control);
	char piece[1024], answer[256] = "";
	ssize_t sent = 1;

	memset(piece, 'x', sizeof piece);
	/* It ends before a megabyte has gone. */
	while (sent > 0)
		sent = send(fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT);
	ck_assert(errno == EPIPE || errno == EAGAIN || errno == ECONNRESET);
	if (recv(fd, answer, sizeof answer - 1, 0) > 0)
		expect_part(answer, "too long");
	close(fd);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_question_may_come_byte_by_byte)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	int fd = client_connect_path(daemon->control);
	static char answer[4096];
	size_t i;

	for (i = 0; i < strlen(QUESTION); i++)
		client_send(fd, &QUESTION[i], 1);
	client_receive_all(fd, answer, sizeof answer - 1);
	expect_part(answer, "serving");
	close(fd);
	daemon_stop(daemon);
}
END_TEST

START_TEST(those_who_never_finish_their_question_are_let_go_and_keep_nobody_waiting)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned before = process_descriptors(daemon->pid), port = daemon_port(daemon, "tcp"), i;
	int fds[50], client = client_connect_port(port);

	for (i = 0; i < 50; i++) {
		fds[i] = client_connect_path(daemon->control);
		client_send_text(fds[i], i % 2 ? "{\"comm" : "");
	}
	ck_assert_int_eq(daemon_number(daemon, "pid"), daemon->pid);
	client_send_text(client, "hello");
	client_expect_text(client, "hello");
	close(client);
	for (i = 0; i < 50; i++) {
		client_expect_end(fds[i]);
		close(fds[i]);
	}
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

START_TEST(those_who_leave_without_reading_their_answer_leave_nothing)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));
	unsigned before = process_descriptors(daemon->pid), i;
	int fd;

	for (i = 0; i < 200; i++) {
		fd = client_connect_path(daemon->control);
		client_send_text(fd, QUESTION);
		close(fd);
	}
	ck_assert_int_eq(daemon_number(daemon, "pid"), daemon->pid);
	ck_assert_uint_eq(process_descriptors(daemon->pid), before);
	daemon_stop(daemon);
}
END_TEST

static void add_questions(Suite *suite)
{
	TCase *tcase = add_case(suite, "questions");

	tcase_add_loop_test(tcase, a_bad_question_is_answered_with_what_is_wrong, 0, COUNT_OF(bad_questions));
	tcase_add_test(tcase, a_question_that_is_too_long_is_cut_off);
	tcase_add_test(tcase, a_question_may_come_byte_by_byte);
	tcase_add_test(tcase, those_who_never_finish_their_question_are_let_go_and_keep_nobody_waiting);
	tcase_add_test(tcase, those_who_leave_without_reading_their_answer_leave_nothing);
}

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tcase = add_case(suite, "musterctl");

	tcase_add_test(tcase, status_tells_of_workers_and_listeners_in_lines);
	tcase_add_test(tcase, status_as_json_is_what_the_daemon_said);
	tcase_add_test(tcase, musterctl_finds_the_daemon_by_its_configuration);
	tcase_add_test(tcase, without_a_daemon_musterctl_names_the_socket_and_a_remedy);
	tcase_add_test(tcase, with_a_dead_daemon_musterctl_names_the_same_remedy);
	tcase_add_loop_test(tcase, musterctl_says_what_is_wrong_with_its_words, 0, COUNT_OF(bad_words));
	tcase_add_test(tcase, musterctl_explains_itself);
	tcase_add_loop_test(tcase, an_answer_that_is_none_is_a_failure, 0, COUNT_OF(no_answers));
	tcase = add_case(suite, "the socket");
	tcase_add_test(tcase, the_control_socket_is_its_owners_alone_and_goes_with_the_daemon);
	tcase_add_test(tcase, a_dead_control_socket_is_replaced);
	tcase_add_test(tcase, a_second_daemon_at_the_same_control_socket_fails_and_names_it);
	tcase_add_test(tcase, a_file_in_the_place_of_the_control_socket_is_left_alone);
	if (geteuid() == 0)
		tcase_add_test(tcase, another_user_is_refused_whatever_the_mode);
	add_questions(suite);
	return run_suite(suite);
}
