/* tests/ipc/test_fdpass.c - bytes and descriptors over a UNIX stream; none is ever forgotten. */
#include "ipc/fdpass.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends[2];

static void open_ends(void)
{
	client_pair_local(ends);
}

static void close_ends(void)
{
	close(ends[0]);
	close(ends[1]);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	ck_assert_int_eq(fstat(a, &x), 0);
	ck_assert_int_eq(fstat(b, &y), 0);
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void close_fds(const struct muster__fds *fds)
{
	unsigned i;

	for (i = 0; i < fds->count; i++)
		close(fds->fd[i]);
}

/* What no peer of ours does: many descriptors in one message. */
static void send_many(const int *fds, unsigned count)
{
	char room[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec piece = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = room,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	ck_assert_int_eq(sendmsg(ends[0], &message, 0), 1);
}

static void send_copies(unsigned count)
{
	int fds[253];
	unsigned i;

	for (i = 0; i < count; i++)
		fds[i] = ends[0];
	send_many(fds, count);
}

START_TEST(bytes_go_without_a_descriptor)
{
	struct muster__fds fds;
	char bytes[16];

	ck_assert_int_eq(muster__fdpass_send(ends[0], "hello", 5, -1), 5);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], bytes, sizeof bytes, &fds), 5);
	ck_assert_mem_eq(bytes, "hello", 5);
	ck_assert_uint_eq(fds.count, 0);
	ck_assert(!fds.lost);
}
END_TEST

START_TEST(a_descriptor_goes_with_its_bytes_and_stays_the_senders)
{
	struct muster__fds fds;
	char bytes[16];
	int passed = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_eq(muster__fdpass_send(ends[0], "hello", 5, passed), 5);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], bytes, sizeof bytes, &fds), 5);
	ck_assert_uint_eq(fds.count, 1);
	ck_assert_int_ne(fds.fd[0], passed);
	ck_assert(is_same_file(fds.fd[0], passed));
	ck_assert_int_eq(fcntl(passed, F_GETFD), FD_CLOEXEC);
	close(passed);
	close_fds(&fds);
}
END_TEST

START_TEST(what_is_received_is_close_on_exec)
{
	struct muster__fds fds;
	char byte;

	ck_assert_int_eq(muster__fdpass_send(ends[0], "x", 1, STDIN_FILENO), 1);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_int_eq(fcntl(fds.fd[0], F_GETFD), FD_CLOEXEC);
	close_fds(&fds);
}
END_TEST

START_TEST(up_to_64_descriptors_are_taken_from_one_message)
{
	static const unsigned counts[] = { 1, 2, 63, 64 };
	struct muster__fds fds;
	char byte;

	send_copies(counts[_i]);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, counts[_i]);
	ck_assert(!fds.lost);
	close_fds(&fds);
}
END_TEST

START_TEST(surplus_descriptors_are_closed)
{
	static const unsigned counts[] = { 65, 66, 100, 253 };
	struct muster__fds fds;
	unsigned before = descriptors_open();
	char byte;

	send_copies(counts[_i]);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, 64);
	ck_assert(fds.lost);
	ck_assert_uint_eq(descriptors_open(), before + 64);
	close_fds(&fds);
}
END_TEST

START_TEST(descriptors_keep_their_order)
{
	struct muster__fds fds;
	int files[8];
	unsigned i;
	char byte;

	for (i = 0; i < 8; i++)
		files[i] = memfd_create("file", MFD_CLOEXEC);
	send_many(files, 8);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, 8);
	for (i = 0; i < 8; i++) {
		ck_assert(is_same_file(files[i], fds.fd[i]));
		close(files[i]);
	}
	close_fds(&fds);
}
END_TEST

START_TEST(at_the_descriptor_limit_the_bytes_come_and_the_loss_is_told)
{
	struct muster__fds fds;
	char byte;

	ck_assert_int_eq(muster__fdpass_send(ends[0], "x", 1, ends[0]), 1);
	descriptors_exhaust(0);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, 0);
	ck_assert(fds.lost);
	descriptors_release();
}
END_TEST

