/* tests/src/test_socket_more.c - net.Socket: corks, resets, types of service, encodings. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/folder.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct socket_counts counts, sockets;
static struct server_counts servers;
static struct write_counts writes;
static struct muster_server *server;
static struct muster_connect_options there;
static int peer = -1;

static struct muster_socket *open_socket(void)
{
	return socket_with_peer(test_loop, &peer, &counts);
}

static struct muster_socket *open_local(void)
{
	struct muster_socket *socket;
	int ends[2];

	client_pair_local(ends);
	peer = ends[1];
	socket = muster_socket_open(test_loop, ends[0], NULL);
	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_on(socket, &counting_socket, &counts), 0);
	return socket;
}

static struct muster_socket *new_socket(void)
{
	struct muster_socket *socket = muster_socket_new(test_loop, NULL);

	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_on(socket, &counting_socket, &counts), 0);
	return socket;
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void serve(void)
{
	servers.sockets = &sockets;
	server = listening_server(test_loop, &servers);
	there = (struct muster_connect_options){ .host = "127.0.0.1", .port = server_port(server) };
}

static void write_text(struct muster_socket *socket, const char *text)
{
	ck_assert_int_eq(muster_socket_write(socket, text, strlen(text)), 0);
}

/* How many segments with data have left. */
static unsigned segments_of(const struct muster_socket *socket)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof info;

	ck_assert_int_eq(getsockopt(muster_socket_fd(socket), IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_data_segs_out;
}

/* ---- Corks. */

START_TEST(what_is_written_corked_leaves_in_one)
{
	struct muster_socket *socket = open_socket();

	muster_socket_set_no_delay(socket, true);
	muster_socket_cork(socket);
	write_text(socket, "one ");
	write_text(socket, "two ");
	write_text(socket, "three");
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
	ck_assert_uint_eq(muster_socket_buffered(socket), 13);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 13);
	muster_socket_uncork(socket);
	client_expect_text(peer, "one two three");
	ck_assert_uint_eq(segments_of(socket), 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(muster_socket_buffered(socket), 0);
	write_text(socket, "!");
	write_text(socket, "!");
	client_expect_text(peer, "!!");
	ck_assert_uint_eq(segments_of(socket), 3);
}
END_TEST

START_TEST(corks_are_counted)
{
	struct muster_socket *socket = open_socket();

	muster_socket_cork(socket);
	muster_socket_cork(socket);
	write_text(socket, "held");
	muster_socket_uncork(socket);
	run_until_idle(test_loop);
	ck_assert_uint_eq(client_waiting(peer), 0);
	muster_socket_uncork(socket);
	client_expect_text(peer, "held");
}
END_TEST

START_TEST(uncork_without_a_cork_is_fine)
{
	struct muster_socket *socket = open_socket();

	muster_socket_uncork(socket);
	muster_socket_uncork(socket);
	muster_socket_cork(socket);
	muster_socket_uncork(socket);
	write_text(socket, "free");
	client_expect_text(peer, "free");
}
END_TEST

START_TEST(end_lets_out_what_is_corked)
{
	struct muster_socket *socket = open_socket();

	muster_socket_cork(socket);
	muster_socket_cork(socket);
	write_text(socket, "the ");
	ck_assert_int_eq(muster_socket_end_with(socket, "end", 3), 0);
	client_expect_text(peer, "the end");
	run_until_count(test_loop, counts.finish, 1);
	client_expect_end(peer);
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "finish end close");
}
END_TEST

START_TEST(the_end_of_the_peer_lets_out_what_is_corked)
{
	struct muster_socket *socket = open_socket();

	muster_socket_cork(socket);
	write_text(socket, "held");
	shutdown(peer, SHUT_WR);
	run_until_count(test_loop, counts.close, 1);
	client_expect_text(peer, "held");
	client_expect_end(peer);
}
END_TEST

