/*
 * One request and its answer: from a visitor's connection to a stream of the tunnel, and back.
 *
 * Two pumps do the copying; this file decides what flows through them, when a stream may be used
 * again, when a request may be tried again, and what the visitor is told when things go wrong.
 */
#include <stdlib.h>

#include "base/err.h"
#include "core/settings.h"
#include "ingress/http_ingress_internal.h"
#include "ingress/recode.h"
#include "ingress/refusal.h"
#include "ingress/served.h"
#include "wire/pump.h"
#include "wire/relay.h"
#include "wire/wire_tls.h"

/* A stream that has been idle longer is not given a request that must not be sent twice. */
#define UNSAFE_IDLE_MS 1000

struct exchange {
	struct list link;
	struct http_ingress *in; /* borrowed: ends its exchanges first */
	struct http_conn *conn;	 /* borrowed: has lent us its wire until we return it */
	struct wire *visitor;	 /* the conn's */
	struct wire *stream;	 /* owned */
	uint64_t place;		 /* of the stream's session, see tunnel_choose() */
	struct tunnel_tried tried;

	struct pump up, down;
	struct recode up_code, down_code;
	struct buf again; /* the request, while it may still be sent on another stream */
	struct buf reply; /* an answer's head that comes in pieces; bounded by HTTP_HEAD_MAX */
	size_t scanned;

	struct visit visit; /* for another stream */
	/* Shared: what the tunnel changes in the answer, as it was when it was asked; NULL: nothing
	 */
	struct tunnel_settings *settings;
	struct core_visitor seen;
	struct served served;
	enum http_method method;
	enum page_kind kind;
	bool visitor_10;   /* the visitor speaks HTTP/1.0 */
	bool upgrade;	   /* it asks to leave HTTP */
	bool switching;	   /* the target agreed */
	bool retried;	   /* after a stream was lost: once is enough */
	bool replied;	   /* the final answer has begun to leave */
	bool target_keeps; /* the target goes on after this answer */
	bool must_close;   /* the visitor's connection ends with this answer */
	bool announced; /* the stream begins with its visitor's PROXY header: it is no one else's */
	struct ev_timer leaving;
};

static void exchange_run(struct exchange *x);

/* ---- the end ---- */

/* why: 0, or how it was cut short. Whoever watches is told. */
static void exchange_release(struct exchange *x, int why)
{
	struct served_end end = {x->up.n_bytes, x->down.n_bytes, why, 0};

	core_visitor_end(&x->seen);
	list_del(&x->link);
	x->in->n_exchanges--;
	ev_timer_stop(x->in->ev, &x->leaving);
	pump_free(&x->up);
	pump_free(&x->down);
	buf_free(&x->again);
	buf_free(&x->reply);
	settings_unref(x->in->ev, x->settings);
	served_tell(&x->served, x->in->opt.core, &x->seen, &end);
	ev_free_later(x->in->ev, x);
}

/* The answer is cut short, or the visitor is gone. */
static void exchange_abort(struct exchange *x)
{
	struct http_conn *c = x->conn;

	wire_close(x->stream, ERR_RESET);
	x->stream = NULL;
	exchange_release(x, ERR_RESET);
	http_conn_return(c, HTTP_ABORT);
}

/* Nothing of an answer has left yet: say what went wrong. */
static void exchange_fail(struct exchange *x, int why)
{
	struct http_conn *c = x->conn;
	enum page_kind kind = x->kind;
	struct str host = str_of(x->visit.host); /* x is readable until the turn ends */

	if (x->replied) {
		exchange_abort(x);
		return;
	}
	wire_close(x->stream, ERR_RESET);
	x->stream = NULL;
	x->served.status = page_status(why);
	exchange_release(x, why);
	http_conn_return(c, HTTP_UNUSED);
	page_reply(c, why, kind, host);
}

static void exchange_on_leaving(void *arg)
{
	exchange_fail(arg, ERR_NOSESSION);
}

