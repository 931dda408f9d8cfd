/* tests/browser/test_status_page.c - the page of the status in a real browser: it shows what is, and as it changes. */
#include "tests/support/browser.h"
#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"
#include "tests/support/until.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A name that would be a picture and a script, if anybody took it for more than a name. */
#define NASTY "<img src=x onerror=alert(1)>"
#define LISTENER "{ 'name': '" NASTY "', 'host': '127.0.0.1', 'port': 0, 'application': 'echo' }"

#define ALL(selector) "document.querySelectorAll('" selector "')"
#define TEXT(selector) "document.querySelector('" selector "').textContent"
#define TILE(number) TEXT("#tiles section:nth-child(" number ") .value")

static struct daemon *watched(struct browser *browser, char url[64])
{
	unsigned port = client_free_port();
	struct daemon *daemon;
	char text[512];

	snprintf(text, sizeof text, "'status': { 'port': %u }, 'workers': 2, 'listeners': [ " LISTENER " ], " ECHO_APP,
		 port);
	daemon = daemon_start(text);
	snprintf(url, 64, "http://127.0.0.1:%u/", port);
	browser_start(browser);
	browser_open(browser, url);
	until(strcmp(browser_text(browser, TEXT("#state")), "serving") == 0);
	return daemon;
}

static void end(struct browser *browser, struct daemon *daemon)
{
	ck_assert_msg(browser->complaints == 0, "the console says: %s", browser->complaint);
	browser_end(browser);
	kill(daemon->pid, SIGTERM);
	daemon_wait(daemon);
	daemon_free(daemon);
}

static bool shows(struct browser *browser, const char *expression, const char *text)
{
	return strcmp(browser_text(browser, expression), text) == 0;
}

START_TEST(the_page_shows_what_is)
{
	struct browser browser;
	char url[64], text[64];
	struct daemon *daemon = watched(&browser, url);

	ck_assert_double_eq(browser_number(&browser, ALL("#listeners tbody tr") ".length"), 1);
	ck_assert_double_eq(browser_number(&browser, ALL("#workers tbody tr") ".length"), 2);
	ck_assert_str_eq(browser_text(&browser, TEXT("#workers tbody tr .state")), "ready");
	snprintf(text, sizeof text, "pid %d ", (int)daemon->pid);
	ck_assert_ptr_nonnull(strstr(browser_text(&browser, TEXT("#facts")), text));
	/* What is a name stays one. */
	ck_assert_str_eq(browser_text(&browser, TEXT("#listeners tbody th")), NASTY);
	ck_assert_double_eq(browser_number(&browser, ALL("img") ".length"), 0);
	/* Nobody but the daemon was asked for anything. */
	ck_assert(browser_is(&browser, "performance.getEntriesByType('resource').length > 0 && "
				       "performance.getEntriesByType('resource').every(e => "
				       "e.name === location.origin + '/status')"));
	end(&browser, daemon);
}
END_TEST

START_TEST(numbers_and_plots_move_with_traffic)
{
	struct browser browser;
	char url[64], before[8192];
	struct daemon *daemon = watched(&browser, url);
	unsigned port = daemon_port(daemon, NASTY), i;
	int open[3];

	until(browser_number(&browser, "Number(document.body.dataset.samples)") >= 2);
	ck_assert(shows(&browser, TEXT("#connections .value span"), "0"));
	snprintf(before, sizeof before, "%s",
		 browser_text(&browser, "document.querySelector('#connections .curve').getAttribute('d')"));
	ck_assert_int_eq(before[0], 'M');
	for (i = 0; i < 3; i++)
		open[i] = client_connect_port(port);
	until(shows(&browser, TEXT("#connections .value span"), "3") && shows(&browser, TILE("1"), "3"));
	ck_assert(browser_is(&browser, "parseFloat(document.querySelector('#connections .curve').getAttribute('d')"
				       ".split(' ').pop()) < 100"));
	ck_assert_str_ne(browser_text(&browser, "document.querySelector('#connections .curve').getAttribute('d')"),
			 before);
	ck_assert(browser_is(&browser, TEXT("#rate .value span") " !== '–'"));
	browser_picture(&browser, "status-light");
	for (i = 0; i < 3; i++)
		close(open[i]);
	until(shows(&browser, TEXT("#connections .value span"), "0"));
	kill((pid_t)daemon_worker(daemon, 0, "pid"), SIGKILL);
	until(shows(&browser, TILE("5"), "1"));
	until(browser_is(&browser, "[..." ALL("#workers .state") "].every(e => e.textContent === 'ready')"));
	end(&browser, daemon);
}
END_TEST

START_TEST(it_fits_a_phone_and_the_dark)
{
	struct browser browser;
	char url[64], light[64];
	struct daemon *daemon = watched(&browser, url);

	snprintf(light, sizeof light, "%s", browser_text(&browser, "getComputedStyle(document.body).backgroundColor"));
	browser_look(&browser, 360, 740, "dark");
	ck_assert_str_ne(browser_text(&browser, "getComputedStyle(document.body).backgroundColor"), light);
	/* Nothing sticks out, and the tables need no scrolling for what matters. */
	ck_assert(browser_is(&browser, "document.documentElement.scrollWidth <= innerWidth"));
	ck_assert(browser_is(&browser, "[..." ALL(".scroll") "].every(e => e.scrollWidth <= e.clientWidth)"));
	browser_picture(&browser, "status-dark-phone");
	end(&browser, daemon);
}
END_TEST

START_TEST(silence_and_trouble_are_told)
{
	struct browser browser;
	char url[64];
	struct daemon *daemon = watched(&browser, url);

	ck_assert(shows(&browser, TEXT("#trouble"), ""));
	daemon_rewrite(daemon, "nonsense");
	kill(daemon->pid, SIGHUP);
	until(strncmp(browser_text(&browser, TEXT("#trouble")), "The last reload failed: ", 24) == 0);
	ck_assert_uint_eq(browser.complaints, 0);
	kill(daemon->pid, SIGTERM);
	daemon_wait(daemon);
	until(shows(&browser, TEXT("#state"), "silent"));
	ck_assert_ptr_nonnull(strstr(browser_text(&browser, TEXT("#trouble")), "No answer from the daemon"));
	browser_end(&browser);
	daemon_free(daemon);
}
END_TEST

static Suite *status_page_suite(void)
{
	Suite *suite = suite_create("status page");
	TCase *page = add_case(suite, "page");

	tcase_add_test(page, the_page_shows_what_is);
	tcase_add_test(page, numbers_and_plots_move_with_traffic);
	tcase_add_test(page, it_fits_a_phone_and_the_dark);
	tcase_add_test(page, silence_and_trouble_are_told);
	return suite;
}

int main(void)
{
	return browser_is_installed() ? run_suite(status_page_suite()) : 77;
}
