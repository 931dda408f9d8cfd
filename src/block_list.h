/* src/block_list.h - what servers and sockets do with a block list they were given. */
#ifndef SRC_BLOCK_LIST_H
#define SRC_BLOCK_LIST_H

#include <muster/block_list.h>
#include <sys/socket.h>

/* One more hold on the list, which is returned; give it back with muster_block_list_free. NULL is shared as NULL. */
struct muster_block_list *muster__block_list_share(struct muster_block_list *list);

/* Does a rule match? False without a list, and for what is neither IPv4 nor IPv6. */
bool muster__block_list_blocks(const struct muster_block_list *list, const struct sockaddr *address);

#endif