/* When a visitor whose session has lost the tunnel must be gone; the earliest time counts. */
static void exchange_set_leaving(struct ev *ev, struct ev_timer *t, uint64_t ms)
{
	if (!ev_timer_is_set(t) || t->at_ms > ev_now_ms(ev) + ms)
		ev_timer_set(ev, t, ms);
}

/* See core_visitor.leave. */
static void exchange_on_leave(struct core_visitor *v, uint64_t ms)
{
	struct exchange *x = CONTAINER_OF(v, struct exchange, seen);

	if (ms == 0)
		exchange_fail(x, ERR_NOSESSION);
	else
		exchange_set_leaving(x->in->ev, &x->leaving, ms);
}

/* Both directions are complete, or the answer came before the request's end. */
static void exchange_finish(struct exchange *x)
{
	bool whole = x->up.state == PUMP_END;
	bool reuse = whole && x->target_keeps && !x->announced && x->down.state == PUMP_END &&
		     core_place_stays(x->in->opt.core, x->place);
	struct http_conn *c = x->conn;

	if (reuse)
		idle_put(x->in->idle, x->place, x->stream);
	else
		wire_close(x->stream, whole ? 0 : ERR_RESET);
	x->stream = NULL;
	exchange_release(x, 0);
	if (!whole)
		http_conn_return(c, HTTP_CLOSE_UNREAD);
	else
		http_conn_return(c, x->must_close ? HTTP_CLOSE : HTTP_KEEP);
}

/* ---- streams ---- */

static void exchange_on_ready(void *arg, struct wire *w, int events);
static void exchange_on_broken(void *arg, struct wire *w, int why);
static const struct wire_owner exchange_owner = {exchange_on_ready, exchange_on_broken};

static bool exchange_is_safe(const struct exchange *x)
{
	switch (x->method) { /* idempotent methods, RFC 9110 9.2.2 */
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_TRACE:
	case HTTP_PUT:
	case HTTP_DELETE: return true;
	default: return false;
	}
}

/* A stream for this exchange: one that is idle, or a new one. */
static int exchange_open(struct exchange *x, struct tunnel *t, bool may_reuse)
{
	int e = 0;

	x->stream = NULL;
	if (may_reuse) {
		x->place = tunnel_choose(t);
		x->stream = idle_take(x->in->idle, x->place,
				      exchange_is_safe(x) ? IDLE_MS : UNSAFE_IDLE_MS);
		if (x->stream != NULL)
			tunnel_used(t, x->place);
	}
	if (x->stream == NULL) {
		if ((e = tunnel_dial_next(t, &x->visit, &x->tried, &x->stream)) != 0)
			return e;
		x->place = x->tried.places[x->tried.n - 1];
	}
	x->seen.place = x->place;
	ev_timer_stop(x->in->ev, &x->leaving); /* it was another place that had to be left */
	wire_own(x->stream, &exchange_owner, x);
	x->up.dst = x->down.src = x->stream;
	return 0;
}

/*
 * The stream failed before anything of an answer came: may the request be sent once more? If no
 * target has seen it, or if doing it twice does no harm: the target had closed a connection we used
 * again, or a session died.
 */
static bool exchange_may_retry(struct exchange *x, int why)
{
	bool lost = why == ERR_EOF || why == ERR_RESET || why == ERR_CLOSED || why == ERR_DEAD;

	if (x->replied || x->reply.len > 0 || x->again.len == 0)
		return false;
	if (refusal_is_certain(why) || (refusal_is_clean(why) && exchange_is_safe(x)))
		return true; /* not by those who have refused it */
	if (!lost || x->retried || !exchange_is_safe(x))
		return false;
	x->retried = true;
	x->tried.n = 0; /* by any session, perhaps this one */
	return true;
}

static bool exchange_retry(struct exchange *x, int why)
{
	struct str request = buf_str(&x->again);
	struct tunnel *t;

	if (!exchange_may_retry(x, why))
		return false;
	if ((t = core_tunnel(x->in->opt.core, str_of(x->visit.tunnel))) == NULL)
		return false;
	wire_close(x->stream, ERR_RESET);
	pump_free(&x->up);
	x->up.state = PUMP_RUNNING;
	if (exchange_open(x, t, false) != 0 ||
	    buf_add(&x->up.pending, request.p, request.len, REWRITE_MAX) != 0)
		return false;
	x->served.head_up += request.len;
	exchange_run(x);
	return true;
}

