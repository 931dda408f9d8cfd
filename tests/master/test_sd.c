/* tests/master/test_sd.c - what a service manager hears, and that nothing waits for one that does not listen. */
#include "master/sd.h"

#include "tests/support/client.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/support/lines.h"
#include "tests/support/loop.h"
#include "tests/support/manager.h"
#include "tests/support/suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int manager = -1;
static struct muster__sd *sd;
static struct heard heard;

static void forget_variables(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		unsetenv(names[i]);
}

/* With the environment as it is. */
static void begin(void)
{
	sd = muster__sd_new();
	ck_assert_ptr_nonnull(sd);
	muster__sd_attach(sd, test_loop);
}

static void set_up(void)
{
	forget_variables();
	manager = manager_open(folder_path("notify"));
	setenv("NOTIFY_SOCKET", folder_path("notify"), 1);
	setenv("FDSTORE", "8", 1);
}

static void tear_down(void)
{
	muster__sd_free(sd);
	sd = NULL;
	if (manager >= 0)
		close(manager);
	manager = -1;
	forget_variables();
}

static void hears(const char *text)
{
	ck_assert_msg(manager_has_heard(manager, &heard), "nothing was heard, instead of \"%s\"", text);
	ck_assert_str_eq(heard.text, text);
	ck_assert_int_eq(heard.fd, -1);
}

static void hears_nothing_more(void)
{
	ck_assert_msg(!manager_has_heard(manager, &heard), "\"%s\" was heard", heard.text);
}

static bool has_heard(void *data)
{
	(void)data;
	return manager_has_heard(manager, &heard);
}

/* As many as a manager that does not read has room for. */
static unsigned fill(void)
{
	unsigned count = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_storage address;
	socklen_t length = sizeof address;

	ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&address, &length), 0);
	while (sendto(fd, "X", 1, 0, (const struct sockaddr *)&address, length) == 1)
		count++;
	close(fd);
	return count;
}

static void drain(unsigned count)
{
	for (; count > 0; count--)
		hears("X");
}

/* ---- messages */

START_TEST(each_message_is_a_datagram_of_its_own)
{
	begin();
	muster__sd_ready(sd);
	muster__sd_status(sd, "serving: %d workers", 4);
	muster__sd_watchdog(sd);
	muster__sd_main_pid(sd, 17);
	muster__sd_extend(sd, 10000);
	muster__sd_stopping(sd);
	hears("READY=1");
	hears("STATUS=serving: 4 workers");
	hears("WATCHDOG=1");
	hears("MAINPID=17");
	hears("EXTEND_TIMEOUT_USEC=10000000");
	hears("STOPPING=1");
	hears_nothing_more();
}
END_TEST

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

START_TEST(a_reload_is_told_together_with_its_time)
{
	uint64_t before = now_usec(), told = 0;

	begin();
	muster__sd_reloading(sd);
	ck_assert(manager_has_heard(manager, &heard));
	ck_assert_int_eq(sscanf(heard.text, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64, &told), 1);
	ck_assert_uint_ge(told, before);
	ck_assert_uint_le(told, now_usec());
	hears_nothing_more();
}
END_TEST

START_TEST(a_status_is_one_line)
{
	begin();
	muster__sd_status(sd, "reload failed: a\nREADY=1");
	hears("STATUS=reload failed: a");
	hears_nothing_more();
}
END_TEST

START_TEST(an_abstract_manager_is_reached)
{
	char name[64];

	snprintf(name, sizeof name, "@muster-manager-%d", (int)getpid());
	close(manager);
	manager = manager_open(name);
	setenv("NOTIFY_SOCKET", name, 1);
	begin();
	muster__sd_ready(sd);
	hears("READY=1");
}
END_TEST

/* ---- no manager */

START_TEST(without_a_manager_all_is_well)
{
	unsigned open = descriptors_open();

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	begin();
	ck_assert(!muster__sd_is_there(sd));
	ck_assert(!muster__sd_stores(sd));
	ck_assert_uint_eq(muster__sd_watchdog_ms(sd), 0);
	muster__sd_ready(sd);
	muster__sd_store(sd, manager, "x");
	muster__sd_status(sd, "serving");
	ck_assert_uint_eq(descriptors_open(), open);
	hears_nothing_more();
}
END_TEST

