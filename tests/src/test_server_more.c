/* tests/src/test_server_more.c - net.Server: shared sockets, counting, limits, block lists. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <muster/block_list.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct server_counts counts, others;
static struct socket_counts sockets;
static const struct muster_listen_options here = { .host = "127.0.0.1" };

static struct muster_server *serving(struct muster_server_options options)
{
	struct muster_server *server = new_server(test_loop, &options, &counts);

	ck_assert_int_eq(muster_server_listen(server, &here), 0);
	run_until_count(test_loop, counts.listening, 1);
	return server;
}

/* ---- Two servers on one socket. */

START_TEST(a_server_listens_where_another_does)
{
	struct muster_server *first = listening_server(test_loop, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);
	int a, b;

	ck_assert_int_eq(muster_server_listen_server(second, first, 0), 0);
	ck_assert_uint_eq(others.listening, 0);
	run_until_count(test_loop, others.listening, 1);
	ck_assert_uint_eq(server_port(second), server_port(first));
	ck_assert_int_ne(muster_server_fd(second), muster_server_fd(first));
	a = client_connect_port(server_port(first));
	b = client_connect_port(server_port(first));
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connection + others.connection, 2);
	close(a);
	close(b);
}
END_TEST

START_TEST(a_shared_socket_outlives_the_server_it_came_from)
{
	struct muster_server *first = listening_server(test_loop, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);
	unsigned port = server_port(first);
	int client;

	ck_assert_int_eq(muster_server_listen_server(second, first, 0), 0);
	ck_assert_int_eq(muster_server_close(first), 0);
	run_until_count(test_loop, counts.close, 1);
	client = client_connect_port(port);
	run_until_count(test_loop, others.connection, 1);
	muster_server_destroy(second);
	run_dry(test_loop);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
	close(client);
}
END_TEST

START_TEST(a_path_that_is_shared_goes_with_the_server_that_made_it)
{
	const char *path = folder_path("socket");
	struct muster_server *first =
		listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);
	struct muster_address address;

	ck_assert_int_eq(muster_server_listen_server(second, first, 0), 0);
	run_until_count(test_loop, others.listening, 1);
	ck_assert_int_eq(muster_server_address(second, &address), 0);
	ck_assert_str_eq(address.text, path);
	muster_server_destroy(second);
	run_until_count(test_loop, others.close, 1);
	ck_assert_int_eq(access(path, F_OK), 0);
	muster_server_destroy(first);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(a_server_that_does_not_accept_leaves_that_to_others)
{
	struct muster_listen_options options = { .host = "127.0.0.1", .no_accept = true };
	struct muster_server *holder = listening_server_at(test_loop, &options, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);
	int client = client_connect_port(server_port(holder));

	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connection, 0);
	ck_assert_int_eq(muster_server_listen_server(second, holder, 0), 0);
	run_until_count(test_loop, others.connection, 1);
	ck_assert_uint_eq(counts.connection, 0);
	ck_assert_int_eq(muster_server_close(holder), 0);
	run_until_count(test_loop, counts.close, 1);
	close(client);
	client = client_connect_port(server_port(second));
	run_until_count(test_loop, others.connection, 2);
	close(client);
}
END_TEST

START_TEST(a_server_that_does_not_listen_has_nothing_to_share)
{
	struct muster_server *first = listening_server(test_loop, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);
	struct muster_server *fresh = muster_server_new(test_loop, NULL);
	unsigned open = descriptors_open();

	ck_assert_int_eq(muster_server_listen_server(second, fresh, 0), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_listen_server(first, first, 0), MUSTER_EALREADYLISTENING);
	ck_assert_int_eq(muster_server_close(first), 0);
	ck_assert_int_eq(muster_server_listen_server(second, first, 0), MUSTER_ENOTRUNNING);
	ck_assert_uint_eq(descriptors_open(), open - 1);
	run_dry(test_loop);
	ck_assert_str_eq(others.order, "");
}
END_TEST

START_TEST(without_descriptors_nothing_is_shared)
{
	struct muster_server *first = listening_server(test_loop, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);

	descriptors_exhaust(0);
	ck_assert_int_eq(muster_server_listen_server(second, first, 0), -EMFILE);
	descriptors_release();
	run_until_idle(test_loop);
	ck_assert_str_eq(others.order, "");
	ck_assert_int_eq(muster_server_listen_server(second, first, 0), 0);
	run_until_count(test_loop, others.listening, 1);
}
END_TEST

