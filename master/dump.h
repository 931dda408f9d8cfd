/* master/dump.h - a configuration as JSON again, with all that a file leaves to its defaults. */
#ifndef MASTER_DUMP_H
#define MASTER_DUMP_H

#include <stdio.h>

struct json_t;
struct muster__config;

/* New; a file that says so means the same. What is off is left out. NULL without memory. */
struct json_t *muster__config_dump(const struct muster__config *config);

/* The same as text. 0 or -ENOMEM, -EIO. */
int muster__config_print(const struct muster__config *config, FILE *out);

#endif
