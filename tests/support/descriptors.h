/* tests/support/descriptors.h - which descriptors this process has open. */
#ifndef TESTS_SUPPORT_DESCRIPTORS_H
#define TESTS_SUPPORT_DESCRIPTORS_H

unsigned descriptors_open(void);

/* Remember those that are open; fail if others are open later, or some of them no more. */
void descriptors_remember(void);
void descriptors_compare(void);

/* In how many epoll sets of this process `fd` is; `events` (may be NULL) gets the mask of the last one. */
unsigned descriptors_watching(int fd, unsigned *events);

/* Use up all descriptors but `left`: the open after those fails with EMFILE. And give them back. */
void descriptors_exhaust(unsigned left);
void descriptors_release(void);

#endif
