/* tests/master/test_log_file.c - lines as they arrive, and that none waits for whoever reads. */
#include "master/log_file.h"

#include "src/log.h"
#include "tests/support/client.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int before = -1;

/* `fd` is taken, and becomes standard error. */
static void write_to(int fd)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	close(fd);
	muster__log_file_start();
}

static void set_up(void)
{
	before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	unsetenv("JOURNAL_STREAM");
	muster_log_set_level(MUSTER_LOG_DEBUG);
	muster__log_set_format(MUSTER__LOG_TEXT);
	muster__log_set_role("primary");
}

static void tear_down(void)
{
	dup2(before, STDERR_FILENO);
	close(before);
	muster_log_set_sink(NULL, NULL);
}

static const char *take_text(int fd)
{
	static char text[1 << 20];
	ssize_t length;
	size_t used = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((length = read(fd, text + used, sizeof text - 1 - used)) > 0)
		used += (size_t)length;
	text[used] = '\0';
	return text;
}

static const char *take_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *text = take_text(fd);

	close(fd);
	return text;
}

static unsigned count(const char *text, const char *part)
{
	unsigned found = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		found++;
	return found;
}

static int open_log(void)
{
	return muster__log_file_open(folder_path("log"));
}

/* ---- layout */

START_TEST(text_has_time_level_and_who_speaks)
{
	int year, month, day, hour, minute, second, milliseconds, end = 0;

	write_to(open_log());
	muster__log(MUSTER_LOG_WARN, "one %d", 2);
	ck_assert_int_eq(sscanf(take_file(folder_path("log")), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ warn  primary: one 2\n%n",
				&year, &month, &day, &hour, &minute, &second, &milliseconds, &end),
			 7);
	ck_assert_int_gt(end, 0);
}
END_TEST

static const struct {
	const char *line, *message;
} escapes[] = {
	{ "plain", "plain" },
	{ "a \"quote\" and \\", "a \"quote\" and \\" },
	{ "tab\t and \x01", "tab\t and \x01" },
	{ "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "bad \xff\xc3 x", "bad \xef\xbf\xbd\xef\xbf\xbd x" },
	{ "surrogate \xed\xa0\x80", "surrogate \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "worker 3: nested", "worker 3: nested" },
};

START_TEST(json_is_json_whatever_is_in_a_line)
{
	json_t *json;

	muster__log_set_format(MUSTER__LOG_JSON);
	write_to(open_log());
	muster__log(MUSTER_LOG_ERROR, "%s", escapes[_i].line);
	json = json_loads(take_file(folder_path("log")), 0, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(json_object_get(json, "level")), "error");
	ck_assert_str_eq(json_string_value(json_object_get(json, "process")), "primary");
	ck_assert_str_eq(json_string_value(json_object_get(json, "message")), escapes[_i].message);
	ck_assert_uint_eq(json_string_length(json_object_get(json, "time")), strlen("2026-01-01T00:00:00.000Z"));
	json_decref(json);
}
END_TEST

START_TEST(the_longest_line_of_the_worst_bytes_fits)
{
	char line[1400];
	json_t *json;

	memset(line, 1, sizeof line - 1);
	line[sizeof line - 1] = '\0';
	muster__log_set_format(MUSTER__LOG_JSON);
	write_to(open_log());
	muster__log(MUSTER_LOG_ERROR, "%s", line);
	json = json_loads(take_file(folder_path("log")), 0, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_uint_gt(json_string_length(json_object_get(json, "message")), 1000);
	json_decref(json);
}
END_TEST

START_TEST(the_journal_gets_a_level_in_front_and_no_time)
{
	char variable[64];
	struct stat status;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(fstat(ends[0], &status), 0);
	snprintf(variable, sizeof variable, "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", variable, 1);
	write_to(ends[0]);
	muster__log(MUSTER_LOG_ERROR, "a");
	muster__log(MUSTER_LOG_WARN, "b");
	muster__log(MUSTER_LOG_INFO, "c");
	muster__log(MUSTER_LOG_DEBUG, "d");
	ck_assert_str_eq(take_text(ends[1]), "<3>primary: a\n<4>primary: b\n<6>primary: c\n<7>primary: d\n");
	close(ends[1]);
}
END_TEST

/* ---- readers that do not read */

static void log_many(unsigned lines)
{
	unsigned i;

	for (i = 0; i < lines; i++)
		muster__log(MUSTER_LOG_INFO, "line %u of very many, all of them much alike and rather long", i);
}

/* What arrived and what is said to have been dropped is all there was. */
static void accounts_for(int reader, unsigned lines)
{
	const char *text = take_text(reader), *said;
	unsigned arrived = count(text, " of very many"), dropped = 0;

	ck_assert_uint_gt(arrived, 0);
	ck_assert_uint_lt(arrived, lines);
	muster__log(MUSTER_LOG_INFO, "the end");
	said = strstr(take_text(reader), "log: ");
	ck_assert_ptr_nonnull(said);
	ck_assert_int_eq(sscanf(said, "log: %u lines were dropped", &dropped), 1);
	ck_assert_uint_eq(arrived + dropped, lines);
	ck_assert_ptr_nonnull(strstr(said, "\n"));
	ck_assert_ptr_nonnull(strstr(said, "the end\n"));
}

START_TEST(a_pipe_that_nobody_reads_drops_lines_and_says_how_many)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	write_to(fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
	log_many(3000);
	/* Others have the same opening, and it blocks for them as before. */
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	accounts_for(ends[0], 3000);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_socket_that_nobody_reads_drops_lines_and_says_how_many)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	write_to(fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
	log_many(20000);
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	accounts_for(ends[0], 20000);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_disk_that_is_full_drops_lines_until_there_is_another)
{
	write_to(open("/dev/full", O_WRONLY | O_CLOEXEC));
	muster__log(MUSTER_LOG_INFO, "lost");
	muster__log(MUSTER_LOG_INFO, "lost");
	muster__log_file_use(open_log());
	muster__log(MUSTER_LOG_INFO, "kept");
	ck_assert_uint_eq(count(take_file(folder_path("log")), "lost"), 0);
	ck_assert_uint_eq(count(take_file(folder_path("log")), "log: 2 lines were dropped"), 1);
	ck_assert_uint_eq(count(take_file(folder_path("log")), "primary: kept"), 1);
	muster__log(MUSTER_LOG_INFO, "kept");
	ck_assert_uint_eq(count(take_file(folder_path("log")), "were dropped"), 1);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_says_why)
{
	ck_assert_int_eq(muster__log_file_open(folder_path("none/log")), -2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master/log_file");
	TCase *layout = add_case(suite, "layout");
	TCase *readers = add_case(suite, "readers");

	tcase_add_checked_fixture(layout, set_up, tear_down);
	tcase_add_checked_fixture(readers, set_up, tear_down);
	tcase_add_test(layout, text_has_time_level_and_who_speaks);
	tcase_add_loop_test(layout, json_is_json_whatever_is_in_a_line, 0, sizeof escapes / sizeof escapes[0]);
	tcase_add_test(layout, the_longest_line_of_the_worst_bytes_fits);
	tcase_add_test(layout, the_journal_gets_a_level_in_front_and_no_time);
	tcase_add_test(readers, a_pipe_that_nobody_reads_drops_lines_and_says_how_many);
	tcase_add_test(readers, a_socket_that_nobody_reads_drops_lines_and_says_how_many);
	tcase_add_test(readers, a_disk_that_is_full_drops_lines_until_there_is_another);
	tcase_add_test(readers, a_file_that_cannot_be_opened_says_why);
	return run_suite(suite);
}
