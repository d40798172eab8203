/* What the ingress, its guard and its exchanges share: private to ingress/. */
#ifndef KAREZ_INGRESS_HTTP_INGRESS_INTERNAL_H
#define KAREZ_INGRESS_HTTP_INGRESS_INTERNAL_H

#include "ingress/announce.h"
#include "ingress/http_ingress.h"
#include "ingress/idle.h"
#include "ingress/page.h"
#include "ingress/rewrite.h"

struct guard;

struct http_ingress {
	struct ev *ev;
	struct http_ingress_opt opt;
	struct guard *guard;	/* owned */
	struct idle_pool *idle; /* owned */
	struct list exchanges;	/* owned */
	struct list lookups;	/* owned */
	struct list upgraded;	/* owned */
	size_t n_exchanges, n_upgraded;
	struct announce_ids ids;
};

/* By what a visitor has asked for a tunnel. */
struct http_ingress_name {
	struct str text;
	bool whole; /* a whole host name, not what stands before the domain */
};

/* The tunnel, if it is one for HTTP and a session serves it now; else NULL. */
struct tunnel *http_ingress_find(struct http_ingress *in, const struct http_ingress_name *name);

/* Nobody serves it: find out why and say so. req is borrowed for the call. */
void http_ingress_explain(struct http_ingress *in, struct http_conn *c,
			  const struct http_ingress_name *name, const struct http_request *req);

/* Who speaks to us on a connection. mark: borrowed by *from. */
void http_ingress_from(const struct http_ingress *in, const struct http_conn *c, const char *mark,
		       struct rewrite_from *from);

/*
 * Begin the exchange of one request; t serves it, its rights let the visitor in.
 *   req, pass  borrowed for the call; pass may be NULL.
 */
void exchange_start(struct http_ingress *in, struct http_conn *c, struct tunnel *t,
		    const struct http_request *req, const struct rewrite_pass *pass);

/* End all exchanges, and the connections that HTTP has left. */
void exchange_abort_all(struct http_ingress *in);

#endif
