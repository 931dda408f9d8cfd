/* tests/support/browser.h - Chromium without a window, steered over two pipes in the language of its developer tools. */
#ifndef TESTS_SUPPORT_BROWSER_H
#define TESTS_SUPPORT_BROWSER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* May be asked outside a test. If not, it has said so, and that the tests are skipped. */
bool browser_is_installed(void);

struct browser {
	pid_t pid;
	int to, from;
	unsigned count; /* questions so far */
	char *input;
	size_t used, room;
	char session[64];     /* of the one page; "" before it is there */
	unsigned complaints;  /* exceptions, and errors and warnings on its console */
	char complaint[1024]; /* the first of them */
};

/* One page, as wide as a screen. It ends with the test, whatever ends that. */
void browser_start(struct browser *browser);
void browser_open(struct browser *browser, const char *url);
void browser_end(struct browser *browser);

/* What an expression of JavaScript is in the page, new. As a number; as text, which lasts until the next one. */
json_t *browser_value(struct browser *browser, const char *expression);
double browser_number(struct browser *browser, const char *expression);
const char *browser_text(struct browser *browser, const char *expression);
bool browser_is(struct browser *browser, const char *expression);

/* What it looks at: the size of a screen, "light" or "dark". */
void browser_look(struct browser *browser, unsigned width, unsigned height, const char *scheme);

/* The page as a picture in $MUSTER_TEST_PICTURES, a folder, if that is set. */
void browser_picture(struct browser *browser, const char *name);

#endif
