/*
 * All rules are ranges of 16-byte addresses, both ends included: a single address has two equal ends, a subnet has all
 * its free bits cleared in one end and set in the other, and IPv4 lies where IPv6 maps it. So one comparison serves
 * all, and that IPv4 rules match ::ffff:a.b.c.d needs no words. A rule remembers beside it what it was made of, to say so.
 */
#include "src/block_list.h"

#include "src/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
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

enum kind { ADDRESS, RANGE, SUBNET };

struct rule {
	unsigned char first[ADDRESS_BITS / 8], last[ADDRESS_BITS / 8];
	unsigned char network[ADDRESS_BITS / 8]; /* of a subnet, as it was written */
	unsigned char kind, prefix;
	bool is_ipv4; /* it was written so */
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

static struct rule range_of(enum kind kind, const struct ip *start, const struct ip *end)
{
	struct rule rule = { .kind = (unsigned char)kind, .is_ipv4 = start->is_ipv4 };

	memcpy(rule.first, start->bytes, sizeof rule.first);
	memcpy(rule.last, end->bytes, sizeof rule.last);
	return rule;
}

static bool is_mapped(const struct ip *ip)
{
	return memcmp(ip->bytes, mapped, sizeof mapped) == 0;
}

/* ---- the three kinds of rules, from their texts */

static int make_address(struct rule *rule, const char *address)
{
	struct ip ip;
	int err = parse(&ip, address);

	if (err == 0)
		*rule = range_of(ADDRESS, &ip, &ip);
	return err;
}

static int make_range(struct rule *rule, const char *start, const char *end)
{
	struct ip first, last;
	int err = parse(&first, start);

	if (err == 0)
		err = parse(&last, end);
	if (err < 0)
		return err;
	if (first.is_ipv4 != last.is_ipv4 || memcmp(first.bytes, last.bytes, sizeof first.bytes) > 0)
		return -EINVAL;
	*rule = range_of(RANGE, &first, &last);
	/* Node cannot compare an IPv4 address with an end that is not mapped, and calls that no match. */
	rule->not_ipv4 = !is_mapped(&first) || !is_mapped(&last);
	return 0;
}

static int make_subnet(struct rule *rule, const char *network, unsigned prefix)
{
	struct ip ip;
	int err = parse(&ip, network);

	if (err < 0)
		return err;
	if (prefix > (ip.is_ipv4 ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS))
		return -ERANGE;
	*rule = range_of(SUBNET, &ip, &ip);
	memcpy(rule->network, ip.bytes, sizeof rule->network);
	rule->prefix = (unsigned char)prefix;
	for (unsigned bit = prefix + (ip.is_ipv4 ? MAPPED_BITS : 0); bit < ADDRESS_BITS; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> bit % 8);

		rule->first[bit / 8] &= (unsigned char)~mask;
		rule->last[bit / 8] |= mask;
	}
	return 0;
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

/* Cut a copy of `text` in two. -EINVAL without the separator, or if it is longer than two addresses can be. */
static int halve(const char *text, char separator, char *copy, size_t size, const char **second)
{
	char *at;

	if (text == NULL || strlen(text) >= size)
		return -EINVAL;
	strcpy(copy, text);
	at = strchr(copy, separator);
	if (at == NULL)
		return -EINVAL;
	*at = '\0';
	*second = at + 1;
	return 0;
}

static int make_cidr(struct rule *rule, const char *cidr)
{
	const char *digits;
	char network[112];
	unsigned prefix;
	int err = halve(cidr, '/', network, sizeof network, &digits);

	if (err == 0)
		err = parse_prefix(digits, &prefix);
	return err < 0 ? err : make_subnet(rule, network, prefix);
}

static int make_span(struct rule *rule, const char *span)
{
	const char *end;
	char start[112];
	int err = halve(span, '-', start, sizeof start, &end);

	return err < 0 ? err : make_range(rule, start, end);
}

/* "Range: IPv4 10.0.0.1-10.0.0.10" */
static int make_rule(struct rule *rule, const char *text)
{
	char kind[8], family, what[112];
	int end = -1, err = -EINVAL;

	if (text == NULL || sscanf(text, "%7[A-Za-z]: IPv%c %111s%n", kind, &family, what, &end) < 3 ||
	    text[end] != '\0')
		return -EINVAL;
	if (strcmp(kind, "Address") == 0)
		err = make_address(rule, what);
	else if (strcmp(kind, "Range") == 0)
		err = make_span(rule, what);
	else if (strcmp(kind, "Subnet") == 0)
		err = make_cidr(rule, what);
	return err == 0 && family != (rule->is_ipv4 ? '4' : '6') ? -EINVAL : err;
}

/* ---- adding and removing them */

static int added(struct muster_block_list *list, int err, const struct rule *rule)
{
	return err < 0 ? err : add(list, rule);
}

int muster_block_list_add_address(struct muster_block_list *list, const char *address)
{
	struct rule rule;

	return added(list, make_address(&rule, address), &rule);
}

int muster_block_list_add_range(struct muster_block_list *list, const char *start, const char *end)
{
	struct rule rule;

	return added(list, make_range(&rule, start, end), &rule);
}

int muster_block_list_add_subnet(struct muster_block_list *list, const char *network, unsigned prefix)
{
	struct rule rule;

	return added(list, make_subnet(&rule, network, prefix), &rule);
}

int muster_block_list_add_cidr(struct muster_block_list *list, const char *cidr)
{
	struct rule rule;

	return added(list, make_cidr(&rule, cidr), &rule);
}

int muster_block_list_add_rule(struct muster_block_list *list, const char *text)
{
	struct rule rule;

	return added(list, make_rule(&rule, text), &rule);
}

/* How a subnet was written does not matter here. */
static bool is_same(const struct rule *a, const struct rule *b)
{
	return a->kind == b->kind && a->is_ipv4 == b->is_ipv4 && a->prefix == b->prefix &&
	       memcmp(a->first, b->first, sizeof a->first) == 0 && memcmp(a->last, b->last, sizeof a->last) == 0;
}

static int removed(struct muster_block_list *list, int err, const struct rule *rule)
{
	size_t i, kept = 0, before = list->count;

	if (err < 0)
		return err;
	for (i = 0; i < list->count; i++)
		if (!is_same(&list->rules[i], rule))
			list->rules[kept++] = list->rules[i];
	list->count = kept;
	return kept < before ? 0 : -ENOENT;
}

int muster_block_list_remove_address(struct muster_block_list *list, const char *address)
{
	struct rule rule;

	return removed(list, make_address(&rule, address), &rule);
}

int muster_block_list_remove_range(struct muster_block_list *list, const char *start, const char *end)
{
	struct rule rule;

	return removed(list, make_range(&rule, start, end), &rule);
}

int muster_block_list_remove_subnet(struct muster_block_list *list, const char *network, unsigned prefix)
{
	struct rule rule;

	return removed(list, make_subnet(&rule, network, prefix), &rule);
}

int muster_block_list_remove_cidr(struct muster_block_list *list, const char *cidr)
{
	struct rule rule;

	return removed(list, make_cidr(&rule, cidr), &rule);
}

void muster_block_list_clear(struct muster_block_list *list)
{
	free(list->rules);
	list->rules = NULL;
	list->count = list->size = 0;
}

/* ---- listing them */

size_t muster_block_list_size(const struct muster_block_list *list)
{
	return list->count;
}

static const char *text_of(const unsigned char *bytes, bool is_ipv4, char *text, socklen_t size)
{
	return is_ipv4 ? inet_ntop(AF_INET, bytes + sizeof mapped, text, size) : inet_ntop(AF_INET6, bytes, text, size);
}

size_t muster_block_list_rule(const struct muster_block_list *list, size_t index, char *text, size_t size)
{
	char start[INET6_ADDRSTRLEN], end[INET6_ADDRSTRLEN];
	const struct rule *rule;
	const char *family;
	int length = 0;

	if (index >= list->count) {
		snprintf(text, size, "%s", "");
		return 0;
	}
	rule = &list->rules[list->count - 1 - index];
	family = rule->is_ipv4 ? "IPv4" : "IPv6";
	text_of(rule->kind == SUBNET ? rule->network : rule->first, rule->is_ipv4, start, sizeof start);
	text_of(rule->last, rule->is_ipv4, end, sizeof end);
	switch ((enum kind)rule->kind) {
	case ADDRESS: length = snprintf(text, size, "Address: %s %s", family, start); break;
	case RANGE: length = snprintf(text, size, "Range: %s %s-%s", family, start, end); break;
	case SUBNET: length = snprintf(text, size, "Subnet: %s %s/%u", family, start, rule->prefix); break;
	}
	return (size_t)length;
}

/* ---- asking them */

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
