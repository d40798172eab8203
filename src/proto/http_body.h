/*
 * The body of an HTTP/1 message: takes what a connection received and gives back the content in it,
 * piece by piece, without copying and without holding any of it. Source: RFC 9112 6, 7.
 */
#ifndef KAREZ_PROTO_HTTP_BODY_H
#define KAREZ_PROTO_HTTP_BODY_H

#include "proto/http_head.h"

#define HTTP_CHUNK_EXT_MAX  256	 /* bytes of the extensions of one chunk; we skip them */
#define HTTP_TRAILERS_MAX   8192 /* bytes of all trailer lines; we drop them */
#define HTTP_CHUNK_HEAD_MAX 20	 /* 16 digits, CRLF, and room to align */

#define HTTP_CRLF	STR("\r\n")
#define HTTP_LAST_CHUNK STR("0\r\n\r\n")

/* A value; only `done` and `left` are for others to read. */
struct http_body {
	enum http_framing framing;
	bool done;	  /* nothing more belongs to this body */
	uint8_t state;	  /* chunked: where in the grammar */
	uint8_t n_digits; /* chunked: of this chunk's size */
	uint64_t left;	  /* bytes of content still to come in this length or chunk */
	uint32_t ext_len, trailer_len;
};

/*
 * Begin a body.
 *   content_length  with HTTP_BODY_LENGTH.
 * HTTP_BODY_NONE and a length of 0 are done at once; HTTP_BODY_CLOSE and HTTP_BODY_TUNNEL are never
 * done before http_body_eof.
 */
void http_body_init(struct http_body *b, enum http_framing framing, uint64_t content_length);

/*
 * Take the next piece.
 *   *in    what was received; shortened at its front by what was consumed. After b->done the rest
 *          belongs to the next message.
 *   *data  set to content inside of what *in was; empty when none is left in it: then either
 * b->done is set or *in is empty and more must be received. Returns 0, ERR_PROTO (malformed chunk
 * or trailer), ERR_TOOBIG (extensions or trailers above their cap); after an error the connection
 * must be closed. Source: RFC 9112 7.1.
 */
int http_body_next(struct http_body *b, struct str *in, struct str *data) MUST_CHECK;

/*
 * The sender has closed its side.
 * Returns 0 if the body is complete (b->done is then set), ERR_PROTO if it was cut short.
 * Source: RFC 9112 8.
 */
int http_body_eof(struct http_body *b) MUST_CHECK;

/*
 * Write the line before a chunk: hexadecimal size and CRLF. The chunk itself and HTTP_CRLF follow.
 *   len  of the chunk in bytes, not 0: the end of a body is HTTP_LAST_CHUNK.
 * Returns the bytes written, not NUL-terminated.
 */
size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len);

#endif