/* ---- Two sockets at one port. */

static const unsigned crowd = 64;

START_TEST(with_reuse_port_two_servers_share_a_port)
{
	struct muster_listen_options at = { .host = "127.0.0.1", .reuse_port = true };
	struct muster_server *first = listening_server_at(test_loop, &at, &counts);
	int clients[64];
	unsigned i;

	at.port = server_port(first);
	listening_server_at(test_loop, &at, &others);
	for (i = 0; i < crowd; i++)
		clients[i] = client_connect_port(at.port);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.connection + others.connection, crowd);
	/* The kernel spreads them by a hash: none for one of them has a chance of 2^-63. */
	ck_assert_uint_gt(counts.connection, 0);
	ck_assert_uint_gt(others.connection, 0);
	for (i = 0; i < crowd; i++)
		close(clients[i]);
}
END_TEST

START_TEST(reuse_port_takes_two)
{
	struct muster_listen_options at = { .host = "127.0.0.1", .reuse_port = _i == 0 };
	struct muster_server *first = listening_server_at(test_loop, &at, &counts);
	struct muster_server *second = new_server(test_loop, NULL, &others);

	at.port = server_port(first);
	at.reuse_port = !at.reuse_port;
	ck_assert_int_eq(muster_server_listen(second, &at), 0);
	run_until_count(test_loop, others.error, 1);
	ck_assert_int_eq(others.last_error.code, -EADDRINUSE);
}
END_TEST

/* ---- Who is there. */

struct answer {
	unsigned answers, count;
	int err;
};

static struct answer answers[3];
static char answer_order[64];

static void on_count(struct muster_server *server, int err, unsigned count, void *data)
{
	struct answer *answer = data;

	(void)server;
	answer->answers++;
	answer->err = err;
	answer->count = count;
	answer_order[strlen(answer_order)] = (char)('a' + (answer - answers));
}

START_TEST(connections_are_counted_when_asked)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int a, b;

	counts.sockets = &sockets;
	a = client_connect_port(server_port(server));
	b = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	ck_assert_int_eq(muster_server_get_connections(server, on_count, &answers[0]), 0);
	ck_assert_uint_eq(answers[0].answers, 0);
	run_until_count(test_loop, answers[0].answers, 1);
	ck_assert_int_eq(answers[0].err, 0);
	ck_assert_uint_eq(answers[0].count, 2);
	ck_assert_int_eq(muster_server_connections(server), 2);
	close(a);
	run_until_count(test_loop, sockets.close, 1);
	muster_server_get_connections(server, on_count, &answers[0]);
	run_until_count(test_loop, answers[0].answers, 2);
	ck_assert_uint_eq(answers[0].count, 1);
	ck_assert_int_eq(muster_server_connections(server), 1);
	close(b);
}
END_TEST

START_TEST(many_may_ask_and_get_answers_in_turn)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	unsigned i;

	for (i = 0; i < 3; i++)
		ck_assert_int_eq(muster_server_get_connections(server, on_count, &answers[i]), 0);
	run_until_idle(test_loop);
	ck_assert_str_eq(answer_order, "abc");
	ck_assert_uint_eq(answers[2].answers, 1);
}
END_TEST

START_TEST(a_server_that_does_not_listen_counts_nobody)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_connections(server), 0);
	ck_assert_int_eq(muster_server_get_connections(server, on_count, &answers[0]), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(answers[0].answers, 1);
	ck_assert_uint_eq(answers[0].count, 0);
}
END_TEST

START_TEST(a_server_that_closes_answers_first)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	ck_assert_int_eq(muster_server_get_connections(server, on_count, &answers[0]), 0);
	if (_i == 0)
		muster_server_close(server);
	else
		muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_uint_eq(answers[0].answers, 1);
	ck_assert_uint_eq(answers[0].count, 0);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

static void destroy_on_count(struct muster_server *server, int err, unsigned count, void *data)
{
	on_count(server, err, count, data);
	muster_server_destroy(server);
}

START_TEST(a_server_may_be_destroyed_inside_an_answer)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_get_connections(server, destroy_on_count, &answers[0]);
	muster_server_get_connections(server, on_count, &answers[1]);
	run_dry(test_loop);
	ck_assert_str_eq(answer_order, "ab");
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

