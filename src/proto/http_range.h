/* Which bytes of a representation are asked for. Source: RFC 9110 14. */
#ifndef KAREZ_PROTO_HTTP_RANGE_H
#define KAREZ_PROTO_HTTP_RANGE_H

#include "base/str.h"

/* Ranges of one answer, at most: resuming and seeking need one, a reader of PDFs a few. */
#define HTTP_RANGES_MAX 8

/* Bytes of the value of Content-Range, NUL included. */
#define HTTP_RANGE_TEXT 72

/* Bytes first to first + len - 1; len > 0. */
struct http_range {
	uint64_t first, len;
};

/* A value. */
struct http_ranges {
	size_t n;
	struct http_range v[HTTP_RANGES_MAX]; /* in the order in which they were asked for */
};

enum http_range_want {
	HTTP_RANGE_WHOLE,   /* the field means nothing here: as if it were not there */
	HTTP_RANGE_PARTS,   /* out->n of them, none empty, each within the representation */
	HTTP_RANGE_OUTSIDE, /* there are no such bytes: 416 */
};

/*
 * Read the value of Range.
 *   size  bytes of the whole representation.
 *   out   set with HTTP_RANGE_PARTS; ranges that lie outside beside others are left out.
 * Another unit, a syntax error, more than HTTP_RANGES_MAX ranges and ranges that overlap are
 * HTTP_RANGE_WHOLE, which RFC 9110 14.2 allows: the last two are how servers are attacked. So is a
 * suffix ("-5") of an empty representation, which has no bytes to be numbered.
 * Source: RFC 9110 14.1.2, 14.2.
 */
enum http_range_want http_range_parse(struct str value, uint64_t size, struct http_ranges *out);

/* The value of Content-Range: "bytes 0-4/10"; r NULL: "bytes *" "/10". Returns its length. */
size_t http_range_format(const struct http_range *r, uint64_t size, char out[HTTP_RANGE_TEXT]);

#endif
