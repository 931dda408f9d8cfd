/* tests/master/test_permit.c - what workers of a program may listen on: what is permitted, and what was configured. */
#include "master/permit.h"
#include "ipc/protocol.h"
#include "master/cluster.h"
#include "master/listeners.h"

#include "tests/support/client.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"
#include "tests/support/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- the rule */

static const struct {
	int port;
	bool allowed;
} ports[] = {
	{ 0, true }, { 1, false }, { 80, false }, { 1023, false }, { 1024, true }, { 65535, true },
};

START_TEST(ports_below_the_least_are_not_permitted)
{
	struct muster__permit permit = { .min_port = 1024, .folder = folder_path("") };
	struct muster__query query = { .port = ports[_i].port, .family = 4, .fd = -1 };

	ck_assert_int_eq(muster__permit_allows(&permit, &query), ports[_i].allowed);
}
END_TEST

/* In the folder of the test; what begins with "/" or "@" is taken as it is. */
static const struct {
	const char *path;
	bool allowed;
} paths[] = {
	{ "app/x.sock", true },
	{ "app/sub/x.sock", true },
	{ "app/../app/x.sock", true },
	{ "alias/x.sock", true },
	{ "x.sock", false },
	{ "application/x.sock", false },
	{ "app/../x.sock", false },
	{ "app/out/x.sock", false },
	{ "app/missing/x.sock", false },
	{ "/x.sock", false },
	{ "@x", false },
};

static void make_folders(void)
{
	ck_assert_int_eq(mkdir(folder_path("app"), 0755), 0);
	ck_assert_int_eq(mkdir(folder_path("app/sub"), 0755), 0);
	ck_assert_int_eq(mkdir(folder_path("application"), 0755), 0);
	ck_assert_int_eq(symlink("app", folder_path("alias")), 0);
	ck_assert_int_eq(symlink("..", folder_path("app/out")), 0);
}

static bool allows_path(const char *folder, const char *path)
{
	struct muster__permit permit = { .folder = folder };
	struct muster__query query = { .address = path, .port = -1, .family = -1, .fd = -1 };

	return muster__permit_allows(&permit, &query);
}

START_TEST(a_path_is_judged_by_where_it_really_leads)
{
	const char *path = paths[_i].path;

	make_folders();
	path = strchr("/@", *path) != NULL ? path : folder_path(path);
	ck_assert_int_eq(allows_path(folder_path("app"), path), paths[_i].allowed);
	ck_assert_int_eq(allows_path(folder_path("app/"), path), paths[_i].allowed);
	ck_assert_int_eq(allows_path(folder_path("alias"), path), paths[_i].allowed);
	ck_assert(!allows_path(folder_path("missing"), path));
}
END_TEST

START_TEST(a_relative_path_is_no_path_of_a_worker)
{
	ck_assert(!allows_path(".", "x.sock"));
	ck_assert(!allows_path("/", ""));
	ck_assert(allows_path("/tmp/..", "/x.sock"));
}
END_TEST

/* ---- the rule at work */

static struct worker_counts counts;
static struct service service;
static struct muster__permit permit;

static struct muster_cluster *permitted_cluster(unsigned min_port)
{
	struct muster_cluster *cluster;

	make_folders();
	lines_record(MUSTER_LOG_WARN);
	permit = (struct muster__permit){ .min_port = min_port, .folder = folder_path("app") };
	cluster = new_cluster(NULL, &service, &counts);
	muster__cluster_set_permit(cluster, &permit);
	return cluster;
}

static void expect_refused(const char *place)
{
	struct muster_cluster *cluster = permitted_cluster(1024);
	char line[256];

	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "\"error EACCES bind\"");
	snprintf(line, sizeof line, "may listen on %s only if a listener is configured there", place);
	ck_assert_uint_eq(lines_with(line), 1);
	run_dry(test_loop);
	ck_assert_uint_eq(counts.listening, 0);
	close_cluster(cluster, &counts);
}

START_TEST(a_port_that_is_not_permitted_is_refused_and_the_log_knows_the_remedy)
{
	service.listen.port = 1023;
	expect_refused("127.0.0.1 port 1023");
}
END_TEST

