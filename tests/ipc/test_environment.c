/* tests/ipc/test_environment.c - what a child finds in its environment, and takes out of it. */
#include "ipc/environment.h"

#include "tests/support/channels.h"
#include "tests/support/client.h"
#include "tests/support/loop.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel_counts counts;
static int channel_fd;

/* ---- numbers */

START_TEST(a_number_is_taken_out_of_the_environment)
{
	int number;

	muster__environment_set_number("MUSTER_TEST_NUMBER", (unsigned)INT_MAX);
	ck_assert_str_eq(getenv("MUSTER_TEST_NUMBER"), "2147483647");
	ck_assert(muster__environment_take_number("MUSTER_TEST_NUMBER", &number));
	ck_assert_int_eq(number, INT_MAX);
	ck_assert_ptr_null(getenv("MUSTER_TEST_NUMBER"));
	ck_assert(!muster__environment_take_number("MUSTER_TEST_NUMBER", &number));
	ck_assert_int_eq(number, -1);
}
END_TEST

static const char *const no_numbers[] = { "", " ", "x", "3x", "3 ", "-1", "2147483648", "99999999999999999999", "0x3" };

START_TEST(what_is_no_number_leaves_the_environment_too)
{
	int number = 7;

	setenv("MUSTER_TEST_NUMBER", no_numbers[_i], 1);
	ck_assert(!muster__environment_take_number("MUSTER_TEST_NUMBER", &number));
	ck_assert_int_eq(number, -1);
	ck_assert_ptr_null(getenv("MUSTER_TEST_NUMBER"));
}
END_TEST

/* ---- the channel */

static void set_channel(int fd, const char *mode)
{
	muster__environment_set_number("NODE_CHANNEL_FD", (unsigned)fd);
	if (mode != NULL)
		setenv("NODE_CHANNEL_SERIALIZATION_MODE", mode, 1);
	else
		unsetenv("NODE_CHANNEL_SERIALIZATION_MODE");
}

static void expect_no_variables(void)
{
	ck_assert_ptr_null(getenv("NODE_CHANNEL_FD"));
	ck_assert_ptr_null(getenv("NODE_CHANNEL_SERIALIZATION_MODE"));
}

/* The channel of this process, and what its parent would hold. */
static struct muster_channel *channel_of(int *parent, const char *mode)
{
	struct muster_channel *channel;
	int ends[2];

	client_pair_local(ends);
	set_channel(ends[0], mode);
	channel = muster_channel_from_env(test_loop);
	ck_assert_ptr_nonnull(channel);
	expect_no_variables();
	channel_fd = ends[0];
	*parent = ends[1];
	return channel;
}

START_TEST(a_process_without_a_channel_is_ENOENT)
{
	unsetenv("NODE_CHANNEL_FD");
	setenv("NODE_CHANNEL_SERIALIZATION_MODE", "json", 1);
	errno = 0;
	ck_assert_ptr_null(muster_channel_from_env(test_loop));
	ck_assert_int_eq(errno, ENOENT);
	expect_no_variables();
}
END_TEST

START_TEST(a_channel_that_speaks_no_JSON_is_ENOTSUP)
{
	int ends[2];

	client_pair_local(ends);
	set_channel(ends[0], "advanced");
	ck_assert_ptr_null(muster_channel_from_env(test_loop));
	ck_assert_int_eq(errno, ENOTSUP);
	expect_no_variables();
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static const char *const modes[] = { "json", NULL };

START_TEST(a_channel_is_found_once_and_nothing_of_it_stays_in_the_environment)
{
	int parent;
	struct muster_channel *channel = channel_of(&parent, modes[_i]);

	ck_assert_ptr_null(muster_channel_from_env(test_loop));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(say(channel, "\"hello\""), 0);
	run_until_idle(test_loop);
	client_expect_text(parent, "\"hello\"\n");
	close(parent);
}
END_TEST

START_TEST(a_channel_is_not_inherited_by_what_this_process_starts)
{
	int ends[2];

	client_pair_local(ends);
	ck_assert_int_eq(fcntl(ends[0], F_SETFD, 0), 0);
	set_channel(ends[0], "json");
	ck_assert_ptr_nonnull(muster_channel_from_env(test_loop));
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	close(ends[1]);
}
END_TEST

/* Node can put it there: then what is started next would find it as its standard input. */
START_TEST(a_channel_that_is_a_standard_descriptor_leaves_its_place_to_nothing)
{
	int ends[2], saved = fcntl(_i, F_DUPFD_CLOEXEC, 10);
	struct muster_channel *channel;

	client_pair_local(ends);
	ck_assert_int_eq(dup2(ends[0], _i), _i);
	close(ends[0]);
	set_channel(_i, "json");
	channel = muster_channel_from_env(test_loop);
	ck_assert_int_eq(fcntl(_i, F_GETFD), 0);
	ck_assert_int_eq(send(_i, "x", 1, 0), -1);
	ck_assert_int_eq(errno, ENOTSOCK);
	ck_assert_int_eq(say(channel, "\"hello\""), 0);
	run_until_idle(test_loop);
	ck_assert_int_eq(dup2(saved, _i), _i);
	close(saved);
	client_expect_text(ends[1], "\"hello\"\n");
	close(ends[1]);
}
END_TEST

START_TEST(a_number_that_is_no_descriptor_of_a_channel_is_EINVAL)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	set_channel(ends[0], "json");
	ck_assert_ptr_null(muster_channel_from_env(test_loop));
	ck_assert_int_eq(errno, EINVAL);
	expect_no_variables();
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
	close(ends[1]);
	set_channel(ends[0], "json");
	ck_assert_ptr_null(muster_channel_from_env(test_loop));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* ---- who keeps the loop running */

START_TEST(nobody_who_listens_keeps_nothing_running)
{
	static const struct muster_channel_handlers deaf = { .on_drain = NULL };
	int parent;
	struct muster_channel *channel = channel_of(&parent, "json");

	run_dry(test_loop);
	ck_assert_int_eq(muster_channel_on(channel, &deaf, NULL), 0);
	run_dry(test_loop);
	ck_assert(muster_channel_is_connected(channel));
	close(parent);
}
END_TEST

static struct muster_channel_handlers one_of_counting(int which)
{
	struct muster_channel_handlers on = { 0 };

	if (which == 0)
		on.on_message = counting_channel.on_message;
	else
		on.on_disconnect = counting_channel.on_disconnect;
	return on;
}

START_TEST(who_listens_keeps_it_running_until_the_parent_is_gone)
{
	struct muster_channel_handlers on = one_of_counting(_i);
	int parent;
	struct muster_channel *channel = channel_of(&parent, "json");

	ck_assert_int_eq(muster_channel_on(channel, &on, &counts), 0);
	client_send_text(parent, "1\n");
	close(parent);
	/* It ends by the parent's end, which it would not see if it did not wait. */
	run_dry(test_loop);
	ck_assert_uint_eq(counts.message, _i == 0);
	ck_assert_uint_eq(counts.disconnect, _i == 1);
}
END_TEST

START_TEST(who_listens_no_more_keeps_nothing_running)
{
	int parent;
	struct muster_channel *channel = channel_of(&parent, "json");

	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, &counts), 0);
	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, NULL), 0);
	ck_assert_int_eq(muster_channel_off(channel, &counting_channel, NULL), 0);
	client_send_text(parent, "1\n");
	run_until_count(test_loop, counts.message, 1);
	ck_assert_int_eq(muster_channel_off(channel, &counting_channel, &counts), 0);
	ck_assert_int_eq(muster_channel_off(channel, &counting_channel, &counts), -ENOENT);
	run_dry(test_loop);
	close(parent);
	ck_assert_uint_eq(counts.message, 1);
}
END_TEST

