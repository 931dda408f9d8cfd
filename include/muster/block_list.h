/* muster/block_list.h - a net.BlockList: addresses that are not to be talked to. */
#ifndef MUSTER_BLOCK_LIST_H
#define MUSTER_BLOCK_LIST_H

#include <muster/export.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct muster_block_list;

/* Bytes that hold the text of any rule. */
#define MUSTER_RULE_SIZE 112

/*
 * new net.BlockList(): empty, and yours until muster_block_list_free. Servers and sockets that are given the list share
 * it: rules added later count for them too. A list belongs to one thread, as a loop does. NULL with errno set: ENOMEM.
 */
MUSTER_API struct muster_block_list *muster_block_list_new(void);

/* Let go of it. Whoever shares it keeps it until he is gone himself. NULL is fine. */
MUSTER_API void muster_block_list_free(struct muster_block_list *list);

/*
 * Addresses are IP literals; their family need not be told, as it must in Node. The text is not kept. Zone ids are
 * ignored: a rule for fe80::1 is one for it on each interface. IPv4 rules match the same addresses written as
 * ::ffff:a.b.c.d.
 * All of these fail with -ENOMEM, and with -EINVAL for what is no address (ERR_INVALID_ADDRESS); nothing is added then.
 */

/* blockList.addAddress. */
MUSTER_API int muster_block_list_add_address(struct muster_block_list *list, const char *address);

/*
 * blockList.addRange: from `start` to `end`, both included. -EINVAL as well if `start` comes after `end`
 * (ERR_INVALID_ARG_VALUE) or they are of two families. A range of IPv6 matches an IPv4 address only if both its ends
 * are ::ffff:a.b.c.d themselves, as in Node.
 */
MUSTER_API int muster_block_list_add_range(struct muster_block_list *list, const char *start, const char *end);

/*
 * blockList.addSubnet: all addresses that share the first `prefix` bits of `network`, whose others do not matter.
 * -ERANGE if the prefix is above 32, or above 128 for IPv6 (ERR_OUT_OF_RANGE).
 */
MUSTER_API int muster_block_list_add_subnet(struct muster_block_list *list, const char *network, unsigned prefix);

/*
 * The same, in one text: "10.0.0.0/8", "fd00::/8". -EINVAL if there is no prefix, or it is no decimal number without
 * sign and leading zeros; -ERANGE as above.
 */
MUSTER_API int muster_block_list_add_cidr(struct muster_block_list *list, const char *cidr);

/*
 * blockList.removeAddress, removeRange, removeSubnet, removeCIDR: take away each rule that was added so. An address is not
 * taken out of a range or a subnet. Errors as for adding it, and -ENOENT if there is no such rule.
 */
MUSTER_API int muster_block_list_remove_address(struct muster_block_list *list, const char *address);
MUSTER_API int muster_block_list_remove_range(struct muster_block_list *list, const char *start, const char *end);
MUSTER_API int muster_block_list_remove_subnet(struct muster_block_list *list, const char *network, unsigned prefix);
MUSTER_API int muster_block_list_remove_cidr(struct muster_block_list *list, const char *cidr);

/* blockList.clear: take all rules away. */
MUSTER_API void muster_block_list_clear(struct muster_block_list *list);

/* blockList.size: how many rules there are. */
MUSTER_API size_t muster_block_list_size(const struct muster_block_list *list);

/*
 * blockList.rules, one at a time, the newest is `index` 0: "Address: IPv4 1.2.3.4", "Range: IPv4 10.0.0.1-10.0.0.10",
 * "Subnet: IPv6 fd00::/8". Writes at most `size` bytes with the terminating NUL and returns the length the whole text has,
 * as snprintf does; 0 if there is no such rule. MUSTER_RULE_SIZE bytes hold each. The texts in an array of strings are what
 * toJSON returns.
 */
MUSTER_API size_t muster_block_list_rule(const struct muster_block_list *list, size_t index, char *text, size_t size);

/*
 * Add a rule that is written so: fromJSON is this, for each string. -EINVAL for another text, -ERANGE for a prefix, -ENOMEM;
 * nothing is added then.
 */
MUSTER_API int muster_block_list_add_rule(struct muster_block_list *list, const char *text);

/* blockList.check: does a rule match? False for what is no address. */
MUSTER_API bool muster_block_list_check(const struct muster_block_list *list, const char *address);

#ifdef __cplusplus
}
#endif
#endif
