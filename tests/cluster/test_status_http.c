/* tests/cluster/test_status_http.c - the status over HTTP: right, strict in its form, and nobody's trouble. */
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/http.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))
#define STATUS(rest) "'status': { 'path': 'status' }, " rest

static int connected(void)
{
	return client_connect_path(folder_path("status"));
}

static struct answer *get(const char *path)
{
	static struct answer answer;

	http_get(&answer, connected(), path);
	return &answer;
}

/* The process that serves it: the child of the daemon that no worker is. */
static pid_t find_process(const struct daemon *daemon)
{
	struct ended ended;
	char pid[16], *at, *end;
	unsigned slot;
	long child;

	snprintf(pid, sizeof pid, "%d", (int)daemon->pid);
	run(&ended, "ps", "-o", "pid=", "--ppid", pid);
	for (at = ended.out; (child = strtol(at, &end, 10)) > 0; at = end) {
		for (slot = 0; daemon_worker(daemon, slot, "pid") > 0; slot++)
			if (daemon_worker(daemon, slot, "pid") == child)
				break;
		if (daemon_worker(daemon, slot, "pid") <= 0 && process_lives((pid_t)child))
			return (pid_t)child;
	}
	return 0;
}

/* ---- the format, as strict as a parser may be */

static const char *skip_name(const char *at)
{
	ck_assert_msg(isalpha((unsigned char)*at) || *at == '_', "no name at: %s", at);
	while (isalnum((unsigned char)*at) || *at == '_' || *at == ':')
		at++;
	return at;
}

static const char *skip_value_of_label(const char *at)
{
	ck_assert_int_eq(*at++, '"');
	for (; *at != '"'; at++) {
		ck_assert_msg(*at != '\n' && *at != '\0', "a label does not end");
		if (*at == '\\')
			ck_assert_msg(*++at == 'n' || *at == '"' || *at == '\\', "a wrong escape at: %s", at);
	}
	return at + 1;
}

static const char *skip_labels(const char *at)
{
	if (*at != '{')
		return at;
	do {
		at = skip_name(at + 1);
		ck_assert_int_eq(*at++, '=');
		at = skip_value_of_label(at);
	} while (*at == ',');
	ck_assert_int_eq(*at, '}');
	return at + 1;
}

struct family {
	const char *name;
	size_t length;
	bool is_counter;
};

/* "# HELP name text", "# TYPE name kind": always both, in this order, once. */
static const char *read_head(const char *at, struct family *family, const char *all)
{
	char type[256];

	ck_assert_msg(strncmp(at, "# HELP ", 7) == 0, "no HELP at: %.80s", at);
	family->name = at + 7;
	family->length = (size_t)(skip_name(family->name) - family->name);
	ck_assert_int_eq(family->name[family->length], ' ');
	at = strchr(at, '\n') + 1;
	snprintf(type, sizeof type, "# TYPE %.*s ", (int)family->length, family->name);
	ck_assert_msg(strncmp(at, type, strlen(type)) == 0, "no \"%s\" at: %.80s", type, at);
	ck_assert_msg(strstr(all, type) == at, "twice: %s", type);
	at += strlen(type);
	family->is_counter = strncmp(at, "counter\n", 8) == 0;
	ck_assert_msg(family->is_counter || strncmp(at, "gauge\n", 6) == 0, "a wrong type at: %.80s", at);
	ck_assert_int_eq(family->is_counter,
			 family->length > 6 && strncmp(family->name + family->length - 6, "_total", 6) == 0);
	return strchr(at, '\n') + 1;
}

static const char *read_sample(const char *at, const struct family *family, const char *all)
{
	const char *series = at, *end;
	char text[1024], *rest;
	double value;

	end = skip_name(at);
	ck_assert_msg((size_t)(end - at) == family->length && memcmp(at, family->name, family->length) == 0,
		      "of another family: %.80s", at);
	end = skip_labels(end);
	ck_assert_int_eq(*end++, ' ');
	snprintf(text, sizeof text, "\n%.*s", (int)(end - series), series);
	ck_assert_msg(strstr(strstr(all, text) + 1, text) == NULL, "twice: %s", text);
	value = strtod(end, &rest);
	ck_assert_msg(rest > end && *rest == '\n', "no value: %.80s", series);
	ck_assert_msg(!family->is_counter || value >= 0, "a counter below 0: %.80s", series);
	return rest + 1;
}

static void check_format(const char *text)
{
	struct family family;
	const char *at = text;

	ck_assert_msg(*text != '\0' && text[strlen(text) - 1] == '\n', "it does not end with a line's end");
	while (*at != '\0') {
		at = read_head(at, &family, text);
		while (*at != '\0' && *at != '#')
			at = read_sample(at, &family, text);
	}
}

