/* tests/ipc/test_child_process.c - children with a channel: functions of ours, programs, and Node on either side. */
#include "ipc/fdpass.h"

#include "tests/support/channels.h"
#include "tests/support/client.h"
#include "tests/support/counts.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/net.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <muster/muster.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NODE_CHILD TEST_SOURCE_DIR "/tests/node/child.js"
#define NODE_PARENT TEST_SOURCE_DIR "/tests/node/parent.js"
/* Our child as a program of its own. */
#define MUSTER_CHILD TEST_BUILD_DIR "/tests/node/child"

#define NOBODY 65534

static struct channel_counts counts;

/* What it sends back on a socket: the addresses that this has. */
static void tell_addresses(struct muster_socket *socket)
{
	struct muster_address address;
	char text[400];
	size_t used;

	if (muster_socket_remote_address(socket, &address) < 0)
		_exit(9);
	used = muster_address_format(&address, text, sizeof text);
	text[used++] = ' ';
	if (muster_socket_local_address(socket, &address) < 0)
		_exit(9);
	used += muster_address_format(&address, text + used, sizeof text - used);
	muster_socket_write(socket, text, used);
}

/* ---- in the test's process */

static struct muster_child *spawn_with(const struct muster_child_options *options)
{
	struct muster_child *child = muster_child_spawn(test_loop, options);

	ck_assert_msg(child != NULL, "muster_child_spawn: %s", strerror(errno));
	ck_assert_int_eq(muster_child_on(child, &counting_child, &counts), 0);
	return child;
}

static struct muster_child *spawn(muster_child_function function, void *data)
{
	return spawn_with(&(struct muster_child_options){ .function = function, .data = data });
}

static struct muster_child *execute(const char *const *exec)
{
	return spawn_with(&(struct muster_child_options){ .exec = exec });
}

#define EXEC(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) EXEC("/bin/sh", "-c", script)

static int tell(struct muster_child *child, const char *json)
{
	return say(muster_child_channel(child), json);
}

/* It is gone, with all that was its; each end has been told once. */
static void expect_end(int code, int signal)
{
	run_dry(test_loop);
	ck_assert_uint_eq(counts.disconnect, 1);
	ck_assert_uint_eq(counts.exit, 1);
	ck_assert_int_eq(counts.code, code);
	ck_assert_int_eq(counts.signal, signal);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static void leave(struct muster_child *child)
{
	ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(child)), 0);
	expect_end(0, 0);
}

static struct socket_counts of_out, of_err;

static struct muster_child *spawn_silent(const char *const *exec)
{
	struct muster_child *child = spawn_with(&(struct muster_child_options){ .exec = exec, .silent = true });

	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 1), &counting_socket, &of_out), 0);
	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 2), &counting_socket, &of_err), 0);
	return child;
}

static void expect_output(const char *out, const char *err)
{
	ck_assert_str_eq(of_out.bytes, out);
	ck_assert_str_eq(of_err.bytes, err);
	ck_assert_uint_eq(of_out.end, 1);
	ck_assert_uint_eq(of_out.close, 1);
	ck_assert_uint_eq(of_out.error, 0);
	ck_assert_uint_eq(of_err.end, 1);
	ck_assert_uint_eq(of_err.close, 1);
	ck_assert_uint_eq(of_err.error, 0);
}

/* ---- functions that children run */

static int mirror(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = send_back };

	return muster_channel_on(parent, &on, data);
}

/* The int that is sent is what it returns. */
static int return_it(struct muster_channel *parent, void *data)
{
	(void)parent;
	return *(const int *)data;
}

static int exit_with_it(struct muster_channel *parent, void *data)
{
	(void)parent;
	_exit(*(const int *)data);
}

static void stay(struct muster_channel *parent, void *data)
{
	(void)parent, (void)data;
	for (;;)
		pause();
}

/* Closes the channel, and lives on. */
static int leave_and_stay(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_disconnect = stay };

	return muster_channel_on(parent, &on, data) < 0 ? -ENOMEM : muster_channel_disconnect(parent);
}

/* ---- messages */

START_TEST(messages_go_there_and_back)
{
	struct muster_child *child = spawn(mirror, NULL);
	unsigned i;

	ck_assert_int_gt(muster_child_pid(child), 0);
	for (i = 1; i <= 100; i++) {
		ck_assert_int_eq(tell(child, "[\"ping\",{}]"), 0);
		run_until_count(test_loop, counts.message, i);
	}
	ck_assert_ptr_nonnull(strstr(counts.said, "[\"ping\",{}] [\"ping\",{}] "));
	leave(child);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

START_TEST(a_megabyte_goes_there_and_back)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length };
	struct muster_child *child = spawn(mirror, NULL);

	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	free(text);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_uint_eq(counts.length, length);
	leave(child);
}
END_TEST

static int say_a_megabyte(struct muster_channel *parent, void *data)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	int err = muster_channel_send(parent, &(struct muster_message){ .text = text, .length = length });

	(void)data;
	free(text);
	return err;
}

START_TEST(a_child_that_returns_has_said_all_it_had_to_say)
{
	spawn(say_a_megabyte, NULL);
	expect_end(0, 0);
	ck_assert_uint_eq(counts.message, 1);
	ck_assert_uint_eq(counts.length, 1024 * 1024);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

#define LAST_WORDS 2000

static void end_with_the_last(int err, void *data)
{
	static unsigned sent;

	(void)data;
	if (err < 0 || ++sent == LAST_WORDS)
		_exit(err < 0 ? 9 : 3);
}

static int say_much_and_die(struct muster_channel *parent, void *data)
{
	struct muster_message message = { .text = "1", .length = 1, .on_sent = end_with_the_last, .data = data };
	unsigned i;
	int err = 0;

	for (i = 0; i < LAST_WORDS && err == 0; i++)
		err = muster_channel_send(parent, &message);
	return err;
}

START_TEST(what_a_child_said_before_its_death_comes_before_on_exit)
{
	spawn(say_much_and_die, NULL);
	expect_end(3, 0);
	ck_assert_uint_eq(counts.message, LAST_WORDS);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

START_TEST(the_channel_of_a_child_has_handlers_of_its_own)
{
	struct channel_counts of_channel = { 0 };
	struct muster_child *child = spawn(mirror, NULL);
	struct muster_channel *channel = muster_child_channel(child);

	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, &of_channel), 0);
	ck_assert_ptr_eq(muster_channel_loop(channel), test_loop);
	ck_assert(muster_channel_is_connected(channel));
	ck_assert_int_eq(say(channel, "\"both\""), 0);
	run_until_count(test_loop, of_channel.message, 1);
	leave(child);
	ck_assert_str_eq(counts.said, "\"both\" ");
	ck_assert_str_eq(of_channel.said, "\"both\" ");
	ck_assert_str_eq(of_channel.order, "message disconnect");
}
END_TEST

START_TEST(handlers_can_be_taken_away)
{
	struct channel_counts other = { 0 };
	struct muster_child *child = spawn(mirror, NULL);

	ck_assert_int_eq(muster_child_on(child, &counting_child, &other), 0);
	ck_assert_int_eq(muster_child_off(child, &counting_child, &other), 0);
	ck_assert_int_eq(muster_child_off(child, &counting_child, &other), -ENOENT);
	leave(child);
	ck_assert_str_eq(other.order, "");
}
END_TEST

START_TEST(a_channel_with_a_child_that_does_not_read_fills_and_drains)
{
	struct channel_counts of_channel = { 0 };
	size_t length = 512 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length };
	struct muster_child *child = spawn(mirror, NULL);
	struct muster_channel *channel = muster_child_channel(child);

	ck_assert_int_eq(muster_channel_on(channel, &counting_channel, &of_channel), 0);
	process_freeze(muster_child_pid(child));
	ck_assert_int_eq(muster_channel_send(channel, &message), 0);
	run_until_idle(test_loop);
	ck_assert(muster_channel_needs_drain(channel));
	ck_assert_int_eq(muster_child_kill(child, SIGCONT), 0);
	run_until_count(test_loop, of_channel.drain, 1);
	run_until_count(test_loop, counts.message, 1);
	free(text);
	leave(child);
}
END_TEST

