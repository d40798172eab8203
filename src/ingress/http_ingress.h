/* The public door for HTTP: finds the tunnel of a request's Host, asks whether the visitor may
 * come in, and exchanges request and answer with it. */
#ifndef KAREZ_INGRESS_HTTP_INGRESS_H
#define KAREZ_INGRESS_HTTP_INGRESS_H

#include "core/core.h"
#include "core/password.h"
#include "http/http_conn.h"
#include "ingress/hook_net.h"
#include "proto/cidr.h"

struct http_ingress;

struct http_ingress_opt {
	struct core *core; /* borrowed: outlives the ingress */
	const struct cidr
		*trusted; /* borrowed: [n_trusted] proxies whose X-Forwarded-* are believed */
	size_t n_trusted;
	struct log *log; /* borrowed: the process's */
	/* Checks visitors' passwords; borrowed: outlives the ingress. NULL: none is right. */
	struct passwords *passwords;
	/* Reaches hooks; borrowed: outlives the ingress. NULL: none answers. */
	struct hook_net *net;
	/* The operator's hook, http://... or https://..., asked about every visitor of every
	 * tunnel; NULL or "": none. */
	const char *auth_url;
};

/* Returns 0, ERR_NOMEM, or ERR_INVAL: auth_url is not a URL of http or https. */
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

/* The same for a whole host name, lower case, that may be a tunnel's custom domain. */
void http_ingress_request_at(struct http_ingress *in, struct http_conn *c, struct str host,
			     const struct http_request *req);

/* Other nodes have come or gone, or drain: streams that are kept to those that go are closed, so
 * that nobody waits for them. */
void http_ingress_nodes_changed(struct http_ingress *in);

/* Visitors being served now, upgraded ones included. */
size_t http_ingress_load(const struct http_ingress *in);

#endif
