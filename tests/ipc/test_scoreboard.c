/* tests/ipc/test_scoreboard.c - counts that several processes share. */
#include "ipc/scoreboard.h"

#include "tests/support/suite.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct muster__scoreboard *board;

static void open_board(void)
{
	board = muster__scoreboard_new();
	ck_assert_ptr_nonnull(board);
}

static void close_board(void)
{
	muster__scoreboard_free(board);
}

static struct muster__slot *new_slot(int *number)
{
	*number = muster__scoreboard_take(board);
	ck_assert_int_ge(*number, 0);
	return muster__scoreboard_slot(board, *number);
}

/* ---- What became of a hand-over. */

START_TEST(what_was_not_looked_at_was_not_adopted)
{
	int number;
	struct muster__slot *slot = new_slot(&number);

	ck_assert(!muster__slot_adopted(slot, 1));
	muster__slot_decide(slot, 1, true);
	ck_assert(muster__slot_adopted(slot, 1));
	ck_assert(!muster__slot_adopted(slot, 2));
}
END_TEST

START_TEST(what_was_refused_was_not_adopted)
{
	int number;
	struct muster__slot *slot = new_slot(&number);

	muster__slot_decide(slot, 1, false);
	muster__slot_decide(slot, 2, true);
	muster__slot_decide(slot, 3, false);
	ck_assert(!muster__slot_adopted(slot, 1));
	ck_assert(muster__slot_adopted(slot, 2));
	ck_assert(!muster__slot_adopted(slot, 3));
}
END_TEST

/* Whatever was decided 64 hand-overs ago must not be taken for the present. */
START_TEST(the_last_64_are_told_right_wherever_they_wrap)
{
	int number;
	struct muster__slot *slot = new_slot(&number);
	uint64_t n, back;
	bool adopted[1000];

	srand(7);
	for (n = 1; n < 1000; n++) {
		adopted[n] = rand() % 3 != 0;
		muster__slot_decide(slot, n, adopted[n]);
		for (back = 0; back < MUSTER__FLIGHT_MAX && back < n; back++)
			ck_assert_int_eq(muster__slot_adopted(slot, n - back), adopted[n - back]);
		ck_assert(!muster__slot_adopted(slot, n + 1));
		ck_assert(!muster__slot_adopted(slot, n + 63));
	}
}
END_TEST

START_TEST(all_refused_then_all_adopted_leaves_no_bit_behind)
{
	int number;
	struct muster__slot *slot = new_slot(&number);
	uint64_t n;

	for (n = 1; n <= 64; n++)
		muster__slot_decide(slot, n, false);
	for (; n <= 128; n++)
		muster__slot_decide(slot, n, true);
	for (n = 65; n <= 128; n++)
		ck_assert(muster__slot_adopted(slot, n));
}
END_TEST

/* ---- Slots. */

START_TEST(slots_are_taken_once_until_all_are_gone)
{
	int i;

	for (i = 0; i < MUSTER__SLOTS; i++)
		ck_assert_int_eq(muster__scoreboard_take(board), i);
	ck_assert_int_eq(muster__scoreboard_take(board), -1);
	muster__scoreboard_give(board, 500);
	ck_assert_int_eq(muster__scoreboard_take(board), 500);
	ck_assert_int_eq(muster__scoreboard_take(board), -1);
}
END_TEST

START_TEST(a_slot_that_is_taken_again_is_zero)
{
	int number, again;
	struct muster__slot *slot = new_slot(&number);

	muster__slot_opened(slot, 3);
	muster__slot_decide(slot, 9, false);
	muster__scoreboard_give(board, number);
	slot = new_slot(&again);
	ck_assert_int_eq(again, number);
	ck_assert_uint_eq(slot->open, 0);
	ck_assert_uint_eq(slot->accepted, 0);
	ck_assert_uint_eq(slot->decided, 0);
	ck_assert_uint_eq(slot->refused, 0);
	ck_assert_uint_eq(slot->rows[3].open, 0);
}
END_TEST

