/* tests/examples/test_cluster_examples.c - services of several processes, asked by curl and by sockets, beside Node. */
#include "tests/support/client.h"
#include "tests/support/node.h"
#include "tests/support/process.h"
#include "tests/support/program.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXAMPLE(name) TEST_BUILD_DIR "/examples/" name
#define SCRIPT(name) TEST_SOURCE_DIR "/examples/" name

/* Both its workers listen. */
static unsigned start(struct program *program, const char *const *argv)
{
	unsigned port = program_start_at_port(program, "worker ", argv);

	ck_assert_uint_eq(program_read_port(program, "worker "), port);
	return port;
}

#define START(program, ...) start(program, (const char *const[]){ __VA_ARGS__, NULL })

/* What curl says about one page, asked for so often over one connection if that lasts. */
static void ask(struct ended *ended, unsigned port, unsigned times)
{
	char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u/page[1-%u]", port, times);
	run(ended, "curl", "-sS", "--max-time", "20", url);
	ck_assert_str_eq(ended->err, "");
	ck_assert_int_eq(ended->status, 0);
}

static unsigned count(const char *text, const char *part)
{
	unsigned found = 0;

	while ((text = strstr(text, part)) != NULL) {
		found++;
		text += strlen(part);
	}
	return found;
}

/* Its workers see it go, and leave. */
static void end(struct program *program)
{
	program_stop(program, SIGKILL, 128 + SIGKILL);
}

/* ---- http_evhttp */

START_TEST(evhttp_answers_in_every_worker)
{
	struct program http;
	unsigned port = START(&http, EXAMPLE("http_evhttp"), "0"), seen[3] = { 0 }, i;
	struct ended ended;
	unsigned id, page;

	for (i = 0; i < 200 && (i < 20 || seen[1] == 0 || seen[2] == 0); i++) {
		ask(&ended, port, 1);
		ck_assert_int_eq(sscanf(ended.out, "worker %u: /page%u", &id, &page), 2);
		ck_assert(id == 1 || id == 2);
		seen[id]++;
	}
	ck_assert_uint_eq(seen[1] + seen[2], i);
	ck_assert(seen[1] > 0 && seen[2] > 0);
	ask(&ended, port, 3);
	ck_assert_uint_eq(count(ended.out, "/page"), 3);
	end(&http);
}
END_TEST

static void find_workers(pid_t primary, int workers[2])
{
	char path[64];
	FILE *children;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)primary, (int)primary);
	children = fopen(path, "r");
	ck_assert_ptr_nonnull(children);
	ck_assert_int_eq(fscanf(children, "%d %d", &workers[0], &workers[1]), 2);
	fclose(children);
}

/* What waits in the kernel when a worker dies is left there for evhttp: the primary takes none of it. */
START_TEST(evhttp_answers_what_was_queued_when_a_worker_died)
{
	struct program http;
	unsigned port = START(&http, EXAMPLE("http_evhttp"), "0"), i;
	int clients[8], workers[2];
	char line[8];

	find_workers(http.pid, workers);
	process_freeze(workers[0]);
	process_freeze(workers[1]);
	for (i = 0; i < 8; i++) {
		clients[i] = client_connect_port(port);
		client_send_text(clients[i], "GET / HTTP/1.0\r\n\r\n");
	}
	kill(workers[0], SIGKILL);
	program_read_port(&http, "worker 3");
	kill(workers[1], SIGCONT);
	for (i = 0; i < 8; i++) {
		client_receive(clients[i], line, sizeof line);
		ck_assert_int_eq(memcmp(line, "HTTP/1.", 7), 0);
		close(clients[i]);
	}
	end(&http);
}
END_TEST

/* ---- http_hello */

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n"
#define LAST "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"

START_TEST(hello_keeps_the_connection_for_curl)
{
	struct program http;
	unsigned port = START(&http, EXAMPLE("http_hello"), "0");
	struct ended ended;
	char url[64];

	snprintf(url, sizeof url, "http://127.0.0.1:%u/[1-5]", port);
	run(&ended, "curl", "-sS", "--max-time", "20", "-w", "%{num_connects} ", url);
	ck_assert_str_eq(ended.out, "hello\n1 hello\n0 hello\n0 hello\n0 hello\n0 ");
	end(&http);
}
END_TEST

