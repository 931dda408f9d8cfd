/*
 * evdns, made at the first question: with DISABLE_WHEN_INACTIVE, since otherwise it keeps the loop alive for ever.
 *
 * A question is never cancelled. evdns frees its own request when it has no memory to deliver the answer, and does not say
 * so; a pointer to one is safe at no time, and so none is kept. A forgotten question waits on the loop for its answer, and
 * for the end of the resolver if none comes.
 */
#include "src/question.h"

#include "src/loop.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <muster/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLV_CONF "/etc/resolv.conf"
/* evdns asks 64 at a time, so that a few names whose servers are slow would hold up all others. */
#define MAX_INFLIGHT "1024"
/*
 * It asks servers that failed for google.com, after 10 s and again and again. None is lost if it does not: one that fails is
 * left for the others, and when all have, each is asked in turn. This is the longest it lets us put that off.
 */
#define PROBE_SECONDS "3600"

struct muster__question {
	LIST_ENTRY(muster__question) link;
	struct muster_loop *loop;           /* NULL: gone */
	muster__question_answered answered; /* NULL: forgotten */
	void *owner;
	int family;
};

static int code_of(int result)
{
	switch (result) {
	case DNS_ERR_NONE: return 0;
	case DNS_ERR_NOTEXIST:
	case DNS_ERR_NODATA: return MUSTER_ENOTFOUND;
	default: return MUSTER_EAIAGAIN; /* no answer, or none that says anything: SERVFAIL, REFUSED, one cut short */
	}
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *data)
{
	struct muster__question *question = data;
	int err = result == DNS_ERR_NONE && count == 0 ? MUSTER_ENOTFOUND : code_of(result);

	(void)type, (void)ttl;
	if (question->loop != NULL)
		LIST_REMOVE(question, link);
	if (question->answered != NULL) {
		question->loop->questions--;
		question->answered(question->owner, question->family, err, addresses, err == 0 ? (size_t)count : 0);
	}
	free(question);
}

/*
 * evdns keeps the loop running with questions that are forgotten, and with its own: whether a name server is back. The answers
 * of both are delivered by callbacks that are queued in the base: when it has nothing more to call, nobody looks at what is
 * freed here.
 */
static void rest(struct muster_loop *loop)
{
	struct muster__question *question;

	if (loop->dns == NULL || loop->questions > 0 || event_base_loop(loop->base, EVLOOP_NONBLOCK) < 0 ||
	    loop->questions > 0 || event_base_get_num_events(loop->base, EVENT_BASE_COUNT_ACTIVE) > 0)
		return;
	evdns_base_free(loop->dns, 0);
	loop->dns = NULL;
	while ((question = LIST_FIRST(&loop->asked)) != NULL) {
		LIST_REMOVE(question, link);
		free(question);
	}
}

/* 0 if there is none. */
static struct timespec time_of(const char *conf)
{
	struct stat status;

	return stat(conf, &status) == 0 ? status.st_mtim : (struct timespec){ 0, 0 };
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Anew once resolv.conf has been written, unless questions are out: they have the old servers. */
static int need_resolver(struct muster_loop *loop)
{
	const char *conf = loop->resolv_conf != NULL ? loop->resolv_conf : RESOLV_CONF;
	struct timespec now = time_of(conf);
	struct evdns_base *dns;

	if (loop->dns != NULL && (!LIST_EMPTY(&loop->asked) || is_same_time(&now, &loop->resolv_time)))
		return 0;
	if (loop->dns != NULL)
		evdns_base_free(loop->dns, 0);
	loop->dns = NULL;
	loop->resolv_time = now;
	dns = evdns_base_new(loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (dns == NULL)
		return -ENOMEM;
	evdns_base_set_option(dns, "max-inflight:", MAX_INFLIGHT);
	evdns_base_set_option(dns, "initial-probe-timeout:", PROBE_SECONDS);
	evdns_base_resolv_conf_parse(dns, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, conf);
	/* Without a file there is 127.0.0.1; without memory there is nobody to ask. */
	if (evdns_base_count_nameservers(dns) == 0) {
		evdns_base_free(dns, 0);
		return -ENOMEM;
	}
	loop->dns = dns;
	loop->rest = rest;
	return 0;
}

static bool send_off(struct muster__question *question, const char *host)
{
	struct evdns_base *dns = question->loop->dns;
	size_t length = strlen(host);
	bool absolute = length > 0 && host[length - 1] == '.';
	int flags = absolute ? DNS_QUERY_NO_SEARCH : 0;
	struct evdns_request *request;
	char name[MUSTER__HOST_MAX + 1];

	snprintf(name, sizeof name, "%.*s", (int)(length - absolute), host);
	if (question->family == 4)
		request = evdns_base_resolve_ipv4(dns, name, flags, on_answer, question);
	else
		request = evdns_base_resolve_ipv6(dns, name, flags, on_answer, question);
	return request != NULL;
}

struct muster__question *muster__question_ask(struct muster_loop *loop, const char *host, int family,
					      muster__question_answered answered, void *owner)
{
	struct muster__question *question;

	if (need_resolver(loop) < 0 || (question = malloc(sizeof *question)) == NULL)
		return NULL;
	*question = (struct muster__question){ .loop = loop, .answered = answered, .owner = owner, .family = family };
	if (!send_off(question, host)) {
		free(question);
		return NULL;
	}
	LIST_INSERT_HEAD(&loop->asked, question, link);
	loop->questions++;
	return question;
}

void muster__question_forget(struct muster__question *question)
{
	question->answered = NULL;
	question->loop->questions--;
}

/* A loop that is freed from inside a callback of its base cannot turn it: the callbacks that are still due come later. */
void muster__questions_shutdown(struct muster_loop *loop)
{
	struct muster__question *question;

	if (loop->dns == NULL)
		return;
	if (!LIST_EMPTY(&loop->asked))
		rest(loop);
	if (loop->dns != NULL)
		evdns_base_free(loop->dns, 0);
	while ((question = LIST_FIRST(&loop->asked)) != NULL) {
		LIST_REMOVE(question, link);
		question->loop = NULL;
	}
}
