/* tests/support/suite.h - the frame of every test program: cases whose tests leave nothing open behind them. */
#ifndef TESTS_SUPPORT_SUITE_H
#define TESTS_SUPPORT_SUITE_H

#include <check.h>

/* A case whose tests end with the descriptors they began with, without lines recorded and without folders. */
TCase *add_case(Suite *suite, const char *name);

/* The same, with `test_loop` made before each test and freed after it. */
TCase *add_loop_case(Suite *suite, const char *name);

/* Run it; what main returns. */
int run_suite(Suite *suite);

/* The test fails, showing the text, unless this is a part of it. */
void expect_part(const char *text, const char *part);

/* How long a test waits for anything before it fails; grows with CK_TIMEOUT_MULTIPLIER. */
unsigned test_patience(void);

#endif
