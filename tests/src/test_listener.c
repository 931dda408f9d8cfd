/* tests/src/test_listener.c - bound sockets, the paths they leave, and what is said when binding fails. */
#include "src/listener.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct muster__listener listener = { .fd = -1 };
static struct muster_error error;

static int bind_to(struct muster_listen_options options)
{
	return muster__listener_bind(&listener, &options, &error);
}

static void unbind(void)
{
	muster__listener_close(&listener, true);
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	ck_assert_int_eq(stat(path, &status), 0);
	return status.st_mode & 0777;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static int option_of(int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(listener.fd, level, name, &value, &length), 0);
	return value;
}

/* ---- Binding. */

START_TEST(binding_makes_a_stream_socket_that_does_not_listen_yet)
{
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	ck_assert_int_ge(listener.fd, 0);
	ck_assert_ptr_null(listener.path);
	ck_assert_int_eq(option_of(SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	ck_assert_int_eq(option_of(SOL_SOCKET, SO_ACCEPTCONN), 0);
	ck_assert_int_eq(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(client_try_port(client_port_of(listener.fd)), -ECONNREFUSED);
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	ck_assert_int_eq(client_try_port(client_port_of(listener.fd)), 0);
}
END_TEST

static const struct muster_listen_options tuned = {
	.host = "127.0.0.1",
	.no_delay = true,
	.keep_alive = true,
	.keep_alive_delay_ms = 7000,
	.defer_accept_ms = 1500,
	.fast_open = 5,
};

static int accept_now(void)
{
	return accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

START_TEST(what_is_accepted_has_the_options_of_the_listener)
{
	int client, accepted;

	ck_assert_int_eq(bind_to(tuned), 0);
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	ck_assert_int_eq(option_of(IPPROTO_TCP, TCP_FASTOPEN), 5);
	ck_assert_int_ge(option_of(IPPROTO_TCP, TCP_DEFER_ACCEPT), 2);
	client = client_connect_port(client_port_of(listener.fd));
	/* Nothing is accepted of who says nothing. */
	ck_assert_int_eq(accept_now(), -1);
	client_send_text(client, "hello");
	accepted = accept_now();
	ck_assert_int_ge(accepted, 0);
	close(listener.fd);
	listener.fd = accepted;
	ck_assert_int_ne(option_of(IPPROTO_TCP, TCP_NODELAY), 0);
	ck_assert_int_ne(option_of(SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(IPPROTO_TCP, TCP_KEEPIDLE), 7);
	close(client);
}
END_TEST

START_TEST(options_of_tcp_do_nothing_at_a_path)
{
	struct muster_listen_options options = tuned;

	options.host = NULL;
	options.path = folder_path("socket");
	ck_assert_int_eq(bind_to(options), 0);
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	ck_assert_int_eq(client_try_path(options.path), 0);
}
END_TEST

START_TEST(what_the_system_refuses_to_set_is_an_error)
{
	struct muster_listen_options options = tuned;

	options.keep_alive_delay_ms = 4000000000u;
	ck_assert_int_eq(bind_to(options), -EINVAL);
	ck_assert_str_eq(error.call, "setsockopt");
	ck_assert_str_eq(error.address.text, "127.0.0.1");
	ck_assert_int_eq(listener.fd, -1);
}
END_TEST

START_TEST(a_port_can_be_bound_again_at_once)
{
	unsigned port;
	int client, fd;

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	port = client_port_of(listener.fd);
	client = client_connect_port(port);
	fcntl(listener.fd, F_SETFL, 0);
	fd = accept(listener.fd, NULL, NULL);
	/* Our side ends first, so the port is left in TIME_WAIT. */
	close(fd);
	client_expect_end(client);
	close(client);
	muster__listener_close(&listener, false);
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1", .port = port }), 0);
}
END_TEST

START_TEST(without_a_host_both_families_are_bound)
{
	ck_assert_int_ge(bind_to((struct muster_listen_options){ 0 }), 0);
	ck_assert_int_eq(option_of(SOL_SOCKET, SO_DOMAIN), AF_INET6);
	ck_assert_int_eq(option_of(IPPROTO_IPV6, IPV6_V6ONLY), 0);
}
END_TEST

START_TEST(ipv6_only_binds_one)
{
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .ipv6_only = true }), 0);
	ck_assert_int_eq(option_of(SOL_SOCKET, SO_DOMAIN), AF_INET6);
	ck_assert_int_eq(option_of(IPPROTO_IPV6, IPV6_V6ONLY), 1);
}
END_TEST

START_TEST(a_port_wins_over_a_path)
{
	const char *path = folder_path("socket");
	unsigned port = client_free_port();

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1", .port = port, .path = path }), 0);
	ck_assert_uint_eq(client_port_of(listener.fd), port);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(the_backlog_is_511_unless_said_otherwise)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	FILE *file = fopen("/proc/sys/net/core/somaxconn", "r");
	unsigned most = 0, wanted;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%u", &most), 1);
	fclose(file);
	wanted = most < 511 ? most : 511;
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	/* Of a listening socket these two fields tell the queue: how many wait, and how many may. */
	ck_assert_int_eq(getsockopt(listener.fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	ck_assert_uint_eq(info.tcpi_sacked, wanted);
	ck_assert_int_eq(muster__listener_listen(&listener, 7, &error), 0);
	ck_assert_int_eq(getsockopt(listener.fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	ck_assert_uint_eq(info.tcpi_sacked, 7);
}
END_TEST

/* ---- Failing. */

START_TEST(a_busy_address_is_named_in_the_error)
{
	int busy = client_listen(1);

	ck_assert_int_eq(bind_to((struct muster_listen_options){ .host = "127.0.0.1", .port = client_port_of(busy) }),
			 -EADDRINUSE);
	ck_assert_int_eq(error.code, -EADDRINUSE);
	ck_assert_str_eq(error.call, "bind");
	ck_assert_int_eq(error.address.family, 4);
	ck_assert_str_eq(error.address.text, "127.0.0.1");
	ck_assert_uint_eq(error.address.port, client_port_of(busy));
	ck_assert_int_eq(listener.fd, -1);
	close(busy);
}
END_TEST

START_TEST(a_port_that_is_busy_on_one_family_is_busy_on_both)
{
	int busy = client_listen(1);

	ck_assert_int_eq(bind_to((struct muster_listen_options){ .port = client_port_of(busy) }), -EADDRINUSE);
	close(busy);
}
END_TEST

START_TEST(an_address_of_another_machine_is_refused)
{
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .host = "203.0.113.123" }), -EADDRNOTAVAIL);
	ck_assert_str_eq(error.call, "bind");
	ck_assert_str_eq(error.address.text, "203.0.113.123");
}
END_TEST

START_TEST(a_zone_that_is_not_there_is_refused)
{
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .host = "fe80::1%none0" }), -EINVAL);
	ck_assert_int_eq(error.code, -EINVAL);
	ck_assert_str_eq(error.address.text, "fe80::1%none0");
	ck_assert_int_eq(listener.fd, -1);
}
END_TEST

