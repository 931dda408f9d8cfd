/* tests/src/test_loop.c - what keeps a loop running, the end of a turn, and the end of the loop. */
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <event2/event.h>
#include <muster/error.h>
#include <muster/loop.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Deferred calls. */

static char trace[128];

static void say(void *data)
{
	strcat(trace, data);
}

static void say_and_defer(void *data)
{
	strcat(trace, data);
	ck_assert_int_eq(muster_loop_defer(test_loop, say, "later"), 0);
	strcat(trace, "|");
}

static int defer(void (*fn)(void *data), const char *word)
{
	return muster_loop_defer(test_loop, fn, (void *)word);
}

START_TEST(deferred_calls_come_in_the_order_made)
{
	defer(say, "a");
	defer(say, "b");
	defer(say, "c");
	ck_assert_str_eq(trace, "");
	run_dry(test_loop);
	ck_assert_str_eq(trace, "abc");
}
END_TEST

START_TEST(what_is_deferred_meanwhile_comes_after_the_batch)
{
	defer(say_and_defer, "a");
	defer(say, "b");
	run_dry(test_loop);
	ck_assert_str_eq(trace, "a|blater");
}
END_TEST

/* A deferred call that defers itself for ever, and a descriptor that is ready: the one must not starve the other. */
static bool seen;

static void again_until_seen(void *data)
{
	if (!seen)
		ck_assert_int_eq(muster_loop_defer(test_loop, again_until_seen, data), 0);
}

static void on_pipe(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what, (void)data;
	seen = true;
}

START_TEST(deferring_for_ever_does_not_starve_descriptors)
{
	struct event *event;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	event = event_new(muster_loop_base(test_loop), ends[0], EV_READ, on_pipe, NULL);
	event_add(event, NULL);
	defer(again_until_seen, NULL);
	run_dry(test_loop);
	ck_assert(seen);
	event_free(event);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_call_that_is_never_made_is_freed)
{
	defer(say, "a");
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_str_eq(trace, "");
}
END_TEST

/* ---- Liveness. */

START_TEST(an_empty_loop_returns_at_once)
{
	ck_assert_int_eq(muster_loop_run(test_loop), 0);
	ck_assert_int_eq(muster_loop_run(test_loop), 0);
}
END_TEST

START_TEST(a_fresh_server_or_socket_does_not_keep_the_loop_running)
{
	static struct server_counts counts;

	new_server(test_loop, NULL, &counts);
	ck_assert_ptr_nonnull(muster_socket_new(test_loop, NULL));
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 0);
}
END_TEST

START_TEST(an_event_of_the_users_own_keeps_the_loop_running)
{
	struct timeval soon = { .tv_usec = 1000 };

	event_base_once(muster_loop_base(test_loop), -1, EV_TIMEOUT, on_pipe, NULL, &soon);
	run_dry(test_loop);
	ck_assert(seen);
}
END_TEST

START_TEST(unreferenced_objects_do_not_keep_the_loop_running)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, NULL);

	muster_server_unref(server);
	muster_socket_unref(socket);
	run_dry(test_loop);
	ck_assert(muster_server_is_listening(server));
	ck_assert_int_ge(muster_socket_fd(socket), 0);
	close(peer);
}
END_TEST

static void destroy_server(void *data)
{
	muster_server_destroy(data);
}

START_TEST(ref_takes_unref_back)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);
	int client;

	muster_server_unref(server);
	muster_server_unref(server);
	muster_server_ref(server);
	client = client_connect_port(server_port(server));
	muster_loop_defer(test_loop, destroy_server, server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
	close(client);
}
END_TEST

START_TEST(unref_before_listening_is_remembered)
{
	static struct server_counts counts;
	struct muster_server *server = new_server(test_loop, NULL, &counts);

	muster_server_unref(server);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.listening, 1);
}
END_TEST

