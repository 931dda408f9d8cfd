/* tests/src/test_unread.c - bytes that were read and given back: they come again, first, and once. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <muster/muster.h>
#include <string.h>
#include <unistd.h>

static struct socket_counts counts;
static struct muster_socket *subject;
static int peer;

static void open_subject(void)
{
	counts = (struct socket_counts){ 0 };
	subject = socket_with_peer(test_loop, &peer, &counts);
	run_until_idle(test_loop);
}

static void give_back(const char *text)
{
	ck_assert_int_eq(muster_socket_unshift(subject, text, strlen(text)), 0);
}

static void end(void)
{
	muster_socket_destroy(subject, 0);
	close(peer);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}

START_TEST(what_is_given_back_comes_again_and_not_from_inside_the_call)
{
	open_subject();
	give_back("again");
	ck_assert_uint_eq(counts.data, 0);
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "again");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 1);
	end();
}
END_TEST

START_TEST(it_comes_before_what_the_kernel_has)
{
	open_subject();
	client_send_text(peer, " second");
	give_back("first");
	run_until_count(test_loop, counts.data, 2);
	ck_assert_str_eq(counts.bytes, "first second");
	end();
}
END_TEST

START_TEST(what_is_given_back_last_comes_first)
{
	open_subject();
	give_back("world");
	give_back("hello ");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "hello world");
	end();
}
END_TEST

START_TEST(a_paused_socket_gets_it_when_it_resumes)
{
	open_subject();
	muster_socket_pause(subject);
	give_back("later");
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 0);
	muster_socket_resume(subject);
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "later");
	end();
}
END_TEST

START_TEST(it_comes_before_the_end)
{
	open_subject();
	muster_socket_pause(subject);
	close(peer);
	give_back("last words");
	muster_socket_resume(subject);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.bytes, "last words");
	ck_assert_str_eq(counts.order, "data end finish close");
	run_dry(test_loop);
}
END_TEST

static void give_back_once(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	unsigned *times = data;

	if (++*times == 1)
		ck_assert_int_eq(muster_socket_unshift(socket, bytes, length), 0);
}

START_TEST(a_handler_may_give_back_what_it_gets)
{
	static const struct muster_socket_handlers on = { .on_data = give_back_once };
	unsigned times = 0;

	open_subject();
	ck_assert_int_eq(muster_socket_on(subject, &on, &times), 0);
	client_send_text(peer, "twice ");
	run_until_count(test_loop, times, 2);
	ck_assert_str_eq(counts.bytes, "twice twice ");
	ck_assert_uint_eq(muster_socket_bytes_read(subject), 6);
	end();
}
END_TEST

START_TEST(a_socket_that_is_destroyed_drops_it)
{
	open_subject();
	give_back("never");
	muster_socket_destroy(subject, 0);
	ck_assert_int_eq(muster_socket_unshift(subject, "x", 1), MUSTER_EDESTROYED);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.data, 0);
	close(peer);
}
END_TEST

START_TEST(nothing_is_nothing)
{
	open_subject();
	ck_assert_int_eq(muster_socket_unshift(subject, "", 0), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.data, 0);
	end();
}
END_TEST

START_TEST(a_descriptor_is_not_taken_while_something_waits)
{
	int fd;

	open_subject();
	give_back("mine");
	ck_assert_int_eq(muster_socket_take_fd(subject), -EBUSY);
	run_until_count(test_loop, counts.data, 1);
	fd = muster_socket_take_fd(subject);
	ck_assert_int_ge(fd, 0);
	close(fd);
	end();
}
END_TEST

START_TEST(a_bufferevent_has_it_in_its_input)
{
	struct bufferevent *bufferevent;
	struct evbuffer *input;

	open_subject();
	muster_socket_pause(subject);
	give_back("bytes");
	bufferevent = muster_socket_bufferevent(subject);
	ck_assert_ptr_nonnull(bufferevent);
	input = bufferevent_get_input(bufferevent);
	ck_assert_uint_eq(evbuffer_get_length(input), 5);
	ck_assert_uint_eq(muster_socket_bytes_read(subject), 0);
	give_back("more ");
	ck_assert_mem_eq(evbuffer_pullup(input, -1), "more bytes", 10);
	ck_assert_uint_eq(muster_socket_bytes_read(subject), 0);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("unread");
	TCase *again = add_loop_case(suite, "again"), *elsewhere = add_loop_case(suite, "elsewhere");

	tcase_add_test(again, what_is_given_back_comes_again_and_not_from_inside_the_call);
	tcase_add_test(again, it_comes_before_what_the_kernel_has);
	tcase_add_test(again, what_is_given_back_last_comes_first);
	tcase_add_test(again, a_paused_socket_gets_it_when_it_resumes);
	tcase_add_test(again, it_comes_before_the_end);
	tcase_add_test(again, a_handler_may_give_back_what_it_gets);
	tcase_add_test(again, a_socket_that_is_destroyed_drops_it);
	tcase_add_test(again, nothing_is_nothing);
	tcase_add_test(elsewhere, a_descriptor_is_not_taken_while_something_waits);
	tcase_add_test(elsewhere, a_bufferevent_has_it_in_its_input);
	return run_suite(suite);
}