START_TEST(corked_writes_complete_when_they_are_let_out)
{
	static struct write_mark a = { &writes, 'a' }, b = { &writes, 'b' };
	struct muster_socket *socket = open_socket();

	muster_socket_cork(socket);
	ck_assert_int_eq(muster_socket_write_then(socket, "a", 1, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_write_then(socket, "b", 1, count_written, &b), 0);
	run_until_idle(test_loop);
	ck_assert_uint_eq(writes.done, 0);
	muster_socket_uncork(socket);
	ck_assert_uint_eq(writes.done, 0);
	run_until_count(test_loop, writes.done, 2);
	ck_assert_str_eq(writes.order, "ab");
	ck_assert_uint_eq(writes.failed, 0);
}
END_TEST

START_TEST(a_corked_socket_needs_drain_as_any_other)
{
	struct muster_socket *socket = open_socket();
	struct exchange *exchange = exchange_start(peer, 0);
	size_t length;

	peer = -1;
	muster_socket_cork(socket);
	length = fill_output(socket, 4 << 20);
	ck_assert(muster_socket_needs_drain(socket));
	muster_socket_uncork(socket);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_uint_eq(exchange_finish(exchange), length);
}
END_TEST

START_TEST(on_drain_comes_when_a_cork_has_let_out_all)
{
	struct muster_socket *socket = open_socket();
	static char bytes[128 * 1024];

	muster_socket_cork(socket);
	ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	ck_assert(muster_socket_needs_drain(socket));
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.drain, 0);
	muster_socket_uncork(socket);
	run_until_count(test_loop, counts.drain, 1);
	ck_assert(!muster_socket_needs_drain(socket));
}
END_TEST

START_TEST(a_cork_set_before_the_connection_holds_after_it)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	muster_socket_set_no_delay(socket, true);
	muster_socket_cork(socket);
	write_text(socket, "one ");
	run_until_count(test_loop, counts.ready, 1);
	write_text(socket, "two");
	run_until_idle(test_loop);
	ck_assert_uint_eq(sockets.length, 0);
	muster_socket_uncork(socket);
	run_until_count(test_loop, sockets.data, 1);
	ck_assert_str_eq(sockets.bytes, "one two");
	ck_assert_uint_eq(segments_of(socket), 1);
}
END_TEST

START_TEST(end_before_the_connection_takes_the_cork_along)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	muster_socket_cork(socket);
	write_text(socket, "all");
	ck_assert_int_eq(muster_socket_end(socket), 0);
	run_until_count(test_loop, sockets.end, 1);
	ck_assert_str_eq(sockets.bytes, "all");
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "connect ready finish end close");
}
END_TEST

START_TEST(destroy_drops_what_is_corked)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	muster_socket_cork(socket);
	ck_assert_int_eq(muster_socket_write_then(socket, "lost", 4, count_written, &a), 0);
	muster_socket_destroy(socket, 0);
	muster_socket_uncork(socket);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), 0);
	run_dry(test_loop);
	client_expect_end(peer);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
}
END_TEST

/* ---- Resets. */

static int receive_error(int fd)
{
	char bytes[65536];
	ssize_t got;

	/* What came before the reset may still be there. */
	while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0)
		;
	return got < 0 ? -errno : 0;
}

START_TEST(a_reset_is_an_error_to_the_peer_and_none_here)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_reset(socket), 0);
	ck_assert(muster_socket_is_destroyed(socket));
	ck_assert_str_eq(counts.order, "");
	ck_assert_int_eq(muster_socket_write(socket, "x", 1), MUSTER_EDESTROYED);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.bad_close, 0);
	ck_assert_int_eq(receive_error(peer), -ECONNRESET);
}
END_TEST

START_TEST(a_reset_drops_what_is_queued)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	fill_output(socket, 1 << 20);
	ck_assert_int_eq(muster_socket_write_then(socket, "lost", 4, count_written, &a), 0);
	ck_assert_int_eq(muster_socket_reset(socket), 0);
	run_dry(test_loop);
	ck_assert_int_eq(writes.last, MUSTER_EDESTROYED);
	ck_assert_int_eq(receive_error(peer), -ECONNRESET);
}
END_TEST