START_TEST(an_unreferenced_server_still_serves_while_something_else_runs)
{
	static struct socket_counts sockets;
	static struct server_counts counts = { .sockets = &sockets };
	struct muster_server *server = listening_server(test_loop, &counts);
	int client = client_connect_port(server_port(server));

	muster_server_unref(server);
	client_send_text(client, "x");
	run_until_count(test_loop, sockets.data, 1);
	close(client);
	/* The connection was referenced, and keeps the loop running until it is gone. */
	run_dry(test_loop);
	ck_assert_uint_eq(sockets.close, 1);
	ck_assert(muster_server_is_listening(server));
}
END_TEST

START_TEST(closing_an_unreferenced_server_still_tells)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_server_unref(server);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

/* ---- Stopping. */

static void stop(void *data)
{
	muster_loop_stop(data);
}

START_TEST(stop_makes_run_return_and_run_may_go_on)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);

	defer(stop, (const char *)test_loop);
	run_dry(test_loop);
	ck_assert(muster_server_is_listening(server));
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(stop_before_run_has_no_effect)
{
	static struct server_counts counts;
	struct muster_server *server = listening_server(test_loop, &counts);

	muster_loop_stop(test_loop);
	muster_server_close(server);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.close, 1);
}
END_TEST

START_TEST(stop_lets_the_turn_end)
{
	defer(stop, (const char *)test_loop);
	defer(say, "after");
	run_dry(test_loop);
	ck_assert_str_eq(trace, "after");
}
END_TEST

/* ---- A base that someone else made and drives. */

START_TEST(a_wrapped_base_serves_while_its_owner_drives_it)
{
	struct event_base *base = event_base_new();
	struct muster_loop *loop = muster_loop_wrap(base);
	static struct socket_counts sockets;
	static struct server_counts counts = { .sockets = &sockets };
	struct muster_server *server = new_server(loop, NULL, &counts);
	int client;

	ck_assert_ptr_eq(muster_loop_base(loop), base);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	while (counts.listening == 0)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	client = client_connect_port(server_port(server));
	client_send_text(client, "hello");
	while (sockets.data == 0)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	close(client);
	muster_server_close(server);
	/* With nothing open the base has no events left, and its own dispatch returns. */
	ck_assert_int_eq(event_base_dispatch(base), 1);
	ck_assert_uint_eq(counts.close, 1);
	ck_assert_str_eq(sockets.order, "data end finish close");
	muster_loop_free(loop);
	event_base_free(base);
}
END_TEST

START_TEST(deferred_calls_come_on_a_wrapped_base)
{
	struct event_base *base = event_base_new();
	struct muster_loop *loop = muster_loop_wrap(base);

	muster_loop_defer(loop, say, "a");
	ck_assert_int_eq(event_base_dispatch(base), 1);
	ck_assert_str_eq(trace, "a");
	muster_loop_free(loop);
	event_base_free(base);
}
END_TEST

START_TEST(freeing_a_wrapped_loop_leaves_the_owners_events)
{
	struct event_base *base = event_base_new();
	struct muster_loop *loop = muster_loop_wrap(base);
	struct timeval soon = { .tv_usec = 1000 };

	event_base_once(base, -1, EV_TIMEOUT, on_pipe, NULL, &soon);
	muster_loop_free(loop);
	ck_assert_int_eq(event_base_dispatch(base), 1);
	ck_assert(seen);
	event_base_free(base);
}
END_TEST

/* ---- The end of a loop. */

static struct server_counts server_counts;
static struct socket_counts accepted, connected, waiting;

/* A server with a connection, which has output queued; a socket that connects, and one that looks a name up. */
static void open_everything(void)
{
	struct muster_server *server = listening_server(test_loop, &server_counts);
	struct muster_connect_options there = { .host = "127.0.0.1", .port = server_port(server) };

	server_counts.sockets = &accepted;
	ck_assert_ptr_nonnull(muster_connect(test_loop, &there, &counting_socket, &connected));
	run_until_count(test_loop, server_counts.connection, 1);
	fill_output(server_counts.last, 100000);
	muster_socket_set_timeout(server_counts.last, 1000);
	ck_assert_ptr_nonnull(muster_connect(test_loop, &there, &counting_socket, &waiting));
	there.host = "no.such.name.invalid";
	ck_assert_ptr_nonnull(muster_connect(test_loop, &there, &counting_socket, &waiting));
	ck_assert_ptr_nonnull(muster_socket_new(test_loop, NULL));
	ck_assert_ptr_nonnull(muster_server_new(test_loop, NULL));
}

