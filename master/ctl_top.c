/* On the terminal's other screen, so that what was there is there again afterwards. */
#include "master/ctl_top.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME_AND_CLEAR "\033[H\033[2J"
#define INTERVAL_MS 1000

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Keys one by one and unseen; the terminal may be another process' in a moment. */
static bool listen_to_keys(struct termios *before)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, before) < 0)
		return false;
	raw = *before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* False: it is time to go. */
static bool await_next(bool keys)
{
	struct pollfd in = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	char key;

	if (poll(&in, 1, INTERVAL_MS) <= 0)
		return !interrupted;
	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && !interrupted;
}

int muster__ctl_top(int (*draw)(void *data), void *data)
{
	struct termios before;
	bool keys;
	int status;

	if (!isatty(STDOUT_FILENO))
		return draw(data);
	watch_signals();
	keys = listen_to_keys(&before);
	fputs(ENTER, stdout);
	do {
		fputs(HOME_AND_CLEAR, stdout);
		status = draw(data);
		fflush(stdout);
	} while (status == 0 && await_next(keys));
	fputs(LEAVE, stdout);
	fflush(stdout);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	return status;
}
