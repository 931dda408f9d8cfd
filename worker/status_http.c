/*
 * Every connection carries one request and has a few seconds for it, from its first byte to its last; there are at most so
 * many, and the others wait in the kernel's queue. libevent knows no such bounds, so each connection's bufferevent is held on
 * to here: one without callbacks is one that evhttp has freed, and one that is too old is shut down under its hands.
 */
#include "worker/status_http.h"

#include "src/log.h"
#include "src/loop.h"
#include "worker/status_metrics.h"
#include "worker/status_page.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <jansson.h>
#include <muster/muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define CONNECTION_MS 10000
#define SILENCE_S 5      /* as long as a client may say nothing */
#define HEADERS_MAX 8192 /* bytes */
#define BODY_MAX 1024    /* which nobody reads */
#define QUESTION_MS 100  /* the primary is asked this often at most */
#define ANSWER_MS 3000   /* it is asked again if it has not answered by then */
#define LOOK_MS 100      /* for connections that have ended, or should have */
#define END_MS 500

/* Of a page with a script of its own: nothing but that may run, and it may ask nobody but us. */
#define POLICY                                                                                                         \
	"default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "         \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct connection {
	TAILQ_ENTRY(connection) link;
	struct bufferevent *stream;
	uint64_t due_ms;
};

/* A request whose answer waits for the primary's. */
struct wait {
	STAILQ_ENTRY(wait) next;
	struct evhttp_request *request;
	bool metrics;
};

struct muster__status_http {
	struct muster_loop *loop;
	struct evhttp *evhttp;
	struct evhttp_bound_socket *bound; /* NULL: it accepts no more */
	bool is_public;
	int (*ask)(void *data);
	void *data;
	struct event look, question;
	TAILQ_HEAD(connections, connection) connections; /* oldest first */
	unsigned count;
	STAILQ_HEAD(, wait) waiting;
	uint64_t asked_ms; /* when; the answer to it is due while `asked` */
	bool asked;
	json_t *last;    /* the last answer, for those who are still here when there is nobody left to ask */
	uint64_t end_ms; /* it ends then at the latest; 0: it does not */
};

static struct evconnlistener *listener_of(const struct muster__status_http *http)
{
	return evhttp_bound_socket_get_listener(http->bound);
}

/* Not as an event of the library's own: as long as one is due the loop has to run. */
static void start_timer(struct event *timer, unsigned ms)
{
	struct timeval delay = muster__ms(ms);

	if (!event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &delay);
}

/* ---- connections */

static bool has_ended(const struct connection *connection)
{
	bufferevent_event_cb event;

	bufferevent_getcb(connection->stream, NULL, NULL, &event, NULL);
	return event == NULL;
}

static void forget(struct muster__status_http *http, struct connection *connection)
{
	TAILQ_REMOVE(&http->connections, connection, link);
	http->count--;
	bufferevent_decref(connection->stream);
	free(connection);
}

static void look_at_all(struct muster__status_http *http)
{
	struct connection *connection = TAILQ_FIRST(&http->connections), *next;
	uint64_t now = muster__now_ms();

	for (; connection != NULL; connection = next) {
		next = TAILQ_NEXT(connection, link);
		if (has_ended(connection))
			forget(http, connection);
		else if (now >= connection->due_ms)
			shutdown(bufferevent_getfd(connection->stream), SHUT_RDWR);
	}
}

static void finish(struct muster__status_http *http)
{
	event_del(&http->look);
	event_del(&http->question);
	json_decref(http->last);
	evhttp_free(http->evhttp);
	while (!TAILQ_EMPTY(&http->connections))
		forget(http, TAILQ_FIRST(&http->connections));
	free(http);
}

/* Only while there are connections. */
static void on_look(evutil_socket_t fd, short what, void *data)
{
	struct muster__status_http *http = data;

	(void)fd, (void)what;
	look_at_all(http);
	if (http->end_ms != 0 && (http->count == 0 || muster__now_ms() >= http->end_ms)) {
		finish(http);
		return;
	}
	if (http->bound != NULL && http->count < CONNECTIONS_MAX)
		evconnlistener_enable(listener_of(http));
	if (http->count > 0 || http->end_ms != 0)
		start_timer(&http->look, LOOK_MS);
}

/* Whoever needs more than a moment makes way for those who come: they cannot be kept out by many who say nothing. */
static void make_room(struct muster__status_http *http)
{
	struct connection *connection;
	unsigned left = CONNECTIONS_MAX / 2;

	look_at_all(http);
	if (http->count + 1 < CONNECTIONS_MAX)
		return;
	TAILQ_FOREACH(connection, &http->connections, link)
	if (left > 0) {
		left--;
		connection->due_ms = 0;
	}
	look_at_all(http);
	if (http->bound != NULL)
		evconnlistener_disable(listener_of(http));
}

