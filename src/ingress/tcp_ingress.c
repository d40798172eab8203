/*
 * Until the target has said its first byte a visitor is ours to place: what it says is kept, and a
 * session that cannot serve it is replaced by another. From then on two wires are joined, and this
 * file only waits for the end.
 */
#include "ingress/tcp_ingress.h"

#include <stdlib.h>

#include "base/err.h"
#include "core/rights.h"
#include "ev/log_pace.h"
#include "ingress/announce.h"
#include "ingress/refusal.h"
#include "ingress/served.h"
#include "wire/relay.h"

struct tcp_ingress {
	struct ev *ev;
	struct tcp_ingress_opt opt;
	struct announce_ids ids;
	struct log_pace pace;
	struct list conns; /* owned: of tcp_conn.link */
	size_t n_conns;
};

/* One visitor. */
struct tcp_conn {
	struct list link;
	struct core_visitor seen;
	struct tcp_ingress *in;
	struct wire *visitor, *stream; /* owned; NULL when the relay has them */
	struct relay *relay; /* borrowed: gone when tcp_conn_on_done() is called; NULL: the target
			      * has not said anything */
	/* What the stream must be told first: the PROXY header, and what the visitor has said; all
	 * of it until the target answers. Empty, and without memory, when there is nothing. */
	struct buf early;
	size_t header_len; /* of early: the PROXY header */
	size_t sent;	   /* of early: taken by the stream */
	struct tunnel_tried tried;
	struct ev_timer idle, leaving;
	size_t idle_len; /* of early, when the idle timer was last looked at */
	uint32_t number;
	bool hopped;   /* see tcp_visitor */
	bool ended;    /* the visitor has finished sending */
	bool told_end; /* and the stream was told */
	struct visit visit;
};

static void tcp_conn_run(struct tcp_conn *c);

/* ---- the end ---- */

static void tcp_conn_release(struct tcp_conn *c)
{
	struct ev *ev = c->in->ev;

	core_visitor_end(&c->seen);
	list_del(&c->link);
	c->in->n_conns--;
	ev_timer_stop(ev, &c->idle);
	ev_timer_stop(ev, &c->leaving);
	buf_free(&c->early);
	ev_free_later(ev, c);
}

static void tcp_conn_log(const struct tcp_conn *c, const struct served_end *end)
{
	char id[ANNOUNCE_ID_TEXT];

	if (c->in->opt.log->level < LOG_DEBUG)
		return;
	announce_id_format(&c->in->ids, c->number, id);
	log_debug(c->in->opt.log,
		  "event=visitor id=%s tunnel=%s peer=%s:%u up=%llu down=%llu ms=%lld code=%s", id,
		  c->visit.tunnel, c->visit.visitor.ip, c->visit.visitor.port,
		  (unsigned long long)end->up, (unsigned long long)end->down, (long long)end->ms,
		  err_name(end->why));
}

/* All of it has ended. r: of the relay; what went before it was there is ours to add. */
static void tcp_conn_over(struct tcp_conn *c, const struct relay_result *r)
{
	int64_t ms = ev_wall_ms(c->in->ev) - c->seen.since_ms;
	struct served_end end = {.up = c->sent + r->a_to_b,
				 .down = r->b_to_a,
				 .why = r->why,
				 .ms = ms > 0 ? (uint64_t)ms : 0};

	end.up -= MIN(end.up, c->header_len);
	tcp_conn_log(c, &end);
	tcp_conn_release(c);
	served_tell_connection(c->in->opt.core, &c->seen, &end); /* it may end other visitors */
}

/* Both sides end now. */
static void tcp_conn_end(struct tcp_conn *c, int why)
{
	struct relay_result r = {.why = 0};

	if (c->relay != NULL)
		relay_carried(c->relay, &r);
	r.why = why;
	relay_close(c->relay, why);
	wire_close(c->visitor, why);
	wire_close(c->stream, why);
	tcp_conn_over(c, &r);
}

/* Nobody serves this visitor: one line, unless there are too many. */
static void tcp_ingress_say(struct tcp_ingress *in, const struct visit *visit, const char *tunnel,
			    int why)
{
	if (!log_pace_take(&in->pace, in->ev, in->opt.log))
		return;
	log_info(in->opt.log, "event=refused tunnel=%s%s%s peer=%s:%u code=%s msg=\"%s\"", tunnel,
		 visit->service[0] != '\0' ? " service=" : "", visit->service, visit->visitor.ip,
		 visit->visitor.port, err_name(why),
		 why == ERR_NOTFOUND ? "the agent knows no such service or tunnel" : err_text(why));
}

static void tcp_conn_on_done(void *arg, const struct relay_result *result)
{
	tcp_conn_over(arg, result);
}

static void tcp_conn_on_leaving(void *arg)
{
	tcp_conn_end(arg, ERR_CLOSED);
}

