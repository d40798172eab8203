/* The public door for HTTP: finds the tunnel of a request's Host and exchanges request and answer
 * with it. */
#ifndef KAREZ_INGRESS_HTTP_INGRESS_H
#define KAREZ_INGRESS_HTTP_INGRESS_H

#include "core/core.h"
#include "http/http_conn.h"
#include "proto/cidr.h"

struct http_ingress;

struct http_ingress_opt {
	struct core *core; /* borrowed: outlives the ingress */
	const struct cidr
		*trusted; /* borrowed: [n_trusted] proxies whose X-Forwarded-* are believed */
	size_t n_trusted;
	struct log *log; /* borrowed: the process's */
};

int http_ingress_new(struct ev *ev, const struct http_ingress_opt *opt,
		     struct http_ingress **out) MUST_CHECK;

/* Ends every exchange and every upgraded connection at once. NULL is allowed. */
void http_ingress_free(struct http_ingress *in);

/*
 * Serve a request for a tunnel.
 *   name  what stands before the domain in its Host, lower case.
 *   req   borrowed for the call.
 */
void http_ingress_request(struct http_ingress *in, struct http_conn *c, struct str name,
			  const struct http_request *req);

/* Visitors being served now, upgraded ones included. */
size_t http_ingress_load(const struct http_ingress *in);

#endif