/* ---- handles */

static void greet(struct muster_channel *parent, struct muster_message *message, void *data)
{
	struct muster_socket *socket = muster_message_take_socket(message, muster_channel_loop(parent));

	(void)data;
	if (socket == NULL)
		_exit(9);
	muster_socket_write(socket, "hello from the child", 20);
	muster_socket_destroy_soon(socket);
}

static int greeter(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = greet };

	return muster_channel_on(parent, &on, data);
}

START_TEST(a_socket_is_given_away_to_a_child)
{
	struct muster_child *child = spawn(greeter, NULL);
	struct socket_counts of_socket = { 0 };
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	int client;

	message.handle.socket = socket_with_peer(test_loop, &client, &of_socket);
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	run_until_count(test_loop, of_socket.close, 1);
	client_expect_text(client, "hello from the child");
	run_until_ended(client);
	close(client);
	leave(child);
}
END_TEST

/* It tells twice: here, and after it has been at the parent's. */
static void tell_and_return(struct muster_channel *parent, struct muster_message *received, void *data)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };

	(void)data;
	message.handle.socket = muster_message_take_socket(received, muster_channel_loop(parent));
	if (message.handle.socket == NULL)
		_exit(9);
	tell_addresses(message.handle.socket);
	if (muster_channel_send(parent, &message) < 0)
		_exit(8);
}

static int teller(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = tell_and_return };

	return muster_channel_on(parent, &on, data);
}

/* It tells, and then gives back what it reads. */
static void tell_and_echo(struct muster_channel *parent, struct muster_message *message, void *data)
{
	struct muster_socket *socket = muster_message_take_socket(message, muster_channel_loop(parent));

	(void)data;
	if (socket == NULL)
		_exit(9);
	tell_addresses(socket);
	muster_socket_pipe(socket, socket);
}

static int talker(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = tell_and_echo };

	return muster_channel_on(parent, &on, data);
}

static void take_and_tell(struct muster_child *child, struct muster_message *message, void *data)
{
	struct muster_socket *socket = muster_message_take_socket(message, test_loop);

	(void)child, (void)data;
	ck_assert_ptr_nonnull(socket);
	tell_addresses(socket);
	muster_socket_destroy_soon(socket);
}

/* A connection that a proxy speaks for. */
static struct muster_message proxied(int *client, const char *header)
{
	static struct server_counts of_server;
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	struct muster_server_options options = { .proxy_protocol = true };
	struct muster_server *server = muster_server_new(test_loop, &options);

	of_server = (struct server_counts){ 0 };
	ck_assert_int_eq(muster_server_on(server, &counting_server, &of_server), 0);
	ck_assert_int_eq(muster_server_listen(server, &(struct muster_listen_options){ .host = "127.0.0.1" }), 0);
	run_until_count(test_loop, of_server.listening, 1);
	*client = client_connect_port(server_port(server));
	client_send_text(*client, header);
	run_until_count(test_loop, of_server.connection, 1);
	ck_assert_int_eq(muster_server_close(server), 0);
	message.handle.socket = of_server.last;
	return message;
}

static const struct {
	const char *header, *told;
} proxies[] = {
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 12345 443\r\n", "192.0.2.1:12345 192.0.2.2:443" },
	{ "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1 [2001:db8::2]:65535" },
	{ "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", "[::ffff:192.0.2.1]:1 [2001:db8::2]:2" },
};

START_TEST(what_a_proxy_told_of_a_socket_goes_with_it)
{
	static const struct muster_child_handlers on = { .on_message = take_and_tell };
	struct muster_child *child = spawn(teller, NULL);
	int client;
	struct muster_message message = proxied(&client, proxies[_i].header);

	ck_assert_int_eq(muster_child_on(child, &on, NULL), 0);
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	run_until_count(test_loop, counts.message, 1);
	client_expect_text(client, proxies[_i].told);
	client_expect_text(client, proxies[_i].told);
	run_until_ended(client);
	close(client);
	leave(child);
}
END_TEST

START_TEST(what_a_proxy_told_and_bytes_that_were_read_go_together)
{
	struct muster_child *child = spawn(talker, NULL);
	int client;
	struct muster_message message = proxied(&client, proxies[0].header);

	ck_assert_int_eq(muster_socket_unshift(message.handle.socket, "read", 4), 0);
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	run_until_idle(test_loop);
	client_expect_text(client, proxies[0].told);
	client_expect_text(client, "read");
	close(client);
	leave(child);
}
END_TEST

START_TEST(a_program_that_may_not_be_ours_is_not_told_what_a_proxy_told)
{
	struct muster_child *child = spawn_silent(SHELL("read -r line <&3; echo \"$line\""));
	int client;
	struct muster_message message = proxied(&client, proxies[0].header);

	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	expect_end(0, 0);
	ck_assert_ptr_nonnull(strstr(of_out.bytes, "\"msg\":1"));
	ck_assert_ptr_null(strstr(of_out.bytes, "muster"));
	close(client);
}
END_TEST

struct bad_socket {
	unsigned count;
	int err;
};

static void try_to_take(struct muster_channel *channel, struct muster_message *message, void *data)
{
	struct bad_socket *refused = data;

	ck_assert_ptr_null(muster_message_take_socket(message, muster_channel_loop(channel)));
	refused->err = errno;
	refused->count++;
}

static const struct muster_channel_handlers taking_bad = { .on_message = try_to_take };

/* No header, the beginning of one, one without addresses, and nonsense. */
static const char *const bad_ends[] = { "", "UFJPWFk=", "UFJPWFkgVU5LTk9XTg0K", "AAAA" };

START_TEST(addresses_that_are_none_are_refused_with_the_socket)
{
	char line[256];
	int wire[2], handle[2];
	struct muster_channel *channel;
	struct bad_socket refused = { 0 };

	client_pair_local(wire);
	client_pair_local(handle);
	channel = muster_channel_open(test_loop, wire[0]);
	ck_assert_int_eq(muster_channel_on(channel, &taking_bad, &refused), 0);
	snprintf(line, sizeof line,
		 "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":1,\"muster\":{\"ends\":\"%s\"}}\n",
		 bad_ends[_i]);
	ck_assert_int_eq(muster__fdpass_send(wire[1], line, strlen(line), handle[0]), strlen(line));
	close(handle[0]);
	run_until_count(test_loop, refused.count, 1);
	ck_assert_int_eq(refused.err, EBADMSG);
	client_expect_end(handle[1]);
	close(handle[1]);
	ck_assert_int_eq(muster_channel_disconnect(channel), 0);
	close(wire[1]);
	run_dry(test_loop);
}
END_TEST

static void echo(struct muster_channel *parent, struct muster_message *message, void *data)
{
	struct muster_socket *socket = muster_message_take_socket(message, muster_channel_loop(parent));

	(void)data;
	if (socket == NULL || muster_socket_pipe(socket, socket) < 0)
		_exit(9);
}

static int echoer(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = echo };

	return muster_channel_on(parent, &on, data);
}

/* It has read the beginning, and given it back. */
static struct muster_message half_read(int *client, struct socket_counts *of_socket)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };
	struct muster_socket *socket = socket_with_peer(test_loop, client, of_socket);

	client_send_text(*client, "the beginning, ");
	run_until_count(test_loop, of_socket->data, 1);
	muster_socket_pause(socket);
	ck_assert_int_eq(muster_socket_unshift(socket, of_socket->bytes, of_socket->length), 0);
	message.handle.socket = socket;
	return message;
}

START_TEST(what_was_read_and_given_back_goes_with_the_socket)
{
	struct muster_child *child = spawn(echoer, NULL);
	struct socket_counts of_socket = { 0 };
	int client;
	struct muster_message message = half_read(&client, &of_socket);

	client_send_text(client, "and the rest");
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	run_until_count(test_loop, of_socket.close, 1);
	client_expect_text(client, "the beginning, and the rest");
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
	run_until_ended(client);
	close(client);
	leave(child);
}
END_TEST