/* A connection has been accepted. The stream has no descriptor yet. */
static struct bufferevent *new_stream(struct event_base *base, void *data)
{
	struct muster__status_http *http = data;
	struct connection *connection = calloc(1, sizeof *connection);
	struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);

	/* This one has no callbacks yet, and would look like one that has ended. */
	if (http->count + 1 >= CONNECTIONS_MAX)
		make_room(http);
	if (connection == NULL || stream == NULL) {
		free(connection);
		return stream;
	}
	bufferevent_incref(stream);
	*connection = (struct connection){ .stream = stream, .due_ms = muster__now_ms() + CONNECTION_MS };
	TAILQ_INSERT_TAIL(&http->connections, connection, link);
	http->count++;
	start_timer(&http->look, LOOK_MS);
	return stream;
}

/* There are no descriptors left: they come back with connections that end. */
static void on_accept_failed(struct evconnlistener *listener, void *data)
{
	struct muster__status_http *http = data;

	evconnlistener_disable(listener);
	start_timer(&http->look, LOOK_MS);
}

/* ---- answers */

/* To a HEAD evhttp would send the body as well. */
static void send_reply(struct evhttp_request *request, int code, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	char length[24];

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Connection", "close");
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD && body != NULL) {
		snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
		evhttp_add_header(headers, "Content-Length", length);
		body = NULL;
	}
	evhttp_send_reply(request, code, NULL, body);
}

static void send_error(struct evhttp_request *request, int code, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body != NULL)
		evbuffer_add_printf(body, "%s\n", text);
	send_reply(request, code, "text/plain; charset=utf-8", body);
	if (body != NULL)
		evbuffer_free(body);
}