START_TEST(a_server_resets_its_clients)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, servers.connection, 1);
	ck_assert_int_eq(muster_socket_reset(servers.last), 0);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "connect ready error close");
	ck_assert_int_eq(counts.last_error.code, -ECONNRESET);
	ck_assert_str_eq(counts.last_error.call, "read");
	ck_assert_str_eq(sockets.order, "close");
	ck_assert_uint_eq(sockets.bad_close, 0);
	ck_assert_uint_eq(muster_server_connections(server), 0);
}
END_TEST

START_TEST(a_reset_while_connecting_waits_for_the_connection)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_int_eq(muster_socket_reset(socket), 0);
	ck_assert(!muster_socket_is_destroyed(socket));
	run_until_count(test_loop, counts.close, 1);
	run_until_count(test_loop, sockets.close, 1);
	ck_assert_str_eq(counts.order, "close");
	ck_assert_uint_eq(counts.bad_close, 0);
	ck_assert_str_eq(sockets.order, "error close");
	ck_assert_int_eq(sockets.last_error.code, -ECONNRESET);
}
END_TEST

START_TEST(a_reset_while_connecting_in_vain_is_the_failure)
{
	struct muster_socket *socket = new_socket();

	there.port = client_free_port();
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_int_eq(muster_socket_reset(socket), 0);
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, -ECONNREFUSED);
}
END_TEST

START_TEST(a_reset_of_what_was_never_connected_is_an_error)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_reset(socket), 0);
	ck_assert_str_eq(counts.order, "");
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_int_eq(counts.last_error.code, MUSTER_ECLOSED);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

START_TEST(a_reset_of_a_unix_socket_is_refused)
{
	struct muster_socket *socket = open_local();

	ck_assert_int_eq(muster_socket_reset(socket), MUSTER_EHANDLETYPE);
	write_text(socket, "still here");
	client_expect_text(peer, "still here");
	run_until_idle(test_loop);
	ck_assert_str_eq(counts.order, "");
}
END_TEST

START_TEST(a_reset_of_a_way_to_a_path_is_refused)
{
	static struct server_counts local;
	const char *path = folder_path("socket");
	struct muster_socket *socket = new_socket();

	listening_server_at(test_loop, &(struct muster_listen_options){ .path = path }, &local);
	ck_assert_int_eq(muster_socket_connect(socket, &(struct muster_connect_options){ .path = path }), 0);
	ck_assert_int_eq(muster_socket_reset(socket), MUSTER_EHANDLETYPE);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_str_eq(counts.order, "connect ready");
}
END_TEST

START_TEST(a_reset_after_destroy_changes_nothing)
{
	struct muster_socket *socket = open_socket();

	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_reset(socket), 0);
	ck_assert_int_eq(muster_socket_reset(socket), 0);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
	client_expect_end(peer);
}
END_TEST

static void reset_it(struct muster_socket *socket, void *data)
{
	(void)data;
	ck_assert_int_eq(muster_socket_reset(socket), 0);
}

static void reset_on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)bytes, (void)length;
	reset_it(socket, data);
}

static const struct muster_socket_handlers resetters[] = { { .on_data = reset_on_data }, { .on_end = reset_it } };

START_TEST(a_reset_inside_a_handler_closes_once)
{
	struct muster_socket *socket = open_socket();

	muster_socket_on(socket, &resetters[_i], NULL);
	client_send_text(peer, "x");
	shutdown(peer, SHUT_WR);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, _i == 0 ? "data close" : "data end close");
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_int_eq(receive_error(peer), -ECONNRESET);
}
END_TEST

/* ---- Types of service. */

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

START_TEST(a_type_of_service_is_set_and_read)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_type_of_service(socket), 0);
	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0x10), 0);
	ck_assert_int_eq(option_of(muster_socket_fd(socket), IPPROTO_IP, IP_TOS), 0x10);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0x10);
	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0), 0);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0);
}
END_TEST

