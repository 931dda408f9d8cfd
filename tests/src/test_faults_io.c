/*
 * tests/src/test_faults_io.c - system calls that fail, at each place where they are made: what can be tried again is,
 * and what cannot is told once.
 */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/faults.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <event2/event.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void finish(void)
{
	faults_end();
	ck_assert_uint_eq(faults_unsafe_sends(), 0);
}

/* ---- An echo between two sockets of ours, which writes in pieces and waits for on_drain as one should. */

#define PIECE 10000

struct echo {
	size_t length, written, received;
	unsigned pieces, done, failed, owed, drains;
	bool bad;
	struct server_counts server;
	struct socket_counts client;
};

static void piece_done(struct muster_socket *socket, int err, void *data)
{
	struct echo *echo = data;

	(void)socket;
	echo->done++;
	echo->failed += err != 0;
}

static void write_on(struct muster_socket *socket, struct echo *echo)
{
	char piece[PIECE];
	size_t length;

	while (echo->written < echo->length && !muster_socket_needs_drain(socket)) {
		length = echo->length - echo->written < PIECE ? echo->length - echo->written : PIECE;
		pattern_fill(piece, echo->written, length);
		echo->written += length;
		echo->pieces++;
		echo->bad |= muster_socket_write_then(socket, piece, length, piece_done, echo) != 0;
	}
	if (echo->written < echo->length)
		echo->owed++;
	else
		echo->bad |= muster_socket_end(socket) != 0;
}

static void echo_connect(struct muster_socket *socket, void *data)
{
	write_on(socket, data);
}

static void echo_drain(struct muster_socket *socket, void *data)
{
	struct echo *echo = data;

	echo->drains++;
	echo->bad |= echo->drains != echo->owed || muster_socket_buffered(socket) != 0;
	write_on(socket, echo);
}

static void echo_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	struct echo *echo = data;

	(void)socket;
	echo->bad |= !pattern_matches(bytes, echo->received, length);
	echo->received += length;
}

static const struct muster_socket_handlers echo_client = {
	.on_connect = echo_connect,
	.on_drain = echo_drain,
	.on_data = echo_data,
};

static void pipe_back(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)data;
	muster_socket_pipe(socket, socket);
	muster_server_close(server);
}

static const struct muster_server_handlers echo_server = { .on_connection = pipe_back };

/* All of it under the plan; the promises are those of an echo without faults. */
static void run_echo(struct echo *echo, size_t length, const struct faults_plan *plan)
{
	struct muster_server *server;
	struct muster_socket *client;
	struct muster_connect_options to = { .host = "127.0.0.1" };

	*echo = (struct echo){ .length = length };
	server = listening_server(test_loop, &echo->server);
	ck_assert_int_eq(muster_server_on(server, &echo_server, echo), 0);
	to.port = server_port(server);
	client = muster_connect(test_loop, &to, &echo_client, echo);
	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(muster_socket_on(client, &counting_socket, &echo->client), 0);
	faults_begin(plan);
	run_dry(test_loop);
	faults_end();
	ck_assert(!echo->bad);
	ck_assert_uint_eq(echo->received, length);
	ck_assert_uint_eq(echo->done, echo->pieces);
	ck_assert_uint_eq(echo->failed, 0);
	ck_assert_uint_eq(echo->drains, echo->owed);
	ck_assert_uint_eq(echo->client.finish, 1);
	ck_assert_uint_eq(echo->client.end, 1);
	ck_assert_uint_eq(echo->client.close, 1);
	ck_assert_uint_eq(echo->client.error + echo->client.bad_close, 0);
	ck_assert_uint_eq(echo->server.connection, 1);
	ck_assert_uint_eq(echo->server.error, 0);
	ck_assert_uint_eq(echo->server.close, 1);
}

static const size_t limits[] = { 1, 7, 100 };

START_TEST(an_echo_arrives_whole_however_little_the_kernel_takes_at_a_time)
{
	struct faults_plan plan = { .limit = limits[_i] };
	struct echo echo;

	run_echo(&echo, 200 * 1000, &plan);
	ck_assert_uint_gt(echo.drains, 1);
}
END_TEST