START_TEST(a_path_that_is_not_permitted_is_refused_and_not_made)
{
	service.listen.path = folder_path("x.sock");
	expect_refused(service.listen.path);
	ck_assert_int_eq(access(service.listen.path, F_OK), -1);
}
END_TEST

static void expect_greeting(int client)
{
	unsigned id = greeted_by(client);

	ck_assert(id == 1 || id == 2);
	close(client);
}

static void start_two(struct muster_cluster *cluster)
{
	ck_assert_int_eq(muster_cluster_start(cluster, 2), 0);
	run_until_count(test_loop, counts.listening, 2);
}

START_TEST(what_is_permitted_is_bound_on_demand)
{
	struct muster_cluster *cluster = permitted_cluster(1024);

	if (_i == 1)
		service.listen.path = folder_path("app/x.sock");
	start_two(cluster);
	expect_greeting(_i == 1 ? client_connect_path(service.listen.path) : client_connect_port(counts.address.port));
	close_cluster(cluster, &counts);
}
END_TEST

/* ---- what was configured */

static struct muster__app_listener configured;

/* Nothing is permitted, so that only this can be had. */
static struct muster_cluster *configured_cluster(struct muster_listen_options listen, bool shared)
{
	struct muster_cluster *cluster = permitted_cluster(65536);
	struct muster__listener socket = MUSTER__LISTENER_NONE;
	struct muster__listening *listening;
	struct muster_error error;

	configured = (struct muster__app_listener){ .name = "web", .listen = listen };
	configured.listen.policy = shared ? MUSTER_POLICY_SHARED : MUSTER_POLICY_ROUND_ROBIN;
	ck_assert_int_eq(muster__listener_bind(&socket, &configured.listen, &error), 0);
	ck_assert_int_eq(muster__listener_listen(&socket, 0, &error), 0);
	ck_assert_int_eq(muster__listening_configure(cluster, &configured, &socket, 0, &listening), 0);
	return cluster;
}

static bool is_served(void *cluster)
{
	struct muster_worker *worker = muster_cluster_next(cluster, NULL);

	return worker != NULL &&
	       muster__listeners_wanted(muster__process_of(worker), NULL) != MUSTER__LISTENERS_MISSING;
}

static bool is_left(void *cluster)
{
	return !is_served(cluster);
}

/* How it was configured, and how the workers ask for it; the port is the same. */
static const struct {
	const char *host, *asked, *client;
} hosts[] = {
	{ "127.0.0.1", "127.0.0.1", "127.0.0.1" }, { NULL, "0.0.0.0", "127.0.0.1" }, { NULL, "::", "127.0.0.1" },
	{ "0.0.0.0", "::", "127.0.0.1" },          { "::1", "0:0::0:1", "::1" },     { "::1", "::1", "::1" },
};

START_TEST(a_configured_port_is_found_however_its_address_is_spelled)
{
	unsigned port = client_free_port();
	struct muster_cluster *cluster =
		configured_cluster((struct muster_listen_options){ .host = hosts[_i].host, .port = port }, _i % 2);

	service.listen = (struct muster_listen_options){ .host = hosts[_i].asked, .port = port };
	ck_assert(is_left(cluster));
	start_two(cluster);
	ck_assert(is_served(cluster));
	ck_assert_uint_eq(counts.address.port, port);
	expect_greeting(client_connect_to(hosts[_i].client, port));
	close_cluster(cluster, &counts);
}
END_TEST

START_TEST(a_configured_path_is_found_by_any_of_its_names)
{
	struct muster_cluster *cluster;

	ck_assert_int_eq(mkdir(folder_path("real"), 0755), 0);
	ck_assert_int_eq(symlink("real", folder_path("other")), 0);
	cluster = configured_cluster((struct muster_listen_options){ .path = folder_path("real/x.sock") }, _i);
	service.listen.path = folder_path("other/../real/x.sock");
	start_two(cluster);
	expect_greeting(client_connect_path(folder_path("other/x.sock")));
	close_cluster(cluster, &counts);
	ck_assert_int_eq(access(folder_path("real/x.sock"), F_OK), -1);
}
END_TEST