static void exchange_stream_failed(struct exchange *x, int why)
{
	if (exchange_retry(x, why))
		return;
	if (why == ERR_EOF || why == ERR_PROTO)
		why = ERR_TARGET;
	else if (why == ERR_NOTFOUND)
		why = ERR_NOSESSION;
	exchange_fail(x, why);
}

/* ---- the answer ---- */

/* HTTP ends here: the two wires are joined, early bytes included. */
struct upgraded {
	struct list link;
	struct http_ingress *in;
	struct relay *relay; /* borrowed: gone when upgraded_on_done() is called */
	struct visit visit;
	struct core_visitor seen;
	struct served served;
	struct ev_timer leaving;
};

static void upgraded_release(struct upgraded *u, const struct relay_result *r)
{
	struct served_end end = {r->a_to_b, r->b_to_a, r->why, 0};

	core_visitor_end(&u->seen);
	list_del(&u->link);
	u->in->n_upgraded--;
	ev_timer_stop(u->in->ev, &u->leaving);
	served_tell(&u->served, u->in->opt.core, &u->seen, &end);
	ev_free_later(u->in->ev, u);
}

static void upgraded_on_done(void *arg, const struct relay_result *result)
{
	upgraded_release(arg, result);
}

static void upgraded_end(struct upgraded *u)
{
	struct relay_result r;

	relay_carried(u->relay, &r);
	r.why = ERR_CLOSED;
	relay_close(u->relay, ERR_CLOSED);
	upgraded_release(u, &r);
}

static void upgraded_on_leaving(void *arg)
{
	upgraded_end(arg);
}

/* See core_visitor.leave. */
static void upgraded_on_leave(struct core_visitor *v, uint64_t ms)
{
	struct upgraded *u = CONTAINER_OF(v, struct upgraded, seen);

	if (ms == 0)
		upgraded_end(u);
	else
		exchange_set_leaving(u->in->ev, &u->leaving, ms);
}

/* It is a visitor as before, at the same place, and its request is not over. x is readable until
 * the turn ends. */
static void upgraded_begin(struct upgraded *u, const struct exchange *x,
			   const struct served *served)
{
	struct http_ingress *in = x->in;

	u->served = *served;
	u->served.head_up = u->served.head_down = 0;
	u->in = in;
	u->visit = x->visit;
	u->leaving = (struct ev_timer){.fn = upgraded_on_leaving, .arg = u};
	core_visitor_begin(in->opt.core, &u->seen, &u->visit);
	u->seen.since_ms = x->seen.since_ms;
	u->seen.place = x->place;
	u->seen.leave = upgraded_on_leave;
	list_push(&in->upgraded, &u->link);
	in->n_upgraded++;
}

static void exchange_upgrade(struct exchange *x)
{
	struct http_ingress *in = x->in;
	struct upgraded *u = calloc(1, sizeof *u);
	struct relay_opt opt = {.b = x->stream, .done = upgraded_on_done, .arg = u};
	struct http_conn *c = x->conn;
	struct served served = x->served;

	if (u == NULL || wire_write_all(x->visitor, buf_str(&x->down.pending)) != 0) {
		free(u);
		exchange_abort(x);
		return;
	}
	x->stream = NULL;
	x->served = (struct served){0}; /* u's */
	exchange_release(x, 0);
	opt.a = http_conn_take(c);
	upgraded_begin(u, x, &served);
	if (relay_new(in->ev, &opt, &u->relay) != 0) {
		wire_close(opt.a, ERR_NOMEM);
		wire_close(opt.b, ERR_NOMEM);
		upgraded_release(u, &(struct relay_result){.why = ERR_NOMEM});
	}
}

