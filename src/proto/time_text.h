/* Moments as text: "2026-11-21T03:00:00.000Z". Source: RFC 3339 5.6. */
#ifndef KAREZ_PROTO_TIME_TEXT_H
#define KAREZ_PROTO_TIME_TEXT_H

#include "base/str.h"

/* Bytes of a moment as text, NUL included; and the last one that can be written. */
#define TIME_TEXT     25
#define TIME_TEXT_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

/*
 * Write a moment in UTC with milliseconds.
 *   ms   since 1970-01-01 UTC; what lies outside [0..TIME_TEXT_MAX] is written as the nearer end.
 *   out  gets the NUL-terminated text.
 */
void time_text_format(int64_t ms, char out[TIME_TEXT]);

/*
 * Read a date and time with its offset: any fraction of a second (cut to milliseconds), "Z" or
 * "+hh:mm", "T" and "Z" in either case, second 60 as the first of the next minute.
 *   s    no space around it.
 *   *ms  set on success, in [0..TIME_TEXT_MAX].
 * Returns 0, ERR_INVAL (not such a text, or no such day), ERR_TOOBIG (before 1970, after 9999).
 */
int time_text_parse(struct str s, int64_t *ms) MUST_CHECK;

#endif