/* A word that nobody can guess, for the page and for the header that names it. */
static bool make_nonce(char nonce[33])
{
	unsigned char bytes[16];
	size_t i;

	if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
		return false;
	for (i = 0; i < sizeof bytes; i++)
		snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

static void add_page(struct evbuffer *body, const char *nonce)
{
	const char *at = muster__status_page, *mark;

	while ((mark = strstr(at, MUSTER__PAGE_NONCE)) != NULL) {
		evbuffer_add(body, at, (size_t)(mark - at));
		evbuffer_add(body, nonce, strlen(nonce));
		at = mark + sizeof MUSTER__PAGE_NONCE - 1;
	}
	evbuffer_add(body, at, (size_t)(muster__status_page + muster__status_page_length - at));
}

static void send_page(struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	char nonce[33], policy[sizeof POLICY + 2 * sizeof nonce];

	if (body == NULL || !make_nonce(nonce)) {
		send_error(request, HTTP_SERVUNAVAIL, "no memory, or no random numbers");
	} else {
		snprintf(policy, sizeof policy, POLICY, nonce, nonce);
		evhttp_add_header(headers, "Content-Security-Policy", policy);
		evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
		add_page(body, nonce);
		send_reply(request, HTTP_OK, "text/html; charset=utf-8", body);
	}
	if (body != NULL)
		evbuffer_free(body);
}

static bool add_json(struct evbuffer *body, const json_t *status)
{
	char *text = json_dumps(status, JSON_COMPACT);
	bool added = text != NULL && evbuffer_add_printf(body, "%s\n", text) > 0;

	free(text);
	return added;
}

static void send_status(const struct wait *wait, const json_t *status)
{
	struct evbuffer *body = evbuffer_new();

	if (body == NULL || status == NULL || (!wait->metrics && !add_json(body, status))) {
		send_error(wait->request, HTTP_SERVUNAVAIL, "the daemon does not answer, or is about to end");
	} else {
		if (wait->metrics)
			muster__status_metrics(body, status);
		send_reply(wait->request, HTTP_OK, wait->metrics ? MUSTER__METRICS_TYPE : "application/json", body);
	}
	if (body != NULL)
		evbuffer_free(body);
}

static void answer_all(struct muster__status_http *http, const json_t *status)
{
	struct wait *wait;

	while ((wait = STAILQ_FIRST(&http->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&http->waiting, next);
		send_status(wait, status);
		free(wait);
	}
}

/* ---- questions */

/* Whoever waits gets an answer to a question that was asked after he came. */
static void ask_soon(struct muster__status_http *http)
{
	uint64_t now = muster__now_ms(), next = http->asked_ms + (http->asked ? ANSWER_MS : QUESTION_MS);

	if (STAILQ_EMPTY(&http->waiting))
		return;
	if (http->end_ms != 0) {
		answer_all(http, http->last);
		return;
	}
	if (http->asked_ms != 0 && now < next) {
		start_timer(&http->question, (unsigned)(next - now));
		return;
	}
	http->asked_ms = now;
	http->asked = http->ask(http->data) == 0;
	if (!http->asked)
		answer_all(http, NULL);
}

static void on_question(evutil_socket_t fd, short what, void *data)
{
	struct muster__status_http *http = data;

	(void)fd, (void)what;
	ask_soon(http);
}

void muster__status_http_answer(struct muster__status_http *http, json_t *status)
{
	json_decref(http->last);
	http->last = json_incref(status);
	http->asked = false;
	event_del(&http->question);
	answer_all(http, status);
}

static void wait_for_status(struct muster__status_http *http, struct evhttp_request *request, bool metrics)
{
	struct wait *wait = malloc(sizeof *wait);

	if (wait == NULL) {
		send_error(request, HTTP_SERVUNAVAIL, "no memory");
		return;
	}
	*wait = (struct wait){ .request = request, .metrics = metrics };
	STAILQ_INSERT_TAIL(&http->waiting, wait, next);
	ask_soon(http);
}

/* ---- requests */

/* "127.0.0.1", "[::1]:80", "localhost": what a name server has no say in. */
static bool is_plain_host(const char *host)
{
	size_t length = strcspn(host, ":");
	char literal[64];

	if (*host == '[') {
		length = strcspn(++host, "]");
		if (host[length] == '\0')
			return false;
	}
	if (length >= sizeof literal)
		return false;
	snprintf(literal, sizeof literal, "%.*s", (int)length, host);
	return muster_is_ip(literal) || strcmp(literal, "localhost") == 0;
}

/* A page of a stranger's, in a browser here, may have a name that leads to the loopback; it may not read this under it. */
static bool is_stranger(const struct muster__status_http *http, struct evhttp_request *request)
{
	const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");

	return !http->is_public && host != NULL && !is_plain_host(host);
}

static void on_request(struct evhttp_request *request, void *data)
{
	struct muster__status_http *http = data;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	if (is_stranger(http, request))
		send_error(request, 403, "this host has no such name: ask under its address");
	else if (path == NULL)
		send_error(request, HTTP_BADREQUEST, "bad request");
	else if (strcmp(path, "/") == 0)
		send_page(request);
	else if (strcmp(path, "/status") == 0)
		wait_for_status(http, request, false);
	else if (strcmp(path, "/metrics") == 0)
		wait_for_status(http, request, true);
	else
		send_error(request, HTTP_NOTFOUND, "there are /, /status and /metrics");
}

/* ---- life */

static bool is_local(int fd)
{
	int domain;
	socklen_t length = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

static bool listen_on(struct muster__status_http *http, int fd)
{
	http->evhttp = evhttp_new(muster_loop_base(http->loop));
	if (http->evhttp == NULL) {
		close(fd);
		return false;
	}
	evhttp_set_allowed_methods(http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http->evhttp, HEADERS_MAX);
	evhttp_set_max_body_size(http->evhttp, BODY_MAX);
	evhttp_set_timeout(http->evhttp, SILENCE_S);
	evhttp_set_bevcb(http->evhttp, new_stream, http);
	evhttp_set_gencb(http->evhttp, on_request, http);
	http->bound = evhttp_accept_socket_with_handle(http->evhttp, fd);
	if (http->bound == NULL) {
		close(fd);
		evhttp_free(http->evhttp);
		return false;
	}
	evconnlistener_set_error_cb(listener_of(http), on_accept_failed);
	return true;
}

struct muster__status_http *muster__status_http_new(struct muster_loop *loop, int fd, bool is_public,
						    int (*ask)(void *data), void *data)
{
	struct muster__status_http *http = calloc(1, sizeof *http);

	if (http == NULL) {
		close(fd);
		return NULL;
	}
	http->loop = loop;
	/* No browser comes by a path. */
	http->is_public = is_public || is_local(fd);
	http->ask = ask;
	http->data = data;
	TAILQ_INIT(&http->connections);
	STAILQ_INIT(&http->waiting);
	event_assign(&http->look, muster_loop_base(loop), -1, 0, on_look, http);
	event_assign(&http->question, muster_loop_base(loop), -1, 0, on_question, http);
	if (listen_on(http, fd))
		return http;
	free(http);
	return NULL;
}

void muster__status_http_end(struct muster__status_http *http)
{
	evhttp_del_accept_socket(http->evhttp, http->bound);
	http->bound = NULL;
	http->end_ms = muster__now_ms() + END_MS;
	ask_soon(http);
	event_del(&http->look);
	start_timer(&http->look, 1);
}