START_TEST(an_address_that_is_none_is_warned_of_and_otherwise_no_manager)
{
	static const char *const addresses[] = { "vsock:2:1", "run/notify", "" };

	lines_record(MUSTER_LOG_WARN);
	setenv("NOTIFY_SOCKET", addresses[_i], 1);
	begin();
	ck_assert(!muster__sd_is_there(sd));
	ck_assert_uint_eq(lines_with("no address of a manager"), 1);
	muster__sd_ready(sd);
}
END_TEST

START_TEST(a_manager_that_is_gone_is_warned_of_once_a_second)
{
	lines_record(MUSTER_LOG_WARN);
	begin();
	unlink(folder_path("notify"));
	muster__sd_ready(sd);
	muster__sd_watchdog(sd);
	ck_assert_uint_eq(lines_with("cannot be told"), 1);
}
END_TEST

/* ---- a manager that is busy */

START_TEST(what_a_busy_manager_has_no_room_for_comes_when_it_reads)
{
	unsigned filled;

	begin();
	filled = fill();
	ck_assert_uint_gt(filled, 0);
	muster__sd_ready(sd);
	muster__sd_stopping(sd);
	drain(filled);
	run_until(test_loop, has_heard, NULL);
	ck_assert_str_eq(heard.text, "READY=1");
	hears("STOPPING=1");
	hears_nothing_more();
	run_dry(test_loop);
}
END_TEST

START_TEST(of_what_waits_only_the_newest_status_is_kept)
{
	unsigned filled;

	begin();
	filled = fill();
	muster__sd_status(sd, "one");
	muster__sd_watchdog(sd);
	muster__sd_status(sd, "two");
	muster__sd_watchdog(sd);
	muster__sd_status(sd, "three");
	drain(filled);
	run_until(test_loop, has_heard, NULL);
	ck_assert_str_eq(heard.text, "WATCHDOG=1");
	hears("STATUS=three");
	hears_nothing_more();
}
END_TEST

START_TEST(of_two_reloads_that_wait_the_second_is_told_and_the_start_before_it)
{
	unsigned filled;
	char first[sizeof heard.text];

	begin();
	muster__sd_reloading(sd);
	ck_assert(manager_has_heard(manager, &heard));
	strcpy(first, heard.text);
	filled = fill();
	muster__sd_ready(sd);
	muster__sd_reloading(sd);
	muster__sd_ready(sd);
	muster__sd_reloading(sd);
	muster__sd_ready(sd);
	drain(filled);
	run_until(test_loop, has_heard, NULL);
	ck_assert_str_eq(heard.text, "READY=1");
	ck_assert(manager_has_heard(manager, &heard));
	ck_assert_int_eq(strncmp(heard.text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	ck_assert_str_ne(heard.text, first);
	hears("READY=1");
	hears_nothing_more();
}
END_TEST

START_TEST(what_waits_when_all_ends_is_offered_once_more)
{
	unsigned filled;

	begin();
	filled = fill();
	muster__sd_stopping(sd);
	drain(filled);
	muster__sd_free(sd);
	sd = NULL;
	hears("STOPPING=1");
}
END_TEST

START_TEST(what_a_manager_never_reads_leaves_nothing_behind)
{
	begin();
	fill();
	muster__sd_store(sd, manager, "tcp");
	muster__sd_stopping(sd);
}
END_TEST

/* ---- the environment */

START_TEST(nothing_of_it_is_left_for_programs)
{
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	begin();
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	ck_assert_ptr_null(getenv("WATCHDOG_PID"));
	ck_assert_ptr_null(getenv("FDSTORE"));
}
END_TEST

static const struct {
	const char *usec;
	bool has_pid, is_ours;
	unsigned ms;
} watchdogs[] = {
	{ "30000000", true, true, 30000 }, { "30000000", false, false, 30000 },
	{ "30000000", true, false, 0 },    { NULL, true, true, 0 },
	{ "", false, false, 0 },           { "-1", false, false, 0 },
	{ "12x", false, false, 0 },        { "7200000000", true, true, 7200000 },
	{ "10", true, true, 1 },
};

START_TEST(the_watchdog_is_for_us_if_its_pid_is_ours_or_nobodys)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", watchdogs[_i].is_ours ? (int)getpid() : (int)getppid());
	if (watchdogs[_i].usec != NULL)
		setenv("WATCHDOG_USEC", watchdogs[_i].usec, 1);
	if (watchdogs[_i].has_pid)
		setenv("WATCHDOG_PID", pid, 1);
	begin();
	ck_assert_uint_eq(muster__sd_watchdog_ms(sd), watchdogs[_i].ms);
}
END_TEST

START_TEST(whoever_takes_over_gets_it_all_back_with_his_own_pid)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "7200000000", 1);
	begin();
	muster__sd_export(sd);
	ck_assert_str_eq(getenv("NOTIFY_SOCKET"), folder_path("notify"));
	ck_assert_str_eq(getenv("WATCHDOG_USEC"), "7200000000");
	ck_assert_str_eq(getenv("WATCHDOG_PID"), pid);
	ck_assert_str_eq(getenv("FDSTORE"), "8");
}
END_TEST