/* It says by itself that it is one of ours, once it runs. */
START_TEST(to_a_program_of_ours_it_goes_as_well)
{
	struct muster_child *child = execute(EXEC(MUSTER_CHILD, "mirror"));
	struct socket_counts of_socket = { 0 };
	int client;
	struct muster_message message = half_read(&client, &of_socket);

	ck_assert_int_eq(tell(child, "\"are you there\""), 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	run_until_count(test_loop, of_socket.close, 1);
	client_expect_text(client, "1 by our child\n");
	close(client);
	ck_assert_int_eq(tell(child, "\"leave\""), 0);
	expect_end(0, 0);
}
END_TEST

START_TEST(to_a_program_that_may_not_be_ours_it_does_not_go_and_nothing_is_lost)
{
	struct muster_child *child = execute(EXEC("/bin/sleep", "60"));
	struct socket_counts of_socket = { 0 };
	int client;
	struct muster_message message = half_read(&client, &of_socket);

	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), -ENOTSUP);
	of_socket.data = 0;
	muster_socket_resume(message.handle.socket);
	run_until_count(test_loop, of_socket.data, 1);
	ck_assert_str_eq(of_socket.bytes, "the beginning, the beginning, ");
	muster_socket_destroy(message.handle.socket, 0);
	close(client);
	ck_assert_int_eq(muster_child_kill(child, SIGTERM), 0);
	expect_end(0, SIGTERM);
}
END_TEST

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	(void)server, (void)data;
	muster_socket_write(socket, "served by the child", 19);
	muster_socket_destroy_soon(socket);
}

static void serve(struct muster_channel *parent, struct muster_message *message, void *data)
{
	static const struct muster_server_handlers on = { .on_connection = on_connection };
	struct muster_server *server = muster_message_take_server(message, muster_channel_loop(parent));

	(void)data;
	if (server == NULL || muster_server_on(server, &on, NULL) < 0)
		_exit(9);
	muster_server_unref(server);
	say(parent, "\"serving\"");
}

static int server_for_others(struct muster_channel *parent, void *data)
{
	static const struct muster_channel_handlers on = { .on_message = serve };

	return muster_channel_on(parent, &on, data);
}

static void send_server(struct muster_child *child, struct muster_server *server)
{
	struct muster_message message = { .text = "\"server\"", .length = 8, .handle_type = MUSTER_HANDLE_SERVER };

	message.handle.server = server;
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
}

START_TEST(a_server_is_shared_with_a_child)
{
	struct muster_child *child = spawn(server_for_others, NULL);
	struct server_counts of_server = { 0 };
	struct muster_server *server = listening_server(test_loop, &of_server);
	unsigned port = server_port(server);
	int client;

	send_server(child, server);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_count(test_loop, of_server.close, 1);
	client = client_connect_port(port);
	client_expect_text(client, "served by the child");
	client_expect_end(client);
	close(client);
	leave(child);
	ck_assert_int_eq(client_try_port(port), -ECONNREFUSED);
}
END_TEST

START_TEST(a_descriptor_goes_there_and_back)
{
	struct muster_child *child = spawn(mirror, NULL);
	int ends[2];

	counts.keep_fd = true;
	client_pair_local(ends);
	ck_assert_int_eq(say_with(muster_child_channel(child), "\"with\"", ends[0]), 0);
	run_until_count(test_loop, counts.handles, 1);
	client_send_text(counts.fd, "still the same");
	close(counts.fd);
	client_expect_text(ends[1], "still the same");
	client_expect_end(ends[1]);
	close(ends[1]);
	leave(child);
}
END_TEST

/* ---- how it ends */

static const int codes[] = { 0, 1, 42, 127, 255 };

START_TEST(its_exit_code_is_told)
{
	int code = codes[_i];

	spawn(exit_with_it, &code);
	expect_end(code, 0);
	ck_assert_str_eq(counts.order, "disconnect exit");
}
END_TEST

START_TEST(a_child_that_waits_for_nothing_ends_with_0)
{
	int nothing = 0;

	spawn(return_it, &nothing);
	expect_end(0, 0);
	ck_assert_str_eq(counts.order, "disconnect exit");
}
END_TEST

START_TEST(a_child_that_cannot_start_ends_with_1)
{
	int err = -EADDRINUSE;

	spawn(return_it, &err);
	expect_end(1, 0);
}
END_TEST

static const int signals[][2] = { { 0, SIGTERM }, { SIGTERM, SIGTERM }, { SIGKILL, SIGKILL }, { SIGUSR1, SIGUSR1 } };

START_TEST(a_child_is_killed_by_the_signal_it_is_sent)
{
	struct muster_child *child = spawn(mirror, NULL);

	ck_assert_int_eq(tell(child, "1"), 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_int_eq(muster_child_kill(child, signals[_i][0]), 0);
	expect_end(0, signals[_i][1]);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

static void ask_the_dead(struct muster_child *child, int code, int signal, void *data)
{
	(void)code, (void)signal;
	ck_assert_int_eq(muster_child_kill(child, SIGTERM), -ESRCH);
	ck_assert_int_eq(tell(child, "1"), MUSTER_ECHANNEL);
	ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(child)), MUSTER_ECHANNEL);
	ck_assert_int_gt(muster_child_pid(child), 0);
	ck_assert_ptr_null(muster_child_stdio(child, 1));
	muster_child_unref(child);
	muster_child_ref(child);
	(*(unsigned *)data)++;
}

START_TEST(on_exit_still_has_a_child_to_ask)
{
	static const struct muster_child_handlers on = { .on_exit = ask_the_dead };
	struct muster_child *child = spawn(mirror, NULL);
	unsigned asked = 0;

	ck_assert_int_eq(muster_child_on(child, &on, &asked), 0);
	leave(child);
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(a_second_disconnect_is_ECHANNEL)
{
	struct muster_child *child = spawn(mirror, NULL);
	struct muster_channel *channel = muster_child_channel(child);

	ck_assert_int_eq(muster_channel_disconnect(channel), 0);
	ck_assert_int_eq(muster_channel_disconnect(channel), MUSTER_ECHANNEL);
	ck_assert_int_eq(tell(child, "1"), MUSTER_ECHANNEL);
	expect_end(0, 0);
	ck_assert_str_eq(counts.order, "disconnect exit");
}
END_TEST

START_TEST(a_child_that_closes_its_channel_lives_on_until_it_exits)
{
	struct muster_child *child = spawn(leave_and_stay, NULL);

	run_until_count(test_loop, counts.disconnect, 1);
	run_until_idle(test_loop);
	ck_assert_uint_eq(counts.exit, 0);
	ck_assert(process_lives(muster_child_pid(child)));
	ck_assert(!muster_channel_is_connected(muster_child_channel(child)));
	ck_assert_int_eq(tell(child, "1"), MUSTER_ECHANNEL);
	ck_assert_int_eq(muster_child_kill(child, SIGKILL), 0);
	expect_end(0, SIGKILL);
	ck_assert_str_eq(counts.order, "disconnect exit");
}
END_TEST

/* It tells the pid of its own child, which has all that it has, and dies. */
static void on_told(int err, void *data)
{
	(void)data;
	_exit(err < 0 ? 9 : 5);
}

static int have_a_child(struct muster_channel *parent, void *data)
{
	struct muster_message message = { .on_sent = on_told, .data = data };
	pid_t grandchild = fork();
	int err;

	if (grandchild == 0)
		stay(parent, data);
	message.json = json_integer(grandchild);
	err = muster_channel_send(parent, &message);
	json_decref(message.json);
	return err;
}

START_TEST(the_end_of_a_child_is_its_own_though_a_grandchild_holds_the_channel)
{
	pid_t grandchild;

	spawn(have_a_child, NULL);
	expect_end(5, 0);
	ck_assert_str_eq(counts.order, "message disconnect exit");
	grandchild = (pid_t)strtol(counts.said, NULL, 10);
	ck_assert_int_gt(grandchild, 0);
	ck_assert(process_lives(grandchild));
	ck_assert_int_eq(kill(grandchild, SIGKILL), 0);
	until(!process_lives(grandchild));
}
END_TEST

START_TEST(a_child_keeps_the_loop_running_unless_unrefd)
{
	struct muster_child *child = spawn(mirror, NULL);

	muster_child_unref(child);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.exit, 0);
	ck_assert(process_lives(muster_child_pid(child)));
	muster_child_ref(child);
	leave(child);
}
END_TEST

