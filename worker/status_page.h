/* worker/status_page.h - the page for people: worker/status_page.html, made a part of the program by conf/embed.cmake. */
#ifndef WORKER_STATUS_PAGE_H
#define WORKER_STATUS_PAGE_H

#include <stddef.h>

/* What stands in it where each answer has a word of its own. */
#define MUSTER__PAGE_NONCE "@NONCE@"

extern const char muster__status_page[];
extern const size_t muster__status_page_length;

#endif
