/*
 * The whole body of a request, for a handler that wants it before it answers. Content-Length and
 * chunked bodies are read, of any method; "Expect: 100-continue" is answered.
 */
#ifndef KAREZ_HTTP_HTTP_COLLECT_H
#define KAREZ_HTTP_HTTP_COLLECT_H

#include "http/http_conn.h"

/* A body is whole within this time from http_collect(), however slowly it drips. */
#define HTTP_BODY_MS 10000

/*
 * Read the body of the request in hand.
 *   c     has just handed `req` to the handler; whoever is told by http_conn_on_gone() stays so.
 *   req   borrowed for the call.
 *   max   bytes of content allowed.
 *   done  is told once, never before this returns, and not at all when the connection ends (then
 *         http_conn_on_gone() tells) or takes its request back by http_conn_recall(). The handler
 *         answers by http_conn_reply() then or later; until then it may not.
 *         e     0, ERR_TOOBIG (longer than max; chunk extensions or trailers above their bounds),
 *               ERR_PROTO (malformed, or cut short), ERR_TIMEOUT (not whole in HTTP_BODY_MS),
 *               ERR_NOMEM. The connection ends behind the answer to a body that was not read to
 *               its end, and lets the peer read that answer; else it goes on.
 *         body  borrowed for the call; empty if there is none or after an error.
 * A declared length above max is refused without a "100 Continue" and without reading. Memory
 * grows with what has come, never with what was declared.
 * Returns 0, or ERR_NOMEM: the request is still in hand.
 * Source: RFC 9110 9.3.1 (a body of GET), 10.1.1 (Expect), RFC 9112 6.3, 8.
 */
int http_collect(struct http_conn *c, const struct http_request *req, size_t max,
		 void (*done)(void *arg, int e, struct str body), void *arg) MUST_CHECK;

/*
 * Answer the request in hand with the problem (413, 400, 408 or 503) that kept its body away.
 *   e  what http_collect() returned or told done, not 0.
 */
void http_collect_refuse(struct http_conn *c, int e);

#endif
