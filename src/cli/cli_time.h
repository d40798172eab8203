/* Times as people write and read them; programs get what proto/time_text writes. */
#ifndef KAREZ_CLI_CLI_TIME_H
#define KAREZ_CLI_CLI_TIME_H

#include "base/str.h"

/* Bytes of "in 59 days" and its like, NUL included. */
#define CLI_TIME_TELL 32

/* The longest span that may be written: 100 years, in milliseconds. */
#define CLI_TIME_SPAN_MAX ((int64_t)100 * 365 * 86400 * 1000)

/* Write how far away it is: "just now", "3 min ago", "in 2 days"; a date beyond two months. */
void cli_time_tell(int64_t ms, int64_t now_ms, char out[CLI_TIME_TELL]);

/* A span of time: a number with m, h, d, w or y (365 days). Returns 0, ERR_INVAL (none, 0, or above
 * CLI_TIME_SPAN_MAX). */
int cli_time_span(struct str s, int64_t *ms) MUST_CHECK;

/*
 * A time to come: a span from now, "2026-12-31" (the end of that day in UTC), or RFC 3339.
 *   *ms  since 1970 UTC.
 * Returns 0, or ERR_INVAL (none of these, or not after now_ms).
 */
int cli_time_until(struct str s, int64_t now_ms, int64_t *ms) MUST_CHECK;

#endif