START_TEST(a_loop_that_goes_leaves_its_children_to_drain)
{
	struct muster_child *child = spawn(mirror, NULL);
	pid_t pid = muster_child_pid(child);

	ck_assert_int_eq(tell(child, "1"), 0);
	test_loop_close();
	ck_assert_uint_eq(counts.disconnect, 1);
	ck_assert_uint_eq(counts.exit, 0);
	/* It sees the end of its channel, and is the caller's to reap. */
	ck_assert_int_eq(process_wait(pid), 0);
}
END_TEST

START_TEST(a_silent_child_of_a_loop_that_goes_ends_too)
{
	struct muster_child *child = spawn_with(&(struct muster_child_options){ .function = mirror, .silent = true });
	pid_t pid = muster_child_pid(child);

	test_loop_close();
	ck_assert_int_eq(process_wait(pid), 0);
}
END_TEST

/* ---- what it has of its parent */

START_TEST(nothing_of_the_parent_is_left_open_in_a_child)
{
	struct muster_child *child;
	int ends[2], high;

	client_pair_local(ends);
	high = fcntl(ends[0], F_DUPFD, 900);
	child = _i == 0 ? spawn(mirror, NULL) : execute(SHELL("read line <&3"));
	close(ends[0]);
	close(high);
	client_expect_end(ends[1]);
	close(ends[1]);
	ck_assert(process_lives(muster_child_pid(child)));
	ck_assert_int_eq(tell(child, "1"), 0);
	if (_i == 0)
		leave(child);
	else
		expect_end(0, 0);
}
END_TEST

START_TEST(no_child_holds_the_channel_of_another)
{
	struct channel_counts of_other = { 0 };
	struct muster_child *first = spawn(mirror, NULL), *second;

	second = muster_child_spawn(test_loop, &(struct muster_child_options){ .function = mirror });
	ck_assert_int_eq(muster_child_on(second, &counting_child, &of_other), 0);
	ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(first)), 0);
	run_until_count(test_loop, counts.exit, 1);
	ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(second)), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(of_other.exit, 1);
}
END_TEST

static int say_where_it_is(struct muster_channel *parent, void *data)
{
	char folder[256] = "";
	struct muster_message message = { 0 };
	int err;

	(void)data;
	message.json = json_sprintf("%s %s %s", getenv("MUSTER_TEST_A"), getenv("MUSTER_TEST_B"),
				    getcwd(folder, sizeof folder));
	err = muster_channel_send(parent, &message);
	json_decref(message.json);
	return err;
}

static void expect_place(struct muster_child_options *options)
{
	static const char *const env[] = { "MUSTER_TEST_A=a=b", "MUSTER_TEST_B=new", NULL };
	char before[256], after[256], want[300], folder[256], real[256];

	snprintf(folder, sizeof folder, "%s", folder_path("place"));
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert_ptr_nonnull(realpath(folder, real));
	ck_assert_ptr_nonnull(getcwd(before, sizeof before));
	setenv("MUSTER_TEST_B", "old", 1);
	options->env = env;
	options->cwd = folder;
	spawn_with(options);
	expect_end(0, 0);
	snprintf(want, sizeof want, "\"a=b new %s\" ", real);
	ck_assert_str_eq(counts.said, want);
	ck_assert_str_eq(getenv("MUSTER_TEST_B"), "old");
	ck_assert_str_eq(getcwd(after, sizeof after), before);
}

START_TEST(a_function_has_the_environment_and_the_folder_it_was_given)
{
	expect_place(&(struct muster_child_options){ .function = say_where_it_is });
}
END_TEST

START_TEST(a_program_has_the_environment_and_the_folder_it_was_given)
{
	expect_place(&(struct muster_child_options){
		.exec = SHELL("echo \"\\\"$MUSTER_TEST_A $MUSTER_TEST_B $PWD\\\"\" >&3") });
}
END_TEST

static int say_who_it_is(struct muster_channel *parent, void *data)
{
	struct muster_message message = { 0 };
	int err;

	(void)data;
	message.json = json_sprintf("%d %d %d", (int)geteuid(), (int)getegid(), getgroups(0, NULL));
	err = muster_channel_send(parent, &message);
	json_decref(message.json);
	return err;
}

START_TEST(a_child_may_be_another_user)
{
	struct muster_child_options options = { .function = say_who_it_is, .uid = NOBODY, .gid = NOBODY };

	if (geteuid() != 0) {
		puts("not root: skipped");
		return;
	}
	spawn_with(&options);
	expect_end(0, 0);
	ck_assert_str_eq(counts.said, "\"65534 65534 0\" ");
}
END_TEST

START_TEST(a_program_may_be_run_by_another_user)
{
	struct muster_child_options options = { .uid = NOBODY, .gid = NOBODY };

	if (geteuid() != 0) {
		puts("not root: skipped");
		return;
	}
	options.exec = SHELL("echo \"\\\"$(id -u) $(id -g) $(id -G)\\\"\" >&3");
	spawn_with(&options);
	expect_end(0, 0);
	ck_assert_str_eq(counts.said, "\"65534 65534 65534\" ");
}
END_TEST

/* Nobody is this one, not even root. */
START_TEST(who_cannot_become_the_user_does_not_run)
{
	struct muster_child_options options = { .uid = (uid_t)-1, .silent = true };

	options.function = _i == 0 ? mirror : NULL;
	options.exec = _i == 0 ? NULL : EXEC("/bin/true");
	spawn_with(&options);
	expect_end(127, 0);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_127)
{
	struct muster_child_options options = { .cwd = "/nowhere at all", .silent = true };

	options.function = _i == 0 ? mirror : NULL;
	options.exec = _i == 0 ? NULL : EXEC("/bin/true");
	spawn_with(&options);
	expect_end(127, 0);
}
END_TEST

/* ---- programs */

START_TEST(a_program_finds_its_channel_by_the_environment)
{
	execute(SHELL("echo \"\\\"$NODE_CHANNEL_FD $NODE_CHANNEL_SERIALIZATION_MODE ${NODE_UNIQUE_ID-none}"
		      " ${MUSTER_SCOREBOARD_FD-none}\\\"\" >&3"));
	expect_end(0, 0);
	ck_assert_str_eq(counts.said, "\"3 json none none\" ");
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

START_TEST(a_script_can_speak_with_us)
{
	struct muster_child *child = execute(SHELL("while read -r line <&3; do echo \"[$line]\" >&3; done; exit 7"));

	ck_assert_int_eq(tell(child, "\"one\""), 0);
	run_until_count(test_loop, counts.message, 1);
	ck_assert_int_eq(tell(child, "2"), 0);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(child)), 0);
	expect_end(7, 0);
	ck_assert_str_eq(counts.said, "[\"one\"] [2] ");
}
END_TEST

static const struct {
	const char *program;
	int code;
} programs[] = {
	{ "/bin/true", 0 },
	{ "/bin/false", 1 },
	{ "false", 1 },
	{ "/no/such/program", 127 },
	{ "no-such-program-anywhere", 127 },
	{ "/etc/passwd", 127 },
};

START_TEST(a_program_ends_as_it_does_and_one_that_cannot_be_run_with_127)
{
	struct muster_child_options options = { .silent = true };

	options.exec = EXEC(programs[_i].program);
	spawn_with(&options);
	expect_end(programs[_i].code, 0);
	ck_assert_str_eq(counts.order, "disconnect exit");
}
END_TEST

START_TEST(a_program_that_cannot_be_run_says_why)
{
	spawn_silent(EXEC("/no/such/program"));
	expect_end(127, 0);
	expect_output("", "child: /no/such/program: No such file or directory\n");
}
END_TEST