/* What flows down after the head, and how the visitor sees its end. */
static void exchange_set_down(struct exchange *x, const struct http_response *res,
			      struct rewrite_answer *how)
{
	enum http_framing framing = res->head.framing;
	bool recode =
		framing == HTTP_BODY_CHUNKED || (framing == HTTP_BODY_CLOSE && !x->visitor_10);

	x->target_keeps = res->head.keep_alive && framing != HTTP_BODY_CLOSE;
	x->must_close = http_conn_must_close(x->conn);
	if (x->visitor_10 && (framing == HTTP_BODY_CHUNKED || framing == HTTP_BODY_CLOSE))
		x->must_close = true;
	x->down.left = UINT64_MAX;
	if (recode) {
		recode_init(&x->down_code, framing, !x->visitor_10);
		x->down.filter = recode_filter;
		x->down.filter_arg = &x->down_code;
	} else if (framing != HTTP_BODY_CLOSE) {
		x->down.left = framing == HTTP_BODY_LENGTH ? res->head.content_length : 0;
	}
	how->chunked = recode && !x->visitor_10;
	how->close = x->must_close;
	how->keep = x->visitor_10 && !x->must_close;
}

/* A head of the target is whole: interim, upgrade or final. Returns 0 or why it is no good. */
static int exchange_on_response(struct exchange *x, const struct http_response *res)
{
	struct rewrite_answer how = {0};
	int e;

	if (x->settings != NULL)
		how.edits = x->settings->edits;
	if (res->status == 101) {
		if (!x->upgrade || res->head.upgrade.len == 0)
			return ERR_PROTO;
		x->replied = x->switching = true;
		x->served.status = res->status;
		return rewrite_response(&x->down.pending, res, &how);
	}
	if (res->status < 200) {
		if (x->visitor_10)
			return 0;
		return rewrite_response(&x->down.pending, res, &how);
	}
	x->replied = true;
	buf_free(&x->again);
	exchange_set_down(x, res, &how);
	e = rewrite_response(&x->down.pending, res, &how);
	x->served.status = res->status;
	x->served.head_down = x->down.pending.len;
	return e;
}

/*
 * Read heads until the final one.
 * Returns 0 when there is one, ERR_AGAIN, or why the stream is no good.
 */
static int exchange_read_head(struct exchange *x)
{
	struct http_response res;
	struct str in, all;
	int e;

	while (!x->replied) {
		if ((e = wire_read(x->stream, HTTP_HEAD_MAX, &in)) != 0)
			return e;
		all = in;
		if (x->reply.len > 0) {
			if (buf_add(&x->reply, in.p, in.len, 2 * HTTP_HEAD_MAX) != 0)
				return ERR_NOMEM;
			all = buf_str(&x->reply);
		}
		e = http_response_parse(all, x->method, &x->scanned, &res);
		if (e == ERR_AGAIN && x->reply.len == 0)
			e = buf_add(&x->reply, in.p, in.len, HTTP_HEAD_MAX) != 0 ? ERR_NOMEM : e;
		if (e == ERR_AGAIN)
			continue;
		if (e == 0) {
			if (all.len > res.head.len)
				wire_unread(x->stream, all.len - res.head.len);
			e = exchange_on_response(x, &res);
		}
		x->scanned = 0;
		buf_free(&x->reply);
		if (e != 0)
			return e;
	}
	return 0;
}

/* ---- running ---- */

static void exchange_want(struct exchange *x)
{
	bool interim = !x->replied && x->down.pending.len > 0;

	wire_want(x->visitor, (x->up.want_read ? WIRE_READ : 0) |
				      (x->down.want_write || interim ? WIRE_WRITE : 0));
	wire_want(x->stream, (x->down.want_read || !x->replied ? WIRE_READ : 0) |
				     (x->up.want_write ? WIRE_WRITE : 0));
}