/* See core_visitor.leave. */
static void tcp_conn_on_leave(struct core_visitor *v, uint64_t ms)
{
	struct tcp_conn *c = CONTAINER_OF(v, struct tcp_conn, seen);
	struct ev *ev = c->in->ev;

	if (ms == 0)
		tcp_conn_end(c, ERR_CLOSED);
	else if (!ev_timer_is_set(&c->leaving) || c->leaving.at_ms > ev_now_ms(ev) + ms)
		ev_timer_set(ev, &c->leaving, ms);
}

/* ---- before the target's first byte ---- */

static void tcp_conn_on_ready(void *arg, struct wire *w, int events);
static void tcp_conn_on_broken(void *arg, struct wire *w, int why);
static const struct wire_owner tcp_conn_owner = {tcp_conn_on_ready, tcp_conn_on_broken};

/* A stream to the next session. Returns as tunnel_dial_next(). */
static int tcp_conn_dial(struct tcp_conn *c, struct tunnel *t)
{
	int e = tunnel_dial_next(t, &c->visit, &c->tried, &c->stream);

	if (e != 0)
		return e;
	c->seen.place = c->tried.places[c->tried.n - 1];
	ev_timer_stop(c->in->ev, &c->leaving); /* it was the other place that had to be left */
	c->sent = 0;
	c->told_end = false;
	wire_own(c->stream, &tcp_conn_owner, c);
	return 0;
}

/*
 * The session cannot serve this visitor, or is gone: another one, if no target has seen a byte of
 * the visitor's, or the end.
 */
static void tcp_conn_stream_failed(struct tcp_conn *c, int why)
{
	/* a request that must not be done twice may be in it: whoever reads it decides */
	bool unread = c->hopped && c->visit.ingress == VISIT_HTTP;
	bool clean = unread ? refusal_is_certain(why) : refusal_is_clean(why);
	struct tunnel *t = NULL;

	wire_close(c->stream, ERR_RESET);
	c->stream = NULL;
	if (clean || c->sent <= c->header_len)
		t = core_tunnel(c->in->opt.core, str_of(c->visit.tunnel));
	if (t != NULL && tcp_conn_dial(c, t) == 0) {
		tcp_conn_run(c);
		return;
	}
	tcp_ingress_say(c->in, &c->visit, c->visit.tunnel, why);
	tcp_conn_end(c, why);
}

/* The target has spoken, or more has come than is kept: join the wires. */
static void tcp_conn_join(struct tcp_conn *c)
{
	struct str early = buf_str(&c->early);
	struct relay_opt opt = {.a = c->visitor,
				.b = c->stream,
				.idle_ms = c->hopped ? 0 : c->in->opt.idle_ms,
				.done = tcp_conn_on_done,
				.arg = c,
				.a_ended = c->told_end};

	if (c->sent < early.len)
		opt.first = (struct str){early.p + c->sent, early.len - c->sent};
	if (relay_new(c->in->ev, &opt, &c->relay) != 0) {
		tcp_conn_end(c, ERR_NOMEM);
		return;
	}
	c->visitor = c->stream = NULL;
	ev_timer_stop(c->in->ev, &c->idle);
	buf_free(&c->early);
}

/* Give the stream what it has not had. */
static int tcp_conn_send(struct tcp_conn *c)
{
	struct str early = buf_str(&c->early);
	size_t taken = 0;
	struct iovec iov;
	int e;

	if (c->sent == early.len)
		return 0;
	iov.iov_base = (char *)(uintptr_t)early.p + c->sent;
	iov.iov_len = early.len - c->sent;
	e = wire_write(c->stream, &iov, 1, &taken);
	c->sent += taken;
	return e;
}

/* Read once. Returns 0, ERR_AGAIN (nothing now, or nothing wanted) or why the visitor is gone. */
static int tcp_conn_read(struct tcp_conn *c)
{
	struct str in;
	int e;

	if (c->sent < c->early.len || c->ended || c->early.len >= TCP_INGRESS_EARLY_MAX)
		return ERR_AGAIN;
	e = wire_read(c->visitor, TCP_INGRESS_EARLY_MAX - c->early.len, &in);
	if (e == ERR_EOF) {
		c->ended = true;
		return ERR_AGAIN;
	}
	return e != 0 ? e : buf_add(&c->early, in.p, in.len, TCP_INGRESS_EARLY_MAX);
}

static void tcp_conn_run(struct tcp_conn *c)
{
	bool rest;
	int e;

	do {
		if ((e = tcp_conn_send(c)) != 0) {
			tcp_conn_stream_failed(c, e);
			return;
		}
	} while ((e = tcp_conn_read(c)) == 0);
	if (e != ERR_AGAIN) {
		tcp_conn_end(c, e);
		return;
	}
	rest = c->sent < c->early.len;
	if (c->ended && !rest && !c->told_end) {
		wire_shut(c->stream);
		c->told_end = true;
	}
	if (c->early.len >= TCP_INGRESS_EARLY_MAX) {
		tcp_conn_join(c);
		return;
	}
	wire_want(c->visitor, rest || c->ended ? 0 : WIRE_READ);
	wire_want(c->stream, WIRE_READ | (rest ? WIRE_WRITE : 0));
}

