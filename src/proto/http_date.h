/* Dates of HTTP: "Sun, 06 Nov 1994 08:49:37 GMT". Source: RFC 9110 5.6.7. */
#ifndef KAREZ_PROTO_HTTP_DATE_H
#define KAREZ_PROTO_HTTP_DATE_H

#include "base/str.h"

/* Bytes of a date as text, NUL included; and the last second that can be written. */
#define HTTP_DATE_TEXT 30
#define HTTP_DATE_MAX  INT64_C(253402300799) /* 9999-12-31 23:59:59 */

/*
 * Write a moment.
 *   s    seconds since 1970-01-01 UTC; what lies outside [0..HTTP_DATE_MAX] is written as the
 *        nearer end.
 *   out  gets the NUL-terminated text.
 */
void http_date_format(int64_t s, char out[HTTP_DATE_TEXT]);

/*
 * Read a date in the form above, in that of RFC 850 ("Sunday, 06-Nov-94 08:49:37 GMT") or in that
 * of asctime ("Sun Nov  6 08:49:37 1994").
 *   text   no space around it. The name of the day is not compared with the date.
 *   now_s  the present, for the years of RFC 850: none is more than 50 years ahead.
 *   *s     set on success: seconds since 1970-01-01 UTC, may be before it.
 * Returns 0 or ERR_INVAL (not such a text, or no such day).
 */
int http_date_parse(struct str text, int64_t now_s, int64_t *s) MUST_CHECK;

#endif