START_TEST(a_program_has_its_arguments)
{
	execute(EXEC("/bin/sh", "-c", "echo \"[\\\"$0\\\",\\\"$1\\\",$#]\" >&3", "zero", "a b", ""));
	expect_end(0, 0);
	ck_assert_str_eq(counts.said, "[\"zero\",\"a b\",2] ");
}
END_TEST

START_TEST(a_program_killed_by_a_signal_says_which)
{
	execute(SHELL("kill -USR2 $$"));
	expect_end(0, SIGUSR2);
}
END_TEST

/* ---- silent */

START_TEST(what_is_written_to_a_silent_child_comes_back_by_its_output)
{
	struct muster_child *child = spawn_silent(SHELL("cat; echo done >&2"));

	ck_assert_int_eq(muster_socket_write(muster_child_stdio(child, 0), "some input", 10), 0);
	run_until_count(test_loop, of_out.data, 1);
	ck_assert_int_eq(muster_socket_end_with(muster_child_stdio(child, 0), " and more", 9), 0);
	expect_end(0, 0);
	expect_output("some input and more", "done\n");
}
END_TEST

static int print(struct muster_channel *parent, void *data)
{
	(void)parent;
	printf("printed %s", (const char *)data);
	return -EADDRINUSE;
}

START_TEST(a_child_that_cannot_start_says_why_on_its_error_output)
{
	struct muster_child *child =
		spawn_with(&(struct muster_child_options){ .function = print, .data = "well", .silent = true });

	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 1), &counting_socket, &of_out), 0);
	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 2), &counting_socket, &of_err), 0);
	expect_end(1, 0);
	ck_assert_str_eq(of_out.bytes, "printed well");
	ck_assert_ptr_nonnull(strstr(of_err.bytes, "child: could not start"));
	ck_assert_ptr_nonnull(strstr(of_err.bytes, muster_strerror(-EADDRINUSE)));
}
END_TEST

START_TEST(all_output_is_read_though_its_writer_is_gone)
{
	size_t length = 200 * 1000;

	spawn_silent(SHELL("head -c 200000 /dev/zero; echo last >&2"));
	expect_end(0, 0);
	ck_assert_uint_eq(of_out.length, length);
	ck_assert_str_eq(of_err.bytes, "last\n");
}
END_TEST

static void release(struct muster_child *child, int code, int signal, void *data)
{
	(void)child, (void)code, (void)signal;
	close(*(int *)data);
}

/* A grandchild that has the output writes to it when its parent has been reaped: what it waits for says so. */
START_TEST(output_that_comes_after_the_exit_is_not_lost)
{
	static const struct muster_child_handlers on = { .on_exit = release };
	const char *path = folder_path("fifo");
	struct muster_child *child;
	char script[512];
	int fifo;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fifo = open(path, O_RDWR | O_CLOEXEC);
	snprintf(script, sizeof script, "exec 4<'%s'; echo first; (cat <&4; echo late) & exit 3", path);
	child = spawn_silent(SHELL(script));
	ck_assert_int_eq(muster_child_on(child, &on, &fifo), 0);
	expect_end(3, 0);
	expect_output("first\nlate\n", "");
}
END_TEST

START_TEST(the_input_of_a_silent_child_ends_with_it)
{
	/* Its own child waits for that end, and nobody else will bring it. */
	spawn_silent(SHELL("exec 4<&0; (cat <&4; echo late) & exit 3"));
	expect_end(3, 0);
	expect_output("late\n", "");
}
END_TEST

START_TEST(a_silent_child_whose_output_nobody_reads_keeps_nothing_running_when_it_is_gone)
{
	spawn_with(&(struct muster_child_options){ .exec = SHELL("echo out; echo err >&2; exit 4"), .silent = true });
	expect_end(4, 0);
}
END_TEST

START_TEST(only_a_silent_child_has_sockets_for_its_standard_descriptors)
{
	struct muster_child *child = _i == 0 ? spawn(mirror, NULL) : spawn_silent(SHELL("read line <&3; exit 0"));
	int n;

	ck_assert_ptr_null(muster_child_stdio(child, -1));
	ck_assert_ptr_null(muster_child_stdio(child, 3));
	for (n = 0; n < 3; n++) {
		ck_assert_int_eq(muster_child_stdio(child, n) != NULL, _i == 1);
		if (_i == 1)
			ck_assert_ptr_eq(muster_socket_loop(muster_child_stdio(child, n)), test_loop);
	}
	leave(child);
}
END_TEST

START_TEST(an_output_that_was_closed_is_no_socket_any_more)
{
	struct muster_child *child = spawn_silent(SHELL("exec >&-; read line <&3"));

	run_until_count(test_loop, of_out.close, 1);
	ck_assert_ptr_null(muster_child_stdio(child, 1));
	ck_assert_ptr_nonnull(muster_child_stdio(child, 2));
	ck_assert_int_eq(tell(child, "1"), 0);
	expect_end(0, 0);
}
END_TEST

START_TEST(a_silent_program_has_four_descriptors_and_they_block)
{
	/* ls has one more for the folder. */
	spawn_silent(SHELL("ls /proc/self/fd | tr '\\n' ' '; grep -h flags /proc/self/fdinfo/[0123] >&2"));
	expect_end(0, 0);
	ck_assert_str_eq(of_out.bytes, "0 1 2 3 4 ");
	ck_assert_str_eq(of_err.bytes, "flags:\t02\nflags:\t02\nflags:\t02\nflags:\t02\n");
}
END_TEST

/* ---- other forms of standard descriptors */

static struct muster_child *spawn_with_stdio(const char *script, int in, int out, int err)
{
	return spawn_with(&(struct muster_child_options){ .exec = SHELL(script), .stdio = { in, out, err } });
}

START_TEST(a_standard_descriptor_may_be_one_of_the_parents)
{
	char got[64] = { 0 };
	int in[2], out[2];

	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(write(in[1], "from a pipe", 11), 11);
	close(in[1]);
	spawn_with_stdio("cat; echo , twice >&2", in[0], out[1], out[1]);
	close(in[0]);
	close(out[1]);
	expect_end(0, 0);
	ck_assert_int_eq(read(out[0], got, sizeof got), 19);
	ck_assert_str_eq(got, "from a pipe, twice\n");
	close(out[0]);
}
END_TEST

/* They are each other's: neither is overwritten before it has been moved. */
START_TEST(output_and_error_of_the_parent_may_change_places)
{
	int out[2], err[2], saved[2] = { dup(1), dup(2) };
	char got[2][8] = { "", "" };
	int i;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	spawn_with_stdio("echo out; echo err >&2", 0, 2, 1);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	expect_end(0, 0);
	ck_assert_int_eq(read(out[0], got[0], sizeof *got - 1), 4);
	ck_assert_int_eq(read(err[0], got[1], sizeof *got - 1), 4);
	ck_assert_str_eq(got[0], "err\n");
	ck_assert_str_eq(got[1], "out\n");
	for (i = 0; i < 2; i++) {
		close(out[i]);
		close(err[i]);
		close(saved[i]);
	}
}
END_TEST

START_TEST(a_standard_descriptor_may_be_nothing)
{
	spawn_with_stdio("read line && exit 9; [ \"$(readlink /proc/self/fd/2)\" = /dev/null ] || exit 8; echo lost",
			 MUSTER_STDIO_NULL, MUSTER_STDIO_NULL, MUSTER_STDIO_NULL);
	expect_end(0, 0);
}
END_TEST

START_TEST(one_standard_descriptor_alone_may_be_a_socket)
{
	struct muster_child *child = spawn_with_stdio("echo heard", MUSTER_STDIO_NULL, MUSTER_STDIO_SOCKET, 0);

	ck_assert_ptr_null(muster_child_stdio(child, 0));
	ck_assert_ptr_null(muster_child_stdio(child, 2));
	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 1), &counting_socket, &of_out), 0);
	expect_end(0, 0);
	ck_assert_str_eq(of_out.bytes, "heard\n");
}
END_TEST

