/*
 * evdns, made at the first lookup: with DISABLE_WHEN_INACTIVE, since otherwise it keeps the loop alive for ever. It may
 * answer from inside the call (literals, hosts), and answers a cancelled request once more; both are hidden here.
 */
#include "src/lookup.h"

#include "src/lifecycle.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <muster/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct muster__lookup {
	struct muster__task task;
	struct muster_loop *loop;
	struct evdns_getaddrinfo_request *request;
	muster__looked_up done;
	void *data;
	bool cancelled, answered;
	int err;
	size_t count;
	struct muster__sockaddr addresses[MUSTER__LOOKUP_MAX];
};

static int code_of(int eai)
{
	switch (eai) {
	case 0: return 0;
	case EVUTIL_EAI_AGAIN:
	case EVUTIL_EAI_FAIL: return MUSTER_EAIAGAIN; /* evdns' word for SERVFAIL, and for no answer at all */
	case EVUTIL_EAI_MEMORY: return -ENOMEM;
	default: return MUSTER_ENOTFOUND;
	}
}

static void keep_addresses(struct muster__lookup *lookup, const struct evutil_addrinfo *info)
{
	for (; info != NULL && lookup->count < MUSTER__LOOKUP_MAX; info = info->ai_next) {
		struct muster__sockaddr *address = &lookup->addresses[lookup->count++];

		memcpy(&address->storage, info->ai_addr, info->ai_addrlen);
		address->length = (socklen_t)info->ai_addrlen;
	}
}

static void deliver(struct muster__task *task)
{
	struct muster__lookup *lookup = MUSTER__CONTAINER(task, struct muster__lookup, task);

	if (!lookup->cancelled)
		lookup->done(lookup->err, lookup->addresses, lookup->count, lookup->data);
	free(lookup);
}

static void on_answer(int eai, struct evutil_addrinfo *info, void *data)
{
	struct muster__lookup *lookup = data;

	lookup->loop->lookups--;
	lookup->answered = true;
	lookup->request = NULL;
	lookup->err = code_of(eai);
	keep_addresses(lookup, info);
	if (lookup->err == 0 && lookup->count == 0)
		lookup->err = MUSTER_ENOTFOUND;
	if (info != NULL)
		evutil_freeaddrinfo(info);
	if (lookup->loop->freeing)
		free(lookup);
	else
		muster__loop_queue(lookup->loop, &lookup->task);
}

static int need_resolver(struct muster_loop *loop)
{
	if (loop->dns != NULL)
		return 0;
	loop->dns = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (loop->dns == NULL)
		return -ENOMEM;
	evdns_base_resolv_conf_parse(loop->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	return 0;
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
	return lookup;
}

int muster__lookup_start(struct muster_loop *loop, const char *host, unsigned port, int family, int flags,
			 muster__looked_up done, void *data, struct muster__lookup **out)
{
	struct evutil_addrinfo hints = { .ai_flags = flags, .ai_socktype = SOCK_STREAM };
	struct evdns_getaddrinfo_request *request;
	struct muster__lookup *lookup;
	char service[8];

	if (need_resolver(loop) < 0 || (lookup = lookup_new(loop, done, data)) == NULL)
		return -ENOMEM;
	hints.ai_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
	snprintf(service, sizeof service, "%u", port);
	loop->lookups++;
	request = evdns_getaddrinfo(loop->dns, host, service, &hints, on_answer, lookup);
	if (!lookup->answered)
		lookup->request = request;
	*out = lookup;
	return 0;
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
	lookup->cancelled = true;
	if (lookup->request != NULL) {
		evdns_getaddrinfo_cancel(lookup->request);
	} else if (lookup->loop->freeing) {
		muster__loop_unqueue(lookup->loop, &lookup->task);
		free(lookup);
	}
}

void muster__lookup_shutdown(struct muster_loop *loop)
{
	int turns = 8;

	if (loop->dns == NULL)
		return;
	/*
	 * The resolver confirms what was cancelled by deferred events of the base, and looks at itself in them: its own
	 * end comes after.
	 */
	while (loop->lookups > 0 && turns-- > 0)
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
	evdns_base_free(loop->dns, 0);
	loop->dns = NULL;
}
