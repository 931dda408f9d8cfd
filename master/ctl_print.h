/* master/ctl_print.h - what a daemon answers, as tables. */
#ifndef MASTER_CTL_PRINT_H
#define MASTER_CTL_PRINT_H

struct json_t;

void muster__ctl_print_status(const struct json_t *status);
void muster__ctl_print_workers(const struct json_t *workers);
void muster__ctl_print_listeners(const struct json_t *listeners);

#endif