START_TEST(without_descriptors_the_call_named_is_socket)
{
	descriptors_exhaust(0);
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .host = "127.0.0.1" }), -EMFILE);
	ck_assert_str_eq(error.call, "socket");
	descriptors_release();
}
END_TEST

/* ---- Paths. */

START_TEST(closing_removes_the_path)
{
	const char *path = folder_path("socket");

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path }), 0);
	ck_assert(exists(path));
	muster__listener_close(&listener, true);
	ck_assert(!exists(path));
	ck_assert_int_eq(listener.fd, -1);
	ck_assert_ptr_null(listener.path);
	muster__listener_close(&listener, true);
}
END_TEST

START_TEST(closing_may_leave_the_path)
{
	const char *path = folder_path("socket");

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path }), 0);
	muster__listener_close(&listener, false);
	ck_assert(exists(path));
}
END_TEST

START_TEST(a_path_that_is_another_socket_by_now_is_left)
{
	const char *path = folder_path("socket"), *aside = folder_path("aside");
	struct muster__listener another = { .fd = -1 };

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path }), 0);
	/* The first is moved and not deleted, so that its inode is not given to the second. */
	ck_assert_int_eq(rename(path, aside), 0);
	ck_assert_int_ge(muster__listener_bind(&another, &(struct muster_listen_options){ .path = path }, &error), 0);
	muster__listener_close(&listener, true);
	ck_assert(exists(path));
	ck_assert(exists(aside));
	muster__listener_close(&another, true);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(a_path_that_is_gone_already_is_fine)
{
	const char *path = folder_path("socket");

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path }), 0);
	unlink(path);
	muster__listener_close(&listener, true);
}
END_TEST

