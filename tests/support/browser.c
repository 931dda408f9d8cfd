/*
 * Each message is JSON that a NUL ends. Answers have the number of their question; whatever else comes is an event, and those
 * of them that nobody wants to see in a page are counted.
 */
#include "tests/support/browser.h"

#include "tests/support/folder.h"
#include "tests/support/process.h"
#include "tests/support/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

#define READ 3 /* where Chromium looks for its two pipes */
#define WRITE 4

static const char *find_program(void)
{
	static const char *const names[] = { "chromium", "chromium-browser", "google-chrome" };
	char command[64];
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", names[i]);
		if (system(command) == 0)
			return names[i];
	}
	return NULL;
}

bool browser_is_installed(void)
{
	if (find_program() != NULL)
		return true;
	puts("chromium is not installed: these tests are skipped; \"./dev test browser\" installs it");
	return false;
}

/* ---- messages */

static bool is_trouble(const json_t *event)
{
	const char *method = json_string_value(json_object_get(event, "method")), *what = NULL;

	if (method == NULL)
		return false;
	if (strcmp(method, "Runtime.consoleAPICalled") == 0)
		json_unpack((json_t *)event, "{s:{s:s}}", "params", "type", &what);
	else if (strcmp(method, "Log.entryAdded") == 0)
		json_unpack((json_t *)event, "{s:{s:{s:s}}}", "params", "entry", "level", &what);
	else
		return strcmp(method, "Runtime.exceptionThrown") == 0;
	return what != NULL && (strcmp(what, "error") == 0 || strcmp(what, "warning") == 0);
}

static void note(struct browser *browser, const json_t *event)
{
	char *text;

	if (!is_trouble(event) || browser->complaints++ > 0)
		return;
	text = json_dumps(event, JSON_COMPACT);
	snprintf(browser->complaint, sizeof browser->complaint, "%s", text);
	free(text);
}

static void fill(struct browser *browser)
{
	struct pollfd input = { .fd = browser->from, .events = POLLIN };
	ssize_t length;

	if (browser->room - browser->used < 65536) {
		browser->room = browser->room * 2 + 65536;
		browser->input = realloc(browser->input, browser->room);
		ck_assert_ptr_nonnull(browser->input);
	}
	ck_assert_msg(poll(&input, 1, (int)test_patience() * 1000) == 1, "the browser is silent");
	length = read(browser->from, browser->input + browser->used, browser->room - browser->used);
	ck_assert_msg(length > 0, "the browser is gone");
	browser->used += (size_t)length;
}

static json_t *receive(struct browser *browser)
{
	char *end;
	json_t *json;

	while (browser->used == 0 || (end = memchr(browser->input, '\0', browser->used)) == NULL)
		fill(browser);
	json = json_loads(browser->input, 0, NULL);
	ck_assert_ptr_nonnull(json);
	browser->used -= (size_t)(end + 1 - browser->input);
	memmove(browser->input, end + 1, browser->used);
	return json;
}

static void send_all(int fd, const char *text, size_t length)
{
	ssize_t sent;

	for (; length > 0; text += sent, length -= (size_t)sent) {
		sent = write(fd, text, length);
		ck_assert_int_gt(sent, 0);
	}
}

/* Takes the parameters; gives the result, new. */
static json_t *ask(struct browser *browser, const char *method, json_t *parameters)
{
	json_t *question =
		json_pack("{s:i,s:s,s:o}", "id", (int)++browser->count, "method", method, "params", parameters);
	json_t *answer, *result;
	char *text;

	ck_assert_ptr_nonnull(question);
	if (browser->session[0] != '\0')
		json_object_set_new(question, "sessionId", json_string(browser->session));
	text = json_dumps(question, JSON_COMPACT);
	send_all(browser->to, text, strlen(text) + 1);
	free(text);
	json_decref(question);
	while (json_integer_value(json_object_get(answer = receive(browser), "id")) != browser->count) {
		note(browser, answer);
		json_decref(answer);
	}
	result = json_incref(json_object_get(answer, "result"));
	ck_assert_msg(result != NULL, "%s: %s", method, json_dumps(answer, 0));
	json_decref(answer);
	return result;
}

static void tell(struct browser *browser, const char *method, json_t *parameters)
{
	json_decref(ask(browser, method, parameters));
}

/* ---- life */

