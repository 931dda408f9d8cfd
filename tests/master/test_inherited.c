/* tests/master/test_inherited.c - sockets that others have bound find the listener they are for, and no other. */
#include "master/inherited.h"

#include "tests/support/client.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct muster__inherited table;
static struct muster__listener taken = { .fd = -1 };
static struct muster_error error;

static void set_up(void)
{
	muster__inherited_init(&table);
}

static void tear_down(void)
{
	muster__listener_close(&taken, true);
	muster__inherited_close(&table, NULL, NULL);
}

/* A bound socket; made by the library, so that it is the real thing. */
static int bound(struct muster_listen_options options)
{
	struct muster__listener made = MUSTER__LISTENER_NONE;
	int fd;

	ck_assert_int_eq(muster__listener_bind(&made, &options, &error), 0);
	ck_assert_int_ge(fd = dup(made.fd), 0);
	muster__listener_close(&made, false);
	return fd;
}

static int take(const char *fd_name, const char *name, struct muster_listen_options place)
{
	struct muster__inherited_wish wish = { fd_name, name, &place };

	return muster__inherited_take(&table, &wish, &taken);
}

static int take_named(const char *fd_name)
{
	return take(fd_name, "a listener", (struct muster_listen_options){ 0 });
}

static int take_at(struct muster_listen_options place)
{
	return take(NULL, "a listener", place);
}

static int add(int fd)
{
	return muster__inherited_add(&table, fd, "web", false);
}

static bool is_closed(int fd)
{
	return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* ---- What is let in. */

START_TEST(a_socket_is_made_close_on_exec_and_left_to_block_as_it_did)
{
	int fd = client_listen(1);

	fcntl(fd, F_SETFD, 0);
	fcntl(fd, F_SETFL, 0);
	ck_assert_int_eq(add(fd), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(take_named("web"), 0);
	ck_assert_int_eq(taken.fd, fd);
}
END_TEST

START_TEST(what_is_no_socket_is_refused_and_closed)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(add(fd), -ENOTSOCK);
	ck_assert(is_closed(fd));
	ck_assert_int_eq(add(fd), -EBADF);
	ck_assert_int_eq(take_named("web"), -ENOENT);
}
END_TEST

START_TEST(a_datagram_socket_is_refused_and_closed)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(add(fd), -EINVAL);
	ck_assert(is_closed(fd));
}
END_TEST

START_TEST(a_connection_is_refused_and_closed)
{
	int ends[2];

	client_pair(ends);
	ck_assert_int_eq(add(ends[0]), -EINVAL);
	ck_assert(is_closed(ends[0]));
	close(ends[1]);
}
END_TEST

START_TEST(a_socket_that_is_bound_nowhere_is_refused_and_closed)
{
	int families[] = { AF_INET, AF_INET6, AF_UNIX };
	int fd = socket(families[_i], SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(add(fd), -EINVAL);
	ck_assert(is_closed(fd));
}
END_TEST

/* ---- By name. */

START_TEST(a_name_finds_its_sockets_in_order)
{
	int first = client_listen(1), other = client_listen(1), second = client_listen(1);

	ck_assert_int_eq(muster__inherited_add(&table, first, "web", false), 0);
	ck_assert_int_eq(muster__inherited_add(&table, other, "admin", false), 0);
	ck_assert_int_eq(muster__inherited_add(&table, second, "web", false), 0);
	ck_assert_int_eq(take_named("web"), 0);
	ck_assert_int_eq(taken.fd, first);
	muster__listener_close(&taken, true);
	ck_assert_int_eq(take_named("web"), 0);
	ck_assert_int_eq(taken.fd, second);
	ck_assert_int_eq(take_named("web"), -ENOENT);
	ck_assert_int_eq(taken.fd, second);
}
END_TEST

START_TEST(a_socket_without_a_name_is_found_by_its_place_alone)
{
	int fd = client_listen(1);

	ck_assert_int_eq(muster__inherited_add(&table, fd, NULL, false), 0);
	ck_assert_int_eq(take_named("web"), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "127.0.0.1", .port = client_port_of(fd) }), 0);
	ck_assert(taken.foreign);
}
END_TEST

START_TEST(a_socket_of_ours_does_not_answer_to_an_fd_name)
{
	ck_assert_int_eq(muster__inherited_add(&table, client_listen(1), "web", true), 0);
	ck_assert_int_eq(take_named("web"), -ENOENT);
}
END_TEST

/* ---- By place. */

START_TEST(a_port_is_found_at_its_own_address_alone)
{
	int fd = client_listen(1);
	unsigned port = client_port_of(fd);

	ck_assert_int_eq(add(fd), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "127.0.0.2", .port = port }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "::1", .port = port }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "127.0.0.1", .port = port ^ 1 }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "127.0.0.1" }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "127.0.0.1", .port = port }), 0);
}
END_TEST

START_TEST(every_address_is_told_from_ipv6_alone)
{
	int fd = bound((struct muster_listen_options){ .ipv6_only = true });
	unsigned port = client_port_of(fd);

	ck_assert_int_eq(add(fd), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port, .ipv6_only = true }), 0);
	muster__listener_close(&taken, false);
	fd = bound((struct muster_listen_options){ 0 });
	port = client_port_of(fd);
	ck_assert_int_eq(add(fd), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port, .ipv6_only = true }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .host = "0.0.0.0", .port = port }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port }), 0);
}
END_TEST

START_TEST(without_ipv6_every_address_is_that_of_ipv4)
{
	int fd = bound((struct muster_listen_options){ .host = "0.0.0.0" });
	unsigned port = client_port_of(fd);

	ck_assert_int_eq(add(fd), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .port = port }), 0);
}
END_TEST

