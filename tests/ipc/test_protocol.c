/* tests/ipc/test_protocol.c - how each message is spelled, byte for byte, and how that of others is read. */
#include "ipc/protocol.h"
#include "ipc/channel.h"
#include "ipc/fdpass.h"
#include "src/address.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <muster/error.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct muster__channel channel;
static int peer;
static json_t *json;

static void on_line(struct muster__channel *from, struct muster__line *line, int *fd)
{
	(void)from, (void)line, (void)fd;
}

static void on_answered(struct muster__channel *from, uint64_t ticket, bool received)
{
	(void)from, (void)ticket, (void)received;
}

static void ignore(struct muster__channel *from)
{
	(void)from;
}

static const struct muster__channel_ops ops = { on_line, on_answered, ignore, ignore };

static void set_up(void)
{
	int ends[2];

	client_pair_local(ends);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	peer = ends[1];
	ck_assert_int_eq(muster__channel_init(&channel, test_loop, ends[0], &ops), 0);
}

static void tear_down(void)
{
	muster__channel_free(&channel);
	close(peer);
	json_decref(json);
	json = NULL;
}

/* What was sent, to the byte; returns the descriptor that came with it, or -1. */
static int expect_line(const char *want)
{
	struct muster__fds fds;
	char line[1024];
	ssize_t got;

	run_until_idle(test_loop);
	got = muster__fdpass_receive(peer, line, sizeof line - 1, &fds);
	ck_assert_int_gt(got, 0);
	line[got] = '\0';
	ck_assert_str_eq(line, want);
	ck_assert_uint_le(fds.count, 1);
	return fds.count == 1 ? fds.fd[0] : -1;
}

/* Sending it worked, and this is how it reads. */
static int says(int err, const char *want)
{
	ck_assert_int_eq(err, 0);
	return expect_line(want);
}

static const json_t *parse(const char *text)
{
	json = json_loads(text, JSON_DECODE_ANY, NULL);
	ck_assert_ptr_nonnull(json);
	return json;
}

static struct muster_address address_of(const char *text)
{
	struct muster_address address;

	ck_assert_int_eq(muster_address_parse(&address, text), 0);
	return address;
}

/* ---- A session, as it was captured between two of Node's. */

static const struct muster__query query = { .address = "127.0.0.1", .port = 0, .family = 4, .fd = -1 };

START_TEST(a_worker_says_what_a_worker_of_Node_says)
{
	says(muster__send_query(&channel, &query, 1),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","
	     "\"port\":0,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":1}\n");
	says(muster__send_listening(&channel, &query, 35443, 2),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","
	     "\"port\":35443,\"addressType\":4,\"flags\":0,\"backlog\":0,\"seq\":2}\n");
	says(muster__send_accepted(&channel, 1, true, 3),
	     "{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"accepted\":true,\"seq\":3}\n");
	says(muster__send_accepted(&channel, 2, false, 4),
	     "{\"cmd\":\"NODE_CLUSTER\",\"ack\":2,\"accepted\":false,\"seq\":4}\n");
	says(muster__send_close(&channel, "127.0.0.1:0:4:undefined:0", 4),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"127.0.0.1:0:4:undefined:0\",\"seq\":4}\n");
	says(muster__send_act(&channel, "exitedAfterDisconnect", 4),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":4}\n");
}
END_TEST

