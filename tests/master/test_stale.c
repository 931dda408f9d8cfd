/* tests/master/test_stale.c - making way for a UNIX socket without taking anybody's. */
#include "master/stale.h"

#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int bind_at(const char *path, int type)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strncpy(un.sun_path, path, sizeof un.sun_path - 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&un, sizeof un), 0);
	return fd;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

START_TEST(a_free_path_is_free)
{
	ck_assert_int_eq(muster__stale_remove(folder_path("nothing")), 0);
	ck_assert_int_eq(muster__stale_remove("@muster-abstract"), 0);
}
END_TEST

START_TEST(a_dead_socket_is_removed)
{
	const char *path = folder_path("dead");
	int fd = bind_at(path, SOCK_STREAM);

	ck_assert_int_eq(listen(fd, 1), 0);
	close(fd);
	ck_assert(exists(path));
	ck_assert_int_eq(muster__stale_remove(path), 0);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(a_socket_somebody_listens_on_stays)
{
	const char *path = folder_path("alive");
	int fd = bind_at(path, SOCK_STREAM);

	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(muster__stale_remove(path), -EADDRINUSE);
	ck_assert(exists(path));
	close(fd);
}
END_TEST

START_TEST(a_socket_whose_queue_is_full_stays)
{
	const char *path = folder_path("busy");
	int fd = bind_at(path, SOCK_STREAM), i;

	ck_assert_int_eq(listen(fd, 0), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(muster__stale_remove(path), -EADDRINUSE);
	ck_assert(exists(path));
	close(fd);
}
END_TEST

START_TEST(a_datagram_socket_stays)
{
	const char *path = folder_path("datagrams");
	int fd = bind_at(path, SOCK_DGRAM);

	ck_assert_int_lt(muster__stale_remove(path), 0);
	ck_assert(exists(path));
	close(fd);
}
END_TEST

START_TEST(what_is_no_socket_stays)
{
	const char *path = folder_path("file"), *link = folder_path("link");
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(muster__stale_remove(path), -EEXIST);
	ck_assert(exists(path));
	ck_assert_int_eq(symlink(folder_path("nowhere"), link), 0);
	ck_assert_int_eq(muster__stale_remove(link), -EEXIST);
	ck_assert(exists(link));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stale");
	TCase *tcase = add_case(suite, "stale");

	tcase_add_test(tcase, a_free_path_is_free);
	tcase_add_test(tcase, a_dead_socket_is_removed);
	tcase_add_test(tcase, a_socket_somebody_listens_on_stays);
	tcase_add_test(tcase, a_socket_whose_queue_is_full_stays);
	tcase_add_test(tcase, a_datagram_socket_stays);
	tcase_add_test(tcase, what_is_no_socket_stays);
	return run_suite(suite);
}
