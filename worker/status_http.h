/* worker/status_http.h - the status of a daemon over HTTP, by libevent's evhttp: as JSON, as metrics, as a page for people. */
#ifndef WORKER_STATUS_HTTP_H
#define WORKER_STATUS_HTTP_H

#include <stdbool.h>

struct json_t;
struct muster_loop;
struct muster__status_http;

/*
 * Serve on a listening socket, taken in every case. Whenever somebody wants to know, but not more often than a few times a
 * second, `ask` is called: muster__status_http_answer has to follow. `is_public`: under whatever name it is asked; else only
 * under those of the loopback, so that no page in a browser can read it under a name of its own. NULL without memory.
 */
struct muster__status_http *muster__status_http_new(struct muster_loop *loop, int fd, bool is_public,
						    int (*ask)(void *data), void *data);

/* The status; shared. All who wait are answered. It may also come without a question. */
void muster__status_http_answer(struct muster__status_http *http, struct json_t *status);

/*
 * Accept no more, ask no more: those who are here get what was answered last. As soon as they have it, or soon without it, let
 * go of everything.
 */
void muster__status_http_end(struct muster__status_http *http);

#endif