/* The value of a series, written with ' for "; -1 if it is not there. */
static double metric(const char *series)
{
	char wanted[512], *quote, *found;

	snprintf(wanted, sizeof wanted, "\n%s ", series);
	while ((quote = strchr(wanted, '\'')) != NULL)
		*quote = '"';
	found = strstr(get("/metrics")->body, wanted);
	return found != NULL ? strtod(found + strlen(wanted), NULL) : -1;
}

/* One that has labels which nobody knows beforehand: the sum over all series of that name. */
static double sum(const char *name)
{
	char wanted[128];
	const char *at = get("/metrics")->body;
	double all = 0;

	snprintf(wanted, sizeof wanted, "\n%s{", name);
	while ((at = strstr(at, wanted)) != NULL) {
		at = strstr(at, "} ") + 2;
		all += strtod(at, NULL);
	}
	return all;
}

/* Names that need an escape. */
#define ESCAPED                                                                                                        \
	"'workers': 1, 'listeners': [ { 'name': 'a\\\\b\\u0022c', 'host': '127.0.0.1', 'port': 0, "                    \
	"'application': '{x=\\\\,' } ], 'applications': { '{x=\\\\,': { 'builtin': 'discard' } }"

static const char *const applications[] = {
	STATUS(ECHO("3", "")),
	STATUS(ECHO("1", ", 'policy': 'shared'")),
	STATUS(ESCAPED),
};

START_TEST(metrics_are_strictly_in_their_format)
{
	struct daemon *daemon = daemon_start(applications[_i]);
	struct answer *answer = get("/metrics");

	ck_assert_int_eq(answer->status, 200);
	ck_assert_str_eq(http_header(answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	check_format(answer->body);
	ck_assert(strstr(answer->body, "\nmuster_up 1\n") != NULL);
	ck_assert(strstr(answer->body, "\nmuster_host_listen_drops_total ") != NULL);
	if (_i == 2)
		ck_assert(strstr(answer->body, "{listener=\"a\\\\b\\\"c\",") != NULL);
	daemon_stop(daemon);
}
END_TEST

/* ---- the numbers */

static void talk(unsigned port)
{
	int fd = client_connect_port(port);

	client_send_text(fd, "hello");
	client_expect_text(fd, "hello");
	close(fd);
}

static double of_tcp(const struct daemon *daemon, const char *name)
{
	char series[256];

	snprintf(series, sizeof series, "%s{listener='tcp',address='127.0.0.1:%u',application='echo'}", name,
		 daemon_port(daemon, "tcp"));
	return metric(series);
}

START_TEST(metrics_count_what_has_happened)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("2", "")));
	unsigned port = daemon_port(daemon, "tcp"), i;
	int open[3];

	for (i = 0; i < 7; i++)
		talk(port);
	for (i = 0; i < 3; i++)
		open[i] = client_connect_port(port);
	until(of_tcp(daemon, "muster_listener_connections") == 3);
	ck_assert_double_eq(of_tcp(daemon, "muster_listener_accepted_total"), 10);
	ck_assert_double_eq(metric("muster_connections"), 3);
	ck_assert_double_eq(metric("muster_connections_accepted_total"), 10);
	ck_assert_double_eq(metric("muster_handovers_total"), 10);
	ck_assert_double_eq(metric("muster_handovers_refused_total"), 0);
	ck_assert_double_eq(metric("muster_workers{application='echo',state='ready'}"), 2);
	ck_assert_double_eq(metric("muster_workers{application='echo',state='draining'}"), 0);
	ck_assert_double_eq(sum("muster_worker_accepted_total"), 10);
	ck_assert_double_eq(sum("muster_worker_connections"), 3);
	ck_assert_double_gt(sum("muster_worker_resident_memory_bytes"), 0);
	ck_assert_double_gt(metric("muster_primary_resident_memory_bytes"), 0);
	ck_assert_double_gt(metric("muster_primary_open_fds"), 5);
	for (i = 0; i < 3; i++)
		close(open[i]);
	until(metric("muster_connections") == 0);
	kill(daemon->pid, SIGTERM);
	ck_assert_int_eq(daemon_wait(daemon), 0);
	ck_assert_uint_eq(daemon_logged(daemon, "in all: 10 connections accepted, 10 handed over (0 refused, 0 "
						"recovered), 0 workers replaced"),
			  1);
	daemon_free(daemon);
}
END_TEST