START_TEST(a_type_of_service_above_a_byte_is_refused)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 256), -EINVAL);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0);
	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 255), 0);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 255);
}
END_TEST

START_TEST(a_type_of_service_is_remembered_until_connected)
{
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0x20), 0);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.connect, 1);
	ck_assert_int_eq(option_of(muster_socket_fd(socket), IPPROTO_IP, IP_TOS), 0x20);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0x20);
}
END_TEST

START_TEST(a_type_of_service_is_a_traffic_class_on_ipv6)
{
	static struct server_counts six;
	struct muster_server *other =
		listening_server_at(test_loop, &(struct muster_listen_options){ .host = "::1" }, &six);
	struct muster_socket *socket = new_socket();

	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0x20), 0);
	there = (struct muster_connect_options){ .host = "::1", .port = server_port(other) };
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, counts.connect, 1);
	ck_assert_int_eq(option_of(muster_socket_fd(socket), IPPROTO_IPV6, IPV6_TCLASS), 0x20);
	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0x40), 0);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0x40);
}
END_TEST

START_TEST(a_unix_socket_has_no_type_of_service)
{
	struct muster_socket *socket = open_local();

	ck_assert_int_eq(muster_socket_set_type_of_service(socket, 0x20), 0);
	ck_assert_int_eq(muster_socket_type_of_service(socket), 0);
}
END_TEST

/* ---- The time-out, as it can be asked for. */

START_TEST(the_time_out_is_what_it_was_set_to)
{
	struct muster_socket *socket = open_socket();

	ck_assert_uint_eq(muster_socket_timeout(socket), 0);
	ck_assert_int_eq(muster_socket_set_timeout(socket, 1234), 0);
	ck_assert_uint_eq(muster_socket_timeout(socket), 1234);
	ck_assert_int_eq(muster_socket_set_timeout(socket, 0), 0);
	ck_assert_uint_eq(muster_socket_timeout(socket), 0);
}
END_TEST

START_TEST(the_time_out_stays_after_it_has_fired)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_set_timeout(socket, 5), 0);
	run_until_count(test_loop, counts.timeout, 1);
	ck_assert_uint_eq(muster_socket_timeout(socket), 5);
}
END_TEST

START_TEST(the_time_out_of_the_connect_options_is_that_of_the_socket)
{
	struct muster_socket *socket = new_socket();

	there.timeout_ms = 4321;
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	ck_assert_uint_eq(muster_socket_timeout(socket), 4321);
	run_until_count(test_loop, counts.ready, 1);
	ck_assert_uint_eq(muster_socket_timeout(socket), 4321);
	run_until_count(test_loop, servers.connection, 1);
	ck_assert_uint_eq(muster_socket_timeout(servers.last), 0);
}
END_TEST

/* ---- Encodings. */

static void set_encoding(struct muster_socket *socket, enum muster_encoding encoding)
{
	ck_assert_int_eq(muster_socket_set_encoding(socket, encoding), 0);
}

static void receive_pieces(struct muster_socket *socket, const char *bytes, size_t length)
{
	size_t i;

	(void)socket;
	for (i = 0; i < length; i++) {
		client_send(peer, bytes + i, 1);
		run_until_idle(test_loop);
	}
}

START_TEST(a_character_is_never_split)
{
	struct muster_socket *socket = open_socket();

	set_encoding(socket, MUSTER_ENCODING_UTF8);
	receive_pieces(socket, "\xe2\x82", 2);
	ck_assert_uint_eq(counts.data, 0);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 2);
	receive_pieces(socket, "\xac!", 2);
	ck_assert_str_eq(counts.bytes, "\xe2\x82\xac!");
	ck_assert_uint_eq(counts.data, 2);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 4);
}
END_TEST