START_TEST(no_slot_is_none_and_giving_it_back_is_nothing)
{
	ck_assert_ptr_null(muster__scoreboard_slot(board, -1));
	muster__scoreboard_give(board, -1);
}
END_TEST

START_TEST(slots_of_two_workers_share_no_cache_line)
{
	ck_assert_uint_eq(sizeof(struct muster__slot) % 64, 0);
	ck_assert_uint_eq((uintptr_t)muster__scoreboard_slot(board, 1) % 64, 0);
}
END_TEST

/* ---- Sums and rows. */

START_TEST(dropped_connections_are_summed_over_those_who_are_gone_and_the_primary)
{
	unsigned row = muster__scoreboard_take_row(board);
	int a, b;
	struct muster__slot *first = new_slot(&a), *second = new_slot(&b);

	muster__slot_dropped(first, row);
	muster__slot_dropped(second, row);
	muster__slot_dropped(second, row + 1);
	muster__scoreboard_drop(board, row);
	muster__scoreboard_give(board, a);
	ck_assert_uint_eq(muster__scoreboard_row_dropped(board, row), 3);
	/* Whoever has the row next begins at zero. */
	muster__scoreboard_give_row(board, row);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), row);
	ck_assert_uint_eq(muster__scoreboard_row_dropped(board, row), 0);
	muster__slot_dropped(second, row);
	ck_assert_uint_eq(muster__scoreboard_row_dropped(board, row), 1);
}
END_TEST

START_TEST(open_connections_are_summed_over_slots_and_rows)
{
	int a, b;
	struct muster__slot *first = new_slot(&a), *second = new_slot(&b);

	muster__slot_opened(first, 0);
	muster__slot_opened(first, 2);
	muster__slot_opened(second, 2);
	ck_assert_uint_eq(muster__scoreboard_sum(board), 3);
	ck_assert_uint_eq(muster__scoreboard_row_open(board, 2), 2);
	muster__slot_closed(second, 2);
	ck_assert_uint_eq(muster__scoreboard_sum(board), 2);
	ck_assert_uint_eq(muster__scoreboard_row_open(board, 2), 1);
	ck_assert_uint_eq(muster__scoreboard_row_accepted(board, 2), 2);
	muster__scoreboard_give(board, a);
	ck_assert_uint_eq(muster__scoreboard_sum(board), 0);
}
END_TEST

START_TEST(what_a_dead_worker_accepted_still_counts_for_its_row)
{
	int number;
	unsigned row = muster__scoreboard_take_row(board);

	muster__slot_opened(new_slot(&number), row);
	muster__scoreboard_give(board, number);
	muster__slot_opened(new_slot(&number), row);
	ck_assert_uint_eq(muster__scoreboard_row_accepted(board, row), 2);
	ck_assert_uint_eq(muster__scoreboard_row_open(board, row), 1);
}
END_TEST

START_TEST(rows_are_taken_once_and_none_is_row_0)
{
	unsigned row;

	for (row = 1; row < MUSTER__ROWS; row++)
		ck_assert_uint_eq(muster__scoreboard_take_row(board), row);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), 0);
	muster__scoreboard_give_row(board, 0);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), 0);
	muster__scoreboard_give_row(board, 17);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), 17);
}
END_TEST

START_TEST(a_row_that_is_taken_again_counts_from_0)
{
	int number;
	unsigned row = muster__scoreboard_take_row(board);

	muster__slot_opened(new_slot(&number), row);
	muster__slot_closed(muster__scoreboard_slot(board, number), row);
	muster__scoreboard_give(board, number);
	muster__scoreboard_give_row(board, row);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), row);
	ck_assert_uint_eq(muster__scoreboard_row_accepted(board, row), 0);
}
END_TEST