/* The process itself is replaced by the reload, and by its death. */
START_TEST(counters_never_fall)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	unsigned port = daemon_port(daemon, "tcp"), round;

	for (round = 1; round <= 3; round++) {
		pid_t worker = (pid_t)daemon_worker(daemon, 0, "pid");

		talk(port);
		talk(port);
		kill(worker, SIGKILL);
		until(metric("muster_worker_restarts_total") == round && daemon_ready(daemon) == 1);
		daemon_rewrite(daemon, STATUS(ECHO("1", "")));
		kill(daemon->pid, SIGHUP);
		until(metric("muster_reloads_total") == round && metric("muster_generation") == round + 1);
		until(sum("muster_workers") == 1);
		ck_assert_double_eq(metric("muster_connections_accepted_total"), 2 * round);
		ck_assert_double_eq(of_tcp(daemon, "muster_listener_accepted_total"), 2 * round);
		ck_assert_double_eq(metric("muster_handovers_total"), 2 * round);
		check_format(get("/metrics")->body);
	}
	daemon_rewrite(daemon, "nonsense");
	kill(daemon->pid, SIGHUP);
	until(metric("muster_reloads_failed_total") == 1);
	ck_assert_double_eq(metric("muster_reloads_total"), 4);
	kill(daemon->pid, SIGTERM);
	daemon_wait(daemon);
	daemon_free(daemon);
}
END_TEST

START_TEST(status_is_what_musterctl_says)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("2", "")));
	struct answer *answer = get("/status");
	json_t *here = json_loads(answer->body, 0, NULL), *there = daemon_status(daemon);
	const char *key;
	json_t *value;

	ck_assert_int_eq(answer->status, 200);
	ck_assert_str_eq(http_header(answer, "Content-Type"), "application/json");
	ck_assert_str_eq(http_header(answer, "Cache-Control"), "no-store");
	ck_assert_uint_eq(json_object_size(here), json_object_size(there));
	json_object_foreach(there, key, value)
	{
		if (strcmp(key, "uptime_ms") != 0 && strcmp(key, "primary") != 0 && strcmp(key, "host") != 0 &&
		    strcmp(key, "workers") != 0)
			ck_assert_msg(json_equal(value, json_object_get(here, key)), "%s differs", key);
	}
	/* The process that serves it is no worker, and its socket is no listener. */
	ck_assert_uint_eq(json_array_size(json_object_get(here, "workers")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(here, "listeners")), 1);
	json_decref(here);
	json_decref(there);
	daemon_stop(daemon);
}
END_TEST

/* ---- who asks */