START_TEST(free_closes_what_is_open_and_tells_it)
{
	open_everything();
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(server_counts.close, 1);
	ck_assert_uint_eq(accepted.close, 1);
	ck_assert_uint_eq(connected.close, 1);
	ck_assert_uint_eq(waiting.close, 2);
	ck_assert_uint_eq(accepted.error + connected.error + waiting.error, 0);
}
END_TEST

START_TEST(free_tells_once_what_is_closing_already)
{
	struct muster_server *server = listening_server(test_loop, &server_counts);
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &accepted);

	muster_server_close(server);
	muster_socket_destroy(socket, 0);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(server_counts.close, 1);
	ck_assert_uint_eq(accepted.close, 1);
	close(peer);
}
END_TEST

START_TEST(free_in_the_middle_of_a_lookup_leaks_nothing)
{
	struct muster_server *server = new_server(test_loop, NULL, &server_counts);
	struct muster_connect_options there = { .host = "no.such.name.invalid", .port = 1 };
	struct muster_socket *socket = muster_connect(test_loop, &there, &counting_socket, &waiting);

	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = there.host }), 0);
	muster_socket_destroy(socket, 0);
	muster_server_close(server);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(waiting.close, 1);
	ck_assert_uint_eq(server_counts.close, 1);
}
END_TEST

/* To end its requests the resolver needs turns of the base: nothing else may come of them. */
START_TEST(free_in_the_middle_of_a_lookup_makes_no_deferred_call)
{
	struct muster_connect_options there = { .host = "no.such.name.invalid", .port = 1 };

	ck_assert_ptr_nonnull(muster_connect(test_loop, &there, &counting_socket, &waiting));
	defer(say, "not said");
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(waiting.close, 1);
	ck_assert_str_eq(trace, "");
}
END_TEST

static struct muster_server *sleeper;
static struct muster_socket *dozer;

static void try_to_open_things(struct muster_server *server, void *data)
{
	int fds[2];

	(void)server, (void)data;
	ck_assert_ptr_null(muster_server_new(test_loop, NULL));
	ck_assert_int_eq(muster_last_error(), MUSTER_ECLOSED);
	ck_assert_ptr_null(muster_socket_new(test_loop, NULL));
	ck_assert_int_eq(muster_last_error(), MUSTER_ECLOSED);
	client_pair(fds);
	ck_assert_ptr_null(muster_socket_open(test_loop, fds[0], NULL));
	ck_assert_int_eq(muster_last_error(), MUSTER_ECLOSED);
	close(fds[1]);
	ck_assert_ptr_null(muster_connect(test_loop, &(struct muster_connect_options){ .port = 1 }, NULL, NULL));
	ck_assert_int_eq(muster_server_listen(sleeper, NULL), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_server_listen(server, NULL), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_socket_connect(dozer, &(struct muster_connect_options){ .port = 1 }), MUSTER_ECLOSED);
	ck_assert_int_eq(muster_loop_defer(test_loop, say, "x"), MUSTER_ECLOSED);
	strcat(trace, "tried");
}

START_TEST(nothing_can_be_opened_while_a_loop_is_freed)
{
	static const struct muster_server_handlers handlers = { .on_close = try_to_open_things };
	struct muster_server *server;

	/* Older objects are abandoned later: these two still live in the handler. */
	sleeper = muster_server_new(test_loop, NULL);
	dozer = muster_socket_new(test_loop, NULL);
	server = listening_server(test_loop, &server_counts);
	muster_server_on(server, &handlers, NULL);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_str_eq(trace, "tried");
}
END_TEST

static void destroy_everything(struct muster_server *server, void *data)
{
	muster_server_destroy(server);
	muster_socket_destroy(data, 0);
	muster_socket_destroy(data, -EIO);
}

