/* ipc/socket_list.h - connections of a server that went over a channel: who has how many of them, asked and answered. */
#ifndef IPC_SOCKET_LIST_H
#define IPC_SOCKET_LIST_H

#include <stddef.h>
#include <sys/queue.h>

#define MUSTER__SENT_KEY_MAX 200

struct muster__census;
struct muster__got_list;
struct muster__line;
struct muster__sent_list;
struct muster_loop;
struct muster_socket;

/* Of one end of a channel: the lists of what went out, and of what came in. */
struct muster__socket_lists {
	struct muster_loop *loop;
	void (*say)(struct muster__socket_lists *lists, const char *text, size_t length);
	LIST_HEAD(, muster__sent_list) sent;
	LIST_HEAD(, muster__got_list) got;
	unsigned next; /* makes keys unique */
};

void muster__socket_lists_init(struct muster__socket_lists *lists, struct muster_loop *loop,
			       void (*say)(struct muster__socket_lists *lists, const char *text, size_t length));

/* The channel is gone: whoever waits for an answer from it is told. */
void muster__socket_lists_clear(struct muster__socket_lists *lists);

/* A line of the kind SOCKETS has come. */
void muster__socket_lists_line(struct muster__socket_lists *lists, const struct muster__line *line);

/* The list by which the other side counts the connections of this census; NULL: no memory. */
struct muster__sent_list *muster__sent_list_for(struct muster__socket_lists *lists, struct muster__census *census);
/* What the line that takes one there says. */
const char *muster__sent_list_key(const struct muster__sent_list *list);
/* One is on its way. `kept` is the socket if it stays open here as well, else NULL. */
void muster__sent_list_add(struct muster__sent_list *list, const struct muster_socket *kept);
/* It was not sent after all. */
void muster__sent_list_settle(struct muster__sent_list *list);

/* A connection came with this key: it is counted until it closes here. Without memory for that it is not. */
void muster__socket_lists_got(struct muster__socket_lists *lists, const char *key, size_t length,
			      struct muster_socket *socket);

#endif
