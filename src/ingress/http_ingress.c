/* From a Host to a tunnel, or to a page that says why not. */
#include "ingress/http_ingress.h"

#include <stdlib.h>

#include "base/err.h"
#include "ingress/guard.h"
#include "ingress/http_ingress_internal.h"
#include "ingress/kept.h"

/* A visitor that waits to hear why its name is not served, or that another node serves it. */
struct why_not {
	struct list link;
	struct http_ingress *in;
	struct http_conn *conn;	    /* weak: why_not_on_gone() comes when it goes */
	struct core_lookup *lookup; /* owned by the core, cancelled by us */
	struct kept *kept;	    /* owned: its request, if other nodes serve anything; or NULL */
	enum page_kind kind;
	bool whole; /* name is a whole host name */
	char name[HOSTNAME_MAX + 1];
	char host[HOSTNAME_AUTHORITY_MAX + 1];
};

static void why_not_release(struct why_not *q)
{
	list_del(&q->link);
	free(q->kept);
	ev_free_later(q->in->ev, q);
}

static void http_ingress_serve_by(struct http_ingress *in, struct http_conn *c, struct tunnel *t,
				  const struct http_ingress_name *name,
				  const struct http_request *req);

/* The tunnel is known now: the request goes on as if it had come just now. */
static bool why_not_serve(struct why_not *q)
{
	struct http_ingress_name name = {.text = str_of(q->name), .whole = q->whole};
	struct tunnel *t = q->kept == NULL ? NULL : http_ingress_find(q->in, &name);

	if (t == NULL)
		return false;
	http_ingress_serve_by(q->in, q->conn, t, &name, &q->kept->req);
	return true;
}

static void why_not_on_gone(void *arg)
{
	struct why_not *q = arg;

	core_lookup_cancel(q->lookup);
	why_not_release(q);
}

static void why_not_on_answer(void *arg, int e)
{
	struct why_not *q = arg;

	http_conn_on_gone(q->conn, NULL, NULL);
	if (e == 0 && why_not_serve(q)) {
		why_not_release(q);
		return;
	}
	/* 0: a session has come meanwhile; the visitor is asked to come again */
	if (e != ERR_NOROUTE && e != ERR_NOSESSION && e != ERR_DISABLED)
		e = e == 0 ? ERR_NOSESSION : ERR_LIMIT;
	page_reply(q->conn, e, q->kind, str_of(q->host));
	why_not_release(q);
}

void http_ingress_explain(struct http_ingress *in, struct http_conn *c,
			  const struct http_ingress_name *name, const struct http_request *req)
{
	struct why_not *q = calloc(1, sizeof *q);

	if (q == NULL || str_copy(q->host, sizeof q->host, req->host) != 0)
		goto busy;
	if (core_n_remote(in->opt.core) > 0 &&
	    (str_copy(q->name, sizeof q->name, name->text) != 0 ||
	     (q->kept = kept_new(req)) == NULL))
		goto busy;
	q->whole = name->whole;
	q->in = in;
	q->conn = c;
	q->kind = page_kind_of(req);
	q->lookup = name->whole ? core_lookup_at(in->opt.core, name->text, why_not_on_answer, q)
				: core_lookup(in->opt.core, name->text, why_not_on_answer, q);
	if (q->lookup == NULL)
		goto busy;
	list_push(&in->lookups, &q->link);
	http_conn_on_gone(c, why_not_on_gone, q);
	return;
busy:
	if (q != NULL)
		free(q->kept);
	free(q);
	page_reply(c, ERR_LIMIT, page_kind_of(req), req->host);
}

struct tunnel *http_ingress_find(struct http_ingress *in, const struct http_ingress_name *name)
{
	struct tunnel *t = name->whole ? core_tunnel_at(in->opt.core, name->text)
				       : core_tunnel(in->opt.core, name->text);

	return t != NULL && tunnel_settings(t)->kind == TUNNEL_HTTP ? t : NULL;
}