START_TEST(on_close_may_destroy_others_while_a_loop_is_freed)
{
	static const struct muster_server_handlers handlers = { .on_close = destroy_everything };
	int peer;
	struct muster_socket *socket = socket_with_peer(test_loop, &peer, &accepted);
	struct muster_server *server = listening_server(test_loop, &server_counts);

	muster_server_on(server, &handlers, socket);
	muster_loop_free(test_loop);
	test_loop = NULL;
	ck_assert_uint_eq(server_counts.close, 1);
	ck_assert_uint_eq(accepted.close, 1);
	close(peer);
}
END_TEST

START_TEST(free_of_no_loop_is_fine)
{
	muster_loop_free(NULL);
}
END_TEST

START_TEST(a_loop_without_descriptors_is_no_loop)
{
	descriptors_exhaust(0);
	ck_assert_ptr_null(muster_loop_new());
	ck_assert_int_eq(errno, EMFILE);
	descriptors_release();
}
END_TEST

START_TEST(loops_do_not_meet)
{
	struct muster_loop *other = muster_loop_new();
	static struct server_counts here, there;
	struct muster_server *a = listening_server(test_loop, &here);
	struct muster_server *b = listening_server(other, &there);

	muster_server_close(a);
	run_dry(test_loop);
	ck_assert_uint_eq(there.close, 0);
	muster_server_close(b);
	run_dry(other);
	ck_assert_uint_eq(here.close, 1);
	ck_assert_uint_eq(there.close, 1);
	muster_loop_free(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("src/loop");
	TCase *deferred = add_loop_case(suite, "deferred calls");
	TCase *liveness = add_loop_case(suite, "liveness");
	TCase *stopping = add_loop_case(suite, "stopping");
	TCase *wrapped = add_case(suite, "wrapped base");
	TCase *end = add_loop_case(suite, "end");

	tcase_add_test(deferred, deferred_calls_come_in_the_order_made);
	tcase_add_test(deferred, what_is_deferred_meanwhile_comes_after_the_batch);
	tcase_add_test(deferred, deferring_for_ever_does_not_starve_descriptors);
	tcase_add_test(deferred, a_call_that_is_never_made_is_freed);
	tcase_add_test(liveness, an_empty_loop_returns_at_once);
	tcase_add_test(liveness, a_fresh_server_or_socket_does_not_keep_the_loop_running);
	tcase_add_test(liveness, an_event_of_the_users_own_keeps_the_loop_running);
	tcase_add_test(liveness, unreferenced_objects_do_not_keep_the_loop_running);
	tcase_add_test(liveness, ref_takes_unref_back);
	tcase_add_test(liveness, unref_before_listening_is_remembered);
	tcase_add_test(liveness, an_unreferenced_server_still_serves_while_something_else_runs);
	tcase_add_test(liveness, closing_an_unreferenced_server_still_tells);
	tcase_add_test(stopping, stop_makes_run_return_and_run_may_go_on);
	tcase_add_test(stopping, stop_before_run_has_no_effect);
	tcase_add_test(stopping, stop_lets_the_turn_end);
	tcase_add_test(wrapped, a_wrapped_base_serves_while_its_owner_drives_it);
	tcase_add_test(wrapped, deferred_calls_come_on_a_wrapped_base);
	tcase_add_test(wrapped, freeing_a_wrapped_loop_leaves_the_owners_events);
	tcase_add_test(end, free_closes_what_is_open_and_tells_it);
	tcase_add_test(end, free_tells_once_what_is_closing_already);
	tcase_add_test(end, free_in_the_middle_of_a_lookup_leaks_nothing);
	tcase_add_test(end, free_in_the_middle_of_a_lookup_makes_no_deferred_call);
	tcase_add_test(end, nothing_can_be_opened_while_a_loop_is_freed);
	tcase_add_test(end, on_close_may_destroy_others_while_a_loop_is_freed);
	tcase_add_test(end, free_of_no_loop_is_fine);
	tcase_add_test(end, a_loop_without_descriptors_is_no_loop);
	tcase_add_test(end, loops_do_not_meet);
	return run_suite(suite);
}
