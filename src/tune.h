/* src/tune.h - options of TCP descriptors; on others they do nothing. */
#ifndef SRC_TUNE_H
#define SRC_TUNE_H

#include <stdbool.h>

struct muster_listen_options;

int muster__tune_no_delay(int fd, bool on);
/* The byte of IP_TOS or IPV6_TCLASS. */
int muster__tune_type_of_service(int fd, unsigned value);
int muster__tune_get_type_of_service(int fd);
/* Closing sends a reset. */
int muster__tune_reset_on_close(int fd);
bool muster__tune_is_tcp(int fd);
/* What the options say of the listening socket. */
int muster__tune_listener(int fd, const struct muster_listen_options *options);
/* The same on one that may have other options already: what is not wanted any more is turned off. */
int muster__tune_listener_again(int fd, const struct muster_listen_options *options);

/* When probes begin, how they follow each other, and how many are lost before the connection is; zeros are defaults. */
struct muster__keep_alive {
	unsigned delay_ms, interval_ms, count;
};

int muster__tune_keep_alive(int fd, bool on, const struct muster__keep_alive *how);
/* Their interval and count alone. */
int muster__tune_probes(int fd, const struct muster__keep_alive *how);
/* -EINVAL: the kernel would refuse them. */
int muster__tune_check_probes(unsigned interval_ms, unsigned count);

#endif