void http_ingress_from(const struct http_ingress *in, const struct http_conn *c, const char *mark,
		       struct rewrite_from *from)
{
	const struct http_ingress_opt *opt = &in->opt;

	*from = (struct rewrite_from){.peer = http_conn_peer(c),
				      .tls = http_conn_tls(c),
				      .mark = mark};
	from->trusted = opt->n_trusted > 0 &&
			cidr_match_text(opt->trusted, opt->n_trusted, str_of(from->peer->ip));
}

static void http_ingress_serve_by(struct http_ingress *in, struct http_conn *c, struct tunnel *t,
				  const struct http_ingress_name *name,
				  const struct http_request *req)
{
	char mark[17];

	tunnel_loop_mark(t, mark); /* before the guard: its hook may be behind this tunnel */
	if (rewrite_is_loop(req, mark))
		page_reply(c, ERR_LOOP, page_kind_of(req), req->host);
	else if (guard_is_needed(in->guard, tunnel_settings(t)))
		guard_request(in->guard, c, t, name, req);
	else
		exchange_start(in, c, t, req, NULL);
}

static void http_ingress_serve(struct http_ingress *in, struct http_conn *c,
			       const struct http_ingress_name *name, const struct http_request *req)
{
	struct tunnel *t;

	if (req->method == HTTP_CONNECT)
		page_reply(c, ERR_UNSUPPORTED, page_kind_of(req), req->host);
	else if ((t = http_ingress_find(in, name)) == NULL)
		http_ingress_explain(in, c, name, req);
	else
		http_ingress_serve_by(in, c, t, name, req);
}

void http_ingress_request(struct http_ingress *in, struct http_conn *c, struct str name,
			  const struct http_request *req)
{
	http_ingress_serve(in, c, &(struct http_ingress_name){.text = name}, req);
}

void http_ingress_request_at(struct http_ingress *in, struct http_conn *c, struct str host,
			     const struct http_request *req)
{
	http_ingress_serve(in, c, &(struct http_ingress_name){.text = host, .whole = true}, req);
}

static bool http_ingress_keeps(void *arg, uint64_t place)
{
	const struct http_ingress *in = arg;

	return core_place_stays(in->opt.core, place);
}

void http_ingress_nodes_changed(struct http_ingress *in)
{
	idle_sort(in->idle, http_ingress_keeps, in);
}

size_t http_ingress_load(const struct http_ingress *in)
{
	return in->n_exchanges + in->n_upgraded;
}

int http_ingress_new(struct ev *ev, const struct http_ingress_opt *opt, struct http_ingress **out)
{
	static const struct idle_limits idle = {.per_key = IDLE_PER_PLACE,
						.total = IDLE_TOTAL,
						.ms = IDLE_MS};
	struct http_ingress *in = calloc(1, sizeof *in);
	int e;

	if (in == NULL)
		return ERR_NOMEM;
	in->ev = ev;
	in->opt = *opt;
	list_init(&in->exchanges);
	list_init(&in->lookups);
	list_init(&in->upgraded);
	announce_ids_init(&in->ids, ev);
	if ((e = idle_new(ev, &idle, &in->idle)) != 0 || (e = guard_new(in, &in->guard)) != 0) {
		idle_free(in->idle);
		ev_free_later(ev, in);
		return e;
	}
	*out = in;
	return 0;
}

void http_ingress_free(struct http_ingress *in)
{
	if (in == NULL)
		return;
	guard_free(in->guard);
	exchange_abort_all(in);
	LIST_FOR_EACH_SAFE (link, &in->lookups) {
		struct why_not *q = CONTAINER_OF(link, struct why_not, link);

		http_conn_on_gone(q->conn, NULL, NULL);
		core_lookup_cancel(q->lookup);
		page_reply(q->conn, ERR_DRAIN, q->kind, str_of(q->host));
		why_not_release(q);
	}
	idle_free(in->idle);
	ev_free_later(in->ev, in);
}