/* The worker that counted for the old listener lives on. */
START_TEST(a_row_that_is_taken_again_counts_from_0_though_its_worker_lives)
{
	int number;
	unsigned row = muster__scoreboard_take_row(board);
	struct muster__slot *slot = new_slot(&number);

	muster__slot_opened(slot, row);
	muster__slot_closed(slot, row);
	muster__scoreboard_give_row(board, row);
	ck_assert_uint_eq(muster__scoreboard_take_row(board), row);
	ck_assert_uint_eq(muster__scoreboard_row_accepted(board, row), 0);
	muster__slot_opened(slot, row);
	ck_assert_uint_eq(muster__scoreboard_row_accepted(board, row), 1);
}
END_TEST

/* ---- The whole board. */

START_TEST(being_starved_is_told_once)
{
	ck_assert(!muster__scoreboard_take_starved(board));
	muster__scoreboard_set_starved(board, true);
	muster__scoreboard_set_starved(board, true);
	ck_assert(muster__scoreboard_take_starved(board));
	ck_assert(!muster__scoreboard_take_starved(board));
	muster__scoreboard_set_starved(board, true);
	muster__scoreboard_set_starved(board, false);
	ck_assert(!muster__scoreboard_take_starved(board));
}
END_TEST

START_TEST(flying_goes_up_and_down)
{
	muster__scoreboard_fly(board, 3);
	muster__scoreboard_fly(board, -2);
	ck_assert_uint_eq(muster__scoreboard_flying(board), 1);
}
END_TEST

START_TEST(the_board_goes_with_its_last_holder)
{
	ck_assert_ptr_eq(muster__scoreboard_share(board), board);
	muster__scoreboard_free(board);
	muster__scoreboard_set_max(board, 5);
	ck_assert_uint_eq(muster__scoreboard_max(board), 5);
	muster__scoreboard_free(NULL);
}
END_TEST

START_TEST(a_forked_process_counts_on_the_same_board)
{
	int number, status;
	struct muster__slot *slot = new_slot(&number);
	pid_t child = fork();

	if (child == 0) {
		muster__slot_opened(slot, 1);
		muster__slot_decide(slot, 1, true);
		_exit(muster__scoreboard_max(board) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(muster__scoreboard_sum(board), 1);
	ck_assert(muster__slot_adopted(slot, 1));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scoreboard");
	TCase *flights = add_case(suite, "hand-overs"), *counts = add_case(suite, "counts");

	tcase_add_checked_fixture(flights, open_board, close_board);
	tcase_add_test(flights, what_was_not_looked_at_was_not_adopted);
	tcase_add_test(flights, what_was_refused_was_not_adopted);
	tcase_add_test(flights, the_last_64_are_told_right_wherever_they_wrap);
	tcase_add_test(flights, all_refused_then_all_adopted_leaves_no_bit_behind);

	tcase_add_checked_fixture(counts, open_board, close_board);
	tcase_add_test(counts, slots_are_taken_once_until_all_are_gone);
	tcase_add_test(counts, a_slot_that_is_taken_again_is_zero);
	tcase_add_test(counts, no_slot_is_none_and_giving_it_back_is_nothing);
	tcase_add_test(counts, slots_of_two_workers_share_no_cache_line);
	tcase_add_test(counts, open_connections_are_summed_over_slots_and_rows);
	tcase_add_test(counts, dropped_connections_are_summed_over_those_who_are_gone_and_the_primary);
	tcase_add_test(counts, what_a_dead_worker_accepted_still_counts_for_its_row);
	tcase_add_test(counts, rows_are_taken_once_and_none_is_row_0);
	tcase_add_test(counts, a_row_that_is_taken_again_counts_from_0);
	tcase_add_test(counts, a_row_that_is_taken_again_counts_from_0_though_its_worker_lives);
	tcase_add_test(counts, being_starved_is_told_once);
	tcase_add_test(counts, flying_goes_up_and_down);
	tcase_add_test(counts, the_board_goes_with_its_last_holder);
	tcase_add_test(counts, a_forked_process_counts_on_the_same_board);
	return run_suite(suite);
}