static unsigned turns;

static void ask_again(struct muster_server *server, int err, unsigned count, void *data)
{
	on_count(server, err, count, data);
	answer_order[0] = '\0';
	if (turns < 3)
		ck_assert_int_eq(muster_server_get_connections(server, ask_again, data), 0);
}

static void take_turn(void *data)
{
	const unsigned *asked = data;

	/* As many answers as turns, one more or less: nobody is kept from his turn. */
	ck_assert_uint_le(*asked, turns + 2);
	if (++turns < 3)
		muster_loop_defer(test_loop, take_turn, data);
}

START_TEST(who_asks_inside_an_answer_is_answered_in_the_next_turn)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_get_connections(server, ask_again, &answers[0]);
	muster_loop_defer(test_loop, take_turn, &answers[0].answers);
	run_until_count(test_loop, turns, 3);
	run_until_idle(test_loop);
	ck_assert_uint_ge(answers[0].answers, 2);
	muster_server_destroy(server);
	run_dry(test_loop);
}
END_TEST

static void ask_while_closing(struct muster_server *server, int err, unsigned count, void *data)
{
	muster_server_close(server);
	on_count(server, err, count, data);
	ck_assert_int_eq(muster_server_get_connections(server, on_count, &answers[1]), 0);
	ck_assert_uint_eq(counts.close, 0);
}

START_TEST(who_asks_while_it_closes_is_answered_before_on_close)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_get_connections(server, ask_while_closing, &answers[0]);
	run_dry(test_loop);
	ck_assert_str_eq(answer_order, "ab");
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

static void ask_too_late(struct muster_server *server, void *data)
{
	*(int *)data = muster_server_get_connections(server, on_count, &answers[0]);
}

START_TEST(asking_inside_on_close_is_too_late)
{
	static const struct muster_server_handlers handlers = { .on_close = ask_too_late };
	struct muster_server *server = listening_server(test_loop, &counts);
	static int err;

	muster_server_on(server, &handlers, &err);
	muster_server_destroy(server);
	run_dry(test_loop);
	ck_assert_int_eq(err, MUSTER_ECLOSED);
	ck_assert_uint_eq(answers[0].answers, 0);
}
END_TEST

/* ---- Limits. */

START_TEST(drop_max_connection_alone_drops_as_ever)
{
	struct muster_server *server =
		serving((struct muster_server_options){ .max_connections = 1, .drop_max_connection = true });
	int a = client_connect_port(server_port(server)), b = client_connect_port(server_port(server));

	run_until_count(test_loop, counts.drop, 1);
	client_expect_end(b);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_str_eq(counts.order, "listening connection drop");
	close(a);
	close(b);
}
END_TEST

START_TEST(a_limit_below_those_who_are_there_lets_them_stay)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int clients[3], late;
	unsigned i;

	counts.sockets = &sockets;
	for (i = 0; i < 3; i++)
		clients[i] = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 3);
	muster_server_set_max_connections(server, 1);
	run_until_idle(test_loop);
	ck_assert_int_eq(muster_server_connections(server), 3);
	late = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 1);
	close(late);
	close(clients[0]);
	close(clients[1]);
	run_until_count(test_loop, sockets.close, 2);
	late = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 2);
	close(late);
	close(clients[2]);
	run_until_count(test_loop, sockets.close, 3);
	late = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 4);
	close(late);
}
END_TEST

static void tighten(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)socket, (void)data;
	muster_server_set_max_connections(server, 2);
}

START_TEST(a_limit_set_inside_on_connection_holds_for_the_next)
{
	static const struct muster_server_handlers handlers = { .on_connection = tighten };
	struct muster_server *server = listening_server(test_loop, &counts);
	int clients[4];
	unsigned i;

	muster_server_on(server, &handlers, NULL);
	for (i = 0; i < 4; i++)
		clients[i] = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.drop, 2);
	ck_assert_uint_eq(counts.connection, 2);
	for (i = 0; i < 4; i++)
		close(clients[i]);
}
END_TEST

static void drop_again(struct muster_server *server, const struct muster_address *local,
		       const struct muster_address *remote, void *data)
{
	(void)local, (void)remote, (void)data;
	muster_server_set_max_connections(server, 0);
}