static const struct again {
	unsigned call, times;
	int err;
} agains[] = {
	{ FAULTS_SEND, 1, EAGAIN },   { FAULTS_SENDMSG, 1, EAGAIN }, { FAULTS_RECV, 1, EAGAIN },
	{ FAULTS_ACCEPT, 1, EAGAIN }, { FAULTS_SEND, 9, EAGAIN },    { FAULTS_SENDMSG, 9, EAGAIN },
	{ FAULTS_RECV, 9, EAGAIN },   { FAULTS_ACCEPT, 9, EAGAIN },  { FAULTS_SEND, 1, EINTR },
	{ FAULTS_SENDMSG, 1, EINTR }, { FAULTS_RECV, 1, EINTR },     { FAULTS_ACCEPT, 1, EINTR },
	{ FAULTS_SEND, 9, EINTR },    { FAULTS_SENDMSG, 9, EINTR },  { FAULTS_RECV, 9, EINTR },
	{ FAULTS_ACCEPT, 9, EINTR },
};

START_TEST(a_call_that_asks_to_be_made_again_is_made_again_wherever_it_happens)
{
	const struct again *again = &agains[_i];
	struct faults_plan plan = { .calls = again->call, .times = again->times, .err = again->err, .limit = 4096 };
	struct echo echo;

	do {
		plan.at++;
		run_echo(&echo, 100 * 1000, &plan);
	} while (faults_failed() > 0);
	/* The run without a failure is the last, and there is one call at least. */
	ck_assert_uint_ge(plan.at, 2);
}
END_TEST

/* ---- Failures of the connection, in each state it can be in. */

/* What a state sets up: sockets that the driver looks at when the failure is through. */
struct scene {
	struct muster_socket *socket, *other;
	int peer, other_peer;
	struct socket_counts counts, other_counts;
	struct write_counts writes;
	unsigned expected; /* completions that are owed to the failure */
	const char *call;  /* what on_error names */
	bool other_lives;  /* `other` is there, and goes on */
	struct faults_plan plan;
};

static struct write_mark mark;

static void start(struct scene *scene, bool half_open)
{
	struct muster_socket_options options = { .allow_half_open = half_open };

	scene->socket = socket_with_options(test_loop, &options, &scene->peer, &scene->counts);
	mark = (struct write_mark){ &scene->writes, 'a' };
	run_until_idle(test_loop);
}

/* From here on the calls fail: those of the socket alone. */
static void begin_failing(struct scene *scene, unsigned call, const char *name)
{
	scene->call = name;
	scene->plan.calls = call;
	scene->plan.at = 1;
	scene->plan.times = FAULTS_FOREVER;
	scene->plan.fd = muster_socket_fd(scene->socket);
	faults_begin(&scene->plan);
}

static void write_marked(struct scene *scene, size_t length)
{
	static const char bytes[4096];

	ck_assert_int_eq(muster_socket_write_then(scene->socket, bytes, length, count_written, &mark), 0);
	scene->expected++;
}

/* A queue, of which the first bytes have been taken. */
static void queue_marked(struct scene *scene)
{
	struct faults_plan some = { .limit = 10 };

	faults_begin(&some);
	write_marked(scene, 1000);
	write_marked(scene, 1000);
	faults_end();
	ck_assert_uint_eq(muster_socket_buffered(scene->socket), 1990);
}

/* A queue that the kernel takes nothing of for now. */
static void stuff(struct scene *scene)
{
	fill_output(scene->socket, 1 << 20);
	write_marked(scene, 1000);
	run_until_idle(test_loop);
}

static void while_idle(struct scene *scene)
{
	start(scene, false);
	begin_failing(scene, FAULTS_RECV, "read");
	client_send_text(scene->peer, "x");
}

static void while_the_peer_ends(struct scene *scene)
{
	start(scene, false);
	begin_failing(scene, FAULTS_RECV, "read");
	shutdown(scene->peer, SHUT_WR);
}

