/*
 * Through an HTTP proxy to a server: one CONNECT, and what the proxy answers.
 * Source: RFC 9110 9.3.6 (CONNECT), 11.7 (Proxy-Authorization); RFC 7617 (Basic).
 */
#ifndef KAREZ_AGENT_PROXY_CONNECT_H
#define KAREZ_AGENT_PROXY_CONNECT_H

#include "proto/http_proxy.h"
#include "wire/wire.h"

/* How long an answer may take, in milliseconds, the handshake of TLS with the proxy included: it
 * connects to the server before it answers. */
#define PROXY_CONNECT_MS 15000

/* Interim answers (1xx) that are passed over. */
#define PROXY_CONNECT_INTERIM_MAX 8

/* Bytes of a sentence for a person, NUL included. */
#define PROXY_CONNECT_WHY 640

struct proxy_connect;

struct proxy_connect_opt {
	const struct http_proxy *proxy; /* borrowed: outlives the attempt */
	const struct url *to;		/* borrowed for the call: host and port count */
	/*
	 * Told exactly once, never before proxy_connect_start() returns.
	 *   e    0; or ERR_AUTH (the proxy wants a login, or another one), ERR_DENIED (another
	 * 4xx), ERR_UNREACH (5xx: it cannot get there), ERR_PROTO (it is no HTTP proxy),
	 *        ERR_TIMEOUT, ERR_NOMEM, or why the wire broke.
	 *   w    with 0: the way to the server, owned by the callee; what has come from the server
	 *        already is read from it. Else NULL.
	 *   why  NUL-terminated, borrowed for the call: with an error, a sentence that names the
	 *        proxy and holds what it said, made of printable characters; "" with 0.
	 */
	void (*done)(void *arg, int e, struct wire *w, const char *why);
	void *arg;
};

/*
 * Ask over a fresh wire to the proxy.
 *   w  TLS if the proxy's URL says https; owned from now on if the call succeeds.
 * Returns 0, ERR_NOMEM, ERR_INVAL (a user that may not stand in a head).
 */
int proxy_connect_start(struct ev *ev, struct wire *w, const struct proxy_connect_opt *opt,
			struct proxy_connect **out) MUST_CHECK;

/* done() is not called any more. NULL is allowed; after done() the object is gone by itself. */
void proxy_connect_cancel(struct proxy_connect *c);

#endif
