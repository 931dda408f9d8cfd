/* tests/support/janitor.h - cleans up behind a test that failed: libcheck ends it without a chance to do so itself. */
#ifndef TESTS_SUPPORT_JANITOR_H
#define TESTS_SUPPORT_JANITOR_H

/*
 * Until janitor_dismiss: if this process ends, however it does, show the end of each log-* in `folder` on standard
 * error, and remove the folder.
 */
void janitor_watch(const char *folder);
void janitor_dismiss(void);

#endif