START_TEST(what_was_held_back_comes_before_the_end)
{
	struct muster_socket *socket = open_socket();

	set_encoding(socket, MUSTER_ENCODING_UTF8);
	client_send(peer, "a\xe2\x82", 3);
	close_peer();
	run_dry(test_loop);
	ck_assert_str_eq(counts.bytes, "a\xef\xbf\xbd");
	ck_assert_str_eq(counts.order, "data end finish close");
}
END_TEST

static const struct {
	enum muster_encoding encoding;
	const char *text, *wire;
	size_t length;
} codes[] = {
	{ MUSTER_ENCODING_UTF8, "h\xc3\xa9", "h\xc3\xa9", 3 },
	{ MUSTER_ENCODING_UTF16LE, "h\xc3\xa9", "h\0\xe9\0", 4 },
	{ MUSTER_ENCODING_LATIN1, "h\xc3\xa9", "h\xe9", 2 },
	{ MUSTER_ENCODING_ASCII, "hi", "hi", 2 },
	{ MUSTER_ENCODING_HEX, "00ff10", "\0\xff\x10", 3 },
	{ MUSTER_ENCODING_BASE64, "AP8Q", "\0\xff\x10", 3 },
	{ MUSTER_ENCODING_BASE64URL, "AP-_", "\0\xff\xbf", 3 },
};

START_TEST(text_is_sent_and_received_in_each_encoding)
{
	struct muster_socket *socket = open_socket();
	char wire[16];

	ck_assert_int_eq(
		muster_socket_write_encoded(socket, codes[_i].text, strlen(codes[_i].text), codes[_i].encoding), 0);
	client_receive(peer, wire, codes[_i].length);
	ck_assert_mem_eq(wire, codes[_i].wire, codes[_i].length);
	ck_assert_uint_eq(muster_socket_bytes_written(socket), codes[_i].length);
	set_encoding(socket, codes[_i].encoding);
	receive_pieces(socket, codes[_i].wire, codes[_i].length);
	close_peer();
	run_until_count(test_loop, counts.close, 1);
	ck_assert_str_eq(counts.bytes, codes[_i].text);
}
END_TEST

START_TEST(bytes_go_as_they_are_without_an_encoding)
{
	struct muster_socket *socket = open_socket();
	char wire[4];

	ck_assert_int_eq(muster_socket_write_encoded(socket, "\xff\0\xfe", 3, MUSTER_ENCODING_BYTES), 0);
	client_receive(peer, wire, 3);
	ck_assert_mem_eq(wire, "\xff\0\xfe", 3);
	set_encoding(socket, MUSTER_ENCODING_HEX);
	set_encoding(socket, MUSTER_ENCODING_BYTES);
	client_send_text(peer, "\xff\xfe");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "\xff\xfe");
}
END_TEST

START_TEST(an_encoding_that_is_none_is_refused)
{
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_set_encoding(socket, (enum muster_encoding)99), -EINVAL);
	ck_assert_int_eq(muster_socket_write_encoded(socket, "x", 1, (enum muster_encoding)99), -EINVAL);
	client_send_text(peer, "\xff");
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "\xff");
}
END_TEST

START_TEST(encoded_writes_fail_as_others_do)
{
	struct muster_socket *fresh = new_socket(), *socket = open_socket();

	ck_assert_int_eq(muster_socket_write_encoded(fresh, "00", 2, MUSTER_ENCODING_HEX), MUSTER_ECLOSED);
	muster_socket_end(socket);
	ck_assert_int_eq(muster_socket_write_encoded(socket, "00", 2, MUSTER_ENCODING_HEX), MUSTER_EENDED);
	muster_socket_destroy(socket, 0);
	ck_assert_int_eq(muster_socket_write_encoded(socket, "00", 2, MUSTER_ENCODING_HEX), MUSTER_EDESTROYED);
}
END_TEST

