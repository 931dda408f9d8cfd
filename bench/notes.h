/* bench/notes.h - what a reader of the tables must know: servers left out, loads that failed. */
#ifndef BENCH_NOTES_H
#define BENCH_NOTES_H

#include <stdbool.h>

/* Something expected, such as a server that is not built here. */
void note_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something wrong: the driver will end with status 1. */
void note_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Progress, for stderr alone. */
void note_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print the notes since the last call, as a list, each once. */
void notes_print(void);

bool notes_had_fault(void);

#endif