/* ---- the store */

static ino_t inode_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

START_TEST(a_socket_is_kept_under_the_name_of_its_listener)
{
	int fd = client_listen(1);

	begin();
	muster__sd_store(sd, fd, "web [::1]:80");
	ck_assert(manager_has_heard(manager, &heard));
	ck_assert_str_eq(heard.text, "FDSTORE=1\nFDNAME=musterd/web%20[%3A%3A1]%3A80\nFDPOLL=0");
	ck_assert_int_ge(heard.fd, 0);
	ck_assert_uint_eq(inode_of(heard.fd), inode_of(fd));
	close(heard.fd);
	muster__sd_unstore(sd, "web [::1]:80");
	hears("FDSTOREREMOVE=1\nFDNAME=musterd/web%20[%3A%3A1]%3A80");
	muster__sd_unstore_name(sd, "other.socket");
	hears("FDSTOREREMOVE=1\nFDNAME=other.socket");
	close(fd);
}
END_TEST

START_TEST(a_socket_that_waits_is_kept_though_it_was_closed_since)
{
	unsigned filled;
	int fd = client_listen(1);
	ino_t inode = inode_of(fd);

	begin();
	filled = fill();
	muster__sd_store(sd, fd, "one");
	muster__sd_store(sd, fd, "two");
	close(fd);
	drain(filled);
	run_until(test_loop, has_heard, NULL);
	ck_assert_str_eq(heard.text, "FDSTORE=1\nFDNAME=musterd/one\nFDPOLL=0");
	ck_assert_uint_eq(inode_of(heard.fd), inode);
	close(heard.fd);
	ck_assert(manager_has_heard(manager, &heard));
	ck_assert_str_eq(heard.text, "FDSTORE=1\nFDNAME=musterd/two\nFDPOLL=0");
	close(heard.fd);
}
END_TEST

START_TEST(without_a_store_nothing_is_kept)
{
	unsetenv("FDSTORE");
	begin();
	ck_assert(!muster__sd_stores(sd));
	muster__sd_store(sd, manager, "tcp");
	muster__sd_unstore(sd, "tcp");
	hears_nothing_more();
}
END_TEST

START_TEST(without_a_descriptor_to_spare_nothing_is_kept)
{
	begin();
	lines_record(MUSTER_LOG_WARN);
	descriptors_exhaust(0);
	muster__sd_store(sd, manager, "tcp");
	descriptors_release();
	ck_assert_uint_eq(lines_with("cannot be told"), 1);
	hears_nothing_more();
}
END_TEST

