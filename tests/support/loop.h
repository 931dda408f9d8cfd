/* tests/support/loop.h - running a loop until something has happened, and never longer than is reasonable. */
#ifndef TESTS_SUPPORT_LOOP_H
#define TESTS_SUPPORT_LOOP_H

#include <muster/loop.h>
#include <stdbool.h>

/* The loop of the test under way, in cases made by add_loop_case. */
extern struct muster_loop *test_loop;
void test_loop_open(void);
void test_loop_close(void);

/* Turn the loop until the condition holds; the test fails, naming it, if that takes too long. */
#define run_until(loop, condition, data) run_until_holds(loop, condition, data, #condition "(" #data ")")
void run_until_holds(struct muster_loop *loop, bool (*condition)(void *data), void *data, const char *what);

/* Turn the loop until an unsigned counter has reached `n`. */
#define run_until_count(loop, counter, n) run_until_reached(loop, &(counter), n, #counter " >= " #n)
void run_until_reached(struct muster_loop *loop, const unsigned *counter, unsigned n, const char *what);

/* Turn test_loop until a descriptor of the test's own has something to read; or its end, without a byte before. */
void run_until_readable(int fd);
void run_until_ended(int fd);

/* muster_loop_run, which must return by itself with 0: nothing is left that keeps the loop running. */
void run_dry(struct muster_loop *loop);

/* Turn the loop while there is something to do, without waiting: for what must not happen. */
void run_until_idle(struct muster_loop *loop);

#endif
