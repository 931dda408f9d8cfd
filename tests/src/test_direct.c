/* tests/src/test_direct.c - listening in this process: addresses, names, paths, and descriptors from elsewhere. */
#include "src/listener.h"
#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct server_counts counts;

static struct muster_server *serve(struct muster_listen_options options)
{
	return listening_server_at(test_loop, &options, &counts);
}

/* Listen, which must fail and be told by on_error alone, after the call. */
static const struct muster_error *fail_to_serve(struct muster_listen_options options)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &options), 0);
	ck_assert_uint_eq(counts.error, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error");
	ck_assert(!muster_server_is_listening(server));
	return &counts.last_error;
}

static struct muster_address address_of(struct muster_server *server)
{
	struct muster_address address;

	ck_assert_int_eq(muster_server_address(server, &address), 0);
	return address;
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* ---- Addresses. */

START_TEST(without_options_ipv4_and_ipv6_are_served_on_any_port)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	struct muster_address address;
	int a, b;

	ck_assert_int_eq(muster_server_listen(server, NULL), 0);
	run_until_count(test_loop, counts.listening, 1);
	address = address_of(server);
	ck_assert_int_eq(address.family, 6);
	ck_assert_str_eq(address.text, "::");
	a = client_connect_to("127.0.0.1", address.port);
	b = client_connect_to("::1", address.port);
	run_until_count(test_loop, counts.connection, 2);
	close(a);
	close(b);
}
END_TEST

START_TEST(an_ipv4_address_serves_ipv4)
{
	struct muster_server *server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	struct muster_address address = address_of(server), local, remote;
	int client = client_connect_to("127.0.0.1", address.port);

	ck_assert_int_eq(address.family, 4);
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_int_eq(muster_socket_local_address(counts.last, &local), 0);
	ck_assert_int_eq(muster_socket_remote_address(counts.last, &remote), 0);
	ck_assert_str_eq(local.text, "127.0.0.1");
	ck_assert_uint_eq(local.port, address.port);
	ck_assert_str_eq(remote.text, "127.0.0.1");
	ck_assert_uint_eq(remote.port, client_port_of(client));
	close(client);
}
END_TEST

START_TEST(an_ipv6_address_serves_ipv6)
{
	struct muster_server *server = serve((struct muster_listen_options){ .host = "::1" });
	struct muster_address address = address_of(server), remote;
	int client = client_connect_to("::1", address.port);

	ck_assert_int_eq(address.family, 6);
	ck_assert_str_eq(address.text, "::1");
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_int_eq(muster_socket_remote_address(counts.last, &remote), 0);
	ck_assert_int_eq(remote.family, 6);
	ck_assert_str_eq(remote.text, "::1");
	ck_assert_int_eq(client_try_port(address.port), -ECONNREFUSED);
	close(client);
}
END_TEST

START_TEST(ipv6_only_does_not_serve_ipv4)
{
	struct muster_server *server = serve((struct muster_listen_options){ .ipv6_only = true });
	int client = client_connect_to("::1", server_port(server));

	ck_assert_int_eq(client_try_port(server_port(server)), -ECONNREFUSED);
	run_until_count(test_loop, counts.connection, 1);
	close(client);
}
END_TEST

START_TEST(an_exclusive_listen_is_the_same_here)
{
	struct muster_server *server = serve((struct muster_listen_options){ .host = "127.0.0.1", .exclusive = true });
	int client = client_connect_port(server_port(server));

	run_until_count(test_loop, counts.connection, 1);
	close(client);
}
END_TEST

/* ---- Names. */

START_TEST(a_name_is_looked_up_first)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	char host[] = "localhost";
	struct muster_address address;

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = host }), 0);
	/* The call has copied it. */
	memset(host, 'x', sizeof host - 1);
	ck_assert(!muster_server_is_listening(server));
	ck_assert_int_eq(muster_server_address(server, &address), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_fd(server), -1);
	ck_assert_int_eq(muster_server_listen(server, NULL), MUSTER_EALREADYLISTENING);
	run_until_count(test_loop, counts.listening, 1);
	address = address_of(server);
	ck_assert(strcmp(address.text, "127.0.0.1") == 0 || strcmp(address.text, "::1") == 0);
	close(client_connect_to(address.text, address.port));
	run_until_count(test_loop, counts.connection, 1);
}
END_TEST