START_TEST(a_silent_child_may_have_a_standard_descriptor_that_is_no_socket)
{
	struct muster_child_options options = { .exec = SHELL("echo out; echo err >&2"), .silent = true };
	struct muster_child *child;

	options.stdio[1] = MUSTER_STDIO_NULL;
	child = spawn_with(&options);
	ck_assert_ptr_null(muster_child_stdio(child, 1));
	ck_assert_int_eq(muster_socket_on(muster_child_stdio(child, 2), &counting_socket, &of_err), 0);
	expect_end(0, 0);
	ck_assert_str_eq(of_err.bytes, "err\n");
}
END_TEST

static const struct {
	int wanted, err;
} bad_stdio[] = { { -3, EINVAL }, { 999, EBADF } };

START_TEST(a_standard_descriptor_that_is_none_is_refused)
{
	struct muster_child_options options = { .function = mirror, .silent = true };

	options.stdio[2] = bad_stdio[_i].wanted;
	ck_assert_ptr_null(muster_child_spawn(test_loop, &options));
	ck_assert_int_eq(errno, bad_stdio[_i].err);
	run_dry(test_loop);
}
END_TEST

/* ---- many, and none */

#define EIGHTY 80

static void pass_up(struct muster_socket *socket, void *data)
{
	struct muster_message message = { .text = "1", .length = 1, .handle_type = MUSTER_HANDLE_SOCKET };

	message.handle.socket = socket;
	if (muster_channel_send(data, &message) < 0)
		_exit(9);
}

static int connect_and_pass_up(struct muster_channel *parent, void *data)
{
	static const struct muster_socket_handlers on = { .on_connect = pass_up };
	struct muster_connect_options options = { .host = "127.0.0.1", .port = *(const unsigned *)data };

	return muster_connect(muster_channel_loop(parent), &options, &on, parent) != NULL ? 0 : -ENOMEM;
}

static unsigned passed;

static void answer_for_it(struct muster_child *of, struct muster_message *message, void *data)
{
	int fd = muster_message_take_fd(message);

	(void)of, (void)data;
	ck_assert_int_ge(fd, 0);
	client_send_text(fd, "by the parent");
	close(fd);
	passed++;
}