START_TEST(an_encoded_write_completes)
{
	static struct write_mark a = { &writes, 'a' };
	struct muster_socket *socket = open_socket();

	ck_assert_int_eq(muster_socket_write_encoded_then(socket, "6869", 4, MUSTER_ENCODING_HEX, count_written, &a),
			 0);
	ck_assert_uint_eq(writes.done, 0);
	run_until_count(test_loop, writes.done, 1);
	client_expect_text(peer, "hi");
}
END_TEST

static void change_encoding(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	static const enum muster_encoding order[] = { MUSTER_ENCODING_LATIN1, MUSTER_ENCODING_HEX,
						      MUSTER_ENCODING_UTF8 };
	unsigned *times = data;
	char copy[8] = { 0 };

	memcpy(copy, bytes, length < sizeof copy ? length : sizeof copy);
	/* Twice: what is being read here must stay. */
	set_encoding(socket, MUSTER_ENCODING_BASE64);
	set_encoding(socket, order[*times % 3]);
	ck_assert_mem_eq(copy, bytes, length < sizeof copy ? length : sizeof copy);
	++*times;
}

START_TEST(the_encoding_may_change_inside_on_data)
{
	static const struct muster_socket_handlers handlers = { .on_data = change_encoding };
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);
	static unsigned times;

	muster_socket_on(socket, &handlers, &times);
	muster_socket_on(socket, &counting_socket, &counts);
	set_encoding(socket, MUSTER_ENCODING_UTF8);
	client_send_text(peer, "a");
	run_until_count(test_loop, times, 1);
	client_send_text(peer, "\xe9");
	run_until_count(test_loop, times, 2);
	client_send_text(peer, "z");
	run_until_count(test_loop, times, 3);
	ck_assert_str_eq(counts.bytes, "a\xc3\xa9"
				       "7a");
}
END_TEST

static void reconnect(struct muster_socket *socket, bool had_error, void *data)
{
	bool *done = data;

	(void)had_error;
	if (!*done)
		ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	*done = true;
}

START_TEST(half_a_character_does_not_reach_the_next_connection)
{
	static const struct muster_socket_handlers handlers = { .on_close = reconnect };
	struct muster_socket *socket = new_socket();
	static bool done;

	muster_socket_on(socket, &handlers, &done);
	set_encoding(socket, MUSTER_ENCODING_UTF8);
	ck_assert_int_eq(muster_socket_connect(socket, &there), 0);
	run_until_count(test_loop, servers.connection, 1);
	muster_socket_write(servers.last, "\xe2\x82", 2);
	run_until_idle(test_loop);
	ck_assert_uint_eq(muster_socket_bytes_read(socket), 2);
	muster_socket_destroy(socket, 0);
	run_until_count(test_loop, servers.connection, 2);
	muster_socket_write(servers.last, "\xc3\xa9", 2);
	run_until_count(test_loop, counts.data, 1);
	ck_assert_str_eq(counts.bytes, "\xc3\xa9");
}
END_TEST

START_TEST(a_destroyed_socket_tells_nothing_held_back)
{
	struct muster_socket *socket = open_socket();

	set_encoding(socket, MUSTER_ENCODING_UTF8);
	receive_pieces(socket, "\xe2", 1);
	muster_socket_destroy(socket, 0);
	set_encoding(socket, MUSTER_ENCODING_HEX);
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "close");
}
END_TEST

static void add_cork_tests(Suite *suite)
{
	TCase *corks = add_loop_case(suite, "corks");

	tcase_add_checked_fixture(corks, serve, close_peer);
	tcase_add_test(corks, what_is_written_corked_leaves_in_one);
	tcase_add_test(corks, corks_are_counted);
	tcase_add_test(corks, uncork_without_a_cork_is_fine);
	tcase_add_test(corks, corked_writes_complete_when_they_are_let_out);
	tcase_add_test(corks, a_corked_socket_needs_drain_as_any_other);
	tcase_add_test(corks, on_drain_comes_when_a_cork_has_let_out_all);
	tcase_add_test(corks, a_cork_set_before_the_connection_holds_after_it);
	tcase_add_test(corks, end_before_the_connection_takes_the_cork_along);
}

