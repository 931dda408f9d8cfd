/* src/log.h - how the library speaks: level, who, what failed, why, and for a warning the remedy. */
#ifndef SRC_LOG_H
#define SRC_LOG_H

#include <muster/log.h>
#include <stdbool.h>
#include <stdint.h>

__attribute__((format(printf, 2, 3))) void muster__log(enum muster_log_level level, const char *format, ...);

/* The same, a text as it is, in the name of somebody who cannot speak here himself. */
void muster__log_for(const char *role, enum muster_log_level level, const char *text);

/* What each line of this process begins with: "primary" or "worker 3". Copied. */
void muster__log_set_role(const char *role);

bool muster__log_has_role(void);

/* What a sink that can do several is to write. */
enum muster__log_format {
	MUSTER__LOG_TEXT = 1,
	MUSTER__LOG_JSON,
};

void muster__log_set_format(enum muster__log_format format);
enum muster__log_format muster__log_format(void);

/* At most one line a second; what was left out is counted into the next line. Zero-initialised. */
struct muster__log_limit {
	uint64_t next_ms;
	unsigned skipped;
};
bool muster__log_allowed(struct muster__log_limit *limit);

/* Milliseconds of CLOCK_MONOTONIC, as coarse as the kernel's tick: cheap enough for each read. */
uint64_t muster__now_ms(void);

#endif
