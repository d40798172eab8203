/* Wiring, and the one decision of the front door: whose request is this? */
#include "app/node.h"

#include <stdlib.h>

#include "base/err.h"
#include "core/core.h"
#include "gateway/gateway.h"
#include "ingress/http_ingress.h"
#include "ingress/page.h"

/* While draining: how often it is looked whether anything still runs, in milliseconds. */
#define DRAIN_CHECK_MS 50

struct node {
	struct ev *ev;
	struct node_opt opt;
	struct core *core;	      /* owned */
	struct gateway *gateway;      /* owned */
	struct http_ingress *ingress; /* owned */
	struct list conns;	      /* owned */
	bool draining;
	struct ev_timer drain_check;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* A connection in the node's list. */
struct node_conn {
	struct list link;
	struct node *node;
	struct http_conn *http;
};

/* ---- the front door ---- */

static void node_welcome(struct node *n, struct http_conn *c, const struct http_request *req)
{
	char text[600];
	struct http_page page = {.status = 200, .content_type = STR("text/plain; charset=utf-8")};

	page.body.p = text;
	page.body.len = str_printf(text, sizeof text,
				   "karez %s\n\nTunnels are names under %s.\n"
				   "Start one:  karez 3000 --server %s://" STR_FMT "\n",
				   KAREZ_VERSION, n->opt.domain,
				   http_conn_tls(c) ? "https" : "http", STR_ARG(req->host));
	http_conn_reply(c, &page);
}

/* A request for the server itself, not for a tunnel. */
static void node_own_request(struct node *n, struct http_conn *c, const struct http_request *req)
{
	if (gateway_wants(req))
		gateway_request(n->gateway, c, req);
	else if (str_eq(req->path, STR("/")) &&
		 (req->method == HTTP_GET || req->method == HTTP_HEAD))
		node_welcome(n, c, req);
	else
		page_reply(c, ERR_NOTFOUND, page_kind_of(req), req->host);
}

static void node_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	struct node *n = ((struct node_conn *)arg)->node;
	char text[HOSTNAME_MAX + 1];
	struct str host, name, domain = str_of(n->opt.domain);
	struct hostname_authority authority;

	if (n->draining) {
		page_reply(c, ERR_DRAIN, page_kind_of(req), req->host);
	} else if (req->host.len == 0 || hostname_normalise(req->host, text, &host) != 0) {
		page_reply(c, ERR_NOROUTE, page_kind_of(req), req->host);
	} else if (hostname_under(host, domain, &name)) {
		if (str_eq(name, STR("api")))
			node_own_request(n, c, req);
		else
			http_ingress_request(n->ingress, c, name, req);
	} else if (str_eq(host, domain) || str_eq(host, STR("localhost")) ||
		   (hostname_split(req->host, &authority) == 0 &&
		    authority.kind != HOSTNAME_NAME)) {
		node_own_request(n, c, req);
	} else {
		page_reply(c, ERR_NOROUTE, page_kind_of(req), req->host);
	}
}

static void node_on_closed(void *arg, struct http_conn *c)
{
	struct node_conn *nc = arg;

	list_del(&nc->link);
	ev_free_later(nc->node->ev, nc);
}

void node_serve(struct node *n, struct wire *w, const struct node_visitor *who)
{
	struct node_conn *nc = calloc(1, sizeof *nc);
	struct http_conn_opt opt = {
		.peer = who->peer,
		.local = who->local,
		.tls = who->tls,
		.deadlines = &n->opt.deadlines,
		.request = node_on_request,
		.closed = node_on_closed,
		.arg = nc,
	};

	if (nc == NULL || http_conn_new(n->ev, w, &opt, &nc->http) != 0) {
		free(nc);
		wire_close(w, ERR_NOMEM);
		return;
	}
	nc->node = n;
	list_push(&n->conns, &nc->link);
	if (n->draining)
		http_conn_drain(nc->http);
}

/* ---- draining ---- */

static void node_on_drain_check(void *arg)
{
	struct node *n = arg;

	if (http_ingress_load(n->ingress) > 0 || !list_empty(&n->conns)) {
		ev_timer_set(n->ev, &n->drain_check, DRAIN_CHECK_MS);
		return;
	}
	n->drained(n->drained_arg);
}

void node_drain(struct node *n, void (*done)(void *arg), void *arg)
{
	if (n->draining)
		return;
	n->draining = true;
	n->drained = done;
	n->drained_arg = arg;
	gateway_drain(n->gateway);
	LIST_FOR_EACH_SAFE (link, &n->conns)
		http_conn_drain(CONTAINER_OF(link, struct node_conn, link)->http);
	ev_timer_set(n->ev, &n->drain_check, 0);
}

void node_stats(const struct node *n, struct node_stats *out)
{
	*out = (struct node_stats){
		.n_exchanges = http_ingress_load(n->ingress),
		.n_sessions = gateway_n_sessions(n->gateway),
		.n_streams = gateway_n_streams(n->gateway),
		.window_used = gateway_window_used(n->gateway),
	};
	LIST_FOR_EACH (link, &n->conns)
		out->n_conns++;
}

/* ---- life ---- */

void node_free(struct node *n)
{
	if (n == NULL)
		return;
	ev_timer_stop(n->ev, &n->drain_check);
	http_ingress_free(n->ingress);
	gateway_free(n->gateway); /* before the connections whose logins are under way */
	LIST_FOR_EACH_SAFE (link, &n->conns) {
		struct node_conn *nc = CONTAINER_OF(link, struct node_conn, link);

		http_conn_close(nc->http);
		list_del(&nc->link);
		ev_free_later(n->ev, nc);
	}
	core_free(n->core);
	ev_free_later(n->ev, n);
}

int node_new(struct ev *ev, const struct node_opt *opt, struct node **out)
{
	struct node *n = calloc(1, sizeof *n);
	struct core_opt core = {
		.log = opt->log,
		.store = opt->store,
		.domain = opt->domain,
		.url_scheme = opt->url_scheme,
		.url_port = opt->url_port,
		.allow_registration = opt->allow_registration,
	};
	struct gateway_opt gateway = {.log = opt->log,
				      .budget_cap = opt->window_total,
				      .sessions_max = opt->sessions_max};
	struct http_ingress_opt ingress = {.trusted = opt->trusted,
					   .n_trusted = opt->n_trusted,
					   .log = opt->log};
	int e = ERR_NOMEM;

	if (n == NULL)
		return ERR_NOMEM;
	n->ev = ev;
	n->opt = *opt;
	n->drain_check = (struct ev_timer){.fn = node_on_drain_check, .arg = n};
	list_init(&n->conns);
	if ((e = core_new(ev, &core, &n->core)) != 0)
		goto out;
	gateway.core = ingress.core = n->core;
	if ((e = gateway_new(ev, &gateway, &n->gateway)) != 0 ||
	    (e = http_ingress_new(ev, &ingress, &n->ingress)) != 0)
		goto out;
	MOVE(*out, n);
out:
	node_free(n);
	return e;
}