static const struct {
	const char *request;
	int status;
} requests[] = {
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1:9145\r\n\r\n", 200 },
	{ "GET /status HTTP/1.0\r\n\r\n", 200 },
	{ "GET /status?x=y HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200 },
	{ "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 200 },
	{ "GET http://127.0.0.1/status HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200 },
	{ "GET /status HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 403 },
	{ "GET /status HTTP/1.1\r\nHost: 127.0.0.1.example:80\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 403 },
	{ "GET /status/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404 },
	{ "GET /../status HTTP/1.1\r\nHost: localhost\r\n\r\n", 404 },
	{ "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 501 },
	{ "DELETE /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 501 },
	{ "GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", 413 },
	{ "nonsense\r\n\r\n", 400 },
};

START_TEST(each_request_gets_its_status)
{
	struct answer answer;
	char text[256];
	unsigned port = client_free_port();
	struct daemon *daemon;

	snprintf(text, sizeof text, "'status': { 'port': %u }, %s", port, ECHO("1", ""));
	daemon = daemon_start(text);
	http_ask(&answer, client_connect_port(port), requests[_i].request);
	ck_assert_msg(answer.status == requests[_i].status, "%d for %s", answer.status, requests[_i].request);
	daemon_stop(daemon);
}
END_TEST

/* Nobody's browser has a name for a path, and whoever opened it to the world said so. */
START_TEST(by_a_path_any_name_will_do)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	struct answer answer;

	http_ask(&answer, connected(), "GET /status HTTP/1.1\r\nHost: muster.example\r\n\r\n");
	ck_assert_int_eq(answer.status, 200);
	daemon_stop(daemon);
}
END_TEST

START_TEST(head_is_answered_without_a_body)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	struct answer answer;

	http_ask(&answer, connected(), "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(answer.status, 200);
	ck_assert_str_eq(answer.body, "");
	daemon_stop(daemon);
}
END_TEST

START_TEST(endless_headers_are_cut_off)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	int fd = connected(), i;
	char line[1000];

	memset(line, 'x', sizeof line);
	memcpy(line, "GET / HTTP/1.1\r\nX: ", 19);
	for (i = 0; i < 100 && send(fd, line, sizeof line, MSG_NOSIGNAL) > 0; i++)
		memset(line, 'x', sizeof line);
	while (recv(fd, line, sizeof line, 0) > 0)
		;
	close(fd);
	ck_assert_int_eq(get("/status")->status, 200);
	daemon_stop(daemon);
}
END_TEST

/* More than there is room for, none of which says anything. */
START_TEST(silent_clients_keep_nobody_out)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	int silent[150], i;

	for (i = 0; i < COUNT_OF(silent); i++)
		silent[i] = connected();
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(get("/status")->status, 200);
	client_expect_end(silent[0]);
	for (i = 0; i < COUNT_OF(silent); i++)
		close(silent[i]);
	daemon_stop(daemon);
}
END_TEST

/* Whoever does not read what he asked for, and the process that serves him stopped: the primary does not mind. */
START_TEST(a_stopped_process_holds_up_nobody)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	unsigned port = daemon_port(daemon, "tcp"), i;
	pid_t process = find_process(daemon);
	int asking[40];

	ck_assert_int_gt(process, 0);
	process_freeze(process);
	for (i = 0; i < 40; i++) {
		asking[i] = connected();
		client_send_text(asking[i], "GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (i = 0; i < 5; i++)
		talk(port);
	ck_assert_int_ge(daemon_number(daemon, "connections"), 0);
	kill(process, SIGCONT);
	for (i = 0; i < 40; i++)
		close(asking[i]);
	ck_assert_int_eq(get("/status")->status, 200);
	daemon_stop(daemon);
}
END_TEST

START_TEST(an_idle_daemon_asks_itself_nothing)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	pid_t process = find_process(daemon);
	unsigned before = process_has_open(process, "socket:"), primary;

	ck_assert_int_eq(get("/status")->status, 200);
	until(process_has_open(process, "socket:") == before);
	/* What is left of that connection has been tidied up by then. */
	usleep(300000);
	before = process_sleeps(process);
	primary = process_sleeps(daemon->pid);
	usleep(300000);
	ck_assert_uint_eq(process_sleeps(process), before);
	ck_assert_uint_eq(process_sleeps(daemon->pid), primary);
	daemon_stop(daemon);
}
END_TEST

/* ---- its life */

START_TEST(a_process_that_dies_is_replaced)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("2", "")));
	pid_t process = find_process(daemon);

	ck_assert_int_gt(process, 0);
	kill(process, SIGKILL);
	/* The socket is the primary's: whoever comes meanwhile waits in its queue. */
	ck_assert_int_eq(get("/status")->status, 200);
	ck_assert_int_ne(find_process(daemon), process);
	ck_assert_double_eq(metric("muster_worker_restarts_total"), 1);
	kill(daemon->pid, SIGTERM);
	daemon_wait(daemon);
	daemon_free(daemon);
}
END_TEST

START_TEST(a_reload_begins_moves_and_ends_it)
{
	struct daemon *daemon = daemon_start(ECHO("1", ""));

	daemon_rewrite(daemon, STATUS(ECHO("1", "")));
	kill(daemon->pid, SIGHUP);
	until(daemon_number(daemon, "generation") == 2);
	ck_assert_int_eq(get("/status")->status, 200);
	daemon_rewrite(daemon, "'status': { 'path': 'other' }, " ECHO("1", ""));
	kill(daemon->pid, SIGHUP);
	until(client_try_path(folder_path("status")) != 0);
	ck_assert_int_eq(client_try_path(folder_path("other")), 0);
	daemon_rewrite(daemon, ECHO("1", ""));
	kill(daemon->pid, SIGHUP);
	until(client_try_path(folder_path("other")) != 0);
	until(find_process(daemon) == 0);
	daemon_stop(daemon);
}
END_TEST

START_TEST(it_stays_asked_through_reloads)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	unsigned i;

	for (i = 0; i < 5; i++) {
		kill(daemon->pid, SIGHUP);
		do
			ck_assert_int_eq(get("/metrics")->status, 200);
		while (metric("muster_reloads_total") <= i || metric("muster_generation") <= i + 1);
	}
	daemon_stop(daemon);
}
END_TEST

START_TEST(it_may_do_nothing)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	pid_t process = find_process(daemon);
	struct ended ended;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", (int)process);
	run(&ended, "cat", path);
	ck_assert_msg(strstr(ended.out, "\nCapPrm:\t0000000000000000\n") != NULL, "%s", ended.out);
	ck_assert(strstr(ended.out, "\nCapEff:\t0000000000000000\n") != NULL);
	ck_assert(strstr(ended.out, "\nNoNewPrivs:\t1\n") != NULL);
	if (geteuid() == 0) {
		ck_assert(strstr(ended.out, "\nCapBnd:\t0000000000000000\n") != NULL);
		ck_assert(strstr(ended.out, "\nUid:\t65534\t65534\t65534\t65534\n") != NULL);
		ck_assert(strstr(ended.out, "\nGid:\t65534\t65534\t65534\t65534\n") != NULL);
		ck_assert(strstr(ended.out, "\nGroups:\t \n") != NULL);
	}
#ifndef __SANITIZE_ADDRESS__
	snprintf(path, sizeof path, "/proc/%d/limits", (int)process);
	run(&ended, "grep", "Max processes", path);
	ck_assert_int_eq(strtol(ended.out + strcspn(ended.out, "0123456789"), NULL, 10), 0);
#endif
	/* The counts of the workers are out of its reach. */
	snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
	run(&ended, "grep", "-c", "muster-scoreboard", path);
	ck_assert_str_eq(ended.out, "0\n");
	daemon_stop(daemon);
}
END_TEST

