/* master/ctl_ask.h - a question of musterctl to a daemon. */
#ifndef MASTER_CTL_ASK_H
#define MASTER_CTL_ASK_H

struct json_t;

/* Ask at the control socket, and wait at most so long for each part of the answer; 0: for ever. 0 with a new object, or -errno. */
int muster__ctl_ask(const char *path, const struct json_t *question, unsigned seconds, struct json_t **answer);

#endif