static const char *const listener_names[] = {
	"tcp", "127.0.0.1:80", "[::1]:80", "*:80", "/run/a b.sock", "@x", "100%", "%3A", "%", "\xc3\xa9", "a%2", "",
};

START_TEST(a_name_comes_back_as_it_was)
{
	char name[MUSTER__SD_NAME_MAX + 1], listener[MUSTER__SD_NAME_MAX + 1];
	const char *byte;

	ck_assert(muster__sd_name_of(name, listener_names[_i]));
	for (byte = name; *byte != '\0'; byte++)
		ck_assert(*byte > ' ' && *byte < 127 && *byte != ':');
	ck_assert(muster__sd_listener_of(listener, name));
	ck_assert_str_eq(listener, listener_names[_i]);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_none)
{
	char name[MUSTER__SD_NAME_MAX + 1], listener[1024];

	memset(listener, 'x', sizeof listener);
	listener[sizeof listener - 1] = '\0';
	ck_assert(!muster__sd_name_of(name, listener));
	listener[240] = '\0';
	ck_assert(muster__sd_name_of(name, listener));
	memset(listener, ':', 240);
	ck_assert(!muster__sd_name_of(name, listener));
	begin();
	muster__sd_store(sd, manager, listener);
	muster__sd_unstore(sd, listener);
	hears_nothing_more();
}
END_TEST

START_TEST(names_of_others_are_no_listeners)
{
	char listener[MUSTER__SD_NAME_MAX + 1];

	ck_assert(!muster__sd_listener_of(listener, "stored"));
	ck_assert(!muster__sd_listener_of(listener, "web.socket"));
	ck_assert(!muster__sd_listener_of(listener, ""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("master/sd");
	TCase *messages = add_loop_case(suite, "messages");
	TCase *environment = add_loop_case(suite, "environment");
	TCase *store = add_loop_case(suite, "store");

	tcase_add_checked_fixture(messages, set_up, tear_down);
	tcase_add_checked_fixture(environment, set_up, tear_down);
	tcase_add_checked_fixture(store, set_up, tear_down);
	tcase_add_test(messages, each_message_is_a_datagram_of_its_own);
	tcase_add_test(messages, a_reload_is_told_together_with_its_time);
	tcase_add_test(messages, a_status_is_one_line);
	tcase_add_test(messages, an_abstract_manager_is_reached);
	tcase_add_test(messages, without_a_manager_all_is_well);
	tcase_add_loop_test(messages, an_address_that_is_none_is_warned_of_and_otherwise_no_manager, 0, 3);
	tcase_add_test(messages, a_manager_that_is_gone_is_warned_of_once_a_second);
	tcase_add_test(messages, what_a_busy_manager_has_no_room_for_comes_when_it_reads);
	tcase_add_test(messages, of_what_waits_only_the_newest_status_is_kept);
	tcase_add_test(messages, of_two_reloads_that_wait_the_second_is_told_and_the_start_before_it);
	tcase_add_test(messages, what_waits_when_all_ends_is_offered_once_more);
	tcase_add_test(messages, what_a_manager_never_reads_leaves_nothing_behind);
	tcase_add_test(environment, nothing_of_it_is_left_for_programs);
	tcase_add_loop_test(environment, the_watchdog_is_for_us_if_its_pid_is_ours_or_nobodys, 0,
			    sizeof watchdogs / sizeof watchdogs[0]);
	tcase_add_test(environment, whoever_takes_over_gets_it_all_back_with_his_own_pid);
	tcase_add_test(store, a_socket_is_kept_under_the_name_of_its_listener);
	tcase_add_test(store, a_socket_that_waits_is_kept_though_it_was_closed_since);
	tcase_add_test(store, without_a_store_nothing_is_kept);
	tcase_add_test(store, without_a_descriptor_to_spare_nothing_is_kept);
	tcase_add_loop_test(store, a_name_comes_back_as_it_was, 0, sizeof listener_names / sizeof listener_names[0]);
	tcase_add_test(store, a_name_that_is_too_long_is_none);
	tcase_add_test(store, names_of_others_are_no_listeners);
	return run_suite(suite);
}