START_TEST(a_limit_lifted_inside_on_drop_holds_for_the_next)
{
	static const struct muster_server_handlers handlers = { .on_drop = drop_again };
	struct muster_server *server = serving((struct muster_server_options){ .max_connections = 1 });
	int clients[3];
	unsigned i;

	muster_server_on(server, &handlers, NULL);
	for (i = 0; i < 3; i++)
		clients[i] = client_connect_port(server_port(server));
	run_until_count(test_loop, counts.connection, 2);
	ck_assert_uint_eq(counts.drop, 1);
	for (i = 0; i < 3; i++)
		close(clients[i]);
}
END_TEST

/* ---- Options of the sockets. */

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

START_TEST(a_keep_alive_without_a_delay_leaves_the_systems)
{
	struct muster_server *server = serving((struct muster_server_options){ .keep_alive = true });
	int client = client_connect_port(server_port(server)), fd;

	run_until_count(test_loop, counts.connection, 1);
	fd = muster_socket_fd(counts.last);
	ck_assert_int_ne(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), option_of(client, IPPROTO_TCP, TCP_KEEPIDLE));
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
	ck_assert_int_eq(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
	close(client);
}
END_TEST

START_TEST(options_of_tcp_do_no_harm_at_a_path)
{
	struct muster_server_options options = { .no_delay = true, .keep_alive = true, .keep_alive_delay_ms = 9000 };
	struct muster_server *server = new_server(test_loop, &options, &counts);
	const char *path = folder_path("socket");
	int client;

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = path }), 0);
	client = client_connect_path(path);
	counts.sockets = &sockets;
	run_until_count(test_loop, counts.connection, 1);
	client_send_text(client, "fine");
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_uint_eq(counts.error + sockets.error, 0);
	close(client);
}
END_TEST

START_TEST(the_mark_of_the_server_is_that_of_its_sockets)
{
	struct muster_server *server = serving((struct muster_server_options){ .high_water_mark = 1000 });
	static const char bytes[999];
	int client = client_connect_port(server_port(server));

	run_until_count(test_loop, counts.connection, 1);
	muster_socket_cork(counts.last);
	ck_assert_int_eq(muster_socket_write(counts.last, "x", 1), 0);
	ck_assert(!muster_socket_needs_drain(counts.last));
	ck_assert_int_eq(muster_socket_write(counts.last, bytes, sizeof bytes), 0);
	ck_assert(muster_socket_needs_drain(counts.last));
	close(client);
}
END_TEST

START_TEST(only_the_listening_socket_reuses_its_address)
{
	struct muster_server *server = serving((struct muster_server_options){ 0 });
	int client = client_connect_port(server_port(server));

	run_until_count(test_loop, counts.connection, 1);
	ck_assert_int_ne(option_of(muster_server_fd(server), SOL_SOCKET, SO_REUSEADDR), 0);
	ck_assert_int_eq(option_of(muster_server_fd(server), SOL_SOCKET, SO_REUSEPORT), 0);
	close(client);
}
END_TEST

/* ---- Block lists. */

static struct muster_block_list *list;

static void make_list(void)
{
	list = muster_block_list_new();
	ck_assert_ptr_nonnull(list);
}

static void free_list(void)
{
	muster_block_list_free(list);
	list = NULL;
}

static int connect_from(const char *address, unsigned port)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (unsigned)(address[8] - '1'));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

START_TEST(a_blocked_peer_is_closed_and_nothing_is_told)
{
	struct muster_server *server = serving((struct muster_server_options){ .block_list = list });
	int blocked, welcome;

	ck_assert_int_eq(muster_block_list_add_address(list, "127.0.0.2"), 0);
	blocked = connect_from("127.0.0.2", server_port(server));
	welcome = connect_from("127.0.0.1", server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	run_until_idle(test_loop);
	client_expect_end(blocked);
	ck_assert_str_eq(counts.order, "listening connection");
	ck_assert_int_eq(muster_server_connections(server), 1);
	close(blocked);
	close(welcome);
}
END_TEST

START_TEST(a_blocked_peer_is_blocked_before_the_limit_counts)
{
	struct muster_server *server =
		serving((struct muster_server_options){ .block_list = list, .max_connections = 1 });
	int welcome, blocked;

	ck_assert_int_eq(muster_block_list_add_subnet(list, "127.0.0.2", 32), 0);
	welcome = connect_from("127.0.0.1", server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	blocked = connect_from("127.0.0.2", server_port(server));
	run_until_idle(test_loop);
	client_expect_end(blocked);
	ck_assert_uint_eq(counts.drop, 0);
	close(blocked);
	close(welcome);
}
END_TEST

START_TEST(an_ipv4_rule_blocks_on_a_server_of_both_families)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .block_list = list }, &counts);
	int blocked;

	ck_assert_int_eq(muster_block_list_add_cidr(list, "127.0.0.0/8"), 0);
	ck_assert_int_eq(muster_server_listen(server, NULL), 0);
	run_until_count(test_loop, counts.listening, 1);
	blocked = client_connect_port(server_port(server));
	run_until_idle(test_loop);
	client_expect_end(blocked);
	ck_assert_uint_eq(counts.connection, 0);
	close(blocked);
}
END_TEST