START_TEST(an_explicit_ref_or_unref_outlives_who_listens)
{
	int parent;
	struct muster_channel *channel = channel_of(&parent, "json");

	/* As in Node, where process.channel.unref() holds whatever listeners come. */
	muster_channel_unref(channel);
	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, &counts), 0);
	run_dry(test_loop);
	ck_assert(muster_channel_is_connected(channel));
	muster_channel_ref(channel);
	ck_assert_int_eq(muster_channel_off(channel, &counting_channel, &counts), 0);
	close(parent);
	/* Nobody listens, but it was asked to stay to the end. */
	run_dry(test_loop);
	ck_assert_int_eq(fcntl(channel_fd, F_GETFD), -1);
}
END_TEST

/* Another process that reads to the end, and exits with 0 if that was so many bytes. */
static pid_t reader_of(int fd, size_t length)
{
	static char bytes[65536];
	pid_t reader = fork();
	ssize_t got;

	ck_assert_int_ge(reader, 0);
	if (reader > 0)
		return reader;
	close(channel_fd);
	while ((got = read(fd, bytes, sizeof bytes)) > 0)
		length -= (size_t)got;
	_exit(got < 0 || length != 0);
}

START_TEST(what_is_on_its_way_keeps_it_running)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	int parent;
	struct muster_channel *channel = channel_of(&parent, "json");
	struct muster_message message = { .text = text, .length = length };
	pid_t reader = reader_of(parent, length + 1);

	close(parent);
	ck_assert_int_eq(muster_channel_send(channel, &message), 0);
	free(text);
	run_dry(test_loop);
	test_loop_close();
	ck_assert_int_eq(process_wait(reader), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("environment");
	TCase *numbers = add_case(suite, "numbers"), *channel = add_loop_case(suite, "channel");
	TCase *alive = add_loop_case(suite, "alive");

	tcase_add_test(numbers, a_number_is_taken_out_of_the_environment);
	tcase_add_loop_test(numbers, what_is_no_number_leaves_the_environment_too, 0,
			    sizeof no_numbers / sizeof no_numbers[0]);
	tcase_add_test(channel, a_process_without_a_channel_is_ENOENT);
	tcase_add_test(channel, a_channel_that_speaks_no_JSON_is_ENOTSUP);
	tcase_add_loop_test(channel, a_channel_is_found_once_and_nothing_of_it_stays_in_the_environment, 0, 2);
	tcase_add_test(channel, a_channel_is_not_inherited_by_what_this_process_starts);
	tcase_add_loop_test(channel, a_channel_that_is_a_standard_descriptor_leaves_its_place_to_nothing, 0, 3);
	tcase_add_test(channel, a_number_that_is_no_descriptor_of_a_channel_is_EINVAL);
	tcase_add_test(alive, nobody_who_listens_keeps_nothing_running);
	tcase_add_loop_test(alive, who_listens_keeps_it_running_until_the_parent_is_gone, 0, 2);
	tcase_add_test(alive, who_listens_no_more_keeps_nothing_running);
	tcase_add_test(alive, an_explicit_ref_or_unref_outlives_who_listens);
	tcase_add_test(alive, what_is_on_its_way_keeps_it_running);
	return run_suite(suite);
}