START_TEST(a_primary_says_what_a_primary_of_Node_says)
{
	struct muster__reply reply = { .key = "127.0.0.1:0:4:undefined:0", .has_sockname = true };
	int fd;

	reply.sockname = address_of("127.0.0.1:35443");
	says(muster__send_reply(&channel, &reply, NULL, -1, false, 1, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"127.0.0.1:0:4:undefined:0\",\"ack\":1,\"data\":null,"
	     "\"sockname\":{\"address\":\"127.0.0.1\",\"family\":\"IPv4\",\"port\":35443},\"seq\":0}\n");
	ck_assert_int_eq(muster__try_newconn(&channel, reply.key, peer, 1), 0);
	fd = expect_line("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\","
			 "\"act\":\"newconn\","
			 "\"key\":\"127.0.0.1:0:4:undefined:0\",\"seq\":1}}\n");
	ck_assert_int_ge(fd, 0);
	close(fd);
	says(muster__send_act(&channel, "disconnect", 2),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":2}\n");
	says(muster__send_plain_reply(&channel, 4, 2), "{\"cmd\":\"NODE_CLUSTER\",\"ack\":4,\"seq\":2}\n");
	/* Shared: the descriptor is duplicated. */
	fd = says(muster__send_reply(&channel, &reply, NULL, peer, false, 1, 0),
		  "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"errno\":0,"
		  "\"key\":"
		  "\"127.0.0.1:0:4:undefined:0\",\"ack\":1,\"data\":null,\"seq\":0}}\n");
	ck_assert_int_ge(fd, 0);
	close(fd);
	reply = (struct muster__reply){ .err = -98, .key = "null:80:4:undefined" };
	says(muster__send_reply(&channel, &reply, NULL, -1, false, 1, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"errno\":-98,\"key\":\"null:80:4:undefined\",\"ack\":1,\"data\":null,"
	     "\"seq\":0}\n");
}
END_TEST

START_TEST(what_is_ours_stands_in_members_of_its_own)
{
	struct muster__reply reply = { .key = "k", .row = 3, .rotate_every = 2, .max_connections = 100 };
	struct muster__query mine = query;

	mine.policy = MUSTER_POLICY_SHARED;
	says(muster__send_online(&channel, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"muster\":{\"version\":1},\"seq\":0}\n");
	says(muster__send_query(&channel, &mine, 1),
	     "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":\"127.0.0.1\","
	     "\"port\":0,\"addressType\":4,\"flags\":0,\"backlog\":0,\"muster\":{\"policy\":2},\"seq\":1}\n");
	says(muster__send_reply(&channel, &reply, NULL, -1, true, 1, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"k\",\"ack\":1,\"data\":null,"
	     "\"muster\":{\"row\":3,\"rotate\":2,\"max\":100},\"seq\":0}\n");
	reply = (struct muster__reply){ .key = "k", .worker_max = 5, .alone = true, .drops = true };
	says(muster__send_reply(&channel, &reply, NULL, -1, true, 1, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"k\",\"ack\":1,\"data\":null,"
	     "\"muster\":{\"row\":0,\"rotate\":0,\"max\":0,\"most\":5,\"alone\":1,\"drop\":1},\"seq\":0}\n");
	says(muster__send_room(&channel), "{\"cmd\":\"NODE_MUSTER\",\"act\":\"room\"}\n");
	says(muster__send_stop(&channel), "{\"cmd\":\"NODE_MUSTER\",\"act\":\"stop\"}\n");
	says(muster__send_log(&channel, -1), "{\"cmd\":\"NODE_MUSTER\",\"act\":\"log\",\"level\":2,\"format\":1}\n");
}
END_TEST

START_TEST(how_to_log_is_taken_as_far_as_it_means_something)
{
	muster__log_apply(parse("{\"level\":4,\"format\":2}"));
	json_decref(json);
	muster__log_apply(parse("{\"level\":5,\"format\":\"x\"}"));
	ck_assert_int_eq(muster_log_level(), MUSTER_LOG_DEBUG);
	ck_assert_int_eq(muster__log_format(), MUSTER__LOG_JSON);
}
END_TEST

START_TEST(the_data_of_the_first_query_is_echoed)
{
	struct muster__reply reply = { .key = "k" };
	json_t *data = muster__data_keep(json_object_get(parse("{\"data\":{\"ticketKeys\":\"00ff\"}}"), "data"));

	json_decref(json);
	json = NULL;
	says(muster__send_reply(&channel, &reply, data, -1, false, 1, 0),
	     "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"k\",\"ack\":1,"
	     "\"data\":{\"ticketKeys\":\"00ff\"},\"seq\":0}\n");
	muster__data_drop(data);
	ck_assert_ptr_null(muster__data_keep(NULL));
	muster__data_drop(NULL);
}
END_TEST

START_TEST(a_reply_that_cannot_be_sent_leaves_no_descriptor)
{
	struct muster__reply reply = { .key = "k" };
	unsigned before = descriptors_open();

	descriptors_exhaust(0);
	ck_assert_int_eq(muster__send_reply(&channel, &reply, NULL, peer, false, 1, 0), -EMFILE);
	descriptors_release();
	muster__channel_disconnect(&channel);
	ck_assert_int_eq(muster__send_reply(&channel, &reply, NULL, peer, false, 1, 0), MUSTER_ECHANNEL);
	ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

/* ---- Queries. */

struct asked {
	const char *members; /* of the query: what a worker of Node's wrote */
	int err;
	struct muster__query want;
	const char *key;
};

static const struct asked queries[] = {
	{ "\"address\":null,\"port\":18080,\"addressType\":4,\"backlog\":0",
	  0,
	  { .port = 18080, .family = 4, .fd = -1 },
	  "null:18080:4:undefined" },
	{ "\"address\":\"127.0.0.1\",\"port\":18080,\"addressType\":4,\"flags\":0,\"backlog\":5",
	  0,
	  { .address = "127.0.0.1", .port = 18080, .family = 4, .fd = -1, .backlog = 5 },
	  "127.0.0.1:18080:4:undefined" },
	{ "\"address\":\"::\",\"port\":18080,\"addressType\":6,\"flags\":1",
	  0,
	  { .address = "::", .port = 18080, .family = 6, .fd = -1, .ipv6_only = true },
	  ":::18080:6:undefined:6only" },
	{ "\"address\":\"/tmp/u2.sock\",\"port\":-1,\"addressType\":-1,\"backlog\":0",
	  0,
	  { .address = "/tmp/u2.sock", .port = -1, .family = -1, .fd = -1 },
	  "/tmp/u2.sock:-1:-1:undefined" },
	{ "\"address\":\"/u\",\"port\":-1,\"addressType\":-1,\"readableAll\":true,\"writableAll\":true,\"backlog\":3",
	  0,
	  { .address = "/u",
	    .port = -1,
	    .family = -1,
	    .fd = -1,
	    .backlog = 3,
	    .readable_all = true,
	    .writable_all = true },
	  "/u:-1:-1:undefined" },
	{ "\"address\":null,\"port\":null,\"addressType\":null,\"fd\":7",
	  0,
	  { .port = 0, .family = 0, .fd = 7 },
	  "null:null:null:7" },
	{ "\"index\":0,\"address\":null,\"port\":0,\"addressType\":4",
	  0,
	  { .port = 0, .family = 4, .fd = -1 },
	  "null:0:4:undefined:0" },
	{ "\"index\":2,\"address\":null,\"port\":0,\"addressType\":4",
	  0,
	  { .port = 0, .family = 4, .fd = -1, .index = 2 },
	  "null:0:4:undefined:2" },
	{ "\"index\":2,\"address\":null,\"port\":80,\"addressType\":4",
	  0,
	  { .port = 80, .family = 4, .fd = -1, .index = 2 },
	  "null:80:4:undefined" },
	{ "\"address\":null,\"port\":1,\"addressType\":4,\"muster\":{\"policy\":3}",
	  0,
	  { .port = 1, .family = 4, .fd = -1, .policy = MUSTER_POLICY_LEAST_CONNECTIONS },
	  "null:1:4:undefined" },
	{ "\"address\":null,\"port\":1,\"addressType\":4,\"muster\":{\"policy\":9}",
	  0,
	  { .port = 1, .family = 4, .fd = -1 },
	  NULL },
	{ "\"address\":null,\"port\":1,\"addressType\":4,\"muster\":7", 0, { .port = 1, .family = 4, .fd = -1 }, NULL },
	/* What no worker asks. */
	{ "\"x\":1", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"127.0.0.1\",\"port\":0,\"addressType\":\"udp4\",\"fd\":-1", -EINVAL, { 0 }, NULL },
	{ "\"address\":null,\"port\":65536,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":null,\"port\":-1,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":null,\"port\":-1,\"addressType\":-1", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"/x\",\"port\":5,\"addressType\":-1", -EINVAL, { 0 }, NULL },
	{ "\"address\":null,\"port\":1,\"addressType\":5", -EINVAL, { 0 }, NULL },
	{ "\"address\":null,\"port\":1,\"addressType\":4,\"backlog\":-1", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"a\\\"b\",\"port\":1,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"a\\\\b\",\"port\":1,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"a\\nb\",\"port\":1,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"a\\tb\",\"port\":1,\"addressType\":4", -EINVAL, { 0 }, NULL },
	{ "\"address\":\"/01234567890123456789012345678901234567890123456789"
	  "01234567890123456789012345678901234567890123456789"
	  "012345678901234567890123456789\",\"port\":-1,\"addressType\":-1",
	  -EINVAL,
	  { 0 },
	  NULL },
};

START_TEST(a_query_is_read_as_it_was_meant)
{
	const struct asked *asked = &queries[_i];
	struct muster__query got;
	char text[512], key[MUSTER__KEY_MAX];

	snprintf(text, sizeof text, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"data\":null,%s,\"seq\":1}",
		 asked->members);
	ck_assert_int_eq(muster__query_decode(&got, parse(text)), asked->err);
	if (asked->err < 0)
		return;
	ck_assert_int_eq(got.address == NULL, asked->want.address == NULL);
	if (got.address != NULL)
		ck_assert_str_eq(got.address, asked->want.address);
	ck_assert_int_eq(got.port, asked->want.port);
	ck_assert_int_eq(got.family, asked->want.family);
	ck_assert_int_eq(got.fd, asked->want.fd);
	ck_assert_uint_eq(got.index, asked->want.index);
	ck_assert_int_eq(got.backlog, asked->want.backlog);
	ck_assert_int_eq(got.ipv6_only, asked->want.ipv6_only);
	ck_assert_int_eq(got.readable_all, asked->want.readable_all);
	ck_assert_int_eq(got.writable_all, asked->want.writable_all);
	ck_assert_int_eq((int)got.policy, (int)asked->want.policy);
	muster__query_key(&got, key);
	if (asked->key != NULL)
		ck_assert_str_eq(key, asked->key);
}
END_TEST

START_TEST(what_we_ask_is_read_as_we_meant_it)
{
	struct muster__query mine = { .address = "/tmp/x",
				      .port = -1,
				      .family = -1,
				      .fd = -1,
				      .backlog = 9,
				      .readable_all = true,
				      .policy = MUSTER_POLICY_SHARED };
	struct muster__query got;
	char line[512];

	ck_assert_int_eq(muster__send_query(&channel, &mine, 5), 0);
	run_until_idle(test_loop);
	line[recv(peer, line, sizeof line - 1, 0)] = '\0';
	ck_assert_int_eq(muster__query_decode(&got, parse(line)), 0);
	ck_assert_str_eq(got.address, mine.address);
	ck_assert_int_eq(got.port, -1);
	ck_assert_int_eq(got.backlog, 9);
	ck_assert(got.readable_all);
	ck_assert(!got.writable_all);
	ck_assert_int_eq((int)got.policy, (int)MUSTER_POLICY_SHARED);
}
END_TEST

START_TEST(the_longest_key_has_room_in_its_line)
{
	char address[121], key[MUSTER__KEY_MAX];
	struct muster__query longest = {
		.address = address, .port = 0, .family = 6, .fd = -1, .index = 4294967295u, .ipv6_only = true
	};
	int fd;

	memset(address, 'a', 120);
	address[120] = '\0';
	muster__query_key(&longest, key);
	ck_assert_ptr_nonnull(strstr(key, ":0:6:undefined:6only:4294967295"));
	ck_assert_int_eq(muster__try_newconn(&channel, key, peer, INT64_MAX), 0);
	run_until_idle(test_loop);
	{
		struct muster__fds fds;
		char line[1024];
		ssize_t got = muster__fdpass_receive(peer, line, sizeof line, &fds);
		struct muster__line decoded;

		ck_assert_int_eq(line[got - 1], '\n');
		ck_assert_int_eq(muster__line_decode(&decoded, line, (size_t)got - 1), 0);
		ck_assert_uint_eq(decoded.key_length, strlen(key));
		muster__line_clear(&decoded);
		fd = fds.fd[0];
	}
	close(fd);
}
END_TEST

/* ---- Replies and addresses. */

START_TEST(a_reply_is_read_as_it_was_meant)
{
	struct muster__reply reply;

	ck_assert_int_eq(
		muster__reply_decode(
			&reply,
			parse("{\"errno\":null,\"key\":\"k\",\"ack\":1,\"sockname\":{\"address\":\"::1\","
			      "\"family\":\"IPv6\",\"port\":80},\"muster\":{\"row\":2,\"rotate\":3,\"max\":4}}")),
		0);
	ck_assert_int_eq(reply.err, 0);
	ck_assert_str_eq(reply.key, "k");
	ck_assert(reply.has_sockname);
	ck_assert_int_eq(reply.sockname.family, 6);
	ck_assert_str_eq(reply.sockname.text, "::1");
	ck_assert_uint_eq(reply.sockname.port, 80);
	ck_assert_uint_eq(reply.row, 2);
	ck_assert_uint_eq(reply.rotate_every, 3);
	ck_assert_uint_eq(reply.max_connections, 4);
	ck_assert(reply.worker_max == 0 && !reply.alone && !reply.drops);
	json_decref(json);
	ck_assert_int_eq(muster__reply_decode(&reply, parse("{\"errno\":null,\"key\":\"k\",\"ack\":1,"
							    "\"muster\":{\"most\":5,\"alone\":1,\"drop\":1}}")),
			 0);
	ck_assert(reply.worker_max == 5 && reply.alone && reply.drops);
	json_decref(json);
	ck_assert_int_eq(muster__reply_decode(&reply, parse("{\"errno\":-98,\"ack\":1}")), 0);
	ck_assert_int_eq(reply.err, -98);
	ck_assert(!reply.has_sockname);
}
END_TEST

START_TEST(a_reply_that_says_nothing_is_refused)
{
	static const char *const texts[] = { "{\"ack\":1}", "{\"errno\":0,\"key\":7}", "{\"errno\":98,\"key\":\"k\"}",
					     "{\"errno\":0,\"key\":\"a\\\"b\"}",
					     "{\"errno\":0,\"key\":\"k\",\"muster\":{\"row\":65536}}" };
	struct muster__reply reply;

	ck_assert_int_eq(muster__reply_decode(&reply, parse(texts[_i])), -EBADMSG);
}
END_TEST

START_TEST(an_odd_sockname_is_none)
{
	static const char *const texts[] = { "{\"key\":\"k\",\"sockname\":7}",
					     "{\"key\":\"k\",\"sockname\":{\"address\":7,\"port\":1}}",
					     "{\"key\":\"k\",\"sockname\":{\"address\":\"::1\",\"port\":-1}}",
					     "{\"key\":\"k\",\"sockname\":{\"address\":\"::1\",\"port\":99999}}" };
	struct muster__reply reply;

	ck_assert_int_eq(muster__reply_decode(&reply, parse(texts[_i])), 0);
	ck_assert(!reply.has_sockname);
}
END_TEST

START_TEST(the_address_of_a_listening_message_is_read)
{
	static const struct {
		const char *text;
		int family;
		unsigned port;
		const char *address;
	} rows[] = {
		{ "{\"address\":\"127.0.0.1\",\"port\":80,\"addressType\":4}", 4, 80, "127.0.0.1" },
		{ "{\"address\":\"::\",\"port\":80,\"addressType\":6}", 6, 80, "::" },
		{ "{\"address\":null,\"port\":80,\"addressType\":4}", 4, 80, "" },
		{ "{\"address\":\"/tmp/x\",\"port\":-1,\"addressType\":-1}", 1, 0, "/tmp/x" },
		{ "{\"address\":7,\"port\":\"80\",\"addressType\":-1}", 4, 0, "" },
		{ "{\"port\":123456,\"addressType\":99}", 4, 0, "" },
	};
	struct muster_address address;

	muster__listening_address(&address, parse(rows[_i].text));
	ck_assert_int_eq(address.family, rows[_i].family);
	ck_assert_uint_eq(address.port, rows[_i].port);
	ck_assert_str_eq(address.text, rows[_i].address);
}
END_TEST

START_TEST(only_an_online_message_with_a_version_is_one_of_us)
{
	static const char *const others[] = { "{\"act\":\"online\"}", "{\"muster\":1}", "{\"muster\":{}}",
					      "{\"muster\":{\"version\":0}}", "{\"muster\":{\"version\":\"1\"}}" };
	size_t i;

	for (i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert(!muster__online_is_muster(parse(others[i])));
		json_decref(json);
	}
	ck_assert(muster__online_is_muster(parse("{\"muster\":{\"version\":2,\"more\":[]}}")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("protocol");
	TCase *tcase = add_loop_case(suite, "protocol");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_worker_says_what_a_worker_of_Node_says);
	tcase_add_test(tcase, a_primary_says_what_a_primary_of_Node_says);
	tcase_add_test(tcase, what_is_ours_stands_in_members_of_its_own);
	tcase_add_test(tcase, the_data_of_the_first_query_is_echoed);
	tcase_add_test(tcase, how_to_log_is_taken_as_far_as_it_means_something);
	tcase_add_test(tcase, a_reply_that_cannot_be_sent_leaves_no_descriptor);
	tcase_add_loop_test(tcase, a_query_is_read_as_it_was_meant, 0, sizeof queries / sizeof queries[0]);
	tcase_add_test(tcase, what_we_ask_is_read_as_we_meant_it);
	tcase_add_test(tcase, the_longest_key_has_room_in_its_line);
	tcase_add_test(tcase, a_reply_is_read_as_it_was_meant);
	tcase_add_loop_test(tcase, a_reply_that_says_nothing_is_refused, 0, 5);
	tcase_add_loop_test(tcase, an_odd_sockname_is_none, 0, 4);
	tcase_add_loop_test(tcase, the_address_of_a_listening_message_is_read, 0, 6);
	tcase_add_test(tcase, only_an_online_message_with_a_version_is_one_of_us);
	return run_suite(suite);
}