static void at_a_write(struct scene *scene)
{
	start(scene, false);
	begin_failing(scene, FAULTS_SEND, "write");
	write_marked(scene, 100);
}

static void with_a_queue(struct scene *scene)
{
	start(scene, false);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
}

static void reading_with_a_queue(struct scene *scene)
{
	start(scene, false);
	stuff(scene);
	begin_failing(scene, FAULTS_RECV, "read");
	client_send_text(scene->peer, "x");
}

static void uncorking(struct scene *scene)
{
	start(scene, false);
	muster_socket_cork(scene->socket);
	write_marked(scene, 100);
	write_marked(scene, 100);
	begin_failing(scene, FAULTS_SENDMSG, "write");
	muster_socket_uncork(scene->socket);
}

static void after_our_end(struct scene *scene)
{
	start(scene, true);
	ck_assert_int_eq(muster_socket_end(scene->socket), 0);
	run_until_count(test_loop, scene->counts.finish, 1);
	begin_failing(scene, FAULTS_RECV, "read");
	client_send_text(scene->peer, "x");
}

static void peer_ends(struct scene *scene)
{
	start(scene, true);
	shutdown(scene->peer, SHUT_WR);
	run_until_count(test_loop, scene->counts.end, 1);
}

static void after_the_peers_end(struct scene *scene)
{
	peer_ends(scene);
	begin_failing(scene, FAULTS_SEND, "write");
	write_marked(scene, 100);
}

static void after_the_peers_end_with_a_queue(struct scene *scene)
{
	peer_ends(scene);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
}

static void while_paused(struct scene *scene)
{
	start(scene, false);
	muster_socket_pause(scene->socket);
	run_until_idle(test_loop);
	begin_failing(scene, FAULTS_SEND, "write");
	write_marked(scene, 100);
}

static void while_paused_with_a_queue(struct scene *scene)
{
	start(scene, false);
	muster_socket_pause(scene->socket);
	run_until_idle(test_loop);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
}

static void when_resumed(struct scene *scene)
{
	start(scene, false);
	muster_socket_pause(scene->socket);
	client_send_text(scene->peer, "x");
	run_until_idle(test_loop);
	begin_failing(scene, FAULTS_RECV, "read");
	muster_socket_resume(scene->socket);
}

static void at_an_end_with_bytes(struct scene *scene)
{
	start(scene, false);
	begin_failing(scene, FAULTS_SEND, "write");
	ck_assert_int_eq(muster_socket_end_then(scene->socket, "x", 1, count_written, &mark), 0);
	scene->expected++;
}

static void during_an_end(struct scene *scene)
{
	start(scene, false);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
	ck_assert_int_eq(muster_socket_end(scene->socket), 0);
}

static void reading_during_an_end(struct scene *scene)
{
	start(scene, false);
	stuff(scene);
	ck_assert_int_eq(muster_socket_end(scene->socket), 0);
	begin_failing(scene, FAULTS_RECV, "read");
	client_send_text(scene->peer, "x");
}

static void while_it_is_to_close_soon(struct scene *scene)
{
	start(scene, false);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
	muster_socket_destroy_soon(scene->socket);
}

/* The failing socket is one end of a pipe, and the other end outlives it. */
static void start_pipe(struct scene *scene, bool as_target)
{
	start(scene, false);
	scene->other = socket_with_peer(test_loop, &scene->other_peer, &scene->other_counts);
	scene->other_lives = true;
	if (as_target)
		ck_assert_int_eq(muster_socket_pipe(scene->other, scene->socket), 0);
	else
		ck_assert_int_eq(muster_socket_pipe(scene->socket, scene->other), 0);
	run_until_idle(test_loop);
}

static void as_a_source(struct scene *scene)
{
	start_pipe(scene, false);
	begin_failing(scene, FAULTS_RECV, "read");
	client_send_text(scene->peer, "x");
}

static void as_a_target(struct scene *scene)
{
	start_pipe(scene, true);
	begin_failing(scene, FAULTS_SEND, "write");
	client_send_text(scene->other_peer, "x");
}