/* The request's side. Returns false when the exchange is over. */
static bool exchange_run_up(struct exchange *x)
{
	pump_run(&x->up);
	if (x->up.state == PUMP_EOF) { /* the visitor left in the middle of its request */
		exchange_abort(x);
		return false;
	}
	if (x->up.state == PUMP_FAILED &&
	    x->up.e == ERR_NOMEM) { /* the stream knows nothing of it */
		exchange_fail(x, ERR_NOMEM);
		return false;
	}
	if (x->up.state == PUMP_FAILED && x->up.failed_src) {
		exchange_fail(x, ERR_PROTO);
		return false;
	}
	return true; /* a target that does not read to the end may still answer */
}

/* An interim answer that is on its way: the visitor may wait for it before it sends more. */
static int exchange_flush_interim(struct exchange *x)
{
	return x->replied ? 0 : wire_write_buf(x->visitor, &x->down.pending);
}

/* The answer's side. Returns false when the exchange is over. */
static bool exchange_run_down(struct exchange *x)
{
	int e = x->replied ? 0 : exchange_read_head(x);

	if (e != 0 && e != ERR_AGAIN) {
		exchange_stream_failed(x, e);
		return false;
	}
	if (x->switching) {
		exchange_upgrade(x);
		return false;
	}
	if (!x->replied) {
		if (exchange_flush_interim(x) == 0)
			return true;
		exchange_abort(x);
		return false;
	}
	switch (pump_run(&x->down)) {
	case PUMP_RUNNING: return true;
	case PUMP_END: exchange_finish(x); return false;
	case PUMP_EOF:
		if (x->down.left == UINT64_MAX && x->down.filter == NULL)
			exchange_finish(x); /* its end is the connection's end */
		else
			exchange_abort(x);
		return false;
	case PUMP_FAILED: exchange_abort(x); return false;
	}
	return false;
}

static void exchange_run(struct exchange *x)
{
	if (exchange_run_up(x) && exchange_run_down(x))
		exchange_want(x);
}

static void exchange_on_ready(void *arg, struct wire *w, int events)
{
	exchange_run(arg);
}

static void exchange_on_broken(void *arg, struct wire *w, int why)
{
	struct exchange *x = arg;

	if (w == x->visitor)
		exchange_abort(x);
	else
		exchange_stream_failed(x, why);
}

/* ---- the start ---- */

static void exchange_set_visit(struct exchange *x, const char *tunnel,
			       const struct http_request *req, const struct rewrite_from *from)
{
	const struct http_ingress_opt *opt = &x->in->opt;

	x->visit.ingress = VISIT_HTTP;
	x->visit.tls = from->tls;
	rewrite_visitor(&req->head, from, opt->trusted, opt->n_trusted, &x->visit.visitor);
	if (x->visit.visitor.ip[0] == '\0')
		x->visit.visitor = *from->peer;
	x->visit.local = *http_conn_local(x->conn);
	(void)!str_copy(x->visit.host, sizeof x->visit.host, req->host);
	(void)!str_copy(x->visit.tunnel, sizeof x->visit.tunnel, str_of(tunnel));
}

static void exchange_set_up(struct exchange *x, const struct http_request *req)
{
	x->up.left = UINT64_MAX;
	if (req->head.framing == HTTP_BODY_CHUNKED) {
		recode_init(&x->up_code, HTTP_BODY_CHUNKED, true);
		x->up.filter = recode_filter;
		x->up.filter_arg = &x->up_code;
	} else {
		x->up.left = req->head.framing == HTTP_BODY_LENGTH ? req->head.content_length : 0;
	}
}

/* The server name that the visitor has asked for, if it is one that can be told. */
static void exchange_set_sni(struct exchange *x, const char *sni)
{
	struct str name = str_of(sni);

	if (!hostname_resolvable(name))
		return;
	for (size_t i = 0; i < name.len; i++)
		x->visit.sni[i] = ascii_lower(name.p[i]);
	x->visit.sni[name.len] = '\0';
}

