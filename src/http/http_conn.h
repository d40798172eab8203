/*
 * The server's side of one HTTP/1 connection: reads heads, hands each request to a handler, and
 * goes on or ends afterwards as HTTP says. Used wherever karez answers HTTP.
 *
 * A handler does exactly one thing with a request, during the call or later:
 * http_conn_reply(), http_conn_upgrade(), or http_conn_borrow() with http_conn_return().
 * One that wants the request's body first calls http_collect().
 */
#ifndef KAREZ_HTTP_HTTP_CONN_H
#define KAREZ_HTTP_HTTP_CONN_H

#include "base/buf.h"
#include "proto/http_write.h"
#include "proto/visit.h"
#include "wire/wire.h"

struct http_conn;

/* How long we wait for a peer; a value that the process owns. All in milliseconds, 0: for ever. */
struct http_deadlines {
	uint32_t head_ms; /* from the first byte of a request, or from accepting, to the end of its
			     head */
	uint32_t idle_ms; /* between two requests */
};

/* Bytes of a request's body that are read and thrown away to keep a connection after a refusal. */
#define HTTP_DRAIN_MAX (64 * 1024)

struct http_conn_opt {
	struct visit_end peer, local;		/* who is there, and where we were reached */
	bool tls;				/* the peer spoke TLS, and we ended it */
	const struct http_deadlines *deadlines; /* borrowed: the process's */
	/*
	 * A request came.
	 *   req  borrowed for the call.
	 */
	void (*request)(void *arg, struct http_conn *c, const struct http_request *req);
	/* The connection is over; it is freed after this call. May be NULL. */
	void (*closed)(void *arg, struct http_conn *c);
	void *arg;
};

/* Takes over the wire on success. Returns 0 or ERR_NOMEM. */
int http_conn_new(struct ev *ev, struct wire *w, const struct http_conn_opt *opt,
		  struct http_conn **out) MUST_CHECK;

/*
 * End it now, whatever it is doing. closed() is not called; who has a request in hand, or the wire,
 * is told as by http_conn_on_gone() and http_conn_on_recall(). NULL is allowed.
 */
void http_conn_close(struct http_conn *c);

/*
 * The connection is to end, and no request is to be lost by it: the next answer whose head has not
 * been written says "Connection: close", and is the last one. A request that comes meanwhile is
 * handed on as ever. Ends that are ours wait until the peer has finished, too: wire_linger().
 *   idle_ms  so much silence between two requests is enough: who says nothing for so long is told
 *            that it is over. > 0.
 * Source: RFC 9112 9.3, 9.5, 9.6.
 */
void http_conn_drain(struct http_conn *c, uint32_t idle_ms);

const struct visit_end *http_conn_peer(const struct http_conn *c);
const struct visit_end *http_conn_local(const struct http_conn *c);
bool http_conn_tls(const struct http_conn *c);

/* What was agreed on in TLS that we have ended ourselves; else nothing is done. The texts live as
 * long as the connection. */
struct wire_tls_facts;
void http_conn_tls_facts(const struct http_conn *c, struct wire_tls_facts *out);

/*
 * Whom the peer's verified TLS certificate names. Only while a request is in hand.
 * Returns a NUL-terminated text that lives as long as the connection, "" when it names nobody;
 * NULL: the peer has shown none.
 */
const char *http_conn_peer_name(const struct http_conn *c);

/* Must the answer to the request in hand say "Connection: close"? */
bool http_conn_must_close(const struct http_conn *c);

/*
 * Who is told if the connection ends before the request in hand is answered, by its peer or by
 * http_conn_close(); NULL for nobody. The connection must not be used any more then.
 */
void http_conn_on_gone(struct http_conn *c, void (*gone)(void *arg), void *arg);

/*
 * Answer the request in hand, whole.
 *   page  borrowed for the call; "Connection: close" is added where it must be, the body left out
 * for HEAD.
 */
void http_conn_reply(struct http_conn *c, const struct http_page *page);

/*
 * Leave HTTP: write the answer's head and take the wire over, with the bytes that came early
 * unread. Returns the wire, the caller's; or NULL when it broke meanwhile. The connection is gone
 * either way; closed() is called.
 */
struct wire *http_conn_upgrade(struct http_conn *c, struct str head);

/* Take the wire to exchange the request's body and the answer; give it back by http_conn_return().
 */
struct wire *http_conn_borrow(struct http_conn *c, const struct wire_owner *owner, void *arg);

/*
 * Who is told, once, when the lent wire is taken back: by http_conn_close() or http_conn_recall().
 * The wire must not be used any more then. NULL for nobody; http_conn_return() ends it.
 */
void http_conn_on_recall(struct http_conn *c, void (*recall)(void *arg), void *arg);

/*
 * Take the wire back from who borrowed it and asked to be told: the request is in hand again,
 * http_conn_reply() comes next. Harmless when it is not lent, or lent to one who did not ask.
 */
void http_conn_recall(struct http_conn *c);

/* Keep the borrowed wire for good: the connection is gone, closed() is called. */
struct wire *http_conn_take(struct http_conn *c);

enum http_after {
	HTTP_KEEP,	   /* the answer is complete, and so is the request's body: next request */
	HTTP_CLOSE,	   /* the same, but the connection ends */
	HTTP_CLOSE_UNREAD, /* the answer is complete, the visitor may still be sending its request
			    */
	HTTP_ABORT,	   /* the answer is cut short: the visitor must not take it for whole */
	HTTP_UNUSED,	   /* no final answer was written, and the body not read to its end:
			      http_conn_reply() comes next */
	HTTP_READ,	   /* the same, but the body was read to its end */
};

void http_conn_return(struct http_conn *c, enum http_after after);

#endif