START_TEST(a_name_keeps_the_port_asked_for)
{
	unsigned port = client_free_port();
	struct muster_server *server = serve((struct muster_listen_options){ .host = "localhost", .port = port });

	ck_assert_uint_eq(server_port(server), port);
}
END_TEST

START_TEST(close_during_the_lookup_cancels_it)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "localhost" }), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

START_TEST(a_server_may_listen_elsewhere_during_the_lookup)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "localhost" }), 0);
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = "@muster-elsewhere" }),
			 0);
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "listening");
	ck_assert_int_eq(address_of(server).family, 1);
}
END_TEST

START_TEST(destroy_during_the_lookup_closes_once)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "localhost" }), 0);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

/* ---- Paths. */

START_TEST(a_path_is_served_and_removed_by_close)
{
	const char *path = folder_path("socket");
	struct muster_server *server = serve((struct muster_listen_options){ .path = path });
	struct muster_address address = address_of(server);
	int client = client_connect_path(path);

	ck_assert_int_eq(address.family, 1);
	ck_assert_str_eq(address.text, path);
	ck_assert_uint_eq(address.length, strlen(path));
	run_until_count(test_loop, counts.connection, 1);
	muster_server_close(server);
	ck_assert(!exists(path));
	muster_socket_destroy(counts.last, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	close(client);
}
END_TEST

START_TEST(destroy_and_the_end_of_the_loop_remove_a_path_too)
{
	const char *a = folder_path("a"), *b = folder_path("b");
	struct muster_server *server = serve((struct muster_listen_options){ .path = a });
	static struct server_counts others;

	muster_server_destroy(server);
	ck_assert(!exists(a));
	listening_server_at(test_loop, &(struct muster_listen_options){ .path = b }, &others);
	ck_assert(exists(b));
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert(!exists(b));
}
END_TEST

START_TEST(everybody_may_connect_if_asked)
{
	const char *path = folder_path("socket");
	struct stat status;

	serve((struct muster_listen_options){ .path = path, .readable_all = true, .writable_all = true });
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0777);
}
END_TEST

START_TEST(a_path_in_use_is_an_error_and_stays)
{
	const char *path = folder_path("socket");
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	const struct muster_error *error = fail_to_serve((struct muster_listen_options){ .path = path });

	ck_assert_int_eq(error->code, -EADDRINUSE);
	ck_assert_str_eq(error->call, "bind");
	ck_assert_str_eq(error->address.text, path);
	ck_assert(exists(path));
	close(fd);
}
END_TEST

START_TEST(a_missing_folder_is_an_error)
{
	const struct muster_error *error =
		fail_to_serve((struct muster_listen_options){ .path = folder_path("none/socket") });

	ck_assert_int_eq(error->code, -ENOENT);
	ck_assert_int_eq(error->address.family, 1);
}
END_TEST

START_TEST(a_folder_of_others_is_an_error)
{
	const char *path = folder_path("locked/socket"), *folder = folder_path("locked");

	ck_assert_int_eq(mkdir(folder, 0555), 0);
	/* Nothing is forbidden to root. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(fail_to_serve((struct muster_listen_options){ .path = path })->code, -EACCES);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(a_path_that_is_too_long_is_refused_at_once)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	char path[256];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = path }), -ENAMETOOLONG);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "");
}
END_TEST

START_TEST(an_abstract_name_is_served)
{
	struct muster_server *server;
	struct muster_address address;
	char name[64];
	int client;

	snprintf(name, sizeof name, "@muster-%d", (int)getpid());
	server = serve((struct muster_listen_options){ .path = name });
	address = address_of(server);
	ck_assert_int_eq(address.family, 1);
	ck_assert_uint_eq(address.length, strlen(name));
	ck_assert_int_eq(address.text[0], '\0');
	ck_assert_str_eq(address.text + 1, name + 1);
	client = client_connect_path(name);
	run_until_count(test_loop, counts.connection, 1);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_int_eq(client_try_path(name), -ECONNREFUSED);
	close(client);
}
END_TEST

/* ---- Descriptors. */

START_TEST(a_listening_descriptor_is_served_and_taken)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int fd = client_listen(5), client;
	unsigned port = client_port_of(fd);

	ck_assert_int_eq(muster_server_listen_fd(server, fd, 0), 0);
	ck_assert_uint_eq(counts.listening, 0);
	run_until_count(test_loop, counts.listening, 1);
	ck_assert_int_eq(muster_server_fd(server), fd);
	ck_assert_uint_eq(server_port(server), port);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	client = client_connect_port(port);
	run_until_count(test_loop, counts.connection, 1);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	close(client);
}
END_TEST

