/* tests/master/test_bequest.c - an older or a newer daemon is understood, or says itself that it cannot be. */
#include "master/bequest.h"
#include "master/inherited.h"
#include "src/fd.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof *(array)))

static struct muster__inherited table;

static int listening_socket(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

/* The two %d are a channel and a socket. */
static int read_text(const char *format, int *channel)
{
	char text[512];
	int theirs = dup(0);

	muster__inherited_init(&table);
	snprintf(text, sizeof text, format, theirs, listening_socket());
	return muster__bequest_read(text, &table, channel);
}

static const struct {
	const char *text, *name; /* of the first socket */
	bool ours;
} readable[] = {
	/* as we write it */
	{ "{\"version\":1,\"needs\":1,\"channel\":%d,\"sockets\":[{\"fd\":%d,\"name\":\"a\",\"ours\":true}]}", "a",
	  true },
	{ "{\"version\":1,\"needs\":1,\"channel\":%d,\"sockets\":[{\"fd\":%d,\"name\":\"a\",\"ours\":false}]}", "a",
	  false },
	/* an older one knows less */
	{ "{\"channel\":%d,\"sockets\":[{\"fd\":%d}]}", NULL, true },
	{ "{\"version\":0,\"channel\":%d,\"sockets\":[{\"fd\":%d,\"name\":\"b\"}]}", "b", true },
	/* a newer one knows more */
	{ "{\"version\":2,\"needs\":1,\"mood\":[1,{}],\"channel\":%d,"
	  "\"sockets\":[{\"fd\":%d,\"name\":\"c\",\"ours\":true,\"lane\":7}]}",
	  "c", true },
};

START_TEST(older_and_newer_bequests_are_read)
{
	const struct muster__inherited_socket *socket;
	int channel;

	ck_assert_int_eq(read_text(readable[_i].text, &channel), 0);
	ck_assert_int_ge(channel, 0);
	ck_assert_int_eq(fcntl(channel, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	socket = STAILQ_FIRST(&table.sockets);
	ck_assert_ptr_nonnull(socket);
	ck_assert_int_eq(socket->ours, readable[_i].ours);
	ck_assert_pstr_eq(socket->name, readable[_i].name);
	ck_assert_int_eq(fcntl(socket->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	muster__inherited_close(&table, NULL, NULL);
	close(channel);
}
END_TEST

static const struct {
	const char *text;
	int err;
} unreadable[] = {
	{ "", -EINVAL },
	{ "garbage", -EINVAL },
	{ "[]", -EINVAL },
	{ "7", -EINVAL },
	{ "{\"version\":3,\"needs\":2}", -ENOTSUP },
};

START_TEST(what_cannot_be_read_is_refused)
{
	int channel;

	muster__inherited_init(&table);
	ck_assert_int_eq(muster__bequest_read(unreadable[_i].text, &table, &channel), unreadable[_i].err);
	ck_assert_int_eq(channel, -1);
	ck_assert(STAILQ_EMPTY(&table.sockets));
}
END_TEST

static const char *const odd[] = {
	"{\"sockets\":[{\"fd\":1},{\"fd\":-1},{\"fd\":\"x\"},{},7,null,{\"fd\":99999}]}",
	"{\"sockets\":{\"fd\":1}}",
	"{\"sockets\":3,\"channel\":\"x\"}",
	"{\"channel\":-7}",
	"{\"channel\":99999}",
};

START_TEST(what_makes_no_sense_in_it_is_passed_over)
{
	int channel;

	muster__inherited_init(&table);
	ck_assert_int_eq(muster__bequest_read(odd[_i], &table, &channel), 0);
	ck_assert_int_eq(channel, -1);
	ck_assert(STAILQ_EMPTY(&table.sockets));
	ck_assert_int_ge(fcntl(1, F_GETFD), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bequest");
	TCase *tcase = add_case(suite, "reading");

	tcase_add_loop_test(tcase, older_and_newer_bequests_are_read, 0, COUNT_OF(readable));
	tcase_add_loop_test(tcase, what_cannot_be_read_is_refused, 0, COUNT_OF(unreadable));
	tcase_add_loop_test(tcase, what_makes_no_sense_in_it_is_passed_over, 0, COUNT_OF(odd));
	return run_suite(suite);
}
