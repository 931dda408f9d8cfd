/* muster/log.h - where the library's lines go. Without a sink they go to standard error. */
#ifndef MUSTER_LOG_H
#define MUSTER_LOG_H

#include <muster/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum muster_log_level {
	MUSTER_LOG_ERROR = 1,
	MUSTER_LOG_WARN,
	MUSTER_LOG_INFO,
	MUSTER_LOG_DEBUG,
};

/* Gets one line without a newline, borrowed until it returns. May be called from any thread that runs a loop. */
typedef void (*muster_log_sink)(enum muster_log_level level, const char *line, void *data);

/* Replace the sink; NULL restores standard error. Forked workers inherit it. */
MUSTER_API void muster_log_set_sink(muster_log_sink sink, void *data);

/* Lines above this level are not made. Default: MUSTER_LOG_WARN. */
MUSTER_API void muster_log_set_level(enum muster_log_level level);
MUSTER_API enum muster_log_level muster_log_level(void);

#ifdef __cplusplus
}
#endif
#endif