START_TEST(hello_takes_requests_in_pieces_and_several_in_one)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
	struct program http;
	int client = client_connect_port(START(&http, EXAMPLE("http_hello"), "0"));
	size_t i;

	for (i = 0; i < sizeof request - 1; i++)
		client_send(client, request + i, 1);
	client_expect_text(client, HELLO);
	client_send_text(client,
			 "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n");
	client_expect_text(client, HELLO HELLO);
	client_expect_text(client, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\n");
	client_send_text(client, "Connection: close\r\n\r\n");
	client_expect_text(client, LAST);
	client_expect_end(client);
	close(client);
	end(&http);
}
END_TEST

START_TEST(hello_ends_what_it_cannot_answer)
{
	static const char *const requests[] = { "hello\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
						"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n" };
	static const char *const answers[] = { "HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 200 OK\r\n",
					       "HTTP/1.1 200 OK\r\n" };
	struct program http;
	unsigned port = START(&http, EXAMPLE("http_hello"), "0");
	char all[512], head[8192];
	int client = client_connect_port(port);

	client_send_text(client, requests[_i]);
	all[client_receive_all(client, all, sizeof all - 1)] = '\0';
	ck_assert_msg(strncmp(all, answers[_i], strlen(answers[_i])) == 0, "%s", all);
	ck_assert_ptr_nonnull(strstr(all, "\r\nConnection: close\r\n"));
	close(client);
	client = client_connect_port(port);
	memset(head, 'x', sizeof head);
	client_send(client, head, sizeof head - 1);
	client_expect_end(client);
	close(client);
	end(&http);
}
END_TEST

/* ---- Node beside us */

START_TEST(a_worker_in_c_serves_under_a_primary_in_node)
{
	struct program node;
	unsigned port = START(&node, "node", SCRIPT("node_primary.js"), EXAMPLE("worker_for_node"), "0"), i;
	char greeting[64];
	int client;

	for (i = 1; i <= 4; i++) {
		client = client_connect_port(port);
		snprintf(greeting, sizeof greeting, "hello from worker %u, in C\n", 2 - i % 2);
		client_expect_text(client, greeting);
		client_send_text(client, "echo");
		client_expect_text(client, "echo");
		close(client);
		program_read(&node);
		snprintf(greeting, sizeof greeting, "worker %u says {\"served\":1}", 2 - i % 2);
		ck_assert_str_eq(node.line, greeting);
	}
	program_stop(&node, SIGTERM, 0);
}
END_TEST

START_TEST(a_worker_in_node_and_one_in_c_serve_the_same_port)
{
	struct program primary;
	unsigned port = START(&primary, EXAMPLE("primary_for_node"), SCRIPT("node_worker.js"), "0"), in_c = 0,
		 in_node = 0, i;
	struct ended ended;

	for (i = 0; i < 8; i++) {
		ask(&ended, port, 1);
		in_c += strcmp(ended.out, "hello from C\n") == 0;
		in_node += strcmp(ended.out, "hello from Node\n") == 0;
	}
	ck_assert_uint_eq(in_c, 4);
	ck_assert_uint_eq(in_node, 4);
	end(&primary);
}
END_TEST

START_TEST(those_with_arguments_tell_how_they_are_used)
{
	struct ended ended;

	run(&ended, EXAMPLE("primary_for_node"));
	ck_assert_int_eq(ended.status, 2);
	ck_assert_str_eq(ended.err, "usage: primary_for_node SCRIPT [PORT]\n");
	run(&ended, EXAMPLE("worker_for_node"), "0");
	ck_assert_int_eq(ended.status, 1);
	ck_assert_ptr_nonnull(strstr(ended.err, "no primary started this"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster_examples");
	TCase *tcase = add_case(suite, "http_evhttp");

	tcase_add_test(tcase, evhttp_answers_in_every_worker);
	tcase_add_test(tcase, evhttp_answers_what_was_queued_when_a_worker_died);

	tcase = add_case(suite, "http_hello");
	tcase_add_test(tcase, hello_keeps_the_connection_for_curl);
	tcase_add_test(tcase, hello_takes_requests_in_pieces_and_several_in_one);
	tcase_add_loop_test(tcase, hello_ends_what_it_cannot_answer, 0, 3);

	tcase = add_case(suite, "node");
	tcase_add_test(tcase, those_with_arguments_tell_how_they_are_used);
	if (node_is_installed()) {
		tcase_add_test(tcase, a_worker_in_c_serves_under_a_primary_in_node);
		tcase_add_test(tcase, a_worker_in_node_and_one_in_c_serve_the_same_port);
	}
	return run_suite(suite);
}