/* The target is told who comes before the first request. */
static int exchange_announce(struct exchange *x, const struct tunnel_settings *settings)
{
	struct announce a = {.version = settings->proxy, .visit = &x->visit};
	uint8_t header[PROXY_WRITE_MAX];
	struct wire_tls_facts facts;
	char id[ANNOUNCE_ID_TEXT];
	size_t len;

	if (settings->proxy == TUNNEL_PROXY_NONE)
		return 0;
	x->announced = true;
	http_conn_tls_facts(x->conn, &facts);
	exchange_set_sni(x, facts.sni);
	a.alpn = facts.alpn;
	a.tls_version = facts.version;
	announce_id_format(&x->in->ids, ++x->in->ids.last, id);
	a.id = id;
	announce_write(&a, header, &len);
	return buf_add(&x->up.pending, header, len, PROXY_WRITE_MAX);
}

/* Write the head that goes to the target, as the tunnel wants it. */
static int exchange_write_head(struct exchange *x, const struct tunnel_settings *settings,
			       const struct http_request *req, const struct rewrite_from *from,
			       const struct rewrite_pass *pass)
{
	struct rewrite_how how = {.pass = pass,
				  .host = str_of(settings->host),
				  .edits = settings->edits};
	struct url target;

	if (settings->rewrite &&
	    url_parse_target(str_of(settings->target), URL_HTTP, &target, NULL) == 0 &&
	    (target.scheme == URL_HTTP || target.scheme == URL_HTTPS))
		how.target = &target;
	return rewrite_request(&x->up.pending, req, from, &how);
}

/* Fill in a new exchange; its stream comes last. */
static int exchange_init(struct exchange *x, struct tunnel *t, const struct http_request *req,
			 const struct rewrite_pass *pass)
{
	struct rewrite_from from;
	struct str head;
	char mark[17];
	int e;

	tunnel_loop_mark(t, mark);
	http_ingress_from(x->in, x->conn, mark, &from);
	x->method = req->method;
	x->kind = page_kind_of(req);
	x->visitor_10 = req->head.minor == 0;
	x->upgrade = req->head.upgrade.len > 0;
	exchange_set_visit(x, tunnel_name(t), req, &from);
	exchange_set_up(x, req);
	if ((e = exchange_announce(x, tunnel_settings(t))) != 0 ||
	    (e = exchange_write_head(x, tunnel_settings(t), req, &from, pass)) != 0)
		return e;
	head = buf_str(&x->up.pending);
	if (x->up.left == 0 && (e = buf_add(&x->again, head.p, head.len, REWRITE_MAX)) != 0)
		return e;
	x->served.head_up = head.len;
	if (tunnel_settings(t)->edits.len > 0)
		x->settings = settings_ref(tunnel_settings(t));
	return exchange_open(x, t, !x->upgrade && !x->announced);
}

void exchange_start(struct http_ingress *in, struct http_conn *c, struct tunnel *t,
		    const struct http_request *req, const struct rewrite_pass *pass)
{
	struct exchange *x = calloc(1, sizeof *x);
	int e = ERR_NOMEM;

	if (x != NULL) {
		x->in = in;
		x->conn = c;
		x->leaving = (struct ev_timer){.fn = exchange_on_leaving, .arg = x};
		e = exchange_init(x, t, req, pass);
	}
	if (e != 0) {
		if (x != NULL) {
			pump_free(&x->up);
			buf_free(&x->again);
			settings_unref(in->ev, x->settings);
		}
		free(x);
		page_reply(c, e, page_kind_of(req), req->host);
		return;
	}
	list_push(&in->exchanges, &x->link);
	in->n_exchanges++;
	core_visitor_begin(in->opt.core, &x->seen, &x->visit);
	x->seen.leave = exchange_on_leave;
	served_begin(&x->served, in->opt.core, in->ev, req);
	x->visitor = http_conn_borrow(c, &exchange_owner, x);
	x->up.src = x->down.dst = x->visitor;
	exchange_run(x);
}

void exchange_abort_all(struct http_ingress *in)
{
	LIST_FOR_EACH_SAFE (link, &in->exchanges)
		exchange_abort(CONTAINER_OF(link, struct exchange, link));
	LIST_FOR_EACH_SAFE (link, &in->upgraded)
		upgraded_end(CONTAINER_OF(link, struct upgraded, link));
}