START_TEST(a_list_blocks_nobody_at_a_path)
{
	struct muster_server *server =
		new_server(test_loop, &(struct muster_server_options){ .block_list = list }, &counts);
	const char *path = folder_path("socket");
	int client;

	ck_assert_int_eq(muster_block_list_add_cidr(list, "0.0.0.0/0"), 0);
	ck_assert_int_eq(muster_block_list_add_cidr(list, "::/0"), 0);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = path }), 0);
	client = client_connect_path(path);
	run_until_count(test_loop, counts.connection, 1);
	close(client);
}
END_TEST

START_TEST(an_allow_list_lets_nobody_else_in)
{
	struct muster_server *server = serving((struct muster_server_options){ .allow_list = list });
	int stranger, friend;

	ck_assert_int_eq(muster_block_list_add_cidr(list, "127.0.0.2/32"), 0);
	stranger = connect_from("127.0.0.1", server_port(server));
	friend = connect_from("127.0.0.2", server_port(server));
	run_until_count(test_loop, counts.connection, 1);
	run_until_idle(test_loop);
	client_expect_end(stranger);
	ck_assert_uint_eq(counts.connection, 1);
	ck_assert_uint_eq(muster_server_refused(server, MUSTER_REFUSAL_BLOCKED), 1);
	close(stranger);
	close(friend);
}
END_TEST

/* ---- Limits of an address. */

static bool has_refused(void *server)
{
	return muster_server_refused(server, MUSTER_REFUSAL_PER_ADDRESS) +
		       muster_server_refused(server, MUSTER_REFUSAL_RATE) >
	       0;
}

static bool is_empty(void *server)
{
	return muster_server_connections(server) == 0;
}

START_TEST(an_address_has_no_more_connections_than_it_may)
{
	struct muster_server *server;
	int first, second, third, other;

	counts.sockets = &sockets;
	server = serving((struct muster_server_options){ .max_per_address = 2 });
	first = connect_from("127.0.0.1", server_port(server));
	second = connect_from("127.0.0.1", server_port(server));
	lines_record(MUSTER_LOG_WARN);
	run_until_count(test_loop, counts.connection, 2);
	third = connect_from("127.0.0.1", server_port(server));
	other = connect_from("127.0.0.2", server_port(server));
	run_until_count(test_loop, counts.connection, 3);
	run_until(test_loop, has_refused, server);
	client_expect_end(third);
	ck_assert_uint_eq(counts.drop, 0);
	ck_assert_uint_eq(lines_with("127.0.0.1 is at its limit"), 1);
	close(third);
	close(first);
	close(second);
	close(other);
	run_until(test_loop, is_empty, server);
	first = connect_from("127.0.0.1", server_port(server));
	run_until_count(test_loop, counts.connection, 4);
	ck_assert_uint_eq(muster_server_refused(server, MUSTER_REFUSAL_PER_ADDRESS), 1);
	close(first);
}
END_TEST

START_TEST(an_address_comes_no_faster_than_it_may)
{
	struct muster_server *server =
		serving((struct muster_server_options){ .rate_per_address = 1, .rate_burst = 3 });
	int clients[4], other, i;

	lines_record(MUSTER_LOG_WARN);
	for (i = 0; i < 4; i++)
		clients[i] = connect_from("127.0.0.1", server_port(server));
	run_until(test_loop, has_refused, server);
	other = connect_from("127.0.0.2", server_port(server));
	run_until_count(test_loop, counts.connection, 4);
	ck_assert_uint_eq(muster_server_refused(server, MUSTER_REFUSAL_RATE), 1);
	client_expect_end(clients[3]);
	for (i = 0; i < 4; i++)
		close(clients[i]);
	close(other);
}
END_TEST

