/*
 * All rules are ranges of 16-byte addresses, both ends included: a single address has two equal ends, a subnet has all
 * its free bits cleared in one end and set in the other, and IPv4 lies where IPv6 maps it. So one comparison serves
 * all, and that IPv4 rules match ::ffff:a.b.c.d needs no words. The order of rules cannot be seen: any that matches
 * blocks.
 */
#include "src/block_list.h"

#include "src/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 128
#define MAPPED_BITS 96

/* ::ffff:0:0/96, where IPv4 lies in IPv6. */
static const unsigned char mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

struct ip {
	unsigned char bytes[ADDRESS_BITS / 8];
	bool is_ipv4; /* it was written so, or came from such a socket */
};

struct rule {
	unsigned char first[ADDRESS_BITS / 8], last[ADDRESS_BITS / 8];
	bool not_ipv4;
};

struct muster_block_list {
	unsigned holds;
	size_t count, size;
	struct rule *rules;
};

struct muster_block_list *muster_block_list_new(void)
{
	struct muster_block_list *list = calloc(1, sizeof *list);

	if (list == NULL)
		return muster__no_object(-ENOMEM);
	list->holds = 1;
	return list;
}

struct muster_block_list *muster__block_list_share(struct muster_block_list *list)
{
	if (list != NULL)
		list->holds++;
	return list;
}

void muster_block_list_free(struct muster_block_list *list)
{
	if (list == NULL || --list->holds > 0)
		return;
	free(list->rules);
	free(list);
}

static void from_in(struct ip *ip, const struct in_addr *in)
{
	memcpy(ip->bytes, mapped, sizeof mapped);
	memcpy(ip->bytes + sizeof mapped, in, sizeof *in);
	ip->is_ipv4 = true;
}

static void from_in6(struct ip *ip, const struct in6_addr *in6)
{
	memcpy(ip->bytes, in6, sizeof ip->bytes);
	ip->is_ipv4 = false;
}

/* A zone is not looked at, not even whether it is one: Node's check("fe80::1%") is that of fe80::1. */
static int parse(struct ip *ip, const char *text)
{
	char bare[INET6_ADDRSTRLEN];
	struct in_addr in;
	struct in6_addr in6;
	size_t length;

	if (text == NULL)
		return -EINVAL;
	if (inet_pton(AF_INET, text, &in) == 1) {
		from_in(ip, &in);
		return 0;
	}
	length = strcspn(text, "%");
	if (length >= sizeof bare)
		return -EINVAL;
	memcpy(bare, text, length);
	bare[length] = '\0';
	if (inet_pton(AF_INET6, bare, &in6) != 1)
		return -EINVAL;
	from_in6(ip, &in6);
	return 0;
}

static int add(struct muster_block_list *list, const struct rule *rule)
{
	size_t size = list->size > 0 ? 2 * list->size : 8;
	struct rule *rules;

	if (list->count == list->size) {
		rules = reallocarray(list->rules, size, sizeof *rules);
		if (rules == NULL)
			return -ENOMEM;
		list->rules = rules;
		list->size = size;
	}
	list->rules[list->count++] = *rule;
	return 0;
}

static struct rule range_of(const struct ip *start, const struct ip *end)
{
	struct rule rule = { .not_ipv4 = false };

	memcpy(rule.first, start->bytes, sizeof rule.first);
	memcpy(rule.last, end->bytes, sizeof rule.last);
	return rule;
}

static bool is_mapped(const struct ip *ip)
{
	return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

int muster_block_list_add_address(struct muster_block_list *list, const char *address)
{
	struct rule rule;
	struct ip ip;
	int err = parse(&ip, address);

	if (err < 0)
		return err;
	rule = range_of(&ip, &ip);
	return add(list, &rule);
}

int muster_block_list_add_range(struct muster_block_list *list, const char *start, const char *end)
{
	struct rule rule;
	struct ip first, last;
	int err = parse(&first, start);

	if (err == 0)
		err = parse(&last, end);
	if (err < 0)
		return err;
	if (first.is_ipv4 != last.is_ipv4 || memcmp(first.bytes, last.bytes, sizeof first.bytes) > 0)
		return -EINVAL;
	rule = range_of(&first, &last);
	/* Node cannot compare an IPv4 address with an end that is not mapped, and calls that no match. */
	rule.not_ipv4 = !is_mapped(&first) || !is_mapped(&last);
	return add(list, &rule);
}

int muster_block_list_add_subnet(struct muster_block_list *list, const char *network, unsigned prefix)
{
	struct rule rule;
	struct ip ip;
	int err = parse(&ip, network);

	if (err < 0)
		return err;
	if (prefix > (ip.is_ipv4 ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS))
		return -ERANGE;
	if (ip.is_ipv4)
		prefix += MAPPED_BITS;
	rule = range_of(&ip, &ip);
	for (unsigned bit = prefix; bit < ADDRESS_BITS; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> bit % 8);

		rule.first[bit / 8] &= (unsigned char)~mask;
		rule.last[bit / 8] |= mask;
	}
	return add(list, &rule);
}

static int parse_prefix(const char *text, unsigned *prefix)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
		return -EINVAL;
	/* More digits than any prefix has: too large, and so the address decides what is wrong, as ever. */
	*prefix = digits > 3 ? ADDRESS_BITS + 1 : (unsigned)strtoul(text, NULL, 10);
	return 0;
}

int muster_block_list_add_cidr(struct muster_block_list *list, const char *cidr)
{
	const char *slash = cidr != NULL ? strchr(cidr, '/') : NULL;
	char network[112];
	unsigned prefix;
	size_t length;
	int err;

	if (slash == NULL)
		return -EINVAL;
	length = (size_t)(slash - cidr);
	if (length >= sizeof network)
		return -EINVAL;
	memcpy(network, cidr, length);
	network[length] = '\0';
	err = parse_prefix(slash + 1, &prefix);
	return err < 0 ? err : muster_block_list_add_subnet(list, network, prefix);
}

static bool matches(const struct rule *rule, const struct ip *ip)
{
	return !(rule->not_ipv4 && ip->is_ipv4) && memcmp(ip->bytes, rule->first, sizeof ip->bytes) >= 0 &&
	       memcmp(ip->bytes, rule->last, sizeof ip->bytes) <= 0;
}

static bool blocks(const struct muster_block_list *list, const struct ip *ip)
{
	for (size_t i = 0; i < list->count; i++)
		if (matches(&list->rules[i], ip))
			return true;
	return false;
}

bool muster_block_list_check(const struct muster_block_list *list, const char *address)
{
	struct ip ip;

	return parse(&ip, address) == 0 && blocks(list, &ip);
}

bool muster__block_list_blocks(const struct muster_block_list *list, const struct sockaddr *address)
{
	struct ip ip;

	if (list == NULL)
		return false;
	if (address->sa_family == AF_INET)
		from_in(&ip, &((const struct sockaddr_in *)address)->sin_addr);
	else if (address->sa_family == AF_INET6)
		from_in6(&ip, &((const struct sockaddr_in6 *)address)->sin6_addr);
	else
		return false;
	return blocks(list, &ip);
}
