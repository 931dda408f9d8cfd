/* Looking twice in a millisecond would take the processor from those that are waited for. */
#include "tests/support/until.h"

#include "tests/support/suite.h"

#include <time.h>

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct until until_begin(const char *what)
{
	return (struct until){ .what = what, .end_ms = clock_ms() + test_patience() * 1000 };
}

void until_again(const struct until *it)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	ck_assert_msg(clock_ms() < it->end_ms, "after %u s still waiting for: %s", test_patience(), it->what);
	nanosleep(&pause, NULL);
}