static const struct {
	bool readable, writable;
	mode_t mode;
} modes[] = {
	{ false, false, 0755 },
	{ true, false, 0755 },
	{ false, true, 0777 },
	{ true, true, 0777 },
};

START_TEST(a_path_has_the_mode_asked_for)
{
	const char *path = folder_path("socket");

	umask(022);
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path,
								 .readable_all = modes[_i].readable,
								 .writable_all = modes[_i].writable }),
			 0);
	ck_assert_uint_eq(mode_of(path), modes[_i].mode);
}
END_TEST

START_TEST(a_strict_umask_is_opened_up_as_asked)
{
	const char *path = folder_path("socket");

	umask(077);
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path, .writable_all = true }), 0);
	ck_assert_uint_eq(mode_of(path), 0722);
}
END_TEST

START_TEST(a_file_in_the_way_is_left_there)
{
	const char *path = folder_path("socket");

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .path = path, .writable_all = true }), -EADDRINUSE);
	ck_assert_int_eq(error.address.family, 1);
	ck_assert_str_eq(error.address.text, path);
	ck_assert_uint_eq(mode_of(path), 0600);
}
END_TEST

START_TEST(a_path_that_is_too_long_makes_nothing)
{
	char path[256];

	memset(path, 'x', sizeof path);
	memcpy(path, "/tmp/", 5);
	path[108] = '\0';
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .path = path }), -ENAMETOOLONG);
	ck_assert_int_eq(error.code, -ENAMETOOLONG);
	path[107] = '\0';
	ck_assert(!exists(path));
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = path }), 0);
	ck_assert(exists(path));
	unbind();
	ck_assert(!exists(path));
}
END_TEST

START_TEST(an_abstract_name_leaves_no_file)
{
	char name[64];

	snprintf(name, sizeof name, "@muster-%d", (int)getpid());
	ck_assert_int_ge(bind_to((struct muster_listen_options){ .path = name }), 0);
	ck_assert_ptr_null(listener.path);
	ck_assert(!exists(name));
	ck_assert(!exists(name + 1));
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	ck_assert_int_eq(client_try_path(name), 0);
}
END_TEST

START_TEST(listen_on_what_cannot_listen_is_an_error)
{
	int ends[2];

	client_pair(ends);
	listener.fd = ends[0];
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), -EINVAL);
	ck_assert_str_eq(error.call, "listen");
	ck_assert_str_eq(error.address.text, "127.0.0.1");
	close(ends[1]);
}
END_TEST

/* ---- Twins. */

START_TEST(twins_listen_at_one_address_and_nobody_else_can)
{
	struct muster__listener twins[2] = { MUSTER__LISTENER_NONE, MUSTER__LISTENER_NONE };
	const char *hosts[] = { "127.0.0.1", "::1", NULL };
	unsigned port, i;

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = hosts[_i] }), 0);
	port = client_port_of(listener.fd);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(muster__listener_twin(&twins[i], &listener, &error), 0);
		ck_assert_int_eq(muster__listener_listen(&twins[i], 0, &error), 0);
		ck_assert_uint_eq(client_port_of(twins[i].fd), port);
	}
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), -EADDRINUSE);
	/* Twins are made by the one who has the address, and by nobody else. */
	muster__listener_close(&listener, false);
	ck_assert_int_eq(bind_to((struct muster_listen_options){ .host = hosts[_i], .port = port }), -EADDRINUSE);
	for (i = 0; i < 2; i++)
		muster__listener_close(&twins[i], false);
}
END_TEST

