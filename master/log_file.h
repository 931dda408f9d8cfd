/* master/log_file.h - musterd's own lines, and those of its workers: laid out, and written to standard error or a file. */
#ifndef MASTER_LOG_FILE_H
#define MASTER_LOG_FILE_H

#include <stdint.h>

/*
 * From here on the library's lines go to standard error; workers inherit that. To the journal of systemd with its levels. No
 * line ever waits for whoever reads: what cannot be written is dropped, and the next line that can tells how many were.
 */
void muster__log_file_start(void);

/* Lines of this process that were dropped, since it began. */
uint64_t muster__log_file_lost(void);

/* A file, to be appended to: a descriptor or -errno. And it becomes standard error; it is taken. */
int muster__log_file_open(const char *target);
void muster__log_file_use(int fd);

#endif
