/*
 * The head that goes to the target, and the one that goes back: written anew, with what the target
 * must know about the visitor.
 */
#ifndef KAREZ_INGRESS_REWRITE_H
#define KAREZ_INGRESS_REWRITE_H

#include "proto/cidr.h"
#include "proto/http_write.h"
#include "proto/visit.h"

/* Bytes of a head after rewriting, at most. */
#define REWRITE_MAX (2 * HTTP_HEAD_MAX)

struct rewrite_from {
	const struct visit_end *peer; /* who speaks to us */
	bool tls;		      /* over TLS that we ended */
	bool trusted;		      /* a proxy whose Forwarded and X-Forwarded-* are believed */
	const char *mark;	      /* our name in Via and CDN-Loop, see tunnel_loop_mark() */
};

/*
 * Append the request's head for the target.
 *   Host stays as the visitor sent it. X-Forwarded-For/Proto/Host/Port, X-Real-IP, Forwarded and
 * Via are set; what came in them is kept, and added to, only from a trusted proxy. An upgrade stays
 * one. Returns 0, ERR_TOOBIG, ERR_NOMEM, ERR_INVAL. Source: RFC 9110 7.6 (forwarding), RFC 7239
 * (Forwarded), RFC 9112 3.2.2 (absolute form).
 */
int rewrite_request(struct buf *out, const struct http_request *req,
		    const struct rewrite_from *from) MUST_CHECK;

/* How the answer leaves. */
struct rewrite_answer {
	bool chunked; /* the body leaves in chunks; else as it came, or, if that was in chunks, bare
		       */
	bool close;   /* say "Connection: close" */
	bool keep;    /* say "Connection: keep-alive", for HTTP/1.0 visitors */
};

/* Append the answer's head for the visitor. Errors as above. */
int rewrite_response(struct buf *out, const struct http_response *res,
		     const struct rewrite_answer *how) MUST_CHECK;

/*
 * Has this request been through here before? Looks for the mark in Via, and in CDN-Loop, which also
 * other servers on the way leave alone. Source: RFC 8586.
 */
bool rewrite_is_loop(const struct http_request *req, const char *mark);

#endif