START_TEST(a_descriptor_that_is_only_bound_begins_to_listen)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	struct sockaddr_storage any = { .ss_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, 16), 0);
	ck_assert_int_eq(muster_server_listen_fd(server, fd, 3), 0);
	run_until_count(test_loop, counts.listening, 1);
	close(client_connect_port(server_port(server)));
	run_until_count(test_loop, counts.connection, 1);
}
END_TEST

START_TEST(the_path_of_a_descriptor_is_not_ours_to_remove)
{
	const char *path = folder_path("socket");
	static struct server_counts others;
	struct muster_server *first =
		listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &others);
	struct muster_server *second = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen_fd(second, dup(muster_server_fd(first)), 0), 0);
	run_until_count(test_loop, counts.listening, 1);
	muster_server_destroy(second);
	ck_assert(exists(path));
	muster_server_destroy(first);
	ck_assert(!exists(path));
	run_dry(test_loop);
}
END_TEST

static int a_file(void)
{
	return open("/dev/null", O_RDONLY);
}

static int a_datagram_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static int a_pipe(void)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[1]);
	return ends[0];
}

static int nothing(void)
{
	return -1;
}

static int a_closed_descriptor(void)
{
	int fd = a_file();

	close(fd);
	return fd;
}

static int a_connected_socket(void)
{
	int ends[2];

	client_pair(ends);
	close(ends[1]);
	return ends[0];
}

static int (*const wrong_descriptors[])(void) = {
	a_file, a_datagram_socket, a_pipe, nothing, a_closed_descriptor, a_connected_socket,
};

START_TEST(a_descriptor_that_cannot_listen_is_an_error_and_taken)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);
	int fd = wrong_descriptors[_i]();

	ck_assert_int_eq(muster_server_listen_fd(server, fd, 0), 0);
	ck_assert_uint_eq(counts.error, 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error");
	ck_assert_int_eq(counts.last_error.code, -EINVAL);
	ck_assert_str_eq(counts.last_error.call, "listen");
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(muster_server_listen(server, NULL), 0);
	run_until_count(test_loop, counts.listening, 1);
}
END_TEST

START_TEST(a_descriptor_is_taken_even_when_the_call_is_refused)
{
	struct muster_server *server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	int fd = client_listen(1);

	ck_assert_int_eq(muster_server_listen_fd(server, fd, 0), MUSTER_EALREADYLISTENING);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* ---- Limits beyond the server's own: what is counted elsewhere holds a listener back, and nothing is dropped. */

static unsigned limit, opened, closed, dropped;
static bool drops;

static void count_opened(unsigned row, void *data)
{
	(void)row, (void)data;
	opened++;
}

static void count_closed(unsigned row, void *data)
{
	(void)row, (void)data;
	closed++;
}

static bool below_limit(unsigned row, void *data)
{
	(void)row, (void)data;
	return opened - closed < limit;
}

static bool must_drop(unsigned row, void *data)
{
	return drops && !below_limit(row, data);
}

static void count_dropped(unsigned row, void *data)
{
	(void)row, (void)data;
	dropped++;
}

static void set_limit(unsigned most)
{
	static const struct muster__count_ops ops = { .opened = count_opened,
						      .closed = count_closed,
						      .has_room = below_limit,
						      .must_drop = must_drop,
						      .dropped = count_dropped };

	test_loop->count_ops = &ops;
	limit = most;
}

START_TEST(connections_are_counted_as_they_come_and_go)
{
	static struct socket_counts sockets;
	struct muster_server *server;
	int client;

	set_limit(10);
	counts.sockets = &sockets;
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	client = client_connect_port(server_port(server));
	run_until_count(test_loop, opened, 1);
	ck_assert_uint_eq(closed, 0);
	close(client);
	run_until_count(test_loop, closed, 1);
	run_until_count(test_loop, sockets.close, 1);
	ck_assert_uint_eq(opened, 1);
	ck_assert_uint_eq(closed, 1);
}
END_TEST

START_TEST(at_a_common_limit_connections_wait_for_room)
{
	struct muster_server *server;
	int clients[3], i;

	set_limit(2);
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	for (i = 0; i < 3; i++)
		clients[i] = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connection, 2);
	ck_assert_uint_eq(counts.drop, 0);
	/* One of ours ends: there is room at once. */
	muster_socket_destroy(counts.last, 0);
	run_until_count(test_loop, counts.connection, 3);
	ck_assert_uint_eq(counts.drop, 0);
	for (i = 0; i < 3; i++)
		close(clients[i]);
}
END_TEST

