/*
 * The query of a URL and the segments of its path: pairs found in the text, escapes undone into
 * the caller's memory. Source: WHATWG URL 5.1 (application/x-www-form-urlencoded), RFC 3986 2.1.
 */
#ifndef KAREZ_PROTO_QUERY_H
#define KAREZ_PROTO_QUERY_H

#include "base/str.h"

/*
 * Take the next "name=value" of a query; empty ones ("&&") are passed over.
 *   *rest          in: what is left of the query, without its "?"; out: shortened.
 *   *name, *value  set on true to spans of the text, escapes and all; value is empty without "=".
 * Returns false at the end.
 */
bool query_next(struct str *rest, struct str *name, struct str *value);

/*
 * Undo the escapes of a name or value of a query: %XX is a byte, '+' a space.
 *   out   gets the bytes and a NUL behind them; does not overlap `in`. Any byte but NUL may come:
 *         it need not be UTF-8.
 *   cap   size of out in bytes, including the NUL, > 0; in.len + 1 is always enough.
 *   *len  set to the bytes without the NUL; 0 on an error, and out is the empty text.
 * Returns 0, ERR_INVAL (a '%' without two hexadecimal digits, a NUL escaped or not), ERR_TOOBIG.
 */
int query_decode(struct str in, char *out, size_t cap, size_t *len) MUST_CHECK;

/* The same for a segment of a path, where '+' is itself; an escaped "/" comes out as "/". */
int query_unescape(struct str in, char *out, size_t cap, size_t *len) MUST_CHECK;

#endif