START_TEST(another_address_or_path_than_the_configured_is_refused)
{
	unsigned port = client_free_port();
	struct muster_cluster *cluster =
		configured_cluster((struct muster_listen_options){ .host = "127.0.0.1", .port = port }, false);

	service.listen = (struct muster_listen_options){ .host = "127.0.0.2", .port = port };
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.errors_of_worker, 1);
	service.listen = (struct muster_listen_options){ .path = folder_path("x.sock") };
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.errors_of_worker, 2);
	service.listen = (struct muster_listen_options){ .host = "127.0.0.1", .port = port == 65535 ? 1024 : port + 1 };
	ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
	run_until_count(test_loop, counts.errors_of_worker, 3);
	ck_assert_ptr_null(strstr(counts.said, "error EADDRINUSE"));
	ck_assert_uint_eq(lines_with("only if a listener is configured there"), 3);
	close_cluster(cluster, &counts);
}
END_TEST

static int serve_two_names(struct muster_worker *self, void *data)
{
	struct service *mine = data;
	int err = serve(self, mine);

	mine->listen.host = "::";
	return err == 0 ? serve(self, mine) : err;
}

START_TEST(two_names_of_one_listener_are_one_place)
{
	unsigned port = client_free_port();
	struct muster_cluster *cluster = configured_cluster((struct muster_listen_options){ .port = port }, false);

	cluster->options.worker = serve_two_names;
	service.listen = (struct muster_listen_options){ .host = "0.0.0.0", .port = port };
	ck_assert_int_eq(muster_cluster_start(cluster, 1), 0);
	run_until_said(&counts, "error EADDRINUSE");
	run_until_said(&counts, "\"listening");
	ck_assert_uint_eq(counts.errors_of_worker, 1);
	close_cluster(cluster, &counts);
}
END_TEST

static struct muster_server *begun;

static void on_word(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)self, (void)message, (void)data;
	muster_server_close(begun);
}

static void close_on_word(struct muster_worker *self, struct muster_server *server)
{
	static const struct muster_worker_handlers on = { .on_message = on_word };

	begun = server;
	muster_worker_on(self, &on, NULL);
}

/* It is told the name of the primary's, or it could not say which one it has closed. */
START_TEST(a_worker_leaves_a_listener_that_it_knows_by_another_name)
{
	unsigned port = client_free_port();
	struct muster_cluster *cluster = configured_cluster((struct muster_listen_options){ .port = port }, false);

	service.listen = (struct muster_listen_options){ .host = "0.0.0.0", .port = port };
	service.begin = close_on_word;
	start_two(cluster);
	tell(muster_cluster_next(cluster, NULL), "close");
	run_until(test_loop, is_left, cluster);
	expect_greeting(client_connect_port(port));
	close_cluster(cluster, &counts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("permit");
	TCase *rule = add_case(suite, "rule"), *demand = add_loop_case(suite, "on demand");
	TCase *by_file = add_loop_case(suite, "configured");

	tcase_add_loop_test(rule, ports_below_the_least_are_not_permitted, 0, COUNT_OF(ports));
	tcase_add_loop_test(rule, a_path_is_judged_by_where_it_really_leads, 0, COUNT_OF(paths));
	tcase_add_test(rule, a_relative_path_is_no_path_of_a_worker);
	tcase_add_test(demand, a_port_that_is_not_permitted_is_refused_and_the_log_knows_the_remedy);
	tcase_add_test(demand, a_path_that_is_not_permitted_is_refused_and_not_made);
	tcase_add_loop_test(demand, what_is_permitted_is_bound_on_demand, 0, 2);
	tcase_add_loop_test(by_file, a_configured_port_is_found_however_its_address_is_spelled, 0,
			    client_has_ipv6() ? COUNT_OF(hosts) : 1);
	tcase_add_loop_test(by_file, a_configured_path_is_found_by_any_of_its_names, 0, 2);
	tcase_add_test(by_file, another_address_or_path_than_the_configured_is_refused);
	tcase_add_test(by_file, two_names_of_one_listener_are_one_place);
	tcase_add_test(by_file, a_worker_leaves_a_listener_that_it_knows_by_another_name);
	return run_suite(suite);
}
