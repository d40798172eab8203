/*
 * Writing HTTP/1 heads: every head that leaves karez is written here, from what was understood of
 * the one that came in, never copied. Source: RFC 9112 2.1, RFC 9110 7.6.
 */
#ifndef KAREZ_PROTO_HTTP_WRITE_H
#define KAREZ_PROTO_HTTP_WRITE_H

#include "base/buf.h"
#include "proto/http_head.h"
#include "proto/pen.h"

/*
 * Appends to memory of the caller. Errors stay until http_write_end tells them, so the calls
 * between need no check.
 */
struct http_writer {
	struct pen pen; /* on memory borrowed from the caller, for the life of this value */
	bool invalid;	/* something was given that may not stand in a head */
};

/* Write into mem[0..cap). */
void http_write_begin(struct http_writer *w, char *mem, size_t cap);

/* "METHOD target HTTP/1.1". The method must be a token, the target visible ASCII. */
void http_write_request(struct http_writer *w, struct str method, struct str target);

/* "HTTP/1.1 code reason". An empty reason takes that of the table. */
void http_write_status(struct http_writer *w, unsigned status, struct str reason);

/* One field line; name a token and value without control characters, else ERR_INVAL. */
void http_write_field(struct http_writer *w, struct str name, struct str value);

/* A field line whose value is a decimal number. */
void http_write_number(struct http_writer *w, struct str name, uint64_t value);

/*
 * The fields of a parsed head, in their order and as they were sent, but without hop-by-hop fields,
 * framing, and aliases of flagged names.
 *   h     the bytes that it was parsed from must still be there.
 *   drop  more to leave out: HTTP_F_HOST, HTTP_F_FORWARDING, HTTP_F_VIA.
 */
void http_write_fields(struct http_writer *w, const struct http_head *h, unsigned drop);

/*
 * The framing as it was understood: Content-Length, "Transfer-Encoding: chunked" or nothing. The
 * length that a body-less reply states (to HEAD, or 304) is kept.
 */
void http_write_framing(struct http_writer *w, const struct http_head *h);

/*
 * The empty line.
 *   *len  set to the bytes written in all.
 * Returns 0, ERR_TOOBIG (cap was too small), ERR_INVAL (a call before was given what may not stand
 * in a head); *len is then 0.
 */
int http_write_end(struct http_writer *w, size_t *len) MUST_CHECK;

/* Bytes that are enough for a start line, http_write_fields and http_write_framing of this head,
 * not counting fields that the caller adds. */
size_t http_write_room(const struct http_head *h);

/* A whole small response. A field that is all zero is left out. */
struct http_page {
	unsigned status;
	struct str content_type;
	struct str body;
	const struct http_field *fields; /* borrowed: [n_fields], only name and value count */
	size_t n_fields;
	bool head_only; /* the answer to HEAD: the length, not the body */
	bool close;	/* add "Connection: close" */
};

/*
 * Append a response with its body; Content-Length is always written but for 1xx and 204, which like
 * 304 have no body.
 *   cap  the most bytes b may hold, up to 150 more than the response needs.
 * Returns 0, or with b unchanged: ERR_TOOBIG, ERR_NOMEM, ERR_INVAL (a field as in
 * http_write_field).
 */
int http_write_page(struct buf *b, size_t cap, const struct http_page *page) MUST_CHECK;

/* The reason phrase; "Unknown" for a code that is not in http_status.def. */
struct str http_status_reason(unsigned status);

#endif
