/*
 * The head that goes to the target, the one that goes back, and the question to an auth hook: all
 * written anew, with what the other side must know about the visitor.
 */
#ifndef KAREZ_INGRESS_REWRITE_H
#define KAREZ_INGRESS_REWRITE_H

#include "proto/cidr.h"
#include "proto/header_edit.h"
#include "proto/http_write.h"
#include "proto/url.h"
#include "proto/visit.h"

/* Bytes of a head after rewriting, at most. */
#define REWRITE_MAX (2 * HTTP_HEAD_MAX)

/* Bytes of the list of proxies that a trusted one sends us. */
#define REWRITE_CHAIN_MAX 4096

struct rewrite_from {
	const struct visit_end *peer; /* who speaks to us */
	bool tls;		      /* over TLS that we ended */
	bool trusted;		      /* a proxy whose Forwarded and X-Forwarded-* are believed */
	const char *mark;	      /* our name in Via and CDN-Loop, see tunnel_loop_mark() */
};

/* What the tunnel's rights have made of a request; all zero: nothing. */
struct rewrite_pass {
	/* Authorization proved a right of ours: it is nobody else's business. */
	bool drop_authorization;
	/*
	 * A hook was asked, and may have said who the visitor is: such fields of the visitor's own
	 * are left out, see rewrite_is_identity(). So are those that the hook hears from us alone:
	 * X-Original-*, X-Rewrite-*, X-Karez-*, and X-Forwarded-* of who is no trusted proxy.
	 */
	bool judged;
	const struct http_field *fields; /* [n_fields] what the hook has said; borrowed */
	size_t n_fields;
};

/* How a request leaves. */
struct rewrite_how {
	/*
	 * The tunnel's target, if its record asks for it, else NULL: Host becomes the target's
	 * host[:port]; Origin and Referer that begin with the origin the visitor used (the scheme
	 * as in X-Forwarded-Proto, the authority as in Host) begin with the target's instead. What
	 * follows them stays, as do those of other origins; X-Forwarded-Host keeps the visitor's.
	 */
	const struct url *target;
	const struct rewrite_pass *pass; /* NULL: all zero */
	struct str host;		 /* Host becomes this, and nothing else; empty: not */
	/*
	 * What the tunnel changes, of header_edits_str(): fields of the visitor that are left out,
	 * whatever they say, and fields that come last. What a hook has said is neither.
	 */
	struct str edits;
};

/*
 * Append the request's head for the target.
 *   Host stays as the visitor sent it. X-Forwarded-For/Proto/Host/Port, X-Real-IP, Forwarded and
 * Via are set; what came in them is kept, and added to, only from a trusted proxy. An upgrade stays
 * one. how  NULL: all zero. Returns 0, ERR_TOOBIG, ERR_NOMEM, ERR_INVAL. Source: RFC 9110 7.6
 * (forwarding), RFC 7239 (Forwarded), RFC 9112 3.2.2 (absolute form).
 */
int rewrite_request(struct buf *out, const struct http_request *req,
		    const struct rewrite_from *from, const struct rewrite_how *how) MUST_CHECK;

/* What a hook is asked. */
struct rewrite_question {
	const struct url *hook;
	const char *tunnel; /* its name */
	bool drop_authorization;
};

/*
 * Append the head of a question about a request: a GET of the hook's path with the visitor's
 * fields, but for those about the body, about parts and versions of the answer, about encodings,
 * about the connection, and those that only we may say; with X-Original-Method and -URL,
 * X-Forwarded-Method and -Uri, X-Karez-Tunnel, and all that the target would be told by
 * rewrite_request(). Errors as above.
 */
int rewrite_ask(struct buf *out, const struct http_request *req, const struct rewrite_from *from,
		const struct rewrite_question *q) MUST_CHECK;

/*
 * Does this name say who a visitor is, so that a hook may set it and a visitor may not: X-Auth-*,
 * Remote-User, Remote-Groups, Remote-Name, Remote-Email? '_' counts as '-', as many targets see it.
 */
bool rewrite_is_identity(struct str name);

/*
 * Where the visitor is: the last address of the X-Forwarded-For that rewrite_request() writes which
 * is not that of a trusted proxy; if all are, the first.
 *   proxies  [n] those that are trusted.
 *   out      empty when a trusted proxy names nobody that can be understood. The port is known only
 *            when it is the peer itself.
 */
void rewrite_visitor(const struct http_head *h, const struct rewrite_from *from,
		     const struct cidr *proxies, size_t n, struct visit_end *out);

/* How the answer leaves. */
struct rewrite_answer {
	bool chunked; /* the body leaves in chunks; else as it came, or, if that was in chunks, bare
		       */
	bool close;   /* say "Connection: close" */
	bool keep;    /* say "Connection: keep-alive", for HTTP/1.0 visitors */
	/* What the tunnel changes, as above; to an interim answer nothing is added. */
	struct str edits;
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
