/* The log: one line an event, "key=value" words, to standard error. Written by owners, not by
 * leaves. */
#ifndef KAREZ_BASE_LOG_H
#define KAREZ_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Where lines go and which ones. A value that the process owns and lends to whoever logs. */
struct log {
	enum log_level level;
	void (*write)(void *arg, enum log_level level, const char *line, size_t len);
	void *arg;
	char stamp[32]; /* set by the loop once a second, empty in simulations */
};

/* A log that writes "STAMP level message" lines to standard error. */
void log_init_stderr(struct log *log, enum log_level level);

/*
 * Write one line. Control characters of the message are shown as \xNN, so that no peer can forge a
 * line. Cut at 1,000 bytes.
 */
void log_line(struct log *log, enum log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_error(log, ...) log_line(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_line(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_line(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)                                    \
	do {                                                   \
		if ((log)->level >= LOG_DEBUG)                 \
			log_line(log, LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/* "error", "warn", "info", "debug" to a level. Returns 0 or ERR_INVAL. */
int log_level_parse(struct str s, enum log_level *out) MUST_CHECK;

#endif
