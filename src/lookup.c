/*
 * What needs no question is answered here: literals, and what the hosts file has. For the rest each family is asked for, and
 * one that has answered does not wait for ever for the other.
 *
 * Promise: an answer within a bounded time, even if the resolver has lost it.
 */
#include "src/lookup.h"

#include "src/hosts.h"
#include "src/loop.h"
#include "src/question.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <ifaddrs.h>
#include <muster/error.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS "/etc/hosts"
#define LOOKUP_MS 30000 /* evdns itself gives up after 15 s, unless resolv.conf says otherwise */
#define OTHER_PART 10   /* an answer waits a tenth of that for the other family's: 3 s */
#define LABEL_MAX 63

/* What is asked for one family. */
struct half {
	struct muster__question *question; /* not answered */
	int err;
	size_t count;
	unsigned char addresses[MUSTER__LOOKUP_MAX][sizeof(struct in6_addr)];
};

struct muster__lookup {
	struct muster__task task;
	struct muster_loop *loop;
	struct event timer;
	muster__looked_up done;
	void *data;
	unsigned port;
	bool map;      /* IPv4 as ::ffff:a.b.c.d ... */
	bool map_only; /* ... if there is no IPv6 */
	int err;
	size_t count;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
	struct half four, six;
};

static void deliver(struct muster__task *task)
{
	struct muster__lookup *lookup = MUSTER__CONTAINER(task, struct muster__lookup, task);

	lookup->done(lookup->err, lookup->addresses, lookup->err < 0 ? 0 : lookup->count, lookup->data);
	free(lookup);
}

/* ---- the end: both answers in one */

static void set_address(struct muster__sockaddr *address, int family, const void *bytes, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;

	if (family == 4) {
		*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
		memcpy(&in->sin_addr, bytes, sizeof in->sin_addr);
		address->length = sizeof *in;
	} else {
		*in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port) };
		memcpy(&in6->sin6_addr, bytes, sizeof in6->sin6_addr);
		address->length = sizeof *in6;
	}
}

static void map_address(struct muster__sockaddr *address, unsigned port)
{
	unsigned char bytes[sizeof(struct in6_addr)] = { [10] = 0xff, [11] = 0xff };

	memcpy(&bytes[12], &((const struct sockaddr_in *)&address->storage)->sin_addr, sizeof(struct in_addr));
	set_address(address, 6, bytes, port);
}

static void take(struct muster__lookup *lookup, const struct half *half, int family, size_t most)
{
	for (size_t i = 0; i < half->count && i < most; i++) {
		struct muster__sockaddr *address = &lookup->addresses[lookup->count++];

		set_address(address, family, half->addresses[i], lookup->port);
		if (family == 4 && lookup->map)
			map_address(address, lookup->port);
	}
}

/* Many addresses of one family leave room for the other. */
static void join(struct muster__lookup *lookup)
{
	size_t fair = MUSTER__LOOKUP_MAX / 2, six = lookup->six.count;

	if (six == 0 || !lookup->map || !lookup->map_only)
		take(lookup, &lookup->four, 4, six < fair ? MUSTER__LOOKUP_MAX - six : fair);
	take(lookup, &lookup->six, 6, MUSTER__LOOKUP_MAX - lookup->count);
}

static void forget(struct half *half)
{
	if (half->question == NULL)
		return;
	muster__question_forget(half->question);
	half->question = NULL;
	half->err = MUSTER_EAIAGAIN;
}

static void finish(struct muster__lookup *lookup)
{
	muster__event_del(lookup->loop, &lookup->timer);
	forget(&lookup->four);
	forget(&lookup->six);
	join(lookup);
	if (lookup->count == 0)
		lookup->err = lookup->four.err == MUSTER_EAIAGAIN || lookup->six.err == MUSTER_EAIAGAIN ?
				      MUSTER_EAIAGAIN :
				      MUSTER_ENOTFOUND;
	muster__loop_queue(lookup->loop, &lookup->task);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	finish(data);
}

/* ---- the questions */

static unsigned limit_ms(const struct muster__lookup *lookup)
{
	return lookup->loop->lookup_ms != 0 ? lookup->loop->lookup_ms : LOOKUP_MS;
}

static void on_answer(void *owner, int family, int err, const void *addresses, size_t count)
{
	struct muster__lookup *lookup = owner;
	struct half *half = family == 4 ? &lookup->four : &lookup->six;
	size_t size = family == 4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	struct timeval wait = muster__ms(limit_ms(lookup) / OTHER_PART);

	half->question = NULL;
	half->err = err;
	for (; half->count < count && half->count < MUSTER__LOOKUP_MAX; half->count++)
		memcpy(half->addresses[half->count], (const char *)addresses + half->count * size, size);
	if (lookup->four.question == NULL && lookup->six.question == NULL)
		finish(lookup);
	else if (half->count > 0 && muster__event_add(lookup->loop, &lookup->timer, &wait) < 0)
		finish(lookup);
}

static void ask(struct muster__lookup *lookup, const char *host, int family)
{
	struct half *half = family == 4 ? &lookup->four : &lookup->six;

	half->question = muster__question_ask(lookup->loop, host, family, on_answer, lookup);
	if (half->question == NULL)
		half->err = MUSTER_EAIAGAIN;
}