START_TEST(at_the_descriptor_limit_those_that_fit_come)
{
	struct muster__fds fds;
	char byte;

	send_copies(5);
	descriptors_exhaust(2);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, 2);
	ck_assert(fds.lost);
	close_fds(&fds);
	descriptors_release();
}
END_TEST

START_TEST(a_descriptor_comes_with_the_first_byte_of_its_message)
{
	struct muster__fds fds;
	char bytes[8];

	ck_assert_int_eq(muster__fdpass_send(ends[0], "ab", 2, -1), 2);
	ck_assert_int_eq(muster__fdpass_send(ends[0], "cdef", 4, ends[0]), 4);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], bytes, 2, &fds), 2);
	ck_assert_uint_eq(fds.count, 0);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], bytes, 1, &fds), 1);
	ck_assert_uint_eq(fds.count, 1);
	close_fds(&fds);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], bytes, 8, &fds), 3);
	ck_assert_uint_eq(fds.count, 0);
}
END_TEST

START_TEST(nothing_to_read_is_EAGAIN)
{
	struct muster__fds fds;
	char byte;

	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), -EAGAIN);
	ck_assert_uint_eq(fds.count, 0);
}
END_TEST

START_TEST(the_end_is_0)
{
	struct muster__fds fds;
	char byte;

	shutdown(ends[0], SHUT_WR);
	ck_assert_int_eq(muster__fdpass_receive(ends[1], &byte, 1, &fds), 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_EPIPE_and_no_signal)
{
	close(ends[1]);
	ck_assert_int_eq(muster__fdpass_send(ends[0], "x", 1, ends[0]), -EPIPE);
	ends[1] = dup(ends[0]);
}
END_TEST

START_TEST(a_full_channel_is_EAGAIN_and_the_descriptor_stays)
{
	ssize_t sent;
	unsigned count = 0;

	while ((sent = muster__fdpass_send(ends[0], "0123456789", 10, ends[0])) == 10)
		count++;
	ck_assert_int_ge(count, 50);
	ck_assert(sent == -EAGAIN || sent == -ETOOMANYREFS);
	ck_assert_int_ge(fcntl(ends[0], F_GETFD), 0);
}
END_TEST

START_TEST(a_descriptor_that_is_none_is_EBADF)
{
	ck_assert_int_eq(muster__fdpass_send(ends[0], "x", 1, 999), -EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fdpass");
	TCase *tcase = add_case(suite, "fdpass");

	tcase_add_checked_fixture(tcase, open_ends, close_ends);
	tcase_add_test(tcase, bytes_go_without_a_descriptor);
	tcase_add_test(tcase, a_descriptor_goes_with_its_bytes_and_stays_the_senders);
	tcase_add_test(tcase, what_is_received_is_close_on_exec);
	tcase_add_loop_test(tcase, up_to_64_descriptors_are_taken_from_one_message, 0, 4);
	tcase_add_loop_test(tcase, surplus_descriptors_are_closed, 0, 4);
	tcase_add_test(tcase, descriptors_keep_their_order);
	tcase_add_test(tcase, at_the_descriptor_limit_the_bytes_come_and_the_loss_is_told);
	tcase_add_test(tcase, at_the_descriptor_limit_those_that_fit_come);
	tcase_add_test(tcase, a_descriptor_comes_with_the_first_byte_of_its_message);
	tcase_add_test(tcase, nothing_to_read_is_EAGAIN);
	tcase_add_test(tcase, the_end_is_0);
	tcase_add_test(tcase, a_peer_that_is_gone_is_EPIPE_and_no_signal);
	tcase_add_test(tcase, a_full_channel_is_EAGAIN_and_the_descriptor_stays);
	tcase_add_test(tcase, a_descriptor_that_is_none_is_EBADF);
	return run_suite(suite);
}