/* A dropped connection is none of its address'. */
START_TEST(who_finds_no_room_takes_none_from_his_address)
{
	struct muster_server *server =
		serving((struct muster_server_options){ .max_connections = 1, .max_per_address = 2 });
	int first = connect_from("127.0.0.1", server_port(server)), more, i;

	run_until_count(test_loop, counts.connection, 1);
	for (i = 1; i <= 5; i++) {
		more = connect_from("127.0.0.1", server_port(server));
		run_until_count(test_loop, counts.drop, (unsigned)i);
		close(more);
	}
	ck_assert_uint_eq(muster_server_refused(server, MUSTER_REFUSAL_PER_ADDRESS), 0);
	close(first);
}
END_TEST

START_TEST(a_path_knows_no_limits_of_addresses)
{
	struct muster_server_options options = { .max_per_address = 1, .rate_per_address = 1, .allow_list = list };
	struct muster_server *server = new_server(test_loop, &options, &counts);
	const char *path = folder_path("socket");
	int first, second;

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .path = path }), 0);
	first = client_connect_path(path);
	second = client_connect_path(path);
	run_until_count(test_loop, counts.connection, 2);
	close(first);
	close(second);
}
END_TEST

START_TEST(a_server_keeps_its_list)
{
	struct muster_server *server = serving((struct muster_server_options){ .block_list = list });
	int blocked;

	ck_assert_int_eq(muster_block_list_add_address(list, "127.0.0.1"), 0);
	free_list();
	blocked = client_connect_port(server_port(server));
	run_until_idle(test_loop);
	client_expect_end(blocked);
	ck_assert_uint_eq(counts.connection, 0);
	close(blocked);
}
END_TEST

static void refuse_to_connect(struct muster_connect_options options, unsigned attempts)
{
	static struct socket_counts blocked;

	options.block_list = list;
	ck_assert_ptr_nonnull(muster_connect(test_loop, &options, &counting_socket, &blocked));
	free_list();
	run_until_count(test_loop, blocked.close, 1);
	ck_assert_uint_eq(blocked.lookup, attempts);
	ck_assert_uint_eq(blocked.error, 1);
	ck_assert_int_eq(blocked.last_error.code, MUSTER_EBLOCKED);
	ck_assert_str_eq(blocked.last_error.address.text, "127.0.0.1");
	ck_assert_uint_eq(counts.connection, 0);
}

START_TEST(connecting_to_a_blocked_address_is_an_error)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	ck_assert_int_eq(muster_block_list_add_range(list, "127.0.0.0", "127.0.0.9"), 0);
	refuse_to_connect((struct muster_connect_options){ .host = "127.0.0.1", .port = server_port(server) }, 0);
}
END_TEST

static int look_up(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	static const struct muster_address two[] = { { .family = 4, .length = 9, .text = "127.0.0.1" },
						     { .family = 4, .length = 9, .text = "127.0.0.2" } };

	(void)host, (void)family, (void)hints, (void)data;
	muster_lookup_answer(reply, 0, two, 2);
	return 0;
}

START_TEST(a_name_whose_addresses_are_blocked_is_an_error)
{
	struct muster_server *server = listening_server(test_loop, &counts);

	ck_assert_int_eq(muster_block_list_add_range(list, "127.0.0.0", "127.0.0.9"), 0);
	refuse_to_connect(
		(struct muster_connect_options){ .host = "any.test", .port = server_port(server), .lookup = look_up },
		2);
}
END_TEST

START_TEST(of_several_addresses_the_blocked_are_left_out)
{
	static struct server_counts all;
	static struct socket_counts client;
	struct muster_server *server =
		listening_server_at(test_loop, &(struct muster_listen_options){ .host = "0.0.0.0" }, &all);
	struct muster_connect_options options = {
		.host = "any.test", .port = server_port(server), .lookup = look_up, .block_list = list
	};
	struct muster_address remote;
	struct muster_socket *socket;

	ck_assert_int_eq(muster_block_list_add_address(list, "127.0.0.1"), 0);
	socket = muster_connect(test_loop, &options, &counting_socket, &client);
	ck_assert_ptr_nonnull(socket);
	run_until_count(test_loop, client.ready, 1);
	ck_assert_int_eq(muster_socket_remote_address(socket, &remote), 0);
	ck_assert_str_eq(remote.text, "127.0.0.2");
}
END_TEST

