/* worker/status_metrics.h - a status as metrics, in the text format of Prometheus, version 0.0.4. */
#ifndef WORKER_STATUS_METRICS_H
#define WORKER_STATUS_METRICS_H

#define MUSTER__METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct evbuffer;
struct json_t;

/* Added to `out`. What the status does not tell is left out. */
void muster__status_metrics(struct evbuffer *out, const struct json_t *status);

#endif