START_TEST(any_port_is_the_one_it_was_for_a_listener_of_that_name)
{
	int fd = client_listen(1);

	ck_assert_int_eq(muster__inherited_add(&table, fd, "tcp", true), 0);
	ck_assert_int_eq(take(NULL, "other", (struct muster_listen_options){ .host = "127.0.0.1" }), -ENOENT);
	ck_assert_int_eq(take(NULL, "tcp", (struct muster_listen_options){ .host = "::1" }), -ENOENT);
	ck_assert_int_eq(take(NULL, "tcp", (struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	ck_assert_int_eq(taken.fd, fd);
	ck_assert(!taken.foreign);
}
END_TEST

START_TEST(an_abstract_name_is_found)
{
	char name[64];

	snprintf(name, sizeof name, "@muster-%d", (int)getpid());
	ck_assert_int_eq(add(bound((struct muster_listen_options){ .path = name })), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = "@muster-" }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = name }), 0);
	ck_assert_ptr_null(taken.path);
}
END_TEST

START_TEST(a_path_of_ours_goes_with_the_socket_once_that_is_no_longer_lent)
{
	const char *path = folder_path("socket");

	ck_assert_int_eq(
		muster__inherited_add(&table, bound((struct muster_listen_options){ .path = path }), "web", true), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = folder_path("other") }), -ENOENT);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = path }), 0);
	ck_assert_str_eq(taken.path, path);
	ck_assert(taken.lent);
	taken.lent = _i;
	muster__listener_close(&taken, true);
	ck_assert_int_eq(exists(path), _i);
}
END_TEST

START_TEST(a_path_of_anothers_stays)
{
	const char *path = folder_path("socket");

	ck_assert_int_eq(add(bound((struct muster_listen_options){ .path = path })), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = path }), 0);
	ck_assert_uint_ne(taken.inode, 0);
	muster__listener_close(&taken, true);
	ck_assert(exists(path));
}
END_TEST

START_TEST(a_path_is_found_by_another_name_of_its_folder)
{
	const char *path = folder_path("socket"), *link = folder_path("link");
	char other[256];

	ck_assert_int_eq(symlink(".", link), 0);
	snprintf(other, sizeof other, "%s/socket", link);
	ck_assert_int_eq(add(bound((struct muster_listen_options){ .path = path })), 0);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = other }), 0);
}
END_TEST

START_TEST(a_socket_whose_path_is_gone_is_left)
{
	const char *path = folder_path("socket");

	ck_assert_int_eq(
		muster__inherited_add(&table, bound((struct muster_listen_options){ .path = path }), "web", true), 0);
	unlink(path);
	ck_assert_int_eq(take_at((struct muster_listen_options){ .path = path }), -ENOENT);
}
END_TEST

/* ---- What is left. */

static void note(const struct muster__inherited_socket *socket, void *data)
{
	char *names = data;

	strcat(names, socket->name);
	strcat(names, socket->ours ? "! " : " ");
	ck_assert(!is_closed(socket->fd));
}

START_TEST(what_nobody_took_is_told_and_closed)
{
	char names[64] = "";
	int left = client_listen(1), ours = client_listen(1);

	ck_assert_int_eq(muster__inherited_add(&table, left, "left", false), 0);
	ck_assert_int_eq(muster__inherited_add(&table, client_listen(1), "taken", false), 0);
	ck_assert_int_eq(muster__inherited_add(&table, ours, "ours", true), 0);
	ck_assert_int_eq(take_named("taken"), 0);
	muster__inherited_close(&table, note, names);
	ck_assert_str_eq(names, "left ours! ");
	ck_assert(is_closed(left));
	ck_assert(is_closed(ours));
	muster__inherited_close(&table, note, names);
	ck_assert_str_eq(names, "left ours! ");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master/inherited");
	TCase *adding = add_case(suite, "adding");
	TCase *taking = add_case(suite, "taking");

	tcase_add_checked_fixture(adding, set_up, tear_down);
	tcase_add_checked_fixture(taking, set_up, tear_down);
	tcase_add_test(adding, a_socket_is_made_close_on_exec_and_left_to_block_as_it_did);
	tcase_add_test(adding, what_is_no_socket_is_refused_and_closed);
	tcase_add_test(adding, a_datagram_socket_is_refused_and_closed);
	tcase_add_test(adding, a_connection_is_refused_and_closed);
	tcase_add_loop_test(adding, a_socket_that_is_bound_nowhere_is_refused_and_closed, 0, 3);
	tcase_add_test(taking, a_name_finds_its_sockets_in_order);
	tcase_add_test(taking, a_socket_without_a_name_is_found_by_its_place_alone);
	tcase_add_test(taking, a_socket_of_ours_does_not_answer_to_an_fd_name);
	tcase_add_test(taking, a_port_is_found_at_its_own_address_alone);
	if (client_has_ipv6())
		tcase_add_test(taking, every_address_is_told_from_ipv6_alone);
	tcase_add_test(taking, without_ipv6_every_address_is_that_of_ipv4);
	tcase_add_test(taking, any_port_is_the_one_it_was_for_a_listener_of_that_name);
	tcase_add_test(taking, an_abstract_name_is_found);
	tcase_add_loop_test(taking, a_path_of_ours_goes_with_the_socket_once_that_is_no_longer_lent, 0, 2);
	tcase_add_test(taking, a_path_of_anothers_stays);
	tcase_add_test(taking, a_path_is_found_by_another_name_of_its_folder);
	tcase_add_test(taking, a_socket_whose_path_is_gone_is_left);
	tcase_add_test(taking, what_nobody_took_is_told_and_closed);
	return run_suite(suite);
}
