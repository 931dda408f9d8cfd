/* tests/support/until.h - waiting, within bounds, for what no descriptor tells: another process' state. */
#ifndef TESTS_SUPPORT_UNTIL_H
#define TESTS_SUPPORT_UNTIL_H

#include <stdint.h>

struct until {
	const char *what;
	uint64_t end_ms;
};

/* until(condition); - look again and again. The test fails, naming the condition, if it takes too long. */
#define until(condition) for (struct until until_it = until_begin(#condition); !(condition); until_again(&until_it))

struct until until_begin(const char *what);
void until_again(const struct until *it);

/* Milliseconds of a clock that never jumps. */
uint64_t clock_ms(void);

#endif
