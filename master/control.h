/* master/control.h - the control socket: one line of JSON asks, one line of JSON answers. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <sys/types.h>

struct muster__config;
struct muster__control;
struct muster__listener;
struct muster_server;

/* Bind the configured path with the configured mode; a missing folder is made, a dead socket replaced. 0 or negative. */
int muster__control_bind(const struct muster__config *config, gid_t group, struct muster__listener *listener);

/* The configured group; -1: there is none. -ENOENT: its name is unknown. */
int muster__control_group(const struct muster__config *config, gid_t *gid);

/* Give the socket that is there to its group, with its mode. 0 or -errno. */
int muster__control_open_to(const struct muster__config *config, gid_t group);

/*
 * While another daemon has the path: bind one beside it, with our pid in its name. And take the place of what is there; of a
 * listener that is in its place already this does nothing.
 */
int muster__control_bind_beside(const struct muster__config *config, gid_t group, struct muster__listener *listener);
int muster__control_place(const struct muster__config *config, struct muster__listener *listener);

/* Answer there. `listener` is taken in every case. 0 or negative. */
int muster__control_listen(struct muster__control *control, struct muster__listener *listener,
			   struct muster_server **out);

#endif
