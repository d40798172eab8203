/* What the ingress and its exchanges share: private to ingress/. */
#ifndef KAREZ_INGRESS_HTTP_INGRESS_INTERNAL_H
#define KAREZ_INGRESS_HTTP_INGRESS_INTERNAL_H

#include "ingress/http_ingress.h"
#include "ingress/idle.h"
#include "ingress/page.h"

struct http_ingress {
	struct ev *ev;
	struct http_ingress_opt opt;
	struct idle_pool *idle; /* owned */
	struct list exchanges;	/* owned */
	struct list lookups;	/* owned */
	struct list upgraded;	/* owned */
	size_t n_exchanges, n_upgraded;
};

/* Begin the exchange of one request; t serves it. */
void exchange_start(struct http_ingress *in, struct http_conn *c, struct tunnel *t,
		    const struct http_request *req);

/* End all exchanges, and the connections that HTTP has left. */
void exchange_abort_all(struct http_ingress *in);

#endif
