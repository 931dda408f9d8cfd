/* master/ctl_top.h - the status, again and again. */
#ifndef MASTER_CTL_TOP_H
#define MASTER_CTL_TOP_H

#include <stdbool.h>

/*
 * Draw, once a second, until q or Ctrl-C, or until `draw` returns another status than 0, which is returned. Where standard
 * output is no terminal it is drawn once.
 */
int muster__ctl_top(int (*draw)(void *data), void *data);

#endif
