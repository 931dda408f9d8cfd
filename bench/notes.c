/* A fault in one round does not end a run of many minutes: it is noted, the round is left out, and the run goes on. */
#include "bench/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NOTES_MAX = 32, NOTE_SIZE = 240 };

static char notes[NOTES_MAX][NOTE_SIZE];
static int count;
static int dropped;
static bool had_fault;

static bool is_known(const char *note)
{
	for (int i = 0; i < count; i++)
		if (strcmp(notes[i], note) == 0)
			return true;
	return false;
}

static void add(const char *format, va_list arguments)
{
	char note[NOTE_SIZE];

	vsnprintf(note, sizeof(note), format, arguments);
	if (is_known(note))
		return;
	fprintf(stderr, "bench-run: %s\n", note);
	if (count < NOTES_MAX)
		memcpy(notes[count++], note, sizeof(note));
	else
		dropped++;
}

void note_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(format, arguments);
	va_end(arguments);
}

void note_fault(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(format, arguments);
	va_end(arguments);
	had_fault = true;
}

void note_progress(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
}

void notes_print(void)
{
	for (int i = 0; i < count; i++)
		printf("- %s\n", notes[i]);
	if (dropped > 0)
		printf("- and %d notes more, on stderr\n", dropped);
	if (count > 0)
		putchar('\n');
	count = dropped = 0;
	fflush(stdout);
}

bool notes_had_fault(void)
{
	return had_fault;
}