static void as_a_target_with_a_queue(struct scene *scene)
{
	start_pipe(scene, true);
	queue_marked(scene);
	begin_failing(scene, FAULTS_SENDMSG, "write");
	client_send_text(scene->other_peer, "x");
}

static void as_both_ends(struct scene *scene)
{
	start(scene, false);
	ck_assert_int_eq(muster_socket_pipe(scene->socket, scene->socket), 0);
	begin_failing(scene, FAULTS_SEND, "write");
	client_send_text(scene->peer, "x");
}

static void (*const states[])(struct scene *scene) = {
	while_idle,
	while_the_peer_ends,
	at_a_write,
	with_a_queue,
	reading_with_a_queue,
	uncorking,
	after_our_end,
	after_the_peers_end,
	after_the_peers_end_with_a_queue,
	while_paused,
	while_paused_with_a_queue,
	when_resumed,
	at_an_end_with_bytes,
	during_an_end,
	reading_during_an_end,
	while_it_is_to_close_soon,
	as_a_source,
	as_a_target,
	as_a_target_with_a_queue,
	as_both_ends,
};

static const int fatal[] = { ECONNRESET, EPIPE, ETIMEDOUT };

/* `other` has seen nothing of the failure, and works. */
static void check_other(struct scene *scene)
{
	char end[1];

	faults_end();
	ck_assert_uint_eq(scene->other_counts.error + scene->other_counts.close, 0);
	client_send_text(scene->other_peer, "y");
	ck_assert_int_eq(muster_socket_end_with(scene->other, "z", 1), 0);
	client_expect_text(scene->other_peer, "z");
	ck_assert_int_eq(recv(scene->other_peer, end, 1, 0), 0);
	muster_socket_resume(scene->other);
	close(scene->other_peer);
	run_until_count(test_loop, scene->other_counts.close, 1);
	ck_assert_uint_eq(scene->other_counts.bad_close, 0);
}

START_TEST(a_connection_that_fails_tells_it_once_and_closes_in_every_state)
{
	void (*state)(struct scene * scene) = states[_i / COUNT_OF(fatal)];
	struct scene scene = { .plan.err = fatal[_i % COUNT_OF(fatal)], .peer = -1 };

	state(&scene);
	/* Never from inside a call. */
	ck_assert_uint_eq(scene.counts.error + scene.counts.close + scene.writes.done, 0);
	run_until_count(test_loop, scene.counts.close, 1);
	run_until_idle(test_loop);
	ck_assert_uint_ge(faults_failed(), 1);
	ck_assert_uint_eq(scene.counts.error, 1);
	ck_assert_int_eq(scene.counts.last_error.code, -scene.plan.err);
	ck_assert_str_eq(scene.counts.last_error.call, scene.call);
	ck_assert_uint_eq(scene.counts.close, 1);
	ck_assert_uint_eq(scene.counts.bad_close, 1);
	ck_assert_uint_eq(scene.writes.done, scene.expected);
	ck_assert_uint_eq(scene.writes.failed, scene.expected);
	if (scene.other_lives)
		check_other(&scene);
	close(scene.peer);
	run_dry(test_loop);
}
END_TEST

