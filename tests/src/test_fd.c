/* tests/src/test_fd.c - bare descriptors: what they are, and how they are made ours. */
#include "src/fd.h"

#include "tests/support/client.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(close_leaves_minus_one_and_errno)
{
	int fd = open("/dev/null", O_RDONLY), was = fd;

	errno = ENOENT;
	muster__fd_close(&fd);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(fcntl(was, F_GETFD), -1);
	errno = ENOENT;
	muster__fd_close(&fd);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(prepare_makes_it_non_blocking_and_close_on_exec)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_eq(muster__fd_prepare(fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(muster__fd_prepare(fd), 0);
	close(fd);
	ck_assert_int_eq(muster__fd_prepare(fd), -EBADF);
	ck_assert_int_eq(muster__fd_prepare(-1), -EBADF);
}
END_TEST

START_TEST(only_stream_sockets_are_stream_sockets)
{
	int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
	int file = open("/dev/null", O_RDONLY);

	ck_assert_int_eq(muster__fd_check_stream(stream), 0);
	ck_assert_int_eq(muster__fd_check_stream(datagram), -EINVAL);
	ck_assert_int_eq(muster__fd_check_stream(file), -EINVAL);
	close(stream);
	close(datagram);
	close(file);
	ck_assert_int_eq(muster__fd_check_stream(stream), -EBADF);
	ck_assert_int_eq(muster__fd_check_stream(-1), -EBADF);
}
END_TEST

START_TEST(a_listening_socket_is_known)
{
	int listener = client_listen(1), other = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert(muster__fd_is_listening(listener));
	ck_assert(!muster__fd_is_listening(other));
	ck_assert(!muster__fd_is_listening(-1));
	close(listener);
	close(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/fd");
	TCase *descriptors = add_case(suite, "descriptors");

	tcase_add_test(descriptors, close_leaves_minus_one_and_errno);
	tcase_add_test(descriptors, prepare_makes_it_non_blocking_and_close_on_exec);
	tcase_add_test(descriptors, only_stream_sockets_are_stream_sockets);
	tcase_add_test(descriptors, a_listening_socket_is_known);
	return run_suite(suite);
}