START_TEST(a_port_that_is_taken_fails_the_start)
{
	char text[256];
	int taken = client_listen(1);
	struct daemon *daemon;

	snprintf(text, sizeof text, "'status': { 'port': %u }, %s", client_port_of(taken), ECHO("1", ""));
	daemon = daemon_configure(text);
	daemon_launch(daemon, &(struct daemon_start){ 0 });
	ck_assert_int_eq(daemon_wait(daemon), 1);
	ck_assert_uint_eq(daemon_logged(daemon, "listener status: "), 1);
	close(taken);
	daemon_free(daemon);
}
END_TEST

/* ---- the page */

START_TEST(the_page_needs_nobody_else)
{
	struct daemon *daemon = daemon_start(STATUS(ECHO("1", "")));
	struct answer *answer = get("/");
	const char *policy;
	char wanted[64], first[40];

	ck_assert_int_eq(answer->status, 200);
	ck_assert_str_eq(http_header(answer, "Content-Type"), "text/html; charset=utf-8");
	policy = http_header(answer, "Content-Security-Policy");
	ck_assert_msg(strncmp(policy, "default-src 'none'; script-src 'nonce-", 38) == 0, "%s", policy);
	snprintf(first, sizeof first, "%.32s", policy + 38);
	snprintf(wanted, sizeof wanted, "<script nonce=\"%s\">", first);
	ck_assert_msg(strstr(answer->body, wanted) != NULL, "no %s", wanted);
	ck_assert(strstr(answer->body, "@NONCE@") == NULL);
	ck_assert(strstr(answer->body, "src=") == NULL && strstr(answer->body, "@import") == NULL);
	/* Nobody can guess the next one. */
	answer = get("/");
	ck_assert(strstr(answer->body, first) == NULL);
	daemon_stop(daemon);
}
END_TEST

static Suite *status_http_suite(void)
{
	Suite *suite = suite_create("status over HTTP");
	TCase *metrics = add_case(suite, "metrics"), *asked = add_case(suite, "asked"), *life = add_case(suite, "life");

	tcase_add_loop_test(metrics, metrics_are_strictly_in_their_format, 0, COUNT_OF(applications));
	tcase_add_test(metrics, metrics_count_what_has_happened);
	tcase_add_test(metrics, counters_never_fall);
	tcase_add_test(metrics, status_is_what_musterctl_says);
	tcase_add_loop_test(asked, each_request_gets_its_status, 0, COUNT_OF(requests));
	tcase_add_test(asked, by_a_path_any_name_will_do);
	tcase_add_test(asked, head_is_answered_without_a_body);
	tcase_add_test(asked, endless_headers_are_cut_off);
	tcase_add_test(asked, silent_clients_keep_nobody_out);
	tcase_add_test(asked, a_stopped_process_holds_up_nobody);
	tcase_add_test(asked, an_idle_daemon_asks_itself_nothing);
	tcase_add_test(life, a_process_that_dies_is_replaced);
	tcase_add_test(life, a_reload_begins_moves_and_ends_it);
	tcase_add_test(life, it_stays_asked_through_reloads);
	tcase_add_test(life, it_may_do_nothing);
	tcase_add_test(life, a_port_that_is_taken_fails_the_start);
	tcase_add_test(life, the_page_needs_nobody_else);
	return suite;
}

int main(void)
{
	return run_suite(status_http_suite());
}