/* ---- Addresses, and what can be asked afterwards. */

START_TEST(the_address_of_a_server_has_its_family)
{
	static const struct {
		const char *host, *text;
		int family;
	} places[] = {
		{ "127.0.0.1", "127.0.0.1", 4 }, { "0.0.0.0", "0.0.0.0", 4 }, { "::1", "::1", 6 }, { "::", "::", 6 }
	};
	struct muster_listen_options at = { .host = places[_i].host };
	struct muster_address address;

	if (places[_i].family == 6 && !client_has_ipv6())
		return;
	ck_assert_int_eq(muster_server_address(listening_server_at(test_loop, &at, &counts), &address), 0);
	ck_assert_str_eq(address.text, places[_i].text);
	ck_assert_int_eq(address.family, places[_i].family);
	ck_assert_uint_gt(address.port, 0);
}
END_TEST

START_TEST(an_address_of_another_machine_is_told_by_on_error)
{
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "192.0.2.1" }), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error");
	ck_assert_int_eq(counts.last_error.code, -EADDRNOTAVAIL);
	ck_assert_str_eq(counts.last_error.call, "bind");
	ck_assert_str_eq(counts.last_error.address.text, "192.0.2.1");
}
END_TEST

START_TEST(a_closing_server_may_be_asked_anything)
{
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));
	struct muster_address address;

	run_until_count(test_loop, counts.connection, 1);
	ck_assert_int_eq(muster_server_close(server), 0);
	ck_assert(!muster_server_is_listening(server));
	ck_assert_int_eq(muster_server_address(server, &address), MUSTER_ENOTRUNNING);
	ck_assert_int_eq(muster_server_fd(server), -1);
	ck_assert_int_eq(muster_server_connections(server), 1);
	ck_assert_ptr_eq(muster_server_loop(server), test_loop);
	muster_server_set_max_connections(server, 3);
	muster_server_unref(server);
	muster_server_ref(server);
	muster_socket_destroy(counts.last, 0);
	run_dry(test_loop);
	close(client);
}
END_TEST

/* The other process: it serves one connection on a socket it has inherited. */
static void serve_one(int fd)
{
	static struct server_counts mine;
	struct muster_loop *loop = muster_loop_new();
	struct muster_server *server = muster_server_new(loop, NULL);

	muster_server_on(server, &counting_server, &mine);
	if (muster_server_listen_fd(server, fd, 0) < 0)
		_exit(1);
	run_until_reached(loop, &mine.connection, 1, "a connection in the child");
	muster_socket_end_with(mine.last, "hello", 5);
	muster_server_close(server);
	_exit(muster_loop_run(loop) == 0 ? 0 : 2);
}

START_TEST(another_process_serves_on_a_descriptor_it_inherited)
{
	int fd = client_listen(4), client;
	unsigned port = client_port_of(fd);
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		serve_one(fd);
	close(fd);
	client = client_connect_port(port);
	client_expect_text(client, "hello");
	client_expect_end(client);
	close(client);
	ck_assert_int_eq(process_wait(child), 0);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
}
END_TEST

/* The parent of the process that serves has ended before anybody connects. */
START_TEST(it_serves_on_when_the_process_it_inherited_from_is_gone)
{
	int fd = client_listen(4), client, gone[2];
	unsigned port = client_port_of(fd);
	pid_t parent;
	char byte;

	ck_assert_int_eq(pipe(gone), 0);
	parent = fork();
	ck_assert_int_ge(parent, 0);
	if (parent == 0) {
		if (fork() == 0)
			serve_one(fd);
		_exit(0);
	}
	close(fd);
	close(gone[1]);
	ck_assert_int_eq(process_wait(parent), 0);
	client = client_connect_port(port);
	client_expect_text(client, "hello");
	client_expect_end(client);
	close(client);
	/* The one that serves holds the other end. */
	ck_assert_int_eq(read(gone[0], &byte, 1), 0);
	close(gone[0]);
}
END_TEST