START_TEST(eighty_children_each_give_their_socket_to_the_parent)
{
	static const struct muster_child_handlers on = { .on_message = answer_for_it };
	int listener = client_listen(EIGHTY), peer, i;
	unsigned port = client_port_of(listener);

	for (i = 0; i < EIGHTY; i++)
		ck_assert_int_eq(muster_child_on(spawn(connect_and_pass_up, &port), &on, NULL), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(passed, EIGHTY);
	ck_assert_uint_eq(counts.exit, EIGHTY);
	for (i = 0; i < EIGHTY; i++) {
		peer = accept(listener, NULL, NULL);
		client_expect_text(peer, "by the parent");
		client_expect_end(peer);
		close(peer);
	}
	close(listener);
}
END_TEST

#define MANY 64

static struct channel_counts of_many[MANY];

static int say_number_and_exit(struct muster_channel *parent, void *data)
{
	char text[16];

	snprintf(text, sizeof text, "%d", *(const int *)data);
	if (say(parent, text) < 0)
		return -EIO;
	return mirror(parent, NULL);
}

START_TEST(many_children_at_once_have_each_their_own_end)
{
	struct muster_child *children[MANY];
	char want[16];
	int i;

	for (i = 0; i < MANY; i++) {
		struct muster_child_options options = { .function = say_number_and_exit, .data = &i };

		children[i] = muster_child_spawn(test_loop, &options);
		ck_assert_ptr_nonnull(children[i]);
		ck_assert_int_eq(muster_child_on(children[i], &counting_child, &of_many[i]), 0);
	}
	for (i = 0; i < MANY; i++) {
		run_until_count(test_loop, of_many[i].message, 1);
		snprintf(want, sizeof want, "%d ", i);
		ck_assert_str_eq(of_many[i].said, want);
		if (i % 2 == 0)
			ck_assert_int_eq(muster_channel_disconnect(muster_child_channel(children[i])), 0);
		else
			ck_assert_int_eq(muster_child_kill(children[i], SIGKILL), 0);
	}
	run_dry(test_loop);
	for (i = 0; i < MANY; i++) {
		ck_assert_str_eq(of_many[i].order, "message disconnect exit");
		ck_assert_int_eq(of_many[i].signal, i % 2 == 0 ? 0 : SIGKILL);
		ck_assert_int_eq(of_many[i].code, 0);
	}
}
END_TEST

/* With the last descriptors gone there is no child, and nothing of it. */
START_TEST(at_the_descriptor_limit_a_spawn_fails_and_leaves_nothing)
{
	static const unsigned needs[] = { 3, 9 };
	struct muster_child_options options = { .function = mirror, .silent = _i == 1 };
	struct muster_child *child;
	unsigned few;

	for (few = 0; few < needs[_i]; few++) {
		descriptors_exhaust(few);
		errno = 0;
		child = muster_child_spawn(test_loop, &options);
		ck_assert_int_eq(errno, EMFILE);
		ck_assert_ptr_null(child);
		run_dry(test_loop);
		descriptors_release();
		ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
		ck_assert_int_eq(errno, ECHILD);
	}
	descriptors_exhaust(needs[_i]);
	child = spawn_with(&options);
	descriptors_release();
	leave(child);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
	struct {
		struct muster_child_options known;
		long more;
	} options = { .more = 0 };

	errno = 0;
	ck_assert_ptr_null(muster_child_spawn(test_loop, &options.known));
	ck_assert_int_eq(errno, EINVAL);
	options.known.function = mirror;
	options.known.exec = EXEC("/bin/true");
	ck_assert_ptr_null(muster_child_spawn(test_loop, &options.known));
	ck_assert_int_eq(errno, EINVAL);
	options.known.exec = NULL;
	options.more = 1;
	ck_assert_ptr_null(muster_child_spawn_sized(test_loop, &options.known, sizeof options));
	ck_assert_int_eq(errno, E2BIG);
	run_dry(test_loop);
}
END_TEST

START_TEST(options_of_an_older_and_of_a_newer_program_are_understood)
{
	int code = 6;
	struct {
		struct muster_child_options known;
		long more;
	} options = { .known = { .function = exit_with_it, .data = &code, .silent = true } };
	size_t size = _i == 0 ? offsetof(struct muster_child_options, exec) : sizeof options;
	struct muster_child *child = muster_child_spawn_sized(test_loop, &options.known, size);

	ck_assert_ptr_nonnull(child);
	ck_assert_int_eq(muster_child_on(child, &counting_child, &counts), 0);
	ck_assert_int_eq(muster_child_stdio(child, 0) != NULL, _i == 1);
	expect_end(6, 0);
}
END_TEST

/* ---- Node is the child */

static struct muster_child *node_child(void)
{
	struct muster_child *child = execute(EXEC("node", NODE_CHILD));

	run_until_count(test_loop, counts.message, 1);
	ck_assert_str_eq(counts.said, "\"ready\" ");
	counts.said[0] = '\0';
	return child;
}

/* Let it run some JavaScript. */
__attribute__((format(printf, 2, 3))) static void run_in(struct muster_child *child, const char *format, ...)
{
	struct muster_message message = { 0 };
	char script[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(script, sizeof script, format, arguments);
	va_end(arguments);
	message.json = json_pack("{s:s}", "run", script);
	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	json_decref(message.json);
}

static const char *const values[] = {
	"null",
	"true",
	"-1.5",
	"\"\"",
	"\"a\\nb\\u0000c\\\"\"",
	"\"\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80\"",
	"[1,[2,[3,[\"four\",{\"five\":[null]}]]]]",
	"\"\\ud800\"",
};

START_TEST(a_Node_child_gets_and_gives_any_value)
{
	struct muster_child *child = node_child();
	char want[128];

	snprintf(want, sizeof want, "%s ", values[_i]);
	ck_assert_int_eq(tell(child, values[_i]), 0);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(counts.said, want);
	leave(child);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

START_TEST(a_Node_child_gets_and_gives_a_megabyte)
{
	size_t length = 1024 * 1024;
	char *text = long_string(length);
	struct muster_message message = { .text = text, .length = length };
	struct muster_child *child = node_child();

	ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
	free(text);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_uint_eq(counts.length, length);
	leave(child);
}
END_TEST

START_TEST(a_Node_child_answers_on_the_sockets_it_is_given)
{
	struct muster_child *child = node_child();
	struct socket_counts of_socket = { 0 };
	struct muster_message message = { .text = "[\"for you\"]", .length = 11, .handle_type = MUSTER_HANDLE_SOCKET };
	int client, i;

	for (i = 0; i < 5; i++) {
		message.handle.socket = socket_with_peer(test_loop, &client, &of_socket);
		ck_assert_int_eq(muster_channel_send(muster_child_channel(child), &message), 0);
		run_until_count(test_loop, of_socket.close, (unsigned)i + 1);
		client_expect_text(client, "[\"for you\"]\n");
		client_expect_end(client);
		close(client);
	}
	leave(child);
}
END_TEST

START_TEST(a_Node_child_accepts_on_the_server_it_is_given)
{
	struct muster_child *child = node_child();
	struct server_counts of_server = { 0 };
	struct muster_server *server = listening_server(test_loop, &of_server);
	unsigned port = server_port(server);
	int client;

	send_server(child, server);
	run_until_count(test_loop, counts.message, 2);
	ck_assert_str_eq(counts.said, "\"serving\" ");
	ck_assert_int_eq(muster_server_close(server), 0);
	run_until_count(test_loop, of_server.close, 1);
	client = client_connect_port(port);
	client_expect_text(client, "served by Node\n");
	client_expect_end(client);
	close(client);
	run_in(child, "server.close()");
	leave(child);
}
END_TEST

static struct muster_socket *given;

static void take_socket(struct muster_child *child, struct muster_message *message, void *data)
{
	(void)data;
	if (message->handle_type == MUSTER_HANDLE_SOCKET)
		given = muster_message_take_socket(message, muster_channel_loop(muster_child_channel(child)));
}

START_TEST(a_Node_child_gives_us_its_sockets)
{
	static const struct muster_child_handlers on = { .on_message = take_socket };
	struct muster_child *child = node_child();
	int listener = client_listen(1), peer;

	ck_assert_int_eq(muster_child_on(child, &on, NULL), 0);
	run_in(child, "net.connect(%u, '127.0.0.1', function () { process.send('yours', this); })",
	       client_port_of(listener));
	run_until_count(test_loop, counts.handles, 1);
	ck_assert_ptr_nonnull(given);
	peer = accept(listener, NULL, NULL);
	ck_assert_int_eq(muster_socket_end_with(given, "by us now", 9), 0);
	client_expect_text(peer, "by us now");
	client_expect_end(peer);
	close(peer);
	close(listener);
	muster_socket_destroy(given, 0);
	leave(child);
}
END_TEST

START_TEST(a_Node_child_that_disconnects_ends)
{
	struct muster_child *child = node_child();

	run_in(child, "process.disconnect()");
	expect_end(0, 0);
	ck_assert_str_eq(counts.order, "message disconnect exit");
	(void)child;
}
END_TEST

START_TEST(a_Node_child_exits_with_its_code)
{
	run_in(node_child(), "process.exit(5)");
	expect_end(5, 0);
	ck_assert_str_eq(counts.order, "message disconnect exit");
}
END_TEST

START_TEST(a_Node_child_hears_of_our_disconnect)
{
	struct muster_child *child = spawn_silent(EXEC("node", NODE_CHILD));

	run_until_count(test_loop, counts.message, 1);
	run_in(child, "process.on('disconnect', () => console.log('disconnected', process.connected))");
	run_in(child, "console.error('error output')");
	leave(child);
	expect_output("disconnected false\n", "error output\n");
}
END_TEST

/* ---- Node is the parent: a script of its is run with our child, whose channel is the descriptor fd. */

static struct ended ended;

static void run_parent(const char *fd, const char *argument, const char *script)
{
	run(&ended, "node", NODE_PARENT, MUSTER_CHILD, fd, argument, script);
	ck_assert_msg(ended.status == 0, "Node ended with %d: %s%s", ended.status, ended.out, ended.err);
	ck_assert_str_eq(ended.err, "");
}

static void expect_said(const char *part)
{
	ck_assert_msg(strstr(ended.out, part) != NULL, "nobody said '%s', but: %s", part, ended.out);
}

static const char *const fds[] = { "3", "0", "7" };

START_TEST(our_child_speaks_with_a_Node_parent)
{
	run_parent(fds[_i], "mirror",
		   "const values = [null, true, -1.5, '', 'a\\nb\\0',"
		   "'\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80', [1, { two: [] }]];"
		   "values.forEach((value) => child.send(value));"
		   "hear(values.length, () => child.disconnect());");
	expect_said("message null\n"
		    "message true\n"
		    "message -1.5\n"
		    "message \"\"\n"
		    "message \"a\\nb\\u0000\"\n"
		    "message \"\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\"\n"
		    "message [1,{\"two\":[]}]\n");
	expect_said("disconnect\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_has_a_megabyte_for_a_Node_parent)
{
	run_parent("3", "mirror", "child.send('x'.repeat(1 << 20)); hear(1, () => child.disconnect());");
	expect_said("message 1048578 bytes\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_ends_by_itself_if_it_does_not_listen)
{
	run_parent("3", "hello", "");
	expect_said("message \"hello\"\n");
	expect_said("disconnect\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_leaves_a_Node_parent)
{
	run_parent("3", "mirror", "child.send('leave');");
	expect_said("disconnect\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_childs_exit_code_is_Nodes)
{
	run_parent("3", "mirror", "child.send('exit');");
	expect_said("exit 7\n");
}
END_TEST

START_TEST(our_child_takes_sockets_of_a_Node_parent)
{
	run_parent("3", "mirror",
		   "const server = net.createServer({ pauseOnConnect: true }, (socket) => child.send('here', socket));"
		   "server.listen(0, '127.0.0.1', () => {"
		   "	const client = net.connect(server.address().port, '127.0.0.1');"
		   "	client.on('data', (data) => print('client', data));"
		   "	client.on('close', () => { server.close(); child.disconnect(); });"
		   "});");
	expect_said("client \"here\" by our child\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_shares_a_server_of_a_Node_parent)
{
	run_parent("3", "mirror",
		   "const server = net.createServer();"
		   "server.listen(0, '127.0.0.1', () => {"
		   "	const { port } = server.address();"
		   "	child.send('server', server, () => server.close());"
		   "	hear(1, () => net.connect(port, '127.0.0.1').on('data', (data) => print('client', data))"
		   "		.on('close', () => child.disconnect()));"
		   "});");
	expect_said("message \"serving\"\n");
	expect_said("client served by our child\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_gives_its_sockets_to_a_Node_parent)
{
	run_parent("3", "mirror",
		   "const server = net.createServer((socket) => { socket.on('data', (data) => print('server', data));"
		   "	socket.on('close', () => { server.close(); child.disconnect(); }); });"
		   "child.on('message', (message, socket) => socket?.end('by Node now'));"
		   "server.listen(0, '127.0.0.1', () => child.send({ connect: server.address().port }));");
	expect_said("message \"yours\" Socket\n");
	expect_said("server by Node now\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_childs_output_is_read_by_a_Node_parent)
{
	run_parent("3 silent", "mirror",
		   "child.stdout.on('data', (data) => print('out', data));"
		   "child.stderr.on('data', (data) => print('err', data));"
		   "child.send('print'); hear(1, () => child.disconnect());");
	expect_said("out to the output\n");
	expect_said("err to the error output\n");
	expect_said("exit 0\n");
}
END_TEST

/* Neither by the environment nor by a descriptor. */
START_TEST(what_our_child_starts_does_not_inherit_the_channel)
{
	run_parent(fds[_i], "mirror", "child.send('nest'); hear(1, () => child.disconnect());");
	expect_said("nested: none, sockets: 0\n");
	expect_said("nested child: none\n");
	expect_said("exit 0\n");
}
END_TEST

START_TEST(our_child_refuses_what_is_not_JSON)
{
	run_parent("3 advanced", "mirror", "");
	expect_said("exit 95\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("child_process");
	TCase *messages = add_loop_case(suite, "messages"), *handles = add_loop_case(suite, "handles");
	TCase *ends = add_loop_case(suite, "ends"), *inherited = add_loop_case(suite, "inherited");
	TCase *exec = add_loop_case(suite, "exec"), *silent = add_loop_case(suite, "silent"),
	      *forms = add_loop_case(suite, "forms");
	TCase *many = add_loop_case(suite, "many");
	TCase *node = add_loop_case(suite, "Node"), *under_node = add_loop_case(suite, "under Node");

	tcase_add_test(messages, messages_go_there_and_back);
	tcase_add_test(messages, a_megabyte_goes_there_and_back);
	tcase_add_test(messages, a_child_that_returns_has_said_all_it_had_to_say);
	tcase_add_test(messages, what_a_child_said_before_its_death_comes_before_on_exit);
	tcase_add_test(messages, the_channel_of_a_child_has_handlers_of_its_own);
	tcase_add_test(messages, handlers_can_be_taken_away);
	tcase_add_test(messages, a_channel_with_a_child_that_does_not_read_fills_and_drains);
	tcase_add_test(handles, a_socket_is_given_away_to_a_child);
	tcase_add_loop_test(handles, what_a_proxy_told_of_a_socket_goes_with_it, 0, sizeof proxies / sizeof proxies[0]);
	tcase_add_test(handles, what_a_proxy_told_and_bytes_that_were_read_go_together);
	tcase_add_test(handles, a_program_that_may_not_be_ours_is_not_told_what_a_proxy_told);
	tcase_add_loop_test(handles, addresses_that_are_none_are_refused_with_the_socket, 0,
			    sizeof bad_ends / sizeof bad_ends[0]);
	tcase_add_test(handles, what_was_read_and_given_back_goes_with_the_socket);
	tcase_add_test(handles, to_a_program_of_ours_it_goes_as_well);
	tcase_add_test(handles, to_a_program_that_may_not_be_ours_it_does_not_go_and_nothing_is_lost);
	tcase_add_test(handles, a_server_is_shared_with_a_child);
	tcase_add_test(handles, a_descriptor_goes_there_and_back);
	tcase_add_loop_test(ends, its_exit_code_is_told, 0, sizeof codes / sizeof codes[0]);
	tcase_add_test(ends, a_child_that_waits_for_nothing_ends_with_0);
	tcase_add_test(ends, a_child_that_cannot_start_ends_with_1);
	tcase_add_loop_test(ends, a_child_is_killed_by_the_signal_it_is_sent, 0, sizeof signals / sizeof signals[0]);
	tcase_add_test(ends, on_exit_still_has_a_child_to_ask);
	tcase_add_test(ends, a_second_disconnect_is_ECHANNEL);
	tcase_add_test(ends, a_child_that_closes_its_channel_lives_on_until_it_exits);
	tcase_add_test(ends, the_end_of_a_child_is_its_own_though_a_grandchild_holds_the_channel);
	tcase_add_test(ends, a_child_keeps_the_loop_running_unless_unrefd);
	tcase_add_test(ends, a_loop_that_goes_leaves_its_children_to_drain);
	tcase_add_test(ends, a_silent_child_of_a_loop_that_goes_ends_too);
	tcase_add_loop_test(inherited, nothing_of_the_parent_is_left_open_in_a_child, 0, 2);
	tcase_add_test(inherited, no_child_holds_the_channel_of_another);
	tcase_add_test(inherited, a_function_has_the_environment_and_the_folder_it_was_given);
	tcase_add_test(inherited, a_program_has_the_environment_and_the_folder_it_was_given);
	tcase_add_test(inherited, a_child_may_be_another_user);
	tcase_add_test(inherited, a_program_may_be_run_by_another_user);
	tcase_add_loop_test(inherited, who_cannot_become_the_user_does_not_run, 0, 2);
	tcase_add_loop_test(inherited, a_folder_that_is_not_there_is_127, 0, 2);
	tcase_add_test(exec, a_program_finds_its_channel_by_the_environment);
	tcase_add_test(exec, a_script_can_speak_with_us);
	tcase_add_loop_test(exec, a_program_ends_as_it_does_and_one_that_cannot_be_run_with_127, 0,
			    sizeof programs / sizeof programs[0]);
	tcase_add_test(exec, a_program_that_cannot_be_run_says_why);
	tcase_add_test(exec, a_program_has_its_arguments);
	tcase_add_test(exec, a_program_killed_by_a_signal_says_which);
	tcase_add_test(silent, what_is_written_to_a_silent_child_comes_back_by_its_output);
	tcase_add_test(silent, a_child_that_cannot_start_says_why_on_its_error_output);
	tcase_add_test(silent, all_output_is_read_though_its_writer_is_gone);
	tcase_add_test(silent, output_that_comes_after_the_exit_is_not_lost);
	tcase_add_test(silent, the_input_of_a_silent_child_ends_with_it);
	tcase_add_test(silent, a_silent_child_whose_output_nobody_reads_keeps_nothing_running_when_it_is_gone);
	tcase_add_loop_test(silent, only_a_silent_child_has_sockets_for_its_standard_descriptors, 0, 2);
	tcase_add_test(silent, an_output_that_was_closed_is_no_socket_any_more);
	tcase_add_test(silent, a_silent_program_has_four_descriptors_and_they_block);
	tcase_add_test(forms, a_standard_descriptor_may_be_one_of_the_parents);
	tcase_add_test(forms, output_and_error_of_the_parent_may_change_places);
	tcase_add_test(forms, a_standard_descriptor_may_be_nothing);
	tcase_add_test(forms, one_standard_descriptor_alone_may_be_a_socket);
	tcase_add_test(forms, a_silent_child_may_have_a_standard_descriptor_that_is_no_socket);
	tcase_add_loop_test(forms, a_standard_descriptor_that_is_none_is_refused, 0,
			    sizeof bad_stdio / sizeof bad_stdio[0]);
	tcase_add_test(many, many_children_at_once_have_each_their_own_end);
	tcase_add_test(many, eighty_children_each_give_their_socket_to_the_parent);
	tcase_add_loop_test(many, at_the_descriptor_limit_a_spawn_fails_and_leaves_nothing, 0, 2);
	tcase_add_test(many, options_that_make_no_sense_are_refused);
	tcase_add_loop_test(many, options_of_an_older_and_of_a_newer_program_are_understood, 0, 2);
	if (!node_is_installed())
		return run_suite(suite);
	tcase_add_loop_test(node, a_Node_child_gets_and_gives_any_value, 0, sizeof values / sizeof values[0]);
	tcase_add_test(node, a_Node_child_gets_and_gives_a_megabyte);
	tcase_add_test(node, a_Node_child_answers_on_the_sockets_it_is_given);
	tcase_add_test(node, a_Node_child_accepts_on_the_server_it_is_given);
	tcase_add_test(node, a_Node_child_gives_us_its_sockets);
	tcase_add_test(node, a_Node_child_that_disconnects_ends);
	tcase_add_test(node, a_Node_child_exits_with_its_code);
	tcase_add_test(node, a_Node_child_hears_of_our_disconnect);
	tcase_add_loop_test(under_node, our_child_speaks_with_a_Node_parent, 0, 3);
	tcase_add_test(under_node, our_child_has_a_megabyte_for_a_Node_parent);
	tcase_add_test(under_node, our_child_ends_by_itself_if_it_does_not_listen);
	tcase_add_test(under_node, our_child_leaves_a_Node_parent);
	tcase_add_test(under_node, our_childs_exit_code_is_Nodes);
	tcase_add_test(under_node, our_child_takes_sockets_of_a_Node_parent);
	tcase_add_test(under_node, our_child_shares_a_server_of_a_Node_parent);
	tcase_add_test(under_node, our_child_gives_its_sockets_to_a_Node_parent);
	tcase_add_test(under_node, our_childs_output_is_read_by_a_Node_parent);
	tcase_add_loop_test(under_node, what_our_child_starts_does_not_inherit_the_channel, 0, 3);
	tcase_add_test(under_node, our_child_refuses_what_is_not_JSON);
	return run_suite(suite);
}