static void execute(const char *program, int in, int out, pid_t parent)
{
	char profile[512];
	int null = open("/dev/null", O_RDWR), high_in = fcntl(in, F_DUPFD, 10), high_out = fcntl(out, F_DUPFD, 10);

	process_bind(parent);
	snprintf(profile, sizeof profile, "--user-data-dir=%s", folder_path("profile"));
	setenv("XDG_CONFIG_HOME", folder_path("profile"), 1);
	setenv("XDG_CACHE_HOME", folder_path("profile"), 1);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (dup2(high_in, READ) < 0 || dup2(high_out, WRITE) < 0)
		_exit(127);
	close_range(WRITE + 1, ~0u, 0);
	execlp(program, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
	       "--disable-component-update", "--disable-sync", "--no-first-run", "--remote-debugging-pipe", profile,
	       "about:blank", (char *)NULL);
	_exit(127);
}

static void launch(struct browser *browser)
{
	const char *program = find_program();
	int in[2], out[2];
	pid_t self = getpid();

	ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	browser->pid = fork();
	ck_assert_int_ge(browser->pid, 0);
	if (browser->pid == 0)
		execute(program, in[0], out[1], self);
	close(in[0]);
	close(out[1]);
	browser->to = in[1];
	browser->from = out[0];
}

void browser_start(struct browser *browser)
{
	json_t *target, *session;

	*browser = (struct browser){ 0 };
	folder_path("profile");
	launch(browser);
	target = ask(browser, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"));
	session = ask(browser, "Target.attachToTarget",
		      json_pack("{s:O,s:b}", "targetId", json_object_get(target, "targetId"), "flatten", 1));
	snprintf(browser->session, sizeof browser->session, "%s",
		 json_string_value(json_object_get(session, "sessionId")));
	json_decref(target);
	json_decref(session);
	tell(browser, "Runtime.enable", json_object());
	tell(browser, "Log.enable", json_object());
	tell(browser, "Page.enable", json_object());
	browser_look(browser, 1280, 1000, "light");
}

void browser_open(struct browser *browser, const char *url)
{
	tell(browser, "Page.navigate", json_pack("{s:s}", "url", url));
}

void browser_end(struct browser *browser)
{
	browser->session[0] = '\0';
	tell(browser, "Browser.close", json_object());
	process_wait(browser->pid);
	close(browser->to);
	close(browser->from);
	free(browser->input);
}

/* ---- the page */

json_t *browser_value(struct browser *browser, const char *expression)
{
	json_t *answer =
		ask(browser, "Runtime.evaluate", json_pack("{s:s,s:b}", "expression", expression, "returnByValue", 1));
	json_t *value = json_incref(json_object_get(json_object_get(answer, "result"), "value"));

	/* The page may not be that far yet. */
	json_decref(answer);
	return value;
}

double browser_number(struct browser *browser, const char *expression)
{
	json_t *value = browser_value(browser, expression);
	double number = json_is_number(value) ? json_number_value(value) : -1;

	json_decref(value);
	return number;
}

const char *browser_text(struct browser *browser, const char *expression)
{
	static char text[8192];
	json_t *value = browser_value(browser, expression);

	snprintf(text, sizeof text, "%s", json_is_string(value) ? json_string_value(value) : "");
	json_decref(value);
	return text;
}

bool browser_is(struct browser *browser, const char *expression)
{
	json_t *value = browser_value(browser, expression);
	bool is = json_is_true(value);

	json_decref(value);
	return is;
}

void browser_look(struct browser *browser, unsigned width, unsigned height, const char *scheme)
{
	tell(browser, "Emulation.setDeviceMetricsOverride",
	     json_pack("{s:i,s:i,s:i,s:b}", "width", (int)width, "height", (int)height, "deviceScaleFactor", 2,
		       "mobile", width < 600));
	tell(browser, "Emulation.setEmulatedMedia",
	     json_pack("{s:[{s:s,s:s}]}", "features", "name", "prefers-color-scheme", "value", scheme));
}

static int digit(char letter)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = strchr(digits, letter);

	return letter != '\0' && at != NULL ? (int)(at - digits) : -1;
}

void browser_picture(struct browser *browser, const char *name)
{
	const char *folder = getenv("MUSTER_TEST_PICTURES"), *at;
	char path[512];
	unsigned bits = 0, count = 0;
	json_t *answer;
	FILE *file;

	if (folder == NULL)
		return;
	snprintf(path, sizeof path, "%s/%s.png", folder, name);
	answer = ask(browser, "Page.captureScreenshot", json_object());
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	for (at = json_string_value(json_object_get(answer, "data")); digit(*at) >= 0; at++) {
		bits = bits << 6 | (unsigned)digit(*at);
		if ((count += 6) >= 8)
			fputc((int)(bits >> (count -= 8) & 0xff), file);
	}
	fclose(file);
	json_decref(answer);
}