static void tcp_conn_on_ready(void *arg, struct wire *w, int events)
{
	struct tcp_conn *c = arg;

	if (w == c->stream && (events & WIRE_READ))
		tcp_conn_join(c);
	else
		tcp_conn_run(c);
}

static void tcp_conn_on_broken(void *arg, struct wire *w, int why)
{
	struct tcp_conn *c = arg;

	if (w == c->visitor)
		tcp_conn_end(c, why);
	else
		tcp_conn_stream_failed(c, why);
}

static void tcp_conn_on_idle(void *arg)
{
	struct tcp_conn *c = arg;

	if (c->idle_len == c->early.len) {
		tcp_conn_end(c, ERR_TIMEOUT);
		return;
	}
	c->idle_len = c->early.len;
	ev_timer_set(c->in->ev, &c->idle, c->in->opt.idle_ms);
}

/* ---- the start ---- */

/* What comes before all that is still unread of the visitor. */
static int tcp_conn_set_early(struct tcp_conn *c, const struct tunnel_settings *s,
			      const struct tcp_visitor *v)
{
	struct announce a = {.version = s->proxy,
			     .visit = &c->visit,
			     .alpn = v->alpn,
			     .tls_version = v->tls_version};
	uint8_t header[PROXY_WRITE_MAX];
	char id[ANNOUNCE_ID_TEXT];
	int e;

	if (s->proxy != TUNNEL_PROXY_NONE && !v->hopped) {
		announce_id_format(&c->in->ids, c->number, id);
		a.id = id;
		announce_write(&a, header, &c->header_len);
		if ((e = buf_add(&c->early, header, c->header_len, RELAY_FIRST_MAX)) != 0)
			return e;
	}
	return buf_add(&c->early, v->first.p, v->first.len, RELAY_FIRST_MAX);
}

static int tcp_conn_start(struct tcp_ingress *in, struct tunnel *t, struct wire *w,
			  const struct tcp_visitor *v)
{
	struct tcp_conn *c = calloc(1, sizeof *c);
	int e;

	if (c == NULL)
		return ERR_NOMEM;
	c->in = in;
	c->visit = *v->visit;
	c->hopped = v->hopped;
	c->number = ++in->ids.last;
	c->idle = (struct ev_timer){.fn = tcp_conn_on_idle, .arg = c};
	c->leaving = (struct ev_timer){.fn = tcp_conn_on_leaving, .arg = c};
	if ((e = tcp_conn_set_early(c, tunnel_settings(t), v)) != 0 ||
	    (e = tcp_conn_dial(c, t)) != 0) {
		buf_free(&c->early);
		free(c);
		return e;
	}
	c->visitor = w;
	wire_own(w, &tcp_conn_owner, c);
	list_push(&in->conns, &c->link);
	in->n_conns++;
	core_visitor_begin(in->opt.core, &c->seen, &c->visit);
	c->seen.leave = tcp_conn_on_leave;
	if (in->opt.idle_ms != 0 && !c->hopped)
		ev_timer_set(in->ev, &c->idle, in->opt.idle_ms);
	tcp_conn_run(c);
	return 0;
}

/* Returns 0 or why this visitor is not served. */
static int tcp_ingress_admit(struct tcp_ingress *in, struct wire *w, const struct tcp_visitor *v)
{
	struct tunnel *t = core_tunnel(in->opt.core, str_of(v->tunnel));
	const struct rights *rights;

	if (t == NULL)
		return ERR_NOSESSION;
	rights = tunnel_settings(t)->rights;
	if (rights != NULL && !v->hopped && !rights_allow_address(rights, v->visit->visitor.ip))
		return ERR_DENIED;
	return tcp_conn_start(in, t, w, v);
}

void tcp_ingress_serve(struct tcp_ingress *in, struct wire *w, const struct tcp_visitor *v)
{
	int e = tcp_ingress_admit(in, w, v);

	if (e == 0)
		return;
	tcp_ingress_say(in, v->visit, v->tunnel, e);
	if (v->refused != NULL)
		v->refused(v->arg, w, e);
	else
		wire_close(w, e);
}

size_t tcp_ingress_load(const struct tcp_ingress *in)
{
	return in->n_conns;
}

int tcp_ingress_new(struct ev *ev, const struct tcp_ingress_opt *opt, struct tcp_ingress **out)
{
	struct tcp_ingress *in = calloc(1, sizeof *in);

	if (in == NULL)
		return ERR_NOMEM;
	in->ev = ev;
	in->opt = *opt;
	list_init(&in->conns);
	announce_ids_init(&in->ids, ev);
	*out = in;
	return 0;
}

void tcp_ingress_free(struct tcp_ingress *in)
{
	if (in == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &in->conns)
		tcp_conn_end(CONTAINER_OF(link, struct tcp_conn, link), ERR_CLOSED);
	ev_free_later(in->ev, in);
}