static void add_sharing_tests(Suite *suite)
{
	TCase *sharing = add_loop_case(suite, "sharing");

	tcase_add_test(sharing, a_server_listens_where_another_does);
	tcase_add_test(sharing, a_shared_socket_outlives_the_server_it_came_from);
	tcase_add_test(sharing, a_path_that_is_shared_goes_with_the_server_that_made_it);
	tcase_add_test(sharing, a_server_that_does_not_accept_leaves_that_to_others);
	tcase_add_test(sharing, a_server_that_does_not_listen_has_nothing_to_share);
	tcase_add_test(sharing, without_descriptors_nothing_is_shared);
	tcase_add_test(sharing, with_reuse_port_two_servers_share_a_port);
	tcase_add_loop_test(sharing, reuse_port_takes_two, 0, 2);
	tcase_add_test(sharing, another_process_serves_on_a_descriptor_it_inherited);
	tcase_add_test(sharing, it_serves_on_when_the_process_it_inherited_from_is_gone);
}

static void add_counting_tests(Suite *suite)
{
	TCase *counting = add_loop_case(suite, "counting");

	tcase_add_test(counting, connections_are_counted_when_asked);
	tcase_add_test(counting, many_may_ask_and_get_answers_in_turn);
	tcase_add_test(counting, a_server_that_does_not_listen_counts_nobody);
	tcase_add_loop_test(counting, a_server_that_closes_answers_first, 0, 2);
	tcase_add_test(counting, a_server_may_be_destroyed_inside_an_answer);
	tcase_add_test(counting, who_asks_inside_an_answer_is_answered_in_the_next_turn);
	tcase_add_test(counting, who_asks_while_it_closes_is_answered_before_on_close);
	tcase_add_test(counting, asking_inside_on_close_is_too_late);
}

static void add_limit_tests(Suite *suite)
{
	TCase *limits = add_loop_case(suite, "limits and options");

	tcase_add_test(limits, drop_max_connection_alone_drops_as_ever);
	tcase_add_test(limits, a_limit_below_those_who_are_there_lets_them_stay);
	tcase_add_test(limits, a_limit_set_inside_on_connection_holds_for_the_next);
	tcase_add_test(limits, a_limit_lifted_inside_on_drop_holds_for_the_next);
	tcase_add_test(limits, a_keep_alive_without_a_delay_leaves_the_systems);
	tcase_add_test(limits, options_of_tcp_do_no_harm_at_a_path);
	tcase_add_test(limits, the_mark_of_the_server_is_that_of_its_sockets);
	tcase_add_test(limits, only_the_listening_socket_reuses_its_address);
}

static void add_block_list_tests(Suite *suite)
{
	TCase *blocking = add_loop_case(suite, "block lists");

	tcase_add_checked_fixture(blocking, make_list, free_list);
	tcase_add_test(blocking, a_blocked_peer_is_closed_and_nothing_is_told);
	tcase_add_test(blocking, a_blocked_peer_is_blocked_before_the_limit_counts);
	tcase_add_test(blocking, an_ipv4_rule_blocks_on_a_server_of_both_families);
	tcase_add_test(blocking, a_list_blocks_nobody_at_a_path);
	tcase_add_test(blocking, an_allow_list_lets_nobody_else_in);
	tcase_add_test(blocking, an_address_has_no_more_connections_than_it_may);
	tcase_add_test(blocking, an_address_comes_no_faster_than_it_may);
	tcase_add_test(blocking, who_finds_no_room_takes_none_from_his_address);
	tcase_add_test(blocking, a_path_knows_no_limits_of_addresses);
	tcase_add_test(blocking, a_server_keeps_its_list);
	tcase_add_test(blocking, connecting_to_a_blocked_address_is_an_error);
	tcase_add_test(blocking, a_name_whose_addresses_are_blocked_is_an_error);
	tcase_add_test(blocking, of_several_addresses_the_blocked_are_left_out);
}

static void add_asking_tests(Suite *suite)
{
	TCase *asking = add_loop_case(suite, "asking");

	tcase_add_loop_test(asking, the_address_of_a_server_has_its_family, 0, 4);
	tcase_add_test(asking, an_address_of_another_machine_is_told_by_on_error);
	tcase_add_test(asking, a_closing_server_may_be_asked_anything);
}

int main(void)
{
	Suite *suite = suite_create("src/server_more");

	add_sharing_tests(suite);
	add_counting_tests(suite);
	add_limit_tests(suite);
	add_block_list_tests(suite);
	add_asking_tests(suite);
	return run_suite(suite);
}