/* To an address where we are bound and do not listen nobody else does. */
START_TEST(a_twin_takes_the_families_that_the_first_takes)
{
	struct muster_listen_options only = { .host = "::", .ipv6_only = _i == 1 };
	struct muster__listener twin = MUSTER__LISTENER_NONE, four = MUSTER__LISTENER_NONE;
	unsigned port, tries = 0;

	do {
		muster__listener_close(&listener, false);
		ck_assert_int_ge(bind_to(only), 0);
		port = client_port_of(listener.fd);
	} while (only.ipv6_only && ++tries < 100 &&
		 muster__listener_bind(&four, &(struct muster_listen_options){ .host = "127.0.0.1", .port = port },
				       &error) < 0);
	ck_assert_int_eq(muster__listener_twin(&twin, &listener, &error), 0);
	ck_assert_int_eq(muster__listener_listen(&twin, 0, &error), 0);
	ck_assert_int_eq(client_try_port(port), only.ipv6_only ? -ECONNREFUSED : 0);
	muster__listener_close(&twin, false);
	muster__listener_close(&four, false);
}
END_TEST

START_TEST(a_twin_that_cannot_be_made_is_named)
{
	struct muster__listener twin = MUSTER__LISTENER_NONE;

	ck_assert_int_ge(bind_to((struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	ck_assert_int_eq(muster__listener_twin(&twin, &MUSTER__LISTENER_NONE, &error), -EBADF);
	ck_assert_str_eq(error.call, "getsockname");
	/* The first may listen itself: then there are no others. */
	ck_assert_int_eq(muster__listener_listen(&listener, 0, &error), 0);
	ck_assert_int_eq(muster__listener_twin(&twin, &listener, &error), -EADDRINUSE);
	ck_assert_str_eq(error.call, "bind");
	ck_assert_uint_eq(error.address.port, client_port_of(listener.fd));
	ck_assert_int_eq(twin.fd, -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/listener");
	TCase *binding = add_case(suite, "binding");
	TCase *failing = add_case(suite, "failing");
	TCase *paths = add_case(suite, "paths");
	TCase *twins = add_case(suite, "twins");

	tcase_add_checked_fixture(binding, NULL, unbind);
	tcase_add_checked_fixture(failing, NULL, unbind);
	tcase_add_checked_fixture(paths, NULL, unbind);
	tcase_add_checked_fixture(twins, NULL, unbind);
	tcase_add_test(binding, binding_makes_a_stream_socket_that_does_not_listen_yet);
	tcase_add_test(binding, a_port_can_be_bound_again_at_once);
	tcase_add_test(binding, what_is_accepted_has_the_options_of_the_listener);
	tcase_add_test(binding, options_of_tcp_do_nothing_at_a_path);
	tcase_add_test(failing, what_the_system_refuses_to_set_is_an_error);
	if (client_has_ipv6()) {
		tcase_add_test(binding, without_a_host_both_families_are_bound);
		tcase_add_test(binding, ipv6_only_binds_one);
		tcase_add_loop_test(twins, twins_listen_at_one_address_and_nobody_else_can, 1, 3);
		tcase_add_loop_test(twins, a_twin_takes_the_families_that_the_first_takes, 0, 2);
		tcase_add_test(failing, a_port_that_is_busy_on_one_family_is_busy_on_both);
	}
	tcase_add_test(binding, a_port_wins_over_a_path);
	tcase_add_test(binding, the_backlog_is_511_unless_said_otherwise);
	tcase_add_test(failing, a_busy_address_is_named_in_the_error);
	tcase_add_test(failing, an_address_of_another_machine_is_refused);
	tcase_add_test(failing, a_zone_that_is_not_there_is_refused);
	tcase_add_test(failing, without_descriptors_the_call_named_is_socket);
	tcase_add_test(paths, closing_removes_the_path);
	tcase_add_test(paths, closing_may_leave_the_path);
	tcase_add_test(paths, a_path_that_is_another_socket_by_now_is_left);
	tcase_add_test(paths, a_path_that_is_gone_already_is_fine);
	tcase_add_loop_test(paths, a_path_has_the_mode_asked_for, 0, sizeof modes / sizeof modes[0]);
	tcase_add_test(paths, a_strict_umask_is_opened_up_as_asked);
	tcase_add_test(paths, a_file_in_the_way_is_left_there);
	tcase_add_test(paths, a_path_that_is_too_long_makes_nothing);
	tcase_add_test(paths, an_abstract_name_leaves_no_file);
	tcase_add_test(paths, listen_on_what_cannot_listen_is_an_error);
	tcase_add_loop_test(twins, twins_listen_at_one_address_and_nobody_else_can, 0, 1);
	tcase_add_test(twins, a_twin_that_cannot_be_made_is_named);
	return run_suite(suite);
}
