/* src/tune.h - options of TCP descriptors; on others they do nothing. */
#ifndef SRC_TUNE_H
#define SRC_TUNE_H

#include <stdbool.h>

int muster__tune_no_delay(int fd, bool on);
/* The byte of IP_TOS or IPV6_TCLASS. */
int muster__tune_type_of_service(int fd, unsigned value);
int muster__tune_get_type_of_service(int fd);
/* Closing sends a reset. */
int muster__tune_reset_on_close(int fd);
bool muster__tune_is_tcp(int fd);
int muster__tune_keep_alive(int fd, bool on, unsigned delay_ms);

#endif