/* Without a server: these run dry. */
static void add_last_cork_tests(Suite *suite)
{
	TCase *corks = add_loop_case(suite, "corks and ends");

	tcase_add_checked_fixture(corks, NULL, close_peer);
	tcase_add_test(corks, end_lets_out_what_is_corked);
	tcase_add_test(corks, the_end_of_the_peer_lets_out_what_is_corked);
	tcase_add_test(corks, destroy_drops_what_is_corked);
}

static void add_reset_tests(Suite *suite)
{
	TCase *resets = add_loop_case(suite, "resets");
	TCase *connected = add_loop_case(suite, "resets and connections");

	tcase_add_checked_fixture(resets, NULL, close_peer);
	tcase_add_checked_fixture(connected, serve, NULL);
	tcase_add_test(resets, a_reset_is_an_error_to_the_peer_and_none_here);
	tcase_add_test(resets, a_reset_drops_what_is_queued);
	tcase_add_test(resets, a_reset_of_what_was_never_connected_is_an_error);
	tcase_add_test(resets, a_reset_of_a_unix_socket_is_refused);
	tcase_add_test(resets, a_reset_after_destroy_changes_nothing);
	tcase_add_loop_test(resets, a_reset_inside_a_handler_closes_once, 0, 2);
	tcase_add_test(connected, a_server_resets_its_clients);
	tcase_add_test(connected, a_reset_while_connecting_waits_for_the_connection);
	tcase_add_test(connected, a_reset_while_connecting_in_vain_is_the_failure);
	tcase_add_test(connected, a_reset_of_a_way_to_a_path_is_refused);
}

static void add_tuning_tests(Suite *suite)
{
	TCase *tuning = add_loop_case(suite, "tuning");

	tcase_add_checked_fixture(tuning, serve, close_peer);
	tcase_add_test(tuning, a_type_of_service_is_set_and_read);
	tcase_add_test(tuning, a_type_of_service_above_a_byte_is_refused);
	tcase_add_test(tuning, a_type_of_service_is_remembered_until_connected);
	if (client_has_ipv6())
		tcase_add_test(tuning, a_type_of_service_is_a_traffic_class_on_ipv6);
	tcase_add_test(tuning, a_unix_socket_has_no_type_of_service);
	tcase_add_test(tuning, the_time_out_is_what_it_was_set_to);
	tcase_add_test(tuning, the_time_out_stays_after_it_has_fired);
	tcase_add_test(tuning, the_time_out_of_the_connect_options_is_that_of_the_socket);
}

static void add_encoding_tests(Suite *suite)
{
	TCase *encodings = add_loop_case(suite, "encodings");
	TCase *connected = add_loop_case(suite, "encodings and connections");

	tcase_add_checked_fixture(encodings, NULL, close_peer);
	tcase_add_checked_fixture(connected, serve, NULL);
	tcase_add_test(encodings, a_character_is_never_split);
	tcase_add_test(encodings, what_was_held_back_comes_before_the_end);
	tcase_add_loop_test(encodings, text_is_sent_and_received_in_each_encoding, 0, sizeof codes / sizeof *codes);
	tcase_add_test(encodings, bytes_go_as_they_are_without_an_encoding);
	tcase_add_test(encodings, an_encoding_that_is_none_is_refused);
	tcase_add_test(encodings, encoded_writes_fail_as_others_do);
	tcase_add_test(encodings, an_encoded_write_completes);
	tcase_add_test(encodings, the_encoding_may_change_inside_on_data);
	tcase_add_test(encodings, a_destroyed_socket_tells_nothing_held_back);
	tcase_add_test(connected, half_a_character_does_not_reach_the_next_connection);
}

int main(void)
{
	Suite *suite = suite_create("src/socket_more");

	add_cork_tests(suite);
	add_last_cork_tests(suite);
	add_reset_tests(suite);
	add_tuning_tests(suite);
	add_encoding_tests(suite);
	return run_suite(suite);
}
