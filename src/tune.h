/* src/tune.h - options of TCP descriptors; on others they do nothing. */
#ifndef SRC_TUNE_H
#define SRC_TUNE_H

#include <stdbool.h>

int muster__tune_no_delay(int fd, bool on);
int muster__tune_keep_alive(int fd, bool on, unsigned delay_ms);

#endif