START_TEST(a_write_to_a_peer_who_is_gone_raises_no_signal)
{
	static struct socket_counts counts;
	static char bytes[1 << 20];
	struct faults_plan nothing = { 0 };
	struct muster_socket *socket;
	int peer;

	/* SIGPIPE is at its default here and would end the test. */
	socket = socket_with_peer(test_loop, &peer, &counts);
	faults_begin(&nothing);
	muster_socket_pause(socket);
	client_reset(peer);
	while (!muster_socket_is_destroyed(socket))
		ck_assert_int_eq(muster_socket_write(socket, bytes, sizeof bytes), 0);
	ck_assert_uint_eq(counts.error, 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_uint_eq(counts.bad_close, 1);
}
END_TEST

/* ---- A server whose accept fails. */

static void turn_for(unsigned ms)
{
	uint64_t end = clock_ms() + ms;

	while (clock_ms() < end) {
		const struct timeval soon = { .tv_usec = 10000 };

		event_base_loopexit(muster_loop_base(test_loop), &soon);
		ck_assert_int_ge(event_base_dispatch(muster_loop_base(test_loop)), 0);
	}
}

/* A client that has come is served. */
static void expect_service(struct server_counts *counts, int client)
{
	run_until_count(test_loop, counts->connection, 1);
	ck_assert_ptr_nonnull(counts->last);
	ck_assert_int_eq(muster_socket_write(counts->last, "hello", 5), 0);
	client_expect_text(client, "hello");
	close(client);
}

static const int exhausted[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM };

START_TEST(a_server_that_cannot_accept_tells_it_waits_and_goes_on)
{
	static struct server_counts counts;
	struct faults_plan plan = { FAULTS_ACCEPT, .at = 1, .times = FAULTS_FOREVER, .err = exhausted[_i] };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	faults_begin(&plan);
	turn_for(1300);
	/* One try in 100 ms; told at most once a second. */
	ck_assert_uint_ge(faults_failed(), 2);
	ck_assert_uint_le(faults_failed(), 15);
	faults_end();
	ck_assert_uint_ge(counts.error, 1);
	ck_assert_uint_le(counts.error, 2);
	ck_assert_int_eq(counts.last_error.code, -exhausted[_i]);
	ck_assert_str_eq(counts.last_error.call, "accept");
	ck_assert_uint_eq(counts.close + counts.connection, 0);
	ck_assert(muster_server_is_listening(server));
	expect_service(&counts, client);
}
END_TEST

static const int aborted[] = { ECONNABORTED, EPROTO };

START_TEST(a_connection_that_was_aborted_is_passed_over_without_a_word)
{
	static struct server_counts counts;
	struct faults_plan plan = { FAULTS_ACCEPT, .at = 1, .times = 10, .err = aborted[_i] };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	faults_begin(&plan);
	run_until_count(test_loop, counts.connection, 1);
	ck_assert_uint_eq(faults_failed(), 10);
	ck_assert_uint_eq(counts.error, 0);
	expect_service(&counts, client);
}
END_TEST

START_TEST(a_server_does_not_spin_when_all_are_aborted)
{
	static struct server_counts counts;
	struct faults_plan plan = { FAULTS_ACCEPT, .at = 1, .times = FAULTS_FOREVER, .err = aborted[_i] };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	faults_begin(&plan);
	turn_for(500);
	/* A turn's worth in 100 ms. */
	ck_assert_uint_le(faults_failed(), 7 * 64);
	faults_end();
	ck_assert(muster_server_is_listening(server));
	expect_service(&counts, client);
}
END_TEST

START_TEST(a_server_that_gets_no_socket_tells_it_and_may_listen_again)
{
	static struct server_counts counts;
	struct faults_plan plan = { FAULTS_SOCKET, .at = 1, .err = EMFILE };
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	faults_begin(&plan);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	faults_end();
	ck_assert_str_eq(counts.order, "");
	run_dry(test_loop);
	ck_assert_str_eq(counts.order, "error");
	ck_assert_int_eq(counts.last_error.code, -EMFILE);
	ck_assert_str_eq(counts.last_error.call, "socket");
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_until_count(test_loop, counts.listening, 1);
}
END_TEST

/* ---- Connections that fail at once. */

static const int refused[] = { EMFILE, EACCES, EADDRNOTAVAIL, ENETUNREACH };
static const unsigned ways[] = { FAULTS_SOCKET, FAULTS_CONNECT };

START_TEST(a_connection_that_fails_at_once_tells_it_later)
{
	static struct socket_counts counts;
	static struct write_counts writes;
	struct write_mark written = { &writes, 'a' };
	struct faults_plan plan = { ways[_i % 2], .at = 1, .times = FAULTS_FOREVER, .err = refused[_i / 2] };
	struct muster_connect_options to = { .host = "127.0.0.1", .port = client_free_port() };
	struct muster_socket *socket;

	faults_begin(&plan);
	socket = muster_connect(test_loop, &to, &counting_socket, &counts);
	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(muster_socket_write_then(socket, "x", 1, count_written, &written), 0);
	ck_assert_int_eq(muster_socket_end(socket), 0);
	ck_assert_str_eq(counts.order, "");
	run_dry(test_loop);
	ck_assert_uint_ge(faults_failed(), 1);
	/* localhost may be looked up in between, but nothing else is told. */
	ck_assert_str_eq(counts.order, "error close");
	ck_assert_uint_eq(counts.error, 1);
	ck_assert_int_eq(counts.last_error.code, -refused[_i / 2]);
	ck_assert_str_eq(counts.last_error.call, "connect");
	ck_assert_uint_eq(counts.last_error.address.port, to.port);
	ck_assert_uint_eq(counts.bad_close, 1);
	ck_assert_uint_eq(writes.done, 1);
	ck_assert_uint_eq(writes.failed, 1);
}
END_TEST

static int two_addresses(const char *host, int family, int hints, struct muster_lookup *reply, void *data)
{
	static const struct muster_address both[] = {
		{ .family = 4, .text = "127.0.0.2", .length = 9 },
		{ .family = 4, .text = "127.0.0.1", .length = 9 },
	};

	(void)host, (void)family, (void)hints, (void)data;
	muster_lookup_answer(reply, 0, both, 2);
	return 0;
}

START_TEST(an_address_that_fails_at_once_leaves_the_next_to_be_tried)
{
	static struct socket_counts counts;
	struct faults_plan plan = { ways[_i % 2], .at = 1, .err = refused[_i / 2] };
	int listener = client_listen(1), served;
	struct muster_connect_options to = { .host = "two.test", .lookup = two_addresses };
	struct muster_socket *socket;

	to.port = client_port_of(listener);
	faults_begin(&plan);
	socket = muster_connect(test_loop, &to, &counting_socket, &counts);
	ck_assert_ptr_nonnull(socket);
	run_until_count(test_loop, counts.connect, 1);
	ck_assert_uint_eq(faults_failed(), 1);
	faults_end();
	ck_assert_uint_eq(counts.error, 0);
	served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(served, 0);
	close(served);
	close(listener);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.bad_close, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/faults_io");
	TCase *echoes = add_loop_case(suite, "echoes");
	TCase *failures = add_loop_case(suite, "failures");
	TCase *servers = add_loop_case(suite, "servers");
	TCase *connects = add_loop_case(suite, "connects");

	faults_init();
	tcase_add_checked_fixture(echoes, NULL, finish);
	tcase_add_checked_fixture(failures, NULL, finish);
	tcase_add_checked_fixture(servers, NULL, finish);
	tcase_add_checked_fixture(connects, NULL, finish);
	tcase_add_loop_test(echoes, an_echo_arrives_whole_however_little_the_kernel_takes_at_a_time, 0,
			    COUNT_OF(limits));
	tcase_add_loop_test(echoes, a_call_that_asks_to_be_made_again_is_made_again_wherever_it_happens, 0,
			    COUNT_OF(agains));
	tcase_add_loop_test(failures, a_connection_that_fails_tells_it_once_and_closes_in_every_state, 0,
			    COUNT_OF(states) * COUNT_OF(fatal));
	tcase_add_test(failures, a_write_to_a_peer_who_is_gone_raises_no_signal);
	tcase_add_loop_test(servers, a_server_that_cannot_accept_tells_it_waits_and_goes_on, 0, COUNT_OF(exhausted));
	tcase_add_loop_test(servers, a_connection_that_was_aborted_is_passed_over_without_a_word, 0, COUNT_OF(aborted));
	tcase_add_loop_test(servers, a_server_does_not_spin_when_all_are_aborted, 0, COUNT_OF(aborted));
	tcase_add_test(servers, a_server_that_gets_no_socket_tells_it_and_may_listen_again);
	tcase_add_loop_test(connects, a_connection_that_fails_at_once_tells_it_later, 0,
			    COUNT_OF(refused) * COUNT_OF(ways));
	tcase_add_loop_test(connects, an_address_that_fails_at_once_leaves_the_next_to_be_tried, 0,
			    COUNT_OF(refused) * COUNT_OF(ways));
	return run_suite(suite);
}