/* The timer first: without it nothing is asked. */
static int ask_all(struct muster__lookup *lookup, const char *host, int family)
{
	struct timeval limit = muster__ms(limit_ms(lookup));

	if (muster__event_add(lookup->loop, &lookup->timer, &limit) < 0)
		return -ENOMEM;
	if (family != 6 || lookup->map)
		ask(lookup, host, 4);
	if (family != 4)
		ask(lookup, host, 6);
	if (lookup->four.question != NULL || lookup->six.question != NULL)
		return 0;
	muster__event_del(lookup->loop, &lookup->timer);
	return -ENOMEM;
}

/* ---- what needs no question */

/* No more than 63 bytes between two dots, and some; a name may end with one. */
static bool is_name(const char *host)
{
	size_t length = strlen(host), label;

	if (length == 0 || length > MUSTER__HOST_MAX + (host[length - 1] == '.'))
		return false;
	for (; *host != '\0'; host += label + (host[label] == '.')) {
		label = strcspn(host, ".");
		if (label == 0 || label > LABEL_MAX)
			return false;
	}
	return true;
}

/* How many of that family are in the hosts file, or -errno; they go behind those that are there. */
static int take_hosts(struct muster__lookup *lookup, const char *host, int family)
{
	const char *file = lookup->loop->hosts != NULL ? lookup->loop->hosts : HOSTS;
	int found = muster__hosts_find(file, host, family, lookup->port, &lookup->addresses[lookup->count],
				       (unsigned)(MUSTER__LOOKUP_MAX - lookup->count));

	if (found < 0)
		lookup->err = found;
	else
		lookup->count += (size_t)found;
	return found;
}

static bool is_in_hosts(struct muster__lookup *lookup, const char *host, int family)
{
	int found = take_hosts(lookup, host, family);
	size_t i = lookup->count;

	if (lookup->map && (found == 0 || (found > 0 && !lookup->map_only)))
		take_hosts(lookup, host, 4);
	for (; i < lookup->count; i++)
		map_address(&lookup->addresses[i], lookup->port);
	return lookup->count > 0 || lookup->err < 0;
}

/* Answered, if only with an error. */
static bool is_known(struct muster__lookup *lookup, const char *host, int family)
{
	int literal = muster_is_ip(host);

	if (literal == 0 && is_name(host))
		return is_in_hosts(lookup, host, family);
	if (literal == 0 || (family != 0 && family != literal))
		lookup->err = MUSTER_ENOTFOUND;
	else
		muster__sockaddr_ip(&lookup->addresses[lookup->count++], host, lookup->port);
	return true;
}

/* ---- from the outside */

/* AI_ADDRCONFIG: the one family that the machine has an address of, 0 if it has both or neither. Loopback does not count. */
static int configured_family(void)
{
	struct ifaddrs *all, *one;
	bool four = false, six = false;

	if (getifaddrs(&all) < 0)
		return 0;
	for (one = all; one != NULL; one = one->ifa_next) {
		if (one->ifa_addr == NULL || (one->ifa_flags & IFF_LOOPBACK))
			continue;
		four = four || one->ifa_addr->sa_family == AF_INET;
		six = six || one->ifa_addr->sa_family == AF_INET6;
	}
	freeifaddrs(all);
	return four == six ? 0 : four ? 4 : 6;
}

static struct muster__lookup *lookup_new(struct muster_loop *loop, muster__looked_up done, void *data)
{
	struct muster__lookup *lookup = calloc(1, sizeof *lookup);

	if (lookup == NULL)
		return NULL;
	lookup->task.run = deliver;
	lookup->loop = loop;
	lookup->done = done;
	lookup->data = data;
	event_assign(&lookup->timer, loop->base, -1, EV_PERSIST, on_timer, lookup);
	return lookup;
}

int muster__lookup_start(struct muster_loop *loop, const char *host, unsigned port, int family, int flags,
			 muster__looked_up done, void *data, struct muster__lookup **out)
{
	struct muster__lookup *lookup = lookup_new(loop, done, data);
	int err = 0;

	if (lookup == NULL)
		return -ENOMEM;
	lookup->port = port;
	lookup->map = family == 6 && (flags & AI_V4MAPPED);
	lookup->map_only = !(flags & AI_ALL);
	if (family == 0 && (flags & AI_ADDRCONFIG))
		family = configured_family();
	if (is_known(lookup, host, family))
		muster__loop_queue(loop, &lookup->task);
	else
		err = ask_all(lookup, host, family);
	if (err < 0)
		free(lookup);
	else
		*out = lookup;
	return err;
}

int muster__lookup_nothing(struct muster_loop *loop, muster__looked_up done, void *data, struct muster__lookup **out)
{
	struct muster__lookup *lookup = lookup_new(loop, done, data);

	if (lookup == NULL)
		return -ENOMEM;
	muster__loop_queue(loop, &lookup->task);
	*out = lookup;
	return 0;
}

void muster__lookup_cancel(struct muster__lookup *lookup)
{
	if (lookup == NULL)
		return;
	muster__event_del(lookup->loop, &lookup->timer);
	forget(&lookup->four);
	forget(&lookup->six);
	muster__loop_unqueue(lookup->loop, &lookup->task);
	free(lookup);
}