START_TEST(room_that_others_make_is_found)
{
	struct muster_server *server;
	int a, b;

	set_limit(1);
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	a = client_connect_port(server_port(server));
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	/* Nobody tells: it is looked for again and again. */
	limit = 2;
	run_until_count(test_loop, counts.connection, 2);
	close(a);
	close(b);
}
END_TEST

START_TEST(what_must_not_wait_is_dropped_and_counted)
{
	struct muster_server *server;
	int a, b;

	set_limit(1);
	drops = true;
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	a = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 1);
	client_expect_end(b);
	ck_assert_uint_eq(dropped, 1);
	ck_assert_uint_eq(counts.connection, 1);
	close(a);
	close(b);
}
END_TEST

START_TEST(a_server_that_begins_without_room_takes_nothing)
{
	struct muster_server *server;
	int client;

	set_limit(0);
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	client = client_connect_port(server_port(server));
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connection, 0);
	limit = 1;
	run_until_count(test_loop, counts.connection, 1);
	close(client);
}
END_TEST

START_TEST(a_server_may_close_while_it_waits_for_room)
{
	struct muster_server *server;
	int a, b;

	set_limit(1);
	server = serve((struct muster_listen_options){ .host = "127.0.0.1" });
	a = client_connect_port(server_port(server));
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	run_until_idle(test_loop);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_uint_eq(opened, closed);
	close(a);
	close(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/direct");
	TCase *addresses = add_loop_case(suite, "addresses");
	TCase *names = add_loop_case(suite, "names");
	TCase *paths = add_loop_case(suite, "paths");
	TCase *descriptors = add_loop_case(suite, "descriptors");
	TCase *limits = add_loop_case(suite, "limits");

	if (client_has_ipv6()) {
		tcase_add_test(addresses, without_options_ipv4_and_ipv6_are_served_on_any_port);
		tcase_add_test(addresses, an_ipv6_address_serves_ipv6);
		tcase_add_test(addresses, ipv6_only_does_not_serve_ipv4);
	}
	tcase_add_test(addresses, an_ipv4_address_serves_ipv4);
	tcase_add_test(addresses, an_exclusive_listen_is_the_same_here);
	tcase_add_test(names, a_name_is_looked_up_first);
	tcase_add_test(names, a_name_keeps_the_port_asked_for);
	tcase_add_test(names, close_during_the_lookup_cancels_it);
	tcase_add_test(names, a_server_may_listen_elsewhere_during_the_lookup);
	tcase_add_test(names, destroy_during_the_lookup_closes_once);
	tcase_add_test(paths, a_path_is_served_and_removed_by_close);
	tcase_add_test(paths, destroy_and_the_end_of_the_loop_remove_a_path_too);
	tcase_add_test(paths, everybody_may_connect_if_asked);
	tcase_add_test(paths, a_path_in_use_is_an_error_and_stays);
	tcase_add_test(paths, a_missing_folder_is_an_error);
	tcase_add_test(paths, a_folder_of_others_is_an_error);
	tcase_add_test(paths, a_path_that_is_too_long_is_refused_at_once);
	tcase_add_test(paths, an_abstract_name_is_served);
	tcase_add_test(descriptors, a_listening_descriptor_is_served_and_taken);
	tcase_add_test(descriptors, a_descriptor_that_is_only_bound_begins_to_listen);
	tcase_add_test(descriptors, the_path_of_a_descriptor_is_not_ours_to_remove);
	tcase_add_loop_test(descriptors, a_descriptor_that_cannot_listen_is_an_error_and_taken, 0,
			    sizeof wrong_descriptors / sizeof wrong_descriptors[0]);
	tcase_add_test(descriptors, a_descriptor_is_taken_even_when_the_call_is_refused);
	tcase_add_test(limits, connections_are_counted_as_they_come_and_go);
	tcase_add_test(limits, at_a_common_limit_connections_wait_for_room);
	tcase_add_test(limits, room_that_others_make_is_found);
	tcase_add_test(limits, what_must_not_wait_is_dropped_and_counted);
	tcase_add_test(limits, a_server_that_begins_without_room_takes_nothing);
	tcase_add_test(limits, a_server_may_close_while_it_waits_for_room);
	return run_suite(suite);
}
